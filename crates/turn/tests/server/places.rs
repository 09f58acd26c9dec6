//! Where relays are bound: several addresses, and few ports.

use crate::bench::{Bench, User, config, ip, lifetime, to, transport, user};
use std::collections::HashSet;
use stun::{Kind, Method};
use turn::{Config, Quota, Relays};

fn at(addresses: &[&str], ports: std::ops::RangeInclusive<u16>) -> Bench {
    let addresses = addresses.iter().map(|address| ip(address)).collect();
    let quota = Quota { user: 99, domain: 99, total: 99 };
    let mut bench = Bench::with(Config {
        relays: Relays { addresses, anywhere: false, external: vec![] },
        ports,
        quota,
        ..config()
    });
    bench.by_address = true;
    bench
}

fn client(bench: &mut Bench, port: u16) -> User {
    let mut client = user("roland", &format!("192.0.2.1:{port}"));
    bench.challenge(&mut client);
    client
}

fn addresses(bench: &Bench) -> HashSet<String> {
    bench.server.sessions().map(|session| session.relayed.ip().to_string()).collect()
}

const FULL: &str = "Allocate 508 Insufficient Capacity signed";

#[test]
fn a_client_gets_the_address_that_it_wrote_to() {
    let mut bench = at(&["198.51.100.2", "198.51.100.1"], 50_000..=50_999);
    for port in 1..9 {
        bench.allocated("roland", &format!("192.0.2.1:{port}"));
    }
    assert_eq!(addresses(&bench), HashSet::from(["198.51.100.1".into()]));
}

#[test]
fn otherwise_they_are_spread() {
    let mut bench = at(&["198.51.100.2", "198.51.100.3", "2001:db8::1"], 50_000..=50_999);
    for port in 1..20 {
        bench.allocated("roland", &format!("192.0.2.1:{port}"));
    }
    assert_eq!(addresses(&bench), HashSet::from(["198.51.100.2".into(), "198.51.100.3".into()]));
}

#[test]
fn four_ports_are_used_up_and_free_at_once() {
    let mut bench = at(&["198.51.100.1"], 50_000..=50_003);
    let clients: Vec<_> =
        (1..=4).map(|port| bench.allocated("roland", &format!("192.0.2.1:{port}"))).collect();
    let fifth = client(&mut bench, 5);
    let lines = bench.ask(&fifth, Method::ALLOCATE, &[transport(17)]);
    assert_eq!((lines.len(), lines.last()), (5, Some(&to(&fifth, FULL))));
    bench.ask(&clients[2], Method::REFRESH, &[lifetime(0)]);
    let lines = bench.ask(&fifth, Method::ALLOCATE, &[transport(17)]);
    assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
}

#[test]
fn an_address_whose_ports_are_used_up_is_passed_over() {
    let mut bench = at(&["198.51.100.1", "198.51.100.2"], 50_000..=50_001);
    for port in 1..=4 {
        bench.allocated("roland", &format!("192.0.2.1:{port}"));
    }
    assert_eq!(addresses(&bench).len(), 2);
    let fifth = client(&mut bench, 5);
    let lines = bench.ask(&fifth, Method::ALLOCATE, &[transport(17)]);
    assert_eq!((lines.len(), lines.last()), (5, Some(&to(&fifth, FULL))), "each port was tried once");
}

#[test]
fn a_pair_is_found_at_the_second_address() {
    let mut bench = at(&["198.51.100.1", "198.51.100.2"], 50_000..=50_001);
    bench.allocated("roland", "192.0.2.1:1");
    let second = client(&mut bench, 2);
    let lines = bench.ask(&second, Method::ALLOCATE, &[transport(17), (Kind::EVEN_PORT, vec![0x80])]);
    assert!(lines.last().is_some_and(|line| line.contains("relayed=198.51.100.2")), "{lines:?}");
}
