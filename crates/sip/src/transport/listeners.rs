//! Our own addresses: which listener a message leaves by, what we call ourselves on it, and which hosts are us.

use super::{default_port, host_text};
use crate::message::reply::push_number;
use crate::uri::Host;
use std::net::{IpAddr, SocketAddr};
use wire::{SocketId, Transport};

/// One place where we listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How bytes travel.
    pub transport: Transport,
    /// The socket, where they travel as datagrams.
    pub socket: Option<SocketId>,
    /// Where it is bound; the port is the real one, the address may be the unspecified one.
    pub bound: SocketAddr,
    /// What we call ourselves where the message's own path does not say: as URIs write it.
    pub host: Box<str>,
}

/// Every listener, and the names and addresses that are us.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// The listeners, in the order of preference.
    pub all: Vec<Listener>,
    /// Addresses of this host.
    pub addresses: Vec<IpAddr>,
    /// Behind one-to-one NAT: an address of this host, and what the world calls it.
    pub external: Vec<(IpAddr, IpAddr)>,
}

impl Listeners {
    /// The listener that a datagram socket belongs to.
    pub fn by_socket(&self, socket: SocketId) -> Option<&Listener> {
        self.all.iter().find(|listener| listener.socket == Some(socket))
    }

    /// The listener that our end of a message belongs to; for connections that we opened, one of the same kind.
    pub fn by_local(&self, transport: Transport, local: SocketAddr) -> Option<&Listener> {
        let at_home = |listener: &&Listener| {
            let bound = listener.bound;
            bound.port() == local.port() && (bound.ip().is_unspecified() || same(bound.ip(), local.ip()))
        };
        self.of(transport).find(at_home).or_else(|| self.towards(transport, local.ip()))
    }

    /// The listener by which to write to `peer`.
    pub fn towards(&self, transport: Transport, peer: IpAddr) -> Option<&Listener> {
        let peer = peer.to_canonical();
        let family = |l: &&Listener| l.bound.ip().to_canonical().is_ipv4() == peer.is_ipv4();
        let own = |l: &&Listener| same(l.bound.ip(), peer);
        let dual = |l: &&Listener| l.bound.ip().is_ipv6() && l.bound.ip().is_unspecified();
        let find = |test: &dyn Fn(&&Listener) -> bool| self.of(transport).find(test);
        find(&own).or_else(|| find(&family)).or_else(|| find(&dual))
    }

    fn of(&self, transport: Transport) -> impl Iterator<Item = &Listener> {
        self.all.iter().filter(move |listener| listener.transport == transport)
    }

    /// What we call ourselves in a Via, Record-Route or Contact on this listener, `host:port`; `local` is our
    /// end of the path where it is known.
    pub fn sent_by(&self, listener: &Listener, local: Option<IpAddr>) -> String {
        let known = local.filter(|ip| !ip.is_unspecified()).or(Some(listener.bound.ip()));
        let mut text = match known.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified()) {
            Some(ip) => host_text(self.public(ip)),
            None => listener.host.to_string(),
        };
        let mut digits = Vec::with_capacity(5);
        push_number(&mut digits, listener.bound.port().into());
        text.push(':');
        text.extend(digits.into_iter().map(char::from));
        text
    }

    /// What the world calls one of our addresses.
    fn public(&self, ip: IpAddr) -> IpAddr {
        self.external.iter().find(|(private, _)| *private == ip).map_or(ip, |(_, public)| *public)
    }

    /// Whether an address literal with this port is us.
    pub fn is_us(&self, ip: IpAddr, port: Option<u16>, transport: Transport) -> bool {
        self.has_port(port.unwrap_or(default_port(transport))) && self.is_our_address(ip.to_canonical())
    }

    /// Whether we listen on this port.
    pub fn has_port(&self, port: u16) -> bool {
        self.all.iter().any(|listener| listener.bound.port() == port)
    }

    fn is_our_address(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip)
            || self.external.iter().any(|(_, public)| *public == ip)
            || self.all.iter().any(|listener| same(listener.bound.ip(), ip))
    }

    /// Whether a host is the name that one of our listeners goes by.
    pub fn is_our_name(&self, host: Host<'_>) -> bool {
        host.name().is_some_and(|name| self.all.iter().any(|l| l.host.as_bytes().eq_ignore_ascii_case(name)))
    }
}

fn same(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners() -> Listeners {
        let listener = |transport, socket: Option<u32>, bound: &str| Listener {
            transport,
            socket: socket.map(SocketId),
            bound: bound.parse().expect("valid"),
            host: "falcot.com".into(),
        };
        Listeners {
            all: vec![
                listener(Transport::Udp, Some(1), "0.0.0.0:5060"),
                listener(Transport::Udp, Some(2), "[::]:5060"),
                listener(Transport::Tcp, None, "[::]:5060"),
                listener(Transport::Tls, None, "192.0.2.7:5061"),
            ],
            addresses: vec!["192.0.2.7".parse().expect("valid"), "10.0.0.7".parse().expect("valid")],
            external: vec![("10.0.0.7".parse().expect("valid"), "198.51.100.7".parse().expect("valid"))],
        }
    }

    #[test]
    fn the_path_decides_what_we_call_ourselves() {
        let all = listeners();
        let towards = |t, ip: &str| all.towards(t, ip.parse().expect("valid")).expect("there is one");
        let udp = towards(Transport::Udp, "203.0.113.1");
        assert_eq!(udp.socket, Some(SocketId(1)));
        assert_eq!(all.sent_by(udp, None), "falcot.com:5060");
        assert_eq!(all.sent_by(udp, Some("192.0.2.7".parse().expect("valid"))), "192.0.2.7:5060");
        assert_eq!(all.sent_by(udp, Some("::ffff:10.0.0.7".parse().expect("valid"))), "198.51.100.7:5060");
        assert_eq!(towards(Transport::Udp, "2001:db8::1").socket, Some(SocketId(2)));
        assert_eq!(all.sent_by(towards(Transport::Tcp, "203.0.113.1"), None), "falcot.com:5060");
        assert_eq!(all.sent_by(towards(Transport::Tls, "203.0.113.1"), None), "192.0.2.7:5061");
    }

    #[test]
    fn who_is_us() {
        let all = listeners();
        let us = |ip: &str, port, t| all.is_us(ip.parse().expect("valid"), port, t);
        assert!(us("192.0.2.7", None, Transport::Udp) && us("198.51.100.7", Some(5061), Transport::Udp));
        assert!(!us("192.0.2.7", Some(5070), Transport::Udp) && !us("203.0.113.1", None, Transport::Udp));
        assert!(all.is_our_name(Host::Name(b"FALCOT.com")) && !all.is_our_name(Host::Name(b"falcot.org")));
    }
}
