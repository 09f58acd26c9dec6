//! Who tries passwords: sources that fail too often are banned, accounts that are tried from everywhere take nobody new.
//!
//! A source's failures are counted by one worker, its keeper; an account's at its home. What they decide is told to all
//! workers by mail, and each looks at a table of its own before it reads what somebody sent. Time comes in; nothing
//! survives a restart.

mod lately;
mod table;

#[cfg(test)]
mod tests;

use crate::config::plan::BansPlan;
use crate::report::Report;
use lately::Lately;
use rustc_hash::FxHasher;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Table;
use wire::{Address, Lock, Locks, Source, WorkerId};

/// Sources that one worker counts, and sources banned at a time.
const SOURCES: usize = 65_536;
/// Accounts that one worker counts, and whose good sources it remembers.
const ACCOUNTS: usize = 65_536;
/// Accounts locked at a time.
const LOCKS: usize = 4_096;
/// Good sources of one account.
const KNOWN: usize = 8;
/// For how long a source is known by a right sign-in.
const LATELY: Duration = Duration::from_secs(7 * 86_400);
/// How often a worker tells an account's home of right sign-ins from one source.
const AGAIN: Duration = Duration::from_secs(3600);

/// Why a source is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// So many sign-ins failed, and it had been banned so many times before.
    Failures(u32, u32),
    /// So many requests came after what strangers may send, and it had been banned so many times before.
    Flood(u32, u32),
    /// An administrator wants it.
    Administrator,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures(failures, 0) => write!(f, "{failures} failed sign-ins"),
            Self::Failures(failures, before) => {
                write!(f, "{failures} failed sign-ins, banned {before} times before")
            }
            Self::Flood(requests, 0) => write!(f, "{requests} requests more than strangers may send"),
            Self::Flood(requests, before) => {
                write!(f, "{requests} requests more than strangers may send, banned {before} times before")
            }
            Self::Administrator => f.write_str("an administrator"),
        }
    }
}

/// A ban of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Until when.
    pub until: Instant,
    /// Why.
    pub reason: Reason,
}

/// Between the doormen of two workers, or from an administrator to all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// To a source's keeper: a sign-in failed.
    Failed(Source),
    /// To a source's keeper: it sends more than strangers may.
    Flooded(Source),
    /// To an account's home: a sign-in to it failed.
    Missed(Address),
    /// To an account's home: a sign-in was right.
    Right(Address, Source),
    /// To all: a source is banned.
    Ban(Source, Ban),
    /// To all: a source is not banned any more.
    Lift(Source),
    /// To all: an account is locked.
    Lock(Address, Lock),
    /// To all: an account is not locked any more.
    Unlock(Address),
}

/// What the doorman wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Give this to another worker's doorman.
    Post(WorkerId, Letter),
    /// Tell the administrator: this source was banned here.
    Banned(Source, Ban),
    /// Tell the administrator: this account was locked here.
    Locked(Address, Lock),
    /// Other accounts than before are locked.
    Locks(Arc<Locks>),
}

/// What is in force on a worker.
#[derive(Debug, Default)]
pub struct Listed {
    /// The banned sources.
    pub bans: Vec<(Source, Ban)>,
    /// The locked accounts.
    pub locks: Vec<(Address, Lock)>,
}

/// What a source's keeper knows of it.
#[derive(Clone, Copy, Debug)]
struct Count {
    since: Instant,
    failures: u32,
    /// Requests after what strangers may send.
    flood: u32,
    bans: u32,
}

impl Count {
    fn new(since: Instant, bans: u32) -> Self {
        Self { since, failures: 0, flood: 0, bans }
    }

    /// How many there are with this one.
    fn one_more(&mut self, fault: Fault) -> u32 {
        let counted = match fault {
            Fault::Failure => &mut self.failures,
            Fault::Flood => &mut self.flood,
        };
        *counted = counted.saturating_add(1);
        *counted
    }
}

/// What is counted of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Failure,
    Flood,
}

/// Where somebody has signed in from, kept small: there are as many as accounts. In octets, for the same reason.
#[derive(Clone, Copy, Debug)]
struct Known {
    source: Source,
    /// In seconds since the doorman began.
    until: [u8; 4],
}

impl Known {
    fn until(&self) -> u32 {
        u32::from_le_bytes(self.until)
    }
}

/// Where an account's people have signed in from: nearly always from one place.
#[derive(Clone, Debug)]
enum Places {
    One(Known),
    #[expect(clippy::box_collection, reason = "one word, where nearly all have one place")]
    Several(Box<Vec<Known>>),
}

impl Places {
    fn all(&self) -> &[Known] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// One worker's doorman.
#[derive(Debug)]
pub struct Doorman {
    me: WorkerId,
    workers: u16,
    rules: BansPlan,
    bans: Table<Source, Ban>,
    locks: Table<Address, Lock>,
    /// Of the sources kept here.
    counts: Table<Source, Count>,
    /// Of the accounts at home here: since when, how many.
    misses: Table<Address, (Instant, u32)>,
    /// Of the accounts at home here: which sources, until when.
    known: Lately<Places>,
    /// Right sign-ins of which the account's home was told.
    told: Lately<()>,
    /// Names accounts in `known`, and pairs of account and source in `told`: nobody can make two of them meet.
    names: RandomState,
    /// The moment that [`Known::until`] counts from.
    began: Option<Instant>,
    out: VecDeque<Output>,
    tally: Tally,
}

/// What was counted.
#[derive(Debug, Default)]
struct Tally {
    failures: u64,
    bans: u64,
    locks: u64,
    dropped: u64,
}

impl Doorman {
    /// A doorman who has seen nobody yet.
    pub fn new(me: WorkerId, workers: u16, rules: BansPlan) -> Self {
        Self {
            me,
            workers,
            rules,
            bans: Table::new(SOURCES),
            locks: Table::new(LOCKS),
            counts: Table::new(SOURCES),
            misses: Table::new(ACCOUNTS),
            known: Lately::new(ACCOUNTS, LATELY),
            told: Lately::new(ACCOUNTS, AGAIN / 2),
            names: RandomState::new(),
            began: None,
            out: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    /// Other rules: whoever is trusted now is free; where nothing is counted any more, so is everybody whom no
    /// administrator has banned.
    pub fn set_rules(&mut self, rules: BansPlan) {
        self.rules = rules;
        let rules = &self.rules;
        self.bans.retain(|source, ban| {
            !rules.trusts(source.first()) && (rules.attempts > 0 || ban.reason == Reason::Administrator)
        });
    }

    /// Whether there is any ban at all.
    pub fn bans_anybody(&self) -> bool {
        !self.bans.is_empty()
    }

    /// Whether nothing is to be taken from `address` now. Cheap where nobody is banned.
    pub fn bans(&self, now: Instant, address: IpAddr) -> bool {
        !self.bans.is_empty() && self.bans.get(now, &Source::of(address)).is_some()
    }

    /// The same for what has just come, which is counted.
    pub fn drops(&mut self, now: Instant, address: IpAddr) -> bool {
        let banned = self.bans(now, address);
        self.tally.dropped += u64::from(banned);
        banned
    }

    /// Somebody failed to sign in, to an account where there is one of that name.
    pub fn failed(&mut self, now: Instant, from: IpAddr, account: Option<Address>) {
        self.tally.failures += 1;
        if self.rules.attempts == 0 || self.rules.trusts(from) {
            return;
        }
        let source = Source::of(from);
        self.send(now, self.keeper(source), Letter::Failed(source));
        if let Some(account) = account {
            self.send(now, account.home(self.workers), Letter::Missed(account));
        }
    }

    /// Somebody sends more than strangers may, from an address that nobody can have forged.
    pub fn flooded(&mut self, now: Instant, from: IpAddr) {
        if self.rules.attempts > 0 && !self.rules.trusts(from) {
            let source = Source::of(from);
            self.send(now, self.keeper(source), Letter::Flooded(source));
        }
    }

    /// Somebody has signed in.
    pub fn right(&mut self, now: Instant, from: IpAddr, account: &Address) {
        let source = Source::of(from);
        if account.home(self.workers) == self.me {
            return self.remember(now, account, source);
        }
        let pair = self.names.hash_one((account, source));
        if self.told.get(now, pair).is_none() {
            self.told.put(now, pair, ());
            self.send(now, account.home(self.workers), Letter::Right(account.clone(), source));
        }
    }

    /// Takes in a letter.
    pub fn letter(&mut self, now: Instant, letter: Letter) {
        match letter {
            Letter::Failed(source) => self.count(now, source, Fault::Failure),
            Letter::Flooded(source) => self.count(now, source, Fault::Flood),
            Letter::Missed(account) => self.count_miss(now, account),
            Letter::Right(account, source) => self.remember(now, &account, source),
            Letter::Ban(source, ban) => self.ban(now, source, ban),
            Letter::Lift(source) => {
                self.bans.remove(&source);
                self.counts.remove(&source);
            }
            Letter::Lock(account, lock) => {
                let until = lock.until;
                self.locks.put(now, account, lock, until);
                self.publish(now);
            }
            Letter::Unlock(account) => {
                self.misses.remove(&account);
                if self.locks.remove(&account).is_some() {
                    self.publish(now);
                }
            }
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// What is in force.
    pub fn listed(&mut self, now: Instant) -> Listed {
        self.bans.expire(now);
        self.locks.expire(now);
        let mut bans: Vec<_> = self.bans.iter().map(|(source, ban)| (*source, *ban)).collect();
        let mut locks: Vec<_> =
            self.locks.iter().map(|(account, lock)| (account.clone(), lock.clone())).collect();
        bans.sort_unstable_by_key(|(source, _)| *source);
        locks.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Listed { bans, locks }
    }

    /// Says what it has counted; what all workers know is said by its keeper alone.
    pub fn report(&self, report: &mut Report, now: Instant) {
        let live =
            self.bans.iter().filter(|(source, ban)| ban.until > now && self.keeper(**source) == self.me);
        let locked = self
            .locks
            .iter()
            .filter(|(account, lock)| lock.until > now && account.home(self.workers) == self.me);
        report.add("bans.sources", live.count() as u64);
        report.add("bans.accounts", locked.count() as u64);
        report.add("bans.failures", self.tally.failures);
        report.add("bans.made", self.tally.bans);
        report.add("bans.locks", self.tally.locks);
        report.add("bans.dropped", self.tally.dropped);
    }

    /// The worker that counts a source's failures.
    fn keeper(&self, source: Source) -> WorkerId {
        let mut hasher = FxHasher::default();
        source.hash(&mut hasher);
        let place = hasher.finish() >> 32;
        WorkerId(u16::try_from(place % u64::from(self.workers)).expect("less than a number of 16 bits"))
    }

    fn send(&mut self, now: Instant, to: WorkerId, letter: Letter) {
        if to == self.me {
            self.letter(now, letter);
        } else {
            self.out.push_back(Output::Post(to, letter));
        }
    }

    fn announce(&mut self, now: Instant, letter: &Letter) {
        for worker in (0..self.workers).map(WorkerId) {
            self.send(now, worker, letter.clone());
        }
    }

    fn count(&mut self, now: Instant, source: Source, fault: Fault) {
        if let Some(ban) = self.bans.get(now, &source).copied() {
            return self.count_more(now, source, (fault, ban));
        }
        let before = self.counts.get(now, &source).copied();
        let mut count = before.unwrap_or(Count::new(now, 0));
        if count.since + self.rules.window <= now {
            count = Count::new(now, count.bans);
        }
        let counted = count.one_more(fault);
        let mut end = now + self.rules.window;
        if count.bans > 0 {
            end = end.max(now + self.rules.longest);
        }
        if counted >= self.most(fault) {
            let length = self.rules.time.saturating_mul(1 << count.bans.min(20)).min(self.rules.longest);
            let reason = match fault {
                Fault::Failure => Reason::Failures(counted, count.bans),
                Fault::Flood => Reason::Flood(counted, count.bans),
            };
            let ban = Ban { until: now + length, reason };
            count = Count::new(now, count.bans + 1);
            end = ban.until + self.rules.longest;
            self.tally.bans += 1;
            self.out.push_back(Output::Banned(source, ban));
            self.announce(now, &Letter::Ban(source, ban));
        }
        self.counts.put(now, source, count, end);
    }

    /// How much of it bans. An office that is too many at once is not to be shut out for a few of them.
    fn most(&self, fault: Fault) -> u32 {
        match fault {
            Fault::Failure => self.rules.attempts,
            Fault::Flood => self.rules.attempts.max(self.rules.burst),
        }
    }

    /// A banned source has failed: sent before the ban was known everywhere, or some worker never heard of it.
    fn count_more(&mut self, now: Instant, source: Source, (fault, ban): (Fault, Ban)) {
        let mut count = self.counts.remove(&source).unwrap_or(Count::new(now, 0));
        if count.one_more(fault).is_multiple_of(self.rules.attempts.max(1)) {
            self.announce(now, &Letter::Ban(source, ban));
        }
        self.counts.put(now, source, Count { since: now, ..count }, ban.until + self.rules.longest);
    }

    fn ban(&mut self, now: Instant, source: Source, ban: Ban) {
        if !self.rules.trusts(source.first()) {
            self.bans.put(now, source, ban, ban.until);
        }
    }

    fn count_miss(&mut self, now: Instant, account: Address) {
        if self.locks.get(now, &account).is_some() {
            return;
        }
        let (mut since, mut misses) = self.misses.get(now, &account).copied().unwrap_or((now, 0));
        if since + self.rules.window <= now {
            (since, misses) = (now, 0);
        }
        misses += 1;
        if misses < self.rules.account {
            return self.misses.put(now, account, (since, misses), since + self.rules.window);
        }
        self.misses.remove(&account);
        let (name, seconds) = (self.names.hash_one(&account), self.seconds(now));
        let known = self.known.get(now, name).map_or(&[][..], Places::all).iter();
        let known = known.filter(|known| known.until() > seconds).map(|known| known.source).collect();
        let lock = Lock { until: now + self.rules.time, known };
        self.tally.locks += 1;
        self.out.push_back(Output::Locked(account.clone(), lock.clone()));
        self.announce(now, &Letter::Lock(account, lock));
    }

    fn remember(&mut self, now: Instant, account: &Address, source: Source) {
        let (name, seconds) = (self.names.hash_one(account), self.seconds(now));
        let until = self.seconds(now + LATELY);
        let fresh = until.saturating_sub(u32::try_from(AGAIN.as_secs() / 2).expect("half an hour"));
        let known = self.known.get(now, name).map_or(&[][..], Places::all);
        if known.iter().any(|known| known.source == source && known.until() > fresh) {
            return;
        }
        let is_other = |known: &&Known| known.source != source && known.until() > seconds;
        let mut all: Vec<Known> = known.iter().filter(is_other).copied().collect();
        if all.len() >= KNOWN {
            all.remove(0);
        }
        let known = Known { source, until: until.to_le_bytes() };
        all.push(known);
        let places = if all.len() == 1 { Places::One(known) } else { Places::Several(Box::new(all)) };
        self.known.put(now, name, places);
    }

    /// A moment as [`Known::until`] has it.
    fn seconds(&mut self, at: Instant) -> u32 {
        let began = *self.began.get_or_insert(at);
        u32::try_from(at.saturating_duration_since(began).as_secs()).unwrap_or(u32::MAX)
    }

    fn publish(&mut self, now: Instant) {
        self.locks.expire(now);
        let all = self.locks.iter().map(|(account, lock)| (account.clone(), lock.clone()));
        let locks = Arc::new(Locks::new(all));
        self.out.push_back(Output::Locks(locks));
    }
}
