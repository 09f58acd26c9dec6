//! The book in which the TURN services of all workers count: how many relays each account, each domain and all together
//! have. Its lock is taken when an allocation begins; the counts themselves are without one.

use rustc_hash::FxHashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use turn::quota::{Ledger, Place, Quota, Seat, Taken};
use turn::{Direction, Relaying, pace};
use wire::Address;

/// The book. Pages that nobody holds any more are torn out as it grows.
#[derive(Debug)]
pub struct Book {
    pages: Mutex<Pages>,
    total: Arc<Count>,
    relays: Ports,
    since: Instant,
}

impl Default for Book {
    fn default() -> Self {
        let (pages, total, relays) = (Mutex::default(), Arc::default(), Ports::default());
        Self { pages, total, relays, since: Instant::now() }
    }
}

#[derive(Debug, Default)]
struct Pages {
    accounts: Sparse<Address, Usage>,
    domains: Sparse<Box<str>, Count>,
}

/// What is kept for as long as somebody else holds it.
#[derive(Debug)]
struct Sparse<K, V> {
    entries: FxHashMap<K, Weak<V>>,
    /// At how many entries those that are gone are cleared away.
    full: usize,
}

/// Below this many entries nothing is cleared away.
const FEW: usize = 64;

impl<K, V> Default for Sparse<K, V> {
    fn default() -> Self {
        Self { entries: FxHashMap::default(), full: FEW }
    }
}

impl<K: Eq + Hash, V> Sparse<K, V> {
    fn get(&mut self, key: K, new: impl FnOnce() -> V) -> Arc<V> {
        if let Some(held) = self.entries.get(&key).and_then(Weak::upgrade) {
            return held;
        }
        if self.entries.len() >= self.full {
            self.entries.retain(|_, held| held.strong_count() > 0);
            self.full = FEW.max(2 * self.entries.len());
        }
        let held = Arc::new(new());
        self.entries.insert(key, Arc::downgrade(&held));
        held
    }
}

impl Book {
    /// How many relays there are, and ports that are kept.
    pub fn total(&self) -> u32 {
        self.total.get()
    }
}

impl Book {
    /// The page of an account: the same one for as long as anybody holds it.
    fn usage(&self, user: &Address) -> Arc<Usage> {
        // A panic elsewhere leaves the maps whole: nothing in here panics half way.
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Pages { accounts, domains } = &mut *pages;
        accounts.get(user.clone(), || Usage {
            user: Count::default(),
            domain: domains.get(user.domain().into(), Count::default),
            total: Arc::clone(&self.total),
            sent: Meter::default(),
            received: Meter::default(),
            since: self.since,
        })
    }
}

impl Ledger for Book {
    fn take(&self, user: &Address, quota: &Quota) -> Result<Seat, Taken> {
        Ok(Box::new(Held::take(self.usage(user), quota)?))
    }

    fn note(&self, relaying: Relaying, port: u16, is_there: bool) {
        let count = self.relays.at(relaying, port);
        if is_there {
            count.fetch_add(1, Ordering::AcqRel)
        } else {
            count.fetch_sub(1, Ordering::AcqRel)
        };
    }

    fn is_relay(&self, relaying: Relaying, port: u16) -> bool {
        self.relays.at(relaying, port).load(Ordering::Acquire) > 0
    }
}

/// How many relays there are at each port, whatever their addresses, over all workers.
#[derive(Debug)]
struct Ports {
    datagrams: Box<[AtomicU16]>,
    streams: Box<[AtomicU16]>,
}

impl Default for Ports {
    fn default() -> Self {
        let [datagrams, streams] = [(); 2].map(|()| (0..=u16::MAX).map(|_| AtomicU16::default()).collect());
        Self { datagrams, streams }
    }
}

impl Ports {
    fn at(&self, relaying: Relaying, port: u16) -> &AtomicU16 {
        let counts = match relaying {
            Relaying::Udp => &self.datagrams,
            Relaying::Tcp => &self.streams,
        };
        &counts[usize::from(port)]
    }
}

/// A number that several workers count.
#[derive(Debug, Default)]
struct Count(AtomicU32);

impl Count {
    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn rise(&self, limit: u32) -> bool {
        let higher = |count| (count < limit).then_some(count + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, higher).is_ok()
    }

    fn fall(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What an account uses, over all workers.
#[derive(Debug)]
struct Usage {
    user: Count,
    domain: Arc<Count>,
    total: Arc<Count>,
    sent: Meter,
    received: Meter,
    /// What the meters count from.
    since: Instant,
}

/// A seat: what was counted up for it is counted down when it is dropped.
#[derive(Debug)]
struct Held(Arc<Usage>);

impl Held {
    fn take(usage: Arc<Usage>, quota: &Quota) -> Result<Self, Taken> {
        if !usage.user.rise(quota.user) {
            return Err(Taken::Theirs);
        }
        if !usage.domain.rise(quota.domain) {
            usage.user.fall();
            return Err(Taken::Theirs);
        }
        if !usage.total.rise(quota.total) {
            usage.user.fall();
            usage.domain.fall();
            return Err(Taken::All);
        }
        Ok(Self(usage))
    }
}

impl Place for Held {
    fn spend(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Option<Duration> {
        self.0.meter(direction).spend(now.saturating_duration_since(self.0.since), octets, rate)
    }

    fn charge(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Duration {
        self.0.meter(direction).charge(now.saturating_duration_since(self.0.since), octets, rate)
    }
}

impl Usage {
    fn meter(&self, direction: Direction) -> &Meter {
        match direction {
            Direction::Sent => &self.sent,
            Direction::Received => &self.received,
        }
    }
}

/// Up to when a rate is spent, in nanoseconds: shared by the workers, and changed without a lock.
#[derive(Debug, Default)]
struct Meter(AtomicU64);

impl Meter {
    fn spend(&self, now: Duration, octets: usize, rate: u64) -> Option<Duration> {
        self.change(now, |ahead| pace::spend(ahead, octets, rate))
    }

    fn charge(&self, now: Duration, octets: usize, rate: u64) -> Duration {
        self.change(now, |ahead| Some(pace::charge(ahead, octets, rate))).unwrap_or(pace::DELAY)
    }

    /// From how far it is spent beyond now to how long to wait, and how far it is spent then.
    fn change(
        &self,
        now: Duration,
        how: impl Fn(Duration) -> Option<(Duration, Duration)>,
    ) -> Option<Duration> {
        let mut wait = Duration::ZERO;
        let later = |spent| {
            let (this, ahead) = how(Duration::from_nanos(spent).saturating_sub(now))?;
            wait = this;
            u64::try_from((now + ahead).as_nanos()).ok()
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, later).ok()?;
        Some(wait)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Usage { user, domain, total, .. } = &*self.0;
        [user, domain, total].into_iter().for_each(Count::fall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: usize) -> Address {
        format!("u{number}@d{}.example", number % 10).parse().unwrap()
    }

    #[test]
    fn one_page_for_each_account_as_long_as_somebody_holds_it() {
        let book = Book::default();
        let [first, again, other] = [1, 1, 2].map(|number| book.usage(&user(number)));
        assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
    }

    #[test]
    fn accounts_that_came_and_went_leave_nothing() {
        let book = Book::default();
        let held: Vec<_> = (0..100).map(|number| book.usage(&user(number))).collect();
        for number in 100..10_000 {
            book.usage(&user(number));
        }
        assert!((100..1000).contains(&book.pages.lock().unwrap().accounts.entries.len()));
        assert_eq!(book.pages.lock().unwrap().domains.entries.len(), 10);
        assert!(Arc::ptr_eq(&held[7], &book.usage(&user(7))));
    }

    fn page(domain: &Arc<Count>, total: &Arc<Count>) -> Arc<Usage> {
        let (domain, total) = (Arc::clone(domain), Arc::clone(total));
        let (sent, received) = (Meter::default(), Meter::default());
        Arc::new(Usage { user: Count::default(), domain, total, sent, received, since: Instant::now() })
    }

    const QUOTA: Quota = Quota { user: 2, domain: 3, total: 4 };

    fn take(usage: &Arc<Usage>) -> Result<Held, Taken> {
        Held::take(Arc::clone(usage), &QUOTA)
    }

    #[test]
    fn each_bound_holds_and_what_is_given_back_may_be_taken_again() {
        let [falcot, example, total] = [(); 3].map(|()| Arc::new(Count::default()));
        let usage = |domain: &Arc<Count>| page(domain, &total);
        let [roland, joe, zoe] = [usage(&falcot), usage(&falcot), usage(&example)];
        let seats = [take(&roland).unwrap(), take(&roland).unwrap()];
        assert_eq!(take(&roland).unwrap_err(), Taken::Theirs);
        let of_joe = take(&joe).unwrap();
        assert_eq!(take(&joe).unwrap_err(), Taken::Theirs, "the domain's");
        let of_zoe = take(&zoe).unwrap();
        assert_eq!(take(&zoe).unwrap_err(), Taken::All);
        assert_eq!(
            (falcot.get(), example.get(), total.get(), roland.user.get(), zoe.user.get()),
            (3, 1, 4, 2, 1)
        );
        drop((seats, of_joe, of_zoe));
        assert_eq!(
            (falcot.get(), example.get(), total.get(), roland.user.get(), zoe.user.get()),
            (0, 0, 0, 0, 0)
        );
    }

    #[test]
    fn a_port_is_a_relay_s_while_there_is_one_at_any_address() {
        let book = Book::default();
        let at = |port| (book.is_relay(Relaying::Udp, port), book.is_relay(Relaying::Tcp, port));
        assert_eq!(at(50_000), (false, false));
        book.note(Relaying::Udp, 50_000, true);
        book.note(Relaying::Udp, 50_000, true);
        book.note(Relaying::Udp, 50_000, false);
        assert_eq!((at(50_000), at(50_001), at(u16::MAX)), ((true, false), (false, false), (false, false)));
        book.note(Relaying::Udp, 50_000, false);
        assert_eq!(at(50_000), (false, false));
    }

    #[test]
    fn many_threads_never_take_more_than_there_are() {
        let total = Arc::new(Count::default());
        let usages: Vec<_> = (0..4).map(|_| page(&Arc::default(), &total)).collect();
        let quota = Quota { user: 30, domain: 30, total: 100 };
        let taken: Vec<Held> = std::thread::scope(|scope| {
            let take = |usage: &Arc<Usage>| {
                let usage = Arc::clone(usage);
                scope.spawn(move || {
                    let all = (0..1000).filter_map(|_| Held::take(Arc::clone(&usage), &quota).ok());
                    all.collect::<Vec<_>>()
                })
            };
            let threads: Vec<_> = usages.iter().chain(&usages).map(take).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((taken.len(), total.get()), (100, 100));
        assert!(usages.iter().all(|usage| usage.user.get() <= 30));
        drop(taken);
        assert_eq!(total.get(), 0);
    }

    #[test]
    fn a_rate_that_many_threads_spend_is_spent_once() {
        let meter = Meter::default();
        let admitted: usize = std::thread::scope(|scope| {
            let spend =
                || (0..1000).filter(|_| meter.spend(Duration::from_secs(9), 1000, 100_000).is_some()).count();
            let threads = [(); 4].map(|()| scope.spawn(spend));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // A hundred in a second: the burst, what may wait, and one on the edge of each.
        assert_eq!(admitted, 51);
    }
}
