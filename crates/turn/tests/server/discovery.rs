//! NAT behaviour discovery (RFC 5780): what answers leave from where, and what is refused.

use crate::bench::{Attribute, Bench, address, config, ip, stream_user, unsigned};
use stun::attribute::{MappedAddress, OtherAddress, Padding, ResponseOrigin, XorMappedAddress};
use stun::{Attribute as _, Kind, Message, Method};
use turn::discovery::{Corner, Rectangle};
use turn::{Client, Config, Output};
use wire::{Flow, Machine, SocketId, Transport};

const LISTENERS: [&str; 8] = [
    "198.51.100.1:3478",
    "198.51.100.1:3479",
    "198.51.100.2:3478",
    "198.51.100.2:3479",
    "[2001:db8::1]:3478",
    "[2001:db8::1]:3479",
    "[2001:db8::2]:3478",
    "[2001:db8::2]:3479",
];

/// A server whose listeners have the sockets 10, 11 …
fn bench() -> Bench {
    let corners: Vec<_> = (10..)
        .zip(LISTENERS)
        .map(|(socket, listener)| Corner { socket: SocketId(socket), address: address(listener) })
        .collect();
    Bench::with(Config { discovery: Rectangle::among(&corners), ..config() })
}

fn client(listener: usize, peer: &str) -> Client {
    let (local, peer) = (address(LISTENERS[listener]).ip(), address(peer));
    let flow = Flow::Datagram { socket: SocketId(10 + listener as u32), local, peer };
    Client { flow, transport: Transport::Udp, local, peer }
}

/// Sends a Binding request to a listener; gives where its answer leaves from and goes to, and the answer.
fn ask(bench: &mut Bench, client: Client, attributes: &[Attribute]) -> (Flow, Vec<u8>, usize) {
    let request = unsigned(bench.transaction(), Method::BINDING, attributes);
    bench.server.handle(bench.now, turn::Input::Message { client, bytes: &request });
    let Some(Output::Send { flow, bytes }) = bench.server.poll() else { panic!("no answer") };
    assert!(bench.server.poll().is_none(), "one answer");
    (flow, bytes, request.len())
}

fn change(bits: u8) -> Attribute {
    (Kind::CHANGE_REQUEST, vec![0, 0, 0, bits])
}

/// The answer to this leaves from this listener, and says so; the other address is always the opposite corner.
fn check(listener: usize, peer: &str, attributes: &[Attribute], from: usize) {
    let (flow, bytes, _) = ask(&mut bench(), client(listener, peer), attributes);
    let (socket, local) = (SocketId(10 + from as u32), address(LISTENERS[from]).ip());
    assert_eq!(flow, Flow::Datagram { socket, local, peer: address(peer) }, "{attributes:?}");
    let answer = Message::parse(&bytes).unwrap();
    let public = |listener: usize| {
        // The first is behind a one-to-one NAT.
        let at = address(LISTENERS[listener]);
        if at.ip() == ip("198.51.100.1") { (ip("203.0.113.99"), at.port()).into() } else { at }
    };
    assert_eq!(answer.get(), Ok(Some(XorMappedAddress(address(peer)))));
    assert_eq!(answer.get(), Ok(Some(MappedAddress(address(peer)))));
    assert_eq!(answer.get(), Ok(Some(ResponseOrigin(public(from)))));
    assert_eq!(answer.get(), Ok(Some(OtherAddress(public(listener ^ 3)))));
}

#[test]
fn the_answer_leaves_from_where_change_request_says() {
    for (base, peer) in [(0, "192.0.2.1:5000"), (4, "[2001:db8::9]:5000")] {
        for listener in 0..4 {
            let at = base + listener;
            check(at, peer, &[], at);
            check(at, peer, &[change(0)], at);
            check(at, peer, &[change(2)], base + (listener ^ 1));
            check(at, peer, &[change(4)], base + (listener ^ 2));
            check(at, peer, &[change(6)], base + (listener ^ 3));
        }
    }
}

#[test]
fn the_answer_goes_to_the_response_port() {
    for value in [vec![0x1F, 0x90], vec![0x1F, 0x90, 0, 0]] {
        let (flow, bytes, _) =
            ask(&mut bench(), client(0, "192.0.2.1:5000"), &[(Kind::RESPONSE_PORT, value), change(6)]);
        let peer = address("192.0.2.1:8080");
        assert_eq!(flow, Flow::Datagram { socket: SocketId(13), local: ip("198.51.100.2"), peer });
        let answer = Message::parse(&bytes).unwrap();
        assert_eq!(answer.get(), Ok(Some(XorMappedAddress(address("192.0.2.1:5000")))));
    }
}

#[test]
fn padding_is_answered_by_padding_but_never_by_more_than_twice_the_request() {
    for peer in ["192.0.2.1:5000", "[2001:db8::9]:5000"] {
        let listener = if peer.starts_with('[') { 4 } else { 0 };
        for length in [0, 1, 100, 500, 700, 1500, 1501, 9000] {
            let padding = [(Kind::PADDING, vec![b'x'; length])];
            let (_, bytes, request) = ask(&mut bench(), client(listener, peer), &padding);
            let answer = Message::parse(&bytes).unwrap();
            let Some(Padding(back)) = answer.get().unwrap() else { panic!("no padding") };
            assert!(back <= 1500 && back % 4 == 0, "{length} -> {back}");
            assert!(length < 100 || bytes.len() <= 2 * request, "{length}: {} > 2 * {request}", bytes.len());
            assert_eq!(back == 1500, length >= 1500, "{length} -> {back}");
        }
    }
}

/// The code of the refusal, which comes from the listener that was asked.
fn refused(client: Client, attributes: &[Attribute]) -> u16 {
    let (flow, bytes, _) = ask(&mut bench(), client, attributes);
    assert_eq!(flow, client.flow);
    let answer = Message::parse(&bytes).unwrap();
    assert!(answer.raw(OtherAddress::KIND).is_none());
    answer.get::<stun::attribute::ErrorCode<'_>>().unwrap().unwrap().code
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let anybody = client(0, "192.0.2.1:5000");
    let port = || (Kind::RESPONSE_PORT, vec![0x1F, 0x90]);
    assert_eq!(refused(anybody, &[port(), (Kind::PADDING, vec![0; 8])]), 400);
    assert_eq!(refused(anybody, &[(Kind::RESPONSE_PORT, vec![0, 0])]), 400);
    assert_eq!(refused(anybody, &[(Kind::RESPONSE_PORT, vec![1])]), 400);
    assert_eq!(refused(anybody, &[(Kind::CHANGE_REQUEST, vec![6])]), 400);
    assert_eq!(refused(anybody, &[change(6), (Kind(0x7F00), vec![])]), 420);
}

#[test]
fn no_discovery_where_nothing_else_could_answer() {
    let stream = stream_user("", "192.0.2.1:5000").client;
    let elsewhere = Client {
        flow: Flow::Datagram { socket: SocketId(1), local: ip("198.51.100.1"), peer: stream.peer },
        ..stream
    };
    for anybody in [stream, elsewhere] {
        for attribute in [change(0), change(6), (Kind::RESPONSE_PORT, vec![1, 2]), (Kind::PADDING, vec![])] {
            assert_eq!(refused(anybody, &[attribute]), 420);
        }
        let (_, bytes, _) = ask(&mut bench(), anybody, &[]);
        assert_eq!(bytes.len(), 32, "as short as ever");
    }
}
