//! URIs of one phone among those of its user (RFC 5627): a public one that names the phone, and temporary ones that hide
//! user and phone. What a temporary one stands for is sealed into itself, and when it was made: nothing is kept of it. All of
//! a phone end with its registration, and when that goes on under another Call-ID.

use super::{Contact, Stamp};
use crate::message::lex;
use crate::transport::Seal;
use crate::uri::{SipUri, unescape};
use std::fmt::Write as _;
use wire::{Address, Domain};

/// What the user part of a temporary one begins with.
const MARK: &str = "tgruu.";

/// The longest user part that is sealed into a temporary one.
const MAX_USER: usize = 128;

/// Which of its user's phones a URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phone {
    /// The one of that instance, without quotes and brackets.
    Public(Box<[u8]>),
    /// The one whose instance has that hash, if it has been registered without a break since that moment, in microseconds since
    /// 1970.
    Temporary(u64, u64),
}

impl Phone {
    /// Whether a contact is of this phone.
    pub fn has(&self, contact: &Contact, seal: &Seal) -> bool {
        let Some(instance) = contact.instance.as_deref().map(bare) else { return false };
        match self {
            Self::Public(name) => name.eq_ignore_ascii_case(instance),
            Self::Temporary(hash, made) => contact.since <= *made && *hash == hash_of(seal, instance),
        }
    }
}

/// An instance without its quotes and brackets.
fn bare(instance: &[u8]) -> &[u8] {
    let text = instance.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(instance);
    text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text)
}

fn hash_of(seal: &Seal, instance: &[u8]) -> u64 {
    seal.hash("gruu instance", [&instance.to_ascii_lowercase()[..]])
}

/// `pub-gruu` and `temp-gruu` for a Contact of the answer, each with its semicolon; `instance` as the phone wrote it. Those of a
/// sips Contact are sips (RFC 5630 §5.2.1).
pub fn params(seal: &Seal, address: &Address, (instance, sips): (&[u8], bool), made: Stamp) -> String {
    let scheme = if sips { "sips" } else { "sip" };
    let (name, domain) = (bare(instance), address.domain());
    let mut text = String::new();
    if lex::all(name, lex::URI_PARAM)
        && let Ok(name) = std::str::from_utf8(name)
    {
        let _ = write!(text, ";pub-gruu=\"{scheme}:{}@{domain};gr={name}\"", escaped(address.user()));
    }
    if address.user().len() <= MAX_USER {
        let _ = write!(text, ";temp-gruu=\"{scheme}:{}@{domain};gr\"", temporary(seal, address, name, made));
    }
    text
}

fn escaped(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        match byte.is_ascii_alphanumeric() || b"-_.~+".contains(&byte) {
            true => text.push(char::from(byte)),
            false => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// The user part of a new temporary one.
fn temporary(seal: &Seal, address: &Address, instance: &[u8], made: Stamp) -> String {
    let mut bytes = hash_of(seal, instance).to_be_bytes().to_vec();
    bytes.extend(made.to_be_bytes());
    bytes.extend(address.user().bytes());
    let mac = seal.hash("gruu", [address.domain().as_bytes(), &bytes]);
    veil(seal, mac, &mut bytes);
    let mut text = format!("{MARK}{mac:016x}");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Hides bytes, or shows them again: by a stream that their own mark begins.
fn veil(seal: &Seal, mac: u64, bytes: &mut [u8]) {
    for (place, block) in (0u64..).zip(bytes.chunks_mut(8)) {
        let stream = seal.hash("gruu stream", [&mac.to_be_bytes()[..], &place.to_be_bytes()]).to_be_bytes();
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
}

/// Whose phone a URI of a domain of ours names: the user where it hides that, and which phone. `None` where it has no
/// `gr` parameter; `Some(None)` where what it has is not of our making.
pub fn read(seal: &Seal, uri: &SipUri<'_>, domain: &Domain) -> Option<Option<(Option<Address>, Phone)>> {
    if !uri.params.has("gr") {
        return None;
    }
    if let Some(name) = uri.params.get("gr") {
        return Some(Some((None, Phone::Public(unescape(name).as_ref().into()))));
    }
    Some(open(seal, uri.user.unwrap_or_default(), domain).map(|(address, phone)| (Some(address), phone)))
}

fn open(seal: &Seal, user: &[u8], domain: &Domain) -> Option<(Address, Phone)> {
    let text = std::str::from_utf8(user).ok()?.strip_prefix(MARK)?;
    let (mac, rest) = text.split_at_checked(16)?;
    let mac = u64::from_str_radix(mac, 16).ok()?;
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let pairs = rest.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
    let mut bytes: Vec<u8> = pairs.take(16 + MAX_USER).collect::<Option<_>>()?;
    veil(seal, mac, &mut bytes);
    if seal.hash("gruu", [domain.as_str().as_bytes(), &bytes]) != mac {
        return None;
    }
    let (head, user) = bytes.split_at_checked(16)?;
    let number = |part: &[u8]| u64::from_be_bytes(part.try_into().expect("eight bytes"));
    let address = Address::new(std::str::from_utf8(user).ok()?, domain.as_str()).ok()?;
    Some((address, Phone::Temporary(number(&head[..8]), number(&head[8..]))))
}
