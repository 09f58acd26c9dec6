//! What happened to the latest calls of one worker: first lines of messages and decisions of ours, in a ring of fixed
//! size. It answers why a call failed; no header field is kept, so that it holds neither credentials nor nonces.

pub mod story;

pub use story::Story;

use crate::message::{HeaderName, Message, Method};
use rustc_hash::{FxHashMap, FxHashSet};
use siphasher::sip::SipHasher13;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Instant;
use wire::Transport;

/// How much of a text is kept.
const TEXT: usize = 112;

/// Which call a message belongs to, and what it is: what transactions remember for the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// A keyed hash of the Call-ID; 0 for what is not traced.
    call: u64,
    /// The method of the request.
    word: Word,
    /// The request is one of a dialog that stands.
    within: bool,
}

/// The methods that tell how a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// INVITE
    Invite,
    /// ACK
    Ack,
    /// BYE
    Bye,
    /// CANCEL
    Cancel,
    /// Any other.
    #[default]
    Other,
}

impl Mark {
    /// Whether it is of an INVITE outside a dialog.
    pub(crate) fn begins_call(self) -> bool {
        self.word == Word::Invite && !self.within
    }

    /// That of the CANCEL or ACK of a request.
    pub(crate) fn of(self, word: Word) -> Self {
        Self { word, ..self }
    }
}

impl Word {
    fn of(method: Method<'_>) -> Self {
        match method {
            Method::Invite => Self::Invite,
            Method::Ack => Self::Ack,
            Method::Bye => Self::Bye,
            Method::Cancel => Self::Cancel,
            _ => Self::Other,
        }
    }
}

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The Call-ID, which is the text.
    CallId,
    /// Who calls: the URI of From.
    From,
    /// A message came. The text is its first line without `SIP/2.0`.
    Came,
    /// A message left.
    Left,
    /// It left again, as nobody had answered.
    LeftAgain,
    /// Something that was found out or decided here.
    Note(Note),
}

/// What was found out or decided here. The row's text and number say about whom and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// An address has so many contacts.
    Registered,
    /// An address has none.
    NotRegistered,
    /// There is no such account.
    NoAccount,
    /// A password was asked for, as none was shown.
    Asked,
    /// A wrong password for an account, or one for an account that there is not.
    WrongPassword,
    /// Right credentials, but made for a nonce that is too old or was used before.
    Stale,
    /// The account is locked for whoever does not use it usually.
    Locked,
    /// The account has no key for the algorithm that was used.
    MissingKey,
    /// The right password of an account, but the request says that it comes from another.
    NotYours,
    /// Neither the caller nor the called one is of this house.
    Relaying,
    /// A name has so many addresses or servers, perhaps none.
    Resolved,
    /// A peer lies inside, where users do not send requests to.
    Inside,
    /// There is no way to a peer.
    NoWay,
    /// Nobody listens there, or the connection was closed or refused; the text says why, where that is known.
    Closed,
    /// Nobody answered for as long as RFC 3261 wants one to wait.
    Silent,
    /// It rang for as long as a phone may ring.
    RangTooLong,
    /// Those of this preference have rung for long enough: the next ones are called.
    NextGroup,
    /// The caller has given up.
    GaveUp,
    /// The media of the call go by the relay.
    Relayed,
    /// There was too much to do.
    Overload,
    /// Refused for what it is: the text is the answer.
    Refused,
    /// An administrator has ended the call.
    HungUp,
}

/// Between whom and us a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever sent the request.
    Caller,
    /// Whom it was sent on to.
    Called,
    /// Nobody: it happened here.
    Here,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
    /// The method that it is about; of answers that of their request.
    pub word: Word,
    /// It is about a request of a dialog that stands.
    pub within: bool,
    /// Between whom and us.
    pub side: Side,
    /// How bytes travel to and from the peer, where that is known.
    pub transport: Option<Transport>,
    /// The peer.
    pub peer: Option<SocketAddr>,
    /// How many; see [`Note`].
    pub number: u32,
    /// As it was written, cut off where it is long: any bytes.
    pub text: Vec<u8>,
}

/// A row as it is kept.
#[derive(Clone, Debug)]
struct Kept {
    call: u64,
    at: Instant,
    what: What,
    word: Word,
    within: bool,
    side: Side,
    transport: Option<Transport>,
    length: u8,
    number: u32,
    peer: Option<SocketAddr>,
    text: [u8; TEXT],
}

/// The other end of a row.
pub(crate) type Peer = (Option<Transport>, Option<SocketAddr>);

/// The latest rows of one worker.
#[derive(Debug)]
pub struct Trace {
    rows: Vec<Kept>,
    /// The place of the oldest row, once the ring is full.
    oldest: usize,
    limit: usize,
    hasher: SipHasher13,
}

/// Keyed, so that nobody can make two calls meet.
fn hasher() -> SipHasher13 {
    let [one, other] = [0; 2].map(|n: u64| RandomState::new().hash_one(n));
    SipHasher13::new_with_keys(one, other)
}

impl Trace {
    /// Keeps at most `limit` rows; their memory is taken as they come.
    pub(crate) fn new(limit: usize) -> Self {
        Self { rows: Vec::with_capacity(limit), oldest: 0, limit, hasher: hasher() }
    }

    /// What to remember of a request. Registrations, subscriptions and keep-alives are many and no calls: they are not
    /// traced.
    pub(crate) fn mark(&self, request: &Message<'_>) -> Mark {
        let refers = |event: &[u8]| event.starts_with(b"refer");
        match request.method() {
            Method::Register | Method::Options | Method::Subscribe | Method::Publish => Mark::default(),
            Method::Notify if !request.header(HeaderName::Event).is_some_and(refers) => Mark::default(),
            _ => self.mark_any(request),
        }
    }

    /// The same for any request.
    pub(crate) fn mark_any(&self, request: &Message<'_>) -> Mark {
        let (word, within) = (Word::of(request.method()), request.to().tag().is_some());
        Mark { call: self.hash(request.call_id()), word, within }
    }

    /// What to remember of a call by its Call-ID alone.
    pub(crate) fn mark_call(&self, call_id: &[u8]) -> Mark {
        Mark { call: self.hash(call_id), word: Word::Other, within: true }
    }

    /// Whether a mark is of this call.
    pub(crate) fn is_of(&self, mark: Mark, call_id: &[u8]) -> bool {
        mark.call == self.hash(call_id)
    }

    fn hash(&self, call_id: &[u8]) -> u64 {
        self.hasher.hash(call_id).max(1)
    }

    /// Adds a row; the oldest makes room.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        mark: Mark,
        what: What,
        side: Side,
        peer: Peer,
        said: (u32, &[u8]),
    ) {
        let (number, said) = said;
        if mark.call == 0 || self.limit == 0 {
            return;
        }
        let mut text = [0; TEXT];
        let length = said.len().min(TEXT);
        text[..length].copy_from_slice(&said[..length]);
        let (transport, peer) = peer;
        let row = Kept {
            call: mark.call,
            at: now,
            what,
            word: mark.word,
            within: mark.within,
            side,
            transport,
            length: u8::try_from(length).expect("at most TEXT"),
            number,
            peer,
            text,
        };
        if self.rows.len() < self.limit {
            self.rows.push(row);
        } else {
            self.rows[self.oldest] = row;
            self.oldest = (self.oldest + 1) % self.limit;
        }
    }

    /// Everything that is known here of each of these calls, in its order.
    pub(crate) fn of(&self, calls: &[Box<[u8]>]) -> Vec<Vec<Row>> {
        let mut found: Vec<Vec<Row>> = calls.iter().map(|_| Vec::new()).collect();
        let places: FxHashMap<u64, usize> =
            calls.iter().enumerate().map(|(place, call_id)| (self.hash(call_id), place)).collect();
        for row in self.in_order() {
            if let Some(place) = places.get(&row.call) {
                found[*place].push(row.row());
            }
        }
        found
    }

    /// The Call-IDs of the latest calls that began here, the last one first, with when they did. Those that are too long to
    /// be kept whole are left out.
    pub(crate) fn latest(&self, most: usize) -> Vec<(Instant, Box<[u8]>)> {
        let mut seen = FxHashSet::default();
        let begins =
            self.in_order().rev().filter(|row| row.what == What::CallId && usize::from(row.length) < TEXT);
        let new = begins.filter(|row| seen.insert(row.call));
        new.take(most).map(|row| (row.at, row.text[..usize::from(row.length)].into())).collect()
    }

    fn in_order(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        let (new, old) = self.rows.split_at(self.oldest);
        old.iter().chain(new)
    }
}

impl Kept {
    fn row(&self) -> Row {
        Row {
            at: self.at,
            what: self.what,
            word: self.word,
            within: self.within,
            side: self.side,
            transport: self.transport,
            peer: self.peer,
            number: self.number,
            text: self.text[..usize::from(self.length)].to_vec(),
        }
    }
}

/// The first line of a message without `SIP/2.0`: `INVITE sip:bob@example.org`, `486 Busy Here`.
pub(crate) fn first_line(message: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'\r', b'\n', message).unwrap_or(message.len());
    let line = &message[..end];
    match line.strip_prefix(b"SIP/2.0 ") {
        Some(status) => status,
        None => line.strip_suffix(b" SIP/2.0").unwrap_or(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_oldest_rows_make_room() {
        let (mut trace, now) = (Trace::new(4), start());
        let call_id = |n: u32| n.to_string().into_bytes();
        for n in 0..6 {
            let mark = trace.mark_call(&call_id(n / 2));
            trace.add(now, mark, What::CallId, Side::Here, (None, None), (n, &call_id(n / 2)));
        }
        let calls: Vec<Box<[u8]>> = (0..3).map(|n| call_id(n).into()).collect();
        let numbers: Vec<Vec<u32>> =
            trace.of(&calls).iter().map(|rows| rows.iter().map(|row| row.number).collect()).collect();
        assert_eq!(numbers, [vec![], vec![2, 3], vec![4, 5]]);
        let latest: Vec<Box<[u8]>> = trace.latest(9).into_iter().map(|(_, call_id)| call_id).collect();
        assert_eq!(latest, [calls[2].clone(), calls[1].clone()], "each once, the last first");
        assert_eq!((trace.latest(1).len(), trace.rows.capacity()), (1, 4));
        trace.add(now, Mark::default(), What::From, Side::Here, (None, None), (9, b"x"));
        let long = [b'x'; 200];
        let mark = trace.mark_call(&long);
        trace.add(now, mark, What::CallId, Side::Here, (None, None), (0, &long));
        assert_eq!(trace.of(&[long.as_slice().into()])[0][0].text.len(), TEXT);
        assert_eq!(trace.latest(9).len(), 2, "whose Call-ID was cut off cannot be asked for");
    }
}
