//! Bandwidth of one allocation and of one account: delayed, then dropped, and nobody else suffers.

use crate::bench::{Bench, Book, User, address, config, stream_user};
use std::time::{Duration, Instant};
use turn::{Bandwidth, Config, Input, Verdict};
use wire::{Machine, SocketId};

const PEER: &str = "203.0.113.7:4000";

/// Octets of one packet; the rate of these tests is ten of them in a second.
const PACKET: usize = 1000;
const RATE: u64 = 10 * PACKET as u64;

fn bounded(session: u64, user: u64) -> Config {
    Config { bandwidth: Bandwidth { session, user }, ..config() }
}

fn client(bench: &mut Bench, name: &str, peer: &str) -> User {
    let user = bench.allocated(name, peer);
    bench.bind_channel(&user, 0x4000, PEER);
    user
}

fn channel_data() -> Vec<u8> {
    [&b"\x40\0\x03\xE8"[..], &[7; PACKET]].concat()
}

/// What goes at once and what goes later, within a time in which a client sends (or gets) packets at this interval.
fn flow(
    bench: &mut Bench,
    time: Duration,
    interval: Duration,
    mut one: impl FnMut(&mut Bench) -> bool,
) -> (usize, usize) {
    let (end, mut next) = (bench.now + time, bench.now);
    let (mut at_once, mut later) = (0, 0);
    while bench.now < end {
        if bench.now >= next {
            at_once += usize::from(one(bench));
            next += interval;
        }
        bench.now = next.min(bench.server.deadline().unwrap_or(next)).min(end);
        bench.server.tick(bench.now);
        later += bench.outputs().len();
    }
    (at_once, later)
}

fn sends(user: &User) -> impl FnMut(&mut Bench) -> bool {
    let (flow, message) = (user.client.flow, channel_data());
    move |bench| bench.server.from_client(bench.now, flow, &message) != Verdict::Drop
}

fn gets(socket: u32) -> impl FnMut(&mut Bench) -> bool {
    move |bench| {
        let mut frame = [7; 64 + PACKET];
        let socket = SocketId(SocketId::OWN + socket);
        bench.server.from_peer(bench.now, socket, address(PEER), &mut frame, 64) != Verdict::Drop
    }
}

const TIME: Duration = Duration::from_secs(10);
/// Ten times too fast.
const FAST: Duration = Duration::from_millis(10);
/// As fast as it may be.
const JUST: Duration = Duration::from_millis(100);

#[test]
fn who_keeps_to_the_rate_is_not_delayed() {
    let mut bench = Bench::with(bounded(RATE, RATE));
    let roland = client(&mut bench, "roland", "192.0.2.1:5000");
    assert_eq!(flow(&mut bench, TIME, JUST, sends(&roland)), (100, 0));
    assert_eq!(flow(&mut bench, TIME, JUST, gets(1)), (100, 0));
}

#[test]
fn who_does_not_is_delayed_and_then_loses_what_is_too_much() {
    for config in [bounded(RATE, 0), bounded(0, RATE), bounded(RATE, 2 * RATE), bounded(2 * RATE, RATE)] {
        let mut bench = Bench::with(config);
        let roland = client(&mut bench, "roland", "192.0.2.1:5000");
        for way in 0..2 {
            let (at_once, later) = match way {
                0 => flow(&mut bench, TIME, FAST, sends(&roland)),
                _ => flow(&mut bench, TIME, FAST, gets(1)),
            };
            // Ten seconds' worth, and the burst at the beginning.
            assert!((100..=106).contains(&(at_once + later)) && later >= 90, "{at_once} and {later}");
        }
        let traffic = bench.server.sessions().next().unwrap().traffic;
        assert!((200..=212).contains(&(traffic.sent_packets + traffic.received_packets)), "{traffic:?}");
        assert!(traffic.dropped_packets > 1700, "{traffic:?}");
    }
}

#[test]
fn what_waits_goes_in_order_and_on_time() {
    let mut bench = Bench::with(bounded(RATE, 0));
    let roland = client(&mut bench, "roland", "192.0.2.1:5000");
    let start = bench.now;
    let numbered = |number: u8| [&b"\x40\0\x03\xE8"[..], &[b'0' + number; PACKET]].concat();
    let at_once = (0..9).filter(|number| {
        bench.server.from_client(start, roland.client.flow, &numbered(*number)) != Verdict::Drop
    });
    assert_eq!(at_once.count(), 3, "the burst");
    let mut seen = Vec::new();
    while let Some(at) = bench.server.deadline().filter(|at| *at < start + Duration::from_secs(5)) {
        bench.now = at;
        bench.server.tick(at);
        let lines = bench.outputs();
        seen.extend(lines.iter().map(|line| ((at - start).as_millis(), line.as_bytes()[line.len() - 1])));
    }
    assert_eq!(seen, [(50, b'3'), (150, b'4'), (250, b'5')]);
}

#[test]
fn nobody_else_is_delayed() {
    let mut bench = Bench::with(bounded(RATE, 2 * RATE));
    let [roland, joe] = [("roland", "192.0.2.1:5000"), ("joe", "192.0.2.2:5000")]
        .map(|(name, peer)| client(&mut bench, name, peer));
    let (mut greedy, mut modest, mut count) = (sends(&roland), sends(&joe), 0);
    let (at_once, _) = flow(&mut bench, TIME, FAST, |bench| {
        greedy(bench);
        count += 1;
        count % 10 == 0 && modest(bench)
    });
    assert_eq!(at_once, 100, "all of joe's, none of them late");
}

#[test]
fn the_relays_of_an_account_share_its_bandwidth_over_all_workers() {
    let book = Book::default();
    let mut benches = [0, 1].map(|number| Bench::worker_of(book.clone(), number, bounded(0, RATE)));
    let users = benches.each_mut().map(|bench| client(bench, "roland", "192.0.2.1:5000"));
    let mut total = 0;
    let start: Instant = benches[0].now;
    for tick in 0..1000 {
        for (bench, user) in benches.iter_mut().zip(&users) {
            bench.now = start + tick * FAST;
            bench.server.tick(bench.now);
            total += bench.outputs().len() + usize::from(sends(user)(bench));
        }
    }
    assert!((98..=108).contains(&total), "{total}");
}

#[test]
fn streams_wait_as_well() {
    let mut bench = Bench::with(bounded(RATE, 0));
    let roland = bench.allocated_for(stream_user("roland", "192.0.2.1:5000"));
    let request = [crate::bench::channel(0x4000), crate::bench::peer_address(PEER)];
    bench.ask(&roland, stun::Method::CHANNEL_BIND, &request);
    let (at_once, later) = flow(&mut bench, TIME, FAST, gets(1));
    assert!((100..=106).contains(&(at_once + later)) && later >= 90, "{at_once} and {later}");
}

#[test]
fn a_bound_that_is_lifted_holds_no_longer_and_the_end_leaves_nothing() {
    let mut bench = Bench::with(bounded(RATE, 0));
    let roland = client(&mut bench, "roland", "192.0.2.1:5000");
    flow(&mut bench, TIME, FAST, sends(&roland));
    bench.input(Input::Config(Box::new(config())));
    assert_eq!(flow(&mut bench, TIME, FAST, sends(&roland)).0, 1000);

    bench.input(Input::Config(Box::new(bounded(RATE, 0))));
    (0..20).for_each(|_| _ = sends(&roland)(&mut bench));
    let lines = bench.ask(&roland, stun::Method::REFRESH, &[crate::bench::lifetime(0)]);
    assert!(lines[0].starts_with("close"), "{lines:?}");
    assert_eq!(bench.server.deadline(), None);
}
