//! A clock that rings in a worker's event queue (`timerfd`). It is set anew only for an earlier moment, so that waiting for
//! the queue, which happens once for each packet of a voice, needs no time-out of its own.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// The alarm of one worker.
#[derive(Debug)]
pub(crate) struct Alarm {
    file: OwnedFd,
    set: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, so nobody else owns it.
        Ok(Self { file: unsafe { OwnedFd::from_raw_fd(fd) }, set: None })
    }

    /// Makes it ring at `due`, which lies behind `now`, or earlier where an earlier moment had been asked for.
    pub(crate) fn set(&mut self, now: Instant, due: Instant) {
        if self.set.is_some_and(|set| set <= due) {
            return;
        }
        self.set = Some(due);
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let time =
            libc::itimerspec { it_interval: zero, it_value: timespec(due.saturating_duration_since(now)) };
        // SAFETY: the kernel only reads the one structure, within the call. It refuses no time of this form.
        unsafe { libc::timerfd_settime(self.file.as_raw_fd(), 0, &raw const time, null_mut()) };
    }

    /// It has rung: from now on its file is not readable, until it is set again and rings.
    pub(crate) fn silence(&mut self) {
        self.set = None;
        let mut count = 0u64;
        // SAFETY: the kernel writes the eight octets of the number, within the call; where it has not rung it writes nothing.
        unsafe { libc::read(self.file.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

/// Does nothing for a while; a signal may shorten it.
pub(crate) fn rest(time: Duration) {
    if !time.is_zero() {
        let time = timespec(time);
        // SAFETY: the kernel only reads the one structure, within the call; what is left of the time is not asked for.
        unsafe { libc::nanosleep(&raw const time, null_mut()) };
    }
}

/// Has this thread woken from a rest when that is over: without this the kernel may let it sleep 50 µs more.
pub(crate) fn wake_in_time() {
    const SLACK_NANOSECONDS: libc::c_ulong = 1_000;
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NANOSECONDS) };
}

/// A time that is not zero, which would stop the clock.
fn timespec(time: Duration) -> libc::timespec {
    let time = time.max(Duration::from_nanos(1));
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
