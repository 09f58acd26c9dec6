//! A session of requests (XEP-0124): which of them have come, which wait for an answer, what was answered.
//!
//! Requests may come in any order and more than once; for the stream inside they are in order, each once.

mod answered;
mod request;

use super::body::Body;
use super::keys::Keys;
use super::terms::{Limits, Terms};
use super::wrapper::{Answer, Created};
use super::{Condition, fault};
use answered::{Answered, Cache};
use request::{Early, Waiting};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is carried to a client.
pub trait Payload {
    /// As it is written: an element that stands alone.
    fn text(&self) -> Cow<'_, str>;
    /// How much it counts while it waits.
    fn octets(&self) -> usize;
}

/// What a session wants done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<T, P> {
    /// Answer a request.
    Answer {
        /// Which.
        ticket: T,
        /// The status of HTTP: 200, but for clients of old.
        status: u16,
        /// The answer.
        text: Arc<str>,
    },
    /// The client has had this.
    Taken(P),
}

/// How a session ends.
#[derive(Debug)]
enum Phase {
    Open,
    /// The stream is over; the client is still to be told why.
    Ending {
        condition: Option<Condition>,
        /// The error of the stream, as an element.
        error: Option<String>,
    },
    Over,
}

/// What the stream has said of itself before the first answer.
#[derive(Debug, Default)]
struct Greeting {
    from: Option<String>,
    id: String,
}

/// A session. `T` names a request where it waits to be answered, `P` is what is carried to the client.
#[derive(Debug)]
pub struct Session<T, P> {
    sid: Box<str>,
    terms: Terms,
    keys: Keys,
    phase: Phase,
    /// Until the first answer.
    greeting: Option<Greeting>,
    /// All requests up to this one have come.
    received: u64,
    /// Those that have come before their time, by number.
    early: BTreeMap<u64, Early<T>>,
    /// Those that have no answer yet, in order.
    waiting: VecDeque<Waiting<T>>,
    answered: Cache<P>,
    unsent: VecDeque<P>,
    octets: usize,
    /// When the last request came, by their numbers, and whether it asked for nothing.
    last: (Instant, bool),
    /// Since when nobody waits for an answer.
    idle: Option<Instant>,
    /// How long that may go on.
    inactivity: Duration,
    /// Whether all requests are to be answered at once, as the client pauses.
    pausing: bool,
    /// Which answer the client may have missed, and when it was given.
    report: Option<(u64, Instant)>,
}

impl<T, P> Session<T, P> {
    /// The name of the session.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The same session, for what is carried in another shape.
    pub fn map<Q>(self, mut change: impl FnMut(P) -> Q) -> Session<T, Q> {
        Session {
            sid: self.sid,
            terms: self.terms,
            keys: self.keys,
            phase: self.phase,
            greeting: self.greeting,
            received: self.received,
            early: self.early,
            waiting: self.waiting,
            answered: self.answered.map(&mut change),
            unsent: self.unsent.into_iter().map(change).collect(),
            octets: self.octets,
            last: self.last,
            idle: self.idle,
            inactivity: self.inactivity,
            pausing: self.pausing,
            report: self.report,
        }
    }
}

impl<T: Copy + Eq, P: Payload> Session<T, P> {
    /// A session begins with this request.
    pub fn begin(now: Instant, sid: &str, ticket: T, body: &Body, limits: &Limits) -> Self {
        let terms = Terms::new(limits, body);
        let work = Some(terms.wish.header() + &body.payload);
        let first = Waiting { rid: body.rid, ticket: Some(ticket), since: now, work, pause: false, came: 1 };
        Self {
            sid: sid.into(),
            keys: Keys::new(body),
            phase: Phase::Open,
            greeting: Some(Greeting::default()),
            received: body.rid,
            early: BTreeMap::new(),
            waiting: VecDeque::from([first]),
            // One more than there may usually be comes with a pause.
            answered: Cache::new(terms.requests + 1),
            unsent: VecDeque::new(),
            octets: 0,
            last: (now, false),
            idle: None,
            inactivity: terms.inactivity,
            pausing: false,
            report: None,
            terms,
        }
    }

    /// The type of all its answers.
    pub fn content(&self) -> &str {
        &self.terms.content
    }

    /// Whether it is over: nothing more comes of it.
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether nothing is under way to the client.
    pub fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.answered.is_certain()
    }

    /// What the stream is to read next.
    pub fn take(&mut self) -> Option<String> {
        match self.phase {
            Phase::Open => self.waiting.iter_mut().find_map(|waiting| waiting.work.take()),
            _ => None,
        }
    }

    /// The stream begins.
    pub fn greet(&mut self, from: Option<String>, id: String) {
        if let Some(greeting) = &mut self.greeting {
            *greeting = Greeting { from, id };
        }
    }

    /// Something is to be carried to the client; it comes back where that makes more than `most` octets wait.
    pub fn say(&mut self, piece: P, most: usize) -> Option<P> {
        if self.octets + piece.octets() > most {
            return Some(piece);
        }
        self.octets += piece.octets();
        self.unsent.push_back(piece);
        None
    }

    /// The stream is over, by this error if there is one. A session that has hardly begun has never been (XEP-0124
    /// §17.2).
    pub fn end(&mut self, error: Option<String>) {
        let why = error.as_deref().map(|error| match &self.greeting {
            Some(_) => fault(error).map_or(Condition::RemoteStreamError, |name| Condition::of_stream(&name)),
            None => Condition::RemoteStreamError,
        });
        if matches!(self.phase, Phase::Open) {
            let error = error.filter(|_| why == Some(Condition::RemoteStreamError));
            self.phase = Phase::Ending { condition: why, error };
        }
    }

    /// All that the client has not had, or may not have had, in order.
    pub fn rest(&mut self) -> Vec<P> {
        self.octets = 0;
        self.answered.doubtful().chain(self.unsent.drain(..)).collect()
    }

    /// Answers what can be answered now.
    pub fn settle(&mut self, now: Instant, out: &mut Vec<Output<T, P>>) {
        if matches!(self.phase, Phase::Ending { .. }) {
            if self.idle.is_none() {
                self.conclude(out);
            }
            return;
        }
        while self.is_due(now) {
            self.answer(now, out);
        }
        self.pausing &= !self.waiting.is_empty();
    }

    /// Whether the oldest request is to be answered.
    fn is_due(&self, now: Instant) -> bool {
        let Some(first) = self.waiting.front().filter(|first| first.work.is_none()) else { return false };
        let crowd = self.waiting.len() + self.early.len();
        self.greeting.is_some()
            || self.pausing
            || self.report.is_some()
            || crowd > self.terms.hold
            || (first.ticket.is_some() && !self.unsent.is_empty())
            || self.waiting.iter().any(|waiting| waiting.since + self.terms.wait <= now)
    }

    /// Answers the oldest request. Where nobody waits for it any more it carries nothing.
    fn answer(&mut self, now: Instant, out: &mut Vec<Output<T, P>>) {
        let Some(Waiting { rid, ticket, pause, .. }) = self.waiting.pop_front() else { return };
        let carries = ticket.is_some() && !pause;
        let load = if carries { self.load() } else { Vec::new() };
        let greeting = self.greeting.take();
        let created = greeting.as_ref().map(|greeting| Created {
            sid: &self.sid,
            terms: &self.terms,
            from: greeting.from.as_deref(),
            id: &greeting.id,
        });
        let says_ack = self.terms.acknowledges && (created.is_some() || self.received != rid);
        let answer = Answer {
            created,
            ack: says_ack.then_some(self.received),
            report: self.report.take().map(|(rid, at)| (rid, now.saturating_duration_since(at))),
            ..Answer::default()
        };
        let texts: Vec<Cow<'_, str>> = load.iter().map(Payload::text).collect();
        let text: Arc<str> = answer.write(&texts).into();
        drop(texts);
        if let Some(ticket) = ticket {
            out.push(Output::Answer { ticket, status: 200, text: Arc::clone(&text) });
        }
        let taken = self.answered.push(Answered {
            rid,
            text,
            at: now,
            barren: load.is_empty(),
            doubt: load,
            came: 1,
        });
        out.extend(taken.map(Output::Taken));
        self.look(now);
    }

    /// What goes into one answer.
    fn load(&mut self) -> Vec<P> {
        let (mut load, mut octets) = (Vec::new(), 0);
        while octets < self.terms.limits.answer
            && let Some(piece) = self.unsent.pop_front()
        {
            octets += piece.octets();
            load.push(piece);
        }
        self.octets -= octets;
        load
    }

    /// Tells the client that the session is over: on the oldest request, and nothing on the others (XEP-0124 §13).
    fn conclude(&mut self, out: &mut Vec<Output<T, P>>) {
        let Phase::Ending { condition, error } = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        let waiting = std::mem::take(&mut self.waiting).into_iter().filter_map(|waiting| waiting.ticket);
        let early = std::mem::take(&mut self.early).into_values().map(|early| early.ticket);
        for (place, ticket) in waiting.chain(early).enumerate() {
            let load: Vec<P> = if place == 0 { self.unsent.drain(..).collect() } else { Vec::new() };
            let mut texts: Vec<Cow<'_, str>> = load.iter().map(Payload::text).collect();
            texts.extend(error.as_deref().filter(|_| place == 0).map(Cow::from));
            let last = Answer { terminate: true, condition, ..Answer::default() };
            let text = if place == 0 { last.write(&texts) } else { Answer::default().write(&[]) };
            out.push(Output::Answer { ticket, status: 200, text: text.into() });
            drop(texts);
            out.extend(load.into_iter().map(Output::Taken));
        }
    }

    /// A request breaks the rules: the session is over, as it is for the others that wait.
    fn break_off(&mut self, ticket: T, condition: Condition, out: &mut Vec<Output<T, P>>) {
        self.phase = Phase::Over;
        let waiting = std::mem::take(&mut self.waiting).into_iter().filter_map(|waiting| waiting.ticket);
        let early = std::mem::take(&mut self.early).into_values().map(|early| early.ticket);
        let others = waiting.chain(early).filter(|other| *other != ticket);
        let all =
            std::iter::once((ticket, condition)).chain(others.map(|other| (other, Condition::OtherRequest)));
        out.extend(all.map(|(ticket, condition)| {
            let status = condition.status().filter(|_| self.terms.version.is_none()).unwrap_or(200);
            Output::Answer { ticket, status, text: condition.answer().into() }
        }));
    }

    /// The session is over by what the house decides: those that wait hear why.
    pub fn abort(&mut self, condition: Condition, out: &mut Vec<Output<T, P>>) {
        self.phase = Phase::Over;
        let waiting = std::mem::take(&mut self.waiting).into_iter().filter_map(|waiting| waiting.ticket);
        let early = std::mem::take(&mut self.early).into_values().map(|early| early.ticket);
        let text: Arc<str> = condition.answer().into();
        let all = waiting.chain(early);
        out.extend(all.map(|ticket| Output::Answer { ticket, status: 200, text: Arc::clone(&text) }));
    }

    /// Notes since when nobody waits for an answer.
    fn look(&mut self, now: Instant) {
        let waits = self.waiting.iter().any(|waiting| waiting.ticket.is_some());
        self.idle = (!waits).then(|| self.idle.unwrap_or(now));
    }

    /// Lets everything happen that is due. A session whose client has been away for too long is over then.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Output<T, P>>) {
        let patience = self.terms.patience();
        // The one before it does not come: the client is to send both again.
        let late = self.early.extract_if(.., |_, early| early.since + patience <= now);
        let again = Answer { recover: true, ..Answer::default() };
        let answer = |early: Early<T>| Output::Answer {
            ticket: early.ticket,
            status: 200,
            text: again.write(&[]).into(),
        };
        out.extend(late.map(|(_, early)| answer(early)));
        self.settle(now, out);
        if self.idle.is_some_and(|since| since + self.inactivity <= now) {
            self.phase = Phase::Over;
        }
    }

    /// When to call `tick` next; earlier calls do nothing.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        // A session that is ending answers nothing by the time: its client has to come, or is away for too long.
        let is_open = matches!(self.phase, Phase::Open);
        let is_ready = is_open && self.waiting.front().is_some_and(|first| first.work.is_none());
        let waiting = self.waiting.iter().filter(|_| is_ready).map(|waiting| waiting.since + self.terms.wait);
        let early = self.early.values().map(|early| early.since + self.terms.patience());
        waiting.chain(early).chain(self.idle.map(|since| since + self.inactivity)).min()
    }
}
