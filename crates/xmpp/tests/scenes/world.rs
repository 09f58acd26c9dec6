//! The house in which plays are given: routers as workers, queues between them, a store, people at their clients.

use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Account, Address, ConnectionId, Directory, Domain, Keys, Machine, WorkerId};
use xmpp::router::{
    Answer, Between, Eviction, Fault, Given, Input, Limits, Neighbour, Output, Receipt, Router, Setting,
    Token,
};
use xmpp::stanza::Refused;
use xmpp::xml::{Event, Reader};
use xmpp::{Condition, Jid, Stanza, ns};

/// Everybody who has an account when the play begins.
const PEOPLE: [&str; 5] = ["romeo", "juliet", "mercutio", "tybalt", "benvolio"];

/// Somebody's client.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) jid: Option<Jid>,
    pub(crate) refused: Option<Condition>,
    pub(crate) inbox: VecDeque<String>,
    pub(crate) evicted: Option<Eviction>,
    paused: bool,
    /// Its connection takes no more.
    pub(crate) deaf: bool,
    /// It took no more, so it was given up.
    pub(crate) given_up: bool,
    /// What is sent while nobody reads.
    unread: VecDeque<String>,
    /// What was taken without saying so yet.
    receipts: Vec<Receipt>,
    /// All that it was given.
    given: Vec<Given>,
}

impl Client {
    /// Whether the router wants no more of it for now.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether it has said something that nobody reads. Who was thrown out waits for nothing.
    fn is_waiting(&self) -> bool {
        self.evicted.is_none() && !self.given_up && (self.paused || !self.unread.is_empty())
    }
}

/// The house.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) store: Store,
    pub(crate) directory: Arc<Directory>,
    /// Connections take what is delivered without confirming it.
    pub(crate) silent: bool,
    /// Queues to these workers are full.
    full: BTreeSet<WorkerId>,
    limits: Limits,
    routers: Vec<Router>,
    mail: VecDeque<(WorkerId, Between)>,
    clients: BTreeMap<ConnectionId, Client>,
    last: u32,
    /// Passwords that are to be set, and by whom that is to be heard.
    passwords: Vec<(WorkerId, Token, Address)>,
    /// What is remembered of everybody, where a test asks for it.
    pub(crate) witness: Option<Witness>,
}

/// Remembers who sent and heard what.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// The messages of each connection, by number, in order.
    pub(crate) sent: BTreeMap<ConnectionId, Vec<u32>>,
    /// Each connection's pings: how many messages it had sent before.
    pub(crate) pings: BTreeMap<ConnectionId, VecDeque<usize>>,
    /// Messages that were delivered, or answered with an error.
    pub(crate) heard: BTreeSet<u32>,
    /// Messages that were given to a connection which then had no room for them, or wait for it: that is not seen at once.
    given: BTreeSet<u32>,
    /// Messages that waited for a connection first: where that is lost, they come to another later than what it was given meanwhile.
    pub(crate) waited: BTreeMap<u32, ConnectionId>,
    /// The messages that each connection was delivered, in order, the second time left out.
    pub(crate) delivered: BTreeMap<ConnectionId, Vec<u32>>,
}

/// The number in `id='m7'`.
pub(crate) fn number(xml: &str, kind: char) -> Option<u32> {
    let (_, rest) = xml.split_once(&format!("id='{kind}"))?;
    rest.split_once('\'')?.0.parse().ok()
}

impl Witness {
    fn see(&mut self, connection: ConnectionId, xml: &str, store: &Store) {
        if let Some(message) = number(xml, 'm') {
            self.heard.insert(message);
            let before = self.delivered.entry(connection).or_default();
            if !xml.contains("type='error'") && !before.contains(&message) {
                before.push(message);
            }
        }
        if number(xml, 'p').is_some() {
            let before = self.pings.get_mut(&connection).and_then(VecDeque::pop_front);
            let before = before.expect("every ping is answered once");
            for message in self.sent.get(&connection).map_or(&[][..], |sent| &sent[..before]) {
                let given = self.heard.contains(message) || self.given.contains(message);
                let safe = given || store.keeps(*message);
                assert!(safe, "a ping was answered before message {message} was safe");
            }
        }
    }
}

impl World {
    /// A house with so many workers.
    pub(crate) fn new(workers: u16, limits: Limits) -> Self {
        let main = Domain::new("verona.example").unwrap();
        let alias = [Domain::new("xmpp.verona.example").unwrap()];
        let people = PEOPLE.map(|name| account(&format!("{name}@verona.example")));
        let mut world = Self {
            now: testkit::start(),
            store: Store::default(),
            directory: Arc::new(Directory::new([(&main, &alias[..])]).with(people)),
            silent: false,
            full: BTreeSet::new(),
            limits,
            routers: Vec::new(),
            mail: VecDeque::new(),
            clients: BTreeMap::new(),
            last: 0,
            passwords: Vec::new(),
            witness: None,
        };
        world.start(workers);
        world
    }

    fn start(&mut self, workers: u16) {
        let router = |me| {
            Router::new(Setting {
                me: WorkerId(me),
                workers,
                limits: self.limits.clone(),
                directory: Arc::clone(&self.directory),
                rooms: vec![Neighbour {
                    host: Domain::new("rooms.verona.example").unwrap(),
                    domain: Domain::new("verona.example").unwrap(),
                    name: None,
                }],
                components: Vec::new(),
                epoch: testkit::epoch(self.now),
                entropy: Box::new(testkit::Seeded::new(u64::from(me))),
            })
        };
        self.routers = (0..workers).map(router).collect();
    }

    /// Everything is gone but what the store has on the disk.
    pub(crate) fn crash(&mut self) {
        self.store.crash();
        self.mail.clear();
        self.clients.clear();
        let workers = u16::try_from(self.routers.len()).unwrap();
        self.start(workers);
    }

    fn handle(&mut self, worker: WorkerId, input: Input<'_>) {
        let router = &mut self.routers[usize::from(worker.0)];
        router.handle(self.now, input);
        if let Some(witness) = &mut self.witness {
            // It is given as soon as what was kept is.
            for (session, stanza) in router.waiting() {
                let Some(number) = number(stanza.as_str(), 'm') else { continue };
                witness.waited.entry(number).or_insert(session);
                witness.given.insert(number);
            }
        }
        self.drain(worker);
    }

    fn drain(&mut self, worker: WorkerId) {
        while let Some(output) = self.routers[usize::from(worker.0)].poll() {
            self.carry_out(worker, output);
        }
    }

    fn carry_out(&mut self, worker: WorkerId, output: Output) {
        match output {
            Output::Opened { connection, outcome } => {
                let client = self.clients.entry(connection).or_default();
                match outcome {
                    Ok(jid) => client.jid = Some(jid),
                    Err(condition) => client.refused = Some(condition),
                }
            }
            Output::Deliver { connection, given } => {
                let client = self.clients.get_mut(&connection).expect("a connection that is there");
                assert!(client.evicted.is_none(), "delivered behind the end");
                if client.deaf {
                    client.given_up = true;
                    if let Some(witness) = &mut self.witness {
                        // Nobody has read it: it was never said.
                        witness.heard.extend(client.unread.drain(..).filter_map(|xml| number(&xml, 'm')));
                        witness.given.extend(number(given.stanza.as_str(), 'm'));
                    }
                    let input = Input::Undelivered { connection, given, since: None };
                    return self.routers[usize::from(worker.0)].handle(self.now, input);
                }
                if let Some(witness) = &mut self.witness {
                    witness.see(connection, given.stanza.as_str(), &self.store);
                }
                client.inbox.push_back(given.stanza.as_str().to_owned());
                client.receipts.extend(given.receipt);
                if self.witness.is_none() {
                    client.given.push(given);
                }
            }
            Output::Handled { .. } => {}
            Output::HandOver { to, what } if self.full.contains(&to) => {
                self.routers[usize::from(worker.0)].handle(self.now, Input::NoRoom { to, what });
            }
            Output::HandOver { to, what } => self.mail.push_back((to, what)),
            Output::Ask { token, query } => self.store.ask((worker, token, query)),
            Output::SetPassword { token, account, password } => {
                assert!(!password.expose().is_empty());
                self.passwords.push((worker, token, account));
            }
            Output::Close { connection, why } => {
                let client = self.clients.get_mut(&connection).expect("a connection that is there");
                client.evicted = Some(why);
                if let Some(witness) = &mut self.witness {
                    witness.heard.extend(client.unread.drain(..).filter_map(|xml| number(&xml, 'm')));
                }
            }
            Output::Pause(connection) => {
                self.clients.get_mut(&connection).expect("a connection that is there").paused = true;
            }
            Output::Resume(connection) => {
                // It may be gone.
                if let Some(client) = self.clients.get_mut(&connection) {
                    client.paused = false;
                }
            }
        }
    }

    /// Lets everything happen that can.
    pub(crate) fn settle(&mut self) {
        loop {
            if let Some((to, what)) = self.mail.pop_front() {
                self.handle(to, Input::HandedOver(what));
            } else if let Some((worker, token, outcome)) = self.store.answer() {
                self.handle(worker, Input::Answer { token, outcome });
            } else if !self.confirm() && !self.read_on() && !self.tick() {
                return;
            }
        }
    }

    /// One answer of a store that is stopped.
    pub(crate) fn let_through(&mut self) {
        if let Some((worker, token, outcome)) = self.store.answer_one() {
            self.handle(worker, Input::Answer { token, outcome });
        }
        self.settle();
    }

    fn confirm(&mut self) -> bool {
        if self.silent {
            return false;
        }
        let open = self.clients.iter_mut().find(|(_, client)| !client.receipts.is_empty());
        let Some((connection, client)) = open else { return false };
        let (worker, receipt) = (connection.worker, client.receipts.remove(0));
        self.handle(worker, Input::Delivered(receipt));
        true
    }

    /// What was sent while nobody read is read now.
    fn read_on(&mut self) -> bool {
        let open = self.clients.iter_mut().find(|(_, c)| !c.paused && !c.unread.is_empty());
        let Some((&connection, client)) = open else { return false };
        let xml = client.unread.pop_front().unwrap();
        self.read(connection, &xml);
        true
    }

    fn tick(&mut self) -> bool {
        let due = |router: &Router| router.deadline();
        let Some(worker) = self.routers.iter().position(|router| due(router).is_some()) else { return false };
        if !self.full.is_empty() {
            return false;
        }
        self.now = self.now.max(self.routers[worker].deadline().unwrap());
        self.routers[worker].tick(self.now);
        self.drain(WorkerId(u16::try_from(worker).unwrap()));
        true
    }

    /// Somebody binds a resource.
    pub(crate) fn connect(&mut self, account: &Address, resource: Option<&str>) -> ConnectionId {
        let worker = account.home(u16::try_from(self.routers.len()).unwrap());
        self.last += 1;
        let connection = ConnectionId { worker, slot: self.last, generation: 0 };
        self.clients.insert(connection, Client::default());
        self.handle(worker, Input::Open { connection, account, resource });
        self.settle();
        connection
    }

    /// Somebody's client acknowledges.
    pub(crate) fn acknowledges(&mut self, connection: ConnectionId) {
        self.handle(connection.worker, Input::Acknowledges(connection));
    }

    /// Somebody's session is over, and this it has never acknowledged.
    pub(crate) fn give_back(&mut self, connection: ConnectionId, xml: &str, age: Duration) {
        let all = &mut self.clients.get_mut(&connection).expect("a client that is there").given;
        let at = all.iter().position(|given| given.stanza.as_str() == xml);
        let given = match at {
            Some(at) => Given { receipt: None, ..all.remove(at) },
            None => Stanza::parse(xml).expect("a stanza").into(),
        };
        let since = self.now.checked_sub(age);
        self.handle(connection.worker, Input::Undelivered { connection, given, since });
        self.settle();
    }

    /// Somebody's connection is gone.
    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        let client = self.clients.remove(&connection);
        if let (Some(witness), Some(client)) = (&mut self.witness, client) {
            // Nobody has read it: it was never said.
            witness.heard.extend(client.unread.iter().filter_map(|xml| number(xml, 'm')));
        }
        self.handle(connection.worker, Input::Closed(connection));
        self.settle();
    }

    /// A client sends a stanza.
    pub(crate) fn send(&mut self, connection: ConnectionId, xml: &str) {
        self.client(connection).unread.push_back(xml.to_owned());
        self.settle();
    }

    fn read(&mut self, connection: ConnectionId, xml: &str) {
        let sender = self.client(connection).jid.clone().expect("a session");
        let mut reader = Reader::new(xmpp::xml::Limits::MEMBER);
        let header = format!("<s:stream xmlns='{}' xmlns:s='{}'>", ns::CLIENT, ns::STREAM);
        reader.next(header.as_bytes()).unwrap();
        let Ok((_, Some(Event::Element(fragment)))) = reader.next(xml.as_bytes()) else {
            panic!("not one element: {xml}")
        };
        match Stanza::receive(&fragment, &sender, None) {
            Ok(stanza) => self.handle(connection.worker, Input::Stanza { connection, stanza }),
            Err(Refused::Error(stanza, error)) => {
                self.handle(connection.worker, Input::Refused { connection, stanza: &stanza, error });
            }
            Err(refused) => panic!("the stream would end: {refused:?}"),
        }
    }

    pub(crate) fn client(&mut self, connection: ConnectionId) -> &mut Client {
        self.clients.get_mut(&connection).expect("a client that is there")
    }

    /// An account comes or goes.
    pub(crate) fn set_account(&mut self, name: &str, there: bool) {
        let (address, mut account) = account(name);
        if !there {
            account = None;
        }
        self.directory = Arc::new(self.directory.with([(address, account)]));
        for worker in 0..u16::try_from(self.routers.len()).unwrap() {
            self.handle(WorkerId(worker), Input::Directory(Arc::clone(&self.directory)));
        }
        self.settle();
    }

    /// An account has another password.
    pub(crate) fn renew(&mut self, address: &Address) {
        let mut byte = [0; 16];
        if let Some(md5) = self.directory.get(address).and_then(|account| account.keys.md5) {
            byte = md5.map(|byte| byte + 1);
        }
        let keys = Keys { md5: Some(byte), ..Keys::default() };
        let account = Arc::new(Account { address: address.clone(), keys });
        self.directory = Arc::new(self.directory.with([(address.clone(), Some(account))]));
        for worker in 0..u16::try_from(self.routers.len()).unwrap() {
            self.handle(WorkerId(worker), Input::Directory(Arc::clone(&self.directory)));
        }
        self.settle();
    }

    /// What clients want their passwords to be is kept, or not.
    pub(crate) fn set_passwords(&mut self, kept: bool) {
        for (worker, token, account) in std::mem::take(&mut self.passwords) {
            if kept {
                self.renew(&account);
            }
            let outcome = if kept { Ok(Answer::Done) } else { Err(Fault::Unavailable) };
            self.handle(worker, Input::Answer { token, outcome });
        }
        self.settle();
    }

    pub(crate) fn kick(&mut self, account: &Address, resource: Option<&str>) {
        let worker = account.home(u16::try_from(self.routers.len()).unwrap());
        self.handle(worker, Input::Kick { account, resource });
        self.settle();
    }

    /// The queues between workers take nothing, or take everything again.
    pub(crate) fn fill_queues(&mut self, full: bool) {
        let all = (0..u16::try_from(self.routers.len()).unwrap()).map(WorkerId);
        self.full = all.filter(|_| full).collect();
        self.settle();
    }

    /// Whether nothing is under way anywhere.
    pub(crate) fn is_idle(&self) -> bool {
        self.clients.values().all(|client| !client.is_waiting())
            && self.mail.is_empty()
            && self.routers.iter().all(Router::is_idle)
    }

    /// What is under way.
    pub(crate) fn under_way(&self) -> Vec<String> {
        let paused = self.clients.values().filter(|client| client.is_waiting());
        let paused = paused.map(|client| format!("{:?} is read no further", client.jid));
        let busy = self.routers.iter().filter(|router| !router.is_idle()).map(|router| format!("{router:?}"));
        paused.chain(busy).collect()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// What the administrator sees.
    pub(crate) fn sessions(&self) -> BTreeSet<String> {
        let all = self.routers.iter().flat_map(|router| router.sessions());
        all.map(|session| format!("{} {:?}", session.jid, session.priority)).collect()
    }
}

fn account(name: &str) -> (Address, Option<Arc<Account>>) {
    let address: Address = name.parse().unwrap();
    (address.clone(), Some(Arc::new(Account { address, keys: Keys::default() })))
}
