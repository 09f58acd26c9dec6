//! Where sessions by requests are, and what goes between workers about them.

use crate::config::plan::XmppLimits;
use crate::switchboard::pages::Ticket;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use wire::{Address, ConnectionId, Entropy, Source, WorkerId};
use xmpp::bosh::{Body, Condition, Session};
use xmpp::managed::Piece;
use xmpp::stream::Stream;

/// Slots from here on are those of sessions; net has no connection there, and DTLS is above.
const FIRST: u32 = 1 << 30;
/// Characters of the secret in a session's name: five bits each, 130 together.
const UNGUESSABLE: usize = 26;

/// What a client has that comes by requests.
#[derive(Debug)]
pub(in super::super) struct Visit {
    pub(super) session: Session<Ticket, Piece>,
    /// Whether it began inside TLS.
    pub(super) sealed: bool,
}

/// A request of a client.
#[derive(Debug)]
pub struct Asking {
    pub(super) ticket: Ticket,
    pub(super) body: Body,
    pub(super) octets: usize,
    pub(super) source: IpAddr,
    pub(super) sealed: bool,
}

/// A session on its way to its account's home.
#[derive(Debug)]
pub struct Traveller {
    /// Whose client has signed in with it: it carries nothing but what the stream says.
    pub(super) session: Session<Ticket, Vec<u8>>,
    pub(super) sealed: bool,
    pub(super) stream: Stream,
    pub(super) source: IpAddr,
    pub(super) account: Address,
}

/// Between workers.
#[derive(Debug)]
pub enum Letter {
    /// A request for a session; whether it is there or nowhere.
    Request(Box<Asking>, bool),
    /// Nobody waits any more for the answer to a request.
    Abandoned {
        /// Which.
        ticket: Ticket,
        /// Of which session.
        sid: Box<str>,
        /// Whether that is there or nowhere.
        last: bool,
    },
    /// An answer.
    Answer(Ticket, Answer),
    /// A session goes on there.
    Moved(Box<Traveller>),
    /// A session that began there is over.
    Gone(Box<str>),
}

/// What a request is answered with.
#[derive(Debug)]
pub struct Answer {
    pub(super) status: u16,
    /// The type of the text.
    pub(super) content: Arc<str>,
    pub(super) text: Arc<str>,
    /// Further header fields.
    pub(super) headers: &'static [(&'static str, &'static str)],
}

impl Answer {
    /// What is no answer of a session.
    pub(super) fn plain(status: u16, text: &str, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { status, content: "text/plain; charset=utf-8".into(), text: text.into(), headers }
    }

    pub(super) fn forbidden() -> Self {
        Self::plain(403, "403: not from here\n", &[])
    }

    /// There is no such session, or none can begin.
    pub(super) fn over(condition: Condition) -> Self {
        Self::of(&condition.answer())
    }

    /// The same request is to come again.
    pub(super) fn again() -> Self {
        Self::of(xmpp::bosh::AGAIN)
    }

    fn of(text: &str) -> Self {
        Self { status: 200, content: xmpp::bosh::CONTENT.into(), text: text.into(), headers: &[] }
    }
}

/// A request that has no answer yet.
#[derive(Debug)]
pub(super) struct Asked {
    /// The page whose script asks.
    pub(super) origin: Option<String>,
    /// The session.
    pub(super) sid: Option<Box<str>>,
}

/// Where a session is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Here(ConnectionId),
    /// There, or to be asked for there; `last` where it is nowhere if not there.
    There {
        worker: WorkerId,
        last: bool,
    },
    Nowhere,
}

/// All of one worker.
#[derive(Debug, Default)]
pub(in super::super) struct Visits {
    here: FxHashMap<Box<str>, ConnectionId>,
    /// Those that began here and went on elsewhere.
    moved: FxHashMap<Box<str>, WorkerId>,
    /// Requests that came in here, by their marks.
    asked: FxHashMap<u64, Asked>,
    /// How many sessions of clients that have not signed in there are, of each source.
    strangers: FxHashMap<Source, usize>,
    of_strangers: usize,
    /// How many there were so far.
    count: u64,
    turns: VecDeque<ConnectionId>,
}

/// The name of a new session: the worker, and what nobody guesses.
pub(super) fn name(me: WorkerId, entropy: &mut dyn Entropy) -> Box<str> {
    format!("{}-{}", me.0, entropy.token(UNGUESSABLE)).into()
}

/// On which worker a session began.
pub(super) fn birth(sid: &str) -> Option<WorkerId> {
    Some(WorkerId(sid.split_once('-')?.0.parse().ok()?))
}

impl Visits {
    /// How many sessions are here.
    pub(in super::super) fn len(&self) -> usize {
        self.here.len()
    }

    /// A session has something to do.
    pub(in super::super) fn push(&mut self, conn: ConnectionId) {
        if self.turns.back() != Some(&conn) {
            self.turns.push_back(conn);
        }
    }

    /// The next that has something to do.
    pub(in super::super) fn next(&mut self) -> Option<ConnectionId> {
        self.turns.pop_front()
    }

    pub(super) fn note(&mut self, ticket: Ticket, origin: Option<String>, sid: Option<Box<str>>) {
        self.asked.insert(ticket.id, Asked { origin, sid });
    }

    pub(super) fn forget(&mut self, ticket: Ticket) -> Option<Asked> {
        self.asked.remove(&ticket.id)
    }

    /// Where a session is, as far as is known here.
    pub(super) fn place(&self, sid: &str, (me, workers): (WorkerId, u16), last: bool) -> Place {
        if let Some(conn) = self.here.get(sid) {
            return Place::Here(*conn);
        }
        match (self.moved.get(sid), birth(sid)) {
            _ if last => Place::Nowhere,
            (Some(worker), _) => Place::There { worker: *worker, last: true },
            (None, Some(worker)) if worker != me && worker.0 < workers => {
                Place::There { worker, last: false }
            }
            _ => Place::Nowhere,
        }
    }

    /// Whether another session may begin.
    pub(super) fn has_room(&self, source: IpAddr, limits: &XmppLimits) -> bool {
        let of_source = self.strangers.get(&Source::of(source)).copied().unwrap_or(0);
        self.here.len() < limits.bosh_sessions
            && self.of_strangers < limits.bosh_strangers
            && of_source < limits.bosh_per_source
    }

    /// A session begins here.
    pub(super) fn open(&mut self, me: WorkerId, sid: &str, source: IpAddr) -> ConnectionId {
        *self.strangers.entry(Source::of(source)).or_default() += 1;
        self.of_strangers += 1;
        self.adopt(me, sid)
    }

    /// A session goes on here.
    pub(super) fn adopt(&mut self, me: WorkerId, sid: &str) -> ConnectionId {
        let (slot, generation) = (self.count % u64::from(FIRST), self.count / u64::from(FIRST));
        let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
        let conn = ConnectionId { worker: me, slot: FIRST + number(slot), generation: number(generation) };
        self.count += 1;
        self.here.insert(sid.into(), conn);
        self.push(conn);
        conn
    }

    /// The client of a session has signed in.
    pub(in super::super) fn known(&mut self, source: IpAddr) {
        let source = Source::of(source);
        self.of_strangers = self.of_strangers.saturating_sub(1);
        let Some(count) = self.strangers.get_mut(&source) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.strangers.remove(&source);
        }
    }

    /// A session goes on elsewhere.
    pub(super) fn moved(&mut self, sid: &str, home: WorkerId) {
        self.here.remove(sid);
        self.moved.insert(sid.into(), home);
    }

    /// A session that went on elsewhere is over.
    pub(super) fn gone(&mut self, sid: &str) {
        self.moved.remove(sid);
    }

    /// A session is over here; of a stranger, from there.
    pub(super) fn close(&mut self, sid: &str, stranger: Option<IpAddr>) {
        self.here.remove(sid);
        if let Some(source) = stranger {
            self.known(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_from_everywhere_and_nobody_goes_in_circles() {
        let (one, two) = (WorkerId(1), WorkerId(2));
        let (mut birthplace, mut home, away) = (Visits::default(), Visits::default(), Visits::default());
        let source = IpAddr::from([192, 0, 2, 1]);
        let conn = birthplace.open(one, "1-a", source);
        assert_eq!(birthplace.place("1-a", (one, 3), false), Place::Here(conn));
        assert_eq!(away.place("1-a", (two, 3), false), Place::There { worker: one, last: false });
        birthplace.moved("1-a", two);
        assert_eq!(birthplace.place("1-a", (one, 3), false), Place::There { worker: two, last: true });
        assert_eq!(home.place("1-a", (two, 3), true), Place::Nowhere);
        let conn = home.adopt(two, "1-a");
        assert_eq!(home.place("1-a", (two, 3), true), Place::Here(conn));
        home.close("1-a", None);
        birthplace.gone("1-a");
        assert_eq!(birthplace.place("1-a", (one, 3), false), Place::Nowhere);
        for forged in ["", "1", "-", "1-b", "x-a", "3-a", "99999-a"] {
            assert_eq!(birthplace.place(forged, (one, 3), false), Place::Nowhere, "{forged}");
        }
    }

    #[test]
    fn names_of_sessions_are_not_guessed() {
        let names: Vec<Box<str>> = (0..100).map(|_| name(WorkerId(3), &mut net::entropy::System)).collect();
        let secrets: std::collections::HashSet<&str> =
            names.iter().filter_map(|name| name.strip_prefix("3-")).collect();
        assert_eq!(secrets.len(), 100);
        assert!(secrets.iter().all(|secret| secret.len() * 5 >= 128), "{secrets:?}");
    }

    #[test]
    fn strangers_have_only_so_much_room() {
        let limits = XmppLimits { bosh_strangers: 3, bosh_per_source: 2, ..XmppLimits::default() };
        let mut visits = Visits::default();
        let [a, b] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        visits.open(WorkerId(0), "0-a", a);
        visits.open(WorkerId(0), "0-b", a);
        assert!(!visits.has_room(a, &limits) && visits.has_room(b, &limits));
        visits.open(WorkerId(0), "0-c", b);
        assert!(!visits.has_room(b, &limits));
        visits.known(a);
        assert!(visits.has_room(a, &limits) && visits.has_room(b, &limits));
        visits.close("0-b", Some(a));
        visits.close("0-c", Some(b));
        assert!(visits.strangers.is_empty() && visits.of_strangers == 0 && visits.len() == 1);
        let limits = XmppLimits { bosh_sessions: 1, ..XmppLimits::default() };
        assert!(!visits.has_room(b, &limits));
    }
}
