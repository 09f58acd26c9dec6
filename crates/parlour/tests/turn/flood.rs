//! What a crowd of strangers costs: nothing that stays.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use stun::attribute::{Nonce, RequestedTransport};
use stun::{Class, Message, Method, TransactionId, Writer};
use testkit::House;

/// How many sources there are.
const CROWD: u32 = 20_000;

/// What the process may take up more afterwards: a few pages that any work touches for the first time.
const GROWTH: u64 = 256 * 1024;

/// The source of this number, all of them on loopback and none like another.
fn source(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(Ipv4Addr::new(127, 1, 0, 0).to_bits() + number)
}

/// An Allocate from a source; the answer.
fn allocate(server: SocketAddr, number: u32) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((source(number), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut request = Vec::new();
    let writer = Writer::new(&mut request, Class::Request, Method::ALLOCATE, TransactionId([7; 12]));
    writer.with(&RequestedTransport::UDP).finish();
    socket.send_to(&request, server).unwrap();
    let mut answer = vec![0; 200];
    let length = socket.recv(&mut answer).ok()?;
    assert!(length <= 2 * request.len(), "{length} octets for {}", request.len());
    answer.truncate(length);
    Some(answer)
}

/// The memory that a process takes up, in octets.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn twenty_thousand_strangers_leave_nothing_behind() {
    let mut house = House::of(env!("CARGO_BIN_EXE_parlour")).start();
    let server = SocketAddr::from(([127, 0, 0, 1], house.port("turn.udp")));
    let process = house.server().id();
    for number in CROWD..CROWD + 1000 {
        allocate(server, number);
    }
    let before = resident(process);
    let mut nonces = std::collections::HashSet::new();
    for number in 0..CROWD {
        let answer = allocate(server, number).unwrap();
        let Nonce(nonce) = Message::parse(&answer).unwrap().get().unwrap().unwrap();
        nonces.insert(nonce.to_owned());
    }
    let growth = resident(process).saturating_sub(before);
    assert!(growth <= GROWTH, "{growth} octets more after {CROWD} strangers");
    assert!(nonces.len() > CROWD as usize * 99 / 100, "each has a nonce of its own");
    crate::expect_counter(&house, "turn.allocations", 0);
}

#[test]
fn one_source_is_answered_so_often_and_then_not_at_all() {
    let house = House::of(env!("CARGO_BIN_EXE_parlour")).set("turn", "limits", "{ strangers = 40 }").start();
    let server = SocketAddr::from(([127, 0, 0, 1], house.port("turn.udp")));
    let socket = UdpSocket::bind("127.1.2.3:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    for _ in 0..1000 {
        socket.send_to(&crate::client::binding(TransactionId([7; 12])), server).unwrap();
    }
    let answers = std::iter::from_fn(|| socket.recv(&mut [0; 100]).ok()).take(1000).count();
    assert!((20..=100).contains(&answers), "{answers} answers");
    assert!(allocate(server, 1).is_some(), "another source notices nothing");
    std::thread::sleep(Duration::from_millis(200));
    socket.send_to(&crate::client::binding(TransactionId([7; 12])), server).unwrap();
    assert_eq!(socket.recv(&mut [0; 100]).unwrap(), 32, "and it is answered again after a while");
}
