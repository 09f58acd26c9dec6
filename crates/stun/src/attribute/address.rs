//! The attributes that carry a transport address, as it is or mixed with the cookie and transaction (RFC 8489 §14.1, §14.2).

use super::Attribute;
use crate::{Kind, MAGIC_COOKIE, TransactionId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// Declares an attribute that is one address, and how its octets are mixed.
macro_rules! address {
    ($name:ident, $kind:ident, $mask:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub SocketAddr);

        impl Attribute<'_> for $name {
            const KIND: Kind = Kind::$kind;

            fn read(value: &[u8], transaction: TransactionId) -> Option<Self> {
                read(value, &$mask(transaction)).map(Self)
            }

            fn write(&self, transaction: TransactionId, out: &mut Vec<u8>) {
                write(self.0, &$mask(transaction), out);
            }
        }
    };
}

address!(MappedAddress, MAPPED_ADDRESS, plain, "MAPPED-ADDRESS (RFC 8489 §14.1): for clients of RFC 3489.");
address!(
    AlternateServer,
    ALTERNATE_SERVER,
    plain,
    "ALTERNATE-SERVER (RFC 8489 §14.15): where to try instead."
);
address!(
    ResponseOrigin,
    RESPONSE_ORIGIN,
    plain,
    "RESPONSE-ORIGIN (RFC 5780 §7.3): where the answer comes from."
);
address!(
    OtherAddress,
    OTHER_ADDRESS,
    plain,
    "OTHER-ADDRESS (RFC 5780 §7.4): where a CHANGE-REQUEST of both would be answered from."
);
address!(
    XorMappedAddress,
    XOR_MAPPED_ADDRESS,
    mixed,
    "XOR-MAPPED-ADDRESS (RFC 8489 §14.2): the client as we see it."
);
address!(
    XorPeerAddress,
    XOR_PEER_ADDRESS,
    mixed,
    "XOR-PEER-ADDRESS (RFC 8656 §18.3): a peer as the server sees it."
);
address!(
    XorRelayedAddress,
    XOR_RELAYED_ADDRESS,
    mixed,
    "XOR-RELAYED-ADDRESS (RFC 8656 §18.5): what was allocated."
);

/// Leaves an address as it is.
fn plain(_: TransactionId) -> [u8; 16] {
    [0; 16]
}

/// Hides an address from middleboxes that rewrite what looks like one.
pub(crate) fn mixed(transaction: TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(&transaction.0);
    mask
}

fn read(value: &[u8], mask: &[u8; 16]) -> Option<SocketAddr> {
    let (&[_, family, high, low], octets) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([high ^ mask[0], low ^ mask[1]]);
    let ip = match family {
        IPV4 => IpAddr::V4(Ipv4Addr::from(unmask::<4>(octets, mask)?)),
        IPV6 => IpAddr::V6(Ipv6Addr::from(unmask::<16>(octets, mask)?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn unmask<const N: usize>(octets: &[u8], mask: &[u8; 16]) -> Option<[u8; N]> {
    let mut octets: [u8; N] = octets.try_into().ok()?;
    octets.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
    Some(octets)
}

fn write(address: SocketAddr, mask: &[u8; 16], out: &mut Vec<u8>) {
    let [high, low] = address.port().to_be_bytes();
    let family = if address.is_ipv4() { IPV4 } else { IPV6 };
    out.extend_from_slice(&[0, family, high ^ mask[0], low ^ mask[1]]);
    match address.ip() {
        IpAddr::V4(ip) => out.extend(ip.octets().iter().zip(mask).map(|(octet, mask)| octet ^ mask)),
        IpAddr::V6(ip) => out.extend(ip.octets().iter().zip(mask).map(|(octet, mask)| octet ^ mask)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn plain_addresses() {
        both_ways(&MappedAddress(address("192.0.2.1:32853")), &[0, 1, 0x80, 0x55, 192, 0, 2, 1]);
        both_ways(
            &AlternateServer(address("[2001:db8::1]:3478")),
            &[0, 2, 0x0D, 0x96, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        both_ways(&ResponseOrigin(address("192.0.2.1:3478")), &[0, 1, 0x0D, 0x96, 192, 0, 2, 1]);
        both_ways(&OtherAddress(address("192.0.2.2:3479")), &[0, 1, 0x0D, 0x97, 192, 0, 2, 2]);
        refuses::<MappedAddress>(&[
            &[],
            &[0, 1, 0x80, 0x55],
            &[0, 1, 0x80, 0x55, 192, 0, 2],
            &[0, 1, 0x80, 0x55, 192, 0, 2, 1, 0],
            &[0, 2, 0x80, 0x55, 192, 0, 2, 1],
            &[0, 3, 0x80, 0x55, 192, 0, 2, 1],
        ]);
    }

    #[test]
    fn mixed_addresses() {
        both_ways(&XorMappedAddress(address("192.0.2.1:32853")), &[0, 1, 0xA1, 0x47, 0xE1, 0x12, 0xA6, 0x43]);
        both_ways(
            &XorPeerAddress(address("[2001:db8:1234:5678:11:2233:4455:6677]:32853")),
            &[
                0, 2, 0xA1, 0x47, 0x01, 0x13, 0xA9, 0xFA, 0xA5, 0xD3, 0xF1, 0x79, 0xBC, 0x25, 0xF4, 0xB5,
                0xBE, 0xD2, 0xB9, 0xD9,
            ],
        );
        refuses::<XorRelayedAddress>(&[
            &[],
            &[0, 1, 0, 0, 1, 2, 3],
            &[0, 2, 0, 0, 1, 2, 3, 4],
            &[0, 0, 0, 0, 1, 2, 3, 4],
        ]);
    }
}
