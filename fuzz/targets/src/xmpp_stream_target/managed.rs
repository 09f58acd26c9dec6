//! Sessions whose clients acknowledge (XEP-0198), as the server around the streams keeps them.

use super::world::{Piece, Timer, World};
use std::time::Duration;
use wire::{Address, ConnectionId};
use xmpp::router::{self, Receipt};
use xmpp::stream::{self, Sent, Unacknowledged, inactive, management};
use xmpp::{Jid, Stanza, StreamCondition, StreamError};

/// A session whose client acknowledges.
#[derive(Debug)]
pub(super) struct Managed {
    pub(super) account: Address,
    jid: Jid,
    pub(super) name: Option<Box<str>>,
    pub(super) queue: Unacknowledged,
    pub(super) carrier: Option<ConnectionId>,
    next: Option<ConnectionId>,
    handled: u32,
    pub(super) paused: bool,
    asked: bool,
}

impl World {
    /// The connection that carries a session now.
    pub(super) fn carrier(&self, session: ConnectionId) -> Option<ConnectionId> {
        self.managed.get(&session).map_or(Some(session), |managed| managed.carrier)
    }

    pub(super) fn deliver(&mut self, session: ConnectionId, stanza: Stanza, receipt: Option<Receipt>) {
        let carrier = self.carrier(session);
        let client = carrier.and_then(|conn| self.clients.get_mut(&conn));
        let Some(held) = client.and_then(|client| client.held.as_mut()) else {
            return self.pass_on(session, stanza, receipt);
        };
        let wait = receipt.is_none() && !inactive::is_urgent(&stanza);
        let (before, now) = if wait { (held.push(stanza), None) } else { (held.take(), Some(stanza)) };
        before.into_iter().for_each(|stanza| self.pass_on(session, stanza, None));
        if let Some(stanza) = now {
            self.pass_on(session, stanza, receipt);
        }
    }

    fn pass_on(&mut self, session: ConnectionId, stanza: Stanza, receipt: Option<Receipt>) {
        let now = self.now;
        let Some(managed) = self.managed.get_mut(&session) else {
            return self.send(session, Piece::Stanza(stanza, receipt));
        };
        let fits = managed.queue.has_room(stanza.as_str().len(), super::house::MOST);
        managed.queue.push(Sent { stanza: stanza.clone(), receipt, since: now });
        if !fits {
            let carrier = self.carrier(session);
            if let Some(conn) = carrier {
                self.resume(conn);
            }
            self.finish(session);
            if let Some(conn) = carrier {
                self.end_stream(conn, StreamCondition::PolicyViolation.into());
            }
            return;
        }
        if let Some(conn) = managed.carrier {
            self.send(conn, Piece::Copy(stanza));
            self.ask_for_more(session);
        }
    }

    /// A session is over; what it has not acknowledged finds another way.
    pub(super) fn finish(&mut self, session: ConnectionId) {
        self.route(session.worker, router::Input::Closed(session));
        self.timers.cancel(Timer::Expire(session));
        self.timers.cancel(Timer::Request(session));
        let Some(managed) = self.managed.remove(&session) else { return };
        managed.name.as_ref().and_then(|name| self.names.remove(name));
        if let Some(conn) = managed.next {
            self.feed(conn, stream::Input::NotResumed);
        }
        for Sent { stanza, receipt, since } in managed.queue.into_sent() {
            let since = Some(since);
            let input = router::Input::Undelivered { connection: session, stanza, receipt, since };
            self.route(session.worker, input);
        }
    }

    fn ask_for_more(&mut self, session: ConnectionId) {
        let Some(managed) = self.managed.get(&session) else { return };
        if managed.asked || managed.queue.is_empty() || managed.carrier.is_none() {
            return;
        }
        if managed.queue.len() >= 5 || managed.queue.iter().any(|sent| sent.receipt.is_some()) {
            self.request(session);
        } else if self.timers.get(Timer::Request(session)).is_none() {
            self.timers.set(Timer::Request(session), self.now + Duration::from_secs(1));
        }
    }

    /// Asks a client what it has handled.
    pub(super) fn request(&mut self, session: ConnectionId) {
        let Some(managed) = self.managed.get_mut(&session) else { return };
        let Some(conn) = managed.carrier.filter(|_| !managed.asked && !managed.queue.is_empty()) else {
            return;
        };
        managed.asked = true;
        self.send(conn, Piece::Bytes(management::REQUEST.into()));
        self.with_stream(conn, |stream, context, _| stream.asked(context));
    }

    pub(super) fn acknowledged(&mut self, conn: ConnectionId, handled: u32) {
        let session = self.clients.get(&conn).and_then(|client| client.session);
        let Some(session) = session else { return };
        let Some(managed) = self.managed.get_mut(&session) else { return };
        match managed.queue.acknowledge(handled) {
            Ok(receipts) => {
                managed.asked = false;
                for receipt in receipts {
                    self.route(session.worker, router::Input::Delivered(receipt));
                }
                self.ask_for_more(session);
            }
            Err(too_high) => self.end_stream(conn, management::too_high(handled, too_high.sent)),
        }
    }

    /// A client counts from now on.
    pub(super) fn manage(&mut self, conn: ConnectionId, answer: Vec<u8>, name: Option<Box<str>>) {
        self.send(conn, Piece::Bytes(answer));
        let Some(client) = self.clients.get(&conn) else { return };
        let (Some(session), Some(jid)) = (client.session, client.stream.jid()) else { return };
        let Some(account) = jid.address().cloned() else { return };
        if let Some(name) = &name {
            self.names.insert(name.clone(), session);
        }
        let managed = Managed {
            account,
            jid: jid.clone(),
            name,
            queue: Unacknowledged::default(),
            carrier: Some(conn),
            next: None,
            handled: 0,
            paused: client.paused,
            asked: false,
        };
        self.managed.insert(session, managed);
        self.route(session.worker, router::Input::Acknowledges(session));
    }

    /// A connection carries its session no more.
    pub(super) fn lost(&mut self, conn: ConnectionId, resumable: bool, unsent: Vec<Piece>) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let Some(session) = client.session.take() else { return };
        let held = client.held.take().map(|mut held| held.take()).unwrap_or_default();
        let handled = client.stream.handled().unwrap_or_default();
        let Some(managed) = self.managed.get_mut(&session) else {
            let held = held.into_iter().map(|stanza| Piece::Stanza(stanza, None));
            return self.give_back(session, unsent.into_iter().chain(held).collect());
        };
        (managed.carrier, managed.handled, managed.asked) = (None, handled, false);
        let waits = resumable && managed.name.is_some();
        held.into_iter().for_each(|stanza| self.pass_on(session, stanza, None));
        if waits {
            self.route(session.worker, router::Input::Away { connection: session, away: true });
            self.timers.set(Timer::Expire(session), self.now + self.policy.resume);
        } else {
            self.finish(session);
        }
    }

    /// A client wants an earlier session back.
    pub(super) fn take_back(&mut self, conn: ConnectionId, name: &str, handled: u32) {
        let account = self.clients.get(&conn).and_then(|client| client.account.clone());
        let session = self.names.get(name).copied().filter(|session| {
            self.managed.get(session).is_some_and(|managed| Some(&managed.account) == account.as_ref())
        });
        let Some(session) = session else { return self.feed(conn, stream::Input::NotResumed) };
        let Some(managed) = self.managed.get_mut(&session) else { return };
        let receipts = match managed.queue.acknowledge(handled) {
            Ok(receipts) => receipts,
            Err(too_high) => {
                return self.end_stream(conn, management::too_high(handled, too_high.sent));
            }
        };
        let (old, rival) = (managed.carrier, managed.next.replace(conn));
        if let Some(client) = self.clients.get_mut(&conn) {
            client.wants = Some(session);
        }
        for receipt in receipts {
            self.route(session.worker, router::Input::Delivered(receipt));
        }
        for old in [old, rival].into_iter().flatten() {
            self.supersede(old);
        }
        self.timers.cancel(Timer::Expire(session));
        let handled = self.managed.get(&session).map_or(0, |managed| managed.handled);
        self.route(session.worker, router::Input::Asked { connection: session, handled });
    }

    /// Another connection takes a connection's session over.
    fn supersede(&mut self, old: ConnectionId) {
        if let Some(client) = self.clients.get_mut(&old) {
            client.paused = false;
            for output in std::mem::take(&mut client.waiting) {
                self.do_for(old, output);
            }
        }
        self.lost(old, true, Vec::new());
        self.end_stream(old, StreamError::from(StreamCondition::Conflict));
    }

    /// So many stanzas of a session are handled, and what they did is durable.
    pub(super) fn handled(&mut self, session: ConnectionId, handled: u32) {
        let Some(managed) = self.managed.get_mut(&session) else { return };
        match (managed.carrier, managed.next) {
            (Some(conn), _) => self.send(conn, Piece::Bytes(management::acknowledgement(handled).into())),
            (None, Some(conn)) if handled == managed.handled => {
                let (jid, name) = (managed.jid.clone(), managed.name.clone().unwrap_or_default());
                if self.clients.get(&conn).is_some_and(|client| !client.over) {
                    self.feed(conn, stream::Input::Resumed { jid, name: &name, handled });
                } else {
                    managed.next = None;
                    self.timers.set(Timer::Expire(session), self.now + self.policy.resume);
                }
            }
            (None, _) => {}
        }
    }

    /// A connection carries the session that was waiting for it.
    pub(super) fn attach(&mut self, conn: ConnectionId, answer: Vec<u8>) {
        let wants = self.clients.get_mut(&conn).and_then(|client| client.wants.take());
        let Some(session) = wants else { return };
        let Some(managed) = self.managed.get_mut(&session) else { return };
        (managed.carrier, managed.next) = (Some(conn), None);
        let (paused, queue) = (managed.paused, managed.queue.clone());
        if let Some(client) = self.clients.get_mut(&conn) {
            client.session = Some(session);
            client.paused = paused;
        }
        self.route(session.worker, router::Input::Away { connection: session, away: false });
        self.send(conn, Piece::Bytes(answer));
        for sent in queue.into_sent() {
            self.send(conn, Piece::Copy(sent.stanza));
        }
        self.ask_for_more(session);
    }

    /// Whether somebody looks at a client.
    pub(super) fn look(&mut self, conn: ConnectionId, active: bool) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if !active {
            client.held.get_or_insert_default();
            return;
        }
        if let (Some(mut held), Some(session)) = (client.held.take(), client.session) {
            held.take().into_iter().for_each(|stanza| self.pass_on(session, stanza, None));
        }
    }
}
