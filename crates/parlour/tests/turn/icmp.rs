//! What the network says to relayed datagrams reaches the client (RFC 8656 §11.5), from the kernel's error queue.

use crate::client::{Client, Line};
use crate::house;
use std::net::{SocketAddr, UdpSocket};
use stun::attribute::{Icmp, RequestedAddressFamily, RequestedTransport, XorPeerAddress};
use stun::{Class, Message, Method};

/// A port of a loopback address that nobody listens at.
fn closed(at: &str) -> SocketAddr {
    UdpSocket::bind(at).unwrap().local_addr().unwrap()
}

/// Sends to a closed port by a channel and by an indication, and hears of it both times.
fn check(line: fn(u16) -> Line, listener: &str, at: &str, expected: Icmp) {
    let house = house();
    let mut client = Client::new(line(house.port(listener)), "roland", "tr0mbone");
    let peer = closed(at);
    let family = stun::attribute::Family::of_ip(peer.ip());
    let code = client.ask(Method::ALLOCATE, |writer| {
        writer.with(&RequestedTransport::UDP).with(&RequestedAddressFamily(Some(family)))
    });
    assert_eq!((code, client.bind(0x4000, peer)), (0, 0));
    let told = |client: &mut Client| {
        let bytes = client.line.receive();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.get().unwrap(), Some(XorPeerAddress(peer)));
        assert_eq!(message.get().unwrap(), Some(expected));
    };
    client.line.send(b"\x40\0\0\x04ping");
    told(&mut client);
    client.indicate(peer, b"ping");
    told(&mut client);
}

const PORT_UNREACHABLE: Icmp = Icmp { kind: 3, code: 3, data: 0 };

#[test]
fn port_unreachable_over_udp() {
    check(Line::udp, "turn.udp", "127.0.0.1:0", PORT_UNREACHABLE);
}

#[test]
fn port_unreachable_over_tcp() {
    check(Line::tcp, "turn.tcp", "127.0.0.1:0", PORT_UNREACHABLE);
}

#[test]
fn port_unreachable_of_ipv6() {
    check(Line::udp, "turn.udp", "[::1]:0", Icmp { kind: 1, code: 4, data: 0 });
}
