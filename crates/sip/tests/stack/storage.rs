//! A disk that does not answer, or refuses: registrations and calls go on, and it gets what it lacks when it is back.

use crate::house::{House, Sent};
use crate::request;
use std::time::Duration;
use wire::Address;

fn phone(user: &str) -> String {
    let host = 2 + user.bytes().next().unwrap() - b'a';
    format!("198.51.100.{host}:5060")
}

fn register(house: &mut House, user: &str, cseq: u32, expires: u32) -> Vec<Sent> {
    let (via, aor) = (phone(user), format!("<sip:{user}@falcot.com>"));
    let more = format!("Contact: <sip:{user}@{via}>;expires={expires}\r\n");
    let branch = format!("{user}{cseq}");
    let text = request("REGISTER", "sip:falcot.com", &via, &branch, (&format!("{aor};tag=r"), &aor), &more);
    house.datagram(&via, &text.replace("CSeq: 1", &format!("CSeq: {cseq}")))
}

fn lines(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(Sent::first_line).collect()
}

fn on_disk(house: &House, user: &str) -> usize {
    house.disk.get(&Address::new(user, "falcot.com").unwrap()).map_or(0, Vec::len)
}

const OK: &str = "SIP/2.0 200 OK";

#[test]
fn a_silent_disk_is_waited_for_once() {
    let mut house = House::new(1);
    house.disk_stalls = true;
    assert!(register(&mut house, "bob", 1, 600).is_empty());
    assert!(house.wait(Duration::from_millis(190)).is_empty() && !house.stacks[0].storage().is_stalled());
    assert_eq!(lines(&house.wait(Duration::from_millis(20))), [OK]);
    assert!(house.stacks[0].storage().is_stalled());
    // From now on nobody waits, and calls find the phones.
    assert_eq!(lines(&register(&mut house, "alice", 1, 600)), [OK]);
    assert_eq!(lines(&register(&mut house, "bob", 2, 600)), [OK]);
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let via = phone("alice");
    let call =
        request("INVITE", "sip:bob@falcot.com", &via, "i", parties, "Contact: <sip:alice@198.51.100.2>\r\n");
    let sent = house.datagram(&via, &call);
    assert_eq!(lines(&sent), ["SIP/2.0 100 Trying", "INVITE sip:bob@198.51.100.3:5060 SIP/2.0"]);
    let storage = house.stacks[0].storage();
    assert_eq!((storage.from_memory(), storage.unsaved(), house.disk.len(), house.held.len()), (3, 3, 0, 1));
    // It comes back: the late answer counts, and what it lacks is written.
    house.disk_stalls = false;
    assert!(house.disk_answers(0, true).is_empty());
    let storage = house.stacks[0].storage();
    assert_eq!((storage.is_stalled(), storage.unsaved()), (false, 0));
    assert_eq!((on_disk(&house, "alice"), on_disk(&house, "bob")), (1, 1));
}

#[test]
fn each_registration_waits_for_as_long_whichever_the_disk_answers_first() {
    let mut house = House::new(1);
    house.disk_stalls = true;
    for user in ["alice", "bob", "carol", "dave"] {
        assert!(register(&mut house, user, 1, 600).is_empty());
        assert!(house.wait(Duration::from_millis(40)).is_empty());
    }
    // 160 ms after the first.
    assert_eq!(lines(&house.disk_answers(0, true)), [OK]);
    assert_eq!(lines(&house.disk_answers(2, true)), [OK], "of carol");
    assert!(house.wait(Duration::from_millis(75)).is_empty() && !house.stacks[0].storage().is_stalled());
    let to = |sent: Vec<Sent>| sent.iter().map(|sent| sent.to.clone()).collect::<Vec<_>>();
    assert_eq!(to(house.wait(Duration::from_millis(10))), [phone("bob")], "200 ms after it came");
    assert!(house.wait(Duration::from_millis(70)).is_empty());
    assert_eq!(to(house.wait(Duration::from_millis(10))), [phone("dave")]);
    assert_eq!(house.stacks[0].storage().from_memory(), 2);
}

#[test]
fn a_disk_that_never_answers_is_asked_anew() {
    let mut house = House::new(1);
    house.disk_stalls = true;
    register(&mut house, "bob", 1, 600);
    house.wait(Duration::from_secs(9));
    assert_eq!(house.held.len(), 1);
    house.wait(Duration::from_secs(3));
    assert!(house.held.len() >= 2, "its answer is lost: another question");
    let before = house.held.len();
    house.wait(Duration::from_secs(60));
    assert!(house.held.len() < before + 15, "a stalled disk is not flooded");
    let last = house.held.len() - 1;
    house.disk_stalls = false;
    house.disk_answers(last, true);
    assert_eq!((on_disk(&house, "bob"), house.stacks[0].storage().unsaved() > 0), (1, false));
}

#[test]
fn a_disk_that_refuses_stops_nobody_and_gets_the_latest() {
    let mut house = House::new(1);
    house.disk_stalls = true;
    assert!(register(&mut house, "bob", 1, 600).is_empty());
    assert_eq!(lines(&house.disk_answers(0, false)), [OK]);
    assert_eq!(lines(&register(&mut house, "carol", 1, 600)), [OK]);
    assert_eq!(lines(&register(&mut house, "bob", 2, 0)), [OK]);
    assert_eq!(lines(&register(&mut house, "alice", 1, 600)), [OK]);
    // Tried each second, refused again, then not.
    house.wait(Duration::from_millis(1100));
    assert_eq!(house.held.len(), 2);
    house.disk_answers(1, false);
    house.disk_stalls = false;
    house.wait(Duration::from_secs(1));
    assert_eq!((on_disk(&house, "alice"), on_disk(&house, "bob"), on_disk(&house, "carol")), (1, 0, 1));
    assert_eq!((house.stacks[0].storage().unsaved(), house.stacks[0].storage().from_memory()), (0, 4));
    assert!(register(&mut house, "bob", 3, 600).len() == 1 && on_disk(&house, "bob") == 1);
}

#[test]
fn what_the_disk_lacks_is_asked_of_it_before_the_end() {
    let mut house = House::new(1);
    house.disk_stalls = true;
    register(&mut house, "bob", 1, 600);
    house.disk_answers(0, false);
    house.disk_stalls = false;
    house.stacks[0].drain(house.now);
    house.wait(Duration::from_millis(1));
    house.wait(Duration::from_secs(40));
    assert_eq!(on_disk(&house, "bob"), 1);
}

#[test]
fn what_is_over_goes_from_the_disk_and_a_refresh_looks_for_nothing() {
    let mut house = House::new(1);
    let contacts = |house: &mut House, cseq: u32, contacts: &str| {
        let via = phone("bob");
        let parties = ("<sip:bob@falcot.com>;tag=r", "<sip:bob@falcot.com>");
        let more = format!("Contact: {contacts}\r\n");
        let text = request("REGISTER", "sip:falcot.com", &via, &format!("c{cseq}"), parties, &more);
        let text = text.replace("CSeq: 1", &format!("CSeq: {cseq}"));
        assert_eq!(lines(&house.datagram(&via, &text.replace(&format!("call-c{cseq}@"), "call@"))), [OK]);
    };
    contacts(&mut house, 1, "<sip:bob@198.51.100.3>, <sip:bob@198.51.100.4>, <sip:bob@198.51.100.5>");
    contacts(&mut house, 2, "<sip:bob@198.51.100.3>");
    assert_eq!((on_disk(&house, "bob"), house.forgotten), (3, 0), "a refresh of one of three");
    contacts(&mut house, 3, "<sip:bob@198.51.100.4>;expires=0");
    assert_eq!((on_disk(&house, "bob"), house.forgotten), (2, 1));
    contacts(&mut house, 4, "<sip:bob@198.51.100.3>;expires=60");
    assert_eq!((on_disk(&house, "bob"), house.forgotten), (2, 1));
    // The disk refuses, just as one ends: it is told again.
    house.disk_stalls = true;
    house.wait(Duration::from_secs(61));
    let which = house.held.len() - 1;
    house.disk_answers(which, false);
    house.disk_stalls = false;
    house.wait(Duration::from_secs(3));
    assert_eq!(on_disk(&house, "bob"), 1);
    // What stood on the disk at the start is gone over once.
    let before = house.forgotten;
    house.restart();
    contacts(&mut house, 5, "<sip:bob@198.51.100.5>");
    contacts(&mut house, 6, "<sip:bob@198.51.100.5>");
    assert_eq!((on_disk(&house, "bob"), house.forgotten), (1, before + 1));
}
