//! The hands of a worker, lent to its handler for one callback.

mod relay;

use crate::core::{Core, Manner, Move, Out, client_session};
use crate::dtls;
use crate::stream::Phase;
use crate::tls::{Identity, Towards};
use crate::{CloseReason, ConnectionInfo, Full, PacketRef, Tag, web};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use wire::{ConnectionId, Epoch, SocketId, WorkerId};

/// A stream with so many octets to send is not left to gather more.
const PLENTY: usize = 16 << 10;

/// The hands of a worker. Effects are queued and carried out right after the callback.
#[derive(Debug)]
pub struct Net<'a, M> {
    core: &'a mut Core<M>,
}

impl<'a, M> Net<'a, M> {
    pub(crate) fn new(core: &'a mut Core<M>) -> Self {
        Self { core }
    }
}

impl<M: Send + 'static> Net<'_, M> {
    /// The time: one reading per wake-up.
    pub fn now(&self) -> Instant {
        self.core.now
    }

    /// Ties [`Self::now`] to the calendar; refreshed every few seconds.
    pub fn epoch(&self) -> Epoch {
        self.core.epoch
    }

    /// This worker.
    pub fn me(&self) -> WorkerId {
        self.core.me
    }

    /// How many workers there are.
    pub fn workers(&self) -> u16 {
        self.core.postbox.workers()
    }

    /// Sends a datagram (the bytes are copied). `local` is the address of ours to send from; it matters on a socket
    /// that is bound to every address, `None` leaves the choice to the kernel. A datagram that the kernel does not take
    /// at once is dropped and counted. A socket that is not open is ignored.
    ///
    /// Datagrams of one socket leave in the order asked for; between sockets there is none.
    pub fn send(&mut self, socket: SocketId, local: Option<IpAddr>, to: SocketAddr, bytes: &[u8]) {
        self.core.outbox.send(socket, local, to, bytes);
    }

    /// Sends a part of a packet of the current batch without copying it; else as [`Self::send`]. Only in
    /// [`Handler::datagrams`](crate::Handler::datagrams), and the part must not be changed there any more afterwards:
    /// what lies there when the callback returns is what leaves.
    pub fn forward(&mut self, socket: SocketId, local: Option<IpAddr>, to: SocketAddr, packet: PacketRef) {
        self.core.outbox.forward(socket, local, to, packet);
    }

    /// What [`Self::send`] or [`Self::forward`] queued last leaves in one piece (IPv4's DF bit; over IPv6 no fragment
    /// header), or, where it is too big for the path, not at all:
    /// [`Handler::unreachable`](crate::Handler::unreachable) then tells the MTU, also where that is known before it leaves.
    pub fn dont_fragment(&mut self) {
        self.core.outbox.dont_fragment();
    }

    /// Queues bytes on a stream, all or nothing: inside TLS once that was asked for. `Ok` and without effect on a
    /// connection that is gone or closing. On a DTLS session the bytes are one message, which may be lost on its way, and
    /// is when it has more than 2^14 octets. On a WebSocket they are one message: text where they are UTF-8, else binary.
    ///
    /// # Errors
    /// [`Full`] when [`Limits::write_buffer`](crate::Limits::write_buffer) would be passed, but for a message on a WebSocket of which
    /// nothing waits: it can only be written whole.
    pub fn write(&mut self, conn: ConnectionId, bytes: &[u8]) -> Result<(), Full> {
        let core = &mut *self.core;
        if dtls::is_dtls(conn) {
            core.seal(conn, bytes);
            return Ok(());
        }
        let limit = core.shared.limits.write_buffer;
        let Some(stream) = core.streams.get_mut(conn).filter(|stream| stream.may_write()) else {
            return Ok(());
        };
        let is_web = stream.web.is_some();
        let size = if is_web { web::Session::size(bytes.len()) } else { bytes.len() };
        let queued = stream.queued();
        if queued + size > limit && !(is_web && queued == 0) {
            return Err(Full);
        }
        let queue = stream.queue(&mut core.spare);
        match is_web {
            true => web::Session::write(bytes, queue),
            false => queue.extend_from_slice(bytes),
        }
        core.chores.hurry |= queue.len() >= PLENTY;
        core.touch(conn);
        Ok(())
    }

    /// As [`Self::write`], but inside TLS the bytes get a record of their own (as many as they need), whatever is
    /// written before and after them: there are peers that take what one record brings for one message.
    ///
    /// # Errors
    /// [`Full`], as for [`Self::write`].
    pub fn write_apart(&mut self, conn: ConnectionId, bytes: &[u8]) -> Result<(), Full> {
        self.cut(conn);
        let written = self.write(conn, bytes);
        self.cut(conn);
        written
    }

    fn cut(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.core.streams.get_mut(conn) {
            stream.cut();
        }
    }

    /// Octets written that the kernel has not taken yet (0 for a connection that is gone).
    pub fn queued(&self, conn: ConnectionId) -> usize {
        self.core.streams.get(conn).map_or(0, |stream| stream.queued())
    }

    /// Closes a stream in order: flush, a WebSocket's close (RFC 6455 §7.1.2), TLS close_notify, FIN, all within [`Limits::linger`](crate::Limits::linger).
    /// Nothing is received from it any more; [`Handler::closed`](crate::Handler::closed) follows right after this
    /// callback (or `refused`, of a connect that was under way), while the rest goes on behind it.
    pub fn close(&mut self, conn: ConnectionId) {
        self.core.end(conn, CloseReason::Local, Manner::Orderly);
    }

    /// Ends a stream at once (RST). [`Handler::closed`](crate::Handler::closed) follows right after this callback.
    pub fn abort(&mut self, conn: ConnectionId) {
        self.core.end(conn, CloseReason::Local, Manner::AtOnce);
    }

    /// Stops reading from a stream: back-pressure to its peer. While paused the peer's close is not seen. A stream that
    /// migrates stays paused; one that starts TLS does not.
    pub fn pause(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.core.streams.get_mut(conn) {
            stream.paused = true;
            self.core.touch(conn);
        }
    }

    /// Reads again from a stream; what had not been taken is offered again, right after this callback.
    pub fn resume(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.core.streams.get_mut(conn)
            && std::mem::take(&mut stream.paused)
        {
            self.core.chores.revisits.push_back(conn);
        }
    }

    /// Starts TLS in mid-stream as the side that accepted. What was written before leaves in plain first; what the peer sent in plain
    /// behind the request is dropped, as it could be anybody's (CVE-2011-0411). `secured` or `closed` follows; until then writes
    /// are kept, to be sent inside TLS. Without effect on a stream that is not open, or inside TLS already. A client that asks for
    /// no name of ours in the handshake is shown the certificate for the one that it has `meant` before.
    pub fn accept_tls(&mut self, conn: ConnectionId, meant: Option<&str>) {
        self.core.start_tls(conn, None, meant.map(Arc::from));
    }

    /// The same as the side that acts as the client, with how and whom to trust.
    pub fn start_tls(&mut self, conn: ConnectionId, towards: Towards) {
        match client_session(towards) {
            Ok(session) => self.core.start_tls(conn, Some(session), None),
            Err(error) => self.core.end(conn, CloseReason::Tls(error.to_string()), Manner::Orderly),
        }
    }

    /// Opens a stream, inside TLS where that is asked for. `opened` or `refused` follows; writes are kept until then.
    pub fn connect(&mut self, to: SocketAddr, tls: Option<Towards>, tag: Tag) -> ConnectionId {
        let patience = self.core.shared.limits.handshake;
        self.core.connect(Out { from: None, to, tls, tag }, patience)
    }

    /// Binds a datagram socket of this worker alone, at once (a relay). Port 0 lets the kernel choose.
    /// Returns its id (not less than [`SocketId::OWN`]) and its address.
    ///
    /// # Errors
    /// The kernel's: the port is in use, the address is not ours, no file descriptor is left.
    pub fn bind_datagram(&mut self, local: SocketAddr, tag: Tag) -> io::Result<(SocketId, SocketAddr)> {
        self.core.sockets.bind(local, tag, &self.core.events)
    }

    /// Closes a socket of [`Self::bind_datagram`] or [`Self::bind_stream`], after what this callback still sends from it.
    pub fn unbind(&mut self, socket: SocketId) {
        self.core.chores.unbinding.push(socket);
    }

    /// Whether the listener of this socket is not in force any more, so that only clients of before are served there.
    pub fn is_retired(&self, socket: SocketId) -> bool {
        self.core.leaving.has(socket)
    }

    /// The mark of a socket, while it is open.
    pub fn socket_tag(&self, socket: SocketId) -> Option<Tag> {
        self.core.sockets.tag(socket)
    }

    /// What a datagram socket is bound to, while it is open.
    pub fn socket_address(&self, socket: SocketId) -> Option<SocketAddr> {
        self.core.sockets.get(socket).map(|datagram| datagram.local)
    }

    /// The mark of a connection, until its `closed` or `refused` has returned.
    pub fn tag(&self, conn: ConnectionId) -> Option<Tag> {
        self.core.streams.get(conn).map(|stream| stream.tag).or_else(|| Some(self.core.dtls.get(conn)?.tag))
    }

    /// What only the two ends of a connection inside TLS 1.3 know: the channel binding `tls-exporter` (RFC 9266).
    pub fn tls_exporter(&self, conn: ConnectionId) -> Option<[u8; 32]> {
        self.core.streams.get(conn)?.facts.as_ref()?.exporter.as_ref()?.expose().try_into().ok()
    }

    /// Whom the client at the other end of a TLS stream was shown, by what is in force now; `None` where that cannot be told
    /// ([`Identities::shown_for`](crate::tls::Identities::shown_for)).
    pub fn shown(&self, conn: ConnectionId) -> Option<Identity> {
        let stream = self.core.streams.get(conn)?;
        let asked = stream.facts.as_ref()?.sni.as_deref();
        self.core.shared.offer(stream.spec?).tls.as_ref()?.shown_for(asked, stream.meant.as_deref())
    }

    /// What is known of a connection, until its `closed` has returned.
    pub fn info(&self, conn: ConnectionId) -> Option<ConnectionInfo> {
        let session = || self.core.dtls.get(conn).map(|peer| peer.info());
        self.core.streams.get(conn).map(|stream| stream.info()).or_else(session)
    }

    /// Hands mail to a worker (this one too: it arrives after the current callback). Never blocks.
    ///
    /// # Errors
    /// Gives the mail back when the receiver's queue is full or it has ended.
    pub fn post(&mut self, to: WorkerId, mail: M) -> Result<(), M> {
        let posted = self.core.postbox.post(to, mail);
        self.core.counters.mail_refused.add(usize::from(posted.is_err()));
        posted
    }

    /// Moves a connection to another worker together with what it has not sent and not taken yet. Here it is gone at
    /// once and without `closed`; there it gets a new id and `adopted` is called. Also in the middle of
    /// [`received`](crate::Handler::received): what is not taken goes along, untaken bytes first. Mail posted before
    /// this arrives before it, mail posted afterwards behind it.
    ///
    /// # Errors
    /// Gives the baggage back when the receiver's queue is full, and when the connection is not open (gone, closing, or
    /// a handshake under way, a DTLS session); nothing has happened then.
    pub fn migrate(&mut self, conn: ConnectionId, to: WorkerId, baggage: M) -> Result<(), M> {
        let core = &mut *self.core;
        let open = |stream: &&mut crate::stream::Stream| stream.phase == Phase::Open && !stream.leaving;
        let Some(stream) = core.streams.get_mut(conn).filter(open) else { return Err(baggage) };
        let Some(place) = core.postbox.reserve(to) else {
            core.counters.mail_refused.add(1);
            return Err(baggage);
        };
        stream.leaving = true;
        stream.fresh = false;
        core.chores.moves.push_back(Move { conn, place, baggage });
        Ok(())
    }
}
