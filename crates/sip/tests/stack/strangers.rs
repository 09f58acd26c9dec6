//! What somebody who has proven nothing may ask for is counted from outside; here is what counts, and what never does.

use crate::house::House;
use crate::policy::credentials;
use crate::scene::{ALICE, BOB, copy, of_alice, says, within, words};
use crate::{house, request, scene};
use sip::stack::{Input, Strangers};
use sip::transport::Arrival;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use wire::{Address, Transport};

const PEER: &str = "203.0.113.7:5060";

/// So many requests of all sources together.
#[derive(Debug, Default)]
struct Pail {
    left: AtomicI64,
    proven: AtomicU32,
    registered: AtomicU32,
}

impl Pail {
    fn left(&self) -> i64 {
        self.left.load(Ordering::Relaxed)
    }

    fn fill(&self, left: i64) {
        self.left.store(left, Ordering::Relaxed);
    }
}

impl Strangers for Pail {
    fn takes(&self, now: Instant, arrival: &Arrival) -> bool {
        self.has_room(now, arrival) && self.left.fetch_sub(1, Ordering::Relaxed) > 0
    }

    fn has_room(&self, _: Instant, _: &Arrival) -> bool {
        self.left() > 0
    }

    fn have_proven(&self, _: Instant, _: &Arrival, registers: bool) {
        self.proven.fetch_add(1, Ordering::Relaxed);
        self.registered.fetch_add(registers.into(), Ordering::Relaxed);
    }
}

/// The house now takes so many requests of strangers.
fn limited(house: &mut House, left: i64) -> Arc<Pail> {
    let pail = Arc::<Pail>::default();
    pail.fill(left);
    for stack in &mut house.stacks {
        stack.set_strangers(Arc::clone(&pail) as _);
    }
    pail
}

/// A house where everybody has to prove who he is.
fn strict(workers: u16, left: i64) -> (House, Arc<Pail>) {
    let mut house = House::with(workers, |config| config.authenticate = true);
    let pail = limited(&mut house, left);
    (house, pail)
}

fn ask(method: &str, uri: &str, from: &str, branch: &str) -> String {
    let (from, to) = (format!("<sip:{from}>;tag=f"), format!("<{uri}>"));
    request(method, uri, PEER, branch, (&from, &to), "")
}

fn register(user: &str, branch: &str, more: &str) -> String {
    let to = format!("<sip:{user}@falcot.com>");
    let more = format!("Contact: <sip:{user}@{PEER}>\r\n{more}");
    request("REGISTER", "sip:falcot.com", PEER, branch, (&format!("{to};tag=r"), &to), &more)
}

/// One of each kind of request that a stranger may send, and the status that it hears; 0: none, which costs nobody anything.
fn kinds(n: u32) -> Vec<(String, u16)> {
    let b = |kind: &str| format!("{kind}{n}");
    vec![
        (register("bob", &b("r"), ""), 401),
        (ask("OPTIONS", "sip:falcot.com", "x@example.org", &b("o")), 200),
        (ask("MESSAGE", "sip:bob@falcot.com", "alice@falcot.com", &b("m")), 407),
        (ask("MESSAGE", "sip:bob@falcot.com", "x@example.org", &b("s")), 480),
        (ask("INVITE", "sip:bob@falcot.com", "alice@falcot.com", &b("i")), 407),
        (ask("OPTIONS", "sip:x@example.com", "x@example.org", &b("p")), 403),
        (ask("OPTIONS", "tel:123", "x@example.org", &b("t")), 416),
        (ask("CANCEL", "sip:bob@falcot.com", "x@example.org", &b("c")), 481),
        (ask("OPTIONS", "sip:falcot.com", "x@example.org", &b("x")).replace("CSeq: 1", "CSeq: x"), 400),
    ]
}

#[test]
fn every_answer_to_a_stranger_counts_and_beyond_them_there_are_none() {
    let (mut house, pail) = strict(1, 0);
    let all = kinds(1);
    pail.fill(i64::try_from(all.len()).unwrap());
    for (text, status) in all {
        let heard = house.datagram(PEER, &text);
        let heard: Vec<_> = heard.iter().filter(|sent| !sent.first_line().contains(" 100 ")).collect();
        let line = heard.last().expect(&text).first_line();
        assert!(line.starts_with(&format!("SIP/2.0 {status} ")), "{line}: {text}");
    }
    assert_eq!((pail.left(), house.turned_away.len()), (0, 0));
    house.wait(Duration::from_secs(70));
    let known = house.stacks[0].latest(100).len();
    for (text, _) in kinds(2) {
        assert_eq!(words(&house.datagram(PEER, &text)), [], "{text}");
    }
    let expected = vec![("203.0.113.7".to_owned(), false); kinds(2).len()];
    assert_eq!(house.turned_away, expected, "nobody is blamed whose address may be forged");
    assert_eq!(house.stacks[0].latest(100).len(), known, "calls that are not looked at are not remembered");
    assert_eq!(house.transactions(), 0);
    // An ACK is never answered, but costs something all the same where it belongs to nothing.
    house.datagram(PEER, &ask("ACK", "sip:bob@falcot.com", "x@example.org", "a"));
    assert_eq!(house.turned_away.len(), expected.len() + 1);
}

#[test]
fn a_stream_stays_open_and_who_floods_it_is_known() {
    let (mut house, _) = strict(1, 1);
    let conn = house.connect(0, Transport::Tcp, PEER);
    assert_eq!(words(&house.stream(conn, &register("bob", "1", ""))), [(PEER, "401")]);
    assert_eq!(words(&house.stream(conn, &register("bob", "2", ""))), []);
    assert_eq!(house.turned_away, [("203.0.113.7".to_owned(), true)]);
    assert!(!house.is_closed(conn));
}

#[test]
fn what_belongs_to_a_call_and_answers_do_not_count() {
    let mut house = scene::house(&[BOB]);
    let pail = limited(&mut house, 1);
    let invite = of_alice("INVITE", "1").replace("<sip:alice@falcot.com>", "<sip:x@example.org>");
    let out = copy(&house.datagram(ALICE, &invite), BOB);
    assert_eq!(pail.left(), 0);
    assert_eq!(words(&house.datagram(ALICE, &invite)), [], "what comes again is answered again, and counts");
    assert_eq!(words(&says(&mut house, BOB, &out, "180 Ringing")), [(ALICE, "180")]);
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    assert_eq!(words(&house.datagram(ALICE, &within("ACK", "ack", 1, &ok))), [(BOB, "ACK")]);
    let bye = within("BYE", "2", 2, &ok);
    let out = copy(&house.datagram(ALICE, &bye), BOB);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
    assert_eq!(words(&house.datagram(ALICE, &bye)), [(ALICE, "200")], "the answer was lost");
    assert_eq!(house.turned_away.len(), 1);
}

#[test]
fn a_call_that_was_let_in_is_given_up_at_any_time() {
    let mut house = scene::house(&[BOB]);
    limited(&mut house, 1);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    says(&mut house, BOB, &out, "180 Ringing");
    let cancel = of_alice("CANCEL", "1");
    assert_eq!(words(&house.datagram(ALICE, &cancel)), [(ALICE, "200"), (BOB, "CANCEL")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "487 Request Terminated"))[1..], [(ALICE, "487")]);
    house.datagram(ALICE, &of_alice("ACK", "1"));
    assert_eq!(house.turned_away, []);
}

#[test]
fn good_credentials_are_told_and_wrong_ones_are_not() {
    let (mut house, pail) = strict(1, 100);
    let proof = |challenge: &str, password: &str, method: &str, uri: &str| {
        credentials(challenge, "bob", password, method, uri)
    };
    let told = || (pail.proven.load(Ordering::Relaxed), pail.registered.load(Ordering::Relaxed));
    let challenge = house.datagram(PEER, &register("bob", "1", "")).remove(0);
    let challenge = challenge.header("WWW-Authenticate")[0];
    for (n, (password, expected)) in [("wrong", (0, 0)), ("hunter2", (1, 1))].into_iter().enumerate() {
        let more = proof(challenge, password, "REGISTER", "sip:falcot.com");
        let text = register("bob", &format!("r{n}"), &format!("Authorization: {more}\r\n"));
        house.datagram(PEER, &text.replace("CSeq: 1 ", &format!("CSeq: {} ", n + 2)));
        assert_eq!(told(), expected, "{password}");
    }
    let message = ask("MESSAGE", "sip:carol@falcot.com", "bob@falcot.com", "m1");
    let challenge = house.datagram(PEER, &message).remove(0);
    let challenge = challenge.header("Proxy-Authenticate")[0];
    let more = proof(challenge, "hunter2", "MESSAGE", "sip:carol@falcot.com");
    let text = message.replace("bKm1", "bKm2");
    house.datagram(
        PEER,
        &text.replace("Content-Length", &format!("Proxy-Authorization: {more}\r\nContent-Length")),
    );
    assert_eq!(told(), (2, 1), "a call's flow need not be a telephone's");
    assert_eq!(pail.left(), 95, "each was counted before");
}

#[test]
fn who_has_shown_a_certificate_is_no_stranger() {
    let (mut house, pail) = strict(1, 0);
    let text = |branch| ask("OPTIONS", "sip:falcot.com", "x@example.org", branch).replace("/UDP", "/TLS");
    let server = house.connect_as(0, Transport::Tls, PEER, &["example.org"]);
    assert_eq!(words(&house.stream(server, &text("1"))), [(PEER, "200")]);
    let phone = house.connect(0, Transport::Tls, BOB);
    assert_eq!(words(&house.stream(phone, &text("2"))), []);
    let until = testkit::epoch(house.now).unix(house.now) + Duration::from_secs(60);
    let users = [Address::new("bob", "falcot.com").unwrap()].into();
    house.input(0, Input::Identified { conn: phone, users, until });
    assert_eq!(words(&house.stream(phone, &text("3"))), [(BOB, "200")]);
    assert_eq!((pail.left(), house.turned_away.len()), (0, 1));
}

#[test]
fn a_request_counts_once_whichever_worker_it_is_for() {
    let (mut house, pail) = strict(2, 100);
    let bob = Address::new("bob", "falcot.com").unwrap();
    let away = 1 - usize::from(bob.home(2).0);
    let shown = |branch: &str| register("bob", branch, "Authorization: Digest realm=\"falcot.com\"\r\n");
    let conn = house.connect(u16::try_from(away).unwrap(), Transport::Tcp, PEER);
    for left in (90..100).rev().step_by(2) {
        assert_eq!(words(&house.datagram_at(away, PEER, &shown(&format!("d{left}")))), [(PEER, "401")]);
        assert_eq!(pail.left(), left);
        let text = shown(&format!("s{left}")).replace("/UDP", "/TCP");
        assert_eq!(words(&house.stream(conn, &text)), [(PEER, "401")]);
        assert_eq!(pail.left(), left - 1);
    }
    // A flood stays where it comes to: the other worker's queue is not for it.
    pail.fill(0);
    let before = house.hand_overs.len();
    assert_eq!(words(&house.datagram_at(away, PEER, &shown("last"))), []);
    assert_eq!((house.hand_overs.len(), house.turned_away.len()), (before, 1));
    // Nor is everybody told that it is full.
    (house.full_queues, house.turned_away) = (true, Vec::new());
    pail.fill(1);
    assert_eq!(words(&house.datagram_at(away, PEER, &shown("full1"))), [(PEER, "503")]);
    assert_eq!(pail.left(), 0);
}

/// Bob's contact is alice at our own domain: what comes back to us there is nobody's but ours.
#[test]
fn what_we_send_to_ourselves_does_not_count() {
    const US: &str = "192.0.2.1:5060";
    let mut house = scene::house(&[ALICE]);
    house.names.insert("falcot.com".to_owned(), vec!["192.0.2.1".parse().unwrap()]);
    let aor = "<sip:carol@falcot.com>";
    let more = "Contact: <sip:bob@falcot.com>\r\n";
    let parties = (&*format!("{aor};tag=r"), aor);
    house.datagram(ALICE, &request("REGISTER", "sip:falcot.com", ALICE, "carol", parties, more));
    let mut config = house::config(0, 1);
    config.authenticate = true;
    house.stacks[0].set_config(config, testkit::epoch(testkit::start()));
    limited(&mut house, 1);
    let sent = house.datagram(PEER, &ask("MESSAGE", "sip:carol@falcot.com", "x@example.org", "1"));
    assert_eq!(words(&sent), [(US, "MESSAGE")]);
    assert_eq!(words(&house.datagram(US, &sent[0].text)), [(ALICE, "MESSAGE")]);
    assert_eq!(house.turned_away, []);
}
