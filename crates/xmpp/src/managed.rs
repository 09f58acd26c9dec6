//! Sessions and the connections that carry them: what a client has not acknowledged is kept and a session outlives its
//! connection for a while (XEP-0198); what a client that nobody looks at need not hear at once waits (XEP-0352).
//!
//! The router knows a session by the connection that it began with; which connection carries it now is known here. Streams,
//! buffers and the router itself are the caller's.

mod acknowledge;
mod asleep;
mod carry;
mod resume;
#[cfg(test)]
mod tests;

pub use asleep::{Asleep, Shared, Unheard};

use crate::jid::Jid;
use crate::router::{self, Given, Receipt};
use crate::stanza::Stanza;
use crate::stream::inactive::Held;
use crate::stream::unacknowledged::Most;
use crate::stream::{Agent, Sent, StreamError, Unacknowledged};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::{Address, ConnectionId, Machine, Timers};

/// Something to be written to a connection.
#[derive(Debug)]
pub enum Piece {
    /// A stanza, which comes back where it cannot be written.
    Given(Given),
    /// A stanza that is kept here until its client acknowledges it.
    Copy(Stanza),
    /// What the stream itself says.
    Bytes(Vec<u8>),
}

impl Piece {
    /// Its text.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Given(Given { stanza, .. }) | Self::Copy(stanza) => stanza.as_str().as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Whether anybody misses it where its client is never given it: a copy is kept here, and what else is said to a client that
    /// is gone nobody asks for.
    pub fn is_missed(&self) -> bool {
        match self {
            Self::Given(given) => given.is_missed(),
            Self::Copy(_) | Self::Bytes(_) => false,
        }
    }

    /// What is to be given back to the router once it is taken.
    pub fn receipt(&self) -> Option<Receipt> {
        match self {
            Self::Given(given) => given.receipt,
            Self::Copy(_) | Self::Bytes(_) => None,
        }
    }
}

/// What is bounded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What one client may leave unacknowledged.
    pub most: Most,
    /// How long a session waits for its client.
    pub resume: Duration,
}

/// What can happen.
#[derive(Debug)]
pub enum Input<'a> {
    /// Other bounds hold from now on.
    Bounds(Bounds),
    /// A connection is about to bind a resource: the session is named by it.
    Begin(ConnectionId),
    /// The router gives a session something.
    Give {
        /// The session.
        session: ConnectionId,
        /// What.
        given: Given,
    },
    /// A client counts stanzas from now on.
    Enable {
        /// Its connection.
        connection: ConnectionId,
        /// Its full JID.
        jid: &'a Jid,
        /// What it said of itself.
        agent: Option<&'a Agent>,
        /// Whether the router wants no more of it for now.
        paused: bool,
        /// What it is told.
        answer: Vec<u8>,
        /// By which name its session may be resumed, if it may.
        name: Option<Box<str>>,
    },
    /// A client says how many stanzas it has handled since the beginning.
    Acknowledged {
        /// Its connection.
        connection: ConnectionId,
        /// How many.
        handled: u32,
    },
    /// A client that has signed in wants an earlier session back.
    Resume {
        /// Its new connection.
        connection: ConnectionId,
        /// Who it is.
        account: &'a Address,
        /// The session's name.
        name: &'a str,
        /// How many stanzas it has handled.
        handled: u32,
    },
    /// What was said on a session's earlier connections is done ([`Output::Superseded`]).
    Superseded(ConnectionId),
    /// A stream goes on with the session that it wanted.
    Attach {
        /// Its connection.
        connection: ConnectionId,
        /// What it is told.
        answer: Vec<u8>,
    },
    /// Whether somebody looks at a client (XEP-0352).
    Look {
        /// Its connection.
        connection: ConnectionId,
        /// Whether.
        active: bool,
    },
    /// A connection carries its session no more: it is lost, or its stream has ended.
    Lost {
        /// It.
        connection: ConnectionId,
        /// How many stanzas were taken from it.
        handled: u32,
        /// Whether the session may wait for another.
        resumable: bool,
        /// What was not written any more.
        unsent: Vec<Piece>,
    },
    /// A connection that is gone was to be given something.
    Unwritten {
        /// It.
        connection: ConnectionId,
        /// What.
        given: Given,
    },
    /// So many stanzas of a session are handled, and what they did is durable.
    Handled {
        /// The session.
        session: ConnectionId,
        /// How many.
        handled: u32,
    },
    /// Whether the router wants no more of a session for now.
    Pace {
        /// The session.
        session: ConnectionId,
        /// Whether.
        paused: bool,
    },
    /// The router has ended a session.
    Evicted {
        /// The session.
        session: ConnectionId,
        /// In the words of its stream.
        why: StreamError,
    },
    /// What comes of [`Output::Forget`].
    Forgotten {
        /// The session that was to go on.
        session: ConnectionId,
        /// Whether the store has forgotten it.
        forgotten: bool,
    },
    /// A session that nobody carries is over.
    Expire(ConnectionId),
    /// Sessions of before the server's last end are back, each under a new name in the router; all at once.
    Restore(Vec<(ConnectionId, Asleep)>),
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write to a connection. What does not fit waits there; what never will be written comes back with
    /// [`Input::Lost`], or [`Input::Unwritten`] where the connection is gone.
    Write(ConnectionId, Piece),
    /// Tell the router.
    Route(router::Input<'static>),
    /// A client was asked what it has handled; who does not answer is not there.
    Asked(ConnectionId),
    /// Read no more from a connection.
    Pause(ConnectionId),
    /// Read on; what was read before is done now.
    Read(ConnectionId),
    /// The answer to a stream: there is no such session.
    NotResumed(ConnectionId),
    /// The answer to a stream: the session is its own from now on; [`Input::Attach`] follows.
    Resumed {
        /// Its connection.
        connection: ConnectionId,
        /// The session's full JID.
        jid: Jid,
        /// The session's name.
        name: Box<str>,
        /// How many stanzas of it were handled.
        handled: u32,
    },
    /// End a stream.
    End(ConnectionId, StreamError),
    /// Do what was said on this connection, then say that it is lost and resumable, then end its stream: another has its
    /// session.
    Supersede(ConnectionId),
    /// To be answered with [`Input::Superseded`], behind all of the above.
    Superseded(ConnectionId),
    /// The store is to forget what it has of a session.
    Forget {
        /// Whose it is.
        account: Address,
        /// Its name.
        name: Box<str>,
        /// The session that goes on then; none: it is over.
        then: Option<ConnectionId>,
    },
}

/// What waits for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A session that nobody carries is over.
    Expire(ConnectionId),
    /// A client is asked what it has handled.
    Request(ConnectionId),
}

/// A connection.
#[derive(Debug, Default)]
struct Link {
    /// The session that it carries, by its name in the router.
    session: Option<ConnectionId>,
    /// The session that it wants back.
    wants: Option<ConnectionId>,
    /// While nobody looks at its client: what waits for that.
    held: Option<Box<Held>>,
}

/// A session whose client acknowledges.
#[derive(Debug)]
struct Session {
    account: Address,
    jid: Jid,
    agent: Option<Agent>,
    /// By which name it may be resumed, if it may.
    name: Option<Box<str>>,
    queue: Unacknowledged,
    /// What it was given before that and may not have had, since its connection was lost; whoever comes back by its name has.
    before: Vec<Sent>,
    /// The connection that carries it.
    carrier: Option<ConnectionId>,
    /// A connection that will, once it is known how much was handled.
    next: Option<ConnectionId>,
    /// While nobody carries it: how many stanzas of it were taken.
    handled: u32,
    /// Whether the router wants no more of it for now.
    paused: bool,
    /// Whether it was asked what it has handled, and has not said so yet.
    asked: bool,
    /// Whether the store has it from before the server's last end.
    stored: bool,
}

/// All sessions of one worker.
#[derive(Debug)]
pub struct Managed {
    bounds: Bounds,
    now: Instant,
    /// Those whose clients acknowledge.
    sessions: FxHashMap<ConnectionId, Session>,
    names: FxHashMap<Box<str>, ConnectionId>,
    links: FxHashMap<ConnectionId, Link>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
}

impl Managed {
    /// None yet.
    pub fn new(now: Instant, bounds: Bounds) -> Self {
        Self {
            bounds,
            now,
            sessions: FxHashMap::default(),
            names: FxHashMap::default(),
            links: FxHashMap::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// The session that a connection carries.
    pub fn session(&self, connection: ConnectionId) -> Option<ConnectionId> {
        self.links.get(&connection)?.session
    }

    /// The connection that carries a session.
    pub fn carrier(&self, session: ConnectionId) -> Option<ConnectionId> {
        match self.sessions.get(&session) {
            Some(managed) => managed.carrier,
            None => Some(session),
        }
    }

    /// The sessions that nobody carries.
    pub fn away(&self) -> impl Iterator<Item = ConnectionId> {
        self.sessions.iter().filter(|(_, managed)| managed.carrier.is_none()).map(|(session, _)| *session)
    }

    /// What the client of a session said of itself.
    pub fn agent(&self, session: ConnectionId) -> Option<&Agent> {
        self.sessions.get(&session)?.agent.as_ref()
    }

    /// How many stanzas the client of a session has not acknowledged, where it does that.
    pub fn unacknowledged(&self, session: ConnectionId) -> Option<usize> {
        Some(self.sessions.get(&session)?.queue.len())
    }

    /// The most that any client has not acknowledged.
    pub fn most_unacknowledged(&self) -> usize {
        self.sessions.values().map(|managed| managed.queue.len()).max().unwrap_or_default()
    }

    /// How many sessions have clients that acknowledge.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether nothing is known of anybody.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.names.is_empty() && self.links.is_empty() && self.timers.is_empty()
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn write(&mut self, connection: ConnectionId, piece: Piece) {
        self.output(Output::Write(connection, piece));
    }

    fn route(&mut self, input: router::Input<'static>) {
        self.output(Output::Route(input));
    }

    fn pace(&mut self, session: ConnectionId, paused: bool) {
        if let Some(managed) = self.sessions.get_mut(&session) {
            managed.paused = paused;
        }
        if let Some(connection) = self.carrier(session) {
            self.output(if paused { Output::Pause(connection) } else { Output::Read(connection) });
        }
    }
}

impl Machine for Managed {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Bounds(bounds) => self.bounds = bounds,
            Input::Begin(connection) => self.begin(connection),
            Input::Give { session, given } => self.give(session, given),
            Input::Enable { connection, jid, agent, paused, answer, name } => {
                self.write(connection, Piece::Bytes(answer));
                self.enable(connection, jid, agent, paused, name);
            }
            Input::Acknowledged { connection, handled } => self.acknowledged(connection, handled),
            Input::Resume { connection, account, name, handled } => {
                self.take_back(connection, account, name, handled);
            }
            Input::Superseded(session) => self.superseded(session),
            Input::Attach { connection, answer } => self.attach(connection, answer),
            Input::Look { connection, active } => self.look(connection, active),
            Input::Lost { connection, handled, resumable, unsent } => {
                self.lost(connection, handled, resumable, unsent);
            }
            Input::Unwritten { connection, given } => self.unwritten(connection, given),
            Input::Handled { session, handled } => self.handled(session, handled),
            Input::Pace { session, paused } => self.pace(session, paused),
            Input::Evicted { session, why } => self.evicted(session, why),
            Input::Forgotten { session, forgotten } => self.forgotten(session, forgotten),
            Input::Expire(session) => self.finish(session),
            Input::Restore(asleep) => self.restore(asleep),
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Expire(session) => self.finish(session),
                Timer::Request(session) => self.request(session),
            }
        }
    }
}
