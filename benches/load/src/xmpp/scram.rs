//! The client's side of SCRAM-SHA-1 (RFC 5802). The slow part is done once for each salt.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use std::collections::HashMap;

/// Salted passwords by salt and iterations.
#[derive(Default)]
pub(crate) struct Cache(HashMap<(String, u32), [u8; 20]>);

impl Cache {
    fn salted(&mut self, password: &str, salt: &str, iterations: u32) -> Result<[u8; 20]> {
        if let Some(salted) = self.0.get(&(salt.to_owned(), iterations)) {
            return Ok(*salted);
        }
        let octets = STANDARD.decode(salt).context("the salt")?;
        let mut salted = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), &octets, iterations, &mut salted);
        self.0.insert((salt.to_owned(), iterations), salted);
        Ok(salted)
    }
}

/// The first message, without what stands before it.
pub(crate) fn first(user: &str) -> String {
    format!("n={user},r=bG9hZA{user}")
}

/// The first message as it is sent.
pub(crate) fn first_sent(user: &str) -> String {
    STANDARD.encode(format!("n,,{}", first(user)))
}

/// The answer to the server's first message, both in base64.
pub(crate) fn last_sent(user: &str, password: &str, challenge: &str, cache: &mut Cache) -> Result<String> {
    let server = String::from_utf8(STANDARD.decode(challenge.trim()).context("the challenge")?)?;
    let part =
        |name: &str| server.split(',').find_map(|part| part.strip_prefix(name)).context("the challenge");
    let (nonce, salt) = (part("r=")?, part("s=")?);
    let salted = cache.salted(password, salt, part("i=")?.parse()?)?;
    let client_key = mac(&salted, b"Client Key");
    let stored_key: [u8; 20] = Sha1::digest(client_key).into();
    let bare = format!("c=biws,r={nonce}");
    let signature = mac(&stored_key, format!("{},{server},{bare}", first(user)).as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, bit)| key ^ bit).collect();
    Ok(STANDARD.encode(format!("{bare},p={}", STANDARD.encode(proof))))
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("any length is a key");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salted_password_of_rfc_5802() {
        // RFC 5802 §5: its proof is made of this salt and these iterations.
        let mut cache = Cache::default();
        let salted = cache.salted("pencil", "QSXCR+Q6sek8bf92", 4096).unwrap();
        let client_key = mac(&salted, b"Client Key");
        let stored: [u8; 20] = Sha1::digest(client_key).into();
        let text = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                    s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let signature = mac(&stored, text.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, bit)| key ^ bit).collect();
        assert_eq!(STANDARD.encode(proof), "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    }
}
