//! Where clients are sent while no relay is to be had here: RFC 8489 §10.

use crate::bench::{Bench, User, address, config, lifetime, to, transport, user};
use stun::Method;
use turn::{Config, Input, Quota};

fn alternates() -> Config {
    let servers = ["198.51.100.77:3478", "[2001:db8::77]:3478"];
    Config { alternates: servers.map(address).to_vec(), ..config() }
}

fn from(bench: &mut Bench, peer: &str) -> User {
    let mut user = user("roland", peer);
    bench.challenge(&mut user);
    user
}

fn check(bench: &mut Bench, user: &User, expected: &str) {
    let lines = bench.ask(user, Method::ALLOCATE, &[transport(17)]);
    assert_eq!(lines.last(), Some(&to(user, expected)));
}

const THERE: &str = "Allocate 300 Try Alternate alternate=198.51.100.77:3478 signed";
const THERE6: &str = "Allocate 300 Try Alternate alternate=[2001:db8::77]:3478 signed";
const NOWHERE: &str = "Allocate 508 Insufficient Capacity signed";

#[test]
fn while_draining() {
    let mut bench = Bench::with(alternates());
    let old = bench.allocated("joe", "192.0.2.1:1");
    bench.input(Input::Config(Box::new(Config { draining: true, ..alternates() })));
    let [four, six] = ["192.0.2.1:2", "[2001:db8::9]:2"].map(|peer| from(&mut bench, peer));
    check(&mut bench, &four, THERE);
    check(&mut bench, &six, THERE6);
    assert_eq!(bench.ask(&old, Method::REFRESH, &[]), [to(&old, "Refresh ok lifetime=600 signed")]);
    bench.input(Input::Config(Box::new(alternates())));
    check(&mut bench, &four, "Allocate ok relayed=203.0.113.99 lifetime=600 mapped=192.0.2.1:2 signed");
}

#[test]
fn only_those_who_show_a_credential_are_told() {
    let mut bench = Bench::with(Config { draining: true, ..alternates() });
    let stranger = user("roland", "192.0.2.1:2");
    let request = crate::bench::unsigned(bench.transaction(), Method::ALLOCATE, &[transport(17)]);
    let lines = bench.message(stranger.client, &request);
    assert_eq!(lines, [to(&stranger, "Allocate 401  realm=falcot.com nonce")]);
}

#[test]
fn while_full() {
    let mut bench = Bench::with(Config { quota: Quota { user: 9, domain: 9, total: 1 }, ..alternates() });
    let first = bench.allocated("joe", "192.0.2.1:1");
    let roland = from(&mut bench, "192.0.2.1:2");
    check(&mut bench, &roland, THERE);
    bench.ask(&first, Method::REFRESH, &[lifetime(0)]);
    bench.exhausted = true;
    check(&mut bench, &roland, THERE);
    bench.exhausted = false;
    check(&mut bench, &roland, "Allocate ok relayed=203.0.113.99 lifetime=600 mapped=192.0.2.1:2 signed");
}

#[test]
fn an_account_s_own_quota_is_no_reason_to_go_elsewhere() {
    let mut bench = Bench::with(Config { quota: Quota { user: 1, domain: 9, total: 9 }, ..alternates() });
    bench.allocated("roland", "192.0.2.1:1");
    let roland = from(&mut bench, "192.0.2.1:2");
    check(&mut bench, &roland, "Allocate 486 Allocation Quota Reached signed");
}

#[test]
fn nobody_of_the_client_s_family() {
    let config = Config { draining: true, alternates: vec![address("[2001:db8::77]:3478")], ..config() };
    let mut bench = Bench::with(config);
    let [four, six] = ["192.0.2.1:2", "[2001:db8::9]:2"].map(|peer| from(&mut bench, peer));
    check(&mut bench, &four, NOWHERE);
    check(&mut bench, &six, THERE6);
}
