//! CHANNEL-NUMBER (RFC 8656 §18.1).

use super::Attribute;
use crate::{Kind, TransactionId};

/// A channel's number. Whether it may be bound is the request's business, as the refusal is a 400 that names no attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelNumber(pub u16);

impl ChannelNumber {
    /// Whether it may be bound. RFC 8656 §12 has clients choose from 0x4000 to 0x4FFF; those of RFC 5766 §11 (Debian's
    /// coturn 4.6 among them) choose from 0x4000 to 0x7FFF. Nothing else that may arrive on a TURN port begins with these
    /// bits (RFC 7983 §7), so both are served.
    pub const fn is_usable(self) -> bool {
        self.0 & 0xC000 == 0x4000
    }
}

impl Attribute<'_> for ChannelNumber {
    const KIND: Kind = Kind::CHANNEL_NUMBER;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        match *value {
            [high, low, _, _] => Some(Self(u16::from_be_bytes([high, low]))),
            _ => None,
        }
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        let [high, low] = self.0.to_be_bytes();
        out.extend_from_slice(&[high, low, 0, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{TRANSACTION, both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&ChannelNumber(0x4ABC), &[0x4A, 0xBC, 0, 0]);
        assert_eq!(ChannelNumber::read(&[0x40, 0, 9, 9], TRANSACTION), Some(ChannelNumber(0x4000)));
        refuses::<ChannelNumber>(&[&[], &[0x40, 0], &[0x40, 0, 0, 0, 0]]);
    }

    #[test]
    fn what_may_be_bound() {
        let usable = |number| ChannelNumber(number).is_usable();
        assert!(usable(0x4000) && usable(0x4FFF) && usable(0x7FFF) && !usable(0x3FFF) && !usable(0x8000));
    }
}
