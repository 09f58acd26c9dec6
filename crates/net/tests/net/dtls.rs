//! DTLS: OpenSSL's own client over loopback, through a wire that loses, doubles and reorders where a test wants it.

use crate::support::{ECHO, House, SHOW, Seen, dtls, ignore, spec};
use net::tls::{Identities, Identity};
use net::{CloseReason, Limits, TlsVersion};
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::Transport;

pub(crate) const LOCAL: &str = "127.0.0.1:0";

/// What the wire does with the `n`th datagram of one direction.
type Fate = fn(usize) -> Do;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Do {
    Carry,
    Lose,
    Double,
    /// Behind the next one.
    Late,
    /// With a few octets changed, and somewhat cut off at times.
    Garble,
}

fn carry(_: usize) -> Do {
    Do::Carry
}

/// A datagram socket as OpenSSL reads and writes it.
pub(crate) struct Wire {
    socket: UdpSocket,
    fates: [Fate; 2],
    counts: [usize; 2],
    held: [Option<Vec<u8>>; 2],
    arrived: VecDeque<Vec<u8>>,
    /// The largest datagram that came.
    largest: usize,
}

impl Wire {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let any = if server.is_ipv6() { "[::1]:0" } else { LOCAL };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (counts, held) = ([0; 2], [None, None]);
        Self { socket, fates: [carry; 2], counts, held, arrived: VecDeque::new(), largest: 0 }
    }

    /// What becomes of a datagram: those that go on now, in their order.
    fn fate(&mut self, way: usize, datagram: &[u8]) -> Vec<Vec<u8>> {
        let fate = self.fates[way](self.counts[way]);
        self.counts[way] += 1;
        let mut out = match fate {
            Do::Carry => vec![datagram.to_vec()],
            Do::Lose => vec![],
            Do::Garble => vec![garbled(datagram, self.counts[way])],
            Do::Double => vec![datagram.to_vec(); 2],
            Do::Late => {
                let before = self.held[way].replace(datagram.to_vec());
                return before.into_iter().collect();
            }
        };
        out.extend(self.held[way].take());
        out
    }
}

/// A datagram changed in a way that depends on `seed`, mostly where lengths and numbers stand.
fn garbled(datagram: &[u8], seed: usize) -> Vec<u8> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ datagram.len() as u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut bytes = datagram.to_vec();
    for _ in 0..=next(3) {
        let at = if next(2) == 0 { next(bytes.len().min(80)) } else { next(bytes.len()) };
        bytes[at] = next(256) as u8;
    }
    if next(4) == 0 {
        bytes.truncate(1 + next(bytes.len()));
    }
    bytes
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut bytes = [0; 65_536];
        while self.arrived.is_empty() {
            let length = self.socket.recv(&mut bytes)?;
            self.largest = self.largest.max(length);
            let gone_on = self.fate(1, &bytes[..length]);
            self.arrived.extend(gone_on);
        }
        let datagram = self.arrived.pop_front().unwrap();
        room[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        for datagram in self.fate(0, datagram) {
            self.socket.send(&datagram)?;
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn context(version: SslVersion) -> SslContext {
    let mut builder = SslContext::builder(SslMethod::dtls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_security_level(0);
    builder.set_cipher_list("ALL").unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_options(SslOptions::NO_QUERY_MTU);
    builder.set_alpn_protos(b"\x09stun.turn").unwrap();
    builder.build()
}

pub(crate) type Client = SslStream<Wire>;

fn client(wire: Wire, version: SslVersion) -> Client {
    let mut ssl = Ssl::new(&context(version)).unwrap();
    ssl.set_mtu(1400).unwrap();
    ssl.set_hostname("falcot.com").unwrap();
    ssl.set_connect_state();
    SslStream::new(ssl, wire).unwrap()
}

/// Goes on until the handshake is done; OpenSSL sends again by itself when it is asked for long enough.
fn shake(client: &mut Client) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        match client.connect() {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("time".to_owned())
}

fn through(wire: Wire) -> Client {
    let mut client = client(wire, SslVersion::DTLS1_2);
    shake(&mut client).unwrap();
    client
}

pub(crate) fn connect_to(server: SocketAddr) -> Client {
    through(Wire::to(server))
}

fn connect(house: &House) -> Client {
    connect_to(house.address(0))
}

fn next(client: &mut Client) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 65_536];
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        match client.ssl_read(&mut bytes) {
            Ok(length) => return Some(bytes[..length].to_vec()),
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(_) => return None,
        }
    }
    panic!("nothing came");
}

/// An identity with an RSA key, and a chain that is too long for one datagram.
pub(crate) fn rsa() -> Identity {
    use openssl::{asn1::Asn1Time, hash::MessageDigest, pkey::PKey, rsa::Rsa, x509::X509Builder};
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let pem = builder.build().to_pem().unwrap();
    Identity::from_pem(&pem.repeat(5), &key.private_key_to_pem_pkcs8().unwrap()).unwrap()
}

pub(crate) fn echoes(client: &mut Client, text: &[u8]) {
    client.ssl_write(text).unwrap();
    assert_eq!(next(client).as_deref(), Some(text));
}

fn house() -> House {
    House::new(1, &[spec(ECHO, dtls(&["stun.turn"]), LOCAL)])
}

fn replace(identities: &Arc<Identities>, identity: Identity) {
    identities.replace(identity);
}

#[test]
fn a_session_is_a_connection_and_each_record_a_message() {
    let house = house();
    assert_eq!(house.running.bound()[0].transport, Transport::Dtls);
    let mut client = connect(&house);
    let (conn, info) = house.opened();
    assert_eq!((info.transport, info.tag, info.outgoing), (Transport::Dtls, ECHO, false));
    assert_eq!((info.alpn.as_deref(), info.sni.as_deref()), (Some(&b"stun.turn"[..]), Some("falcot.com")));
    assert_eq!((info.local, info.peer), (house.address(0), client.get_ref().socket.local_addr().unwrap()));
    let facts = info.tls.unwrap();
    assert_eq!(
        (facts.version, facts.cipher),
        (TlsVersion::Dtls12, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
    );
    for length in [1, 160, 1200, 16_384] {
        echoes(&mut client, &vec![7; length]);
    }
    assert_eq!(client.selected(), Some(b"stun.turn".to_vec()));
    // close_notify, and one in return.
    client.shutdown().unwrap();
    assert_eq!(next(&mut client), None);
    assert_eq!(house.closed(), (conn, CloseReason::Peer));
    let counts = house.counts(0);
    assert_eq!((counts.open, counts.accepted, counts.handshakes), (0, 1, 1));
}

trait Selected {
    fn selected(&self) -> Option<Vec<u8>>;
}

impl Selected for Client {
    fn selected(&self) -> Option<Vec<u8>> {
        self.ssl().selected_alpn_protocol().map(<[u8]>::to_vec)
    }
}

#[test]
fn rsa_and_ecdsa_certificates_swap_while_sessions_go_on() {
    let house = house();
    let mut before = connect(&house);
    replace(&house.identities, rsa());
    let mut after = connect(&house);
    let key = |client: &Client| client.ssl().peer_certificate().unwrap().public_key().unwrap();
    assert!(key(&before).ec_key().is_ok() && key(&after).rsa().is_ok());
    assert!(after.get_ref().largest <= 1200, "a flight of {} octets", after.get_ref().largest);
    echoes(&mut before, b"before");
    echoes(&mut after, b"after");
}

/// A ClientHello without a cookie, as the client sent it.
fn first_hello(house: &House) -> Vec<u8> {
    let catcher = UdpSocket::bind(LOCAL).unwrap();
    catcher.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let wire = Wire::to(catcher.local_addr().unwrap());
    let _ = client(wire, SslVersion::DTLS1_2).connect();
    let mut bytes = vec![0; 2048];
    let length = catcher.recv(&mut bytes).unwrap();
    bytes.truncate(length);
    assert!(house.running.bound().len() == 1);
    bytes
}

/// The same with the cookie that was given.
fn second_hello(first: &[u8], reply: &[u8]) -> Vec<u8> {
    let cookie = &reply[28..];
    let session = usize::from(first[59]);
    let at = 60 + session;
    let mut second = first[..at].to_vec();
    second.push(cookie.len() as u8);
    second.extend(cookie);
    second.extend(&first[at + 1..]);
    for place in [11, 14, 22] {
        let place = if place == 11 { 11 } else { place + usize::from(place != 11) };
        let old = u16::from_be_bytes([second[place], second[place + 1]]);
        second[place..place + 2].copy_from_slice(&(old + cookie.len() as u16).to_be_bytes());
    }
    (second[10], second[18]) = (1, 1);
    second
}

#[test]
fn a_stranger_gets_a_cookie_and_nothing_is_kept_of_it() {
    let house = house();
    let first = first_hello(&house);
    let stranger = Wire::to(house.address(0)).socket;
    let mut reply = [0; 2048];
    for _ in 0..100 {
        stranger.send(&first).unwrap();
        let length = stranger.recv(&mut reply).unwrap();
        assert!(length <= first.len() && reply[13] == 3, "{length} octets for {}", first.len());
    }
    // Noise and records without a session are not answered at all.
    for noise in
        [&b"\x16\xfe\xff"[..], &[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9], &first[..first.len() - 1]]
    {
        stranger.send(noise).unwrap();
    }
    assert!(stranger.recv(&mut reply).is_err());
    let counts = house.counts(0);
    assert_eq!((counts.accepted, counts.open, counts.handshake_failures), (0, 0, 0));
}

#[test]
fn half_open_handshakes_are_bounded_and_end() {
    let limits = Limits {
        half_open: 5,
        half_open_per_source: 3,
        handshake: Duration::from_millis(1500),
        ..Limits::default()
    };
    let house = House::with(1, &[spec(ECHO, dtls(&["stun.turn"]), LOCAL)], limits, crate::support::ignore);
    let first = first_hello(&house);
    let mut reply = [0; 2048];
    let strangers: Vec<UdpSocket> = (0..20).map(|_| Wire::to(house.address(0)).socket).collect();
    for stranger in &strangers {
        stranger.send(&first).unwrap();
        let length = stranger.recv(&mut reply).unwrap();
        stranger.send(&second_hello(&first, &reply[..length])).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(5);
    while house.counts(0).accepted + house.counts(0).turned_away < 20 && Instant::now() < until {}
    let counts = house.counts(0);
    assert_eq!((counts.open, counts.turned_away), (3, 17));
    // They are told again what they do not acknowledge, then they are given up.
    while house.counts(0).open > 0 && Instant::now() < until {}
    assert_eq!((house.counts(0).open, house.counts(0).handshake_failures), (0, 3));
    let flights = std::iter::from_fn(|| strangers[0].recv(&mut reply).ok()).collect::<Vec<_>>();
    assert!(flights.len() >= 2 && flights.iter().all(|&length| length <= 1200), "{flights:?}");
    echoes(&mut connect(&house), b"there is room again");
}

#[test]
fn handshakes_survive_loss_doubling_and_reordering() {
    let house = house();
    replace(&house.identities, rsa());
    // A quarter, without a rhythm that fragments could fall into.
    let lose: Fate =
        |n| if (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 1 { Do::Lose } else { Do::Carry };
    let shuffle: Fate = |n| [Do::Late, Do::Carry, Do::Double][n % 3];
    let ways = [[carry, lose], [lose, carry], [carry, shuffle], [shuffle, carry], [lose, lose]];
    std::thread::scope(|scope| {
        for fates in ways {
            let mut wire = Wire::to(house.address(0));
            wire.fates = fates;
            scope.spawn(move || {
                let mut client = through(wire);
                client.get_mut().fates = [carry; 2];
                echoes(&mut client, b"through");
            });
        }
    });
}

#[test]
fn garbled_datagrams_harm_nobody_else() {
    let house = house();
    let mut witness = connect(&house);
    for round in 0..30 {
        let mut wire = Wire::to(house.address(0));
        wire.counts[0] = round * 10;
        wire.socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        wire.fates[0] = |n| if n % 10 > 1 || n % 3 == 0 { Do::Garble } else { Do::Carry };
        let mut client = client(wire, SslVersion::DTLS1_2);
        // The handshake as far as it gets, and what is said afterwards.
        let _ = (0..3).any(|_| client.connect().is_ok());
        let _ = (0..10).try_for_each(|_| client.ssl_write(b"word").map(drop));
    }
    echoes(&mut witness, b"still there");
    echoes(&mut connect(&house), b"as before");
}

#[test]
fn a_message_that_comes_twice_is_seen_once() {
    let house = House::new(1, &[spec(SHOW, dtls(&["stun.turn"]), LOCAL)]);
    let mut client = connect(&house);
    client.get_mut().fates[0] = |_| Do::Double;
    client.ssl_write(b"once").unwrap();
    client.ssl_write(b"last").unwrap();
    let received = || {
        house.find(|seen| match seen {
            Seen::Received { data, .. } => Some(data),
            _ => None,
        })
    };
    assert_eq!((received(), received()), (b"once".to_vec(), b"last".to_vec()));
    assert!(house.is_quiet());
}

#[test]
fn a_client_that_begins_anew_at_the_same_address_gets_a_new_session() {
    let house = house();
    let mut first = connect(&house);
    let (old, _) = house.opened();
    let mut wire = Wire::to(house.address(0));
    wire.socket = first.get_ref().socket.try_clone().unwrap();
    let mut second = client(wire, SslVersion::DTLS1_2);
    // A hello without a cookie does nothing to the session that there is: anybody may send one.
    first.get_ref().socket.send(&first_hello(&house)).unwrap();
    echoes(&mut first, b"still there");
    shake(&mut second).unwrap();
    assert_eq!(house.closed(), (old, CloseReason::Peer));
    echoes(&mut second, b"anew");
    assert_eq!(house.counts(0).open, 1);
}

#[test]
fn a_session_has_the_address_that_its_client_wrote_to() {
    let house = House::new(2, &[spec(ECHO, dtls(&["stun.turn"]), ":0")]);
    let port = house.address(0).port();
    for ip in ["127.0.0.1", "127.0.0.2", "[::1]"] {
        let server: SocketAddr = format!("{ip}:{port}").parse().unwrap();
        let mut client = connect_to(server);
        assert_eq!(house.opened().1.local, server);
        echoes(&mut client, b"from there");
    }
}

#[test]
fn silent_sessions_end() {
    let limits = Limits {
        first_byte: Duration::from_millis(200),
        session_idle: Duration::from_millis(600),
        ..Limits::default()
    };
    let house = House::with(1, &[spec(ECHO, dtls(&[]), LOCAL)], limits, crate::support::ignore);
    let mut mute = connect(&house);
    let (conn, _) = house.opened();
    assert_eq!(house.closed(), (conn, CloseReason::Silent));
    assert_eq!(next(&mut mute), None, "it is told");
    let begun = Instant::now();
    let mut quiet = connect(&house);
    echoes(&mut quiet, b"one word");
    let (conn, _) = house.opened();
    assert_eq!(house.closed(), (conn, CloseReason::Silent));
    assert!(begun.elapsed() >= Duration::from_millis(600));
}

#[test]
fn the_server_closes_in_order_and_admits_no_more_than_its_limits() {
    let limits = Limits { connections_per_source: 1, ..Limits::default() };
    let house = House::with(1, &[spec(ECHO, dtls(&["stun.turn"]), LOCAL)], limits, crate::support::ignore);
    let mut client = connect(&house);
    let (conn, _) = house.opened();
    assert!(shake(&mut self::client(Wire::to(house.address(0)), SslVersion::DTLS1_2)).is_err());
    house.act(0, move |_, net| net.close(conn));
    assert_eq!(house.closed(), (conn, CloseReason::Local));
    assert_eq!(next(&mut client), None);
    echoes(&mut connect(&house), b"the place is free");
}

#[test]
fn dtls_1_0_and_unknown_protocols_are_refused() {
    let house = house();
    let refused = |client: &mut Client| shake(client).unwrap_err();
    let old = refused(&mut client(Wire::to(house.address(0)), SslVersion::DTLS1));
    assert!(old.contains("version"), "{old}");
    let mut other = client(Wire::to(house.address(0)), SslVersion::DTLS1_2);
    other.set_protocols(b"\x04xmpp");
    assert!(refused(&mut other).contains("application protocol"));
    assert_eq!(house.counts(0).handshake_failures, 2);
}

trait Protocols {
    fn set_protocols(&mut self, list: &[u8]);
}

impl Protocols for Client {
    fn set_protocols(&mut self, list: &[u8]) {
        let mut ssl = Ssl::new(&context(SslVersion::DTLS1_2)).unwrap();
        ssl.set_mtu(1400).unwrap();
        ssl.set_alpn_protos(list).unwrap();
        ssl.set_connect_state();
        let wire = Wire::to(self.get_ref().socket.peer_addr().unwrap());
        *self = SslStream::new(ssl, wire).unwrap();
    }
}

#[test]
fn more_sessions_than_keep_buffers_work_in_turns() {
    let house = house();
    let mut clients: Vec<Client> = (0..70).map(|_| connect(&house)).collect();
    for round in 0..2 {
        for (index, client) in clients.iter_mut().enumerate() {
            echoes(client, format!("{round} {index}").as_bytes());
        }
    }
    assert_eq!(house.counts(0).open, 70);
}

/// What is refused is not answered: clients send their hello again, and are taken when they may be.
#[test]
fn who_begins_handshakes_too_often_waits() {
    let limits = Limits { handshakes_per_source: 1, ..Limits::default() };
    let house = House::with(1, &[spec(ECHO, dtls(&["stun.turn"]), LOCAL)], limits, ignore);
    for _ in 0..100 {
        echoes(&mut connect(&house), b"hello");
        if house.counts(0).handshakes_refused > 0 {
            return;
        }
    }
    panic!("nobody has waited");
}
