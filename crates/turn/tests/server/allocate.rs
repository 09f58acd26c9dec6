//! Allocate: RFC 8656 §7.2, step by step.

use crate::bench::{Bench, User, config, family, lifetime, signed, stream_user, to, transport, user};
use stun::{Kind, Method, TransactionId};
use turn::{Config, Input};
use wire::{ConnectionId, WorkerId};

const GRANTED: &str = "Allocate ok relayed=203.0.113.99 lifetime=600 mapped=192.0.2.1:5000 signed";

fn roland(bench: &mut Bench) -> User {
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    roland
}

/// An Allocate with these attributes gets this answer, behind whatever the server had done for it.
fn check(attributes: &[crate::bench::Attribute], expected: &str) {
    let mut bench = Bench::new();
    let roland = roland(&mut bench);
    let lines = bench.ask(&roland, Method::ALLOCATE, attributes);
    assert_eq!(lines.last(), Some(&to(&roland, expected)), "{attributes:?}");
}

#[test]
fn a_relay_is_opened_and_told() {
    let mut bench = Bench::new();
    let roland = roland(&mut bench);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17)]);
    let began = "began roland@falcot.com 192.0.2.1:5000".into();
    assert_eq!(lines, ["open 198.51.100.1".into(), began, to(&roland, GRANTED)]);
    assert!(bench.server.is_allocated(roland.client.flow));
    let session = bench.server.sessions().next().unwrap();
    assert!(config().ports.contains(&session.relayed.port()));
}

#[test]
fn clients_without_a_stream_must_ask_for_udp() {
    check(&[], "Allocate 400 Bad Request signed");
    check(&[(Kind::REQUESTED_TRANSPORT, vec![17])], "Allocate 400 Bad Request signed");
    check(&[transport(6)], "Allocate 400 Bad Request signed");
    check(&[transport(132)], "Allocate 442 Unsupported Transport Protocol signed");
    check(&[transport(0)], "Allocate 442 Unsupported Transport Protocol signed");
}

#[test]
fn lifetimes_are_kept_within_bounds() {
    for (asked, granted) in [(0, 600), (1, 600), (600, 600), (1000, 1000), (3600, 3600), (u32::MAX, 3600)] {
        let expected =
            format!("Allocate ok relayed=203.0.113.99 lifetime={granted} mapped=192.0.2.1:5000 signed");
        check(&[transport(17), lifetime(asked)], &expected);
    }
    check(&[transport(17), (Kind::LIFETIME, vec![1])], "Allocate 400 Bad Request signed");
}

#[test]
fn either_family() {
    check(&[transport(17), family(1)], GRANTED);
    let six = "Allocate ok relayed=2001:db8::1 lifetime=600 mapped=192.0.2.1:5000 signed";
    check(&[transport(17), family(2)], six);
    check(&[transport(17), family(3)], "Allocate 440 Address Family not Supported signed");
    check(&[transport(17), (Kind::REQUESTED_ADDRESS_FAMILY, vec![1])], "Allocate 400 Bad Request signed");
}

#[test]
fn a_family_that_no_relay_has() {
    let mut config = config();
    config.relays.addresses.pop();
    let mut bench = Bench::with(config);
    let roland = roland(&mut bench);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17), family(2)]);
    assert_eq!(lines, [to(&roland, "Allocate 440 Address Family not Supported signed")]);
}

#[test]
fn what_a_reservation_token_excludes() {
    let token = (Kind::RESERVATION_TOKEN, vec![0; 8]);
    check(&[transport(17), token.clone(), (Kind::EVEN_PORT, vec![0])], "Allocate 400 Bad Request signed");
    check(&[transport(17), token.clone(), family(1)], "Allocate 400 Bad Request signed");
    check(&[transport(17), (Kind::RESERVATION_TOKEN, vec![0; 7])], "Allocate 400 Bad Request signed");
    check(&[transport(17), token], "Allocate 508 Insufficient Capacity signed");
}

#[test]
fn the_same_again_is_a_retransmission_and_another_is_a_mismatch() {
    let mut bench = Bench::new();
    let roland = roland(&mut bench);
    let request = signed(&roland, Method::ALLOCATE, TransactionId([9; 12]), &[transport(17)]);
    bench.message(roland.client, &request);
    bench.after(10);
    let again = "Allocate ok relayed=203.0.113.99 lifetime=590 mapped=192.0.2.1:5000 signed";
    assert_eq!(bench.message(roland.client, &request), [to(&roland, again)]);
    let other = bench.ask(&roland, Method::ALLOCATE, &[transport(17)]);
    assert_eq!(other, [to(&roland, "Allocate 437 Allocation Mismatch signed")]);
}

#[test]
fn ports_that_are_in_use_are_passed_over() {
    let mut bench = Bench::with(Config { ports: 50_000..=50_002, ..config() });
    bench.taken.extend([50_000, 50_002]);
    let roland = roland(&mut bench);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17)]);
    assert_eq!(lines.last(), Some(&to(&roland, GRANTED)));
    assert_eq!(bench.server.sessions().next().unwrap().relayed.port(), 50_001);

    let joe = User { client: user("joe", "192.0.2.2:5000").client, ..user("joe", "192.0.2.2:5000") };
    let mut joe = joe;
    bench.challenge(&mut joe);
    let lines = bench.ask(&joe, Method::ALLOCATE, &[transport(17)]);
    assert_eq!(lines.last(), Some(&to(&joe, "Allocate 508 Insufficient Capacity signed")));
    assert_eq!(lines.iter().filter(|line| line.starts_with("open")).count(), 3);
}

#[test]
fn when_nothing_can_be_bound_no_second_try_is_made() {
    let mut bench = Bench::new();
    bench.exhausted = true;
    let roland = roland(&mut bench);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17)]);
    assert_eq!(lines, ["open 198.51.100.1".into(), to(&roland, "Allocate 508 Insufficient Capacity signed")]);
}

#[test]
fn a_stream_that_closes_takes_its_allocation_along() {
    let mut bench = Bench::new();
    let roland = bench.allocated_for(stream_user("roland", "192.0.2.1:5000"));
    let other = ConnectionId { worker: WorkerId(0), slot: 77, generation: 0 };
    assert_eq!(bench.input(Input::Closed(other)), [""; 0]);
    let own = ConnectionId { worker: WorkerId(0), slot: 5000, generation: 0 };
    let lines = bench.input(Input::Closed(own));
    assert_eq!(lines, ["close 1", "ended roland@falcot.com sent 0 received 0"]);
    assert!(!bench.server.is_allocated(roland.client.flow) && bench.server.allocations() == 0);
}
