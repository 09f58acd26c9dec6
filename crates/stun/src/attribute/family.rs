//! REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.6, §18.11).

use super::Attribute;
use crate::{Kind, TransactionId};
use std::net::IpAddr;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of_ip(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }
}

/// The family that the relayed address shall have. A family that nobody knows is `None`: a 440, not a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedAddressFamily(pub Option<Family>);

/// The family that a second relayed address shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdditionalAddressFamily(pub Option<Family>);

/// ADDITIONAL-ADDRESS-FAMILY under the number that it had before the RFC; coturn's clients up to 4.6 send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftAdditionalAddressFamily(pub Option<Family>);

macro_rules! family {
    ($name:ident, $kind:ident) => {
        impl Attribute<'_> for $name {
            const KIND: Kind = Kind::$kind;

            fn read(value: &[u8], _: TransactionId) -> Option<Self> {
                match *value {
                    [number, _, _, _] => Some(Self(Family::of(number))),
                    _ => None,
                }
            }

            fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
                out.extend_from_slice(&[self.0.map_or(0, Family::number), 0, 0, 0]);
            }
        }
    };
}

family!(RequestedAddressFamily, REQUESTED_ADDRESS_FAMILY);
family!(AdditionalAddressFamily, ADDITIONAL_ADDRESS_FAMILY);
family!(DraftAdditionalAddressFamily, DRAFT_ADDITIONAL_ADDRESS_FAMILY);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{TRANSACTION, both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&RequestedAddressFamily(Some(Family::V4)), &[1, 0, 0, 0]);
        both_ways(&AdditionalAddressFamily(Some(Family::V6)), &[2, 0, 0, 0]);
        both_ways(&DraftAdditionalAddressFamily(Some(Family::V6)), &[2, 0, 0, 0]);
        refuses::<DraftAdditionalAddressFamily>(&[&[], &[1], &[1, 0, 0, 0, 0]]);
        refuses::<RequestedAddressFamily>(&[&[], &[1], &[1, 0, 0, 0, 0]]);
        refuses::<AdditionalAddressFamily>(&[&[], &[1], &[1, 0, 0, 0, 0]]);
    }

    #[test]
    fn a_family_that_nobody_knows_is_not_malformed() {
        let read = RequestedAddressFamily::read(&[7, 0, 0, 0], TRANSACTION);
        assert_eq!(read, Some(RequestedAddressFamily(None)));
    }
}
