//! PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS (RFC 8489 §14.11, §14.12): how a password becomes a key.

use super::Attribute;
use crate::{Kind, TransactionId};

/// How a password becomes a key (RFC 8489 §18.5). Neither of the two known ones has parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordAlgorithm {
    /// MD5, the only one before RFC 8489.
    Md5,
    /// SHA-256.
    Sha256,
    /// One that nobody knows, or a known one with parameters.
    Other,
}

const MD5: [u8; 4] = [0, 1, 0, 0];
const SHA256: [u8; 4] = [0, 2, 0, 0];

impl Attribute<'_> for PasswordAlgorithm {
    const KIND: Kind = Kind::PASSWORD_ALGORITHM;

    fn read(value: &[u8], _: TransactionId) -> Option<Self> {
        match entry(value)? {
            (algorithm, []) => Some(algorithm),
            _ => None,
        }
    }

    /// [`Self::Other`] is written as the number zero, which is nobody's.
    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(&match self {
            Self::Md5 => MD5,
            Self::Sha256 => SHA256,
            Self::Other => [0; 4],
        });
    }
}

/// What a server takes, the best first, as the octets of the attribute: those that a client sends back are compared
/// with those that were sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordAlgorithms<'a>(&'a [u8]);

impl PasswordAlgorithms<'static> {
    /// What the house takes.
    pub const OURS: Self = Self(&[0, 2, 0, 0, 0, 1, 0, 0]);
}

impl<'a> PasswordAlgorithms<'a> {
    /// The algorithms in order.
    pub fn iter(&self) -> impl Iterator<Item = PasswordAlgorithm> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (algorithm, after) = entry(rest)?;
            rest = after;
            Some(algorithm)
        })
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const KIND: Kind = Kind::PASSWORD_ALGORITHMS;

    fn read(value: &'a [u8], _: TransactionId) -> Option<Self> {
        let mut rest = value;
        while !rest.is_empty() {
            (_, rest) = entry(rest)?;
        }
        (!value.is_empty()).then_some(Self(value))
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// The first entry of a list, and what follows. Parameters are padded; the last one's padding may be the attribute's own.
fn entry(value: &[u8]) -> Option<(PasswordAlgorithm, &[u8])> {
    let (head, rest) = value.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let after = rest.get(length.next_multiple_of(4)..).or((rest.len() == length).then_some(&[][..]))?;
    let algorithm = match *head {
        MD5 => PasswordAlgorithm::Md5,
        SHA256 => PasswordAlgorithm::Sha256,
        _ => PasswordAlgorithm::Other,
    };
    Some((algorithm, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{TRANSACTION, both_ways, refuses};
    use PasswordAlgorithm::{Md5, Other, Sha256};

    #[test]
    fn one_algorithm() {
        both_ways(&Md5, &[0, 1, 0, 0]);
        both_ways(&Sha256, &[0, 2, 0, 0]);
        for other in [&[0, 3, 0, 0][..], &[0, 0, 0, 0], &[0, 1, 0, 1, 9, 0, 0, 0], &[0, 1, 0, 3, 9, 9, 9]] {
            assert_eq!(PasswordAlgorithm::read(other, TRANSACTION), Some(Other), "{other:?}");
        }
        refuses::<PasswordAlgorithm>(&[
            &[],
            &[0, 1],
            &[0, 1, 0],
            &[0, 1, 0, 4, 0],
            &[0, 1, 0, 0, 0, 2, 0, 0],
        ]);
    }

    #[test]
    fn several_algorithms() {
        both_ways(&PasswordAlgorithms::OURS, &[0, 2, 0, 0, 0, 1, 0, 0]);
        let odd = [0, 9, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 1, 0, 0];
        let read = PasswordAlgorithms::read(&odd, TRANSACTION).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [Other, Md5]);
        assert_eq!(PasswordAlgorithms::OURS.iter().collect::<Vec<_>>(), [Sha256, Md5]);
        refuses::<PasswordAlgorithms<'_>>(&[&[], &[0, 1, 0], &[0, 1, 0, 0, 0, 2], &[0, 1, 0, 9, 0, 2, 0, 0]]);
    }
}
