//! Time-limited credentials beside the accounts of the house.

use crate::bench::{Bench, User, config, lifetime, to, transport, user};
use stun::attribute::MobilityTicket;
use stun::{Kind, Message, Method};
use turn::credentials::temporary::issue;
use turn::{Config, Credentials, Input, Output};
use wire::{Machine, Secret};

fn bench() -> Bench {
    let secrets = ["north wind", "sea breeze"].map(Secret::new).to_vec();
    Bench::with(Config { credentials: Credentials { secrets, ..Credentials::default() }, ..config() })
}

/// A user with a credential that ends in so many seconds.
fn temporary(bench: &Bench, secret: &str, seconds: i64, name: &str, peer: &str) -> User {
    let expires = bench.unix().checked_add_signed(seconds).unwrap();
    let issued = issue(secret.as_bytes(), expires, name);
    User { name: issued.username, password: issued.credential, ..user("", peer) }
}

fn allocate(bench: &mut Bench, user: &mut User) -> String {
    bench.challenge(user);
    let lines = bench.ask(user, Method::ALLOCATE, &[transport(17)]);
    lines.into_iter().find(|line| line.starts_with("began") || line.contains("Allocate 4")).unwrap()
}

#[test]
fn either_secret_and_every_name() {
    for secret in ["north wind", "sea breeze"] {
        for (name, expected) in [
            ("roland", "roland@falcot.com"),
            ("roland@falcot.com", "roland@falcot.com"),
            ("stranger", "stranger@falcot.com"),
            ("@joe:example.org", "\\40joe\\3aexample.org@falcot.com"),
        ] {
            let mut bench = bench();
            let mut user = temporary(&bench, secret, 600, name, "192.0.2.1:5000");
            assert_eq!(allocate(&mut bench, &mut user), format!("began {expected} 192.0.2.1:5000"));
        }
    }
    let mut bench = bench();
    let mut bare = temporary(&bench, "north wind", 600, "", "192.0.2.1:5000");
    let expected = format!("began {}@falcot.com 192.0.2.1:5000", bare.name);
    assert_eq!(allocate(&mut bench, &mut bare), expected);
}

#[test]
fn in_the_realm_of_another_domain_of_the_house() {
    let mut bench = bench();
    let mut zoe = temporary(&bench, "north wind", 600, "zoe@falcot.org", "192.0.2.1:5000");
    assert_eq!(allocate(&mut bench, &mut zoe), to(&zoe, "Allocate 401  realm=falcot.org nonce"));
    let transaction = stun::TransactionId([9; 12]);
    let request =
        crate::bench::signed_for("falcot.org", &zoe, Method::ALLOCATE, transaction, &[transport(17)]);
    assert_eq!(bench.message(zoe.client, &request)[1], "began zoe@falcot.org 192.0.2.1:5000");
}

#[test]
fn wrong_run_out_and_altered_ones_are_refused() {
    let mut bench = bench();
    let good = temporary(&bench, "north wind", 600, "roland", "192.0.2.1:5000");
    let later = temporary(&bench, "north wind", 900, "roland", "192.0.2.1:5000");
    for mut bad in [
        temporary(&bench, "west wind", 600, "roland", "192.0.2.1:5000"),
        temporary(&bench, "north wind", 0, "roland", "192.0.2.1:5000"),
        temporary(&bench, "north wind", -1, "roland", "192.0.2.1:5000"),
        User { name: later.name, ..good.clone() },
        User { name: good.name.replace("roland", "joe"), ..good },
    ] {
        assert_eq!(allocate(&mut bench, &mut bad), to(&bad, "Allocate 401  realm=falcot.com nonce"));
    }
}

#[test]
fn accounts_go_on_working_also_one_with_a_number_for_a_name() {
    let mut bench = bench();
    let mut roland = user("roland", "192.0.2.1:5000");
    assert_eq!(allocate(&mut bench, &mut roland), "began roland@falcot.com 192.0.2.1:5000");
    let mut number = user("4711", "192.0.2.1:5001");
    assert_eq!(allocate(&mut bench, &mut number), "began 4711@falcot.com 192.0.2.1:5001");
}

#[test]
fn a_call_does_not_end_in_the_middle_but_no_other_begins() {
    let mut bench = bench();
    let mut roland = temporary(&bench, "north wind", 300, "roland", "192.0.2.1:5000");
    assert_eq!(allocate(&mut bench, &mut roland), "began roland@falcot.com 192.0.2.1:5000");
    bench.after(400);
    let extended = to(&roland, "Refresh ok lifetime=600 signed");
    assert_eq!(bench.ask(&roland, Method::REFRESH, &[]), [extended]);
    let mut other = temporary(&bench, "north wind", -100, "roland", "192.0.2.1:5001");
    assert_eq!(allocate(&mut bench, &mut other), to(&other, "Allocate 401  realm=falcot.com nonce"));
    bench.ask(&roland, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(allocate(&mut bench, &mut roland), to(&roland, "Allocate 401  realm=falcot.com nonce"));
}

#[test]
fn they_count_for_the_user_behind_the_colon() {
    let mut bench = bench();
    for (port, expires) in [(5000, 100), (5001, 200), (5002, 300)] {
        let peer = format!("192.0.2.1:{port}");
        let mut roland = temporary(&bench, "north wind", expires, "roland", &peer);
        assert_eq!(allocate(&mut bench, &mut roland), format!("began roland@falcot.com {peer}"));
    }
    let mut one_more = user("roland", "192.0.2.1:5003");
    let refused = allocate(&mut bench, &mut one_more);
    assert_eq!(refused, to(&one_more, "Allocate 486 Allocation Quota Reached signed"));
}

#[test]
fn a_secret_that_is_taken_away_counts_at_once() {
    let mut bench = bench();
    let mut roland = temporary(&bench, "sea breeze", 600, "roland", "192.0.2.1:5000");
    allocate(&mut bench, &mut roland);
    let credentials = Credentials { secrets: vec![Secret::new("north wind")], ..Credentials::default() };
    bench.input(turn::Input::Config(Box::new(Config { credentials, ..config() })));
    let refused = to(&roland, "Refresh 401  realm=falcot.com nonce");
    assert_eq!(bench.ask(&roland, Method::REFRESH, &[]), [refused]);
}

#[test]
fn a_call_whose_credential_has_run_out_may_move() {
    let mut bench = bench();
    let mut roland = temporary(&bench, "north wind", 300, "roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let bytes = bench.signed(&roland, Method::ALLOCATE, &[transport(17), (Kind::MOBILITY_TICKET, vec![])]);
    bench.server.handle(bench.now, Input::Message { client: roland.client, bytes: &bytes });
    let mut ticket = Vec::new();
    while let Some(output) = bench.server.poll() {
        match output {
            Output::Send { bytes, .. } => {
                let MobilityTicket(given) = Message::parse(&bytes).unwrap().get().unwrap().unwrap();
                ticket = given.to_vec();
            }
            Output::OpenRelay { ask, local } => bench.bind(ask, local),
            _ => {}
        }
    }
    bench.after(400);
    let mut moved = User { client: user("", "192.0.2.7:5000").client, ..roland };
    bench.challenge(&mut moved);
    let lines = bench.ask(&moved, Method::REFRESH, &[(Kind::MOBILITY_TICKET, ticket)]);
    assert_eq!(lines, [to(&moved, "Refresh ok lifetime=600 ticket signed")]);
}
