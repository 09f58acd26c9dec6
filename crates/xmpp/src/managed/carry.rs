//! A session from its beginning to its end: what it is given, and what becomes of that where its connection is lost.

use super::{Link, Managed, Output, Piece, Session, Timer};
use crate::jid::Jid;
use crate::router::{self, Given};
use crate::stream::{Agent, Sent, StreamCondition, StreamError, Unacknowledged, inactive};
use wire::ConnectionId;

impl Managed {
    /// A connection is to have a session of its own.
    pub(super) fn begin(&mut self, connection: ConnectionId) {
        let link = Link { session: Some(connection), ..Link::default() };
        self.links.insert(connection, link);
    }

    /// A client counts stanzas from now on.
    pub(super) fn enable(
        &mut self,
        connection: ConnectionId,
        jid: &Jid,
        agent: Option<&Agent>,
        paused: bool,
        name: Option<Box<str>>,
    ) {
        let (Some(session), Some(account)) = (self.session(connection), jid.address()) else { return };
        if let Some(name) = &name {
            self.names.insert(name.clone(), session);
        }
        let managed = Session {
            account: account.clone(),
            jid: jid.clone(),
            agent: agent.cloned(),
            name,
            queue: Unacknowledged::default(),
            before: Vec::new(),
            carrier: Some(connection),
            next: None,
            handled: 0,
            paused,
            asked: false,
            stored: false,
        };
        self.sessions.insert(session, managed);
        self.route(router::Input::Acknowledges(session));
    }

    /// Gives a session something: later, where nobody looks at its client and it is not urgent (XEP-0352).
    pub(super) fn give(&mut self, session: ConnectionId, given: Given) {
        let link = self.carrier(session).and_then(|connection| self.links.get_mut(&connection));
        let Some(held) = link.and_then(|link| link.held.as_mut()) else { return self.pass(session, given) };
        let wait = given.receipt.is_none() && !inactive::is_urgent(&given.stanza);
        let (before, now) = if wait { (held.push(given), None) } else { (held.take(), Some(given)) };
        before.into_iter().chain(now).for_each(|given| self.pass(session, given));
    }

    /// Gives a session something now, or keeps it for when it is resumed.
    pub(super) fn pass(&mut self, session: ConnectionId, given: Given) {
        let (most, since) = (self.bounds.most, self.now);
        let Some(managed) = self.sessions.get_mut(&session) else {
            return self.write(session, Piece::Given(given));
        };
        let fits = managed.queue.has_room(given.stanza.as_str().len(), most);
        let copy = given.stanza.clone();
        managed.queue.push(Sent { given, since });
        if !fits {
            return self.give_up(session);
        }
        if let Some(connection) = managed.carrier {
            self.write(connection, Piece::Copy(copy));
            self.ask_for_more(session);
        }
    }

    /// A session has left too much unacknowledged to be one any longer.
    fn give_up(&mut self, session: ConnectionId) {
        let error = StreamError::from(StreamCondition::PolicyViolation);
        self.evicted(session, error.saying("too much that is not acknowledged"));
    }

    /// A session is over and nobody will resume it: what its client said before is done now, then its stream ends.
    pub(super) fn evicted(&mut self, session: ConnectionId, why: StreamError) {
        let carrier = self.carrier(session);
        if let Some(connection) = carrier {
            self.output(Output::Read(connection));
        }
        if self.sessions.contains_key(&session) {
            self.finish(session);
        }
        if let Some(connection) = carrier {
            self.output(Output::End(connection, why));
        }
    }

    /// A session is over; what it has not acknowledged finds another way.
    pub(super) fn finish(&mut self, session: ConnectionId) {
        self.route(router::Input::Closed(session));
        self.timers.cancel(Timer::Expire(session));
        self.timers.cancel(Timer::Request(session));
        let Some(managed) = self.sessions.remove(&session) else { return };
        if let Some(name) = managed.name {
            self.names.remove(&name);
            if managed.stored {
                self.output(Output::Forget { account: managed.account, name, then: None });
            }
        }
        if let Some(connection) = managed.next {
            self.output(Output::NotResumed(connection));
        }
        for Sent { given, since } in managed.before.into_iter().chain(managed.queue.into_sent()) {
            let since = Some(since);
            self.route(router::Input::Undelivered { connection: session, given, since });
        }
    }

    /// A connection carries its session no more. Where that may be resumed it waits; else it is over, and what was not
    /// written finds another way.
    pub(super) fn lost(
        &mut self,
        connection: ConnectionId,
        handled: u32,
        resumable: bool,
        unsent: Vec<Piece>,
    ) {
        let Some(mut link) = self.links.remove(&connection) else { return };
        self.wants_no_more(&link, connection);
        let Some(session) = link.session else { return };
        let held = link.held.take().map(|mut held| held.take()).unwrap_or_default();
        let unsent = unsent.into_iter().filter_map(|piece| match piece {
            Piece::Given(given) => Some(given),
            Piece::Copy(_) | Piece::Bytes(_) => None,
        });
        let Some(managed) = self.sessions.get_mut(&session) else {
            return self.give_back(session, unsent.chain(held).collect());
        };
        (managed.carrier, managed.handled, managed.asked) = (None, handled, false);
        managed.before.extend(unsent.map(|given| Sent { given, since: self.now }));
        let waits = resumable && managed.name.is_some();
        held.into_iter().for_each(|given| self.pass(session, given));
        if !self.sessions.contains_key(&session) {
            // That was too much.
        } else if waits {
            self.route(router::Input::Away { connection: session, away: true });
            self.timers.set(Timer::Expire(session), self.now + self.bounds.resume);
        } else {
            self.finish(session);
        }
    }

    /// A connection that is gone was to be given something.
    pub(super) fn unwritten(&mut self, connection: ConnectionId, given: Given) {
        // A session that began here and whose client acknowledges may go on elsewhere: what it was sent is kept with it.
        if !self.sessions.contains_key(&connection) {
            self.give_back(connection, vec![given]);
        }
    }

    /// A session whose client does not acknowledge is over; what it has not had finds another way.
    fn give_back(&mut self, session: ConnectionId, all: Vec<Given>) {
        self.route(router::Input::Closed(session));
        for given in all {
            self.route(router::Input::Undelivered { connection: session, given, since: None });
        }
    }

    /// Whether somebody looks at a client; what waited for that goes out.
    pub(super) fn look(&mut self, connection: ConnectionId, active: bool) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        if !active {
            link.held.get_or_insert_default();
        } else if let (Some(mut held), Some(session)) = (link.held.take(), link.session) {
            held.take().into_iter().for_each(|given| self.pass(session, given));
        }
    }
}
