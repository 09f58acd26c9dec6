//! A client that shares no line with ours (crate turn-client-proto): allocations, permissions, channels and data over
//! UDP, TCP and TLS, by IPv4 and IPv6.

use crate::{expect_counter, house};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::House;
use turn_client_proto::api::{
    DelayedMessageOrChannelSend, Socket5Tuple, TransmitBuild, TurnClientApi, TurnConfig, TurnEvent,
    TurnPeerData, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::DelayedTransmitBuild;
use turn_client_proto::stun::agent::Transmit;
use turn_client_proto::stun::auth::Feature;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::stun::message::IntegrityAlgorithm;
use turn_client_proto::types::{AddressFamily, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

const PATIENCE: Duration = Duration::from_secs(10);
/// How long one look at a socket takes when nothing has come.
const LOOK: Duration = Duration::from_millis(2);

/// A way to the server.
enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    fn udp(server: SocketAddr) -> Self {
        let local: IpAddr = if server.is_ipv4() { [127, 0, 0, 1].into() } else { server.ip() };
        let socket = UdpSocket::bind((local, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(LOOK)).unwrap();
        Self::Udp(socket)
    }

    fn tcp(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(LOOK)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::Tcp(stream)
    }

    fn tls(server: SocketAddr, house: &House) -> Self {
        let Self::Tcp(stream) = Self::tcp(server) else { panic!("TCP is below TLS") };
        let mut roots = RootCertStore::empty();
        let file = house.dir().join("data/certs/authority.pem");
        for certificate in CertificateDer::pem_file_iter(file).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"stun.turn".to_vec()];
        let name = ServerName::try_from("falcot.com").unwrap();
        let mut tls = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        tls.sock.set_read_timeout(Some(PATIENCE)).unwrap();
        tls.conn.complete_io(&mut tls.sock).unwrap();
        assert_eq!(tls.conn.alpn_protocol(), Some(&b"stun.turn"[..]));
        tls.sock.set_read_timeout(Some(LOOK)).unwrap();
        Self::Tls(Box::new(tls))
    }

    fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Tcp(stream) => stream.local_addr().unwrap(),
            Self::Tls(tls) => tls.sock.local_addr().unwrap(),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => drop(socket.send(bytes).unwrap()),
            Self::Tcp(stream) => stream.write_all(bytes).unwrap(),
            Self::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()).unwrap(),
        }
    }

    /// What has come; `None`: nothing yet.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let read = match self {
            Self::Udp(socket) => socket.recv(&mut buffer),
            Self::Tcp(stream) => stream.read(&mut buffer),
            Self::Tls(tls) => tls.read(&mut buffer),
        };
        match read {
            Ok(length) => {
                buffer.truncate(length);
                Some(buffer)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A client with its ways, and all that it has heard.
struct Agent<C> {
    client: C,
    server: SocketAddr,
    transport: TransportType,
    wires: HashMap<SocketAddr, Wire>,
    begin: Instant,
    events: Vec<String>,
    heard: Vec<(SocketAddr, Vec<u8>)>,
    icmp: Vec<(SocketAddr, u8, u8)>,
}

impl<C: TurnClientApi> Agent<C> {
    fn new(wire: Wire, server: SocketAddr, make: impl Fn(SocketAddr, SocketAddr) -> C) -> Self {
        let client = make(wire.local(), server);
        let transport = client.transport();
        let wires = HashMap::from([(wire.local(), wire)]);
        let (begin, events, heard, icmp) = (Instant::now(), vec![], vec![], vec![]);
        Self { client, server, transport, wires, begin, events, heard, icmp }
    }

    fn now(&self) -> turn_client_proto::stun::Instant {
        turn_client_proto::stun::Instant::from_nanos(self.begin.elapsed().as_nanos() as i64)
    }

    /// Lets the client do what it can, once.
    fn work(&mut self) {
        let now = self.now();
        if let TurnPollRet::AllocateTcpSocket { id, socket, peer_addr } = self.client.poll(now) {
            self.connect(id, socket, peer_addr);
        }
        while let Some(transmit) = self.client.poll_transmit(now) {
            self.wires.get_mut(&transmit.from).expect("a way of ours").send(&transmit.data);
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push(show(&event));
        }
        let locals: Vec<SocketAddr> = self.wires.keys().copied().collect();
        for local in locals {
            if let Some(data) = self.wires.get_mut(&local).and_then(Wire::receive) {
                self.take(local, data);
            }
        }
    }

    fn take(&mut self, local: SocketAddr, data: Vec<u8>) {
        let now = self.now();
        let transmit = Transmit { data, transport: self.transport, from: self.server, to: local };
        match self.client.recv(transmit, now) {
            // A retransmission's answer is nothing to it.
            TurnRecvRet::Handled | TurnRecvRet::Ignored(_) => {}
            TurnRecvRet::PeerData(data) => self.hear(&data),
            TurnRecvRet::PeerIcmp { peer, icmp_type, icmp_code, .. } => {
                self.icmp.push((peer, icmp_type, icmp_code));
            }
        }
        while let Some(data) = self.client.poll_recv(now) {
            self.hear(&data);
        }
    }

    fn hear<T: AsRef<[u8]> + std::fmt::Debug>(&mut self, data: &TurnPeerData<T>) {
        self.heard.push((data.peer, data.data().to_vec()));
    }

    /// A connection of its own for a peer's data (RFC 6062 §4.3).
    fn connect(&mut self, id: u32, socket: Socket5Tuple, peer: SocketAddr) {
        let wire = Wire::tcp(self.server);
        let (local, now) = (wire.local(), self.now());
        self.wires.insert(local, wire);
        self.client.allocated_tcp_socket(id, socket, peer, Some(local), now).unwrap();
    }

    /// Works until this has happened.
    fn expect(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "no {what}; {:?} {:?} {:?}", self.events, self.heard, self.client);
            self.work();
        }
    }

    fn expect_event(&mut self, event: &str) {
        self.expect(event, |agent| agent.events.iter().any(|have| have.starts_with(event)));
    }

    fn relayed(&mut self, count: usize) -> Vec<SocketAddr> {
        self.expect("allocation", |agent| agent.client.relayed_addresses().count() == count);
        self.client.relayed_addresses().map(|(_, address)| address).collect()
    }

    fn permit(&mut self, transport: TransportType, peer: IpAddr) {
        self.client.create_permission(transport, peer, self.now()).unwrap();
        self.expect_event(&format!("permission {peer}"));
    }

    fn bind(&mut self, peer: SocketAddr) {
        self.client.bind_channel(TransportType::Udp, peer, self.now()).unwrap();
        self.expect_event(&format!("channel {peer}"));
    }

    fn say(&mut self, transport: TransportType, peer: SocketAddr, words: &[u8]) {
        let sent = self.client.send_to(transport, peer, words.to_vec(), self.now()).unwrap();
        if let Some(TransmitBuild { data, from, .. }) = sent {
            let data: DelayedMessageOrChannelSend<Vec<u8>> = data;
            self.wires.get_mut(&from).expect("a way of ours").send(&data.build());
        }
    }

    /// The peer hears these words from a relay, says them back, and the client hears them.
    fn talk(&mut self, peer: &UdpSocket, words: &[u8]) {
        let address = peer.local_addr().unwrap();
        self.say(TransportType::Udp, address, words);
        let mut buffer = [0; 2000];
        let (length, relay) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], words);
        peer.send_to(words, relay).unwrap();
        self.heard.clear();
        self.expect("echo", |agent| agent.heard == [(address, words.to_vec())]);
    }

    fn leave(&mut self) {
        self.client.delete(self.now()).unwrap();
        (0..10).for_each(|_| self.work());
    }
}

fn show(event: &TurnEvent) -> String {
    match event {
        TurnEvent::AllocationCreated(_, relayed) => format!("allocation {relayed}"),
        TurnEvent::PermissionCreated(_, peer) => format!("permission {peer}"),
        TurnEvent::ChannelCreated(_, peer) => format!("channel {peer}"),
        TurnEvent::TcpConnected(peer) => format!("connected {peer}"),
        other => format!("failed {other:?}"),
    }
}

fn peer(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn config(families: &[AddressFamily]) -> TurnConfig {
    let mut config = TurnConfig::new(TurnCredentials::new("roland", "tr0mbone"));
    config.set_address_family(families[0]);
    families.iter().for_each(|family| config.add_address_family(*family));
    config
}

fn over_udp(server: SocketAddr, config: &TurnConfig) -> Agent<TurnClientUdp> {
    Agent::new(Wire::udp(server), server, |local, remote| {
        TurnClientUdp::allocate(local, remote, config.clone())
    })
}

fn over_stream(wire: Wire, server: SocketAddr, config: &TurnConfig) -> Agent<TurnClientTcp> {
    Agent::new(wire, server, |local, remote| TurnClientTcp::allocate(local, remote, config.clone()))
}

fn at(house: &House, listener: &str) -> SocketAddr {
    ([127, 0, 0, 1], house.port(listener)).into()
}

/// Data by indications, then by a channel; then the end. What goes by a channel is a multiple of four octets long, as this
/// client leaves the padding out that streams ask for (RFC 8656 §12.5); and only the first relay gets a channel, as it
/// numbers those of each relay from 0x4000 on.
fn check<C: TurnClientApi>(house: &House, mut agent: Agent<C>, peers: &[&str]) {
    agent.relayed(peers.len());
    for (number, address) in peers.iter().enumerate() {
        let peer = peer(address);
        let to = peer.local_addr().unwrap();
        agent.permit(TransportType::Udp, to.ip());
        agent.talk(&peer, b"by indication");
        if number == 0 {
            agent.bind(to);
            agent.talk(&peer, b"by a channel");
        }
        agent.talk(&peer, &[b'x'; 1200]);
    }
    expect_counter(house, "turn.allocations", 1);
    agent.leave();
    expect_counter(house, "turn.allocations", 0);
}

const V4: &[AddressFamily] = &[AddressFamily::IPV4];
const V6: &[AddressFamily] = &[AddressFamily::IPV6];
const BOTH: &[AddressFamily] = &[AddressFamily::IPV4, AddressFamily::IPV6];

#[test]
fn over_every_transport() {
    let house = house();
    check(&house, over_udp(at(&house, "turn.udp"), &config(V4)), &["127.0.0.1:0"]);
    let server = at(&house, "turn.tcp");
    check(&house, over_stream(Wire::tcp(server), server, &config(V4)), &["127.0.0.1:0"]);
    let server = at(&house, "turn.tls");
    check(&house, over_stream(Wire::tls(server, &house), server, &config(V4)), &["127.0.0.1:0"]);
}

#[test]
fn relays_of_ipv6_and_of_both_families() {
    let house = house();
    check(&house, over_udp(at(&house, "turn.udp"), &config(V6)), &["[::1]:0"]);
    check(&house, over_udp(at(&house, "turn.udp"), &config(BOTH)), &["127.0.0.1:0", "[::1]:0"]);
    let server = at(&house, "turn.tls");
    let agent = over_stream(Wire::tls(server, &house), server, &config(BOTH));
    check(&house, agent, &["127.0.0.1:0", "[::1]:0"]);
}

#[test]
fn sha_256_and_a_hashed_name() {
    let house = house();
    let modern = |families| {
        let mut config = config(families);
        config.set_supported_integrity(IntegrityAlgorithm::Sha256);
        config.set_anonymous_username(Feature::Required);
        config
    };
    // Its request for an IPv4 relay by UDP is too short for an answer that offers algorithms, as none is longer than twice
    // the request.
    check(&house, over_udp(at(&house, "turn.udp"), &modern(V6)), &["[::1]:0"]);
    let server = at(&house, "turn.tls");
    check(&house, over_stream(Wire::tls(server, &house), server, &modern(V4)), &["127.0.0.1:0"]);
}

#[test]
fn what_the_network_says_reaches_the_client() {
    let house = house();
    let mut agent = over_udp(at(&house, "turn.udp"), &config(V4));
    agent.relayed(1);
    // A port that was just closed.
    let gone = peer("127.0.0.1:0").local_addr().unwrap();
    agent.permit(TransportType::Udp, gone.ip());
    agent.say(TransportType::Udp, gone, b"is anybody there?");
    // It takes type and code for eight bits each, where RFC 8656 draws seven and nine.
    agent.expect("ICMP", |agent| agent.icmp == [(gone, 3 << 1, 3)]);
}

#[test]
fn a_wrong_password_gets_nothing() {
    let house = house();
    let wrong = TurnConfig::new(TurnCredentials::new("roland", "guess"));
    let mut agent = over_udp(at(&house, "turn.udp"), &wrong);
    // It goes on asking for long.
    let end = Instant::now() + Duration::from_millis(700);
    while Instant::now() < end {
        agent.work();
    }
    expect_counter(&house, "turn.allocations", 0);
    assert_eq!(agent.client.relayed_addresses().count(), 0);
}
