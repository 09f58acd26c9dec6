//! Ties the monotonic clock to the calendar, so that a machine can name a date without reading a clock.

use std::time::{Duration, Instant};

/// One moment on both clocks. The server renews it now and then, as the calendar may be set.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// The moment on the monotonic clock.
    pub instant: Instant,
    /// The same moment as time since 1970-01-01 00:00 UTC.
    pub unix: Duration,
}

impl Epoch {
    /// Time since 1970-01-01 00:00 UTC at `now`.
    pub fn unix(&self, now: Instant) -> Duration {
        match now.checked_duration_since(self.instant) {
            Some(later) => self.unix + later,
            None => self.unix.saturating_sub(self.instant - now),
        }
    }

    /// The monotonic moment of a calendar time; the past as far as the clock can say it.
    pub fn instant(&self, unix: Duration) -> Instant {
        match unix.checked_sub(self.unix) {
            Some(later) => self.instant + later,
            None => self.instant.checked_sub(self.unix - unix).unwrap_or(self.instant),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_before_and_after() {
        let start = Instant::now() + Duration::from_secs(1000);
        let epoch = Epoch { instant: start, unix: Duration::from_secs(5000) };
        for offset in [0, 1, 700] {
            let later = start + Duration::from_secs(offset);
            assert_eq!(epoch.unix(later), Duration::from_secs(5000 + offset));
            assert_eq!(epoch.instant(Duration::from_secs(5000 + offset)), later);
            let earlier = start - Duration::from_secs(offset);
            assert_eq!(epoch.unix(earlier), Duration::from_secs(5000 - offset));
            assert_eq!(epoch.instant(Duration::from_secs(5000 - offset)), earlier);
        }
    }
}
