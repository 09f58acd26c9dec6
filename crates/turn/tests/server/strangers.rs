//! What anybody may do, and what nobody should: Binding, noise, and sequences of anything.

use crate::bench::{Bench, channel, lifetime, peer_address, to, transport, unsigned, user};
use proptest::prelude::*;
use stun::attribute::{Data, XorPeerAddress};
use stun::{Class, Kind, Method, TransactionId, Writer};
use turn::{Input, Output};
use wire::Machine;

#[test]
fn a_bare_binding_of_20_octets_gets_32() {
    let mut bench = Bench::new();
    let anybody = user("", "192.0.2.1:5000");
    let request = unsigned(bench.transaction(), Method::BINDING, &[]);
    assert_eq!(request.len(), 20);
    bench.server.handle(bench.now, Input::Message { client: anybody.client, bytes: &request });
    let Some(Output::Send { bytes, .. }) = bench.server.poll() else { panic!("no answer") };
    assert_eq!(
        (bytes.len(), crate::bench::describe(&bytes)),
        (32, "Binding ok mapped=192.0.2.1:5000".into())
    );
}

#[test]
fn a_binding_over_ipv6_and_one_with_a_fingerprint() {
    let mut bench = Bench::new();
    let anybody = user("", "[2001:db8::9]:5000");
    let request = unsigned(bench.transaction(), Method::BINDING, &[]);
    let answer = to(&anybody, "Binding ok mapped=[2001:db8::9]:5000");
    assert_eq!(bench.message(anybody.client, &request), std::slice::from_ref(&answer));

    let mut marked = Vec::new();
    Writer::new(&mut marked, Class::Request, Method::BINDING, TransactionId([1; 12])).fingerprint().finish();
    assert_eq!(bench.message(anybody.client, &marked), [answer]);
    let last = marked.len() - 1;
    marked[last] ^= 1;
    assert_eq!(bench.message(anybody.client, &marked), [""; 0], "a wrong fingerprint: not STUN after all");
}

#[test]
fn a_binding_that_asks_for_something_unknown() {
    let mut bench = Bench::new();
    let anybody = user("", "192.0.2.1:5000");
    let request = unsigned(bench.transaction(), Method::BINDING, &[(Kind::CHANGE_REQUEST, vec![0, 0, 0, 6])]);
    assert_eq!(bench.message(anybody.client, &request), [to(&anybody, "Binding 420  unknown=[00, 03]")]);
}

#[test]
fn noise_is_dropped() {
    let mut bench = Bench::new();
    let anybody = user("", "192.0.2.1:5000").client;
    let request = unsigned(bench.transaction(), Method::BINDING, &[(Kind::SOFTWARE, vec![b'x'; 9])]);
    for end in 0..request.len() {
        assert_eq!(bench.message(anybody, &request[..end]), ["drop"]);
    }
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\r\n\r\n",
        b"\x16\x03\x01",
        b"\x80\0",
        b"\x40\0\0\x01x",
        b"\x7F\0\0\0",
    ] {
        assert_eq!(bench.message(anybody, noise), ["drop"], "{noise:?}");
    }
}

#[test]
fn answers_and_indications_from_strangers_are_dropped() {
    let mut bench = Bench::new();
    let anybody = user("", "192.0.2.1:5000").client;
    for (class, method) in [
        (Class::Success, Method::BINDING),
        (Class::Error, Method::ALLOCATE),
        (Class::Indication, Method::BINDING),
        (Class::Indication, Method::DATA),
        (Class::Indication, Method::ALLOCATE),
    ] {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes, class, method, TransactionId([1; 12])).finish();
        assert_eq!(bench.message(anybody, &bytes), ["drop"], "{method:?} {class:?}");
    }
    assert_eq!(bench.message(anybody, &crate::relay::send("203.0.113.7:1", b"x")), ["drop"]);
    let request = unsigned(bench.transaction(), Method::new(0x00D), &[]);
    assert_eq!(bench.message(anybody, &request), [""; 0], "a method that is not offered");
    let request = unsigned(bench.transaction(), Method::SEND, &[]);
    assert_eq!(bench.message(anybody, &request), [""; 0], "a Send is no request");
}

/// Something that may happen to a server.
#[derive(Clone, Debug)]
enum Event {
    Request(Method, Vec<(Kind, Vec<u8>)>, bool, u16),
    Send(u16, Vec<u8>),
    Raw(Vec<u8>, u16),
    Peer(u32, u16, Vec<u8>),
    Later(u64),
}

fn attributes() -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
    let known = prop::sample::select(vec![
        transport(17),
        transport(6),
        lifetime(0),
        lifetime(700),
        channel(0x4000),
        channel(0x4001),
        peer_address("203.0.113.7:1"),
        peer_address("203.0.113.8:1"),
        peer_address("127.0.0.1:1"),
        (Kind::EVEN_PORT, vec![0x80]),
        (Kind::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]),
    ]);
    let odd = (0..0x30_u16, prop::collection::vec(any::<u8>(), 0..21))
        .prop_map(|(kind, value)| (Kind(kind), value));
    prop::collection::vec(prop_oneof![4 => known, 1 => odd], 0..4)
}

fn event() -> impl Strategy<Value = Event> {
    let method = prop::sample::select(vec![3, 3, 3, 4, 8, 9, 9, 1, 10]).prop_map(Method::new);
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        6 => (method, attributes(), prop::bool::weighted(0.9), 0..4_u16).prop_map(|(m, a, s, p)| Event::Request(m, a, s, p)),
        2 => (0..4_u16, bytes()).prop_map(|(p, b)| Event::Send(p, b)),
        1 => (bytes(), 0..4_u16).prop_map(|(b, p)| Event::Raw(b, p)),
        2 => (0..8_u32, 0..3_u16, bytes()).prop_map(|(s, p, b)| Event::Peer(s, p, b)),
        1 => (0..400_u64).prop_map(Event::Later),
    ]
}

fn play(bench: &mut Bench, event: Event) {
    let from =
        |port: u16| user(["roland", "joe"][usize::from(port % 2)], &format!("192.0.2.1:{}", 5000 + port));
    match event {
        Event::Request(method, attributes, sign, port) => {
            let mut user = from(port);
            bench.challenge(&mut user);
            user.name = if sign { user.name } else { "mallory".into() };
            bench.ask(&user, method, &attributes);
        }
        Event::Send(port, data) => {
            let mut bytes = Vec::new();
            let writer = Writer::new(&mut bytes, Class::Indication, Method::SEND, TransactionId([1; 12]));
            writer.with(&XorPeerAddress("203.0.113.7:1".parse().unwrap())).with(&Data(&data)).finish();
            bench.message(from(port).client, &bytes);
        }
        Event::Raw(bytes, port) => {
            bench.message(from(port).client, &bytes);
        }
        Event::Peer(socket, port, bytes) => {
            bench.peer_sends(65536 + socket, &format!("203.0.113.7:{port}"), &bytes);
        }
        Event::Later(seconds) => {
            bench.after(seconds);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_the_bounds_hold(events in prop::collection::vec(event(), 0..80)) {
        let mut bench = Bench::new();
        for event in events {
            play(&mut bench, event);
            prop_assert!(bench.server.allocations() <= 5);
        }
        bench.after(3600);
        prop_assert_eq!(bench.server.allocations(), 0);
        prop_assert_eq!(bench.server.deadline(), None);
    }
}
