//! How often one source address may ask for what is dear, counted over all workers without a lock, in a table of fixed size.
//!
//! Each cell says until when what was granted is spent (a leaky bucket as a moment). As with [`Admission`](crate::admission),
//! an address has a cell in each of four rows, and the one that has spent the least holds: who shares a cell with somebody loud
//! does not pay for that, unless all four are shared.

use crate::admission::{ROWS, places};
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const COLUMNS: usize = 1 << 12;

/// What may be asked for at once by whoever has asked for nothing: as much as in this time.
const BURST: Duration = Duration::from_secs(10);

/// The table, one for all workers.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    /// How long one request takes to be forgotten, in nanoseconds; zero: any number.
    interval: AtomicU64,
    cells: Box<[AtomicU64]>,
    key: RandomState,
}

impl Pace {
    /// So many in a second from each source; zero: any number.
    pub(crate) fn new(started: Instant, per_second: u32) -> Self {
        let cells = (0..ROWS * COLUMNS).map(|_| AtomicU64::new(0)).collect();
        let pace = Self { started, interval: AtomicU64::new(0), cells, key: RandomState::new() };
        pace.set(per_second);
        pace
    }

    /// Another number from now on; what was granted before counts as it did then.
    pub(crate) fn set(&self, per_second: u32) {
        let interval = 1_000_000_000_u64.checked_div(u64::from(per_second)).unwrap_or_default();
        self.interval.store(interval, Relaxed);
    }

    /// Whether `source` may have one more now; if so, it is counted.
    pub(crate) fn may(&self, now: Instant, source: IpAddr) -> bool {
        let interval = self.interval.load(Relaxed);
        if interval == 0 {
            return true;
        }
        let now = nanoseconds(now.saturating_duration_since(self.started));
        let own = places(&self.key, source);
        let cells =
            || own.iter().enumerate().map(|(row, place)| &self.cells[row * COLUMNS + place % COLUMNS]);
        let spent = cells().map(|cell| cell.load(Relaxed)).min().unwrap_or_default().max(now);
        let after = spent + interval;
        let may = after <= now + nanoseconds(BURST);
        if may {
            for cell in cells() {
                cell.fetch_max(after, Relaxed);
            }
        }
        may
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(pace: &Pace, now: Instant, source: IpAddr, times: usize) -> usize {
        (0..times).filter(|_| pace.may(now, source)).count()
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_pace() {
        let (start, a, b) = (Instant::now(), IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let pace = Pace::new(start, 5);
        assert_eq!(granted(&pace, start, a, 100), 50);
        assert_eq!(granted(&pace, start, b, 100), 50, "another has its own");
        for second in 1..20 {
            assert_eq!(granted(&pace, start + Duration::from_secs(second), a, 100), 5);
        }
        assert_eq!(granted(&pace, start + Duration::from_secs(1000), a, 100), 50);
    }

    #[test]
    fn a_flood_of_sources_leaves_others_their_own() {
        let start = Instant::now();
        let pace = Pace::new(start, 1);
        for n in 0..2000_u32 {
            granted(&pace, start, IpAddr::from(n.to_be_bytes()), 20);
        }
        let bystanders = (0..200_u8).map(|n| IpAddr::from([192, 0, 2, n]));
        let served = bystanders.filter(|ip| pace.may(start, *ip)).count();
        assert!(served > 180, "{served}");
    }

    #[test]
    fn another_number_counts_from_then_on() {
        let (start, source) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        let pace = Pace::new(start, 0);
        assert_eq!(granted(&pace, start, source, 1000), 1000);
        pace.set(5);
        assert_eq!(granted(&pace, start, source, 1000), 50);
        pace.set(20);
        let later = start + Duration::from_secs(1);
        assert_eq!(granted(&pace, later, source, 1000), 20, "what was granted is spent");
        pace.set(0);
        assert_eq!(granted(&pace, later, source, 1000), 1000);
    }

    #[test]
    fn zero_is_any_number() {
        let start = Instant::now();
        assert_eq!(granted(&Pace::new(start, 0), start, IpAddr::from([192, 0, 2, 1]), 100_000), 100_000);
    }
}
