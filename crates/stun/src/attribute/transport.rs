//! REQUESTED-TRANSPORT (RFC 8656 §18.8).

use super::Attribute;
use crate::{Kind, TransactionId};

/// The protocol between the server and the peers, by its IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedTransport(pub u8);

impl RequestedTransport {
    /// TCP (RFC 6062 §4.1).
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
}

impl Attribute<'_> for RequestedTransport {
    const KIND: Kind = Kind::REQUESTED_TRANSPORT;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        match *value {
            [protocol, _, _, _] => Some(Self(protocol)),
            _ => None,
        }
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.0, 0, 0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&RequestedTransport::UDP, &[17, 0, 0, 0]);
        both_ways(&RequestedTransport::TCP, &[6, 0, 0, 0]);
        refuses::<RequestedTransport>(&[&[], &[17], &[17, 0, 0, 0, 0]]);
    }
}
