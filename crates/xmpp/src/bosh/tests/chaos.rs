//! Requests and answers that are lost, late and twice: both sides have all, once and in order.

use super::*;
use std::collections::{BTreeMap, VecDeque};

/// The next of a row of numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// A client as XEP-0124 wants it, and the net between.
struct World {
    dice: Dice,
    session: Session<u32, String>,
    now: Instant,
    acknowledges: bool,
    tickets: u32,
    /// On their way to the server: ticket, number, text.
    up: Vec<(u32, u64, String)>,
    /// At the server, by ticket: their numbers.
    waiting: BTreeMap<u32, u64>,
    /// On their way to the client: number, answer.
    down: Vec<(u64, String)>,
    /// What the client has not heard an answer to: number, text.
    open: VecDeque<(u64, String)>,
    /// Answers that came before their time.
    early: BTreeMap<u64, String>,
    rid: u64,
    said: u32,
    /// What the stream has read, and what it has said.
    read: String,
    told: u32,
    /// What the client has heard.
    heard: String,
}

impl World {
    fn new(seed: u64, acknowledges: bool) -> Self {
        let now = testkit::start();
        let ack = if acknowledges { "ack='1'" } else { "" };
        let first = body(&format!("rid='1' to='falcot.com' ver='1.6' {ack}"), "");
        let mut session = Session::begin(now, "secret", 0, &first, &Limits::default());
        let mut out = Vec::new();
        session.take();
        session.settle(now, &mut out);
        Self {
            dice: Dice(seed * 2 + 1),
            session,
            now,
            acknowledges,
            tickets: 0,
            up: Vec::new(),
            waiting: BTreeMap::new(),
            down: Vec::new(),
            open: VecDeque::new(),
            early: BTreeMap::new(),
            rid: 1,
            said: 0,
            read: String::new(),
            told: 0,
            heard: String::new(),
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.dice.below(400) as u64);
        match self.dice.below(6) {
            0 => self.ask(),
            1 | 2 => self.arrive(),
            3 => self.hear(),
            4 => self.say(),
            _ => self.act(Session::tick),
        }
    }

    /// The client has something to say, or nothing under way.
    fn ask(&mut self) {
        let talks = self.dice.one_in(2);
        if self.open.len() >= 2 || !(talks || self.open.is_empty()) {
            return;
        }
        self.rid += 1;
        let had = self.open.front().map_or(self.rid - 1, |(rid, _)| rid - 1);
        let ack = match self.acknowledges && had != self.rid - 1 {
            true => format!("ack='{had}'"),
            false => String::new(),
        };
        self.said += u32::from(talks);
        let payload = if talks { format!("<c{}/>", self.said) } else { String::new() };
        let text = format!("rid='{}' sid='secret' {ack}|{payload}", self.rid);
        self.open.push_back((self.rid, text.clone()));
        self.send(self.rid, text);
    }

    fn send(&mut self, rid: u64, text: String) {
        self.tickets += 1;
        self.up.push((self.tickets, rid, text));
    }

    /// A request arrives, or is lost; so may be the connection of one that waits. The client asks again.
    fn arrive(&mut self) {
        if self.dice.one_in(8)
            && let Some((&ticket, &rid)) = self.waiting.iter().next()
        {
            self.waiting.remove(&ticket);
            if self.dice.one_in(2) {
                self.act(|session, now, _| session.abandoned(now, ticket));
            }
            return self.again(rid);
        }
        if self.up.is_empty() {
            return;
        }
        let place = self.dice.below(self.up.len());
        let (ticket, rid, text) = self.up.remove(place);
        if self.dice.one_in(8) {
            return self.again(rid);
        }
        let (attributes, payload) = text.split_once('|').expect("both");
        let request = body(attributes, payload);
        self.waiting.insert(ticket, rid);
        self.act(|session, now, out| session.request(now, ticket, request, out));
    }

    /// The connection of a request is lost, which the client sees.
    fn again(&mut self, rid: u64) {
        let text = self.open.iter().find(|(open, _)| *open == rid).map(|(_, text)| text.clone());
        if let Some(text) = text {
            self.send(rid, text);
        }
    }

    /// An answer arrives, or is lost.
    fn hear(&mut self) {
        if self.down.is_empty() {
            return;
        }
        let place = self.dice.below(self.down.len());
        let (rid, answer) = self.down.remove(place);
        if self.dice.one_in(8) || answer == AGAIN {
            return self.again(rid);
        }
        assert!(!answer.contains("terminate"), "{answer}");
        if self.open.iter().any(|(open, _)| *open == rid) {
            self.early.insert(rid, answer);
        }
        while let Some((rid, _)) = self.open.front()
            && let Some(answer) = self.early.remove(rid)
        {
            self.open.pop_front();
            let inner = answer.split_once('>').and_then(|(_, rest)| rest.strip_suffix("</body>"));
            self.heard.push_str(inner.unwrap_or_default());
        }
    }

    /// The stream says something.
    fn say(&mut self) {
        self.told += 1;
        assert!(self.session.say(format!("<s{}/>", self.told), usize::MAX).is_none());
        self.act(|_, _, _| {});
    }

    fn act(&mut self, act: impl FnOnce(&mut Session<u32, String>, Instant, &mut Vec<Output<u32, String>>)) {
        let mut out = Vec::new();
        act(&mut self.session, self.now, &mut out);
        while let Some(work) = self.session.take() {
            self.read.push_str(&work);
        }
        self.session.settle(self.now, &mut out);
        for output in out {
            match output {
                Output::Answer { ticket, text, .. } => {
                    // One whose connection is lost is heard by nobody.
                    let rid = self.waiting.remove(&ticket);
                    self.down.extend(rid.map(|rid| (rid, text.to_string())));
                }
                Output::Taken(piece) => assert!(self.heard.contains(&piece), "{piece} in {}", self.heard),
            }
        }
        assert!(!self.session.is_over());
    }
}

fn row(name: char, count: u32) -> String {
    (1..=count).map(|n| format!("<{name}{n}/>")).collect()
}

#[test]
fn both_have_all_once_and_in_order() {
    // A loss is found at once here: nobody is thrown out for asking too often.
    for (seed, acknowledges) in (1..=20).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut world = World::new(seed, acknowledges);
        for _ in 0..800 {
            world.step();
            assert_eq!(world.read, row('c', world.said)[..world.read.len()], "{seed}: {acknowledges}");
            assert_eq!(world.heard, row('s', world.told)[..world.heard.len()], "{seed}: {acknowledges}");
        }
        let rest: String = world.session.rest().concat();
        let missing = row('s', world.told)[world.heard.len()..].to_owned();
        assert!(rest.ends_with(&missing), "{seed}: what was not heard comes back: {missing} in {rest}");
        assert!(world.said > 25 && world.heard.len() > 150, "{seed}: {} {}", world.said, world.heard);
    }
}
