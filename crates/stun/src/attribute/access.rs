//! ACCESS-TOKEN (RFC 7635 §6.2): a credential that somebody else made for the client, as it lies in the message.

use super::Attribute;
use crate::{Kind, TransactionId};

/// A token, still sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessToken<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for AccessToken<'a> {
    const KIND: Kind = Kind::ACCESS_TOKEN;

    fn read(value: &'a [u8], _: TransactionId) -> Option<Self> {
        (!value.is_empty()).then_some(Self(value))
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&AccessToken(b"sealed"), b"sealed");
        refuses::<AccessToken<'_>>(&[&[]]);
    }
}
