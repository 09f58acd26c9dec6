//! Stream sockets that one worker alone listens on, and connections out from the same address and port (a TCP relay has
//! both, RFC 6062 §5.2).

use crate::limits::Limits;
use crate::{Tag, listen};
use socket2::Socket;
use std::io;
use std::net::SocketAddr;

/// A listening stream socket of one worker.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) socket: Socket,
    pub(crate) tag: Tag,
}

/// Connections that may wait to be accepted at one gate.
const BACKLOG: i32 = 64;

impl Gate {
    /// Listens at an address; says at which port if the kernel chose it.
    pub(crate) fn open(local: SocketAddr, tag: Tag, limits: &Limits) -> io::Result<(Self, SocketAddr)> {
        let socket = listen::stream_socket(local)?;
        socket.set_nonblocking(true)?;
        limits.prepare_stream(&socket)?;
        // Bound while nobody may share the port: what anybody else has is refused.
        socket.bind(&local.into())?;
        // From here on our own connections may leave from it.
        share_port(&socket)?;
        socket.listen(BACKLOG)?;
        let bound = socket.local_addr()?.as_socket().unwrap_or(local);
        Ok((Self { socket, tag }, bound))
    }
}

/// Binds a socket that is to connect to a port that a [`Gate`] may listen on.
pub(crate) fn bind_beside(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    share_port(socket)?;
    socket.bind(&local.into())
}

fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}
