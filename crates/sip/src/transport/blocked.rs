//! Targets that failed lately (RFC 3263 §4.3): where there is another, they are tried after it. They are never lost,
//! only last, and what is listed ages.

use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a target that failed is tried last.
pub const A_WHILE: Duration = Duration::from_secs(30);

/// The longest time that a 503 can ask for. As long nobody tries whether an address that takes datagrams takes streams by now.
pub const LONGEST: Duration = Duration::from_secs(300);

/// The most targets that are listed; the one that would be forgotten first makes room.
const LIMIT: usize = 1024;

/// A target: whether it is reached over streams, and where it is.
pub type Target = (bool, SocketAddr);

/// The list of one worker.
#[derive(Debug, Default)]
pub struct Blocked {
    until: FxHashMap<Target, Instant>,
    by_time: BTreeSet<(Instant, Target)>,
}

impl Blocked {
    /// Lists a target that failed, for as long as it asked for, within bounds.
    pub fn add(&mut self, now: Instant, target: Target, asked: Option<Duration>) {
        self.remove(target);
        if self.until.len() >= LIMIT
            && let Some((_, first)) = self.by_time.first().copied()
        {
            self.remove(first);
        }
        let until = now + asked.unwrap_or(A_WHILE).min(LONGEST);
        self.until.insert(target, until);
        self.by_time.insert((until, target));
    }

    /// A target has answered.
    pub fn remove(&mut self, target: Target) {
        if !self.until.is_empty()
            && let Some(until) = self.until.remove(&target)
        {
            self.by_time.remove(&(until, target));
        }
    }

    /// Whether a target failed lately.
    pub fn has(&self, now: Instant, target: Target) -> bool {
        !self.until.is_empty() && self.until.get(&target).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(n: usize) -> Target {
        (false, SocketAddr::from(([192, 0, 2, 1], u16::try_from(n).expect("a port"))))
    }

    #[test]
    fn what_failed_ages_and_what_answers_is_forgiven() {
        let (mut blocked, now) = (Blocked::default(), testkit::start());
        blocked.add(now, target(1), None);
        blocked.add(now, target(2), Some(Duration::from_secs(5)));
        blocked.add(now, target(3), Some(Duration::from_secs(1 << 30)));
        let listed = |blocked: &Blocked, after| {
            let at = now + Duration::from_secs(after);
            (1..=3).filter(|n| blocked.has(at, target(*n))).collect::<Vec<_>>()
        };
        assert_eq!(listed(&blocked, 0), [1, 2, 3]);
        assert_eq!(listed(&blocked, 6), [1, 3]);
        assert_eq!(listed(&blocked, 31), [3]);
        assert!(listed(&blocked, 301).is_empty());
        assert!(!blocked.has(now, (true, target(1).1)), "its streams are another matter");
        blocked.remove(target(1));
        assert_eq!(listed(&blocked, 0), [2, 3]);
    }

    #[test]
    fn the_list_is_bounded() {
        let (mut blocked, now) = (Blocked::default(), testkit::start());
        for n in 0..2 * LIMIT {
            blocked.add(now + Duration::from_millis(u64::try_from(n).expect("small")), target(n), None);
        }
        assert_eq!((blocked.until.len(), blocked.by_time.len()), (LIMIT, LIMIT));
        assert!(blocked.has(now, target(2 * LIMIT - 1)) && !blocked.has(now, target(0)));
    }
}
