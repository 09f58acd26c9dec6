//! Which credentials were seen before (RFC 7616 §3.4.5): a window of nonce-counts for each nonce that a user has answered.
//!
//! Only who has shown the right password adds to it, and it has a bound.

use super::nonce::Name;
use rustc_hash::{FxHashMap, FxHashSet};

/// How far behind the highest count seen a request may come: requests overtake one another on the network.
const WINDOW: u32 = 64;

/// The counts of one nonce that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    highest: u32,
    /// Bit `n`: the count `highest - n` was seen. In octets: with them a row takes a quarter less.
    bits: [u8; 8],
}

impl Seen {
    /// Notes a count: whether it is new.
    fn note(&mut self, count: u32) -> bool {
        let bits = u64::from_le_bytes(self.bits);
        if count > self.highest {
            let step = count - self.highest;
            self.bits = (bits.checked_shl(step).unwrap_or(0) | 1).to_le_bytes();
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = 1_u64.checked_shl(behind).unwrap_or(0);
        self.bits = (bits | bit).to_le_bytes();
        behind < WINDOW && bits & bit == 0
    }
}

impl Seen {
    /// The first answer, as nearly all clients count: 1, which is the only one of most nonces.
    const ONCE: Self = Self { highest: 1, bits: [1, 0, 0, 0, 0, 0, 0, 0] };
}

/// Nonces that were answered at about the same time.
#[derive(Debug, Default)]
struct Generation {
    /// With the count 1 alone: most of them, so that their rows are small.
    once: FxHashSet<Short>,
    /// All others.
    more: FxHashMap<Short, Seen>,
}

/// A nonce of this worker.
type Short = [u32; 2];

impl Generation {
    fn len(&self) -> usize {
        self.once.len() + self.more.len()
    }

    fn take(&mut self, name: Short) -> Option<Seen> {
        match self.once.remove(&name) {
            true => Some(Seen::ONCE),
            false => self.more.remove(&name),
        }
    }

    fn put(&mut self, name: Short, seen: Seen) {
        match seen == Seen::ONCE {
            true => drop(self.once.insert(name)),
            false => drop(self.more.insert(name, seen)),
        }
    }
}

/// The nonces of one worker that were answered lately, in two generations: what is older than both is too old anyway.
#[derive(Debug)]
pub(super) struct Replays {
    young: Generation,
    old: Generation,
    /// The second in which the young generation began.
    began: Option<u32>,
    limit: usize,
}

impl Replays {
    /// Remembers at most `limit` nonces in each generation.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), began: None, limit }
    }

    /// Notes that a nonce was answered with this count: `false` where it was before. A generation lasts for
    /// `lifetime` seconds, or until it is full.
    pub(super) fn note(&mut self, name: Name, count: u32, now: u32, lifetime: u32) -> bool {
        let age = now.wrapping_sub(*self.began.get_or_insert(now));
        if age > lifetime || self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
            if age > lifetime.saturating_mul(2) {
                self.old = Generation::default();
            }
            self.began = Some(now);
        }
        let name = name.short();
        let before = self.young.take(name).or_else(|| self.old.take(name));
        let mut seen = before.unwrap_or(Seen { highest: count, bits: [0; 8] });
        let is_new = seen.note(count);
        self.young.put(name, seen);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wire::WorkerId;

    fn name(number: u32) -> Name {
        Name::new(Duration::from_secs(1000), WorkerId(0), number)
    }

    #[test]
    fn each_count_once() {
        let mut replays = Replays::new(10);
        let mut note = |count| replays.note(name(1), count, 1000, 300);
        assert!(note(1) && !note(1) && note(2) && note(5) && note(3) && !note(5) && !note(3) && note(4));
        assert!(note(100) && note(37) && !note(36), "64 counts back");
        assert!(note(5000) && !note(100) && note(u32::MAX) && !note(u32::MAX));
    }

    #[test]
    fn the_first_answer_is_remembered_however_the_next_ones_count() {
        for first in [0, 1, 2, 7] {
            let mut replays = Replays::new(10);
            let mut note = |count| replays.note(name(1), count, 1000, 300);
            assert!(note(first) && !note(first) && note(first + 1) && !note(first) && !note(first + 1));
            assert_eq!((replays.young.once.len(), replays.young.more.len()), (0, 1), "of two answers");
        }
        let mut replays = Replays::new(10);
        assert!(replays.note(name(1), 1, 1000, 300) && !replays.note(name(1), 1, 1000, 300));
        assert_eq!((replays.young.once.len(), replays.young.more.len()), (1, 0), "in few octets");
    }

    #[test]
    fn nonces_count_apart() {
        let mut replays = Replays::new(10);
        assert!(replays.note(name(1), 1, 1000, 300) && replays.note(name(2), 1, 1000, 300));
    }

    #[test]
    fn remembered_for_as_long_as_a_nonce_is_good() {
        let mut replays = Replays::new(10);
        assert!(replays.note(name(1), 1, 1000, 300));
        for second in [1299, 1301, 1600] {
            assert!(!replays.note(name(1), 1, second, 300), "{second}");
        }
        assert!(replays.note(name(2), 1, 1000, 300), "others were forgotten");
    }

    #[test]
    fn bounded() {
        let mut replays = Replays::new(100);
        for number in 0..100_000 {
            assert!(replays.note(name(number), 1, 1000, 300));
        }
        assert!(replays.young.len() + replays.old.len() <= 200);
        assert!(!replays.note(name(99_999), 1, 1000, 300));
    }
}
