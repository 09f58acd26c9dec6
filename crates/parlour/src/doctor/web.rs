//! What browsers find: the pages of HTTPS, the way there from plain HTTP, and WebSockets of SIP and XMPP (RFC 7118, RFC 7395).

use super::notes::{Finding, Notes};
use super::places::Place;
use super::way::Way;
use super::{Patient, Skipped};
use crate::config::Plan;
use crate::config::plan::Service;
use std::io;
use std::time::{Duration, Instant};
use wire::Transport;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of an answer.
const MOST: usize = 64 * 1024;

/// What is asked, and what should come.
struct Page {
    path: &'static str,
    /// The protocol of a WebSocket that is asked for (RFC 6455 §4.1).
    socket: Option<&'static str>,
    expected: &'static [u16],
}

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    patient.server()?;
    let plan = &patient.plan;
    let mut tried = 0;
    for place in &patient.places {
        for page in pages(place) {
            tried += 1;
            let (found, what) =
                (ask(plan, place, &page), if page.socket.is_some() { "websocket" } else { "page" });
            let said = match found {
                Ok(status) if page.expected.contains(&status) => {
                    notes.fine(format!("{place}: {} answers {status}", page.path));
                    continue;
                }
                Ok(status) => format!("{} answers {status}", page.path),
                Err(error) => format!("{}: {error}", page.path),
            };
            let message = match page.socket {
                Some(protocol) => format!("a browser has no WebSocket of {protocol} there"),
                None => "a browser does not find what should be there".into(),
            };
            let fix =
                "journalctl -u parlour   # PARLOUR_LOG=debug shows why a request is refused; see docs/web.md";
            notes.found(
                Finding::error(format!("web-{what}"), message).seen(format!("{place}: {said}")).mend(fix),
            );
        }
    }
    if tried == 0 {
        Err(Skipped("no listener for browsers is reached, or none is on".into()))
    } else {
        Ok(())
    }
}

/// What there is at a place.
fn pages(place: &Place) -> Vec<Page> {
    let page = |path, expected| Page { path, socket: None, expected };
    let socket = |path, protocol| Page { path, socket: Some(protocol), expected: &[101] };
    match (place.service, place.transport) {
        // That the server suffers from something is said elsewhere.
        (Service::Web, Transport::Tls) => vec![page("/health", &[200, 503])],
        (Service::Web, _) => vec![page("/", &[301, 308])],
        (Service::Sip, Transport::Ws | Transport::Wss) => vec![socket("/", "sip")],
        (Service::Xmpp, Transport::Ws | Transport::Wss) => vec![socket("/xmpp-websocket", "xmpp")],
        _ => vec![],
    }
}

fn ask(plan: &Plan, place: &Place, page: &Page) -> io::Result<u16> {
    let way = Way::to(place)?;
    let name = place.name(plan);
    let mut way = match place.transport {
        Transport::Tls | Transport::Wss => way.seal(&name, "http/1.1")?,
        _ => way,
    };
    let asked = match page.socket {
        Some(protocol) => format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: cGFybG91ciBkb2N0b3IuLg==\r\nSec-WebSocket-Protocol: {protocol}\r\n"
        ),
        None => "Connection: close\r\n".into(),
    };
    way.send(format!("GET {} HTTP/1.1\r\nHost: {name}\r\n{asked}\r\n", page.path).as_bytes())?;
    let until = Instant::now() + PATIENCE;
    loop {
        let text = String::from_utf8_lossy(&way.arrived).into_owned();
        if let Some((head, _)) = text.split_once("\r\n") {
            let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
            return status.ok_or_else(|| io::Error::other("what answers does not speak HTTP"));
        }
        if text.len() > MOST || !way.hear(until)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}
