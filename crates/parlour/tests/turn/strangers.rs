//! What strangers send: nonsense, halves, too much, too slowly, without a right. Each is refused as the protocol has it,
//! and a client that behaves never notices.

use crate::client::{Client, Line, binding};
use crate::{expect_counter, house};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use stun::attribute::{Data, Lifetime, XorMappedAddress, XorPeerAddress};
use stun::{Kind, Message, Method, TransactionId};
use testkit::House;

/// A Binding over this line tells its own address.
fn is_served(line: &mut Line) {
    let transaction = TransactionId([42; 12]);
    line.send(&binding(transaction));
    let answer = line.receive();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.transaction(), transaction);
    assert_eq!(answer.get(), Ok(Some(XorMappedAddress(line.local()))));
}

/// A client with a channel to an echo; says whether a word comes back.
pub(crate) struct Talk {
    pub(crate) client: Client,
    pub(crate) peer: UdpSocket,
}

impl Talk {
    pub(crate) fn start(house: &House, line: Line) -> Self {
        Self::of(house, "roland", line)
    }

    pub(crate) fn of(house: &House, name: &str, line: Line) -> Self {
        Self::named(house, name, "tr0mbone", line)
    }

    pub(crate) fn named(house: &House, name: &str, password: &str, line: Line) -> Self {
        let mut client = Client::new(line, name, password);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(client.allocate(), 0);
        assert_eq!(client.bind(0x4000, peer.local_addr().unwrap()), 0);
        let mut talk = Self { client, peer };
        talk.goes_on();
        assert!(crate::counter(house, "turn.allocations") > 0);
        talk
    }

    pub(crate) fn goes_on(&mut self) {
        self.client.line.send(b"\x40\0\0\x04word");
        let mut word = [0; 100];
        let (length, from) = self.peer.recv_from(&mut word).unwrap();
        assert_eq!(&word[..length], b"word");
        self.peer.send_to(b"back", from).unwrap();
        assert_eq!(self.client.line.receive(), b"\x40\0\0\x04back");
    }
}

#[test]
fn malformed_datagrams() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/stun");
    let mut stranger = Line::udp(house.port("turn.udp"));
    for file in std::fs::read_dir(corpus).unwrap() {
        let seed = std::fs::read(file.unwrap().path()).unwrap();
        for cut in 0..seed.len() {
            stranger.send(&seed[..cut]);
            let mut bent = seed.clone();
            bent[cut] ^= 0x5A;
            stranger.send(&bent);
        }
    }
    for length in [0, 1, 19, 20, 1500, 9000, 65_507] {
        stranger.send(&vec![0x41; length]);
        stranger.send(&vec![0; length]);
    }
    talk.goes_on();
    // What came from this address may have used up its share of answers; it is whole again after a second.
    std::thread::sleep(Duration::from_millis(1100));
    is_served(&mut Line::udp(house.port("turn.udp")));
}

#[test]
fn nonsense_on_a_stream_closes_it() {
    let house = house();
    let mut talk = Talk::start(&house, Line::tcp(house.port("turn.tcp")));
    let long_request = b"\0\x01\x10\0\x21\x12\xA4\x42";
    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03", b"\xFF", long_request]
    {
        let mut stranger = Line::tcp(house.port("turn.tcp"));
        stranger.send(nonsense);
        assert!(stranger.is_closed(), "{nonsense:?}");
    }
    for port in ["turn.tcp", "turn.tls"] {
        let mut stranger = Line::tcp(house.port(port));
        stranger.send(&[0xFF; 100]);
        // TLS says farewell with an alert first.
        assert!(stranger.is_closed(), "{port}");
    }
    talk.goes_on();
    expect_counter(&house, "turn.streams", 1);
}

#[test]
fn a_slow_sender_is_served() {
    let house = house();
    let mut line = Line::tcp(house.port("turn.tcp"));
    for byte in binding(TransactionId([42; 12])) {
        line.send(&[byte]);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(line.receive().len(), 32);
    is_served(&mut line);
}

#[test]
fn half_open_streams_harm_nobody() {
    let house = house();
    let mut silent: Vec<_> = (0..200).map(|_| Line::tcp(house.port("turn.tcp"))).collect();
    silent.extend((0..200).map(|_| Line::tcp(house.port("turn.tls"))));
    for line in silent.iter_mut().step_by(2) {
        line.send(&binding(TransactionId([1; 12]))[..13]);
    }
    Talk::start(&house, Line::tcp(house.port("turn.tcp"))).goes_on();
    drop(silent);
    expect_counter(&house, "turn.streams", 0);
}

#[test]
fn special_peers_are_refused_unless_allowed() {
    let house = House::of(env!("CARGO_BIN_EXE_parlour")).account("roland@falcot.com", "tr0mbone").start();
    let mut client = Client::new(Line::udp(house.port("turn.udp")), "roland", "tr0mbone");
    assert_eq!(client.allocate(), 0);
    for peer in
        ["127.0.0.1:53", "10.0.0.1:53", "192.168.1.1:53", "169.254.169.254:80", "224.0.0.1:1", "0.0.0.0:9"]
    {
        let peer: SocketAddr = peer.parse().unwrap();
        assert_eq!((client.permit(peer), client.bind(0x4000, peer)), (403, 403), "{peer}");
    }
    assert_eq!(client.permit("[::1]:53".parse().unwrap()), 403);
    assert_eq!(client.permit("[2606:4700::1111]:53".parse().unwrap()), 443);
    assert_eq!(client.permit("8.8.8.8:53".parse().unwrap()), 0);
}

#[test]
fn a_wrong_password_and_another_account() {
    let house = house();
    let mut mallory = Client::new(Line::udp(house.port("turn.udp")), "roland", "guess");
    assert_eq!((mallory.allocate(), mallory.allocate()), (401, 401));
    let mut whole = Client::new(Line::tcp(house.port("turn.tcp")), "roland@falcot.com", "tr0mbone");
    assert_eq!(whole.allocate(), 0);
    let mut joe = Client::new(whole.line, "joe", "tr0mbone");
    assert_eq!(joe.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 441);
}

#[test]
fn an_account_that_is_added_while_the_server_runs() {
    let house = house();
    house.add("lucas@falcot.com", "tr0mbone");
    let mut lucas = Client::new(Line::udp(house.port("turn.udp")), "lucas", "tr0mbone");
    assert_eq!(lucas.allocate(), 0);
}

#[test]
fn a_stream_that_closes_frees_its_relay() {
    let house = house();
    let mut client = Client::new(Line::tcp(house.port("turn.tcp")), "roland", "tr0mbone");
    assert_eq!(client.allocate(), 0);
    expect_counter(&house, "turn.allocations", 1);
    drop(client);
    expect_counter(&house, "turn.allocations", 0);
}

#[test]
fn a_refresh_of_zero_frees_a_relay() {
    let house = house();
    let mut client = Client::new(Line::udp(house.port("turn.udp")), "roland", "tr0mbone");
    assert_eq!(client.allocate(), 0);
    expect_counter(&house, "turn.allocations", 1);
    assert_eq!(client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
    expect_counter(&house, "turn.allocations", 0);
}

#[test]
fn the_largest_datagram_goes_through() {
    let house = house();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let to = peer.local_addr().unwrap();
    let mut client = Client::new(Line::tcp(house.port("turn.tcp")), "roland", "tr0mbone");
    assert_eq!((client.allocate(), client.permit(to)), (0, 0));
    let mut buffer = vec![0; 70_000];
    for length in [0, 1, 1400, 9001, 60_000] {
        let payload = vec![b'x'; length];
        client.indicate(to, &payload);
        let (received, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..received], &payload);
        peer.send_to(&payload, from).unwrap();
        let back = client.line.receive();
        let back = Message::parse(&back).unwrap();
        assert_eq!((back.method(), back.get()), (Method::DATA, Ok(Some(XorPeerAddress(to)))));
        assert_eq!(back.get(), Ok(Some(Data(&payload))));
    }
}

#[test]
fn answers_to_strangers_are_short() {
    let house = house();
    let mut line = Line::udp(house.port("turn.udp"));
    line.send(&binding(TransactionId([1; 12])));
    assert_eq!(line.receive().len(), 32);
    let mut request = Vec::new();
    stun::Writer::new(&mut request, stun::Class::Request, Method::ALLOCATE, TransactionId([2; 12]))
        .raw(Kind::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
        .finish();
    line.send(&request);
    let answer = line.receive();
    assert!(answer.len() <= 60, "{} octets", answer.len());
    expect_counter(&house, "turn.allocations", 0);
}
