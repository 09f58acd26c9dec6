//! The story of one call, from its trace: how it went, why, and what each phone or server on its way did.

mod words;

use super::{Note, Row, Side, What, Word};
use crate::shown;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::Transport;

/// What is known of a call, or of another request that was traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// The URI of From; empty where its beginning is not known any more.
    pub from: String,
    /// The Request-URI that it began with; empty likewise.
    pub to: String,
    /// When the first thing happened that is known.
    pub began: Instant,
    /// How it went.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
    /// What whoever was tried did, in words.
    pub legs: Vec<String>,
    /// Everything, in order.
    pub steps: Vec<Step>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody has answered yet.
    Trying,
    /// It was answered, and nothing is known of its end.
    Answered,
    /// It was answered, and has ended.
    Ended,
    /// It came to nothing.
    Failed,
    /// The caller has given up.
    GivenUp,
    /// Its beginning is not known any more.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trying => "trying",
            Self::Answered => "answered",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::GivenUp => "given up",
            Self::Unknown => "unknown",
        })
    }
}

/// One step of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, since the beginning.
    pub after: Duration,
    /// Whether a message came, left, or nothing travelled.
    pub way: Way,
    /// Whom it is about.
    pub peer: Option<SocketAddr>,
    /// How bytes travel there.
    pub transport: Option<Transport>,
    /// The message's first line, or what was found out.
    pub text: String,
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this server.
    In,
    /// From it.
    Out,
    /// It happened here.
    Here,
}

impl Story {
    /// The story that rows tell, those of several workers together; `None` where there are none.
    pub fn of(mut rows: Vec<Row>) -> Option<Self> {
        rows.sort_by_key(|row| row.at);
        let began = rows.first()?.at;
        let facts = Facts::of(&rows);
        let (outcome, reason) = facts.verdict();
        let text = |row: Option<&Row>| row.map_or_else(String::new, |row| shown::with_uri(&row.text));
        let to = text(facts.first);
        Some(Self {
            from: text(rows.iter().find(|row| row.what == What::From)),
            to: to.split_once(' ').map_or_else(String::new, |(_, uri)| uri.to_owned()),
            began,
            outcome,
            reason,
            legs: facts.legs.iter().map(|leg| leg.words(facts.word)).collect(),
            steps: rows.iter().filter_map(|row| step(row, began)).collect(),
        })
    }
}

fn step(row: &Row, began: Instant) -> Option<Step> {
    let (way, text) = match row.what {
        What::CallId | What::From => return None,
        What::Came => (Way::In, line(row)),
        What::Left => (Way::Out, line(row)),
        What::LeftAgain => (Way::Out, format!("{} (again)", line(row))),
        What::Note(note) => (Way::Here, words::note(note, row)),
    };
    let after = row.at.saturating_duration_since(began);
    Some(Step { after, way, peer: row.peer, transport: row.transport, text })
}

/// The first line of a message as people read it.
fn line(row: &Row) -> String {
    let cut = if row.text.len() == super::TEXT { "…" } else { "" };
    shown::with_uri(&row.text) + cut
}

/// The status code that a first line begins with; `None` of a request's.
fn code(row: &Row) -> Option<u16> {
    std::str::from_utf8(row.text.get(..3)?).ok()?.parse().ok()
}

/// One phone or server that was tried.
struct Leg<'r> {
    peer: Option<SocketAddr>,
    /// When the request first left for it, and how often it did.
    sent: Instant,
    times: u32,
    rang: Option<Instant>,
    answer: Option<&'r Row>,
    failure: Option<(Note, &'r Row)>,
}

/// What rows say when they are read together.
struct Facts<'r> {
    rows: &'r [Row],
    /// The request that it began with, and its method.
    first: Option<&'r Row>,
    word: Word,
    /// From the last try on: after a challenge the request comes again.
    last: &'r [Row],
    legs: Vec<Leg<'r>>,
    /// What the caller was finally answered.
    answer: Option<&'r Row>,
}

impl<'r> Facts<'r> {
    fn of(rows: &'r [Row]) -> Self {
        let introduced = |row: &Row| row.what == What::CallId;
        let begins = rows.iter().position(introduced);
        let came = |place: Option<usize>| {
            let before = &rows[..=place?];
            let is_request = |row: &Row| row.what == What::Came && row.side == Side::Caller;
            // A registration is introduced before it is told.
            before.iter().rposition(is_request).or_else(|| rows.iter().position(is_request))
        };
        let first = came(begins).map(|place| &rows[place]);
        let last = came(rows.iter().rposition(introduced)).map_or(rows, |place| &rows[place..]);
        let word = first.map_or(Word::Other, |row| row.word);
        let is_ours = move |row: &&Row| !row.within && row.word == word;
        let is_answer = |row: &&Row| {
            row.side == Side::Caller
                && matches!(row.what, What::Left)
                && code(row).is_some_and(|code| code >= 200)
        };
        Self {
            rows,
            first,
            word,
            last,
            legs: legs(last.iter().filter(is_ours)),
            answer: last.iter().filter(is_ours).rfind(is_answer),
        }
    }

    /// The last note of a kind since the last try.
    fn note(&self, wanted: Note) -> Option<&'r Row> {
        self.last.iter().rfind(|row| row.what == What::Note(wanted))
    }

    fn tried(&self) -> Instant {
        self.last[0].at
    }

    fn verdict(&self) -> (Outcome, String) {
        let Some(first) = self.first else {
            return (Outcome::Unknown, "its beginning is not known any more, only what came later".into());
        };
        match (self.answer, self.answer.and_then(code)) {
            (Some(answer), Some(200..300)) => self.success(first, answer),
            (_, Some(401 | 407)) => (Outcome::Failed, words::challenged(self)),
            (Some(answer), Some(code)) if self.note(Note::GaveUp).is_some() && code == 487 => {
                (Outcome::GivenUp, words::given_up(self, answer.at))
            }
            (Some(answer), Some(_)) => (Outcome::Failed, words::refused(self, answer)),
            _ if self.note(Note::GaveUp).is_some() => (Outcome::GivenUp, words::given_up(self, first.at)),
            _ => match words::here(self) {
                Some(reason) => (Outcome::Failed, reason),
                None => (Outcome::Trying, words::under_way(self)),
            },
        }
    }

    fn success(&self, first: &Row, answer: &Row) -> (Outcome, String) {
        let by = self.legs.iter().find(|leg| leg.answer.and_then(code).is_some_and(|code| code < 300));
        let by = by.map_or_else(|| "this server".into(), Leg::name);
        let took = words::time(answer.at.saturating_duration_since(self.tried()));
        if self.word != Word::Invite {
            return (Outcome::Ended, format!("{} from {by} after {took}", line(answer)));
        }
        let text = format!("answered by {by} after {took}");
        let after = |row: &&Row| row.at >= answer.at;
        let bye = self
            .rows
            .iter()
            .filter(after)
            .find(|row| row.side == Side::Caller && row.what == What::Came && row.word == Word::Bye);
        let lasted = |end: Instant| words::time(end.saturating_duration_since(answer.at));
        if let Some(row) = self.rows.iter().filter(after).find(|row| row.what == What::Note(Note::HungUp)) {
            return (Outcome::Ended, format!("{text}; ended by an administrator after {}", lasted(row.at)));
        }
        if let Some(bye) = bye {
            let who = if bye.peer == first.peer { "the caller" } else { "the called side" };
            return (Outcome::Ended, format!("{text}; ended by {who} after {}", lasted(bye.at)));
        }
        let is_ack = |row: &&Row| row.side == Side::Caller && row.what == What::Came && row.word == Word::Ack;
        match self.rows.iter().filter(after).any(|row| is_ack(&row)) {
            true => (Outcome::Answered, text),
            false => {
                (Outcome::Answered, format!("{text}, but the caller has not acknowledged that (no ACK came)"))
            }
        }
    }
}

/// Whoever was tried, in order.
fn legs<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Leg<'r>> {
    let mut legs: Vec<Leg<'r>> = Vec::new();
    for row in rows.filter(|row| row.side == Side::Called) {
        let known = legs.iter_mut().rfind(|leg| leg.peer == row.peer && row.peer.is_some());
        match (row.what, known) {
            (What::Left | What::LeftAgain, Some(leg)) if !leg.is_over() => leg.times += 1,
            (What::Left | What::LeftAgain, _) => legs.push(Leg {
                peer: row.peer,
                sent: row.at,
                times: 1,
                rang: None,
                answer: None,
                failure: None,
            }),
            (_, Some(leg)) => leg.hear(row),
            _ => {}
        }
    }
    legs
}

impl<'r> Leg<'r> {
    fn is_over(&self) -> bool {
        self.answer.is_some() || self.failure.is_some()
    }

    fn hear(&mut self, row: &'r Row) {
        match (row.what, code(row)) {
            (What::Came, Some(101..200)) => drop(self.rang.get_or_insert(row.at)),
            (What::Came, Some(200..)) => drop(self.answer.get_or_insert(row)),
            (What::Note(note), _) if self.failure.is_none_or(|(_, other)| other.text.is_empty()) => {
                // What an earlier row has explained is not said again without a reason.
                let is_news = self.failure.is_none() || !row.text.is_empty();
                self.failure = if is_news { Some((note, row)) } else { self.failure };
            }
            _ => {}
        }
    }

    fn name(&self) -> String {
        self.peer.map_or_else(|| "somebody".into(), |peer| peer.to_string())
    }
}
