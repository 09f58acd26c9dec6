//! Clients that change their address and keep their relay (RFC 8016): Debian's client, and clients by hand on two workers.

use crate::client::{Client, Line};
use crate::coturn::{Peer, totals, uclient};
use crate::{expect_counter, house};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use stun::attribute::{Lifetime, MobilityTicket, RequestedTransport};
use stun::{Attribute, Message, Method};

/// Debian's client with `-M`: it allocates, opens another socket, and goes on there. It closes the old one before or
/// afterwards, by chance; so it runs a few times.
fn check(listener: &str, runs: &[&[&str]]) {
    let house = house();
    let program = Peer::start("127.0.0.1");
    let (server, peer) = (house.port(listener), ("127.0.0.1", program.port));
    std::thread::scope(|scope| {
        for flags in runs.iter().chain(runs).chain(runs) {
            scope.spawn(move || {
                let (code, output) = uclient(server, peer, "tr0mbone", flags);
                let totals = totals(&output);
                let all = totals.is_some_and(|(sent, received)| sent == received && sent >= 25 * 161);
                assert!(all && code == Some(0), "{listener} {flags:?}: {code:?} {totals:?}\n{output}");
            });
        }
    });
}

#[test]
fn coturn_s_client_over_udp() {
    check("turn.udp", &[&["-M"], &["-M", "-s"], &["-M", "-m", "3"]]);
}

#[test]
fn coturn_s_client_over_tcp() {
    check("turn.tcp", &[&["-M", "-t"], &["-M", "-t", "-s"]]);
}

/// Over TLS the client (4.6.1 to 4.17) frees its old session twice in one of four runs, and then writes to what is no
/// session: it says so by an error that is a success, or dies of a signal. Such a run is none.
#[test]
fn coturn_s_client_over_tls() {
    let house = house();
    let program = Peer::start("127.0.0.1");
    let (server, peer) = (house.port("turn.tls"), ("127.0.0.1", program.port));
    for _ in 0..40 {
        let (code, output) = uclient(server, peer, "tr0mbone", &["-M", "-t", "-S"]);
        if code == Some(0) {
            let (sent, received) = totals(&output).unwrap();
            assert!(sent == received && sent >= 25 * 161, "{output}");
            return;
        }
        assert!(code.is_none() || output.contains("send: Success"), "{code:?}\n{output}");
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("no run over TLS ended well");
}

/// An attribute of the last answer.
fn answer<A: for<'a> Attribute<'a>>(client: &Client) -> A {
    Message::parse(&client.answer).unwrap().get().unwrap().unwrap()
}

fn ticket(client: &Client) -> Vec<u8> {
    let MobilityTicket(ticket) = Message::parse(&client.answer).unwrap().get().unwrap().unwrap();
    ticket.to_vec()
}

/// A client whose allocation may move, with a channel to an echoing peer; its ticket.
fn mobile(line: Line, peer: SocketAddr) -> (Client, Vec<u8>) {
    let mut client = Client::new(line, "roland", "tr0mbone");
    let code = client
        .ask(Method::ALLOCATE, |writer| writer.with(&RequestedTransport::UDP).with(&MobilityTicket(b"")));
    assert_eq!(code, 0);
    let first = ticket(&client);
    assert_eq!(client.bind(0x4001, peer), 0);
    (client, first)
}

/// The same client by another line, announced there.
fn announced(client: &Client, line: Line, shown: &[u8]) -> (Client, Vec<u8>) {
    let mut next = client.by(line);
    assert_eq!(next.ask(Method::REFRESH, |writer| writer.with(&MobilityTicket(shown))), 0);
    let Lifetime(lifetime) = answer(&next);
    assert_eq!(lifetime, 600);
    let given = ticket(&next);
    (next, given)
}

/// ChannelData, padded as streams want it.
fn data(number: u32) -> Vec<u8> {
    let mut bytes = vec![0x40, 1, 0, 8];
    bytes.extend(number.to_be_bytes());
    bytes.extend(*b"data");
    bytes
}

/// A peer that sends back what it gets, and says who wrote last.
fn echo() -> (SocketAddr, UdpSocket) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let answering = peer.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2000];
        // It ends with a datagram of no octets.
        while let Ok((length @ 1.., from)) = answering.recv_from(&mut buffer) {
            answering.send_to(&buffer[..length], from).unwrap();
        }
    });
    (peer.local_addr().unwrap(), peer)
}

fn stop(peer: SocketAddr) {
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], peer).unwrap();
}

#[test]
fn thirty_moves_between_workers_and_transports_lose_nothing() {
    let house = house();
    let (peer, _socket) = echo();
    let (mut client, mut shown) = mobile(Line::udp(house.port("turn.udp")), peer);
    for number in 0..30 {
        let line = match number % 3 {
            2 => Line::tcp(house.port("turn.tcp")),
            _ => Line::udp(house.port("turn.udp")),
        };
        let (mut next, given) = announced(&client, line, &shown);
        assert_ne!(given, shown);
        // By the old way it goes on until the new one is used.
        client.line.send(&data(number));
        assert_eq!(client.line.receive(), data(number), "move {number}, old way");
        // What comes first by the new way, on whichever worker, comes through: three in a row, as fast as they can.
        for _ in 0..3 {
            next.line.send(&data(1000 + number));
        }
        for _ in 0..3 {
            assert_eq!(next.line.receive(), data(1000 + number), "move {number}, new way");
        }
        (client, shown) = (next, given);
    }
    assert_eq!(client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
    expect_counter(&house, "turn.allocations", 0);
    stop(peer);
}

#[test]
fn a_broken_connection_is_made_good_by_any_other() {
    let house = house();
    let (peer, socket) = echo();
    for (from, to) in [("turn.tcp", "turn.udp"), ("turn.tcp", "turn.tcp"), ("turn.udp", "turn.tcp")] {
        // Several times, so that both workers are left and come to.
        for number in 0..6 {
            let line = |listener: &str| match listener {
                "turn.udp" => Line::udp(house.port(listener)),
                _ => Line::tcp(house.port(listener)),
            };
            let (mut client, shown) = mobile(line(from), peer);
            client.line.send(&data(number));
            assert_eq!(client.line.receive(), data(number));
            let nonce = client.by(Line::udp(house.port("turn.udp")));
            drop(client);
            std::thread::sleep(Duration::from_millis(20));
            let (mut next, _) = announced(&nonce, line(to), &shown);
            next.line.send(&data(100 + number));
            assert_eq!(next.line.receive(), data(100 + number), "{from} to {to}");
            assert_eq!(next.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
        }
    }
    expect_counter(&house, "turn.allocations", 0);
    drop(socket);
    stop(peer);
}

#[test]
fn one_that_moves_is_one_in_the_quota() {
    let mut house = crate::prepare();
    house.set("turn", "quota", "{ user = 1, domain = 10, total = 10 }");
    house.start();
    let peer = "127.0.0.1:9".parse().unwrap();
    let (mut client, mut shown) = mobile(Line::udp(house.port("turn.udp")), peer);
    for _ in 0..8 {
        let (mut next, given) = announced(&client, Line::udp(house.port("turn.udp")), &shown);
        assert_eq!(next.permit(peer), 0, "it has come");
        let mut other = client.by(Line::udp(house.port("turn.udp")));
        assert_eq!(other.allocate(), 486);
        (client, shown) = (next, given);
    }
    assert_eq!(client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
    let mut other = client.by(Line::udp(house.port("turn.udp")));
    assert_eq!(other.allocate(), 0);
}

#[test]
fn where_it_is_turned_off() {
    let mut house = crate::prepare();
    house.set("turn", "mobility", "false");
    house.start();
    let mut client = Client::new(Line::udp(house.port("turn.udp")), "roland", "tr0mbone");
    let code = client
        .ask(Method::ALLOCATE, |writer| writer.with(&RequestedTransport::UDP).with(&MobilityTicket(b"")));
    assert_eq!(code, 405);
}
