//! The modes of Debian's `turnutils_uclient` that no other file here runs, so that none is left out but `-R`, which waits
//! for ever for answers to nonsense. Elsewhere: UDP, TCP
//! and TLS, -y, -x, -Z, wrong passwords (coturn.rs); DTLS (dtls.rs); -T and -P (tcp.rs); -M (mobility.rs); -W and -J
//! (credentials.rs).

use crate::coturn::{PACKAGE, Peer, ROLAND, check, comes_back, command, uclient};
use crate::house;
use std::time::Duration;
use testkit::process::Program;

const MODES: [(&str, &str, &[&str]); 14] = [
    ("turn.udp", "127.0.0.1", &["-X"]),
    ("turn.udp", "127.0.0.1", &["-X", "-c", "-s"]),
    ("turn.udp", "127.0.0.1", &["-o", "https://falcot.com", "-c"]),
    ("turn.udp", "127.0.0.1", &["-a", "100000", "-c"]),
    ("turn.tcp", "127.0.0.1", &["-t", "-X", "-c"]),
    ("turn.tcp", "127.0.0.1", &["-t", "-y", "-m", "2"]),
    ("turn.tcp", "127.0.0.1", &["-t", "-D", "-G"]),
    ("turn.tcp", "127.0.0.1", &["-t", "-g", "-s", "-c"]),
    ("turn.tls", "127.0.0.1", &["-t", "-S", "-y", "-m", "2"]),
    ("turn.tls", "127.0.0.1", &["-t", "-S", "-y", "-s", "-m", "2"]),
    ("turn.tcp", "::1", &["-t", "-x", "-c"]),
    ("turn.tcp", "::1", &["-t", "-x", "-c", "-s"]),
    ("turn.tls", "::1", &["-t", "-S", "-x", "-c"]),
    ("turn.tls", "::1", &["-t", "-S", "-Z"]),
];

#[test]
fn every_relay_over_every_transport() {
    let house = house();
    let peers = ["127.0.0.1", "::1"].map(|address| (address, Peer::start(address)));
    std::thread::scope(|scope| {
        for (listener, address, flags) in MODES {
            let port = peers.iter().find(|(there, _)| *there == address).map(|(_, peer)| peer.port).unwrap();
            let server = house.port(listener);
            scope.spawn(move || comes_back(server, (address, port), flags));
        }
    });
}

/// `-B` hangs up after a few packets and comes again; `-I` with channels needs no permissions of its own.
#[test]
fn lost_clients() {
    let house = house();
    check(&house, "turn.udp", "127.0.0.1", &[&["-B", "-c"], &["-I", "-c"]]);
    // `-O`: hundreds come and go at once; somebody who stays is served.
    let peer = Peer::start("127.0.0.1");
    let (code, output) =
        uclient(house.port("turn.udp"), ("127.0.0.1", peer.port), "tr0mbone", &["-O", "-c", "-m", "20"]);
    assert!(code.is_some(), "{output}");
    drop(peer);
    check(&house, "turn.udp", "127.0.0.1", &[&["-c"]]);
}

/// `-N` binds a second channel to a peer that has one, which is refused (RFC 8656 §12.2).
#[test]
fn negative_tests() {
    let house = house();
    let peer = Peer::start("127.0.0.1");
    for (listener, flags) in [("turn.udp", &["-N", "-c"][..]), ("turn.tcp", &["-N", "-c", "-t"])] {
        let (code, output) = uclient(house.port(listener), ("127.0.0.1", peer.port), "tr0mbone", flags);
        assert!(
            code != Some(0) && output.contains("channel bind: error 400"),
            "{flags:?} {code:?}\n{output}"
        );
    }
}

/// `-I` installs no permissions, so by indications nothing comes through (RFC 8656 §9).
#[test]
fn without_permissions_nothing_comes_back() {
    let house = house();
    let peer = Peer::start("127.0.0.1");
    for (listener, flags) in [("turn.udp", &["-I", "-s", "-c"][..]), ("turn.tcp", &["-I", "-s", "-c", "-t"])]
    {
        let mut command = command(house.port(listener), ("127.0.0.1", peer.port), &ROLAND, flags);
        // It would wait for long.
        let program = Program::start(&mut command, PACKAGE);
        program.expect("tot_send_msgs=25, tot_recv_msgs=0", Duration::from_secs(30));
    }
}
