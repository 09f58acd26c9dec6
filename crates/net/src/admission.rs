//! How many connections are open, in all and per source address, counted over all workers without a lock.
//!
//! Per source it is a count-min sketch: four rows of counters, an address counts in one of each row and the least of the
//! four holds. It never counts too little, its size is fixed, and a random key keeps strangers from choosing collisions.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

pub(crate) const ROWS: usize = 4;
const COLUMNS: usize = 1 << 14;

/// The counts, one for all workers.
#[derive(Debug)]
pub(crate) struct Admission {
    in_all: usize,
    per_source: u32,
    open: AtomicUsize,
    sketch: Box<[AtomicU32]>,
    key: RandomState,
}

/// One admitted connection; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    admission: Arc<Admission>,
    /// None where its source is not known yet.
    places: Option<[u16; ROWS]>,
}

impl Admission {
    pub(crate) fn new(in_all: usize, per_source: usize) -> Arc<Self> {
        let sketch = (0..ROWS * COLUMNS).map(|_| AtomicU32::new(0)).collect();
        let per_source = u32::try_from(per_source).unwrap_or(u32::MAX);
        Arc::new(Self { in_all, per_source, open: AtomicUsize::new(0), sketch, key: RandomState::new() })
    }

    /// Counts a connection from `source`, unless a limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Pass> {
        let pass = Pass {
            places: Some(places(&self.key, source).map(|place| (place % COLUMNS) as u16)),
            admission: Arc::clone(self),
        };
        let open = self.open.fetch_add(1, Relaxed);
        let least = pass.cells().map(|cell| cell.fetch_add(1, Relaxed)).min();
        // On refusal the drop of the pass takes back what was counted.
        (open < self.in_all && least < Some(self.per_source)).then_some(pass)
    }

    /// Counts a connection from somebody who is not known yet, unless there are too many in all.
    pub(crate) fn admit_unknown(self: &Arc<Self>) -> Option<Pass> {
        let pass = Pass { admission: Arc::clone(self), places: None };
        (self.open.fetch_add(1, Relaxed) < self.in_all).then_some(pass)
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }
}

/// One place for a source in each row, which only whoever has the key can foresee.
pub(crate) fn places(key: &RandomState, source: IpAddr) -> [usize; ROWS] {
    // One customer has a whole /64 of IPv6, so the rest of the address tells nobody apart.
    let source = source.to_canonical();
    let bits = match source {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
    };
    let hash = key.hash_one((source.is_ipv6(), bits));
    std::array::from_fn(|row| usize::from((hash >> (16 * row)) as u16))
}

impl Pass {
    fn cells(&self) -> impl Iterator<Item = &AtomicU32> {
        let sketch = &self.admission.sketch;
        self.places
            .iter()
            .flatten()
            .enumerate()
            .map(|(row, &place)| &sketch[row * COLUMNS + usize::from(place)])
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Relaxed);
        for cell in self.cells() {
            cell.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(group: u16, last: u16) -> IpAddr {
        IpAddr::from([0x2001, 0xdb8, 0, group, 0, 0, 0, last])
    }

    #[test]
    fn counts_in_all_and_per_source_and_forgets_what_closed() {
        let admission = Admission::new(3, 2);
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert!(admission.admit(a).is_none(), "per source");
        let _third = admission.admit(b).unwrap();
        assert!(admission.admit(b).is_none(), "in all");
        drop(first);
        assert!(admission.admit(a).is_some());
    }

    #[test]
    fn who_is_not_known_yet_counts_in_all_alone() {
        let admission = Admission::new(3, 1);
        let _unknown = (admission.admit_unknown().unwrap(), admission.admit_unknown().unwrap());
        assert!(admission.admit(v6(1, 1)).is_some());
        let _third = admission.admit(v6(1, 1)).unwrap();
        assert!(admission.admit_unknown().is_none(), "in all");
        assert_eq!(admission.open(), 3);
    }

    #[test]
    fn one_slash_64_is_one_source() {
        let admission = Admission::new(10, 1);
        let _first = admission.admit(v6(1, 1)).unwrap();
        assert!(admission.admit(v6(1, 2)).is_none());
        assert!(admission.admit(v6(2, 1)).is_some());
    }
}
