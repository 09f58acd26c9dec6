//! Who gets which stanza (RFC 6120 §10, RFC 6121): one router per worker, home of its share of the accounts.
//!
//! It owns the sessions, rosters in use and presence of the accounts whose home is its worker; a stanza for
//! anybody else is handed over to that account's home. Which host is whose, `router::places` knows.

pub mod ask;
pub mod limits;

pub(crate) mod account;
mod components;
pub(crate) mod deliver;
mod given;
mod hold;
mod house;
mod inbound;
pub(crate) mod ledger;
mod links;
mod outbound;
pub mod places;
pub(crate) mod route;
pub(crate) mod session;
mod sessions;
pub(crate) mod settings;
pub(crate) mod stored;
mod suspended;

pub use crate::xep::external::{Credential, External, Externals, Issuer};
pub use ask::{Answer, DocumentKind, Entry, Fault, Query, Span, Token};
pub use given::{Given, Share};
pub use house::House;
pub use limits::Limits;
pub(crate) use outbound::request;
pub use places::{Neighbour, Place};
pub use sessions::{Load, SessionInfo};
pub use suspended::Suspended;

use crate::jid::{Bare, Jid};
use crate::muc::Listing;
use crate::muc::rooms::Rooms;
use crate::pubsub::caps::Cache;
use crate::pubsub::event::Heading;
use crate::pubsub::last::Wish;
use crate::stanza::{Condition, Draft, Kind, Stanza, StanzaError};
use crate::xml::Element;
use account::Accounts;
use ask::Asks;
use ledger::{Debt, Ledger};
use links::Links;
use places::Places;
use rustc_hash::FxHashMap;
use session::{Session, Word};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stored::Then;
use wire::{Address, ConnectionId, Directory, Domain, Entropy, Epoch, Machine, Secret, WorkerId};

/// What a router is made of.
pub struct Setting {
    /// The worker it belongs to.
    pub me: WorkerId,
    /// How many workers there are.
    pub workers: u16,
    /// What is bounded, and how.
    pub limits: Limits,
    /// Domains and accounts.
    pub directory: Arc<Directory>,
    /// The room services.
    pub rooms: Vec<Neighbour>,
    /// The components.
    pub components: Vec<Neighbour>,
    /// Ties the clocks.
    pub epoch: Epoch,
    /// For resources that a client leaves to us.
    pub entropy: Box<dyn Entropy>,
}

#[cfg(test)]
impl Setting {
    /// The first of two workers of a house that has these domains and accounts and nothing else.
    pub(crate) fn of_test(now: std::time::Instant, directory: Directory) -> Self {
        Self {
            me: WorkerId(0),
            workers: 2,
            limits: Limits::default(),
            directory: Arc::new(directory),
            rooms: Vec::new(),
            components: Vec::new(),
            epoch: testkit::epoch(now),
            entropy: Box::new(testkit::Seeded::new(0)),
        }
    }
}

/// Confirms that a stanza was taken by its connection: given back by [`Input::Delivered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) connection: ConnectionId,
    pub(crate) up_to: i64,
}

/// A stanza on its way between accounts. Its addresses are stamped, in normal form and at main names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub(crate) stanza: Stanza,
    /// For whom it is, where many are shown the same stanza: it is written for each only where somebody is given it.
    pub(crate) whom: Option<Box<Jid>>,
    /// The session that caused it: what is not durable yet holds its answers back.
    pub(crate) origin: Option<ConnectionId>,
    /// Whether the server itself says it to whoever asked: it keeps its place behind that session's writes.
    pub(crate) answer: bool,
    /// Whether nobody wants to hear that it could not be delivered.
    pub(crate) quiet: bool,
    /// Whether it comes from a session that had no room for it or went away: its copies were made before.
    pub(crate) again: bool,
    /// How many seconds ago it was first sent.
    pub(crate) age: u32,
    /// Whether its addressee's archive keeps it.
    pub(crate) archived: bool,
    /// Set: it is for those resources of its addressee alone that want to hear of this.
    pub(crate) heading: Option<Arc<Heading>>,
}

/// What routers say to one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// A stanza for an account that is at home there.
    Parcel(Parcel),
    /// Say [`Between::Cleared`] when all that this session caused there so far is durable.
    Barrier(ConnectionId),
    /// All that the session caused here before its barrier is durable.
    Cleared(ConnectionId),
    /// A resource says what it wants to hear of an account that is at home there.
    Wish(Wish),
    /// What a room says to those of its occupants' clients that are there.
    Many {
        /// What, without addressee.
        stanzas: Arc<[Stanza]>,
        /// Their full JIDs.
        to: Arc<[Jid]>,
    },
    /// What there is to know of a room; `None`: it is no more.
    Listed {
        /// Which.
        room: Address,
        /// What there is to know.
        listing: Option<Listing>,
    },
}

/// What can happen to a router.
#[derive(Debug)]
pub enum Input<'a> {
    /// Somebody has signed in as `account` (at home here) and wants to bind a resource, this one if it is named.
    /// Answered by [`Output::Opened`].
    Open {
        /// Its connection.
        connection: ConnectionId,
        /// Who.
        account: &'a Address,
        /// The resource it asks for.
        resource: Option<&'a str>,
    },
    /// The connection of a session is gone, or its stream has ended.
    Closed(ConnectionId),
    /// A session's connection had no room for a stanza, so it is a session no more: the stanza finds another way.
    Undelivered {
        /// Its connection.
        connection: ConnectionId,
        /// What it did not take, as it was given.
        given: Given,
        /// When it was sent, if that is a while ago.
        since: Option<Instant>,
    },
    /// A session sent a stanza (`Stanza::receive` has stamped it).
    Stanza {
        /// Its connection.
        connection: ConnectionId,
        /// What it sent.
        stanza: Stanza,
    },
    /// A session sent a stanza that its stream refused; the answer keeps its place.
    Refused {
        /// Its connection.
        connection: ConnectionId,
        /// What it sent.
        stanza: &'a Stanza,
        /// What is wrong with it.
        error: StanzaError,
    },
    /// A session asks how much of what it sent is handled; it has sent so many stanzas before. Answered by
    /// [`Output::Handled`].
    Asked {
        /// Its connection.
        connection: ConnectionId,
        /// How many.
        handled: u32,
    },
    /// A session from before the server's end is back, without its connection.
    Restore {
        /// By which name.
        connection: ConnectionId,
        /// What is known of it.
        suspended: Box<Suspended>,
    },
    /// What a session is given comes back where its client does not acknowledge it (XEP-0198).
    Acknowledges(ConnectionId),
    /// A session wants copies from its beginning (XEP-0386).
    Carbons(ConnectionId),
    /// The connection of a session was lost, and the session waits for another; or has it.
    Away {
        /// The name by which the router knows it: the connection that it began with.
        connection: ConnectionId,
        /// Whether it waits.
        away: bool,
    },
    /// A component (XEP-0114) is there, at home here.
    ComponentOpened {
        /// Its connection.
        connection: ConnectionId,
        /// What it serves.
        host: Domain,
    },
    /// A component sent a stanza, from an address of its own.
    ComponentSaid {
        /// Its connection.
        connection: ConnectionId,
        /// What it sent.
        stanza: Stanza,
    },
    /// A component could not be given a stanza: its sender is told so.
    Returned {
        /// What it was not given.
        stanza: Stanza,
        /// Why.
        condition: Condition,
    },
    /// Another router says something.
    HandedOver(Between),
    /// The queue to another worker was full: what could not be handed over comes back, before anything else.
    NoRoom {
        /// To whom it was.
        to: WorkerId,
        /// What.
        what: Between,
    },
    /// The store answers.
    Answer {
        /// What was asked.
        token: Token,
        /// The answer.
        outcome: Result<Answer, Fault>,
    },
    /// A connection has taken what was delivered with a receipt.
    Delivered(Receipt),
    /// Domains or accounts have changed.
    Directory(Arc<Directory>),
    /// The calendar was set.
    Epoch(Epoch),
    /// The plan has changed.
    Plan {
        /// The new bounds.
        limits: Limits,
        /// The room services.
        rooms: Vec<Neighbour>,
        /// The components.
        components: Vec<Neighbour>,
    },
    /// What is to be told of the house has changed.
    House(Arc<House>),
    /// The server is to end: what waits for sessions behind kept messages is given to them now.
    Release,
    /// An administrator wants sessions closed: all of an account, or one.
    Kick {
        /// Whose.
        account: &'a Address,
        /// Which; all if not said.
        resource: Option<&'a str>,
    },
}

/// Why the router ends a session; the stream says it in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// A new session has taken the resource: `conflict` (RFC 6120 §7.7.2.2).
    Replaced,
    /// The account is gone: `not-authorized`.
    AccountRemoved,
    /// The account has another password: whoever knows the old one alone shall not stay: `reset`.
    PasswordChanged,
    /// An administrator wants it so: `policy-violation`.
    Kicked,
    /// Too much has come since it was given something that it does not say it has taken: `policy-violation`.
    Unacknowledged,
}

/// What a router wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// The session is open under this full JID, or is refused.
    Opened {
        /// Its connection.
        connection: ConnectionId,
        /// Its full JID, or what binding is answered.
        outcome: Result<Jid, Condition>,
    },
    /// Send a stanza to a session.
    Deliver {
        /// Its connection.
        connection: ConnectionId,
        /// What it is given.
        given: Given,
    },
    /// So many stanzas of a session are handled: all that they caused is durable.
    Handled {
        /// Its connection.
        connection: ConnectionId,
        /// How many.
        handled: u32,
    },
    /// Tell another worker's router. Where its queue is full, [`Input::NoRoom`] comes before the next `poll`.
    HandOver {
        /// Which worker.
        to: WorkerId,
        /// What.
        what: Between,
    },
    /// Ask the store; its outcome comes back with the token. A store that takes no more questions is answered
    /// for with [`Fault::Unavailable`].
    Ask {
        /// Names the question.
        token: Token,
        /// The question.
        query: Query,
    },
    /// Another password for an account, in the normal form of [`wire::address::password`]; answered as a question to the
    /// store, behind [`Input::Directory`] with it. It comes to nothing where the account has had other keys meanwhile.
    SetPassword {
        /// Names the wish.
        token: Token,
        /// Whose.
        account: Address,
        /// Which.
        password: Secret,
    },
    /// End a session with a stream error. The router has forgotten it already.
    Close {
        /// Its connection.
        connection: ConnectionId,
        /// Why.
        why: Eviction,
    },
    /// Read no more from a session: too much of what it sent is not done yet.
    Pause(ConnectionId),
    /// Read on.
    Resume(ConnectionId),
}

/// Something to be done for an account at home here, in the order in which it came.
#[derive(Debug)]
pub(crate) enum Work {
    /// A session sent a stanza.
    Sent { connection: ConnectionId, stanza: Stanza, debt: Option<Debt> },
    /// A stanza for the account arrived.
    Arrived { parcel: Parcel, debt: Option<Debt> },
    /// A session is gone whose presence was known.
    Gone(Box<Session>),
    /// A change of what is said of a contact came to nothing.
    Unchanged { account: Address, contact: Bare },
    /// A resource wants to hear of what the account publishes.
    Wished(Wish),
    /// A stanza for a room at home here, or for the room service.
    Room { parcel: Parcel, debt: Option<Debt> },
}

impl Work {
    /// How many times as much may wait for a roster before this finds no room: who goes is shown to go, though nobody could
    /// be told that there is no room for it; what nobody says is bounded by what was said.
    pub(crate) fn room(&self) -> usize {
        match self {
            Self::Gone(_) | Self::Unchanged { .. } => usize::MAX,
            // Its session is read no further while so much of it waits.
            Self::Sent { stanza, .. } if stanza.is_unavailable() => usize::MAX,
            Self::Arrived { parcel, .. } if parcel.stanza.is_unavailable() => 2,
            _ => 1,
        }
    }
}

/// How long to wait before another worker's full queue is tried again.
const RETRY: Duration = Duration::from_millis(2);

/// One worker's router.
pub struct Router {
    pub(crate) me: WorkerId,
    pub(crate) workers: u16,
    pub(crate) limits: Limits,
    pub(crate) directory: Arc<Directory>,
    pub(crate) places: Places,
    /// The components that are there.
    pub(crate) components: FxHashMap<Domain, ConnectionId>,
    pub(crate) epoch: Epoch,
    pub(crate) now: Instant,
    started: Instant,
    house: Arc<House>,
    pub(crate) entropy: Box<dyn Entropy>,
    /// Apart from the table, of which half may be empty.
    pub(crate) sessions: FxHashMap<ConnectionId, Box<Session>>,
    pub(crate) accounts: Accounts,
    pub(crate) ledger: Ledger,
    /// The debt that led to what is being done.
    pub(crate) cause: Option<(ConnectionId, u64)>,
    pub(crate) asks: Asks<Then>,
    pub(crate) pushes: u64,
    /// The id that an archive was given last.
    pub(crate) last_archived: i64,
    pub(crate) caps: Cache,
    pub(crate) rooms: Rooms,
    links: Links,
    work: VecDeque<Work>,
    outputs: VecDeque<Output>,
}

impl Router {
    /// A router without sessions.
    pub fn new(setting: Setting) -> Self {
        let Setting { me, workers, limits, directory, rooms, components, epoch, entropy } = setting;
        let mut places = Places::default();
        places.set(Place::Rooms, rooms);
        places.set(Place::Component, components);
        Self {
            me,
            workers,
            ledger: Ledger::new(limits.pending),
            limits,
            directory,
            places,
            components: FxHashMap::default(),
            now: epoch.instant,
            started: epoch.instant,
            house: Arc::default(),
            epoch,
            entropy,
            sessions: FxHashMap::default(),
            accounts: Accounts::default(),
            cause: None,
            asks: Asks::default(),
            pushes: 0,
            last_archived: 0,
            caps: Cache::default(),
            rooms: Rooms::default(),
            links: Links::default(),
            work: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// For how long it runs.
    pub(crate) fn uptime(&self) -> Duration {
        self.now.saturating_duration_since(self.started)
    }

    /// Calendar time, since 1970-01-01 00:00 UTC.
    pub(crate) fn unix(&self) -> Duration {
        self.epoch.unix(self.now)
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Sends a stanza to a session.
    pub(crate) fn deliver(&mut self, connection: ConnectionId, stanza: Stanza) {
        self.output(Output::Deliver { connection, given: stanza.into() });
    }

    /// Tells a session something on the server's own accord, which its client confirms.
    pub(crate) fn push_to(&mut self, connection: ConnectionId, payload: &Element) {
        let Some(session) = self.sessions.get(&connection) else { return };
        self.pushes += 1;
        let id = format!("push-{}", self.pushes);
        let push = Draft::new(Kind::Iq).to(Some(&session.jid)).id(Some(&id)).type_("set").child(payload);
        self.deliver(connection, push.build());
    }

    /// Puts work at the end of what this input has caused.
    pub(crate) fn later(&mut self, work: Work) {
        self.work.push_back(work);
    }

    /// Puts work, in its order, in front of all that this input has caused.
    pub(crate) fn first(&mut self, work: impl DoubleEndedIterator<Item = Work>) {
        for work in work.rev() {
            self.work.push_front(work);
        }
    }

    fn take(&mut self, input: Input<'_>) {
        match input {
            Input::Open { connection, account, resource } => self.open(connection, account, resource),
            Input::Closed(connection) => self.closed(connection),
            Input::Undelivered { connection, given, since } => self.undelivered(connection, given, since),
            Input::Stanza { connection, stanza } => self.sent(connection, stanza),
            Input::Refused { connection, stanza, error } => {
                if let Some(error) = stanza.error(error) {
                    self.answer(connection, error);
                }
            }
            Input::Asked { connection, handled } => self.say(connection, Word::Handled(handled)),
            Input::Restore { connection, suspended } => self.restore(connection, *suspended),
            Input::Acknowledges(connection) => {
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.acknowledges = true;
                }
            }
            Input::Carbons(connection) => self.begin_carbons(connection),
            Input::Away { connection, away } => self.away(connection, away),
            Input::HandedOver(what) => self.handed_over(what),
            Input::NoRoom { to, what } => self.links.no_room(to, what, self.now + RETRY),
            Input::Answer { token, outcome } => self.answered(token, outcome),
            Input::Delivered(receipt) => self.delivered(receipt),
            Input::Directory(directory) => self.directory_changed(directory),
            Input::Epoch(epoch) => self.epoch = epoch,
            Input::ComponentOpened { connection, host } => self.component_opened(connection, host),
            Input::ComponentSaid { connection, stanza } => self.component_said(connection, stanza),
            Input::Returned { stanza, condition } => self.returned(stanza, condition),
            Input::Plan { limits, rooms, components } => {
                self.ledger.set_limit(limits.pending);
                self.limits = limits;
                self.places.set(Place::Rooms, rooms);
                self.places.set(Place::Component, components);
                self.dismiss_components();
            }
            Input::House(house) => self.house = house,
            Input::Release => self.release_all(),
            Input::Kick { account, resource } => self.kick(account, resource),
        }
    }

    /// Does all work; what some work causes is done before the work that came after it.
    pub(crate) fn run(&mut self) {
        while let Some(work) = self.work.pop_front() {
            if self.work.is_empty() {
                self.begin(work);
                continue;
            }
            let rest = std::mem::take(&mut self.work);
            self.begin(work);
            let caused = std::mem::replace(&mut self.work, rest);
            caused.into_iter().rev().for_each(|work| self.work.push_front(work));
        }
    }
}

impl Machine for Router {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        self.take(input);
        self.run();
    }

    fn poll(&mut self) -> Option<Output> {
        loop {
            match self.outputs.pop_front()? {
                Output::HandOver { to, what } if self.links.is_stuck(to) => self.queue_up(to, what),
                output => return Some(output),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.links.retry().into_iter().chain(self.rooms.deadline()).min()
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        // In front of all that came meanwhile.
        for (to, what) in self.links.flush(now).into_iter().rev() {
            self.outputs.push_front(Output::HandOver { to, what });
        }
        self.tick_rooms();
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Router({:?}, {} sessions, {} accounts)", self.me, self.sessions.len(), self.accounts.len())
    }
}
