//! Several services behind one listener: chosen by application protocol, name and first octets; HTTP beside them.

use crate::support::*;
use net::{Begins, Choice, CloseReason, Limits, Spec, Tag};
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use wire::Transport;

/// Whose everything else is that comes by HTTP.
const PAGES: Tag = Tag(20);
const LINES: Tag = Tag(21);
const NUMBERS: Tag = Tag(22);

fn lines(bytes: &[u8]) -> Begins {
    Begins::with(bytes, b"HELLO ").or(Begins::with(bytes, b"OPTIONS x"))
}

fn numbers(bytes: &[u8]) -> Begins {
    Begins::with(bytes, b"\0\x01\x02")
}

fn choice(tag: Tag, alpn: &[&str], transports: &[Transport], begins: fn(&[u8]) -> Begins) -> Choice {
    let alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Choice { tag, alpn, names: Vec::new(), transports: transports.to_vec(), begins }
}

fn shared() -> Spec {
    Spec {
        requests: Some(PAGES),
        choices: vec![
            choice(LINES, &["lines/1"], &[Transport::Tls, Transport::Wss], lines),
            choice(NUMBERS, &["numbers/1"], &[Transport::Tls], numbers),
            choice(PAGES, &["h2", "http/1.1"], &[Transport::Tls], |_| Begins::No),
        ],
        ..spec(PAGES, tls(&["h2", "http/1.1", "lines/1", "numbers/1"]), "127.0.0.1:0")
    }
}

/// The same without TLS.
fn plain() -> Spec {
    let mut spec = Spec { kind: tcp(), ..shared() };
    for choice in &mut spec.choices {
        choice.transports = vec![Transport::Tcp];
    }
    spec
}

fn dial(house: &House, alpn: &[&str]) -> StreamOwned<ClientConnection, TcpStream> {
    let config = trusting(&[&house.der], alpn, rustls::DEFAULT_VERSIONS);
    let session = ClientConnection::new(Arc::clone(&config), falcot()).unwrap();
    StreamOwned::new(session, house.dial(0))
}

/// What the next stream to be opened brings, as long as it is awaited; and whose it is.
fn brings(house: &House, length: usize) -> (Tag, Vec<u8>) {
    let (_, info) = house.opened();
    let mut all = Vec::new();
    while all.len() < length {
        all.extend(house.find(|seen| match seen {
            Seen::Received { data, .. } => Some(data),
            _ => None,
        }));
    }
    (info.tag, all)
}

fn check(house: &House, mut stream: impl Write, says: &[u8], expected: Tag) {
    // In two pieces, as far as the pattern goes.
    for piece in [&says[..1], &says[1..]] {
        stream.write_all(piece).unwrap();
        stream.flush().unwrap();
    }
    assert_eq!(brings(house, says.len()), (expected, says.to_vec()), "{says:?}");
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: falcot.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn by_protocol_and_by_first_octets() {
    let house = House::new(1, &[shared()]);
    for (alpn, says, expected) in [
        (&["lines/1"][..], "anything", LINES),
        (&["numbers/1"], "HELLO 1", NUMBERS),
        (&["h2"], "HELLO 2", PAGES),
        (&["h2", "http/1.1"], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PAGES),
        (&["http/1.1"], "GET / HTTP/1.1\r\nHost: falcot.com\r\n\r\n", PAGES),
        (&["http/1.1"], "nonsense", PAGES),
        (&[], "POST /x HTTP/1.1\r\n", PAGES),
        (&[], "HELLO 3", LINES),
        (&[], "OPTIONS x", LINES),
        (&[], "OPTIONS /", PAGES),
        (&[], "\0\x01\x02\x03", NUMBERS),
    ] {
        check(&house, dial(&house, alpn), says.as_bytes(), expected);
    }
}

#[test]
fn the_same_without_tls() {
    let house = House::new(1, &[plain()]);
    for (says, expected) in [
        ("GET / HTTP/1.0\r\n\r\n", PAGES),
        ("DELETE / HTTP/1.1\r\n", PAGES),
        ("HELLO 3", LINES),
        ("\0\x01\x02", NUMBERS),
    ] {
        check(&house, house.dial(0), says.as_bytes(), expected);
    }
}

#[test]
fn everyone_is_told_where_it_listens() {
    let house = House::new(2, &[shared()]);
    let bound = house.running.bound();
    let rows: Vec<_> = bound.iter().map(|bound| (bound.spec, bound.tag, bound.transport)).collect();
    let expected = [
        (0, LINES, Transport::Tls),
        (0, LINES, Transport::Wss),
        (0, NUMBERS, Transport::Tls),
        (0, PAGES, Transport::Tls),
    ];
    assert_eq!(rows, expected);
    assert!(bound.iter().all(|row| row.address == bound[0].address));
}

#[test]
fn the_protocol_alone_opens_a_stream() {
    let house = House::new(1, &[shared()]);
    let mut stream = dial(&house, &["numbers/1"]);
    stream.conn.complete_io(&mut stream.sock).unwrap();
    let (_, info) = house.opened();
    assert_eq!((info.tag, info.alpn.as_deref()), (NUMBERS, Some(&b"numbers/1"[..])));
}

#[test]
fn who_says_nothing_after_that_has_its_time() {
    let limits = Limits { first_byte: Duration::from_millis(100), ..Limits::default() };
    for alpn in [&["numbers/1"][..], &[]] {
        let house = House::with(1, &[shared()], limits.clone(), ignore);
        let mut stream = dial(&house, alpn);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "it is closed");
        if !alpn.is_empty() {
            assert_eq!(house.closed().1, CloseReason::Silent);
        }
    }
}

#[test]
fn nobody_gets_what_nobody_speaks() {
    let house = House::new(1, &[shared()]);
    for says in [&b"EHLO x\r\n"[..], b"\x05\x01\0", b"OPTION\r\n"] {
        let mut stream = dial(&house, &[]);
        stream.write_all(says).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "{says:?}");
    }
    assert!(house.is_quiet());
    assert_eq!(house.counts(0).open, 0);
}

#[test]
fn websockets_are_granted_beside_requests() {
    let house = House::new(1, &[shared()]);
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = dial(&house, alpn);
        stream.write_all(UPGRADE.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101");
        assert_eq!(house.opened().1.transport, Transport::Wss);
    }
    // What is nobody's WebSocket is an ordinary request.
    let says = UPGRADE.replace("/chat", "/elsewhere");
    check(&house, dial(&house, &["http/1.1"]), says.as_bytes(), PAGES);
    // One that breaks the rules is none.
    let mut stream = dial(&house, &["http/1.1"]);
    stream.write_all(UPGRADE.replace("Version: 13", "Version: 7").as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 426");
}

#[test]
fn a_long_request_is_for_whoever_gets_requests() {
    let house = House::new(1, &[shared()]);
    let says = format!("GET /?{} HTTP/1.1\r\n", "x".repeat(20_000));
    check(&house, dial(&house, &[]), says.as_bytes(), PAGES);
}

#[test]
fn requests_beside_websockets_alone() {
    let only = Spec { requests: Some(PAGES), ..spec(SHOW, net::Kind::Ws, "127.0.0.1:0") };
    let house = House::new(1, &[only]);
    check(&house, house.dial(0), b"POST /http-bind HTTP/1.1\r\n\r\n", PAGES);
    check(&house, house.dial(0), b"GET /.well-known HTTP/1.1\r\nHost: x\r\n\r\n", PAGES);
    let mut stream = house.dial(0);
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    assert_eq!(house.opened().1.tag, SHOW);
    let mut stream = house.dial(0);
    stream.write_all(b"HELLO ").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}
