//! Clients that change their address and keep their relay (RFC 8016): Debian's client, and clients by hand on two workers.

use crate::coturn::{Peer, totals, uclient};
use crate::house;
use std::time::Duration;

/// Debian's client with `-M`: it allocates, opens another socket, and goes on there. It closes the old one before or
/// afterwards, by chance; so it runs a few times.
fn check(listener: &str, runs: &[&[&str]]) {
    let house = house();
    let program = Peer::start("127.0.0.1");
    let (server, peer) = (house.port(listener), ("127.0.0.1", program.port));
    std::thread::scope(|scope| {
        for flags in runs.iter().chain(runs).chain(runs) {
            scope.spawn(move || {
                let (code, output) = uclient(server, peer, "tr0mbone", flags);
                let totals = totals(&output);
                let all = totals.is_some_and(|(sent, received)| sent == received && sent >= 25 * 161);
                assert!(all && code == Some(0), "{listener} {flags:?}: {code:?} {totals:?}\n{output}");
            });
        }
    });
}

#[test]
fn coturn_s_client_over_udp() {
    check("turn.udp", &[&["-M"], &["-M", "-s"], &["-M", "-m", "3"]]);
}

#[test]
fn coturn_s_client_over_tcp() {
    check("turn.tcp", &[&["-M", "-t"], &["-M", "-t", "-s"]]);
}

/// Over TLS the client (4.6.1 to 4.17) frees its old session twice in one of four runs, and then writes to what is no
/// session: it says so by an error that is a success. Such a run is none.
#[test]
fn coturn_s_client_over_tls() {
    let house = house();
    let program = Peer::start("127.0.0.1");
    let (server, peer) = (house.port("turn.tls"), ("127.0.0.1", program.port));
    for _ in 0..40 {
        let (code, output) = uclient(server, peer, "tr0mbone", &["-M", "-t", "-S"]);
        if code == Some(0) {
            let (sent, received) = totals(&output).unwrap();
            assert!(sent == received && sent >= 25 * 161, "{output}");
            return;
        }
        assert!(output.contains("send: Success"), "{code:?}\n{output}");
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("no run over TLS ended well");
}
