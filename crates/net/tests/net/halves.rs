//! Streams whose directions end one after the other, plain and inside TLS; and waiting for room.

use crate::support::*;
use net::{CloseReason, Limits};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;
use wire::ConnectionId;

fn ended(house: &House) -> ConnectionId {
    house.find(|seen| match seen {
        Seen::Ended { conn } => Some(conn),
        Seen::Closed { reason, .. } => panic!("{reason:?}"),
        _ => None,
    })
}

fn received(house: &House) -> Vec<u8> {
    house.find(|seen| match seen {
        Seen::Received { data, .. } => Some(data),
        _ => None,
    })
}

#[test]
fn the_peer_s_half_ends_and_ours_goes_on() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let mut peer = house.dial(0);
    let (conn, _) = house.opened();
    house.ask(0, move |_, net| net.keep_half(conn));
    peer.write_all(b"question").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(received(&house), b"question");
    assert_eq!(ended(&house), conn);
    assert!(house.is_quiet());
    let waits = house.counts(0).wakeups;
    assert!(house.counts(0).wakeups < waits + 20, "the end is not told for ever");
    house.act(0, move |_, net| net.write(conn, b"answer").unwrap());
    house.act(0, move |_, net| {
        net.write(conn, b", whole").unwrap();
        net.finish(conn);
        net.write(conn, b" and too late").unwrap();
    });
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer, whole");
    assert_eq!(house.closed(), (conn, CloseReason::Peer));
}

#[test]
fn our_half_ends_first_and_what_the_peer_says_still_comes() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let mut peer = house.dial(0);
    let (conn, _) = house.opened();
    house.ask(0, move |_, net| {
        net.keep_half(conn);
        net.finish(conn);
    });
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    peer.write_all(b"late").unwrap();
    assert_eq!(received(&house), b"late");
    drop(peer);
    assert_eq!(ended(&house), conn);
    assert_eq!(house.closed(), (conn, CloseReason::Peer));
}

#[test]
fn halves_inside_tls() {
    let house = House::new(1, &[spec(SHOW, tls(&[]), "127.0.0.1:0")]);
    let mut peer = house.dial_tls(0);
    peer.write_all(b"question").unwrap();
    let (conn, _) = house.opened();
    assert_eq!(received(&house), b"question");
    house.ask(0, move |_, net| net.keep_half(conn));
    peer.conn.send_close_notify();
    peer.flush().unwrap();
    assert_eq!(ended(&house), conn);
    house.act(0, move |_, net| {
        net.write(conn, b"answer").unwrap();
        net.finish(conn);
    });
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
    assert_eq!(house.closed(), (conn, CloseReason::Peer));
}

#[test]
fn what_came_before_both_ends_is_read_after_a_pause() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let mut peer = house.dial(0);
    let (conn, _) = house.opened();
    house.ask(0, move |_, net| {
        net.keep_half(conn);
        net.pause(conn);
        net.finish(conn);
    });
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    peer.write_all(&[7; 30_000]).unwrap();
    drop(peer);
    assert!(house.is_quiet(), "nothing is read, and the end is not taken for a break");
    let idle = house.counts(0).wakeups;
    std::thread::sleep(Duration::from_millis(50));
    assert!(house.counts(0).wakeups < idle + 20, "both ends are not told for ever");
    house.act(0, move |_, net| net.resume(conn));
    let mut length = 0;
    while length < 30_000 {
        length += received(&house).len();
    }
    assert_eq!(ended(&house), conn);
    assert_eq!(house.closed(), (conn, CloseReason::Peer));
}

#[test]
fn room_is_told_when_the_peer_reads() {
    let limits = Limits { write_buffer: 8 << 20, ..Limits::default() };
    let house = House::with(1, &[spec(SHOW, tcp(), "127.0.0.1:0")], limits, ignore);
    let mut peer = house.dial(0);
    let (conn, _) = house.opened();
    const OCTETS: usize = 8 << 20;
    house.ask(0, move |_, net| {
        net.write(conn, &vec![1; OCTETS]).unwrap();
        net.await_room(conn, 1000);
    });
    assert!(house.is_quiet(), "the kernel does not take that much");
    let mut all = vec![0; OCTETS];
    peer.read_exact(&mut all).unwrap();
    let told = house.find(|seen| match seen {
        Seen::Room { conn } => Some(conn),
        _ => None,
    });
    assert_eq!(told, conn);
    house.ask(0, move |_, net| net.await_room(conn, 0));
    assert!(matches!(house.next(), Seen::Room { .. }), "at once, if there is room");
    assert!(house.is_quiet(), "once");
}
