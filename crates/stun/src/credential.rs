//! Long-term credentials (RFC 8489 §9.2.4): who sent a request, or how to refuse it. The server keeps nothing until
//! a request has shown a valid one.

use crate::attribute::{
    AccessToken, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, UserHash, Username,
};
use crate::{Algorithm, Key, Kind, Message, nonce};

/// Why a request is not (yet) anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No integrity attribute, an unknown user, or a wrong key: 401 with REALM and NONCE.
    Unauthenticated,
    /// An integrity attribute without what it needs, or with values that break their own rules: 400.
    Incomplete,
    /// All is well but for the nonce, which is not of this server, client and time: 438 with REALM and NONCE.
    Stale,
}

/// A request's valid credential, and how to sign the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential<T> {
    /// Whose it is.
    pub owner: T,
    /// The key that both sides have.
    pub key: Key,
    /// The integrity attribute that the answer gets.
    pub algorithm: Algorithm,
}

/// Who somebody says they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// USERNAME.
    Name(&'a str),
    /// USERHASH.
    Hash(UserHash),
}

/// What a request says of its sender: none of it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The user.
    pub who: Who<'a>,
    /// Where the user is known.
    pub realm: &'a str,
    /// What the server is to have sent.
    pub nonce: &'a str,
    /// How the password became the key: MD5 or SHA-256.
    pub password: PasswordAlgorithm,
    /// A sealed key in place of a password's (RFC 7635 §4).
    pub token: Option<AccessToken<'a>>,
    /// The integrity attribute that the answer gets.
    pub algorithm: Algorithm,
}

/// Looks at a request's credential, in the RFC's order: is it there, is it whole, does it keep to the algorithms that
/// were offered, is the user known and the key right, is the nonce fresh. `candidates` are those who may be meant, each
/// with a key. `decoy` is what an unknown user's request is checked against, so that it takes as long.
pub fn check<'a, T, C: Iterator<Item = (T, Key)>>(
    request: &Message<'a>,
    realm: &str,
    candidates: impl FnOnce(Claim<'a>) -> C,
    is_fresh: impl FnOnce(&str) -> bool,
    decoy: &Key,
) -> Result<Credential<T>, Denied> {
    let claim = Claim::read(request)?;
    let mut tried = false;
    let mut candidates = candidates(claim).inspect(|_| tried = true);
    let found = candidates.find(|(_, key)| request.is_signed(key)).filter(|_| claim.realm == realm);
    drop(candidates);
    if !tried {
        std::hint::black_box(request.is_signed(decoy));
    }
    let (owner, key) = found.ok_or(Denied::Unauthenticated)?;
    if !is_fresh(claim.nonce) {
        return Err(Denied::Stale);
    }
    Ok(Credential { owner, key, algorithm: claim.algorithm })
}

impl<'a> Claim<'a> {
    /// What a request says, as far as that can be judged without knowing anybody.
    pub fn read(request: &Message<'a>) -> Result<Self, Denied> {
        let algorithm = request.integrity().ok_or(Denied::Unauthenticated)?;
        let who = Self::who(request)?;
        let Realm(realm) = get(request)?.ok_or(Denied::Incomplete)?;
        let Nonce(nonce) = get(request)?.ok_or(Denied::Incomplete)?;
        let password = password(request, nonce)?;
        // A client that takes part in the choice of algorithms is answered with the stronger attribute whatever it chose.
        // There are some (crate stun-proto 2.0) that then look at no attribute but the one that they sent.
        let chose = request.raw(Kind::PASSWORD_ALGORITHM).is_some();
        let algorithm = if chose && algorithm == Algorithm::Sha1 { Algorithm::Both } else { algorithm };
        Ok(Self { who, realm, nonce, password, token: get(request)?, algorithm })
    }

    /// Who a request says it is from: one name or the other, not both.
    pub fn who(request: &Message<'a>) -> Result<Who<'a>, Denied> {
        match (get(request)?, get(request)?) {
            (Some(Username(name)), None) => Ok(Who::Name(name)),
            (None, Some(hash)) => Ok(Who::Hash(hash)),
            _ => Err(Denied::Incomplete),
        }
    }
}

fn get<'a, A: crate::Attribute<'a>>(request: &Message<'a>) -> Result<Option<A>, Denied> {
    request.get().map_err(|_| Denied::Incomplete)
}

/// The password algorithm that a client chose. Where the nonce says that there was a choice, the client repeats what
/// it was offered: what somebody on the way made of the offer shows here (RFC 8489 §9.2.4).
fn password(request: &Message<'_>, nonce: &str) -> Result<PasswordAlgorithm, Denied> {
    let (chosen, offered) = (get(request)?, get(request)?);
    match (chosen, offered) {
        (None, None) => Ok(PasswordAlgorithm::Md5),
        (Some(PasswordAlgorithm::Other) | None, _) => Err(Denied::Incomplete),
        (Some(chosen), Some(PasswordAlgorithms::OURS)) => Ok(chosen),
        (Some(chosen), None) if !nonce::offers_algorithms(nonce) => Ok(chosen),
        _ => Err(Denied::Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::TRANSACTION;
    use crate::{Class, Method, Writer};
    use Denied::{Incomplete, Stale, Unauthenticated};

    const REALM: &str = "falcot.com";
    type Part<'a> = (Kind, &'a [u8]);
    const USER: Part<'_> = (Kind::USERNAME, b"roland");
    const STRANGER: Part<'_> = (Kind::USERNAME, b"mallory");
    const HOME: Part<'_> = (Kind::REALM, b"falcot.com");
    const FRESH: Part<'_> = (Kind::NONCE, b"fresh");
    const OLD: Part<'_> = (Kind::NONCE, b"old");
    /// A nonce with the first feature's bit.
    const MARKED: Part<'_> = (Kind::NONCE, b"obMatJos2wAAA");
    const OFFER: Part<'_> = (Kind::PASSWORD_ALGORITHMS, &[0, 2, 0, 0, 0, 1, 0, 0]);
    const MD5: Part<'_> = (Kind::PASSWORD_ALGORITHM, &[0, 1, 0, 0]);
    const SHA256: Part<'_> = (Kind::PASSWORD_ALGORITHM, &[0, 2, 0, 0]);

    fn md5() -> Key {
        Key::md5("roland", REALM, "tr0mbone")
    }

    fn sha256() -> Key {
        Key::sha256("roland", REALM, "tr0mbone")
    }

    fn candidates(claim: Claim<'_>) -> std::option::IntoIter<(&'static str, Key)> {
        let known = claim.who == Who::Name("roland") || claim.who == Who::Hash(UserHash::of("roland", REALM));
        let key = if claim.password == PasswordAlgorithm::Sha256 { sha256() } else { md5() };
        known.then_some(("roland", key)).into_iter()
    }

    /// The verdict on a request with these attributes and this signature.
    fn check(parts: &[Part<'_>], sign: &[(Algorithm, Key)], expected: Result<Algorithm, Denied>) {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, Class::Request, Method::ALLOCATE, TRANSACTION);
        for (kind, value) in parts {
            writer = writer.raw(*kind, value);
        }
        for (algorithm, key) in sign {
            writer = writer.sign(*algorithm, key);
        }
        writer.finish();
        let request = Message::parse(&bytes).unwrap();
        let decoy = Key::long_term(&[7; 16]);
        let is_fresh = |nonce: &str| nonce != "old";
        let verdict = super::check(&request, REALM, candidates, is_fresh, &decoy);
        assert!(verdict.as_ref().is_ok_and(|found| found.owner == "roland") || verdict.is_err());
        assert_eq!(verdict.map(|found| found.algorithm), expected, "{request:?}");
    }

    const ONE: Algorithm = Algorithm::Sha1;
    const TWO: Algorithm = Algorithm::Sha256;

    #[test]
    fn the_right_key_with_either_attribute() {
        check(&[USER, HOME, FRESH], &[(ONE, md5())], Ok(ONE));
        check(&[USER, HOME, FRESH], &[(TWO, md5())], Ok(TWO));
        check(&[USER, HOME, FRESH], &[(ONE, md5()), (TWO, md5())], Ok(TWO));
    }

    #[test]
    fn a_client_that_chooses_an_algorithm() {
        for nonce in [FRESH, MARKED] {
            check(&[USER, HOME, nonce, OFFER, SHA256], &[(TWO, sha256())], Ok(TWO));
            check(&[USER, HOME, nonce, OFFER, MD5], &[(TWO, md5())], Ok(TWO));
            check(&[USER, HOME, nonce, OFFER, MD5], &[(ONE, md5())], Ok(Algorithm::Both));
            check(&[USER, HOME, nonce, OFFER, SHA256], &[(TWO, md5())], Err(Unauthenticated));
            check(&[USER, HOME, nonce], &[(TWO, sha256())], Err(Unauthenticated));
            check(&[USER, HOME, nonce], &[(ONE, md5())], Ok(ONE));
        }
    }

    #[test]
    fn a_hash_for_a_name() {
        let UserHash(hash) = UserHash::of("roland", REALM);
        let hashed = (Kind::USERHASH, &hash[..]);
        check(&[hashed, HOME, MARKED, OFFER, SHA256], &[(TWO, sha256())], Ok(TWO));
        check(&[hashed, HOME, FRESH], &[(ONE, md5())], Ok(ONE));
        check(&[hashed, USER, HOME, FRESH], &[(ONE, md5())], Err(Incomplete));
        check(&[(Kind::USERHASH, &[1; 32]), HOME, FRESH], &[(ONE, md5())], Err(Unauthenticated));
        check(&[(Kind::USERHASH, &[1; 31]), HOME, FRESH], &[(ONE, md5())], Err(Incomplete));
    }

    #[test]
    fn whoever_bends_the_offer_is_noticed() {
        let only_md5 = (Kind::PASSWORD_ALGORITHMS, &[0, 1, 0, 0][..]);
        let other_order = (Kind::PASSWORD_ALGORITHMS, &[0, 1, 0, 0, 0, 2, 0, 0][..]);
        let other = (Kind::PASSWORD_ALGORITHM, &[0, 3, 0, 0][..]);
        for parts in
            [&[OFFER][..], &[MD5], &[SHA256], &[only_md5, MD5], &[other_order, SHA256], &[OFFER, other]]
        {
            let parts = [&[USER, HOME, MARKED], parts].concat();
            check(&parts, &[(TWO, sha256())], Err(Incomplete));
        }
        check(&[USER, HOME, MARKED, only_md5, MD5], &[], Err(Unauthenticated));
        // Without an offer there is nothing to repeat.
        check(&[USER, HOME, FRESH, SHA256], &[(TWO, sha256())], Ok(TWO));
        check(&[USER, HOME, FRESH, other], &[(TWO, sha256())], Err(Incomplete));
    }

    #[test]
    fn no_or_wrong_credential() {
        let wrong = Key::md5("roland", REALM, "guess");
        let elsewhere = (Kind::REALM, &b"example.org"[..]);
        check(&[], &[], Err(Unauthenticated));
        check(&[USER, HOME, FRESH], &[], Err(Unauthenticated));
        check(&[USER, HOME, FRESH], &[(ONE, wrong)], Err(Unauthenticated));
        check(&[STRANGER, HOME, FRESH], &[(ONE, md5())], Err(Unauthenticated));
        check(&[USER, elsewhere, FRESH], &[(ONE, md5())], Err(Unauthenticated));
        check(&[STRANGER, HOME, FRESH], &[(ONE, Key::long_term(&[7; 16]))], Err(Unauthenticated));
    }

    #[test]
    fn an_old_nonce_is_the_last_thing_that_counts() {
        check(&[USER, HOME, OLD], &[(ONE, md5())], Err(Stale));
        check(&[STRANGER, HOME, OLD], &[(ONE, md5())], Err(Unauthenticated));
        check(&[USER, HOME, OLD], &[(TWO, sha256())], Err(Unauthenticated));
        check(&[USER, HOME, OLD, SHA256, OFFER], &[(TWO, sha256())], Err(Stale));
    }

    #[test]
    fn half_a_credential() {
        for parts in [[HOME, FRESH], [USER, FRESH], [USER, HOME]] {
            check(&parts, &[(ONE, md5())], Err(Incomplete));
        }
        check(&[(Kind::USERNAME, b"\xFF"), HOME, FRESH], &[(ONE, md5())], Err(Incomplete));
        check(&[USER, HOME, FRESH, (Kind::ACCESS_TOKEN, b"")], &[(ONE, md5())], Err(Incomplete));
    }

    #[test]
    fn keys_from_passwords() {
        let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            "roland:falcot.com:tr0mbone",
        ))
        .into();
        assert!(sha256() == Key::long_term(&hash) && Some(sha256()) == Key::raw(&hash));
        assert!(Key::raw(&[]).is_none() && Key::raw(&[1; 65]).is_none());
    }
}
