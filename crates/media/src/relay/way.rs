//! One socket of the relay, with what the path of a packet needs.

use super::Latch;
use super::Number;
use std::net::SocketAddr;
use std::time::Instant;
use wire::SocketId;

/// A socket that faces one end. Its twin faces the other.
#[derive(Debug)]
pub(super) struct Way {
    /// Whose it is.
    pub(super) session: Number,
    /// Who stands at its end.
    pub(super) latch: Latch,
    /// The socket that faces the other end.
    pub(super) twin: SocketId,
    /// Where that sends to: the other end, as far as it is known.
    pub(super) to: Option<SocketAddr>,
    /// Of a port for RTCP: that for the RTP beside it.
    pub(super) rtp: Option<SocketId>,
    /// When something else than RTCP came in here last.
    pub(super) media: Option<Instant>,
    /// What came in here and went on.
    pub(super) packets: u64,
}

impl Way {
    /// By which socket, and to whom, what comes in here goes on.
    #[inline]
    pub(super) fn onward(&self) -> Option<(SocketId, SocketAddr)> {
        self.to.map(|to| (self.twin, to))
    }
}
