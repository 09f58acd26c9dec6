//! Listeners that come and go while workers run: what stays is not touched, what goes serves its clients to the end.

use crate::dtls::{connect_to, echoes};
use crate::support::{ECHO, House, SHOW, Seen, dtls, own, own_ip, spec, tcp, tls, udp};
use net::{Reception, Spec};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use wire::Transport;

const LOCAL: &str = "127.0.0.1:0";

struct Desk {
    house: House,
    reception: Reception,
}

impl Desk {
    fn new(workers: u16, specs: &[Spec]) -> Self {
        let mut house = House::new(workers, specs);
        let reception = house.running.reception().expect("it is given once");
        assert!(house.running.reception().is_none());
        Self { house, reception }
    }

    fn change(&mut self, specs: &[Spec]) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let identities = self.house.identities.clone();
        let changed = runtime.block_on(self.reception.change(specs, Some(&identities)));
        changed.map_err(|error| error.to_string())
    }

    fn address(&self, index: usize) -> SocketAddr {
        self.reception.bound()[index].address
    }

    /// Has every worker say whether it holds its former listeners.
    fn hold(&self, holds: bool) {
        for worker in 0..2 {
            self.house.ask(worker, move |probe, _| probe.holds = holds);
        }
    }
}

/// An address that is free for streams and datagrams.
fn free() -> String {
    format!("{}:{}", own_ip(), testkit::house::free_port())
}

fn talks(stream: &mut TcpStream) {
    stream.write_all(b"word").unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"word");
}

/// A datagram client; whether it is answered.
struct Caller(UdpSocket);

impl Caller {
    fn to(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind(LOCAL).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    fn is_answered(&self) -> bool {
        // An error of before may be told first.
        let _ = self.0.send(b"word");
        self.0.recv(&mut [0; 64]).is_ok()
    }
}

fn is_free_soon(address: SocketAddr) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while UdpSocket::bind(address).is_err() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn stream_listeners_come_and_go_and_connections_stay() {
    let old = spec(ECHO, tcp(), &own());
    let mut desk = Desk::new(2, std::slice::from_ref(&old));
    let before = desk.address(0);
    let mut standing = TcpStream::connect(before).unwrap();
    talks(&mut standing);
    let new = [spec(ECHO, tcp(), &free()), spec(ECHO, tls(&[]), &free()), old.clone()];
    desk.change(&new).unwrap();
    assert_eq!(desk.address(2), before, "what stays is not bound anew");
    let transports: Vec<_> = desk.reception.bound().iter().map(|bound| bound.transport).collect();
    assert_eq!(transports, [Transport::Tcp, Transport::Tls, Transport::Tcp]);
    for index in [0, 2] {
        (0..8).for_each(|_| talks(&mut TcpStream::connect(desk.address(index)).unwrap()));
    }
    desk.change(&new[..1]).unwrap();
    assert!(TcpStream::connect(before).is_err());
    talks(&mut standing);
    talks(&mut TcpStream::connect(desk.address(0)).unwrap());
    desk.change(&[]).unwrap();
    talks(&mut standing);
    assert!(TcpStream::connect(before).is_err() && TcpListener::bind(before).is_ok());
}

#[test]
fn one_that_cannot_be_bound_leaves_everything_as_it_was() {
    let old = spec(ECHO, tcp(), &own());
    let mut desk = Desk::new(2, std::slice::from_ref(&old));
    let foreign = UdpSocket::bind(LOCAL).unwrap();
    let (good, taken) = (free(), foreign.local_addr().unwrap().to_string());
    let specs = [spec(ECHO, tcp(), &good), spec(ECHO, udp(), &taken)];
    let fault = desk.change(&specs).unwrap_err();
    assert!(fault.contains(&taken) && fault.ends_with("address in use"), "{fault}");
    talks(&mut TcpStream::connect(desk.address(0)).unwrap());
    assert_eq!(desk.reception.bound().len(), 1);
    assert!(TcpListener::bind(good).is_ok(), "nothing of it is left");
}

#[test]
fn a_datagram_listener_serves_its_clients_to_the_end() {
    let at = free();
    let old = spec(ECHO, udp(), &at);
    let mut desk = Desk::new(2, std::slice::from_ref(&old));
    let (address, socket) = (desk.address(0), desk.reception.bound()[0].socket.unwrap());
    let clients: Vec<Caller> = (0..8).map(|_| Caller::to(address)).collect();
    desk.hold(true);
    desk.change(&[]).unwrap();
    assert!(desk.house.ask(0, move |_, net| net.is_retired(socket)), "handlers are told");
    std::thread::sleep(Duration::from_millis(700));
    assert!(clients.iter().all(Caller::is_answered));
    // Put in force again: the same socket, as nothing had happened.
    desk.change(std::slice::from_ref(&old)).unwrap();
    assert_eq!(desk.reception.bound()[0].socket, Some(socket));
    assert!(!desk.house.ask(0, move |_, net| net.is_retired(socket)));
    desk.hold(false);
    std::thread::sleep(Duration::from_millis(700));
    assert!(clients.iter().all(Caller::is_answered));
    // One worker holds it: none closes its twin.
    desk.house.ask(1, |probe, _| probe.holds = true);
    desk.change(&[]).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(clients.iter().all(Caller::is_answered));
    desk.hold(false);
    assert!(is_free_soon(address));
    desk.change(&[old]).unwrap();
    assert!(desk.reception.bound()[0].socket > Some(socket), "numbers are never used twice");
    assert!(Caller::to(address).is_answered());
}

#[test]
fn an_address_that_is_just_being_left_is_had_again() {
    let old = spec(ECHO, udp(), &free());
    let mut desk = Desk::new(2, std::slice::from_ref(&old));
    for _ in 0..2 {
        desk.change(&[]).unwrap();
        std::thread::sleep(Duration::from_millis(480));
        desk.change(std::slice::from_ref(&old)).unwrap();
        assert!(Caller::to(desk.address(0)).is_answered());
    }
}

#[test]
fn a_dtls_session_survives_its_listener() {
    let mut desk = Desk::new(1, &[spec(ECHO, dtls(&["stun.turn"]), &own())]);
    let address = desk.address(0);
    let mut client = connect_to(address);
    desk.change(&[]).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    echoes(&mut client, b"still");
    let stranger = Caller::to(address);
    stranger.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stranger.0.send(&hello()).unwrap();
    assert!(stranger.0.recv(&mut [0; 64]).is_err(), "nobody new");
    client.shutdown().unwrap();
    assert!(is_free_soon(address));
}

/// A ClientHello as small as it can be.
fn hello() -> Vec<u8> {
    let body = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
    let length = body.len() as u8;
    let record = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, length + 12];
    let message = [1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
    [&record[..], &message, &body].concat()
}

#[test]
fn halves_of_a_shared_port_come_and_go() {
    let at = free();
    let [plain, sealed] = [spec(SHOW, udp(), &at), spec(ECHO, dtls(&["stun.turn"]), &at)];
    let [streams, secure] = [spec(ECHO, tcp(), &at), spec(ECHO, tls(&[]), &at)];
    let mut desk = Desk::new(1, &[plain.clone(), streams.clone()]);
    let address = desk.address(0);
    let unanswered = Caller::to(address);
    unanswered.0.send(&hello()).unwrap();
    let shown = |desk: &Desk| {
        desk.house.find(|seen| match seen {
            Seen::Datagram { data, .. } if !data.is_empty() => Some(data),
            _ => None,
        })
    };
    assert_eq!(shown(&desk), hello(), "without DTLS it is a datagram like any other");
    desk.change(&[plain.clone(), sealed.clone(), streams.clone(), secure.clone()]).unwrap();
    let bound = desk.reception.bound();
    assert!(bound.len() == 4 && bound.iter().all(|bound| bound.address == address));
    let mut client = connect_to(address);
    echoes(&mut client, b"sealed");
    unanswered.0.send(b"plain").unwrap();
    assert_eq!(shown(&desk), b"plain");
    let mut stream = desk.house.dial_tls(1);
    stream.write_all(b"word").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    talks(&mut TcpStream::connect(address).unwrap());
    // The other half goes: its clients are still told apart.
    desk.change(&[sealed, secure]).unwrap();
    echoes(&mut client, b"sealed");
    echoes(&mut connect_to(address), b"another");
    unanswered.0.send(b"of before").unwrap();
    assert_eq!(shown(&desk), b"of before");
    let socket = desk.reception.bound()[0].socket.unwrap();
    assert!(desk.house.ask(0, move |_, net| net.is_retired(socket)));
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"word").unwrap();
    assert!(matches!(plain.read(&mut [0; 4]), Ok(0) | Err(_)), "only TLS from now on");
}

#[test]
fn one_address_becomes_all_and_back_while_clients_go_on() {
    let at = free();
    let port: u16 = at.rsplit_once(':').unwrap().1.parse().unwrap();
    let [one, sealed_one] = [spec(ECHO, udp(), &at), spec(ECHO, dtls(&["stun.turn"]), &at)];
    let all_at = format!(":{port}");
    let [all, sealed_all] = [spec(ECHO, udp(), &all_at), spec(ECHO, dtls(&["stun.turn"]), &all_at)];
    let streams = [spec(ECHO, tcp(), &at), spec(ECHO, tcp(), &all_at)];
    let mut desk = Desk::new(2, &[one.clone(), sealed_one.clone(), streams[0].clone()]);
    let address = desk.address(0);
    let first = Caller::to(address);
    let mut session = connect_to(address);
    assert!(first.is_answered());
    desk.hold(true);
    let wide = [all, sealed_all, streams[1].clone()];
    desk.change(&wide).unwrap();
    let mut second = connect_to(address);
    for _ in 0..2 {
        assert!(first.is_answered() && Caller::to(address).is_answered());
        echoes(&mut session, b"first");
        echoes(&mut second, b"second");
        talks(&mut TcpStream::connect(address).unwrap());
        std::thread::sleep(Duration::from_millis(600));
    }
    // The first socket goes once nobody holds it: from then on the wider one is written to.
    session.shutdown().unwrap();
    second.shutdown().unwrap();
    desk.hold(false);
    let gone = desk.house.running.bound()[0].socket.unwrap();
    let until = Instant::now() + Duration::from_secs(8);
    while (0..2).any(|worker| desk.house.ask(worker, move |_, net| net.socket_tag(gone)).is_some()) {
        assert!(Instant::now() < until, "the first socket is still there");
    }
    let mut third = connect_to(address);
    echoes(&mut third, b"third");
    // From now on those of the wider one would come to other workers: nothing changes.
    let fault = desk.change(&[one, sealed_one, streams[0].clone()]).unwrap_err();
    assert!(fault.ends_with("only a restart takes one of all addresses that are listened on"), "{fault}");
    echoes(&mut third, b"third");
    // Streams have no such bonds.
    let mut standing = TcpStream::connect(address).unwrap();
    let [_, sealed_all, _] = wide;
    desk.change(&[sealed_all, streams[0].clone()]).unwrap();
    talks(&mut standing);
    talks(&mut TcpStream::connect(address).unwrap());
    echoes(&mut third, b"third");
}
