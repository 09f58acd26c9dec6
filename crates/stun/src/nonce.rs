//! Nonces that the server need not remember (RFC 8489 §9.2): time and an HMAC over it and the client's address.
//!
//! A whole fleet may share the secret. The twelve characters are `base64(seconds mod 2^24, first 48 bits of the HMAC)`;
//! RFC 8489's security-feature bits would stand in front of them.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How many characters a nonce has.
pub const LENGTH: usize = 12;

/// Where the seconds wrap around: after 194 days, in which an old nonce would be taken for a new one, were it
/// not for the secret, which no start of the server shares with the one before unless an administrator says so.
const WRAP: u32 = 1 << 24;

/// Makes and checks nonces.
#[derive(Clone)]
pub struct Nonces {
    keyed: Hmac<Sha256>,
    lifetime: u32,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces({} s)", self.lifetime)
    }
}

impl Nonces {
    /// Nonces of this secret, each good for `lifetime` (whole seconds, at most 2^23).
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        let keyed =
            <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
        let lifetime = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).min(WRAP / 2);
        Self { keyed, lifetime }
    }

    /// A nonce for a client, at a moment given as time since 1970.
    pub fn make(&self, unix: Duration, client: SocketAddr) -> NonceText {
        NonceText(self.text(seconds(unix), client))
    }

    /// Whether a nonce is ours, for this client, and still fresh.
    pub fn is_fresh(&self, unix: Duration, client: SocketAddr, nonce: &str) -> bool {
        let Some(made) = made_at(nonce) else { return false };
        let age = seconds(unix).wrapping_sub(made) % WRAP;
        age <= self.lifetime
            && subtle::ConstantTimeEq::ct_eq(&self.text(made, client)[..], nonce.as_bytes()).into()
    }

    fn text(&self, seconds: u32, client: SocketAddr) -> [u8; LENGTH] {
        let mut mac = self.keyed.clone();
        mac.update(&seconds.to_be_bytes());
        match client.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&client.port().to_be_bytes());
        let tag = mac.finalize().into_bytes();
        let mut raw = [0; 9];
        raw[..3].copy_from_slice(&seconds.to_be_bytes()[1..]);
        raw[3..].copy_from_slice(&tag[..6]);
        encode(raw)
    }
}

/// A nonce, ready to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceText([u8; LENGTH]);

impl NonceText {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

fn seconds(unix: Duration) -> u32 {
    u32::try_from(unix.as_secs() % u64::from(WRAP)).expect("below 2^24")
}

fn encode(raw: [u8; 9]) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    for (three, four) in raw.as_chunks::<3>().0.iter().zip(out.as_chunks_mut::<4>().0) {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (i, character) in four.iter_mut().enumerate() {
            *character = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
        }
    }
    out
}

/// The seconds in a nonce's first four characters.
fn made_at(nonce: &str) -> Option<u32> {
    let nonce: &[u8; LENGTH] = nonce.as_bytes().try_into().ok()?;
    nonce[..4].iter().try_fold(0, |bits, character| Some(bits << 6 | sextet(*character)?))
}

fn sextet(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn client(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn good_for_one_client_and_some_time() {
        let nonces = Nonces::new(b"secret", Duration::from_secs(600));
        let roland = client("192.0.2.1:5000");
        let nonce = nonces.make(NOW, roland);
        let fresh = |after, client| nonces.is_fresh(NOW + Duration::from_secs(after), client, nonce.as_str());
        assert_eq!(nonce.as_str().len(), LENGTH);
        assert!(fresh(0, roland) && fresh(600, roland) && !fresh(601, roland));
        assert!(!fresh(0, client("192.0.2.1:5001")) && !fresh(0, client("192.0.2.2:5000")));
        assert!(!nonces.is_fresh(NOW - Duration::from_secs(1), roland, nonce.as_str()), "made in the future");
        assert!(!Nonces::new(b"other", Duration::from_secs(600)).is_fresh(NOW, roland, nonce.as_str()));
        assert!(
            Nonces::new(b"secret", Duration::from_secs(600)).is_fresh(NOW, roland, nonce.as_str()),
            "a fleet"
        );
    }

    #[test]
    fn the_seconds_may_wrap() {
        let nonces = Nonces::new(b"secret", Duration::from_secs(600));
        let edge = Duration::from_secs(u64::from(WRAP) * 107 - 1);
        let nonce = nonces.make(edge, client("[2001:db8::1]:9"));
        assert!(nonces.is_fresh(edge + Duration::from_secs(5), client("[2001:db8::1]:9"), nonce.as_str()));
    }

    #[test]
    fn whatever_else_is_stale() {
        let nonces = Nonces::new(b"secret", Duration::from_secs(600));
        for text in ["", "AAAA", "AAAAAAAAAAAA", "AAAAAAAAAAAAA", "!!!!AAAAAAAA", "äöüäöü"] {
            assert!(!nonces.is_fresh(NOW, client("192.0.2.1:5000"), text), "{text}");
        }
    }
}
