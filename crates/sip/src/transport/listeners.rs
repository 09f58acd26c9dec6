//! Our own addresses: which listener a message leaves by, what we call ourselves on it, and which hosts are us.

use super::default_port;
use super::inside::Depth;
use crate::message::reply::host_port;
use crate::uri::Host;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use wire::{Domain, SocketId, Transport};

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
    /// Names of this host, in lower case, and the main name of the domain whose addresses those at it are.
    pub names: FxHashMap<Box<str>, Domain>,
}

impl Listeners {
    /// The listener that a datagram socket belongs to.
    pub fn by_socket(&self, socket: SocketId) -> Option<&Listener> {
        self.all.iter().find(|listener| listener.socket == Some(socket))
    }

    /// The socket of a way that a datagram came by, perhaps in an earlier run, when sockets had other numbers: the one that has
    /// the address.
    pub fn socket_of(&self, socket: SocketId, local: SocketAddr) -> Option<SocketId> {
        let has = |listener: &&Listener| {
            let (bound, ip) = (listener.bound, local.ip().to_canonical());
            let all = bound.ip().is_unspecified() && bound.is_ipv4() == ip.is_ipv4();
            bound.port() == local.port() && (all || same(bound.ip(), ip) || ip.is_unspecified())
        };
        let known = self.by_socket(socket).filter(has);
        known.or_else(|| self.of(Transport::Udp).find(has))?.socket
    }

    /// The listener that our end of a message belongs to; for connections that we opened, one of the same kind.
    pub fn by_local(&self, transport: Transport, local: SocketAddr) -> Option<&Listener> {
        let at_home = |listener: &&Listener| {
            let bound = listener.bound;
            bound.port() == local.port() && (bound.ip().is_unspecified() || same(bound.ip(), local.ip()))
        };
        self.of(transport).find(at_home).or_else(|| self.towards(transport, local.ip()))
    }

    /// The listener by which to write to `peer`: of several the one that stands where the peer does, else the first.
    pub fn towards(&self, transport: Transport, peer: IpAddr) -> Option<&Listener> {
        let near = |listener: &Listener| self.nearness(listener.bound.ip(), peer);
        let reach = self.of(transport).filter(|listener| near(listener) > Near::Apart);
        // The first of those that are as near.
        reach.min_by_key(|listener| Reverse(near(listener)))
    }

    /// Which of our addresses a peer sees, where a listener has them all and the message's own path does not say: one that
    /// stands where the peer does, if there is one.
    pub fn seen_by(&self, listener: &Listener, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !listener.bound.ip().is_unspecified() {
            return None;
        }
        // Whoever is on this host reaches us where we reach it.
        if peer.is_loopback() {
            return Some(peer);
        }
        let ours = self.addresses.iter().filter(|ip| self.nearness(**ip, peer) >= Near::Like);
        ours.min_by_key(|ip| Reverse(self.nearness(**ip, peer))).copied()
    }

    /// How near an address that we are bound to is to a peer.
    fn nearness(&self, own: IpAddr, peer: IpAddr) -> Near {
        let (own, peer) = (own.to_canonical(), peer.to_canonical());
        let (depth, theirs) = (Depth::of(own), Depth::of(peer));
        match shared_bits(own, peer) {
            None if own.is_unspecified() && own.is_ipv6() => Near::Dual,
            None => Near::Apart,
            _ if own == peer => Near::Same,
            // The system chooses.
            _ if own.is_unspecified() => Near::Like,
            Some(bits) if depth == Depth::Inside && theirs == depth && bits >= site(own) => {
                Near::Beside(bits)
            }
            _ if theirs == depth || theirs == Depth::of(self.public(own)) => Near::Like,
            // From there nothing leaves this host, or this link.
            _ if depth > Depth::Inside => Near::Shut,
            _ => Near::Far,
        }
    }

    fn of(&self, transport: Transport) -> impl Iterator<Item = &Listener> {
        self.all.iter().filter(move |listener| listener.transport == transport)
    }

    /// What we call ourselves in a Via, Record-Route or Contact on this listener, `host:port`; `local` is our
    /// end of the path where it is known.
    pub fn sent_by(&self, listener: &Listener, local: Option<IpAddr>) -> String {
        let known = local.filter(|ip| !ip.is_unspecified()).or(Some(listener.bound.ip()));
        let port = listener.bound.port();
        match known.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified()) {
            Some(ip) => host_port(self.public(ip), port),
            None => format!("{}:{port}", listener.host),
        }
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

    /// The domain whose host goes by this name, at a port where we listen: at another there may be another server.
    pub fn domain_at(&self, name: &str, port: Option<u16>) -> Option<&Domain> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if self.names.is_empty() || !port.is_none_or(|port| self.has_port(port)) {
            return None;
        }
        let mut lower = [0; 253];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        self.names.get(std::str::from_utf8(lower).ok()?)
    }

    /// Whether a host is the name that one of our listeners goes by.
    pub fn is_our_name(&self, host: Host<'_>) -> bool {
        host.name().is_some_and(|name| self.all.iter().any(|l| l.host.as_bytes().eq_ignore_ascii_case(name)))
    }
}

/// How near one of our addresses is to a peer, from the farthest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Near {
    /// In another family.
    Apart,
    /// The same, but its socket may take both.
    Dual,
    /// On this host or link alone, where the peer is not.
    Shut,
    /// In a network of another kind.
    Far,
    /// In a network of the same kind, or wherever the system chooses.
    Like,
    /// In the same network that is not the Internet, by so many bits.
    Beside(u32),
    /// The very same.
    Same,
}

/// How many leading bits two addresses of one family have in common.
fn shared_bits(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        (IpAddr::V6(one), IpAddr::V6(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        _ => None,
    }
}

/// How many leading bits the addresses of one site have in common, at least.
fn site(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 16 } else { 48 }
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
            names: [("sip.falcot.com".into(), Domain::new("falcot.com").expect("valid"))]
                .into_iter()
                .collect(),
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
    fn who_stands_where_the_peer_does_writes_to_it() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("valid");
        let bound = ["127.0.0.1", "172.17.0.1", "10.0.0.7", "203.0.113.7", "[fd00::7]", "[2001:db8::7]"];
        let listener = |bound: &&str| Listener {
            transport: Transport::Udp,
            socket: None,
            bound: format!("{bound}:5060").parse().expect("valid"),
            host: (*bound).into(),
        };
        let mut all = Listeners { all: bound.iter().map(listener).collect(), ..Listeners::default() };
        let check = |all: &Listeners, peer: &str, expected: &str| {
            let found = all.towards(Transport::Udp, ip(peer)).map(|listener| &*listener.host);
            assert_eq!(found, Some(expected), "{peer}");
        };
        for (peer, expected) in [
            ("198.51.100.9", "203.0.113.7"),
            ("10.0.9.9", "10.0.0.7"),
            ("::ffff:10.0.9.9", "10.0.0.7"),
            ("172.17.0.2", "172.17.0.1"),
            // Some private network or other: the first.
            ("192.168.1.9", "172.17.0.1"),
            ("127.0.0.9", "127.0.0.1"),
            ("10.0.0.7", "10.0.0.7"),
            ("2001:db8:1::9", "[2001:db8::7]"),
            ("fd00::9", "[fd00::7]"),
        ] {
            check(&all, peer, expected);
        }
        // What the world calls a private address counts, and, where there is no other, any that leads off this host.
        all.all.retain(|listener| !listener.host.starts_with("203"));
        check(&all, "198.51.100.9", "172.17.0.1");
        all.external.push((ip("10.0.0.7"), ip("203.0.113.7")));
        check(&all, "198.51.100.9", "10.0.0.7");
        all.all.retain(|listener| listener.bound.is_ipv6());
        assert_eq!(all.towards(Transport::Udp, ip("198.51.100.9")), None);
    }

    #[test]
    fn a_way_of_an_earlier_run_has_the_socket_that_has_its_address_now() {
        let all = listeners();
        let check = |socket, local: &str, expected: Option<u32>| {
            let found = all.socket_of(SocketId(socket), local.parse().expect("valid"));
            assert_eq!(found, expected.map(SocketId), "{socket} {local}");
        };
        check(1, "192.0.2.7:5060", Some(1));
        check(2, "192.0.2.7:5060", Some(1));
        check(9, "[::ffff:192.0.2.7]:5060", Some(1));
        check(1, "[2001:db8::7]:5060", Some(2));
        check(2, "0.0.0.0:5060", Some(2));
        check(1, "192.0.2.7:5070", None);
    }

    #[test]
    fn whoever_has_all_addresses_names_the_one_that_the_peer_sees() {
        let mut all = listeners();
        all.addresses = ["172.17.0.1", "10.0.0.7", "192.0.2.7", "::1", "127.0.0.1"]
            .map(|ip| ip.parse().expect("valid"))
            .to_vec();
        let seen_by = |all: &Listeners, transport, peer: &str| {
            let peer = peer.parse().expect("valid");
            let listener = all.towards(transport, peer).expect("there is one");
            all.seen_by(listener, peer).map(|ip| ip.to_string())
        };
        for (peer, expected) in [
            ("203.0.113.9", Some("10.0.0.7")),
            ("10.0.0.9", Some("10.0.0.7")),
            ("172.17.0.2", Some("172.17.0.1")),
            ("127.0.0.9", Some("127.0.0.9")),
            ("2001:db8::9", None),
        ] {
            assert_eq!(seen_by(&all, Transport::Udp, peer).as_deref(), expected, "{peer}");
        }
        all.external.clear();
        assert_eq!(seen_by(&all, Transport::Udp, "203.0.113.9").as_deref(), Some("192.0.2.7"));
        assert_eq!(seen_by(&all, Transport::Tls, "203.0.113.9"), None, "it has one address");
    }

    #[test]
    fn who_is_us() {
        let all = listeners();
        let us = |ip: &str, port, t| all.is_us(ip.parse().expect("valid"), port, t);
        assert!(us("192.0.2.7", None, Transport::Udp) && us("198.51.100.7", Some(5061), Transport::Udp));
        assert!(!us("192.0.2.7", Some(5070), Transport::Udp) && !us("203.0.113.1", None, Transport::Udp));
        assert!(all.is_our_name(Host::Name(b"FALCOT.com")) && !all.is_our_name(Host::Name(b"falcot.org")));
        for (name, port, is_ours) in [
            ("Sip.Falcot.com", None, true),
            ("sip.falcot.com.", Some(5061), true),
            ("sip.falcot.com", Some(5070), false),
            ("xmpp.falcot.com", None, false),
            (&"a".repeat(254), None, false),
        ] {
            assert_eq!(all.domain_at(name, port).is_some(), is_ours, "{name}");
        }
    }
}
