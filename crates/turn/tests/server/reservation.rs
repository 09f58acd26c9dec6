//! EVEN-PORT and RESERVATION-TOKEN: RFC 8656 §7.2, within one worker and across two.

use crate::bench::{Attribute, Bench, User, config, ip, lifetime, show, to, transport, user};
use stun::attribute::ReservationToken;
use stun::{Kind, Message, Method};
use turn::{Config, Input, Output, Relays};
use wire::{Machine, WorkerId};

const EVEN: u8 = 0;
const EVEN_AND_NEXT: u8 = 0x80;

/// Makes an allocation with a reserved neighbour and returns the token.
fn reserve(bench: &mut Bench, user: &mut User) -> Vec<u8> {
    bench.challenge(user);
    reserve_with(bench, user, &[transport(17), (Kind::EVEN_PORT, vec![EVEN_AND_NEXT])])
}

fn reserve_with(bench: &mut Bench, user: &User, attributes: &[Attribute]) -> Vec<u8> {
    let request = bench.signed(user, Method::ALLOCATE, attributes);
    bench.message(user.client, &request);
    // The answer is gone by now; a retransmission gets it again.
    bench.server.handle(bench.now, Input::Message { client: user.client, bytes: &request });
    let Some(Output::Send { bytes, .. }) = bench.server.poll() else { panic!("no answer") };
    let ReservationToken(token) = Message::parse(&bytes).unwrap().get().unwrap().unwrap();
    token.to_vec()
}

fn port_of(bench: &Bench, user: &User) -> u16 {
    let mut sessions = bench.server.sessions();
    sessions.find(|session| session.client == user.client).unwrap().relayed.port()
}

#[test]
fn an_even_port() {
    for start in 0..10 {
        let mut bench = Bench::with(Config { ports: 50_001 + start..=50_030, ..config() });
        let mut roland = user("roland", "192.0.2.1:5000");
        bench.challenge(&mut roland);
        bench.ask(&roland, Method::ALLOCATE, &[transport(17), (Kind::EVEN_PORT, vec![EVEN])]);
        assert_eq!(port_of(&bench, &roland) % 2, 0);
    }
}

#[test]
fn a_reserved_neighbour_is_taken_up() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    let token = reserve(&mut bench, &mut roland);
    let mut second = user("roland", "192.0.2.1:5001");
    bench.challenge(&mut second);
    let lines =
        bench.ask(&second, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token.clone())]);
    assert_eq!(lines.len(), 2, "no socket is opened: {lines:?}");
    assert_eq!(port_of(&bench, &second), port_of(&bench, &roland) + 1);

    let mut third = user("roland", "192.0.2.1:5002");
    bench.challenge(&mut third);
    let lines = bench.ask(&third, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token)]);
    assert_eq!(lines, [to(&third, "Allocate 508 Insufficient Capacity signed")], "once only");
}

#[test]
fn a_pair_needs_two_free_neighbours() {
    let mut bench = Bench::with(Config { ports: 50_000..=50_005, ..config() });
    bench.taken.extend([50_001, 50_004]);
    let mut roland = user("roland", "192.0.2.1:5000");
    reserve(&mut bench, &mut roland);
    assert_eq!(port_of(&bench, &roland), 50_002);
}

#[test]
fn a_pair_that_is_not_to_be_had_leaves_nothing_open() {
    let mut bench = Bench::with(Config { ports: 50_000..=50_001, ..config() });
    bench.taken.insert(50_001);
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let lines =
        bench.ask(&roland, Method::ALLOCATE, &[transport(17), (Kind::EVEN_PORT, vec![EVEN_AND_NEXT])]);
    let open = "open 198.51.100.1".to_owned();
    let refused = to(&roland, "Allocate 508 Insufficient Capacity signed");
    assert_eq!(lines, [open.clone(), open, "close 1".into(), refused]);
}

#[test]
fn nobody_comes_for_half_a_minute() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    let token = reserve(&mut bench, &mut roland);
    assert_eq!(bench.after(29), [""; 0]);
    assert_eq!(bench.after(1), ["close 2"]);
    let mut second = user("roland", "192.0.2.1:5001");
    bench.challenge(&mut second);
    let lines = bench.ask(&second, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token)]);
    assert_eq!(lines, [to(&second, "Allocate 508 Insufficient Capacity signed")]);
}

#[test]
fn a_reservation_is_for_the_account_that_made_it() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    let token = reserve(&mut bench, &mut roland);
    let mut joe = user("joe", "192.0.2.2:5000");
    bench.challenge(&mut joe);
    let lines = bench.ask(&joe, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token)]);
    assert_eq!(lines, [to(&joe, "Allocate 508 Insufficient Capacity signed")]);
}

/// The second Allocate reaches another worker, which asks the first for the port.
fn claim(token_user: &str) -> (Vec<String>, Vec<String>) {
    let (mut keeper, mut other) = (Bench::worker(3, config()), Bench::worker(5, config()));
    let mut roland = user("roland", "192.0.2.1:5000");
    let token = reserve(&mut keeper, &mut roland);
    let mut second = user(token_user, "192.0.2.1:5001");
    other.challenge(&mut second);
    let request = other.signed(&second, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token)]);
    other.server.handle(other.now, Input::Message { client: second.client, bytes: &request });
    let Some(Output::Claim { to, ask, token, user }) = other.server.poll() else { panic!("no claim") };
    assert_eq!(to, WorkerId(3));
    assert_eq!(other.message(second.client, &request), [""; 0], "a retransmission meanwhile is passed over");

    keeper.server.handle(keeper.now, Input::Claim { from: WorkerId(5), ask, token, user });
    let mut granted = None;
    let mut lines = Vec::new();
    while let Some(output) = keeper.server.poll() {
        lines.push(show(&output));
        if let Output::Grant { granted: port, .. } = output {
            granted = port;
        }
    }
    let is_granted = granted.is_some();
    let result = other.input(Input::Claimed { ask, granted });
    if is_granted {
        assert_eq!(port_of(&other, &second), port_of(&keeper, &roland) + 1);
    }
    (lines, result)
}

#[test]
fn a_port_that_another_worker_keeps() {
    let (keeper, other) = claim("roland");
    assert_eq!(keeper, ["close 2", "grant to 5: true"]);
    assert_eq!(
        other,
        [
            "open 198.51.100.1",
            "began roland@falcot.com 192.0.2.1:5001",
            "192.0.2.1:5001: Allocate ok relayed=203.0.113.99 lifetime=600 mapped=192.0.2.1:5001 signed"
        ]
    );
}

#[test]
fn a_port_that_another_worker_does_not_give() {
    let (keeper, other) = claim("joe");
    assert_eq!(keeper, ["grant to 5: false"]);
    assert_eq!(other, ["192.0.2.1:5001: Allocate 508 Insufficient Capacity signed"]);
}

#[test]
fn an_answer_that_never_comes() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let token = (Kind::RESERVATION_TOKEN, vec![0, 9, 1, 2, 3, 4, 5, 6]);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17), token]);
    assert_eq!(lines, ["claim from 9 for roland@falcot.com"]);
    assert_eq!(bench.after(5), [to(&roland, "Allocate 508 Insufficient Capacity signed")]);
    assert_eq!(bench.server.deadline(), None);
}

#[test]
fn reserved_ports_count_among_an_accounts_allocations() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    let token = reserve(&mut bench, &mut roland);
    let second = bench.allocated("roland", "192.0.2.1:5001");
    let mut third = user("roland", "192.0.2.1:5002");
    bench.challenge(&mut third);
    let lines = bench.ask(&third, Method::ALLOCATE, &[transport(17)]);
    assert_eq!(
        lines,
        [to(&third, "Allocate 486 Allocation Quota Reached signed")],
        "two and one kept are three"
    );
    bench.ask(&third, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token)]);
    assert_eq!(bench.server.allocations(), 3, "the kept one may be had");
    bench.ask(&second, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(bench.allocated("roland", "192.0.2.1:5003").name, "roland", "and counts once");
}

#[test]
fn a_reserved_port_of_a_family_that_is_not_named_again() {
    let relays = Relays { addresses: vec![ip("2001:db8::1")], anywhere: false, external: vec![] };
    let mut bench = Bench::with(Config { relays, ..config() });
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let ipv6 = (Kind::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let attributes = [transport(17), ipv6, (Kind::EVEN_PORT, vec![EVEN_AND_NEXT])];
    let token = reserve_with(&mut bench, &roland, &attributes);
    let mut second = user("roland", "192.0.2.1:5001");
    bench.challenge(&mut second);
    bench.ask(&second, Method::ALLOCATE, &[transport(17), (Kind::RESERVATION_TOKEN, token)]);
    assert_eq!(port_of(&bench, &second), port_of(&bench, &roland) + 1);
}

#[test]
fn a_pair_lies_at_one_address() {
    let relays = Relays { addresses: vec![ip("198.51.100.1"), ip("198.51.100.2")], ..config().relays };
    let mut bench = Bench::with(Config { relays, ports: 50_000..=50_001, ..config() });
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let wish = [transport(17), (Kind::EVEN_PORT, vec![EVEN_AND_NEXT])];
    let request = bench.signed(&roland, Method::ALLOCATE, &wish);
    bench.server.handle(bench.now, Input::Message { client: roland.client, bytes: &request });
    let mut opened = Vec::new();
    let mut lines = Vec::new();
    while let Some(output) = bench.server.poll() {
        let Output::OpenRelay { ask, local } = output else {
            lines.push(show(&output));
            continue;
        };
        opened.push(local);
        let socket = wire::SocketId(wire::SocketId::OWN + u32::try_from(opened.len()).unwrap());
        let result = if opened.len() == 2 {
            Err(turn::server::Unbound::Failed)
        } else {
            Ok(turn::server::Bound { socket, local })
        };
        bench.server.handle(bench.now, Input::Relay { ask, result });
    }
    assert_eq!(lines[0], "close 1", "its neighbour was not to be had");
    assert!(opened[2].ip() == opened[3].ip() && opened[2].ip() != opened[0].ip(), "{opened:?}");
    assert_eq!(opened[3].port(), opened[2].port() + 1);
}
