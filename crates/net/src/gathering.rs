//! Rests after a round, so that packets come together and one wake-up serves many. Only while so many come that this
//! pays, and never longer than the administrator allows: an idle worker answers at once, and one that is busy all the time
//! gathers without resting.

use std::time::{Duration, Instant};

/// How often it is decided anew.
const WINDOW: Duration = Duration::from_millis(10);
/// A rest pays where this many datagrams can be expected to come in it.
const ENOUGH: u128 = 4;

/// One worker's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering {
    /// The longest time from the beginning of a round to the next; zero: never.
    bound: Duration,
    since: Instant,
    /// Datagrams received until then.
    seen: u64,
    pays: bool,
}

impl Gathering {
    pub(crate) fn new(bound: Duration, now: Instant) -> Self {
        Self { bound, since: now, seen: 0, pays: false }
    }

    /// Until when to rest after the round that began at `now`, with so many datagrams received since the worker began.
    pub(crate) fn rest(&mut self, now: Instant, received: u64) -> Option<Instant> {
        if self.bound.is_zero() {
            return None;
        }
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let came = u128::from(received.wrapping_sub(self.seen));
            self.pays = came * self.bound.as_nanos() >= ENOUGH * elapsed.as_nanos();
            (self.since, self.seen) = (now, received);
        }
        self.pays.then(|| now + self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there is a rest after a second at this many datagrams for each second, one in each round.
    fn rests(bound: u64, rate: u64) -> bool {
        let start = Instant::now();
        let mut gathering = Gathering::new(Duration::from_micros(bound), start);
        let at = |n: u64| start + Duration::from_secs(1) * n as u32 / rate as u32;
        (1..=rate).map(|n| gathering.rest(at(n), n)).last().flatten().is_some()
    }

    #[test]
    fn only_where_it_pays() {
        assert!(rests(500, 20_000));
        assert!(!rests(500, 2_000), "one packet in each rest would only be late");
        assert!(!rests(0, 20_000), "never allowed");
    }

    #[test]
    fn ends_with_the_load_and_never_passes_the_bound() {
        let start = Instant::now();
        let bound = Duration::from_micros(500);
        let mut gathering = Gathering::new(bound, start);
        let busy = start + WINDOW;
        assert_eq!(gathering.rest(busy, 1000), Some(busy + bound));
        assert_eq!(gathering.rest(busy + Duration::from_secs(1), 1001), None);
    }
}
