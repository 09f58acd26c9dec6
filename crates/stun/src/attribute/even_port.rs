//! EVEN-PORT (RFC 8656 §18.7).

use super::Attribute;
use crate::{Kind, TransactionId};

/// The relayed port shall be even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvenPort {
    /// Whether the next higher port shall be kept for a later Allocate.
    pub reserve: bool,
}

impl Attribute<'_> for EvenPort {
    const KIND: Kind = Kind::EVEN_PORT;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        match *value {
            [bits] => Some(Self { reserve: bits & 0x80 != 0 }),
            _ => None,
        }
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.push(u8::from(self.reserve) << 7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&EvenPort { reserve: true }, &[0x80]);
        both_ways(&EvenPort { reserve: false }, &[0]);
        refuses::<EvenPort>(&[&[], &[0x80, 0], &[0x80, 0, 0, 0]]);
    }
}
