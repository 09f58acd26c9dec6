//! LIFETIME (RFC 8656 §18.2).

use super::Attribute;
use crate::{Kind, TransactionId};

/// How long an allocation stays without a refresh, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(pub u32);

impl Attribute<'_> for Lifetime {
    const KIND: Kind = Kind::LIFETIME;

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
        both_ways(&Lifetime(600), &[0, 0, 2, 0x58]);
        both_ways(&Lifetime(0), &[0; 4]);
        refuses::<Lifetime>(&[&[], &[0; 3], &[0; 5]]);
    }
}
