//! Other domains are found by NAPTR, SRV and address records (RFC 3263), from a name server in the test.

use crate::PASSWORD;
use crate::agent::Agent;
use crate::calls::message;
use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::House;

pub(crate) const A: u16 = 1;
pub(crate) const SRV: u16 = 33;
const NAPTR: u16 = 35;

pub(crate) type Zone = HashMap<(&'static str, u16), Vec<Vec<u8>>>;

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| {
        let length = u8::try_from(label.len()).unwrap();
        std::iter::once(length).chain(label.bytes())
    });
    labels.chain([0]).collect()
}

pub(crate) fn srv(priority: u8, port: u16, target: &str) -> Vec<u8> {
    [&[0, priority, 0, 0][..], &port.to_be_bytes(), &wire_name(target)].concat()
}

fn naptr(service: &str, replacement: &str) -> Vec<u8> {
    let length = u8::try_from(service.len()).unwrap();
    let texts = [&[1, b's', length][..], service.as_bytes(), &[0]].concat();
    [&[0, 10, 0, 10][..], &texts, &wire_name(replacement)].concat()
}

/// The answer to a query; NXDOMAIN for what the zone has not.
fn answer(zone: &Zone, query: &[u8]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let found = zone.iter().find(|((name, of), _)| *of == kind && wire_name(name) == query[12..end]);
    let records = found.map(|(_, records)| records.as_slice()).unwrap_or_default();
    let code = if records.is_empty() { 3 } else { 0 };
    let count = u8::try_from(records.len()).unwrap();
    let mut bytes =
        [&query[..2], &[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0], &query[12..end + 4]].concat();
    for data in records {
        bytes.extend([0xC0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

/// Answers queries until the test ends.
pub(crate) fn serve(socket: UdpSocket, zone: Zone) {
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer(&zone, &buffer[..length]), peer);
        }
    });
}

#[test]
fn services_of_other_domains_are_found_and_their_next_server_is_tried() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("sip", "allow-targets", "[\"127.0.0.1\"]")
        .set("network", "resolver", &format!("[\"{}\"]", socket.local_addr().unwrap()))
        .account("roland@falcot.com", PASSWORD)
        .account("joe@falcot.com", PASSWORD)
        .start();
    let (mut peer, gone) = (Agent::udp(&house, "peer"), Agent::udp(&house, "gone"));
    let (open, closed) = (peer.local.port(), gone.local.port());
    drop(gone);
    serve(
        socket,
        Zone::from([
            (("all.test", NAPTR), vec![naptr("SIP+D2U", "_sip._udp.there.test")]),
            (
                ("_sip._udp.there.test", SRV),
                vec![srv(20, open, "b.there.test"), srv(10, closed, "a.there.test")],
            ),
            (("a.there.test", A), vec![vec![127, 0, 0, 1]]),
            (("b.there.test", A), vec![vec![127, 0, 0, 1]]),
            (("_sip._udp.srv.test", SRV), vec![srv(10, open, "b.there.test")]),
        ]),
    );
    for domain in ["all.test", "srv.test"] {
        let mut roland = Agent::udp(&house, "roland");
        let uri = format!("sip:peer@{domain}");
        message(&mut roland, &uri);
        let heard = peer.expect(&format!("MESSAGE {uri} "));
        peer.reply(&heard, "200 OK", "");
        assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
    }
    let mut roland = Agent::udp(&house, "roland");
    message(&mut roland, "sip:x@none.test");
    assert_eq!(roland.answer().line(), "SIP/2.0 503 Destination Unreachable");
}

/// A name server that thinks about each question for so long, about all of them at the same time; how many there were.
fn serve_slowly(socket: UdpSocket, zone: Zone, thought: Duration) -> Arc<AtomicUsize> {
    let (socket, zone, count) = (Arc::new(socket), Arc::new(zone), Arc::new(AtomicUsize::new(0)));
    let asked = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let (socket, zone, query) = (Arc::clone(&socket), Arc::clone(&zone), buffer[..length].to_vec());
            asked.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || {
                std::thread::sleep(thought);
                let _ = socket.send_to(&answer(&zone, &query), peer);
            });
        }
    });
    count
}

#[test]
fn questions_are_asked_side_by_side_and_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("network", "workers", "1")
        .set("sip", "allow-targets", "[\"127.0.9.9\"]")
        .set("network", "resolver", &format!("[\"{}\"]", socket.local_addr().unwrap()))
        .account("roland@falcot.com", PASSWORD)
        .start();
    let mut peer = Agent::udp_from(&house, "peer", [127, 0, 9, 9]);
    // The last resort of a domain that has no services.
    let zone = Zone::from([(("slow.test", A), vec![vec![127, 0, 9, 9]])]);
    let asked = serve_slowly(socket, zone, Duration::from_millis(600));
    let uri = format!("sip:peer@slow.test:{}", peer.local.port());
    let plain = "sip:peer@slow.test";
    let began = Instant::now();
    let mut roland = Agent::udp(&house, "roland");
    message(&mut roland, plain);
    assert_eq!(roland.answer().line(), "SIP/2.0 503 Destination Unreachable", "nobody is at port 5060");
    // NAPTR, three services and the name's addresses, one after another: 3 s.
    assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
    assert_eq!(asked.load(Ordering::Relaxed), 6, "NAPTR, SRV three times, A and AAAA");
    message(&mut roland, &uri);
    let heard = peer.expect("MESSAGE ");
    peer.reply(&heard, "200 OK", "");
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
    assert_eq!(asked.load(Ordering::Relaxed), 6, "all of that is known");
}

#[test]
fn name_servers_that_do_not_answer_are_waited_for_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("network", "resolver", &format!("[\"{}\"]", socket.local_addr().unwrap()))
        .account("roland@falcot.com", PASSWORD)
        .start();
    let mut roland = Agent::udp(&house, "roland");
    let began = Instant::now();
    message(&mut roland, "sip:x@silent.test");
    let answer = roland.answer();
    assert_eq!(answer.line(), "SIP/2.0 503 Destination Unreachable");
    assert_eq!(answer.header("Warning"), "399 parlour \"no server of silent.test was found\"");
    assert!(began.elapsed() < Duration::from_secs(4), "2 s in all: {:?}", began.elapsed());
}
