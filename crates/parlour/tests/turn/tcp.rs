//! Streams relayed to peers (RFC 6062): Debian's clients, and clients by hand.

use crate::coturn::{totals, uclient};
use crate::house;

/// Debian's clients with one another: each connects to the others' relays, both bind, everything comes back. With `-P`
/// half of them are peers without a server, and what they send back is all that the client counts.
fn check(listener: &str, runs: &[(&[&str], u64)]) {
    let house = house();
    let server = house.port(listener);
    std::thread::scope(|scope| {
        for (flags, share) in runs {
            scope.spawn(move || {
                let (code, output) = uclient(server, ("127.0.0.1", 1), "tr0mbone", flags);
                let totals = totals(&output);
                let all = totals.is_some_and(|(sent, received)| sent == received * share && sent >= 25 * 161);
                assert!(all && code == Some(0), "{listener} {flags:?}: {code:?} {totals:?}\n{output}");
            });
        }
    });
}

#[test]
fn coturn_s_clients_over_tcp() {
    check("turn.tcp", &[(&["-T"], 1), (&["-P"], 2)]);
}

#[test]
fn coturn_s_clients_over_tls_and_ipv6() {
    check("turn.tls", &[(&["-T", "-S"], 1), (&["-T", "-S", "-x"], 1)]);
}
