//! Timers by key, ordered by when they are due. One per machine; its keys are an enum that names every timer once.

use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Instant;

/// An ordered index of timers: at most one per key.
#[derive(Debug)]
pub struct Timers<K> {
    due: BTreeSet<(Instant, K)>,
    by_key: FxHashMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), by_key: FxHashMap::default() }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Starts or moves the timer of `key`.
    pub fn set(&mut self, key: K, at: Instant) {
        if let Some(old) = self.by_key.insert(key, at) {
            self.due.remove(&(old, key));
        }
        self.due.insert((at, key));
    }

    /// Stops the timer of `key`; says whether it ran.
    pub fn cancel(&mut self, key: K) -> bool {
        match self.by_key.remove(&key) {
            Some(old) => {
                self.shrink();
                self.due.remove(&(old, key))
            }
            None => false,
        }
    }

    /// Gives the room of a crowd of timers back that have gone: each time half, so that it is seldom done.
    fn shrink(&mut self) {
        let room = self.by_key.capacity();
        if room > 1024 && self.by_key.len() < room / 8 {
            self.by_key.shrink_to(self.by_key.len() * 2);
        }
    }

    /// When the timer of `key` is due.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// The earliest moment at which a timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out one timer that is due at `now`, the earliest first. Call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.by_key.remove(&key);
        self.shrink();
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
    }
}
