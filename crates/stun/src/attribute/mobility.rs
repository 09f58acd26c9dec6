//! MOBILITY-TICKET (RFC 8016 §4.2).

use super::Attribute;
use crate::{Kind, TransactionId};

/// What a client shows to go on with its allocation from another address. Empty: it asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MobilityTicket<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for MobilityTicket<'a> {
    const KIND: Kind = Kind::MOBILITY_TICKET;

    fn read(value: &'a [u8], _: TransactionId) -> Option<Self> {
        Some(Self(value))
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::both_ways;

    #[test]
    fn any_bytes_are_a_ticket() {
        both_ways(&MobilityTicket(b"a ticket"), b"a ticket");
        both_ways(&MobilityTicket(b""), b"");
    }
}
