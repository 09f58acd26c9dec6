//! What XMPP costs without sockets, TLS and disk: messages between two accounts, archived or not, and in a room of 100, as
//! bytes come in and go out on one worker.
//!
//! `cargo run --release -p xmpp --example cost`, or, for instructions with their callers,
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect=cost::say target/release/examples/cost chat 500`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement talks to its terminal and looks at the clock"
)]
#![allow(clippy::unwrap_used, reason = "a measurement may end at the first surprise")]

use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::Seeded;
use wire::{Account, Address, ConnectionId, Directory, Domain, Epoch, Keys, Machine, WorkerId};
use xmpp::managed::{self, Bounds, Managed};
use xmpp::router::{self, Answer, Input, Limits, Neighbour, Output, Query, Router, Setting};
use xmpp::stream::unacknowledged::Most;
use xmpp::xml::{self, Event, Reader};
use xmpp::{Jid, Stanza};

const DOMAIN: &str = "bench.example";
const ROOM: &str = "bench@rooms.bench.example";
const HEADER: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let units: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    for (name, clients, archive, to, kind) in [
        ("chat", 2, false, "load1@bench.example", "chat"),
        ("archived", 2, true, "load1@bench.example", "chat"),
        ("room", 100, false, ROOM, "groupchat"),
    ] {
        if what.is_empty() || what == name {
            let mut bench = Bench::new(clients, archive);
            if name == "room" {
                bench.enter();
            }
            let said = message(to, kind);
            (bench.spent, bench.written) = (Duration::ZERO, 0);
            (0..units).for_each(|_| bench.time(0, &said));
            let each = bench.spent.as_secs_f64() * 1e6 / units as f64;
            println!("{name}: {each:.2} µs each, {} octets go out", bench.written / units);
        }
    }
}

/// A message of 250 octets, tags and all.
fn message(to: &str, kind: &str) -> String {
    let (open, close) = (format!("<message to='{to}' type='{kind}' id='m1'><body>"), "</body></message>");
    let text = "The quick brown fox jumps over the lazy dog, and then it rests for a while. ";
    let body: String = text.chars().cycle().take(250 - open.len() - close.len()).collect();
    [&open, &*body, close].concat()
}

struct Client {
    id: ConnectionId,
    reader: Reader,
    jid: Jid,
}

struct Bench {
    router: Router,
    managed: Managed,
    clients: Vec<Client>,
    now: Instant,
    spent: Duration,
    written: usize,
}

impl Bench {
    fn new(count: usize, archive: bool) -> Self {
        let now = Instant::now();
        let domain = Domain::new(DOMAIN).unwrap();
        let address = |n: usize| format!("load{n}@{DOMAIN}").parse::<Address>().unwrap();
        let account = |n| {
            let account = Account { address: address(n), keys: Keys::default() };
            (address(n), Some(Arc::new(account)))
        };
        let rooms = Domain::new(&format!("rooms.{DOMAIN}")).unwrap();
        let router = Router::new(Setting {
            me: WorkerId(0),
            workers: 1,
            limits: Limits { archive, ..Limits::default() },
            directory: Arc::new(Directory::new([(&domain, &[][..])]).with((0..2_000).map(account))),
            rooms: vec![Neighbour { host: rooms, domain, name: None }],
            components: vec![],
            epoch: Epoch { instant: now, unix: Duration::from_secs(1_790_000_000) },
            entropy: Box::new(Seeded::new(1)),
        });
        let most = Most { stanzas: 1_000, octets: 1 << 20 };
        let managed = Managed::new(now, Bounds { most, resume: Duration::from_secs(300) });
        let mut bench = Self { router, managed, clients: vec![], now, spent: Duration::ZERO, written: 0 };
        (0..count).for_each(|n| bench.come(&address(n)));
        bench
    }

    /// Somebody signs in and is available.
    fn come(&mut self, account: &Address) {
        let id = ConnectionId { worker: WorkerId(0), slot: self.clients.len() as u32, generation: 1 };
        self.managed.handle(self.now, managed::Input::Begin(id));
        self.router.handle(self.now, Input::Open { connection: id, account, resource: Some("home") });
        let mut reader = Reader::new(xml::Limits::MEMBER);
        reader.next(HEADER.as_bytes()).unwrap();
        let jid = Jid::from(account.clone()).with_resource("home").unwrap();
        self.clients.push(Client { id, reader, jid });
        self.settle();
        say(self, self.clients.len() - 1, "<presence/>");
    }

    /// All enter the room that the first makes.
    fn enter(&mut self) {
        let join = "<x xmlns='http://jabber.org/protocol/muc'/>";
        let owner = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
        for n in 0..self.clients.len() {
            say(self, n, &format!("<presence to='{ROOM}/n{n}'>{join}</presence>"));
            if n == 0 {
                say(self, n, &format!("<iq to='{ROOM}' type='set' id='made'>{owner}</iq>"));
            }
        }
    }

    fn time(&mut self, client: usize, said: &str) {
        let begin = Instant::now();
        say(self, client, said);
        self.spent += begin.elapsed();
    }

    /// Does what router and keeper want.
    fn settle(&mut self) {
        while let Some(output) = self.router.poll() {
            match output {
                Output::Deliver { connection, given } => {
                    self.managed.handle(self.now, managed::Input::Give { session: connection, given });
                    self.write();
                }
                Output::Ask { token, query } => {
                    let outcome = Ok(answer(&query));
                    self.router.handle(self.now, Input::Answer { token, outcome });
                }
                _ => {}
            }
        }
    }

    fn write(&mut self) {
        while let Some(output) = self.managed.poll() {
            if let managed::Output::Write(_, piece) = output {
                self.written += piece.bytes().len();
            }
        }
    }
}

/// One client says one thing.
#[inline(never)]
fn say(bench: &mut Bench, client: usize, said: &str) {
    let Client { id, reader, jid } = &mut bench.clients[client];
    let (_, event) = reader.next(said.as_bytes()).unwrap();
    let Some(Event::Element(element)) = event else { panic!("one element") };
    let stanza = Stanza::receive(&element, jid, None).unwrap();
    reader.rest();
    let connection = bench.managed.session(*id).unwrap();
    bench.router.handle(bench.now, router::Input::Stanza { connection, stanza });
    bench.settle();
}

/// What a store says in which there is nothing yet.
fn answer(query: &Query) -> Answer {
    match query {
        Query::LoadRoster(_) => Answer::Roster { items: vec![], settings: None, nodes: vec![] },
        Query::ListKept { .. } => Answer::Kept(vec![]),
        Query::LoadRooms => Answer::Rooms(vec![]),
        Query::LoadDocument { .. } => Answer::Document(None),
        Query::ArchiveExcess { .. } | Query::RoomExcess { .. } => Answer::Excess(None),
        _ => Answer::Done,
    }
}
