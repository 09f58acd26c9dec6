//! Receiving datagrams in batches (`recvmmsg`) into buffers that have room in front of each datagram. Those that the kernel
//! has joined (UDP GRO) are moved apart, so that they have it too.

use super::names::{self, Control, Name};
use super::shelf::Shelf;
use crate::HEADROOM;
use std::fmt;
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

/// The largest UDP payload, and some.
const LARGEST: usize = 65_536;
/// From one buffer to the next: a whole number of cache lines, but no power of two, so that the beginnings of the
/// buffers do not compete for the same places in the cache.
const STRIDE: usize = LARGEST + HEADROOM * (JOINED + 1) + 5 * 64;
/// How many datagrams the kernel joins at most (64 from a network card, 128 from a sender on this host).
const JOINED: usize = 128;

/// Where a datagram lies: its headroom begins at `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: usize,
    length: usize,
    /// The kernel's message that it came in.
    message: usize,
}

/// The datagrams that one call received, and the buffers they lie in. One per worker, for all of its sockets.
pub(crate) struct Arrivals {
    bytes: Shelf<u8>,
    names: Shelf<Name>,
    controls: Shelf<Control>,
    _parts: Shelf<libc::iovec>,
    headers: Shelf<libc::mmsghdr>,
    peers: [SocketAddr; Self::AT_ONCE],
    count: usize,
    places: Vec<Place>,
}

impl Arrivals {
    /// How many datagrams are received at one time.
    pub(crate) const AT_ONCE: usize = 32;

    pub(crate) fn new() -> Self {
        let bytes = Shelf::from(vec![0u8; Self::AT_ONCE * STRIDE]);
        let names = Shelf::new(names::empty_name(), Self::AT_ONCE);
        let controls = Shelf::new(Control([0; Control::SIZE]), Self::AT_ONCE);
        let part =
            |i: usize| libc::iovec { iov_base: bytes.at(i * STRIDE + HEADROOM).cast(), iov_len: LARGEST };
        let parts: Shelf<_> = (0..Self::AT_ONCE).map(part).collect::<Vec<_>>().into();
        let header = |i: usize| {
            let mut header = names::empty_header();
            header.msg_name = names.at(i).cast();
            header.msg_iov = parts.at(i);
            header.msg_iovlen = 1;
            header.msg_control = controls.at(i).cast();
            libc::mmsghdr { msg_hdr: header, msg_len: 0 }
        };
        let headers = (0..Self::AT_ONCE).map(header).collect::<Vec<_>>().into();
        let peers = [SocketAddr::from(([0; 4], 0)); Self::AT_ONCE];
        let mut made =
            Self { bytes, names, controls, _parts: parts, headers, peers, count: 0, places: Vec::new() };
        made.places.reserve(Self::AT_ONCE * JOINED);
        made.reset(Self::AT_ONCE);
        made
    }

    /// Restores the lengths that the kernel has overwritten in the first `count` headers.
    fn reset(&mut self, count: usize) {
        for header in self.headers.slice_mut(0, count) {
            header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = Control::SIZE;
        }
    }

    /// Receives what waits on `socket`, at most `quota` messages (and [`Self::AT_ONCE`]), without blocking; how many there
    /// are. Each is one datagram, or several that the kernel has joined. `plain`: nothing needs to be told with them but who sent them.
    pub(crate) fn receive(&mut self, socket: &impl AsFd, quota: usize, plain: bool) -> io::Result<usize> {
        self.reset(self.count);
        self.count = 0;
        self.places.clear();
        let fd = socket.as_fd().as_raw_fd();
        let got = if plain && quota == 1 { self.receive_one(fd) } else { self.receive_many(fd, quota) };
        self.count = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for message in 0..self.count {
            let unknown = SocketAddr::from(([0; 4], 0));
            self.peers[message] = names::read_name(&self.names.slice(message, 1)[0]).unwrap_or(unknown);
            self.place(message);
        }
        Ok(self.count)
    }

    /// Notes where the datagrams of a message lie.
    fn place(&mut self, message: usize) {
        let header = &self.headers.slice(message, 1)[0];
        let (length, used) = ((header.msg_len as usize).min(LARGEST), header.msg_hdr.msg_controllen);
        let start = message * STRIDE;
        let size = if used == 0 { None } else { self.control(message, used, names::joined) };
        match size.filter(|size| *size < length) {
            None => self.places.push(Place { start, length, message }),
            Some(size) => self.move_apart(message, length, size),
        }
    }

    /// Gives each of the datagrams that were joined its headroom: the last one moves first, so that none is overwritten.
    fn move_apart(&mut self, message: usize, length: usize, size: usize) {
        let base = message * STRIDE;
        let count = length.div_ceil(size).min(JOINED);
        let bytes = self.bytes.slice_mut(base, STRIDE);
        for i in (1..count).rev() {
            let from = HEADROOM + i * size;
            bytes.copy_within(from..(from + size).min(HEADROOM + length), HEADROOM + i * (size + HEADROOM));
        }
        let place = |i: usize| Place {
            start: base + i * (size + HEADROOM),
            length: size.min(length - i * size),
            message,
        };
        self.places.extend((0..count).map(place));
    }

    fn control<T>(
        &self,
        message: usize,
        used: usize,
        pick: impl Fn(&names::ControlMessage<'_>) -> Option<T>,
    ) -> Option<T> {
        names::controls(&self.controls.slice(message, 1)[0], used).find_map(|control| pick(&control))
    }

    // Neither calls the C library's function, which is a place where threads may be cancelled: see `Events::wait`.

    fn receive_many(&mut self, fd: i32, quota: usize) -> libc::c_long {
        let (headers, quota) = (self.headers.at(0), quota.min(Self::AT_ONCE));
        let none = std::ptr::null_mut::<libc::timespec>();
        // SAFETY: every header points at a name, a control buffer and one buffer of bytes of the lengths it says, on
        // shelves that live as long as `self`; they are borrowed mutably for the call, so nobody else reads them.
        unsafe { libc::syscall(libc::SYS_recvmmsg, fd, headers, quota, libc::MSG_DONTWAIT, none) }
    }

    /// As one of many, but without the headers: at the pace of voice nearly all come alone.
    fn receive_one(&mut self, fd: i32) -> libc::c_long {
        let (bytes, name) = (self.bytes.at(HEADROOM), self.names.at(0));
        let mut length = size_of::<Name>() as libc::socklen_t;
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the first buffer of bytes and the first name are as long as it says, on shelves that live as long as
        // `self`; they are borrowed mutably for the call, so nobody else reads them. The length is alive for the call.
        let got =
            unsafe { libc::syscall(libc::SYS_recvfrom, fd, bytes, LARGEST, flags, name, &raw mut length) };
        let Ok(octets) = u32::try_from(got) else { return got };
        let header = &mut self.headers.slice_mut(0, 1)[0];
        header.msg_len = octets;
        header.msg_hdr.msg_controllen = 0;
        1
    }

    /// How many datagrams there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Octets in all of them.
    pub(crate) fn octets(&self) -> usize {
        self.places.iter().map(|place| place.length).sum()
    }

    /// Who sent datagram `index`.
    pub(crate) fn peer(&self, index: usize) -> SocketAddr {
        self.peers[self.places[index].message]
    }

    /// The address that datagram `index` was sent to, where the kernel told it.
    pub(crate) fn destination(&self, index: usize) -> Option<IpAddr> {
        let message = self.places[index].message;
        let used = self.headers.slice(message, 1)[0].msg_hdr.msg_controllen;
        if used == 0 { None } else { self.control(message, used, names::destination) }
    }

    /// Leaves nothing of datagram `index`: somebody else has dealt with it.
    pub(crate) fn empty(&mut self, index: usize) {
        self.places[index].length = 0;
    }

    /// The length of datagram `index`.
    pub(crate) fn length(&self, index: usize) -> usize {
        self.places[index].length
    }

    /// Headroom and datagram `index` behind it.
    pub(crate) fn whole(&self, index: usize) -> &[u8] {
        let Place { start, length, .. } = self.places[index];
        self.bytes.slice(start, HEADROOM + length)
    }

    /// Headroom and datagram `index` behind it, to be changed.
    pub(crate) fn whole_mut(&mut self, index: usize) -> &mut [u8] {
        let Place { start, length, .. } = self.places[index];
        self.bytes.slice_mut(start, HEADROOM + length)
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("count", &self.count).finish_non_exhaustive()
    }
}
