//! Proxies that say whom a stream is from, before anything else.

use crate::support::*;
use net::{Begins, Choice, CloseReason, Limits, Proxies, Spec};
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::Transport;

const TEXT: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn source() -> SocketAddr {
    "192.0.2.7:56324".parse().unwrap()
}

fn from_here(spec: Spec) -> Spec {
    Spec { proxies: Proxies::new([("127.0.0.0".parse().unwrap(), 8)]), ..spec }
}

#[test]
fn the_source_is_whoever_the_proxy_says() {
    let house = House::new(1, &[from_here(spec(ECHO, tcp(), "127.0.0.1:0"))]);
    for header in [TEXT, BINARY] {
        let mut stream = house.dial(0);
        stream.write_all(&[header, b"hello"].concat()).unwrap();
        let (_, info) = house.opened();
        assert_eq!((info.peer, info.proxy), (source(), Some(stream.local_addr().unwrap())));
        assert_eq!(info.local, house.address(0));
        let mut back = [0; 5];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello");
    }
    let mut stream = house.dial(0);
    stream.write_all(LOCAL).unwrap();
    let (_, info) = house.opened();
    assert_eq!(info.peer, stream.local_addr().unwrap(), "it speaks for itself");
}

#[test]
fn octet_by_octet_in_front_of_tls() {
    let house = House::new(1, &[from_here(spec(ECHO, tls(&[]), "127.0.0.1:0"))]);
    let mut raw = house.dial(0);
    for octet in BINARY {
        raw.write_all(&[*octet]).unwrap();
    }
    let session = ClientConnection::new(Arc::clone(&house.client), falcot()).unwrap();
    let mut stream = StreamOwned::new(session, raw);
    stream.write_all(b"inside").unwrap();
    let mut back = [0; 6];
    stream.read_exact(&mut back).unwrap();
    let (_, info) = house.opened();
    assert_eq!((info.transport, info.peer, &back), (Transport::Tls, source(), b"inside"));
}

#[test]
fn the_header_and_a_handshake_in_one_piece() {
    let house = House::new(1, &[from_here(spec(ECHO, tls(&[]), "127.0.0.1:0"))]);
    let mut raw = house.dial(0);
    let mut session = ClientConnection::new(Arc::clone(&house.client), falcot()).unwrap();
    let mut first = TEXT.to_vec();
    session.write_tls(&mut first).unwrap();
    raw.write_all(&first).unwrap();
    session.complete_io(&mut raw).unwrap();
    assert_eq!(house.opened().1.peer, source());
}

#[test]
fn before_services_and_kinds_are_told_apart() {
    let choice = Choice {
        tag: SHOW,
        alpn: Vec::new(),
        names: Vec::new(),
        transports: vec![Transport::Tls],
        begins: |bytes| Begins::with(bytes, b"HELLO"),
    };
    let shared = Spec { choices: vec![choice], ..spec(SHOW, tls(&[]), "127.0.0.1:0") };
    let house = House::new(1, &[from_here(shared)]);
    let mut raw = house.dial(0);
    raw.write_all(TEXT).unwrap();
    let session = ClientConnection::new(Arc::clone(&house.client), falcot()).unwrap();
    let mut stream = StreamOwned::new(session, raw);
    stream.write_all(b"HELLO").unwrap();
    let (_, info) = house.opened();
    assert_eq!((info.peer, info.tag), (source(), SHOW));
}

#[test]
fn nobody_else_is_believed_and_who_is_must_speak() {
    let elsewhere = Proxies::new([("10.0.0.0".parse().unwrap(), 8)]);
    let open = Spec { proxies: elsewhere, ..spec(SHOW, tcp(), "127.0.0.1:0") };
    let house = House::new(1, &[open, from_here(spec(SHOW, tcp(), "127.0.0.1:0"))]);
    let mut stream = house.dial(0);
    stream.write_all(TEXT).unwrap();
    let (_, info) = house.opened();
    assert_eq!((info.peer, info.proxy), (stream.local_addr().unwrap(), None));
    let data = house.find(|seen| match seen {
        Seen::Received { data, .. } => Some(data),
        _ => None,
    });
    assert!(TEXT.starts_with(&data), "it is taken for what the client says");
    for says in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\0", b"PROXY TCP4 nonsense\r\n"] {
        let mut stream = house.dial(1);
        stream.write_all(says).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "{says:?}");
    }
    assert_eq!(house.counts(0).open, 1);
}

#[test]
fn a_header_has_its_time() {
    let limits = Limits { handshake: Duration::from_millis(100), ..Limits::default() };
    let house = House::with(1, &[from_here(spec(SHOW, tcp(), "127.0.0.1:0"))], limits, ignore);
    let mut stream = house.dial(0);
    stream.write_all(&TEXT[..20]).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    assert!(house.is_quiet());
    assert_eq!(house.counts(0).open, 0);
}

#[test]
fn each_source_has_its_own_places() {
    let limits = Limits { connections_per_source: 2, ..Limits::default() };
    let house = House::with(1, &[from_here(spec(SHOW, tcp(), "127.0.0.1:0"))], limits, ignore);
    let mut open = Vec::new();
    for from in ["192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.8"] {
        let mut stream = house.dial(0);
        stream.write_all(format!("PROXY TCP4 {from} 198.51.100.1 1 443\r\n").as_bytes()).unwrap();
        assert_eq!(house.opened().1.peer.ip().to_string(), from);
        open.push(stream);
    }
    let mut third = house.dial(0);
    third.write_all(TEXT).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0, "one too many of its source");
    assert!(house.is_quiet());
    drop(open.remove(0));
    assert_eq!(house.closed().1, CloseReason::Peer);
    house.dial(0).write_all(TEXT).unwrap();
    assert_eq!(house.opened().1.peer, source());
}

#[test]
fn whoever_is_not_welcome_is_told_nothing() {
    let house = House::new(1, &[from_here(spec(UNWELCOME, tcp(), "127.0.0.1:0"))]);
    for header in [TEXT, BINARY] {
        let mut stream = house.dial(0);
        stream.write_all(header).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    assert!(house.is_quiet());
    house.dial(0).write_all(LOCAL).unwrap();
    assert_eq!(house.opened().1.tag, UNWELCOME);
}

#[test]
fn a_plain_stream_at_a_port_of_tls_is_asked_for_by_its_own_service() {
    let at = format!("127.0.0.1:{}", testkit::house::free_port());
    let specs = [spec(ECHO, tls(&[]), &at), spec(UNWELCOME, tcp(), &at)].map(from_here);
    let house = House::new(1, &specs);
    let mut stream = house.dial(1);
    stream.write_all(&[TEXT, b"hello"].concat()).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    assert!(house.is_quiet());
    assert_eq!(house.counts(0).open, 0);
    let mut stream = house.dial(1);
    stream.write_all(&[LOCAL, b"hello"].concat()).unwrap();
    assert_eq!(house.opened().1.tag, UNWELCOME, "others are let in");
}
