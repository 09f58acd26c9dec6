//! Who gets in: Debian's clients with time-limited credentials and access tokens, and a client of RFC 8489 by hand.

use crate::client::{Client, Line, REALM};
use crate::coturn::{PACKAGE, Peer, totals, uclient_as};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stun::Method;
use stun::attribute::Lifetime;
use testkit::House;
use testkit::process::run;
use turn::credentials::temporary::issue;

/// A house with two secrets and the keys that Debian's `turnutils_uclient -J` has built in.
fn house() -> House {
    let keys = [
        ("north", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK"),
        ("union", "MTIzNDU2Nzg5MDEyMzQ1Ngo="),
        ("oldempire", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK"),
    ];
    let keys = keys.map(|(kid, key)| format!("{{ kid = \"{kid}\", key = \"{key}\" }}"));
    House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .set("turn", "allow-peers", r#"["127.0.0.0/8", "::1/128"]"#)
        .set("turn", "secrets", r#"["north wind", "sea breeze"]"#)
        .set("turn", "oauth-keys", &format!("[{}]", keys.join(", ")))
        .set("turn", "oauth-server", r#""turn.falcot.com""#)
        .set("network", "addresses", r#"["127.0.0.1", "::1"]"#)
        .start()
}

/// Everything comes back with each of these credentials and flags.
fn works(house: &House, runs: &[(&str, &[&str], &[&str])]) {
    let peer = Peer::start("127.0.0.1");
    std::thread::scope(|scope| {
        for (listener, credential, flags) in runs {
            let (port, peer) = (house.port(listener), ("127.0.0.1", peer.port));
            scope.spawn(move || {
                let (code, output) = uclient_as(port, peer, credential, flags);
                let all =
                    totals(&output).is_some_and(|(sent, received)| sent == received && sent >= 25 * 161);
                assert!(all && code == Some(0), "{credential:?} {flags:?}: {code:?}\n{output}");
            });
        }
    });
}

fn is_refused(house: &House, credential: &[&str], flags: &[&str]) {
    let (code, output) = uclient_as(house.port("turn.udp"), ("127.0.0.1", 9), credential, flags);
    assert!(code != Some(0) && output.contains("Cannot complete Allocation"), "{code:?}\n{output}");
}

#[test]
fn debians_client_with_secrets_and_with_an_account_at_the_same_time() {
    let house = house();
    works(
        &house,
        &[
            ("turn.udp", &["-u", "joe", "-W", "north wind"], &["-c"]),
            ("turn.udp", &["-u", "joe", "-W", "sea breeze"], &["-c", "-s"]),
            ("turn.tcp", &["-u", "joe", "-W", "north wind"], &["-t"]),
            ("turn.tls", &["-u", "joe", "-W", "north wind"], &["-t", "-S", "-c"]),
            ("turn.udp", &["-u", "roland", "-w", "tr0mbone"], &["-c"]),
            ("turn.udp", &["-u", "roland@falcot.com", "-w", "tr0mbone"], &["-c"]),
        ],
    );
    is_refused(&house, &["-u", "joe", "-W", "west wind"], &["-c"]);
    is_refused(&house, &["-u", "roland", "-w", "guess"], &["-c"]);
    is_refused(&house, &["-u", "mallory", "-w", "tr0mbone"], &["-c"]);
}

#[test]
fn debians_client_with_access_tokens() {
    let house = house();
    works(
        &house,
        &[
            ("turn.udp", &["-J"], &["-c"]),
            ("turn.udp", &["-J"], &["-s", "-m", "3"]),
            ("turn.tcp", &["-J"], &["-t"]),
            ("turn.tls", &["-J"], &["-t", "-S"]),
        ],
    );
}
