//! Who may come in: RFC 8489 §9.2.4 and RFC 8656 §5.

use crate::bench::{
    Bench, REALM, SECOND_REALM, User, accounts, lifetime, signed, signed_for, stream_user, to, transport,
    unsigned, user,
};
use stun::attribute::{Nonce, Realm, Username};
use stun::{Algorithm, Class, Key, Kind, Message, Method, TransactionId, Writer};
use turn::Input;
use wire::Machine;

/// A signed Allocate of this client is refused with these words.
fn refused(bench: &mut Bench, user: &User, words: &str) {
    assert_eq!(bench.ask(user, Method::ALLOCATE, &[transport(17)]), [to(user, words)]);
}

#[test]
fn without_a_credential_comes_a_challenge() {
    let mut bench = Bench::new();
    let roland = user("roland", "192.0.2.1:5000");
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let request = unsigned(bench.transaction(), method, &[lifetime(600)]);
        let challenge = format!("{method:?} 401  realm=falcot.com nonce");
        assert_eq!(bench.message(roland.client, &request), [to(&roland, &challenge)]);
        let bare = unsigned(bench.transaction(), method, &[]);
        let no_room = format!("{method:?} 400 ");
        assert_eq!(bench.message(roland.client, &bare), [to(&roland, &no_room)]);
    }
}

#[test]
fn the_challenge_is_short_and_nothing_is_kept() {
    let mut bench = Bench::new();
    for host in 0..=255 {
        let mut stranger = user("x", &format!("192.0.2.{host}:5000"));
        bench.challenge(&mut stranger);
    }
    assert_eq!((bench.server.allocations(), bench.server.deadline()), (0, None));

    let request = unsigned(bench.transaction(), Method::ALLOCATE, &[transport(17)]);
    let client = user("x", "192.0.2.1:5000").client;
    bench.server.handle(bench.now, Input::Message { client, bytes: &request });
    let Some(turn::Output::Send { bytes, .. }) = bench.server.poll() else { panic!("no answer") };
    assert!(bytes.len() <= 60, "{} octets", bytes.len());
}

#[test]
fn the_user_part_or_the_whole_address() {
    for name in ["roland", "roland@falcot.com"] {
        let mut bench = Bench::new();
        let roland = bench.allocated(name, "192.0.2.1:5000");
        assert_eq!(roland.name, name);
    }
}

#[test]
fn an_account_of_a_further_domain_is_challenged_with_its_own_realm() {
    let mut bench = Bench::new();
    let mut zoe = user("zoe@falcot.org", "192.0.2.1:5000");
    bench.challenge(&mut zoe);
    refused(&mut bench, &zoe, "Allocate 401  realm=falcot.org nonce");
    let request = signed_for(SECOND_REALM, &zoe, Method::ALLOCATE, TransactionId([9; 12]), &[transport(17)]);
    let lines = bench.message(zoe.client, &request);
    assert_eq!(lines[1], "began zoe@falcot.org 192.0.2.1:5000");

    let roland = User { nonce: zoe.nonce, ..user("roland@falcot.com", "192.0.2.1:5000") };
    let request =
        signed_for(SECOND_REALM, &roland, Method::ALLOCATE, TransactionId([8; 12]), &[transport(17)]);
    let lines = bench.message(roland.client, &request);
    assert_eq!(lines, [to(&roland, "Allocate 401  realm=falcot.com nonce")], "each in its own only");
}

#[test]
fn wrong_passwords_unknown_users_and_missing_keys_look_alike() {
    for (name, password) in [
        ("roland", "guess"),
        ("mallory", "tr0mbone"),
        ("roland@example.org", "tr0mbone"),
        ("imported", "tr0mbone"),
        ("ro land", "tr0mbone"),
        ("@", "tr0mbone"),
        ("", "tr0mbone"),
    ] {
        let mut bench = Bench::new();
        let mut stranger = user(name, "192.0.2.1:5000");
        stranger.password = password.into();
        bench.challenge(&mut stranger);
        refused(&mut bench, &stranger, "Allocate 401  realm=falcot.com nonce");
    }
}

#[test]
fn a_nonce_ages_and_belongs_to_one_client() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let elsewhere = User { client: user("roland", "192.0.2.2:5001").client, ..roland.clone() };
    refused(&mut bench, &elsewhere, "Allocate 438  realm=falcot.com nonce");
    bench.after(3601);
    refused(&mut bench, &roland, "Allocate 438  realm=falcot.com nonce");
    let made_up = User { nonce: "made up".into(), ..roland };
    refused(&mut bench, &made_up, "Allocate 438  realm=falcot.com nonce");
}

#[test]
fn half_a_credential_is_a_bad_request() {
    let mut bench = Bench::new();
    let roland = user("roland", "192.0.2.1:5000");
    let key = Key::md5("roland", REALM, "tr0mbone");
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, Method::ALLOCATE, TransactionId([9; 12]));
    writer.with(&Username("roland")).with(&Realm(REALM)).sign(Algorithm::Sha1, &key).finish();
    assert_eq!(bench.message(roland.client, &bytes), [to(&roland, "Allocate 400 ")]);
}

#[test]
fn sha256_is_answered_with_sha256() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let key = Key::md5("roland", REALM, "tr0mbone");
    let mut bytes = Vec::new();
    Writer::new(&mut bytes, Class::Request, Method::REFRESH, TransactionId([9; 12]))
        .with(&Username("roland"))
        .with(&Realm(REALM))
        .with(&Nonce(&roland.nonce))
        .sign(Algorithm::Sha256, &key)
        .fingerprint()
        .finish();
    bench.server.handle(bench.now, Input::Message { client: roland.client, bytes: &bytes });
    let Some(turn::Output::Send { bytes, .. }) = bench.server.poll() else { panic!("no answer") };
    let answer = Message::parse(&bytes).unwrap();
    assert_eq!((answer.integrity(), answer.is_signed(&key)), (Some(Algorithm::Sha256), true));
    assert_eq!(answer.fingerprint(), Some(true));
}

#[test]
fn attributes_that_must_be_understood_are_complained_of_after_the_credential() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let odd = [transport(17), (Kind::ICMP, vec![]), (Kind(0x7ABC), vec![1]), (Kind(0x8ABC), vec![1])];
    let request = unsigned(bench.transaction(), Method::ALLOCATE, &odd);
    assert_eq!(bench.message(roland.client, &request), [to(&roland, "Allocate 401  realm=falcot.com nonce")]);
    let complaint = "Allocate 420 Unknown Attribute unknown=[7a, bc] signed";
    assert_eq!(bench.ask(&roland, Method::ALLOCATE, &odd), [to(&roland, complaint)]);
}

#[test]
fn an_allocation_belongs_to_one_account() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let joe = User { name: "joe".into(), ..roland.clone() };
    for method in [Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let wrong = format!("{method:?} 441 Wrong Credentials signed");
        assert_eq!(bench.ask(&joe, method, &[lifetime(0)]), [to(&joe, &wrong)]);
    }
    let whole = User { name: "roland@falcot.com".into(), ..roland };
    assert_eq!(bench.ask(&whole, Method::REFRESH, &[]), [to(&whole, "Refresh ok lifetime=600 signed")]);
}

#[test]
fn a_stream_client_is_treated_alike() {
    let mut bench = Bench::new();
    let mut roland = stream_user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let request = signed(&roland, Method::ALLOCATE, TransactionId([9; 12]), &[transport(17)]);
    let lines = bench.message(roland.client, &request);
    assert_eq!(
        lines,
        [
            "open 198.51.100.1",
            "began roland@falcot.com 192.0.2.1:5000",
            "0.5000.0: Allocate ok relayed=203.0.113.99 lifetime=600 mapped=192.0.2.1:5000 signed"
        ]
    );
}

#[test]
fn a_removed_account_keeps_nothing_alive_and_a_new_password_counts_at_once() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.input(Input::Directory(accounts("changed")));
    assert_eq!(
        bench.ask(&roland, Method::REFRESH, &[]),
        [to(&roland, "Refresh 401  realm=falcot.com nonce")]
    );
    let changed = User { password: "changed".into(), ..roland };
    let extended = "Refresh ok lifetime=600 signed";
    assert_eq!(bench.ask(&changed, Method::REFRESH, &[]), [to(&changed, extended)]);

    let domain = wire::Domain::new(REALM).unwrap();
    bench.input(Input::Directory(std::sync::Arc::new(wire::Directory::new([(&domain, &[][..])]))));
    for method in [Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let refused = format!("{method:?} 401  realm=falcot.com nonce");
        assert_eq!(bench.ask(&changed, method, &[]), [to(&changed, &refused)]);
    }
    assert_eq!(bench.after(600), ["close 1", "ended roland@falcot.com sent 0 received 0"]);
}
