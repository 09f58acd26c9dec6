//! Fast paths: which channels are told of for when, and what comes of what they carried.

use crate::bench::{Bench, channel, config, lifetime, peer_address, stream_user, to, user};
use std::time::Instant;
use stun::Method;
use turn::offload::{Carried, Offload, PathId};
use turn::{Config, Input, Traffic};

const ROLAND: &str = "192.0.2.1:5000";
const PEER: &str = "203.0.113.5:7000";
const OTHER: &str = "203.0.113.6:7000";

/// An output as a line.
pub(crate) fn show(offload: &Offload, now: Instant) -> String {
    let left = |until: &Instant| until.duration_since(now).as_secs();
    match offload {
        Offload::Open { id, path, until } => {
            format!("open {}: {} {:x} {} for {}", id.0, path.client, path.number.0, path.peer, left(until))
        }
        Offload::Extend { id, until } => format!("extend {} for {}", id.0, left(until)),
        Offload::Close(id) => format!("shut {}", id.0),
    }
}

fn offloading() -> Config {
    Config { offload: true, ..config() }
}

fn carried(id: u64, octets: u64, last: bool) -> Input<'static> {
    let traffic = Traffic {
        sent_packets: 1,
        sent_bytes: octets,
        received_packets: 2,
        received_bytes: 7,
        ..Traffic::default()
    };
    Input::Carried(Carried { id: PathId(id), traffic, last })
}

#[test]
fn a_path_lasts_as_long_as_channel_permission_and_relay() {
    let mut bench = Bench::with(offloading());
    let user = bench.allocated("roland", ROLAND);
    let answer = to(&user, "ChannelBind ok signed");
    let bind =
        |bench: &mut Bench| bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    // The permission ends first, after 300 seconds.
    assert_eq!(bind(&mut bench), [answer.clone(), format!("open 1: {ROLAND} 4001 {PEER} for 300")]);
    assert_eq!(bench.after(100), [""; 0]);
    assert_eq!(bind(&mut bench), [answer.clone(), "extend 1 for 300".into()]);
    // Then the channel, where the permission is refreshed alone.
    let refreshed = [to(&user, "CreatePermission ok signed"), "extend 1 for 220".into()];
    assert_eq!(bench.after(280), [""; 0]);
    assert_eq!(bench.ask(&user, Method::CREATE_PERMISSION, &[peer_address(PEER)]), refreshed);
    // It was the relay; now it is the permission.
    let refreshed = [to(&user, "Refresh ok lifetime=3600 signed"), "extend 1 for 300".into()];
    assert_eq!(bench.ask(&user, Method::REFRESH, &[lifetime(3600)]), refreshed);
    // It ends by itself: nobody has to be told for something else is.
    assert_eq!(bench.after(310), [""; 0]);
    let refreshed = [to(&user, "Refresh ok lifetime=3600 signed"), "shut 1".into()];
    assert_eq!(bench.ask(&user, Method::REFRESH, &[lifetime(3600)]), refreshed);
    assert_eq!(bind(&mut bench), [answer, format!("open 2: {ROLAND} 4001 {PEER} for 300")]);
}

#[test]
fn the_end_of_an_allocation_waits_for_what_its_paths_carried() {
    let mut bench = Bench::with(offloading());
    let user = bench.allocated("roland", ROLAND);
    bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4002), peer_address(OTHER)]);
    assert_eq!(bench.input(carried(1, 100, false)), [""; 0]);
    let traffic = bench.server.sessions().next().unwrap().traffic;
    assert_eq!((traffic.sent_packets, traffic.sent_bytes), (1, 100));
    assert_eq!((traffic.received_packets, traffic.received_bytes), (2, 7));
    let mut lines = bench.ask(&user, Method::REFRESH, &[lifetime(0)]);
    lines.sort();
    let ended = ["close 1", "shut 1", "shut 2"].map(String::from);
    assert_eq!(
        lines,
        [to(&user, "Refresh ok lifetime=0 signed")].into_iter().chain(ended).collect::<Vec<_>>()
    );
    assert_eq!(bench.input(carried(2, 1000, true)), [""; 0]);
    assert_eq!(bench.input(carried(1, 10, true)), ["ended roland@falcot.com sent 1110 received 21"]);
    // Words about paths that nobody knows any more change nothing.
    assert_eq!(bench.input(carried(1, 10, true)), [""; 0]);
}

#[test]
fn a_path_that_found_no_room_holds_nothing_up() {
    let mut bench = Bench::with(offloading());
    let user = bench.allocated("roland", ROLAND);
    bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    bench.input(Input::Carried(Carried { id: PathId(1), traffic: Traffic::default(), last: true }));
    let lines = bench.after(600);
    assert_eq!(lines, ["close 1", "shut 1", "ended roland@falcot.com sent 0 received 0"]);
}

#[test]
fn a_channel_that_leads_elsewhere_is_another_path() {
    let mut bench = Bench::with(offloading());
    let user = bench.allocated("roland", ROLAND);
    bench.ask(&user, Method::REFRESH, &[lifetime(3600)]);
    bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    bench.after(601);
    let lines = bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(OTHER)]);
    let expected = ["shut 1".into(), format!("open 2: {ROLAND} 4001 {OTHER} for 300")];
    assert_eq!(lines[1..], expected);
}

#[test]
fn paths_end_when_they_are_switched_off_and_begin_when_they_are_switched_on() {
    let mut bench = Bench::new();
    let user = bench.allocated("roland", ROLAND);
    let bound = [to(&user, "ChannelBind ok signed")];
    assert_eq!(bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]), bound);
    let open = format!("open 1: {ROLAND} 4001 {PEER} for 300");
    assert_eq!(bench.input(Input::Config(Box::new(offloading()))), [open]);
    assert_eq!(bench.input(Input::Config(Box::new(offloading()))), [""; 0]);
    assert_eq!(bench.input(Input::Config(Box::new(config()))), ["shut 1"]);
    assert_eq!(bench.input(carried(1, 5, true)), [""; 0]);
    assert_eq!(bench.server.sessions().next().unwrap().traffic.sent_bytes, 5);
    let lines = bench.after(600);
    assert_eq!(lines, ["close 1", "ended roland@falcot.com sent 5 received 7"]);
}

#[test]
fn streams_have_none() {
    let mut bench = Bench::with(offloading());
    let streaming = bench.allocated_for(stream_user("roland", ROLAND));
    let lines = bench.ask(&streaming, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    assert_eq!(lines, ["0.5000.0: ChannelBind ok signed"]);
    let mut user = user("joe", "192.0.2.2:5000");
    user.client.transport = wire::Transport::Dtls;
    let user = bench.allocated_for(user);
    let lines = bench.ask(&user, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    assert_eq!(lines, [to(&user, "ChannelBind ok signed")]);
}
