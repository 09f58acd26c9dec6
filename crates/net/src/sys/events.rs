//! The event queue of a worker (`epoll`, level-triggered): what was left undone is told again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// What a registered file is watched for. Errors are always reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const READ: Self = Self { read: true, write: false };

    /// Whether it is anything at all.
    pub(crate) fn any(self) -> bool {
        self.read || self.write
    }

    fn bits(self) -> u32 {
        let read = if self.read { libc::EPOLLIN | libc::EPOLLRDHUP } else { 0 };
        let write = if self.write { libc::EPOLLOUT } else { 0 };
        (read | write) as u32
    }
}

/// What happened to the file registered under `token`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) token: u64,
    /// There is something to read (also the end of a stream).
    pub(crate) read: bool,
    /// The peer has closed its side of a stream: the end lies behind what there is to read.
    pub(crate) ended: bool,
    /// There is room to write.
    pub(crate) write: bool,
    /// An error waits, or both directions of a stream are gone.
    pub(crate) broken: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Events {
    queue: OwnedFd,
    ready: Vec<libc::epoll_event>,
    count: usize,
}

impl Events {
    const AT_ONCE: usize = 256;

    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just given us this descriptor, so nobody else owns it.
        let queue = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { queue, ready: vec![libc::epoll_event { events: 0, u64: 0 }; Self::AT_ONCE], count: 0 })
    }

    pub(crate) fn add(&self, file: &impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, file, token, interest)
    }

    pub(crate) fn change(&self, file: &impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, file, token, interest)
    }

    pub(crate) fn remove(&self, file: &impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, file, 0, Interest::default())
    }

    fn control(&self, what: i32, file: &impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.bits(), u64: token };
        // SAFETY: both descriptors are borrowed and so open; the kernel only reads the event, within the call.
        check(unsafe {
            libc::epoll_ctl(self.queue.as_raw_fd(), what, file.as_fd().as_raw_fd(), &raw mut event)
        })
        .map(drop)
    }

    /// Fetches what has happened, and waits for something to happen first if it may `block`; how many events there are.
    ///
    /// There is no time-out: setting one up costs a wake-up more than the look at what is there ([`super::Alarm`]).
    pub(crate) fn wait(&mut self, block: bool) -> usize {
        let (room, most) = (self.ready.as_mut_ptr(), self.ready.len());
        let (queue, millis) = (self.queue.as_raw_fd(), if block { -1 } else { 0 });
        let nothing = std::ptr::null::<libc::sigset_t>();
        // Not the C library's function: that is a place where threads may be cancelled, which costs two locked
        // instructions each time.
        // SAFETY: the kernel writes at most `most` events into the vector, which has that many; no signal set is given.
        let got = unsafe { libc::syscall(libc::SYS_epoll_pwait, queue, room, most, millis, nothing, 8usize) };
        // An interrupted call has fetched nothing; the next one tells all.
        self.count = usize::try_from(got).unwrap_or(0);
        self.count
    }

    /// Event `index` of the last fetch.
    pub(crate) fn get(&self, index: usize) -> Event {
        let libc::epoll_event { events, u64: token } = self.ready[..self.count][index];
        let has = |bits: i32| events & bits as u32 != 0;
        Event {
            token,
            read: has(libc::EPOLLIN),
            ended: has(libc::EPOLLRDHUP),
            write: has(libc::EPOLLOUT),
            broken: has(libc::EPOLLERR | libc::EPOLLHUP),
        }
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
