//! Phones behind NAT are asked for a sign of life, so that the way to them stays open.

use crate::house::{House, Sent, directory};
use crate::scene::{BOB, words};
use crate::{answer, request};
use sip::stack::Config;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{Account, Address, Keys, Transport};

/// Where bob's phone is, as the server sees it: it calls itself [`BOB`].
const NAT: &str = "203.0.113.77:4444";

fn register(user: &str, cseq: u32, more: &str) -> String {
    let aor = format!("<sip:{user}@falcot.com>");
    let branch = format!("{user}{cseq}");
    request("REGISTER", "sip:falcot.com", BOB, &branch, (&format!("{aor};tag=r"), &aor), more)
        .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
}

fn ping(config: &mut Config) {
    config.ping = Some(Duration::from_secs(25));
}

fn wait(house: &mut House, seconds: u64) -> Vec<Sent> {
    house.wait(Duration::from_secs(seconds))
}

#[test]
fn a_phone_behind_nat_is_asked_for_as_long_as_it_is_registered() {
    let mut house = House::with(1, ping);
    house.datagram(NAT, &register("bob", 1, "Contact: <sip:bob@198.51.100.2:5060;x=y>;expires=110\r\n"));
    let sent = wait(&mut house, 26);
    let [ping] = &sent[..] else { panic!("one, not {sent:?}") };
    assert_eq!((ping.to.as_str(), ping.first_line()), (NAT, "OPTIONS sip:bob@198.51.100.2:5060;x=y SIP/2.0"));
    assert_eq!(ping.header("To"), ["<sip:bob@198.51.100.2:5060;x=y>"]);
    assert!(ping.header("From")[0].starts_with("<sip:falcot.com>;tag="), "{ping:?}");
    assert!(ping.header("Via")[0].starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"), "{ping:?}");
    let said = answer(&ping.text, "200 OK", "b", "");
    assert!(house.datagram(NAT, &said).is_empty(), "its answer is nobody's");
    assert_eq!(words(&wait(&mut house, 75)), [(NAT, "OPTIONS"); 3]);
    assert!(wait(&mut house, 100).is_empty() && house.deadline().is_none(), "the registration is over");
    house.datagram(NAT, &register("bob", 2, "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    assert_eq!(words(&wait(&mut house, 26)), [(NAT, "OPTIONS")], "it begins anew");
}

#[test]
fn who_is_reached_otherwise_or_keeps_its_way_open_itself_is_not_asked() {
    let mut house = House::with(1, ping);
    house.datagram(BOB, &register("bob", 1, "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    let flow = "Supported: outbound\r\nContact: <sip:carol@198.51.100.2:5060>;reg-id=1;+sip.instance=\"<urn:x>\"\r\n";
    house.datagram(NAT, &register("carol", 1, flow));
    let edge = "Path: <sip:198.51.100.9;lr>\r\nContact: <sip:dave@198.51.100.2:5060>\r\n";
    house.datagram(NAT, &register("dave", 1, edge));
    let conn = house.connect(0, Transport::Tcp, NAT);
    house.stream(
        conn,
        &register("alice", 1, "Contact: <sip:alice@198.51.100.2:5060>\r\n").replace("/UDP", "/TCP"),
    );
    let sent = wait(&mut house, 60);
    assert!(!sent.iter().any(|sent| sent.text.starts_with("OPTIONS")), "{sent:?}");
}

#[test]
fn phones_of_one_uri_behind_two_nats_are_asked_apart() {
    let mut house = House::with(1, ping);
    for (user, nat) in [("bob", NAT), ("carol", "203.0.113.78:4444")] {
        house.datagram(nat, &register(user, 1, "Contact: <sip:phone@198.51.100.2:5060>\r\n"));
    }
    let sent = wait(&mut house, 26);
    let [one, other] = &sent[..] else { panic!("two, not {sent:?}") };
    assert_ne!((&one.to, one.header("Via")), (&other.to, other.header("Via")));
    for name in ["Via", "Call-ID"] {
        assert_ne!(one.header(name), other.header(name), "{name}");
    }
}

#[test]
fn each_of_many_has_its_turn() {
    let mut house = House::with(1, ping);
    let users: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
    let accounts = users.iter().map(|user| {
        let address = Address::new(user, "falcot.com").unwrap();
        (address.clone(), Some(Arc::new(Account { address, keys: Keys::default() })))
    });
    house.stacks[0].set_directory(house.now, Arc::new(directory().with(accounts)));
    for user in &users {
        house.datagram(NAT, &register(user, 1, &format!("Contact: <sip:{user}@198.51.100.2:5060>\r\n")));
    }
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    for sent in wait(&mut house, 110) {
        *turns.entry(sent.first_line().to_owned()).or_default() += 1;
    }
    assert_eq!((turns.len(), turns.values().all(|turns| *turns == 4)), (200, true), "{turns:?}");
}
