//! Timers by key, in the order in which they are due. One per machine; its keys are an enum that names every timer once.

use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::Hash;
use std::time::Instant;

/// Nanoseconds of a slot of timers that are soon due, as a power of two: 67 milliseconds.
const SOON: u32 = 26;
/// The same of those due later: 69 seconds. A slot holds a whole number of the smaller ones.
const LATER: u32 = 36;

/// A timer as the order holds it. It runs if the table by key says the same.
type Due<K> = (Instant, K);

/// An ordered index of timers: at most one per key.
///
/// Most timers of these protocols are stopped or moved long before they are due. So starting one appends it to a slot of
/// those due at about that time, stopping one is a look into a table, and only what is left of a slot when its time
/// comes is put in order. What was stopped is swept out of the slots before it outnumbers the timers that run.
#[derive(Debug)]
pub struct Timers<K> {
    /// When each timer that runs is due.
    by_key: FxHashMap<K, Instant>,
    /// All that are due before `ordered`, the earliest first. The first one runs, and where any runs there is one.
    next: BinaryHeap<Reverse<Due<K>>>,
    soon: BTreeMap<u64, Vec<Due<K>>>,
    later: BTreeMap<u64, Vec<Due<K>>>,
    /// Up to which moment, in nanoseconds since `start`, timers stand in `next`.
    ordered: u64,
    start: Option<Instant>,
    /// How many stand anywhere, running or not.
    held: usize,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Self {
            by_key: FxHashMap::default(),
            next: BinaryHeap::new(),
            soon: BTreeMap::new(),
            later: BTreeMap::new(),
            ordered: 0,
            start: None,
            held: 0,
        }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Starts or moves the timer of `key`.
    pub fn set(&mut self, key: K, at: Instant) {
        let before = self.by_key.insert(key, at);
        if before == Some(at) {
            return;
        }
        self.held += 1;
        self.place((at, key));
        // What is first still runs, unless it is this one that was moved.
        if before.is_some() || self.next.is_empty() || self.is_crowded() {
            self.tidy();
        }
    }

    /// Stops the timer of `key`; says whether it ran.
    pub fn cancel(&mut self, key: K) -> bool {
        let Some(at) = self.by_key.remove(&key) else { return false };
        self.shrink();
        if self.next.peek() == Some(&Reverse((at, key))) || self.is_crowded() {
            self.tidy();
        }
        true
    }

    /// Puts a timer where those due at that time are.
    fn place(&mut self, due: Due<K>) {
        let start = *self.start.get_or_insert(due.0);
        let since = due.0.saturating_duration_since(start).as_nanos();
        let nanos = u64::try_from(since).unwrap_or(u64::MAX);
        if nanos < self.ordered {
            self.next.push(Reverse(due));
        } else if nanos - self.ordered < 1 << LATER {
            self.soon.entry(nanos >> SOON).or_default().push(due);
        } else {
            self.later.entry(nanos >> LATER).or_default().push(due);
        }
    }

    /// Gives the room of a crowd of timers back that have gone: each time half, so that it is seldom done.
    fn shrink(&mut self) {
        let room = self.by_key.capacity();
        if room > 1024 && self.by_key.len() < room / 8 {
            self.by_key.shrink_to(self.by_key.len() * 2);
        }
        if self.next.capacity() > 1024 && self.next.len() < self.next.capacity() / 8 {
            self.next.shrink_to(self.next.len() * 2);
        }
    }

    /// Whether what no longer runs is the larger part.
    fn is_crowded(&self) -> bool {
        self.held > 2 * self.by_key.len() + 64
    }

    /// Takes away what no longer runs: from the front, and everywhere once it is the larger part. Fills the front.
    fn tidy(&mut self) {
        if self.is_crowded() {
            self.sweep();
        }
        loop {
            while self.next.peek().is_some_and(|Reverse(due)| !runs(&self.by_key, due)) {
                self.next.pop();
                self.held -= 1;
            }
            if !self.next.is_empty() || !self.advance() {
                return;
            }
        }
    }

    fn sweep(&mut self) {
        let Self { by_key, next, soon, later, .. } = self;
        next.retain(|Reverse(due)| runs(by_key, due));
        for slots in [&mut *soon, later] {
            slots.retain(|_, slot| {
                slot.retain(|due| runs(by_key, due));
                slot.shrink_to(slot.len() * 2);
                !slot.is_empty()
            });
        }
        let slots = self.soon.values().chain(self.later.values());
        self.held = self.next.len() + slots.map(Vec::len).sum::<usize>();
    }

    /// Takes the timers of the next slot to where they stand in order; `false` where there is none.
    fn advance(&mut self) -> bool {
        let soon = self.soon.keys().next().map(|slot| slot << SOON);
        let later = self.later.keys().next().map(|slot| slot << LATER);
        match (soon, later) {
            (None, None) => return false,
            (soon, Some(later)) if soon.is_none_or(|soon| later <= soon) => {
                self.ordered = self.ordered.max(later);
                for due in self.later.pop_first().map(|(_, slot)| slot).unwrap_or_default() {
                    self.again(due);
                }
            }
            (soon, _) => {
                self.ordered = soon.map_or(self.ordered, |soon| soon + (1 << SOON));
                for due in self.soon.pop_first().map(|(_, slot)| slot).unwrap_or_default() {
                    self.again(due);
                }
            }
        }
        true
    }

    /// Places a timer anew, unless it no longer runs.
    fn again(&mut self, due: Due<K>) {
        if runs(&self.by_key, &due) {
            self.place(due);
        } else {
            self.held -= 1;
        }
    }

    /// When the timer of `key` is due.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// The earliest moment at which a timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.next.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out one timer that is due at `now`, the earliest first. Call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let &Reverse((at, key)) = self.next.peek()?;
        if at > now {
            return None;
        }
        self.next.pop();
        self.held -= 1;
        self.by_key.remove(&key);
        self.shrink();
        self.tidy();
        Some(key)
    }

    /// How many timers run.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no timer runs.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

/// Whether a timer runs, and is due then.
fn runs<K: Eq + Hash>(by_key: &FxHashMap<K, Instant>, (at, key): &Due<K>) -> bool {
    by_key.get(key) == Some(at)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fires_in_order_once_and_only_when_due() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut timers = Timers::default();
        timers.set('b', at(2));
        timers.set('a', at(1));
        timers.set('c', at(9));
        timers.set('c', at(3));
        assert!(timers.cancel('b') && !timers.cancel('b'));
        assert_eq!((timers.next(), timers.len()), (Some(at(1)), 2));
        assert_eq!(timers.pop(at(0)), None);
        assert_eq!(timers.pop(at(5)), Some('a'));
        assert_eq!(timers.pop(at(5)), Some('c'));
        assert!(timers.pop(at(100)).is_none() && timers.is_empty());
    }

    #[test]
    fn a_crowd_that_has_gone_takes_no_room() {
        let start = Instant::now();
        let mut timers = Timers::default();
        (0..20_000).for_each(|key| timers.set(key, start));
        while timers.pop(start).is_some() {}
        assert!(timers.by_key.capacity() < 2048, "{}", timers.by_key.capacity());
        assert!(timers.held == 0 && timers.next.capacity() < 4096, "{}", timers.next.capacity());
    }

    #[test]
    fn what_was_stopped_or_moved_never_fires_and_takes_no_room() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut timers = Timers::default();
        for turn in 0..10_000 {
            timers.set('a', at(turn % 7 + 1));
            timers.set('b', at(100 + turn));
            timers.set('b', at(5));
            timers.cancel('c');
            timers.set('c', at(3));
        }
        assert!(timers.held < 128, "{}", timers.held);
        assert!(timers.cancel('c') && timers.next() == timers.get('a').min(timers.get('b')));
        // Back to a moment at which it was before: once.
        timers.set('b', at(9));
        timers.set('b', at(5));
        let fired: Vec<char> = std::iter::from_fn(|| timers.pop(at(1000))).collect();
        assert_eq!(fired, ['a', 'b']);
        assert!(timers.is_empty() && timers.next().is_none());
    }

    /// Whatever is started, moved and stopped, in whatever order: what fires is what a sorted list says.
    #[test]
    fn the_same_as_a_sorted_list() {
        let start = Instant::now();
        let mut timers = Timers::default();
        let mut list: std::collections::BTreeMap<u64, Instant> = std::collections::BTreeMap::new();
        let (mut now, mut seed) = (start, 1_u64);
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..20_000 {
            let key = random(300);
            match random(8) {
                0 => assert_eq!(timers.cancel(key), list.remove(&key).is_some()),
                1 => now += Duration::from_millis(random(400)),
                2 if random(50) == 0 => now += Duration::from_secs(random(400)),
                n => {
                    let far = [50, 200, 3_500, 32_000, 600_000, 3_600_000][usize::try_from(n % 6).unwrap()];
                    let at = now + Duration::from_micros(random(far * 1000));
                    timers.set(key, at);
                    list.insert(key, at);
                }
            }
            while let Some(fired) = timers.pop(now) {
                let first = list.iter().map(|(key, at)| (*at, *key)).min();
                assert_eq!(first, Some((list[&fired], fired)));
                list.remove(&fired);
            }
            assert_eq!(timers.next(), list.values().min().copied());
            assert!(timers.next().is_none_or(|next| next > now) && timers.len() == list.len());
            assert!(timers.held <= 2 * timers.len() + 65);
        }
    }
}
