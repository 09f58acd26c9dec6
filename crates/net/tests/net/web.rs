//! WebSockets at a listener (RFC 6455), by a client that is written here: whole, in pieces, broken, silent, moving.

use crate::support::*;
use net::{CloseReason, Kind, Limits, Net, Spec, Tag};
use std::io::{Read, Write};
use std::time::Duration;
use wire::{ConnectionId, Transport, WorkerId};

const ALSO: usize = 0;
const ONLY: usize = 1;

fn listeners(tag: Tag) -> Vec<Spec> {
    let also = Spec { web: true, ..spec(tag, tcp(), "127.0.0.1:0") };
    let sealed = Spec { web: true, ..spec(tag, tls(&["chat/1", "http/1.1"]), "127.0.0.1:0") };
    let wss = Kind::Wss { alpn: vec![b"http/1.1".to_vec()] };
    vec![also, spec(tag, Kind::Ws, "127.0.0.1:0"), sealed, spec(tag, wss, "127.0.0.1:0")]
}

fn request(path: &str, protocol: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: falcot.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://falcot.com\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        0..126 => frame.push(0x80 | payload.len() as u8),
        length => {
            frame.push(0xfe);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    frame
}

/// What the server says before the first empty line.
fn head(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        text.push(octet[0]);
    }
    String::from_utf8(text).unwrap()
}

/// The server's next frame.
fn read(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut start = [0; 2];
    stream.read_exact(&mut start).unwrap();
    let mut length = usize::from(start[1]);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    (start[0], payload)
}

/// Opens a WebSocket on a stream.
fn open<S: Read + Write>(mut stream: S, path: &str) -> S {
    stream.write_all(request(path, "chat").as_bytes()).unwrap();
    let answer = head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Protocol: chat\r\n"), "{answer}");
    stream
}

fn message(house: &House) -> Vec<u8> {
    house.find(|seen| match seen {
        Seen::Received { data, .. } => Some(data),
        _ => None,
    })
}

#[test]
fn each_message_comes_and_goes_whole() {
    let house = House::new(1, &listeners(ECHO));
    for index in 0..4 {
        let sealed = index >= 2;
        let stream: Box<dyn Stream> =
            if sealed { Box::new(house.dial_tls(index)) } else { Box::new(house.dial(index)) };
        let mut client = open(stream, "/chat?x=1");
        let (conn, info) = house.opened();
        assert_eq!(info.transport, if sealed { Transport::Wss } else { Transport::Ws });
        let facts = info.web.unwrap();
        assert_eq!((facts.protocol, &*facts.target), ("chat", "/chat?x=1"));
        assert_eq!(facts.origin.as_deref(), Some("https://falcot.com"));
        let long = vec![b'x'; 40_000];
        let all = [frame(0x01, b"Gr\xc3"), frame(0x89, b"?"), frame(0x80, b"\xbc"), frame(0x82, b"\xff\0")];
        client.write_all(&[all.concat(), frame(0x81, &long)].concat()).unwrap();
        assert_eq!(read(&mut client), (0x8a, b"?".to_vec()));
        assert_eq!(read(&mut client), (0x81, "Gr\u{fc}".into()));
        assert_eq!(read(&mut client), (0x82, vec![0xff, 0]));
        assert_eq!(read(&mut client), (0x81, long));
        client.write_all(&frame(0x88, &3000_u16.to_be_bytes())).unwrap();
        assert_eq!(read(&mut client), (0x88, 3000_u16.to_be_bytes().to_vec()));
        assert_eq!(house.closed(), (conn, CloseReason::Peer));
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "and the stream ends");
    }
}

/// A stream of either kind.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A message is written whole: one that is longer than the buffer never left, and nothing behind it.
#[test]
fn a_message_that_is_longer_than_the_buffer_goes_where_nothing_waits() {
    let limits = Limits { write_buffer: 10_000, ..Limits::default() };
    let house = House::with(1, &listeners(SHOW), limits, ignore);
    for index in [0, 3] {
        let stream: Box<dyn Stream> =
            if index == 3 { Box::new(house.dial_tls(index)) } else { Box::new(house.dial(index)) };
        let mut client = open(stream, "/chat");
        let (conn, _) = house.opened();
        let long = vec![b'x'; 40_000];
        for _ in 0..2 {
            // The answer to its request, or what came before, is still on its way perhaps.
            while house.ask(0, move |_, net| net.queued(conn)) > 0 {}
            let said = long.clone();
            let both = house.ask(0, move |_, net| [net.write(conn, &said), net.write(conn, b"and more")]);
            assert!(both[0].is_ok() && both[1].is_err(), "{both:?}");
            assert_eq!(read(&mut client), (0x81, long.clone()));
        }
    }
}

#[test]
fn in_pieces_of_one_octet() {
    let house = House::new(1, &listeners(SHOW));
    let mut client = house.dial(ALSO);
    let all =
        [request("/chat", "other, chat").into_bytes(), frame(0x81, b"one"), frame(0x81, b"two")].concat();
    for octet in all {
        client.write_all(&[octet]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    assert_eq!((message(&house), message(&house)), (b"one".to_vec(), b"two".to_vec()));
}

#[test]
fn what_begins_otherwise_is_a_plain_stream() {
    let house = House::new(1, &listeners(SHOW));
    let mut plain = house.dial(ALSO);
    plain.write_all(b"G").unwrap();
    assert!(house.is_quiet(), "it may be either yet");
    plain.write_all(b"ARBLE").unwrap();
    let (_, info) = house.opened();
    assert_eq!((info.transport, info.web), (Transport::Tcp, None));
    assert_eq!(message(&house), b"GARBLE");
    let mut sealed = house.dial_tls(2);
    sealed.write_all(b"REGISTER").unwrap();
    assert_eq!(house.opened().1.transport, Transport::Tls);
    assert_eq!(message(&house), b"REGISTER");
    let mut other = house.dial(ONLY);
    other.write_all(b"REGISTER").unwrap();
    assert!(head(&mut other).starts_with("HTTP/1.1 400 "));
    assert_eq!(other.read(&mut [0]).unwrap(), 0);
}

#[test]
fn requests_that_are_refused() {
    let house = House::new(1, &listeners(SHOW));
    let good = request("/chat", "chat");
    for (text, answer) in [
        (request("/elsewhere", "chat"), "404"),
        (request("/chat", "other"), "400"),
        (good.replace("https://falcot.com", "https://evil.example"), "403"),
        (good.replace("Version: 13", "Version: 12"), "426"),
        ("GET / HTTP/1.1\r\nHost: falcot.com\r\n\r\n".into(), "426"),
        (format!("GET /{}", "x".repeat(9000)), "431"),
    ] {
        let mut client = house.dial(ALSO);
        client.write_all(text.as_bytes()).unwrap();
        let said = head(&mut client);
        assert!(said.starts_with(&format!("HTTP/1.1 {answer} ")), "{text} {said}");
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }
    assert!(house.is_quiet(), "the handler has seen none of them");
}

#[test]
fn whoever_breaks_the_rules_is_told_which() {
    let house = House::new(1, &listeners(SHOW));
    for (path, bytes, code) in [
        ("/chat", frame(0x80, b"goes on from nothing"), 1002_u16),
        ("/chat", frame(0x81, b"\xff"), 1007),
        ("/text", frame(0x82, b"x"), 1003),
        ("/short", frame(0x81, &[b'x'; 101]), 1009),
        ("/short", [frame(0x01, &[b'x'; 60]), frame(0x00, &[b'x'; 60])].concat(), 1009),
    ] {
        let mut client = open(house.dial(ONLY), path);
        client.write_all(&bytes).unwrap();
        assert_eq!(read(&mut client), (0x88, code.to_be_bytes().to_vec()));
        assert_eq!(house.closed().1, CloseReason::Web(code));
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }
}

/// How long a message may be is for its service to say, and is known from the head of its first frame.
#[test]
fn what_is_too_long_for_its_service_is_refused_before_it_has_come() {
    let house = House::new(1, &listeners(SHOW));
    for (path, length, code) in
        [("/short", 101_u16, Some(1009_u16)), ("/short", 100, None), ("/chat", 60_000, None)]
    {
        let mut client = open(house.dial(ONLY), path);
        let whole = frame(0x82, &vec![b'x'; usize::from(length)]);
        let head = if length < 126 { 6 } else { 8 };
        client.write_all(&whole[..head]).unwrap();
        if let Some(code) = code {
            assert_eq!(read(&mut client), (0x88, code.to_be_bytes().to_vec()));
            assert_eq!(house.closed().1, CloseReason::Web(code));
            continue;
        }
        client.write_all(&whole[head..]).unwrap();
        let (conn, _) = house.opened();
        let mut came = 0;
        while came < usize::from(length) {
            came += house.find(|seen| match seen {
                Seen::Received { conn: from, data } if from == conn => Some(data.len()),
                _ => None,
            });
        }
    }
}

#[test]
fn we_close_with_a_word() {
    let house = House::new(1, &listeners(SHOW));
    let mut client = open(house.dial(ONLY), "/chat");
    let (conn, _) = house.opened();
    house.act(0, move |_, net| {
        net.write(conn, b"last").unwrap();
        net.close(conn);
    });
    assert_eq!((read(&mut client), read(&mut client)), ((0x81, b"last".to_vec()), (0x88, vec![3, 232])));
    assert_eq!(house.closed(), (conn, CloseReason::Local));
    let mut client = open(house.dial_tls(3), "/chat");
    house.stop(Duration::from_millis(50));
    assert_eq!(read(&mut client), (0x88, vec![3, 233]), "the server goes away");
}

#[test]
fn who_says_nothing_is_asked_and_then_gone() {
    let limits = Limits { web_silence: Duration::from_millis(200), ..Limits::default() };
    let house = House::with(1, &listeners(SHOW), limits, ignore);
    let mut client = open(house.dial(ONLY), "/chat");
    for _ in 0..2 {
        assert_eq!(read(&mut client), (0x89, vec![]));
        client.write_all(&frame(0x8a, b"")).unwrap();
    }
    assert_eq!(read(&mut client).0, 0x89);
    assert_eq!(read(&mut client), (0x88, vec![3, 232]));
    assert_eq!(house.closed().1, CloseReason::Silent);
}

#[test]
fn who_is_not_read_is_not_taken_for_silent() {
    let limits = Limits { web_silence: Duration::from_millis(50), ..Limits::default() };
    let house = House::with(1, &listeners(SHOW), limits, ignore);
    let mut client = open(house.dial(ONLY), "/chat");
    let (conn, _) = house.opened();
    house.ask(0, move |_, net| net.pause(conn));
    client.write_all(&frame(0x81, b"later")).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    house.ask(0, move |_, net| net.resume(conn));
    let first = house.find(|seen| match seen {
        Seen::Received { data, .. } => Some(Ok(data)),
        Seen::Closed { reason, .. } => Some(Err(reason)),
        _ => None,
    });
    assert_eq!(first, Ok(b"later".to_vec()));
}

#[test]
fn a_message_has_its_time_whatever_comes_between() {
    let limits = Limits { web_silence: Duration::from_millis(150), ..Limits::default() };
    let house = House::with(1, &listeners(SHOW), limits, ignore);
    let mut client = open(house.dial(ONLY), "/chat");
    for turn in 0..40 {
        // Fifteen that end, then one that does not.
        let first = if turn < 15 { 0x81 } else { u8::from(turn == 15) };
        if client.write_all(&[frame(first, b"x"), frame(0x89, b"")].concat()).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    let mut whole = 0;
    let reason = house.find(|seen| match seen {
        Seen::Closed { reason, .. } => Some(reason),
        Seen::Received { .. } => {
            whole += 1;
            None
        }
        _ => None,
    });
    assert_eq!((whole, reason), (15, CloseReason::Silent));
}

#[test]
fn a_request_has_its_time() {
    let limits = Limits { first_byte: Duration::from_millis(150), ..Limits::default() };
    let house = House::with(1, &listeners(SHOW), limits, ignore);
    for (index, start) in [(ALSO, ""), (ALSO, "GET / HT"), (ONLY, "")] {
        let mut client = house.dial(index);
        client.write_all(start.as_bytes()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "{start}");
    }
    let mut sealed = house.dial_tls(2);
    sealed.write_all(b"GET / HT").unwrap();
    assert_eq!(sealed.read(&mut [0]).unwrap_or(0), 0);
    assert!(house.is_quiet(), "the handler has seen none of them");
}

#[test]
fn whoever_only_pings_is_not_kept_answers_for() {
    let limits = Limits { write_buffer: 1000, ..Limits::default() };
    let house = House::with(1, &listeners(SHOW), limits, ignore);
    let mut client = open(house.dial(ONLY), "/chat");
    let (conn, _) = house.opened();
    client.write_all(&frame(0x89, &[b'?'; 125]).repeat(20_000)).unwrap();
    client.write_all(&frame(0x81, b"end")).unwrap();
    assert_eq!(message(&house), b"end");
    assert!(house.ask(0, move |_, net| net.queued(conn)) <= 1000);
}

/// Answers with what came, and moves the connection to the other worker with each message.
fn wander(_: &mut Probe, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    net.write(conn, data).unwrap();
    let other = WorkerId(1 - net.me().0);
    assert!(net.migrate(conn, other, Mail::Text("0".into())).is_ok());
    data.len()
}

#[test]
fn one_moves_between_workers_in_mid_message() {
    let limits = Limits { web_silence: Duration::from_millis(300), ..Limits::default() };
    let house = House::with(2, &listeners(SCRIPT), limits, wander);
    for index in [ONLY, 3] {
        let stream: Box<dyn Stream> =
            if index == 3 { Box::new(house.dial_tls(index)) } else { Box::new(house.dial(index)) };
        let mut client = open(stream, "/chat");
        let words: Vec<String> = (0..200).map(|n| format!("message {n}")).collect();
        let all: Vec<u8> = words
            .iter()
            .flat_map(|word| {
                [frame(0x01, word.split_at(3).0.as_bytes()), frame(0x80, word.split_at(3).1.as_bytes())]
                    .concat()
            })
            .collect();
        for piece in all.chunks(97) {
            client.write_all(piece).unwrap();
        }
        for word in words {
            assert_eq!(read(&mut client), (0x81, word.into_bytes()));
        }
        assert_eq!(read(&mut client).0, 0x89, "where it is now it is looked after");
    }
}
