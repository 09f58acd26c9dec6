//! Listeners as they are written, and which of them want the same port.

use super::fault::Fault;
use super::file::Typed;
use super::plan::{Host, Listener};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use wire::Transport;

const SYNTAX: &str = "write \":5060\", \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"";

/// Understands `":port"` or `"address:port"`.
pub(super) fn parse(typed: &Typed<String>) -> Result<Listener, Fault> {
    let text = typed.value.trim();
    if let Some(port) = text.strip_prefix(':').filter(|port| !port.contains(':')) {
        return match port.parse() {
            Ok(port) => Ok(Listener { host: Host::All, port }),
            Err(_) => Err(bad_port(typed, port)),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(Listener { host: Host::One(address.ip()), port: address.port() }),
        Err(_) => Err(explain(typed, text)),
    }
}

fn bad_port(typed: &Typed<String>, port: &str) -> Fault {
    typed
        .fault(format!("`{port}` is not a port"))
        .help("a port is a number from 1 to 65535; 0 is any free one")
}

/// Why a text is no listener, and what it may have been meant to be.
fn explain(typed: &Typed<String>, text: &str) -> Fault {
    let fault = typed.fault(format!("`{text}` is not a listener"));
    if text.parse::<u16>().is_ok() {
        return fault.help(format!("did you mean \":{text}\"?"));
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        if host.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok() {
            return fault.help(format!("did you mean \"[{host}]:{port}\"?"));
        }
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return bad_port(typed, port);
        }
        if host == "localhost" {
            return fault.help(format!("did you mean \"127.0.0.1:{port}\"? names are not looked up"));
        }
    }
    if text.parse::<IpAddr>().is_ok() {
        return fault.help(format!("a port is missing; {SYNTAX}"));
    }
    fault.help(SYNTAX)
}

/// Reads the origin of a page as browsers write it (RFC 6454 §6.2): scheme and host, with the port where it is not the usual
/// one.
pub(super) fn origin(typed: &Typed<String>) -> Result<String, Fault> {
    let text = typed.value.to_ascii_lowercase();
    if text == "*" {
        return Ok(text);
    }
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '*', ' ', '?', '@']) => Ok(text),
        _ => Err(typed
            .fault(format!("`{}` is not the origin of a page", typed.value))
            .help("write scheme and host alone, as in \"https://falcot.com\"")),
    }
}

/// A listener with what it was typed as.
pub(super) struct Place<'a> {
    pub(super) transport: Transport,
    pub(super) listener: Listener,
    pub(super) typed: &'a Typed<String>,
}

impl Place<'_> {
    /// Whether two listeners may have one port, written alike, so that it is one socket: streams of services that a client's
    /// first octets tell apart; and datagrams beside DTLS (RFC 7983).
    fn shares_with(&self, other: &Self) -> bool {
        let may = |place: &Self| match place.transport {
            Transport::Udp | Transport::Dtls => place.typed.key.starts_with("turn."),
            _ => SHARING.iter().any(|key| place.typed.key.starts_with(key)),
        };
        let is_one_socket = self.listener == other.listener
            && self.listener.port != 0
            && self.transport.is_stream() == other.transport.is_stream();
        may(self) && may(other) && is_one_socket && self.kind() != other.kind()
    }

    /// Each listener of one kind has an endpoint of its own.
    fn kind(&self) -> (&str, Transport) {
        (&self.typed.key, self.transport)
    }
}

/// The listeners for streams that may share a port with others. Components and metrics are apart, as they are for this host.
const SHARING: [&str; 6] = ["turn.", "sip.", "xmpp.client", "xmpp.web", "web.https", "web.http"];

/// A fault for each listener that wants a port which an earlier one has. UDP never clashes with TCP or TLS.
pub(super) fn clashes(text: &str, places: &[Place<'_>]) -> Vec<Fault> {
    let clash = |(n, place): (usize, &Place<'_>)| {
        let earlier = places[..n].iter().find(|other| {
            other.transport.is_stream() == place.transport.is_stream()
                && other.listener.clashes(&place.listener)
                && !other.shares_with(place)
        })?;
        let (line, _) = super::fault::position(text, earlier.typed.span.start);
        let message = format!(
            "`{}` of {} clashes with `{}` of {} in line {line}",
            place.typed.value, place.typed.key, earlier.typed.value, earlier.typed.key
        );
        Some(place.typed.fault(message).help("choose another port, or another address on both sides"))
    };
    places.iter().enumerate().filter_map(clash).collect()
}
