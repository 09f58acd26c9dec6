//! The server as a machine: what can happen to it, what it wants done, and what it keeps.

use crate::allocation::{Allocation, Allocations, Relay, Relaying, SessionId, Slot};
use crate::mobility::{Cargo, Letter, Roamers};
use crate::offload::{Carried, Offload, Offloads};
use crate::opening::Opening;
use crate::policy::Scope;
use crate::quota::Ledger;
use crate::reservation::{Granted, Reservations, Reserved};
use crate::strangers::Strangers;
use crate::{Client, Config, End, Session, Tally, Traffic, Way, tcp};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stun::Key;
use stun::attribute::{Icmp, PeerConnection, ReservationToken};
use stun::nonce::Nonces;
use wire::{
    Address, ConnectionId, Directory, Entropy, Epoch, Flow, Machine, Secret, SocketId, Timers, WorkerId,
};

/// How long an Allocate may wait for its socket; only one that needs another worker's port waits at all.
const OPENING: Duration = Duration::from_secs(5);

/// How many emptied buffers are kept for the next answers.
const SPARE: usize = 64;

/// Joins an answer from outside to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask(pub u64);

/// A relay's socket, bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The socket.
    pub socket: SocketId,
    /// What it is bound to.
    pub local: SocketAddr,
}

/// Why a relay's socket was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// Somebody has the port: another may do.
    InUse,
    /// Another port will not do either: no such address, no descriptor left.
    Failed,
}

/// What can happen to a server.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message that [`Server::from_client`] called slow.
    Message {
        /// Who sent it.
        client: Client,
        /// One datagram, or one frame of a stream.
        bytes: &'a [u8],
    },
    /// A client's stream is gone.
    Closed(ConnectionId),
    /// An ICMP error for an earlier datagram from a relay.
    Unreachable {
        /// The relay's socket.
        socket: SocketId,
        /// Whom the datagram was for.
        peer: SocketAddr,
        /// What the network said; its data is the next hop's MTU where the datagram was too big, else zero.
        icmp: Icmp,
    },
    /// The answer to [`Output::OpenRelay`].
    Relay {
        /// Which.
        ask: Ask,
        /// The socket, or why there is none.
        result: Result<Bound, Unbound>,
    },
    /// Another worker's [`Output::Claim`].
    Claim {
        /// Which worker.
        from: WorkerId,
        /// Its number for this.
        ask: Ask,
        /// The port it wants.
        token: ReservationToken,
        /// For which account.
        user: Address,
    },
    /// The answer to [`Output::Claim`]: the port, free to be bound; `None` where there is none under this token.
    Claimed {
        /// Which.
        ask: Ask,
        /// What was kept.
        granted: Option<Granted>,
    },
    /// A stream between a relay and a peer, or one that is to be joined to such (RFC 6062).
    Tcp(tcp::Event),
    /// What another worker writes about clients on their way ([`Output::Roam`]).
    Letter(Letter),
    /// An allocation has come from another worker, or has come back ([`Output::Depart`]).
    Settle {
        /// The allocation.
        cargo: Box<Cargo>,
        /// What its sockets are called here, in their order; `None` for one that could not be taken in.
        sockets: Vec<Option<SocketId>>,
    },
    /// The accounts have changed.
    Directory(Arc<Directory>),
    /// The configuration has changed. Allocations go on, but for what they may do no longer with peers.
    Config(Box<Config>),
    /// The calendar was looked at again.
    Epoch(Epoch),
    /// What a fast path has carried; the answer to [`Offload::Close`], and now and then.
    Carried(Carried),
}

/// What a server wants done.
#[derive(Debug)]
pub enum Output {
    /// Send a message to a client. Give the buffer back by [`Server::recycle`].
    Send {
        /// The way to it.
        flow: Flow,
        /// One message: a datagram, or bytes of the stream.
        bytes: Vec<u8>,
    },
    /// Send what was relayed, or news of it; it may be dropped where there is no room. Give the buffer back by
    /// [`Server::recycle`].
    Forward {
        /// Where to.
        to: Way,
        /// A datagram, or bytes of the stream.
        bytes: Vec<u8>,
    },
    /// Bind a datagram socket; [`Input::Relay`] is the answer.
    OpenRelay {
        /// Which.
        ask: Ask,
        /// Where.
        local: SocketAddr,
    },
    /// Close a relay's socket.
    CloseRelay(SocketId),
    /// Ask the worker that keeps a reserved port to let it go; [`Input::Claimed`] is the answer.
    Claim {
        /// Which worker.
        to: WorkerId,
        /// Our number for this.
        ask: Ask,
        /// The port's token.
        token: ReservationToken,
        /// For which account.
        user: Address,
    },
    /// The answer to another worker's [`Input::Claim`].
    Grant {
        /// Which worker.
        to: WorkerId,
        /// Its number.
        ask: Ask,
        /// What was kept.
        granted: Option<Granted>,
    },
    /// Something about streams between relays and peers (RFC 6062).
    Tcp(tcp::Effect),
    /// Write to another worker: [`Input::Letter`] there.
    Roam {
        /// Which worker.
        to: WorkerId,
        /// The letter.
        letter: Letter,
    },
    /// Hand an allocation with its sockets to another worker: [`Input::Settle`] there, or here if it cannot be sent.
    Depart(Box<Cargo>),
    /// What a client has sent before its allocation was here: as if it came now.
    Replay {
        /// The client.
        client: Client,
        /// One message.
        bytes: Vec<u8>,
    },
    /// An allocation was made.
    Began(Session),
    /// An allocation has ended, and why.
    Ended(Session, End),
    /// A fast path begins, lasts longer or ends; only where the configuration says that there may be any.
    Offload(Offload),
}

/// Every timer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// An allocation's life is over.
    Allocation(Slot),
    /// Nobody came for a reserved port.
    Reservation(ReservationToken),
    /// Nobody answered for a socket.
    Opening(Ask),
    /// Nobody came to bind a peer's connection.
    Link(PeerConnection),
    /// A packet has waited for its bandwidth.
    Pace(Slot),
}

/// A TURN server: one worker's share of the clients.
pub struct Server {
    pub(crate) me: WorkerId,
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) epoch: Epoch,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) nonces: Nonces,
    /// What an unknown user's request is checked against, so that it takes as long as a known one's.
    pub(crate) decoy: Key,
    /// How much those without a credential are answered.
    pub(crate) strangers: Strangers,
    pub(crate) allocations: Allocations,
    pub(crate) openings: FxHashMap<Ask, Opening>,
    pub(crate) opening_of: FxHashMap<Flow, Ask>,
    pub(crate) reservations: Reservations,
    pub(crate) links: tcp::Links,
    pub(crate) roamers: Roamers,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) timers: Timers<Timer>,
    /// Octets that wait for their bandwidth.
    pub(crate) held: usize,
    pub(crate) offloads: Offloads,
    /// Counts indications.
    pub(crate) indications: u64,
    asked: u64,
    sessions: u64,
    pub(crate) traffic: Traffic,
    pub(crate) tally: Tally,
    pub(crate) outputs: VecDeque<Output>,
    spare: Vec<Vec<u8>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} allocations)", self.allocations.len())
    }
}

/// What nonces are made from.
#[derive(Clone, Debug)]
pub struct NonceRule {
    /// Servers that share it accept one another's nonces.
    pub secret: Secret,
    /// How long a nonce is good for.
    pub lifetime: Duration,
}

impl Server {
    /// A server without clients.
    pub fn new(
        me: WorkerId,
        config: Config,
        nonce: &NonceRule,
        directory: Arc<Directory>,
        epoch: Epoch,
        mut entropy: Box<dyn Entropy>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        let (mut decoy, mut key) = ([0; 16], [0; 16]);
        entropy.fill(&mut decoy);
        entropy.fill(&mut key);
        let strangers = Strangers::new(config.limits.strangers, key);
        Self {
            me,
            config,
            directory,
            epoch,
            nonces: Nonces::new(nonce.secret.expose(), nonce.lifetime),
            decoy: Key::long_term(&decoy),
            strangers,
            allocations: Allocations::default(),
            openings: FxHashMap::default(),
            opening_of: FxHashMap::default(),
            reservations: Reservations::default(),
            links: tcp::Links::default(),
            roamers: Roamers::default(),
            ledger,
            timers: Timers::default(),
            held: 0,
            offloads: Offloads::default(),
            indications: entropy.next_u64(),
            entropy,
            asked: 0,
            sessions: 0,
            traffic: Traffic::default(),
            tally: Tally::default(),
            outputs: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Whether a client has an allocation, or is about to: it may send longer messages on its stream.
    pub fn is_allocated(&self, flow: Flow) -> bool {
        self.allocations.find(flow).is_some() || self.roamers.knows(flow)
    }

    /// Whether a client's stream may be silent: it has an allocation, or one that waits for it to come.
    pub fn may_be_silent(&self, flow: Flow) -> bool {
        self.allocations.find(flow).is_some() || self.roamers.has(flow)
    }

    /// Whether the client of any allocation comes in by this datagram socket.
    pub fn serves(&self, socket: SocketId) -> bool {
        let by = |flow: Flow| matches!(flow, Flow::Datagram { socket: own, .. } if own == socket);
        self.allocations.iter().any(|allocation| by(allocation.client.flow))
    }

    /// How many allocations there are.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// Every allocation, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = Session> {
        self.allocations.iter().map(crate::allocation::Allocation::session)
    }

    /// Takes a buffer of [`Output::Send`] back.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Whether [`Machine::poll`] has anything to tell.
    pub fn has_news(&self) -> bool {
        !self.outputs.is_empty()
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.output(Output::Send { flow, bytes });
    }

    /// Keeps an Allocate until its socket is there.
    pub(crate) fn await_socket(&mut self, now: Instant, opening: Opening) -> Ask {
        self.asked += 1;
        let ask = Ask(self.asked);
        self.opening_of.insert(opening.flow(), ask);
        self.openings.insert(ask, opening);
        self.timers.set(Timer::Opening(ask), now + OPENING);
        ask
    }

    /// The name of the next allocation.
    pub(crate) fn next_session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId { worker: self.me, number: self.sessions }
    }

    /// Ends an allocation.
    pub(crate) fn remove(&mut self, slot: Slot, end: End) {
        self.timers.cancel(Timer::Allocation(slot));
        self.unlink_all(slot);
        self.forget_next(slot);
        if let Some(mut allocation) = self.allocations.remove(slot) {
            self.forget_waiting(slot, &allocation);
            self.forget_tickets(&allocation);
            self.traffic.add(allocation.uncounted());
            for relay in allocation.relays() {
                self.output(Output::CloseRelay(relay.socket));
            }
            self.note_relays(&allocation, false);
            self.tell_ended(&allocation, end);
        }
    }

    /// Tells all workers where relays are, or are no longer. One that moves to another worker stays where it is.
    pub(crate) fn note_relays(&self, allocation: &Allocation, are_there: bool) {
        for relay in allocation.relays() {
            self.ledger.note(allocation.relaying, relay.local.port(), are_there);
        }
    }

    /// Whether a peer is somebody else, or a relay of ours: where only relays may be reached at our addresses, nothing else
    /// is that has a port among theirs.
    pub(crate) fn may_be_reached(&self, relaying: Relaying, peer: SocketAddr) -> bool {
        self.config.peers.scope(peer.ip()) != Some(Scope::Relays)
            || self.ledger.is_relay(relaying, peer.port())
    }

    /// One relay of two is gone from its allocation.
    pub(crate) fn shed(&mut self, slot: Slot, relay: Relay) {
        self.output(Output::CloseRelay(relay.socket));
        if let Some(allocation) = self.allocations.get(slot) {
            self.ledger.note(allocation.relaying, relay.local.port(), false);
            let deadline = allocation.deadline();
            self.timers.set(Timer::Allocation(slot), deadline);
        }
    }

    /// A relay has come to its end: its allocation too, unless another one lives on.
    fn expired(&mut self, now: Instant, slot: Slot) {
        let ended =
            self.allocations.get(slot).filter(|allocation| now < allocation.expires()).and_then(
                |allocation| allocation.relays().find(|relay| relay.expires <= now).map(Relay::family),
            );
        match ended.and_then(|family| self.allocations.shed(slot, family)) {
            Some(relay) => {
                self.shed(slot, relay);
                self.offload(now, slot);
            }
            None => self.remove(slot, End::Expired),
        }
    }

    /// A client's stream is gone, and with it the 5-tuple (RFC 8656 §3.2: the allocation goes with the connection).
    fn closed(&mut self, now: Instant, connection: ConnectionId) {
        let flow = Flow::Stream(connection);
        if !self.lost(now, flow)
            && let Some(slot) = self.allocations.find(flow)
        {
            self.remove(slot, End::Lost);
        }
        if let Some(ask) = self.opening_of.get(&flow).copied() {
            self.give_up(ask);
        }
    }

    fn configure(&mut self, now: Instant, config: Config) {
        self.strangers.set_rate(config.limits.strangers);
        self.config = config;
        let Config { peers, ports, .. } = &self.config;
        self.allocations.iter_mut().for_each(|allocation| allocation.judge_anew(peers, ports));
        self.judge_links();
        self.offload_all(now);
    }

    /// Nobody came for a reserved port.
    fn unclaimed(&mut self, token: ReservationToken) {
        if let Some(reserved) = self.reservations.expire(token) {
            self.output(Output::CloseRelay(reserved.socket));
        }
    }

    /// Another worker's client comes for a reserved port: free it here, so that it can be bound there.
    fn claim(&mut self, from: WorkerId, ask: Ask, token: ReservationToken, user: &Address) {
        let reserved = self.reservations.take(token, user);
        if let Some(reserved) = &reserved {
            self.timers.cancel(Timer::Reservation(token));
            self.output(Output::CloseRelay(reserved.socket));
        }
        let granted = reserved.map(|Reserved { local, seat, .. }| Granted { local, seat });
        self.output(Output::Grant { to: from, ask, granted });
    }
}

impl Machine for Server {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Message { client, bytes } => {
                self.message(now, client, bytes);
                self.offload_of(now, client.flow);
            }
            Input::Closed(connection) => self.closed(now, connection),
            Input::Unreachable { socket, peer, icmp } => self.unreachable(now, socket, peer, icmp),
            Input::Relay { ask, result } => self.opened(now, ask, result),
            Input::Claim { from, ask, token, user } => self.claim(from, ask, token, &user),
            Input::Claimed { ask, granted } => self.claimed(now, ask, granted),
            Input::Letter(letter) => self.letter(now, letter),
            Input::Settle { cargo, sockets } => self.settle(now, *cargo, &sockets),
            Input::Tcp(event) => self.stream_event(now, event),
            Input::Directory(directory) => self.directory = directory,
            Input::Config(config) => self.configure(now, *config),
            Input::Epoch(epoch) => self.epoch = epoch,
            Input::Carried(carried) => self.carried(&carried),
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.roamers.deadline()].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Instant) {
        self.tick_roamers(now);
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Allocation(slot) => self.expired(now, slot),
                Timer::Reservation(token) => self.unclaimed(token),
                Timer::Opening(ask) => self.fail(ask),
                Timer::Link(id) => self.unbound(id),
                Timer::Pace(slot) => self.release(now, slot),
            }
        }
    }
}
