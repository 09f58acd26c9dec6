//! The calls that stand: kept at the home of their Call-ID, so that an administrator can see and end them. Calls do not
//! depend on it: what is missing here goes on all the same.

use crate::message::{HeaderName, Message, NameAddr};
use crate::page::{Found, Page};
use crate::slab::{Id, Slab};
use crate::trace::Peer;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How long a call that nobody refreshes is believed in. Refreshed are those with a session timer (RFC 4028); of others
/// nothing but the BYE tells that they have ended.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// The longest texts of one call together; with longer ones it is left out. Phones need a few hundred octets.
const MOST_OCTETS: usize = 4096;

/// How often a full book is searched for what has ended.
const SEARCH: Duration = Duration::from_secs(60);

/// One side of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its From or To, as written, with its tag.
    pub name: Box<[u8]>,
    /// The tag alone.
    pub tag: Box<[u8]>,
    /// Where it is reached within the dialog: the URI of its Contact.
    pub target: Box<[u8]>,
    /// The last number of its requests; 0 before the first.
    pub cseq: u32,
    /// Where it is.
    pub peer: Peer,
}

/// A call that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its Call-ID.
    pub call_id: Box<[u8]>,
    /// What the caller has called: the Request-URI.
    pub called: Box<[u8]>,
    /// What was recorded on the way (Record-Route), from the called side's end on, comma-separated.
    pub routes: Box<[u8]>,
    /// Who called, and who answered.
    pub parties: [Party; 2],
    /// When it was answered.
    pub began: Instant,
    /// When it was last known to stand.
    pub heard: Instant,
    /// How long it stands without being refreshed.
    pub lasts: Duration,
}

/// What the workers that a call's messages come to tell its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was answered.
    Began(Box<Call>),
    /// One side has sent a request within it.
    Heard(Box<Sign>),
}

/// A request within a dialog; its texts are still the request's where its home is on the worker that it has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign<T = Box<[u8]>> {
    /// The Call-ID.
    pub call_id: T,
    /// The tags of whoever sent it, and of the other side.
    pub tags: [T; 2],
    /// Its number; `None` where only the end is told.
    pub cseq: Option<u32>,
    /// Where the sender is reached from now on, where that is said.
    pub target: Option<T>,
    /// How long the dialog stands without being refreshed, where that is said.
    pub lasts: Option<Duration>,
    /// The dialog is over.
    pub ends: bool,
}

impl Sign<&[u8]> {
    /// The same with texts of its own, to be told elsewhere.
    pub(crate) fn to_owned(&self) -> Sign {
        Sign {
            call_id: self.call_id.into(),
            tags: self.tags.map(Box::from),
            cseq: self.cseq,
            target: self.target.map(Box::from),
            lasts: self.lasts,
            ends: self.ends,
        }
    }
}

impl Party {
    /// The URI of its From or To.
    pub fn uri(&self) -> &[u8] {
        NameAddr::parse(&self.name).map_or(&[], |name| name.uri_bytes())
    }
}

impl Call {
    fn is_long(&self) -> bool {
        let of = |party: &Party| party.name.len() + party.tag.len() + party.target.len();
        let parties: usize = self.parties.iter().map(of).sum();
        self.call_id.len() + self.called.len() + self.routes.len() + parties > MOST_OCTETS
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > self.lasts
    }
}

/// How long a dialog stands without being refreshed, by its Session-Expires (RFC 4028 §10), with what a refresh may
/// take on its way.
pub fn lasts(message: &Message<'_>) -> Option<Duration> {
    let value = message.header(HeaderName::SessionExpires)?;
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let seconds: u64 = std::str::from_utf8(&value[..end]).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(BELIEVED.as_secs())) + Duration::from_secs(64))
}

/// How long one stands that has no session timer.
pub const fn believed() -> Duration {
    BELIEVED
}

/// The calls at home on one worker.
#[derive(Debug)]
pub struct Book {
    rows: Slab<Call>,
    /// By Call-ID and tags, of which nobody can foresee the hash.
    by_name: FxHashMap<u64, Id>,
    hasher: RandomState,
    /// In the order in which they began; those that have ended stay until they come first.
    order: VecDeque<Id>,
    searched: Option<Instant>,
    /// How many have begun, and how many were left out, as there were too many or their texts are too long.
    begun: u64,
    dropped: u64,
}

impl Book {
    /// A book for at most `limit` calls.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            rows: Slab::new(limit),
            by_name: FxHashMap::default(),
            hasher: RandomState::new(),
            order: VecDeque::new(),
            searched: None,
            begun: 0,
            dropped: 0,
        }
    }

    /// How many calls stand.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many calls have begun since the start.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// How many of them are missing here, as there were too many or their texts are too long.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes in what a worker tells.
    pub(crate) fn take(&mut self, now: Instant, event: Event) {
        match event {
            Event::Began(call) => self.begin(now, *call),
            Event::Heard(sign) => self.hear(now, &sign),
        }
    }

    fn name(&self, call_id: &[u8], one: &[u8], other: &[u8]) -> u64 {
        self.hasher.hash_one((call_id, one.min(other), one.max(other)))
    }

    fn begin(&mut self, now: Instant, call: Call) {
        self.begun += 1;
        let name = self.name(&call.call_id, &call.parties[0].tag, &call.parties[1].tag);
        if let Some(old) = self.by_name.get(&name).copied() {
            self.remove(old);
        }
        self.make_room(now);
        let Some(id) = Some(call).filter(|call| !call.is_long()).and_then(|call| self.rows.insert(call))
        else {
            self.dropped += 1;
            return;
        };
        self.by_name.insert(name, id);
        self.order.push_back(id);
    }

    /// Takes out what has ended without a word, as far as it comes first, and, where the book is full, wherever it is.
    fn make_room(&mut self, now: Instant) {
        while let Some(first) = self.order.front().copied() {
            match self.rows.get(first) {
                Some(call) if !call.is_over(now) => break,
                _ => self.remove(first),
            }
            self.order.pop_front();
        }
        let searched = self.searched.is_some_and(|at| now.saturating_duration_since(at) < SEARCH);
        if self.rows.room() == 0 && !searched {
            self.searched = Some(now);
            let over: Vec<Id> =
                self.rows.iter().filter(|(_, call)| call.is_over(now)).map(|(id, _)| id).collect();
            over.into_iter().for_each(|id| self.remove(id));
        }
        // Names of rows that are gone are as many as rows, at most.
        if self.order.len() > 2 * self.rows.len() + 64 {
            let rows = &self.rows;
            self.order.retain(|id| rows.get(*id).is_some());
        }
    }

    /// Takes in a request within a call.
    pub(crate) fn hear<T: AsRef<[u8]>>(&mut self, now: Instant, sign: &Sign<T>) {
        let [from, to] = [0, 1].map(|side| sign.tags[side].as_ref());
        let name = self.name(sign.call_id.as_ref(), from, to);
        let Slot::Occupied(found) = self.by_name.entry(name) else { return };
        let id = *found.get();
        if sign.ends {
            found.remove();
            self.rows.remove(id);
            return;
        }
        let Some(call) = self.rows.get_mut(id) else { return };
        call.heard = now;
        call.lasts = sign.lasts.unwrap_or(call.lasts);
        let Some(party) = call.parties.iter_mut().find(|party| *party.tag == *from) else { return };
        party.cseq = party.cseq.max(sign.cseq.unwrap_or_default());
        if let Some(target) = &sign.target {
            party.target = target.as_ref().into();
        }
        if call.is_long() {
            self.dropped += 1;
            self.remove(id);
        }
    }

    fn remove(&mut self, id: Id) {
        if let Some(call) = self.rows.remove(id) {
            let name = self.name(&call.call_id, &call.parties[0].tag, &call.parties[1].tag);
            self.by_name.remove(&name);
        }
    }

    /// A page of the calls that stand at `now`.
    pub fn page(&self, now: Instant, page: Page) -> Found<Call> {
        Found::on(page, &self.rows, |_, call, found| {
            if !call.is_over(now) {
                found.push(call.clone());
            }
        })
    }

    /// Takes out the calls with this Call-ID: they are to be ended.
    pub(crate) fn take_out(&mut self, call_id: &[u8]) -> Vec<Call> {
        let of_call = |(_, call): &(Id, &Call)| *call.call_id == *call_id;
        let found: Vec<(Id, Call)> =
            self.rows.iter().filter(of_call).map(|(id, call)| (id, call.clone())).collect();
        found.iter().for_each(|(id, _)| self.remove(*id));
        found.into_iter().map(|(_, call)| call).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn party(tag: &str) -> Party {
        let (name, target) = (format!("<sip:{tag}@x>;tag={tag}"), format!("sip:{tag}@192.0.2.9"));
        Party {
            name: name.into_bytes().into(),
            tag: tag.as_bytes().into(),
            target: target.into_bytes().into(),
            cseq: 0,
            peer: (None, None),
        }
    }

    fn call(n: usize, now: Instant, lasts: u64) -> Event {
        Event::Began(Box::new(Call {
            call_id: n.to_string().into_bytes().into(),
            called: Box::default(),
            routes: Box::default(),
            parties: [party("a"), party("b")],
            began: now,
            heard: now,
            lasts: Duration::from_secs(lasts),
        }))
    }

    fn sign(n: usize, tags: [&str; 2], ends: bool) -> Event {
        Event::Heard(Box::new(Sign {
            call_id: n.to_string().into_bytes().into(),
            tags: tags.map(|tag| tag.as_bytes().into()),
            cseq: Some(7),
            target: Some(b"sip:new@x".as_slice().into()),
            lasts: None,
            ends,
        }))
    }

    fn all(book: &Book, now: Instant) -> Vec<Call> {
        book.page(now, Page { from: 0, places: 100, most: 100 }).found
    }

    #[test]
    fn requests_of_either_side_are_heard_and_end_their_own_call() {
        let (mut book, now) = (Book::new(10), start());
        book.take(now, call(1, now, 100));
        book.take(now, call(2, now, 100));
        book.take(now, sign(1, ["b", "a"], false));
        book.take(now, sign(1, ["b", "x"], true));
        let [one, two] = &all(&book, now)[..] else { panic!("two calls") };
        assert_eq!((one.parties[1].cseq, &*one.parties[1].target), (7, &b"sip:new@x"[..]));
        assert_eq!((one.parties[0].cseq, two.parties[1].cseq), (0, 0));
        book.take(now, sign(1, ["a", "b"], true));
        assert_eq!((book.len(), all(&book, now).len(), book.begun()), (1, 1, 2));
        assert_eq!((book.take_out(b"2").len(), book.take_out(b"2").len(), book.len()), (1, 0, 0));
    }

    #[test]
    fn a_call_keeps_few_octets_whatever_its_phones_write() {
        let (mut book, now) = (Book::new(10), start());
        let long = || vec![b'x'; 30_000].into_boxed_slice();
        let Event::Began(mut wordy) = call(1, now, 100) else { panic!("a call") };
        wordy.routes = long();
        book.take(now, Event::Began(wordy));
        assert_eq!((book.len(), book.begun(), book.dropped()), (0, 1, 1));
        book.take(now, call(2, now, 100));
        let Event::Heard(mut wordy) = sign(2, ["a", "b"], false) else { panic!("a sign") };
        wordy.target = Some(long());
        book.take(now, Event::Heard(wordy));
        assert_eq!((book.len(), book.dropped(), book.by_name.len()), (0, 2, 0));
    }

    #[test]
    fn what_is_not_refreshed_is_over_and_makes_room() {
        let (mut book, now) = (Book::new(3), start());
        book.take(now, call(1, now, 100));
        book.take(now, call(2, now, 10));
        book.take(now, call(3, now, 10));
        book.take(now, call(4, now, 10));
        assert_eq!((book.len(), book.dropped()), (3, 1), "full");
        let later = now + Duration::from_secs(90);
        assert_eq!(all(&book, later).len(), 1);
        book.take(later, sign(1, ["a", "b"], false));
        book.take(later, call(5, later, 10));
        assert_eq!((all(&book, later + Duration::from_secs(9)).len(), book.dropped()), (2, 1));
        for n in 0..1000 {
            book.take(later, call(n + 10, later, 10));
            book.take(later, sign(n + 10, ["a", "b"], true));
        }
        assert!(book.order.len() < 100 && book.by_name.len() <= 3);
    }
}
