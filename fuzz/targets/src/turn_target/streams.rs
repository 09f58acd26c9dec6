//! The streams of TCP relays (RFC 6062): peers that accept, refuse, call and hang up, and what the network says of datagrams.

use super::grammar;
use super::rules::{is_allowed, known};
use super::world::{WORKERS, World};
use crate::tape::Tape;
use std::collections::HashMap;
use std::net::SocketAddr;
use stun::attribute::{Icmp, XorPeerAddress};
use stun::{Class, Message, Method};
use turn::allocation::Relaying;
use turn::stream::Frame;
use turn::tcp::{Effect, Event};
use turn::{Input, Server, Way};
use wire::{ConnectionId, Flow, SocketId, WorkerId};

/// Peers' connections are numbered from here on, clients' below.
const PEERS: u32 = 100_000;

/// How far a peer's connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Dialled,
    Open,
    Joined,
}

/// The connections between relays and peers.
#[derive(Default)]
pub(super) struct Streams {
    open: HashMap<ConnectionId, Stage>,
    count: u32,
}

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn next(&mut self, worker: usize) -> ConnectionId {
        self.count += 1;
        ConnectionId { worker: WorkerId(worker as u16), slot: PEERS + self.count, generation: 0 }
    }

    /// In an order that repeats.
    fn all(&self) -> Vec<ConnectionId> {
        let mut all: Vec<_> = self.open.keys().copied().collect();
        all.sort_unstable();
        all
    }
}

impl World {
    pub(super) fn tcp(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Listen { ask, local } => self.opening.push_back((worker, ask, local)),
            Effect::Connect { id, local, to } => {
                assert!(self.rules.sockets.values().any(|bound| *bound == local), "from a relay");
                // RFC 6062 §5.2 wants no permission here.
                assert!(is_allowed(known(to)), "nobody connects to {to}");
                let conn = self.streams.next(worker);
                self.streams.open.insert(conn, Stage::Dialled);
                self.input(worker, Input::Tcp(Event::Dialled { id, conn }));
            }
            Effect::Move { conn, to, bind } => self.moved(worker, conn, to, bind),
            Effect::Join { client, peer } => {
                let who = self.whose(client).expect("a client of ours is joined");
                assert!(!self.people[who].is_joined, "a client's stream is joined once");
                self.people[who].is_joined = true;
                let stage = self.streams.open.insert(peer, Stage::Joined);
                assert!(stage == Some(Stage::Open), "a peer's stream is joined once it is open");
            }
            Effect::Close(conn) | Effect::Abort(conn) => match self.whose(conn) {
                Some(who) => self.people[who].reconnect(),
                // A client's that has broken, or that it has left: closing it once more does nothing.
                None if self.leaves(conn) || conn.slot < PEERS => {}
                None => drop(self.streams.open.remove(&conn).expect("a connection is closed once")),
            },
        }
    }

    /// A connection that somebody has left is closed by the server.
    fn leaves(&mut self, conn: ConnectionId) -> bool {
        let mut former = self.people.iter_mut().map(|person| &mut person.former);
        let Some(former) = former.find(|former| former.contains(&Flow::Stream(conn))) else { return false };
        former.retain(|flow| *flow != Flow::Stream(conn));
        true
    }

    fn whose(&self, conn: ConnectionId) -> Option<usize> {
        self.people.iter().position(|person| person.client.flow == Flow::Stream(conn))
    }

    fn moved(&mut self, worker: usize, conn: ConnectionId, to: WorkerId, bind: Box<turn::tcp::Bind>) {
        let who = self.whose(conn).expect("a client of ours is moved");
        if usize::from(to.0) >= WORKERS {
            return self.input(worker, Input::Tcp(Event::Stayed(bind)));
        }
        let there = ConnectionId { worker: to, slot: conn.slot, generation: conn.generation + 1 };
        self.people[who].client.flow = Flow::Stream(there);
        self.people[who].worker = to.0.into();
        self.input(to.0.into(), Input::Tcp(Event::Came { conn: there, bind }));
    }

    /// A peer accepts, refuses, calls, or hangs up.
    pub(super) fn peer_stream_does(&mut self, tape: &mut Tape<'_>) {
        let Some(conn) = tape.pick(&self.streams.all()) else { return self.peer_calls(tape) };
        let worker = conn.worker.0.into();
        let accepts = tape.byte() & 3 != 0;
        match self.streams.open.get(&conn) {
            Some(Stage::Dialled) if accepts => {
                self.streams.open.insert(conn, Stage::Open);
                self.input(worker, Input::Tcp(Event::Connected(conn)));
            }
            Some(Stage::Dialled) => {
                self.streams.open.remove(&conn);
                self.input(worker, Input::Tcp(Event::Refused(conn)));
            }
            _ if accepts => self.peer_calls(tape),
            _ => {
                self.streams.open.remove(&conn);
                self.input(worker, Input::Tcp(Event::Gone(conn)));
            }
        }
    }

    fn peer_calls(&mut self, tape: &mut Tape<'_>) {
        let sessions = self.servers.iter().enumerate();
        let relays =
            sessions.flat_map(|(worker, server)| server.sessions().map(move |session| (worker, session)));
        let relays: Vec<_> = relays.filter(|(_, session)| session.relaying == Relaying::Tcp).collect();
        let index = tape.below(relays.len());
        let Some((worker, session)) = relays.get(index) else { return };
        let Some(socket) = self.rules.relay_of(session) else { return };
        let peer = grammar::peer(tape, &[]);
        let conn = self.streams.next(*worker);
        self.streams.open.insert(conn, Stage::Open);
        self.input(*worker, Input::Tcp(Event::Attempt { socket, peer, conn }));
    }

    /// A client is told of a peer's call: one that it has let in.
    pub(super) fn attempted(&mut self, worker: usize, flow: Flow, news: &Message<'_>) {
        let session = self.session(worker, flow).expect("only an allocation is called");
        let XorPeerAddress(peer) = news.get().ok().flatten().expect("who calls");
        assert!(self.rules.is_permitted(self.now, session.id, peer.ip()), "{peer} was let in");
        let connection = news.get().ok().flatten().expect("which connection");
        let who = self.people.iter().position(|person| person.hears(flow)).expect("a client of ours");
        self.people[who].connections.push(connection);
    }

    /// The network says something of a datagram that a relay has sent, or has not.
    pub(super) fn network_complains(&mut self, tape: &mut Tape<'_>) {
        let worker = tape.below(WORKERS);
        let mut sockets: Vec<SocketId> = self.rules.sockets.keys().copied().collect();
        sockets.sort_unstable();
        let socket = tape.pick(&sockets).unwrap_or(SocketId(SocketId::OWN + 9));
        let peer = grammar::peer(tape, &[]);
        let icmp = Icmp { kind: tape.byte() & 0x7F, code: tape.byte(), data: tape.number().into() };
        self.input(worker, Input::Unreachable { socket, peer, icmp });
    }

    /// What a relay sends to another one of ours is brought there, whichever worker has that.
    pub(super) fn kernel(&mut self, socket: SocketId, peer: SocketAddr, data: &[u8]) {
        let local = self.rules.sockets[&socket];
        let Some(there) = self.rules.socket_at(peer) else { return };
        let mut workers = 0..WORKERS;
        let worker = workers.find(|worker| {
            let mut sessions = self.servers[*worker].sessions();
            sessions.any(|session| self.rules.relay_of(&session) == Some(there))
        });
        worker.into_iter().for_each(|worker| self.beside(worker, there, local, data));
    }

    /// What a server sends of its own accord: news of the network, or a packet that had to wait.
    pub(super) fn forward(&mut self, worker: usize, to: Way, bytes: &[u8]) {
        match to {
            Way::Peer { socket, peer, .. } => {
                assert!(self.rules.is_paced, "nothing waits where there is bandwidth");
                assert!(self.rules.sockets.contains_key(&socket), "a bound relay sends");
                assert!(is_allowed(known(peer)), "nobody reaches {peer}");
                self.kernel(socket, peer, bytes);
            }
            Way::Relay { socket, from } => self.beside(worker, socket, from, bytes),
            Way::Client(flow) => {
                // What was due comes before the end that was due as well.
                let there: usize = self.servers.iter().map(Server::allocations).sum();
                let is_ending = there < self.rules.allocations();
                assert!(is_ending || self.session(worker, flow).is_some(), "only an allocation hears");
                if bytes.first().is_some_and(|first| *first < 4) {
                    let news = Message::parse(bytes).expect("what we send is STUN");
                    assert_eq!((news.class(), news.method()), (Class::Indication, Method::DATA));
                } else {
                    let whole = turn::stream::first(bytes, 70_000);
                    assert!(matches!(whole, Frame::Whole { .. } | Frame::Part), "ChannelData");
                }
            }
        }
    }
}
