//! What an administrator sees and does: pages of sessions, one in detail, the end of some, what is counted.

use crate::bench::{Bench, channel, config, lifetime, peer_address, stream_user, user};
use std::time::Duration;
use stun::Method;
use turn::{Config, End, Input, Output, Page, Pick, Quota, SessionId, Survey, Traffic};
use wire::{Flow, Machine, WorkerId};

const PEER: &str = "203.0.113.7:4000";
const ALL: Page = Page { from: 0, places: 100, most: 100 };

fn id(number: u64) -> SessionId {
    SessionId { worker: WorkerId(0), number }
}

/// Five sessions: four of roland and one of joe, over UDP but for the last.
fn five() -> Bench {
    let quota = Quota { user: 9, domain: 9, total: 9 };
    let mut bench = Bench::with(Config { quota, ..config() });
    for (name, port) in [("roland", 1), ("joe", 2), ("roland", 3), ("roland", 4)] {
        bench.allocated_for(user(name, &format!("192.0.2.1:{port}")));
    }
    bench.allocated_for(stream_user("roland", "192.0.2.1:5"));
    bench
}

fn numbers(bench: &Bench, pick: &Pick, page: Page) -> (Vec<u64>, Option<u32>) {
    let found = bench.server.page(pick, page);
    (found.found.iter().map(|session| session.id.number).collect(), found.next)
}

#[test]
fn sessions_page_by_page() {
    let bench = five();
    let page = |from, places, most| Page { from, places, most };
    assert_eq!(numbers(&bench, &Pick::All, ALL), (vec![1, 2, 3, 4, 5], None));
    assert_eq!(numbers(&bench, &Pick::All, page(0, 3, 100)), (vec![1, 2, 3], Some(3)));
    assert_eq!(numbers(&bench, &Pick::All, page(3, 3, 100)), (vec![4, 5], None));
    assert_eq!(numbers(&bench, &Pick::All, page(0, 100, 2)), (vec![1, 2], Some(2)));
    assert_eq!(numbers(&bench, &Pick::All, page(0, 100, 5)), (vec![1, 2, 3, 4, 5], None));
    assert_eq!(numbers(&bench, &Pick::All, page(u32::MAX, u32::MAX, 5)), (vec![], None));
    let roland = Pick::User("roland@falcot.com".parse().unwrap());
    assert_eq!(numbers(&bench, &roland, page(0, 100, 2)), (vec![1, 3], Some(3)));
    assert_eq!(numbers(&bench, &roland, page(3, 100, 2)), (vec![4, 5], None));
    assert_eq!(numbers(&bench, &Pick::One(id(2)), ALL), (vec![2], None));
    let elsewhere = SessionId { worker: WorkerId(1), number: 2 };
    assert_eq!(numbers(&bench, &Pick::One(elsewhere), ALL), (vec![], None));
}

#[test]
fn one_in_detail() {
    let mut bench = Bench::new();
    let roland = bench.allocated("roland", "192.0.2.1:5000");
    bench.permit(&roland, &["203.0.113.9:1"]);
    bench.ask(&roland, Method::CHANNEL_BIND, &[channel(0x4001), peer_address(PEER)]);
    bench.message(roland.client, b"\x40\x01\0\x05hello");
    let found = bench.server.details(bench.now, &Pick::One(id(1)), ALL).found;
    let detail = &found[0];
    assert_eq!(detail.session.traffic.sent_bytes, 5);
    assert_eq!((detail.session.permissions, detail.session.channels), (2, 1));
    let minutes = |n: u64| bench.now + Duration::from_secs(60 * n);
    let peer = |text: &str| text.parse().unwrap();
    assert_eq!(detail.permissions, [(peer("203.0.113.7"), minutes(5)), (peer("203.0.113.9"), minutes(5))]);
    let (number, to, until) = detail.channels[0];
    assert_eq!((number.0, to, until), (0x4001, PEER.parse().unwrap(), minutes(10)));
    bench.after(301);
    let found = bench.server.details(bench.now, &Pick::One(id(1)), ALL).found;
    assert!(found[0].permissions.is_empty() && found[0].channels.len() == 1, "what has ended is not shown");
}

/// Every allocation that has ended since, and why.
fn ends(bench: &mut Bench) -> Vec<(u64, End)> {
    let mut ends = vec![];
    while let Some(output) = bench.server.poll() {
        if let Output::Ended(session, end) = output {
            ends.push((session.id.number, end));
        }
    }
    ends
}

#[test]
fn an_administrator_ends_sessions() {
    let mut bench = five();
    let roland = Pick::User("roland@falcot.com".parse().unwrap());
    let found = bench.server.disconnect(&roland, Page { from: 0, places: 3, most: 100 });
    assert_eq!((found.found.len(), found.next), (2, Some(3)));
    assert_eq!(ends(&mut bench), [(1, End::Disconnected), (3, End::Disconnected)]);
    assert_eq!(bench.server.disconnect(&Pick::One(id(2)), ALL).found.len(), 1);
    assert_eq!(ends(&mut bench), [(2, End::Disconnected)]);
    assert_eq!(numbers(&bench, &Pick::All, ALL).0, [4, 5]);
    assert_eq!(bench.server.disconnect(&Pick::One(id(2)), ALL).found, []);
}

#[test]
fn why_sessions_end() {
    let mut bench = five();
    let now = bench.now;
    let Flow::Stream(connection) = bench.server.page(&Pick::One(id(5)), ALL).found[0].client.flow else {
        panic!("the fifth is a stream")
    };
    bench.server.handle(now, Input::Closed(connection));
    assert_eq!(ends(&mut bench), [(5, End::Lost)]);
    bench.server.tick(now + Duration::from_secs(600));
    let expired = [1, 2, 3, 4].map(|number| (number, End::Expired));
    assert_eq!(ends(&mut bench), expired);
    let joe = bench.allocated("joe", "192.0.2.9:1");
    let request = bench.signed(&joe, Method::REFRESH, &[lifetime(0)]);
    bench.server.handle(now, Input::Message { client: joe.client, bytes: &request });
    assert_eq!(ends(&mut bench), [(6, End::Released)]);
    assert_eq!(End::Released.to_string(), "released");
}

#[test]
fn what_is_counted_only_grows() {
    let mut bench = five();
    let roland = bench.allocated("roland", "192.0.2.77:5000");
    bench.bind_channel(&roland, 0x4000, PEER);
    let send = |bench: &mut Bench| drop(bench.message(roland.client, b"\x40\0\0\x05hello"));
    send(&mut bench);
    assert_eq!(bench.server.traffic(), Traffic::default(), "nothing has been counted yet");
    let (mut survey, next) = bench.server.survey(Page { places: 4, ..ALL });
    assert_eq!((survey, next), (Survey { udp: 4, ..Survey::default() }, Some(4)));
    let (rest, next) = bench.server.survey(Page { from: 4, ..ALL });
    survey.merge(rest);
    assert_eq!((survey, next), (Survey { udp: 5, tcp: 1, ..Survey::default() }, None));
    let sent = |packets| Traffic { sent_packets: packets, sent_bytes: 5 * packets, ..Traffic::default() };
    assert_eq!(bench.server.traffic(), sent(1));
    bench.server.survey(ALL);
    assert_eq!(bench.server.traffic(), sent(1), "nothing is counted twice");
    send(&mut bench);
    bench.server.disconnect(&Pick::All, ALL);
    assert_eq!(bench.server.traffic(), sent(2));
    bench.server.survey(ALL);
    assert_eq!(bench.server.traffic(), sent(2));
}
