//! Messages for accounts that are away (RFC 6121 §8.5.2.2.1, XEP-0160): kept, and delivered in order at the
//! next login.
//!
//! They are forgotten only once a connection has taken them. While they are being delivered, live messages for
//! the account wait, so that nothing overtakes them.

use crate::router::ask::{Answer, Fault, Query, Token};
use crate::router::ledger::Debt;
use crate::router::stored::Then;
use crate::router::{Given, Output, Parcel, Receipt, Router, Work};
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
    /// Live messages that came meanwhile.
    held: VecDeque<(Parcel, Option<Debt>)>,
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

    /// Ends it: what was held meanwhile.
    pub(crate) fn end(&mut self) -> impl DoubleEndedIterator<Item = Work> + use<> {
        let held = self.0.take().map(|run| run.held).unwrap_or_default();
        held.into_iter().map(|(parcel, debt)| Work::Arrived { parcel, debt })
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

    /// Whether kept messages are on their way, so that live ones must wait. What is behind the last of them need not for a
    /// session that acknowledges: nothing that it was given is lost, and whoever says something to it would wait for it.
    pub(crate) fn is_delivering(&self, account: &Address) -> bool {
        let run = self.accounts.get(account).and_then(|account| account.delivery.0.as_deref());
        run.is_some_and(|run| !self.may_pass(run))
    }

    fn may_pass(&self, run: &Run) -> bool {
        let acknowledges = self.sessions.get(&run.to).is_some_and(|session| session.acknowledges);
        acknowledges && matches!(run.stage, Stage::Given { more: false, .. })
    }

    /// Lets a live message wait until those that were kept are delivered.
    pub(crate) fn hold_message(&mut self, account: &Address, parcel: Parcel) {
        let most = self.limits.waiting;
        let run = |router: &mut Self| Some(router.accounts.get_mut(account)?.delivery.0.as_mut()?.held.len());
        if run(self).is_none_or(|held| held >= most) {
            return self.bounce(parcel, Condition::ResourceConstraint);
        }
        let debt = self.owe(parcel.origin);
        if let Some(run) = self.accounts.get_mut(account).and_then(|account| account.delivery.0.as_mut()) {
            run.held.push_back((parcel, debt));
        }
    }

    /// Begins to deliver what was kept to a session, unless another gets it already.
    pub(crate) fn deliver_kept(&mut self, account: &Address, to: ConnectionId) {
        if self.accounts.get(account).is_none_or(|account| account.delivery.is_idle()) {
            let stage = Stage::Asked(self.list(account, self.given_to(to)));
            let run = Run { to, stage, held: VecDeque::new() };
            self.accounts.entry(account).delivery.0 = Some(Box::new(run));
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
            let run = Run { to, stage: Stage::Given { up_to, more: true }, held: VecDeque::new() };
            *delivery = Some(Box::new(run));
        }
    }

    fn list(&mut self, account: &Address, after: i64) -> Token {
        self.accounts.entry(account).asks += 1;
        let query = Query::ListKept { account: account.clone(), after, limit: PAGE };
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
        if !self.is_delivering(account) {
            self.release_held(account);
        }
    }

    /// Live messages go on behind the last that was kept.
    fn release_held(&mut self, account: &Address) {
        let run = self.accounts.get_mut(account).and_then(|account| account.delivery.0.as_deref_mut());
        let held = run.map(|run| std::mem::take(&mut run.held)).unwrap_or_default();
        self.first(held.into_iter().map(|(parcel, debt)| Work::Arrived { parcel, debt }));
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

    /// Live messages go on, in order and before anything that came later.
    fn delivery_done(&mut self, account: &Address) {
        if let Some(entry) = self.accounts.get_mut(account) {
            let held = entry.delivery.end();
            self.first(held);
            self.accounts.rest(account, self.limits.cached);
        }
    }

    /// A session is gone. Where it was being given kept messages, another takes its place, or they stay kept.
    pub(crate) fn delivery_lost(&mut self, account: &Address, connection: ConnectionId) {
        if self.run_of(account, connection).is_none() {
            return;
        }
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
