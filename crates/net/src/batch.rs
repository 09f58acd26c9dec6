//! Datagrams that arrived together on one socket, lying in the worker's own buffers with room in front of each.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Writable octets in front of every received datagram: enough for a Data indication's header over IPv6, or a
/// ChannelData header.
pub const HEADROOM: usize = 64;

/// The datagrams of one callback. All positions in a packet count from the start of its headroom: the datagram itself
/// lies at `HEADROOM..HEADROOM + len`.
#[derive(Debug)]
pub struct Batch<'a> {
    _buffers: PhantomData<&'a mut [u8]>,
}

/// A part of a packet of the current batch, to be sent by [`Net::forward`](crate::Net::forward) without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRef {
    pub(crate) index: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Batch<'_> {
    /// How many datagrams there are (at least 1).
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Who sent datagram `index`.
    pub fn peer(&self, _index: usize) -> SocketAddr {
        unimplemented!()
    }

    /// The address of ours that it was sent to; hand it to `send` or `forward` so that replies leave from there.
    pub fn local(&self, _index: usize) -> IpAddr {
        unimplemented!()
    }

    /// The datagram.
    pub fn data(&self, _index: usize) -> &[u8] {
        unimplemented!()
    }

    /// The datagram, to be changed in place.
    pub fn data_mut(&mut self, _index: usize) -> &mut [u8] {
        unimplemented!()
    }

    /// The headroom and the datagram behind it as one slice: `HEADROOM + data.len()` octets.
    pub fn whole_mut(&mut self, _index: usize) -> &mut [u8] {
        unimplemented!()
    }

    /// Names a part of packet `index` for [`Net::forward`](crate::Net::forward), counted in [`Self::whole_mut`].
    ///
    /// # Panics
    /// When `part` leaves the packet.
    pub fn part(&self, _index: usize, _part: Range<usize>) -> PacketRef {
        unimplemented!()
    }
}
