//! The book of strangers with time that is told.

use super::*;
use std::net::IpAddr;
use wire::{ConnectionId, Flow, SocketId, Transport, WorkerId};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn rules(rate: u32, burst: u32) -> BansPlan {
    let trusted = vec![Network { address: "192.0.2.128".parse().expect("valid"), prefix: 25 }];
    BansPlan {
        attempts: 20,
        window: 60 * SECOND,
        time: 600 * SECOND,
        longest: DAY,
        account: 100,
        rate,
        burst,
        trusted,
    }
}

fn door(book: &Arc<Book>, rate: u32, burst: u32) -> Door {
    Door::new(Arc::clone(book), &rules(rate, burst), DAY)
}

fn arrival(peer: &str, transport: Transport) -> Arrival {
    let (peer, local): (SocketAddr, IpAddr) =
        (peer.parse().expect("valid"), "192.0.2.1".parse().expect("valid"));
    let flow = match transport {
        Transport::Udp => Flow::Datagram { socket: SocketId(1), local, peer },
        _ => Flow::Stream(ConnectionId { worker: WorkerId(0), slot: 1, generation: 1 }),
    };
    Arrival { flow, transport, local: SocketAddr::new(local, 5060), peer }
}

/// How many of ten thousand requests at one moment are taken.
fn burst(door: &Door, now: Instant, peer: &str, transport: Transport) -> usize {
    let arrival = arrival(peer, transport);
    (0..10_000).filter(|_| Strangers::takes(door, now, &arrival)).count()
}

fn datagrams(door: &Door, now: Instant, peer: &str) -> usize {
    burst(door, now, peer, Transport::Udp)
}

#[test]
fn a_burst_and_then_a_rate_for_each_source() {
    let book = Arc::<Book>::default();
    let (door, now) = (door(&book, 100, 1000), book.since);
    assert_eq!(datagrams(&door, now, "198.51.100.1:5060"), 1000);
    assert!(!door.has_room(now, &arrival("198.51.100.1:6060", Transport::Udp)));
    assert_eq!(datagrams(&door, now, "198.51.100.1:6060"), 0, "whatever its port");
    assert_eq!(burst(&door, now, "198.51.100.1:5060", Transport::Tcp), 1000, "streams are nobody's to forge");
    assert_eq!(burst(&door, now, "198.51.100.1:5060", Transport::Wss), 0, "but alike");
    assert_eq!(datagrams(&door, now, "198.51.100.2:5060"), 1000, "another source");
    assert_eq!(datagrams(&door, now + SECOND, "198.51.100.1:5060"), 100);
    assert_eq!(datagrams(&door, now + 60 * SECOND, "198.51.100.1:5060"), 1000);
    let refused = arrival("198.51.100.1:5060", Transport::Udp);
    assert!(door.has_room(now + 62 * SECOND, &refused) && door.has_room(now + 62 * SECOND, &refused));
}

#[test]
fn a_network_of_ipv6_is_one_source() {
    let book = Arc::<Book>::default();
    let (door, now) = (door(&book, 10, 20), book.since);
    assert_eq!(datagrams(&door, now, "[2001:db8::1]:5060"), 20);
    assert_eq!(datagrams(&door, now, "[2001:db8::2]:5060"), 0);
    assert_eq!(datagrams(&door, now, "[2001:db8:0:1::1]:5060"), 20);
}

#[test]
fn who_proves_something_gets_back_what_it_took() {
    let book = Arc::<Book>::default();
    let (door, now) = (door(&book, 1, 10), book.since);
    // An office: each telephone asks, is challenged, and proves itself.
    for port in 1000..6000 {
        let phone = arrival(&format!("198.51.100.1:{port}"), Transport::Udp);
        assert!(Strangers::takes(&door, now, &phone) && Strangers::takes(&door, now, &phone), "{port}");
        door.have_proven(now, &phone, true);
    }
    assert_eq!(datagrams(&door, now, "198.51.100.1:999"), 10, "and no more than it may have");
}

#[test]
fn a_flow_that_a_registration_came_by_has_a_budget_of_its_own() {
    let book = Arc::<Book>::default();
    let (door, now) = (door(&book, 1, 10), book.since);
    let phone = arrival("198.51.100.1:5060", Transport::Udp);
    door.have_proven(now, &arrival("198.51.100.1:7070", Transport::Udp), false);
    door.have_proven(now, &phone, true);
    assert_eq!(datagrams(&door, now, "198.51.100.1:4444"), 10, "a flood in its name");
    assert_eq!(datagrams(&door, now, "198.51.100.1:7070"), 0, "a call is no registration");
    assert!(door.has_room(now, &phone));
    assert_eq!(datagrams(&door, now, "198.51.100.1:5060"), 10);
    let later = now + DAY + SECOND;
    assert_eq!(datagrams(&door, later, "198.51.100.1:4444"), 10);
    assert_eq!(datagrams(&door, later, "198.51.100.1:5060"), 0, "forgotten with the registration");
}

#[test]
fn workers_count_together_and_a_reload_changes_the_rate_alone() {
    let book = Arc::<Book>::default();
    let (one, other, now) = (door(&book, 1, 10), door(&book, 1, 10), book.since);
    assert_eq!(datagrams(&one, now, "198.51.100.1:5060"), 10);
    assert_eq!(datagrams(&other, now, "198.51.100.1:5060"), 0);
    assert_eq!(datagrams(&door(&book, 1, 15), now, "198.51.100.1:5060"), 5);
    assert_eq!(datagrams(&door(&book, 0, 1), now, "198.51.100.1:5060"), 10_000, "no limit");
}

#[test]
fn whom_the_plan_trusts_may_ask_for_anything() {
    let book = Arc::<Book>::default();
    let (door, now) = (door(&book, 1, 10), book.since);
    assert_eq!(datagrams(&door, now, "192.0.2.200:5060"), 10_000);
    assert_eq!(datagrams(&door, now, "[::ffff:192.0.2.200]:5060"), 10_000);
    assert_eq!(datagrams(&door, now, "192.0.2.100:5060"), 10);
}

#[test]
fn any_number_of_sources_takes_no_more_room() {
    let book = Arc::<Book>::default();
    let (door, now) = (door(&book, 1, 1), book.since);
    let taken = (0..1_000_000_u32).filter(|number| {
        let peer = SocketAddr::new(IpAddr::from(number.to_be_bytes()), 5060);
        door.takes(now, peer, false)
    });
    let taken = taken.count();
    assert!((ROWS * 9 / 10..=ROWS).contains(&taken), "{taken}");
}
