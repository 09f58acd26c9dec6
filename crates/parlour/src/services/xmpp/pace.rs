//! How much may be said in a second: by one connection, and by all of an account. Who says more is read more slowly, and
//! loses nothing.

use super::{Timer, Xmpp};
use crate::desk::Desk;
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};
use wire::{Address, ConnectionId};

/// How far somebody may be ahead of the rate.
const BURST: Duration = Duration::from_secs(1);
/// So many meters of accounts are kept beside those in use.
const IDLE: usize = 64;

/// When all that was said so far would have been said at the rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter(Option<Instant>);

impl Meter {
    /// So many octets came: how long to wait before more is read. A rate of 0 is none.
    fn take(&mut self, now: Instant, octets: usize, rate: u64) -> Duration {
        if rate == 0 {
            return Duration::ZERO;
        }
        let begin = self.0.map_or(now, |end| end.max(now));
        let nanos = (octets as u64).saturating_mul(1_000_000_000) / rate;
        let end = begin + Duration::from_nanos(nanos);
        self.0 = Some(end);
        end.saturating_duration_since(now + BURST)
    }
}

/// The meters of accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts(FxHashMap<Address, Meter>);

impl Accounts {
    fn take(&mut self, account: &Address, now: Instant, octets: usize, rate: u64, in_use: usize) -> Duration {
        if rate == 0 {
            return Duration::ZERO;
        }
        if self.0.len() > 2 * in_use + IDLE {
            self.0.retain(|_, meter| meter.0.is_some_and(|end| end > now));
        }
        match self.0.get_mut(account) {
            Some(meter) => meter.take(now, octets, rate),
            None => self.0.entry(account.clone()).or_default().take(now, octets, rate),
        }
    }
}

impl Xmpp {
    /// So much came on a connection: where that is more than may come, it is read no further for a while.
    pub(super) fn keep_pace(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, octets: usize) {
        let (now, in_use) = (desk.net.now(), self.clients.len());
        let limits = &desk.shared.plan.xmpp.limits;
        let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) else { return };
        let own = client.meter.take(now, octets, limits.rate);
        let all = client.account.as_ref().map_or(Duration::ZERO, |account| {
            self.paces.take(account, now, octets, limits.account_rate, in_use)
        });
        let wait = own.max(all);
        if wait > Duration::ZERO {
            client.slowed = true;
            desk.net.pause(conn);
            self.timers.set(Timer::Pace(conn), now + wait);
        }
    }

    /// Enough time has passed since.
    pub(super) fn go_faster(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.slowed = false;
        if !client.paused {
            self.with_stream(desk, conn, |stream, context, _| stream.excuse(context));
            desk.net.resume(conn);
            self.visits.push(conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_more_than_the_rate_waits_as_long_as_it_would_have_taken() {
        let (now, second) = (testkit::start(), Duration::from_secs(1));
        let mut meter = Meter::default();
        assert_eq!(meter.take(now, 1_000, 1_000), Duration::ZERO, "a second's worth at once");
        assert_eq!(meter.take(now, 500, 1_000), second / 2);
        assert_eq!(meter.take(now + second, 500, 1_000), Duration::ZERO);
        assert_eq!(meter.take(now + 100 * second, 3_000, 1_000), 2 * second, "silence is not saved up");
        assert_eq!(meter.take(now, usize::MAX, 0), Duration::ZERO, "no rate");
        Meter::default().take(now, usize::MAX, 1);
    }

    #[test]
    fn accounts_that_say_nothing_are_forgotten() {
        let now = testkit::start();
        let mut accounts = Accounts::default();
        for n in 0..1_000 {
            let account: Address = format!("u{n}@falcot.com").parse().unwrap();
            accounts.take(&account, now + Duration::from_secs(n), 10, 1_000, 1);
            assert!(accounts.0.len() <= IDLE + 3);
        }
    }
}
