//! Our own Via branch: it names worker and transaction, so that a response finds both without a search, carries
//! the hash by which loops are seen (RFC 5393 §4.2), and a seal that strangers cannot make.

use crate::message::after_magic;
use crate::slab::Id;
use crate::transport::token::push_hex;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
use std::fmt;
use std::hash::Hasher;
use wire::{Secret, WorkerId};

/// How many octets are hashed at once: all of most requests.
const GATHERED: usize = 256;

/// A keyed hash with the secret that all workers share: SipHash-2-4, made for such short tags (decision 31).
#[derive(Clone)]
pub struct Seal(SipHasher24);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// A seal with this secret.
    pub fn new(secret: &Secret) -> Self {
        let digest = Sha256::new().chain_update(b"sip seal").chain_update(secret.expose()).finalize();
        let (key, _) = digest.split_first_chunk::<16>().expect("32 octets");
        Self(SipHasher24::new_with_key(key))
    }

    /// Hashes `parts` for one `purpose`; where one part ends and the next begins counts.
    pub fn hash<'p>(&self, purpose: &'static str, parts: impl IntoIterator<Item = &'p [u8]>) -> u64 {
        let mut mac = self.0;
        // Gathered where they fit: the function is quick with one long text, and slow with many short ones.
        let (mut gathered, mut end) = ([0; GATHERED], 0);
        for part in std::iter::once(purpose.as_bytes()).chain(parts) {
            let length = (part.len() as u64).to_be_bytes();
            if gathered.len() - end < length.len() + part.len() {
                mac.write(&gathered[..end]);
                mac.write(&length);
                mac.write(part);
                end = 0;
                continue;
            }
            for text in [&length[..], part] {
                gathered[end..end + text.len()].copy_from_slice(text);
                end += text.len();
            }
        }
        mac.hash(&gathered[..end])
    }
}

/// What our branch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Whose transaction it is.
    pub worker: WorkerId,
    /// Which one.
    pub id: Id,
    /// The hash of what decided the way of the request.
    pub looped: u64,
}

impl Branch {
    /// The branch parameter's value.
    pub fn write(&self, seal: &Seal) -> String {
        let (worker, id) = (self.worker.0, self.id);
        let mac = self.seal(seal);
        let mut text = String::with_capacity(64);
        text.push_str("z9hG4bK");
        for number in [u32::from(worker), id.index, id.generation] {
            push_number(&mut text, number);
            text.push('.');
        }
        push_hex(&mut text, &self.looped.to_be_bytes());
        text.push('.');
        push_hex(&mut text, &mac.to_be_bytes());
        text
    }

    /// The branch of a request that is forwarded without a transaction: the same for the same request (RFC 3261 §16.11).
    pub fn stateless(seal: &Seal, looped: u64, top_via: &[u8]) -> String {
        format!("z9hG4bKs{looped:016x}.{:016x}", seal.hash("stateless", [top_via]))
    }

    /// Reads a branch back; `None` where it is not of our making.
    pub fn read(text: &[u8], seal: &Seal) -> Option<Self> {
        let mut parts = after_magic(text)?.split(|&b| b == b'.');
        let branch = Self {
            worker: WorkerId(u16::try_from(number(parts.next()?)?).ok()?),
            id: Id {
                index: u32::try_from(number(parts.next()?)?).ok()?,
                generation: u32::try_from(number(parts.next()?)?).ok()?,
            },
            looped: number(parts.next()?)?,
        };
        let mac = number(parts.next()?)?;
        (parts.next().is_none() && mac == branch.seal(seal)).then_some(branch)
    }

    fn seal(&self, seal: &Seal) -> u64 {
        let parts: [&[u8]; 4] = [
            &self.worker.0.to_be_bytes(),
            &self.id.index.to_be_bytes(),
            &self.id.generation.to_be_bytes(),
            &self.looped.to_be_bytes(),
        ];
        seal.hash("branch", parts)
    }
}

/// Appends a number in hexadecimal digits, without leading zeros.
fn push_number(text: &mut String, number: u32) {
    let before = text.len();
    push_hex(text, &number.to_be_bytes());
    let zeros = text.as_bytes()[before..].iter().take_while(|&&b| b == b'0').count().min(7);
    text.replace_range(before..before + zeros, "");
}

/// Reads at most sixteen hexadecimal digits.
fn number(text: &[u8]) -> Option<u64> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    };
    if !matches!(text.len(), 1..=16) {
        return None;
    }
    text.iter().try_fold(0, |number: u64, b| Some(number << 4 | u64::from(digit(*b)?)))
}

/// The loop hash of a branch of ours, without looking at its seal: for a Via further down a request, where a
/// forged one can only make the forger's own request fail.
pub fn loop_hash(branch: &[u8]) -> Option<u64> {
    // Behind it stands a dot and a hash: that is missing in nearly every branch of somebody else.
    if branch.get(branch.len().checked_sub(17)?) != Some(&b'.') {
        return None;
    }
    match after_magic(branch)? {
        [b's' | b'S', stateless @ ..] => number(stateless.split(|&b| b == b'.').next()?),
        text => number(text.split(|&b| b == b'.').nth(3)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_only_what_it_wrote() {
        let seal = Seal::new(&Secret::new("one"));
        let branch =
            Branch { worker: WorkerId(3), id: Id { index: 70_000, generation: 9 }, looped: u64::MAX - 1 };
        let text = branch.write(&seal);
        assert_eq!(Branch::read(text.as_bytes(), &seal), Some(branch));
        assert_eq!(loop_hash(text.as_bytes()), Some(branch.looped));
        assert_eq!(Branch::read(text.as_bytes(), &Seal::new(&Secret::new("two"))), None);
        for forged in
            [text.replacen("11170", "11171", 1), format!("{text}.0"), text[..text.len() - 1].to_owned()]
        {
            assert_eq!(Branch::read(forged.as_bytes(), &seal), None, "{forged}");
        }
    }

    #[test]
    fn without_a_transaction_the_same_request_has_the_same_branch() {
        let seal = Seal::new(&Secret::new("one"));
        let text = Branch::stateless(&seal, 5, b"SIP/2.0/UDP a;branch=z9hG4bKx");
        assert_eq!(text, Branch::stateless(&seal, 5, b"SIP/2.0/UDP a;branch=z9hG4bKx"));
        assert_eq!((loop_hash(text.as_bytes()), Branch::read(text.as_bytes(), &seal)), (Some(5), None));
        assert_eq!((loop_hash(b"z9hG4bK776asdhds"), loop_hash(b"x")), (None, None));
    }
}
