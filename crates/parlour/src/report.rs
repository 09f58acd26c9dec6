//! What one worker says of itself when the administrator asks.

use crate::clock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

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

/// Adds what the system says of this process, which has been running for so long.
pub fn process(report: &mut Report, running: Duration) {
    let now = clock::now();
    report.add("process.started", now.saturating_sub(running).as_secs());
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    if let Some(kib) = read("status").lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(number) {
        report.add("process.memory", kib * 1024);
    }
    // utime and stime, the 14th and 15th word, in ticks of 10 ms; the second word may hold spaces (proc(5)).
    let stat = read("stat");
    let words: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    if let (Some(user), Some(system)) =
        (words.get(11).copied().and_then(number), words.get(12).copied().and_then(number))
    {
        report.add("process.cpu", (user + system) / 100);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        report.add("process.files", files.count() as u64);
    }
}

/// The first number of a text.
fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}
