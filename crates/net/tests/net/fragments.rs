//! Datagrams that are not to be cut, on a loopback of a small MTU in a network namespace of the test's own.

use crate::support::*;
use net::{IcmpError, Tag};
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;
use wire::SocketId;

const MTU: u32 = 1400;
const RELAY: Tag = Tag(9);

#[test]
fn what_is_not_to_be_cut_is_sent_whole_or_not_at_all() {
    let mut inside = Command::new("unshare");
    inside.args(["--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
    let output = inside.args(["--exact", "fragments::inside", "--ignored"]).output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

#[test]
#[ignore = "for the namespace that the test above makes"]
fn inside() {
    let up = Command::new("ip").args(["link", "set", "lo", "up", "mtu", &MTU.to_string()]).status().unwrap();
    assert!(up.success());
    let house = House::new(1, &[spec(SHOW, udp(), "127.0.0.1:0"), spec(SHOW, udp(), "[::1]:0")]);
    check(&house, "127.0.0.1:0", IcmpError { kind: 3, code: 4, info: MTU });
    check(&house, "[::1]:0", IcmpError { kind: 2, code: 0, info: MTU });
    listener_sends(&house, 0, "127.0.0.1:0");
    listener_sends(&house, 1, "[::1]:0");
}

/// What does not fit the path leaves a listener in fragments, where it was in the row, and again when the socket knows.
fn listener_sends(house: &House, listener: u32, at: &str) {
    let peer = UdpSocket::bind(at).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let to = peer.local_addr().unwrap();
    let sent = [1000, 2000, 1001, 2001, 2002, 1002];
    for _ in 0..2 {
        house.ask(0, move |_, net| {
            sent.map(|length| net.send(SocketId(listener), None, to, &vec![7; length]))
        });
        let mut buffer = [0; 4096];
        assert_eq!(sent.map(|_| peer.recv(&mut buffer).unwrap()), sent, "from {at}");
    }
}

/// One that is too big passes in fragments, fails in one piece with the error that a router would give, and leaves those
/// behind it alone; one that fits passes in one piece.
fn check(house: &House, at: &str, expected: IcmpError) {
    let at: SocketAddr = at.parse().unwrap();
    let peer = UdpSocket::bind(at).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let to = peer.local_addr().unwrap();
    let (socket, _) = house.ask(0, move |_, net| {
        let bound = net.bind_datagram(at, RELAY).unwrap();
        for (length, is_whole) in [(2000, false), (2001, true), (2002, false), (1000, true), (1001, false)] {
            net.send(bound.0, None, to, &vec![7; length]);
            if is_whole {
                net.dont_fragment();
            }
        }
        bound
    });
    let mut buffer = [0; 4096];
    let lengths = [(); 4].map(|()| peer.recv(&mut buffer).unwrap());
    assert_eq!(lengths, [2000, 2002, 1000, 1001]);
    let told = house.find(|seen| match seen {
        Seen::Unreachable { socket: of, peer, error } => Some((of, peer, error)),
        _ => None,
    });
    assert_eq!(told, (socket, to, expected));
}
