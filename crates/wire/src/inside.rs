//! Which addresses lie inside: on this host or in networks that mean something else elsewhere. Nobody reaches them by
//! asking a server that stands there (what the web calls server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses: its first, and how many leading bits are fixed.
pub type Range = (IpAddr, u8);

/// Whether an address lies in one of these ranges.
pub fn is_within(ip: IpAddr, ranges: &[Range]) -> bool {
    let ip = ip.to_canonical();
    ranges.iter().any(|(first, prefix)| match (ip, first.to_canonical()) {
        (IpAddr::V4(ip), IpAddr::V4(first)) => within4(ip, first, *prefix),
        (IpAddr::V6(ip), IpAddr::V6(first)) => {
            let differs = u128::from(ip) ^ u128::from(first);
            differs.leading_zeros() >= u32::from(*prefix)
        }
        _ => false,
    })
}

/// How far inside an address lies. Nobody reaches by us what lies further inside than it does itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// On the Internet.
    #[default]
    Outside,
    /// In a network that is not the Internet.
    Inside,
    /// On this link, where clouds keep their metadata services.
    Link,
    /// On this host.
    Host,
}

impl Depth {
    /// That of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => depth4(ip),
            IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => Self::Host,
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Self::Link,
            IpAddr::V6(ip) => embedded(ip).map_or_else(|| depth6(ip), depth4),
        }
    }

    /// As a number of two bits.
    pub fn bits(self) -> u16 {
        match self {
            Self::Outside => 0,
            Self::Inside => 1,
            Self::Link => 2,
            Self::Host => 3,
        }
    }

    /// The depth with these two bits.
    pub fn of_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::Outside,
            1 => Self::Inside,
            2 => Self::Link,
            _ => Self::Host,
        }
    }
}

fn depth4(ip: Ipv4Addr) -> Depth {
    let is_inside = |(range, prefix): &([u8; 4], u8)| within4(ip, Ipv4Addr::from(*range), *prefix);
    match ip {
        _ if ip.octets()[0] == 0 || ip.is_loopback() => Depth::Host,
        _ if ip.is_link_local() => Depth::Link,
        _ if ip.is_private() || INSIDE4.iter().any(is_inside) => Depth::Inside,
        _ => Depth::Outside,
    }
}

/// What is not the Internet of IANA's special-purpose registry (RFC 6890). Documentation's addresses are nobody's either, but stand for
/// the Internet's wherever they are used.
const INSIDE4: [([u8; 4], u8); 4] = [
    ([100, 64, 0, 0], 10), // carrier-grade NAT
    ([192, 0, 0, 0], 24),  // protocol assignments
    ([198, 18, 0, 0], 15), // benchmarks
    ([240, 0, 0, 0], 4),   // reserved
];

/// That of an address that leads to no IPv4 address. Only 2000::/3 is the Internet: the rest are unique local, site-local, local NAT64,
/// to be discarded, for segments, not given out. Benchmarks (RFC 5180) have theirs within. An interface's part says nothing of where
/// an address lies: whoever has a network of the Internet chooses it.
fn depth6(ip: Ipv6Addr) -> Depth {
    match ip.segments() {
        [0x2001, 2, 0, ..] => Depth::Inside,
        [first, ..] if first & 0xE000 == 0x2000 || ip.is_multicast() => Depth::Outside,
        _ => Depth::Inside,
    }
}

/// Whether the world can reach an address.
pub fn is_public(ip: IpAddr) -> bool {
    Depth::of(ip) == Depth::Outside && !ip.to_canonical().is_multicast()
}

fn within4(ip: Ipv4Addr, first: Ipv4Addr, prefix: u8) -> bool {
    (u32::from(ip) ^ u32::from(first)).leading_zeros() >= u32::from(prefix)
}

/// The IPv4 address that an IPv6 address leads to: by NAT64 (RFC 6052), 6to4 (RFC 3056), as ::a.b.c.d, or as ::ffff:0:a.b.c.d
/// (RFC 2765).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("valid")
    }

    #[test]
    fn how_far_inside() {
        let host = ["127.0.0.1", "127.9.9.9", "0.0.0.1", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"];
        let link = ["169.254.169.254", "fe80::1", "::ffff:169.254.0.1", "64:ff9b::a9fe:a9fe"];
        let inside = [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "240.0.0.1",
            "fd00::1",
            "fec0::1",
            "64:ff9b::a00:1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "192.0.0.8",
            "64:ff9b:1::808:808",
            "100::1",
            "2001:2::1",
            "4000::1",
            "5f00::1",
        ];
        let outside = [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2001:4860::1",
            "64:ff9b::808:808",
            "192.0.1.1",
            "203.0.113.7",
            "2001:db8::1",
            "2001:2:1::1",
            // By an address of one's own choice nobody gets inside.
            "2a01::5efe:10.0.0.1",
            "2001:0:a00:1::",
        ];
        let check = |list: &[&str], expected| {
            for text in list {
                assert_eq!(Depth::of(ip(text)), expected, "{text}");
                assert_eq!(Depth::of_bits(expected.bits()), expected);
            }
        };
        check(&host, Depth::Host);
        check(&["2002:7f00:1::", "::127.0.0.1"], Depth::Host);
        check(&link, Depth::Link);
        check(&inside, Depth::Inside);
        check(&outside, Depth::Outside);
        for text in outside {
            assert!(is_public(ip(text)), "{text}");
        }
        for text in host.iter().chain(&link).chain(&inside).chain(&["224.0.1.75", "ff0e::1"]) {
            assert!(!is_public(ip(text)), "{text}");
        }
    }

    #[test]
    fn ranges() {
        let ranges = [(ip("10.1.0.0"), 16), (ip("fd00::"), 8), (ip("192.168.1.1"), 32)];
        for (text, within) in [
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("192.168.1.1", true),
            ("192.168.1.2", false),
        ] {
            assert_eq!(is_within(ip(text), &ranges), within, "{text}");
        }
        assert!(is_within(ip("8.8.8.8"), &[(ip("0.0.0.0"), 0)]));
    }
}
