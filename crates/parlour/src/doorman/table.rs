//! Rows that end by themselves, never more than so many: where there is no room, the one that would end first goes.

use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Instant;

/// A bounded table of rows with an end.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    rows: FxHashMap<K, (Instant, V)>,
    ends: BTreeSet<(Instant, K)>,
    most: usize,
}

impl<K: Clone + Ord + Hash, V> Table<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { rows: FxHashMap::default(), ends: BTreeSet::new(), most }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of `key`, unless it has ended.
    pub(super) fn get(&self, now: Instant, key: &K) -> Option<&V> {
        self.rows.get(key).filter(|(end, _)| *end > now).map(|(_, value)| value)
    }

    /// Takes out the row of `key`; it may have ended.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (end, value) = self.rows.remove(key)?;
        self.ends.remove(&(end, key.clone()));
        Some(value)
    }

    /// Puts a row in place of the one that was there.
    pub(super) fn put(&mut self, now: Instant, key: K, value: V, end: Instant) {
        self.remove(&key);
        self.expire(now);
        if self.rows.len() >= self.most
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.rows.remove(&first);
        }
        self.ends.insert((end, key.clone()));
        self.rows.insert(key, (end, value));
    }

    /// Takes out what has ended.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.ends.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, key)) = self.ends.pop_first() {
                self.rows.remove(&key);
            }
        }
    }

    /// Takes out what is not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        let gone: Vec<K> =
            self.iter().filter(|(key, value)| !keep(key, value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Every row, also those that have ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }
}
