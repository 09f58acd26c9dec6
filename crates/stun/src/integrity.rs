//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6): an HMAC over the message up to the attribute,
//! with the header's length set as if the attribute ended the message.

use crate::fingerprint::length_up_to;
use crate::{Message, Writer};
use hmac::digest::{FixedOutput, KeyInit, Update};
use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;

/// Which of the two attributes guard a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MESSAGE-INTEGRITY: HMAC-SHA-1, 20 octets.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA-256, 32 octets, or cut to a multiple of four from 16 up.
    Sha256,
    /// First the one, then the other.
    Both,
}

/// The key of either HMAC: at most 64 octets, the block size of both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; 64],
    length: u8,
}

impl Key {
    /// A long-term credential's key: MD5 or SHA-256 of `username:realm:password` (RFC 8489 §9.2.2).
    pub fn long_term<const N: usize>(hash: &[u8; N]) -> Self {
        const { assert!(N <= 64, "an MD5 or SHA-256 hash") };
        Self::new(hash)
    }

    /// A short-term credential's key: the password itself, after OpaqueString or SASLprep (RFC 8489 §9.1.1).
    /// Passwords above 64 octets do not occur (ICE allows 256 but uses 24); they are refused.
    pub fn short_term(password: &str) -> Option<Self> {
        (password.len() <= 64).then(|| Self::new(password.as_bytes()))
    }

    /// The MD5 key of a user whose password is at hand (RFC 8489 §9.2.2).
    pub fn md5(username: &str, realm: &str, password: &str) -> Self {
        let mut hash = Md5::new();
        for part in [username, ":", realm, ":", password] {
            Update::update(&mut hash, part.as_bytes());
        }
        Self::new(&hash.finalize())
    }

    /// The SHA-256 key of a user whose password is at hand (RFC 8489 §9.2.2).
    pub fn sha256(username: &str, realm: &str, password: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [username, ":", realm, ":", password] {
            Update::update(&mut hash, part.as_bytes());
        }
        Self::new(&hash.finalize())
    }

    /// A key as somebody else made it (RFC 7635 §4): at most 64 octets.
    pub fn raw(key: &[u8]) -> Option<Self> {
        (1..=64).contains(&key.len()).then(|| Self::new(key))
    }

    fn new(from: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..from.len()].copy_from_slice(from);
        Self { bytes, length: u8::try_from(from.len()).expect("at most 64") }
    }

    fn expose(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Message<'_> {
    /// Which integrity attributes it has; the stronger where it has both.
    pub fn integrity(&self) -> Option<Algorithm> {
        match (self.sha256(), self.sha1()) {
            (Some(_), _) => Some(Algorithm::Sha256),
            (None, Some(_)) => Some(Algorithm::Sha1),
            (None, None) => None,
        }
    }

    /// Whether the integrity attribute named by [`Message::integrity`] was made with `key`.
    pub fn is_signed(&self, key: &Key) -> bool {
        match (self.sha256(), self.sha1()) {
            (Some((at, value)), _) => {
                matches!(value.len(), 16 | 20 | 24 | 28 | 32)
                    && sha256(key, self.bytes(), at, value.len())[..value.len()].ct_eq(value).into()
            }
            (None, Some((at, value))) => value.len() == 20 && sha1(key, self.bytes(), at).ct_eq(value).into(),
            (None, None) => false,
        }
    }
}

impl Writer<'_> {
    /// Ends the signed part of the message with an integrity attribute; only another one or FINGERPRINT may follow.
    pub fn sign(self, algorithm: Algorithm, key: &Key) -> Self {
        match algorithm {
            Algorithm::Sha1 => {
                self.guard(crate::Kind::MESSAGE_INTEGRITY, |message, at| sha1(key, message, at))
            }
            Algorithm::Sha256 => {
                self.guard(crate::Kind::MESSAGE_INTEGRITY_SHA256, |message, at| sha256(key, message, at, 32))
            }
            Algorithm::Both => self.sign(Algorithm::Sha1, key).sign(Algorithm::Sha256, key),
        }
    }
}

/// The HMAC-SHA-1 of a message whose MESSAGE-INTEGRITY starts at `at`.
fn sha1(key: &Key, message: &[u8], at: usize) -> [u8; 20] {
    keyed::<Hmac<Sha1>>(key, message, at, 20).finalize_fixed().into()
}

/// The HMAC-SHA-256 of a message whose MESSAGE-INTEGRITY-SHA256 starts at `at` and has `length` octets.
fn sha256(key: &Key, message: &[u8], at: usize, length: usize) -> [u8; 32] {
    keyed::<Hmac<Sha256>>(key, message, at, length).finalize_fixed().into()
}

fn keyed<M: Mac + KeyInit + Update>(key: &Key, message: &[u8], at: usize, length: usize) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    Update::update(&mut mac, &message[..2]);
    Update::update(&mut mac, &length_up_to(at + 4 + length));
    Update::update(&mut mac, &message[4..at]);
    mac
}
