//! The data path: RFC 8656 §11, §12.

use crate::bench::{Bench, address, stream_user};
use stun::attribute::{Data, XorPeerAddress};
use stun::{Class, Method, TransactionId, Writer};

const PEER: &str = "203.0.113.7:4000";

/// A Send indication.
pub(crate) fn send(peer: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, Class::Indication, Method::SEND, TransactionId([5; 12]))
        .with(&XorPeerAddress(address(peer)))
        .with(&Data(data))
        .finish();
    out
}

#[test]
fn indications_both_ways() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &[PEER]);
    assert_eq!(bench.message(roland.client, &send(PEER, b"hello")), ["1 -> 203.0.113.7:4000: hello"]);
    assert_eq!(bench.message(roland.client, &send("203.0.113.7:9", b"")), ["1 -> 203.0.113.7:9: "]);
    let data = "192.0.2.1:5000: Data Indication peer=203.0.113.7:4000 data=\"hello\"";
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), data);
    assert_eq!(bench.message(roland.client, &send("203.0.113.8:4000", b"hello")), ["drop"]);
    assert_eq!(bench.message(roland.client, &send("203.0.113.7:0", b"hello")), ["drop"]);
    assert_eq!(bench.peer_sends(65537, "203.0.113.8:4000", b"hello"), "drop");
}

#[test]
fn channels_both_ways() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.bind_channel(&roland, 0x4ABC, PEER);
    assert_eq!(bench.message(roland.client, b"\x4A\xBC\0\x05hello"), ["1 -> 203.0.113.7:4000: hello"]);
    assert_eq!(bench.message(roland.client, b"\x4A\xBC\0\x05hello\0\0\0"), ["1 -> 203.0.113.7:4000: hello"]);
    assert_eq!(bench.message(roland.client, b"\x4A\xBC\0\x00"), ["1 -> 203.0.113.7:4000: "]);
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "192.0.2.1:5000: 4abc \"hello\"");
    assert_eq!(bench.message(roland.client, b"\x4A\xBD\0\x05hello"), ["drop"], "no such channel");
    assert_eq!(bench.message(roland.client, b"\x4A\xBC\0\x06hello"), ["drop"], "cut short");
    let other_port = "192.0.2.1:5000: Data Indication peer=203.0.113.7:4001 data=\"hello\"";
    assert_eq!(bench.peer_sends(65537, "203.0.113.7:4001", b"hello"), other_port);
}

#[test]
fn on_streams_channel_data_is_padded() {
    let mut bench = Bench::new();
    let roland = bench.allocated_for(stream_user("roland", "192.0.2.1:5000"));
    bench.ask(
        &roland,
        Method::CHANNEL_BIND,
        &[crate::bench::channel(0x4000), crate::bench::peer_address(PEER)],
    );
    assert_eq!(bench.peer_sends(65537, PEER, b"hello"), "0.5000.0: 4000 \"hello\\0\\0\\0\"");
    assert_eq!(bench.peer_sends(65537, PEER, b"four"), "0.5000.0: 4000 \"four\"");
}

#[test]
fn nobody_uses_anothers_relay() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    let joe = bench.allocated("joe", "192.0.2.2:5000");
    bench.bind_channel(&roland, 0x4000, PEER);
    assert_eq!(bench.message(joe.client, b"\x40\0\0\x05hello"), ["drop"]);
    assert_eq!(bench.message(joe.client, &send(PEER, b"hello")), ["drop"]);
    assert_eq!(bench.peer_sends(65538, PEER, b"hello"), "drop");
    assert_eq!(bench.peer_sends(99_999, PEER, b"hello"), "drop", "no such relay");
}

#[test]
fn what_went_through_is_told_at_the_end() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &[PEER]);
    bench.message(roland.client, &send(PEER, b"hello"));
    bench.peer_sends(65537, PEER, b"hello back");
    bench.peer_sends(65537, "203.0.113.99:1", b"not let through");
    assert_eq!(bench.after(600), ["close 1", "ended roland@falcot.com sent 5 received 10"]);
}
