//! Streams inside TLS: versions, names, protocols, start in mid-stream, bad and slow handshakes, replaced certificates.

use crate::dtls::LOCAL;
use crate::support::*;
use net::tls::{ClientConfig, Identities};
use net::{CloseReason, Full, Limits, Net, Spec, TlsVersion};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use rustls::{ClientConnection, HandshakeKind, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use wire::{ConnectionId, Transport};

type Client = StreamOwned<ClientConnection, TcpStream>;

fn begin(config: &Arc<ClientConfig>, stream: TcpStream) -> io::Result<Client> {
    let session = ClientConnection::new(Arc::clone(config), falcot()).unwrap();
    let mut client = StreamOwned::new(session, stream);
    while client.conn.is_handshaking() {
        client.conn.complete_io(&mut client.sock)?;
    }
    Ok(client)
}

fn echo(client: &mut (impl Read + Write), text: &[u8]) {
    client.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    client.read_exact(&mut back).unwrap();
    assert!(back == text);
}

fn failures(house: &House) -> u64 {
    house.counts(0).handshake_failures
}

#[test]
fn both_versions_are_spoken_and_told() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), ":0")]);
    for (version, expected) in
        [(&rustls::version::TLS12, TlsVersion::Tls12), (&rustls::version::TLS13, TlsVersion::Tls13)]
    {
        let config = trusting(&[&house.der], &[], &[version]);
        let mut client = begin(&config, house.dial(1)).unwrap();
        let (_, info) = house.opened();
        let facts = info.tls.unwrap();
        assert_eq!((info.transport, facts.version), (Transport::Tls, expected));
        assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
        assert_eq!(info.sni.as_deref(), Some("falcot.com"));
        echo(&mut client, b"hello");
        echo(&mut client, &[b'x'; 60_000]);
    }
    assert_eq!(house.counts(0).handshakes, 2);
}

#[test]
fn a_protocol_is_agreed_on_and_a_client_without_one_is_welcome() {
    let house = House::new(1, &[spec(ECHO, tls(&["xmpp-client", "stun.turn"]), "127.0.0.1:0")]);
    for (offered, agreed) in [
        (&["stun.turn", "h2"][..], Some("stun.turn")),
        (&["stun.turn", "xmpp-client"], Some("xmpp-client")),
        (&[], None),
    ] {
        let config = trusting(&[&house.der], offered, rustls::DEFAULT_VERSIONS);
        let mut client = begin(&config, house.dial(0)).unwrap();
        echo(&mut client, b"x");
        assert_eq!(house.opened().1.alpn.as_deref(), agreed.map(str::as_bytes));
    }
    let config = trusting(&[&house.der], &["http/1.1"], rustls::DEFAULT_VERSIONS);
    let error = begin(&config, house.dial(0)).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    assert_eq!(failures(&house), 1);
}

/// The lengths of the plaintexts of the next records, as long as they come at once.
fn records(client: &mut Client, count: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    let (mut head, mut body) = ([0; 5], Vec::new());
    while lengths.len() < count {
        client.sock.read_exact(&mut head).unwrap();
        body.resize(usize::from(u16::from_be_bytes([head[3], head[4]])), 0);
        client.sock.read_exact(&mut body).unwrap();
        let record = [&head[..], &body].concat();
        let (mut rest, mut state) = (&record[..], None);
        while !rest.is_empty() {
            client.conn.read_tls(&mut rest).unwrap();
            state = Some(client.conn.process_new_packets().unwrap());
        }
        match state.expect("a record has a head").plaintext_bytes_to_read() {
            // A session ticket.
            0 => {}
            length => {
                client.conn.reader().read_exact(&mut vec![0; length]).unwrap();
                lengths.push(length);
            }
        }
    }
    lengths
}

#[test]
fn what_is_written_apart_gets_records_of_its_own() {
    let house = House::new(1, &[spec(SHOW, tls(&[]), "127.0.0.1:0")]);
    let mut client = begin(&house.client, house.dial(0)).unwrap();
    let (conn, _) = house.opened();
    house.act(0, move |_, net| {
        for (length, apart) in
            [(1, false), (2, false), (10, true), (20, true), (0, true), (3, false), (30, true)]
        {
            let bytes = vec![b'x'; length];
            let written = if apart { net.write_apart(conn, &bytes) } else { net.write(conn, &bytes) };
            written.expect("there is room");
        }
    });
    assert_eq!(records(&mut client, 5), [3, 10, 20, 3, 30]);
    house.act(0, move |_, net| net.write(conn, &[b'x'; 7]).expect("there is room"));
    assert_eq!(records(&mut client, 1), [7]);
}

/// Writes what comes to whomever the test has chosen.
fn passing(probe: &mut Probe, net: &mut Net<'_, Mail>, _: ConnectionId, data: &[u8]) -> usize {
    for to in probe.positions.keys() {
        net.write(*to, data).expect("there is room");
    }
    data.len()
}

/// The records in which a client hears what others have said while the worker was busy.
fn heard(said: &[usize], count: usize) -> Vec<usize> {
    let specs = [spec(SHOW, tls(&[]), "127.0.0.1:0"), spec(SCRIPT, tcp(), "127.0.0.1:0")];
    let house = House::with(1, &specs, Limits::default(), passing);
    let mut hearer = begin(&house.client, house.dial(0)).unwrap();
    let (conn, _) = house.opened();
    let mut speakers: Vec<TcpStream> = said.iter().map(|_| house.dial(1)).collect();
    speakers.iter().for_each(|_| drop(house.opened()));
    let ((begin, begun), (end, ended)) = (channel(), channel());
    house.act(0, move |probe, _| {
        probe.positions.insert(conn, 0);
        begin.send(()).unwrap();
        ended.recv_timeout(Duration::from_secs(60)).unwrap();
    });
    begun.recv_timeout(Duration::from_secs(60)).unwrap();
    for (speaker, octets) in speakers.iter_mut().zip(said) {
        speaker.write_all(&vec![b'x'; *octets]).unwrap();
    }
    end.send(()).unwrap();
    records(&mut hearer, count)
}

#[test]
fn what_several_say_to_one_at_once_leaves_together() {
    assert_eq!(heard(&[3, 4, 5], 1), [12]);
}

#[test]
fn what_is_plenty_does_not_wait_for_more() {
    assert_eq!(heard(&[16_384, 4], 2), [16_384, 4]);
}

#[test]
fn what_does_not_begin_like_tls_is_closed_unseen() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let mut client = house.dial(0);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(matches!(client.read(&mut [0; 100]), Ok(0) | Err(_)));
    assert!(house.is_quiet());
    assert_eq!((failures(&house), house.counts(0).open), (1, 0));
}

#[test]
fn a_broken_handshake_is_closed() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let mut client = house.dial(0);
    client.write_all(&[22, 3, 1, 0, 5, 9, 9, 9, 9, 9]).unwrap();
    assert!(client.read_to_end(&mut Vec::new()).is_ok());
    drop(client);
    assert!(house.is_quiet());
    assert_eq!((failures(&house), house.counts(0).open), (1, 0));
}

#[test]
fn slow_handshakes_are_closed() {
    let limits = Limits { handshake: Duration::from_millis(150), ..Limits::default() };
    let house = House::with(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")], limits, ignore);
    for begun in [&[][..], &[22], &[22, 3, 1, 2, 0, 1, 0, 1, 252]] {
        let mut client = house.dial(0);
        client.write_all(begun).unwrap();
        let error = client.read(&mut [0; 100]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert!(house.is_quiet());
    assert_eq!((failures(&house), house.counts(0).open), (3, 0));
}

#[test]
fn a_client_that_says_nothing_inside_tls_is_closed() {
    let limits = Limits { first_byte: Duration::from_millis(150), ..Limits::default() };
    let house = House::with(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")], limits, ignore);
    let mut client = begin(&house.client, house.dial(0)).unwrap();
    assert_eq!(house.closed().1, CloseReason::Silent);
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0, "close_notify");
}

/// On `starttls`: says `go`, starts TLS, and writes what is to leave inside it.
fn starting(probe: &mut Probe, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    probe.tell(Seen::Received { conn, data: data.to_vec() });
    if data.starts_with(b"starttls") {
        net.write(conn, b"go").unwrap();
        net.accept_tls(conn, None);
        net.write(conn, b"welcome inside").unwrap();
        return b"starttls".len();
    }
    data.len()
}

#[test]
fn tls_starts_in_mid_stream_and_forgets_what_came_in_plain() {
    let house = House::with(1, &[spec(SCRIPT, tcp(), "127.0.0.1:0")], Limits::default(), starting);
    let mut stream = house.dial(0);
    stream.write_all(b"starttls and a command smuggled in").unwrap();
    let mut go = [0; 2];
    stream.read_exact(&mut go).unwrap();
    assert_eq!(&go, b"go");
    let mut client = begin(&house.client, stream).unwrap();
    let mut welcome = [0; 14];
    client.read_exact(&mut welcome).unwrap();
    assert_eq!(&welcome, b"welcome inside");
    client.write_all(b"inside").unwrap();
    let mut story = Vec::new();
    while story.last().is_none_or(|last| last != "inside") {
        story.push(match house.next() {
            Seen::Opened { info, .. } => format!("opened {}", info.transport),
            Seen::Received { data, .. } => String::from_utf8(data).unwrap(),
            Seen::Secured { info } => format!("secured {} {:?}", info.transport, info.sni),
            other => panic!("{other:?}"),
        });
    }
    let expected =
        ["opened tcp", "starttls and a command smuggled in", "secured tls Some(\"falcot.com\")", "inside"];
    assert_eq!(story, expected);
}

#[test]
fn tls_that_does_not_come_up_in_mid_stream_closes() {
    let limits = Limits { handshake: Duration::from_millis(150), ..Limits::default() };
    let house = House::with(1, &[spec(SCRIPT, tcp(), "127.0.0.1:0")], limits, starting);
    for (next, expected) in [
        (&b""[..], CloseReason::HandshakeTimeout),
        (b"plain", CloseReason::Tls("the peer does not speak TLS".into())),
    ] {
        let mut stream = house.dial(0);
        stream.write_all(b"starttls").unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        stream.write_all(next).unwrap();
        assert_eq!(house.closed().1, expected);
    }
    assert_eq!(failures(&house), 2);
}

#[test]
fn a_new_certificate_is_used_at_once_and_running_connections_go_on() {
    let house = House::new(2, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let renewed = certificate();
    let config = || trusting(&[&house.der, &renewed.der], &[], rustls::DEFAULT_VERSIONS);
    let shown = |client: &Client| client.conn.peer_certificates().unwrap()[0].clone();
    let mut before = begin(&config(), house.dial(0)).unwrap();
    assert_eq!(shown(&before), house.der);
    house.identities.replace(renewed.identity.clone());
    assert_eq!(house.identities.current().chain().next().unwrap(), &renewed.der[..]);
    for _ in 0..6 {
        let mut after = begin(&config(), house.dial(0)).unwrap();
        assert_eq!(shown(&after), renewed.der);
        echo(&mut after, b"new");
    }
    echo(&mut before, b"old");
}

#[test]
fn a_session_is_resumed_with_whichever_worker() {
    let house = House::new(2, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let mut workers = std::collections::HashSet::new();
    for round in 0..40 {
        let mut client = begin(&house.client, house.dial(0)).unwrap();
        echo(&mut client, b"x");
        let expected = if round == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
        assert_eq!(client.conn.handshake_kind(), Some(expected));
        workers.insert(house.opened().0.worker);
        if workers.len() == 2 && round > 3 {
            break;
        }
    }
    assert_eq!(workers.len(), 2, "the kernel spreads connections");
}

#[test]
fn the_end_is_said_inside_tls_by_both_sides() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let mut client = begin(&house.client, house.dial(0)).unwrap();
    let (conn, _) = house.opened();
    house.act(0, move |_, net| {
        net.write(conn, &[5; 300_000]).unwrap();
        net.close(conn);
    });
    let mut all = Vec::new();
    client.read_to_end(&mut all).expect("no truncation");
    assert_eq!(all.len(), 300_000);
    drop(client);
    assert_eq!(house.closed().1, CloseReason::Local);

    let mut client = begin(&house.client, house.dial(0)).unwrap();
    client.conn.writer().write_all(b"last").unwrap();
    client.conn.send_close_notify();
    while client.conn.wants_write() {
        client.conn.write_tls(&mut client.sock).unwrap();
    }
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "last");
    assert_eq!(house.closed().1, CloseReason::Peer);

    let mut client = begin(&house.client, house.dial(0)).unwrap();
    echo(&mut client, b"x");
    client.sock.shutdown(Shutdown::Both).unwrap();
    assert_eq!(house.closed().1, CloseReason::Peer, "TCP alone says it too");
    assert_eq!(house.counts(0).open, 0);
}

#[test]
fn nonsense_inside_tls_closes() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    let mut client = begin(&house.client, house.dial(0)).unwrap();
    house.opened();
    client
        .sock
        .write_all(&[23, 3, 3, 0, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
        .unwrap();
    assert!(matches!(house.closed().1, CloseReason::Tls(_)));
}

#[test]
fn a_slow_reader_inside_tls_fills_the_buffer_and_loses_nothing() {
    let limits = Limits { write_buffer: 100_000, ..Limits::default() };
    let house = House::with(1, &[spec(SHOW, tls(&[]), "127.0.0.1:0")], limits, ignore);
    let mut client = begin(&house.client, house.dial(0)).unwrap();
    let (conn, _) = house.opened();
    let mut written = 0usize;
    while house.ask(0, move |_, net| net.write(conn, &[(written / 10_000) as u8; 10_000])) != Err(Full) {
        written += 10_000;
        assert!(written < 50_000_000, "the buffer is bounded");
    }
    house.act(0, move |_, net| net.close(conn));
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), written);
    assert!(all.chunks(10_000).enumerate().all(|(number, piece)| piece.iter().all(|&o| o == number as u8)));
}

/// Takes a few bytes and pauses.
fn sips(probe: &mut Probe, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    let taken = data.len().min(5000);
    probe.tell(Seen::Received { conn, data: data[..taken].to_vec() });
    net.pause(conn);
    taken
}

#[test]
fn pausing_inside_tls_keeps_every_byte_and_the_end() {
    let house = House::with(1, &[spec(SCRIPT, tls(&[]), "127.0.0.1:0")], Limits::default(), sips);
    let mut client = begin(&house.client, house.dial(0)).unwrap();
    let (conn, _) = house.opened();
    let text: Vec<u8> = (0..50_000u32).flat_map(u32::to_be_bytes).collect();
    let sent = text.clone();
    let sender = std::thread::spawn(move || {
        client.write_all(&sent).unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        client
    });
    let mut all = Vec::new();
    let reason = loop {
        match house.next() {
            Seen::Received { data, .. } => all.extend(data),
            Seen::Closed { reason, .. } => break reason,
            other => panic!("{other:?}"),
        }
        house.act(0, move |_, net| net.resume(conn));
    };
    assert!(all == text);
    assert_eq!(reason, CloseReason::Peer);
    drop(sender.join().unwrap());
}

#[test]
fn we_connect_inside_tls_and_start_it_in_mid_stream_too() {
    let specs = [spec(ECHO, tls(&[]), "127.0.0.1:0"), spec(SCRIPT, tcp(), "127.0.0.1:0")];
    let house = House::with(2, &specs, Limits::default(), starting);
    let (inside, plain) = (house.address(0), house.address(1));
    let towards = house.towards();
    house.act(0, move |_, net| {
        let conn = net.connect(inside, towards, SHOW);
        net.write(conn, b"early").unwrap();
    });
    let data = house.find(|seen| match seen {
        Seen::Received { data, .. } => Some(data),
        _ => None,
    });
    assert_eq!(data, b"early", "echoed");
    let conn = house.ask(0, move |_, net| {
        let conn = net.connect(plain, None, SHOW);
        net.write(conn, b"starttls").unwrap();
        conn
    });
    house.find(|seen| match seen {
        Seen::Received { data, conn: from } => (from == conn && data == b"go").then_some(()),
        _ => None,
    });
    let towards = house.towards().unwrap();
    house.act(0, move |_, net| net.start_tls(conn, towards));
    house.find(|seen| match seen {
        Seen::Received { data, conn: from } => (from == conn && data == b"welcome inside").then_some(()),
        _ => None,
    });
}

#[test]
fn a_server_that_we_do_not_trust_refuses_us() {
    let house = House::new(1, &[spec(ECHO, tls(&[]), "127.0.0.1:0")]);
    house.identities.replace(certificate().identity);
    let (to, towards) = (house.address(0), house.towards());
    house.act(0, move |_, net| {
        net.connect(to, towards, SHOW);
    });
    let Seen::Refused { tag, .. } = house.next() else { panic!() };
    assert_eq!(tag, SHOW);
}

#[test]
fn a_client_is_asked_who_it_is_where_the_listener_says_so_and_a_browser_is_not() {
    let mut asking = spec(SHOW, tls(&["sip/2", "http/1.1"]), "127.0.0.1:0");
    asking.asks = true;
    let house = House::new(1, &[asking, spec(SHOW, tls(&[]), "127.0.0.1:0")]);
    let identities = Identities::new(certificate().identity);
    for (versions, door, alpn, shown) in [
        (&[&rustls::version::TLS13][..], 0, &[][..], true),
        (&[&rustls::version::TLS12], 0, &["sip/2"], true),
        (&[&rustls::version::TLS13], 0, &["http/1.1"], false),
        (&[&rustls::version::TLS13], 1, &[], false),
    ] {
        let mut config = ClientConfig::clone(&trusting(&[&house.der], alpn, versions));
        let mut client = begin(&Arc::new(config.clone()), house.dial(door)).unwrap();
        client.write_all(b"x").unwrap();
        assert_eq!(house.opened().1.chain, None, "it has nothing to show");
        config.client_auth_cert_resolver = identities.speaking_for("falcot.com");
        let mut client = begin(&Arc::new(config), house.dial(door)).unwrap();
        client.write_all(b"x").unwrap();
        let chain = house.find(|seen| match seen {
            Seen::Opened { info, .. } => Some(info.chain),
            _ => None,
        });
        let expected = shown.then(|| identities.current().chain().next().unwrap().to_vec());
        assert_eq!(chain.map(|chain| chain[0].to_vec()), expected, "{alpn:?}");
    }
}

#[test]
fn a_greeting_in_pieces_or_broken_is_dealt_with_where_clients_are_asked() {
    let mut asking = spec(ECHO, tls(&["sip/2"]), "127.0.0.1:0");
    asking.asks = true;
    let house = House::new(1, &[asking]);
    let mut session = ClientConnection::new(Arc::clone(&house.client), falcot()).unwrap();
    let (mut stream, mut hello) = (house.dial(0), Vec::new());
    session.write_tls(&mut hello).unwrap();
    for byte in hello {
        stream.write_all(&[byte]).unwrap();
    }
    let mut client = StreamOwned::new(session, stream);
    echo(&mut client, b"hello");
    let mut client = house.dial(0);
    client.write_all(&[22, 3, 1, 0, 5, 9, 9, 9, 9, 9]).unwrap();
    assert!(client.read_to_end(&mut Vec::new()).is_ok());
    let config = trusting(&[&house.der], &["xmpp-client"], rustls::DEFAULT_VERSIONS);
    let error = begin(&config, house.dial(0)).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "it is told why: {error}");
    assert_eq!(failures(&house), 2);
}

/// A certificate as old telephones have it: of version 1, for an RSA key of so many bits.
fn old_certificate(bits: u32) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "000E08ABCDEF").unwrap();
    let (name, mut builder) = (name.build(), X509Builder::new().unwrap());
    builder.set_version(0).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha1()).unwrap();
    (builder.build(), key)
}

#[test]
fn what_old_telephones_show_is_no_obstacle_but_has_to_be_theirs() {
    let mut asking = spec(SHOW, tls(&[]), "127.0.0.1:0");
    asking.asks = true;
    let house = House::new(1, &[asking]);
    for (bits, newest) in [(1024, SslVersion::TLS1_2), (1024, SslVersion::TLS1_3), (2048, SslVersion::TLS1_3)]
    {
        let (certificate, key) = old_certificate(bits);
        let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
        connector.set_security_level(0);
        connector.set_max_proto_version(Some(newest)).unwrap();
        connector.set_verify(SslVerifyMode::NONE);
        connector.set_certificate(&certificate).unwrap();
        connector.set_private_key(&key).unwrap();
        let mut config = connector.build().configure().unwrap();
        config.set_verify_hostname(false);
        let mut stream = config.connect("falcot.com", house.dial(0)).unwrap();
        stream.write_all(b"x").unwrap();
        let chain = house.opened().1.chain.expect("it was asked");
        assert_eq!(chain[0].to_vec(), certificate.to_der().unwrap());
        assert!(matches!(house.next(), Seen::Received { .. }));
        drop(stream);
        house.find(|seen| matches!(seen, Seen::Closed { .. }).then_some(()));
    }
}

/// A handshake costs us more than whoever begins it.
#[test]
fn who_begins_handshakes_too_often_is_turned_away_and_comes_back() {
    let limits = Limits { handshakes_per_source: 1, ..Limits::default() };
    let house = House::with(1, &[spec(ECHO, tls(&[]), ":0")], limits, ignore);
    let shake = || begin(&house.client, house.dial(1));
    let granted = (0..200).take_while(|_| shake().is_ok()).count();
    assert!((10..200).contains(&granted), "{granted}");
    let counts = house.counts(0);
    assert_eq!((counts.handshakes_refused, counts.handshake_failures), (1, 1));
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let mut client = loop {
        match shake() {
            Ok(client) => break client,
            Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    echo(&mut client, b"hello");
}

/// A handler may have to look something up before it reads: what the peer says first waits, whatever it was looked at for.
#[test]
fn what_a_stream_begins_with_waits_for_a_handler_that_pauses_at_once() {
    let plain = || spec(PAUSED, tcp(), LOCAL);
    let sealed = || spec(PAUSED, tls(&[]), LOCAL);
    let web = |spec: Spec| Spec { web: true, ..spec };
    for (spec, inside) in [(plain(), false), (web(plain()), false), (sealed(), true), (web(sealed()), true)] {
        let house = House::new(1, std::slice::from_ref(&spec));
        let mut client: Box<dyn Write> = match inside {
            true => Box::new(house.dial_tls(0)),
            false => Box::new(house.dial(0)),
        };
        client.write_all(b"REGISTER and more").unwrap();
        client.flush().unwrap();
        let conn = house.opened().0;
        assert!(house.is_quiet());
        house.act(0, move |_, net| net.resume(conn));
        let mut came = Vec::new();
        while came.len() < 17 {
            let more = house.find(|seen| match seen {
                Seen::Received { data, .. } => Some(data),
                _ => None,
            });
            came.extend(more);
        }
        assert_eq!(came, b"REGISTER and more", "{spec:?}");
    }
}
