//! Certificates change under clients that stay and clients that come: nobody notices.

use super::{dns, follow, house, is_pebbles, text, wait_for};
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::pebble::{Pebble, Settings};

/// Renewals while clients talk.
const RENEWALS: usize = 5;

/// Clients of each protocol that stay; one more comes again and again.
const STAYING: usize = 4;

/// Nothing may take longer, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(60);

/// What is said, and how to see that the answer to it is whole.
type Said = (&'static str, fn(&[u8]) -> bool);

/// A service that is spoken with by TLS.
struct Service {
    listener: &'static str,
    host: &'static str,
    /// What comes before the first question of a client that stays.
    begins: &'static [Said],
    /// What it asks again and again.
    asks: Said,
    /// What one asks that comes and goes.
    visits: Said,
}

const STREAM: Said = (
    "<stream:stream to='falcot.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    |heard| heard.ends_with(b"</stream:features>"),
);
const SIGN_IN: Said = (
    // roland, secret-roland.
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbGFuZABzZWNyZXQtcm9sYW5k</auth>",
    |heard| heard.starts_with(b"<success") && heard.ends_with(b">"),
);
const BIND: Said = ("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", |heard| {
    heard.ends_with(b"</iq>")
});
const PING: Said = ("<iq type='get' id='p' to='falcot.com'><ping xmlns='urn:xmpp:ping'/></iq>", |heard| {
    heard.windows(13).any(|part| part == b"type='result'") && heard.ends_with(b">")
});
/// A telephone's keep-alive (RFC 5626 §4.4.1).
const KEEP_ALIVE: Said = ("\r\n\r\n", |heard| heard == b"\r\n");
/// A Binding request, with its magic cookie in ASCII and beyond (RFC 8489 §5).
const BINDING: Said = ("\0\u{1}\0\0", |heard| {
    heard.len() >= 20
        && heard.starts_with(b"\x01\x01")
        && heard.len() == 20 + usize::from(u16::from_be_bytes([heard[2], heard[3]]))
});
const PAGE: Said = ("GET /health HTTP/1.1\r\nHost: falcot.com\r\n\r\n", |heard| {
    heard.starts_with(b"HTTP/1.1 200 ") && heard.ends_with(b"\r\n\r\nok\n")
});

static SERVICES: [Service; 4] = [
    Service {
        listener: "sip.tls",
        host: "sip.falcot.com",
        begins: &[],
        asks: KEEP_ALIVE,
        visits: KEEP_ALIVE,
    },
    Service { listener: "turn.tls", host: "turn.falcot.com", begins: &[], asks: BINDING, visits: BINDING },
    Service {
        listener: "xmpp.client-tls",
        host: "falcot.com",
        begins: &[STREAM, SIGN_IN, STREAM, BIND],
        asks: PING,
        visits: STREAM,
    },
    Service { listener: "web.https", host: "falcot.com", begins: &[], asks: PAGE, visits: PAGE },
];

type Stream = SslStream<TcpStream>;

fn connect(port: u16, service: &Service) -> Result<Stream, String> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
    // Pebble makes its root anew each time; what is shown is looked at here.
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("connect: {e}"))?;
    stream.set_read_timeout(Some(LONGEST)).map_err(|e| e.to_string())?;
    stream.set_write_timeout(Some(LONGEST)).map_err(|e| e.to_string())?;
    connector.build().connect(service.host, stream).map_err(|e| format!("handshake: {e}"))
}

/// Says something and waits for the whole answer.
fn ask(stream: &mut Stream, (says, is_whole): Said) -> Result<(), String> {
    let cookie: &[u8] = if says == BINDING.0 { b"\x21\x12\xa4\x42twelve octet" } else { b"" };
    stream.write_all(&[says.as_bytes(), cookie].concat()).map_err(|e| format!("write: {e}"))?;
    let (mut heard, mut room) = (vec![], [0; 4096]);
    while !is_whole(&heard) {
        let so_far = |heard: &[u8]| String::from_utf8_lossy(heard).into_owned();
        match stream.read(&mut room) {
            Ok(0) => return Err(format!("it has ended after {}", so_far(&heard))),
            Ok(length) => heard.extend_from_slice(&room[..length]),
            Err(error) => return Err(format!("read: {error} after {}", so_far(&heard))),
        }
    }
    Ok(())
}

/// The serial number of what is shown, which has to be Pebble's.
fn serial(stream: &Stream) -> Result<String, String> {
    let shown = stream.ssl().peer_certificate().ok_or("nothing is shown")?;
    let issuer = format!("{:?}", shown.issuer_name());
    let serial = shown.serial_number().to_bn().and_then(|n| n.to_hex_str()).map_err(|e| e.to_string())?;
    if issuer.contains("Pebble") { Ok(serial.to_string()) } else { Err(issuer) }
}

fn stay(port: u16, service: &Service, done: &AtomicBool) -> Result<usize, String> {
    let mut stream = connect(port, service)?;
    service.begins.iter().try_for_each(|said| ask(&mut stream, *said))?;
    let mut answers = 0;
    loop {
        let last = done.load(Ordering::Relaxed);
        ask(&mut stream, service.asks)?;
        answers += 1;
        if last {
            return Ok(answers);
        }
        std::thread::sleep(Duration::from_millis(15));
    }
}

fn come(port: u16, service: &Service, done: &AtomicBool) -> Result<(usize, BTreeSet<String>), String> {
    let (mut visits, mut seen) = (0, BTreeSet::new());
    loop {
        let last = done.load(Ordering::Relaxed);
        let mut stream = connect(port, service)?;
        ask(&mut stream, service.visits)?;
        seen.insert(serial(&stream)?);
        visits += 1;
        if last {
            return Ok((visits, seen));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_renewal_under_load_drops_nothing() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    let pebble = Pebble::start(&Settings { rejects: 10, ..settings });
    follow(&house, &pebble);
    house.start();
    wait_for(&mut house, &pebble, is_pebbles);
    house.add("roland@falcot.com", "secret-roland");
    let done = AtomicBool::new(false);
    let services: Vec<_> = SERVICES.iter().map(|one| (one, house.port(one.listener))).collect();
    let (stayed, came): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let done = &done;
        let stay = |(one, port): &(&'static Service, u16)| {
            let (one, port) = (*one, *port);
            (one.listener, scope.spawn(move || stay(port, one, done)))
        };
        let come = |(one, port): &(&'static Service, u16)| {
            let (one, port) = (*one, *port);
            (one.listener, scope.spawn(move || come(port, one, done)))
        };
        let stayers: Vec<_> = (0..STAYING).flat_map(|_| services.iter().map(stay)).collect();
        let comers: Vec<_> = services.iter().map(come).collect();
        let renewed: Vec<_> = (0..RENEWALS).map(|_| house.cli(&["cert", "renew"], "")).collect();
        done.store(true, Ordering::Relaxed);
        for one in &renewed {
            assert!(one.status.success(), "{}\n{}", text(one), pebble.output());
        }
        let stayed = stayers.into_iter().map(|(name, one)| (name, one.join().expect("no panic")));
        let stayed = stayed.collect();
        (stayed, comers.into_iter().map(|(name, one)| (name, one.join().expect("no panic"))).collect())
    });
    for (listener, stayed) in stayed {
        let answers =
            stayed.unwrap_or_else(|error| panic!("{listener}: one who stayed was dropped: {error}"));
        assert!(answers > 1, "{listener}: {answers}");
    }
    for (listener, came) in came {
        let (visits, seen) =
            came.unwrap_or_else(|error| panic!("{listener}: one who came was turned away: {error}"));
        assert!(visits > RENEWALS && seen.len() >= 2, "{listener}: {visits} visits saw {seen:?}");
    }
}
