//! What strangers are answered: never more than twice what they sent over UDP, and not too often.

use crate::bench::{Bench, User, config, describe, stream_user, transport, unsigned, user};
use stun::attribute::{Nonce, PasswordAlgorithms, Software, ThirdPartyAuthorization};
use stun::{Class, Kind, Message, Method, TransactionId, Writer};
use turn::credentials::token::Tokens;
use turn::{Client, Config, Credentials, Input, Output};
use wire::{Directory, Domain, Machine};

/// The answer to some bytes, if there is one.
fn answer(bench: &mut Bench, client: Client, bytes: &[u8]) -> Option<Vec<u8>> {
    bench.server.handle(bench.now, Input::Message { client, bytes });
    match bench.server.poll() {
        Some(Output::Send { bytes, .. }) => Some(bytes),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// A server whose only realm is this.
fn of_realm(realm: &str, config: Config) -> Bench {
    let mut bench = Bench::with(config);
    let domain = Domain::new(realm).unwrap();
    bench.input(Input::Directory(std::sync::Arc::new(Directory::new([(&domain, &[][..])]))));
    bench
}

fn with_tokens() -> Config {
    let tokens = Tokens::new("turn.falcot.com", [("north", &[7; 32][..])]);
    Config { credentials: Credentials { tokens: Some(tokens), ..Credentials::default() }, ..config() }
}

/// Every request that a stranger may send: all methods, with and without attributes, a fingerprint, a bad credential.
fn requests() -> Vec<Vec<u8>> {
    let odd = |count: u16| (0..count).map(|kind| (Kind(0x7000 + kind), vec![])).collect::<Vec<_>>();
    let attributes: [&[_]; 6] = [
        &[],
        &[transport(17)],
        &[(Kind::REALM, vec![])],
        &[transport(17), (Kind::SOFTWARE, vec![b'x'; 60])],
        &odd(1),
        &odd(40),
    ];
    let mut requests = Vec::new();
    for method in [1, 3, 4, 8, 9, 10, 11].map(Method::new) {
        for attributes in attributes {
            requests.push(unsigned(TransactionId([1; 12]), method, attributes));
            let mut marked = Vec::new();
            let writer = Writer::new(&mut marked, Class::Request, method, TransactionId([2; 12]));
            let writer = attributes.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value));
            writer.fingerprint().finish();
            requests.push(marked);
            let name = User { nonce: "x".into(), ..user("a", "192.0.2.1:1") };
            requests.push(crate::bench::signed(&name, method, TransactionId([3; 12]), attributes));
        }
        let mut bare = Vec::new();
        let writer = Writer::new(&mut bare, Class::Request, method, TransactionId([4; 12]));
        writer.raw(Kind::MESSAGE_INTEGRITY, &[0; 20]).finish();
        requests.push(bare);
    }
    requests
}

#[test]
fn no_answer_over_udp_is_longer_than_twice_its_request() {
    for config in [config(), with_tokens()] {
        for realm in ["a.eu", "falcot.com", "twelve-12.eu"] {
            let mut bench = of_realm(realm, config.clone());
            for bytes in requests() {
                bench.after(60);
                let client = user("", "192.0.2.1:5000").client;
                let Some(answer) = answer(&mut bench, client, &bytes) else { continue };
                let lengths = (bytes.len(), answer.len());
                assert!(answer.len() <= 2 * bytes.len(), "{lengths:?} {}", describe(&answer));
            }
        }
    }
}

#[test]
fn a_browser_gets_its_challenge_at_the_first_try() {
    let allocate = unsigned(TransactionId([1; 12]), Method::ALLOCATE, &[transport(17)]);
    assert_eq!(allocate.len(), 28);
    for (realm, octets) in [("falcot.com", 56), ("twelve-12.eu", 56), ("thirteen13.eu", 60)] {
        for config in [config(), with_tokens()] {
            let mut bench = of_realm(realm, config);
            let answer = answer(&mut bench, user("", "192.0.2.1:5000").client, &allocate).unwrap();
            assert_eq!(describe(&answer), format!("Allocate 401  realm={realm} nonce"));
            assert_eq!(answer.len(), octets);
        }
    }
}

#[test]
fn answers_without_room_come_from_a_small_budget() {
    let allocate = unsigned(TransactionId([1; 12]), Method::ALLOCATE, &[transport(17)]);
    let mut bench = of_realm("a-rather-long-name.falcot.com", config());
    let client = user("", "192.0.2.1:5000").client;
    let answered = (0..1000).filter(|_| answer(&mut bench, client, &allocate).is_some()).count();
    assert_eq!(answered, 50);
    let other = user("", "192.0.2.2:5000").client;
    assert!(answer(&mut bench, other, &allocate).is_some());
    bench.after(1);
    assert!(answer(&mut bench, client, &allocate).is_some());
}

#[test]
fn a_source_is_answered_so_often_and_no_more() {
    for request in [
        unsigned(TransactionId([1; 12]), Method::BINDING, &[]),
        unsigned(TransactionId([1; 12]), Method::ALLOCATE, &[transport(17)]),
        unsigned(TransactionId([1; 12]), Method::REFRESH, &[]),
        unsigned(TransactionId([1; 12]), Method::BINDING, &[(Kind(0x7000), vec![])]),
    ] {
        let mut bench = Bench::new();
        let ports = |port: u16| user("", &format!("192.0.2.1:{}", 5000 + port)).client;
        let answered = (0..1000).filter(|port| answer(&mut bench, ports(*port), &request).is_some()).count();
        assert_eq!(answered, 500, "{request:?}");
        let stream = stream_user("", "192.0.2.1:5000").client;
        let answered = (0..1000).filter(|_| answer(&mut bench, stream, &request).is_some()).count();
        assert_eq!(
            answered, 500,
            "nobody else can use up what a stream has, and it has no more: {request:?}"
        );
        let config = Config { limits: turn::Limits { strangers: 0, ..config().limits }, ..config() };
        bench.input(Input::Config(Box::new(config)));
        assert!(answer(&mut bench, ports(1), &request).is_some());
    }
}

#[test]
fn a_valid_credential_is_not_counted() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let binding = unsigned(TransactionId([1; 12]), Method::BINDING, &[]);
    while answer(&mut bench, roland.client, &binding).is_some() {}
    let line = crate::bench::to(&roland, "Refresh ok lifetime=600 signed");
    assert_eq!(bench.ask(&roland, Method::REFRESH, &[]), [line]);
}

#[test]
fn software_is_told_where_there_is_room_and_where_it_is_wanted() {
    let binding = unsigned(TransactionId([1; 12]), Method::BINDING, &[]);
    let allocate = unsigned(TransactionId([1; 12]), Method::ALLOCATE, &[transport(17)]);
    let (udp, stream) = (user("roland", "192.0.2.1:5000"), stream_user("roland", "192.0.2.1:5000"));
    let told = Config { software: Some("Parlour"), ..config() };
    for (config, expected) in [(config(), None), (told, Some(Software("Parlour")))] {
        let mut bench = Bench::with(config);
        for request in [&binding, &allocate] {
            let bytes = answer(&mut bench, udp.client, request).unwrap();
            assert_eq!(Message::parse(&bytes).unwrap().get::<Software<'_>>(), Ok(None));
            let bytes = answer(&mut bench, stream.client, request).unwrap();
            assert_eq!(Message::parse(&bytes).unwrap().get(), Ok(expected));
        }
        let roland = bench.allocated("roland", "192.0.2.1:5000");
        let refresh = bench.signed(&roland, Method::REFRESH, &[]);
        let bytes = answer(&mut bench, roland.client, &refresh).unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.get(), message.integrity().is_some()), (Ok(expected), true));
    }
}

/// What a challenge of this many octets has.
fn full(bytes: &[u8]) -> (bool, Option<PasswordAlgorithms<'_>>, Option<&str>) {
    let message = Message::parse(bytes).unwrap();
    let Nonce(nonce) = message.get().unwrap().unwrap();
    let server = message.get().unwrap().map(|ThirdPartyAuthorization(name)| name);
    (nonce.starts_with("obMatJos2wAAA"), message.get().unwrap(), server)
}

#[test]
fn the_fullest_challenge_that_there_is_room_for() {
    let filled = |length| {
        let mut bytes = Vec::new();
        let text = "x".repeat(length);
        let writer = Writer::new(&mut bytes, Class::Request, Method::ALLOCATE, TransactionId([1; 12]));
        writer.with(&Software(&text)).finish();
        bytes
    };
    let ours = Some(PasswordAlgorithms::OURS);
    let udp = user("", "192.0.2.1:5000").client;
    for (config, filling, expected) in [
        (config(), 16, (false, None, None)),
        (config(), 20, (true, ours, None)),
        (with_tokens(), 16, (false, None, Some("turn.falcot.com"))),
        (with_tokens(), 8, (false, None, None)),
        (with_tokens(), 28, (false, None, Some("turn.falcot.com"))),
        (with_tokens(), 32, (true, ours, Some("turn.falcot.com"))),
    ] {
        let answer = answer(&mut Bench::with(config), udp, &filled(filling)).unwrap();
        assert_eq!(full(&answer), expected, "{filling}");
    }
    for request in [filled(1), unsigned(TransactionId([1; 12]), Method::ALLOCATE, &[])] {
        let stream = stream_user("", "192.0.2.1:5000").client;
        let answer = answer(&mut Bench::with(with_tokens()), stream, &request).unwrap();
        assert_eq!(
            full(&answer),
            (true, ours, Some("turn.falcot.com")),
            "over a stream there is always room"
        );
    }
}
