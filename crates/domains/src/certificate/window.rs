//! When the authority wants a certificate renewed (ACME renewal information, RFC 9773).

use super::{Held, part};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// When it is asked again where it does not say (RFC 9773 §4.3.3).
const USUAL: Duration = Duration::from_secs(6 * 3600);

/// The span of time in which the authority wants it to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From when on.
    pub begins: Duration,
    /// Until when.
    pub ends: Duration,
}

/// What the authority has said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suggestion {
    window: Option<Window>,
    asks_at: Duration,
    failures: u32,
}

impl Suggestion {
    pub(super) const fn asks_at(&self) -> Duration {
        self.asks_at
    }

    pub(super) fn told(&mut self, now: Duration, window: Window, again: Option<Duration>) {
        // A window that ends before it begins is to be ignored (RFC 9773 §4.2).
        let window = Some(window).filter(|window| window.begins < window.ends);
        let again = again.unwrap_or(USUAL).clamp(MINUTE, DAY);
        *self = Self { window, asks_at: now + again, failures: 0 };
    }

    /// The last window stays (RFC 9773 §4.3.3).
    pub(super) fn not_told(&mut self, now: Duration, ever: bool) {
        let again = MINUTE.saturating_mul(2_u32.saturating_pow(self.failures)).min(USUAL);
        self.failures = self.failures.saturating_add(1);
        self.asks_at = now + if ever { DAY } else { again };
    }

    /// A moment in it, the same one each time (RFC 9773 §4.2). Whatever the authority says, it lies before the certificate ends, and a
    /// new one is left alone for a day: else one window that lies in the past would have us order for ever.
    pub(super) fn moment(&self, held: &Held, luck: u32) -> Option<Duration> {
        let window = self.window?;
        let moment = window.begins + part(window.ends - window.begins, luck);
        let soonest = held.begins + DAY.min(held.life() / 8);
        Some(moment.clamp(soonest, held.ends.saturating_sub(held.life() / 10)))
    }
}
