//! Sending datagrams in batches (`sendmmsg`), several of one size to one address as one message (UDP GSO).

use super::names::{self, Control, Name};
use super::shelf::Shelf;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

/// What every call asks for: no waiting, no signal.
const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sends one datagram, without the headers that a batch needs: at the pace of voice nearly all leave alone.
pub(crate) fn send_one(socket: &impl AsFd, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
    match to {
        SocketAddr::V4(to) => send_to(socket, &names::v4_name(to), bytes),
        SocketAddr::V6(to) => send_to(socket, &names::v6_name(to), bytes),
    }
}

fn send_to<N>(socket: &impl AsFd, name: &N, bytes: &[u8]) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let (bytes, length) = (bytes.as_ptr(), bytes.len());
    // Not the C library's function, which is a place where threads may be cancelled: see `Events::wait`.
    // SAFETY: the kernel reads the datagram and the name, both borrowed and of these lengths, within the call.
    let sent = unsafe {
        libc::syscall(libc::SYS_sendto, fd, bytes, length, FLAGS, std::ptr::from_ref(name), size_of::<N>())
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The arrays in which the kernel finds what to send. One set per worker.
pub(crate) struct Departures {
    names: Shelf<Name>,
    controls: Shelf<Control>,
    parts: Shelf<libc::iovec>,
    headers: Shelf<libc::mmsghdr>,
}

impl Departures {
    /// How many messages one call sends at most.
    const MESSAGES: usize = 32;
    /// How many datagrams these messages may hold at most, over all.
    const PARTS: usize = 128;
    /// How many datagrams the kernel takes as one message at most.
    const SEGMENTS: usize = 64;
    /// How many octets a message may have at most (a little below what IPv4 allows).
    const OCTETS: usize = 65_000;

    pub(crate) fn new() -> Self {
        let names = Shelf::new(names::empty_name(), Self::MESSAGES);
        let controls = Shelf::new(Control([0; Control::SIZE]), Self::MESSAGES);
        let parts = Shelf::new(names::empty_iovec(), Self::PARTS);
        let header = |i: usize| {
            let mut header = names::empty_header();
            header.msg_name = names.at(i).cast();
            libc::mmsghdr { msg_hdr: header, msg_len: 0 }
        };
        let headers = (0..Self::MESSAGES).map(header).collect::<Vec<_>>().into();
        Self { names, controls, parts, headers }
    }

    /// Starts to gather datagrams for one call.
    pub(crate) fn gather(&mut self) -> Gathering<'_> {
        Gathering { shelves: self, messages: 0, parts: 0, last: None, _data: PhantomData }
    }
}

impl fmt::Debug for Departures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departures").finish_non_exhaustive()
    }
}

/// Datagrams gathered for one call; it borrows their bytes until it has been sent.
pub(crate) struct Gathering<'a> {
    shelves: &'a mut Departures,
    messages: usize,
    parts: usize,
    last: Option<Last>,
    _data: PhantomData<&'a [u8]>,
}

/// The message that was begun last, as long as it may grow.
#[derive(Clone, Copy)]
struct Last {
    to: SocketAddr,
    from: Option<IpAddr>,
    segment: usize,
    octets: usize,
    datagrams: usize,
    control: usize,
}

impl<'a> Gathering<'a> {
    /// Adds a datagram, as part of the last message where `join` allows and the kernel will. `false`: no room; send first.
    pub(crate) fn push(&mut self, to: SocketAddr, from: Option<IpAddr>, bytes: &'a [u8], join: bool) -> bool {
        if self.parts == Departures::PARTS {
            return false;
        }
        if join && self.joins(to, from, bytes.len()) {
            self.grow(bytes);
            return true;
        }
        if self.messages == Departures::MESSAGES {
            return false;
        }
        self.begin(to, from, bytes);
        true
    }

    fn joins(&self, to: SocketAddr, from: Option<IpAddr>, length: usize) -> bool {
        self.last.is_some_and(|last| {
            length > 0
                && length <= last.segment
                && last.datagrams < Departures::SEGMENTS
                && last.octets + length <= Departures::OCTETS
                && last.octets == last.segment * last.datagrams
                && last.to == to
                && last.from == from
        })
    }

    fn begin(&mut self, to: SocketAddr, from: Option<IpAddr>, bytes: &'a [u8]) {
        let index = self.messages;
        let name_length = names::write_name(&mut self.shelves.names.slice_mut(index, 1)[0], to);
        let control = match from {
            Some(ip) => names::push_source(&mut self.shelves.controls.slice_mut(index, 1)[0], 0, ip),
            None => 0,
        };
        let part = self.put(bytes);
        let controls = self.shelves.controls.at(index);
        let header = &mut self.shelves.headers.slice_mut(index, 1)[0].msg_hdr;
        header.msg_namelen = name_length;
        header.msg_iov = part;
        header.msg_iovlen = 1;
        header.msg_control = if control == 0 { std::ptr::null_mut() } else { controls.cast() };
        header.msg_controllen = control;
        self.messages += 1;
        let length = bytes.len();
        self.last = Some(Last { to, from, segment: length, octets: length, datagrams: 1, control });
    }

    fn grow(&mut self, bytes: &'a [u8]) {
        let last = self.last.as_mut().expect("only a message that was begun grows");
        last.datagrams += 1;
        last.octets += bytes.len();
        let (index, second) = (self.messages - 1, last.datagrams == 2);
        let (segment, used) = (last.segment as u16, last.control);
        self.put(bytes);
        if second {
            let control = &mut self.shelves.controls.slice_mut(index, 1)[0];
            let used = names::push_segment(control, used, segment);
            let controls = self.shelves.controls.at(index);
            let header = &mut self.shelves.headers.slice_mut(index, 1)[0].msg_hdr;
            header.msg_control = controls.cast();
            header.msg_controllen = used;
        }
        self.shelves.headers.slice_mut(index, 1)[0].msg_hdr.msg_iovlen += 1;
    }

    fn put(&mut self, bytes: &'a [u8]) -> *mut libc::iovec {
        let part = &mut self.shelves.parts.slice_mut(self.parts, 1)[0];
        // The kernel only reads from there; the type has no way to say so.
        part.iov_base = bytes.as_ptr().cast_mut().cast();
        part.iov_len = bytes.len();
        self.parts += 1;
        self.shelves.parts.at(self.parts - 1)
    }

    /// Sends without blocking. How many datagrams went out before the kernel stopped; the error only if none did.
    pub(crate) fn send(self, socket: &impl AsFd) -> io::Result<usize> {
        if self.messages == 0 {
            return Ok(0);
        }
        let (fd, headers) = (socket.as_fd().as_raw_fd(), self.shelves.headers.at(0));
        // Not the C library's function, which is a place where threads may be cancelled: see `Events::wait`.
        // SAFETY: the first `messages` headers point at names, controls and parts on shelves that live as long as the
        // borrow in `self`, and the parts at bytes that are borrowed for `'a`, which outlives this call.
        let sent = unsafe { libc::syscall(libc::SYS_sendmmsg, fd, headers, self.messages, FLAGS) };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        Ok(self.shelves.headers.slice(0, sent).iter().map(|h| h.msg_hdr.msg_iovlen).sum())
    }
}
