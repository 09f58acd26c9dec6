//! What may be answered to those who have shown no credential: over UDP anybody can write anybody's address on a
//! request, and the answer goes there. So answers are short, and few per source.
//!
//! Nobody forges the address of a stream or of DTLS, so that answers there may be long; their number is bounded all the same, as
//! each may be about a guessed password. They have a budget of their own, which nobody can use up in another's name.
//!
//! The table has one size for ever: sources that fall on the same row share its budget. Rows are chosen by a keyed
//! hash, so that nobody can aim at another's.

use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many rows the table has: 96 KiB.
const ROWS: usize = 4096;

/// Answers that are longer than twice their request are this much rarer than others.
const LONG: u32 = 10;

/// How long a source may have been silent to get a whole burst: as many answers at once as it has in this time.
const BURST: Duration = Duration::from_secs(1);

/// The budgets of all sources.
#[derive(Clone)]
pub struct Strangers {
    /// The time that one answer takes up; zero: there is no limit.
    interval: Duration,
    key: [u8; 16],
    /// Counted from here.
    start: Option<Instant>,
    rows: Box<[Row]>,
}

/// When the budgets of a row's sources will be whole again, in nanoseconds since `start`.
#[derive(Clone, Copy, Default)]
struct Row {
    short: u64,
    long: u64,
    proven: u64,
}

impl std::fmt::Debug for Strangers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Strangers({:?})", self.interval)
    }
}

impl Strangers {
    /// Whole budgets for everybody: `rate` answers a second, zero for any number. `key` is secret.
    pub fn new(rate: u32, key: [u8; 16]) -> Self {
        let rows = vec![Row::default(); ROWS].into();
        Self { interval: interval(rate), key, start: None, rows }
    }

    /// Another rate from now on.
    pub fn set_rate(&mut self, rate: u32) {
        self.interval = interval(rate);
    }

    /// Whether a request of `request` octets from `source` may be answered with `reply` octets. What was admitted is
    /// counted. An answer of more than twice the request comes out of a budget that is ten times smaller.
    pub fn admit(&mut self, now: Instant, source: IpAddr, request: usize, reply: usize) -> bool {
        if self.interval.is_zero() {
            return true;
        }
        let now = now.saturating_duration_since(*self.start.get_or_insert(now));
        let row = self.row(source);
        let row = &mut self.rows[row];
        take(&mut row.short, now, self.interval)
            && (reply <= 2 * request || take(&mut row.long, now, self.interval * LONG))
    }

    /// Whether a request whose source is beyond doubt may be answered. What was admitted is counted.
    pub fn admit_proven(&mut self, now: Instant, source: IpAddr) -> bool {
        if self.interval.is_zero() {
            return true;
        }
        let now = now.saturating_duration_since(*self.start.get_or_insert(now));
        let row = self.row(source);
        take(&mut self.rows[row].proven, now, self.interval)
    }

    /// The row of a source. Whoever has an IPv6 address has a whole /64.
    fn row(&self, source: IpAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.key);
        match source.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()[..8]),
        }
        usize::try_from(hasher.finish() % ROWS as u64).expect("less than the number of rows")
    }
}

fn interval(rate: u32) -> Duration {
    if rate == 0 { Duration::ZERO } else { Duration::from_secs(1) / rate }
}

/// Takes one answer out of a budget (the generic cell rate algorithm, ITU-T I.371).
fn take(whole_again: &mut u64, now: Duration, interval: Duration) -> bool {
    let [now, interval, burst] =
        [now, interval, BURST.max(interval)].map(|span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    let after = (*whole_again).max(now).saturating_add(interval);
    let admitted = after <= now.saturating_add(burst);
    if admitted {
        *whole_again = after;
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of a thousand requests at one moment are answered.
    fn burst(strangers: &mut Strangers, now: Instant, source: &str, reply: usize) -> usize {
        (0..1000).filter(|_| strangers.admit(now, ip(source), 28, reply)).count()
    }

    #[test]
    fn a_burst_and_then_a_rate() {
        let (mut strangers, now) = (Strangers::new(100, [7; 16]), testkit::start());
        assert_eq!(burst(&mut strangers, now, "192.0.2.1", 56), 100);
        assert_eq!(burst(&mut strangers, now + Duration::from_millis(100), "192.0.2.1", 56), 10);
        assert_eq!(burst(&mut strangers, now + Duration::from_secs(60), "192.0.2.1", 56), 100);
        assert_eq!(burst(&mut strangers, now, "192.0.2.2", 56), 100, "another source has its own");
    }

    #[test]
    fn long_answers_are_rarer() {
        let (mut strangers, now) = (Strangers::new(100, [7; 16]), testkit::start());
        assert_eq!(burst(&mut strangers, now, "192.0.2.1", 57), 10);
        assert_eq!(burst(&mut strangers, now + Duration::from_secs(9), "192.0.2.1", 57), 10);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let (mut strangers, now) = (Strangers::new(100, [7; 16]), testkit::start());
        assert_eq!(burst(&mut strangers, now, "2001:db8::1", 40), 100);
        assert_eq!(burst(&mut strangers, now, "2001:db8::2", 40), 0);
        assert_eq!(burst(&mut strangers, now, "2001:db8:0:1::1", 40), 100);
        assert_eq!(burst(&mut strangers, now, "::ffff:192.0.2.1", 40), 100);
        assert_eq!(burst(&mut strangers, now, "192.0.2.1", 40), 0);
    }

    #[test]
    fn no_limit_and_one_so_low_that_a_burst_is_one() {
        let (mut strangers, now) = (Strangers::new(0, [7; 16]), testkit::start());
        assert_eq!(burst(&mut strangers, now, "192.0.2.1", 500), 1000);
        strangers.set_rate(1);
        assert_eq!(burst(&mut strangers, now, "192.0.2.1", 40), 1);
        assert_eq!(burst(&mut strangers, now, "192.0.2.2", 500), 1);
    }

    #[test]
    fn any_number_of_sources_takes_no_more_room_and_keys_scatter_them_otherwise() {
        let (mut one, other) = (Strangers::new(10, [1; 16]), Strangers::new(10, [2; 16]));
        let now = testkit::start();
        let sources = || (0..100_000_u32).map(|number| IpAddr::from(number.to_be_bytes()));
        let admitted = sources().filter(|source| one.admit(now, *source, 28, 56)).count();
        assert!((ROWS * 9..=ROWS * 10).contains(&admitted), "{admitted}");
        let alike = sources().filter(|source| one.row(*source) == other.row(*source)).count();
        assert!(alike < 100, "{alike}");
    }
}
