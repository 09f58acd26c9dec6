//! Streams relayed to peers (RFC 6062): Debian's clients, and clients by hand.

use crate::client::{Client, Line};
use crate::coturn::{totals, uclient};
use crate::{expect_counter, house};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use stun::attribute::{PeerConnection, RequestedTransport, XorPeerAddress, XorRelayedAddress};
use stun::{Attribute, Class, Message, Method};
use testkit::House;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Debian's clients with one another: each connects to the others' relays, both bind, everything comes back. With `-P`
/// half of them are peers without a server, and what they send back is all that the client counts.
fn check(listener: &str, runs: &[(&[&str], u64)]) {
    let house = house();
    let server = house.port(listener);
    std::thread::scope(|scope| {
        for (flags, share) in runs {
            scope.spawn(move || {
                let (code, output) = uclient(server, ("127.0.0.1", 1), "tr0mbone", flags);
                let totals = totals(&output);
                let all = totals.is_some_and(|(sent, received)| sent == received * share && sent >= 25 * 161);
                assert!(all && code == Some(0), "{listener} {flags:?}: {code:?} {totals:?}\n{output}");
            });
        }
    });
}

#[test]
fn coturn_s_clients_over_tcp() {
    check("turn.tcp", &[(&["-T"], 1), (&["-T", "-m", "4"], 1), (&["-P"], 2)]);
}

#[test]
fn coturn_s_clients_over_tls_and_ipv6() {
    check("turn.tls", &[(&["-T", "-S"], 1), (&["-T", "-S", "-x"], 1)]);
}

/// A client with a TCP relay, which peers on loopback may connect to.
fn allocated(house: &House) -> (Client, SocketAddr) {
    let mut client = Client::new(Line::tcp(house.port("turn.tcp")), "roland", "tr0mbone");
    assert_eq!(client.ask(Method::ALLOCATE, |writer| writer.with(&RequestedTransport::TCP)), 0);
    let XorRelayedAddress(relayed) = answer(&client);
    (client, relayed)
}

/// An attribute of the last answer.
fn answer<A: for<'a> Attribute<'a>>(client: &Client) -> A {
    Message::parse(&client.answer).unwrap().get().unwrap().unwrap()
}

/// A peer that listens, and whom a client connects to.
fn connected(client: &mut Client) -> (TcpStream, PeerConnection) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(client.ask(Method::CONNECT, |writer| writer.with(&XorPeerAddress(address))), 0);
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (peer, answer(client))
}

/// Binds a peer's connection to a new one of the client's, with `data` right behind the request in the same write.
fn bind(house: &House, client: &Client, id: PeerConnection, data: &[u8]) -> TcpStream {
    let mut line = client.by(Line::tcp(house.port("turn.tcp")));
    let request = line.request(Method::CONNECTION_BIND, |writer| writer.with(&id));
    line.line.send(&[&request, data].concat());
    let response = line.line.receive();
    let response = Message::parse(&response).unwrap();
    assert_eq!((response.class(), response.method()), (Class::Success, Method::CONNECTION_BIND));
    let Line::Tcp(stream) = line.line else { unreachable!("it is a stream") };
    stream
}

/// A client's end and a peer's end that are joined; the client's control connection keeps them so.
fn joined(house: &House) -> (Client, TcpStream, TcpStream) {
    let (mut client, _) = allocated(house);
    let (peer, id) = connected(&mut client);
    let data = bind(house, &client, id, b"");
    (client, data, peer)
}

fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes);
}

/// Octets that tell where they belong.
fn pattern(length: usize) -> Vec<u8> {
    (0..length.div_ceil(4) as u32).flat_map(u32::to_be_bytes).take(length).collect()
}

#[test]
fn what_comes_behind_a_connection_bind_is_not_lost_on_whichever_worker() {
    let house = house();
    let (mut client, relayed) = allocated(&house);
    // The kernel chooses the worker of each connection; with twelve of them both are among them.
    let pairs: Vec<_> = (0..12)
        .map(|number: u32| {
            let (mut peer, id) = connected(&mut client);
            assert_eq!(peer.peer_addr().unwrap(), relayed, "from the relay's own port");
            peer.write_all(format!("early answer {number}").as_bytes()).unwrap();
            let mut data = bind(&house, &client, id, format!("early question {number}").as_bytes());
            expect(&mut peer, format!("early question {number}").as_bytes());
            expect(&mut data, format!("early answer {number}").as_bytes());
            (data, peer)
        })
        .collect();
    expect_counter(&house, "turn.peer-connections", 12);
    for (mut data, mut peer) in pairs {
        data.write_all(b"later").unwrap();
        expect(&mut peer, b"later");
        drop(data);
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    }
    expect_counter(&house, "turn.peer-connections", 0);
}

#[test]
fn a_peer_connects_to_the_relay_if_it_may() {
    let house = house();
    let (mut client, relayed) = allocated(&house);
    let mut stranger = TcpStream::connect(relayed).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(!matches!(stranger.read(&mut [0; 8]), Ok(1..)), "nobody asked for it");
    assert_eq!(client.permit("127.0.0.1:9".parse().unwrap()), 0);
    let mut peer = TcpStream::connect(relayed).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.write_all(b"hello").unwrap();
    let attempt = client.line.receive();
    let attempt = Message::parse(&attempt).unwrap();
    assert_eq!((attempt.class(), attempt.method()), (Class::Indication, Method::CONNECTION_ATTEMPT));
    let XorPeerAddress(from) = attempt.get().unwrap().unwrap();
    assert_eq!(from, peer.local_addr().unwrap());
    let mut data = bind(&house, &client, attempt.get().unwrap().unwrap(), b"welcome");
    expect(&mut data, b"hello");
    expect(&mut peer, b"welcome");
}

#[test]
fn what_cannot_be_connected_is_refused() {
    let house = house();
    let (mut client, _) = allocated(&house);
    let connect = |client: &mut Client, peer: SocketAddr| {
        client.ask(Method::CONNECT, |writer| writer.with(&XorPeerAddress(peer)))
    };
    assert_eq!(connect(&mut client, "10.0.0.1:80".parse().unwrap()), 403);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(connect(&mut client, nobody), 447);
    let (peer, _) = connected(&mut client);
    assert_eq!(connect(&mut client, peer.local_addr().unwrap()), 446);
    let mut datagrams = Client::new(Line::udp(house.port("turn.udp")), "roland", "tr0mbone");
    assert_eq!(datagrams.ask(Method::ALLOCATE, |writer| writer.with(&RequestedTransport::TCP)), 400);
}

#[test]
fn a_slow_reader_holds_the_other_side_up_and_nothing_is_lost() {
    let house = house();
    let (_client, mut data, mut peer) = joined(&house);
    let sent = pattern(24 << 20);
    let writer = std::thread::spawn({
        let (mut data, sent) = (data.try_clone().unwrap(), sent.clone());
        move || data.write_all(&sent).unwrap()
    });
    std::thread::sleep(Duration::from_millis(400));
    assert!(!writer.is_finished(), "24 MiB are more than kernel and server keep");
    let mut got = vec![0; sent.len()];
    peer.read_exact(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == sent, "in order, and whole");
    peer.write_all(b"thanks").unwrap();
    expect(&mut data, b"thanks");
}

#[test]
fn a_half_that_ends_leaves_the_other_open() {
    let house = house();
    let (_client, mut data, mut peer) = joined(&house);
    data.write_all(b"question").unwrap();
    data.shutdown(Shutdown::Write).unwrap();
    let mut question = Vec::new();
    peer.read_to_end(&mut question).unwrap();
    assert_eq!(question, b"question");
    peer.write_all(b"answer").unwrap();
    drop(peer);
    let mut all = Vec::new();
    data.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"answer");
    expect_counter(&house, "turn.peer-connections", 0);
}

#[test]
fn what_was_sent_before_a_hang_up_arrives() {
    let house = house();
    let (_client, mut data, mut peer) = joined(&house);
    let sent = pattern(3 << 20);
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || peer.write_all(&sent).unwrap()
    });
    std::thread::sleep(Duration::from_millis(200));
    let mut got = Vec::new();
    data.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == sent, "{} of {} octets", got.len(), sent.len());
}

#[test]
fn everything_ends_with_the_control_connection() {
    let house = house();
    let (client, mut data, mut peer) = joined(&house);
    data.write_all(b"last").unwrap();
    expect(&mut peer, b"last");
    drop(client);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(data.read(&mut [0; 8]).unwrap(), 0);
    expect_counter(&house, "turn.allocations", 0);
    expect_counter(&house, "turn.peer-connections", 0);
}

#[test]
fn bandwidth_is_waited_for_and_nothing_is_lost() {
    paced("{ session = 400000, user = 0 }");
}

#[test]
fn bandwidth_of_the_account_too() {
    paced("{ session = 0, user = 400000 }");
}

fn paced(bandwidth: &str) {
    let mut house = crate::prepare();
    house.set("turn", "bandwidth", bandwidth);
    house.start();
    let (_client, mut data, mut peer) = joined(&house);
    let (sent, began) = (pattern(500_000), Instant::now());
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || data.write_all(&sent).map(|()| data).unwrap()
    });
    let mut got = vec![0; sent.len()];
    peer.read_exact(&mut got).unwrap();
    assert!(got == sent);
    let took = began.elapsed();
    assert!(took > Duration::from_millis(700), "400 kB a second, and 100 kB of that at once: {took:?}");
    drop(writer.join().unwrap());
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}
