//! Allocations that go on by another 5-tuple (RFC 8016): when, for whom, how often; on one worker and across two.

use crate::bench::{
    Attribute, Bench, User, config, describe, lifetime, peer_address, show, signed, stream_user, to,
    transport, user,
};
use std::collections::VecDeque;
use stun::attribute::MobilityTicket;
use stun::{Kind, Message, Method};
use testkit::Seeded;
use turn::{Bandwidth, Carried, Config, Input, Offload, Output, Traffic, Verdict};
use wire::{ConnectionId, Entropy, Flow, Machine, SocketId, WorkerId};

const PEER: &str = "203.0.113.7:4000";

fn ticket(text: &[u8]) -> Attribute {
    (Kind::MOBILITY_TICKET, text.to_vec())
}

/// A request, and what comes of it: lines, and the ticket of an answer.
fn ask(bench: &mut Bench, user: &User, method: Method, attributes: &[Attribute]) -> (Vec<String>, Vec<u8>) {
    let bytes = bench.signed(user, method, attributes);
    message(bench, user, &bytes)
}

fn message(bench: &mut Bench, user: &User, bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    bench.server.handle(bench.now, Input::Message { client: user.client, bytes });
    let (mut lines, mut given) = (Vec::new(), Vec::new());
    while let Some(output) = bench.server.poll() {
        lines.push(show(&output));
        match output {
            Output::Send { bytes, .. } => {
                let ticket = Message::parse(&bytes).unwrap().get::<MobilityTicket<'_>>().unwrap();
                given = ticket.map_or(given, |ticket| ticket.0.to_vec());
            }
            Output::OpenRelay { ask, local } => bench.bind(ask, local),
            _ => {}
        }
    }
    (lines, given)
}

/// A client with an allocation that may move, a permission and a channel; and its first ticket.
fn mobile(bench: &mut Bench, mut user: User) -> (User, Vec<u8>) {
    bench.challenge(&mut user);
    let (lines, first) = ask(bench, &user, Method::ALLOCATE, &[transport(17), ticket(b"")]);
    assert!(lines.last().is_some_and(|line| line.contains(" ticket")), "{lines:?}");
    for (method, attributes) in [
        (Method::CREATE_PERMISSION, vec![peer_address(PEER)]),
        (Method::CHANNEL_BIND, vec![crate::bench::channel(0x4001), peer_address(PEER)]),
    ] {
        let (lines, _) = ask(bench, &user, method, &attributes);
        assert!(lines[0].contains(" ok signed"), "{lines:?}");
    }
    (user, first)
}

/// The same client at another address.
fn elsewhere(bench: &mut Bench, mut user: User) -> User {
    user.nonce.clear();
    bench.challenge(&mut user);
    user
}

fn announce(bench: &mut Bench, user: &User, shown: &[u8]) -> Vec<u8> {
    let (lines, given) = ask(bench, user, Method::REFRESH, &[ticket(shown)]);
    assert!(lines.last().unwrap().ends_with("Refresh ok lifetime=600 ticket signed"), "{lines:?}");
    given
}

const DATA: &[u8] = b"\x40\x01\0\x02hi\0\0";

#[test]
fn a_ticket_is_given_to_whoever_asks_where_there_are_any() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let (lines, _) = ask(&mut bench, &roland, Method::ALLOCATE, &[transport(17), ticket(b"x")]);
    assert_eq!(lines, [to(&roland, "Allocate 400 Bad Request signed")]);
    let (_, first) = mobile(&mut bench, roland.clone());
    assert_eq!(first.len(), 32);
    assert!(first.iter().all(u8::is_ascii_hexdigit), "a text that clients of Debian can keep");
    let mut joe = stream_user("joe", "192.0.2.2:5001");
    bench.challenge(&mut joe);
    let (lines, _) = ask(&mut bench, &joe, Method::ALLOCATE, &[transport(6), ticket(b"")]);
    assert!(lines[0].ends_with("Allocate 405 Mobility Forbidden signed"), "{lines:?}");
    let mut bench = Bench::with(Config { mobility: false, ..config() });
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    for (method, attributes) in
        [(Method::ALLOCATE, vec![transport(17), ticket(b"")]), (Method::REFRESH, vec![ticket(&first)])]
    {
        let (lines, _) = ask(&mut bench, &roland, method, &attributes);
        assert_eq!(lines, [to(&roland, &format!("{method:?} 405 Mobility Forbidden signed"))]);
    }
}

#[test]
fn the_old_way_is_good_until_something_comes_by_the_new_one() {
    let mut bench = Bench::new();
    let (old, first) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
    let second = announce(&mut bench, &new, &first);
    assert_ne!(first, second, "the ticket changes");
    let socket = 1;
    let arrives = |bench: &mut Bench| bench.peer_sends(SocketId::OWN + socket, PEER, b"hello");
    assert_eq!(arrives(&mut bench), "192.0.2.1:5000: 4001 \"hello\"", "not before the client has come");
    assert_eq!(bench.message(old.client, DATA), [format!("1 -> {PEER}: hi")]);
    assert_eq!(bench.message(new.client, DATA), [format!("1 -> {PEER}: hi")]);
    assert_eq!(arrives(&mut bench), "198.51.100.77:6000: 4001 \"hello\"");
    assert_eq!(bench.message(old.client, DATA), ["drop"]);
    let (lines, _) = ask(&mut bench, &old, Method::REFRESH, &[]);
    assert_eq!(lines, [to(&old, "Refresh 437 Allocation Mismatch signed")]);
    let (lines, _) = ask(&mut bench, &new, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(lines[0], "close 1");
    assert_eq!(bench.server.allocations(), 0);
}

#[test]
fn a_fast_path_leads_to_the_new_way_as_soon_as_something_has_come_by_it() {
    let mut bench = Bench::with(Config { offload: true, ..config() });
    let (_, first) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
    announce(&mut bench, &new, &first);
    assert_eq!(bench.message(new.client, DATA)[0], format!("1 -> {PEER}: hi"));
    let moved = ["shut 1".into(), format!("open 2: 198.51.100.77:6000 4001 {PEER} for 300")];
    assert_eq!(bench.outputs(), moved);
}

#[test]
fn what_still_waits_for_its_bandwidth_goes_to_nobody_where_the_client_was() {
    for comes in [false, true] {
        let bandwidth = Bandwidth { session: 1000, user: 0 };
        let mut bench = Bench::with(Config { bandwidth, ..config() });
        let (old, first) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
        let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
        announce(&mut bench, &new, &first);
        let arrives = |bench: &mut Bench| bench.peer_sends(SocketId::OWN + 1, PEER, &[7; 150]);
        assert!((0..20).any(|_| arrives(&mut bench) == "drop"), "one waits, or is too much");
        if comes {
            bench.message(new.client, DATA);
        }
        let lines = bench.after(2);
        let where_it_was = old.client.peer.to_string();
        assert_eq!(lines.iter().any(|line| line.starts_with(&where_it_was)), !comes, "{lines:?}");
    }
}

#[test]
fn a_request_by_the_new_way_is_an_arrival_too() {
    let mut bench = Bench::new();
    let (old, first) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
    announce(&mut bench, &new, &first);
    let (lines, _) = ask(&mut bench, &new, Method::CREATE_PERMISSION, &[peer_address(PEER)]);
    assert_eq!(lines, [to(&new, "CreatePermission ok signed")]);
    assert_eq!(bench.message(old.client, DATA), ["drop"]);
}

#[test]
fn the_same_announcement_again_gets_the_same_answer_and_another_does_not() {
    let mut bench = Bench::new();
    let (_, first) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
    let request = bench.signed(&new, Method::REFRESH, &[ticket(&first)]);
    let (_, second) = message(&mut bench, &new, &request);
    assert_eq!(message(&mut bench, &new, &request).1, second, "before it has come");
    bench.message(new.client, DATA);
    assert_eq!(message(&mut bench, &new, &request).1, second, "and afterwards");
    let (lines, _) = ask(&mut bench, &new, Method::REFRESH, &[ticket(&second)]);
    assert_eq!(lines, [to(&new, "Refresh 400 Bad Request signed")], "it is there already");
}

#[test]
fn a_ticket_is_worth_something_to_its_owner_alone_and_only_once() {
    let mut bench = Bench::new();
    let (_, first) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
    let joe = elsewhere(&mut bench, user("joe", "192.0.2.9:6000"));
    let (lines, _) = ask(&mut bench, &joe, Method::REFRESH, &[ticket(&first)]);
    assert_eq!(lines, [to(&joe, "Refresh 441 Wrong Credentials signed")]);
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
    let mut forged = first.clone();
    forged[31] = if forged[31] == b'0' { b'1' } else { b'0' };
    for (shown, answer) in [(&forged[..], "437 Allocation Mismatch"), (b"short", "400 Bad Request")] {
        let (lines, _) = ask(&mut bench, &new, Method::REFRESH, &[ticket(shown)]);
        assert_eq!(lines, [to(&new, &format!("Refresh {answer} signed"))]);
    }
    let second = announce(&mut bench, &new, &first);
    let third_place = elsewhere(&mut bench, user("roland", "198.51.100.78:6000"));
    let again = announce(&mut bench, &third_place, &first);
    let (lines, _) =
        ask(&mut bench, &elsewhere_of(&third_place, "198.51.100.79:1"), Method::REFRESH, &[ticket(&second)]);
    assert!(lines[0].contains("438") || lines[0].contains("437"), "superseded: {lines:?}");
    bench.message(third_place.client, DATA);
    let late = elsewhere(&mut bench, user("roland", "198.51.100.80:6000"));
    let (lines, _) = ask(&mut bench, &late, Method::REFRESH, &[ticket(&first)]);
    assert_eq!(
        lines,
        [to(&late, "Refresh 437 Allocation Mismatch signed")],
        "it was confirmed, so that is over"
    );
    announce(&mut bench, &late, &again);
}

fn elsewhere_of(user: &User, peer: &str) -> User {
    let there = crate::bench::user(&user.name, peer);
    User { nonce: user.nonce.clone(), ..there }
}

#[test]
fn twenty_in_a_row_are_taken_and_a_flood_is_not() {
    let mut bench = Bench::new();
    let (_, mut shown) = mobile(&mut bench, user("roland", "192.0.2.1:5000"));
    for port in 0..32 {
        let new = elsewhere(&mut bench, user("roland", &format!("198.51.100.77:{}", 6000 + port)));
        shown = announce(&mut bench, &new, &shown);
    }
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:7000"));
    let (lines, _) = ask(&mut bench, &new, Method::REFRESH, &[ticket(&shown)]);
    assert_eq!(lines, [to(&new, "Refresh 508 Insufficient Capacity signed")]);
    bench.after(2);
    announce(&mut bench, &new, &shown);
    assert_eq!(bench.server.allocations(), 1, "there is one, however often it moves");
}

#[test]
fn a_client_whose_stream_has_broken_is_awaited() {
    let mut bench = Bench::new();
    let (old, first) = mobile(&mut bench, stream_user("roland", "192.0.2.1:5000"));
    let Flow::Stream(conn) = old.client.flow else { panic!() };
    assert_eq!(bench.input(Input::Closed(conn)), [""; 0]);
    let new = elsewhere(&mut bench, user("roland", "198.51.100.77:6000"));
    announce(&mut bench, &new, &first);
    let arrives = bench.peer_sends(SocketId::OWN + 1, PEER, b"hello");
    assert_eq!(arrives, "198.51.100.77:6000: 4001 \"hello\"", "at once, as there is no old way");
    let lines = bench.after(600);
    assert_eq!(lines[0], "close 1", "and it ends like any other");
}

#[test]
fn an_old_stream_is_closed_when_the_client_has_come_and_a_new_one_that_breaks_changes_nothing() {
    let mut bench = Bench::new();
    let (old, first) = mobile(&mut bench, stream_user("roland", "192.0.2.1:5000"));
    let new = elsewhere(&mut bench, stream_user("roland", "198.51.100.77:6000"));
    let second = announce(&mut bench, &new, &first);
    let Flow::Stream(broken) = new.client.flow else { panic!() };
    assert_eq!(bench.input(Input::Closed(broken)), [""; 0]);
    assert_eq!(bench.message(old.client, &DATA[..6]), [format!("1 -> {PEER}: hi")]);
    let newer = elsewhere(&mut bench, stream_user("roland", "198.51.100.77:6001"));
    announce(&mut bench, &newer, &second);
    bench.server.from_client(bench.now, newer.client.flow, &DATA[..6]);
    let Flow::Stream(conn) = old.client.flow else { panic!() };
    assert_eq!(bench.outputs(), [format!("close {conn}")]);
}

/// Two workers and the letters between them.
struct House {
    workers: [Bench; 2],
    letters: VecDeque<(usize, Output)>,
    lines: Vec<String>,
    sockets: u32,
    ticket: Vec<u8>,
    /// Whether the next allocation cannot be sent.
    is_full: bool,
    /// Allocations that have gone from one worker to the other.
    moved: u32,
}

impl House {
    fn new() -> Self {
        Self::with(&config())
    }

    fn with(config: &Config) -> Self {
        let workers = [0, 1].map(|number| Bench::worker(number, config.clone()));
        Self {
            workers,
            letters: VecDeque::new(),
            lines: vec![],
            sockets: 100,
            ticket: vec![],
            is_full: false,
            moved: 0,
        }
    }

    /// A message of a client to a worker, and everything that comes of it.
    fn send(&mut self, worker: usize, user: &User, bytes: &[u8]) -> Vec<String> {
        self.receive(worker, user, bytes);
        self.settle();
        std::mem::take(&mut self.lines)
    }

    fn receive(&mut self, worker: usize, user: &User, bytes: &[u8]) {
        let bench = &mut self.workers[worker];
        match bench.server.from_client(bench.now, user.client.flow, bytes) {
            Verdict::Slow => bench.server.handle(bench.now, Input::Message { client: user.client, bytes }),
            Verdict::Drop => {}
            Verdict::Forward { to, range } => self.lines.push(crate::bench::forward(to, &bytes[range])),
        }
        self.collect(worker);
    }

    fn collect(&mut self, worker: usize) {
        while let Some(output) = self.workers[worker].server.poll() {
            match output {
                Output::Roam { .. } | Output::Depart(_) | Output::Replay { .. } => {
                    self.letters.push_back((worker, output));
                }
                Output::Send { bytes, .. } => {
                    let ticket = Message::parse(&bytes).unwrap().get::<MobilityTicket<'_>>().unwrap();
                    self.ticket = ticket.map_or(std::mem::take(&mut self.ticket), |ticket| ticket.0.to_vec());
                    self.lines.push(describe(&bytes));
                }
                Output::Offload(Offload::Close(id)) => {
                    let traffic = Traffic { sent_packets: 10, sent_bytes: 1000, ..Traffic::default() };
                    self.give(worker, Input::Carried(Carried { id, traffic, last: true }));
                }
                Output::Offload(_) => {}
                other => self.lines.push(show(&other)),
            }
        }
    }

    /// Delivers letters until there are none.
    fn settle(&mut self) {
        while let Some((from, letter)) = self.letters.pop_front() {
            let to = match letter {
                Output::Roam { to, letter } => self.give(to.0.into(), Input::Letter(letter)),
                Output::Depart(cargo) => {
                    let to = if std::mem::take(&mut self.is_full) { from } else { cargo.to().0.into() };
                    let sockets: Vec<_> = cargo
                        .sockets()
                        .iter()
                        .map(|_| {
                            self.sockets += 1;
                            Some(SocketId(SocketId::OWN + self.sockets))
                        })
                        .collect();
                    self.moved += u32::from(to != from);
                    self.give(to, Input::Settle { cargo, sockets })
                }
                Output::Replay { client, bytes } => {
                    let user = User { client, ..user("", "192.0.2.1:1") };
                    self.receive(from, &user, &bytes);
                    from
                }
                _ => unreachable!("only these are kept"),
            };
            self.collect(to);
        }
    }

    fn give(&mut self, to: usize, input: Input<'_>) -> usize {
        let bench = &mut self.workers[to];
        bench.server.handle(bench.now, input);
        to
    }

    fn ask(&mut self, worker: usize, user: &User, method: Method, attributes: &[Attribute]) -> Vec<String> {
        let bytes = self.workers[worker].signed(user, method, attributes);
        self.send(worker, user, &bytes)
    }

    /// A client with an allocation at worker 0 that announces itself at worker 1.
    fn announced(&mut self, old: User, new: User) -> (User, User, Vec<u8>) {
        let (old, first) = mobile(&mut self.workers[0], old);
        let new = elsewhere(&mut self.workers[1], new);
        let lines = self.ask(1, &new, Method::REFRESH, &[ticket(&first)]);
        assert_eq!(lines, ["Refresh ok lifetime=600 ticket signed"]);
        (old, new, first)
    }

    fn allocations(&self) -> [usize; 2] {
        [0, 1].map(|worker: usize| self.workers[worker].server.allocations())
    }
}

#[test]
fn an_allocation_follows_its_client_to_another_worker_with_everything_it_has() {
    let mut house = House::new();
    let (old, new, first) =
        house.announced(user("roland", "192.0.2.1:5000"), user("roland", "198.51.100.77:6000"));
    assert_eq!(house.allocations(), [1, 0], "until the client has come");
    assert_eq!(house.send(0, &old, DATA), [format!("1 -> {PEER}: hi")]);
    let again = house.ask(1, &new, Method::REFRESH, &[ticket(&first)]);
    assert_eq!(again, ["Refresh ok lifetime=600 ticket signed"]);
    assert_eq!(house.allocations(), [1, 0], "the same announcement is no arrival");
    assert_eq!(house.send(1, &new, DATA), [format!("101 -> {PEER}: hi")], "kept until it could be sent on");
    assert_eq!(house.allocations(), [0, 1]);
    assert_eq!(house.send(0, &old, DATA), [""; 0]);
    let arrives = house.workers[1].peer_sends(SocketId::OWN + 101, PEER, b"hello");
    assert_eq!(arrives, "198.51.100.77:6000: 4001 \"hello\"");
    // From there back again, by the ticket that the new worker gave.
    let back = elsewhere(&mut house.workers[0], user("roland", "192.0.2.1:5001"));
    let shown = house.ticket.clone();
    assert_eq!(
        house.ask(0, &back, Method::REFRESH, &[ticket(&shown)]),
        ["Refresh ok lifetime=600 ticket signed"]
    );
    let lines = house.ask(0, &back, Method::CREATE_PERMISSION, &[peer_address(PEER)]);
    assert_eq!(lines, ["CreatePermission ok signed"], "answered when the allocation is there");
    assert_eq!(house.allocations(), [1, 0]);
    let lines = house.ask(0, &back, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(lines[0], "close 102");
    assert_eq!(lines[2], "Refresh ok lifetime=0 signed");
    assert_eq!(lines[1], "ended roland@falcot.com sent 4 received 5");
}

#[test]
fn what_a_fast_path_has_carried_goes_along_to_the_other_worker() {
    let mut house = House::with(&Config { offload: true, ..config() });
    let (_, new, _) = house.announced(user("roland", "192.0.2.1:5000"), user("roland", "198.51.100.77:6000"));
    assert_eq!(house.send(1, &new, DATA), [format!("101 -> {PEER}: hi")]);
    assert_eq!(house.allocations(), [0, 1]);
    let session = house.workers[1].server.sessions().next().unwrap();
    assert_eq!(session.traffic.sent_bytes, 1002);
}

#[test]
fn a_broken_stream_s_allocation_goes_at_once() {
    let mut house = House::new();
    let (old, first) = mobile(&mut house.workers[0], stream_user("roland", "192.0.2.1:5000"));
    let Flow::Stream(conn) = old.client.flow else { panic!() };
    assert_eq!(house.workers[0].input(Input::Closed(conn)), [""; 0]);
    let new = elsewhere(&mut house.workers[1], at_worker_one(stream_user("roland", "198.51.100.77:6000")));
    let lines = house.ask(1, &new, Method::REFRESH, &[ticket(&first)]);
    assert_eq!(lines, [format!("close {conn}"), "Refresh ok lifetime=600 ticket signed".into()]);
    assert_eq!(house.allocations(), [0, 1]);
}

#[test]
fn an_old_stream_that_breaks_after_the_announcement_sends_it_off_too() {
    let mut house = House::new();
    let (old, new, _) = house.announced(
        stream_user("roland", "192.0.2.1:5000"),
        at_worker_one(stream_user("roland", "198.51.100.77:6000")),
    );
    let Flow::Stream(conn) = old.client.flow else { panic!() };
    house.give(0, Input::Closed(conn));
    house.collect(0);
    house.settle();
    assert_eq!(house.allocations(), [0, 1]);
    house.lines.clear();
    assert_eq!(house.send(1, &new, &DATA[..6]), [format!("101 -> {PEER}: hi")]);
}

#[test]
fn an_old_stream_that_breaks_after_the_new_one_leaves_the_allocation_where_both_tickets_lead() {
    for shows_the_second in [false, true] {
        let mut house = House::new();
        let (old, new, first) = house.announced(
            stream_user("roland", "192.0.2.1:5000"),
            at_worker_one(stream_user("roland", "198.51.100.77:6000")),
        );
        let shown = if shows_the_second { house.ticket.clone() } else { first };
        for (worker, user) in [(1, &new), (0, &old)] {
            let Flow::Stream(conn) = user.client.flow else { panic!() };
            house.give(worker, Input::Closed(conn));
            house.collect(worker);
            house.settle();
        }
        assert_eq!(house.allocations(), [1, 0], "nobody comes at the other worker");
        let third = elsewhere(&mut house.workers[1], user("roland", "198.51.100.78:6000"));
        let lines = house.ask(1, &third, Method::REFRESH, &[ticket(&shown)]);
        assert!(lines.contains(&"Refresh ok lifetime=600 ticket signed".into()), "{lines:?}");
        assert_eq!(house.send(1, &third, DATA), [format!("101 -> {PEER}: hi")]);
    }
}

#[test]
fn a_stream_that_breaks_while_another_worker_is_asked_gets_no_answer_and_is_not_awaited() {
    let mut house = House::new();
    let (old, first) = mobile(&mut house.workers[0], stream_user("roland", "192.0.2.1:5000"));
    let new = at_worker_one(stream_user("roland", "198.51.100.77:6000"));
    let new = elsewhere(&mut house.workers[1], new);
    let request = house.workers[1].signed(&new, Method::REFRESH, &[ticket(&first)]);
    house.receive(1, &new, &request);
    for (worker, user) in [(1, &new), (0, &old)] {
        let Flow::Stream(conn) = user.client.flow else { panic!() };
        house.give(worker, Input::Closed(conn));
        house.settle();
        house.collect(worker);
    }
    assert_eq!(house.lines, [""; 0], "nobody hears it");
    assert_eq!(house.workers[1].server.roaming(), [0, 0, 0]);
    assert_eq!(house.allocations(), [1, 0]);
    let third = elsewhere(&mut house.workers[1], user("roland", "198.51.100.78:6000"));
    let lines = house.ask(1, &third, Method::REFRESH, &[ticket(&first)]);
    assert!(lines.contains(&"Refresh ok lifetime=600 ticket signed".into()), "{lines:?}");
}

fn at_worker_one(user: User) -> User {
    let Flow::Stream(conn) = user.client.flow else { panic!() };
    let flow = Flow::Stream(ConnectionId { worker: WorkerId(1), ..conn });
    User { client: turn::Client { flow, ..user.client }, ..user }
}

#[test]
fn what_another_worker_refuses_is_refused() {
    let mut house = House::new();
    let (_, first) = mobile(&mut house.workers[0], user("roland", "192.0.2.1:5000"));
    let joe = elsewhere(&mut house.workers[1], user("joe", "192.0.2.9:6000"));
    let lines = house.ask(1, &joe, Method::REFRESH, &[ticket(&first)]);
    assert_eq!(lines, ["Refresh 441 Wrong Credentials signed"]);
    let new = elsewhere(&mut house.workers[1], user("roland", "198.51.100.77:6000"));
    let lines = house.ask(1, &new, Method::REFRESH, &[ticket(&first), lifetime(0)]);
    assert_eq!(lines[0], "close 1");
    assert_eq!(lines.last().unwrap(), "Refresh ok lifetime=0 signed", "it may also be ended from there");
    let lines = house.ask(1, &new, Method::REFRESH, &[ticket(&first)]);
    assert_eq!(lines, ["Refresh 437 Allocation Mismatch signed"]);
}

#[test]
fn a_client_that_goes_on_to_a_third_place_is_not_awaited_at_the_second() {
    let mut house = House::new();
    let (_, new, _) = house.announced(user("roland", "192.0.2.1:5000"), user("roland", "198.51.100.77:6000"));
    let second = house.ticket.clone();
    // The second ticket was given by worker 1, but the allocation is at worker 0 still.
    let third = elsewhere(&mut house.workers[0], user("roland", "198.51.100.78:6000"));
    assert_eq!(
        house.ask(0, &third, Method::REFRESH, &[ticket(&second)]),
        ["Refresh ok lifetime=600 ticket signed"]
    );
    assert_eq!(house.send(1, &new, DATA), [""; 0], "nothing is known of it there any more");
    assert_eq!(house.send(0, &third, DATA), [format!("1 -> {PEER}: hi")]);
    assert_eq!(house.allocations(), [1, 0]);
}

#[test]
fn an_allocation_that_cannot_be_sent_stays_and_is_fetched_again() {
    let mut house = House::new();
    let (old, new, _) =
        house.announced(user("roland", "192.0.2.1:5000"), user("roland", "198.51.100.77:6000"));
    house.is_full = true;
    assert_eq!(house.send(1, &new, DATA), [""; 0]);
    assert_eq!(house.allocations(), [1, 0]);
    assert_eq!(house.send(0, &old, DATA), [format!("101 -> {PEER}: hi")]);
    house.workers.iter_mut().for_each(|worker| drop(worker.after(6)));
    let lines = house.send(1, &new, DATA);
    assert_eq!(lines, [format!("102 -> {PEER}: hi"), format!("102 -> {PEER}: hi")], "what was kept as well");
}

#[test]
fn a_worker_that_does_not_answer_costs_an_error() {
    let mut bench = Bench::worker(1, config());
    let (mut other, mut roland) = (Bench::new(), user("roland", "198.51.100.77:6000"));
    let (_, first) = mobile(&mut other, user("roland", "192.0.2.1:5000"));
    bench.challenge(&mut roland);
    let request = signed(&roland, Method::REFRESH, stun::TransactionId([9; 12]), &[ticket(&first)]);
    assert_eq!(
        message(&mut bench, &roland, &request).0,
        [format!("letter to 0: announce {}", roland.client.peer)]
    );
    assert_eq!(message(&mut bench, &roland, &request).0, [""; 0], "asked already");
    let lines = bench.after(5);
    assert_eq!(
        lines,
        vec![to(&roland, "Refresh 508 Insufficient Capacity signed"); 2],
        "each request its answer"
    );
}

/// Clients at random: they allocate, announce themselves, come, go back, lose their streams, end; letters and allocations
/// cross with what clients send meanwhile, or are not taken.
struct Crowd {
    house: House,
    dice: Seeded,
    /// Every way that any client has, with its worker, and the ticket it was given there last.
    ways: Vec<(usize, User, Vec<u8>)>,
    port: u16,
}

impl Crowd {
    fn roll(&mut self, sides: u64) -> usize {
        usize::try_from(self.dice.next_u64() % sides).unwrap()
    }

    fn user(&mut self) -> (usize, User) {
        self.port += 1;
        let worker = self.roll(2);
        let user = match self.roll(3) {
            0 => stream_user("roland", &format!("192.0.2.1:{}", self.port)),
            _ => user("roland", &format!("192.0.2.1:{}", self.port)),
        };
        let user = if worker == 1 && matches!(user.client.flow, Flow::Stream(_)) {
            at_worker_one(user)
        } else {
            user
        };
        (worker, elsewhere(&mut self.house.workers[worker], user))
    }

    /// Has one of the ways do something, and delivers some of the letters.
    fn step(&mut self) {
        if self.ways.len() < 3 {
            let (worker, user) = self.user();
            let (_, ticket) = mobile_at(&mut self.house, worker, &user);
            self.ways.push((worker, user, ticket));
        }
        // Mostly the latest.
        let chosen = self.ways.len() - 1 - self.roll(3).min(self.ways.len() - 1);
        let (worker, user, shown) = self.ways[chosen].clone();
        match self.roll(12) {
            0..5 => {
                let (to, next) = self.user();
                let bytes = self.house.workers[to].signed(&next, Method::REFRESH, &[ticket(&shown)]);
                self.house.ticket.clear();
                self.house.receive(to, &next, &bytes);
                self.deliver();
                let given = std::mem::take(&mut self.house.ticket);
                if given.is_empty() {
                    self.ways.swap_remove(chosen);
                } else {
                    self.ways.push((to, next, given));
                }
            }
            5..9 => self.house.receive(worker, &user, &DATA[..6]),
            9 => {
                if let Flow::Stream(conn) = user.client.flow {
                    self.house.give(worker, Input::Closed(conn));
                    self.house.collect(worker);
                }
                self.ways.swap_remove(chosen);
            }
            10 => {
                let bytes = self.house.workers[worker].signed(&user, Method::REFRESH, &[lifetime(0)]);
                self.house.receive(worker, &user, &bytes);
            }
            _ => self.house.workers.iter_mut().for_each(|worker| drop_outputs(worker, 3)),
        }
        self.house.is_full = self.roll(8) == 0;
        if self.roll(3) > 0 {
            self.deliver();
        }
        let excess = self.ways.len().saturating_sub(12);
        self.ways.drain(..excess);
    }

    fn deliver(&mut self) {
        self.house.settle();
        self.house.lines.clear();
    }
}

/// Lets time pass; what comes of it is told to nobody.
fn drop_outputs(worker: &mut Bench, seconds: u64) {
    worker.now += std::time::Duration::from_secs(seconds);
    worker.server.tick(worker.now);
}

fn mobile_at(house: &mut House, worker: usize, user: &User) -> (Vec<String>, Vec<u8>) {
    let bench = &mut house.workers[worker];
    let (lines, given) = ask(bench, user, Method::ALLOCATE, &[transport(17), ticket(b"")]);
    ask(bench, user, Method::CHANNEL_BIND, &[crate::bench::channel(0x4001), peer_address(PEER)]);
    (lines, given)
}

#[test]
fn nothing_is_left_of_a_crowd_that_moves_at_random() {
    let mut moved = 0;
    for seed in 0..60 {
        let dice = Seeded::new(seed);
        let mut crowd = Crowd { house: House::new(), dice, ways: Vec::new(), port: 1000 };
        for _ in 0..120 {
            crowd.step();
            crowd.house.workers.iter_mut().for_each(|bench| bench.taken.clear());
        }
        crowd.deliver();
        for _ in 0..3 {
            for worker in [0, 1] {
                drop_outputs(&mut crowd.house.workers[worker], 4000);
                crowd.house.collect(worker);
            }
            crowd.deliver();
        }
        moved += crowd.house.moved;
        assert_eq!(crowd.house.allocations(), [0, 0], "seed {seed}");
        for bench in &crowd.house.workers {
            assert_eq!(bench.server.roaming(), [0, 0, 0], "seed {seed}");
        }
    }
    assert!(moved > 200, "{moved} moves");
}

#[test]
fn a_stream_by_which_nobody_has_to_come_any_more_is_closed() {
    let mut house = House::new();
    let stream = at_worker_one(stream_user("roland", "198.51.100.77:6000"));
    let (old, new, _) = house.announced(user("roland", "192.0.2.1:5000"), stream);
    assert!(house.workers[1].server.may_be_silent(new.client.flow));
    let lines = house.ask(0, &old, Method::REFRESH, &[lifetime(0)]);
    let Flow::Stream(conn) = new.client.flow else { panic!() };
    assert!(lines.contains(&format!("close {conn}")), "{lines:?}");
    assert!(!house.workers[1].server.may_be_silent(new.client.flow));
}

#[test]
fn a_stream_may_not_be_silent_for_having_shown_any_ticket() {
    let mut bench = Bench::worker(1, config());
    let mut roland = at_worker_one(stream_user("roland", "198.51.100.77:6000"));
    bench.challenge(&mut roland);
    let of_worker_0 = [b'0'; 32];
    bench.ask(&roland, Method::REFRESH, &[ticket(&of_worker_0)]);
    assert!(bench.server.is_allocated(roland.client.flow), "the other worker is asked");
    assert!(!bench.server.may_be_silent(roland.client.flow));
}
