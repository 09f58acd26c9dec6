//! Datagrams that a callback wants sent: queued without a copy where they lie in the current batch, then sent socket by
//! socket in as few calls as the kernel allows. What it does not take at once is dropped and counted.

use crate::PacketRef;
use crate::counters::Counters;
use crate::datagram::{Datagram, Sockets};
use crate::sys::{self, Arrivals, Departures, Gathering};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use wire::SocketId;

/// The datagrams of one callback.
#[derive(Debug)]
pub(crate) struct Outbox {
    entries: Vec<Entry>,
    copied: Vec<u8>,
    departures: Departures,
    /// Whom those were for that were to leave whole and were too big: the kernel tells the address only, not the port.
    oversized: Vec<(SocketId, SocketAddr)>,
    /// How many packets the current batch has; `forward` means something only while it has any.
    pub(crate) batch: usize,
}

#[derive(Debug)]
struct Entry {
    socket: SocketId,
    order: u32,
    to: SocketAddr,
    from: Option<IpAddr>,
    bytes: Bytes,
    /// Whether it leaves in one piece or not at all.
    whole: bool,
}

#[derive(Debug)]
enum Bytes {
    Copied { start: usize, end: usize },
    Packet(PacketRef),
}

/// How many that were too big are remembered until the kernel tells of them.
const OVERSIZED: usize = 32;

/// More copies than this are not kept room for.
const KEPT: usize = 256 << 10;

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::with_capacity(4 * Arrivals::AT_ONCE),
            copied: Vec::new(),
            departures: Departures::new(),
            oversized: Vec::new(),
            batch: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn send(&mut self, socket: SocketId, from: Option<IpAddr>, to: SocketAddr, bytes: &[u8]) {
        let start = self.copied.len();
        self.copied.extend_from_slice(bytes);
        self.push(socket, from, to, Bytes::Copied { start, end: start + bytes.len() });
    }

    pub(crate) fn forward(
        &mut self,
        socket: SocketId,
        from: Option<IpAddr>,
        to: SocketAddr,
        packet: PacketRef,
    ) {
        if (packet.index as usize) < self.batch {
            self.push(socket, from, to, Bytes::Packet(packet));
        }
    }

    fn push(&mut self, socket: SocketId, from: Option<IpAddr>, to: SocketAddr, bytes: Bytes) {
        let order = self.entries.len() as u32;
        self.entries.push(Entry { socket, order, to, from, bytes, whole: false });
    }

    /// What was queued last leaves in one piece or not at all.
    pub(crate) fn dont_fragment(&mut self) {
        if let Some(entry) = self.entries.last_mut() {
            entry.whole = true;
        }
    }

    /// Whom the kernel means that names an address without a port, as it does for what was too big to be sent.
    pub(crate) fn whom(&mut self, socket: SocketId, named: SocketAddr) -> Option<SocketAddr> {
        if named.port() != 0 {
            return Some(named);
        }
        let at = self.oversized.iter().position(|(of, to)| *of == socket && to.ip() == named.ip())?;
        Some(self.oversized.remove(at).1)
    }

    /// The kernel has told of all that were too big for a socket.
    pub(crate) fn told(&mut self, socket: SocketId) {
        self.oversized.retain(|(of, _)| *of != socket);
    }

    /// Sends everything queued, and closes own sockets; afterwards the batch may be overwritten. A socket that is to be
    /// closed sends first, and is closed before a listener answers: who hears of it finds the port free.
    pub(crate) fn flush(
        &mut self,
        sockets: &mut Sockets,
        unbinding: &mut Vec<SocketId>,
        arrivals: &Arrivals,
        counters: &Counters,
    ) {
        if !self.entries.is_sorted_by_key(|e| e.socket.0) {
            self.entries.sort_unstable_by_key(|e| (e.socket.0, e.order));
        }
        let listeners = self.entries.partition_point(|e| e.socket.is_shared());
        self.send_part(listeners..self.entries.len(), sockets, arrivals, counters);
        for socket in unbinding.drain(..) {
            sockets.unbind(socket);
            // Of a closed socket the kernel tells nothing any more.
            self.told(socket);
        }
        self.send_part(0..listeners, sockets, arrivals, counters);
        self.entries.clear();
        self.copied.clear();
        self.copied.shrink_to(KEPT);
    }

    fn send_part(&mut self, part: Range<usize>, sockets: &Sockets, arrivals: &Arrivals, counters: &Counters) {
        let Self { entries, copied, departures, oversized, .. } = self;
        for run in entries[part].chunk_by(|a, b| (a.socket, a.whole) == (b.socket, b.whole)) {
            let mut run = Run { entries: run, copied, arrivals, counters };
            match sockets.get(run.entries[0].socket) {
                Some(datagram) if run.entries[0].whole => {
                    run.send_whole(datagram, departures, oversized);
                }
                Some(datagram) => run.send(datagram, departures),
                None => run.drop_all(),
            }
        }
    }
}

/// Datagrams for one socket that are still to be sent.
struct Run<'a> {
    entries: &'a [Entry],
    copied: &'a [u8],
    arrivals: &'a Arrivals,
    counters: &'a Counters,
}

/// How to go on after the kernel has refused the first datagram of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// It has no room: give up what is left.
    Stop,
    /// The error may have been that of an earlier datagram, told now: once more.
    Again,
    /// It does not take several as one message here: one by one.
    Singly,
    /// It will not take this one.
    Skip,
}

impl Run<'_> {
    fn bytes(&self, entry: &Entry) -> &[u8] {
        match entry.bytes {
            Bytes::Copied { start, end } => &self.copied[start..end],
            Bytes::Packet(p) => {
                let whole = self.arrivals.whole(p.index as usize);
                // Empty if somebody kept the name of a packet of an earlier batch.
                whole.get(p.start as usize..p.end as usize).unwrap_or_default()
            }
        }
    }

    /// The option is the socket's, not the datagram's: it is set for this run and taken back. One by one, so that it is
    /// known which one is too big.
    fn send_whole(
        &mut self,
        datagram: &Datagram,
        departures: &mut Departures,
        oversized: &mut Vec<(SocketId, SocketAddr)>,
    ) {
        let is_ipv6 = datagram.local.is_ipv6();
        if sys::allow_fragments(&datagram.socket, is_ipv6, false).is_err() {
            return self.drop_all();
        }
        for entry in self.entries {
            let mut one = departures.gather();
            one.push(entry.to, None, self.bytes(entry), false);
            match one.send(&datagram.socket) {
                Ok(_) => self.took(1),
                Err(error) => {
                    if error.raw_os_error() == Some(libc::EMSGSIZE) && oversized.len() < OVERSIZED {
                        oversized.push((entry.socket, entry.to));
                    }
                    self.skip(1);
                }
            }
        }
        let _ = sys::allow_fragments(&datagram.socket, is_ipv6, true);
    }

    fn send(&mut self, datagram: &Datagram, departures: &mut Departures) {
        let (mut join, mut tried) = (true, 0);
        while !self.entries.is_empty() {
            match self.attempt(datagram, departures, join) {
                Ok(sent) if sent > 0 => {
                    self.took(sent);
                    (join, tried) = (true, 0);
                }
                Ok(_) => return self.drop_all(),
                Err(error) => match remedy(&error, join, tried) {
                    Remedy::Stop => return self.drop_all(),
                    Remedy::Again => {
                        if error.raw_os_error() == Some(libc::EMSGSIZE) && self.entries[0].socket.is_shared()
                        {
                            let _ = sys::cut_what_does_not_fit(&datagram.socket, datagram.local.is_ipv6());
                        }
                        tried += 1;
                    }
                    Remedy::Singly => join = false,
                    Remedy::Skip => {
                        self.skip(1);
                        (join, tried) = (true, 0);
                    }
                },
            }
        }
    }

    /// Sends as many as one call takes; how many went out, the error only if none did.
    fn attempt(&self, datagram: &Datagram, departures: &mut Departures, join: bool) -> io::Result<usize> {
        match self.entries {
            [only] if only.from.is_none() || datagram.is_fixed => {
                sys::send_one(&datagram.socket, only.to, self.bytes(only)).map(|()| 1)
            }
            _ => self.gather(departures.gather(), datagram, join).send(&datagram.socket),
        }
    }

    fn gather<'b>(&'b self, mut into: Gathering<'b>, datagram: &Datagram, join: bool) -> Gathering<'b> {
        for entry in self.entries {
            let from = if datagram.is_fixed { None } else { entry.from };
            if !into.push(entry.to, from, self.bytes(entry), join) {
                break;
            }
        }
        into
    }

    fn took(&mut self, count: usize) {
        let octets: usize = self.entries[..count].iter().map(|e| self.bytes(e).len()).sum();
        self.counters.datagrams_out.add(count);
        self.counters.datagram_bytes_out.add(octets);
        self.entries = &self.entries[count..];
    }

    fn skip(&mut self, count: usize) {
        self.counters.datagrams_dropped.add(count);
        self.entries = &self.entries[count..];
    }

    fn drop_all(&mut self) {
        self.skip(self.entries.len());
    }
}

/// How many errors of earlier datagrams may come one after the other, between one attempt and the next.
const OTHERS: u32 = 8;

/// `tried`: how often the same datagram was refused before.
fn remedy(error: &io::Error, joined: bool, tried: u32) -> Remedy {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Remedy::Stop,
        // Too large for the route with segmentation, or no checksum offload on the device: fragments may still pass.
        Some(libc::EINVAL | libc::EMSGSIZE | libc::EIO | libc::EOPNOTSUPP) if joined => Remedy::Singly,
        // Never that of this datagram, as no socket here is connected: each attempt takes one such error away.
        Some(libc::ECONNREFUSED) if tried < OTHERS => Remedy::Again,
        _ if tried == 0 => Remedy::Again,
        _ => Remedy::Skip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: i32, joined: bool, tried: u32, expected: Remedy) {
        assert_eq!(remedy(&io::Error::from_raw_os_error(code), joined, tried), expected, "errno {code}");
    }

    #[test]
    fn what_the_kernel_refuses_costs_as_little_as_it_can() {
        check(libc::EAGAIN, true, 0, Remedy::Stop);
        check(libc::ENOBUFS, false, 0, Remedy::Stop);
        check(libc::EINVAL, true, 0, Remedy::Singly);
        check(libc::EMSGSIZE, true, 1, Remedy::Singly);
        check(libc::EMSGSIZE, false, 0, Remedy::Again);
        check(libc::EMSGSIZE, false, 1, Remedy::Skip);
        check(libc::ECONNREFUSED, true, 0, Remedy::Again);
        check(libc::ECONNREFUSED, true, 1, Remedy::Again);
        check(libc::ECONNREFUSED, true, OTHERS, Remedy::Skip);
        check(libc::ENETUNREACH, false, 1, Remedy::Skip);
    }

    #[test]
    fn where_the_kernel_does_not_cut_up_they_leave_one_by_one() {
        let any = "127.0.0.1:0".parse().unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let to = peer.local_addr().unwrap();
        let events = crate::sys::Events::new().unwrap();
        let mut sockets = Sockets::new(65_536);
        let (id, _) = sockets.bind(any, crate::Tag(1), &events).unwrap();
        sys::without_checksums(&sockets.get(id).unwrap().socket).unwrap();
        let (mut outbox, counters) = (Outbox::new(), Counters::default());
        for n in 0..5 {
            outbox.send(id, None, to, &[n; 100]);
        }
        outbox.flush(&mut sockets, &mut Vec::new(), &Arrivals::new(), &counters);
        for n in 0..5 {
            let mut bytes = [0; 200];
            assert_eq!((peer.recv(&mut bytes).unwrap(), bytes[0]), (100, n));
        }
        let counts = counters.read();
        assert_eq!((counts.datagrams_out, counts.datagrams_dropped), (5, 0));
    }

    #[test]
    fn what_was_too_big_for_a_socket_is_forgotten_when_it_is_closed() {
        let events = crate::sys::Events::new().unwrap();
        let mut sockets = Sockets::new(1 << 20);
        let Ok((id, _)) = sockets.bind("[::1]:0".parse().unwrap(), crate::Tag(1), &events) else {
            return; // This host has no IPv6.
        };
        let (mut outbox, counters) = (Outbox::new(), Counters::default());
        outbox.send(id, None, "[::1]:9".parse().unwrap(), &[0; 65_520]);
        outbox.dont_fragment();
        outbox.flush(&mut sockets, &mut Vec::new(), &Arrivals::new(), &counters);
        assert_eq!(outbox.oversized.len(), 1);
        outbox.flush(&mut sockets, &mut vec![id], &Arrivals::new(), &counters);
        assert!(outbox.oversized.is_empty());
    }
}
