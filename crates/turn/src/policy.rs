//! Whom a relay may write to. Special address ranges are refused in every notation, so that nobody reaches the inside
//! of our network through us (RFC 6890 and the IANA registries it names), unless the administrator allows a range; further
//! ones may be refused as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// A range of addresses: `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Any address in it.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}

impl Range {
    /// Whether an address lies in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(range), IpAddr::V4(ip)) => within4(ip, range, self.prefix),
            (IpAddr::V6(range), IpAddr::V6(ip)) => within6(ip, range, self.prefix),
            _ => false,
        }
    }
}

fn within4(ip: Ipv4Addr, range: Ipv4Addr, prefix: u8) -> bool {
    let free = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    u32::from(ip) | free == u32::from(range) | free
}

fn within6(ip: Ipv6Addr, range: Ipv6Addr, prefix: u8) -> bool {
    let free = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    u128::from(ip) | free == u128::from(range) | free
}

/// What may be done with a peer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Any port.
    Any,
    /// It is an address of ours, and any port of it is allowed.
    Own,
    /// It is an address of ours: only ports that relays are bound to, so that clients of this server reach one another
    /// and nothing else on this host.
    Relays,
}

/// Whom relays may write to.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Exceptions to the refusal.
    pub allow: Vec<Range>,
    /// Further ranges that are refused. Of two ranges that both hold a peer the narrower counts.
    pub deny: Vec<Range>,
    /// Addresses of ours, as bound and as advertised.
    pub own: Vec<IpAddr>,
}

impl Policy {
    /// What may be done with a peer's address; `None`: nothing (403).
    pub fn scope(&self, peer: IpAddr) -> Option<Scope> {
        if self.is_denied(peer) {
            None
        } else if narrowest(&self.allow, peer).is_some() {
            Some(if self.own.contains(&peer) { Scope::Own } else { Scope::Any })
        } else if is_special(peer) || embedded(peer).is_some_and(|inner| self.is_denied(inner.into())) {
            None
        } else if self.is_own(peer) {
            Some(Scope::Relays)
        } else {
            Some(Scope::Any)
        }
    }

    /// Whether it lies in a range that is refused, and in no narrower one that is allowed.
    fn is_denied(&self, peer: IpAddr) -> bool {
        let denied = narrowest(&self.deny, peer);
        denied.is_some() && denied >= narrowest(&self.allow, peer)
    }

    fn is_own(&self, peer: IpAddr) -> bool {
        self.own.contains(&peer) || embedded(peer).is_some_and(|inner| self.own.contains(&inner.into()))
    }
}

/// How many bits are fixed in the narrowest of the ranges that an address lies in.
fn narrowest(ranges: &[Range], ip: IpAddr) -> Option<u8> {
    ranges.iter().filter(|range| range.contains(ip)).map(|range| range.prefix).max()
}

impl Scope {
    /// Whether a port may be written to.
    pub fn includes(self, port: u16, relays: &RangeInclusive<u16>) -> bool {
        port != 0 && (self != Self::Relays || relays.contains(&port))
    }

    /// Whether the address is one of ours, so that another client's relay may be there.
    pub fn is_ours(self) -> bool {
        self != Self::Any
    }
}

/// Whether an address is anything but an ordinary public unicast one, or leads to one that is not.
fn is_special(ip: IpAddr) -> bool {
    let is_special_itself = match ip {
        IpAddr::V4(ip) => is_special4(ip),
        IpAddr::V6(ip) => is_special6(ip),
    };
    is_special_itself || embedded(ip).is_some_and(is_special4)
}

fn is_special4(ip: Ipv4Addr) -> bool {
    SPECIAL4.iter().any(|(range, prefix)| within4(ip, Ipv4Addr::from(*range), *prefix))
}

const SPECIAL4: [([u8; 4], u8); 15] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carrier-grade NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, with the clouds' metadata services
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, and broadcast
];

fn is_special6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // NAT64's well-known prefix (RFC 6052): as special as what it leads to.
        [0x64, 0xFF9B, 0, 0, 0, 0, ..] => false,
        // Protocol assignments: Teredo, benchmarks, ORCHID …; then documentation.
        [0x2001, 0..=0x1FF, ..] | [0x2001, 0xDB8, ..] | [0x3FFF, 0..=0xFFF, ..] => true,
        // Only 2000::/3 is public unicast. The rest: loopback, v4-mapped, v4-compatible, ULA, link-local,
        // site-local, multicast, local NAT64 …
        [first, ..] => first & 0xE000 != 0x2000,
    }
}

/// The IPv4 address that an IPv6 address leads to: by NAT64 (RFC 6052), 6to4 (RFC 3056), or ISATAP (RFC 5214: behind the
/// interface part 0000:5efe or 0200:5efe).
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    match ip.segments() {
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5EFE, high, low] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &Policy, peers: &[&str], expected: Option<Scope>) {
        for peer in peers {
            assert_eq!(policy.scope(peer.parse().unwrap()), expected, "{peer}");
        }
    }

    #[test]
    fn public_addresses_are_open() {
        let public =
            ["8.8.8.8", "100.128.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255", "9.255.255.255"];
        check(&Policy::default(), &public, Some(Scope::Any));
        let public =
            ["2606:4700::1111", "2a01::1", "2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::1"];
        check(&Policy::default(), &public, Some(Scope::Any));
    }

    #[test]
    fn special_ipv4_ranges_are_refused() {
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ];
        check(&Policy::default(), &special, None);
    }

    #[test]
    fn special_ipv6_ranges_are_refused() {
        let special = [
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "ff0e::1",
            "100::1",
            "2001:db8::1",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "3fff::1",
            "5f00::1",
            "64:ff9b:1::1",
            "4000::1",
        ];
        check(&Policy::default(), &special, None);
    }

    #[test]
    fn ipv4_in_ipv6_is_refused_in_every_notation() {
        let special = [
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:c0a8:101::1",
            "2001:0:7f00:1::",
            "2a01::5efe:127.0.0.1",
            "2a01::200:5efe:10.0.0.1",
            "2002:7f00:1::5efe:8.8.8.8",
            "fd00::5efe:8.8.8.8",
            "fe80::200:5efe:8.8.8.8",
            "::5efe:8.8.8.8",
        ];
        check(&Policy::default(), &special, None);
    }

    #[test]
    fn what_the_administrator_allows() {
        let range = |address: &str, prefix| Range { address: address.parse().unwrap(), prefix };
        let allow = vec![range("127.0.0.0", 8), range("10.1.2.3", 32), range("fd00::", 8), range("::1", 128)];
        let policy = Policy { allow, ..Policy::default() };
        check(&policy, &["127.0.0.1", "127.9.9.9", "10.1.2.3", "fd12::1", "::1"], Some(Scope::Any));
        check(&policy, &["10.1.2.4", "fc00::1", "::2", "::ffff:127.0.0.1"], None);
        let everything = Policy { allow: vec![range("0.0.0.0", 0), range("::", 0)], ..Policy::default() };
        check(&everything, &["127.0.0.1", "255.255.255.255", "::1", "ff02::1"], Some(Scope::Any));
    }

    #[test]
    fn what_the_administrator_denies() {
        let range = |address: &str, prefix| Range { address: address.parse().unwrap(), prefix };
        let deny = vec![range("8.8.0.0", 16), range("2606:4700::", 32), range("10.1.0.0", 16)];
        let allow = vec![range("8.8.8.0", 24), range("10.0.0.0", 8), range("8.8.4.4", 32)];
        let policy = Policy { allow, deny, own: vec!["8.8.1.1".parse().unwrap()] };
        check(&policy, &["8.8.0.1", "8.8.1.1", "2606:4700::1", "10.1.2.3"], None);
        check(&policy, &["64:ff9b::808:1", "2002:808:1::1", "2a01::5efe:8.8.0.1"], None);
        check(&policy, &["8.8.8.8", "8.8.4.4", "10.2.0.1", "8.9.0.1", "2a01::1"], Some(Scope::Any));
        let same =
            Policy { allow: vec![range("8.8.8.8", 32)], deny: vec![range("8.8.8.8", 32)], own: vec![] };
        check(&same, &["8.8.8.8"], None);
    }

    #[test]
    fn our_own_addresses_serve_relays_only() {
        let own = ["9.9.9.9", "10.0.0.1"].map(|ip| ip.parse().unwrap()).to_vec();
        let policy = Policy { own, ..Policy::default() };
        check(&policy, &["9.9.9.9", "64:ff9b::909:909", "2002:909:909::1"], Some(Scope::Relays));
        check(&policy, &["10.0.0.1"], None);
        let relays = 49152..=65535;
        assert!(Scope::Relays.includes(50000, &relays) && !Scope::Relays.includes(53, &relays));
        assert!(Scope::Any.includes(53, &relays) && !Scope::Any.includes(0, &relays));
    }
}
