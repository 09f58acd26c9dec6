//! UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).

use super::Attribute;
use crate::{Kind, TransactionId};

/// The attributes that a 420 complains of; at most as many as the message could hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownAttributes(pub Vec<Kind>);

impl Attribute<'_> for UnknownAttributes {
    const KIND: Kind = Kind::UNKNOWN_ATTRIBUTES;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        let (pairs, rest) = value.as_chunks::<2>();
        rest.is_empty().then(|| Self(pairs.iter().map(|pair| Kind(u16::from_be_bytes(*pair))).collect()))
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend(self.0.iter().flat_map(|kind| kind.0.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&UnknownAttributes(vec![Kind(0x7FFF), Kind::DONT_FRAGMENT]), &[0x7F, 0xFF, 0, 0x1A]);
        both_ways(&UnknownAttributes::default(), &[]);
        refuses::<UnknownAttributes>(&[&[1], &[1, 2, 3]]);
    }
}
