//! Timers by key, in the order in which they are due. One per machine; its keys are an enum that names every timer once.

use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;
use std::time::Instant;

/// An ordered index of timers: at most one per key.
///
/// Most timers of these protocols are stopped or moved long before they are due, so that costs one look into a table: what
/// the order still holds of them is passed over when it comes up, and swept out before it outnumbers the timers that run.
#[derive(Debug)]
pub struct Timers<K> {
    /// When each timer that runs is due.
    by_key: FxHashMap<K, Instant>,
    /// All of those, the earliest first, among others that were stopped or moved. The first one always runs.
    due: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Self { by_key: FxHashMap::default(), due: BinaryHeap::new() }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Starts or moves the timer of `key`.
    pub fn set(&mut self, key: K, at: Instant) {
        if self.by_key.insert(key, at) != Some(at) {
            self.due.push(Reverse((at, key)));
            self.tidy();
        }
    }

    /// Stops the timer of `key`; says whether it ran.
    pub fn cancel(&mut self, key: K) -> bool {
        let ran = self.by_key.remove(&key).is_some();
        if ran {
            self.shrink();
            self.tidy();
        }
        ran
    }

    /// Gives the room of a crowd of timers back that have gone: each time half, so that it is seldom done.
    fn shrink(&mut self) {
        let room = self.by_key.capacity();
        if room > 1024 && self.by_key.len() < room / 8 {
            self.by_key.shrink_to(self.by_key.len() * 2);
        }
        if self.due.capacity() > 1024 && self.due.len() < self.due.capacity() / 8 {
            self.due.shrink_to(self.due.len() * 2);
        }
    }

    /// Takes away what no longer runs: from the front, and everywhere once it is the larger part.
    fn tidy(&mut self) {
        let Self { by_key, due } = self;
        let runs = |Reverse((at, key)): &Reverse<(Instant, K)>| by_key.get(key) == Some(at);
        if due.len() > 2 * by_key.len() + 64 {
            due.retain(runs);
        }
        while due.peek().is_some_and(|first| !runs(first)) {
            due.pop();
        }
    }

    /// When the timer of `key` is due.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// The earliest moment at which a timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out one timer that is due at `now`, the earliest first. Call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let &Reverse((at, key)) = self.due.peek()?;
        if at > now {
            return None;
        }
        self.due.pop();
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
        assert!(timers.due.is_empty() && timers.due.capacity() < 4096, "{}", timers.due.capacity());
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
        assert!(timers.due.len() < 128, "{}", timers.due.len());
        assert!(timers.cancel('c') && timers.next() == timers.get('a').min(timers.get('b')));
        // Back to a moment at which it was before: once.
        timers.set('b', at(9));
        timers.set('b', at(5));
        let fired: Vec<char> = std::iter::from_fn(|| timers.pop(at(1000))).collect();
        assert_eq!(fired, ['a', 'b']);
        assert!(timers.is_empty() && timers.next().is_none());
    }
}
