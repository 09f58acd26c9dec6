//! Who gets in: Debian's clients with time-limited credentials and access tokens, and a client of RFC 8489 by hand.

use crate::client::{Client, Line, REALM, binding};
use crate::coturn::{PACKAGE, Peer, totals, uclient_as};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stun::attribute::{
    AccessToken, ErrorCode, Lifetime, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm,
    RequestedTransport, Software, ThirdPartyAuthorization, UserHash, Username,
};
use stun::{Algorithm, Class, Key, Message, Method, TransactionId, Writer};
use testkit::House;
use testkit::process::run;
use turn::credentials::temporary::issue;
use wire::Secret;

/// A house with two secrets and the keys that Debian's `turnutils_uclient -J` has built in.
fn house() -> House {
    let keys = [
        ("north", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK"),
        ("union", "MTIzNDU2Nzg5MDEyMzQ1Ngo="),
        ("oldempire", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK"),
    ];
    let keys = keys.map(|(kid, key)| format!("{{ kid = \"{kid}\", key = \"{key}\" }}"));
    House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .set("turn", "allow-peers", r#"["127.0.0.0/8", "::1/128"]"#)
        .set("turn", "secrets", r#"["north wind", "sea breeze"]"#)
        .set("turn", "oauth-keys", &format!("[{}]", keys.join(", ")))
        .set("turn", "oauth-server", r#""turn.falcot.com""#)
        .set("network", "addresses", r#"["127.0.0.1", "::1"]"#)
        .start()
}

/// Everything comes back with each of these credentials and flags.
fn works(house: &House, runs: &[(&str, &[&str], &[&str])]) {
    let peer = Peer::start("127.0.0.1");
    std::thread::scope(|scope| {
        for (listener, credential, flags) in runs {
            let (port, peer) = (house.port(listener), ("127.0.0.1", peer.port));
            scope.spawn(move || {
                let (code, output) = uclient_as(port, peer, credential, flags);
                // With -P half of the clients are peers without a server: what they send back is all that counts.
                let share = if flags.contains(&"-P") { 2 } else { 1 };
                let totals = totals(&output);
                let all = totals.is_some_and(|(sent, back)| sent == share * back && back >= 25 * 161);
                assert!(all && code == Some(0), "{credential:?} {flags:?}: {code:?}\n{output}");
            });
        }
    });
}

fn is_refused(house: &House, credential: &[&str], flags: &[&str]) {
    let (code, output) = uclient_as(house.port("turn.udp"), ("127.0.0.1", 9), credential, flags);
    assert!(code != Some(0) && output.contains("Cannot complete Allocation"), "{code:?}\n{output}");
}

#[test]
fn debians_client_with_secrets_and_with_an_account_at_the_same_time() {
    let house = house();
    works(
        &house,
        &[
            ("turn.udp", &["-u", "joe", "-W", "north wind"], &["-c"]),
            ("turn.udp", &["-u", "joe", "-W", "sea breeze"], &["-c", "-s"]),
            ("turn.tcp", &["-u", "joe", "-W", "north wind"], &["-t"]),
            ("turn.tls", &["-u", "joe", "-W", "north wind"], &["-t", "-S", "-c"]),
            ("turn.tcp", &["-u", "joe", "-W", "north wind"], &["-T"]),
            ("turn.udp", &["-u", "joe", "-W", "north wind"], &["-M", "-c"]),
            ("turn.udp", &["-u", "roland", "-w", "tr0mbone"], &["-c"]),
            ("turn.udp", &["-u", "roland@falcot.com", "-w", "tr0mbone"], &["-c"]),
        ],
    );
    is_refused(&house, &["-u", "joe", "-W", "west wind"], &["-c"]);
    is_refused(&house, &["-u", "roland", "-w", "guess"], &["-c"]);
    is_refused(&house, &["-u", "mallory", "-w", "tr0mbone"], &["-c"]);
}

#[test]
fn debians_client_with_access_tokens() {
    let house = house();
    works(
        &house,
        &[
            ("turn.udp", &["-J"], &["-c"]),
            ("turn.udp", &["-J"], &["-s", "-m", "3"]),
            ("turn.tcp", &["-J"], &["-t"]),
            ("turn.tls", &["-J"], &["-t", "-S"]),
            ("turn.tcp", &["-J"], &["-T"]),
            ("turn.tcp", &["-J"], &["-P"]),
            ("turn.udp", &["-J"], &["-M", "-c"]),
            ("turn.udp", &["-J"], &["-Z", "-c"]),
        ],
    );
}

/// The code of the answer to a request, 0 for success; and the answer.
fn code(line: &mut Line, request: &[u8]) -> (u16, Vec<u8>) {
    line.send(request);
    let bytes = line.receive();
    let answer = Message::parse(&bytes).unwrap();
    let ErrorCode { code, .. } = answer.get().unwrap().unwrap_or(ErrorCode { code: 0, reason: "" });
    (code, bytes)
}

/// An Allocate with a SHA-256 key, named by a hash, as RFC 8489 wants it of a client that was offered both.
fn modern(line: &mut Line, name: &str, password: &str) -> u16 {
    let start = |number| (Class::Request, Method::ALLOCATE, TransactionId([number; 12]));
    let (mut first, (class, method, transaction)) = (Vec::new(), start(1));
    let writer = Writer::new(&mut first, class, method, transaction).with(&RequestedTransport::UDP);
    writer.with(&Software("a client of RFC 8489 that says what it is")).finish();
    let (refused, challenge) = code(line, &first);
    let challenge = Message::parse(&challenge).unwrap();
    let (Some(Realm(realm)), Some(Nonce(nonce))) = (challenge.get().unwrap(), challenge.get().unwrap())
    else {
        panic!("no challenge: {challenge:?}")
    };
    assert!(refused == 401 && nonce.starts_with("obMatJos2wAAA"), "{challenge:?}");
    assert_eq!(challenge.get(), Ok(Some(PasswordAlgorithms::OURS)));

    let key = Key::sha256(name, realm, password);
    let (mut second, (class, method, transaction)) = (Vec::new(), start(2));
    let writer = Writer::new(&mut second, class, method, transaction).with(&RequestedTransport::UDP);
    let writer = writer.with(&UserHash::of(name, realm)).with(&Realm(realm)).with(&Nonce(nonce));
    let writer = writer.with(&PasswordAlgorithm::Sha256).with(&PasswordAlgorithms::OURS);
    writer.sign(Algorithm::Sha256, &key).fingerprint().finish();
    let (code, answer) = code(line, &second);
    let answer = Message::parse(&answer).unwrap();
    assert!(code == 401 || (answer.integrity(), answer.is_signed(&key)) == (Some(Algorithm::Sha256), true));
    code
}

#[test]
fn a_client_of_rfc_8489() {
    let house = house();
    for name in ["roland", "roland@falcot.com"] {
        assert_eq!(modern(&mut Line::udp(house.port("turn.udp")), name, "tr0mbone"), 0, "{name}");
        assert_eq!(modern(&mut Line::tcp(house.port("turn.tcp")), name, "tr0mbone"), 0, "{name}");
        assert_eq!(modern(&mut Line::udp(house.port("turn.udp")), name, "guess"), 401, "{name}");
    }
    assert_eq!(modern(&mut Line::udp(house.port("turn.udp")), "mallory", "tr0mbone"), 401);
    house.add("lucas@falcot.com", "c0rnet");
    assert_eq!(modern(&mut Line::udp(house.port("turn.udp")), "lucas", "c0rnet"), 0, "added just now");
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn credentials_that_the_house_makes_without_being_told_a_secret() {
    let house = House::of(env!("CARGO_BIN_EXE_parlour")).start();
    let server = Secret::new(std::fs::read(house.dir().join("data/server.secret")).unwrap());
    let own = parlour::secret::key(&server, "turn credentials");
    let allocate = |secret: &[u8], expires, user: &str| {
        let issued = issue(secret, expires, user);
        Client::new(Line::udp(house.port("turn.udp")), &issued.username, &issued.credential).allocate()
    };
    assert_eq!(allocate(&own, unix() + 60, "joe"), 0);
    assert_eq!(allocate(&own, unix() - 1, "joe"), 401);
    assert_eq!(allocate(&[0; 32], unix() + 60, "joe"), 401);
}

/// What `turnutils_oauth` makes of a key, for a server.
fn token_of_debian(server: &str, kid: &str, key: &str, mac_key: &str) -> Vec<u8> {
    let mut command = Command::new("turnutils_oauth");
    let made = (u128::from(unix()) << 16).to_string();
    command.args(["-e", "--server-name", server, "--auth-key-id", kid, "--auth-key", key]);
    command.args(["--auth-key-timestamp", &unix().to_string(), "--auth-key-lifetime", "21600"]);
    command.args(["--token-mac-key", mac_key, "--token-timestamp", &made, "--token-lifetime", "600"]);
    let (_, output) = run(&mut command, PACKAGE, Duration::from_secs(10));
    let token = output.split("\"access_token\":\"").nth(1).and_then(|rest| rest.split('"').next());
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token.expect(&output)).unwrap()
}

#[test]
fn a_token_of_debians_turnutils_oauth() {
    let house = house();
    let north = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK";
    let allocate = |server: &str| {
        let token = token_of_debian(server, "north", north, "WmtzanB3ZW9peFhtdm42NzUzNG0=");
        let mut line = Line::tcp(house.port("turn.tcp"));
        let mut first = Vec::new();
        Writer::new(&mut first, Class::Request, Method::ALLOCATE, TransactionId([1; 12])).finish();
        let (_, challenge) = code(&mut line, &first);
        let challenge = Message::parse(&challenge).unwrap();
        assert_eq!(challenge.get(), Ok(Some(ThirdPartyAuthorization("turn.falcot.com"))));
        let Nonce(nonce) = challenge.get().unwrap().unwrap();
        let mut second = Vec::new();
        let writer = Writer::new(&mut second, Class::Request, Method::ALLOCATE, TransactionId([2; 12]));
        let writer = writer.with(&RequestedTransport::UDP).with(&Username("north")).with(&Realm(REALM));
        let writer = writer.with(&Nonce(nonce)).with(&AccessToken(&token)).with(&Lifetime(3000));
        writer.sign(Algorithm::Sha1, &Key::raw(b"ZksjpweoixXmvn67534m").unwrap()).finish();
        let (code, answer) = code(&mut line, &second);
        (code, Message::parse(&answer).unwrap().get::<Lifetime>().unwrap().map(|lifetime| lifetime.0))
    };
    let (code, lifetime) = allocate("turn.falcot.com");
    assert!(code == 0 && lifetime.is_some_and(|lifetime| (590..=605).contains(&lifetime)), "{lifetime:?}");
    assert_eq!(allocate("turn.falcot.org"), (401, None));
}

#[test]
fn the_name_of_the_software_is_told_where_that_is_wanted() {
    for (wanted, expected) in [("true", Some("Parlour ")), ("false", None)] {
        let house = House::of(env!("CARGO_BIN_EXE_parlour")).set("turn", "software", wanted).start();
        let (_, answer) = code(&mut Line::tcp(house.port("turn.tcp")), &binding(TransactionId([1; 12])));
        let software = Message::parse(&answer).unwrap().get().unwrap().map(|Software(name)| name.to_owned());
        let as_expected = software.as_deref().map(|name| name.starts_with(expected.unwrap_or("none")));
        assert_eq!(as_expected, expected.map(|_| true), "{software:?}");
        let (_, answer) = code(&mut Line::udp(house.port("turn.udp")), &binding(TransactionId([1; 12])));
        assert_eq!(answer.len(), 32);
    }
}
