//! Nonces that prove by themselves when, by which worker, for which realm and for whom this server made them. No two are
//! alike.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use subtle::ConstantTimeEq;
use wire::{Domain, Secret, WorkerId};

/// What tells one nonce from all others: seconds since 1970, the worker, the number of its nonce.
const NAME: usize = 4 + 2 + 4;

/// A name and half of an HMAC.
const LENGTH: usize = NAME + 16;

/// The same in Base64, without what would fill it up.
const TEXT: usize = (LENGTH * 4).div_ceil(3);

/// What tells one nonce from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; NAME]);

impl Name {
    pub(super) fn new(unix: Duration, worker: WorkerId, number: u32) -> Self {
        let mut raw = [0; NAME];
        raw[..4].copy_from_slice(&seconds(unix).to_be_bytes());
        raw[4..6].copy_from_slice(&worker.0.to_be_bytes());
        raw[6..].copy_from_slice(&number.to_be_bytes());
        Self(raw)
    }

    /// How many seconds ago it was made; nearly 2^32 where that is to come.
    pub(super) fn age(&self, unix: Duration) -> u32 {
        let made = u32::from_be_bytes(self.0[..4].try_into().expect("4 octets"));
        seconds(unix).wrapping_sub(made)
    }

    /// What tells it from all others of its worker.
    pub(super) fn short(&self) -> [u32; 2] {
        let [a, b, c, d, _, _, numbers @ ..] = self.0;
        [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(numbers)]
    }

    pub(super) fn worker(&self) -> WorkerId {
        WorkerId(u16::from_be_bytes([self.0[4], self.0[5]]))
    }
}

/// In 32 bits, which wrap in 2106, as does every comparison of them.
pub(super) fn seconds(unix: Duration) -> u32 {
    u32::try_from(unix.as_secs() & u64::from(u32::MAX)).expect("32 bits")
}

/// What proves that a nonce is ours, its key worked in.
#[derive(Clone)]
pub(super) struct Mint(Hmac<Sha256>);

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mint(…)")
    }
}

impl Mint {
    pub(super) fn new(secret: &Secret) -> Self {
        let mut mac = Hmac::new_from_slice(secret.expose()).expect("HMAC takes keys of any length");
        mac.update(b"sip nonce");
        Self(mac)
    }
}

fn proof(mint: &Mint, realm: &Domain, source: IpAddr, name: Name) -> [u8; 16] {
    let mut mac = mint.0.clone();
    mac.update(&name.0);
    match source.to_canonical() {
        IpAddr::V4(ip) => mac.update(&ip.octets()),
        IpAddr::V6(ip) => mac.update(&ip.octets()),
    }
    mac.update(realm.as_str().as_bytes());
    let full = mac.finalize().into_bytes();
    full[..16].try_into().expect("16 of 32 octets")
}

/// The nonce of this name, for whoever asks from `source`: ASCII.
pub(super) fn write(mint: &Mint, realm: &Domain, source: IpAddr, name: Name) -> [u8; TEXT] {
    let mut raw = [0; LENGTH];
    raw[..NAME].copy_from_slice(&name.0);
    raw[NAME..].copy_from_slice(&proof(mint, realm, source, name));
    let mut text = [0; TEXT];
    URL_SAFE_NO_PAD.encode_slice(raw, &mut text).expect("four letters for three octets");
    text
}

/// The name of a nonce that this server made for `realm` and `source`.
pub(super) fn read(mint: &Mint, realm: &Domain, source: IpAddr, nonce: &[u8]) -> Option<Name> {
    let mut raw = [0; LENGTH + 1];
    let Ok(LENGTH) = URL_SAFE_NO_PAD.decode_slice(nonce, &mut raw) else { return None };
    let name = Name(raw[..NAME].try_into().expect("as many octets"));
    let said: [u8; 16] = raw[NAME..LENGTH].try_into().expect("as many octets");
    let ours = u128::from_le_bytes(proof(mint, realm, source, name)).ct_eq(&u128::from_le_bytes(said));
    bool::from(ours).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ours() {
        let (mint, realm) = (Mint::new(&Secret::new("s")), Domain::new("falcot.com").unwrap());
        let name = Name::new(Duration::from_secs(1_800_000_000), WorkerId(3), 9);
        let source = |text: &str| text.parse::<IpAddr>().unwrap();
        let nonce = String::from_utf8(write(&mint, &realm, source("192.0.2.1"), name).to_vec()).unwrap();
        let read = |mint: &Mint, realm: &Domain, nonce: &str| {
            read(mint, realm, source("::ffff:192.0.2.1"), nonce.as_bytes())
        };
        assert_eq!(super::read(&mint, &realm, source("192.0.2.2"), nonce.as_bytes()), None, "another's");
        assert_eq!(read(&mint, &realm, &nonce), Some(name));
        assert_eq!((name.worker(), name.age(Duration::from_secs(1_800_000_300))), (WorkerId(3), 300));
        assert_eq!(name.age(Duration::from_secs(1_799_999_999)), u32::MAX, "from the future");
        assert_eq!(read(&Mint::new(&Secret::new("t")), &realm, &nonce), None, "another server's");
        assert_eq!(read(&mint, &Domain::new("other.example").unwrap(), &nonce), None);
        for bad in ["", "x", "!", &nonce[1..], &format!("{nonce}A"), &format!("B{}", &nonce[1..])] {
            assert_eq!(read(&mint, &realm, bad), None, "{bad}");
        }
    }
}
