//! CreatePermission and ChannelBind: RFC 8656 §10.2, §12.2, and the peers that are refused.

use crate::bench::{Attribute, Bench, address, channel, family, peer_address, to, transport, user};
use stun::attribute::XorPeerAddress;
use stun::{Kind, Method, TransactionId};

const PEER: &str = "203.0.113.7:4000";

/// A request with these attributes gets this answer from a server where roland has an IPv4 allocation.
fn check(method: Method, attributes: &[Attribute], expected: &str) {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let lines = bench.ask(&roland, method, attributes);
    assert_eq!(lines, [to(&roland, &format!("{method:?} {expected} signed"))], "{attributes:?}");
}

#[test]
fn a_permission_needs_a_peer() {
    check(Method::CREATE_PERMISSION, &[peer_address(PEER)], "ok");
    check(Method::CREATE_PERMISSION, &[], "400 Bad Request");
    check(Method::CREATE_PERMISSION, &[(Kind::XOR_PEER_ADDRESS, vec![0; 7])], "400 Bad Request");
    let second_is_bad = [peer_address(PEER), (Kind::XOR_PEER_ADDRESS, vec![])];
    check(Method::CREATE_PERMISSION, &second_is_bad, "400 Bad Request");
}

#[test]
fn special_peers_are_refused() {
    for peer in
        ["127.0.0.1:1", "10.0.0.1:1", "169.254.169.254:80", "224.0.0.1:1", "0.0.0.0:1", "255.255.255.255:1"]
    {
        check(Method::CREATE_PERMISSION, &[peer_address(peer)], "403 Forbidden");
        check(Method::CREATE_PERMISSION, &[peer_address(PEER), peer_address(peer)], "403 Forbidden");
        check(Method::CHANNEL_BIND, &[channel(0x4000), peer_address(peer)], "403 Forbidden");
    }
}

#[test]
fn our_own_address_serves_relays_only() {
    check(Method::CHANNEL_BIND, &[channel(0x4000), peer_address("9.9.9.9:53")], "403 Forbidden");
    check(Method::CHANNEL_BIND, &[channel(0x4000), peer_address("9.9.9.9:50001")], "ok");
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &["9.9.9.9:53"]);
    let send = |peer| crate::relay::send(peer, b"hello");
    assert_eq!(bench.message(roland.client, &send("9.9.9.9:53")), ["drop"]);
    assert_eq!(bench.message(roland.client, &send("9.9.9.9:50001")), ["1 -> 9.9.9.9:50001: hello"]);
}

#[test]
fn peers_must_be_of_the_relays_family() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let six = |transaction| {
        let mut value = Vec::new();
        stun::Attribute::write(&XorPeerAddress(address("[2001:db8:7::1]:1")), transaction, &mut value);
        (Kind::XOR_PEER_ADDRESS, value)
    };
    let attributes = [peer_address(PEER), six(TransactionId([9; 12]))];
    let request =
        crate::bench::signed(&roland, Method::CREATE_PERMISSION, TransactionId([9; 12]), &attributes);
    let lines = bench.message(roland.client, &request);
    assert_eq!(lines, [to(&roland, "CreatePermission 443 Peer Address Family Mismatch signed")]);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "drop", "all or none");

    let mut joe = user("joe", "192.0.2.2:5000");
    bench.challenge(&mut joe);
    bench.ask(&joe, Method::ALLOCATE, &[transport(17), family(2)]);
    let attributes = [channel(0x4000), six(TransactionId([8; 12]))];
    let request = crate::bench::signed(&joe, Method::CHANNEL_BIND, TransactionId([8; 12]), &attributes);
    assert_eq!(bench.message(joe.client, &request), [to(&joe, "ChannelBind ok signed")]);
    assert_eq!(bench.peer_sends(65538, "[2001:db8:7::1]:1", b"hi"), "192.0.2.2:5000: 4000 \"hi\"");
    let lines = bench.ask(&joe, Method::CREATE_PERMISSION, &[peer_address(PEER)]);
    assert_eq!(lines, [to(&joe, "CreatePermission 443 Peer Address Family Mismatch signed")]);
}

#[test]
fn a_channel_needs_a_number_and_a_peer() {
    check(Method::CHANNEL_BIND, &[channel(0x4FFF), peer_address(PEER)], "ok");
    check(Method::CHANNEL_BIND, &[channel(0x7FFF), peer_address(PEER)], "ok");
    check(Method::CHANNEL_BIND, &[channel(0x4000)], "400 Bad Request");
    check(Method::CHANNEL_BIND, &[peer_address(PEER)], "400 Bad Request");
    for number in [0, 0x3FFF, 0x8000, 0xFFFF] {
        check(Method::CHANNEL_BIND, &[channel(number), peer_address(PEER)], "400 Bad Request");
    }
    check(Method::CHANNEL_BIND, &[channel(0x4000), peer_address("203.0.113.7:0")], "403 Forbidden");
}

#[test]
fn a_number_and_a_peer_belong_together() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.bind_channel(&roland, 0x4000, PEER);
    bench.bind_channel(&roland, 0x4000, PEER);
    for (number, peer) in [(0x4001, PEER), (0x4000, "203.0.113.7:4001"), (0x4000, "203.0.113.8:4000")] {
        let lines = bench.ask(&roland, Method::CHANNEL_BIND, &[channel(number), peer_address(peer)]);
        assert_eq!(lines, [to(&roland, "ChannelBind 400 Bad Request signed")]);
    }
    bench.bind_channel(&roland, 0x4001, "203.0.113.7:4001");
}

#[test]
fn without_an_allocation_nothing_is_to_be_had() {
    let mut bench = Bench::new();
    let mut roland = user("roland", "192.0.2.1:5000");
    bench.challenge(&mut roland);
    for method in [Method::CREATE_PERMISSION, Method::CHANNEL_BIND, Method::REFRESH] {
        let lines = bench.ask(&roland, method, &[channel(0x4000), peer_address(PEER)]);
        assert_eq!(lines, [to(&roland, &format!("{method:?} 437 Allocation Mismatch signed"))]);
    }
}

#[test]
fn permissions_and_channels_are_bounded() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    for (i, number) in (0x4000..0x4003).enumerate() {
        bench.bind_channel(&roland, number, &format!("203.0.113.{i}:1"));
    }
    let lines = bench.ask(&roland, Method::CHANNEL_BIND, &[channel(0x4003), peer_address(PEER)]);
    assert_eq!(lines, [to(&roland, "ChannelBind 508 Insufficient Capacity signed")]);
    bench.permit(&roland, &[PEER]);
    let lines = bench.ask(&roland, Method::CREATE_PERMISSION, &[peer_address("203.0.113.8:1")]);
    assert_eq!(lines, [to(&roland, "CreatePermission 508 Insufficient Capacity signed")]);
    bench.permit(&roland, &[PEER, "203.0.113.0:1"]);
    bench.after(300);
    bench.permit(&roland, &["203.0.113.8:1"]);
}

#[test]
fn a_peer_that_is_denied_by_now_is_cut_off() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.bind_channel(&roland, 0x4000, "203.0.113.7:4000");
    bench.permit(&roland, &["203.0.113.8:4000"]);
    let relayed = |bench: &mut Bench| {
        let channel = bench.message(roland.client, b"\x40\0\0\x05hello") != ["drop"];
        let sent = ["203.0.113.7:4000", "203.0.113.8:4000"]
            .map(|peer| bench.message(roland.client, &crate::relay::send(peer, b"hello")) != ["drop"]);
        let received = ["203.0.113.7:4000", "203.0.113.8:4000"]
            .map(|peer| bench.peer_sends(65537, peer, b"hello") != "drop");
        (channel, sent, received)
    };
    assert_eq!(relayed(&mut bench), (true, [true; 2], [true; 2]));
    let mut denying = crate::bench::config();
    denying.peers.deny.push(turn::Range { address: crate::bench::ip("203.0.113.7"), prefix: 32 });
    bench.input(turn::Input::Config(Box::new(denying)));
    assert_eq!(relayed(&mut bench), (false, [false, true], [false, true]));
    let lines =
        bench.ask(&roland, Method::CREATE_PERMISSION, &[crate::bench::peer_address("203.0.113.7:4000")]);
    assert_eq!(lines, [to(&roland, "CreatePermission 403 Forbidden signed")]);
    bench.input(turn::Input::Config(Box::new(crate::bench::config())));
    assert_eq!(relayed(&mut bench), (false, [false, true], [false, true]), "until it is asked for again");
    bench.bind_channel(&roland, 0x4000, "203.0.113.7:4000");
    assert_eq!(relayed(&mut bench), (true, [true; 2], [true; 2]));
}
