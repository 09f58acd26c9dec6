//! Several workers: what arrives at one and belongs to another is handed over, whole and once.

use crate::house::{House, Sent};
use crate::policy::credentials;
use crate::{answer, request};
use sip::stack::Input;
use std::time::Duration;
use wire::{Address, Transport, WorkerId};

const ALICE: &str = "198.51.100.1:5060";
const BOB: &str = "198.51.100.2:5060";

fn home(user: &str, workers: u16) -> usize {
    usize::from(Address::new(user, "falcot.com").unwrap().home(workers).0)
}

fn register(via: &str, more: &str) -> String {
    let bob = "<sip:bob@falcot.com>";
    let contact = format!("Contact: <sip:bob@{via}{more}>\r\n");
    request("REGISTER", "sip:falcot.com", via, "r", (&format!("{bob};tag=r"), bob), &contact)
}

fn invite() -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    request("INVITE", "sip:bob@falcot.com", ALICE, "1", parties, "Contact: <sip:alice@198.51.100.1:5060>\r\n")
}

fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    sent.iter().map(|sent| (sent.to.as_str(), sent.first_line())).collect()
}

fn kinds(house: &House) -> Vec<&'static str> {
    house.hand_overs.iter().map(|(_, _, kind)| *kind).collect()
}

#[test]
fn a_registration_goes_to_its_home() {
    let mut house = House::new(2);
    let home = home("bob", 2);
    let sent = house.datagram_at(1 - home, BOB, &register(BOB, ""));
    assert_eq!(lines(&sent), [(BOB, "SIP/2.0 200 OK")]);
    assert_eq!(kinds(&house), ["unread"]);
    let bob = Address::new("bob", "falcot.com").unwrap();
    assert_eq!(house.stacks[home].contacts(house.now, &bob).len(), 1);
    assert!(house.stacks[1 - home].registrar().is_empty());
    house.datagram_at(home, BOB, &register(BOB, ""));
    assert_eq!(house.hand_overs.len(), 1, "at home nothing is handed over");
}

/// `bob` registers at a worker that is not his home, each request with a CSeq and branch of its own.
fn proves(house: &mut House, worker: usize, number: u32, more: &str) -> Sent {
    let text = register(BOB, "").replace("bKr", &format!("bKr{number}"));
    let text = text.replace("CSeq: 1 ", &format!("CSeq: {number} "));
    let text = text.replace("Content-Length", &format!("{more}Content-Length"));
    let [sent] = <[Sent; 1]>::try_from(house.datagram_at(worker, BOB, &text)).expect("one answer");
    sent
}

fn proof(challenge: &Sent, password: &str) -> String {
    let proof =
        credentials(challenge.header("WWW-Authenticate")[0], "bob", password, "REGISTER", "sip:falcot.com");
    format!("Authorization: {proof}\r\n")
}

#[test]
fn who_registers_is_asked_where_it_is_and_answers_at_home() {
    let mut house = House::with(2, |config| config.authenticate = true);
    let home = home("bob", 2);
    let away = 1 - home;
    let mut nonces = Vec::new();
    for (number, worker) in [(10, away), (20, home), (30, away), (40, home)] {
        house.hand_overs.clear();
        let challenge = proves(&mut house, worker, number, "");
        assert_eq!(challenge.first_line(), "SIP/2.0 401 Unauthorized");
        assert_eq!(kinds(&house), [""; 0], "asked where it came to");
        nonces.push(challenge.header("WWW-Authenticate")[0].to_owned());
        let before = format!("{:?}", house.stacks[away].tally());
        for (more, worker) in [(1, worker), (2, home), (3, away)] {
            house.hand_overs.clear();
            let granted = proves(&mut house, worker, number + more, &proof(&challenge, "hunter2"));
            assert_eq!(granted.first_line(), "SIP/2.0 200 OK", "a new count");
            let expected: &[_] = if worker == away { &["unread"] } else { &[] };
            assert_eq!(kinds(&house), expected, "unread");
        }
        assert_eq!(format!("{:?}", house.stacks[away].tally()), before, "it counts where it is read");
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 4, "no two are alike, whoever made them");
}

#[test]
fn the_same_proof_is_taken_once_by_whichever_worker_it_comes() {
    let mut house = House::with(2, |config| config.authenticate = true);
    let home = home("bob", 2);
    let challenge = proves(&mut house, 1 - home, 1, "");
    let (right, wrong) = (proof(&challenge, "hunter2"), proof(&challenge, "hunter3"));
    assert_eq!(proves(&mut house, 1 - home, 2, &wrong).first_line(), "SIP/2.0 401 Unauthorized");
    assert_eq!(proves(&mut house, 1 - home, 3, &right).first_line(), "SIP/2.0 200 OK");
    for (number, worker) in [(4, home), (5, 1 - home)] {
        let sent = proves(&mut house, worker, number, &right);
        assert_eq!(sent.first_line(), "SIP/2.0 401 Unauthorized");
        assert!(sent.header("WWW-Authenticate")[0].contains("stale=true"), "{}", sent.text);
    }
    // What it must know is said before it is asked for anything, as at home.
    let sent = proves(&mut house, 1 - home, 6, "Require: y\r\n");
    assert_eq!(sent.first_line(), "SIP/2.0 420 Bad Extension");
}

#[test]
fn a_nonce_is_good_at_a_home_that_nobody_has_registered_at_before() {
    let mut house = House::with(2, |config| config.authenticate = true);
    let home = home("bob", 2);
    let challenge = proves(&mut house, 1 - home, 1, "");
    house.wait(Duration::from_secs(5));
    assert_eq!(proves(&mut house, 1 - home, 2, &proof(&challenge, "hunter2")).first_line(), "SIP/2.0 200 OK");
}

#[test]
fn what_only_looks_like_a_registration_for_another_worker_is_answered_all_the_same() {
    let mut house = House::with(2, |config| config.authenticate = true);
    let away = 1 - home("bob", 2);
    for (from, to, status) in [
        ("CSeq: 1 ", "CSeq: x ", "SIP/2.0 400 Malformed CSeq"),
        ("To: ", "To: <sip:bob@falcot.com>\r\nTo: ", "SIP/2.0 400 Repeated To"),
        ("Expires: 0", "Expires: 0", "SIP/2.0 401 Unauthorized"),
    ] {
        let text =
            register(BOB, "").replace("Content-Length", "Expires: 0\r\nAuthorization: x\r\nContent-Length");
        let sent = house.datagram_at(away, BOB, &text.replace(from, to));
        assert_eq!(sent[0].first_line(), status);
        assert_eq!(sent.len(), 1);
    }
    assert_eq!(kinds(&house), ["unread"; 3]);
}

#[test]
fn a_response_finds_the_worker_of_its_request() {
    let mut house = House::new(2);
    house.datagram_at(0, BOB, &register(BOB, ""));
    house.hand_overs.clear();
    let sent = house.datagram_at(0, ALICE, &invite());
    let sent = house.datagram_at(1, BOB, &answer(&sent[1].text, "180 Ringing", "b", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 180 Ringing")]);
    assert_eq!(house.hand_overs, [(WorkerId(1), WorkerId(0), "response")]);
    assert!(
        house
            .datagram_at(1, BOB, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK9.0.0.0.0\r\n\r\n")
            .is_empty()
    );
}

#[test]
fn a_stray_cancel_and_ack_find_their_call() {
    let mut house = House::new(3);
    house.datagram_at(0, BOB, &register(BOB, ""));
    let sent = house.datagram_at(0, ALICE, &invite());
    let out = sent[1].text.clone();
    house.datagram_at(0, BOB, &answer(&out, "180 Ringing", "b", ""));
    house.hand_overs.clear();
    // The caller's NAT has given it another port, which the kernel gave to another worker.
    let cancel = invite().replace("INVITE", "CANCEL");
    let sent = house.datagram_at(1, ALICE, &cancel);
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK"), (BOB, "CANCEL sip:bob@198.51.100.2:5060 SIP/2.0")]);
    assert_eq!(kinds(&house), ["stray", "stray"], "asked in turn");
    let sent = house.datagram_at(2, BOB, &answer(&out, "487 Request Terminated", "b", ""));
    let ended = sent.iter().find(|sent| sent.to == ALICE).unwrap();
    let ack = invite().replace("INVITE", "ACK").replace("<sip:bob@falcot.com>", ended.header("To")[0]);
    house.hand_overs.clear();
    assert!(house.datagram_at(1, ALICE, &ack).is_empty());
    assert_eq!(kinds(&house), ["stray", "stray"]);
    let later = house.wait(Duration::from_secs(40));
    assert!(later.iter().all(|sent| sent.to != ALICE), "the ACK was heard");
    // Nobody's CANCEL is refused once, after all were asked; nobody's ACK is dropped.
    house.hand_overs.clear();
    let sent = house.datagram_at(1, ALICE, &cancel.replace("bK1", "bK9"));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 481 Call/Transaction Does Not Exist")]);
    assert_eq!(house.hand_overs.len(), 2);
    assert!(house.datagram_at(1, ALICE, &ack.replace("bK1", "bK9")).is_empty());
}

#[test]
fn the_ack_of_a_refusal_without_a_transaction_troubles_nobody() {
    let mut house = House::new(3);
    let call = invite().replace("bob@", "nobody@");
    let sent = house.datagram_at(0, ALICE, &call);
    let ack = call.replace("INVITE", "ACK").replace("<sip:nobody@falcot.com>", sent[0].header("To")[0]);
    assert!(house.datagram_at(1, ALICE, &ack).is_empty() && house.hand_overs.is_empty());
}

#[test]
fn a_stream_of_another_worker_carries_the_call() {
    let mut house = House::new(2);
    let conn = house.connect(1, Transport::Tcp, BOB);
    let text = register(BOB, ";transport=tcp").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let sent = house.stream(conn, &text);
    assert_eq!(lines(&sent), [(BOB, "SIP/2.0 200 OK")], "also where its home is the other worker");
    house.hand_overs.clear();
    let sent = house.datagram_at(0, ALICE, &invite());
    assert_eq!(lines(&sent)[1].0, BOB);
    assert!(sent[1].header("Via")[0].starts_with("SIP/2.0/TCP 192.0.2.1:5060;"), "{sent:?}");
    assert_eq!(house.hand_overs, [(WorkerId(0), WorkerId(1), "write")]);
    let sent =
        house.stream(conn, &answer(&sent[1].text, "200 OK", "b", "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK")]);
    assert_eq!(kinds(&house), ["write", "response"]);
}

#[test]
fn a_stream_of_another_worker_that_is_gone_is_known_at_once() {
    let mut house = House::new(2);
    let conn = house.connect(1, Transport::Tcp, "203.0.113.9:40000");
    let text = register(BOB, ";transport=tcp").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    house.stream(conn, &text);
    house.input(1, Input::Closed { conn });
    house.hand_overs.clear();
    // The stream is gone, so the contact's own address is tried.
    let sent = house.datagram_at(0, ALICE, &invite());
    assert_eq!(kinds(&house), ["write", "gone"]);
    assert_eq!(house.dialled, [BOB.parse().unwrap()]);
    assert_eq!(lines(&sent)[1], (BOB, "INVITE sip:bob@198.51.100.2:5060;transport=tcp SIP/2.0"));
    house.accepts = false;
    let sent = house.datagram_at(0, ALICE, &invite().replace("bK1", "bK2").replace("MESSAGE", "INVITE"));
    assert_eq!(lines(&sent).last().unwrap().0, BOB, "the connection that was opened is used again");
}

#[test]
fn a_stream_of_another_worker_that_closes_ends_what_waits_for_it() {
    let mut house = House::new(2);
    house.accepts = false;
    let conn = house.connect(1, Transport::Tcp, "203.0.113.9:40000");
    let text = register(BOB, ";transport=tcp").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    house.stream(conn, &text);
    let call = invite().replace("MESSAGE", "INVITE");
    let sent = house.datagram_at(0, ALICE, &call);
    house.stream(conn, &answer(&sent[1].text, "180 Ringing", "b", ""));
    house.hand_overs.clear();
    let sent = house.input(1, Input::Closed { conn });
    assert_eq!(kinds(&house), ["closed"]);
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 Destination Unreachable")]);
}

#[test]
fn a_closed_port_is_known_to_the_worker_that_sent() {
    let mut house = House::new(2);
    house.datagram_at(0, BOB, &register(BOB, ""));
    house.datagram_at(0, ALICE, &invite());
    let sent = house.input(1, Input::Unreachable { peer: BOB.parse().unwrap() });
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 Destination Unreachable")]);
}

#[test]
fn a_full_queue_is_told_to_who_registers_and_calls_go_another_way() {
    let mut house = House::new(2);
    let conn = house.connect(1, Transport::Tcp, "203.0.113.9:40000");
    house.stream(conn, &register(BOB, ";transport=tcp").replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    house.full_queues = true;
    let sent = house.datagram_at(1 - home("bob", 2), BOB, &register(BOB, "").replace("bKr", "bKr2"));
    assert_eq!(lines(&sent), [(BOB, "SIP/2.0 503 Service Unavailable")]);
    let sent = house.datagram_at(0, ALICE, &invite());
    assert_eq!(
        house.dialled,
        [BOB.parse().unwrap()],
        "the stream cannot be had, so the contact's address is tried"
    );
    assert_eq!(lines(&sent)[1], (BOB, "INVITE sip:bob@198.51.100.2:5060;transport=tcp SIP/2.0"));
}
