//! Access tokens (RFC 7635): whose key is sealed in them, and how far they go.

use crate::bench::{
    Attribute, Bench, REALM, User, channel, config, lifetime, peer_address, stream_user, to, transport, user,
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce as Unique, UnboundKey};
use stun::attribute::{AccessToken, MobilityTicket, Nonce, PeerConnection, Realm, Username};
use stun::{Algorithm, Class, Key, Kind, Message, Method, TransactionId, Writer};
use turn::credentials::token::Tokens;
use turn::tcp::{Effect, Event};
use turn::{Config, Credentials, Input, Output};
use wire::{ConnectionId, Machine, SocketId, WorkerId};

const SERVER: &str = "turn.falcot.com";
const SHARED: [u8; 32] = [7; 32];

fn bench() -> Bench {
    Bench::with(with_tokens())
}

fn with_tokens() -> Config {
    let tokens = Some(Tokens::new(SERVER, [("north", &SHARED[..]), ("south", &[8; 16])]));
    Config { credentials: Credentials { tokens, ..Credentials::default() }, ..config() }
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

/// What the answer to an Allocate or Refresh tells of these.
fn sent<A>(
    bench: &mut Bench,
    user: &User,
    bytes: &[u8],
    read: impl Fn(&Message<'_>) -> Option<A>,
) -> Option<A> {
    bench.server.handle(bench.now, Input::Message { client: user.client, bytes });
    let mut found = None;
    while let Some(output) = bench.server.poll() {
        match output {
            Output::Send { bytes, .. } => found = read(&Message::parse(&bytes).unwrap()),
            Output::OpenRelay { ask, local } => bench.bind(ask, local),
            _ => {}
        }
    }
    found
}

/// A request as [`ask`] sends it.
fn request(
    user: &User,
    method: Method,
    attributes: &[Attribute],
    token: Option<&[u8]>,
    key: &Key,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, method, TransactionId([method.number() as u8; 12]));
    let writer = attributes.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value));
    let writer = writer.with(&Username(&user.name)).with(&Realm(REALM)).with(&Nonce(&user.nonce));
    writer.maybe(token.map(AccessToken).as_ref()).sign(Algorithm::Sha1, key).finish();
    bytes
}

#[test]
fn a_client_that_moves_brings_a_new_token() {
    let mut bench = bench();
    let user = client(&mut bench);
    let (first, token) = (Key::raw(&[5; 20]).unwrap(), seal(&bench, SERVER, &[5; 20], 3600));
    let wish = [transport(17), (Kind::MOBILITY_TICKET, vec![])];
    let ticket = |message: &Message<'_>| message.get::<MobilityTicket<'_>>().unwrap().map(|it| it.0.to_vec());
    let bytes = request(&user, Method::ALLOCATE, &wish, Some(&token), &first);
    let given = sent(&mut bench, &user, &bytes, ticket).unwrap();

    let mut moved = crate::bench::user("south", "192.0.2.7:5000");
    bench.challenge(&mut moved);
    let (second, token) = (Key::raw(&[6; 20]).unwrap(), seal(&bench, SERVER, &[6; 20], 3600));
    let north = User { name: "north".into(), ..moved };
    let bytes = request(&north, Method::REFRESH, &[(Kind::MOBILITY_TICKET, given)], Some(&token), &second);
    assert!(sent(&mut bench, &north, &bytes, ticket).is_some());
    let bind = [channel(0x4000), peer_address("203.0.113.7:1")];
    let lines = ask(&mut bench, &north, Method::CHANNEL_BIND, &bind, None, &second);
    assert_eq!(lines, [to(&north, "ChannelBind ok signed")]);
    let lines = ask(&mut bench, &north, Method::CHANNEL_BIND, &bind, None, &first);
    assert_eq!(lines, [to(&north, "ChannelBind 401  realm=falcot.com nonce")]);
}

/// A client on a stream with a TCP relay by a token, and a connection of a peer to it.
fn connected(bench: &mut Bench, key: &Key) -> PeerConnection {
    let mut control = stream_user("north", "192.0.2.1:1000");
    bench.challenge(&mut control);
    let token = seal(bench, SERVER, &[5; 20], 3600);
    ask(bench, &control, Method::ALLOCATE, &[transport(6)], Some(&token), key);
    let permit = [peer_address("203.0.113.7:80")];
    ask(bench, &control, Method::CREATE_PERMISSION, &permit, None, key);
    let peer = "203.0.113.7:80".parse().unwrap();
    let conn = ConnectionId { worker: WorkerId(0), slot: 1, generation: 7 };
    let event = Event::Attempt { socket: SocketId(SocketId::OWN + 1), peer, conn };
    bench.server.handle(bench.now, Input::Tcp(event));
    let Some(Output::Send { bytes, .. }) = bench.server.poll() else { panic!("no ConnectionAttempt") };
    Message::parse(&bytes).unwrap().get().unwrap().unwrap()
}

#[test]
fn a_connection_for_a_peer_is_bound_with_the_key_of_its_allocation() {
    let key = Key::raw(&[5; 20]).unwrap();
    for (key_of_bind, bound) in [(key, true), (Key::raw(&[6; 20]).unwrap(), false)] {
        let mut bench = bench();
        let id = connected(&mut bench, &key);
        let mut data = stream_user("north", "192.0.2.1:1001");
        bench.challenge(&mut data);
        let bind = [(Kind::CONNECTION_ID, id.0.to_be_bytes().to_vec())];
        let lines = ask(&mut bench, &data, Method::CONNECTION_BIND, &bind, None, &key_of_bind);
        assert_eq!(lines[0].ends_with("ConnectionBind ok signed"), bound, "{lines:?}");
        assert_eq!(lines[0].contains("ConnectionBind 401"), !bound);
    }
}

#[test]
fn whoever_has_a_token_does_not_bind_what_another_token_s_client_has_connected() {
    let (mine, theirs) = (Key::raw(&[6; 20]).unwrap(), Key::raw(&[5; 20]).unwrap());
    let mut bench = bench();
    let id = connected(&mut bench, &theirs);
    let bind = [(Kind::CONNECTION_ID, id.0.to_be_bytes().to_vec())];
    let mut data = stream_user("north", "192.0.2.66:1001");
    bench.challenge(&mut data);
    let token = seal(&bench, SERVER, &[6; 20], 3600);
    let lines = ask(&mut bench, &data, Method::CONNECTION_BIND, &bind, Some(&token), &mine);
    assert!(lines[0].ends_with("ConnectionBind 441 Wrong Credentials signed"), "{lines:?}");
    let token = seal(&bench, SERVER, &[5; 20], 3600);
    let lines = ask(&mut bench, &data, Method::CONNECTION_BIND, &bind, Some(&token), &theirs);
    assert!(lines[0].ends_with("ConnectionBind ok signed"), "its own token brings the same key: {lines:?}");
}

#[test]
fn on_another_worker_too() {
    let key = Key::raw(&[5; 20]).unwrap();
    for (name, kid_is_known) in [("north", true), ("roland", false)] {
        let (mut one, mut two) = (bench(), Bench::worker(1, with_tokens()));
        let id = connected(&mut one, &key);
        let mut data = stream_user(name, "192.0.2.1:1001");
        two.challenge(&mut data);
        let bind = [(Kind::CONNECTION_ID, id.0.to_be_bytes().to_vec())];
        let bytes = request(&data, Method::CONNECTION_BIND, &bind, None, &key);
        two.server.handle(two.now, Input::Message { client: data.client, bytes: &bytes });
        let output = two.server.poll();
        let Some(Output::Tcp(Effect::Move { to, bind, .. })) = output else {
            assert!(!kid_is_known && matches!(output, Some(Output::Send { .. })), "{output:?}");
            continue;
        };
        assert!(kid_is_known && to == WorkerId(0));
        let conn = ConnectionId { worker: WorkerId(0), slot: 50, generation: 7 };
        let lines = one.input(Input::Tcp(Event::Came { conn, bind }));
        assert_eq!(lines[0], format!("{conn}: ConnectionBind ok signed"));
    }
}
