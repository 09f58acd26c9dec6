//! Long-term credentials (RFC 8489 §9.2.4): who sent a request, or how to refuse it. The server keeps nothing until
//! a request has shown a valid one.
//!
//! PASSWORD-ALGORITHMS, USERHASH and the nonce's security-feature bits are not offered here.

use crate::attribute::{Nonce, Realm, Username};
use crate::{Algorithm, Key, Message};

/// Why a request is not (yet) anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No integrity attribute, an unknown user, or a wrong key: 401 with REALM and NONCE.
    Unauthenticated,
    /// An integrity attribute without what it needs, or with values that break their own rules: 400.
    Incomplete,
    /// The nonce is not of this server, client and time: 438 with REALM and NONCE.
    Stale,
}

/// A request's valid credential, and how to sign the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The user, as the client writes the name.
    pub username: &'a str,
    /// The key that both sides have.
    pub key: Key,
    /// The integrity attribute that the client used; the answer uses the same.
    pub algorithm: Algorithm,
}

/// Looks at a request's credential, in the RFC's order: is it there, is it whole, is the nonce fresh, is the user
/// known, is the key right. `decoy` is what an unknown user's request is checked against, so that it takes as long.
pub fn check<'a>(
    request: &Message<'a>,
    realm: &str,
    is_fresh: impl FnOnce(&str) -> bool,
    key_of: impl FnOnce(&str) -> Option<Key>,
    decoy: &Key,
) -> Result<Credential<'a>, Denied> {
    let algorithm = request.integrity().ok_or(Denied::Unauthenticated)?;
    let claim = Claim::read(request)?;
    if !is_fresh(claim.nonce) {
        return Err(Denied::Stale);
    }
    let found = key_of(claim.username).filter(|_| claim.realm == realm);
    let signed = request.is_signed(found.as_ref().unwrap_or(decoy));
    match found {
        Some(key) if signed => Ok(Credential { username: claim.username, key, algorithm }),
        _ => Err(Denied::Unauthenticated),
    }
}

/// What an integrity attribute needs beside it.
struct Claim<'a> {
    username: &'a str,
    realm: &'a str,
    nonce: &'a str,
}

impl<'a> Claim<'a> {
    fn read(request: &Message<'a>) -> Result<Self, Denied> {
        let incomplete = |_| Denied::Incomplete;
        let Username(username) = request.get().map_err(incomplete)?.ok_or(Denied::Incomplete)?;
        let Realm(realm) = request.get().map_err(incomplete)?.ok_or(Denied::Incomplete)?;
        let Nonce(nonce) = request.get().map_err(incomplete)?.ok_or(Denied::Incomplete)?;
        Ok(Self { username, realm, nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::TRANSACTION;
    use crate::{Class, Kind, Method, Writer};

    const REALM: &str = "falcot.com";

    fn key() -> Key {
        Key::md5("roland", REALM, "tr0mbone")
    }

    /// A request with the attributes named in `parts`, and the verdict on it.
    fn check(parts: &[(Kind, &[u8])], sign: Option<(Algorithm, Key)>, expected: Result<&str, Denied>) {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, Class::Request, Method::ALLOCATE, TRANSACTION);
        for (kind, value) in parts {
            writer = writer.raw(*kind, value);
        }
        if let Some((algorithm, key)) = sign {
            writer = writer.sign(algorithm, &key);
        }
        writer.finish();
        let request = Message::parse(&bytes).unwrap();
        let lookup = |name: &str| (name == "roland").then(key);
        let verdict =
            super::check(&request, REALM, |nonce| nonce == "fresh", lookup, &Key::long_term(&[7; 16]));
        assert_eq!(verdict.map(|credential| credential.username), expected, "{request:?}");
    }

    const USER: (Kind, &[u8]) = (Kind::USERNAME, b"roland");
    const STRANGER: (Kind, &[u8]) = (Kind::USERNAME, b"mallory");
    const HOME: (Kind, &[u8]) = (Kind::REALM, b"falcot.com");
    const FRESH: (Kind, &[u8]) = (Kind::NONCE, b"fresh");
    const OLD: (Kind, &[u8]) = (Kind::NONCE, b"old");

    #[test]
    fn the_right_key_with_either_attribute() {
        check(&[USER, HOME, FRESH], Some((Algorithm::Sha1, key())), Ok("roland"));
        check(&[USER, HOME, FRESH], Some((Algorithm::Sha256, key())), Ok("roland"));
    }

    #[test]
    fn no_or_wrong_credential() {
        let wrong = Key::md5("roland", REALM, "guess");
        check(&[], None, Err(Denied::Unauthenticated));
        check(&[USER, HOME, FRESH], None, Err(Denied::Unauthenticated));
        check(&[USER, HOME, FRESH], Some((Algorithm::Sha1, wrong)), Err(Denied::Unauthenticated));
        check(&[STRANGER, HOME, FRESH], Some((Algorithm::Sha1, key())), Err(Denied::Unauthenticated));
        check(
            &[USER, (Kind::REALM, b"example.org"), FRESH],
            Some((Algorithm::Sha1, key())),
            Err(Denied::Unauthenticated),
        );
        check(
            &[STRANGER, HOME, FRESH],
            Some((Algorithm::Sha1, Key::long_term(&[7; 16]))),
            Err(Denied::Unauthenticated),
        );
    }

    #[test]
    fn an_old_nonce_is_stale_before_anything_is_looked_up() {
        check(&[USER, HOME, OLD], Some((Algorithm::Sha1, key())), Err(Denied::Stale));
        check(&[STRANGER, HOME, OLD], Some((Algorithm::Sha1, key())), Err(Denied::Stale));
    }

    #[test]
    fn half_a_credential() {
        for parts in [[HOME, FRESH], [USER, FRESH], [USER, HOME]] {
            check(&parts, Some((Algorithm::Sha1, key())), Err(Denied::Incomplete));
        }
        check(
            &[(Kind::USERNAME, b"\xFF"), HOME, FRESH],
            Some((Algorithm::Sha1, key())),
            Err(Denied::Incomplete),
        );
    }
}
