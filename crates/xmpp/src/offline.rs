//! Messages for accounts that are away (RFC 6121 §8.5.2.2.1, XEP-0160): kept, and delivered in order at the
//! next login.
//!
//! They are forgotten only once a connection has taken them. While a session is being given them, live messages for that session
//! wait behind them. They count as given to it: their senders wait for nothing, and other sessions hear at once.

use crate::router::ask::{Answer, Fault, Query, Token};
use crate::router::stored::Then;
use crate::router::{Eviction, Given, Output, Parcel, Receipt, Router, Work};
use crate::stanza::marks::Marks;
use crate::stanza::{Condition, Stanza};
use crate::xep::delay;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use wire::{Address, ConnectionId};

/// How many messages are read at a time.
const PAGE: u32 = 50;

/// Where the delivery of an account's kept messages stands.
#[derive(Debug, Default)]
pub(crate) struct Delivery(Option<Box<Run>>);

#[derive(Debug)]
struct Run {
    /// Who gets them.
    to: ConnectionId,
    stage: Stage,
    /// Live messages for the same session that came meanwhile, and how many octets they have.
    held: VecDeque<Given>,
    octets: usize,
}

impl Run {
    fn new(to: ConnectionId, stage: Stage) -> Self {
        Self { to, stage, held: VecDeque::new(), octets: 0 }
    }

    fn take_held(&mut self) -> VecDeque<Given> {
        self.octets = 0;
        std::mem::take(&mut self.held)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// The store was asked; the answer to any other question is an old one.
    Asked(Token),
    /// All up to this one were given to the connection.
    Given {
        up_to: i64,
        /// There may be more.
        more: bool,
    },
}

impl Delivery {
    pub(crate) fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// What waits behind it, and for whom.
    pub(crate) fn held(&self) -> impl Iterator<Item = (ConnectionId, &Stanza)> {
        self.0.iter().flat_map(|run| run.held.iter().map(|given| (run.to, &given.stanza)))
    }
}

/// How many of the first of these messages are together no longer than `octets`; one at least.
pub(crate) fn fitting<'a>(
    messages: impl ExactSizeIterator<Item = &'a (i64, Arc<str>)>,
    octets: usize,
) -> usize {
    let (all, mut sum) = (messages.len(), 0);
    let fits = messages.take_while(|(_, message)| {
        sum += message.len();
        sum <= octets
    });
    fits.count().max(1).min(all)
}

/// What is worth keeping. Anything else is a state of typing, a receipt or a marker, which nobody misses (XEP-0160 §3).
const WORDS: Marks = Marks::all(&[
    Marks::BODY,
    Marks::SUBJECT,
    Marks::CONFERENCE,
    Marks::INVITE,
    Marks::AMENDMENT,
    Marks::ENCRYPTION,
    Marks::STORE,
]);

/// Whether a message is worth keeping; hints have the last word (XEP-0334).
fn is_worth_keeping(message: Marks) -> bool {
    message.any(WORDS) && !message.any(Marks::NO_STORE)
}

impl Router {
    /// Keeps a message for an account that is away, if it is worth it.
    pub(crate) fn keep(&mut self, account: &Address, parcel: Parcel) {
        let marks = parcel.stanza.marks();
        if !is_worth_keeping(marks) {
            // Somebody's words are not lost without a word.
            if marks.any(WORDS) {
                self.bounce(parcel, Condition::ServiceUnavailable);
            }
            return;
        }
        let when = self.unix().saturating_sub(Duration::from_secs(parcel.age.into()));
        // With a note of when it came (XEP-0203).
        let message = parcel.stanza.text_with(&delay::element(account.domain(), when)).into();
        let query = Query::Keep { account: account.clone(), message, limit: self.limits.offline };
        let debt = self.owe(parcel.origin);
        self.ask(query, Then::Kept { parcel: Box::new(parcel), debt });
    }

    /// What is behind the last of the kept messages need not wait for a session that acknowledges: nothing that it was given
    /// is lost.
    fn may_pass(&self, run: &Run) -> bool {
        let acknowledges = self.sessions.get(&run.to).is_some_and(|session| session.acknowledges);
        acknowledges && matches!(run.stage, Stage::Given { more: false, .. })
    }

    /// Whether a session is being given kept messages, so that live ones for it must wait.
    fn is_given_kept(&self, account: &Address, session: ConnectionId) -> bool {
        let run = self.accounts.get(account).and_then(|account| account.delivery.0.as_deref());
        run.is_some_and(|run| run.to == session && !self.may_pass(run))
    }

    /// Gives a session a live message: behind what was kept for the account, where it is just being given that.
    pub(crate) fn give(&mut self, account: &Address, session: ConnectionId, given: Given) {
        if !self.is_given_kept(account, session) {
            return self.output(Output::Deliver { connection: session, given });
        }
        let (most, most_octets) = (self.limits.waiting, self.limits.waiting_octets);
        let Some(run) = self.run_of(account, session) else { return };
        let octets = run.octets + given.stanza.as_str().len();
        if run.held.is_empty() || (run.held.len() < most && octets <= most_octets) {
            run.octets = octets;
            run.held.push_back(given);
        } else if matches!(run.stage, Stage::Given { .. }) {
            // It does not say that it has taken what it was given, and too much has come since: so it is no session.
            self.evict(session, Eviction::Unacknowledged);
            self.undelivered(session, given, None);
        } else if let Some(parcel) = Parcel::given_back(given, 0) {
            // The store is slow, for which nobody here can do anything.
            self.bounce(parcel, Condition::ResourceConstraint);
        }
    }

    /// What waits for which session behind messages that were kept: it counts as given.
    pub fn waiting(&self) -> impl Iterator<Item = (ConnectionId, &Stanza)> {
        self.accounts.all().flat_map(|account| account.delivery.held())
    }

    /// Nothing waits behind kept messages any longer: the server is to end, and what sessions were given goes with them.
    pub(crate) fn release_all(&mut self) {
        let busy = self.accounts.addresses().filter(|address| {
            self.accounts.get(address).is_some_and(|account| account.delivery.held().next().is_some())
        });
        let busy: Vec<Address> = busy.cloned().collect();
        busy.iter().for_each(|account| self.release_held(account));
    }

    /// Begins to deliver what was kept to a session, unless another gets it already.
    pub(crate) fn deliver_kept(&mut self, account: &Address, to: ConnectionId) {
        if self.accounts.get(account).is_none_or(|account| account.delivery.is_idle()) {
            let stage = Stage::Asked(self.list(account, self.given_to(to)));
            self.accounts.entry(account).delivery.0 = Some(Box::new(Run::new(to, stage)));
        }
    }

    /// Up to which number a session was given kept messages that it has not taken yet: it is not given them again.
    fn given_to(&self, session: ConnectionId) -> i64 {
        self.sessions.get(&session).and_then(|session| session.kept).unwrap_or_default()
    }

    /// A session that is back may have been given kept messages before, and not have acknowledged them.
    pub(crate) fn was_given(&mut self, account: &Address, to: ConnectionId) {
        let up_to = self.given_to(to);
        // Of several, the one that was given most goes on.
        let given = |run: &Run| matches!(run.stage, Stage::Given { up_to: other, .. } if other >= up_to);
        let delivery = &mut self.accounts.entry(account).delivery.0;
        if up_to > 0 && !delivery.as_deref().is_some_and(given) {
            *delivery = Some(Box::new(Run::new(to, Stage::Given { up_to, more: true })));
        }
    }

    fn list(&mut self, account: &Address, after: i64) -> Token {
        self.accounts.entry(account).asks += 1;
        let octets = self.limits.page as u64;
        let query = Query::ListKept { account: account.clone(), after, limit: PAGE, octets };
        self.ask(query, Then::Listed(account.clone()))
    }

    /// The store has said what it keeps.
    pub(crate) fn listed(&mut self, account: &Address, token: Token, outcome: Result<Answer, Fault>) {
        let run = self.accounts.get_mut(account).and_then(|entry| entry.delivery.0.as_deref_mut());
        let Some(run) = run.filter(|run| run.stage == Stage::Asked(token)) else { return };
        let connection = run.to;
        let messages = match outcome {
            Ok(Answer::Kept(messages)) => messages,
            // They stay where they are, for the next login.
            _ => Vec::new(),
        };
        let page = &messages[..fitting(messages.iter(), self.limits.page)];
        let Some(&(up_to, _)) = page.last() else { return self.delivery_done(account) };
        let more = page.len() < messages.len() || messages.len() >= PAGE as usize;
        run.stage = Stage::Given { up_to, more };
        let readable = |(id, message): &(i64, Arc<str>)| Some((*id, Stanza::parse(message).ok()?));
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.kept = Some(up_to);
        }
        let mut stanzas: Vec<(i64, Stanza)> = page.iter().filter_map(readable).collect();
        match stanzas.last_mut() {
            // With the last that can be read, all are taken.
            Some((last, _)) => *last = up_to,
            // Nothing of it can be read: it is in nobody's way any longer.
            None => return self.delivered(Receipt { connection, up_to }),
        }
        for (up_to, stanza) in stanzas {
            let given = Given { receipt: Some(Receipt { connection, up_to }), ..stanza.into() };
            self.output(Output::Deliver { connection, given });
        }
        if !self.is_given_kept(account, connection) {
            self.release_held(account);
        }
    }

    /// Live messages go on behind the last that was kept: to their session, or where that is gone another way.
    fn release_held(&mut self, account: &Address) {
        let run = self.accounts.get_mut(account).and_then(|account| account.delivery.0.as_deref_mut());
        let Some((connection, held)) = run.map(|run| (run.to, run.take_held())) else { return };
        if self.sessions.contains_key(&connection) {
            for given in held {
                self.output(Output::Deliver { connection, given });
            }
        } else {
            let again = held.into_iter().filter_map(|given| Parcel::given_back(given, 0));
            let again: Vec<Work> = again.map(|parcel| Work::Arrived { parcel, debt: None }).collect();
            self.first(again.into_iter());
        }
    }

    fn run_of(&mut self, account: &Address, connection: ConnectionId) -> Option<&mut Run> {
        let run = self.accounts.get_mut(account)?.delivery.0.as_deref_mut()?;
        (run.to == connection).then_some(run)
    }

    /// A connection has taken what it was given: with the last of it, the store may forget all, whoever gets the rest.
    pub(crate) fn delivered(&mut self, receipt: Receipt) {
        let Receipt { connection, up_to } = receipt;
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        if session.kept.take_if(|kept| *kept == up_to).is_none() {
            return;
        }
        let account = session.jid.address().expect("a session is an account's").clone();
        self.ask(Query::Forget { account: account.clone(), up_to }, Then::Forgotten);
        match self.run_of(&account, connection).map(|run| &run.stage) {
            Some(Stage::Given { more: true, .. }) => self.list_on(&account, connection, up_to),
            Some(Stage::Given { more: false, .. }) => self.delivery_done(&account),
            Some(Stage::Asked(_)) | None => {}
        }
    }

    /// Asks for what is kept behind a number, for this session.
    fn list_on(&mut self, account: &Address, to: ConnectionId, after: i64) {
        let stage = Stage::Asked(self.list(account, after));
        if let Some(run) = &mut self.accounts.entry(account).delivery.0 {
            run.to = to;
            run.stage = stage;
        }
    }

    /// All that was kept was given; live messages go on, in order and before anything that came later.
    fn delivery_done(&mut self, account: &Address) {
        self.release_held(account);
        if let Some(entry) = self.accounts.get_mut(account) {
            entry.delivery.0 = None;
            self.accounts.rest(account, self.limits.cached);
        }
    }

    /// A session is gone. Where it was being given kept messages, another takes its place, or they stay kept.
    pub(crate) fn delivery_lost(&mut self, account: &Address, connection: ConnectionId) {
        if self.run_of(account, connection).is_none() {
            return;
        }
        self.release_held(account);
        let seats = self.accounts.get(account).map(|entry| &entry.seats[..]).unwrap_or_default();
        let next = seats.iter().find(|seat| seat.priority.is_some_and(|p| p >= 0));
        match next.map(|seat| seat.connection) {
            Some(next) => self.list_on(account, next, self.given_to(next)),
            None => self.delivery_done(account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inner: &str, expected: bool) {
        let message = Stanza::parse(&format!("<message type='chat'>{inner}</message>"));
        assert_eq!(is_worth_keeping(message.unwrap().marks()), expected, "{inner}");
    }

    #[test]
    fn words_are_kept_and_states_are_not() {
        check("<body>Art thou not Romeo?</body>", true);
        check("<active xmlns='http://jabber.org/protocol/chatstates'/><body/>", true);
        check("<active xmlns='http://jabber.org/protocol/chatstates'/>", false);
        check("<received xmlns='urn:xmpp:receipts' id='1'/>", false);
        check("<body xmlns='urn:example:other'>x</body>", false);
        check("<received xmlns='urn:xmpp:receipts'/><store xmlns='urn:xmpp:hints'/>", true);
        check("<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false);
        check("", false);
    }

    #[test]
    fn a_page_is_one_message_at_least() {
        let messages: Vec<(i64, Arc<str>)> = (1..=4).map(|id| (id, "x".repeat(100).into())).collect();
        for (octets, expected) in [(0, 1), (99, 1), (100, 1), (250, 2), (400, 4), (1000, 4)] {
            assert_eq!(fitting(messages.iter(), octets), expected, "{octets}");
        }
        assert_eq!(fitting([].iter(), 100), 0);
    }
}
