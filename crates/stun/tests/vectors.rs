//! The test vectors of RFC 5769 and of RFC 8489 app. B.1 (with erratum 6268), by name. They are seeds for fuzzing too.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]

use stun::attribute::{Nonce, Realm, Software, Username, XorMappedAddress};
use stun::{Algorithm, Class, Key, Kind, Message, Method, TransactionId, Writer};

const ICE: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const MATRIX: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";

/// Reads a vector and sees to its first lines.
fn message(bytes: &[u8], class: Class, transaction: TransactionId) -> Message<'_> {
    let message = Message::parse(bytes).unwrap();
    assert_eq!(
        (message.class(), message.method(), message.transaction()),
        (class, Method::BINDING, transaction)
    );
    message
}

fn ice_key() -> Key {
    Key::short_term(PASSWORD).unwrap()
}

#[test]
fn rfc5769_2_1_sample_request() {
    let bytes = include_bytes!("../../../fuzz/corpus/stun/rfc5769-2.1-request");
    let request = message(bytes, Class::Request, ICE);
    assert_eq!(request.get(), Ok(Some(Software("STUN test client"))));
    assert_eq!(request.get(), Ok(Some(Username("evtj:h6vY"))));
    assert_eq!(request.raw(Kind::PRIORITY).map(|raw| raw.value), Some(&[0x6e, 0x00, 0x01, 0xff][..]));
    let controlled = request.raw(Kind::ICE_CONTROLLED).map(|raw| raw.value);
    assert_eq!(controlled, Some(&[0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36][..]));
    assert_eq!((request.integrity(), request.is_signed(&ice_key())), (Some(Algorithm::Sha1), true));
    assert_eq!(request.fingerprint(), Some(true));
}

#[test]
fn rfc5769_2_2_sample_ipv4_response() {
    let bytes = include_bytes!("../../../fuzz/corpus/stun/rfc5769-2.2-ipv4-response");
    let response = message(bytes, Class::Success, ICE);
    assert_eq!(response.get(), Ok(Some(Software("test vector"))));
    assert_eq!(response.get(), Ok(Some(XorMappedAddress("192.0.2.1:32853".parse().unwrap()))));
    assert!(response.is_signed(&ice_key()));
    assert_eq!(response.fingerprint(), Some(true));
}

#[test]
fn rfc5769_2_3_sample_ipv6_response() {
    let bytes = include_bytes!("../../../fuzz/corpus/stun/rfc5769-2.3-ipv6-response");
    let response = message(bytes, Class::Success, ICE);
    let mapped = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(response.get(), Ok(Some(XorMappedAddress(mapped))));
    assert!(response.is_signed(&ice_key()));
    assert_eq!(response.fingerprint(), Some(true));
}

#[test]
fn rfc5769_2_4_sample_request_with_long_term_authentication() {
    let bytes = include_bytes!("../../../fuzz/corpus/stun/rfc5769-2.4-long-term");
    let transaction = TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
    let request = message(bytes, Class::Request, transaction);
    assert_eq!(request.get(), Ok(Some(Username(MATRIX))));
    assert_eq!(request.get(), Ok(Some(Nonce("f//499k954d6OL34oL9FSTvy64sA"))));
    assert_eq!(request.get(), Ok(Some(Realm("example.org"))));
    assert!(request.is_signed(&Key::md5(MATRIX, "example.org", "TheMatrIX")));
    assert!(!request.is_signed(&Key::md5(MATRIX, "example.org", "TheMatrix")));
    assert_eq!(request.fingerprint(), None);

    let mut again = Vec::new();
    Writer::new(&mut again, Class::Request, Method::BINDING, transaction)
        .with(&Username(MATRIX))
        .with(&Nonce("f//499k954d6OL34oL9FSTvy64sA"))
        .with(&Realm("example.org"))
        .sign(Algorithm::Sha1, &Key::md5(MATRIX, "example.org", "TheMatrIX"))
        .finish();
    assert_eq!(again, bytes);
}

#[test]
fn rfc8489_b_1_sample_request_with_sha256_and_userhash() {
    let bytes = include_bytes!("../../../fuzz/corpus/stun/rfc8489-b.1-sha256");
    let request = Message::parse(bytes).unwrap();
    // SHA-256 of "マトリックス:example.org:TheMatrIX".
    let key = Key::long_term(&sha256(&format!("{MATRIX}:example.org:TheMatrIX")));
    assert_eq!((request.integrity(), request.is_signed(&key)), (Some(Algorithm::Sha256), true));
    assert_eq!(
        request.raw(Kind::USERHASH).map(|raw| raw.value),
        Some(&sha256(&format!("{MATRIX}:example.org"))[..])
    );

    let mut again = Vec::new();
    Writer::new(&mut again, Class::Request, Method::BINDING, request.transaction())
        .raw(Kind::USERHASH, &sha256(&format!("{MATRIX}:example.org")))
        .with(&Nonce("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"))
        .with(&Realm("example.org"))
        .raw(Kind::PASSWORD_ALGORITHM, &[0, 2, 0, 0])
        .sign(Algorithm::Sha256, &key)
        .finish();
    assert_eq!(again, bytes);
}

fn sha256(text: &str) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).into()
}
