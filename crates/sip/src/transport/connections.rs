//! Streams that are open, and those being opened with what waits for them. One connection per peer is reused
//! (RFC 3261 §18.1.1). Those that peers opened are reached by their flow alone, unless it is TLS, the peer asks for it, and it
//! has proven whom it speaks for (RFC 5923).

use super::Arrival;
use crate::framing::Framer;
use crate::slab::{Id, Slab};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Address, ConnectionId, Transport, WorkerId};

/// The most messages that wait for one connection to open.
const MAX_WAITING: usize = 64;

/// The most domains of one certificate that count.
const MAX_DOMAINS: usize = 16;

/// The most addresses of which it is remembered what they have proven.
const MAX_PROVEN: usize = 4096;

/// Whom a connection leads to, and for whom of us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// By which transport.
    pub transport: Transport,
    /// Where.
    pub at: SocketAddr,
    /// The name whose certificate is expected.
    pub name: Box<str>,
    /// The domain of ours that speaks by it, whose certificate the other side is shown; empty: the first.
    pub own: Box<str>,
}

/// An open stream.
#[derive(Debug)]
pub struct Connection {
    /// The way back.
    pub arrival: Arrival,
    /// Cuts its bytes into messages.
    pub framer: Framer,
    /// When bytes last came.
    pub heard: Instant,
    /// Whom requests reach by it.
    links: Vec<Peer>,
    /// The peer has opened it.
    theirs: bool,
    /// The domains that the other end has proven, in lower case.
    domains: Box<[Box<str>]>,
    /// The users that it has proven to be, and until when its certificate holds, as time since 1970.
    users: Option<Box<(Box<[Address]>, Duration)>>,
    /// The name that its handshake asked for, where the peer has opened it.
    pub asked: Option<Arc<str>>,
    /// Other workers whose requests left by it.
    writers: Vec<WorkerId>,
}

impl Connection {
    /// Another worker's request leaves by it: that worker wants to know when it closes.
    pub fn used_by(&mut self, worker: WorkerId) {
        if !self.writers.contains(&worker) {
            self.writers.push(worker);
        }
    }
}

/// A message that waits for a connection, with the transaction that wants to know if it fails.
#[derive(Debug)]
pub struct Waiting {
    /// The message.
    pub bytes: Vec<u8>,
    /// Whose it is.
    pub owner: Option<Id>,
}

#[derive(Debug)]
struct Dial {
    peer: Peer,
    /// It is opened for an answer.
    is_answer: bool,
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Open(ConnectionId),
    Dialling(Id),
}

/// Where a message for a peer goes.
#[derive(Debug)]
pub enum Route {
    /// Onto an open connection; the message comes back.
    Open(ConnectionId, Vec<u8>),
    /// It waits for a connection that is being opened.
    Waits,
    /// It waits, and the connection of this number is to be opened.
    Dial(Id),
    /// Too much waits already.
    Full,
}

/// All streams of one worker.
#[derive(Debug)]
pub struct Connections {
    open: FxHashMap<ConnectionId, Connection>,
    /// Keyed by names that others choose, so by a hash that they cannot foresee.
    by_peer: HashMap<Peer, Link>,
    dials: Slab<Dial>,
    /// How many of them are for answers, and how many may be.
    answers: usize,
    most_answers: usize,
    /// Which domain an address has proven to us lately: Routes of dialogs name the address alone.
    proven: HashMap<SocketAddr, Box<str>>,
}

impl Connections {
    /// None yet; at most `dials` are opened at a time.
    pub fn new(dials: usize) -> Self {
        Self {
            open: FxHashMap::default(),
            by_peer: HashMap::new(),
            dials: Slab::new(dials),
            answers: 0,
            most_answers: (dials / 4).max(1),
            proven: HashMap::new(),
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// How many are open, by transport.
    pub fn by_transport(&self) -> Vec<(Transport, usize)> {
        let mut counts: Vec<(Transport, usize)> = Vec::new();
        for transport in self.open.values().map(|connection| connection.arrival.transport) {
            match counts.iter_mut().find(|(known, _)| *known == transport) {
                Some((_, count)) => *count += 1,
                None => counts.push((transport, 1)),
            }
        }
        counts
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// An open connection.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.open.get_mut(&id)
    }

    /// Whether the other end has proven a domain.
    pub fn has_proven(&self, id: ConnectionId) -> bool {
        self.open.get(&id).is_some_and(|connection| !connection.domains.is_empty())
    }

    /// Whether the other end has proven a domain, or to be a user.
    pub fn is_known(&self, id: ConnectionId) -> bool {
        let proves = |connection: &Connection| !connection.domains.is_empty() || connection.users.is_some();
        self.open.get(&id).is_some_and(proves)
    }

    /// Whoever opened it has asked for this name.
    pub fn note_asked(&mut self, id: ConnectionId, name: Arc<str>) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.asked = Some(name);
        }
    }

    /// The name that whoever opened it has asked for.
    pub fn asked(&self, id: ConnectionId) -> Option<&str> {
        self.open.get(&id)?.asked.as_deref()
    }

    /// The other end has proven to be these users, until a time since 1970.
    pub fn identify(&mut self, id: ConnectionId, users: Box<[Address]>, until: Duration) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.users = Some(Box::new((users, until)));
        }
    }

    /// Whether the other end has proven to be this user; `unix` is now.
    pub fn has_identified(&self, id: ConnectionId, user: &Address, unix: Duration) -> bool {
        let users = self.open.get(&id).and_then(|connection| connection.users.as_deref());
        users.is_some_and(|(users, until)| unix < *until && users.contains(user))
    }

    /// The certificates of these users are good no more.
    pub fn forget_identities(&mut self, is_over: impl Fn(&Address) -> bool) {
        for connection in self.open.values_mut() {
            if connection.users.as_deref().is_some_and(|(users, _)| users.iter().any(&is_over)) {
                connection.users = None;
            }
        }
    }

    /// Whether a way that a message came by still is what it was.
    pub fn is_open(&self, id: ConnectionId, peer: SocketAddr) -> bool {
        self.open.get(&id).is_some_and(|connection| connection.arrival.peer == peer)
    }

    /// A message for a peer, over the connection to it: open, being opened, or to be opened.
    pub fn send(&mut self, peer: Peer, bytes: Vec<u8>, owner: Option<Id>) -> Route {
        let link = self.by_peer.get(&peer).copied().or_else(|| self.theirs(&peer));
        let id = match link {
            Some(Link::Open(id)) => return Route::Open(id, bytes),
            Some(Link::Dialling(id)) => id,
            None => return self.dial(peer, bytes, owner),
        };
        let dial = self.dials.get_mut(id).expect("a link names a dial that exists");
        if dial.waiting.len() >= MAX_WAITING {
            return Route::Full;
        }
        dial.waiting.push(Waiting { bytes, owner });
        Route::Waits
    }

    /// The same of an answer. A quarter of all that are opened at a time is for those: whoever asks says where they go, and may be gone
    /// before it is answered, as often as it likes.
    pub fn send_answer(&mut self, peer: Peer, bytes: Vec<u8>) -> Route {
        let is_known = self.by_peer.contains_key(&peer) || self.theirs(&peer).is_some();
        if !is_known && self.answers >= self.most_answers {
            return Route::Full;
        }
        let route = self.send(peer, bytes, None);
        if let Route::Dial(id) = route
            && let Some(dial) = self.dials.get_mut(id)
        {
            dial.is_answer = true;
            self.answers += 1;
        }
        route
    }

    /// A connection is being opened no more: it is open, or will not be.
    fn take_dial(&mut self, dial: Id) -> Option<Dial> {
        let dial = self.dials.remove(dial)?;
        self.answers -= usize::from(dial.is_answer);
        self.by_peer.remove(&dial.peer);
        Some(dial)
    }

    /// The peer's own connection, which is any domain's of ours: it knows by whose name it has reached us.
    fn theirs(&self, peer: &Peer) -> Option<Link> {
        if peer.own.is_empty() {
            return None;
        }
        let link = self.by_peer.get(&Peer { own: Box::default(), ..peer.clone() }).copied();
        link.filter(
            |link| matches!(link, Link::Open(id) if self.open.get(id).is_some_and(|open| open.theirs)),
        )
    }

    /// Whoever is named by an address has to prove again what it has proven there before, as other servers name themselves
    /// so in the Routes of dialogs that were begun with their domain, and hardly any certificate is for an address.
    pub fn name(&self, peer: &mut Peer) {
        if peer.transport.is_secure()
            && peer.name.parse::<IpAddr>().is_ok()
            && let Some(domain) = self.proven.get(&peer.at)
        {
            peer.name.clone_from(domain);
        }
    }

    fn dial(&mut self, peer: Peer, bytes: Vec<u8>, owner: Option<Id>) -> Route {
        let dial = Dial { peer: peer.clone(), is_answer: false, waiting: vec![Waiting { bytes, owner }] };
        match self.dials.insert(dial) {
            Some(id) => {
                self.by_peer.insert(peer, Link::Dialling(id));
                Route::Dial(id)
            }
            None => Route::Full,
        }
    }

    /// A connection is open at `now`; `dial` says which of ours it was, `domains` what its other end has proven. What waited
    /// for it comes back.
    pub fn opened(
        &mut self,
        id: ConnectionId,
        (arrival, domains): (Arrival, Box<[Box<str>]>),
        framer: Framer,
        (now, dial): (Instant, Option<Id>),
    ) -> Vec<Waiting> {
        let (links, writers, theirs) = (Vec::new(), Vec::new(), dial.is_none());
        let connection = Connection {
            arrival,
            framer,
            heard: now,
            links,
            theirs,
            domains,
            users: None,
            asked: None,
            writers,
        };
        self.open.insert(id, connection);
        let Some(dial) = dial.and_then(|dial| self.take_dial(dial)) else { return Vec::new() };
        let Peer { at, name, own, .. } = dial.peer.clone();
        if arrival.transport.is_secure() && name.parse::<IpAddr>().is_err() {
            self.note_proof(at, name);
        }
        self.link(id, dial.peer);
        if arrival.transport.is_secure() {
            self.link_domains(id, at, &own);
        }
        dial.waiting
    }

    fn note_proof(&mut self, at: SocketAddr, domain: Box<str>) {
        if self.proven.len() >= MAX_PROVEN {
            self.proven.clear();
        }
        self.proven.insert(at, domain);
    }

    /// A peer asks that requests for the domains that it has proven leave by its own connection, as if it led to `at`
    /// (RFC 5923 §5). Without proof nothing comes of it.
    pub fn alias(&mut self, id: ConnectionId, at: SocketAddr) {
        if self.open.get(&id).is_some_and(|connection| connection.links.is_empty()) {
            self.link_domains(id, at, "");
        }
    }

    /// Requests for any of the other end's domains reach it by this connection.
    fn link_domains(&mut self, id: ConnectionId, at: SocketAddr, own: &str) {
        let Some(connection) = self.open.get(&id) else { return };
        let transport = connection.arrival.transport;
        for name in connection.domains.iter().take(MAX_DOMAINS).cloned().collect::<Vec<_>>() {
            self.link(id, Peer { transport, at, name, own: own.into() });
        }
    }

    /// What leads there already stays.
    fn link(&mut self, id: ConnectionId, peer: Peer) {
        if let Entry::Vacant(place) = self.by_peer.entry(peer.clone()) {
            place.insert(Link::Open(id));
            self.open.get_mut(&id).into_iter().for_each(|connection| connection.links.push(peer.clone()));
        }
    }

    /// A connection of ours could not be opened. To whom, and what waited for it, come back.
    pub fn refused(&mut self, dial: Id) -> Option<(Peer, Vec<Waiting>)> {
        let dial = self.take_dial(dial)?;
        self.proven.remove(&dial.peer.at);
        Some((dial.peer, dial.waiting))
    }

    /// A connection is gone. Which other workers want to know comes back.
    pub fn closed(&mut self, id: ConnectionId) -> Vec<WorkerId> {
        let Some(connection) = self.open.remove(&id) else { return Vec::new() };
        for peer in &connection.links {
            self.by_peer.remove(peer);
        }
        connection.writers
    }
}
