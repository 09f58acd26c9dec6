//! XMPP on one worker: joins streams and the router with the worker's connections, the store and the other workers.
//!
//! A connection signs in wherever it was accepted, and then moves to its account's home; so a session always lives
//! where its account does.

mod asking;
mod binding;
pub mod bosh;
pub mod certificates;
mod client;
pub mod components;
mod managed;
pub mod overview;
mod pace;
mod rows;
mod setup;
pub mod suspended;
pub mod tokens;
mod writing;

use crate::desk::{Desk, Shared};
use crate::mail;
use crate::marks;
use crate::report::Report;
use crate::services::{self, Service};
use binding::EndPoint;
use client::Client;
use components::Components;
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Subprotocol, Tag, Unwanted, WebRequest};
use overview::Order;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use store::Document;
use tokio::sync::Semaphore;
use wire::{Address, ConnectionId, Epoch, Locks, Machine, SocketId, Timers, WorkerId};
use xmpp::component::Link;
use xmpp::managed::{self as keeper, Managed, Piece};
use xmpp::router::{self, Answer, Between, Eviction, Fault, Query, Router, Token};
use xmpp::sasl::plain::Derived;
use xmpp::sasl::token::Tokens;
use xmpp::sasl::{Channel, Failure};
use xmpp::stream::{self, Policy, Stream};
use xmpp::{StreamCondition, StreamError, framed};

pub use setup::begins;

/// Between the XMPP services of two workers, or an answer to one.
#[derive(Debug)]
pub enum Mail {
    /// Between two routers.
    Between(Between),
    /// The store has answered.
    Stored(Token, Result<Answer, Fault>),
    /// Whether the certificate of a client that signs in is still good; none where the store cannot say.
    Proven(ConnectionId, Option<bool>),
    /// What is kept of the tokens of a client that signs in; none where the store cannot say.
    Tokens(ConnectionId, Option<Tokens>),
    /// Whether the tokens of a client are kept as they should be.
    TokensKept(ConnectionId, bool),
    /// Keys have been derived for a client that signs in.
    Derived(ConnectionId, Derived),
    /// A client has signed in elsewhere and moves here, where its account is at home.
    Moved(Box<Moved>),
    /// A component has proven itself elsewhere and moves here, where it is at home.
    ComponentMoved(Box<Link>),
    /// Whether a session that waits for its client was written before the server's end.
    Suspended(ConnectionId, bool),
    /// Whether the store has forgotten a session; it goes on then, if its client is back.
    Unsuspended(suspended::Place, Option<ConnectionId>, bool),
    /// An administrator asks something.
    Order(Order),
    /// About a session by HTTP requests.
    Bosh(Box<bosh::Letter>),
}

/// A stream that goes on here.
#[derive(Debug)]
pub struct Moved {
    stream: Stream,
    account: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A stream wants its tick.
    Stream(ConnectionId),
    /// See whether the kernel has taken what was written, and write more.
    Flush(ConnectionId),
    /// Write the sessions that wait for their clients, once nothing else is under way.
    Suspend,
    /// A connection that has said too much may say more.
    Pace(ConnectionId),
    /// The store had too much to do: ask again.
    Ask,
    /// It has not forgotten sessions that are over: ask again.
    Forget,
    /// A session by requests is to answer, or over.
    Visit(ConnectionId),
}

/// How many keys are derived at a time, beside what the worker does.
const DERIVING: usize = 2;

/// XMPP on one worker.
#[derive(Debug)]
pub struct Xmpp {
    router: Router,
    policy: Policy,
    locks: Arc<Locks>,
    /// Apart from the table, of which half may be empty.
    clients: FxHashMap<ConnectionId, Box<Client>>,
    managed: Managed,
    paces: pace::Accounts,
    components: Components,
    visits: bosh::Visits,
    end_point: EndPoint,
    timers: Timers<Timer>,
    entropy: net::entropy::System,
    /// What the router knows of the calendar.
    epoch: Epoch,
    /// What streams want done, in order.
    work: VecDeque<(ConnectionId, stream::Output)>,
    /// Clients that have left too much unread.
    cut: Vec<ConnectionId>,
    /// Lent to streams.
    outputs: Vec<stream::Output>,
    /// What a busy store has still to be asked.
    unasked: VecDeque<(Token, Query)>,
    deriving: Arc<Semaphore>,
    failures: u64,
    /// Sessions that are over and that the store could not forget yet.
    unforgotten: Vec<suspended::Place>,
    draining: bool,
    /// Whether sessions have still to be written before the end …
    suspending: bool,
    /// … and how many are being written.
    writing: usize,
}

impl Xmpp {
    /// A service with the sessions that wait for their clients since the server's last end.
    pub fn new(shared: &Shared, now: Instant, epoch: Epoch, suspended: Vec<(Address, Document)>) -> Self {
        let mut router = Router::new(router::Setting {
            me: shared.me,
            workers: shared.workers,
            limits: setup::limits(&shared.plan),
            directory: Arc::clone(&shared.directory),
            rooms: setup::rooms(&shared.plan),
            components: setup::neighbours(&shared.plan),
            epoch,
            entropy: Box::new(net::entropy::System),
        });
        router.handle(now, router::Input::House(setup::house(shared)));
        let policy = setup::policy(shared);
        let managed = Managed::new(now, managed::bounds(shared, &policy));
        let mut xmpp = Self {
            router,
            policy,
            locks: Arc::default(),
            clients: FxHashMap::default(),
            managed,
            paces: pace::Accounts::default(),
            components: Components::new(setup::components(&shared.plan)),
            visits: bosh::Visits::default(),
            end_point: EndPoint::default(),
            timers: Timers::default(),
            entropy: net::entropy::System,
            epoch,
            work: VecDeque::new(),
            cut: Vec::new(),
            outputs: Vec::new(),
            unasked: VecDeque::new(),
            deriving: Arc::new(Semaphore::new(DERIVING)),
            failures: 0,
            unforgotten: Vec::new(),
            draining: false,
            suspending: false,
            writing: 0,
        };
        xmpp.restore(now, epoch, shared.me, suspended);
        xmpp
    }

    /// Mail for this service.
    pub fn mail(&mut self, desk: &mut Desk<'_, '_>, mail: Mail) {
        match mail {
            Mail::Between(what) => self.route(desk, router::Input::HandedOver(what)),
            Mail::Stored(token, outcome) => self.route(desk, router::Input::Answer { token, outcome }),
            Mail::Tokens(conn, tokens) => {
                self.feed(desk, conn, stream::Input::Tokens(tokens.as_ref()));
            }
            Mail::Proven(conn, good) => self.feed(desk, conn, stream::Input::Proven(good)),
            Mail::TokensKept(conn, kept) => self.feed(desk, conn, stream::Input::TokensKept(kept)),
            Mail::Derived(conn, derived) => self.feed(desk, conn, stream::Input::Derived(&derived)),
            // A moved connection comes by `adopted`; its letter alone means nothing.
            Mail::Moved(_) | Mail::ComponentMoved(_) => {}
            Mail::Suspended(session, kept) => self.suspended(desk, session, kept),
            Mail::Unsuspended(place, then, forgotten) => self.unsuspended(desk, place, then, forgotten),
            Mail::Order(order) => self.order(desk, order),
            Mail::Bosh(letter) => self.bosh_mail(desk, *letter),
        }
        self.settle(desk);
    }

    /// A connection has moved here, with the stream that goes on in it.
    pub fn adopted(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        info: &ConnectionInfo,
        baggage: Mail,
    ) {
        let moved = match baggage {
            Mail::Moved(moved) => moved,
            Mail::ComponentMoved(link) => {
                self.component_adopted(desk, conn, info.peer.ip(), *link);
                return self.settle(desk);
            }
            _ => return desk.net.abort(conn),
        };
        let Moved { stream, account } = *moved;
        let (account, framed) = (Some(account), info.transport.is_web());
        let client = Client { account, framed, ..Client::new(stream, info.peer.ip()) };
        self.clients.insert(conn, Box::new(client));
        self.feed(desk, conn, stream::Input::Settled);
        if self.draining {
            self.end(desk, conn, StreamCondition::SystemShutdown.into());
        }
        self.settle(desk);
    }

    /// A client asks for a WebSocket (RFC 7395 §3.1).
    pub fn upgrades(&self, shared: &Shared, request: &WebRequest<'_>) -> Result<Subprotocol, Unwanted> {
        if request.path() != "/xmpp-websocket" {
            return Err(Unwanted::Path);
        }
        services::may_ask(&shared.plan.domains, &shared.plan.xmpp.origins, request)?;
        match request.offers("xmpp") {
            true => {
                let longest = shared.plan.xmpp.limits.stanza;
                Ok(Subprotocol { name: "xmpp", text_only: true, longest })
            }
            false => Err(Unwanted::Protocol),
        }
    }

    /// How many sessions an address at home here has.
    pub fn sessions(&self, address: &Address) -> usize {
        self.router.sessions_of(address)
    }

    /// Other accounts than before are locked.
    pub fn set_locks(&mut self, locks: Arc<Locks>) {
        self.locks = locks;
    }

    /// Lets the router have an input; what it wants is done by `settle`.
    fn route(&mut self, desk: &Desk<'_, '_>, input: router::Input<'_>) {
        self.router.handle(desk.net.now(), input);
    }

    /// Lets a stream have an input; what it wants is done by `settle`.
    fn feed(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId, input: stream::Input<'_>) {
        self.with_stream(desk, conn, |stream, context, outputs| stream.handle(input, context, outputs));
    }

    fn tick_stream(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.due = None;
        let paused = client.paused || client.slowed;
        self.with_stream(desk, conn, |stream, context, outputs| {
            // Who is not listened to cannot answer.
            if paused {
                stream.excuse(context);
            }
            stream.tick(context, outputs);
        });
    }

    fn end(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId, error: StreamError) {
        self.feed(desk, conn, stream::Input::End(error));
    }

    fn with_stream(
        &mut self,
        desk: &Desk<'_, '_>,
        conn: ConnectionId,
        act: impl FnOnce(&mut Stream, &mut stream::Context<'_>, &mut Vec<stream::Output>),
    ) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let mut context = stream::Context {
            now: desk.net.now(),
            unix: desk.net.epoch().unix(desk.net.now()),
            directory: &desk.shared.directory,
            entropy: &mut self.entropy,
            policy: &self.policy,
            locks: &self.locks,
            source: client.source,
        };
        act(&mut client.stream, &mut context, &mut self.outputs);
        self.work.extend(self.outputs.drain(..).map(|output| (conn, output)));
        let due = client.stream.deadline();
        if client.due != due {
            client.due = due;
            match due {
                Some(due) => self.timers.set(Timer::Stream(conn), due),
                None => drop(self.timers.cancel(Timer::Stream(conn))),
            }
        }
    }

    /// Does all that streams and router want done.
    fn settle(&mut self, desk: &mut Desk<'_, '_>) {
        loop {
            if let Some(output) = self.router.poll() {
                self.carry_out(desk, output);
            } else if let Some((conn, output)) = self.work.pop_front() {
                self.step(desk, conn, output);
            } else if let Some((conn, output)) = self.components.next() {
                self.component_step(desk, conn, output);
            } else if let Some(conn) = self.cut.pop() {
                self.cut_off(desk, conn);
            } else if let Some(conn) = self.visits.next() {
                self.bosh_turn(desk, conn);
            } else {
                return;
            }
        }
    }

    /// Something that a stream wants done.
    fn step(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, output: stream::Output) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if client.paused {
            return client.waiting.push_back(output);
        }
        match output {
            stream::Output::Write(bytes) => self.send(desk, conn, Piece::Bytes(bytes)),
            stream::Output::StartTls => {
                let meant = client.stream.domain().map(wire::Domain::as_str);
                desk.net.accept_tls(conn, meant);
            }
            stream::Output::Derive(derive) => self.derive(desk, conn, derive),
            stream::Output::Prove(pending) => self.prove(desk, conn, pending),
            stream::Output::LoadTokens(holder) => self.load_tokens(desk, conn, holder),
            stream::Output::KeepTokens(holder, tokens) => self.keep_tokens(desk, conn, holder, tokens),
            stream::Output::Failed(failure) => {
                self.failures += 1;
                if matches!(failure, Failure::NotAuthorized | Failure::CredentialsExpired) {
                    desk.doorman.failed(desk.net.now(), client.source, None);
                }
                tracing::debug!(%conn, ?failure, "a sign-in failed");
            }
            stream::Output::Authenticated(account) => self.authenticated(desk, conn, account),
            stream::Output::Bind(resource) => self.bind(desk, conn, resource.as_deref()),
            stream::Output::Stanza(stanza) => {
                if let Some(connection) = self.managed.session(conn) {
                    self.route(desk, router::Input::Stanza { connection, stanza });
                }
            }
            stream::Output::Refused(stanza, error) => {
                if let Some(connection) = self.managed.session(conn) {
                    self.route(desk, router::Input::Refused { connection, stanza: &stanza, error });
                }
            }
            stream::Output::Asked(handled) => {
                if let Some(connection) = self.managed.session(conn) {
                    self.route(desk, router::Input::Asked { connection, handled });
                }
            }
            stream::Output::Acknowledged(handled) => {
                self.manage(desk, keeper::Input::Acknowledged { connection: conn, handled });
            }
            stream::Output::Managed { answer, name } => self.enable(desk, conn, answer, name),
            stream::Output::Resume { previous, handled } => self.take_back(desk, conn, &previous, handled),
            stream::Output::Attached { answer } => {
                self.manage(desk, keeper::Input::Attach { connection: conn, answer });
            }
            stream::Output::Carbons => {
                if let Some(connection) = self.managed.session(conn) {
                    self.route(desk, router::Input::Carbons(connection));
                }
            }
            stream::Output::Active(active) => {
                self.manage(desk, keeper::Input::Look { connection: conn, active });
            }
            stream::Output::Close { resumable } => {
                client.over = true;
                if client.visit.is_some() {
                    return self.bosh_over(desk, conn, resumable);
                }
                let unsent = std::mem::take(&mut client.unsent);
                self.lost(desk, conn, resumable, unsent.into_pieces());
                desk.net.close(conn);
            }
        }
    }

    /// Something that the router wants done.
    fn carry_out(&mut self, desk: &mut Desk<'_, '_>, output: router::Output) {
        match output {
            router::Output::Deliver { connection, given } if self.components.has(connection) => {
                self.for_component(desk, connection, given.stanza);
            }
            router::Output::Deliver { connection, given } => {
                self.manage(desk, keeper::Input::Give { session: connection, given });
            }
            router::Output::Handled { connection, handled } => {
                self.manage(desk, keeper::Input::Handled { session: connection, handled });
            }
            router::Output::HandOver { to, what } => self.hand_over(desk, to, what),
            router::Output::Ask { token, query } => self.ask(desk, token, query),
            router::Output::SetPassword { token, account, password } => {
                self.set_password(desk, token, &account, password);
            }
            router::Output::Opened { connection, outcome } => {
                let input = match outcome {
                    Ok(jid) => stream::Input::Bound(jid),
                    Err(condition) => stream::Input::NotBound(condition),
                };
                let before = self.work.len();
                self.feed(desk, connection, input);
                // Before anything that the session is given.
                for (conn, output) in self.work.split_off(before) {
                    self.step(desk, conn, output);
                }
            }
            router::Output::Close { connection, why } if self.components.has(connection) => {
                self.component_evicted(desk, connection, why);
            }
            router::Output::Close { connection, why } => {
                self.manage(desk, keeper::Input::Evicted { session: connection, why: farewell(why) });
            }
            router::Output::Pause(conn) if self.components.has(conn) => {
                self.component_pause(desk, conn, true);
            }
            router::Output::Resume(conn) if self.components.has(conn) => {
                self.component_pause(desk, conn, false);
            }
            router::Output::Pause(session) => {
                self.manage(desk, keeper::Input::Pace { session, paused: true });
            }
            router::Output::Resume(session) => {
                self.manage(desk, keeper::Input::Pace { session, paused: false });
            }
        }
    }

    fn resume(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        self.unpause(conn);
        self.with_stream(desk, conn, |stream, context, _| stream.excuse(context));
        if self.clients.get(&conn).is_none_or(|client| !client.slowed) {
            desk.net.resume(conn);
            self.visits.push(conn);
        }
    }

    /// What waited comes before all that came later, which was not read before.
    fn unpause(&mut self, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.paused = false;
        for output in std::mem::take(&mut client.waiting).into_iter().rev() {
            self.work.push_front((conn, output));
        }
    }

    fn hand_over(&mut self, desk: &mut Desk<'_, '_>, to: WorkerId, what: Between) {
        if let Err(mail::Mail::Xmpp(Mail::Between(what))) =
            desk.net.post(to, mail::Mail::Xmpp(Mail::Between(what)))
        {
            self.route(desk, router::Input::NoRoom { to, what });
        }
    }

    /// A client has signed in: its connection goes to where its account is at home.
    fn authenticated(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, account: Address) {
        if let Some(client) = self.clients.get(&conn) {
            desk.doorman.right(desk.net.now(), client.source, &account);
            if client.visit.is_some() {
                self.visits.known(client.source);
            }
        }
        let home = account.home(desk.net.workers());
        if home == desk.net.me() {
            if let Some(client) = self.clients.get_mut(&conn) {
                client.account = Some(account);
            }
            return self.feed(desk, conn, stream::Input::Settled);
        }
        if self.clients.get(&conn).is_some_and(|client| client.visit.is_some()) {
            return self.travel(desk, conn, home, account);
        }
        let Some(client) = self.forget(conn) else { return };
        let moved = Mail::Moved(Box::new(Moved { stream: client.stream, account }));
        if let Err(mail::Mail::Xmpp(Mail::Moved(moved))) =
            desk.net.migrate(conn, home, mail::Mail::Xmpp(moved))
        {
            let framed = client.framed;
            let client = Client { framed, ..Client::new(moved.stream, client.source) };
            self.clients.insert(conn, Box::new(client));
            self.end(desk, conn, StreamCondition::ResourceConstraint.into());
        }
    }

    fn bind(&mut self, desk: &mut Desk<'_, '_>, connection: ConnectionId, resource: Option<&str>) {
        let account = self.clients.get(&connection).and_then(|client| client.account.clone());
        if let Some(account) = account {
            self.manage(desk, keeper::Input::Begin(connection));
            self.route(desk, router::Input::Open { connection, account: &account, resource });
        }
    }

    fn forget(&mut self, conn: ConnectionId) -> Option<Box<Client>> {
        self.timers.cancel(Timer::Stream(conn));
        self.timers.cancel(Timer::Flush(conn));
        self.timers.cancel(Timer::Pace(conn));
        self.timers.cancel(Timer::Visit(conn));
        self.clients.remove(&conn)
    }
}

/// Why the router ends a session, in the words of its stream.
fn farewell(why: Eviction) -> StreamError {
    match why {
        Eviction::Replaced => {
            StreamError::from(StreamCondition::Conflict).saying("replaced by a new session")
        }
        Eviction::AccountRemoved => {
            StreamError::from(StreamCondition::NotAuthorized).saying("account removed")
        }
        Eviction::PasswordChanged => {
            StreamError::from(StreamCondition::Reset).saying("the password was changed")
        }
        Eviction::Unacknowledged => {
            StreamError::from(StreamCondition::PolicyViolation).saying("too much that is not acknowledged")
        }
        Eviction::Kicked => {
            StreamError::from(StreamCondition::PolicyViolation).saying("closed by an administrator")
        }
    }
}

impl Service for Xmpp {
    fn datagrams(&mut self, _desk: &mut Desk<'_, '_>, _socket: SocketId, _batch: &mut Batch<'_>) {}

    fn unreachable(
        &mut self,
        _desk: &mut Desk<'_, '_>,
        _socket: SocketId,
        _peer: SocketAddr,
        _error: IcmpError,
    ) {
    }

    fn opened(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo) {
        if self.draining {
            return desk.net.abort(conn);
        }
        if marks::role(info.tag) == components::ROLE {
            return self.component_came(desk, conn, info.peer.ip());
        }
        // A WebSocket has no STARTTLS: what is not inside TLS comes from this host, by whoever ended TLS there. Scripts cannot
        // know the TLS session that they are in: nothing is bound to it.
        let (framed, source) = (info.transport.is_web(), info.peer.ip());
        let secure =
            info.transport.is_secure() || (framed && info.nearest().ip().to_canonical().is_loopback());
        let channel = secure.then(|| match framed {
            true => Channel::default(),
            false => self.end_point.channel(desk, conn),
        });
        let bare = framed && channel.is_none();
        let stream = Stream::new(desk.net.now(), channel, &self.policy);
        let client = Client { framed, ..Client::new(stream, source) };
        self.clients.insert(conn, Box::new(client));
        self.with_stream(desk, conn, |_, _, _| {});
        if bare {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            self.end(desk, conn, error.saying("only inside TLS"));
            self.settle(desk);
        }
    }

    fn refused(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, _tag: Tag, _error: &io::Error) {}

    fn secured(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _info: &ConnectionInfo) {
        let channel = self.end_point.channel(desk, conn);
        self.feed(desk, conn, stream::Input::Secured(channel));
        self.settle(desk);
    }

    fn received(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize {
        let Some(client) = self.clients.get(&conn) else { return self.component_received(desk, conn, data) };
        let (framed, pending) = (client.framed, client.is_pending());
        if client.paused {
            return 0;
        }
        // Whoever has signed in may stay: others behind the same address are no reason to throw it out.
        if client.account.is_none() && desk.drops(conn) {
            desk.net.abort(conn);
            return data.len();
        }
        // It may say good-bye now: first what it has had.
        if pending {
            self.flush(desk, conn);
        }
        // The calendar may have been set since.
        if self.epoch.instant != desk.net.epoch().instant {
            self.epoch = desk.net.epoch();
            self.route(desk, router::Input::Epoch(self.epoch));
        }
        let said = if framed { framed::inbound(data) } else { data.into() };
        self.feed(desk, conn, stream::Input::Bytes(&said));
        if framed && self.clients.get(&conn).is_some_and(|client| client.stream.is_amid()) {
            self.end(
                desk,
                conn,
                StreamError::from(StreamCondition::BadFormat).saying("a part of an element"),
            );
        }
        self.settle(desk);
        self.keep_pace(desk, conn, data.len());
        data.len()
    }

    fn closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, reason: CloseReason) {
        tracing::debug!(%conn, ?reason, "closed");
        if self.components.has(conn) {
            return self.component_closed(desk, conn);
        }
        if reason == CloseReason::Peer {
            self.confirm(desk, conn);
        }
        if self.clients.get(&conn).is_some_and(|client| client.paused) {
            self.hear_out(desk, conn);
            self.settle(desk);
        }
        if let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) {
            client.over = true;
            let unsent = std::mem::take(&mut client.unsent);
            self.lost(desk, conn, true, unsent.into_pieces());
        }
        self.forget(conn);
        self.settle(desk);
    }

    fn refresh(&mut self, desk: &mut Desk<'_, '_>) {
        let shared = desk.shared;
        self.policy = setup::policy(shared);
        self.manage(desk, keeper::Input::Bounds(managed::bounds(shared, &self.policy)));
        self.components.set_known(setup::components(&shared.plan));
        self.route(
            desk,
            router::Input::Plan {
                limits: setup::limits(&shared.plan),
                rooms: setup::rooms(&shared.plan),
                components: setup::neighbours(&shared.plan),
            },
        );
        self.route(desk, router::Input::House(setup::house(shared)));
        self.route(desk, router::Input::Directory(Arc::clone(&shared.directory)));
        self.settle(desk);
    }

    fn drain(&mut self, desk: &mut Desk<'_, '_>, _until: Instant) {
        self.draining = true;
        self.bosh_drain(desk);
        for conn in self.clients.keys().copied().collect::<Vec<_>>() {
            self.end(desk, conn, StreamCondition::SystemShutdown.into());
        }
        self.end_components(desk);
        self.suspending = true;
        self.timers.set(Timer::Suspend, desk.net.now() + suspended::LOOK);
        self.settle(desk);
    }

    /// What was answered is durable already; what was not answered may still become so.
    fn drained(&self) -> bool {
        self.clients.is_empty()
            && self.components.len() == 0
            && self.router.is_idle()
            && !self.suspending
            && self.writing == 0
    }

    fn tick(&mut self, desk: &mut Desk<'_, '_>) {
        let now = desk.net.now();
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Stream(conn) => {
                    self.tick_stream(desk, conn);
                    self.component_tick(desk, conn);
                }
                Timer::Flush(conn) if self.components.has(conn) => self.component_flush(desk, conn),
                Timer::Flush(conn) => self.flush(desk, conn),
                Timer::Pace(conn) => self.go_faster(desk, conn),
                Timer::Suspend => self.suspend(desk),
                Timer::Ask => self.ask_again(desk),
                Timer::Forget => self.forget_again(desk),
                Timer::Visit(conn) => self.bosh_tick(desk, conn),
            }
        }
        self.tick_managed(desk);
        self.router.tick(now);
        self.settle(desk);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.managed.deadline(), self.router.deadline()].into_iter().flatten().min()
    }

    fn report(&self, report: &mut Report) {
        report.add("xmpp.connections", self.clients.len() as u64);
        report.add("xmpp.sessions", self.router.sessions().count() as u64);
        report.add("xmpp.sessions.away", self.managed.away().count() as u64);
        report.add("xmpp.bosh", self.visits.len() as u64);
        report.add("xmpp.components", self.components.len() as u64);
        report.add("xmpp.failed_logins", self.failures);
    }
}
