//! A session, its client, the network between, and what the house around a session does.

use super::client::{Client, Plan, numbers};
use crate::tape::Tape;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use xmpp::bosh::{AGAIN, Body, Condition, Limits, Output, Session};
use xmpp::managed::Piece;
use xmpp::xml;

/// What may wait for a client.
const UNREAD: usize = 4000;
const END: &str = "</stream:stream>";

/// What the plays have reached.
#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) sessions: usize,
    pub(super) heard: usize,
    pub(super) read: usize,
    pub(super) returned: usize,
}

/// What the stream is to read.
#[derive(Debug, PartialEq)]
enum Expected {
    Header,
    Text(String),
}

pub(super) struct World {
    now: Instant,
    session: Session<u32, Piece>,
    client: Client,
    /// On their way to the server: ticket, number, text.
    up: Vec<(u32, u64, String)>,
    /// At the server, without an answer: their numbers, and whether anybody hears it.
    waiting: BTreeMap<u32, (u64, bool)>,
    /// On their way to the client: number, answer.
    down: Vec<(u64, String)>,
    tickets: u32,
    expected: VecDeque<Expected>,
    words: u32,
    told: u32,
    taken: BTreeSet<u32>,
    returned: BTreeSet<u32>,
    /// Whether the stream reads.
    reads: bool,
    /// Whether the stream is over.
    ended: bool,
    /// Whether somebody broke the rules: then only the promises to everybody else hold.
    hostile: bool,
    /// Whether the house gives the client up.
    gives_up: bool,
    /// Whether the client takes leave.
    leaves: bool,
    is_aloud: bool,
    sum: Sum,
}

fn piece(number: u32, size: usize) -> Piece {
    Piece::Bytes(format!("<s{number} x='{}'/>", "y".repeat(size)).into())
}

fn number(piece: &Piece) -> u32 {
    numbers(&String::from_utf8_lossy(piece.bytes()))[0]
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "time starts somewhere; all that counts is what passes after it"
    )]
    pub(super) fn new(tape: &mut Tape<'_>, is_aloud: bool) -> Self {
        let now = Instant::now();
        let (client, session) = begin(now, tape);
        let mut world = Self {
            now,
            session,
            client,
            up: Vec::new(),
            waiting: BTreeMap::new(),
            down: Vec::new(),
            tickets: 0,
            expected: VecDeque::new(),
            words: 0,
            told: 0,
            taken: BTreeSet::new(),
            returned: BTreeSet::new(),
            reads: true,
            ended: false,
            hostile: false,
            gives_up: false,
            leaves: false,
            is_aloud,
            sum: Sum::default(),
        };
        world.begun();
        world
    }

    #[expect(clippy::print_stderr, reason = "for whoever looks into a play")]
    fn tell(&self, what: &dyn std::fmt::Debug) {
        if self.is_aloud {
            eprintln!("{what:?}");
        }
    }

    /// The first request waits for its answer.
    fn begun(&mut self) {
        self.waiting.insert(self.tickets, (self.client.rid, true));
        self.expected.push_back(Expected::Header);
        self.sum.sessions += 1;
        self.turn();
    }

    /// One is over, and another begins.
    fn anew(&mut self, tape: &mut Tape<'_>) {
        let (client, session) = begin(self.now, tape);
        (self.client, self.session) = (client, session);
        (self.up, self.down) = (Vec::new(), Vec::new());
        (self.expected, self.told) = (VecDeque::new(), 0);
        (self.taken, self.returned) = (BTreeSet::new(), BTreeSet::new());
        (self.reads, self.ended, self.hostile, self.leaves) = (true, false, false, false);
        self.tickets = 0;
        self.begun();
    }

    pub(super) fn step(&mut self, tape: &mut Tape<'_>) {
        if self.session.is_over() {
            return self.anew(tape);
        }
        match tape.below(16) {
            0..=2 => self.somebody_asks(tape),
            3 => self.client_pauses(tape),
            4 => self.stream_begins_anew(),
            5..=7 => self.request_arrives(tape),
            8 | 9 => self.answer_arrives(tape),
            10 | 11 => self.stream_says(tape),
            12 => self.time_passes(tape),
            13 => self.line_breaks(tape),
            14 => self.house_acts(tape),
            _ => self.somebody_ends(tape),
        }
    }

    // The client.

    fn send(&mut self, rid: u64, text: String) {
        self.tickets += 1;
        self.up.push((self.tickets, rid, text));
    }

    fn somebody_asks(&mut self, tape: &mut Tape<'_>) {
        let talks = tape.byte() & 3 != 0;
        if !self.client.may_ask(false) || !(talks || self.client.open.is_empty()) {
            return;
        }
        let mut payload = String::new();
        if talks {
            self.words += 1;
            payload = format!("<c{}/>", self.words);
            self.expected.push_back(Expected::Text(payload.clone()));
        }
        let text = self.client.request("", &payload, false);
        self.send(self.client.rid, text);
    }

    fn client_pauses(&mut self, tape: &mut Tape<'_>) {
        if self.client.may_ask(true) {
            let text = self.client.request(&format!("pause='{}'", 1 + tape.below(200)), "", true);
            self.send(self.client.rid, text);
        }
    }

    fn stream_begins_anew(&mut self) {
        if self.client.may_ask(false) {
            self.expected.push_back(Expected::Header);
            let text = self.client.request("xmpp:restart='true'", "", false);
            self.send(self.client.rid, text);
        }
    }

    /// The connection of a request is lost, which its client sees.
    fn again(&mut self, rid: u64) {
        if let Some(text) = self.client.again(rid) {
            self.send(rid, text);
        }
    }

    fn answer_arrives(&mut self, tape: &mut Tape<'_>) {
        if self.down.is_empty() {
            return;
        }
        let place = tape.below(self.down.len());
        let is_lost = tape.byte() & 7 == 7 && self.client.bears(self.down[place].0);
        let (rid, answer) = self.down.remove(place);
        match is_lost || answer == AGAIN {
            true => self.again(rid),
            false => {
                self.tell(&("hears", rid, &answer));
                self.client.hears(rid, answer);
            }
        }
    }

    // The network.

    fn request_arrives(&mut self, tape: &mut Tape<'_>) {
        if self.up.is_empty() {
            return;
        }
        let place = tape.below(self.up.len());
        let is_lost = tape.byte() & 7 == 7 && self.client.bears(self.up[place].1);
        let (ticket, rid, text) = self.up.remove(place);
        match is_lost {
            true => self.again(rid),
            false => self.arrives(ticket, rid, &text),
        }
    }

    fn arrives(&mut self, ticket: u32, rid: u64, text: &str) {
        let Ok(body) = Body::parse(text.as_bytes(), xml::Limits::MEMBER) else {
            assert!(self.hostile, "{text} is no request");
            return;
        };
        self.tell(&("arrives", ticket, text));
        self.waiting.insert(ticket, (rid, true));
        self.act(|session, now, out| session.request(now, ticket, body, out));
    }

    /// The connection of a request that waits is lost: its client sees that, the server perhaps.
    fn line_breaks(&mut self, tape: &mut Tape<'_>) {
        let all: Vec<u32> = self.waiting.iter().filter(|(_, (_, heard))| *heard).map(|(at, _)| *at).collect();
        let Some(ticket) = tape.pick(&all) else { return };
        let Some(&(rid, _)) = self.waiting.get(&ticket) else { return };
        if !self.client.bears(rid) {
            return;
        }
        match tape.byte() & 1 == 0 {
            true => {
                self.waiting.remove(&ticket);
                self.act(|session, now, _| session.abandoned(now, ticket));
            }
            false => drop(self.waiting.insert(ticket, (rid, false))),
        }
        self.again(rid);
    }

    fn time_passes(&mut self, tape: &mut Tape<'_>) {
        let millis = [1, 100, 1900, 3100, 11_000, 59_000, 91_000, 301_000][tape.below(8)];
        let end = self.now + Duration::from_millis(millis);
        let mut ticks = 0;
        while let Some(next) = self.session.deadline().filter(|next| *next <= end && self.reads) {
            self.now = self.now.max(next);
            self.act(Session::tick);
            ticks += 1;
            assert!(ticks < 100, "time stands still");
        }
        self.now = end;
        self.act(Session::tick);
    }

    // The house.

    fn stream_says(&mut self, tape: &mut Tape<'_>) {
        if self.ended || self.session.is_over() {
            return;
        }
        self.told += 1;
        let size = [0, 10, 300, 1500][tape.below(4)];
        let Some(back) = self.session.say(piece(self.told, size), UNREAD) else { return self.turn() };
        // It leaves too much unread, and is no client any more.
        assert!(self.session.say(back, usize::MAX).is_none());
        self.depart();
    }

    fn house_acts(&mut self, tape: &mut Tape<'_>) {
        match tape.below(3) {
            // The router wants no more for now, or more.
            0 => {
                self.reads = !self.reads;
                self.turn();
            }
            // It goes on at another worker.
            _ if self.session.is_idle() => {
                let nothing = Body { rid: 1, ..Body::default() };
                let none = Session::begin(self.now, "", 0, &nothing, &Limits::default());
                let session = std::mem::replace(&mut self.session, none);
                self.session = session.map(|piece| piece.bytes().to_vec()).map(Piece::Bytes);
            }
            _ => {}
        }
    }

    fn somebody_ends(&mut self, tape: &mut Tape<'_>) {
        match tape.below(8) {
            0 | 1 => {
                if self.client.may_ask(true) {
                    self.expected.push_back(Expected::Text(END.into()));
                    self.leaves = true;
                    let text = self.client.request("type='terminate'", "", true);
                    self.send(self.client.rid, text);
                }
            }
            2 => {
                let error =
                    "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
                self.stream_ends((tape.byte() & 1 == 0).then(|| error.to_owned()));
            }
            3 => self.depart(),
            _ => self.somebody_breaks_the_rules(tape),
        }
    }

    /// A request that no good client makes.
    fn somebody_breaks_the_rules(&mut self, tape: &mut Tape<'_>) {
        self.hostile = true;
        let numbers = [
            1,
            self.client.rid,
            self.client.rid + 1,
            self.client.rid + 2,
            self.client.rid + 9,
            (1 << 53) - 1,
        ];
        let rid = numbers[tape.below(numbers.len())];
        let more = [
            "",
            "key='0'",
            "newkey='0'",
            "ack='0'",
            "ack='9007199254740991'",
            "pause='99999999999'",
            "pause='0'",
            "type='terminate'",
            "xmpp:restart='true'",
        ];
        let more = more[tape.below(more.len())];
        let payload = ["", "<x/>", "<x>", "text"][tape.below(4)];
        let text = format!(
            "<body rid='{rid}' sid='secret' {more} xmlns='http://jabber.org/protocol/httpbind' \
             xmlns:xmpp='urn:xmpp:xbosh'>{payload}</body>"
        );
        self.tickets += 1;
        self.arrives(self.tickets, rid, &text);
    }

    /// The stream is over: what was not had finds another way at once, as the house has it.
    fn stream_ends(&mut self, error: Option<String>) {
        if std::mem::replace(&mut self.ended, true) || self.session.is_over() {
            return;
        }
        self.session.end(error);
        let mut out = Vec::new();
        self.session.settle(self.now, &mut out);
        self.does(out);
        self.comes_back();
        self.look();
    }

    fn comes_back(&mut self) {
        let back: Vec<u32> = self.session.rest().iter().map(number).collect();
        assert!(back.is_sorted(), "{back:?} is out of order");
        for number in back {
            assert!(!self.taken.contains(&number) && self.returned.insert(number), "{number} is there twice");
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Session<u32, Piece>, Instant, &mut Vec<Output<u32, Piece>>)) {
        if self.session.is_over() {
            return;
        }
        let mut out = Vec::new();
        act(&mut self.session, self.now, &mut out);
        self.does(out);
        self.turn();
    }

    /// The stream reads what there is, and requests are answered.
    fn turn(&mut self) {
        while self.reads
            && !self.ended
            && let Some(work) = self.session.take()
        {
            self.reads(&work);
        }
        let mut out = Vec::new();
        self.session.settle(self.now, &mut out);
        self.does(out);
        self.look();
    }

    fn reads(&mut self, work: &str) {
        self.sum.read += 1;
        let is_header = work.contains("<stream:stream ");
        if is_header {
            self.session.greet(Some("verona.example".into()), "id".into());
        }
        if !self.hostile {
            let read = if is_header { Expected::Header } else { Expected::Text(work.to_owned()) };
            assert_eq!(self.expected.pop_front(), Some(read), "is read");
        }
        if work.ends_with(END) {
            self.stream_ends(None);
        }
    }

    fn look(&mut self) {
        if self.session.is_over() {
            self.depart();
        }
    }

    /// The session is over: nobody waits any more, and nothing is lost.
    fn depart(&mut self) {
        self.comes_back();
        let mut out = Vec::new();
        self.session.abort(Condition::PolicyViolation, &mut out);
        self.gives_up = true;
        self.does(out);
        self.gives_up = false;
        assert!(self.waiting.is_empty(), "{:?} wait for ever", self.waiting);
        let all = self.taken.len() + self.returned.len();
        assert_eq!(all, self.told as usize, "{:?} and {:?} of {}", self.taken, self.returned, self.told);
        self.sum.heard += self.client.heard.len();
        self.sum.returned += self.returned.len();
    }

    fn does(&mut self, outputs: Vec<Output<u32, Piece>>) {
        // Who takes leave is taken to have had what was on its way.
        let lasts = self.session.is_over() || self.ended || self.leaves;
        for output in outputs {
            self.tell(&output);
            match output {
                Output::Answer { ticket, text, .. } => {
                    let (rid, heard) = self.waiting.remove(&ticket).expect("it waits for an answer");
                    let thrown = !self.hostile && !self.ended && text.contains("condition=");
                    // It may have asked for nothing too soon, as the network had it.
                    let hurried = self.client.plan.polls();
                    assert!(!thrown || hurried || self.gives_up, "it is thrown out: {text}");
                    if heard {
                        self.down.push((rid, text.to_string()));
                    }
                }
                Output::Taken(piece) => {
                    let number = number(&piece);
                    let had = self.client.heard.contains(&number) || lasts || self.hostile;
                    assert!(had, "{number} counts as taken, and {:?} were heard", self.client.heard);
                    assert!(!self.returned.contains(&number) && self.taken.insert(number), "{number} twice");
                }
            }
        }
    }

    /// What must be true after each step.
    pub(super) fn check(&self) {
        if !self.hostile {
            let heard = &self.client.heard;
            assert!(heard.iter().copied().eq(1..=heard.len() as u32), "{heard:?} were heard");
        }
        let most = self.client.plan.requests() + 1;
        assert!(self.waiting.len() <= most, "{} requests wait", self.waiting.len());
    }

    /// In the end nobody comes any more.
    pub(super) fn end(mut self) -> Sum {
        self.reads = true;
        for _ in 0..4 {
            self.now += Duration::from_secs(400);
            self.act(Session::tick);
        }
        assert!(self.session.is_over(), "it is there for ever");
        self.sum
    }
}

/// A client, and what its first request begins.
fn begin(now: Instant, tape: &mut Tape<'_>) -> (Client, Session<u32, Piece>) {
    let plan = Plan::read(tape.byte());
    let mut client = Client::new(plan, 100);
    let text = client.begins();
    let first = Body::parse(text.as_bytes(), xml::Limits::MEMBER).expect("a request");
    (client, Session::begin(now, "secret", 0, &first, &Limits::default()))
}
