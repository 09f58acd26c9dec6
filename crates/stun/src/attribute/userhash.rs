//! USERHASH (RFC 8489 §14.4): a name that listeners on the way do not read.

use super::Attribute;
use crate::{Kind, TransactionId};
use sha2::{Digest, Sha256};

/// SHA-256 of `username:realm`, in place of USERNAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserHash(pub [u8; 32]);

impl UserHash {
    /// The hash of a name in a realm.
    pub fn of(username: &str, realm: &str) -> Self {
        Self(Sha256::new().chain_update(username).chain_update(":").chain_update(realm).finalize().into())
    }
}

impl Attribute<'_> for UserHash {
    const KIND: Kind = Kind::USERHASH;

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
        both_ways(&UserHash([7; 32]), &[7; 32]);
        refuses::<UserHash>(&[&[], &[7; 31], &[7; 33]]);
    }

    #[test]
    fn the_hash_of_rfc_8489_b_1() {
        let UserHash(hash) = UserHash::of("マトリックス", "example.org");
        assert_eq!(hash[..8], [0x4A, 0x3C, 0xF3, 0x8F, 0xEF, 0x69, 0x92, 0xBD]);
    }
}
