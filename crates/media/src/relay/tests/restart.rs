//! Calls that go on after a restart of the server.

use super::*;
use crate::relay::{Changes, Kept, Number};
use rustc_hash::FxHashSet;
use wire::Epoch;

/// What somebody keeps for the relay.
#[derive(Default)]
struct Shelf(BTreeMap<Number, Vec<u8>>, Option<Epoch>);

impl Shelf {
    /// Takes in what has changed; of how many calls.
    fn keep(&mut self, scene: &mut Scene) -> usize {
        let epoch = *self.1.get_or_insert_with(|| testkit::epoch(scene.now));
        let Changes { kept, gone } = scene.relay.changes(&epoch, usize::MAX);
        let count = kept.len() + gone.len();
        self.0.extend(kept.iter().map(|(number, kept)| (*number, kept.write())));
        gone.iter().for_each(|number| drop(self.0.remove(number)));
        assert_eq!((scene.relay.unkept(), scene.relay.kept()), (0, self.0.len()));
        count
    }

    /// The server that comes after that one; how many of its calls are not relayed again.
    fn restart(&self, before: &Scene, config: Config, lent: &[u16]) -> (Scene, usize) {
        let mut scene = Scene::with(config);
        scene.now = before.now + Duration::from_secs(5);
        scene.fake.taken = before.fake.taken.clone();
        let epoch = self.1.expect("it has kept something");
        let read = |octets: &[u8]| Kept::read(octets).expect("as it was written");
        let calls: Vec<_> = self.0.iter().map(|(number, octets)| (*number, read(octets))).collect();
        scene.relay.next = calls.last().map_or(0, |(number, _)| number + 1);
        let lent: FxHashSet<u16> = lent.iter().copied().collect();
        let lost = scene.relay.restore((scene.now, &epoch), calls, &lent, &mut scene.fake);
        (scene, lost)
    }
}

/// A call in which both were heard, at its own ports and at those of RTCP.
fn heard(scene: &mut Scene) -> [SocketAddr; 2] {
    let [at_called, at_caller] = scene.call("x");
    for (to, from) in [(at_caller, "198.51.100.7:61000"), (at_called, "198.51.100.9:5000")] {
        assert!(scene.packet(to, from).is_some());
    }
    let rtcp = SocketAddr::new(at_caller.ip(), at_caller.port() + 1);
    assert!(scene.bytes(rtcp, "198.51.100.7:61009", RTCP).is_some());
    [at_called, at_caller]
}

#[test]
fn both_ends_hear_one_another_at_once_whoever_speaks_first() {
    let mut shelf = Shelf::default();
    let mut before = Scene::new();
    let [at_called, at_caller] = heard(&mut before);
    shelf.keep(&mut before);
    let (mut after, lost) = shelf.restart(&before, config(), &[]);
    assert_eq!((lost, after.relay.len(), after.relay.kept(), after.relay.unkept()), (0, 1, 1, 0));
    assert_eq!(after.packet(at_called, "198.51.100.9:5000"), Some((at_caller, at("198.51.100.7:61000"))));
    assert_eq!(after.packet(at_caller, "198.51.100.7:61000"), Some((at_called, at("198.51.100.9:5000"))));
    let rtcp = |at: SocketAddr| SocketAddr::new(at.ip(), at.port() + 1);
    let out = after.bytes(rtcp(at_called), "198.51.100.9:5001", RTCP);
    assert_eq!(out, Some((rtcp(at_caller), at("198.51.100.7:61009"))));
    for thief in ["192.0.2.66:5000", "198.51.100.7:61002"] {
        for _ in 0..50 {
            after.now += Duration::from_millis(20);
            assert!(after.packet(at_caller, "198.51.100.7:61000").is_some());
            assert_eq!(after.packet(at_caller, thief), None);
        }
    }
    // A telephone whose NAT has forgotten it meanwhile.
    after.now += Duration::from_secs(6);
    assert!(after.packet(at_caller, "198.51.100.7:62000").is_some());
}

#[test]
fn what_comes_after_a_restart_is_of_the_same_call() {
    let (mut shelf, mut before) = (Shelf::default(), Scene::new());
    let [at_called, at_caller] = heard(&mut before);
    shelf.keep(&mut before);
    let (mut after, _) = shelf.restart(&before, config(), &[]);
    assert_eq!(after.fake.seats[&JOE], 1);
    let to_called = after.within(true, Kind::Request, &sdp("192.168.1.5", &[4000])).expect("relayed");
    let to_caller = after.within(false, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    assert_eq!([places(&to_called)[0], places(&to_caller)[0]], [at_called, at_caller]);
    assert_eq!(after.relay.len(), 1);
    // Its ports are nobody else's, and its number neither.
    let [other, _] = after.call("y");
    assert_ne!(other.port(), at_called.port());
    after.now += Duration::from_secs(5);
    after.relay.over(b"x", b"b0", b"a", after.now, &mut after.fake);
    let ended = after.relay.next_ended().expect("over");
    assert_eq!((ended.was_taken, ended.lasted.as_secs()), (true, 10), "it began before the restart");
    assert_eq!((after.fake.bound.len(), after.fake.seats[&JOE], after.relay.unkept()), (4, 1, 2));
    shelf.keep(&mut after);
    assert_eq!(shelf.0.len(), 1);
    after.relay.over(b"y", b"b0", b"a", after.now, &mut after.fake);
    shelf.keep(&mut after);
    assert!(shelf.0.is_empty() && after.fake.bound.is_empty() && after.relay.ports.len() == 500);
}

#[test]
fn what_is_kept_is_told_once_and_packets_tell_nothing() {
    let (mut shelf, mut scene) = (Shelf::default(), Scene::new());
    scene.offer("x", 0, &sdp("192.168.1.5", &[4000])).expect("relayed");
    scene.answer("x", 0, Kind::Response, &sdp(CALLED, &[5000])).expect("relayed");
    assert_eq!(shelf.keep(&mut scene), 0, "nobody has taken it");
    let body = scene.answer("x", 0, Kind::Answer, &sdp(CALLED, &[5000])).expect("relayed");
    assert_eq!((shelf.keep(&mut scene), shelf.keep(&mut scene)), (1, 0));
    let at_caller = places(&body)[0];
    for changes in [1, 0, 0] {
        assert!(scene.packet(at_caller, "198.51.100.7:61000").is_some());
        assert_eq!(scene.packet(at_caller, "192.0.2.66:61000"), None);
        assert_eq!(shelf.keep(&mut scene), changes, "who was found has to be kept");
    }
    let epoch = testkit::epoch(scene.now);
    scene.within(true, Kind::Request, &sdp("192.168.1.5", &[4000])).expect("relayed");
    let numbers: Vec<Number> = scene.relay.changes(&epoch, 9).numbers().collect();
    scene.relay.change_again(numbers);
    assert_eq!(shelf.keep(&mut scene), 1, "it could not be kept");
    scene.wait(60);
    assert_eq!((shelf.keep(&mut scene), shelf.0.len()), (1, 0));
    scene.call("y");
    scene.relay.over(b"y", b"b0", b"a", scene.now, &mut scene.fake);
    assert_eq!(shelf.keep(&mut scene), 0, "it was over before anybody kept it");
}

#[test]
fn so_many_are_told_at_a_time() {
    let (mut shelf, mut scene) = (Shelf::default(), Scene::new());
    for call in ["x", "y", "z"] {
        scene.call(call);
    }
    let epoch = testkit::epoch(scene.now);
    assert_eq!(scene.relay.changes(&epoch, 2).numbers().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(scene.relay.unkept(), 1);
    scene.relay.change_again([0, 1]);
    assert_eq!(shelf.keep(&mut scene), 3);
}

#[test]
fn a_call_whose_ports_somebody_has_is_over_and_leaves_nothing() {
    for taken in 30_000..30_008 {
        let (mut shelf, mut before) = (Shelf::default(), Scene::new());
        before.call("x");
        before.within(false, Kind::Request, &sdp(CALLED, &[5000, 5002])).expect("relayed");
        before.within(true, Kind::Answer, &sdp("192.168.1.5", &[4000, 4002])).expect("relayed");
        let [_, other] = before.call("y");
        shelf.keep(&mut before);
        before.fake.taken.insert(taken);
        let (mut after, lost) = shelf.restart(&before, config(), &[]);
        assert_eq!((lost, after.relay.len(), after.fake.bound.len()), (1, 1, 4), "{taken}");
        assert_eq!((shelf.keep(&mut after), shelf.0.len(), after.fake.seats[&JOE]), (1, 1, 1));
        assert!(after.packet(other, "198.51.100.7:61000").is_some());
        after.within(true, Kind::Request, &sdp("192.168.1.5", &[4000])).expect("relayed anew");
    }
}

#[test]
fn with_other_workers_a_call_has_its_ports_still() {
    let (mut shelf, mut before) = (Shelf::default(), Scene::new());
    before.call("x");
    shelf.keep(&mut before);
    let ports = 30_000..=30_011;
    // The call's ports are 30000 and 30002: of one worker each. It is at home with the second.
    let of = |worker| Config { ports: ports.clone(), share: (worker, 2), ..config() };
    let (mut second, lost) = shelf.restart(&before, of(1), &[]);
    assert_eq!((lost, second.relay.ports.len()), (0, 2));
    let mut first = Scene::with(of(0));
    first.relay.restore(
        (first.now, &testkit::epoch(first.now)),
        Vec::new(),
        &[30_000, 30_002].into_iter().collect(),
        &mut first.fake,
    );
    let offered: Vec<u16> = std::iter::from_fn(|| first.relay.ports.take()).collect();
    assert_eq!(offered, [30_004, 30_008, 30_000]);
    second.relay.over(b"x", b"a", b"b0", second.now, &mut second.fake);
    let offered: Vec<u16> = std::iter::from_fn(|| second.relay.ports.take()).collect();
    assert_eq!(offered, [30_006, 30_010, 30_002]);
}

#[test]
fn an_account_that_may_have_fewer_calls_now_keeps_those_that_it_has() {
    let (mut shelf, mut before) = (Shelf::default(), Scene::new());
    for call in ["x", "y"] {
        before.call(call);
    }
    shelf.keep(&mut before);
    let mut after = Scene::new();
    after.fake.most_seats = 1;
    let calls = shelf.0.iter().map(|(number, octets)| (*number, Kept::read(octets).expect("ours")));
    let at = (after.now, &testkit::epoch(after.now));
    assert_eq!(after.relay.restore(at, calls.collect(), &FxHashSet::default(), &mut after.fake), 0);
    assert_eq!(after.relay.len(), 2);
    for call in [b"x", b"y"] {
        after.relay.over(call, b"a", b"b0", after.now, &mut after.fake);
    }
    assert!(after.relay.is_empty());
}

#[test]
fn silence_ends_a_call_after_a_restart_too_and_one_on_hold_later() {
    for (more, seconds) in [("", 60), ("a=sendonly\r\n", 3600)] {
        let (mut shelf, mut before) = (Shelf::default(), Scene::new());
        before.call("x");
        before.within(true, Kind::Request, &(sdp("192.168.1.5", &[4000]) + more)).expect("relayed");
        shelf.keep(&mut before);
        let (mut after, _) = shelf.restart(&before, config(), &[]);
        after.wait(seconds - 1);
        assert_eq!(after.relay.len(), 1);
        after.wait(1);
        assert!(after.relay.is_empty() && after.fake.bound.is_empty());
    }
}

/// Whatever a call is like, it is read as it was written; what is cut short is none.
#[test]
fn a_record_is_read_as_it_was_written() {
    let mut scene = Scene::new();
    let (by, to) = (end("a", CALLER), End { local: OUR6.parse().ok(), ..end("", "2001:db8:9::9") });
    let fax = "m=image 4004 udptl t38\r\na=sendonly\r\n";
    let offer = sdp("192.168.1.5", &[4000, 0, 4002]) + fax;
    scene.pass(&Scene::message("v6", 0, by, to, Kind::Request, &offer)).expect("relayed");
    let (by, to) = (end("b", "2001:db8:9::9"), end("a", CALLER));
    let answer = sdp("2001:db8:9::9", &[5000, 0, 5002]);
    let answer = scene.pass(&Scene::message("v6", 0, by, to, Kind::Answer, &answer)).expect("relayed");
    assert!(scene.packet(places(&answer)[0], "198.51.100.7:61000").is_some());
    scene.call("x");
    let epoch = testkit::epoch(scene.now);
    for (_, kept) in scene.relay.changes(&epoch, 9).kept {
        let octets = kept.write();
        assert_eq!(Kept::read(&octets), Some(kept));
        for length in 0..octets.len() {
            assert_eq!(Kept::read(&octets[..length]), None, "{length}");
        }
        assert_eq!(Kept::read(&[&octets[..], b"x"].concat()), None);
    }
}

proptest::proptest! {
    #[test]
    fn a_record_that_is_none_is_refused_or_read(at in 0_usize..400, octet: u8, length in 0_usize..400) {
        let mut scene = Scene::new();
        heard(&mut scene);
        let epoch = testkit::epoch(scene.now);
        let mut octets = scene.relay.changes(&epoch, 1).kept[0].1.write();
        octets.truncate(length.max(1));
        let at = at % octets.len();
        octets[at] = octet;
        if let Some(kept) = Kept::read(&octets) {
            assert_eq!(Kept::read(&kept.write()), Some(kept.clone()));
            let mut scene = Scene::new();
            let at = (scene.now, &testkit::epoch(scene.now));
            scene.relay.restore(at, vec![(1, kept)], &FxHashSet::default(), &mut scene.fake);
        }
    }
}
