//! A worker's ports, in pairs: an even one for RTP, the next for RTCP (RFC 3550 §11). The one that has been free for
//! longest is given first, so that what comes late for a call that is over meets nobody else's.

use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// The pairs that are free, by their even ports.
#[derive(Debug)]
pub(super) struct Ports {
    free: VecDeque<u16>,
    /// Which are this worker's.
    first: u16,
    last: u16,
    share: (u16, u16),
}

impl Ports {
    /// Those of one of several workers: each has every so-many-th pair.
    pub(super) fn new(range: &RangeInclusive<u16>, share: (u16, u16)) -> Self {
        let (first, last) = (range.start().saturating_add(range.start() & 1), *range.end());
        let mut ports = Self { free: VecDeque::new(), first, last, share };
        let all = (first..=last.saturating_sub(1)).step_by(2).filter(|port| ports.is_mine(*port));
        ports.free = all.collect();
        ports
    }

    fn is_mine(&self, port: u16) -> bool {
        let inside = port >= self.first && port < self.last && port.is_multiple_of(2);
        inside && ((port - self.first) / 2) % self.share.1.max(1) == self.share.0
    }

    /// Takes the pair that has been free for longest.
    pub(super) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a pair back; one of an earlier range is nobody's.
    pub(super) fn give(&mut self, port: u16) {
        if self.is_mine(port) {
            self.free.push_back(port);
        }
    }

    /// A pair is in use already.
    pub(super) fn claim(&mut self, port: u16) {
        self.free.retain(|free| *free != port);
    }

    /// After a restart: these are in use, and those are, but by calls at home with another worker. Nobody says when they are
    /// free, so they come last: what somebody has is passed over.
    pub(super) fn set_aside(&mut self, taken: &FxHashSet<u16>, lent: &FxHashSet<u16>) {
        let (last, first): (Vec<u16>, Vec<u16>) =
            self.free.drain(..).filter(|port| !taken.contains(port)).partition(|port| lent.contains(port));
        self.free.extend(first.into_iter().chain(last));
    }

    /// How many are free.
    pub(super) fn len(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(range: RangeInclusive<u16>, share: (u16, u16)) -> Vec<u16> {
        let mut ports = Ports::new(&range, share);
        std::iter::from_fn(|| ports.take()).collect()
    }

    #[test]
    fn every_pair_belongs_to_one_worker() {
        assert_eq!(all(30_000..=30_007, (0, 1)), [30_000, 30_002, 30_004, 30_006]);
        assert_eq!(all(30_001..=30_008, (0, 1)), [30_002, 30_004, 30_006]);
        assert_eq!(all(30_000..=30_007, (0, 2)), [30_000, 30_004]);
        assert_eq!(all(30_000..=30_007, (1, 2)), [30_002, 30_006]);
        assert_eq!(all(30_000..=30_000, (0, 1)), []);
        assert_eq!(all(65_534..=65_535, (0, 1)), [65_534]);
        assert_eq!(all(65_535..=65_535, (0, 1)), []);
    }

    #[test]
    fn a_pair_rests_before_it_is_used_again() {
        let mut ports = Ports::new(&(30_000..=30_005), (0, 1));
        let first = ports.take().expect("three");
        ports.give(first);
        assert_eq!([ports.take(), ports.take(), ports.take()], [Some(30_002), Some(30_004), Some(first)]);
        ports.give(40_000);
        assert_eq!((ports.take(), ports.len()), (None, 0));
    }

    #[test]
    fn what_calls_at_home_elsewhere_have_comes_last() {
        let mut ports = Ports::new(&(30_000..=30_009), (0, 1));
        ports.set_aside(&[30_002].into_iter().collect(), &[30_000, 30_004, 40_000].into_iter().collect());
        let all: Vec<u16> = std::iter::from_fn(|| ports.take()).collect();
        assert_eq!(all, [30_006, 30_008, 30_000, 30_004]);
    }
}
