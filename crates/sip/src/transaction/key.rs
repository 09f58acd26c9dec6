//! What a request's transaction is found by: branch, sent-by and method (RFC 3261 §17.2.3), or, for requests
//! without the magic cookie, everything that RFC 2543 compared. Only a keyed hash is kept.

use crate::uri::Host;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

/// How many octets are hashed at once: nearly every branch and host fit. No part of them is longer than its length's octet tells.
const GATHERED: usize = 256;

/// The name of a server transaction: 128 bits, so that two never meet by chance, and keyed, so that nobody can make them meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u128);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The secret of [`Key`]s: one per worker, made at start.
#[derive(Clone)]
pub struct Keyring(SipHasher13);

impl Default for Keyring {
    fn default() -> Self {
        let [one, other] = [0; 2].map(|n: u64| RandomState::new().hash_one(n));
        Self(SipHasher13::new_with_keys(one, other))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// RFC 3261: the method, the branch with the magic cookie, and who wrote it. ACK and CANCEL name their INVITE.
    /// Branches are tokens, in which case does not count (RFC 3261 §7.3.1).
    pub fn by_branch(&self, method: &[u8], branch: &[u8], host: Host<'_>, port: Option<u16>) -> Key {
        let port = port.unwrap_or(5060).to_be_bytes();
        let (mut text, mut end) = ([0; GATHERED], 0);
        let (kind, ip, name) = match host {
            Host::Ip(IpAddr::V4(ip)) => (b'4', u128::from(ip.to_bits()), &b""[..]),
            Host::Ip(IpAddr::V6(ip)) => (b'6', ip.to_bits(), &b""[..]),
            Host::Name(name) => (b'n', 0, name),
        };
        let octets = ip.to_be_bytes();
        let parts = [&[b'b', kind][..], &octets, &port, method, branch, name];
        let whole: usize = parts.iter().map(|part| 1 + part.len()).sum();
        if whole > GATHERED {
            return self.by_long_branch((kind, ip, u16::from_be_bytes(port)), method, branch, name);
        }
        for (place, part) in parts.into_iter().enumerate() {
            // Nothing is cut off: all of them fit.
            text[end] = part.len() as u8;
            let into = &mut text[end + 1..end + 1 + part.len()];
            into.copy_from_slice(part);
            // Branch and name.
            if place >= 4 {
                into.make_ascii_lowercase();
            }
            end += 1 + part.len();
        }
        Key(self.0.hash(&text[..end]).as_u128())
    }

    /// The same for what does not fit.
    #[cold]
    fn by_long_branch(&self, from: (u8, u128, u16), method: &[u8], branch: &[u8], name: &[u8]) -> Key {
        let mut hasher = self.0;
        (b'l', from, method).hash(&mut hasher);
        hash_lower(&mut hasher, branch);
        hash_lower(&mut hasher, name);
        Key(hasher.finish128().as_u128())
    }

    /// RFC 2543: top Via, Request-URI, From tag, Call-ID, CSeq number and method. ACK and CANCEL name their INVITE.
    pub fn by_all(&self, method: &[u8], parts: [&[u8]; 4], cseq: u32) -> Key {
        let mut hasher = self.0;
        (b'a', method, parts, cseq).hash(&mut hasher);
        Key(hasher.finish128().as_u128())
    }
}

/// Hashes a text as if it were in lower case, and its length.
fn hash_lower(hasher: &mut SipHasher13, text: &[u8]) {
    for piece in text.chunks(64) {
        let mut lower = [0; 64];
        let lower = &mut lower[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
    hasher.write_usize(text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_sender_and_method_tell_transactions_apart() {
        let ring = Keyring::default();
        let key = |method: &str, branch: &str, host: &str, port| {
            ring.by_branch(
                method.as_bytes(),
                branch.as_bytes(),
                Host::parse(host.as_bytes()).expect("valid"),
                port,
            )
        };
        let one = key("INVITE", "z9hG4bKa", "a.example", None);
        assert_eq!(one, key("INVITE", "z9hG4bKa", "A.example", Some(5060)));
        assert_eq!(one, key("INVITE", "Z9HG4BKA", "a.example", None));
        let others = [
            key("INFO", "z9hG4bKa", "a.example", None),
            key("MESSAGE", "z9hG4bKa", "a.example", None),
            key("INVITE", "z9hG4bKb", "a.example", None),
            key("INVITE", "z9hG4bKa", "b.example", None),
            key("INVITE", "z9hG4bKa", "a.example", Some(5061)),
        ];
        assert!(others.iter().all(|other| *other != one));
        assert_ne!(
            ring.by_all(b"INVITE", [b"a", b"", b"b", b"c"], 1),
            ring.by_all(b"INVITE", [b"a", b"b", b"", b"c"], 1)
        );
    }
}
