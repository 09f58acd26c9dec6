//! One worker's SIP as a machine: bytes, time and answers in; bytes, questions and hand-overs out.
//!
//! What belongs to another worker leaves whole as a [`Parcel`]; what needs the disk, a name or another worker's
//! bindings leaves as a question with a token, and goes on when the answer comes.

mod ack;
mod ask;
mod called;
mod calls;
mod cancel;
mod client;
mod config;
mod date;
mod inspect;
mod observe;
mod outbound;
mod ping;
mod receive;
mod register;
mod reply;
mod request;
mod scanner;
mod send;
mod storage;
mod strangers;
mod table;
mod tally;
mod timer;

pub use calls::Ringing;
pub(crate) use calls::says_gone;
pub use config::{Config, Limits, Speaker};
pub use inspect::Registered;
pub use send::Path;
pub use storage::Storage;
pub use strangers::{Everybody, Strangers};
pub(crate) use table::{Asked, Cancel, Chain, Client, ClientKind, Entry, Server, ServerKind};
pub use tally::Tally;

use crate::dialog::book::{Book, Event};
use crate::digest::Digest;
use crate::framing::Framer;
use crate::message::Message;
use crate::proxy::Refusal;
use crate::proxy::media::{Over, Passage};
use crate::proxy::route::Place;
use crate::registrar::{self, Binding, Contact, Registrar};
use crate::slab::{Id, Slab};
use crate::trace::{Note, Trace};
use crate::transaction::{Alarm, Keyring, Timer};
use crate::transport::blocked::LONGEST;
use crate::transport::connections::Peer;
use crate::transport::{Arrival, Blocked, Connections, Seal};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Table;
use wire::names::{Found, Question};
use wire::{
    Address, ConnectionId, Directory, Epoch, Flow, Locks, Machine, SocketId, Timers, Transport, WorkerId,
};

/// The mark of a question; its answer carries it.
pub type Token = u64;

/// What can happen to the stack.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram {
        /// By which socket.
        socket: SocketId,
        /// To which address of ours.
        local: IpAddr,
        /// From whom.
        peer: SocketAddr,
        /// What it carries.
        bytes: &'a [u8],
    },
    /// An earlier datagram did not reach its peer.
    Unreachable {
        /// Whom it was for.
        peer: SocketAddr,
    },
    /// A stream is open.
    Opened {
        /// Which.
        conn: ConnectionId,
        /// TCP or TLS.
        transport: Transport,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        peer: SocketAddr,
        /// The [`Output::Connect`] that it comes of, if we opened it.
        token: Option<Token>,
        /// The domains that the other end has proven by its certificate (RFC 5922), in lower case.
        domains: Box<[Box<str>]>,
    },
    /// The other end of a stream has proven by a certificate to be these users, until a time since 1970.
    Identified {
        /// Which.
        conn: ConnectionId,
        /// Whom, at the main names of our domains.
        users: Box<[Address]>,
        /// Until when the certificate holds.
        until: Duration,
    },
    /// Whoever opened a stream has asked for this name in its handshake (RFC 6066 §3).
    Asked {
        /// Which.
        conn: ConnectionId,
        /// The name.
        name: Arc<str>,
    },
    /// A stream could not be opened.
    Refused {
        /// The mark of the [`Output::Connect`].
        token: Token,
        /// Why, in words for whoever asked.
        why: String,
    },
    /// Bytes of a stream, in order, in pieces of any size.
    Received {
        /// Which.
        conn: ConnectionId,
        /// All of them are taken.
        bytes: &'a [u8],
    },
    /// A stream is gone.
    Closed {
        /// Which.
        conn: ConnectionId,
    },
    /// Where an address is reached, in answer to [`Output::Locate`].
    Located {
        /// The question's mark.
        token: Token,
        /// Its contacts; `None`: nobody could be asked.
        contacts: Option<Vec<Contact>>,
    },
    /// What is known of a name, in answer to [`Output::Resolve`].
    Resolved {
        /// The question's mark.
        token: Token,
        /// Of the kind that was asked for.
        found: Found,
        /// Eight bytes of chance, which decide among servers of the same priority.
        random: u64,
    },
    /// What became of a [`Output::Store`] with a token.
    Stored {
        /// Its mark.
        token: Token,
        /// Whether the bindings are on the disk.
        durable: bool,
    },
    /// The session description that goes on in place of a message's own, in answer to [`Output::Media`].
    Mediated {
        /// The question's mark.
        token: Token,
        /// It; `None` leaves the message as it is.
        body: Option<Vec<u8>>,
    },
    /// Another worker hands something over.
    HandedOver {
        /// What.
        parcel: Parcel,
    },
    /// The other worker's queue did not take what was to be handed over.
    NotHandedOver {
        /// What.
        parcel: Parcel,
    },
}

/// What the stack wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram.
    Send {
        /// By which listener; every worker has a twin of it.
        socket: SocketId,
        /// From which address of ours; `None`: any.
        local: Option<IpAddr>,
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// Write to a stream of this worker.
    Write {
        /// Which.
        conn: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Open a stream. [`Input::Opened`] or [`Input::Refused`] follows.
    Connect {
        /// The mark.
        token: Token,
        /// TCP or TLS.
        transport: Transport,
        /// Where.
        to: SocketAddr,
        /// Whose certificate is expected, where the transport is TLS.
        name: Box<str>,
        /// The domain of ours that speaks, whose certificate is shown there; empty: the first.
        own: Box<str>,
    },
    /// Close a stream, after what was written.
    Close {
        /// Which.
        conn: ConnectionId,
    },
    /// Put these bindings on the disk, each in place of the one that stood there. [`Input::Stored`] follows.
    Store {
        /// The mark.
        token: Token,
        /// Whose bindings.
        address: Address,
        /// Those that have changed, or all of them.
        rows: Vec<registrar::Row>,
        /// These are all, and there may be more on the disk, in the places behind: they go.
        fewer: bool,
    },
    /// Where is this address? [`Input::Located`] follows.
    Locate {
        /// The mark.
        token: Token,
        /// Whose.
        address: Address,
    },
    /// What is known of this name? [`Input::Resolved`] follows.
    Resolve {
        /// The mark.
        token: Token,
        /// The name, and what is to be known of it.
        question: Question,
    },
    /// Somebody has shown credentials: right ones, or wrong ones. Asking without any is no fault.
    Proof {
        /// From where.
        source: IpAddr,
        /// Of which account, where there is one of that name.
        account: Option<Address>,
        /// Whether they were right.
        right: bool,
    },
    /// Somebody who has proven nothing asks for too much: a request of theirs is not answered.
    TurnedAway {
        /// From where.
        source: IpAddr,
        /// Whether nobody can have written this address in another's name.
        is_proven: bool,
    },
    /// A message of a call that is relayed is about to go on. [`Input::Mediated`] follows.
    Media {
        /// The mark.
        token: Token,
        /// What is known of it.
        passage: Box<Passage>,
    },
    /// A call, or ways of one, need no relay any more.
    MediaOver(Over),
    /// Give this to another worker's stack.
    HandOver {
        /// Whose.
        to: WorkerId,
        /// What.
        parcel: Parcel,
    },
}

/// What one worker's stack hands to another's.
#[derive(Debug, PartialEq, Eq)]
pub enum Parcel {
    /// A request that belongs to the other worker: a REGISTER at its address's home.
    Request {
        /// How it came.
        arrival: Arrival,
        /// The request.
        bytes: Vec<u8>,
        /// Who its sender has proven to be by a certificate, where that is whom it is about.
        user: Option<Address>,
        /// The name that its stream's handshake asked for.
        asked: Option<Arc<str>>,
    },
    /// A datagram that belongs to the other worker, as far as one can tell without reading it.
    Unread {
        /// How it came.
        arrival: Arrival,
        /// What it carries.
        bytes: Vec<u8>,
    },
    /// A CANCEL, or an ACK, that matched nothing so far.
    Stray {
        /// How it came.
        arrival: Arrival,
        /// The request.
        bytes: Vec<u8>,
        /// How many more workers to ask.
        left: u16,
    },
    /// A response to a transaction of the other worker.
    Response {
        /// The response.
        bytes: Vec<u8>,
    },
    /// Bytes for a stream of the other worker.
    Write {
        /// Which.
        conn: ConnectionId,
        /// Whom it leads to: bytes for another are not written.
        peer: SocketAddr,
        /// What.
        bytes: Vec<u8>,
        /// The worker and transaction that want to know if the stream is gone.
        owner: Option<(WorkerId, Id)>,
    },
    /// A datagram did not reach its peer. The kernel tells the worker that the peer's own datagrams would come to,
    /// which need not be the one that sent.
    Unreachable {
        /// Whom it was for.
        peer: SocketAddr,
    },
    /// What has become of calls whose home the other worker is.
    Calls(Vec<Event>),
    /// A stream that the other worker's requests left by has closed.
    Closed {
        /// Which.
        conn: ConnectionId,
    },
    /// The stream of a [`Parcel::Write`] was gone before.
    Gone {
        /// The transaction that wrote.
        owner: Id,
    },
}

/// One worker's SIP.
#[derive(Debug)]
pub struct Stack {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) epoch: Epoch,
    pub(crate) seal: Seal,
    pub(crate) digest: Digest,
    keyring: Keyring,
    pub(crate) timers: Timers<Timer>,
    pub(crate) table: Table,
    pub(crate) asked: Slab<Asked>,
    pub(crate) connections: Connections,
    /// Who the sender of what is being handed over has proven to be by a certificate.
    pub(crate) handed_user: Option<Address>,
    /// The name that the handshake of its stream asked for.
    pub(crate) handed_name: Option<Arc<str>>,
    pub(crate) blocked: Blocked,
    registrar: Registrar,
    storage: Storage,
    pub(crate) out: VecDeque<Output>,
    pub(crate) locks: Arc<Locks>,
    pub(crate) strangers: Arc<dyn Strangers>,
    /// Requests of scanners.
    scanned: u64,
    tally: Tally,
    trace: Trace,
    calls: Book,
    /// What other workers are to be told of calls at home there.
    untold: Vec<(WorkerId, Event)>,
    draining: bool,
    pings: ping::Pings,
}

impl Stack {
    /// A stack without bindings.
    pub fn new(config: Config, directory: Arc<Directory>, epoch: Epoch) -> Self {
        let limits = config.limits;
        let mut digest = config.digest();
        digest.begin(epoch.unix);
        Self {
            seal: Seal::new(&config.secret),
            digest,
            keyring: Keyring::default(),
            timers: Timers::default(),
            table: Table::new(limits.transactions, limits.per_source),
            asked: Slab::new(limits.transactions),
            connections: Connections::new(limits.dials),
            handed_user: None,
            handed_name: None,
            blocked: Blocked::default(),
            registrar: Registrar::default(),
            storage: Storage::default(),
            out: VecDeque::new(),
            locks: Arc::default(),
            strangers: Arc::new(Everybody),
            scanned: 0,
            tally: Tally::default(),
            trace: Trace::new(limits.trace),
            calls: Book::new(limits.calls),
            untold: Vec::new(),
            draining: false,
            pings: ping::Pings::default(),
            config,
            directory,
            epoch,
        }
    }

    /// Puts in the bindings of an address as they were kept; what has ended by `now` is left out.
    pub fn load(&mut self, now: Instant, address: Address, rows: &[registrar::Row]) {
        let read = |row| Binding::from_row(row, &self.epoch, &self.config.listeners);
        let mut rows: Vec<&registrar::Row> = rows.iter().collect();
        rows.sort_by_key(|row| row.order());
        let bindings = rows.into_iter().filter_map(read).filter(|binding| binding.expires > now).collect();
        self.storage.note_fewer(&address);
        self.registrar.load((now, &self.epoch), address, bindings);
        self.watch_bindings(now);
    }

    /// Where an address at home here is reached, the most preferred first.
    pub fn contacts(&self, now: Instant, address: &Address) -> Vec<Contact> {
        self.registrar.contacts(address, now)
    }

    /// Everything that is registered here.
    pub fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// How the bindings stand with the disk.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> usize {
        self.table.len()
    }

    /// How many requests are not finally answered.
    pub fn unanswered(&self) -> usize {
        self.table.unanswered()
    }

    /// Takes on nothing new: what does not belong to a dialog is refused with 503 from now on.
    pub fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.save_all(now);
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.connections.len()
    }

    /// The accounts have changed: whoever is gone is registered nowhere.
    pub fn set_directory(&mut self, now: Instant, directory: Arc<Directory>) {
        self.directory = directory;
        let gone = |address: &&Address| self.directory.get(address).is_none();
        let gone: Vec<Address> = self.registrar.addresses().filter(gone).cloned().collect();
        for address in gone {
            self.registrar.forget(&address);
            self.save_fewer(now, &address);
        }
        // Who has the same address later is another.
        self.connections.forget_identities(|user| self.directory.get(user).is_none());
        self.watch_bindings(now);
    }

    /// Other accounts than before are locked.
    pub fn set_locks(&mut self, locks: Arc<Locks>) {
        self.locks = locks;
    }

    /// Strangers may ask for so much from now on; before, for anything.
    pub fn set_strangers(&mut self, strangers: Arc<dyn Strangers>) {
        self.strangers = strangers;
    }

    /// How many requests of scanners were passed over.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// What is counted since the start.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many streams are open, by transport.
    pub fn streams_by_transport(&self) -> Vec<(Transport, usize)> {
        self.connections.by_transport()
    }

    /// The calendar was set, or limits and rules have changed. Transactions at work go on by the old ones.
    pub fn set_config(&mut self, config: Config, epoch: Epoch) {
        self.digest.set_lifetime(config.nonce);
        self.table.set_per_source(config.limits.per_source);
        self.seal = Seal::new(&config.secret);
        (self.config, self.epoch) = (config, epoch);
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place { listeners: &self.config.listeners, directory: &self.directory, seal: &self.seal }
    }

    /// The clock of one transaction.
    pub(crate) fn alarm<'t>(
        timers: &'t mut Timers<Timer>,
        config: &'t Config,
        id: Id,
        now: Instant,
    ) -> Alarm<'t> {
        Alarm { timers, id, now, timing: &config.timing }
    }

    fn opened(
        &mut self,
        now: Instant,
        conn: ConnectionId,
        (arrival, domains): (Arrival, Box<[Box<str>]>),
        token: Option<Token>,
    ) {
        let (peer, transport) = (arrival.peer, arrival.transport);
        let framer = Framer::new(self.config.framing());
        for waiting in self.connections.opened(conn, (arrival, domains), framer, (now, token.map(id_of))) {
            if let Some(owner) = waiting.owner {
                self.table.moved(owner, Path::Stream { conn, peer, transport });
            }
            self.out.push_back(Output::Write { conn, bytes: waiting.bytes });
        }
        if let Some(token) = token {
            self.timers.cancel(Timer::Dialling(id_of(token)));
        }
        self.timers.set(Timer::Idle(conn), now + self.config.limits.idle);
    }

    /// A connection could not be opened: the next way is tried, and whoever asked hears why if there is none.
    fn refused(&mut self, now: Instant, dial: Id, why: &str) {
        self.timers.cancel(Timer::Dialling(dial));
        let Some((peer, waiting)) = self.connections.refused(dial) else { return };
        let Peer { transport, at: to, name, .. } = peer;
        let stands_in =
            waiting.iter().filter_map(|waiting| waiting.owner).any(|owner| self.stands_in(owner, to));
        self.blocked.add(now, (true, to), stands_in.then_some(LONGEST));
        let text = format!("{name} ({transport} {to}): {why}");
        for owner in waiting.into_iter().filter_map(|waiting| waiting.owner) {
            if self.asker(owner).is_some_and(|asker| self.may_hear_of(asker, to.ip())) {
                self.note_failure(owner, &text);
            }
            self.note_client(now, owner, Note::Closed, why.as_bytes());
            self.path_failed(now, owner);
        }
    }

    fn closed(&mut self, now: Instant, conn: ConnectionId) {
        for to in self.connections.closed(conn) {
            self.out.push_back(Output::HandOver { to, parcel: Parcel::Closed { conn } });
        }
        self.timers.cancel(Timer::Idle(conn));
        self.timers.cancel(Timer::Partial(conn));
        self.stream_failed(now, conn);
    }

    /// Whatever waits for an answer over a stream, of this worker or another, waits no longer; flows over it are gone.
    fn stream_failed(&mut self, now: Instant, conn: ConnectionId) {
        for owner in self.table.waiting_on_stream(conn) {
            self.way_failed(now, owner);
        }
        for address in self.registrar.closed(conn) {
            self.save_fewer(now, &address);
        }
        self.watch_bindings(now);
    }

    /// The other end is not there. What was answered before does not tell against it.
    fn way_failed(&mut self, now: Instant, owner: Id) {
        self.note_client(now, owner, Note::Closed, b"");
        if self.table.client(owner).is_some_and(|client| !client.is_answered()) {
            self.block(now, owner);
        }
        self.path_failed(now, owner);
    }

    fn unreachable_anywhere(&mut self, now: Instant, peer: SocketAddr) {
        self.unreachable(now, peer);
        for to in (0..self.config.workers).map(WorkerId).filter(|to| *to != self.config.me) {
            self.out.push_back(Output::HandOver { to, parcel: Parcel::Unreachable { peer } });
        }
    }

    /// What was answered provisionally is alive: the error tells of something else, or of a moment (RFC 3261 §18.4
    /// leaves it to the transaction's timers).
    fn unreachable(&mut self, now: Instant, peer: SocketAddr) {
        for owner in self.table.waiting_on_datagrams(peer) {
            if self.table.client(owner).is_some_and(|client| !client.is_proceeding()) {
                self.way_failed(now, owner);
            }
        }
    }

    fn handed_over(&mut self, now: Instant, parcel: Parcel) {
        match parcel {
            Parcel::Request { arrival, bytes, user, asked } => {
                (self.handed_user, self.handed_name) = (user, asked);
                self.message(now, arrival, &bytes, Some(0));
                (self.handed_user, self.handed_name) = (None, None);
            }
            Parcel::Unread { arrival, bytes } => self.message(now, arrival, &bytes, None),
            Parcel::Stray { arrival, bytes, left } => self.message(now, arrival, &bytes, Some(left)),
            Parcel::Response { bytes } => self.response_bytes(now, &bytes),
            Parcel::Write { conn, peer, bytes, owner } => self.write_for(conn, peer, bytes, owner),
            Parcel::Unreachable { peer } => self.unreachable(now, peer),
            Parcel::Calls(events) => events.into_iter().for_each(|event| self.calls.take(now, event)),
            Parcel::Closed { conn } => self.stream_failed(now, conn),
            Parcel::Gone { owner } => self.path_failed(now, owner),
        }
    }

    /// A request is told to try again, and one that was to leave by the other worker's stream goes another way. The
    /// rest comes again, or ends by a timer, as what is lost on the network does.
    fn not_handed_over(&mut self, now: Instant, parcel: Parcel) {
        match parcel {
            // Nobody has counted it so far.
            Parcel::Unread { arrival, .. } if !self.takes(now, &arrival) => {}
            Parcel::Request { arrival, bytes, .. } | Parcel::Unread { arrival, bytes } => {
                if let Ok(request) = Message::parse(&bytes) {
                    self.refuse(now, &arrival, &request, &Refusal::Overload);
                }
            }
            Parcel::Write { owner: Some((worker, owner)), .. } if worker == self.config.me => {
                self.path_failed(now, owner);
            }
            _ => {}
        }
    }
}

impl Machine for Stack {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram { socket, local, peer, bytes } => {
                self.datagram(now, socket, (local, peer), bytes);
            }
            Input::Unreachable { peer } => self.unreachable_anywhere(now, peer),
            Input::Opened { conn, transport, local, peer, token, domains } => {
                let arrival = Arrival { flow: Flow::Stream(conn), transport, local, peer };
                self.opened(now, conn, (arrival, domains), token);
            }
            Input::Asked { conn, name } => self.connections.note_asked(conn, name),
            Input::Identified { conn, users, until } => self.connections.identify(conn, users, until),
            Input::Refused { token, why } => self.refused(now, id_of(token), &why),
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Closed { conn } => self.closed(now, conn),
            Input::Located { token, contacts } => self.located(now, id_of(token), contacts),
            Input::Resolved { token, found, random } => {
                self.resolved(now, id_of(token), &found, random);
            }
            Input::Stored { token, durable } => self.stored(now, token, durable),
            Input::Mediated { token, body } => self.mediated(now, id_of(token), body.as_deref()),
            Input::HandedOver { parcel } => self.handed_over(now, parcel),
            Input::NotHandedOver { parcel } => self.not_handed_over(now, parcel),
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn tick(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            self.fired(now, timer);
        }
    }
}

/// The row that a token names.
fn id_of(token: Token) -> Id {
    let low = |n: u64| u32::try_from(n & u64::from(u32::MAX)).expect("thirty-two bits");
    Id { index: low(token), generation: low(token >> 32) }
}

/// The token that names a row.
pub(crate) fn token_of(id: Id) -> Token {
    u64::from(id.generation) << 32 | u64::from(id.index)
}
