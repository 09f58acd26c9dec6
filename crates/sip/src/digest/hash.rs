//! The hash functions of digest authentication, and their results in hexadecimal as they are hashed again.

use md5::Md5;
use sha2::{Sha256, Sha512_256};
use std::ops::BitAnd;
use subtle::{Choice, ConstantTimeEq as _};

/// A hash function by its name in SIP (RFC 8760 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `MD5`, also where no algorithm is named.
    Md5,
    /// `SHA-256`
    Sha256,
    /// `SHA-512-256`
    Sha512256,
}

impl Algorithm {
    /// As challenges write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512256 => "SHA-512-256",
        }
    }

    /// Reads a name; `None` for one that is never offered.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let all = [Self::Md5, Self::Sha256, Self::Sha512256];
        all.into_iter().find(|a| name.eq_ignore_ascii_case(a.name().as_bytes()))
    }
}

/// A hash in lower-case hexadecimal digits.
pub(super) struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    /// Writes a hash of at most 32 octets.
    pub(super) fn new(hash: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self { digits, length: 2 * hash.len() }
    }

    /// Hashes the parts with colons between them.
    pub(super) fn of(algorithm: Algorithm, parts: &[&[u8]]) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::new(&joined::<Md5>(parts)),
            Algorithm::Sha256 => Self::new(&joined::<Sha256>(parts)),
            Algorithm::Sha512256 => Self::new(&joined::<Sha512_256>(parts)),
        }
    }

    /// Whether `text` is this hash, in letters of either case. How long that takes does not tell how much of it is.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        let mut given = [0; 64];
        let Some(room) = given.get_mut(..text.len()).filter(|_| text.len() == self.length) else {
            return false;
        };
        room.copy_from_slice(text);
        given.make_ascii_lowercase();
        let eights = given.as_chunks::<8>().0.iter().zip(self.digits.as_chunks::<8>().0);
        let same =
            |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one).ct_eq(&u64::from_le_bytes(*other));
        eights.map(same).fold(Choice::from(1), BitAnd::bitand).into()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }
}

fn joined<H: sha2::Digest>(parts: &[&[u8]]) -> sha2::digest::Output<H> {
    let mut hash = H::new();
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_this_hash_and_no_other() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512256] {
            let hash = Hex::of(algorithm, &[b"a", b"b"]);
            let text = hash.as_bytes().to_vec();
            assert!(hash.is(&text) && hash.is(&text.to_ascii_uppercase()));
            for wrong in 0..text.len() {
                let mut other = text.clone();
                other[wrong] ^= 1;
                assert!(!hash.is(&other) && !hash.is(&text[..wrong]) && !hash.is(&text[wrong + 1..]));
            }
            assert!(!hash.is(&[&text[..], b"\0"].concat()) && !hash.is(&[&text[..], &[0; 64]].concat()));
        }
    }
}
