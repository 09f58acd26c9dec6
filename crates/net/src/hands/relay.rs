//! What relays need of a worker: listening at a port of their own, connecting out from it, moving a datagram socket to
//! another worker, and streams whose two directions end one after the other.

use super::Net;
use crate::Tag;
use crate::core::Out;
use crate::datagram::Loose;
use crate::gate::Gate;
use crate::stream::Phase;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use wire::{ConnectionId, SocketId};

impl<M: Send + 'static> Net<'_, M> {
    /// Listens for streams at an address, on this worker alone; port 0 lets the kernel choose. Returns the socket's id
    /// (not less than [`SocketId::OWN`]) and its address. What it accepts is `opened` with this tag and names the
    /// socket ([`ConnectionInfo::listener`](crate::ConnectionInfo::listener)). [`Self::unbind`] closes it; what it has
    /// accepted stays.
    ///
    /// Streams accepted here do not count against [`Limits::connections`](crate::Limits::connections): whoever listens
    /// bounds them.
    ///
    /// # Errors
    /// The kernel's: the port is in use (also if other sockets would share it), the address is not ours, no file
    /// descriptor is left.
    pub fn bind_stream(&mut self, local: SocketAddr, tag: Tag) -> io::Result<(SocketId, SocketAddr)> {
        let (gate, local) = Gate::open(local, tag, &self.core.shared.limits)?;
        let id = self.core.sockets.keep_gate(gate, &self.core.events)?;
        Ok((id, local))
    }

    /// Opens a plain stream from an address and port of ours, which a socket of [`Self::bind_stream`] may be listening
    /// on. `opened` or `refused` follows, the latter after `patience` at the latest.
    pub fn connect_from(
        &mut self,
        local: SocketAddr,
        to: SocketAddr,
        tag: Tag,
        patience: Duration,
    ) -> ConnectionId {
        self.core.connect(Out { from: Some(local), to, tls: None, tag }, patience)
    }

    /// Takes a socket of [`Self::bind_datagram`] away from this worker, to be sent to another. What this callback has
    /// sent from it still leaves; what arrives meanwhile waits in the kernel for the new owner.
    ///
    /// # Errors
    /// The kernel's; also when there is no such socket of this worker alone.
    pub fn release_datagram(&mut self, socket: SocketId) -> io::Result<Loose> {
        let loose = self.core.sockets.release(socket, &self.core.events)?;
        self.core.chores.unbinding.push(socket);
        Ok(loose)
    }

    /// Makes a socket that another worker released one of this worker; it has a new id.
    ///
    /// # Errors
    /// The kernel's; the socket is closed then.
    pub fn adopt_datagram(&mut self, loose: Loose) -> io::Result<(SocketId, SocketAddr)> {
        self.core.sockets.adopt(loose, &self.core.events)
    }

    /// From now on the peer's end of its half is told by [`Handler::ended`](crate::Handler::ended) and leaves ours
    /// open: the stream lives until [`Self::finish`] has ended our half as well, or either side breaks it.
    pub fn keep_half(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.core.streams.get_mut(conn) {
            stream.keeps_half = true;
        }
    }

    /// Ends our half of a stream, behind what is queued: TLS close_notify, FIN. The peer's half goes on. Nothing can be
    /// written any more.
    pub fn finish(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.core.streams.get_mut(conn).filter(|stream| stream.phase == Phase::Open) {
            stream.finishing = true;
            self.core.touch(conn);
        }
    }

    /// Has [`Handler::room`](crate::Handler::room) called once no more than `octets` wait for the kernel to take them,
    /// after this callback at the earliest. Asked again before that, the last word holds.
    pub fn await_room(&mut self, conn: ConnectionId, octets: usize) {
        if let Some(stream) = self.core.streams.get_mut(conn) {
            stream.awaited = Some(octets);
            self.core.touch(conn);
        }
    }
}
