//! What the trace says of a call: how it went, and why.

use crate::call::register;
use crate::house::House;
use crate::{answer, request};
use sip::stack::Input;
use sip::trace::Row;
use sip::trace::story::{Outcome, Story};
use std::time::Duration;
use wire::Transport;

const ALICE: &str = "198.51.100.1:5060";
const BOB: &str = "198.51.100.2:5060";
const BOB2: &str = "198.51.100.3:5060";
const PARTIES: (&str, &str) = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");

fn house(phones: &[&str]) -> House {
    let mut house = House::new(2);
    phones.iter().for_each(|phone| register(&mut house, "bob", phone));
    house
}

fn invite(branch: &str) -> String {
    let contact = "Contact: <sip:alice@198.51.100.1:5060>\r\n";
    request("INVITE", "sip:bob@falcot.com", ALICE, branch, PARTIES, contact)
}

fn ack_of(branch: &str, tag: &str) -> String {
    invite(branch)
        .replace("INVITE", "ACK")
        .replace("<sip:bob@falcot.com>", &format!("<sip:bob@falcot.com>;tag={tag}"))
}

fn rows(house: &House, call_id: &str) -> Vec<Row> {
    let calls = [call_id.as_bytes().into()];
    house.stacks.iter().flat_map(|stack| stack.trace(&calls)).flatten().collect()
}

/// What all workers together know of the call with this branch.
fn story(house: &House, branch: &str) -> Story {
    let call_id = format!("call-{branch}@{ALICE}");
    Story::of(rows(house, &call_id)).expect("a call that was traced")
}

fn why(house: &House, branch: &str) -> (Outcome, String) {
    let story = story(house, branch);
    (story.outcome, story.reason)
}

fn failed(reason: &str) -> (Outcome, String) {
    (Outcome::Failed, reason.to_owned())
}

#[test]
fn a_call_that_was_answered_and_ended() {
    let mut house = house(&[BOB]);
    let sent = house.datagram(ALICE, &invite("1"));
    let out = sent[1].clone();
    assert_eq!(why(&house, "1"), (Outcome::Trying, "nothing was heard from 198.51.100.2:5060".into()));
    house.datagram(BOB, &answer(&out.text, "180 Ringing", "b", ""));
    house.wait(Duration::from_secs(5));
    house.datagram(BOB, &answer(&out.text, "200 OK", "b", "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    let answered = "answered by 198.51.100.2:5060 after 5.0 s";
    let unheard = format!("{answered}, but the caller has not acknowledged that (no ACK came)");
    assert_eq!(why(&house, "1"), (Outcome::Answered, unheard));
    let route = format!("Route: {}\r\nContact", out.header("Record-Route")[0]);
    let ack = ack_of("1", "b").replace("bK1", "bKack").replace("Contact", &route);
    house.datagram(ALICE, &ack);
    assert_eq!(why(&house, "1"), (Outcome::Answered, answered.into()));
    house.wait(Duration::from_secs(150));
    // The BYE comes to another worker than the INVITE did.
    let bye = request(
        "BYE",
        "sip:alice@198.51.100.1:5060",
        BOB,
        "9",
        ("<sip:bob@falcot.com>;tag=b", "<sip:alice@falcot.com>;tag=a"),
        &format!("Route: {}\r\n", out.header("Record-Route")[0]),
    );
    house.datagram_at(1, BOB, &bye.replace(&format!("call-9@{BOB}"), &format!("call-1@{ALICE}")));
    let ended = format!("{answered}; ended by the called side after 2 min 30 s");
    assert_eq!(why(&house, "1"), (Outcome::Ended, ended));
    let story = story(&house, "1");
    assert_eq!((story.from.as_str(), story.to.as_str()), ("sip:alice@falcot.com", "sip:bob@falcot.com"));
    let texts: Vec<&str> = story.steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(
        texts[..4],
        [
            "INVITE sip:bob@falcot.com",
            "100 Trying",
            "bob@falcot.com is registered: 1 phone to be called",
            "INVITE sip:bob@198.51.100.2:5060"
        ]
    );
    assert_eq!(
        texts[texts.len() - 2..],
        ["BYE sip:alice@198.51.100.1:5060", "BYE sip:alice@198.51.100.1:5060"]
    );
}

#[test]
fn nobody_to_be_called() {
    let mut house = house(&[]);
    house.datagram(ALICE, &invite("1"));
    assert_eq!(why(&house, "1"), failed("bob@falcot.com is not registered"));
    house.datagram(ALICE, &invite("2").replace("bob@", "nobody@"));
    assert_eq!(why(&house, "2"), failed("there is no account sip:nobody@falcot.com"));
    house.datagram(ALICE, &invite("3").replace("bob@falcot.com", "bob@nowhere.example"));
    assert_eq!(why(&house, "3"), failed("the DNS knows nothing of nowhere.example"));
    house.datagram(ALICE, &invite("4").replace("bob@falcot.com", "bob@10.0.0.9"));
    let inside = "10.0.0.9:5060 is an internal address, which requests are not sent to (sip.allow-targets)";
    assert_eq!(why(&house, "4"), failed(inside));
    house.datagram(ALICE, &invite("5").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(why(&house, "5"), failed("refused: 483 Too Many Hops"));
    house.datagram(
        ALICE,
        &invite("6").replace("alice@falcot.com", "x@y.example").replace("bob@falcot.com", "z@y.example"),
    );
    assert_eq!(
        why(&house, "6"),
        failed("neither the caller nor the called one is of this house: not relayed")
    );
}

#[test]
fn what_phones_answered() {
    let mut house = house(&[BOB]);
    let sent = house.datagram(ALICE, &invite("1"));
    house.datagram(BOB, &answer(&sent[1].text, "180 Ringing", "b", ""));
    house.wait(Duration::from_secs(12));
    house.datagram(BOB, &answer(&sent[1].text, "480 Temporarily Unavailable", "b", ""));
    let rang = "480 Temporarily Unavailable from 198.51.100.2:5060 after 12 s of ringing";
    assert_eq!(why(&house, "1"), failed(rang));
    let sent = house.datagram(ALICE, &invite("2"));
    house.wait(Duration::from_millis(40));
    house.datagram(BOB, &answer(&sent[1].text, "486 Busy\u{1b}[2J Here", "b", ""));
    assert_eq!(why(&house, "2"), failed("486 Busy\u{fffd}[2J Here from 198.51.100.2:5060 after 40 ms"));
    let sent = house.datagram(ALICE, &invite("3"));
    house.datagram(BOB, &answer(&sent[1].text, "503 Out Of Lines", "b", ""));
    assert_eq!(
        why(&house, "3"),
        failed("500 Server Internal Error: 503 Out Of Lines from 198.51.100.2:5060 after 0 ms")
    );
}

#[test]
fn phones_that_are_gone_or_silent() {
    let mut house = house(&[BOB, BOB2]);
    house.datagram(ALICE, &invite("1"));
    house.input(0, Input::Unreachable { peer: BOB.parse().unwrap() });
    house.wait(Duration::from_secs(33));
    let (outcome, reason) = why(&house, "1");
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(
        reason,
        "408 Request Timeout: nobody listens at 198.51.100.2:5060, or it has closed the connection; \
         no answer from 198.51.100.3:5060 to the INVITE, sent 7 times in 32 s"
    );
}

#[test]
fn callers_who_give_up() {
    let mut house = house(&[BOB]);
    let sent = house.datagram(ALICE, &invite("1"));
    house.datagram(BOB, &answer(&sent[1].text, "180 Ringing", "b", ""));
    house.wait(Duration::from_millis(8_250));
    let stop = house.datagram(ALICE, &invite("1").replace("INVITE", "CANCEL"));
    house.datagram(BOB, &answer(&stop[1].text, "200 OK", "b", ""));
    house.datagram(BOB, &answer(&sent[1].text, "487 Request Terminated", "b", ""));
    let gave_up = "the caller gave up after 8.2 s, while it rang at 198.51.100.2:5060";
    assert_eq!(why(&house, "1"), (Outcome::GivenUp, gave_up.into()));
}

#[test]
fn a_connection_that_is_refused_says_why() {
    let mut house = House::new(1);
    house.silent_dials = true;
    house.datagram(ALICE, &invite("1").replace("sip:bob@falcot.com", "sip:bob@203.0.113.5;transport=tls"));
    let token = house.last_dial;
    house.input(0, Input::Refused { token, why: "certificate is for y.example".to_owned() });
    assert_eq!(
        why(&house, "1"),
        failed("503 Destination Unreachable: TLS to 203.0.113.5:5061 refused: certificate is for y.example")
    );
    let step = story(&house, "1")
        .steps
        .into_iter()
        .find(|step| step.text.starts_with("INVITE sip:bob@203"))
        .unwrap();
    assert_eq!(step.transport, Some(Transport::Udp), "as it came");
}

#[test]
fn registrations_and_keep_alives_are_not_traced_unless_they_fail() {
    let mut house = house(&[BOB]);
    assert!(rows(&house, &format!("call-rbob19851100025060@{BOB}")).is_empty());
    let bad = request(
        "REGISTER",
        "sip:falcot.com",
        ALICE,
        "r",
        ("<sip:x@falcot.com>;tag=r", "<sip:bob@falcot.com>"),
        "Contact: *\r\n",
    );
    house.datagram(ALICE, &bad);
    assert_eq!(why(&house, "r"), failed("refused: 400 Malformed Contact"));
}
