//! Accepting streams on sockets that this worker alone listens on.

use super::Worker;
use super::accept::{AT_ONCE, REST, is_scarcity};
use crate::core::Due;
use crate::stream::Stream;
use crate::sys::Interest;
use crate::token::Token;
use crate::{Handler, Net, Tag};
use std::io;
use std::net::{SocketAddr, TcpStream};
use wire::SocketId;

impl<H: Handler> Worker<H> {
    /// Accepts what waits at an own socket, if it is one that listens.
    pub(super) fn accept_own(&mut self, socket: SocketId) {
        for _ in 0..AT_ONCE {
            // The handler may close it meanwhile.
            let Some(gate) = self.core.sockets.gate(socket) else { return };
            match gate.socket.accept() {
                Ok((stream, peer)) => {
                    let tag = gate.tag;
                    if let Some(peer) = peer.as_socket() {
                        self.let_in(stream.into(), peer, socket, tag);
                        self.settle();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_scarcity(&error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.watch_gate(socket, Interest::default());
                    return self.core.timers.set(Due::Gate(socket), self.core.now + REST);
                }
                // The error of one connection that was broken before it was accepted.
                Err(_) => {}
            }
        }
    }

    fn let_in(&mut self, socket: TcpStream, peer: SocketAddr, listener: SocketId, tag: Tag) {
        let Ok(local) = socket.set_nonblocking(true).and_then(|()| socket.local_addr()) else { return };
        let mut stream = Box::new(Stream::new(socket, tag, None, local, peer));
        stream.listener = Some(listener);
        let info = stream.info();
        let Ok(id) = self.core.register(stream) else { return };
        self.core.counters.accepted.add(1);
        self.handler.opened(&mut Net::new(&mut self.core), id, &info);
    }

    /// Changes what a listening socket is watched for, if it is still there.
    pub(super) fn watch_gate(&mut self, socket: SocketId, interest: Interest) {
        let Some(gate) = self.core.sockets.gate(socket) else { return };
        if let Err(error) = self.core.events.change(&gate.socket, Token::Datagram(socket).pack(), interest) {
            tracing::error!(%error, "a listener is lost");
        }
    }
}
