//! CONNECTION-ID (RFC 6062 §6.2.1).

use super::Attribute;
use crate::{Kind, TransactionId};

/// Names a connection to a peer, so that another connection of the client can be joined to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerConnection(pub u32);

impl Attribute<'_> for PeerConnection {
    const KIND: Kind = Kind::CONNECTION_ID;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        value.try_into().ok().map(u32::from_be_bytes).map(Self)
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&PeerConnection(0x0102_0304), &[1, 2, 3, 4]);
        refuses::<PeerConnection>(&[&[], &[0; 3], &[0; 5]]);
    }
}
