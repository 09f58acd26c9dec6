//! Sessions whose clients acknowledge what they are sent (XEP-0198): what they have not acknowledged is kept, and a
//! session outlives its connection for a while.
//!
//! The router knows a session by the connection that it began with; which connection carries it now is known here.

use super::client::Piece;
use super::{Timer, Xmpp};
use crate::desk::Desk;
use rustc_hash::FxHashMap;
use std::time::Duration;
use wire::{Address, ConnectionId};
use xmpp::router::{self, Receipt};
use xmpp::stream::unacknowledged::Most;
use xmpp::stream::{self, Agent, Sent, Unacknowledged, inactive, management};
use xmpp::{Jid, Stanza, StreamCondition, StreamError};

/// After so many stanzas a client is asked at once what it has handled …
const MANY: usize = 5;
/// … and after this time in any case.
const PATIENCE: Duration = Duration::from_secs(1);

/// A session whose client acknowledges.
#[derive(Debug)]
pub(super) struct Managed {
    pub(super) account: Address,
    pub(super) jid: Jid,
    /// What the client said of itself.
    pub(super) agent: Option<Agent>,
    /// By which name it may be resumed, if it may.
    pub(super) name: Option<Box<str>>,
    pub(super) queue: Unacknowledged,
    /// The connection that carries it.
    pub(super) carrier: Option<ConnectionId>,
    /// A connection that will, once it is known how much was handled.
    pub(super) next: Option<ConnectionId>,
    /// While nobody carries it: how many stanzas of it were taken.
    pub(super) handled: u32,
    /// Whether the router wants no more of it for now.
    pub(super) paused: bool,
    /// Whether it was asked what it has handled, and has not said so yet.
    pub(super) asked: bool,
    /// Whether the store has it from before the server's last end.
    pub(super) stored: bool,
}

/// All of one worker.
#[derive(Debug, Default)]
pub(super) struct Manageds {
    pub(super) sessions: FxHashMap<ConnectionId, Managed>,
    pub(super) names: FxHashMap<Box<str>, ConnectionId>,
}

impl Manageds {
    /// Which connection carries a session now.
    pub(super) fn carrier(&self, session: ConnectionId) -> Option<ConnectionId> {
        match self.sessions.get(&session) {
            Some(managed) => managed.carrier,
            None => Some(session),
        }
    }

    /// Notes whether the router wants more of a session.
    pub(super) fn pause(&mut self, session: ConnectionId, paused: bool) {
        if let Some(managed) = self.sessions.get_mut(&session) {
            managed.paused = paused;
        }
    }

    /// The sessions that nobody carries.
    pub(super) fn away(&self) -> impl Iterator<Item = ConnectionId> {
        self.sessions.iter().filter(|(_, managed)| managed.carrier.is_none()).map(|(session, _)| *session)
    }

    /// What the client of a session said of itself.
    pub(super) fn agent(&self, session: ConnectionId) -> Option<&Agent> {
        self.sessions.get(&session)?.agent.as_ref()
    }

    /// How many stanzas the client of a session has not acknowledged, where it does that.
    pub(super) fn unacknowledged(&self, session: ConnectionId) -> Option<usize> {
        Some(self.sessions.get(&session)?.queue.len())
    }

    fn remove(&mut self, session: ConnectionId) -> Option<Managed> {
        let managed = self.sessions.remove(&session)?;
        managed.name.as_ref().and_then(|name| self.names.remove(name));
        Some(managed)
    }

    /// The session of that name, if it is this account's.
    fn find(&self, name: &str, account: Option<&Address>) -> Option<ConnectionId> {
        let session = *self.names.get(name)?;
        (Some(&self.sessions.get(&session)?.account) == account).then_some(session)
    }
}

impl Xmpp {
    /// Sends a stanza to a session: later, where nobody looks at its client and it is not urgent (XEP-0352).
    pub(super) fn deliver(
        &mut self,
        desk: &mut Desk<'_, '_>,
        session: ConnectionId,
        stanza: Stanza,
        receipt: Option<Receipt>,
    ) {
        let carrier = self.managed.carrier(session);
        let client = carrier.and_then(|conn| self.clients.get_mut(&conn));
        let Some(held) = client.and_then(|client| client.held.as_mut()) else {
            return self.pass(desk, session, stanza, receipt);
        };
        let wait = receipt.is_none() && !inactive::is_urgent(&stanza);
        let (before, now) = if wait { (held.push(stanza), None) } else { (held.take(), Some(stanza)) };
        before.into_iter().for_each(|stanza| self.pass(desk, session, stanza, None));
        if let Some(stanza) = now {
            self.pass(desk, session, stanza, receipt);
        }
    }

    /// Sends a stanza to a session, or keeps it for when it is resumed.
    fn pass(
        &mut self,
        desk: &mut Desk<'_, '_>,
        session: ConnectionId,
        stanza: Stanza,
        receipt: Option<Receipt>,
    ) {
        let limits = &desk.shared.plan.xmpp.limits;
        let most = Most { stanzas: limits.unacknowledged, octets: limits.unacknowledged_octets };
        let Some(managed) = self.managed.sessions.get_mut(&session) else {
            return self.send(desk, session, Piece::Stanza(stanza, receipt));
        };
        let fits = managed.queue.has_room(stanza.as_str().len(), most);
        managed.queue.push(Sent { stanza: stanza.clone(), receipt, since: desk.net.now() });
        if !fits {
            return self.give_up(desk, session);
        }
        if let Some(conn) = managed.carrier {
            self.send(desk, conn, Piece::Copy(stanza));
            self.ask_for_more(desk, session);
        }
    }

    /// A session has left too much unacknowledged to be one any longer.
    fn give_up(&mut self, desk: &mut Desk<'_, '_>, session: ConnectionId) {
        tracing::debug!(%session, "a client does not acknowledge what it is sent");
        let carrier = self.managed.carrier(session);
        if let Some(conn) = carrier {
            // Nobody else would: what it is told at the end must not wait for its turn.
            self.resume(desk, conn);
        }
        self.finish(desk, session);
        if let Some(conn) = carrier {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            self.end(desk, conn, error.saying("too much that is not acknowledged"));
        }
    }

    /// A session is over; what it has not acknowledged finds another way.
    fn finish(&mut self, desk: &Desk<'_, '_>, session: ConnectionId) {
        self.route(desk, router::Input::Closed(session));
        self.timers.cancel(Timer::Expire(session));
        self.timers.cancel(Timer::Request(session));
        let document = self.managed.document(session);
        let Some(managed) = self.managed.remove(session) else { return };
        if let Some(document) = document.filter(|_| managed.stored) {
            self.forget_suspended(desk, document, None);
        }
        if let Some(conn) = managed.next {
            self.feed(desk, conn, stream::Input::NotResumed);
        }
        for Sent { stanza, receipt, since } in managed.queue.into_sent() {
            let since = Some(since);
            self.route(desk, router::Input::Undelivered { connection: session, stanza, receipt, since });
        }
    }

    /// Asks a client what it has handled, where that is worth it.
    fn ask_for_more(&mut self, desk: &mut Desk<'_, '_>, session: ConnectionId) {
        let Some(managed) = self.managed.sessions.get(&session) else { return };
        if managed.asked || managed.queue.is_empty() || managed.carrier.is_none() {
            return;
        }
        if managed.queue.len() >= MANY || managed.queue.iter().any(|sent| sent.receipt.is_some()) {
            self.request(desk, session);
        } else if self.timers.get(Timer::Request(session)).is_none() {
            self.timers.set(Timer::Request(session), desk.net.now() + PATIENCE);
        }
    }

    /// Asks a client what it has handled.
    pub(super) fn request(&mut self, desk: &mut Desk<'_, '_>, session: ConnectionId) {
        let Some(managed) = self.managed.sessions.get_mut(&session) else { return };
        let Some(conn) = managed.carrier.filter(|_| !managed.asked && !managed.queue.is_empty()) else {
            return;
        };
        managed.asked = true;
        self.send(desk, conn, Piece::Bytes(management::REQUEST.into()));
        // Who does not answer is not there.
        self.with_stream(desk, conn, |stream, context, _| stream.asked(context));
    }

    /// A client acknowledges.
    pub(super) fn acknowledged(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, handled: u32) {
        let session = self.clients.get(&conn).and_then(|client| client.session);
        let Some(session) = session else { return };
        let Some(managed) = self.managed.sessions.get_mut(&session) else { return };
        match managed.queue.acknowledge(handled) {
            Ok(receipts) => {
                managed.asked = false;
                for receipt in receipts {
                    self.route(desk, router::Input::Delivered(receipt));
                }
                self.ask_for_more(desk, session);
            }
            Err(too_high) => self.end(desk, conn, management::too_high(handled, too_high.sent)),
        }
    }

    /// A client counts stanzas from now on.
    pub(super) fn manage(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        answer: Vec<u8>,
        name: Option<Box<str>>,
    ) {
        self.send(desk, conn, Piece::Bytes(answer));
        let Some(client) = self.clients.get(&conn) else { return };
        let (Some(session), Some(jid)) = (client.session, client.stream.jid()) else { return };
        let Some(account) = jid.address().cloned() else { return };
        if let Some(name) = &name {
            self.managed.names.insert(name.clone(), session);
        }
        let managed = Managed {
            account,
            jid: jid.clone(),
            agent: client.stream.agent().cloned(),
            name,
            queue: Unacknowledged::default(),
            carrier: Some(conn),
            next: None,
            handled: 0,
            paused: client.paused,
            asked: false,
            stored: false,
        };
        self.managed.sessions.insert(session, managed);
        self.route(desk, router::Input::Acknowledges(session));
    }

    /// A connection carries its session no more. Where that may be resumed it waits; else it is over, and `unsent`
    /// finds another way.
    pub(super) fn lost(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        resumable: bool,
        unsent: impl IntoIterator<Item = Piece>,
    ) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let Some(session) = client.session.take() else { return };
        let held = client.held.take().map(|mut held| held.take()).unwrap_or_default();
        let handled = client.stream.handled().unwrap_or_default();
        let Some(managed) = self.managed.sessions.get_mut(&session) else {
            let held = held.into_iter().map(|stanza| Piece::Stanza(stanza, None));
            return self.give_back(desk, session, unsent.into_iter().chain(held));
        };
        managed.carrier = None;
        managed.handled = handled;
        managed.asked = false;
        let waits = resumable && managed.name.is_some();
        held.into_iter().for_each(|stanza| self.pass(desk, session, stanza, None));
        if waits {
            self.route(desk, router::Input::Away { connection: session, away: true });
            self.timers.set(Timer::Expire(session), desk.net.now() + self.policy.resume);
        } else {
            self.finish(desk, session);
        }
    }

    /// Nobody has come for a session.
    pub(super) fn expire(&mut self, desk: &Desk<'_, '_>, session: ConnectionId) {
        self.finish(desk, session);
    }

    /// A client wants an earlier session back. What came on its old connection is done first; then it is known how
    /// much was handled, and that must be durable.
    pub(super) fn take_back(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        name: &str,
        handled: u32,
    ) {
        let account = self.clients.get(&conn).and_then(|client| client.account.clone());
        let Some(session) = self.managed.find(name, account.as_ref()) else {
            return self.feed(desk, conn, stream::Input::NotResumed);
        };
        let Some(managed) = self.managed.sessions.get_mut(&session) else { return };
        let receipts = match managed.queue.acknowledge(handled) {
            Ok(receipts) => receipts,
            Err(too_high) => return self.end(desk, conn, management::too_high(handled, too_high.sent)),
        };
        let (old, rival) = (managed.carrier, managed.next.replace(conn));
        if let Some(client) = self.clients.get_mut(&conn) {
            client.wants = Some(session);
        }
        for receipt in receipts {
            self.route(desk, router::Input::Delivered(receipt));
        }
        for old in [old, rival].into_iter().flatten() {
            self.supersede(desk, old);
        }
        self.timers.cancel(Timer::Expire(session));
        let stored = self
            .managed
            .sessions
            .get_mut(&session)
            .is_some_and(|managed| std::mem::take(&mut managed.stored));
        match stored.then(|| self.managed.document(session)).flatten() {
            // From here on what the store has of it is not true any more.
            Some(document) => self.forget_suspended(desk, document, Some(session)),
            None => self.go_on(desk, session),
        }
    }

    /// How much of a session was handled is to be told to its next connection, once that is durable.
    pub(super) fn go_on(&mut self, desk: &Desk<'_, '_>, session: ConnectionId) {
        let handled = self.managed.sessions.get(&session).map_or(0, |managed| managed.handled);
        self.route(desk, router::Input::Asked { connection: session, handled });
    }

    /// Another connection takes a connection's session over.
    fn supersede(&mut self, desk: &mut Desk<'_, '_>, old: ConnectionId) {
        if let Some(client) = self.clients.get_mut(&old) {
            client.paused = false;
            for output in std::mem::take(&mut client.waiting) {
                self.step(desk, old, output);
            }
        }
        self.lost(desk, old, true, []);
        let error = StreamError::from(StreamCondition::Conflict);
        self.end(desk, old, error.saying("resumed on another connection"));
    }

    /// So many stanzas of a session are handled, and what they did is durable: who asked is told.
    pub(super) fn handled(&mut self, desk: &mut Desk<'_, '_>, session: ConnectionId, handled: u32) {
        let Some(managed) = self.managed.sessions.get_mut(&session) else { return };
        match (managed.carrier, managed.next) {
            (Some(conn), _) => {
                self.send(desk, conn, Piece::Bytes(management::acknowledgement(handled).into()));
            }
            // An earlier question, from before the connection was lost, may be answered only now.
            (None, Some(conn)) if handled == managed.handled => {
                let (jid, name) = (managed.jid.clone(), managed.name.clone().unwrap_or_default());
                if self.clients.get(&conn).is_some_and(|client| !client.over) {
                    self.feed(desk, conn, stream::Input::Resumed { jid, name: &name, handled });
                } else {
                    managed.next = None;
                    self.timers.set(Timer::Expire(session), desk.net.now() + self.policy.resume);
                }
            }
            (None, _) => {}
        }
    }

    /// A connection carries the session that was waiting for it: what is not acknowledged is sent again.
    pub(super) fn attach(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, answer: Vec<u8>) {
        let wants = self.clients.get_mut(&conn).and_then(|client| client.wants.take());
        let Some(session) = wants else { return };
        let Some(managed) = self.managed.sessions.get_mut(&session) else { return };
        (managed.carrier, managed.next) = (Some(conn), None);
        let (paused, queue) = (managed.paused, managed.queue.clone());
        if let Some(client) = self.clients.get_mut(&conn) {
            client.session = Some(session);
            client.paused = paused;
        }
        if paused {
            desk.net.pause(conn);
        }
        self.route(desk, router::Input::Away { connection: session, away: false });
        self.send(desk, conn, Piece::Bytes(answer));
        for sent in queue.into_sent() {
            self.send(desk, conn, Piece::Copy(sent.stanza));
        }
        self.ask_for_more(desk, session);
    }

    /// The router has ended a session.
    pub(super) fn evict(&mut self, desk: &mut Desk<'_, '_>, session: ConnectionId, why: StreamError) {
        let carrier = self.managed.carrier(session);
        if let Some(conn) = carrier {
            // Nobody will resume it: what it said before is done now, then it ends.
            self.resume(desk, conn);
        }
        if self.managed.sessions.contains_key(&session) {
            self.finish(desk, session);
        }
        if let Some(conn) = carrier {
            self.end(desk, conn, why);
        }
    }

    /// Whether somebody looks at a client; what waited for that goes out.
    pub(super) fn look(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, active: bool) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if !active {
            client.held.get_or_insert_default();
            return;
        }
        let (held, session) = (client.held.take(), client.session);
        if let (Some(mut held), Some(session)) = (held, session) {
            held.take().into_iter().for_each(|stanza| self.pass(desk, session, stanza, None));
        }
    }
}
