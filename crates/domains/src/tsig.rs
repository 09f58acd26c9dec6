//! Messages to name servers signed with a key that both sides have (TSIG, RFC 8945), and their answers verified.

use crate::record::{NameTooLong, name};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use wire::Secret;

/// How far the clocks of both sides may be apart, in seconds (RFC 8945 §10).
const FUDGE: u16 = 300;

const ANY: u16 = 255;

/// What signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha256`
    Sha256,
    /// `hmac-sha384`
    Sha384,
    /// `hmac-sha512`
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    fn mac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, parts),
            Self::Sha384 => mac::<Hmac<Sha384>>(key, parts),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, parts),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// A key with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, which the server knows it by.
    pub name: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its octets.
    pub secret: Secret,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It is not signed.
    Unsigned,
    /// It says why the server did not take our signature: 16 BADSIG, 17 BADKEY, 18 BADTIME, 22 BADTRUNC.
    Refused(u16),
    /// It is not signed with our key.
    Forged,
    /// Its time is not ours.
    Time,
}

impl std::fmt::Display for Distrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "its answer is not signed",
            Self::Refused(16) => {
                "it does not take the signature (BADSIG): the secret differs, or the algorithm"
            }
            Self::Refused(17) => "it does not know the key (BADKEY): its name or algorithm differs",
            Self::Refused(18) => "its clock differs from ours by more than five minutes (BADTIME)",
            Self::Refused(_) => "it does not take the signature",
            Self::Forged => "its answer is not signed with the key",
            Self::Time => "the time in its answer is not ours",
        })
    }
}

/// A message that was signed; its answer is verified with what is kept here.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The message.
    pub message: Vec<u8>,
    mac: Vec<u8>,
}

impl Key {
    /// Signs a message that has no TSIG yet; `now` is seconds since 1970.
    pub fn sign(&self, mut message: Vec<u8>, now: u64) -> Result<Signed, NameTooLong> {
        let key = name(&self.name.to_ascii_lowercase())?;
        let id = [message[0], message[1]];
        let variables = self.variables((now, FUDGE), 0, &[])?;
        let mac = self.algorithm.mac(self.secret.expose(), &[&message, &variables]);
        let mut data = name(self.algorithm.name())?.as_slice().to_vec();
        data.extend(time(now));
        data.extend(FUDGE.to_be_bytes());
        data.extend(length(&mac));
        data.extend(&mac);
        data.extend(id);
        data.extend([0; 4]);
        message.extend_from_slice(key.as_slice());
        message.extend(250_u16.to_be_bytes());
        message.extend(ANY.to_be_bytes());
        message.extend([0; 4]);
        message.extend(length(&data));
        message.extend(data);
        let count = u16::from_be_bytes([message[10], message[11]]) + 1;
        message[10..12].copy_from_slice(&count.to_be_bytes());
        Ok(Signed { message, mac })
    }

    /// What is signed beside the message (RFC 8945 §4.3.3).
    fn variables(
        &self,
        (signed, fudge): (u64, u16),
        error: u16,
        other: &[u8],
    ) -> Result<Vec<u8>, NameTooLong> {
        let mut octets = name(&self.name.to_ascii_lowercase())?.as_slice().to_vec();
        octets.extend(ANY.to_be_bytes());
        octets.extend([0; 4]);
        octets.extend_from_slice(name(self.algorithm.name())?.as_slice());
        octets.extend(time(signed));
        octets.extend(fudge.to_be_bytes());
        octets.extend(error.to_be_bytes());
        octets.extend(length(other));
        octets.extend(other);
        Ok(octets)
    }

    /// Whether an answer comes from whoever has the key, and answers this request.
    pub fn verify(&self, request: &Signed, answer: &[u8], now: u64) -> Result<(), Distrust> {
        let found = Found::last_of(answer).ok_or(Distrust::Unsigned)?;
        if !name(self.algorithm.name()).is_ok_and(|own| own.as_slice().eq_ignore_ascii_case(found.algorithm))
        {
            return Err(Distrust::Forged);
        }
        if found.error != 0 {
            return Err(Distrust::Refused(found.error));
        }
        let mut bare = answer[..found.at].to_vec();
        bare[..2].copy_from_slice(&found.id);
        let count = u16::from_be_bytes([bare[10], bare[11]]).wrapping_sub(1);
        bare[10..12].copy_from_slice(&count.to_be_bytes());
        let stamp = (found.signed, found.fudge);
        let variables = self.variables(stamp, found.error, found.other).map_err(|_| Distrust::Forged)?;
        let before = [&length(&request.mac)[..], &request.mac].concat();
        let wanted = self.algorithm.mac(self.secret.expose(), &[&before, &bare, &variables]);
        if Secret::new(wanted) != Secret::new(found.mac) {
            return Err(Distrust::Forged);
        }
        if found.signed.abs_diff(now) > u64::from(FUDGE) { Err(Distrust::Time) } else { Ok(()) }
    }
}

fn time(seconds: u64) -> [u8; 6] {
    let [_, _, time @ ..] = seconds.to_be_bytes();
    time
}

fn length(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes()
}

/// The TSIG record at the end of a message.
struct Found<'a> {
    at: usize,
    algorithm: &'a [u8],
    signed: u64,
    fudge: u16,
    mac: &'a [u8],
    id: [u8; 2],
    error: u16,
    other: &'a [u8],
}

impl<'a> Found<'a> {
    fn last_of(message: &'a [u8]) -> Option<Self> {
        let count = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        let mut at = 12;
        for _ in 0..count(4)? {
            at = skip_name(message, at)? + 4;
        }
        let mut last = None;
        for _ in 0..u32::from(count(6)?) + u32::from(count(8)?) + u32::from(count(10)?) {
            let fixed = skip_name(message, at)?;
            let end = fixed + 10 + usize::from(count(fixed + 8)?);
            last = Some((at, message.get(fixed..fixed + 10)?, message.get(fixed + 10..end)?));
            at = end;
        }
        let (at, _, data) = last.filter(|(_, fixed, _)| {
            fixed.starts_with(&[0, 250, 0, 255, 0, 0, 0, 0]) && count(10) != Some(0)
        })?;
        let (algorithm, fixed) = data.split_at_checked(skip_name(data, 0)?)?;
        let number = |from: usize| Some(u16::from_be_bytes([*fixed.get(from)?, *fixed.get(from + 1)?]));
        let signed = fixed.get(..6)?.iter().fold(0, |all, octet| all << 8 | u64::from(*octet));
        let size = usize::from(number(8)?);
        let rest = 10 + size;
        let id = [*fixed.get(rest)?, *fixed.get(rest + 1)?];
        let other = fixed.get(rest + 6..rest + 6 + usize::from(number(rest + 4)?))?;
        Some(Self {
            at,
            algorithm,
            signed,
            fudge: number(6)?,
            mac: fixed.get(10..rest)?,
            id,
            error: number(rest + 2)?,
            other,
        })
    }
}

/// Behind a name, which may end with a pointer.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer & 0xc0 == 0xc0 => return Some(at + 2),
            label => at += 1 + usize::from(label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Update;

    const NOW: u64 = 1_800_000_000;

    fn key(algorithm: Algorithm) -> Key {
        Key { name: "Parlour".into(), algorithm, secret: Secret::new("the secret") }
    }

    fn update() -> Vec<u8> {
        Update { zone: "falcot.com".into(), ..Update::default() }.message(0x0102).unwrap()
    }

    /// What a server with this key says to a request.
    fn answer(key: &Key, request: &Signed, now: u64) -> Vec<u8> {
        let mut message = request.message[..12 + 16].to_vec();
        message[2..12].copy_from_slice(&[0xa8, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        let variables = key.variables((now, FUDGE), 0, &[]).unwrap();
        let before = [&length(&request.mac)[..], &request.mac].concat();
        let mac = key.algorithm.mac(key.secret.expose(), &[&before, &message, &variables]);
        let signed = key.sign(message, now).unwrap();
        let mut message = signed.message;
        let end = message.len() - 6;
        message[end - mac.len()..end].copy_from_slice(&mac);
        message
    }

    #[test]
    fn a_request_is_signed_and_its_answer_verified() {
        for algorithm in Algorithm::ALL {
            let key = key(algorithm);
            let request = key.sign(update(), NOW).unwrap();
            assert_eq!(request.message[10..12], [0, 1]);
            let good = answer(&key, &request, NOW + 299);
            assert_eq!(key.verify(&request, &good, NOW), Ok(()));
            assert_eq!(key.verify(&request, &answer(&key, &request, NOW + 301), NOW), Err(Distrust::Time));
            let other = Key { secret: Secret::new("another"), ..key.clone() };
            assert_eq!(key.verify(&request, &answer(&other, &request, NOW), NOW), Err(Distrust::Forged));
            let elsewhere = key.sign(update(), NOW + 1).unwrap();
            assert_eq!(
                key.verify(&elsewhere, &good, NOW),
                Err(Distrust::Forged),
                "an answer to another request"
            );
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                // The message's id is not signed, but the one in the signature; whichever key is named, it is ours that fits.
                let told = at < 2 || key.verify(&request, &bad, NOW).is_err();
                let in_name = (28..28 + 9).contains(&at);
                assert!(told || in_name, "octet {at} of {algorithm:?}");
                let _ = key.verify(&request, &good[..at], NOW).unwrap_err();
            }
        }
    }

    #[test]
    fn an_answer_without_a_signature_and_one_that_refuses_ours() {
        let key = key(Algorithm::Sha256);
        let request = key.sign(update(), NOW).unwrap();
        let mut bare = request.message[..28].to_vec();
        bare[10..12].copy_from_slice(&[0, 0]);
        assert_eq!(key.verify(&request, &bare, NOW), Err(Distrust::Unsigned));
        let mut refused = answer(&key, &request, NOW);
        let end = refused.len();
        refused[end - 3] = 17;
        assert_eq!(key.verify(&request, &refused, NOW), Err(Distrust::Refused(17)));
    }
}
