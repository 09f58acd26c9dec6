//! The hash functions of digest authentication, and their results in hexadecimal as they are hashed again.

use md5::Md5;
use sha2::{Sha256, Sha512_256};

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
