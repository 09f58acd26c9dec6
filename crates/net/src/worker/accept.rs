//! Accepting streams.

use super::Worker;
use crate::admission::Pass;
use crate::core::{Core, Due, Manner};
use crate::listen::{DoorRow, Row};
use crate::proxy::{self, Header};
use crate::stream::{Phase, Proxied, Stream, Ways};
use crate::sys::{Events, Interest};
use crate::token::Token;
use crate::{CloseReason, Handler, Net};
use socket2::Socket;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use wire::ConnectionId;

/// Streams accepted from one listener at one time.
pub(super) const AT_ONCE: usize = 16;
/// How long a listener rests when no file descriptor is left.
pub(super) const REST: Duration = Duration::from_millis(100);

/// A worker's twin of a stream listener.
#[derive(Debug)]
struct Door {
    socket: Socket,
    /// Plain streams.
    plain: Option<Row>,
    /// Streams inside TLS from the first octet on.
    tls: Option<Row>,
}

/// A worker's stream listeners, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Doors(Vec<Option<Door>>);

impl Doors {
    /// Listens on one more socket; what comes in there is told by [`Self::direct`].
    pub(super) fn open(&mut self, number: u32, socket: Socket, events: &Events) -> io::Result<()> {
        events.add(&socket, Token::Listener(number).pack(), Interest::READ)?;
        let index = number as usize;
        let length = self.0.len().max(index + 1);
        self.0.resize_with(length, || None);
        self.0[index] = Some(Door { socket, plain: None, tls: None });
        Ok(())
    }

    /// The numbers of those that are open.
    pub(super) fn numbers(&self) -> Vec<u32> {
        (0..).zip(&self.0).filter(|(_, door)| door.is_some()).map(|(number, _)| number).collect()
    }

    /// Says what comes in by a door from now on.
    pub(super) fn direct(&mut self, row: &DoorRow) {
        if let Some(Some(door)) = self.0.get_mut(row.number as usize) {
            (door.plain, door.tls) = (row.plain, row.tls);
        }
    }

    /// Accepts nothing more at one door.
    pub(super) fn shut(&mut self, number: u32) {
        if let Some(door) = self.0.get_mut(number as usize) {
            *door = None;
        }
    }

    /// Accepts nothing more.
    pub(super) fn close(&mut self) {
        self.0.clear();
    }

    /// Accepts again after a rest.
    pub(super) fn reopen<M>(&self, index: u32, core: &mut Core<M>) {
        if let Some(Some(door)) = self.0.get(index as usize) {
            core.rest_listener(index, &door.socket, Interest::READ);
        }
    }
}

impl<H: Handler> Worker<H> {
    /// Accepts what waits at a door, up to a bound; whether there may be more.
    pub(super) fn accept(&mut self, index: u32) -> bool {
        for _ in 0..AT_ONCE {
            let Some(Some(door)) = self.doors.0.get(index as usize) else { return false };
            match door.socket.accept() {
                Ok((socket, peer)) => {
                    let ways = Ways { plain: door.plain, tls: door.tls };
                    if let Some(peer) = peer.as_socket() {
                        self.welcome(socket.into(), peer, ways);
                        self.settle();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if is_scarcity(&error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.core.rest_listener(index, &door.socket, Interest::default());
                    self.core.timers.set(Due::Listener(index), self.core.now + REST);
                    return false;
                }
                // The error of one connection that was broken before it was accepted.
                Err(_) => {}
            }
        }
        true
    }

    fn welcome(&mut self, socket: TcpStream, peer: SocketAddr, ways: Ways) {
        let Some(row) = ways.first() else { return };
        let by_proxy = self.core.shared.offer(row.spec).proxies.contain(peer.ip());
        let pass = if by_proxy { self.core.shared.admission.admit_unknown() } else { self.admit(row, peer) };
        if pass.is_none() {
            self.core.counters.turned_away.add(1);
            return tracing::debug!(%peer, "a connection is turned away");
        }
        let Ok(local) = socket.set_nonblocking(true).and_then(|()| socket.local_addr()) else { return };
        let mut stream = Box::new(Stream::new(socket, row.tag, Some(row.spec), local, peer));
        stream.pass = pass;
        if by_proxy {
            stream.phase = Phase::Announcing;
            stream.proxied = Some(Box::new(Proxied { by: peer, then: ways }));
        } else {
            stream.set_out(ways);
        }
        let Ok(id) = self.core.register(stream) else { return };
        self.core.counters.accepted.add(1);
        self.set_out(id, ways);
    }

    /// The time of a new stream begins; the handler sees it where its first octet does not matter.
    fn set_out(&mut self, id: ConnectionId, ways: Ways) {
        let Some(stream) = self.core.streams.get(id) else { return };
        let limits = &self.core.shared.limits;
        // What may be either has the time of a plain one until it begins.
        let patience = match stream.phase {
            Phase::Announcing => limits.handshake,
            _ if ways.tls.is_some() && ways.plain.is_none() => limits.handshake,
            _ => limits.first_byte,
        };
        self.core.timers.set(Due::Stream(id.slot), self.core.now + patience);
        if stream.phase == Phase::Open {
            let info = stream.info();
            self.handler.opened(&mut Net::new(&mut self.core), id, &info);
        }
    }

    /// What a proxy says of a stream before the stream's own first octet.
    pub(super) fn hear_proxy(&mut self, id: ConnectionId, data: &[u8]) {
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        let mut bytes = std::mem::take(&mut stream.unread);
        bytes.extend_from_slice(data);
        match proxy::read(&bytes) {
            Header::Part => stream.unread = bytes,
            Header::Bad => {
                tracing::debug!(connection = %id, proxy = %stream.peer, "a proxy does not say whom a connection is from");
                self.core.end(id, CloseReason::Local, Manner::AtOnce);
            }
            Header::Whole(length, from) => {
                let Some(then) = stream.proxied.as_ref().map(|proxied| proxied.then) else { return };
                stream.peer = from.unwrap_or(stream.peer);
                if self.announce(id, then) && length < bytes.len() {
                    self.take_in(id, &bytes[length..]);
                }
            }
        }
    }

    /// A stream begins anew, as one of whom it is from. Whether that one is let in.
    fn announce(&mut self, id: ConnectionId, ways: Ways) -> bool {
        let Some((row, peer)) = ways.first().zip(self.core.streams.get(id).map(|stream| stream.peer)) else {
            return false;
        };
        let pass = self.admit(row, peer);
        let Some(stream) = self.core.streams.get_mut(id) else { return false };
        let admitted = pass.is_some();
        stream.pass = pass;
        if admitted {
            stream.set_out(ways);
            self.set_out(id, ways);
        } else {
            self.core.counters.turned_away.add(1);
            self.core.end(id, CloseReason::Local, Manner::AtOnce);
        }
        admitted
    }

    /// Counts a stream of `peer`, if it is let in.
    fn admit(&self, row: Row, peer: SocketAddr) -> Option<Pass> {
        self.is_welcome(row, peer).then(|| self.core.shared.admission.admit(peer.ip())).flatten()
    }
}

impl<H: Handler> Worker<H> {
    /// Whether any of those who a stream may turn out to be for lets its peer in.
    fn is_welcome(&self, row: Row, peer: SocketAddr) -> bool {
        let now = self.core.now;
        if !row.prospects.shared {
            return self.handler.welcomes(now, row.tag, peer);
        }
        let offer = self.core.shared.offer(row.spec);
        offer.choices.iter().any(|choice| self.handler.welcomes(now, choice.tag, peer))
    }
}

/// Whether nothing can be accepted for now.
pub(super) fn is_scarcity(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
