//! The meters of the fast path's ways, shared with its program in the kernel: mapped memory instead of a call for each
//! look. And the kernel's clock, by which that program ends a way.

use crate::xdp::Count;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// `struct meter` of `xdp/relay.c`.
#[derive(Debug)]
#[repr(C, align(64))]
struct Meter {
    until: AtomicU64,
    refreshed: AtomicU64,
    packets: AtomicU64,
    octets: AtomicU64,
    passed: AtomicU64,
    unused: [AtomicU64; 3],
}

/// Every meter.
#[derive(Debug)]
pub(crate) struct Meters {
    first: NonNull<Meter>,
    count: usize,
}

// SAFETY: the memory stays mapped as long as this lives, and holds nothing but atomic integers.
unsafe impl Send for Meters {}
// SAFETY: as above.
unsafe impl Sync for Meters {}

impl Meters {
    /// Maps the kernel's map of `count` meters (an array with `BPF_F_MMAPABLE`).
    pub(crate) fn map(map: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let size = count * size_of::<Meter>();
        // SAFETY: a fresh mapping at a place of the kernel's choice; the descriptor is borrowed and so open. The kernel
        // refuses it where the map is shorter.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, map.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, count })
    }

    fn meter(&self, index: u32) -> &Meter {
        // SAFETY: so many are mapped for as long as this lives; all of it is atomic integers, for which every bit pattern
        // is good, and which the kernel changes atomically too. Pages are aligned better than a meter needs.
        let all = unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) };
        &all[index as usize]
    }

    /// Opens one at `now` until then, on the clock of the kernel.
    pub(crate) fn open(&self, index: u32, until: u64, now: u64) {
        self.meter(index).refreshed.store(now, Ordering::Relaxed);
        self.set(index, until);
    }

    /// Sets when one ends.
    pub(crate) fn set(&self, index: u32, until: u64) {
        self.meter(index).until.store(until, Ordering::Release);
    }

    /// What one shows.
    pub(crate) fn read(&self, index: u32) -> Count {
        let meter = self.meter(index);
        let [packets, octets, passed] =
            [&meter.packets, &meter.octets, &meter.passed].map(|count| count.load(Ordering::Relaxed));
        Count { packets, octets, passed }
    }
}

impl Drop for Meters {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nobody holds a reference into it any more.
        let _ = unsafe { libc::munmap(self.first.as_ptr().cast(), self.count * size_of::<Meter>()) };
    }
}

/// Ties [`Instant`] to the kernel's monotonic clock, which it is read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    nanoseconds: u64,
}

impl Clock {
    /// Reads both.
    pub(crate) fn read() -> Self {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes into the one structure, within the call; this clock always exists.
        let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        let since = Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32);
        Self { instant: Instant::now(), nanoseconds: nanoseconds(since) }
    }

    /// A time on the kernel's clock.
    pub(crate) fn nanoseconds(&self, time: Instant) -> u64 {
        match time.checked_duration_since(self.instant) {
            Some(later) => self.nanoseconds.saturating_add(nanoseconds(later)),
            None => self.nanoseconds.saturating_sub(nanoseconds(self.instant - time)),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_agree() {
        let (first, later) = (Clock::read(), Instant::now() + Duration::from_secs(5));
        let second = Clock::read();
        assert!(first.nanoseconds(later).abs_diff(second.nanoseconds(later)) < 2_000_000);
        let ahead = first.nanoseconds(later) - first.nanoseconds(later - Duration::from_secs(9));
        assert_eq!(ahead, 9_000_000_000);
    }
}
