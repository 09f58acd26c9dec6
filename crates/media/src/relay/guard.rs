//! Whom the relay may write to, whatever descriptions and packets say: nobody makes it send further inside than whoever says so
//! is itself, nor to what this host listens for.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use wire::inside::Depth;

/// What belongs to this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Every address that leads to this host, as bound and as advertised.
    pub own: Vec<IpAddr>,
    /// The ports that this server listens at for datagrams.
    pub listeners: Vec<u16>,
    /// The ports of TURN's relays: phones that use those name them.
    pub relays: RangeInclusive<u16>,
}

impl Guard {
    /// Whether an end whose signalling comes from `source` may be sent to there.
    pub(super) fn may_send(&self, to: SocketAddr, source: IpAddr) -> bool {
        let (ip, source) = (to.ip().to_canonical(), source.to_canonical());
        if to.port() == 0 || !is_one_host(ip) {
            return false;
        }
        let is_own = self.own.contains(&ip);
        match is_own || Depth::of(ip) == Depth::Host {
            true if self.listeners.contains(&to.port()) => false,
            true if Depth::of(source) == Depth::Host => true,
            // Also whoever comes by the same NAT as this server does, and is seen at its address.
            true => is_own && (self.own.contains(&source) || self.relays.contains(&to.port())),
            false => Depth::of(ip) <= Depth::of(source),
        }
    }
}

/// Whether an address is that of one host, not of a group or of nobody.
fn is_one_host(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || is_broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(to: &str, source: &str, expected: bool) {
        let ip = |text: &str| text.parse().expect("valid");
        let own = vec![ip("203.0.113.1"), ip("10.0.0.1"), ip("2001:db8::1")];
        let guard = Guard { own, listeners: vec![5060, 3478], relays: 49_152..=65_535 };
        assert_eq!(guard.may_send(to.parse().expect("valid"), ip(source)), expected, "{to} for {source}");
    }

    #[test]
    fn nobody_is_sent_further_inside_than_it_is() {
        for (to, outside, inside, host) in [
            ("198.51.100.9:4000", true, true, true),
            ("10.0.0.5:4000", false, true, true),
            ("192.168.1.1:80", false, true, true),
            ("100.64.0.1:4000", false, true, true),
            ("169.254.169.254:80", false, false, true),
            ("127.0.0.1:25", false, false, true),
            ("0.0.0.0:4000", false, false, false),
            ("224.0.1.75:5060", false, false, false),
            ("255.255.255.255:4000", false, false, false),
            ("198.51.100.9:0", false, false, false),
            ("[::1]:25", false, false, true),
            ("[fd00::1]:4000", false, true, true),
            ("[fe80::1]:4000", false, false, true),
            ("[ff02::1]:4000", false, false, false),
            ("[::ffff:127.0.0.1]:25", false, false, true),
            ("[64:ff9b::a00:5]:4000", false, true, true),
        ] {
            check(to, "198.51.100.7", outside);
            check(to, "10.0.0.7", inside);
            check(to, "127.0.0.1", host);
        }
    }

    /// What listens here would take it for somebody of this host, or for this server itself.
    #[test]
    fn this_host_is_sent_to_at_turn_s_relays_alone() {
        for (to, outside, inside, host) in [
            ("203.0.113.1:5060", false, false, false),
            ("203.0.113.1:3478", false, false, false),
            ("10.0.0.1:5060", false, false, false),
            ("127.0.0.1:5060", false, false, false),
            ("[2001:db8::1]:5060", false, false, false),
            ("203.0.113.1:53", false, false, true),
            ("10.0.0.1:53", false, false, true),
            ("203.0.113.1:50000", true, true, true),
            ("[2001:db8::1]:50000", true, true, true),
            ("127.0.0.1:50000", false, false, true),
        ] {
            check(to, "198.51.100.7", outside);
            check(to, "10.0.0.7", inside);
            check(to, "127.0.0.1", host);
        }
        check("203.0.113.1:53", "203.0.113.1", true);
        check("127.0.0.1:53", "203.0.113.1", false);
    }
}
