//! Access tokens (RFC 7635): whose key is sealed in them, and how far they go.

use crate::bench::{
    Attribute, Bench, REALM, User, channel, config, lifetime, peer_address, to, transport, user,
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce as Unique, UnboundKey};
use stun::attribute::{AccessToken, Nonce, Realm, Username};
use stun::{Algorithm, Class, Key, Method, Writer};
use turn::credentials::token::Tokens;
use turn::{Config, Credentials};

const SERVER: &str = "turn.falcot.com";
const SHARED: [u8; 32] = [7; 32];

fn bench() -> Bench {
    let tokens = Some(Tokens::new(SERVER, [("north", &SHARED[..]), ("south", &[8; 16])]));
    Bench::with(Config { credentials: Credentials { tokens, ..Credentials::default() }, ..config() })
}

/// A token for this key that was made now and lives so long, sealed for a server.
fn seal(bench: &Bench, server: &str, key: &[u8], seconds: u32) -> Vec<u8> {
    let made = bench.unix() << 16;
    let length = u16::try_from(key.len()).unwrap().to_be_bytes();
    let mut block = [&length[..], key, &made.to_be_bytes(), &seconds.to_be_bytes()].concat();
    let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &SHARED).unwrap());
    let nonce = Unique::assume_unique_for_key([9; NONCE_LEN]);
    sealing.seal_in_place_append_tag(nonce, Aad::from(server), &mut block).unwrap();
    [&[0, 12][..], &[9; NONCE_LEN], &block].concat()
}

/// Sends a request signed with the token's key, with the token or without; what comes of it.
fn ask(
    bench: &mut Bench,
    user: &User,
    method: Method,
    attributes: &[Attribute],
    token: Option<&[u8]>,
    key: &Key,
) -> Vec<String> {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, method, bench.transaction());
    let writer = attributes.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value));
    let writer = writer.with(&Username(&user.name)).with(&Realm(REALM)).with(&Nonce(&user.nonce));
    writer.maybe(token.map(AccessToken).as_ref()).sign(Algorithm::Sha1, key).finish();
    bench.message(user.client, &bytes)
}

fn client(bench: &mut Bench) -> User {
    let mut user = user("north", "192.0.2.1:5000");
    bench.challenge(&mut user);
    user
}

#[test]
fn a_token_brings_the_key_and_the_allocation_keeps_it() {
    let mut bench = bench();
    let user = client(&mut bench);
    let (key, token) = (Key::raw(&[5; 20]).unwrap(), seal(&bench, SERVER, &[5; 20], 3600));
    let lines = ask(&mut bench, &user, Method::ALLOCATE, &[transport(17)], Some(&token), &key);
    assert_eq!(lines[1], "began turn.falcot.com@falcot.com 192.0.2.1:5000");
    let bind = [channel(0x4000), peer_address("203.0.113.7:1")];
    let lines = ask(&mut bench, &user, Method::CHANNEL_BIND, &bind, None, &key);
    assert_eq!(lines, [to(&user, "ChannelBind ok signed")], "without the token");
    let other = Key::raw(&[6; 20]).unwrap();
    let lines = ask(&mut bench, &user, Method::CHANNEL_BIND, &bind, None, &other);
    assert_eq!(lines, [to(&user, "ChannelBind 401  realm=falcot.com nonce")]);

    let token = seal(&bench, SERVER, &[6; 20], 3600);
    let lines = ask(&mut bench, &user, Method::REFRESH, &[], Some(&token), &other);
    assert_eq!(lines, [to(&user, "Refresh ok lifetime=600 signed")], "another token");
    let lines = ask(&mut bench, &user, Method::CHANNEL_BIND, &bind, None, &other);
    assert_eq!(lines, [to(&user, "ChannelBind ok signed")]);
    let lines = ask(&mut bench, &user, Method::CHANNEL_BIND, &bind, None, &key);
    assert_eq!(lines, [to(&user, "ChannelBind 401  realm=falcot.com nonce")], "the first key is gone");
}

#[test]
fn an_allocation_lives_no_longer_than_its_token() {
    let mut bench = bench();
    let user = client(&mut bench);
    let (key, token) = (Key::raw(&[5; 32]).unwrap(), seal(&bench, SERVER, &[5; 32], 100));
    let lines = ask(&mut bench, &user, Method::ALLOCATE, &[transport(17)], Some(&token), &key);
    let granted = "Allocate ok relayed=203.0.113.99 lifetime=105 mapped=192.0.2.1:5000 signed";
    assert_eq!(lines[2], to(&user, granted), "with five seconds for clocks that differ");
    bench.after(50);
    let lines = ask(&mut bench, &user, Method::REFRESH, &[lifetime(600)], None, &key);
    assert_eq!(lines, [to(&user, "Refresh ok lifetime=55 signed")]);
    let longer = seal(&bench, SERVER, &[5; 32], 2000);
    let lines = ask(&mut bench, &user, Method::REFRESH, &[lifetime(1000)], Some(&longer), &key);
    assert_eq!(lines, [to(&user, "Refresh ok lifetime=1000 signed")]);
}

#[test]
fn tokens_that_are_none_of_ours() {
    let mut bench = bench();
    let user = client(&mut bench);
    let key = Key::raw(&[5; 20]).unwrap();
    let good = seal(&bench, SERVER, &[5; 20], 600);
    let mut bent = good.clone();
    bent[30] ^= 1;
    let south = User { name: "south".into(), ..user.clone() };
    let west = User { name: "west".into(), ..user.clone() };
    for (user, token, key) in [
        (&user, &seal(&bench, "turn.falcot.org", &[5; 20], 600), &key),
        (&user, &bent, &key),
        (&user, &good, &Key::raw(&[6; 20]).unwrap()),
        (&user, &b"token".to_vec(), &key),
        (&south, &good, &key),
        (&west, &good, &key),
    ] {
        let lines = ask(&mut bench, user, Method::ALLOCATE, &[transport(17)], Some(token), key);
        assert_eq!(lines, [to(user, "Allocate 401  realm=falcot.com nonce")]);
    }
    let lines = ask(&mut bench, &user, Method::ALLOCATE, &[transport(17)], None, &key);
    assert_eq!(lines, [to(&user, "Allocate 401  realm=falcot.com nonce")], "no allocation, no session");
    bench.after(606);
    let lines = ask(&mut bench, &user, Method::ALLOCATE, &[transport(17)], Some(&good), &key);
    assert_eq!(lines, [to(&user, "Allocate 401  realm=falcot.com nonce")], "run out");

    let mut without = Bench::new();
    let user = client(&mut without);
    let token = seal(&without, SERVER, &[5; 20], 600);
    let lines = ask(&mut without, &user, Method::ALLOCATE, &[transport(17)], Some(&token), &key);
    assert_eq!(lines, [to(&user, "Allocate 401  realm=falcot.com nonce")], "tokens are not taken here");
}

#[test]
fn an_account_cannot_be_borrowed_with_a_token() {
    let mut bench = bench();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let (key, token) = (Key::raw(&[5; 20]).unwrap(), seal(&bench, SERVER, &[5; 20], 600));
    let north = User { name: "north".into(), ..roland };
    let lines = ask(&mut bench, &north, Method::REFRESH, &[], Some(&token), &key);
    assert_eq!(lines, [to(&north, "Refresh 441 Wrong Credentials signed")]);
    let lines = ask(&mut bench, &north, Method::REFRESH, &[], None, &key);
    assert_eq!(lines, [to(&north, "Refresh 401  realm=falcot.com nonce")]);
}
