//! What a password leaves behind: the keys of every protocol, derived once, when it is set.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use wire::{Address, Keys, Scram, Secret};

/// The cost of one guess, and of one login (RFC 7677 §4 wants at least 4096).
pub const ITERATIONS: u32 = 10_000;
/// Octets of salt.
pub const SALT: usize = 16;

/// Every key of `address` for a password that has gone through [`wire::address::password`].
pub fn keys(address: &Address, password: &Secret) -> Keys {
    let short = [address.user().as_bytes(), address.domain().as_bytes(), password.expose()];
    let whole = [address.as_str().as_bytes(), address.domain().as_bytes(), password.expose()];
    Keys {
        md5: Some(joined::<Md5>(short).into()),
        sha256: Some(joined::<Sha256>(short).into()),
        md5_whole: Some(joined::<Md5>(whole).into()),
        sha256_whole: Some(joined::<Sha256>(whole).into()),
        scram_sha1: Some(scram_sha1(password, &random(), ITERATIONS)),
        scram_sha256: Some(scram_sha256(password, &random(), ITERATIONS)),
    }
}

/// `H(a ":" b ":" c)`.
fn joined<H: Digest>([a, b, c]: [&[u8]; 3]) -> md5::digest::Output<H> {
    H::new().chain_update(a).chain_update(":").chain_update(b).chain_update(":").chain_update(c).finalize()
}

/// SCRAM-SHA-1 (RFC 5802 §3).
fn scram_sha1(password: &Secret, salt: &[u8], iterations: u32) -> Scram<20> {
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password.expose(), salt, iterations);
    let mac = |text: &str| -> [u8; 20] {
        let mac = Hmac::<Sha1>::new_from_slice(&salted).expect("HMAC takes keys of any length");
        mac.chain_update(text).finalize().into_bytes().into()
    };
    let stored_key = Sha1::digest(mac("Client Key")).into();
    Scram { iterations, salt: salt.into(), stored_key, server_key: mac("Server Key") }
}

/// SCRAM-SHA-256 (RFC 7677).
fn scram_sha256(password: &Secret, salt: &[u8], iterations: u32) -> Scram<32> {
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.expose(), salt, iterations);
    let mac = |text: &str| -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&salted).expect("HMAC takes keys of any length");
        mac.chain_update(text).finalize().into_bytes().into()
    };
    let stored_key = Sha256::digest(mac("Client Key")).into();
    Scram { iterations, salt: salt.into(), stored_key, server_key: mac("Server Key") }
}

fn random() -> [u8; SALT] {
    let mut bytes = [0; SALT];
    fill(&mut bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes once it has started");
}

/// A password that nobody chose: 20 letters and digits out of 32 that are hard to mistake, 100 bits.
pub fn password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 20];
    fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digest_keys() {
        // RFC 8489 §9.2.2: the key of user `user`, realm `realm`, password `pass`.
        let keys = keys(&"user@realm".parse().expect("valid"), &Secret::new("pass"));
        assert_eq!(hex(&keys.md5.expect("derived")), "8493fbc53ba582fb4c044c456bdc40eb");
        let whole: [u8; 16] = Md5::digest("user@realm:realm:pass").into();
        assert_eq!(keys.md5_whole, Some(whole));
        let sha256: [u8; 32] = Sha256::digest("user:realm:pass").into();
        assert_eq!(keys.sha256, Some(sha256));
        let whole: [u8; 32] = Sha256::digest("user@realm:realm:pass").into();
        assert_eq!(keys.sha256_whole, Some(whole));
    }

    /// The client's proof and the server's signature of an RFC's example follow from the keys that are kept.
    #[test]
    fn scram_keys() {
        let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        // RFC 5802 §5.
        let message = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let kept = scram_sha1(&Secret::new("pencil"), &decode("QSXCR+Q6sek8bf92"), 4096);
        let mac = Hmac::<Sha1>::new_from_slice(&kept.server_key).expect("any length").chain_update(message);
        assert_eq!(mac.finalize().into_bytes()[..], decode("rmF9pqV8S7suAoZWja4dJRkFsKQ=")[..]);
        // RFC 7677 §3.
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                       r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                       c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let kept = scram_sha256(&Secret::new("pencil"), &decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
        let mac = Hmac::<Sha256>::new_from_slice(&kept.server_key).expect("any length").chain_update(message);
        assert_eq!(
            mac.finalize().into_bytes()[..],
            decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")[..]
        );
        let mac = Hmac::<Sha256>::new_from_slice(&kept.stored_key).expect("any length").chain_update(message);
        let proof = decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let signature = mac.finalize().into_bytes();
        let key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha256::digest(key)[..], kept.stored_key);
    }

    #[test]
    fn salts_and_passwords_differ() {
        assert_ne!(random(), random());
        assert_ne!(password(), password());
        assert_eq!(password().len(), 20);
    }
}
