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
            IpAddr::V6(ip) => {
                let [first, ..] = ip.segments();
                // Unique local and site-local (RFC 4193, RFC 3879).
                let is_local = first & 0xFE00 == 0xFC00 || first & 0xFFC0 == 0xFEC0;
                if is_local { Self::Inside } else { embedded(ip).map_or(Self::Outside, depth4) }
            }
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

const INSIDE4: [([u8; 4], u8); 4] = [
    ([100, 64, 0, 0], 10), // carrier-grade NAT
    ([192, 0, 0, 0], 24),  // protocol assignments
    ([198, 18, 0, 0], 15), // benchmarks
    ([240, 0, 0, 0], 4),   // reserved
];

fn within4(ip: Ipv4Addr, first: Ipv4Addr, prefix: u8) -> bool {
    (u32::from(ip) ^ u32::from(first)).leading_zeros() >= u32::from(prefix)
}

/// The IPv4 address that an IPv6 address leads to: by NAT64 (RFC 6052), 6to4 (RFC 3056), or as ::a.b.c.d.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] | [0, 0, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
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
        ];
        let outside = ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2001:4860::1", "64:ff9b::808:808"];
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
