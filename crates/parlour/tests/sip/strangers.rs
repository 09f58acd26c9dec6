//! What strangers send: a correct refusal, bounded memory, and calls that go on beside it.

use crate::agent::{Agent, SOON};
use crate::house;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use testkit::House;

/// What a stream brings until the server closes it; `None` where it does not.
fn until_closed(stream: &mut TcpStream, limit: Duration) -> Option<String> {
    let end = Instant::now() + limit;
    let mut all = Vec::new();
    loop {
        let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        stream.set_read_timeout(Some(left)).unwrap();
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return Some(String::from_utf8_lossy(&all).into_owned()),
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return Some(String::from_utf8_lossy(&all).into_owned());
            }
            Err(_) => return None,
        }
    }
}

fn connect(house: &House) -> TcpStream {
    TcpStream::connect(("127.0.0.1", house.port("sip.tcp"))).unwrap()
}

/// The server still does its work.
fn serves(house: &House) {
    for mut agent in [Agent::udp(house, "joe"), Agent::tcp(house, "joe")] {
        agent.register();
    }
}

fn options(more: &str) -> String {
    format!(
        "OPTIONS sip:falcot.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:falcot.com>\r\nCall-ID: {}\r\nCSeq: 1 OPTIONS\r\n{more}\r\n",
        crate::agent::unique(),
        crate::agent::unique()
    )
}

#[test]
fn streams_whose_framing_is_in_doubt_are_refused_and_closed() {
    let house = house();
    for (more, reason) in [
        ("Content-Length: -1\r\n", "Malformed Content-Length"),
        ("Content-Length: 1\r\nl: 2\r\n", "Content-Lengths Differ"),
        ("", "Missing Content-Length"),
        ("X: a\nContent-Length: 0\r\n", "Bare CR Or LF"),
    ] {
        let mut stream = connect(&house);
        stream.write_all(options(more).as_bytes()).unwrap();
        let said = until_closed(&mut stream, SOON).unwrap_or_else(|| panic!("{reason}: not closed"));
        assert!(said.starts_with(&format!("SIP/2.0 400 {reason}\r\n")), "{reason}: {said}");
    }
    serves(&house);
}

#[test]
fn what_is_no_sip_is_closed_without_an_answer() {
    let house = house();
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0\0", b"\xff\xfe\r\n\r\n"] {
        let mut stream = connect(&house);
        stream.write_all(bytes).unwrap();
        assert_eq!(until_closed(&mut stream, SOON).as_deref(), Some(""));
    }
    serves(&house);
}

#[test]
fn one_bad_line_costs_one_answer_and_not_the_stream() {
    let house = house();
    let mut joe = Agent::tcp(&house, "joe");
    joe.send(options("nonsense\r\nContent-Length: 0\r\n"));
    assert_eq!(joe.answer().line(), "SIP/2.0 400 Malformed Header Field");
    joe.register();
}

#[test]
fn a_stream_that_never_ends_its_message_is_cut() {
    let house = house();
    let mut stream = connect(&house);
    stream.write_all(b"OPTIONS sip:falcot.com SIP/2.0\r\n").unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    // What comes after the refusal is thrown away for a while, so that the refusal is read; then writing fails.
    let line = format!("X: {}\r\n", "x".repeat(1000));
    let begin = Instant::now();
    while stream.write_all(line.as_bytes()).is_ok() {
        assert!(begin.elapsed() < SOON, "everything is taken in");
    }
    assert!(until_closed(&mut stream, SOON).is_some());
    let mut stream = connect(&house);
    stream.write_all(options("Content-Length: 99999999\r\n").as_bytes()).unwrap();
    let said = until_closed(&mut stream, SOON).expect("closed");
    assert!(said.starts_with("SIP/2.0 513 Message Too Large\r\n"), "{said}");
    serves(&house);
}

#[test]
fn slow_and_silent_streams_keep_nobody_waiting() {
    let house = house();
    let mut idle: Vec<_> = (0..100).map(|_| connect(&house)).collect();
    for (place, stream) in idle.iter_mut().enumerate() {
        stream.write_all(&options("Content-Length: 0\r\n").as_bytes()[..place]).unwrap();
    }
    serves(&house);
    let text = options("Content-Length: 0\r\n");
    let mut slow = Agent::tcp(&house, "slow");
    for byte in text.as_bytes() {
        slow.send([*byte]);
    }
    assert_eq!(slow.answer().line(), "SIP/2.0 200 OK");
    drop(idle);
    serves(&house);
}

#[test]
fn pings_are_answered() {
    let house = house();
    let mut stream = connect(&house);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[test]
fn nonsense_in_datagrams_gets_a_refusal_or_nothing() {
    let house = house();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = ("127.0.0.1", house.port("sip.udp"));
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"x",
        &[0xff; 1400],
        b"GET / HTTP/1.1\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
    ] {
        socket.send_to(bytes, server).unwrap();
    }
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../sip/tests/data/torture")).unwrap()
    {
        socket.send_to(&std::fs::read(file.unwrap().path()).unwrap(), server).unwrap();
    }
    let mut agent = Agent::udp(&house, "a");
    for (text, line) in [
        (options("Content-Length: 9999\r\n"), "SIP/2.0 400 Content-Length Larger Than Message"),
        (options("").replace("SIP/2.0\r\nVia", "SIP/9.0\r\nVia"), "SIP/2.0 505 Version Not Supported"),
        (options("Proxy-Require: magic\r\n"), "SIP/2.0 420 Bad Extension"),
        (
            options("")
                .replace("Max-Forwards: 70", "Max-Forwards: 0")
                .replace("sip:falcot.com S", "sip:joe@falcot.com S"),
            "SIP/2.0 483 Too Many Hops",
        ),
        (
            options("").replace("OPTIONS sip:falcot.com", "OPTIONS urn:service:sos"),
            "SIP/2.0 416 Unsupported URI Scheme",
        ),
    ] {
        agent.send(text.replace("SIP/2.0/TCP", "SIP/2.0/UDP"));
        assert_eq!(agent.answer().line(), line);
    }
    serves(&house);
}
