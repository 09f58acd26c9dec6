//! What is a message and what is not; that reading never fails badly and agrees with writing, and with `stun-types`.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]

use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use stun::attribute::{Data, ErrorCode, Lifetime, Software, Username, XorMappedAddress, XorPeerAddress};
use stun::message::{MAX_ATTRIBUTES, Malformed};
use stun::{Algorithm, Class, Key, Kind, Message, Method, ParseError, TransactionId, Writer};
use stun_types::message::{LongTermCredentials, MessageIntegrityCredentials};

const TRANSACTION: TransactionId = TransactionId(*b"twelve bytes");

/// A Binding request with these raw attributes.
fn request(attributes: &[(Kind, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Class::Request, Method::BINDING, TRANSACTION);
    for (kind, value) in attributes {
        writer = writer.raw(*kind, value);
    }
    writer.finish();
    out
}

fn refuses(bytes: &[u8], expected: ParseError) {
    assert_eq!(Message::parse(bytes).err(), Some(expected), "{bytes:02x?}");
}

#[test]
fn a_guard_without_its_value_at_the_end_of_the_longest_messages() {
    for length in (65_480..=65_524).step_by(4) {
        let filling = vec![0; length];
        for guard in [Kind::MESSAGE_INTEGRITY, Kind::MESSAGE_INTEGRITY_SHA256, Kind::FINGERPRINT] {
            let bytes = request(&[(Kind::DATA, &filling), (guard, &[])]);
            let message = Message::parse(&bytes).unwrap();
            assert!(!message.is_signed(&Key::md5("roland", "falcot.com", "tr0mbone")));
            assert_ne!(message.fingerprint(), Some(true));
        }
    }
}

#[test]
fn what_is_not_stun() {
    let good = request(&[]);
    for (at, value) in [(0, 0x40), (0, 0x80), (0, 0xFF), (3, 1), (3, 2), (4, 0x20), (7, 0x43)] {
        let mut bad = good.clone();
        bad[at] = value;
        refuses(&bad, ParseError::NotStun);
    }
    refuses(b"GET / HTTP/1.1\r\n\r\n", ParseError::NotStun);
}

#[test]
fn what_is_cut_short_or_too_long() {
    let good = request(&[(Kind::SOFTWARE, b"parlour")]);
    for end in 0..good.len() {
        refuses(&good[..end], ParseError::Truncated);
    }
    refuses(&[&good[..], &[0]].concat(), ParseError::Trailing);
}

#[test]
fn attributes_that_reach_over_the_end() {
    let mut bytes = request(&[(Kind::SOFTWARE, b"parlour")]);
    bytes[23] = 9;
    refuses(&bytes, ParseError::BadAttribute);
    bytes[22] = 0xFF;
    refuses(&bytes, ParseError::BadAttribute);
}

#[test]
fn more_attributes_than_anybody_needs() {
    assert!(Message::parse(&request(&[(Kind::USE_CANDIDATE, &[][..]); MAX_ATTRIBUTES])).is_ok());
    refuses(&request(&[(Kind::USE_CANDIDATE, &[][..]); MAX_ATTRIBUTES + 1]), ParseError::TooMany);
}

#[test]
fn a_malformed_value_is_the_attributes_fault_alone() {
    let bytes = request(&[(Kind::LIFETIME, b"abc"), (Kind::USERNAME, b"roland")]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get::<Lifetime>(), Err(Malformed(Kind::LIFETIME)));
    assert_eq!(message.get(), Ok(Some(Username("roland"))));
    assert_eq!(message.get::<Software<'_>>(), Ok(None));
}

#[test]
fn what_follows_the_integrity_attribute_is_not_believed() {
    let key = Key::md5("roland", "falcot.com", "tr0mbone");
    let mut bytes = Vec::new();
    Writer::new(&mut bytes, Class::Request, Method::BINDING, TRANSACTION)
        .with(&Username("roland"))
        .sign(Algorithm::Sha1, &key)
        .with(&Lifetime(9))
        .raw(Kind(0x7ABC), b"")
        .fingerprint()
        .finish();
    let message = Message::parse(&bytes).unwrap();
    assert!(message.is_signed(&key));
    assert_eq!(message.fingerprint(), Some(true));
    assert_eq!(message.get::<Lifetime>(), Ok(None));
    assert_eq!(message.unknown(|_| true).count(), 0);
}

#[test]
fn both_integrity_attributes_and_a_shortened_one() {
    let key = Key::long_term(&[7; 32]);
    let mut bytes = Vec::new();
    let start = Writer::new(&mut bytes, Class::Request, Method::BINDING, TRANSACTION);
    start.sign(Algorithm::Sha1, &key).sign(Algorithm::Sha256, &key).fingerprint().finish();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.integrity(), message.is_signed(&key)), (Some(Algorithm::Sha256), true));
    assert!(!message.is_signed(&Key::long_term(&[8; 32])));

    // RFC 8489 §14.6: at least 16 octets, a multiple of four; the HMAC is over a header that knows the shorter length.
    for (length, good) in [(16, true), (28, true), (12, false), (18, false), (0, false)] {
        let bytes = shortened(&key, length);
        assert_eq!(Message::parse(&bytes).unwrap().is_signed(&key), good, "{length}");
    }
}

/// A request whose MESSAGE-INTEGRITY-SHA256 is cut to `length` octets.
fn shortened(key: &Key, length: usize) -> Vec<u8> {
    use hmac::{KeyInit, Mac};
    let mut bytes = request(&[]);
    bytes[3] = u8::try_from(4 + length.next_multiple_of(4)).unwrap();
    assert_eq!(format!("{key:?}"), "Key(…)");
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(&bytes);
    let value = mac.finalize().into_bytes();
    bytes.extend_from_slice(&[0, 0x1C, 0, u8::try_from(length).unwrap()]);
    bytes.extend_from_slice(&value[..length]);
    bytes.resize(24 + length.next_multiple_of(4), 0);
    bytes
}

#[test]
fn attributes_that_must_be_understood() {
    let bytes = request(&[
        (Kind(0x0ABC), b""),
        (Kind::USERNAME, b"roland"),
        (Kind(0x8ABC), b""),
        (Kind(0x7FFF), b""),
    ]);
    let message = Message::parse(&bytes).unwrap();
    let unknown: Vec<_> = message.unknown(|kind| kind == Kind::USERNAME).collect();
    assert_eq!(unknown, [Kind(0x0ABC), Kind(0x7FFF)]);
}

#[test]
fn messages_in_a_stream() {
    let bytes = request(&[(Kind::SOFTWARE, b"parlour")]);
    for end in 0..8 {
        assert_eq!(Message::length(&bytes[..end]), Ok(None));
    }
    assert_eq!(Message::length(&bytes[..8]), Ok(Some(32)));
    assert_eq!(Message::length(b"GE"), Err(ParseError::NotStun));
    assert!(Message::looks_like(&bytes) && !Message::looks_like(&bytes[..19]));
}

#[test]
fn every_method_and_class_survives() {
    for number in 0..0x1000 {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            let mut out = Vec::new();
            Writer::new(&mut out, class, Method::new(number), TRANSACTION).finish();
            let message = Message::parse(&out).unwrap();
            assert_eq!((message.class(), message.method().number()), (class, number));
            let theirs = stun_types::message::Message::from_bytes(&out).unwrap();
            assert_eq!(theirs.method().value(), number);
        }
    }
}

#[test]
fn the_corpus_is_read_without_harm() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/stun");
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 20);
    for file in files {
        read_all(&std::fs::read(file).unwrap());
    }
}

/// Reads everything there is to read in some bytes.
fn read_all(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let key = Key::long_term(&[0; 16]);
    let _ = (message.class(), message.method(), message.fingerprint(), message.is_signed(&key));
    let _ = (message.get::<XorPeerAddress>(), message.get::<ErrorCode<'_>>(), message.get::<Username<'_>>());
    assert!(message.attributes().count() <= MAX_ATTRIBUTES);
    for raw in message.attributes() {
        assert_eq!(&bytes[raw.at..raw.at + raw.value.len()], raw.value);
    }
    let _ = format!("{message:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
        let _ = Message::length(&bytes);
    }

    #[test]
    fn any_attributes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..50)) {
        let mut bytes = request(&[]);
        bytes.extend(body.iter().copied().chain(std::iter::repeat_n(0, body.len().next_multiple_of(4) - body.len())));
        bytes[3] = u8::try_from(bytes.len() - 20).unwrap();
        read_all(&bytes);
    }

    #[test]
    fn what_is_written_is_read_here_and_elsewhere(
        ip in any::<IpAddr>(), port in any::<u16>(), name in "[a-z]{1,20}", data in prop::collection::vec(any::<u8>(), 0..80),
        transaction in any::<[u8; 12]>(), sha256 in any::<bool>(), code in 300_u16..700,
    ) {
        let address = SocketAddr::new(ip, port);
        let (key, algorithm) = (Key::md5(&name, "falcot.com", "tr0mbone"), if sha256 { Algorithm::Sha256 } else { Algorithm::Sha1 });
        let mut out = b"in front".to_vec();
        let length = Writer::new(&mut out, Class::Success, Method::ALLOCATE, TransactionId(transaction))
            .with(&XorMappedAddress(address)).with(&XorPeerAddress(address)).with(&Username(&name)).with(&Data(&data))
            .with(&ErrorCode { code, reason: &name }).sign(algorithm, &key).fingerprint().finish();
        let bytes = &out[8..];
        prop_assert_eq!(length, bytes.len());
        let ours = Message::parse(bytes).unwrap();
        prop_assert_eq!(ours.get(), Ok(Some(XorMappedAddress(address))));
        prop_assert_eq!(ours.get(), Ok(Some(XorPeerAddress(address))));
        prop_assert_eq!(ours.get(), Ok(Some(Username(&name))));
        prop_assert_eq!(ours.get(), Ok(Some(Data(&data))));
        prop_assert_eq!(ours.get(), Ok(Some(ErrorCode { code, reason: &name })));
        prop_assert!(ours.is_signed(&key) && !ours.is_signed(&Key::md5(&name, "falcot.com", "guess")));
        prop_assert_eq!(ours.fingerprint(), Some(true));

        let theirs = stun_types::message::Message::from_bytes(bytes).unwrap();
        let seen = theirs.attribute::<stun_types::attribute::XorMappedAddress>().unwrap();
        prop_assert_eq!(seen.addr(theirs.transaction_id()), address);
        let seen = theirs.attribute::<stun_types::attribute::ErrorCode>().unwrap();
        prop_assert_eq!((seen.code(), seen.reason()), (code, &name[..]));
        // Their SHA-256 attribute takes a SHA-256 key from these credentials, ours an MD5 one: only SHA-1 can be compared.
        if !sha256 {
            let credentials = LongTermCredentials::new(name, "tr0mbone".into()).to_key("falcot.com".into());
            let verdict = theirs.validate_integrity(&MessageIntegrityCredentials::LongTerm(credentials));
            prop_assert!(verdict.is_ok(), "{:?}", verdict);
        }
    }

    #[test]
    fn whatever_another_reader_takes_is_taken_here(bytes in prop::collection::vec(any::<u8>(), 0..64), fix in any::<bool>()) {
        let mut bytes = bytes;
        if fix && bytes.len() >= 20 {
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[0] &= 0x3F;
            bytes[4..8].copy_from_slice(&stun::MAGIC_COOKIE);
            (bytes[2], bytes[3]) = (0, u8::try_from(bytes.len() - 20).unwrap());
        }
        if stun_types::message::Message::from_bytes(&bytes).is_ok() {
            prop_assert!(Message::parse(&bytes).is_ok());
        }
    }
}
