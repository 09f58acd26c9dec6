//! DATA (RFC 8656 §18.4): what goes to or came from a peer.

use super::Attribute;
use crate::{Kind, TransactionId};

/// The payload of one datagram; it may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for Data<'a> {
    const KIND: Kind = Kind::DATA;

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
    fn any_bytes_are_data() {
        both_ways(&Data(b"hello"), b"hello");
        both_ways(&Data(b""), b"");
    }
}
