//! What the table `xmpp` means.

use super::file::Table;
use super::meaning::Judge;
use super::plan::XmppLimits;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl<'a> Judge<'a> {
    /// How long archives keep what they have.
    pub(super) fn archive_for(&mut self, table: &'a Table) -> Duration {
        self.duration(table, "archive-for", 365 * DAY, Duration::ZERO..=36_500 * DAY)
    }

    /// What XMPP's clients may cost.
    pub(super) fn xmpp_limits(&mut self, table: &'a Table) -> XmppLimits {
        let usual = XmppLimits::default();
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        XmppLimits {
            sessions: count(self.count(table, "sessions", 64, 1..=65_536)),
            idle: self.duration(table, "idle", usual.idle, SECOND..=DAY),
            pong: self.duration(table, "pong", usual.pong, SECOND..=HOUR),
            resume: self.duration(table, "resume", usual.resume, Duration::ZERO..=DAY),
            unacknowledged: count(self.count(table, "unacknowledged", 1_000, 10..=1_000_000)),
            ..usual
        }
    }
}
