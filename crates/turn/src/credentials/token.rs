//! Access tokens (RFC 7635 §6.2): an authorisation server seals a session key for the client with a key that it shares
//! with us.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;
use stun::Key;
use stun::attribute::AccessToken;

/// The longest token: a nonce, the longest key, times, a tag.
const LONGEST: usize = 256;

/// How far the clocks of both servers may lie apart (RFC 7635 §4.1.1 has five seconds).
const DELTA: Duration = Duration::from_secs(5);

/// Whose tokens are taken.
#[derive(Clone)]
pub struct Tokens {
    server: String,
    keys: Arc<FxHashMap<String, LessSafeKey>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({}, {:?})", self.server, self.keys.keys())
    }
}

/// A token's contents.
pub(super) struct Token {
    /// What the client signs with.
    pub(super) key: Key,
    /// The first 16 octets of a key that has 20: all that clients made from coturn's source (4.2 to 4.17) sign with.
    pub(super) short: Option<Key>,
    /// When it ends, since 1970.
    pub(super) until: Duration,
}

impl Tokens {
    /// Tokens for the server of this name, sealed with one of these keys: AES-256-GCM with the first 32 octets of a
    /// key that has so many, else AES-128-GCM with the first 16. A shorter key is left out.
    pub fn new<'a>(server: impl Into<String>, keys: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let keys = keys.into_iter().filter_map(|(kid, key)| Some((kid.to_owned(), sealing_key(key)?)));
        Self { server: server.into(), keys: Arc::new(keys.collect()) }
    }

    /// What authorisation servers call this server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether there is a key of this name.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Opens a token. It says nothing of who has it.
    pub(super) fn open(&self, kid: &str, token: AccessToken<'_>) -> Option<Token> {
        let key = self.keys.get(kid)?;
        let (length, rest) = token.0.split_first_chunk::<2>()?;
        if usize::from(u16::from_be_bytes(*length)) != NONCE_LEN {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = [0; LONGEST];
        let buffer = buffer.get_mut(..sealed.len())?;
        buffer.copy_from_slice(sealed);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let block = key.open_in_place(nonce, Aad::from(self.server.as_bytes()), buffer).ok()?;
        Token::read(block)
    }
}

fn sealing_key(key: &[u8]) -> Option<LessSafeKey> {
    let key = match (key.get(..32), key.get(..16)) {
        (Some(key), _) => UnboundKey::new(&AES_256_GCM, key),
        (None, Some(key)) => UnboundKey::new(&AES_128_GCM, key),
        (None, None) => return None,
    };
    key.ok().map(LessSafeKey::new)
}

impl Token {
    /// `key_length mac_key timestamp lifetime`; the timestamp counts seconds in 48 bits and 1/64000ths in 16.
    fn read(block: &[u8]) -> Option<Self> {
        let (length, rest) = block.split_first_chunk::<2>()?;
        let (key, times) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (stamp, lifetime) = times.split_first_chunk::<8>()?;
        let made = Duration::from_secs(u64::from_be_bytes(*stamp) >> 16);
        let lifetime = Duration::from_secs(u32::from_be_bytes(lifetime.try_into().ok()?).into());
        let short = if key.len() == 20 { Key::raw(&key[..16]) } else { None };
        Some(Self { key: Key::raw(key)?, short, until: made + lifetime + DELTA })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"HGkj32KJGiuy098sdfaqbNjOiaz71923";

    /// A token with these contents, as an authorisation server seals it.
    fn seal(key: &[u8], server: &str, block: &[u8]) -> Vec<u8> {
        let mut sealed = block.to_vec();
        let nonce = Nonce::assume_unique_for_key([7; NONCE_LEN]);
        sealing_key(key).unwrap().seal_in_place_append_tag(nonce, Aad::from(server), &mut sealed).unwrap();
        [&[0, 12][..], &[7; NONCE_LEN], &sealed].concat()
    }

    fn block(key: &[u8]) -> Vec<u8> {
        let made: u64 = 1_700_000_000 << 16;
        let length = u16::try_from(key.len()).unwrap().to_be_bytes();
        [&length[..], key, &made.to_be_bytes(), &3600_u32.to_be_bytes()].concat()
    }

    fn open(tokens: &Tokens, kid: &str, token: &[u8]) -> Option<(Key, u64)> {
        tokens.open(kid, AccessToken(token)).map(|token| (token.key, token.until.as_secs()))
    }

    #[test]
    fn a_token_that_turnutils_oauth_made() {
        // turnutils_oauth -e --server-name example.com --auth-key-id 1234 --auth-key base64(KEY)
        //   --token-mac-key WmtzanB3ZW9peFhtdm42NzUzNG0= --token-timestamp 92470300704768 --token-lifetime 3600
        let token = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            "AAzE6ybRFe3NnAmebcrQ782YdT6tCMhvOJgmykPTJvFVMboS4yBh/2NxZttv2SdhkWwJPRC57b8R94kvY9Q0sg==",
        )
        .unwrap();
        let tokens = Tokens::new("example.com", [("1234", KEY)]);
        let until = (92_470_300_704_768 >> 16) + 3605;
        assert_eq!(open(&tokens, "1234", &token), Some((Key::raw(b"ZksjpweoixXmvn67534m").unwrap(), until)));
    }

    #[test]
    fn either_length_of_key() {
        for key in [KEY, &KEY[..31], &KEY[..16]] {
            let tokens = Tokens::new("turn1", [("north", key), ("short", &KEY[..15])]);
            let token = seal(key, "turn1", &block(&[9; 20]));
            assert_eq!(open(&tokens, "north", &token), Some((Key::raw(&[9; 20]).unwrap(), 1_700_003_605)));
            assert_eq!(open(&tokens, "short", &token), None);
            assert_eq!(open(&tokens, "south", &token), None);
        }
    }

    #[test]
    fn what_is_no_token() {
        let tokens = Tokens::new("turn1", [("north", KEY)]);
        let good = seal(KEY, "turn1", &block(&[9; 32]));
        for end in 0..good.len() {
            assert_eq!(open(&tokens, "north", &good[..end]), None, "{end}");
        }
        for at in 0..good.len() {
            let mut bent = good.clone();
            bent[at] ^= 1;
            assert_eq!(open(&tokens, "north", &bent), None, "{at}");
        }
        assert_eq!(open(&tokens, "north", &seal(KEY, "turn2", &block(&[9; 32]))), None, "for another server");
        for odd in
            [&block(&[])[..], &block(&[9; 65]), b"", b"\0", &[0; 13], &[&block(&[9; 20])[..], &[0]].concat()]
        {
            assert_eq!(open(&tokens, "north", &seal(KEY, "turn1", odd)), None, "{odd:?}");
        }
        assert_eq!(open(&tokens, "north", &seal(KEY, "turn1", &[0; 500])), None);
        assert!(!format!("{tokens:?}").contains("HGkj"));
    }
}
