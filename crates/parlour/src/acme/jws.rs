//! What a request to an authority is signed with (RFC 8555 §6.2): the account's key, ECDSA on P-256, in JSON Web Signatures
//! (RFC 7515), and the key that an authority's customer has from elsewhere (RFC 8555 §7.3.4).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wire::Secret;

/// An account's key.
pub(super) struct AccountKey {
    pair: EcdsaKeyPair,
    pkcs8: Secret,
}

impl AccountKey {
    /// A new one.
    pub(super) fn generate() -> Result<Self, String> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| "no key can be made")?;
        Self::read(Secret::new(pkcs8.as_ref()))
    }

    /// That of these octets (PKCS #8).
    pub(super) fn read(pkcs8: Secret) -> Result<Self, String> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose())
            .map_err(|_| "the account's key is damaged")?;
        Ok(Self { pair, pkcs8 })
    }

    /// Its octets (PKCS #8).
    pub(super) fn pkcs8(&self) -> &Secret {
        &self.pkcs8
    }

    /// The same key once more.
    pub(super) fn again(&self) -> Self {
        Self::read(self.pkcs8.clone()).expect("it was read before")
    }

    fn point(&self) -> (String, String) {
        // Uncompressed: 4, then both halves.
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        (text(x), text(y))
    }

    /// What is known of it in public (RFC 7517).
    pub(super) fn public(&self) -> Value {
        let (x, y) = self.point();
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// What it is told apart by (RFC 7638 §3): the members in the order of their names, without spaces.
    pub(super) fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        text(&Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)))
    }

    /// A signed request: to this URL, with this nonce, of this account (none: with the key itself). No payload is "POST as
    /// GET" (RFC 8555 §6.3).
    pub(super) fn sign(
        &self,
        url: &str,
        nonce: &str,
        account: Option<&str>,
        payload: Option<&Value>,
    ) -> Result<Value, String> {
        let protected = match account {
            Some(account) => json!({ "alg": "ES256", "kid": account, "nonce": nonce, "url": url }),
            None => json!({ "alg": "ES256", "jwk": self.public(), "nonce": nonce, "url": url }),
        };
        let payload = payload.map_or(String::new(), |payload| text(payload.to_string().as_bytes()));
        let protected = text(protected.to_string().as_bytes());
        let signature = self
            .pair
            .sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes())
            .map_err(|_| "the request cannot be signed")?;
        Ok(json!({ "protected": protected, "payload": payload, "signature": text(signature.as_ref()) }))
    }

    /// The proof that the account is that customer's: this key, signed with the customer's at the URL for new accounts.
    pub(super) fn bound_to(&self, customer: &str, key: &Secret, url: &str) -> Value {
        let protected = text(json!({ "alg": "HS256", "kid": customer, "url": url }).to_string().as_bytes());
        let payload = text(self.public().to_string().as_bytes());
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        mac.update(format!("{protected}.{payload}").as_bytes());
        let signature = text(&mac.finalize().into_bytes());
        json!({ "protected": protected, "payload": payload, "signature": signature })
    }

    /// What a challenge's token becomes with this key (RFC 8555 §8.1).
    pub(super) fn authorize(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountKey(…)")
    }
}

/// As JSON Web Signatures have octets: base64 for URLs, without padding.
pub(super) fn text(octets: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    fn octets(value: &Value) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_request_is_signed_with_what_it_says() {
        let key = AccountKey::generate().unwrap();
        let request =
            key.sign("https://ca/x", "n1", Some("https://ca/acct/1"), Some(&json!({"a": 1}))).unwrap();
        let head: Value = serde_json::from_slice(&octets(&request["protected"])).unwrap();
        assert_eq!(
            head,
            json!({"alg": "ES256", "kid": "https://ca/acct/1", "nonce": "n1", "url": "https://ca/x"})
        );
        assert_eq!(octets(&request["payload"]), br#"{"a":1}"#);
        let signed =
            format!("{}.{}", request["protected"].as_str().unwrap(), request["payload"].as_str().unwrap());
        let public =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref().to_vec());
        public.verify(signed.as_bytes(), &octets(&request["signature"])).unwrap();
        let first = key.sign("u", "n", None, None).unwrap();
        let head: Value = serde_json::from_slice(&octets(&first["protected"])).unwrap();
        assert_eq!((&head["jwk"], &first["payload"]), (&key.public(), &json!("")));
    }

    #[test]
    fn a_key_is_the_same_after_it_was_kept() {
        let key = AccountKey::generate().unwrap();
        let again = AccountKey::read(key.pkcs8().clone()).unwrap();
        assert_eq!((again.thumbprint(), again.public()), (key.thumbprint(), key.public()));
        assert_eq!(again.authorize("t"), format!("t.{}", key.thumbprint()));
        assert!(AccountKey::read(Secret::new("?")).is_err());
    }

    #[test]
    fn a_binding_is_signed_with_the_customers_key() {
        let key = AccountKey::generate().unwrap();
        let binding = key.bound_to("kid-1", &Secret::new("secret"), "https://ca/new-account");
        let head: Value = serde_json::from_slice(&octets(&binding["protected"])).unwrap();
        assert_eq!(head, json!({"alg": "HS256", "kid": "kid-1", "url": "https://ca/new-account"}));
        assert_eq!(serde_json::from_slice::<Value>(&octets(&binding["payload"])).unwrap(), key.public());
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        let signed =
            [binding["protected"].as_str().unwrap(), ".", binding["payload"].as_str().unwrap()].concat();
        mac.update(signed.as_bytes());
        assert!(mac.verify_slice(&octets(&binding["signature"])).is_ok());
    }
}
