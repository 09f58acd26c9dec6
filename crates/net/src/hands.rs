//! The hands of a worker, lent to its handler for one callback.

use crate::tls::ServerName;
use crate::{ConnectionInfo, Full, PacketRef, Tag};
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use wire::{ConnectionId, Epoch, SocketId, WorkerId};

/// The hands of a worker. Effects are queued and carried out right after the callback.
#[derive(Debug)]
pub struct Net<'a, M> {
    _core: PhantomData<&'a mut M>,
}

impl<M: Send + 'static> Net<'_, M> {
    /// The time: one reading per wake-up.
    pub fn now(&self) -> Instant {
        unimplemented!()
    }

    /// Ties [`Self::now`] to the calendar; refreshed every few seconds.
    pub fn epoch(&self) -> Epoch {
        unimplemented!()
    }

    /// This worker.
    pub fn me(&self) -> WorkerId {
        unimplemented!()
    }

    /// How many workers there are.
    pub fn workers(&self) -> u16 {
        unimplemented!()
    }

    /// Sends a datagram (the bytes are copied). `local` is the address of ours to send from; it matters on a socket
    /// that is bound to every address, `None` leaves the choice to the kernel. A datagram that the kernel does not take
    /// at once is dropped and counted. A socket that is not open is ignored.
    pub fn send(&mut self, _socket: SocketId, _local: Option<IpAddr>, _to: SocketAddr, _bytes: &[u8]) {
        unimplemented!()
    }

    /// Sends a part of a packet of the current batch without copying it; else as [`Self::send`]. Only in
    /// [`Handler::datagrams`](crate::Handler::datagrams), whose batch must not be changed there any more afterwards.
    pub fn forward(
        &mut self,
        _socket: SocketId,
        _local: Option<IpAddr>,
        _to: SocketAddr,
        _packet: PacketRef,
    ) {
        unimplemented!()
    }

    /// Queues bytes on a stream, all or nothing: inside TLS once that was asked for. `Ok` and without effect on a
    /// connection that is gone or closing.
    ///
    /// # Errors
    /// [`Full`] when [`Limits::write_buffer`](crate::Limits::write_buffer) would be passed.
    pub fn write(&mut self, _conn: ConnectionId, _bytes: &[u8]) -> Result<(), Full> {
        unimplemented!()
    }

    /// Octets written that the kernel has not taken yet (0 for a connection that is gone).
    pub fn queued(&self, _conn: ConnectionId) -> usize {
        unimplemented!()
    }

    /// Closes a stream in order: flush, TLS close_notify, FIN, all within [`Limits::linger`](crate::Limits::linger).
    /// Nothing is received from it any more. [`Handler::closed`](crate::Handler::closed) follows at the end.
    pub fn close(&mut self, _conn: ConnectionId) {
        unimplemented!()
    }

    /// Ends a stream at once (RST). [`Handler::closed`](crate::Handler::closed) follows.
    pub fn abort(&mut self, _conn: ConnectionId) {
        unimplemented!()
    }

    /// Stops reading from a stream: back-pressure to its peer. While paused the peer's close is not seen.
    pub fn pause(&mut self, _conn: ConnectionId) {
        unimplemented!()
    }

    /// Reads again from a stream; what had not been taken is offered again.
    pub fn resume(&mut self, _conn: ConnectionId) {
        unimplemented!()
    }

    /// Starts TLS in mid-stream, as the side that accepted or that connected (then `name` is whom to expect; accepted
    /// connections give `None`). What was written before leaves in plain first; what the peer sent in plain behind the
    /// request is dropped, as it could be anybody's (CVE-2011-0411). `secured` or `closed` follows; until then writes
    /// are kept, to be sent inside TLS.
    pub fn start_tls(&mut self, _conn: ConnectionId, _name: Option<ServerName<'static>>) {
        unimplemented!()
    }

    /// Opens a stream, inside TLS where a server name is given. `opened` or `refused` follows; writes are kept until then.
    pub fn connect(&mut self, _to: SocketAddr, _tls: Option<ServerName<'static>>, _tag: Tag) -> ConnectionId {
        unimplemented!()
    }

    /// Binds a datagram socket of this worker alone, at once (a relay). Port 0 lets the kernel choose.
    /// Returns its id (not less than [`SocketId::OWN`]) and its address.
    ///
    /// # Errors
    /// The kernel's: the port is in use, the address is not ours, no file descriptor is left.
    pub fn bind_datagram(&mut self, _local: SocketAddr, _tag: Tag) -> io::Result<(SocketId, SocketAddr)> {
        unimplemented!()
    }

    /// Closes a socket of [`Self::bind_datagram`], after what this callback still sends from it.
    pub fn unbind(&mut self, _socket: SocketId) {
        unimplemented!()
    }

    /// The mark of a datagram socket, while it is open.
    pub fn socket_tag(&self, _socket: SocketId) -> Option<Tag> {
        unimplemented!()
    }

    /// The mark of a connection, until its `closed` or `refused` has returned.
    pub fn tag(&self, _conn: ConnectionId) -> Option<Tag> {
        unimplemented!()
    }

    /// What is known of a connection, until its `closed` has returned.
    pub fn info(&self, _conn: ConnectionId) -> Option<ConnectionInfo> {
        unimplemented!()
    }

    /// Hands mail to a worker (this one too: it arrives after the current callback). Never blocks.
    ///
    /// # Errors
    /// Gives the mail back when the receiver's queue is full or it has ended.
    pub fn post(&mut self, _to: WorkerId, _mail: M) -> Result<(), M> {
        unimplemented!()
    }

    /// Moves a connection to another worker together with what it has not sent and not taken yet. Here it is gone at
    /// once and without `closed`; there it gets a new id and `adopted` is called. Also in the middle of
    /// [`received`](crate::Handler::received): what is not taken goes along. A connection that is gone, or whose
    /// handshake is under way, cannot be moved: then the baggage is dropped and `closed` tells here what became of it.
    ///
    /// # Errors
    /// Gives the baggage back when the receiver's queue is full; the connection stays.
    pub fn migrate(&mut self, _conn: ConnectionId, _to: WorkerId, _baggage: M) -> Result<(), M> {
        unimplemented!()
    }
}
