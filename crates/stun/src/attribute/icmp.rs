//! ICMP (RFC 8656 §18.13): what the network said to a datagram for a peer, in a Data indication.

use super::Attribute;
use crate::{Kind, TransactionId};

/// An ICMP or ICMPv6 message about a peer. Whether it is one or the other says the peer's address family.
///
/// The figure in the RFC draws seven bits for the type and nine for the code; so they are written here. Types of errors
/// are below 128 in both protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Its type, below 128.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The next hop's MTU where the packet was too big, else zero.
    pub data: u32,
}

impl Attribute<'_> for Icmp {
    const KIND: Kind = Kind::ICMP;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        let (&[_, _, high, low], data) = value.split_first_chunk::<4>()?;
        let code = u16::from_be_bytes([high & 1, low]);
        let data = u32::from_be_bytes(data.try_into().ok()?);
        Some(Self { kind: high >> 1, code: u8::try_from(code).ok()?, data })
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0, self.kind << 1, self.code]);
        out.extend_from_slice(&self.data.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{TRANSACTION, both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&Icmp { kind: 3, code: 4, data: 1400 }, &[0, 0, 6, 4, 0, 0, 5, 0x78]);
        both_ways(&Icmp { kind: 1, code: 255, data: 0 }, &[0, 0, 2, 255, 0, 0, 0, 0]);
        let reserved = Icmp::read(&[9, 9, 6, 3, 0, 0, 0, 0], TRANSACTION);
        assert_eq!(reserved, Some(Icmp { kind: 3, code: 3, data: 0 }));
        refuses::<Icmp>(&[&[], &[0; 4], &[0; 7], &[0; 9], &[0, 0, 7, 0, 0, 0, 0, 0]]);
    }
}
