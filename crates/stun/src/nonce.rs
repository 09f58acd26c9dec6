//! Nonces that the server need not remember (RFC 8489 §9.2): time and an HMAC over it and the client's IP address, without
//! the port: a client's other connections (RFC 6062) and its next port (RFC 8016) need no challenge of their own, and
//! Debian's client, which has one nonce for all of them, would be challenged in turns for ever.
//!
//! A whole fleet may share the secret. A full nonce is `obMatJos2`, the security features as four characters, and
//! `base64(seconds mod 2^24, first 48 bits of the HMAC)`. A short one, for answers that have no room for that, is
//! `base64(seconds mod 2^16, first 32 bits of the HMAC)`: it says nothing about features. The HMAC is over all of the
//! seconds and over the features, so that an old nonce never becomes new and no feature can be taken away.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What a nonce begins with that tells the server's security features (RFC 8489 §9.2).
const COOKIE: &str = "obMatJos2";

/// Our features: bit 0 from the left, password algorithms; bit 1, username anonymity (RFC 8489 §18.1).
const FEATURES: &str = "wAAA";

/// How many characters tell the features.
const MARK: usize = COOKIE.len() + FEATURES.len();

/// How many characters a full nonce has.
pub const FULL: usize = MARK + 12;

/// How many characters a short nonce has.
pub const SHORT: usize = 8;

/// The longest life of a nonce: what a short one can tell apart.
const LONGEST: u64 = 1 << 15;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the cookie and our features: the answer must have PASSWORD-ALGORITHMS.
    Full,
    /// As short as it gets.
    Short,
}

impl Form {
    /// How many characters it has.
    pub const fn length(self) -> usize {
        match self {
            Self::Full => FULL,
            Self::Short => SHORT,
        }
    }
}

/// Whether a nonce says that its sender takes other password algorithms than MD5 (RFC 8489 §9.2.4).
pub fn offers_algorithms(nonce: &str) -> bool {
    let features = nonce.strip_prefix(COOKIE).and_then(|rest| rest.as_bytes().first_chunk::<4>());
    features.and_then(|features| sextet(features[0])).is_some_and(|first| first & 0b10_0000 != 0)
}

/// Makes and checks nonces.
#[derive(Clone)]
pub struct Nonces {
    keyed: Hmac<Sha256>,
    lifetime: u64,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces({} s)", self.lifetime)
    }
}

impl Nonces {
    /// Nonces of this secret, each good for `lifetime` (whole seconds, at most nine hours).
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        let keyed =
            <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self { keyed, lifetime: lifetime.as_secs().min(LONGEST) }
    }

    /// A nonce for a client, at a moment given as time since 1970.
    pub fn make(&self, unix: Duration, client: SocketAddr, form: Form) -> NonceText {
        self.text(unix.as_secs(), client, form)
    }

    /// Whether a nonce is ours, for this client, and still fresh.
    pub fn is_fresh(&self, unix: Duration, client: SocketAddr, nonce: &str) -> bool {
        let form = match nonce.len() {
            FULL => Form::Full,
            SHORT => Form::Short,
            _ => return false,
        };
        let Some(made) = made_at(unix.as_secs(), nonce, form) else { return false };
        unix.as_secs() - made <= self.lifetime
            && subtle::ConstantTimeEq::ct_eq(self.text(made, client, form).as_bytes(), nonce.as_bytes())
                .into()
    }

    fn text(&self, seconds: u64, client: SocketAddr, form: Form) -> NonceText {
        let tag = self.tag(seconds, client, form);
        let mut text = NonceText { bytes: [0; FULL], length: form.length() };
        match form {
            Form::Full => {
                text.bytes[..COOKIE.len()].copy_from_slice(COOKIE.as_bytes());
                text.bytes[COOKIE.len()..MARK].copy_from_slice(FEATURES.as_bytes());
                let mut raw = [0; 9];
                raw[..3].copy_from_slice(&seconds.to_be_bytes()[5..]);
                raw[3..].copy_from_slice(&tag[..6]);
                encode(&raw, &mut text.bytes[MARK..]);
            }
            Form::Short => {
                let mut raw = [0; 6];
                raw[..2].copy_from_slice(&seconds.to_be_bytes()[6..]);
                raw[2..].copy_from_slice(&tag[..4]);
                encode(&raw, &mut text.bytes);
            }
        }
        text
    }

    fn tag(&self, seconds: u64, client: SocketAddr, form: Form) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        mac.update(&seconds.to_be_bytes());
        match client.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(if form == Form::Full { FEATURES.as_bytes() } else { b"" });
        mac.finalize().into_bytes().into()
    }
}

/// A nonce, ready to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceText {
    bytes: [u8; FULL],
    length: usize,
}

impl NonceText {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("base64 is ASCII")
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn encode(raw: &[u8], out: &mut [u8]) {
    for (three, four) in raw.as_chunks::<3>().0.iter().zip(out.as_chunks_mut::<4>().0) {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (i, character) in four.iter_mut().enumerate() {
            *character = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
        }
    }
}

/// The second that a nonce says it was made in: the last one whose lower bits are those in its first characters.
fn made_at(now: u64, nonce: &str, form: Form) -> Option<u64> {
    let (skip, modulus) = match form {
        Form::Full => (MARK, 1 << 24),
        Form::Short => (0, 1 << 16),
    };
    let four = nonce.as_bytes()[skip..].first_chunk::<4>()?;
    let bits = four.iter().try_fold(0, |bits, character| Some(bits << 6 | u64::from(sextet(*character)?)))?;
    let bits = if form == Form::Full { bits } else { bits >> 8 };
    now.checked_sub(now.wrapping_sub(bits) % modulus)
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
    const FORMS: [Form; 2] = [Form::Full, Form::Short];

    fn client(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nonces(secret: &str) -> Nonces {
        Nonces::new(secret.as_bytes(), Duration::from_secs(600))
    }

    #[test]
    fn good_for_one_client_and_some_time() {
        for form in FORMS {
            let roland = client("192.0.2.1:5000");
            let nonce = nonces("secret").make(NOW, roland, form);
            let fresh = |after, client| {
                nonces("secret").is_fresh(NOW + Duration::from_secs(after), client, nonce.as_str())
            };
            assert_eq!(nonce.as_str().len(), form.length());
            assert!(fresh(0, roland) && fresh(600, roland) && !fresh(601, roland));
            assert!(
                fresh(0, client("192.0.2.1:5001")),
                "another connection of the same host (RFC 6062, RFC 8016)"
            );
            assert!(!fresh(0, client("192.0.2.2:5000")));
            let before = NOW - Duration::from_secs(1);
            assert!(!nonces("secret").is_fresh(before, roland, nonce.as_str()), "made in the future");
            assert!(!nonces("other").is_fresh(NOW, roland, nonce.as_str()));
        }
    }

    #[test]
    fn the_seconds_wrap_but_an_old_nonce_does_not_become_new() {
        let peer = client("[2001:db8::1]:9");
        for (form, modulus) in [(Form::Full, 1_u64 << 24), (Form::Short, 1 << 16)] {
            let edge = Duration::from_secs(modulus * 107 - 1);
            let nonce = nonces("secret").make(edge, peer, form);
            let fresh =
                |after| nonces("secret").is_fresh(edge + Duration::from_secs(after), peer, nonce.as_str());
            assert!(fresh(5), "{form:?}");
            assert!(!fresh(modulus) && !fresh(modulus + 5), "{form:?}");
        }
    }

    #[test]
    fn a_full_nonce_tells_the_features_and_none_can_be_taken_away() {
        let roland = client("192.0.2.1:5000");
        let nonce = nonces("secret").make(NOW, roland, Form::Full);
        assert!(nonce.as_str().starts_with("obMatJos2wAAA") && offers_algorithms(nonce.as_str()));
        let fewer = nonce.as_str().replacen("wAAA", "AAAA", 1);
        assert!(!nonces("secret").is_fresh(NOW, roland, &fewer));
        assert!(!nonces("secret").is_fresh(NOW, roland, &nonce.as_str()[MARK..]), "without the cookie");
    }

    #[test]
    fn what_offers_algorithms() {
        // RFC 8489 app. B.1 has only the second bit.
        for (nonce, offers) in [
            ("obMatJos2gAAA", true),
            ("obMatJos2wAAAxyz", true),
            ("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", false),
            ("obMatJos2QAAA", false),
            ("obMatJos2wAA", false),
            ("obMatJos2!AAA", false),
            ("obMatJos3wAAA", false),
            ("", false),
        ] {
            assert_eq!(offers_algorithms(nonce), offers, "{nonce}");
        }
    }

    #[test]
    fn whatever_else_is_stale() {
        let foreign = "obMatJos2wAAA!!!!AAAAAAAA";
        for text in ["", "AAAA", "AAAAAAAA", "AAAAAAAAAAAAA", "!!!!AAAA", "äöüä", foreign] {
            assert!(!nonces("secret").is_fresh(NOW, client("192.0.2.1:5000"), text), "{text}");
        }
        assert!(!nonces("secret").is_fresh(Duration::ZERO, client("192.0.2.1:5000"), "//////AA"));
    }
}
