//! Sending: by datagram, over a stream of ours, over one of another worker, or over one that has to be opened first.

use super::calls::NOBODY_S_PORT;
use super::{Output, Parcel, Stack, token_of};
use crate::message::Message;
use crate::slab::Id;
use crate::transaction::Timer;
use crate::transport::blocked::Target;
use crate::transport::connections::{Peer, Route};
use crate::transport::{Arrival, Hop};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use wire::{ConnectionId, Flow, SocketId, Transport, WorkerId};

/// The way that a message leaves by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// As a datagram.
    Datagram {
        /// By which socket.
        socket: SocketId,
        /// From which address of ours; `None`: any.
        local: Option<IpAddr>,
        /// To whom.
        to: SocketAddr,
    },
    /// Over an open stream of any worker.
    Stream {
        /// Which.
        conn: ConnectionId,
        /// Whom it leads to.
        peer: SocketAddr,
        /// How bytes travel on it.
        transport: Transport,
    },
    /// Over the connection to a peer, which is opened if it is not.
    Dial {
        /// Whom to connect to.
        peer: Peer,
    },
}

impl Path {
    /// Whom it leads to.
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Datagram { to, .. } => (false, *to),
            Self::Stream { peer, .. } => (true, *peer),
            Self::Dial { peer: Peer { at, .. } } => (true, *at),
        }
    }
}

impl Stack {
    /// How a hop is taken: the path, and who we are on it, `host:port`. `None` where there is no way.
    pub(crate) fn path(&mut self, hop: &Hop) -> Option<(Path, String)> {
        let listeners = &self.config.listeners;
        match hop {
            Hop::Flow(arrival) => {
                let listener = listeners.by_local(arrival.transport, arrival.local)?;
                let sent_by = listeners.sent_by(listener, Some(arrival.local.ip()));
                Some((self.flow_path(arrival)?, sent_by))
            }
            Hop::Address { transport, to, name } => {
                let listener = listeners.towards(*transport, to.ip())?;
                let sent_by = listeners.sent_by(listener, listeners.seen_by(listener, to.ip()));
                let path = match listener.socket {
                    Some(socket) => Path::Datagram { socket, local: None, to: *to },
                    None => {
                        let (name, own) = (name.clone(), Box::default());
                        Path::Dial { peer: Peer { transport: *transport, at: *to, name, own } }
                    }
                };
                Some((path, sent_by))
            }
            _ => None,
        }
    }

    /// The same path for a request of one of our domains: a server that is connected to by TLS is shown that one's certificate.
    pub(crate) fn speaking_for(&self, path: Path, request: &Message<'_>) -> Path {
        match path {
            Path::Dial { peer } if peer.transport.is_secure() => {
                let place = self.place();
                let own = place.party(request).filter(|own| Some(*own) != self.directory.first_domain());
                let own = own.map(|own| own.as_str().into()).unwrap_or_default();
                Path::Dial { peer: Peer { own, ..peer } }
            }
            path => path,
        }
    }

    /// The domain of ours that gives a response: a server that is connected to by TLS for it is shown that one's certificate.
    fn answering_for(&self, transport: Transport, response: &[u8]) -> Box<str> {
        // Nobody is shown a certificate elsewhere.
        let Some(Ok(response)) = transport.is_secure().then(|| Message::parse(response)) else {
            return Box::default();
        };
        let place = self.place();
        let own = place.answerer(&response).filter(|own| Some(*own) != self.directory.first_domain());
        own.map(|own| own.as_str().into()).unwrap_or_default()
    }

    fn flow_path(&mut self, arrival: &Arrival) -> Option<Path> {
        match arrival.flow {
            Flow::Datagram { socket, local, peer } => {
                // A route recorded in an earlier run may name a socket that is another's by now.
                let socket = self.config.listeners.socket_of(socket, arrival.local)?;
                let local = Some(local).filter(|ip| !ip.is_unspecified());
                Some(Path::Datagram { socket, local, to: peer })
            }
            Flow::Stream(conn) => {
                let here = conn.worker == self.config.me;
                let alive = conn.worker.0 < self.config.workers
                    && (!here || self.connections.is_open(conn, arrival.peer));
                alive.then_some(Path::Stream { conn, peer: arrival.peer, transport: arrival.transport })
            }
        }
    }

    /// Sends a message. `owner` is the client transaction that wants to know if that fails; `false` where it
    /// failed at once.
    pub(crate) fn send(&mut self, now: Instant, path: &Path, bytes: Vec<u8>, owner: Option<Id>) -> bool {
        match path {
            Path::Datagram { socket, local, to } => {
                self.out.push_back(Output::Send { socket: *socket, local: *local, to: *to, bytes });
                true
            }
            Path::Stream { conn, peer, .. } => self.write(*conn, *peer, bytes, owner),
            Path::Dial { peer } => self.dial(now, peer.clone(), bytes, owner),
        }
    }

    fn write(&mut self, conn: ConnectionId, peer: SocketAddr, bytes: Vec<u8>, owner: Option<Id>) -> bool {
        if conn.worker != self.config.me {
            let owner = owner.map(|id| (self.config.me, id));
            let parcel = Parcel::Write { conn, peer, bytes, owner };
            self.out.push_back(Output::HandOver { to: conn.worker, parcel });
            return true;
        }
        let open = self.connections.is_open(conn, peer);
        if open {
            self.out.push_back(Output::Write { conn, bytes });
        }
        open
    }

    fn dial(&mut self, now: Instant, mut peer: Peer, bytes: Vec<u8>, owner: Option<Id>) -> bool {
        self.connections.name(&mut peer);
        // Only the client can open one of those.
        if peer.transport.is_web() {
            return false;
        }
        let route = self.connections.send(peer.clone(), bytes, owner);
        self.take_route(now, peer, route, owner)
    }

    /// The same for an answer, whose own way is gone.
    fn dial_for_answer(&mut self, now: Instant, mut peer: Peer, bytes: Vec<u8>) {
        self.connections.name(&mut peer);
        if !peer.transport.is_web() {
            let route = self.connections.send_answer(peer.clone(), bytes);
            self.take_route(now, peer, route, None);
        }
    }

    fn take_route(&mut self, now: Instant, peer: Peer, route: Route, owner: Option<Id>) -> bool {
        let Peer { transport, at: to, name, own } = peer;
        match route {
            Route::Open(conn, bytes) => {
                if let Some(owner) = owner {
                    self.table.moved(owner, Path::Stream { conn, peer: to, transport });
                }
                self.out.push_back(Output::Write { conn, bytes });
                true
            }
            Route::Waits => true,
            Route::Dial(id) => {
                let limit = match owner.is_some_and(|owner| self.stands_in(owner, to)) {
                    true => 4 * self.config.timing.t1,
                    false => self.config.limits.answer,
                };
                self.timers.set(Timer::Dialling(id), now + limit);
                self.out.push_back(Output::Connect { token: token_of(id), transport, to, name, own });
                true
            }
            Route::Full => false,
        }
    }

    /// Whether a client transaction's stream to an address stands in for datagrams, which go there next. Many servers that take
    /// datagrams alone have a firewall that says nothing to all else.
    pub(super) fn stands_in(&self, client: Id, to: SocketAddr) -> bool {
        let owner = self.table.client(client).and_then(|client| client.owner);
        let next = owner.and_then(|(server, branch)| {
            let context = self.table.server(server)?.context.as_deref()?;
            context.branches.get(branch)?.hops.front()
        });
        matches!(next, Some(Hop::Address { transport: Transport::Udp, to: at, .. }) if *at == to)
    }

    /// Another worker's bytes for a stream of ours.
    pub(super) fn write_for(
        &mut self,
        conn: ConnectionId,
        peer: SocketAddr,
        bytes: Vec<u8>,
        owner: Option<(WorkerId, Id)>,
    ) {
        if self.connections.is_open(conn, peer) {
            if let (Some((worker, _)), Some(connection)) = (owner, self.connections.get_mut(conn)) {
                connection.used_by(worker);
            }
            self.out.push_back(Output::Write { conn, bytes });
        } else if let Some((to, owner)) = owner {
            self.out.push_back(Output::HandOver { to, parcel: Parcel::Gone { owner } });
        }
    }

    /// Sends a response back the way its request came (RFC 3261 §18.2.2). `to` is its
    /// [`return_address`](crate::transport::return_address).
    pub(crate) fn send_back(&mut self, now: Instant, arrival: &Arrival, to: SocketAddr, bytes: Vec<u8>) {
        if arrival.peer.port() == NOBODY_S_PORT {
            return;
        }
        self.tally.answered(&bytes);
        match arrival.flow {
            Flow::Datagram { socket, local, .. } => {
                let local = Some(local).filter(|ip| !ip.is_unspecified());
                self.out.push_back(Output::Send { socket, local, to, bytes });
            }
            Flow::Stream(conn) if conn.worker != self.config.me => {
                self.write(conn, arrival.peer, bytes, None);
            }
            Flow::Stream(conn) if self.connections.is_open(conn, arrival.peer) => {
                self.out.push_back(Output::Write { conn, bytes });
            }
            Flow::Stream(_) => {
                let (transport, name) = (arrival.transport, to.ip().to_string().into());
                let own = self.answering_for(transport, &bytes);
                self.dial_for_answer(now, Peer { transport, at: to, name, own }, bytes);
            }
        }
    }

    /// Sends a response to where its request came from, whatever it says.
    pub(super) fn send_to_source(&mut self, now: Instant, arrival: &Arrival, bytes: Vec<u8>) {
        if let Some(path) = self.flow_path(arrival) {
            self.send(now, &path, bytes, None);
        }
    }
}
