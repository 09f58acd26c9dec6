//! What would be said for each call is said once in a while, with how often it has happened.

use std::time::{Duration, Instant};

/// How often one thing is said, at most.
const SAID: Duration = Duration::from_secs(60);

/// One such thing.
#[derive(Debug, Default)]
pub struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// It has happened so many times more: how often since it was said last, if it is to be said now.
    pub fn happened(&mut self, now: Instant, times: u64) -> Option<u64> {
        self.unsaid += times;
        let is_due = self.said.is_none_or(|said| now >= said + SAID);
        if self.unsaid == 0 || !is_due {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_at_once_and_then_once_a_minute_with_a_count() {
        let (mut seldom, start) = (Seldom::default(), testkit::start());
        let mut at = |seconds, times| seldom.happened(start + Duration::from_secs(seconds), times);
        assert_eq!(at(0, 0), None);
        assert_eq!(at(1, 2), Some(2));
        for second in 2..61 {
            assert_eq!(at(second, 1), None);
        }
        assert_eq!(at(61, 0), Some(59), "also without a further one");
        assert_eq!(at(200, 0), None);
        assert_eq!(at(201, 1), Some(1));
    }
}
