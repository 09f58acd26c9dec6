//! How long is waited after a failure: longer each time, and as long as the authority says (RFC 8555 §6.6).

use super::part;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The longest that an authority has us wait.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// How long the next order waits after one of which some names were put aside.
const PAUSE: Duration = Duration::from_secs(2);

/// What went wrong, by what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The authority was not reached, or has trouble of its own.
    Unreachable,
    /// It did not find that names are ours, or does not issue for them.
    Names,
    /// It wants us to wait.
    Rate,
    /// It does not take our account, or something else that only an administrator changes.
    Account,
    /// Something on our own side.
    Ours,
}

impl Fault {
    /// How long the first wait is, how much longer each further one, and the longest.
    const fn waits(self) -> (Duration, u32, Duration) {
        match self {
            Self::Unreachable => (MINUTE, 2, HOUR),
            // Authorities allow a few failures an hour for a name.
            Self::Names => (Duration::from_secs(300), 3, DAY),
            Self::Rate | Self::Account => (HOUR, 2, DAY),
            Self::Ours => (MINUTE, 4, HOUR),
        }
    }
}

/// An order that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub fault: Fault,
    /// The names that it was about; none: all of them, or it is not known.
    pub names: Vec<String>,
    /// For how long the authority wants us to wait.
    pub retry_after: Option<Duration>,
}

/// How often in a row something has failed, and when it may be tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) failures: u32,
    pub(super) retry: Duration,
}

impl Backoff {
    pub(super) const fn of(failures: u32, retry: Duration) -> Self {
        Self { failures, retry }
    }

    pub(super) fn fail(&mut self, now: Duration, fault: Fault, told: Option<Duration>, luck: u32) {
        let (first, factor, longest) = fault.waits();
        let wait = first.saturating_mul(factor.saturating_pow(self.failures)).min(longest);
        let wait = wait.max(told.unwrap_or_default().min(LONGEST));
        self.failures = self.failures.saturating_add(1);
        self.retry = now + wait + part(wait / 8, luck);
    }

    pub(super) fn pause(&mut self, now: Duration) {
        self.retry = now + PAUSE;
    }
}
