//! RESERVATION-TOKEN (RFC 8656 §18.10).

use super::Attribute;
use crate::{Kind, TransactionId};

/// Names a port that an earlier Allocate had reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReservationToken(pub [u8; 8]);

impl Attribute<'_> for ReservationToken {
    const KIND: Kind = Kind::RESERVATION_TOKEN;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        value.try_into().ok().map(Self)
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&ReservationToken(*b"a seat, "), b"a seat, ");
        refuses::<ReservationToken>(&[&[], &[0; 7], &[0; 9]]);
    }
}
