//! What a password leaves behind: the keys of every protocol, derived once, when it is set.

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};
use wire::{Address, Keys, Secret};
use xmpp::sasl::scram::{derive_sha1, derive_sha256, derive_sha512};

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
        sha512_256: Some(joined::<Sha512_256>(short).into()),
        sha512_256_whole: Some(joined::<Sha512_256>(whole).into()),
        scram_sha1: Some(derive_sha1(password, &random(), ITERATIONS)),
        scram_sha256: Some(derive_sha256(password, &random(), ITERATIONS)),
        scram_sha512: Some(derive_sha512(password, &random(), ITERATIONS)),
    }
}

/// `H(a ":" b ":" c)`.
fn joined<H: Digest>([a, b, c]: [&[u8]; 3]) -> md5::digest::Output<H> {
    H::new().chain_update(a).chain_update(":").chain_update(b).chain_update(":").chain_update(c).finalize()
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

    #[test]
    fn scram_keys() {
        let keys = keys(&"user@realm".parse().expect("valid"), &Secret::new("pass"));
        let (sha1, sha256) = (keys.scram_sha1.expect("derived"), keys.scram_sha256.expect("derived"));
        assert_eq!((sha1.iterations, sha1.salt.len()), (ITERATIONS, SALT));
        assert_eq!((sha256.iterations, sha256.salt.len()), (ITERATIONS, SALT));
        assert_ne!(sha1.salt, sha256.salt);
        assert_eq!(derive_sha1(&Secret::new("pass"), &sha1.salt, ITERATIONS), sha1);
    }

    #[test]
    fn salts_and_passwords_differ() {
        assert_ne!(random(), random());
        assert_ne!(password(), password());
        assert_eq!(password().len(), 20);
    }
}
