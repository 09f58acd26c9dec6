//! Datagrams that arrived together on one socket, lying in the worker's own buffers with room in front of each.

use crate::sys::Arrivals;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Writable octets in front of every received datagram: enough for a Data indication's header over IPv6, or a
/// ChannelData header.
pub const HEADROOM: usize = 64;

/// The datagrams of one callback. All positions in a packet count from the start of its headroom: the datagram itself
/// lies at `HEADROOM..HEADROOM + len`. One that was not for the handler (DTLS, on a socket where both come in) is empty.
#[derive(Debug)]
pub struct Batch<'a> {
    arrivals: &'a mut Arrivals,
    /// The socket's own address: what `local` answers where the kernel tells nothing.
    fixed: IpAddr,
}

/// A part of a packet of the current batch, to be sent by [`Net::forward`](crate::Net::forward) without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRef {
    pub(crate) index: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(arrivals: &'a mut Arrivals, fixed: IpAddr) -> Self {
        Self { arrivals, fixed }
    }

    /// How many datagrams there are (at least 1).
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Empties datagram `index`, which is none of the handler's.
    pub(crate) fn hide(&mut self, index: usize) {
        self.arrivals.empty(index);
    }

    /// Who sent datagram `index`.
    ///
    /// # Panics
    /// When there is none of this index; as in all methods that take one.
    pub fn peer(&self, index: usize) -> SocketAddr {
        self.arrivals.peer(index)
    }

    /// The address of ours that it was sent to; hand it to `send` or `forward` so that replies leave from there.
    pub fn local(&self, index: usize) -> IpAddr {
        self.arrivals.destination(index).unwrap_or(self.fixed)
    }

    /// The datagram.
    pub fn data(&self, index: usize) -> &[u8] {
        &self.arrivals.whole(index)[HEADROOM..]
    }

    /// The datagram, to be changed in place.
    pub fn data_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.arrivals.whole_mut(index)[HEADROOM..]
    }

    /// The headroom and the datagram behind it as one slice: `HEADROOM + data.len()` octets.
    pub fn whole_mut(&mut self, index: usize) -> &mut [u8] {
        self.arrivals.whole_mut(index)
    }

    /// Names a part of packet `index` for [`Net::forward`](crate::Net::forward), counted in [`Self::whole_mut`].
    ///
    /// # Panics
    /// When `part` leaves the packet.
    pub fn part(&self, index: usize, part: Range<usize>) -> PacketRef {
        let whole = HEADROOM + self.arrivals.length(index);
        assert!(part.start <= part.end && part.end <= whole, "{part:?} in a packet of {whole} octets");
        PacketRef { index: index as u32, start: part.start as u32, end: part.end as u32 }
    }
}
