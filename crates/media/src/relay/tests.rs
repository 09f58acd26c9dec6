//! Calls through a relay whose sockets are numbers.

mod restart;

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use wire::WorkerId;

const OUR4: &str = "203.0.113.1";
const OUR6: &str = "2001:db8::1";
/// The caller, behind a NAT; the called one, who is not.
const CALLER: &str = "198.51.100.7";
const CALLED: &str = "198.51.100.9";
/// Whose calls they are.
const JOE: Seat = 7;
/// A receiver report.
const RTCP: &[u8] = &[0x81, 201, 0, 7];

/// Sockets that are numbers.
#[derive(Default)]
struct Fake {
    bound: BTreeMap<u32, SocketAddr>,
    next: u32,
    taken: BTreeSet<u16>,
    seats: BTreeMap<Seat, u32>,
    most_seats: u32,
}

impl Hands for Fake {
    fn bind(&mut self, local: SocketAddr) -> Result<SocketId, Unbound> {
        let ours = [OUR4, OUR6, "10.0.0.1"].contains(&local.ip().to_string().as_str());
        match ours {
            true if self.taken.contains(&local.port()) => Err(Unbound::InUse),
            true => {
                self.next += 1;
                self.bound.insert(self.next, local);
                Ok(SocketId(self.next))
            }
            false => Err(Unbound::Failed),
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.bound.remove(&socket.0).expect("closed once");
    }

    fn take_seat(&mut self, seat: Seat) -> bool {
        let seats = self.seats.entry(seat).or_default();
        let has = *seats < self.most_seats;
        *seats += u32::from(has);
        has
    }

    fn give_seat(&mut self, seat: Seat) {
        *self.seats.get_mut(&seat).expect("taken") -= 1;
    }
}

fn config() -> Config {
    let place = |ip: &str| Place { bind: ip.parse().expect("valid"), public: ip.parse().expect("valid") };
    Config {
        places: vec![place(OUR4), place(OUR6)],
        listed: true,
        ports: 30_000..=30_999,
        share: (0, 1),
        guard: Guard {
            own: [OUR4, OUR6, "10.0.0.1"].map(|ip| ip.parse().expect("valid")).into(),
            listeners: vec![5060],
            relays: 49_152..=65_535,
        },
        silence: Duration::from_secs(60),
        hold: Duration::from_secs(3600),
        hold_with_rtcp: Duration::from_secs(4 * 3600),
        ringing: Duration::from_secs(300),
    }
}

struct Scene {
    relay: Relay,
    fake: Fake,
    now: Instant,
}

fn end(tag: &str, source: &str) -> End {
    End { tag: tag.as_bytes().into(), source: source.parse().ok(), local: None }
}

fn branch(index: u32) -> Branch {
    Branch { worker: WorkerId(0), request: 7, index }
}

fn sdp(ip: &str, ports: &[u16]) -> String {
    let family = if ip.contains(':') { "IP6" } else { "IP4" };
    let media: String = ports.iter().map(|port| format!("m=audio {port} RTP/AVP 0\r\n")).collect();
    format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n{media}")
}

/// Where a description says that its media are received.
fn places(body: &[u8]) -> Vec<SocketAddr> {
    Description::read(body).expect("understood").media().iter().map(|medium| medium.rtp).collect()
}

use crate::sdp::Description;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("valid")
}

impl Scene {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: Config) -> Self {
        Self {
            relay: Relay::new(config, 0),
            fake: Fake { most_seats: 9, ..Fake::default() },
            now: testkit::start(),
        }
    }

    fn pass(&mut self, message: &Message) -> Option<Vec<u8>> {
        self.relay.pass(self.now, message, &mut self.fake)
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.relay.tick(self.now, &mut self.fake);
    }

    fn message(call: &str, index: u32, by: End, to: End, kind: Kind, body: &str) -> Message {
        let (branch, seat) = (Some(branch(index)), Some(JOE));
        Message { call: call.as_bytes().into(), branch, by, to, kind, seat, body: body.into() }
    }

    fn offer(&mut self, call: &str, index: u32, body: &str) -> Option<Vec<u8>> {
        let (by, to) = (end("a", CALLER), end("", CALLED));
        self.pass(&Self::message(call, index, by, to, Kind::Request, body))
    }

    fn answer(&mut self, call: &str, index: u32, kind: Kind, body: &str) -> Option<Vec<u8>> {
        let (by, to) = (end(&format!("b{index}"), CALLED), end("a", CALLER));
        self.pass(&Self::message(call, index, by, to, kind, body))
    }

    /// A message of a dialog that stands, from the caller or to it.
    fn within(&mut self, from_caller: bool, kind: Kind, body: &str) -> Option<Vec<u8>> {
        let (mut by, mut to) = (end("a", CALLER), end("b0", CALLED));
        if !from_caller {
            std::mem::swap(&mut by, &mut to);
        }
        let message = Message { branch: None, seat: None, ..Self::message("x", 0, by, to, kind, body) };
        self.pass(&message)
    }

    /// A call that was taken: where the called one and the caller are told to send.
    fn call(&mut self, call: &str) -> [SocketAddr; 2] {
        let to_caller = self.offer(call, 0, &sdp("192.168.1.5", &[4000])).expect("relayed");
        let to_called = self.answer(call, 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
        [places(&to_caller)[0], places(&to_called)[0]]
    }

    /// Where a packet to an address of ours goes: from which address of ours, and to whom.
    fn packet(&mut self, to: SocketAddr, from: &str) -> Option<(SocketAddr, SocketAddr)> {
        self.bytes(to, from, &[0x80, 0, 0, 1])
    }

    fn bytes(&mut self, to: SocketAddr, from: &str, bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
        let (number, _) = self.fake.bound.iter().find(|(_, local)| **local == to)?;
        let (socket, to) = self.relay.forward(self.now, SocketId(*number), at(from), bytes)?;
        Some((self.fake.bound[&socket.0], to))
    }
}

#[test]
fn a_call_from_its_offer_to_its_end() {
    let mut scene = Scene::new();
    let [at_called, at_caller] = scene.call("x");
    assert_eq!((at_called, at_caller), (at("203.0.113.1:30002"), at("203.0.113.1:30000")));
    assert_eq!(scene.fake.bound.len(), 4);
    assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), None, "the caller is not found yet");
    assert_eq!(scene.packet(at_caller, "198.51.100.7:61000"), Some((at_called, at("198.51.100.9:5000"))));
    assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), Some((at_caller, at("198.51.100.7:61000"))));
    assert_eq!(scene.packet(at_called, "192.0.2.66:5000"), None);
    let [rtcp, other] = [at("203.0.113.1:30001"), at("203.0.113.1:30003")];
    assert_eq!(scene.packet(rtcp, "198.51.100.7:61001"), Some((other, at("198.51.100.9:5001"))));
    scene.now += Duration::from_secs(9);
    scene.relay.over(b"x", b"b0", b"a", scene.now, &mut scene.fake);
    let (call, reason) = (Box::from(*b"x"), Reason::Signalled);
    let lasted = Duration::from_secs(9);
    let ended = Ended { call, reason, was_taken: true, lasted, packets: [1, 1] };
    assert_eq!(scene.relay.next_ended(), Some(ended));
    assert!(scene.fake.bound.is_empty() && scene.relay.is_empty() && scene.relay.deadline().is_none());
    assert_eq!((scene.fake.seats[&JOE], scene.relay.calls.len(), scene.relay.ways.len()), (0, 0, 0));
    assert_eq!(
        scene.relay.counts(),
        Counts { calls: 1, packets: 3, octets: 12, dropped: 2, ..Counts::default() }
    );
}

#[test]
fn ipv4_meets_ipv6() {
    let mut scene = Scene::new();
    let (by, to) = (end("a", CALLER), end("", "2001:db8:9::9"));
    let offer = Scene::message("x", 0, by, to, Kind::Request, &sdp("192.168.1.5", &[4000]));
    let at_called = places(&scene.pass(&offer).expect("relayed"))[0];
    let (by, to) = (end("b", "2001:db8:9::9"), end("a", CALLER));
    let answer = Scene::message("x", 0, by, to, Kind::Answer, &sdp("2001:db8:9::9", &[5000]));
    let at_caller = places(&scene.pass(&answer).expect("relayed"))[0];
    assert_eq!((at_called, at_caller), (at("[2001:db8::1]:30002"), at("203.0.113.1:30000")));
    let out = scene.packet(at_caller, "198.51.100.7:61000");
    assert_eq!(out, Some((at_called, at("[2001:db8:9::9]:5000"))));
    let out = scene.packet(at_called, "[2001:db8:9::9]:5000");
    assert_eq!(out, Some((at_caller, at("198.51.100.7:61000"))));
}

#[test]
fn who_lies_inside_with_us_is_told_our_address_inside() {
    let (bind, public) = ("10.0.0.1".parse().expect("valid"), OUR4.parse().expect("valid"));
    let mut scene = Scene::with(Config { places: vec![Place { bind, public }], ..config() });
    let (by, to) = (end("a", "10.0.0.5"), end("", CALLED));
    let offer = Scene::message("x", 0, by, to, Kind::Request, &sdp("10.0.0.5", &[4000]));
    assert_eq!(places(&scene.pass(&offer).expect("relayed"))[0], at("203.0.113.1:30002"));
    let (by, to) = (end("b", CALLED), end("a", "10.0.0.5"));
    let answer = Scene::message("x", 0, by, to, Kind::Answer, &sdp(CALLED, &[5000]));
    assert_eq!(places(&scene.pass(&answer).expect("relayed"))[0], at("10.0.0.1:30000"));
}

#[test]
fn an_answer_that_comes_again_changes_nothing() {
    let mut scene = Scene::new();
    let [at_called, at_caller] = scene.call("x");
    assert!(scene.packet(at_caller, "198.51.100.7:61000").is_some());
    let again = scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    assert_eq!((places(&again)[0], scene.fake.bound.len()), (at_caller, 4));
    assert!(scene.packet(at_called, "198.51.100.9:5000").is_some());
}

#[test]
fn an_offer_may_come_late() {
    let mut scene = Scene::new();
    assert_eq!(scene.offer("x", 0, ""), None);
    let to_caller = scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    let to_called = scene.within(true, Kind::Request, &sdp("192.168.1.5", &[4000])).expect("relayed");
    let [at_caller, at_called] = [places(&to_caller)[0], places(&to_called)[0]];
    assert_eq!(scene.packet(at_caller, "198.51.100.7:61000"), Some((at_called, at("198.51.100.9:5000"))));
    assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), Some((at_caller, at("198.51.100.7:61000"))));
}

#[test]
fn a_picture_joins_in_mid_call_from_either_end() {
    let mut scene = Scene::new();
    let [at_called, at_caller] = scene.call("x");
    let to_caller = scene.within(false, Kind::Request, &sdp(CALLED, &[5000, 5002])).expect("relayed");
    let to_called = scene.within(true, Kind::Answer, &sdp("192.168.1.5", &[4000, 4002])).expect("relayed");
    assert_eq!((places(&to_caller)[0], places(&to_called)[0]), (at_caller, at_called), "sound stays");
    let (second_caller, second_called) = (places(&to_caller)[1], places(&to_called)[1]);
    let out = scene.packet(second_caller, "198.51.100.7:61002");
    assert_eq!(out, Some((second_called, at("198.51.100.9:5002"))));
    let gone = scene.within(true, Kind::Request, &sdp("192.168.1.5", &[4000, 0])).expect("relayed");
    assert_eq!(places(&gone)[1].port(), 0, "refused stays refused");
    scene.relay.over(b"x", b"a", b"b0", scene.now, &mut scene.fake);
    assert!(scene.fake.bound.is_empty());
}

#[test]
fn a_phone_that_moves_is_found_again() {
    let mut scene = Scene::new();
    let [at_called, at_caller] = scene.call("x");
    scene.packet(at_caller, "198.51.100.7:61000");
    scene.now += Duration::from_secs(60);
    let (by, to) = (end("a", "192.0.2.200"), end("b0", CALLED));
    let moved = Message {
        branch: None,
        ..Scene::message("x", 0, by, to, Kind::Request, &sdp("192.168.7.7", &[4000]))
    };
    scene.pass(&moved).expect("relayed");
    assert_eq!(scene.packet(at_caller, "192.0.2.200:7000"), Some((at_called, at("198.51.100.9:5000"))));
    assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), Some((at_caller, at("192.0.2.200:7000"))));
    assert_eq!(scene.packet(at_caller, "198.51.100.7:61000"), None);
}

#[test]
fn of_a_fork_the_one_that_took_the_call_stays() {
    let mut scene = Scene::new();
    for index in 0..3 {
        scene.offer("x", index, &sdp("192.168.1.5", &[4000])).expect("relayed");
    }
    let early = scene.answer("x", 1, Kind::Response, &sdp(CALLED, &[5100])).expect("relayed");
    let taken = scene.answer("x", 2, Kind::Answer, &sdp(CALLED, &[5200])).expect("relayed");
    assert_ne!(places(&early), places(&taken));
    assert_eq!(scene.fake.bound.len(), 12);
    scene.relay.settle(b"x", branch(0), Some(2), scene.now, &mut scene.fake);
    assert_eq!((scene.relay.len(), scene.fake.bound.len()), (1, 4));
    assert!(scene.packet(places(&taken)[0], "198.51.100.7:61000").is_some());
    scene.relay.settle(b"x", Branch { request: 8, ..branch(0) }, None, scene.now, &mut scene.fake);
    assert_eq!(scene.relay.len(), 1, "that was another request");
}

#[test]
fn a_call_that_nobody_takes_leaves_nothing() {
    let mut scene = Scene::new();
    scene.offer("x", 0, &sdp("192.168.1.5", &[4000])).expect("relayed");
    scene.relay.settle(b"x", branch(0), None, scene.now, &mut scene.fake);
    assert!(scene.relay.is_empty() && scene.fake.bound.is_empty());
    assert_eq!(scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])), None, "too late");
    assert!(scene.relay.is_empty());
}

#[test]
fn silence_ends_a_call() {
    let mut scene = Scene::new();
    let [_, at_caller] = scene.call("x");
    scene.wait(59);
    assert!(scene.packet(at_caller, "198.51.100.7:61000").is_some());
    scene.wait(59);
    assert_eq!(scene.relay.len(), 1, "it was heard of since");
    scene.wait(2);
    assert_eq!(scene.relay.next_ended().map(|ended| ended.reason), Some(Reason::Silent));
    assert!(scene.fake.bound.is_empty());
}

#[test]
fn on_hold_and_while_it_rings_silence_is_longer() {
    let mut scene = Scene::new();
    scene.call("x");
    let held = sdp("192.168.1.5", &[4000]) + "a=sendonly\r\n";
    scene.within(true, Kind::Request, &held).expect("relayed");
    scene.wait(3599);
    assert_eq!(scene.relay.len(), 1);
    scene.within(true, Kind::Request, &sdp("192.168.1.5", &[4000])).expect("relayed");
    scene.wait(61);
    assert!(scene.relay.is_empty());
    scene.offer("y", 0, &sdp("192.168.1.5", &[4000])).expect("relayed");
    scene.wait(299);
    assert_eq!(scene.relay.len(), 1);
    scene.wait(1);
    assert!(scene.relay.is_empty());
}

#[test]
fn ports_and_seats_are_bounds_and_come_back() {
    let mut scene = Scene::with(Config { ports: 30_000..=30_007, ..config() });
    scene.call("x");
    scene.call("y");
    assert_eq!(scene.offer("z", 0, &sdp("192.168.1.5", &[4000])), None);
    assert_eq!((scene.relay.counts().no_ports, scene.relay.len()), (1, 2));
    scene.relay.over(b"x", b"a", b"b0", scene.now, &mut scene.fake);
    scene.offer("z", 0, &sdp("192.168.1.5", &[4000])).expect("there is room again");
    let mut scene = Scene::new();
    scene.fake.most_seats = 2;
    scene.call("x");
    scene.call("y");
    assert_eq!(scene.offer("z", 0, &sdp("192.168.1.5", &[4000])), None);
    assert_eq!((scene.relay.counts().no_seat, scene.relay.len()), (1, 2));
}

#[test]
fn what_has_no_ports_left_passes_beside_what_is_relayed() {
    let mut scene = Scene::with(Config { ports: 30_000..=30_003, ..config() });
    let [at_called, _] = scene.call("x");
    let more = scene.within(true, Kind::Request, &sdp("192.168.1.5", &[4000, 4002])).expect("relayed");
    assert_eq!(places(&more), [at_called, at("192.168.1.5:4002")]);
}

#[test]
fn a_port_that_another_program_has_is_passed_over() {
    let mut scene = Scene::new();
    scene.fake.taken = BTreeSet::from([30_000, 30_005]);
    let [at_called, at_caller] = scene.call("x");
    assert_eq!((at_caller.port(), at_called.port()), (30_002, 30_006));
    assert_eq!(scene.fake.bound.len(), 4);
}

#[test]
fn what_is_not_for_a_relay_takes_nothing() {
    let mut scene = Scene::new();
    let ice = sdp("192.168.1.5", &[4000]) + "a=ice-ufrag:x\r\n";
    let tcp = "v=0\r\nc=IN IP4 192.168.1.5\r\nm=message 7 TCP/MSRP *\r\n";
    for body in [&ice, "nonsense", tcp] {
        assert_eq!(scene.offer("x", 0, body), None, "{body}");
        scene.relay.settle(b"x", branch(0), None, scene.now, &mut scene.fake);
    }
    assert_eq!(scene.answer("y", 0, Kind::Answer, &sdp(CALLED, &[5000])), None);
    assert_eq!(scene.within(true, Kind::Response, &sdp(CALLED, &[5000])), None);
    assert!(scene.relay.is_empty() && scene.fake.bound.is_empty());
}

#[test]
fn nothing_goes_round() {
    let mut scene = Scene::new();
    let [_, at_caller] = scene.call("x");
    // Whoever names a port of ours is relayed there already.
    assert_eq!(scene.offer("y", 0, &sdp(OUR4, &[at_caller.port()])), None);
    let mut scene = Scene::new();
    let (by, to) = (end("a", OUR4), end("", CALLED));
    let offer = Scene::message("x", 0, by, to, Kind::Request, &sdp("192.168.1.5", &[4000]));
    scene.pass(&offer).expect("relayed");
    scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    assert_eq!(scene.packet(at("203.0.113.1:30000"), "203.0.113.1:30002"), None);
    assert!(scene.packet(at("203.0.113.1:30000"), "203.0.113.1:50000").is_some(), "a TURN relay of ours may");
}

#[test]
fn fax_has_no_rtcp() {
    let mut scene = Scene::new();
    let fax = "v=0\r\nc=IN IP4 192.168.1.5\r\nt=0 0\r\nm=image 4000 udptl t38\r\n";
    scene.offer("x", 0, fax).expect("relayed");
    assert_eq!(scene.fake.bound.len(), 2);
}

#[test]
fn bundled_media_go_by_one_port() {
    let mut scene = Scene::new();
    scene.offer("x", 0, &sdp("192.168.1.5", &[4000, 4002])).expect("relayed");
    let answer = scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000, 5000])).expect("relayed");
    assert_eq!(places(&answer)[0], places(&answer)[1]);
    assert_eq!(
        scene.packet(places(&answer)[0], "198.51.100.7:61000").map(|(_, to)| to),
        Some(at("198.51.100.9:5000"))
    );
}

#[test]
fn after_a_restart_a_call_is_relayed_anew() {
    let mut scene = Scene::new();
    let to_called = scene.within(true, Kind::Request, &sdp("192.168.1.5", &[4000])).expect("relayed");
    let to_caller = scene.within(false, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    let out = scene.packet(places(&to_caller)[0], "198.51.100.7:61000");
    assert_eq!(out, Some((places(&to_called)[0], at("198.51.100.9:5000"))));
}

#[test]
fn who_invents_dialogs_of_a_call_holds_few_ports_and_not_for_long() {
    let mut scene = Scene::new();
    scene.call("x");
    let held = sdp("192.168.1.5", &[4000]) + "a=inactive\r\n";
    for n in 0..50 {
        let (by, to) = (end(&format!("m{n}"), CALLER), end(&format!("n{n}"), CALLED));
        let message = Scene::message("x", 0, by, to, Kind::Request, &held);
        scene.pass(&Message { branch: None, seat: None, ..message });
    }
    assert_eq!(scene.relay.len(), 5);
    scene.wait(60);
    assert!(scene.relay.is_empty() && scene.fake.bound.is_empty(), "nobody has answered");
    scene.within(true, Kind::Request, &held).expect("relayed");
    scene.within(false, Kind::Answer, &held).expect("relayed");
    scene.wait(3000);
    assert_eq!(scene.relay.len(), 1, "somebody has: it is on hold");
}

#[test]
fn other_ports_are_for_new_calls() {
    let mut scene = Scene::new();
    let [_, before] = scene.call("x");
    scene.relay.set_config(Config { ports: 30_000..=30_005, ..config() });
    let first = scene.offer("y", 0, &sdp("192.168.1.5", &[4000]));
    assert_eq!(first, None, "one pair is left beside those of the first call");
    assert!(scene.packet(before, "198.51.100.7:61000").is_some());
    scene.relay.over(b"x", b"a", b"b0", scene.now, &mut scene.fake);
    scene.call("z");
}

#[test]
fn a_packet_allocates_nothing() {
    let mut scene = Scene::new();
    let [_, at_caller] = scene.call("x");
    scene.packet(at_caller, "198.51.100.7:61000");
    let socket = scene.fake.bound.iter().find(|(_, local)| **local == at_caller).map(|(n, _)| SocketId(*n));
    let (socket, from, now) = (socket.expect("bound"), at("198.51.100.7:61000"), scene.now);
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert!(scene.relay.forward(now, socket, from, &[0x80; 160]).is_some());
            assert!(scene.relay.forward(now, socket, at("192.0.2.66:9"), &[0x80; 160]).is_none());
        }
    });
    assert_eq!(counted.count_total, 0);
}

/// RTCP, be it at its own port or beside RTP, says that somebody's telephone runs, not that anybody speaks.
#[test]
fn rtcp_alone_keeps_no_call() {
    for rtcp_port in [61_001, 61_000] {
        let mut scene = Scene::new();
        let [_, at_caller] = scene.call("x");
        assert!(scene.packet(at_caller, "198.51.100.7:61000").is_some());
        let at = if rtcp_port == 61_001 {
            SocketAddr::new(at_caller.ip(), at_caller.port() + 1)
        } else {
            at_caller
        };
        let from = format!("198.51.100.7:{rtcp_port}");
        for _ in 0..5 {
            scene.wait(10);
            scene.bytes(at, &from, RTCP);
        }
        assert_eq!(scene.relay.len(), 1);
        scene.wait(10);
        assert!(scene.relay.is_empty() && scene.fake.bound.is_empty(), "{rtcp_port}");
        assert_eq!(scene.relay.next_ended().map(|ended| ended.reason), Some(Reason::Silent));
    }
}

#[test]
fn on_hold_rtcp_keeps_a_call_for_longer_but_not_for_ever() {
    for (beats, expected) in [(0, 3600), (1, 3600 + 600), (100, 4 * 3600)] {
        let mut scene = Scene::new();
        let [_, at_caller] = scene.call("x");
        scene.packet(at_caller, "198.51.100.7:61000");
        let rtcp = SocketAddr::new(at_caller.ip(), at_caller.port() + 1);
        let held = sdp("192.168.1.5", &[4000]) + "a=inactive\r\n";
        scene.within(true, Kind::Request, &held).expect("relayed");
        let start = scene.now;
        for _ in 0..beats {
            scene.wait(600);
            scene.bytes(rtcp, "198.51.100.7:61001", RTCP);
        }
        while !scene.relay.is_empty() {
            scene.wait(60);
        }
        assert_eq!((scene.now - start).as_secs(), expected.max(beats * 600), "{beats}");
        let lasted = scene.relay.next_ended().map(|ended| ended.lasted.as_secs());
        assert_eq!(lasted, Some(expected), "{beats}");
    }
}

/// Who only listens moves: to a public address that its new description names, or behind another NAT, where RTCP tells.
#[test]
fn who_only_listens_is_found_again_when_it_moves() {
    let deaf = "a=recvonly\r\n";
    let moves = |scene: &mut Scene, source: &str, named: &str| {
        scene.now += Duration::from_secs(20);
        let (by, to) = (end("a", source), end("b0", CALLED));
        let message = Scene::message("x", 0, by, to, Kind::Request, &(sdp(named, &[7000]) + deaf));
        scene.pass(&Message { branch: None, ..message }).expect("relayed");
    };
    let mut scene = Scene::new();
    let [at_called, at_caller] = scene.call("x");
    scene.packet(at_caller, "198.51.100.7:61000");
    moves(&mut scene, "192.0.2.200", "192.0.2.200");
    assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), Some((at_caller, at("192.0.2.200:7000"))));
    moves(&mut scene, "192.0.2.210", "192.168.7.7");
    assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), None, "nowhere that is known");
    let rtcp = SocketAddr::new(at_caller.ip(), at_caller.port() + 1);
    for (stranger, heard) in [("192.0.2.66:50001", false), ("192.0.2.210:50001", true)] {
        assert_eq!(scene.bytes(rtcp, stranger, RTCP).is_some(), heard, "{stranger}");
        let expected = heard.then(|| (at_caller, at("192.0.2.210:50000")));
        assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), expected);
    }
}

/// Whatever descriptions and packets say, nothing is sent to what listens on this host, nor further inside than whoever says so is.
#[test]
fn the_relay_is_aimed_at_nothing_of_ours() {
    for named in [(OUR4, 5060), (OUR4, 53), ("127.0.0.1", 25), ("10.0.0.1", 5060), ("10.0.0.5", 80)] {
        let mut scene = Scene::new();
        let (ip, port) = named;
        scene.offer("x", 0, &sdp(ip, &[port])).expect("relayed");
        let answer = scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
        let at_called = at("203.0.113.1:30002");
        assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), None, "{named:?}");
        // Nor does it become true by a packet that says to be from there.
        let at_caller = places(&answer)[0];
        for _ in 0..20 {
            scene.now += Duration::from_millis(20);
            assert_eq!(scene.packet(at_caller, &format!("{ip}:{port}")), None, "{named:?}");
        }
        assert_eq!(scene.packet(at_called, "198.51.100.9:5000"), None, "{named:?}");
        assert!(scene.packet(at_caller, "198.51.100.7:61000").is_some(), "the caller itself is found");
    }
    let mut scene = Scene::new();
    let group = sdp("198.51.100.7", &[4000]) + "a=rtcp:4001 IN IP4 224.0.1.75\r\n";
    scene.offer("x", 0, &group).expect("relayed");
    scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    assert_eq!(scene.packet(at("203.0.113.1:30003"), "198.51.100.9:5001"), None);
    let mut scene = Scene::new();
    scene.offer("x", 0, &sdp(OUR4, &[50_000])).expect("relayed");
    scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    let out = scene.packet(at("203.0.113.1:30002"), "198.51.100.9:5000");
    assert_eq!(
        out,
        Some((at("203.0.113.1:30000"), at("203.0.113.1:50000"))),
        "a TURN relay of ours may be one's place"
    );
}
