//! What `sip.bans` means.

use super::file::Table;
use super::meaning::{Judge, network};
use super::plan::BansPlan;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Failures that anybody would still count.
const ATTEMPTS_MAX: u32 = 1_000_000;
/// More than any network brings.
const RATE_MAX: u32 = 1_000_000_000;
/// For how many seconds' requests may come at once, unless that is said.
const BURST: u32 = 10;

impl<'a> Judge<'a> {
    /// The table `sip.bans`.
    pub(super) fn bans(&mut self, table: &'a Table) -> BansPlan {
        let attempts = self.count(table, "attempts", 20, 0..=ATTEMPTS_MAX);
        let time = self.duration(table, "time", 10 * MINUTE, SECOND..=30 * DAY);
        let rate = self.count(table, "rate", 100, 0..=RATE_MAX);
        let burst = rate.saturating_mul(BURST).clamp(1, RATE_MAX);
        BansPlan {
            rate,
            burst: self.count(table, "burst", burst, 1..=RATE_MAX),
            attempts,
            window: self.duration(table, "window", MINUTE, SECOND..=DAY),
            time,
            longest: self.duration(table, "longest", DAY.max(time), time..=365 * DAY),
            account: self.count(table, "account", attempts.saturating_mul(5).max(1), 1..=ATTEMPTS_MAX),
            trusted: self.each(table.texts("trusted"), network),
        }
    }
}
