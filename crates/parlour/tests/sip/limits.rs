//! `sip.limits` and `sip.authenticate`: what clients may cost, and who need not prove who they are; changed at a reload.

use crate::agent::{Agent, Heard, SOON};
use crate::{PASSWORD, house};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Instant;
use testkit::House;

const JOE: &str = "sip:joe@falcot.com";

fn set(house: &House, key: &str, value: &str) {
    house.set("sip", key, value);
    let output = house.cli(&["reload"], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn register(joe: &mut Agent, expires: u32) -> Heard {
    joe.ask("REGISTER", "sip:falcot.com", JOE, &format!("Expires: {expires}\r\n"), "")
}

#[test]
fn registrations_keep_to_their_limits() {
    let house = house();
    set(&house, "limits", "{ contacts = 1, expires-min = \"1m\", expires-max = \"2m\" }");
    let mut joe = Agent::udp(&house, "joe");
    let answer = register(&mut joe, 30);
    assert_eq!((answer.line(), answer.header("Min-Expires")), ("SIP/2.0 423 Interval Too Brief", "60"));
    let answer = register(&mut joe, 3600);
    assert!(answer.header("Contact").ends_with(";expires=120"), "{}", answer.0);
    let mut desk = Agent::udp(&house, "joe");
    let answer = register(&mut desk, 60);
    assert_eq!(answer.all("Contact").len(), 1, "the newest: {}", answer.0);
    assert!(answer.header("Contact").contains(&desk.local.to_string()), "{}", answer.0);
    let two = format!("Expires: 60\r\nContact: <sip:joe@{}>\r\n", joe.local);
    let answer = desk.ask("REGISTER", "sip:falcot.com", JOE, &two, "");
    assert_eq!(answer.line(), "SIP/2.0 403 Too Many Contacts");
}

#[test]
fn messages_and_streams_keep_to_their_limits() {
    let house = house();
    set(&house, "limits", "{ message = 4096, connections = 2 }");
    let mut roland = Agent::tcp(&house, "roland");
    let long = "x".repeat(5_000);
    let answer = roland.ask("MESSAGE", JOE, JOE, "", &long);
    assert_eq!(answer.line(), "SIP/2.0 513 Message Too Large");
    // Each of two workers takes one.
    let port = house.port("sip.tcp");
    let streams: Vec<TcpStream> = (0..24).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    // Who speaks before a stream is counted is not let in by having come before (RFC 5626 §4.4.1 has the keep-alive).
    streams.iter().for_each(|mut stream| drop(stream.write_all(b"\r\n\r\n")));
    let is_open = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(SOON)).unwrap();
        matches!(stream.read(&mut [0; 2]), Ok(2))
    };
    let open = streams.iter().filter(|stream| is_open(stream)).count();
    assert!((1..=2).contains(&open), "{open}");
}

/// The first octet of a handshake has it begin; a source has ten times what it may have in a second at once.
#[test]
fn handshakes_keep_to_their_rate() {
    let house = crate::configured(|house| house.set("network", "limits", "{ handshakes-per-source = 1 }"));
    begin_too_many_handshakes(&house);
}

#[test]
fn a_reload_changes_the_rate_of_handshakes() {
    let house = crate::configured(|house| house.set("network", "limits", "{ handshakes-per-source = 0 }"));
    house.set("network", "limits", "{ handshakes-per-source = 1 }");
    let reloaded = house.cli(&["reload"], "");
    let said = String::from_utf8_lossy(&reloaded.stdout).into_owned();
    assert!(reloaded.status.success() && !said.contains("restart"), "{said}");
    begin_too_many_handshakes(&house);
}

fn begin_too_many_handshakes(house: &House) {
    let port = house.port("sip.tls");
    let mut kept = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&[22]).unwrap();
        kept.push(stream);
    }
    let refused = || {
        let mut admin = UnixStream::connect(house.dir().join("data/admin.sock")).unwrap();
        admin.write_all(b"GET /metrics HTTP/1.1\r\nHost: parlour\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        admin.read_to_string(&mut text).unwrap();
        let line = "parlour_net_events_total{event=\"handshakes_refused\"} ";
        text.lines().find_map(|text| text.strip_prefix(line)?.parse::<f64>().ok()).unwrap()
    };
    let end = Instant::now() + SOON;
    while refused() < 1.0 {
        assert!(Instant::now() < end, "all of them were begun");
    }
}

#[test]
fn in_a_laboratory_nobody_proves_anything() {
    let house = house();
    set(&house, "authenticate", "false");
    let mut joe = Agent::udp(&house, "joe");
    let request = joe.request("REGISTER", "sip:falcot.com", JOE, "Expires: 60\r\n", "");
    joe.send(&request);
    assert_eq!(joe.answer().line(), "SIP/2.0 200 OK");
    let mut roland = Agent::udp(&house, "roland");
    let request = roland.request("MESSAGE", JOE, JOE, "", "hello");
    roland.send(&request);
    let heard = joe.expect("MESSAGE ");
    joe.reply(&heard, "200 OK", "");
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
    let check = house.cli(&["check"], "");
    let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert!(said.contains("sip.authenticate: whoever reaches this server may register as anybody"), "{said}");
    set(&house, "authenticate", "true");
    let request = roland.request("MESSAGE", JOE, JOE, "", "hello");
    roland.send(&request);
    assert!(roland.answer().line().starts_with("SIP/2.0 407 "), "again {PASSWORD}");
}
