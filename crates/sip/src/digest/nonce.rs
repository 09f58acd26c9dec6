//! Nonces that prove by themselves when and for which realm this server made them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;
use wire::{Domain, Secret};

/// Seconds since 1970 in 32 bits, and half of an HMAC.
const LENGTH: usize = 4 + 16;

fn seconds(unix: Duration) -> u32 {
    // Wraps in 2106, as does every comparison below.
    u32::try_from(unix.as_secs() & u64::from(u32::MAX)).expect("32 bits")
}

fn proof(secret: &Secret, realm: &Domain, time: [u8; 4]) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes keys of any length");
    mac.update(b"sip nonce");
    mac.update(&time);
    mac.update(realm.as_str().as_bytes());
    let full = mac.finalize().into_bytes();
    full[..16].try_into().expect("16 of 32 octets")
}

/// A nonce of this second.
pub(super) fn write(secret: &Secret, realm: &Domain, unix: Duration) -> String {
    let time = seconds(unix).to_be_bytes();
    let mut raw = [0; LENGTH];
    raw[..4].copy_from_slice(&time);
    raw[4..].copy_from_slice(&proof(secret, realm, time));
    URL_SAFE_NO_PAD.encode(raw)
}

/// Whether this server made `nonce` for `realm`, no more than `lifetime` ago.
pub(super) fn is_fresh(
    secret: &Secret,
    realm: &Domain,
    nonce: &[u8],
    unix: Duration,
    lifetime: Duration,
) -> bool {
    let mut raw = [0; LENGTH + 1];
    let Ok(LENGTH) = URL_SAFE_NO_PAD.decode_slice(nonce, &mut raw) else { return false };
    let time: [u8; 4] = raw[..4].try_into().expect("4 octets");
    let ours: bool = proof(secret, realm, time).ct_eq(&raw[4..LENGTH]).into();
    let age = seconds(unix).wrapping_sub(u32::from_be_bytes(time));
    ours && u64::from(age) <= lifetime.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ours_and_only_for_a_time() {
        let (secret, realm) = (Secret::new("s"), Domain::new("falcot.com").unwrap());
        let at = Duration::from_secs;
        let nonce = write(&secret, &realm, at(1_800_000_000));
        let fresh = |secret: &Secret, realm: &Domain, nonce: &str, now| {
            is_fresh(secret, realm, nonce.as_bytes(), at(now), at(300))
        };
        assert!(
            fresh(&secret, &realm, &nonce, 1_800_000_000) && fresh(&secret, &realm, &nonce, 1_800_000_300)
        );
        assert!(!fresh(&secret, &realm, &nonce, 1_800_000_301), "too old");
        assert!(!fresh(&secret, &realm, &nonce, 1_799_999_999), "from the future");
        assert!(!fresh(&Secret::new("t"), &realm, &nonce, 1_800_000_000), "another server's");
        assert!(!fresh(&secret, &Domain::new("other.example").unwrap(), &nonce, 1_800_000_000));
        for bad in ["", "x", "!", &nonce[1..], &format!("{nonce}A"), &format!("B{}", &nonce[1..])] {
            assert!(!fresh(&secret, &realm, bad, 1_800_000_000), "{bad}");
        }
    }
}
