//! What the network says to relayed datagrams, and those that must not be cut (RFC 8656 §11.5, §14).

use crate::bench::{Bench, address, stream_user, to, transport, user};
use stun::attribute::{Data, DontFragment, Icmp, XorPeerAddress};
use stun::{Class, Kind, Method, TransactionId, Writer};
use turn::Input;
use wire::SocketId;

const PEER: &str = "203.0.113.7:4000";

fn icmp(bench: &mut Bench, peer: &str, kind: u8, code: u8, data: u32) -> Vec<String> {
    let socket = SocketId(SocketId::OWN + 1);
    bench.input(Input::Unreachable { socket, peer: address(peer), icmp: Icmp { kind, code, data } })
}

#[test]
fn the_client_is_told() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &[PEER]);
    let told =
        to(&roland, "Data Indication peer=203.0.113.7:4000 icmp=Icmp { kind: 3, code: 4, data: 1280 }");
    assert_eq!(icmp(&mut bench, PEER, 3, 4, 1280), [told]);
    let told = to(&roland, "Data Indication peer=203.0.113.7:9 icmp=Icmp { kind: 11, code: 0, data: 0 }");
    assert_eq!(icmp(&mut bench, "203.0.113.7:9", 11, 0, 0), [told]);
    assert_eq!(icmp(&mut bench, PEER, 5, 0, 0), [""; 0], "a redirect is no news of the datagram");
}

#[test]
fn on_streams_too() {
    let mut bench = Bench::new();
    let roland = bench.allocated_for(stream_user("roland", "192.0.2.1:5000"));
    bench.ask(&roland, Method::CREATE_PERMISSION, &[crate::bench::peer_address(PEER)]);
    let lines = icmp(&mut bench, PEER, 3, 3, 0);
    assert!(lines[0].starts_with("0.5000.0: Data Indication") && lines.len() == 1, "{lines:?}");
}

#[test]
fn only_of_peers_with_a_permission() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    assert_eq!(icmp(&mut bench, PEER, 3, 3, 0), [""; 0]);
    bench.permit(&roland, &["203.0.113.8:4000"]);
    assert_eq!(icmp(&mut bench, PEER, 3, 3, 0), [""; 0]);
    bench.after(299);
    assert_eq!(icmp(&mut bench, "203.0.113.8:4000", 3, 3, 0).len(), 1);
    bench.after(1);
    assert_eq!(icmp(&mut bench, "203.0.113.8:4000", 3, 3, 0), [""; 0], "it has ended");
}

#[test]
fn of_icmpv6_other_types() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let family = (Kind::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    bench.ask(&roland, Method::ALLOCATE, &[transport(17), family]);
    let peer = "[2001:db8:7::7]:4000";
    let permission = [crate::bench::peer_address(peer)];
    let request =
        crate::bench::signed(&roland, Method::CREATE_PERMISSION, TransactionId([0; 12]), &permission);
    assert_eq!(bench.message(roland.client, &request), [to(&roland, "CreatePermission ok signed")]);
    for (kind, is_told) in [(0, false), (1, true), (2, true), (3, true), (4, false), (11, false)] {
        assert_eq!(icmp(&mut bench, peer, kind, 0, 0).len(), usize::from(is_told), "type {kind}");
    }
}

#[test]
fn dont_fragment_is_offered_and_goes_with_the_datagram() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17), (Kind::DONT_FRAGMENT, vec![])]);
    assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
    bench.permit(&roland, &[PEER]);
    let mut whole = Vec::new();
    Writer::new(&mut whole, Class::Indication, Method::SEND, TransactionId([5; 12]))
        .with(&XorPeerAddress(address(PEER)))
        .with(&DontFragment)
        .with(&Data(b"hello"))
        .finish();
    assert_eq!(bench.message(roland.client, &whole), ["1 -> 203.0.113.7:4000 whole: hello"]);
    let other = crate::relay::send(PEER, b"hello");
    assert_eq!(bench.message(roland.client, &other), ["1 -> 203.0.113.7:4000: hello"]);
}
