//! Two relays of one allocation, one of each family: RFC 8656 §7.2, §8.2, §10.2.

use crate::bench::{
    Attribute, Bench, User, channel, config, family, ip, lifetime, peer_address, signed, to, transport, user,
};
use crate::relay::send;
use stun::{Kind, Method, TransactionId};
use turn::Config;

const PEER: &str = "203.0.113.7:4000";

fn second(number: u8) -> Attribute {
    (Kind::ADDITIONAL_ADDRESS_FAMILY, vec![number, 0, 0, 0])
}

/// What Debian's `turnutils_uclient -Z` sends.
fn old_second(number: u8) -> Attribute {
    (Kind(0x8032), vec![number, 0, 0, 0])
}

fn roland(bench: &mut Bench) -> User {
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    roland
}

/// A client with a relay of each family: sockets 1 and 2.
fn dual(bench: &mut Bench) -> User {
    let roland = roland(bench);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17), second(2)]);
    assert_eq!(lines.last(), Some(&to(&roland, BOTH)), "{lines:?}");
    roland
}

const BOTH: &str =
    "Allocate ok relayed=203.0.113.99 relayed=2001:db8::1 lifetime=600 mapped=192.0.2.1:5000 signed";

/// An Allocate of a bench gets this answer, and again when it is sent again.
fn check(mut bench: Bench, attributes: &[Attribute], expected: &str) {
    let roland = roland(&mut bench);
    let request = signed(&roland, Method::ALLOCATE, TransactionId([9; 12]), attributes);
    let lines = bench.message(roland.client, &request);
    assert_eq!(lines.last(), Some(&to(&roland, expected)), "{attributes:?}");
    if expected.contains(" ok ") {
        assert_eq!(bench.message(roland.client, &request), [to(&roland, expected)], "again");
    }
}

/// A bench whose relays have one address only.
fn with_relays_at(address: &str) -> Bench {
    let mut config = config();
    config.relays.addresses = vec![ip(address)];
    Bench::with(config)
}

#[test]
fn both_families_are_allocated() {
    check(Bench::new(), &[transport(17), second(2)], BOTH);
    check(Bench::new(), &[transport(17), old_second(2)], BOTH);
    check(Bench::new(), &[transport(17), second(2), (Kind::EVEN_PORT, vec![0])], BOTH);
}

#[test]
fn what_a_second_family_excludes() {
    let bad = "Allocate 400 Bad Request signed";
    for second in [second, old_second] {
        check(Bench::new(), &[transport(17), second(1)], bad);
        check(Bench::new(), &[transport(17), second(3)], bad);
        check(Bench::new(), &[transport(17), second(2), family(1)], bad);
        check(Bench::new(), &[transport(17), second(2), (Kind::EVEN_PORT, vec![0x80])], bad);
        check(Bench::new(), &[transport(17), second(2), (Kind::RESERVATION_TOKEN, vec![0; 8])], bad);
    }
    check(Bench::new(), &[transport(17), (Kind::ADDITIONAL_ADDRESS_FAMILY, vec![2])], bad);
    check(Bench::new(), &[transport(17), (Kind(0x8032), vec![2])], bad);
}

#[test]
fn a_family_that_no_relay_has_is_told_beside_the_other() {
    let four = "Allocate ok relayed=198.51.100.2 lifetime=600 mapped=192.0.2.1:5000 missing=V6 440 signed";
    check(with_relays_at("198.51.100.2"), &[transport(17), second(2)], four);
    let four =
        "Allocate ok relayed=198.51.100.2 lifetime=600 mapped=192.0.2.1:5000 missing=[02, 00, 04, 28] signed";
    check(with_relays_at("198.51.100.2"), &[transport(17), old_second(2)], four);
    let six = "Allocate ok relayed=2001:db8::1 lifetime=600 mapped=192.0.2.1:5000 missing=V4 440 signed";
    check(with_relays_at("2001:db8::1"), &[transport(17), second(2)], six);
    let mut nowhere = config();
    nowhere.relays.addresses.clear();
    let refused = "Allocate 440 Address Family not Supported signed";
    check(Bench::with(nowhere), &[transport(17), second(2)], refused);
}

#[test]
fn a_family_whose_ports_are_used_up_is_told_beside_the_other() {
    let small = || Config { ports: 50_000..=50_001, ..config() };
    let full = |addresses: &[&str]| {
        let mut bench = Bench::with(small());
        bench.full.extend(addresses.iter().map(|address| ip(address)));
        bench
    };
    let four = "Allocate ok relayed=203.0.113.99 lifetime=600 mapped=192.0.2.1:5000 missing=V6 508 signed";
    check(full(&["2001:db8::1"]), &[transport(17), second(2)], four);
    let six = "Allocate ok relayed=2001:db8::1 lifetime=600 mapped=192.0.2.1:5000 missing=V4 508 signed";
    check(full(&["198.51.100.1"]), &[transport(17), second(2)], six);
    let none = "Allocate 508 Insufficient Capacity signed";
    check(full(&["198.51.100.1", "2001:db8::1"]), &[transport(17), second(2)], none);
}

#[test]
fn peers_of_both_families_are_reached() {
    let mut bench = Bench::new();
    let roland = dual(&mut bench);
    let transaction = TransactionId([0; 12]);
    let peers = [peer_address(PEER), peer_address("[2001:db8:7::7]:4000")];
    let request = signed(&roland, Method::CREATE_PERMISSION, transaction, &peers);
    assert_eq!(bench.message(roland.client, &request), [to(&roland, "CreatePermission ok signed")]);
    assert_eq!(bench.message(roland.client, &send(PEER, b"four")), ["1 -> 203.0.113.7:4000: four"]);
    let six = send("[2001:db8:7::7]:4000", b"six");
    assert_eq!(bench.message(roland.client, &six), ["2 -> [2001:db8:7::7]:4000: six"]);
    assert!(bench.peer_sends(65537, PEER, b"four").contains("peer=203.0.113.7:4000 data=\"four\""));
    assert!(
        bench.peer_sends(65538, "[2001:db8:7::7]:9", b"six").contains("peer=[2001:db8:7::7]:9 data=\"six\"")
    );
    bench.bind_channel(&roland, 0x4000, PEER);
    assert_eq!(bench.message(roland.client, b"\x40\0\0\x05hello"), ["1 -> 203.0.113.7:4000: hello"]);
}

#[test]
fn one_of_two_is_refreshed_and_ended_alone() {
    let mut bench = Bench::new();
    let roland = dual(&mut bench);
    bench.permit(&roland, &[PEER]);
    let six = [channel(0x4006), peer_address("[2001:db8:7::7]:4000")];
    let request = signed(&roland, Method::CHANNEL_BIND, TransactionId([0; 12]), &six);
    assert_eq!(bench.message(roland.client, &request), [to(&roland, "ChannelBind ok signed")]);

    let lines = bench.ask(&roland, Method::REFRESH, &[family(1), lifetime(0)]);
    assert_eq!(lines, ["close 1".to_owned(), to(&roland, "Refresh ok lifetime=0 signed")]);
    assert_eq!(bench.message(roland.client, &send(PEER, b"four")), ["drop"], "its permissions are gone");
    assert_eq!(bench.message(roland.client, b"\x40\x06\0\x03six"), ["2 -> [2001:db8:7::7]:4000: six"]);
    assert_eq!(bench.peer_sends(65537, PEER, b"four"), "drop");
    let session = bench.server.sessions().next().unwrap();
    assert_eq!((session.relayed.ip(), session.second, session.permissions), (ip("2001:db8::1"), None, 1));

    let lines = bench.ask(&roland, Method::REFRESH, &[family(1)]);
    assert_eq!(lines, [to(&roland, "Refresh 443 Peer Address Family Mismatch signed")]);
    let lines = bench.ask(&roland, Method::REFRESH, &[family(2), lifetime(0)]);
    let ended = "ended roland@falcot.com sent 3 received 0".to_owned();
    assert_eq!(lines, ["close 2".into(), ended, to(&roland, "Refresh ok lifetime=0 signed")]);
}

#[test]
fn one_of_two_that_is_not_refreshed_ends_alone() {
    let mut bench = Bench::new();
    let roland = dual(&mut bench);
    bench.after(500);
    let lines = bench.ask(&roland, Method::REFRESH, &[family(2)]);
    assert_eq!(lines, [to(&roland, "Refresh ok lifetime=600 signed")]);
    assert_eq!(bench.after(100), ["close 1"]);
    assert_eq!(bench.after(499), [""; 0]);
    assert_eq!(bench.after(1), ["close 2", "ended roland@falcot.com sent 0 received 0"]);
    assert_eq!(wire::Machine::deadline(&bench.server), None);
}

#[test]
fn both_are_refreshed_and_ended_together() {
    let mut bench = Bench::new();
    let roland = dual(&mut bench);
    bench.after(500);
    bench.ask(&roland, Method::REFRESH, &[lifetime(3000)]);
    assert_eq!(bench.after(2999), [""; 0]);
    let lines = bench.ask(&roland, Method::REFRESH, &[lifetime(0)]);
    let ended = "ended roland@falcot.com sent 0 received 0".to_owned();
    let answer = to(&roland, "Refresh ok lifetime=0 signed");
    assert_eq!(lines, ["close 1".to_owned(), "close 2".into(), ended, answer]);
}

#[test]
fn a_client_that_goes_while_the_second_is_sought_leaves_nothing_open() {
    let mut bench = Bench::new();
    let mut joe = crate::bench::stream_user("joe", "192.0.2.2:5000");
    bench.challenge(&mut joe);
    bench.silent_after = Some(1);
    bench.ask(&joe, Method::ALLOCATE, &[transport(17), second(2)]);
    let wire::Flow::Stream(connection) = joe.client.flow else { panic!("a stream") };
    assert_eq!(bench.input(turn::Input::Closed(connection)), ["close 1"]);
}
