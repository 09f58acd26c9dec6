//! How many allocations there may be, of one account, of one domain, in all, over all workers: 486, RFC 8656 §7.2.

use crate::bench::{Bench, Book, User, config, lifetime, to, transport, user};
use stun::attribute::ReservationToken;
use stun::{Kind, Message, Method};
use turn::{Config, Input, Output, Quota};
use wire::Machine;

const REACHED: &str = "Allocate 486 Allocation Quota Reached signed";
const PAIR: u8 = 0x80;

fn quota(user: u32, domain: u32, total: u32) -> Config {
    Config { quota: Quota { user, domain, total }, ..config() }
}

/// A client of this account, from a port that nobody else has.
fn client(bench: &mut Bench, name: &str, port: u16) -> User {
    let mut client = user(name, &format!("192.0.2.1:{port}"));
    bench.challenge(&mut client);
    client
}

/// An Allocate gets this answer.
fn check(bench: &mut Bench, client: &User, expected: &str) {
    let lines = bench.ask(client, Method::ALLOCATE, &[transport(17)]);
    assert!(lines.last().is_some_and(|line| line.contains(expected)), "{expected}: {lines:?}");
}

fn refused(bench: &mut Bench, name: &str, port: u16) {
    let client = client(bench, name, port);
    check(bench, &client, REACHED);
}

#[test]
fn of_one_account() {
    let mut bench = Bench::with(quota(2, 9, 9));
    let first = bench.allocated("roland", "192.0.2.1:1");
    bench.allocated("roland", "192.0.2.1:2");
    refused(&mut bench, "roland", 3);
    bench.allocated("joe", "192.0.2.1:4");
    bench.ask(&first, Method::REFRESH, &[lifetime(0)]);
    bench.allocated("roland", "192.0.2.1:5");
    refused(&mut bench, "roland", 6);
    bench.after(600);
    bench.allocated("roland", "192.0.2.1:7");
}

#[test]
fn of_one_account_under_both_of_its_names() {
    let mut bench = Bench::with(quota(1, 9, 9));
    bench.allocated("roland", "192.0.2.1:1");
    refused(&mut bench, "roland@falcot.com", 2);
}

#[test]
fn of_one_domain() {
    let mut bench = Bench::with(quota(9, 2, 9));
    bench.allocated("roland", "192.0.2.1:1");
    bench.allocated("joe", "192.0.2.1:2");
    refused(&mut bench, "joe", 3);
    bench.allocated_in("falcot.org", "zoe@falcot.org", "192.0.2.1:4");
}

#[test]
fn in_all_and_over_all_workers() {
    let book = Book::default();
    let [mut one, mut other] = [1, 2].map(|number| Bench::worker_of(book.clone(), number, quota(2, 9, 3)));
    let first = one.allocated("roland", "192.0.2.1:1");
    other.allocated("roland", "192.0.2.1:2");
    refused(&mut one, "roland", 3);
    refused(&mut other, "roland", 3);
    other.allocated("joe", "192.0.2.1:4");
    refused(&mut one, "joe", 5);
    one.ask(&first, Method::REFRESH, &[lifetime(0)]);
    other.allocated("joe", "192.0.2.1:6");
    refused(&mut other, "roland", 7);
}

#[test]
fn a_relay_that_is_not_to_be_had_costs_nothing() {
    let mut bench = Bench::with(quota(1, 1, 1));
    let client = client(&mut bench, "roland", 1);
    bench.exhausted = true;
    check(&mut bench, &client, "Allocate 508 Insufficient Capacity signed");
    bench.exhausted = false;
    check(&mut bench, &client, "Allocate ok");
}

#[test]
fn a_pair_needs_two_places_or_takes_none() {
    let mut bench = Bench::with(quota(1, 9, 9));
    let roland = client(&mut bench, "roland", 1);
    let pair = [transport(17), (Kind::EVEN_PORT, vec![PAIR])];
    assert_eq!(bench.ask(&roland, Method::ALLOCATE, &pair), [to(&roland, REACHED)]);
    check(&mut bench, &roland, "Allocate ok");
}

#[test]
fn a_socket_that_is_waited_for_counts() {
    let mut bench = Bench::with(quota(1, 9, 9));
    bench.silent_after = Some(0);
    let [first, second] = [1, 2].map(|port| client(&mut bench, "roland", port));
    assert_eq!(bench.ask(&first, Method::ALLOCATE, &[transport(17)]), ["open 198.51.100.1"]);
    check(&mut bench, &second, REACHED);
    assert_eq!(bench.after(5), [to(&first, "Allocate 508 Insufficient Capacity signed")]);
    bench.silent_after = None;
    check(&mut bench, &second, "Allocate ok");
}

#[test]
fn a_reserved_port_takes_its_place_along_to_another_worker() {
    let book = Book::default();
    let [mut keeper, mut other] = [3, 5].map(|number| Bench::worker_of(book.clone(), number, quota(2, 2, 2)));
    let roland = client(&mut keeper, "roland", 1);
    let request = keeper.signed(&roland, Method::ALLOCATE, &[transport(17), (Kind::EVEN_PORT, vec![PAIR])]);
    keeper.message(roland.client, &request);
    keeper.server.handle(keeper.now, Input::Message { client: roland.client, bytes: &request });
    let Some(Output::Send { bytes, .. }) = keeper.server.poll() else { panic!("no answer") };
    let ReservationToken(token) = Message::parse(&bytes).unwrap().get().unwrap().unwrap();
    refused(&mut other, "roland", 2);

    let second = client(&mut other, "roland", 3);
    let token = (Kind::RESERVATION_TOKEN, token.to_vec());
    let request = other.signed(&second, Method::ALLOCATE, &[transport(17), token]);
    other.server.handle(other.now, Input::Message { client: second.client, bytes: &request });
    let Some(Output::Claim { ask, token, user, .. }) = other.server.poll() else { panic!("no claim") };
    keeper.server.handle(keeper.now, Input::Claim { from: wire::WorkerId(5), ask, token, user });
    let granted = std::iter::from_fn(|| keeper.server.poll()).find_map(|output| match output {
        Output::Grant { granted, .. } => granted,
        _ => None,
    });
    refused(&mut other, "roland", 4);
    let lines = other.input(Input::Claimed { ask, granted });
    assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
    refused(&mut keeper, "roland", 5);
    other.ask(&second, Method::REFRESH, &[lifetime(0)]);
    keeper.allocated("roland", "192.0.2.1:6");
}
