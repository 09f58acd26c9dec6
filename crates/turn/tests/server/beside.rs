//! Clients of one server reach one another without leaving the process: each relay checks its own permissions, counts its own
//! traffic and keeps to its own bandwidth.

use crate::bench::{
    Bench, Book, User, address, channel, config, ip, lifetime, peer_address, stream_user, to, transport, user,
};
use crate::relay::send;
use std::net::SocketAddr;
use stun::Method;
use stun::attribute::Icmp;
use turn::{Bandwidth, Config, Input, Policy, Range, Relays, Verdict, Way};
use wire::{Machine, SocketId};

/// A house whose relays the world knows by their own address.
fn open() -> Config {
    let relays = Relays { addresses: vec![ip("9.9.9.9"), ip("2a01::9")], anywhere: false, external: vec![] };
    let own = relays.addresses.clone();
    Config { relays, peers: Policy { own, ..Policy::default() }, ..config() }
}

/// The same behind NAT.
fn hidden() -> Config {
    let relays = Relays {
        external: vec![(ip("9.9.9.9"), ip("10.0.0.9"))],
        addresses: vec![ip("10.0.0.9")],
        anywhere: false,
    };
    let own = vec![ip("10.0.0.9"), ip("9.9.9.9")];
    Config { relays, peers: Policy { own, ..Policy::default() }, ..config() }
}

fn relay_of(bench: &Bench, user: &User) -> SocketAddr {
    bench.server.sessions().find(|session| session.client == user.client).unwrap().relayed
}

/// Two clients, and their relays.
fn two(config: Config) -> (Bench, [User; 2], [SocketAddr; 2]) {
    let mut bench = Bench::with(config);
    let users = [bench.allocated("roland", "192.0.2.1:5000"), bench.allocated("joe", "192.0.2.2:5000")];
    let relays = users.each_ref().map(|user| relay_of(&bench, user));
    (bench, users, relays)
}

#[test]
fn by_channels_and_by_indications() {
    for config in [open(), hidden()] {
        let (mut bench, [roland, joe], [his, hers]) = two(config);
        bench.bind_channel(&roland, 0x4001, &hers.to_string());
        bench.permit(&joe, &[&his.to_string()]);
        let data = format!("192.0.2.2:5000: Data Indication peer={his} data=\"hello\"");
        assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), std::slice::from_ref(&data));
        assert_eq!(bench.message(roland.client, &send(&hers.to_string(), b"hello")), [data]);
        bench.bind_channel(&joe, 0x4002, &his.to_string());
        assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), ["192.0.2.2:5000: 4002 \"hello\""]);
        assert_eq!(bench.message(joe.client, b"\x40\x02\0\x02ho"), ["192.0.2.1:5000: 4001 \"ho\""]);
        let traffic = |user: &User| {
            let found = bench.server.sessions().find(|session| session.client == user.client);
            let traffic = found.unwrap().traffic;
            (traffic.sent_bytes, traffic.received_bytes)
        };
        assert_eq!((traffic(&roland), traffic(&joe)), ((15, 2), (2, 15)));
    }
}

#[test]
fn no_fast_path_leads_to_a_relay_of_ours() {
    // Outside, the address of such a relay is that of the NAT, which need not give back what comes from inside.
    for config in [open(), hidden()] {
        let (mut bench, [roland, _], [_, hers]) = two(Config { offload: true, ..config });
        let peer = peer_address(&hers.to_string());
        let bound = bench.ask(&roland, Method::CHANNEL_BIND, &[channel(0x4001), peer]);
        assert_eq!(bound, [to(&roland, "ChannelBind ok signed")]);
        let peer = peer_address("203.0.114.5:7000");
        assert_eq!(bench.ask(&roland, Method::CHANNEL_BIND, &[channel(0x4002), peer]).len(), 2);
    }
}

#[test]
fn the_network_speaks_of_a_relay_of_another_worker_by_the_address_that_it_is_bound_to() {
    let (mut bench, [roland, _], [_, hers]) = two(hidden());
    bench.permit(&roland, &[&hers.to_string()]);
    let peer = SocketAddr::new(ip("10.0.0.9"), 50_001);
    let icmp = Icmp { kind: 3, code: 3, data: 0 };
    let told = bench.input(Input::Unreachable { socket: SocketId(SocketId::OWN + 1), peer, icmp });
    let known = "Data Indication peer=9.9.9.9:50001 icmp=Icmp { kind: 3, code: 3, data: 0 }";
    assert_eq!(told, [to(&roland, known)]);
}

#[test]
fn to_oneself() {
    let mut bench = Bench::with(open());
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let his = relay_of(&bench, &roland).to_string();
    bench.bind_channel(&roland, 0x4001, &his);
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x02me"), ["192.0.2.1:5000: 4001 \"me\""]);
}

#[test]
fn a_relay_for_streams_at_the_same_address_is_another_one() {
    let mut bench = Bench::with(Config { ports: 50_000..=50_000, ..open() });
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.bind_channel(&roland, 0x4001, "9.9.9.9:50000");
    let told = ["192.0.2.1:5000: 4001 \"me\""];
    bench.taken.clear();
    let mut joe = stream_user("joe", "192.0.2.2:5000");
    bench.challenge(&mut joe);
    let lines = bench.ask(&joe, Method::ALLOCATE, &[transport(6)]);
    assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x02me"), told);
    bench.ask(&joe, Method::REFRESH, &[crate::bench::lifetime(0)]);
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x02me"), told);
}

#[test]
fn nobody_is_reached_who_has_not_permitted_it() {
    let (mut bench, [roland, joe], [his, hers]) = two(open());
    bench.bind_channel(&roland, 0x4001, &hers.to_string());
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), ["drop"]);
    bench.permit(&joe, &["8.8.8.8:1"]);
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), ["drop"]);
    bench.permit(&joe, &[&his.to_string()]);
    assert_ne!(bench.message(roland.client, b"\x40\x01\0\x05hello"), ["drop"]);
    bench.after(299);
    bench.bind_channel(&roland, 0x4001, &hers.to_string());
    bench.after(1);
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), ["drop"], "hers has ended");
}

#[test]
fn a_relay_that_has_ended_or_is_elsewhere_is_reached_by_the_kernel_at_its_bound_address() {
    let (mut bench, [roland, joe], [_, hers]) = two(hidden());
    bench.bind_channel(&roland, 0x4001, &hers.to_string());
    bench.ask(&joe, Method::REFRESH, &[crate::bench::lifetime(0)]);
    let kernel = format!("1 -> 10.0.0.9:{}: hello", hers.port());
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), [kernel]);
    // And what comes from another worker's relay that way is known by the address that the world knows.
    let from = format!("10.0.0.9:{}", hers.port());
    assert_eq!(bench.peer_sends(SocketId::OWN + 1, &from, b"ho"), "192.0.2.1:5000: 4001 \"ho\"");
    assert_eq!(bench.peer_sends(SocketId::OWN + 1, "10.0.0.9:53", b"ho"), "drop", "that is no relay");
}

#[test]
fn where_any_port_of_ours_is_allowed_relays_are_found_too() {
    let mut config = open();
    config.peers.allow.push(Range { address: ip("9.9.9.9"), prefix: 32 });
    let (mut bench, [roland, joe], [his, hers]) = two(config);
    bench.bind_channel(&roland, 0x4001, &hers.to_string());
    bench.bind_channel(&joe, 0x4002, &his.to_string());
    assert_eq!(bench.message(roland.client, b"\x40\x01\0\x05hello"), ["192.0.2.2:5000: 4002 \"hello\""]);
    bench.permit(&roland, &["9.9.9.9:53"]);
    assert_eq!(bench.message(roland.client, &send("9.9.9.9:53", b"dns")), ["1 -> 9.9.9.9:53: dns"]);
}

#[test]
fn to_and_from_streams() {
    let mut bench = Bench::with(open());
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let joe = bench.allocated_for(stream_user("joe", "192.0.2.2:5000"));
    let [his, hers] = [&roland, &joe].map(|user| relay_of(&bench, user).to_string());
    bench.bind_channel(&roland, 0x4001, &hers);
    bench.ask(&joe, Method::CHANNEL_BIND, &[channel(0x4002), peer_address(&his)]);
    let heard = bench.message(roland.client, b"\x40\x01\0\x05hello");
    assert_eq!(heard, ["0.5000.0: 4002 \"hello\\0\\0\\0\""], "padded on the stream");
    assert_eq!(bench.message(joe.client, b"\x40\x02\0\x02ho"), ["192.0.2.1:5000: 4001 \"ho\""]);
}

#[test]
fn either_bandwidth_holds() {
    let (mut bench, [roland, joe], [his, hers]) =
        two(Config { bandwidth: Bandwidth { session: 10_000, user: 0 }, ..open() });
    bench.bind_channel(&roland, 0x4001, &hers.to_string());
    bench.bind_channel(&joe, 0x4002, &his.to_string());
    let message = [&b"\x40\x01\x03\xE8"[..], &[7; 1000]].concat();
    for number in 0..6 {
        let verdict = bench.server.from_client(bench.now, roland.client.flow, &message);
        assert_eq!(verdict != Verdict::Drop, number < 3, "{number}");
    }
    bench.now = bench.server.deadline().unwrap();
    bench.server.tick(bench.now);
    let Some(turn::Output::Forward { to, bytes }) = bench.server.poll() else { panic!("nothing waits") };
    assert!(matches!(to, Way::Relay { from, .. } if from == his) && bytes.len() == 1000);
}

#[test]
fn a_second_family_is_found_as_well() {
    let mut bench = Bench::with(open());
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let dual = (stun::Kind::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    let lines = bench.ask(&roland, Method::ALLOCATE, &[transport(17), dual]);
    assert!(lines.last().is_some_and(|line| line.contains("relayed=2a01::9")), "{lines:?}");
    let six = bench.server.sessions().next().unwrap().second.unwrap();
    assert_eq!(six.ip(), address("[2a01::9]:1").ip());
    let peer = [peer_address(&six.to_string())];
    let transaction = stun::TransactionId([0; 12]);
    let request = crate::bench::signed(&roland, Method::CREATE_PERMISSION, transaction, &peer);
    assert_eq!(bench.message(roland.client, &request), [to(&roland, "CreatePermission ok signed")]);
    let lines = bench.message(roland.client, &send(&six.to_string(), b"six"));
    assert_eq!(lines, [format!("192.0.2.1:5000: Data Indication peer={six} data=\"six\"")]);
}

#[test]
fn at_our_own_addresses_nothing_but_relays_is_reached_even_at_a_relay_s_port() {
    let book = Book::of_ports();
    let [mut one, mut two] = [0, 1].map(|number| Bench::worker_of(book.clone(), number, open()));
    let roland = one.allocated("roland", "192.0.2.1:5000");
    let joe = two.allocated("joe", "192.0.2.2:5000");
    let hers = relay_of(&two, &joe);
    one.permit(&roland, &["9.9.9.9:1"]);
    let other = SocketAddr::new(hers.ip(), if hers.port() == 50_050 { 50_051 } else { 50_050 });
    assert_eq!(one.message(roland.client, &send(&other.to_string(), b"hello")), ["drop"]);
    let reached = one.message(roland.client, &send(&hers.to_string(), b"hello"));
    assert_eq!(reached, [format!("1 -> {hers}: hello")], "another worker's");
    two.ask(&joe, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(one.message(roland.client, &send(&hers.to_string(), b"hello")), ["drop"], "it has ended");
    one.ask(&roland, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(book.relays(), 0);

    let mut stream = stream_user("roland", "192.0.2.1:6000");
    one.challenge(&mut stream);
    one.ask(&stream, Method::ALLOCATE, &[transport(6)]);
    let own = relay_of(&one, &stream).port();
    let other = if own == 50_050 { 50_051 } else { 50_050 };
    let lines = one.ask(&stream, Method::CONNECT, &[peer_address(&format!("9.9.9.9:{other}"))]);
    assert!(lines[0].ends_with("Connect 403 Forbidden signed"), "{lines:?}");
}

#[test]
fn of_two_relays_each_is_known_while_it_lives() {
    let book = Book::of_ports();
    let mut bench = Bench::worker_of(book.clone(), 0, open());
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    let both = (stun::Kind::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    bench.ask(&roland, Method::ALLOCATE, &[transport(17), both]);
    assert_eq!(book.relays(), 2);
    let ipv6 = (stun::Kind::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0]);
    bench.ask(&roland, Method::REFRESH, &[lifetime(0), ipv6]);
    assert_eq!(book.relays(), 1);
    bench.after(601);
    assert_eq!(book.relays(), 0);
}
