//! What relays need: a port of one worker to listen at and to connect from, a datagram socket that moves.

use crate::support::*;
use net::{CloseReason, Tag};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use wire::SocketId;

/// How long a connection out may take here.
const PATIENCE: Duration = Duration::from_secs(5);

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A gate of a worker.
fn gate(house: &House, worker: u16, at: SocketAddr, tag: Tag) -> (SocketId, SocketAddr) {
    house.ask(worker, move |_, net| net.bind_stream(at, tag)).unwrap()
}

#[test]
fn what_a_gate_accepts_says_which_one_it_was() {
    let house = House::new(2, &[]);
    for at in [local(0), (Ipv6Addr::LOCALHOST, 0).into()] {
        let (socket, address) = gate(&house, 1, at, ECHO);
        let mut peer = TcpStream::connect(address).unwrap();
        let (conn, info) = house.opened();
        assert_eq!((conn.worker.0, info.tag, info.listener), (1, ECHO, Some(socket)));
        assert_eq!((info.outgoing, info.local, info.peer), (false, address, peer.local_addr().unwrap()));
        peer.write_all(b"hello").unwrap();
        let mut back = [0; 5];
        peer.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello");
    }
}

/// Also in front of mail that lies there already.
#[test]
fn what_a_handler_binds_at_its_beginning_is_there_before_all_else() {
    let house = House::new(2, &[spec(ECHO, udp(), "127.0.0.1:0")]);
    for worker in [0, 1] {
        let (socket, address) = house.ask(worker, |probe, _| probe.own).expect("it has begun");
        let peer = UdpSocket::bind(local(0)).unwrap();
        peer.send_to(b"hello", address).unwrap();
        let Seen::Datagram { worker: at, socket: by, data, .. } = house.next() else {
            panic!("nothing came")
        };
        assert_eq!((at.0, by, &data[..]), (worker, socket, &b"hello"[..]));
    }
}

#[test]
fn nobody_else_gets_the_port_of_a_gate_and_a_closed_one_is_free() {
    let house = House::new(2, &[]);
    let (socket, address) = gate(&house, 0, (own_ip(), 0).into(), ECHO);
    for worker in [0, 1] {
        let refused = house.ask(worker, move |_, net| net.bind_stream(address, ECHO).map_err(|e| e.kind()));
        assert_eq!(refused, Err(ErrorKind::AddrInUse));
    }
    assert_eq!(house.ask(0, move |_, net| net.socket_tag(socket)), Some(ECHO));
    house.ask(0, move |_, net| net.unbind(socket));
    assert_eq!(house.ask(0, move |_, net| net.socket_tag(socket)), None);
    assert!(TcpStream::connect(address).is_err());
    gate(&house, 1, address, ECHO);
}

#[test]
fn connections_leave_from_the_port_of_a_gate_and_others_still_come_in() {
    let house = House::new(1, &[]);
    let (_, address) = gate(&house, 0, local(0), ECHO);
    let peers: Vec<_> = (0..3).map(|_| TcpListener::bind(local(0)).unwrap()).collect();
    for peer in &peers {
        let to = peer.local_addr().unwrap();
        house.act(0, move |_, net| {
            net.connect_from(address, to, SHOW, PATIENCE);
        });
        let (mut stream, from) = peer.accept().unwrap();
        assert_eq!(from, address);
        let (_, info) = house.opened();
        assert_eq!((info.outgoing, info.listener, info.local, info.peer), (true, None, address, to));
        stream.write_all(b"out").unwrap();
        let data = house.find(|seen| match seen {
            Seen::Received { data, .. } => Some(data),
            _ => None,
        });
        assert_eq!(data, b"out");
    }
    let _in = TcpStream::connect(address).unwrap();
    assert_eq!(house.opened().1.tag, ECHO);
}

#[test]
fn a_connection_from_a_gate_that_fails_is_refused() {
    let house = House::new(1, &[]);
    let (_, address) = gate(&house, 0, local(0), ECHO);
    let nobody = TcpListener::bind(local(0)).unwrap().local_addr().unwrap();
    house.act(0, move |_, net| {
        net.connect_from(address, nobody, SHOW, PATIENCE);
    });
    let refused = house.find(|seen| match seen {
        Seen::Refused { tag, kind, .. } => Some((tag, kind)),
        _ => None,
    });
    assert_eq!(refused, (SHOW, ErrorKind::ConnectionRefused));
}

#[test]
fn a_peer_that_never_answers_costs_no_more_than_the_patience_given() {
    let house = House::new(1, &[]);
    // A listener whose queue is full lets no more handshakes finish.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&local(0).into()).unwrap();
    full.listen(0).unwrap();
    let to = full.local_addr().unwrap().as_socket().unwrap();
    let _waiting: Vec<_> =
        (0..4).map(|_| TcpStream::connect_timeout(&to, Duration::from_millis(200))).collect();
    house.act(0, move |_, net| {
        net.connect_from(local(0), to, SHOW, Duration::from_millis(200));
    });
    let kind = house.find(|seen| match seen {
        Seen::Refused { kind, .. } => Some(kind),
        _ => None,
    });
    assert_eq!(kind, ErrorKind::TimedOut);
}

#[test]
fn a_datagram_socket_moves_and_nothing_is_lost_on_the_way() {
    let house = House::new(2, &[]);
    let (socket, address) = house.ask(0, |_, net| net.bind_datagram(local(0), SHOW)).unwrap();
    let peer = UdpSocket::bind(local(0)).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    peer.connect(address).unwrap();
    let to = peer.local_addr().unwrap();
    peer.send(&[0]).unwrap();
    let Seen::Datagram { worker, .. } = house.next() else { panic!() };
    assert_eq!(worker.0, 0);
    let mut seen = BTreeSet::new();
    let (loose, still_there) = house.ask(0, move |_, net| {
        net.send(socket, None, to, b"last words");
        let loose = net.release_datagram(socket).unwrap();
        assert!(net.release_datagram(SocketId(0)).is_err(), "there is no such socket");
        (loose, net.socket_tag(socket).is_some())
    });
    assert!(still_there, "until what it sends has left");
    let mut buffer = [0; 32];
    let length = peer.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"last words");
    for number in 1..20 {
        peer.send(&[number]).unwrap();
    }
    let (new, same) = house.ask(1, move |_, net| net.adopt_datagram(loose)).unwrap();
    assert_eq!(same, address);
    peer.send(&[20]).unwrap();
    while seen.len() < 20 {
        let Seen::Datagram { worker, socket: at, data, .. } = house.next() else { panic!() };
        assert_eq!((worker.0, at), (1, new));
        seen.insert(data);
    }
    house.act(1, move |_, net| net.send(new, None, to, b"from the new owner"));
    assert_eq!(peer.recv(&mut buffer).unwrap(), 18);
    assert_eq!(house.ask(0, move |_, net| net.socket_tag(socket)), None);
}

#[test]
fn a_gate_that_is_closed_leaves_what_it_accepted() {
    let house = House::new(1, &[]);
    let (socket, address) = gate(&house, 0, local(0), ECHO);
    let mut peer = TcpStream::connect(address).unwrap();
    let (conn, _) = house.opened();
    house.ask(0, move |_, net| net.unbind(socket));
    peer.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    peer.read_exact(&mut back).unwrap();
    drop(peer);
    assert_eq!(house.closed(), (conn, CloseReason::Peer));
}
