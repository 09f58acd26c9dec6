//! Where bytes come from and where they go: transports, sockets, connections, the flow that joins two ends.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// How bytes travel between a client and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A plain stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// Datagrams inside DTLS: each record is one message. To its owner such a session is a connection
    /// ([`Flow::Stream`]) whose bytes come and go message by message, some of them lost.
    Dtls,
    /// A WebSocket (RFC 6455): message by message, in order and without loss.
    Ws,
    /// A WebSocket inside TLS.
    Wss,
}

impl Transport {
    /// Whether bytes arrive in order, without loss: in pieces of any size or, by a WebSocket, in messages.
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls | Self::Ws | Self::Wss)
    }

    /// Whether it is a WebSocket: only the client can open one, and each message comes whole.
    pub const fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Whether a stranger on the path cannot read along.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Dtls | Self::Wss)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

/// One worker: a thread with its own sockets, connections and machines. Numbered from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// A datagram socket. Below [`SocketId::OWN`] it names a listener, of which every worker holds its own
/// `SO_REUSEPORT` twin under the same number; from there on it is a socket of one worker alone (a relay).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

impl SocketId {
    /// The first number of sockets that belong to one worker alone.
    pub const OWN: u32 = 1 << 16;

    /// Whether every worker has a twin of this socket.
    pub const fn is_shared(self) -> bool {
        self.0 < Self::OWN
    }
}

/// A stream connection: unique in this process as long as it runs, and it says which worker owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// Who owns the connection.
    pub worker: WorkerId,
    /// Its place in the owner's table.
    pub slot: u32,
    /// Tells it from earlier connections in the same place.
    pub generation: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.worker.0, self.slot, self.generation)
    }
}

/// A client's way to us and back: what a reply needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flow {
    /// Datagrams between one of our sockets and a peer.
    Datagram {
        /// Our socket.
        socket: SocketId,
        /// The address of ours that the peer wrote to; replies leave from it.
        local: IpAddr,
        /// The peer, as seen by us.
        peer: SocketAddr,
    },
    /// A connection: a stream, or a session of DTLS.
    Stream(ConnectionId),
}

/// Protocol, our address, the peer's: what tells one client from another (RFC 8656 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FiveTuple {
    /// How bytes travel.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end, as seen by us.
    pub peer: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_transports_are() {
        let facts = |t: Transport| (t.to_string(), t.is_stream(), t.is_secure(), t.is_web());
        assert_eq!(facts(Transport::Dtls), ("dtls".into(), false, true, false));
        assert_eq!(facts(Transport::Tls), ("tls".into(), true, true, false));
        assert_eq!(facts(Transport::Udp), ("udp".into(), false, false, false));
        assert_eq!(facts(Transport::Ws), ("ws".into(), true, false, true));
        assert_eq!(facts(Transport::Wss), ("wss".into(), true, true, true));
    }
}
