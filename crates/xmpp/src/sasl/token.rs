//! Tokens for quick sign-in (XEP-0484) by hashed-token mechanisms (draft-schmaus-kitten-sasl-ht-08): one message each way.
//!
//! A token is made of the server's own secret, the account's keys and what is kept of it: what is kept signs nobody in,
//! and another password makes an end of all tokens.

use super::offer::Channel;
use super::scram::{Algorithm, Sha256};
use super::{Failure, House};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;
use std::time::Duration;
use subtle::ConstantTimeEq;
use wire::{Address, Keys, Secret};

/// How long a token is good for.
pub const LIFE: Duration = Duration::from_secs(30 * 86_400);
/// A client whose token ends sooner than this gets another.
const RENEW: Duration = Duration::from_secs(20 * 86_400);
/// The longest name of an installation: they are UUIDs.
pub const LONGEST_CLIENT: usize = 64;

/// How a token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// Bound to the TLS session by `tls-exporter`.
    Exporter,
    /// Bound to the server's certificate by `tls-server-end-point`.
    EndPoint,
    /// Bound to nothing.
    Unbound,
}

impl Hashed {
    /// All, strongest first.
    pub const ALL: [Self; 3] = [Self::Exporter, Self::EndPoint, Self::Unbound];

    /// The mechanism's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exporter => "HT-SHA-256-EXPR",
            Self::EndPoint => "HT-SHA-256-ENDP",
            Self::Unbound => "HT-SHA-256-NONE",
        }
    }

    /// The mechanism of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hashed| hashed.name() == name)
    }

    /// What the token is hashed with, where this TLS session has it.
    pub fn data(self, channel: &Channel) -> Option<&[u8]> {
        match self {
            Self::Exporter => channel.data("tls-exporter"),
            Self::EndPoint => channel.data("tls-server-end-point"),
            Self::Unbound => Some(&[]),
        }
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// By which mechanism alone it is taken.
    pub hashed: Hashed,
    /// Tells it from others.
    pub number: Box<str>,
    /// Until when it is good, since 1970.
    pub expires: Duration,
}

/// What is kept for one installation of a client (XEP-0484 §7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The one that was used last.
    pub current: Option<Issued>,
    /// The one that was given since.
    pub new: Option<Issued>,
    /// What the client calls itself, and its device.
    pub name: Box<str>,
}

/// Who holds tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: Address,
    /// The installation.
    pub client: Box<str>,
}

impl Tokens {
    /// As it is kept.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (slot, issued) in [("current", &self.current), ("new", &self.new)] {
            if let Some(Issued { hashed, number, expires }) = issued {
                let line = writeln!(text, "{slot} {} {number} {}", hashed.name(), expires.as_secs());
                line.expect("a string takes everything");
            }
        }
        text + "name " + &self.name
    }

    /// What was kept; what cannot be read is nothing.
    pub fn from_text(text: &str) -> Self {
        let mut tokens = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("current", rest)) => tokens.current = issued(rest),
                Some(("new", rest)) => tokens.new = issued(rest),
                Some(("name", rest)) => tokens.name = rest.into(),
                _ => {}
            }
        }
        tokens
    }

    /// Whether none of them is good any more.
    pub fn is_spent(&self, now: Duration) -> bool {
        ![&self.current, &self.new].into_iter().flatten().any(|issued| issued.expires > now)
    }
}

fn issued(text: &str) -> Option<Issued> {
    let mut words = text.split(' ');
    let (hashed, number, expires) = (words.next()?, words.next()?, words.next()?);
    let expires = Duration::from_secs(expires.parse().ok()?);
    Some(Issued { hashed: Hashed::from_name(hashed)?, number: number.into(), expires })
}

/// The token itself.
fn token(secret: &Secret, holder: &Holder, keys: &Keys, issued: &Issued) -> String {
    let said = format!(
        "fast\0{}\0{}\0{}\0{}\0{}\0",
        holder.account,
        holder.client,
        issued.hashed.name(),
        issued.number,
        issued.expires.as_secs()
    );
    let said = [said.as_bytes(), &fingerprint(keys)].concat();
    BASE64.encode(Sha256::hmac(secret.expose(), &said))
}

/// Something that is another with another password.
fn fingerprint(keys: &Keys) -> Vec<u8> {
    let scram = |stored: Option<&[u8]>| stored.map(<[u8]>::to_vec).unwrap_or_default();
    [
        scram(keys.scram_sha256.as_ref().map(|scram| &scram.stored_key[..])),
        scram(keys.scram_sha1.as_ref().map(|scram| &scram.stored_key[..])),
        scram(keys.scram_sha512.as_ref().map(|scram| &scram.stored_key[..])),
        scram(keys.sha256.as_ref().map(|key| &key[..])),
        scram(keys.md5.as_ref().map(|key| &key[..])),
    ]
    .concat()
}

/// What a client shows of its token.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Whose token it is said to be.
    pub holder: Holder,
    hashed: Hashed,
    proof: [u8; 32],
}

impl Shown {
    /// Reads a client's only message: its name, and its token hashed.
    pub fn read(hashed: Hashed, data: &[u8], client: &str, house: &House<'_>) -> Result<Self, Failure> {
        let end = data.iter().position(|octet| *octet == 0).ok_or(Failure::MalformedRequest)?;
        let name = std::str::from_utf8(&data[..end]).map_err(|_| Failure::MalformedRequest)?;
        let proof = data[end + 1..].try_into().map_err(|_| Failure::MalformedRequest)?;
        let account = house.address(name).ok_or(Failure::NotAuthorized)?;
        Ok(Self { holder: Holder { account, client: client.into() }, hashed, proof })
    }

    /// Whether it is one that is good now: what to keep from now on, and what proves to the client who we are.
    pub fn check(
        &self,
        tokens: &Tokens,
        now: Duration,
        keys: &Keys,
        channel: &Channel,
        secret: &Secret,
    ) -> Result<(Tokens, Vec<u8>), Failure> {
        let data = self.hashed.data(channel).ok_or(Failure::NotAuthorized)?;
        for (is_new, issued) in [(true, &tokens.new), (false, &tokens.current)] {
            let Some(issued) = issued.as_ref().filter(|issued| issued.hashed == self.hashed) else {
                continue;
            };
            let token = token(secret, &self.holder, keys, issued);
            let proof = Sha256::hmac(token.as_bytes(), &[b"Initiator", data].concat());
            if issued.expires <= now || !bool::from(proof.ct_eq(&self.proof)) {
                continue;
            }
            let mut kept = tokens.clone();
            if is_new {
                (kept.current, kept.new) = (kept.new, None);
            }
            let ours = Sha256::hmac(token.as_bytes(), &[b"Responder", data].concat());
            return Ok((kept, ours.to_vec()));
        }
        Err(if tokens.is_spent(now) { Failure::CredentialsExpired } else { Failure::NotAuthorized })
    }
}

/// Whether whoever has signed in by these tokens should have another.
pub fn is_due(tokens: &Tokens, now: Duration) -> bool {
    tokens.current.as_ref().is_some_and(|current| current.expires < now + RENEW)
}

/// Gives a holder a new token: the token.
pub fn issue(tokens: &mut Tokens, issued: Issued, holder: &Holder, keys: &Keys, secret: &Secret) -> String {
    let token = token(secret, holder, keys, &issued);
    tokens.new = Some(issued);
    token
}

impl Issued {
    /// A new one, of this random number.
    pub fn new(hashed: Hashed, number: String, now: Duration) -> Self {
        Self { hashed, number: number.into(), expires: Duration::from_secs((now + LIFE).as_secs()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::tests::directory;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn holder() -> Holder {
        Holder { account: "roland@falcot.com".parse().unwrap(), client: "d4565fa7".into() }
    }

    fn shown(token: &str, hashed: Hashed, data: &[u8]) -> Shown {
        let proof = Sha256::hmac(token.as_bytes(), &[b"Initiator", data].concat());
        Shown { holder: holder(), hashed, proof }
    }

    fn keys(name: &str) -> Keys {
        let address = format!("{name}@falcot.com").parse().unwrap();
        directory().get(&address).unwrap().keys.clone()
    }

    fn given(tokens: &mut Tokens, number: u8) -> String {
        let issued = Issued::new(Hashed::Exporter, number.to_string(), NOW);
        issue(tokens, issued, &holder(), &keys("roland"), &Secret::new("s"))
    }

    fn check(shown: &Shown, tokens: &Tokens, at: Duration, keys: &Keys) -> Option<Tokens> {
        let channel = Channel { exporter: Some([5; 32]), end_point: None, certificate: None };
        Some(shown.check(tokens, at, keys, &channel, &Secret::new("s")).ok()?.0)
    }

    #[test]
    fn a_token_is_good_for_its_mechanism_its_time_and_its_password() {
        let mut tokens = Tokens::default();
        let token = given(&mut tokens, 1);
        let keys = keys("roland");
        let right = shown(&token, Hashed::Exporter, &[5; 32]);
        assert!(check(&right, &tokens, NOW, &keys).is_some());
        assert!(check(&right, &tokens, NOW + LIFE, &keys).is_none());
        assert!(check(&right, &tokens, NOW, &self::keys("scram256")).is_none());
        assert!(check(&shown(&token, Hashed::Exporter, &[6; 32]), &tokens, NOW, &keys).is_none());
        assert!(check(&shown(&token, Hashed::Unbound, &[]), &tokens, NOW, &keys).is_none());
        assert!(check(&shown("guess", Hashed::Exporter, &[5; 32]), &tokens, NOW, &keys).is_none());
    }

    #[test]
    fn an_old_token_is_good_until_the_new_one_is_used() {
        let mut tokens = Tokens::default();
        let first = given(&mut tokens, 1);
        let keys = keys("roland");
        let show = |token: &str| shown(token, Hashed::Exporter, &[5; 32]);
        let mut tokens = check(&show(&first), &tokens, NOW, &keys).unwrap();
        let second = given(&mut tokens, 2);
        assert!(check(&show(&first), &tokens, NOW, &keys).is_some());
        let tokens = check(&show(&second), &tokens, NOW, &keys).unwrap();
        assert!(check(&show(&first), &tokens, NOW, &keys).is_none());
        assert!(check(&show(&second), &tokens, NOW, &keys).is_some());
        assert!(!is_due(&tokens, NOW) && is_due(&tokens, NOW + LIFE / 2) && tokens.is_spent(NOW + LIFE));
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut tokens = Tokens { name: "Play on a phone".into(), ..Tokens::default() };
        given(&mut tokens, 1);
        assert_eq!(Tokens::from_text(&tokens.to_text()), tokens);
        tokens.current = tokens.new.clone();
        assert_eq!(Tokens::from_text(&tokens.to_text()), tokens);
        assert_eq!(Tokens::from_text("current x\nnew\n\nother 1"), Tokens::default());
    }
}
