//! Which ports to try for a relay: from a random one upwards, so that nobody can guess the next (RFC 6056 §3.3.1) and a
//! small range is still used up to its last port.

use std::ops::RangeInclusive;
use wire::Entropy;

/// The most ports tried for one allocation.
const TRIES: u32 = 256;

/// The ports still to be tried for one allocation.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    first: u16,
    count: u32,
    step: u32,
    next: u32,
    left: u32,
}

impl Ports {
    /// Any port of the range.
    pub(crate) fn any(range: &RangeInclusive<u16>, entropy: &mut dyn Entropy) -> Self {
        Self::new(
            *range.start(),
            u32::from(*range.end()).saturating_sub(u32::from(*range.start())) + 1,
            1,
            entropy,
        )
    }

    /// Even ports, whose next higher one is in the range as well.
    pub(crate) fn even(range: &RangeInclusive<u16>, entropy: &mut dyn Entropy) -> Self {
        let first = range.start().checked_next_multiple_of(2).unwrap_or(u16::MAX);
        let count = (u32::from(*range.end()) + 1).saturating_sub(u32::from(first)) / 2;
        Self::new(first, count, 2, entropy)
    }

    /// This port alone.
    pub(crate) fn only(port: u16) -> Self {
        Self { first: port, count: 1, step: 1, next: 0, left: 1 }
    }

    fn new(first: u16, count: u32, step: u32, entropy: &mut dyn Entropy) -> Self {
        let start = entropy.next_u64() % u64::from(count.max(1));
        let next = u32::try_from(start).expect("below count, which is a u32");
        Self { first, count, step, next, left: count.min(TRIES) }
    }
}

impl Iterator for Ports {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        let port = u32::from(self.first) + self.next * self.step;
        self.next = (self.next + 1) % self.count;
        Some(u16::try_from(port).expect("within the range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Seeded;

    fn sorted(ports: Ports) -> Vec<u16> {
        let mut all: Vec<_> = ports.collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_port_of_a_small_range_once() {
        for seed in 0..20 {
            assert_eq!(
                sorted(Ports::any(&(50_000..=50_003), &mut Seeded::new(seed))),
                [50_000, 50_001, 50_002, 50_003]
            );
            assert_eq!(sorted(Ports::even(&(50_001..=50_006), &mut Seeded::new(seed))), [50_002, 50_004]);
            assert_eq!(sorted(Ports::even(&(50_001..=50_002), &mut Seeded::new(seed))), []);
            assert_eq!(sorted(Ports::any(&(65_535..=65_535), &mut Seeded::new(seed))), [65_535]);
        }
        assert_eq!(sorted(Ports::only(9)), [9]);
    }

    #[test]
    fn a_bounded_number_of_a_large_range_from_a_random_start() {
        let starts: Vec<_> =
            (0..8).filter_map(|s| Ports::any(&(49_152..=65_535), &mut Seeded::new(s)).next()).collect();
        assert!(starts.windows(2).any(|pair| pair[0].abs_diff(pair[1]) > 100), "{starts:?}");
        assert_eq!(Ports::any(&(1..=65_535), &mut Seeded::new(1)).count(), TRIES as usize);
    }
}
