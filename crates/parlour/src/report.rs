//! What one worker says of itself when the administrator asks.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts by service and name, for instance `turn.allocations`. Those of several workers add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report(pub BTreeMap<String, u64>);

impl Report {
    /// Adds `count` under `name`.
    pub fn add(&mut self, name: &str, count: u64) {
        *self.0.entry(name.to_owned()).or_default() += count;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, count)| self.add(name, *count));
    }
}
