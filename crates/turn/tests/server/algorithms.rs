//! Clients of RFC 8489: SHA-256 keys, hashed names, and what shows when somebody on the way bends the offer.

use crate::bench::{Attribute, Bench, REALM, SECOND_REALM, User, describe, transport, user};
use stun::attribute::{Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Software, UserHash, Username};
use stun::{Algorithm, Class, Key, Kind, Message, Method, TransactionId, Writer};
use turn::{Input, Output};
use wire::Machine;

/// What the server says to some bytes.
fn answer(bench: &mut Bench, user: &User, bytes: &[u8]) -> Vec<u8> {
    bench.server.handle(bench.now, Input::Message { client: user.client, bytes });
    loop {
        match bench.server.poll() {
            Some(Output::Send { bytes, .. }) => return bytes,
            Some(_) => {}
            None => panic!("no answer"),
        }
    }
}

/// A first request that is long enough for a full challenge, as clients of RFC 8489 have it for their SOFTWARE; the nonce.
fn full_challenge(bench: &mut Bench, user: &mut User) {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, Method::ALLOCATE, TransactionId([1; 12]));
    writer.with(&Software("a client that tells its name")).finish();
    let answer = answer(bench, user, &bytes);
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.get(), Ok(Some(PasswordAlgorithms::OURS)));
    let Nonce(nonce) = answer.get().unwrap().unwrap();
    user.nonce = nonce.into();
}

/// A Refresh with these attributes behind nonce and realm; the answer, and with which attribute it is signed.
fn refresh(
    bench: &mut Bench,
    user: &User,
    realm: &str,
    more: &[Attribute],
    sign: (Algorithm, Key),
) -> (String, Option<Algorithm>) {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, Method::REFRESH, TransactionId([2; 12]));
    let writer = writer.with(&Realm(realm)).with(&Nonce(&user.nonce));
    let writer = more.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value));
    writer.sign(sign.0, &sign.1).finish();
    let answer = answer(bench, user, &bytes);
    let message = Message::parse(&answer).unwrap();
    assert!(message.integrity().is_none() || message.is_signed(&sign.1));
    (describe(&answer).replace(" signed", ""), message.integrity())
}

fn name(name: &str) -> Attribute {
    (Kind::USERNAME, name.into())
}

fn hash(name: &str, realm: &str) -> Attribute {
    (Kind::USERHASH, UserHash::of(name, realm).0.to_vec())
}

fn chosen(number: u8) -> Attribute {
    (Kind::PASSWORD_ALGORITHM, vec![0, number, 0, 0])
}

fn offered() -> Attribute {
    (Kind::PASSWORD_ALGORITHMS, vec![0, 2, 0, 0, 0, 1, 0, 0])
}

/// The answer to a request that was let in, though it has no allocation.
fn let_in(algorithm: Algorithm) -> (String, Option<Algorithm>) {
    ("Refresh 437 Allocation Mismatch".into(), Some(algorithm))
}

fn refused(code: &str) -> (String, Option<Algorithm>) {
    (format!("Refresh {code}"), None)
}

#[test]
fn every_name_with_every_key() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    full_challenge(&mut bench, &mut roland);
    for written in ["roland", "roland@falcot.com"] {
        let md5 = Key::md5(written, REALM, "tr0mbone");
        let sha256 = Key::sha256(written, REALM, "tr0mbone");
        for who in [name(written), hash(written, REALM)] {
            for (number, key) in [(1, md5), (2, sha256)] {
                let more = [who.clone(), chosen(number), offered()];
                let answer = refresh(&mut bench, &roland, REALM, &more, (Algorithm::Sha256, key));
                assert_eq!(answer, let_in(Algorithm::Sha256), "{written} {number}");
                let other = if number == 1 { sha256 } else { md5 };
                let answer = refresh(&mut bench, &roland, REALM, &more, (Algorithm::Sha256, other));
                assert_eq!(answer, refused("401  realm=falcot.com nonce"));
            }
            let classic = refresh(&mut bench, &roland, REALM, &[who], (Algorithm::Sha1, md5));
            assert_eq!(classic, let_in(Algorithm::Sha1));
        }
    }
}

#[test]
fn a_whole_allocation_with_a_hashed_name() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    full_challenge(&mut bench, &mut roland);
    let key = Key::sha256("roland", REALM, "tr0mbone");
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, Method::ALLOCATE, TransactionId([3; 12]));
    let (kind, value) = transport(17);
    let writer = writer.raw(kind, &value).with(&UserHash::of("roland", REALM)).with(&Realm(REALM));
    let writer = writer.with(&Nonce(&roland.nonce)).with(&PasswordAlgorithm::Sha256);
    writer.with(&PasswordAlgorithms::OURS).sign(Algorithm::Sha256, &key).fingerprint().finish();
    let lines = bench.message(roland.client, &bytes);
    assert_eq!(lines[1], "began roland@falcot.com 192.0.2.1:5000");
    let extended = crate::bench::to(&roland, "Refresh ok lifetime=600 signed");
    assert_eq!(bench.ask(&roland, Method::REFRESH, &[]), [extended], "the same account by its name");
}

#[test]
fn a_hash_names_its_realm_and_an_unknown_one_the_first() {
    let mut bench = Bench::new();
    let mut zoe = user("zoe", "192.0.2.1:5000");
    full_challenge(&mut bench, &mut zoe);
    let key = Key::sha256("zoe", SECOND_REALM, "tr0mbone");
    for (realm, expected) in
        [(REALM, refused("401  realm=falcot.org nonce")), (SECOND_REALM, let_in(Algorithm::Sha256))]
    {
        let more = [hash("zoe", SECOND_REALM), chosen(2), offered()];
        assert_eq!(refresh(&mut bench, &zoe, realm, &more, (Algorithm::Sha256, key)), expected);
    }
    let more = [hash("mallory", SECOND_REALM), chosen(2), offered()];
    let answer = refresh(&mut bench, &zoe, SECOND_REALM, &more, (Algorithm::Sha256, key));
    assert_eq!(answer, refused("401  realm=falcot.com nonce"));
}

#[test]
fn a_bent_offer_is_a_bad_request_and_a_bent_nonce_is_stale() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    full_challenge(&mut bench, &mut roland);
    let (md5, sha256) = (Key::md5("roland", REALM, "tr0mbone"), Key::sha256("roland", REALM, "tr0mbone"));
    let only_md5 = (Kind::PASSWORD_ALGORITHMS, vec![0, 1, 0, 0]);
    for more in [vec![chosen(1)], vec![offered()], vec![chosen(1), only_md5], vec![chosen(3), offered()]] {
        let more = [vec![name("roland")], more].concat();
        let answer = refresh(&mut bench, &roland, REALM, &more, (Algorithm::Sha256, md5));
        assert_eq!(answer, refused("400 "), "{more:?}");
    }
    // Without the bit in the nonce the client believes in a server of RFC 5389: that nonce was never ours.
    let bent = User { nonce: roland.nonce.replacen("wAAA", "AAAA", 1), ..roland.clone() };
    let answer = refresh(&mut bench, &bent, REALM, &[name("roland")], (Algorithm::Sha1, md5));
    assert_eq!(answer, refused("438  realm=falcot.com nonce"));
    bench.after(3601);
    let more = [name("roland"), chosen(2), offered()];
    let answer = refresh(&mut bench, &roland, REALM, &more, (Algorithm::Sha256, sha256));
    assert_eq!(answer, refused("438  realm=falcot.com nonce"));
    let answer = refresh(&mut bench, &roland, REALM, &more, (Algorithm::Sha256, md5));
    assert_eq!(answer, refused("401  realm=falcot.com nonce"), "a wrong key is told before an old nonce");
}

#[test]
fn a_shortened_hmac() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    full_challenge(&mut bench, &mut roland);
    let key: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        "roland:falcot.com:tr0mbone",
    ))
    .into();
    for (length, code) in [(16, 437), (20, 437), (32, 437), (12, 401), (17, 401), (0, 401)] {
        let bytes = shortened(&roland, &key, length);
        let answer = answer(&mut bench, &roland, &bytes);
        assert!(describe(&answer).starts_with(&format!("Refresh {code}")), "{length} {}", describe(&answer));
    }
}

/// A Refresh whose MESSAGE-INTEGRITY-SHA256 has `length` octets.
fn shortened(user: &User, key: &[u8], length: u8) -> Vec<u8> {
    use hmac::{KeyInit, Mac};
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, Method::REFRESH, TransactionId([2; 12]));
    let writer = writer.with(&Username("roland")).with(&Realm(REALM)).with(&Nonce(&user.nonce));
    writer.with(&PasswordAlgorithm::Sha256).with(&PasswordAlgorithms::OURS).finish();
    let padded = length.next_multiple_of(4);
    bytes[3] += 4 + padded;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(&bytes);
    let value = mac.finalize().into_bytes();
    bytes.extend_from_slice(&[0, 0x1C, 0, length]);
    let end = bytes.len() + usize::from(padded);
    bytes.extend_from_slice(&value[..usize::from(length)]);
    bytes.resize(end, 0);
    bytes
}
