//! What was noted lately, in two generations and never more than so much: small rows by the hash of their names. What
//! nobody touches for two generations is forgotten.

use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// A bounded table of rows that are forgotten when they are old.
#[derive(Debug)]
pub(super) struct Lately<V> {
    young: FxHashMap<u64, V>,
    old: FxHashMap<u64, V>,
    /// When the young generation began.
    began: Option<Instant>,
    period: Duration,
    most: usize,
}

impl<V> Lately<V> {
    /// A row that is not touched is kept for at least `period`, unless more than `most` half are noted meanwhile, and for
    /// less than twice that.
    pub(super) fn new(most: usize, period: Duration) -> Self {
        Self { young: FxHashMap::default(), old: FxHashMap::default(), began: None, period, most }
    }

    /// The row of a name, where it is kept.
    pub(super) fn get(&mut self, now: Instant, name: u64) -> Option<&V> {
        self.turn(now);
        self.young.get(&name).or_else(|| self.old.get(&name))
    }

    /// Sets the row of a name.
    pub(super) fn put(&mut self, now: Instant, name: u64, value: V) {
        self.turn(now);
        self.old.remove(&name);
        self.young.insert(name, value);
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(*self.began.get_or_insert(now));
        if age >= self.period || self.young.len() >= self.most / 2 {
            self.old = std::mem::take(&mut self.young);
            if age >= self.period * 2 {
                self.old = FxHashMap::default();
            }
            self.began = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(60);

    #[test]
    fn forgotten_after_two_generations_unless_touched() {
        let start = Instant::now();
        let at = |half_periods: u32| start + PERIOD / 2 * half_periods;
        let mut table = Lately::new(100, PERIOD);
        table.put(start, 1, 'a');
        table.put(start, 2, 'b');
        assert_eq!([1, 2].map(|time| table.get(at(time), 1).copied()), [Some('a'); 2]);
        let kept = table.get(at(3), 1).copied().expect("kept");
        table.put(at(3), 1, kept);
        assert_eq!([1, 2].map(|name| table.get(at(4), name).copied()), [Some('a'), None]);
        assert_eq!(table.get(at(99), 1), None);
    }

    #[test]
    fn bounded() {
        let start = Instant::now();
        let mut table = Lately::new(100, PERIOD);
        for name in 0..10_000 {
            table.put(start, name, ());
        }
        assert!(table.young.len() + table.old.len() <= 100);
        assert!(table.get(start, 9_960).is_some() && table.get(start, 9_000).is_none());
    }
}
