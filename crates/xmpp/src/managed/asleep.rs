//! Sessions that nobody carries outlive the server, where it ends in order: all that has to be known of one.

use super::{Managed, Session, Timer};
use crate::jid::Jid;
use crate::router::{Given, Receipt, Share};
use crate::stanza::Stanza;
use crate::stream::{Sent, Unacknowledged};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};
use wire::{Address, ConnectionId};

/// A session without its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asleep {
    /// Whose it is.
    pub account: Address,
    /// Its full JID.
    pub jid: Jid,
    /// By which name it may be resumed.
    pub name: Box<str>,
    /// How many stanzas its client was sent, modulo 2^32.
    pub sent: u32,
    /// How many stanzas of it were taken.
    pub handled: u32,
    /// For how long it still waits.
    pub wait: Duration,
    /// What it was given before it acknowledged anything, and may not have had: whoever comes back has.
    pub before: Vec<Unheard>,
    /// What its client has not acknowledged.
    pub queue: Vec<Unheard>,
}

/// A stanza that its client has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// It.
    pub stanza: Stanza,
    /// When it was sent first.
    pub since: Instant,
    /// Which kept message it is.
    pub up_to: Option<i64>,
    /// Who else was given it.
    pub shared: Option<Shared>,
}

/// A message that several sessions of an account were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The same for all who were given it.
    pub number: u64,
    /// Whether one of them has taken it.
    pub taken: bool,
}

/// Names the shares of those that are asleep.
struct Book {
    /// The sessions that hold each, and its number.
    shares: FxHashMap<usize, (usize, u64)>,
}

impl Book {
    fn of<'a>(sessions: impl Iterator<Item = &'a Session>, first: u64) -> Self {
        let mut shares: FxHashMap<usize, (usize, u64)> = FxHashMap::default();
        let held = sessions.flat_map(|managed| managed.before.iter().chain(managed.queue.iter()));
        for share in held.filter_map(|sent| sent.given.share.as_ref()) {
            let number = first.wrapping_add(shares.len() as u64);
            shares.entry(share.place()).or_insert((0, number)).0 += 1;
        }
        Self { shares }
    }

    fn name(&self, share: &Share) -> Option<Shared> {
        let (holders, number) = *self.shares.get(&share.place())?;
        Some(Shared { number, taken: share.holders() > holders })
    }
}

impl Managed {
    /// Every session that nobody carries and that may be resumed. `first`: numbers from there on are new to whoever keeps them.
    pub fn asleep(&self, now: Instant, first: u64) -> Vec<(ConnectionId, Asleep)> {
        let book = Book::of(self.sessions.values(), first);
        let away = self.sessions.iter().filter(|(_, managed)| managed.carrier.is_none());
        away.filter_map(|(session, managed)| {
            Some((*session, self.one_asleep(*session, managed, now, &book)?))
        })
        .collect()
    }

    fn one_asleep(&self, id: ConnectionId, managed: &Session, now: Instant, book: &Book) -> Option<Asleep> {
        let due = self.timers.get(Timer::Expire(id));
        let unheard = |Sent { given, since }: &Sent| Unheard {
            stanza: given.stanza.clone(),
            since: *since,
            up_to: given.receipt.map(|receipt| receipt.up_to()),
            shared: given.share.as_ref().and_then(|share| book.name(share)),
        };
        Some(Asleep {
            account: managed.account.clone(),
            jid: managed.jid.clone(),
            name: managed.name.clone()?,
            sent: managed.queue.sent(),
            handled: managed.handled,
            wait: due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now)),
            before: managed.before.iter().map(unheard).collect(),
            queue: managed.queue.iter().map(unheard).collect(),
        })
    }

    /// Sessions are back, each to wait for its client, if only for a moment.
    pub(super) fn restore(&mut self, all: Vec<(ConnectionId, Asleep)>) {
        let mut shares = shares(&all);
        for (session, asleep) in all {
            let mut sent = |unheard: Unheard| {
                let share = unheard.shared.and_then(|shared| {
                    shares.get_mut(&(asleep.account.clone(), shared.number)).and_then(|share| share.clone())
                });
                let receipt = unheard.up_to.map(|up_to| Receipt::of(session, up_to));
                Sent { given: Given { stanza: unheard.stanza, receipt, share }, since: unheard.since }
            };
            let before = asleep.before.into_iter().map(&mut sent).collect();
            let queue: Vec<Sent> = asleep.queue.into_iter().map(sent).collect();
            self.names.insert(asleep.name.clone(), session);
            self.timers.set(Timer::Expire(session), self.now + asleep.wait);
            let managed = Session {
                account: asleep.account,
                jid: asleep.jid,
                agent: None,
                name: Some(asleep.name),
                queue: Unacknowledged::restore(asleep.sent, queue),
                before,
                carrier: None,
                next: None,
                handled: asleep.handled,
                paused: false,
                asked: false,
                stored: true,
            };
            self.sessions.insert(session, managed);
        }
    }
}

/// What sessions hold together, by account and number.
fn shares(all: &[(ConnectionId, Asleep)]) -> FxHashMap<(Address, u64), Option<Share>> {
    let mut holders: FxHashMap<(Address, u64), usize> = FxHashMap::default();
    for (_, asleep) in all {
        for shared in asleep.before.iter().chain(&asleep.queue).filter_map(|unheard| unheard.shared) {
            let key = (asleep.account.clone(), shared.number);
            *holders.entry(key).or_insert(usize::from(shared.taken)) += 1;
        }
    }
    holders.into_iter().map(|(key, holders)| (key, Share::among(holders))).collect()
}
