//! What becomes of stanzas whose client has not acknowledged them, and who carries a session.

use super::*;
use crate::router::Share;
use wire::WorkerId;

const MOST: Most = Most { stanzas: 4, octets: 10_000 };
const RESUME: Duration = Duration::from_secs(300);

fn connection(slot: u32) -> ConnectionId {
    ConnectionId { worker: WorkerId(0), slot, generation: 0 }
}

fn romeo() -> Address {
    "romeo@verona.example".parse().unwrap()
}

fn message(id: u32) -> Given {
    let xml = format!(
        "<message from='juliet@verona.example/balcony' to='romeo@verona.example' id='{id}'><body>x</body></message>"
    );
    Stanza::parse(&xml).unwrap().into()
}

/// A keeper, and all that it has wanted so far, in few words.
struct Stage {
    now: Instant,
    managed: Managed,
}

impl Stage {
    fn new() -> Self {
        let now = testkit::start();
        Self { now, managed: Managed::new(now, Bounds { most: MOST, resume: RESUME }) }
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<String> {
        self.managed.handle(self.now, input);
        self.told()
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.managed.tick(self.now);
        self.told()
    }

    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.managed.poll()).map(|output| word(&output)).collect()
    }

    /// Romeo has a session of that name that may be resumed.
    fn begin(&mut self, slot: u32, name: &str) {
        let jid: Jid = format!("romeo@verona.example/{slot}").parse().unwrap();
        self.handle(Input::Begin(connection(slot)));
        let told = self.handle(Input::Enable {
            connection: connection(slot),
            jid: &jid,
            agent: None,
            paused: false,
            answer: b"<enabled/>".to_vec(),
            name: Some(name.into()),
        });
        assert_eq!(told, [format!("{slot} < <enabled/>"), format!("router: {slot} acknowledges")]);
    }

    fn give(&mut self, slot: u32, given: Given) -> Vec<String> {
        self.handle(Input::Give { session: connection(slot), given })
    }

    fn lose(&mut self, slot: u32, handled: u32) -> Vec<String> {
        let connection = connection(slot);
        self.handle(Input::Lost { connection, handled, resumable: true, unsent: Vec::new() })
    }

    fn resume(&mut self, slot: u32, name: &str, handled: u32) -> Vec<String> {
        let account = romeo();
        self.handle(Input::Resume { connection: connection(slot), account: &account, name, handled })
    }
}

fn word(output: &Output) -> String {
    match output {
        Output::Write(to, Piece::Bytes(bytes)) => format!("{} < {}", to.slot, String::from_utf8_lossy(bytes)),
        Output::Write(to, Piece::Copy(stanza)) => {
            format!("{} < copy {}", to.slot, stanza.id().unwrap_or_default())
        }
        Output::Write(to, Piece::Given(given)) => {
            format!("{} < {}", to.slot, given.stanza.id().unwrap_or_default())
        }
        Output::Route(router::Input::Closed(session)) => format!("router: {} closed", session.slot),
        Output::Route(router::Input::Acknowledges(session)) => {
            format!("router: {} acknowledges", session.slot)
        }
        Output::Route(router::Input::Away { connection, away }) => {
            format!("router: {} away {away}", connection.slot)
        }
        Output::Route(router::Input::Asked { connection, handled }) => {
            format!("router: {} asks {handled}", connection.slot)
        }
        Output::Route(router::Input::Undelivered { connection, given, .. }) => {
            format!("router: {} back from {}", given.stanza.id().unwrap_or_default(), connection.slot)
        }
        Output::Route(router::Input::Delivered(receipt)) => format!("router: {} taken", receipt.up_to()),
        Output::Route(other) => format!("router: {other:?}"),
        Output::Asked(connection) => format!("{} was asked", connection.slot),
        Output::Pause(connection) => format!("{} pauses", connection.slot),
        Output::Read(connection) => format!("{} goes on", connection.slot),
        Output::NotResumed(connection) => format!("{} not resumed", connection.slot),
        Output::Resumed { connection, handled, .. } => format!("{} resumed at {handled}", connection.slot),
        Output::End(connection, error) => format!("{} ends: {:?}", connection.slot, error.condition),
        Output::Supersede(connection) => format!("{} gives way", connection.slot),
        Output::Superseded(session) => format!("{} is free", session.slot),
        Output::Forget { name, then, .. } => format!("forget {name} {:?}", then.map(|then| then.slot)),
    }
}

#[test]
fn what_is_acknowledged_does_not_come_back() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    assert_eq!(stage.give(1, message(7)), ["1 < copy 7"]);
    assert_eq!(stage.pass(1), ["1 < <r xmlns='urn:xmpp:sm:3'/>", "1 was asked"]);
    assert_eq!(stage.handle(Input::Acknowledged { connection: connection(1), handled: 1 }), [""; 0]);
    stage.give(1, message(8));
    assert_eq!(stage.lose(1, 3), ["router: 1 away true"]);
    assert_eq!(stage.pass(299), [""; 0]);
    assert_eq!(stage.pass(1), ["router: 1 closed", "router: 8 back from 1"]);
    assert!(stage.managed.is_empty());
}

#[test]
fn who_acknowledges_what_was_never_sent_is_ended() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    stage.give(1, message(7));
    let ends = ["1 ends: UndefinedCondition"];
    assert_eq!(stage.handle(Input::Acknowledged { connection: connection(1), handled: 2 }), ends);
    stage.handle(Input::Begin(connection(2)));
    assert_eq!(stage.resume(2, "one", 2), ["2 ends: UndefinedCondition"]);
    assert_eq!(stage.managed.carrier(connection(1)), Some(connection(1)), "its own connection carries it on");
}

#[test]
fn who_leaves_too_much_is_ended_and_nothing_of_it_is_lost() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    for id in 0..4 {
        assert_eq!(stage.give(1, message(id)), [format!("1 < copy {id}")]);
    }
    let mut expected = vec!["1 goes on".to_owned(), "router: 1 closed".to_owned()];
    expected.extend((0..5).map(|id| format!("router: {id} back from 1")));
    expected.push("1 ends: PolicyViolation".to_owned());
    assert_eq!(stage.give(1, message(4)), expected);
    stage.lose(1, 0);
    assert!(stage.managed.is_empty());
}

#[test]
fn a_session_goes_on_elsewhere_once_what_it_said_is_durable() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    stage.give(1, message(7));
    stage.give(1, message(8));
    assert_eq!(stage.resume(2, "one", 1), ["1 gives way", "1 is free"]);
    assert_eq!(stage.lose(1, 5), ["router: 1 away true"]);
    let session = connection(1);
    assert_eq!(stage.handle(Input::Superseded(session)), ["router: 1 asks 5"]);
    // An answer to what was asked before comes too early.
    assert_eq!(stage.handle(Input::Handled { session, handled: 4 }), [""; 0]);
    assert_eq!(stage.handle(Input::Handled { session, handled: 5 }), ["2 resumed at 5"]);
    let told = stage.handle(Input::Attach { connection: connection(2), answer: b"<resumed/>".to_vec() });
    assert_eq!(told, ["router: 1 away false", "2 < <resumed/>", "2 < copy 8"]);
    assert_eq!(stage.managed.session(connection(2)), Some(session));
    assert_eq!(stage.give(1, message(9)), ["2 < copy 9"]);
    // The connection that it began with is gone, and means nothing any more.
    assert_eq!(stage.handle(Input::Unwritten { connection: session, given: message(10) }), [""; 0]);
}

#[test]
fn who_wants_a_session_and_goes_leaves_it_waiting() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    stage.lose(1, 5);
    assert_eq!(stage.resume(2, "one", 0), ["1 is free"]);
    assert_eq!(stage.handle(Input::Superseded(connection(1))), ["router: 1 asks 5"]);
    assert_eq!(stage.lose(2, 0), [""; 0]);
    assert_eq!(stage.handle(Input::Handled { session: connection(1), handled: 5 }), [""; 0]);
    assert_eq!(stage.pass(300), ["router: 1 closed"], "and not for ever");
    assert!(stage.managed.is_empty());
}

#[test]
fn nobody_takes_the_session_of_another() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    let account: Address = "juliet@verona.example".parse().unwrap();
    let theirs = Input::Resume { connection: connection(2), account: &account, name: "one", handled: 0 };
    assert_eq!(stage.handle(theirs), ["2 not resumed"]);
    assert_eq!(stage.resume(2, "another", 0), ["2 not resumed"]);
}

#[test]
fn what_does_not_acknowledge_comes_back_when_it_was_not_written() {
    let mut stage = Stage::new();
    stage.handle(Input::Begin(connection(1)));
    assert_eq!(stage.give(1, message(7)), ["1 < 7"]);
    let unsent = vec![Piece::Bytes(b"<r/>".to_vec()), Piece::Given(message(7))];
    let lost = Input::Lost { connection: connection(1), handled: 0, resumable: true, unsent };
    assert_eq!(stage.handle(lost), ["router: 1 closed", "router: 7 back from 1"]);
    assert!(stage.managed.is_empty());
    let told = stage.handle(Input::Unwritten { connection: connection(1), given: message(8) });
    assert_eq!(told, ["router: 1 closed", "router: 8 back from 1"]);
}

/// Whoever begins to acknowledge may not have had yet what it was given before; who comes back by the name that came behind it has.
#[test]
fn what_was_given_before_the_first_acknowledgement_is_neither_lost_nor_given_twice() {
    for (resumes, restarts) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut stage = Stage::new();
        stage.handle(Input::Begin(connection(1)));
        assert_eq!(stage.give(1, message(7)), ["1 < 7"]);
        let kept = Given { receipt: Some(router::Receipt::of(connection(1), 5)), ..message(6) };
        stage.give(1, kept.clone());
        stage.begin(1, "one");
        assert_eq!(stage.give(1, message(8)), ["1 < copy 8"]);
        let unsent = vec![Piece::Given(message(7)), Piece::Given(kept), Piece::Copy(message(8).stanza)];
        stage.handle(Input::Lost { connection: connection(1), handled: 0, resumable: true, unsent });
        let (_, asleep) = stage.managed.asleep(stage.now, 0).remove(0);
        assert_eq!(asleep.sent, 1, "what was given before is not counted");
        if restarts {
            stage = Stage { now: stage.now, ..Stage::new() };
            stage.handle(Input::Restore(vec![(connection(1), asleep)]));
        }
        if !resumes {
            let back = ["7", "6", "8"].map(|id| format!("router: {id} back from 1"));
            let told = stage.pass(300);
            assert_eq!(told[told.len() - 3..], back);
            continue;
        }
        stage.handle(Input::Begin(connection(2)));
        assert_eq!(stage.resume(2, "one", 0), ["router: 5 taken", "1 is free"]);
        stage.handle(Input::Superseded(connection(1)));
        stage.handle(Input::Forgotten { session: connection(1), forgotten: true });
        stage.handle(Input::Handled { session: connection(1), handled: 0 });
        let answer = b"<resumed/>".to_vec();
        let told = stage.handle(Input::Attach { connection: connection(2), answer });
        assert_eq!(told.iter().filter(|told| told.contains("copy")).count(), 1);
        assert_eq!(told[..3], ["router: 1 away false", "2 < <resumed/>", "2 < copy 8"]);
        assert!(!stage.handle(Input::Expire(connection(1))).contains(&"router: 7 back from 1".to_owned()));
    }
}

#[test]
fn who_is_not_looked_at_hears_what_is_not_urgent_later() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    assert_eq!(stage.handle(Input::Look { connection: connection(1), active: false }), [""; 0]);
    let presence = |id| {
        let xml = format!("<presence from='juliet@verona.example/{id}' id='p{id}'/>");
        Given::from(Stanza::parse(&xml).unwrap())
    };
    assert_eq!(stage.give(1, presence(1)), [""; 0]);
    assert_eq!(stage.give(1, message(2)), ["1 < copy p1", "1 < copy 2"]);
    assert_eq!(stage.give(1, presence(3)), [""; 0]);
    // It is among what the client has not acknowledged where its connection is lost meanwhile.
    stage.lose(1, 0);
    let back =
        ["router: 1 closed", "router: p1 back from 1", "router: 2 back from 1", "router: p3 back from 1"];
    assert_eq!(stage.pass(300), back);
}

/// Two that sleep over the server's end hold a message together afterwards, and what one had taken does not come back.
#[test]
fn what_several_hold_they_hold_together_after_a_restart() {
    for taken in [false, true] {
        let mut stage = Stage::new();
        let share = Share::among(2 + usize::from(taken));
        for slot in [1, 2] {
            stage.begin(slot, ["one", "two"][slot as usize - 1]);
            stage.give(slot, Given { share: share.clone(), ..message(7) });
            stage.lose(slot, 0);
        }
        let asleep = stage.managed.asleep(stage.now, 100);
        let shared: Vec<Option<Shared>> = asleep.iter().map(|(_, asleep)| asleep.queue[0].shared).collect();
        assert_eq!(shared, [Some(Shared { number: 100, taken }); 2]);
        let mut later = Stage::new();
        assert_eq!(later.handle(Input::Restore(asleep)), [""; 0]);
        later.managed.tick(later.now + RESUME);
        let mut last = Vec::new();
        while let Some(output) = later.managed.poll() {
            if let Output::Route(router::Input::Undelivered { given, .. }) = output {
                last.push(given.share.expect("it is shared").give_back());
            }
        }
        assert_eq!(last, [false, !taken]);
    }
}

#[test]
fn what_the_store_has_is_forgotten_before_a_session_goes_on() {
    let mut stage = Stage::new();
    stage.begin(1, "one");
    stage.lose(1, 5);
    let asleep = stage.managed.asleep(stage.now, 0);
    let mut stage = Stage::new();
    stage.handle(Input::Restore(asleep));
    assert_eq!(stage.resume(2, "one", 0), ["1 is free"]);
    let session = connection(1);
    assert_eq!(stage.handle(Input::Superseded(session)), ["forget one Some(1)"]);
    let told = stage.handle(Input::Forgotten { session, forgotten: false });
    assert_eq!(told, ["2 ends: ResourceConstraint"], "the store would have it twice");
    stage.lose(2, 0);
    assert_eq!(stage.resume(3, "one", 0), ["1 is free"]);
    assert_eq!(stage.handle(Input::Superseded(session)), ["forget one Some(1)"]);
    assert_eq!(stage.handle(Input::Forgotten { session, forgotten: true }), ["router: 1 asks 5"]);
    stage.handle(Input::Expire(session));
    let mut stage = Stage::new();
    let old = Asleep { wait: Duration::ZERO, ..asleep_of("one") };
    stage.handle(Input::Restore(vec![(connection(1), old)]));
    assert_eq!(stage.pass(0), ["router: 1 closed", "forget one None"], "what is over is not there again");
}

fn asleep_of(name: &str) -> Asleep {
    Asleep {
        account: romeo(),
        jid: "romeo@verona.example/1".parse().unwrap(),
        name: name.into(),
        sent: 0,
        handled: 0,
        wait: RESUME,
        before: Vec::new(),
        queue: Vec::new(),
    }
}
