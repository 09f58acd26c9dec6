//! Streams between TCP relays and their peers (RFC 6062): each is made by a Connect or by the peer itself, waits for half a
//! minute for a ConnectionBind on another connection of the client, and is then joined to that one. The bytes between the
//! two are the product's business; what is kept here is who belongs together.

mod requests;

use crate::allocation::{Relaying, Slot};
use crate::exchange::Exchange;
use crate::pace::Direction;
use crate::policy::Scope;
use crate::server::{Ask, Output, Server, Timer};
pub(crate) use requests::requested_transport;
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::attribute::{PeerConnection, XorPeerAddress};
use stun::{Class, Method, TransactionId, Writer};
use wire::{Address, ConnectionId, Entropy, SocketId, WorkerId};

/// How long a peer may take to accept a connection (RFC 6062 §5.2: at least 30 seconds).
pub const CONNECTING: Duration = Duration::from_secs(30);

/// How long a connection to a peer waits for the client's ConnectionBind (RFC 6062 §5.2, §5.3).
pub const UNBOUND: Duration = Duration::from_secs(30);

/// Connections to peers that one allocation may have at one time.
pub const PER_ALLOCATION: usize = 64;

/// Connections to peers that one server may have, whatever else its limits allow: half of the numbers that it can give.
const AT_MOST: usize = 1 << 15;

/// What can happen to these streams.
#[derive(Debug)]
pub enum Event {
    /// The connection that [`Effect::Connect`] began.
    Dialled {
        /// Which.
        id: PeerConnection,
        /// What it is called from now on.
        conn: ConnectionId,
    },
    /// The peer has accepted it. Nothing of it may be read yet.
    Connected(ConnectionId),
    /// The peer has not.
    Refused(ConnectionId),
    /// A peer has connected to a relay. Nothing of it may be read yet.
    Attempt {
        /// The relay's socket.
        socket: SocketId,
        /// The peer.
        peer: SocketAddr,
        /// The connection.
        conn: ConnectionId,
    },
    /// A client's connection came here from another worker, by [`Effect::Move`].
    Came {
        /// What it is called here.
        conn: ConnectionId,
        /// What came along.
        bind: Box<Bind>,
    },
    /// It could not be moved.
    Stayed(Box<Bind>),
    /// A connection, of a client or a peer, is gone.
    Gone(ConnectionId),
}

/// What is to be done about these streams.
#[derive(Debug)]
pub enum Effect {
    /// Listen at an address; [`Input::Relay`](crate::Input::Relay) is the answer.
    Listen {
        /// Which.
        ask: Ask,
        /// Where.
        local: SocketAddr,
    },
    /// Connect to a peer from a relay's address and port, for [`CONNECTING`] at most. [`Event::Dialled`] follows at once.
    Connect {
        /// Which.
        id: PeerConnection,
        /// The relay.
        local: SocketAddr,
        /// The peer.
        to: SocketAddr,
    },
    /// Move a client's connection to the worker that keeps what it asks for.
    Move {
        /// The connection.
        conn: ConnectionId,
        /// Whereto.
        to: WorkerId,
        /// What goes along, for [`Event::Came`].
        bind: Box<Bind>,
    },
    /// From here on what either sends goes to the other.
    Join {
        /// The client's connection.
        client: ConnectionId,
        /// The peer's.
        peer: ConnectionId,
    },
    /// Close a connection behind what it still has to send.
    Close(ConnectionId),
    /// Close a connection that nobody has seen anything of.
    Abort(ConnectionId),
}

/// A ConnectionBind on its way.
#[derive(Debug)]
pub struct Bind {
    exchange: Exchange,
    sender: Sender,
    id: PeerConnection,
}

/// Who sent it.
#[derive(Debug)]
enum Sender {
    /// This account, proven.
    User(Address),
    /// Somebody with an access token, whose key is where the allocation is: the request as it came.
    Unproven(Box<[u8]>),
}

/// One end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Peer,
}

/// A connection between a relay and a peer.
#[derive(Debug)]
struct Link {
    slot: Slot,
    peer: SocketAddr,
    /// Whether it goes from the relay to the peer: then the policy counts for the peer's port too.
    is_outward: bool,
    /// The Connect that waits for it.
    asked: Option<Exchange>,
    /// The peer's connection, from when it is begun.
    conn: Option<ConnectionId>,
    /// The client's, from when it is bound.
    client: Option<ConnectionId>,
}

/// Every connection to peers of a server.
#[derive(Debug, Default)]
pub(crate) struct Links {
    by_id: FxHashMap<PeerConnection, Link>,
    by_conn: FxHashMap<ConnectionId, (PeerConnection, Side)>,
    by_slot: FxHashMap<Slot, Vec<PeerConnection>>,
}

impl Links {
    fn add(&mut self, me: WorkerId, entropy: &mut dyn Entropy, link: Link) -> PeerConnection {
        // The worker and a number at random: more than half of those are free.
        let id = loop {
            let number = entropy.next_u64() as u32 & 0xFFFF;
            let id = PeerConnection(u32::from(me.0) << 16 | number);
            if !self.by_id.contains_key(&id) {
                break id;
            }
        };
        self.by_slot.entry(link.slot).or_default().push(id);
        self.by_id.insert(id, link);
        id
    }

    fn remove(&mut self, id: PeerConnection) -> Option<Link> {
        let link = self.by_id.remove(&id)?;
        for conn in [link.conn, link.client].into_iter().flatten() {
            self.by_conn.remove(&conn);
        }
        if let Some(ids) = self.by_slot.get_mut(&link.slot) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_slot.remove(&link.slot);
            }
        }
        Some(link)
    }

    /// Whether an allocation has a connection to a peer, or makes one.
    fn has(&self, slot: Slot, peer: SocketAddr) -> bool {
        let ids = self.by_slot.get(&slot).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id)).any(|link| link.peer == peer)
    }

    /// Whose connection this is.
    pub(crate) fn slot(&self, id: PeerConnection) -> Option<Slot> {
        self.by_id.get(&id).map(|link| link.slot)
    }

    fn of_slot(&self, slot: Slot) -> usize {
        self.by_slot.get(&slot).map_or(0, Vec::len)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// The worker that keeps a connection.
fn keeper(id: PeerConnection) -> WorkerId {
    WorkerId((id.0 >> 16) as u16)
}

impl Server {
    /// How many connections to peers there are.
    pub fn peer_connections(&self) -> usize {
        self.links.len()
    }

    /// Takes note of octets that went from one of two joined connections to the other; none, to ask first. Says how long
    /// the first is not to be read, as it has used up its bandwidth.
    pub fn stream_carried(&mut self, now: Instant, from: ConnectionId, octets: usize) -> Duration {
        let link =
            self.links.by_conn.get(&from).and_then(|(id, side)| Some((self.links.by_id.get(id)?, side)));
        let Some((link, side)) = link else { return Duration::ZERO };
        let Some(allocation) = self.allocations.get(link.slot) else { return Duration::ZERO };
        let direction = match side {
            Side::Client => {
                allocation.traffic.sent_bytes += octets as u64;
                Direction::Sent
            }
            Side::Peer => {
                allocation.traffic.received_bytes += octets as u64;
                Direction::Received
            }
        };
        allocation.pace_stream(now, direction, octets, &self.config.bandwidth)
    }

    /// Ends the connections to peers that are no longer allowed.
    pub(crate) fn judge_links(&mut self) {
        let policy = &self.config.peers;
        let ports = &self.config.ports;
        let allows = |scope: Scope, link: &Link| !link.is_outward || scope.includes(link.peer.port(), ports);
        let denied = |link: &Link| policy.scope(link.peer.ip()).is_none_or(|scope| !allows(scope, link));
        let links = self.links.by_id.iter();
        let ended: Vec<_> = links.filter(|(_, link)| denied(link)).map(|(id, _)| *id).collect();
        ended.into_iter().for_each(|id| self.unlink(id, None));
    }

    pub(crate) fn stream_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Dialled { id, conn } => self.dialled(id, conn),
            Event::Connected(conn) => self.connected(now, conn),
            Event::Refused(conn) => self.refused(conn),
            Event::Attempt { socket, peer, conn } => self.attempt(now, socket, peer, conn),
            Event::Came { conn, bind } => self.came(now, conn, *bind),
            Event::Stayed(bind) => self.stayed(&bind),
            Event::Gone(conn) => self.gone(conn),
        }
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.output(Output::Tcp(effect));
    }

    fn dialled(&mut self, id: PeerConnection, conn: ConnectionId) {
        match self.links.by_id.get_mut(&id) {
            Some(link) => {
                link.conn = Some(conn);
                self.links.by_conn.insert(conn, (id, Side::Peer));
            }
            None => self.effect(Effect::Abort(conn)),
        }
    }

    fn connected(&mut self, now: Instant, conn: ConnectionId) {
        let Some(&(id, _)) = self.links.by_conn.get(&conn) else {
            return self.effect(Effect::Abort(conn));
        };
        self.timers.set(Timer::Link(id), now + UNBOUND);
        let asked = self.links.by_id.get_mut(&id).and_then(|link| link.asked.take());
        let Some(exchange) = asked else { return };
        let buffer = self.buffer();
        let bytes = exchange.success(buffer, |writer| writer.with(&id));
        self.send(exchange.client.flow, bytes);
    }

    /// RFC 6062 §5.3: a peer has connected. Without a permission it is nobody's.
    fn attempt(&mut self, now: Instant, socket: SocketId, peer: SocketAddr, conn: ConnectionId) {
        let peer = self.known(peer);
        let Some(slot) = self.invited(now, socket, peer) else { return self.effect(Effect::Abort(conn)) };
        let link = Link { slot, peer, is_outward: false, asked: None, conn: Some(conn), client: None };
        let id = self.links.add(self.me, &mut self.entropy, link);
        self.links.by_conn.insert(conn, (id, Side::Peer));
        self.timers.set(Timer::Link(id), now + UNBOUND);
        let mut transaction = [0; 12];
        self.entropy.fill(&mut transaction);
        let mut bytes = self.buffer();
        Writer::new(&mut bytes, Class::Indication, Method::CONNECTION_ATTEMPT, TransactionId(transaction))
            .with(&id)
            .with(&XorPeerAddress(peer))
            .finish();
        if let Some(flow) = self.allocations.get(slot).map(|allocation| allocation.client.flow) {
            self.send(flow, bytes);
        }
    }

    /// The allocation that a peer may connect to.
    fn invited(&mut self, now: Instant, socket: SocketId, peer: SocketAddr) -> Option<Slot> {
        let slot = self.allocations.slot_of_socket(socket)?;
        let allocation = self.allocations.get(slot).filter(|one| one.lives(now, socket))?;
        allocation.permissions.get(now, peer.ip())?;
        self.has_link_room(slot).then_some(slot)
    }

    fn has_link_room(&self, slot: Slot) -> bool {
        let all = (self.config.quota.total as usize).clamp(PER_ALLOCATION, AT_MOST);
        self.links.len() < all && self.links.of_slot(slot) < PER_ALLOCATION
    }

    /// Nobody came to bind it.
    pub(crate) fn unbound(&mut self, id: PeerConnection) {
        if let Some(conn) = self.links.remove(id).and_then(|link| link.conn) {
            self.effect(Effect::Abort(conn));
        }
    }

    /// One of two is gone, and so the other (RFC 6062 §5.5).
    fn gone(&mut self, conn: ConnectionId) {
        let Some((id, _)) = self.links.by_conn.get(&conn) else { return };
        self.unlink(*id, Some(conn));
    }

    /// An allocation has ended, and with it everything that hung on it.
    pub(crate) fn unlink_all(&mut self, slot: Slot) {
        for id in self.links.by_slot.get(&slot).cloned().unwrap_or_default() {
            self.unlink(id, None);
        }
    }

    fn unlink(&mut self, id: PeerConnection, gone: Option<ConnectionId>) {
        self.timers.cancel(Timer::Link(id));
        let Some(link) = self.links.remove(id) else { return };
        let bound = link.client.is_some();
        for conn in [link.conn, link.client].into_iter().flatten().filter(|conn| Some(*conn) != gone) {
            self.effect(if bound { Effect::Close(conn) } else { Effect::Abort(conn) });
        }
    }

    /// Has a socket made of the kind that the allocation relays.
    pub(crate) fn open_socket(&mut self, relaying: Relaying, ask: Ask, local: SocketAddr) {
        match relaying {
            Relaying::Udp => self.output(Output::OpenRelay { ask, local }),
            Relaying::Tcp => self.effect(Effect::Listen { ask, local }),
        }
    }
}
