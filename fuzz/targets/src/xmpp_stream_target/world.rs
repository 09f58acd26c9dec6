//! The server around streams and routers, and what goes on in the world: connections, mail, the store, time.

use super::books::{Books, Sum};
use super::device::Device;
use super::ears::Ear;
use super::house::{self, Chance};
use super::store::Store;
use crate::tape::Tape;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Address, ConnectionId, Directory, Epoch, Locks, Machine, Timers, WorkerId};
use xmpp::managed::{self as keeper, Bounds, Managed, Piece};
use xmpp::router::{self, Between, Receipt, Router, Setting};
use xmpp::sasl::Channel;
use xmpp::sasl::token::Tokens;
use xmpp::stream::{self, Policy, Stream};
use xmpp::{StreamCondition, StreamError};

/// How much one thing may bring about.
const MOST: usize = 20_000;
const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);

/// The server's end of a connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    /// Whose it is.
    pub(super) device: usize,
    pub(super) account: Option<Address>,
    pub(super) paused: bool,
    pub(super) waiting: VecDeque<stream::Output>,
    pub(super) unsent: VecDeque<Piece>,
    receipts: VecDeque<Receipt>,
    /// It has left too much unread, and is cut off once what it said is done.
    cut: bool,
    pub(super) over: bool,
    /// What the client has written that nobody reads.
    unread: VecDeque<Vec<u8>>,
    pub(super) ear: Ear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    Stream(ConnectionId),
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) variant: u8,
    pub(super) directory: Arc<Directory>,
    /// Whose account is gone, and who has another password.
    pub(super) gone: u8,
    pub(super) changed: u8,
    pub(super) policy: Policy,
    locks: Locks,
    entropy: Chance,
    pub(super) routers: Vec<Router>,
    pub(super) clients: BTreeMap<ConnectionId, Client>,
    /// The keepers of all workers' sessions: what one worker's have to do with another's is nothing.
    pub(super) managed: Managed,
    pub(super) timers: Timers<Timer>,
    work: VecDeque<(ConnectionId, stream::Output)>,
    cut: Vec<ConnectionId>,
    outputs: Vec<stream::Output>,
    /// What arrives in one go.
    bundle: Option<Vec<(ConnectionId, Vec<u8>)>>,
    pub(super) store: Store,
    tokens: BTreeMap<(Address, Box<str>), Tokens>,
    pub(super) mail: VecDeque<(WorkerId, Between)>,
    /// Whether mail between workers takes its time.
    pub(super) is_slow: bool,
    /// Whether the queue to a worker is full.
    pub(super) full: [bool; house::WORKERS as usize],
    pub(super) devices: Vec<Device>,
    pub(super) books: Books,
    slots: u32,
    /// What one step has brought about so far.
    effects: usize,
    pub(super) serial: u32,
    /// Who acted last.
    pub(super) actor: usize,
    is_aloud: bool,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "time starts somewhere; all that counts is what passes after it"
    )]
    pub(super) fn new(variant: u8, is_aloud: bool) -> Self {
        let now = Instant::now() + Duration::from_secs(864_000);
        let directory = house::accounts(0, 0);
        let policy = house::policy(variant);
        let managed = Managed::new(now, Bounds { most: house::MOST, resume: policy.resume });
        let router = |me: u16| {
            Router::new(Setting {
                me: WorkerId(me),
                workers: house::WORKERS,
                limits: house::limits(variant),
                directory: Arc::clone(&directory),
                rooms: house::rooms(),
                components: Vec::new(),
                epoch: Epoch { instant: now, unix: YEAR_2026 },
                entropy: Box::new(Chance::new(u64::from(me) + 3)),
            })
        };
        Self {
            now,
            variant,
            gone: 0,
            changed: 0,
            policy,
            locks: Locks::default(),
            entropy: Chance::new(7),
            routers: (0..house::WORKERS).map(router).collect(),
            directory,
            clients: BTreeMap::new(),
            managed,
            timers: Timers::default(),
            work: VecDeque::new(),
            cut: Vec::new(),
            outputs: Vec::new(),
            bundle: None,
            store: Store::default(),
            tokens: BTreeMap::new(),
            mail: VecDeque::new(),
            is_slow: false,
            full: [false; house::WORKERS as usize],
            devices: Device::all(),
            books: Books::default(),
            slots: 0,
            effects: 0,
            serial: 0,
            actor: 0,
            is_aloud,
        }
    }

    /// One thing happens, and what it brings about.
    pub(super) fn step(&mut self, tape: &mut Tape<'_>) {
        self.effects = 0;
        self.act(tape);
        self.settle();
    }

    #[expect(clippy::print_stderr, reason = "for whoever looks into a play")]
    pub(super) fn tell(&self, who: &dyn std::fmt::Display, what: &dyn std::fmt::Debug) {
        if self.is_aloud {
            eprintln!("{who}: {what:?}");
        }
    }

    // Inputs.

    /// Lets a router have an input; what it wants is done later.
    pub(super) fn route(&mut self, worker: WorkerId, input: router::Input<'_>) {
        self.tell(&format!("router {}", worker.0), &input);
        self.routers[usize::from(worker.0)].handle(self.now, input);
    }

    /// Lets the router of a session have what the keeper says of it.
    pub(super) fn route_of(&mut self, input: router::Input<'_>) {
        let session = match &input {
            router::Input::Closed(session) | router::Input::Acknowledges(session) => *session,
            router::Input::Undelivered { connection, .. }
            | router::Input::Away { connection, .. }
            | router::Input::Asked { connection, .. } => *connection,
            router::Input::Delivered(receipt) => receipt.session(),
            input => panic!("{input:?} is nothing that a keeper says"),
        };
        self.route(session.worker, input);
    }

    /// Lets a stream have an input; what it wants is done later.
    pub(super) fn feed(&mut self, conn: ConnectionId, input: stream::Input<'_>) {
        self.tell(&conn, &input);
        self.with_stream(conn, |stream, context, outputs| stream.handle(input, context, outputs));
    }

    pub(super) fn end_stream(&mut self, conn: ConnectionId, error: StreamError) {
        self.feed(conn, stream::Input::End(error));
    }

    pub(super) fn with_stream(
        &mut self,
        conn: ConnectionId,
        act: impl FnOnce(&mut Stream, &mut stream::Context<'_>, &mut Vec<stream::Output>),
    ) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let mut context = stream::Context {
            now: self.now,
            unix: YEAR_2026,
            directory: &self.directory,
            entropy: &mut self.entropy,
            policy: &self.policy,
            locks: &self.locks,
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        act(&mut client.stream, &mut context, &mut self.outputs);
        self.work.extend(self.outputs.drain(..).map(|output| (conn, output)));
        match client.stream.deadline() {
            Some(due) => self.timers.set(Timer::Stream(conn), due),
            None => drop(self.timers.cancel(Timer::Stream(conn))),
        }
    }

    /// A client connects.
    pub(super) fn accept(&mut self, device: usize, secure: bool) -> ConnectionId {
        let worker = WorkerId(self.serial as u16 % house::WORKERS);
        let stream = Stream::new(self.now, secure.then(Channel::default), &self.policy);
        let conn = self.place(worker, device, stream);
        self.with_stream(conn, |_, _, _| {});
        conn
    }

    /// A stream gets a place at a worker.
    fn place(&mut self, worker: WorkerId, device: usize, stream: Stream) -> ConnectionId {
        self.slots += 1;
        let conn = ConnectionId { worker, slot: self.slots, generation: 0 };
        let client = Client {
            stream,
            device,
            account: None,
            paused: false,
            waiting: VecDeque::new(),
            unsent: VecDeque::new(),
            receipts: VecDeque::new(),
            cut: false,
            over: false,
            unread: VecDeque::new(),
            ear: Ear::default(),
        };
        self.clients.insert(conn, client);
        conn
    }

    /// A client writes.
    pub(super) fn write(&mut self, conn: ConnectionId, bytes: &[u8]) {
        if let Some(bundle) = &mut self.bundle {
            match bundle.iter_mut().find(|(its, _)| *its == conn) {
                Some((_, before)) => before.extend_from_slice(bytes),
                None => bundle.push((conn, bytes.to_vec())),
            }
            return;
        }
        let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) else { return };
        if client.paused || !client.unread.is_empty() {
            return client.unread.push_back(bytes.to_vec());
        }
        self.feed(conn, stream::Input::Bytes(bytes));
        self.pump();
    }

    /// What clients write meanwhile arrives in one go.
    pub(super) fn at_once(&mut self, act: impl FnOnce(&mut Self)) {
        self.bundle = Some(Vec::new());
        act(self);
        for (conn, bytes) in self.bundle.take().unwrap_or_default() {
            self.write(conn, &bytes);
        }
    }

    /// A connection breaks.
    pub(super) fn break_off(&mut self, conn: ConnectionId) {
        if self.clients.get(&conn).is_some_and(|client| client.paused) {
            self.hear_out(conn);
            self.pump();
        }
        if let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) {
            client.over = true;
            let unsent = std::mem::take(&mut client.unsent).into();
            self.lost(conn, true, unsent);
        }
        self.forget(conn);
        self.pump();
    }

    fn forget(&mut self, conn: ConnectionId) -> Option<Client> {
        self.timers.cancel(Timer::Stream(conn));
        self.clients.remove(&conn)
    }

    /// Does what a client said before, though it was not its turn yet.
    pub(super) fn hear_out(&mut self, conn: ConnectionId) {
        while let Some(client) = self.clients.get_mut(&conn) {
            client.paused = false;
            let Some(output) = client.waiting.pop_front() else { return };
            self.step_for(conn, output);
        }
    }

    /// A client leaves too much unread.
    fn cut_off(&mut self, conn: ConnectionId) {
        self.hear_out(conn);
        let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) else { return };
        client.over = true;
        let unsent = std::mem::take(&mut client.unsent).into();
        self.lost(conn, true, unsent);
    }

    fn unpause(&mut self, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.paused = false;
        for output in std::mem::take(&mut client.waiting).into_iter().rev() {
            self.work.push_front((conn, output));
        }
    }

    // Effects.

    /// Does all that streams and routers want done, but for what waits for the store, mail or clients.
    pub(super) fn pump(&mut self) {
        loop {
            self.effects += 1;
            assert!(self.effects < MOST, "one thing brings about too much");
            if let Some((worker, output)) = self.poll() {
                self.carry_out(worker, output);
            } else if let Some((conn, output)) = self.work.pop_front() {
                self.step_for(conn, output);
            } else if let Some(conn) = self.cut.pop() {
                self.cut_off(conn);
            } else {
                return;
            }
        }
    }

    fn poll(&mut self) -> Option<(WorkerId, router::Output)> {
        (0..house::WORKERS).find_map(|me| Some((WorkerId(me), self.routers[usize::from(me)].poll()?)))
    }

    /// Does all that can be done.
    pub(super) fn settle(&mut self) {
        loop {
            self.pump();
            let mail = if self.is_slow { None } else { self.mail.pop_front() };
            if let Some((to, what)) = mail {
                self.route(to, router::Input::HandedOver(what));
            } else if let Some((worker, token, outcome)) = self.store.answer() {
                self.route(worker, router::Input::Answer { token, outcome });
            } else if !self.confirm() && !self.read_on() && !self.listen() && !self.retry() {
                return;
            }
        }
    }

    /// The next of what waits goes on, though the store is stopped or mail is slow.
    pub(super) fn let_through(&mut self) {
        if let Some((to, what)) = self.mail.pop_front() {
            self.route(to, router::Input::HandedOver(what));
        } else if let Some((worker, token, outcome)) = self.store.answer_one() {
            self.route(worker, router::Input::Answer { token, outcome });
        }
        self.pump();
    }

    /// What connections have taken is confirmed.
    fn confirm(&mut self) -> bool {
        let mut all = self.clients.iter_mut();
        let ready = all.find(|(_, client)| client.unsent.is_empty() && !client.receipts.is_empty());
        let Some((&conn, client)) = ready else { return false };
        if let Some(receipt) = client.receipts.pop_front() {
            self.route(conn.worker, router::Input::Delivered(receipt));
        }
        true
    }

    /// What clients wrote while nobody read is read now.
    fn read_on(&mut self) -> bool {
        let mut all = self.clients.iter_mut();
        let found = all.find(|(_, client)| !client.paused && !client.unread.is_empty());
        let Some((&conn, client)) = found else { return false };
        let bytes = client.unread.pop_front().unwrap_or_default();
        if !client.over {
            self.feed(conn, stream::Input::Bytes(&bytes));
        }
        true
    }

    /// Queues to other workers are tried again.
    fn retry(&mut self) -> bool {
        if self.full.contains(&true) {
            return false;
        }
        let due = self.routers.iter().position(|router| router.deadline().is_some());
        let Some(worker) = due else { return false };
        let Some(deadline) = self.routers[worker].deadline() else { return false };
        self.now = self.now.max(deadline);
        self.routers[worker].tick(self.now);
        true
    }

    fn step_for(&mut self, conn: ConnectionId, output: stream::Output) {
        match self.clients.get_mut(&conn) {
            None => {}
            Some(client) if client.paused => client.waiting.push_back(output),
            Some(_) => self.do_for(conn, output),
        }
    }

    /// Something that a stream wants done.
    fn do_for(&mut self, conn: ConnectionId, output: stream::Output) {
        self.tell(&format!("{conn} wants"), &output);
        let session = self.managed.session(conn);
        match output {
            stream::Output::Write(bytes) => self.send(conn, Piece::Bytes(bytes)),
            stream::Output::StartTls => self.feed(conn, stream::Input::Secured(Channel::default())),
            stream::Output::Derive(derive) => self.feed(conn, stream::Input::Derived(&derive.run())),
            stream::Output::LoadTokens(holder) => {
                let none = Tokens::default();
                let tokens = self.tokens.get(&(holder.account, holder.client)).cloned().unwrap_or(none);
                self.feed(conn, stream::Input::Tokens(Some(&tokens)));
            }
            stream::Output::KeepTokens(holder, tokens) => {
                let place = (holder.account, holder.client);
                match tokens {
                    Some(tokens) => drop(self.tokens.insert(place, tokens)),
                    None => drop(self.tokens.remove(&place)),
                }
                self.feed(conn, stream::Input::TokensKept(true));
            }
            stream::Output::Authenticated(account) => self.authenticated(conn, account),
            stream::Output::Bind(resource) => {
                let account = self.clients.get(&conn).and_then(|client| client.account.clone());
                let Some(account) = account else { return };
                let resource = resource.as_deref();
                let input = router::Input::Open { connection: conn, account: &account, resource };
                self.manage(keeper::Input::Begin(conn));
                self.route(conn.worker, input);
            }
            stream::Output::Acknowledged(handled) => {
                self.manage(keeper::Input::Acknowledged { connection: conn, handled });
            }
            stream::Output::Managed { answer, name } => self.enable(conn, answer, name),
            stream::Output::Resume { previous, handled } => self.take_back(conn, &previous, handled),
            stream::Output::Attached { answer } => {
                self.manage(keeper::Input::Attach { connection: conn, answer });
            }
            stream::Output::Active(active) => {
                self.manage(keeper::Input::Look { connection: conn, active });
            }
            stream::Output::Close { resumable } => self.close(conn, resumable),
            output => {
                if let Some(session) = session {
                    self.say(session, output);
                }
            }
        }
    }

    /// What a session says to its router.
    fn say(&mut self, connection: ConnectionId, output: stream::Output) {
        let worker = connection.worker;
        match output {
            stream::Output::Stanza(stanza) => {
                self.route(worker, router::Input::Stanza { connection, stanza });
            }
            stream::Output::Refused(stanza, error) => {
                self.route(worker, router::Input::Refused { connection, stanza: &stanza, error });
            }
            stream::Output::Asked(handled) => {
                self.route(worker, router::Input::Asked { connection, handled });
            }
            stream::Output::Carbons => self.route(worker, router::Input::Carbons(connection)),
            _ => {}
        }
    }

    /// The stream has ended: what was written still arrives.
    fn close(&mut self, conn: ConnectionId, resumable: bool) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.over = true;
        let unsent = std::mem::take(&mut client.unsent).into();
        self.lost(conn, resumable, unsent);
    }

    /// A client has signed in: it goes to where its account is at home.
    fn authenticated(&mut self, conn: ConnectionId, account: Address) {
        let home = account.home(house::WORKERS);
        if home == conn.worker {
            if let Some(client) = self.clients.get_mut(&conn) {
                client.account = Some(account);
            }
            return self.feed(conn, stream::Input::Settled);
        }
        let Some(client) = self.forget(conn) else { return };
        let moved = self.place(home, client.device, client.stream);
        let device = &mut self.devices[client.device];
        device.conn = device.conn.map(|its| if its == conn { moved } else { its });
        if let Some(place) = self.clients.get_mut(&moved) {
            (place.account, place.ear, place.unread) = (Some(account), client.ear, client.unread);
        }
        self.feed(moved, stream::Input::Settled);
    }

    /// Something that a router wants done.
    fn carry_out(&mut self, worker: WorkerId, output: router::Output) {
        self.tell(&format!("router {} wants", worker.0), &output);
        match output {
            router::Output::Deliver { connection, given } => {
                self.books.given(given.stanza.as_str());
                self.manage(keeper::Input::Give { session: connection, given });
            }
            router::Output::Handled { connection, handled } => {
                self.manage(keeper::Input::Handled { session: connection, handled });
            }
            router::Output::HandOver { to, what } if self.full[usize::from(to.0)] => {
                self.route(worker, router::Input::NoRoom { to, what });
            }
            router::Output::HandOver { to, what } => self.mail.push_back((to, what)),
            router::Output::Ask { token, query } => {
                self.books.asked(&query);
                self.store.ask((worker, token, query));
            }
            router::Output::Opened { connection, outcome } => {
                let before = self.work.len();
                match outcome {
                    Ok(jid) => self.feed(connection, stream::Input::Bound(jid)),
                    Err(condition) => self.feed(connection, stream::Input::NotBound(condition)),
                }
                for (conn, output) in self.work.split_off(before) {
                    self.step_for(conn, output);
                }
            }
            // Its plays say nothing of passwords, but may by chance.
            router::Output::SetPassword { token, .. } => {
                let outcome = Err(router::Fault::Unavailable);
                self.route(worker, router::Input::Answer { token, outcome });
            }
            router::Output::Close { connection, .. } => {
                let why = StreamCondition::Conflict.into();
                self.manage(keeper::Input::Evicted { session: connection, why });
            }
            router::Output::Pause(session) => {
                self.manage(keeper::Input::Pace { session, paused: true });
            }
            router::Output::Resume(session) => {
                self.manage(keeper::Input::Pace { session, paused: false });
            }
        }
    }

    pub(super) fn resume(&mut self, conn: ConnectionId) {
        self.unpause(conn);
        self.with_stream(conn, |stream, context, _| stream.excuse(context));
    }

    // What goes out.

    pub(super) fn send(&mut self, conn: ConnectionId, piece: Piece) {
        let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) else {
            if let Piece::Given(given) = piece {
                self.manage(keeper::Input::Unwritten { connection: conn, given });
            }
            return;
        };
        if client.unsent.is_empty() && !client.ear.is_deaf {
            client.receipts.extend(piece.receipt());
            client.ear.take(piece.bytes());
        } else {
            client.unsent.push_back(piece);
            if client.unsent.len() > house::UNREAD && !std::mem::replace(&mut client.cut, true) {
                self.cut.push(conn);
            }
        }
    }

    /// A client that did not read for a while reads what waited.
    pub(super) fn hear_again(&mut self, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.ear.is_deaf = false;
        for piece in std::mem::take(&mut client.unsent) {
            client.receipts.extend(piece.receipt());
            client.ear.take(piece.bytes());
        }
    }

    // Time.

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, time: Duration) {
        if time > Duration::from_secs(1) {
            // Routers try full queues every few milliseconds.
            self.full = Default::default();
        }
        self.settle();
        let end = self.now + time;
        let mut ticks = 0;
        while let Some(next) = self.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.tick();
            self.settle();
            ticks += 1;
            assert!(ticks < 20_000, "time stands still");
            self.effects = 0;
        }
        self.now = self.now.max(end);
    }

    fn deadline(&self) -> Option<Instant> {
        let routers = self.routers.iter().filter_map(Router::deadline);
        routers.chain(self.timers.next()).chain(self.managed.deadline()).min()
    }

    fn tick(&mut self) {
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Stream(conn) => {
                    let paused = self.clients.get(&conn).is_some_and(|client| client.paused);
                    self.with_stream(conn, |stream, context, outputs| {
                        if paused {
                            stream.excuse(context);
                        }
                        stream.tick(context, outputs);
                    });
                }
            }
        }
        self.managed.tick(self.now);
        self.manage_all();
        for router in &mut self.routers {
            router.tick(self.now);
        }
    }

    /// Everybody goes away: nothing is left.
    pub(super) fn end(mut self) -> Sum {
        self.effects = 0;
        self.calm();
        self.check();
        self.check_answers();
        for conn in self.clients.keys().copied().collect::<Vec<_>>() {
            self.effects = 0;
            self.break_off(conn);
            self.settle();
        }
        self.pass(Duration::from_secs(4000));
        self.check();
        assert!(self.clients.is_empty() && self.managed.is_empty());
        assert!(self.timers.is_empty() && self.mail.is_empty());
        for router in &self.routers {
            let load = router.load();
            assert!(router.is_idle(), "something is under way for ever");
            assert_eq!((load.sessions, load.questions, load.debts), (0, 0, 0), "{load:?}");
            assert!(load.accounts <= house::limits(self.variant).cached, "{load:?}");
        }
        self.books.sum
    }

    /// The store goes on, queues have room, clients read.
    fn calm(&mut self) {
        self.store.stopped = false;
        self.store.failing = false;
        self.full = Default::default();
        self.is_slow = false;
        for conn in self.clients.keys().copied().collect::<Vec<_>>() {
            self.hear_again(conn);
        }
        self.settle();
    }
}
