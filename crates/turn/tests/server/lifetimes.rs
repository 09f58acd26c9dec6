//! When things end: allocations, permissions, channels (RFC 8656 §3.2, §9, §12), and how refreshing keeps them.

use crate::bench::{Bench, channel, family, lifetime, peer_address, to, transport};
use stun::{Kind, Method};

const PEER: &str = "203.0.113.7:4000";

#[test]
fn an_allocation_ends_after_ten_minutes() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    assert_eq!(bench.after(599), [""; 0]);
    assert_eq!(bench.after(1), ["close 1", "ended roland@falcot.com sent 0 received 0"]);
    let lines = bench.ask(&roland, Method::REFRESH, &[]);
    assert_eq!(lines, [to(&roland, "Refresh 437 Allocation Mismatch signed")]);
    bench.ask(&roland, Method::ALLOCATE, &[transport(17)]);
    assert!(bench.server.is_allocated(roland.client.flow));
}

#[test]
fn a_refresh_keeps_it_and_one_of_zero_ends_it() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.after(590);
    let lines = bench.ask(&roland, Method::REFRESH, &[lifetime(1800)]);
    assert_eq!(lines, [to(&roland, "Refresh ok lifetime=1800 signed")]);
    assert_eq!(bench.after(1799), [""; 0]);
    let lines = bench.ask(&roland, Method::REFRESH, &[lifetime(0)]);
    let ended = "ended roland@falcot.com sent 0 received 0".into();
    assert_eq!(lines, ["close 1".into(), ended, to(&roland, "Refresh ok lifetime=0 signed")]);
    let lines = bench.ask(&roland, Method::REFRESH, &[lifetime(0)]);
    assert_eq!(lines, [to(&roland, "Refresh 437 Allocation Mismatch signed")]);
}

#[test]
fn a_refresh_may_name_the_relays_family_only() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let lines = bench.ask(&roland, Method::REFRESH, &[family(2)]);
    assert_eq!(lines, [to(&roland, "Refresh 443 Peer Address Family Mismatch signed")]);
    let lines = bench.ask(&roland, Method::REFRESH, &[family(1)]);
    assert_eq!(lines, [to(&roland, "Refresh ok lifetime=600 signed")]);
    let lines = bench.ask(&roland, Method::REFRESH, &[(Kind::LIFETIME, vec![])]);
    assert_eq!(lines, [to(&roland, "Refresh 400 Bad Request signed")]);
}

#[test]
fn a_permission_ends_after_five_minutes() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &[PEER]);
    bench.after(299);
    assert!(bench.peer_sends(65537, PEER, b"hello").contains("Data Indication"));
    bench.after(1);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "drop");
    bench.permit(&roland, &[PEER]);
    assert!(bench.peer_sends(65537, PEER, b"hello").contains("Data Indication"));
}

#[test]
fn traffic_does_not_keep_a_permission() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &[PEER]);
    for _ in 0..10 {
        bench.after(29);
        assert_ne!(bench.peer_sends(65537, PEER, b"hello"), "drop");
    }
    bench.after(10);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "drop");
}

#[test]
fn a_channel_ends_after_ten_minutes_and_its_permission_after_five() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.ask(&roland, Method::REFRESH, &[lifetime(3600)]);
    bench.bind_channel(&roland, 0x4000, PEER);
    bench.after(299);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "192.0.2.1:5000: 4000 \"hello\"");
    bench.after(1);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "drop");
    assert_eq!(bench.message(roland.client, b"\x40\0\0\x05hello"), ["drop"]);
    bench.permit(&roland, &[PEER]);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "192.0.2.1:5000: 4000 \"hello\"");
    assert_eq!(bench.message(roland.client, b"\x40\0\0\x05hello"), ["1 -> 203.0.113.7:4000: hello"]);
    bench.after(299);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "192.0.2.1:5000: 4000 \"hello\"");
    bench.permit(&roland, &[PEER]);
    bench.after(1);
    assert!(
        bench.peer_sends(65537, PEER, b"hello").contains("Data Indication"),
        "only the permission is left"
    );
    assert_eq!(bench.message(roland.client, b"\x40\0\0\x05hello"), ["drop"]);
    let lines = bench.ask(&roland, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    assert_eq!(lines, [to(&roland, "ChannelBind ok signed")], "number and peer are free again");
}

#[test]
fn a_rebinding_keeps_a_channel() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.ask(&roland, Method::REFRESH, &[lifetime(3600)]);
    for _ in 0..8 {
        bench.bind_channel(&roland, 0x4000, PEER);
        bench.after(290);
        assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "192.0.2.1:5000: 4000 \"hello\"");
    }
}
