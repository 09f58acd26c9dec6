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

/// Clients that stay, and those that come again and again.
const STAYING: usize = 12;
const COMING: usize = 2;

/// Nothing may take longer, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(60);

fn connect(port: u16) -> Result<SslStream<TcpStream>, String> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
    // Pebble makes its root anew each time; what is shown is looked at here.
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("connect: {e}"))?;
    stream.set_read_timeout(Some(LONGEST)).map_err(|e| e.to_string())?;
    stream.set_write_timeout(Some(LONGEST)).map_err(|e| e.to_string())?;
    connector.build().connect("sip.falcot.com", stream).map_err(|e| format!("handshake: {e}"))
}

/// A telephone's keep-alive and its answer (RFC 5626 §4.4.1).
fn ping(stream: &mut SslStream<TcpStream>) -> Result<(), String> {
    stream.write_all(b"\r\n\r\n").map_err(|e| format!("write: {e}"))?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).map_err(|e| format!("read: {e}"))?;
    if &answer == b"\r\n" { Ok(()) } else { Err(format!("{answer:?}")) }
}

/// The serial number of what is shown, which has to be Pebble's.
fn serial(stream: &SslStream<TcpStream>) -> Result<String, String> {
    let shown = stream.ssl().peer_certificate().ok_or("nothing is shown")?;
    let issuer = format!("{:?}", shown.issuer_name());
    let serial = shown.serial_number().to_bn().and_then(|n| n.to_hex_str()).map_err(|e| e.to_string())?;
    if issuer.contains("Pebble") { Ok(serial.to_string()) } else { Err(issuer) }
}

fn stay(port: u16, done: &AtomicBool) -> Result<usize, String> {
    let mut stream = connect(port)?;
    let mut pings = 0;
    while !done.load(Ordering::Relaxed) {
        ping(&mut stream)?;
        pings += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    ping(&mut stream)?;
    Ok(pings)
}

fn come(port: u16, done: &AtomicBool) -> Result<(usize, BTreeSet<String>), String> {
    let (mut visits, mut seen) = (0, BTreeSet::new());
    loop {
        let last = done.load(Ordering::Relaxed);
        let mut stream = connect(port)?;
        ping(&mut stream)?;
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
    let (port, done) = (house.port("sip.tls"), AtomicBool::new(false));
    let (stayed, came) = std::thread::scope(|scope| {
        let stayers: Vec<_> = (0..STAYING).map(|_| scope.spawn(|| stay(port, &done))).collect();
        let comers: Vec<_> = (0..COMING).map(|_| scope.spawn(|| come(port, &done))).collect();
        let renewed: Vec<_> = (0..RENEWALS).map(|_| house.cli(&["cert", "renew"], "")).collect();
        done.store(true, Ordering::Relaxed);
        for one in &renewed {
            assert!(one.status.success(), "{}\n{}", text(one), pebble.output());
        }
        let stayed: Result<Vec<_>, _> =
            stayers.into_iter().map(|one| one.join().expect("no panic")).collect();
        let came: Result<Vec<_>, _> = comers.into_iter().map(|one| one.join().expect("no panic")).collect();
        (stayed, came)
    });
    let stayed = stayed.expect("nobody who stayed was dropped");
    assert!(stayed.iter().all(|pings| *pings > 0), "{stayed:?}");
    for (visits, seen) in came.expect("nobody who came was turned away") {
        assert!(visits > RENEWALS && seen.len() >= 2, "{visits} visits saw {seen:?}");
    }
}
