//! A relayed packet touches no heap: counted by an allocator that counts.

use crate::bench::{Bench, stream_user};
use crate::relay::send;
use turn::Verdict;
use wire::SocketId;

const PEER: &str = "203.0.113.7:4000";
const RELAY: SocketId = SocketId(SocketId::OWN + 1);

/// How many times the heap was asked for something.
fn asked(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_ne!(asked(|| drop(std::hint::black_box(vec![0_u8; 100]))), 0);
}

#[test]
fn from_client_to_peer() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.bind_channel(&roland, 0x4000, PEER);
    let indication = send(PEER, &[7; 160]);
    for message in [&b"\x40\0\0\x05hello"[..], &indication] {
        let count = asked(|| {
            let verdict = bench.server.from_client(bench.now, roland.client.flow, message);
            assert!(matches!(verdict, Verdict::Forward { .. }));
        });
        assert_eq!(count, 0, "{message:?}");
    }
}

#[test]
fn from_peer_to_client() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let stream = bench.allocated_for(stream_user("joe", "192.0.2.2:5000"));
    bench.bind_channel(&roland, 0x4000, PEER);
    let lines = bench.ask(
        &stream,
        stun::Method::CHANNEL_BIND,
        &[crate::bench::channel(0x4000), crate::bench::peer_address(PEER)],
    );
    assert_eq!(lines.len(), 1);
    let mut frame = [7; 64 + 161];
    for (socket, peer) in [(RELAY, PEER), (RELAY, "203.0.113.7:4001"), (SocketId(RELAY.0 + 1), PEER)] {
        let peer = peer.parse().unwrap();
        let count = asked(|| {
            let verdict = bench.server.from_peer(bench.now, socket, peer, &mut frame, 64);
            assert!(matches!(verdict, Verdict::Forward { .. }));
        });
        assert_eq!(count, 0, "{socket:?} {peer}");
    }
}

#[test]
fn from_client_to_client() {
    let mut config = crate::bench::config();
    config.peers.own = vec![crate::bench::ip("203.0.113.99")];
    let mut bench = Bench::with(config);
    let [roland, joe] = [("roland", "192.0.2.1:5000"), ("joe", "192.0.2.2:5000")]
        .map(|(name, peer)| bench.allocated(name, peer));
    let relays: Vec<_> = bench.server.sessions().map(|session| session.relayed.to_string()).collect();
    for (user, relay) in [(&roland, &relays[1]), (&joe, &relays[0])] {
        bench.bind_channel(user, 0x4000, relay);
    }
    let mut frame = [&[0; 64][..], b"\x40\0\0\x05hello"].concat();
    let count = asked(|| {
        let verdict = bench.server.from_client(bench.now, roland.client.flow, &frame[64..]);
        let Verdict::Forward { to: turn::Way::Relay { socket, from }, range } = verdict else { panic!() };
        let whole = &mut frame[..64 + range.end];
        let verdict = bench.server.from_peer(bench.now, socket, from, whole, 64 + range.start);
        assert!(matches!(verdict, Verdict::Forward { to: turn::Way::Client(_), .. }));
    });
    assert_eq!(count, 0);
}

#[test]
fn what_is_dropped() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let stranger = crate::bench::user("", "192.0.2.9:5000");
    let messages =
        [&b"\x40\0\0\x05hello"[..], &send(PEER, b"hello"), b"noise", b"\0\x01\0\0\x21\x12\xA4\x42"];
    let count = asked(|| {
        for message in messages {
            for flow in [roland.client.flow, stranger.client.flow] {
                assert_eq!(bench.server.from_client(bench.now, flow, message), Verdict::Drop);
            }
        }
        let mut frame = [7; 64 + 160];
        let peer = "203.0.113.7:1".parse().unwrap();
        assert_eq!(bench.server.from_peer(bench.now, RELAY, peer, &mut frame, 64), Verdict::Drop);
    });
    assert_eq!(count, 0);
}

/// What an allocation with nothing in it takes of the heap, tables and timers included, in octets: to be had with room to
/// spare for what the product and the socket's entry in `net` take of 2 KiB.
const IDLE: i64 = 1240;

/// The same with a permission and a channel, as it is when packets may begin to flow.
const READY: i64 = 1824;

#[test]
fn an_idle_allocation() {
    let limits = turn::Limits { strangers: 0, ..crate::bench::config().limits };
    let quota = turn::Quota { user: 100_000, domain: 100_000, total: 100_000 };
    let config = turn::Config { ports: 1..=65_535, limits, quota, ..crate::bench::config() };
    for count in [1000_u16, 1800, 3600] {
        let mut bench = Bench::with(config.clone());
        let mut users: Vec<_> =
            (0..count).map(|n| crate::bench::user("roland", &format!("192.0.2.1:{}", n + 1))).collect();
        users.iter_mut().for_each(|user| bench.challenge(user));
        bench.taken.reserve(usize::from(count));
        let taken = allocation_counter::measure(|| {
            for user in &users {
                bench.ask(user, stun::Method::ALLOCATE, &[crate::bench::transport(17)]);
            }
        });
        assert_eq!(bench.server.allocations(), usize::from(count));
        let each = taken.bytes_current / i64::from(count);
        assert!(each <= IDLE, "{each} octets for each of {count}");
        let bound = allocation_counter::measure(|| {
            let (channel, peer) = (crate::bench::channel(0x4000), crate::bench::peer_address(PEER));
            for user in &users {
                bench.ask(user, stun::Method::CREATE_PERMISSION, std::slice::from_ref(&peer));
                bench.ask(user, stun::Method::CHANNEL_BIND, &[channel.clone(), peer.clone()]);
            }
        });
        let each = each + bound.bytes_current / i64::from(count);
        assert!(each <= READY, "{each} octets for each of {count} with a channel");
    }
}
