//! How messages come and go: where an arrival came from, where a URI leads (RFC 3263 as far as it needs no DNS),
//! and where a response returns (RFC 3261 §18.2.2, RFC 3581).

pub mod blocked;
pub mod branch;
pub mod connections;
pub mod listeners;
pub mod lookup;
pub mod token;

pub use blocked::Blocked;
pub use branch::{Branch, Seal};
pub use connections::Connections;
pub use listeners::{Listener, Listeners};
pub use wire::inside;

use crate::message::Via;
use crate::message::reply::{ip_name, ip_text};
use crate::uri::{Host, SipUri};
use inside::Depth;
use std::net::{IpAddr, SocketAddr};
use wire::{Flow, Transport};

/// How a message came: the way back to whoever sent it. Also kept with bindings, as the way to a phone behind NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// Socket and peer, or connection.
    pub flow: Flow,
    /// How bytes travel on it.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end, as seen by us.
    pub peer: SocketAddr,
}

/// One way to the next element, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The way that a message came by before.
    Flow(Arrival),
    /// An address to send or connect to.
    Address {
        /// By which transport.
        transport: Transport,
        /// Where.
        to: SocketAddr,
        /// Whose certificate is expected, where the transport is TLS.
        name: Box<str>,
    },
    /// A domain whose services have to be found.
    Domain {
        /// By which transport, where that was said.
        transport: Option<Transport>,
        /// Only by TLS.
        secure: bool,
        /// The domain.
        name: Box<str>,
    },
    /// A service of a domain, whose servers have to be found.
    Service {
        /// By which transport.
        transport: Transport,
        /// The name that has the SRV records.
        owner: Box<str>,
        /// The domain: the name whose certificate is expected.
        name: Box<str>,
    },
    /// A name that has to be looked up.
    Name {
        /// By which transport.
        transport: Transport,
        /// The name to be looked up.
        host: Box<str>,
        /// The domain: the name whose certificate is expected.
        name: Box<str>,
        /// The port to use with each address that is found.
        port: u16,
    },
    /// The same, for a domain that has no services.
    LastResort {
        /// By which transport.
        transport: Transport,
        /// The name to be looked up.
        host: Box<str>,
        /// The domain: the name whose certificate is expected.
        name: Box<str>,
        /// The port to use with each address that is found.
        port: u16,
    },
}

impl Hop {
    /// The target that this hop leads to, where it is an address: a flow is the only way to its phone.
    pub fn target(&self) -> Option<blocked::Target> {
        match self {
            Self::Address { transport, to, .. } => Some((transport.is_stream(), *to)),
            _ => None,
        }
    }

    /// Whom it leads to, where that is known.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Flow(arrival) => Some(arrival.peer),
            Self::Address { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// Whom the URI named.
    pub fn name(&self) -> &str {
        match self {
            Self::Flow(_) => "",
            Self::Address { name, .. }
            | Self::Domain { name, .. }
            | Self::Service { name, .. }
            | Self::Name { name, .. }
            | Self::LastResort { name, .. } => name,
        }
    }

    /// By which transport this hop goes.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Flow(arrival) => arrival.transport,
            Self::Address { transport, .. }
            | Self::Service { transport, .. }
            | Self::Name { transport, .. }
            | Self::LastResort { transport, .. } => *transport,
            Self::Domain { secure: true, .. } => Transport::Tls,
            Self::Domain { transport, .. } => transport.unwrap_or(Transport::Udp),
        }
    }

    /// Where a URI leads (RFC 3263 §4): `maddr` or host, transport and port with their
    /// defaults. `None` where the transport is none of ours, the URI contradicts itself, or its address is nobody's: nobody
    /// listens for WebSockets but servers, so what names one is reached by its flow alone (RFC 7118 §5).
    pub fn of_uri(uri: &SipUri<'_>) -> Option<Self> {
        let transport = transport_of_uri(uri).filter(|transport| !transport.is_web())?;
        let port = uri.port.unwrap_or(default_port(transport));
        if port == 0 {
            return None;
        }
        Some(match uri.maddr().unwrap_or(uri.host) {
            Host::Ip(ip) if !is_somebody(ip) => return None,
            Host::Ip(ip) => Self::Address { transport, to: SocketAddr::new(ip, port), name: ip_name(ip) },
            Host::Name(name) => {
                let name: Box<str> = std::str::from_utf8(name).ok()?.to_ascii_lowercase().into();
                // A port leaves nothing for SRV to say (RFC 3263 §4.2), a transport nothing for NAPTR.
                match (uri.port, uri.transport()) {
                    (Some(_), _) => Self::Name { transport, host: name.clone(), name, port },
                    (None, Some(_)) => Self::Domain { transport: Some(transport), secure: uri.secure, name },
                    (None, None) => Self::Domain { transport: None, secure: uri.secure, name },
                }
            }
        })
    }
}

/// Whether an address is one host's: a request to a group would be answered by many.
pub fn is_somebody(ip: IpAddr) -> bool {
    let broadcast = |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let ip = ip.to_canonical();
    !(ip.is_unspecified() || ip.is_multicast() || broadcast(ip))
}

/// 5061 for TLS, those of HTTP for WebSockets, 5060 for all else (RFC 3261 §19.1.2, RFC 7118 §5.2).
pub fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Ws => 80,
        Transport::Wss => 443,
        Transport::Tls | Transport::Dtls => 5061,
        Transport::Udp | Transport::Tcp => 5060,
    }
}

fn transport_of_uri(uri: &SipUri<'_>) -> Option<Transport> {
    let named = match uri.transport() {
        None => return Some(if uri.secure { Transport::Tls } else { Transport::Udp }),
        Some(name) => transport_named(name)?,
    };
    match (uri.secure, named) {
        (false, named) => Some(named),
        (true, Transport::Udp) => None,
        (true, Transport::Ws | Transport::Wss) => Some(Transport::Wss),
        (true, _) => Some(Transport::Tls),
    }
}

/// The transport that a Via or a URI parameter names.
pub fn transport_named(name: &[u8]) -> Option<Transport> {
    const NAMES: [(&str, Transport); 5] = [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
        ("ws", Transport::Ws),
        ("wss", Transport::Wss),
    ];
    let named = NAMES.into_iter().find(|(text, _)| name.eq_ignore_ascii_case(text.as_bytes()));
    named.map(|(_, transport)| transport)
}

/// As a Via names a transport.
pub fn via_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Dtls => "DTLS-UDP",
        Transport::Ws => "WS",
        Transport::Wss => "WSS",
    }
}

/// As URIs write an address: IPv6 in brackets, an IPv4 address in IPv6's clothes without them.
pub fn host_text(ip: IpAddr) -> String {
    match ip.to_canonical() {
        v4 @ IpAddr::V4(_) => ip_text(v4),
        v6 => Host::Ip(v6).to_string(),
    }
}

/// Where the response to a request goes if not over the stream that it came by.
pub fn return_address(via: &Via<'_>, arrival: &Arrival) -> SocketAddr {
    match arrival.flow {
        Flow::Datagram { peer, .. } => datagram_return(via, peer),
        Flow::Stream(_) => stream_return(via, arrival),
    }
}

/// Where a response goes when the request came as a datagram: back to where it came from if the sender asked for
/// that (RFC 3581 §4), else to the port it wrote (RFC 3261 §18.2.2). `maddr` is not followed: it would let
/// strangers aim our responses at third parties.
fn datagram_return(via: &Via<'_>, peer: SocketAddr) -> SocketAddr {
    match via.wants_rport() {
        true => peer,
        false => SocketAddr::new(peer.ip(), via.port().filter(|port| *port != 0).unwrap_or(5060)),
    }
}

/// Where to connect when the connection that a request came by is gone (RFC 3261 §18.2.2).
fn stream_return(via: &Via<'_>, arrival: &Arrival) -> SocketAddr {
    let port = via.port().filter(|port| *port != 0).unwrap_or(default_port(arrival.transport));
    SocketAddr::new(arrival.peer.ip(), port)
}

/// Whether whoever sent this is reached by the flow alone, not at the address in its Contact: on streams, where
/// its Via tells of another source than we saw, and where the Contact lies further inside than the source.
pub fn is_behind_nat(via: &Via<'_>, contact: Option<&Hop>, arrival: &Arrival) -> bool {
    let (ip, port) = (arrival.peer.ip().to_canonical(), arrival.peer.port());
    let honest =
        via.host().ip().map(|ip| ip.to_canonical()) == Some(ip) && via.port().unwrap_or(5060) == port;
    if arrival.transport.is_stream() || !honest {
        return true;
    }
    match contact {
        Some(Hop::Address { to, .. }) => Depth::of(to.ip()) > Depth::of(ip),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: Option<(Transport, &str)>) {
        let hop = Hop::of_uri(&SipUri::parse(uri.as_bytes()).expect("valid"));
        let seen = hop.map(|hop| {
            let transport = hop.transport();
            match hop {
                Hop::Address { transport, to, .. } => (transport, to.to_string()),
                Hop::Name { transport, name, port, .. } => (transport, format!("{name}:{port}")),
                Hop::Domain { name, .. } => (transport, name.into()),
                Hop::Flow(_) | Hop::Service { .. } | Hop::LastResort { .. } => {
                    unreachable!("a URI names no flow")
                }
            }
        });
        assert_eq!(seen, expected.map(|(transport, to)| (transport, to.to_owned())), "{uri}");
    }

    #[test]
    fn where_uris_lead() {
        use Transport::{Tcp, Tls, Udp};
        check("sip:a@192.0.2.1", Some((Udp, "192.0.2.1:5060")));
        check("sip:a@192.0.2.1:5070;transport=TCP", Some((Tcp, "192.0.2.1:5070")));
        check("sips:a@[2001:db8::1]", Some((Tls, "[2001:db8::1]:5061")));
        check("sips:a@192.0.2.1;transport=tcp", Some((Tls, "192.0.2.1:5061")));
        check("sip:a@Example.ORG;transport=tls", Some((Tls, "example.org")));
        check("sip:a@example.org;maddr=192.0.2.9", Some((Udp, "192.0.2.9:5060")));
        check("sip:a@192.0.2.1;transport=sctp", None);
        check("sips:a@192.0.2.1;transport=udp", None);
        check("sip:a@192.0.2.1:0", None);
        check("sip:a@192.0.2.1;transport=ws", None);
        check("sips:k3j@df7jal23ls0d.invalid;transport=WS", None);
        for nobody in ["224.0.1.75", "255.255.255.255", "0.0.0.0", "[ff02::1]", "[::]", "[::ffff:224.0.1.75]"]
        {
            check(&format!("sip:a@{nobody}"), None);
        }
        check("sip:a@192.0.2.1;maddr=224.0.1.75", None);
    }

    #[test]
    fn where_answers_to_datagrams_go() {
        let peer: SocketAddr = "192.0.2.1:7000".parse().expect("valid");
        let check = |via: &str, answer: &str| {
            let via = Via::parse(via.as_bytes()).expect("valid");
            assert_eq!(datagram_return(&via, peer).to_string(), answer, "{via:?}");
        };
        check("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa", "192.0.2.1:5060");
        check("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa", "192.0.2.1:5070");
        check("SIP/2.0/UDP 192.0.2.1:5070;rport", "192.0.2.1:7000");
        check("SIP/2.0/UDP a.example;rport;maddr=224.0.0.1", "192.0.2.1:7000");
        check("SIP/2.0/UDP a.example;maddr=224.0.0.1", "192.0.2.1:5060");
    }
}
