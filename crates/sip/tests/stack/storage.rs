//! A disk that does not answer, or refuses: registrations and calls go on, and it gets what it lacks when it is back.

use crate::house::{House, Sent};
use crate::request;
use sip::registrar::Row;
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

/// A REGISTER of bob's with these Contacts, which has to be answered with 200.
fn bind(house: &mut House, cseq: u32, call_id: &str, contacts: &str) {
    let via = phone("bob");
    let parties = ("<sip:bob@falcot.com>;tag=r", "<sip:bob@falcot.com>");
    let branch = format!("b{cseq}");
    let more = format!("Contact: {contacts}\r\n");
    let text = request("REGISTER", "sip:falcot.com", &via, &branch, parties, &more);
    let text = text.replace("CSeq: 1", &format!("CSeq: {cseq}"));
    let sent = house.datagram(&via, &text.replace(&format!("call-{branch}@"), &format!("{call_id}@")));
    assert!(lines(&sent).iter().all(|line| *line == OK), "{contacts}: {sent:?}");
}

fn bob() -> Address {
    Address::new("bob", "falcot.com").unwrap()
}

/// What is on the disk of bob's, and what is in memory, in comparable form: all but when it was written, and where.
fn both(house: &House) -> [Vec<Vec<u8>>; 2] {
    let epoch = house.epoch();
    let plain = |row: &Row| [&row.data[..25], &row.data[33..], &row.expires.as_secs().to_be_bytes()].concat();
    let disk: Vec<Row> = house.disk.get(&bob()).cloned().unwrap_or_default();
    let places: Vec<usize> = disk.iter().map(|row| row.place.into()).collect();
    assert_eq!(places, (0..disk.len()).collect::<Vec<_>>(), "one after another");
    let memory = house.stacks[0].registrar().bindings(&bob()).iter().map(|binding| binding.row(&epoch, 0));
    let mut both = [disk.iter().map(plain).collect::<Vec<_>>(), memory.map(|row| plain(&row)).collect()];
    both.iter_mut().for_each(|rows| rows.sort_unstable());
    both
}

#[test]
fn a_refresh_writes_its_own_row_alone_and_what_was_refreshed_last_is_known_after_a_restart() {
    let mut house = House::new(1);
    let contact = |n: u32| format!("<sip:bob@198.51.100.{n}>");
    let mut cseq = 0;
    let mut written = |house: &mut House, contacts: &str| {
        cseq += 1;
        let before = house.written;
        bind(house, cseq, "call", contacts);
        let [disk, memory] = both(house);
        assert_eq!(disk, memory, "{contacts}");
        house.written - before
    };
    let three = [1, 2, 3].map(contact).join(", ");
    assert_eq!(written(&mut house, &three), 3);
    for n in [2, 1, 3, 1] {
        assert_eq!(written(&mut house, &contact(n)), 1, "a refresh");
    }
    assert_eq!(written(&mut house, &[1, 3].map(contact).join(", ")), 2);
    assert_eq!(written(&mut house, &contact(4)), 1, "it takes the place of the second");
    assert_eq!(written(&mut house, &format!("{};expires=0", contact(1))), 2, "one goes: the others");
    assert_eq!(written(&mut house, &format!("{};expires=0", contact(9))), 0, "nothing has changed");
    assert_eq!(written(&mut house, &contact(3)), 1);
    house.restart();
    // Nothing is known then of what else may stand there.
    assert_eq!(written(&mut house, &contact(5)), 3);
    assert_eq!(written(&mut house, &contact(6)), 1);
    let left: Vec<_> = house.stacks[0].contacts(house.now, &bob()).into_iter().map(|c| c.uri).collect();
    let left: Vec<_> = left.iter().map(|uri| String::from_utf8_lossy(uri)).collect();
    assert_eq!(left, ["sip:bob@198.51.100.3", "sip:bob@198.51.100.5", "sip:bob@198.51.100.6"]);
}

/// Whatever phones do, and whenever the disk fails: once it has had what it was asked to write it has what is in memory, and
/// after a restart memory has what was on it.
#[test]
fn the_disk_follows_whatever_changes() {
    for seed in 0..40_u64 {
        let mut house = House::new(1);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut chance = |of: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % of
        };
        let mut answered = 0;
        for cseq in 1..120 {
            match chance(10) {
                0 => drop(house.wait(Duration::from_secs(chance(90)))),
                1 => house.disk_stalls = true,
                // It takes what it is asked for in order, or not at all.
                2 | 3 => {
                    while answered < house.held.len() {
                        house.disk_answers(answered, chance(3) > 0);
                        answered += 1;
                    }
                    house.disk_stalls = false;
                }
                _ => {
                    let mut contact = || {
                        let phone =
                            ["", ";+sip.instance=\"<urn:uuid:1>\";reg-id=1"][usize::from(chance(3) == 0)];
                        let expires = [0, 60, 100, 600][usize::try_from(chance(4)).unwrap()];
                        format!("<sip:bob@198.51.100.{}>{phone};expires={expires}", chance(6))
                    };
                    let (first, second) = (contact(), contact());
                    let flows = [&first, &second].iter().any(|contact| contact.contains("reg-id"));
                    let both = chance(2) == 0 && !flows;
                    let contacts = if both { format!("{first}, {second}") } else { first };
                    let call_id = ["one", "two"][usize::try_from(chance(2)).unwrap()];
                    bind(&mut house, cseq, call_id, &contacts);
                }
            }
            if house.stacks[0].storage().unsaved() == 0 {
                let [disk, memory] = both(&house);
                assert_eq!(disk, memory, "seed {seed}, step {cseq}");
            }
        }
        while answered < house.held.len() {
            house.disk_answers(answered, true);
            answered += 1;
        }
        house.disk_stalls = false;
        house.wait(Duration::from_secs(15));
        let [disk, memory] = both(&house);
        assert_eq!((house.stacks[0].storage().unsaved(), &disk), (0, &memory), "seed {seed}");
        house.restart();
        assert_eq!(both(&house), [disk, memory], "seed {seed}");
    }
}

#[test]
fn more_contacts_than_have_places_of_their_own_are_written_together() {
    let mut house = House::with(1, |config| config.rules.bindings = 300);
    for cseq in 1..=3 {
        let contacts = (0..86).map(|n| format!("<sip:bob@198.51.{cseq}.{n}>")).collect::<Vec<_>>();
        bind(&mut house, cseq, "call", &contacts.join(", "));
        let [disk, memory] = both(&house);
        assert_eq!((disk.len(), &disk), (usize::try_from(cseq).unwrap() * 86, &memory));
    }
    let before = house.written;
    bind(&mut house, 4, "call", "<sip:bob@198.51.2.7>");
    assert_eq!(house.written, before + 258);
    for (cseq, n) in (5..).zip(0..4) {
        bind(&mut house, cseq, "call", &format!("<sip:bob@198.51.1.{n}>;expires=0"));
        let [disk, memory] = both(&house);
        assert_eq!((disk.len(), &disk), (257 - n, &memory));
    }
    let before = house.written;
    bind(&mut house, 9, "call", "<sip:bob@198.51.2.7>");
    assert_eq!(house.written, before + 1);
    let [disk, memory] = both(&house);
    assert_eq!(disk, memory);
}
