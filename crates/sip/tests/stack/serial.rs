//! Serial forking (RFC 3261 §16.6): contacts in groups by their q, the most preferred first.

use crate::house::{House, Sent};
use crate::{answer, request};
use sip::stack::Input;
use std::time::Duration;

const ALICE: &str = "198.51.100.1:5060";
const DESK: &str = "198.51.100.2:5060";
const DESK2: &str = "198.51.100.3:5060";
const MOBILE: &str = "198.51.100.4:5060";

fn register(house: &mut House, peer: &str, q: &str) {
    let more = format!("Contact: <sip:bob@{peer}>;q={q}\r\n");
    let branch = format!("r{peer}").replace([':', '.'], "");
    let aor = "<sip:bob@falcot.com>";
    let text = request("REGISTER", "sip:falcot.com", peer, &branch, (&format!("{aor};tag=r"), aor), &more);
    let sent = house.datagram(peer, &text);
    assert_eq!(sent.last().map(Sent::first_line), Some("SIP/2.0 200 OK"), "{sent:?}");
    house.wait(Duration::from_secs(40));
}

/// Bob prefers two desk phones to the one in his pocket.
fn house() -> House {
    let mut house = House::new(1);
    for (peer, q) in [(MOBILE, "0.3"), (DESK, "1.0"), (DESK2, "1")] {
        register(&mut house, peer, q);
    }
    house.sent.clear();
    house
}

fn call(method: &str) -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    request(method, "sip:bob@falcot.com", ALICE, "1", parties, "Contact: <sip:alice@198.51.100.1:5060>\r\n")
}

/// Who got what, in order; what only Alice's transaction sees is left out.
fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    let all = sent.iter().map(|sent| (sent.to.as_str(), sent.first_line().split(' ').next().unwrap()));
    all.zip(sent).map(|((to, word), sent)| (to, if to == ALICE { sent.first_line() } else { word })).collect()
}

fn copy<'a>(sent: &'a [Sent], to: &str) -> &'a str {
    &sent.iter().find(|sent| sent.to == to && sent.text.starts_with("INVITE")).unwrap().text
}

#[test]
fn the_next_group_rings_when_all_of_the_first_have_refused() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("INVITE"));
    assert_eq!(lines(&first), [(ALICE, "SIP/2.0 100 Trying"), (DESK, "INVITE"), (DESK2, "INVITE")]);
    let sent = house.datagram(DESK, &answer(copy(&first, DESK), "486 Busy Here", "d", ""));
    assert_eq!(lines(&sent), [(DESK, "ACK")], "one phone still rings");
    let sent = house.datagram(DESK2, &answer(copy(&first, DESK2), "480 Nobody Here", "e", ""));
    assert_eq!(lines(&sent), [(DESK2, "ACK"), (MOBILE, "INVITE")]);
    let ok = answer(copy(&sent, MOBILE), "200 OK", "m", "Contact: <sip:bob@198.51.100.4:5060>\r\n");
    assert_eq!(lines(&house.datagram(MOBILE, &ok)), [(ALICE, "SIP/2.0 200 OK")]);
}

#[test]
fn the_best_answer_of_all_groups_counts() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("INVITE"));
    house.datagram(DESK, &answer(copy(&first, DESK), "486 Busy Here", "d", ""));
    let second = house.datagram(DESK2, &answer(copy(&first, DESK2), "500 Oh", "e", ""));
    let sent = house.datagram(MOBILE, &answer(copy(&second, MOBILE), "503 No", "m", ""));
    assert_eq!(lines(&sent), [(MOBILE, "ACK"), (ALICE, "SIP/2.0 486 Busy Here")]);
}

#[test]
fn a_group_that_does_not_answer_has_its_time() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("INVITE"));
    for (peer, tag) in [(DESK, "d"), (DESK2, "e")] {
        house.datagram(peer, &answer(copy(&first, peer), "180 Ringing", tag, ""));
    }
    assert!(house.wait(Duration::from_millis(19_900)).is_empty());
    let second = house.wait(Duration::from_millis(200));
    assert_eq!(lines(&second), [(DESK, "CANCEL"), (DESK2, "CANCEL"), (MOBILE, "INVITE")]);
    assert!(second[0].header("Reason")[0].contains("cause=408"), "{second:?}");
    for (peer, tag) in [(DESK, "d"), (DESK2, "e")] {
        let stopped = answer(copy(&first, peer), "487 Request Terminated", tag, "");
        assert_eq!(lines(&house.datagram(peer, &stopped)), [(peer, "ACK")]);
    }
    let sent = house.datagram(MOBILE, &answer(copy(&second, MOBILE), "404 Not Here", "m", ""));
    assert_eq!(
        lines(&sent),
        [(MOBILE, "ACK"), (ALICE, "SIP/2.0 404 Not Here")],
        "not the 487 of our own doing"
    );
}

#[test]
fn who_answers_as_its_time_ends_has_the_call() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("INVITE"));
    house.datagram(DESK, &answer(copy(&first, DESK), "180 Ringing", "d", ""));
    let second = house.wait(Duration::from_secs(21));
    let invite = second.iter().filter(|sent| sent.to == MOBILE).count();
    assert_eq!(invite, 2, "the mobile rings, and was asked again: {second:?}");
    let sent = house.datagram(DESK, &answer(copy(&first, DESK), "200 OK", "d", ""));
    assert_eq!(lines(&sent)[0], (ALICE, "SIP/2.0 200 OK"));
    let sent = house.datagram(MOBILE, &answer(copy(&second, MOBILE), "180 Ringing", "m", ""));
    assert_eq!(lines(&sent)[0], (MOBILE, "CANCEL"));
}

#[test]
fn a_caller_who_gives_up_rings_nobody_else() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("INVITE"));
    for (peer, tag) in [(DESK, "d"), (DESK2, "e")] {
        house.datagram(peer, &answer(copy(&first, peer), "180 Ringing", tag, ""));
    }
    for stop in house.datagram(ALICE, &call("INVITE").replace("INVITE", "CANCEL")) {
        house.datagram(&stop.to, &answer(&stop.text, "200 OK", "x", ""));
    }
    house.datagram(DESK, &answer(copy(&first, DESK), "487 Request Terminated", "d", ""));
    let sent = house.datagram(DESK2, &answer(copy(&first, DESK2), "487 Request Terminated", "e", ""));
    assert_eq!(lines(&sent), [(DESK2, "ACK"), (ALICE, "SIP/2.0 487 Request Terminated")]);
    assert!(house.wait(Duration::from_secs(60)).iter().all(|sent| sent.to != MOBILE));
}

#[test]
fn decline_ends_it_for_all() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("INVITE"));
    house.datagram(DESK, &answer(copy(&first, DESK), "603 Decline", "d", ""));
    let sent = house.datagram(DESK2, &answer(copy(&first, DESK2), "486 Busy Here", "e", ""));
    assert_eq!(lines(&sent), [(DESK2, "ACK"), (ALICE, "SIP/2.0 603 Decline")]);
}

#[test]
fn closed_ports_are_passed_over_at_once() {
    let mut house = house();
    house.datagram(ALICE, &call("INVITE"));
    house.input(0, Input::Unreachable { peer: DESK.parse().unwrap() });
    let sent = house.input(0, Input::Unreachable { peer: DESK2.parse().unwrap() });
    assert_eq!(lines(&sent), [(MOBILE, "INVITE")]);
}

#[test]
fn other_requests_go_on_after_four_seconds() {
    let mut house = house();
    let first = house.datagram(ALICE, &call("MESSAGE"));
    assert_eq!(lines(&first), [(DESK, "MESSAGE"), (DESK2, "MESSAGE")]);
    let sent = house.wait(Duration::from_millis(4100));
    let mobile = sent.iter().find(|sent| sent.to == MOBILE).expect("the next one is asked");
    assert!(sent.iter().all(|sent| !sent.text.starts_with("CANCEL")));
    let sent = house.datagram(MOBILE, &answer(&mobile.text, "200 OK", "m", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK")]);
}
