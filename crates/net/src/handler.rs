//! What the product gives to a worker, and the words in which the worker tells it what happened.

use crate::tls::CertificateDer;
use crate::{Batch, Net, Subprotocol, Unwanted, WebFacts, WebRequest};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::{ConnectionId, SocketId, Transport};

/// What the product gives net: one value per worker, made and called on that worker's thread only.
///
/// Callbacks must not block. What they ask of [`Net`] is carried out right after they return.
///
/// Every connection that was shown by [`opened`](Self::opened) or [`adopted`](Self::adopted) ends with exactly one
/// [`closed`](Self::closed) (also when this side closed it) unless it was migrated away; then its new owner is told.
pub trait Handler: 'static {
    /// What workers hand over to one another, and the back office to workers.
    type Mail: Send + 'static;

    /// Called once, before anything else: sockets that the handler binds are there before anything is read from a listener.
    fn begin(&mut self, _net: &mut Net<'_, Self::Mail>) {}

    /// A batch of datagrams that arrived on one socket. Each may be changed in place; there are
    /// [`HEADROOM`](crate::HEADROOM) writable bytes in front of each.
    fn datagrams(&mut self, net: &mut Net<'_, Self::Mail>, socket: SocketId, batch: &mut Batch<'_>);

    /// An ICMP error for an earlier datagram from `socket` to `peer` (Linux `IP_RECVERR`).
    fn unreachable(
        &mut self,
        net: &mut Net<'_, Self::Mail>,
        socket: SocketId,
        peer: SocketAddr,
        error: IcmpError,
    );

    /// Asked of every stream that was accepted, before its TLS handshake: whether it may go on. One that may not is closed
    /// without a word, and nothing more is said of it. `tag` is the listener's; where several share that, each of theirs, and
    /// again the one whose the stream has turned out to be.
    fn welcomes(&self, _now: Instant, _tag: Tag, _peer: SocketAddr) -> bool {
        true
    }

    /// Asked of every stream that begins as a request for a WebSocket, where its listener lets those in: what is spoken on
    /// it and whose it is, or why it is not wanted. `tag` is the listener's. The stream is `opened` when it is granted, with
    /// the mark that this answers.
    fn upgrades(&mut self, _tag: Tag, _request: &WebRequest<'_>) -> Result<(Tag, Subprotocol), Unwanted> {
        Err(Unwanted::Path)
    }

    /// A stream is ready: accepted (its TLS handshake done where the listener asks for one) or connected by us. A DTLS
    /// session is a connection too; it is never paused, never started TLS in and never moved.
    fn opened(&mut self, net: &mut Net<'_, Self::Mail>, conn: ConnectionId, info: &ConnectionInfo);

    /// A [`Net::connect`] failed; `tag` is what it was asked with. Neither `opened` nor `closed` is called for it.
    fn refused(&mut self, net: &mut Net<'_, Self::Mail>, conn: ConnectionId, tag: Tag, error: &io::Error);

    /// The TLS asked for by [`Net::start_tls`] is up. (If it fails, `closed` is called instead.)
    fn secured(&mut self, net: &mut Net<'_, Self::Mail>, conn: ConnectionId, info: &ConnectionInfo);

    /// Plaintext bytes of a stream, in order, in pieces of any size. Returns how many were taken: the rest is offered
    /// again with more behind it. If [`Limits::read_buffer`](crate::Limits::read_buffer) bytes wait and none of them is
    /// taken, the connection is closed with [`CloseReason::ReadOverflow`]. A handler that buffers by itself returns
    /// `data.len()`.
    ///
    /// Of a DTLS session and of a WebSocket, each call brings one message, whole, and what is not taken of it is dropped.
    fn received(&mut self, net: &mut Net<'_, Self::Mail>, conn: ConnectionId, data: &[u8]) -> usize;

    /// After [`Net::keep_half`]: the peer has ended its half, and all it sent has been offered. Ours is still open.
    fn ended(&mut self, _net: &mut Net<'_, Self::Mail>, _conn: ConnectionId) {}

    /// What [`Net::await_room`] asked for has come about.
    fn room(&mut self, _net: &mut Net<'_, Self::Mail>, _conn: ConnectionId) {}

    /// The stream is gone; nothing more comes of it. [`Net::tag`] still answers for it during this call.
    fn closed(&mut self, net: &mut Net<'_, Self::Mail>, conn: ConnectionId, reason: CloseReason);

    /// A connection migrated to this worker, with what the old owner sent along. Bytes that the old owner had not taken
    /// follow by [`received`](Self::received).
    fn adopted(
        &mut self,
        net: &mut Net<'_, Self::Mail>,
        conn: ConnectionId,
        info: &ConnectionInfo,
        baggage: Self::Mail,
    );

    /// Mail from another worker or the back office. Mail between two workers arrives in the order it was posted.
    fn mail(&mut self, net: &mut Net<'_, Self::Mail>, mail: Self::Mail);

    /// The deadline has come (or passed).
    fn tick(&mut self, net: &mut Net<'_, Self::Mail>);

    /// When [`tick`](Self::tick) is wanted. Asked again after every callback, so it must be cheap.
    fn deadline(&self) -> Option<Instant>;

    /// Asked now and then of a datagram listener that is not in force any more
    /// ([`Reception::change`](crate::Reception::change)): whether it has clients yet. Once it has none in any worker its
    /// sockets are closed.
    fn holds(&self, _socket: SocketId) -> bool {
        false
    }

    /// Asked once a stop was ordered: whether nothing is left that is worth waiting for. The worker ends when this holds
    /// and no connection is open, or when the time given to [`Running::stop`](crate::Running::stop) is up.
    fn drained(&self) -> bool {
        true
    }
}

/// The product's own mark on a listener, a socket or a connection (which service it belongs to, and in which role).
/// Net carries it and never looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

/// What is known of a stream connection when it is ready, secured or adopted.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// The mark of the listener that accepted it, or the one given to [`Net::connect`].
    pub tag: Tag,
    /// Whether we opened it.
    pub outgoing: bool,
    /// [`Transport::Tcp`], or [`Transport::Tls`] once TLS is up (also when it was started in mid-stream);
    /// [`Transport::Dtls`] of a DTLS session, [`Transport::Ws`] or [`Transport::Wss`] of a WebSocket.
    pub transport: Transport,
    /// The socket of [`Net::bind_stream`] that accepted it, if one did.
    pub listener: Option<SocketId>,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end; where a proxy passes the stream on, as that says.
    pub peer: SocketAddr,
    /// That proxy.
    pub proxy: Option<SocketAddr>,
    /// The server name that the client asked for (RFC 6066 §3); of accepted connections only.
    pub sni: Option<String>,
    /// The application protocol agreed on (RFC 7301), if any.
    pub alpn: Option<Vec<u8>>,
    /// What was negotiated, once TLS is up.
    pub tls: Option<TlsFacts>,
    /// What was agreed on, of a WebSocket.
    pub web: Option<WebFacts>,
    /// The certificates that the peer has shown, its own first. Of a connection that we opened they have been judged by its
    /// configuration; of an accepted one it is only known that the peer has the key.
    pub chain: Option<Arc<[CertificateDer<'static>]>>,
}

impl ConnectionInfo {
    /// Who is at the other end of the connection itself: the proxy where there is one, else the peer.
    pub fn nearest(&self) -> SocketAddr {
        self.proxy.unwrap_or(self.peer)
    }
}

/// What a TLS handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The protocol version.
    pub version: TlsVersion,
    /// The cipher suite as IANA names it, for instance `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
}

/// The versions of TLS that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
    /// RFC 6347.
    Dtls12,
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// This side asked for it ([`Net::close`] or [`Net::abort`]).
    Local,
    /// The peer closed it, or its half of it.
    Peer,
    /// The network broke it.
    Failed(io::ErrorKind),
    /// [`Limits::read_buffer`](crate::Limits::read_buffer) bytes waited and the handler took none.
    ReadOverflow,
    /// No plaintext byte came within [`Limits::first_byte`](crate::Limits::first_byte), none of a DTLS session within
    /// [`Limits::session_idle`](crate::Limits::session_idle), or no sign of life, or no end of a message, of a WebSocket
    /// ([`Limits::web_silence`](crate::Limits::web_silence)).
    Silent,
    /// TLS was not up within [`Limits::handshake`](crate::Limits::handshake) (after `start_tls`).
    HandshakeTimeout,
    /// TLS failed: what was wrong, for the log.
    Tls(String),
    /// What came by a WebSocket broke its rules: the code that it was closed with (RFC 6455 §7.4.1).
    Web(u16),
    /// The worker ends.
    Shutdown,
}

/// The write buffer of the connection has no room for these bytes; none of them was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection's write buffer is full")]
pub struct Full;

/// An ICMP error as the kernel reports it (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The ICMP type; of ICMPv6 where the peer's address is IPv6.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// What came with it: the next hop's MTU for "too big", else 0.
    pub info: u32,
}
