//! DONT-FRAGMENT (RFC 8656 §18.9): it has no value.

use super::Attribute;
use crate::{Kind, TransactionId};

/// Datagrams to peers shall have the DF bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DontFragment;

impl Attribute<'_> for DontFragment {
    const KIND: Kind = Kind::DONT_FRAGMENT;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        value.is_empty().then_some(Self)
    }

    fn write(&self, _: TransactionId, _: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&DontFragment, &[]);
        refuses::<DontFragment>(&[&[0], &[0, 0, 0, 0]]);
    }
}
