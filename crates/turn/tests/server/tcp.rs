//! Streams to peers (RFC 6062): who may have one, who is joined with whom, and what ends with what.

use crate::bench::{
    Attribute, Bench, User, address, channel, config, ip, lifetime, peer_address, stream_user, to, transport,
    user,
};
use stun::attribute::PeerConnection;
use stun::{Kind, Message, Method};
use turn::tcp::{Bind, Effect, Event};
use turn::{Input, Output};
use wire::{ConnectionId, Flow, Machine, SocketId, WorkerId};

const PEER: &str = "203.0.113.7:80";

/// A connection of net's, as these tests number them.
fn conn(slot: u32) -> ConnectionId {
    ConnectionId { worker: WorkerId(0), slot, generation: 7 }
}

/// A client on a stream with a TCP allocation.
fn allocated(bench: &mut Bench, name: &str, peer: &str) -> User {
    let mut user = stream_user(name, peer);
    bench.challenge(&mut user);
    let lines = bench.ask(&user, Method::ALLOCATE, &[transport(6)]);
    assert_eq!(lines[0], "listen 198.51.100.1");
    assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
    user
}

/// Another connection of the same client.
fn second(bench: &mut Bench, user: &User, peer: &str) -> User {
    let mut second = stream_user(&user.name, peer);
    bench.challenge(&mut second);
    second
}

fn flow(user: &User) -> ConnectionId {
    let Flow::Stream(conn) = user.client.flow else { panic!("a stream") };
    conn
}

fn number(id: PeerConnection) -> Attribute {
    (Kind::CONNECTION_ID, id.0.to_be_bytes().to_vec())
}

fn error(user: &User, method: &str, code: &str) -> String {
    format!("{}: {method} {code} signed", flow(user))
}

/// Hands in what happened, and gives the lines and the CONNECTION-ID that came out.
fn event(bench: &mut Bench, event: Event) -> (Vec<String>, Option<PeerConnection>) {
    bench.server.handle(bench.now, Input::Tcp(event));
    collect(bench)
}

fn collect(bench: &mut Bench) -> (Vec<String>, Option<PeerConnection>) {
    let (mut lines, mut id) = (Vec::new(), None);
    while let Some(output) = bench.server.poll() {
        if let Output::Send { bytes, .. } = &output {
            id = Message::parse(bytes).unwrap().get().unwrap().or(id);
        }
        lines.push(crate::bench::show(&output));
    }
    (lines, id)
}

/// Has a client connect to a peer, whose connection is `conn(slot)` from then on.
fn connected(bench: &mut Bench, user: &User, peer: &str, slot: u32) -> PeerConnection {
    dialled(bench, user, peer, slot);
    let (lines, id) = event(bench, Event::Connected(conn(slot)));
    assert_eq!(lines, [format!("{}: Connect ok signed", flow(user))]);
    id.unwrap()
}

/// The same up to where the peer has to answer.
fn dialled(bench: &mut Bench, user: &User, peer: &str, slot: u32) {
    let request = bench.signed(user, Method::CONNECT, &[peer_address(peer)]);
    bench.server.handle(bench.now, Input::Message { client: user.client, bytes: &request });
    let Some(Output::Tcp(Effect::Connect { id, local, to })) = bench.server.poll() else { panic!() };
    assert_eq!((local.ip(), to), (address("198.51.100.1:1").ip(), address(peer)));
    let (lines, _) = event(bench, Event::Dialled { id, conn: conn(slot) });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn only_streams_get_a_tcp_relay_and_only_without_what_is_for_datagrams() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:1000");
    bench.challenge(&mut roland);
    let refused = bench.ask(&roland, Method::ALLOCATE, &[transport(6)]);
    assert_eq!(refused, [to(&roland, "Allocate 400 Bad Request signed")]);
    let mut joe = stream_user("joe", "192.0.2.2:1000");
    bench.challenge(&mut joe);
    for unfit in
        [(Kind::EVEN_PORT, vec![0]), (Kind::DONT_FRAGMENT, vec![]), (Kind::RESERVATION_TOKEN, vec![0; 8])]
    {
        let refused = bench.ask(&joe, Method::ALLOCATE, &[transport(6), unfit]);
        assert_eq!(refused, [error(&joe, "Allocate", "400 Bad Request")]);
    }
    allocated(&mut bench, "joe", "192.0.2.2:1000");
}

#[test]
fn a_client_connects_binds_and_both_sides_close_together() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let id = connected(&mut bench, &roland, PEER, 1);
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    let lines = bench.ask(&data, Method::CONNECTION_BIND, &[number(id)]);
    let joined =
        [format!("{}: ConnectionBind ok signed", flow(&data)), format!("join {} {}", flow(&data), conn(1))];
    assert_eq!(lines, joined);
    assert!(bench.server.stream_carried(bench.now, flow(&data), 100).is_zero());
    assert!(bench.server.stream_carried(bench.now, conn(1), 30).is_zero());
    let other = second(&mut bench, &roland, "192.0.2.1:1002");
    let again = bench.ask(&other, Method::CONNECTION_BIND, &[number(id)]);
    assert_eq!(again, [error(&other, "ConnectionBind", "400 Bad Request")], "only once");
    assert_eq!(bench.after(31), [""; 0], "it is bound, so it stays");
    assert_eq!(event(&mut bench, Event::Gone(conn(1))).0, [format!("close {}", flow(&data))]);
    assert_eq!(event(&mut bench, Event::Gone(flow(&data))).0, [""; 0]);
    assert_eq!(bench.server.peer_connections(), 0);
    let ended = bench.ask(&roland, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(ended[1], "ended roland@falcot.com sent 100 received 30");
}

#[test]
fn a_peer_with_a_permission_connects_and_others_are_turned_away() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let socket = SocketId(SocketId::OWN + 1);
    let attempt = |slot| Event::Attempt { socket, peer: address(PEER), conn: conn(slot) };
    assert_eq!(event(&mut bench, attempt(1)).0, [format!("abort {}", conn(1))], "no permission");
    let permitted = bench.ask(&roland, Method::CREATE_PERMISSION, &[peer_address("203.0.113.7:0")]);
    assert_eq!(permitted, [format!("{}: CreatePermission ok signed", flow(&roland))]);
    let (lines, id) = event(&mut bench, attempt(2));
    assert_eq!(lines, [format!("{}: ConnectionAttempt Indication peer={PEER}", flow(&roland))]);
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    let lines = bench.ask(&data, Method::CONNECTION_BIND, &[number(id.unwrap())]);
    assert_eq!(lines[1], format!("join {} {}", flow(&data), conn(2)));
    let elsewhere =
        Event::Attempt { socket: SocketId(SocketId::OWN + 9), peer: address(PEER), conn: conn(3) };
    assert_eq!(event(&mut bench, elsewhere).0, [format!("abort {}", conn(3))], "no such relay");
    bench.after(301);
    assert_eq!(event(&mut bench, attempt(4)).0, [format!("abort {}", conn(4))], "the permission is over");
}

#[test]
fn nothing_is_sent_to_a_peer_that_is_not_allowed() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    for (peer, code) in
        [("127.0.0.1:80", "403 Forbidden"), ("10.0.0.1:80", "403 Forbidden"), ("9.9.9.9:22", "403 Forbidden")]
    {
        let refused = bench.ask(&roland, Method::CONNECT, &[peer_address(peer)]);
        assert_eq!(refused, [error(&roland, "Connect", code)], "{peer}");
    }
    let none = bench.ask(&roland, Method::CONNECT, &[]);
    assert_eq!(none, [error(&roland, "Connect", "400 Bad Request")]);
    let channel = bench.ask(&roland, Method::CHANNEL_BIND, &[channel(0x4000), peer_address(PEER)]);
    assert_eq!(channel, [error(&roland, "ChannelBind", "403 Forbidden")], "channels are for datagrams");
    assert_eq!(bench.server.peer_connections(), 0);
}

#[test]
fn a_connection_to_a_peer_is_made_once_and_may_fail() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    dialled(&mut bench, &roland, PEER, 1);
    let again = bench.ask(&roland, Method::CONNECT, &[peer_address(PEER)]);
    assert_eq!(again, [error(&roland, "Connect", "446 Connection Already Exists")], "while it is made");
    let (lines, _) = event(&mut bench, Event::Refused(conn(1)));
    assert_eq!(lines, [error(&roland, "Connect", "447 Connection Timeout or Failure")]);
    connected(&mut bench, &roland, PEER, 2);
    let again = bench.ask(&roland, Method::CONNECT, &[peer_address(PEER)]);
    assert_eq!(again, [error(&roland, "Connect", "446 Connection Already Exists")], "once it is there");
    connected(&mut bench, &roland, "203.0.113.7:81", 3);
}

#[test]
fn nobody_binds_it_and_it_is_closed() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let id = connected(&mut bench, &roland, PEER, 1);
    assert_eq!(bench.after(29), [""; 0]);
    assert_eq!(bench.after(1), [format!("abort {}", conn(1))]);
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    let late = bench.ask(&data, Method::CONNECTION_BIND, &[number(id)]);
    assert_eq!(late, [error(&data, "ConnectionBind", "400 Bad Request")]);
}

#[test]
fn only_who_made_the_relay_binds_and_only_from_a_fresh_stream() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let id = connected(&mut bench, &roland, PEER, 1);
    let mut joe = stream_user("joe", "192.0.2.2:2000");
    bench.challenge(&mut joe);
    let stolen = bench.ask(&joe, Method::CONNECTION_BIND, &[number(id)]);
    assert_eq!(stolen, [error(&joe, "ConnectionBind", "441 Wrong Credentials")]);
    let same = bench.ask(&roland, Method::CONNECTION_BIND, &[number(id)]);
    assert_eq!(same, [error(&roland, "ConnectionBind", "400 Bad Request")], "it has an allocation");
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    let nothing = bench.ask(&data, Method::CONNECTION_BIND, &[]);
    assert_eq!(nothing, [error(&data, "ConnectionBind", "400 Bad Request")]);
    let mut datagrams = user("roland", "192.0.2.1:1002");
    bench.challenge(&mut datagrams);
    let refused = bench.ask(&datagrams, Method::CONNECTION_BIND, &[number(id)]);
    assert_eq!(refused, [to(&datagrams, "ConnectionBind 400 Bad Request signed")]);
}

#[test]
fn what_hangs_on_an_allocation_ends_with_it() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let id = connected(&mut bench, &roland, PEER, 1);
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    bench.ask(&data, Method::CONNECTION_BIND, &[number(id)]);
    connected(&mut bench, &roland, "203.0.113.7:81", 2);
    dialled(&mut bench, &roland, "203.0.113.7:82", 3);
    let lines = bench.input(Input::Closed(flow(&roland)));
    let mut expected = vec![format!("close {}", conn(1)), format!("close {}", flow(&data))];
    expected.extend([format!("abort {}", conn(2)), format!("abort {}", conn(3))]);
    assert_eq!(lines[..4], expected);
    assert_eq!(lines[4], "close 1");
    assert_eq!(bench.server.peer_connections(), 0);
    assert_eq!(event(&mut bench, Event::Connected(conn(3))).0, [format!("abort {}", conn(3))]);
}

#[test]
fn how_many_there_may_be() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    for slot in 0..turn::tcp::PER_ALLOCATION as u32 {
        connected(&mut bench, &roland, &format!("203.0.113.7:{}", 1000 + slot), slot);
    }
    let refused = bench.ask(&roland, Method::CONNECT, &[peer_address("203.0.113.7:999")]);
    assert_eq!(refused, [error(&roland, "Connect", "508 Insufficient Capacity")]);
    event(&mut bench, Event::Gone(conn(3)));
    connected(&mut bench, &roland, "203.0.113.7:999", 3);
}

/// The ConnectionBind that one worker sends on to another.
fn moved(bench: &mut Bench, data: &User, id: PeerConnection) -> (WorkerId, Box<Bind>) {
    let request = bench.signed(data, Method::CONNECTION_BIND, &[number(id)]);
    bench.server.handle(bench.now, Input::Message { client: data.client, bytes: &request });
    let Some(Output::Tcp(Effect::Move { conn, to, bind })) = bench.server.poll() else { panic!() };
    assert_eq!(conn, flow(data));
    (to, bind)
}

#[test]
fn a_bind_that_reaches_another_worker_goes_on_to_the_right_one() {
    let (mut one, mut two) = (Bench::worker(0, config()), Bench::worker(1, config()));
    let roland = allocated(&mut one, "roland", "192.0.2.1:1000");
    let id = connected(&mut one, &roland, PEER, 1);
    let data = second(&mut two, &roland, "192.0.2.1:1001");
    let (to, bind) = moved(&mut two, &data, id);
    assert_eq!(to, WorkerId(0));
    let came = conn(50);
    let (lines, _) = event(&mut one, Event::Came { conn: came, bind });
    assert_eq!(lines, [format!("{came}: ConnectionBind ok signed"), format!("join {came} {}", conn(1))]);
    let (_, bind) = moved(&mut two, &data, id);
    let (lines, _) = event(&mut one, Event::Came { conn: conn(51), bind });
    assert_eq!(lines, [format!("{}: ConnectionBind 400 Bad Request signed", conn(51))]);
    let (_, bind) = moved(&mut two, &data, PeerConnection(0x7777_0001));
    let (lines, _) = event(&mut two, Event::Stayed(bind));
    assert_eq!(lines, [error(&data, "ConnectionBind", "508 Insufficient Capacity")]);
}

#[test]
fn a_stream_that_is_too_fast_is_not_read_for_a_while() {
    let bandwidth = turn::Bandwidth { session: 10_000, user: 0 };
    let mut bench = Bench::with(turn::Config { bandwidth, ..config() });
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let id = connected(&mut bench, &roland, PEER, 1);
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    bench.ask(&data, Method::CONNECTION_BIND, &[number(id)]);
    let mut carry = |from, octets| bench.server.stream_carried(bench.now, from, octets).as_millis();
    assert_eq!([carry(conn(1), 2500), carry(conn(1), 5000)], [0, 500], "a quarter of a second at once");
    assert_eq!(carry(flow(&data), 2000), 0, "each way for itself");
    bench.after(1);
    assert_eq!(bench.server.stream_carried(bench.now, conn(1), 2500).as_millis(), 0);
}

#[test]
fn many_streams_of_one_account_share_its_bandwidth() {
    let bandwidth = turn::Bandwidth { session: 0, user: 10_000 };
    let mut bench = Bench::with(turn::Config { bandwidth, ..config() });
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let conns = [1, 2, 3].map(|slot| {
        let id = connected(&mut bench, &roland, &format!("203.0.113.7:{}", 80 + slot), slot);
        let data = second(&mut bench, &roland, &format!("192.0.2.1:{}", 1000 + slot));
        bench.ask(&data, Method::CONNECTION_BIND, &[number(id)]);
        conn(slot)
    });
    let (start, mut total, mut next) = (bench.now, 0, [bench.now; 3]);
    for tick in 0..2000 {
        let now = start + std::time::Duration::from_millis(10 * tick);
        for (conn, next) in conns.iter().zip(&mut next).filter(|(_, next)| **next <= now) {
            total += 5000;
            *next = now + bench.server.stream_carried(now, *conn, 5000);
        }
    }
    assert!((100_000..=220_000).contains(&total), "10 kB a second for 20 seconds: {total}");
    assert!(!bench.server.stream_carried(start, conns[0], 0).is_zero(), "who asks first is told to wait");
}

#[test]
fn a_peer_that_is_denied_by_a_reload_is_cut_off() {
    let mut bench = Bench::new();
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let id = connected(&mut bench, &roland, PEER, 1);
    let data = second(&mut bench, &roland, "192.0.2.1:1001");
    bench.ask(&data, Method::CONNECTION_BIND, &[number(id)]);
    assert_eq!(bench.input(Input::Config(Box::new(config()))), [""; 0]);
    let peers = turn::Policy { allow: Vec::new(), ..config().peers };
    let lines = bench.input(Input::Config(Box::new(turn::Config { peers, ..config() })));
    assert_eq!(lines, [format!("close {}", conn(1)), format!("close {}", flow(&data))]);
}

#[test]
fn a_port_of_our_own_that_is_denied_by_a_reload_is_cut_off_too() {
    let mut bench = Bench::new();
    let allow = vec![turn::Range { address: ip("9.9.9.9"), prefix: 32 }];
    let peers = turn::Policy { allow, ..config().peers };
    bench.input(Input::Config(Box::new(turn::Config { peers, ..config() })));
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    connected(&mut bench, &roland, "9.9.9.9:22", 1);
    connected(&mut bench, &roland, "9.9.9.9:50001", 2);
    let lines = bench.input(Input::Config(Box::new(config())));
    assert_eq!(lines, [format!("abort {}", conn(1))], "only relays are left to reach there");
}

#[test]
fn another_relay_of_ours_behind_nat_is_reached_where_it_is_bound() {
    let mut bench = Bench::new();
    let relays = turn::Relays { external: vec![(ip("9.9.9.9"), ip("198.51.100.1"))], ..config().relays };
    bench.input(Input::Config(Box::new(turn::Config { relays, ..config() })));
    let roland = allocated(&mut bench, "roland", "192.0.2.1:1000");
    let request = bench.signed(&roland, Method::CONNECT, &[peer_address("9.9.9.9:50001")]);
    let lines = bench.message(roland.client, &request);
    assert_eq!(lines, ["connect 198.51.100.1:50001"]);
}
