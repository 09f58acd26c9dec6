//! Our own Via branch: it names worker and transaction, so that a response finds both without a search, carries
//! the hash by which loops are seen (RFC 5393 §4.2), and a seal that strangers cannot make.

use crate::message::{after_magic, lex};
use crate::slab::Id;
use sha2::{Digest, Sha256};
use siphasher::sip::{SipHasher13, SipHasher24};
use std::fmt;
use std::hash::Hasher;
use wire::{Secret, WorkerId};

/// How many octets are hashed at once: all of most requests.
const GATHERED: usize = 256;

/// A keyed hash with the secret that all workers share: SipHash-2-4, made for such short tags (decision 31).
#[derive(Clone)]
pub struct Seal {
    strong: SipHasher24,
    quick: SipHasher13,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// A seal with this secret.
    pub fn new(secret: &Secret) -> Self {
        let digest = Sha256::new().chain_update(b"sip seal").chain_update(secret.expose()).finalize();
        let (strong, rest) = digest.split_first_chunk::<16>().expect("32 octets");
        let (quick, _) = rest.split_first_chunk::<16>().expect("32 octets");
        Self { strong: SipHasher24::new_with_key(strong), quick: SipHasher13::new_with_key(quick) }
    }

    /// Hashes `parts` for one `purpose`; where one part ends and the next begins counts.
    pub fn hash<'p>(&self, purpose: &'static str, parts: impl IntoIterator<Item = &'p [u8]>) -> u64 {
        let mut mac = self.strong;
        let (gathered, end) = gather(&mut mac, purpose, parts);
        mac.hash(&gathered[..end])
    }

    /// The same with half the work, for what proves nothing: that two are the same request.
    pub fn likeness<'p>(&self, purpose: &'static str, parts: impl IntoIterator<Item = &'p [u8]>) -> u64 {
        let mut mac = self.quick;
        let (gathered, end) = gather(&mut mac, purpose, parts);
        mac.hash(&gathered[..end])
    }
}

/// Gathers what is hashed where it fits: the function is quick with one long text, and slow with many short ones.
#[inline]
fn gather<'p>(
    mac: &mut impl Hasher,
    purpose: &'static str,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> ([u8; GATHERED], usize) {
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
        gathered[end..end + length.len()].copy_from_slice(&length);
        end += length.len();
        gathered[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    (gathered, end)
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
        let mut text = Text::new(b"z9hG4bK");
        for number in [u32::from(worker), id.index, id.generation] {
            text.number(number);
            text.push(b".");
        }
        text.hex(self.looped);
        text.push(b".");
        text.hex(self.seal(seal));
        text.finish()
    }

    /// The branch of a request that is forwarded without a transaction: the same for the same request (RFC 3261 §16.11).
    pub fn stateless(seal: &Seal, looped: u64, top_via: &[u8]) -> String {
        let mut text = Text::new(b"z9hG4bKs");
        text.hex(looped);
        text.push(b".");
        text.hex(seal.hash("stateless", [top_via]));
        text.finish()
    }

    /// Reads a branch back; `None` where it is not of our making.
    pub fn read(text: &[u8], seal: &Seal) -> Option<Self> {
        let rest = &mut after_magic(text)?;
        let branch = Self {
            worker: WorkerId(u16::try_from(next_number(rest)?).ok()?),
            id: Id {
                index: u32::try_from(next_number(rest)?).ok()?,
                generation: u32::try_from(next_number(rest)?).ok()?,
            },
            looped: next_number(rest)?,
        };
        let mac = number(rest)?;
        (mac == branch.seal(seal)).then_some(branch)
    }

    fn seal(&self, seal: &Seal) -> u64 {
        let mut said = [0; 18];
        said[..2].copy_from_slice(&self.worker.0.to_be_bytes());
        said[2..6].copy_from_slice(&self.id.index.to_be_bytes());
        said[6..10].copy_from_slice(&self.id.generation.to_be_bytes());
        said[10..].copy_from_slice(&self.looped.to_be_bytes());
        seal.hash("branch", [&said[..]])
    }
}

/// A branch being written: the longest has 68 octets.
struct Text {
    octets: [u8; 72],
    end: usize,
}

impl Text {
    fn new(begin: &[u8]) -> Self {
        let mut text = Self { octets: [0; 72], end: 0 };
        text.push(begin);
        text
    }

    fn push(&mut self, part: &[u8]) {
        self.octets[self.end..self.end + part.len()].copy_from_slice(part);
        self.end += part.len();
    }

    /// Sixteen hexadecimal digits.
    fn hex(&mut self, number: u64) {
        self.push(&hex(number));
    }

    /// As few as there are.
    fn number(&mut self, number: u32) {
        let zeros = (number | 1).leading_zeros() as usize / 4;
        self.push(&hex(number.into())[8 + zeros..]);
    }

    fn finish(self) -> String {
        std::str::from_utf8(&self.octets[..self.end]).expect("digits are ASCII").to_owned()
    }
}

/// A number in hexadecimal digits.
fn hex(number: u64) -> [u8; 16] {
    let (mut digits, bytes) = ([0; 16], number.to_be_bytes());
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What each byte is worth as a hexadecimal digit; 16 and above: it is none.
pub(super) const WORTH: [u8; 256] = worths();

const fn worths() -> [u8; 256] {
    let mut table = [u8::MAX; 256];
    let mut digit = 0;
    while digit < 16 {
        let lower = DIGITS[digit];
        table[lower as usize] = digit as u8;
        table[lower.to_ascii_uppercase() as usize] = digit as u8;
        digit += 1;
    }
    table
}

/// Reads at most sixteen hexadecimal digits.
fn number(text: &[u8]) -> Option<u64> {
    if !matches!(text.len(), 1..=16) {
        return None;
    }
    let (mut number, mut all) = (0, 0);
    for byte in text {
        let worth = WORTH[usize::from(*byte)];
        number = number << 4 | u64::from(worth & 15);
        all |= worth;
    }
    (all < 16).then_some(number)
}

/// The same of what stands before the next dot, which is taken off, too.
fn next_number(rest: &mut &[u8]) -> Option<u64> {
    let dot = lex::find(rest, b'.')?;
    let (digits, behind) = rest.split_at(dot);
    *rest = &behind[1..];
    number(digits)
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
    fn the_longest_and_the_shortest() {
        let seal = Seal::new(&Secret::new("one"));
        for (number, digits) in [(u32::MAX, "ffffffff"), (0, "0"), (0x10, "10"), (0xfff, "fff")] {
            let id = Id { index: number, generation: number };
            let branch = Branch { worker: WorkerId(u16::MAX), id, looped: u64::from(number) };
            let text = branch.write(&seal);
            assert!(text.starts_with(&format!("z9hG4bKffff.{digits}.{digits}.{number:016x}.")), "{text}");
            assert_eq!(Branch::read(text.as_bytes(), &seal), Some(branch));
        }
        for bad in ["", ".", "0123456789abcdef0", "g", "-1"] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(number(b"0123456789aBcDeF"), Some(0x0123_4567_89ab_cdef));
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
