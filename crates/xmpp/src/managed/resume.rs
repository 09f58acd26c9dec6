//! A client comes back for its session (XEP-0198 §5).

use super::{Link, Managed, Output, Piece, Timer};
use crate::router;
use crate::stream::{StreamCondition, StreamError, management};
use wire::{Address, ConnectionId};

impl Managed {
    /// The session of that name, if it is this account's.
    fn find(&self, name: &str, account: &Address) -> Option<ConnectionId> {
        let session = *self.names.get(name)?;
        (self.sessions.get(&session)?.account == *account).then_some(session)
    }

    /// A client wants an earlier session back. What came on its old connection is done first; then it is known how
    /// much was handled, and that must be durable.
    pub(super) fn take_back(
        &mut self,
        connection: ConnectionId,
        account: &Address,
        name: &str,
        handled: u32,
    ) {
        let Some(session) = self.find(name, account) else {
            return self.output(Output::NotResumed(connection));
        };
        let Some(managed) = self.sessions.get_mut(&session) else { return };
        let receipts = match managed.queue.acknowledge(handled) {
            Ok(receipts) => receipts,
            Err(too_high) => {
                let error = management::too_high(handled, too_high.sent);
                return self.output(Output::End(connection, error));
            }
        };
        // Its name came behind whatever was given before.
        let had = std::mem::take(&mut managed.before).into_iter().filter_map(|sent| sent.given.receipt);
        let receipts = had.chain(receipts);
        let (old, rival) = (managed.carrier, managed.next.replace(connection));
        self.links.insert(connection, Link { wants: Some(session), ..Link::default() });
        receipts.for_each(|receipt| self.route(router::Input::Delivered(receipt)));
        for old in [old, rival].into_iter().flatten() {
            self.output(Output::Supersede(old));
        }
        self.output(Output::Superseded(session));
    }

    /// Nobody carries a session that is wanted back.
    pub(super) fn superseded(&mut self, session: ConnectionId) {
        let Some(managed) = self.sessions.get_mut(&session) else { return };
        if managed.next.is_none() {
            return;
        }
        self.timers.cancel(Timer::Expire(session));
        match managed.name.clone().filter(|_| std::mem::take(&mut managed.stored)) {
            // From here on what the store has of it is not true any more.
            Some(name) => {
                let account = managed.account.clone();
                self.output(Output::Forget { account, name, then: Some(session) });
            }
            None => self.go_on(session),
        }
    }

    /// How much of a session was handled is to be told to its next connection, once that is durable.
    fn go_on(&mut self, session: ConnectionId) {
        let handled = self.sessions.get(&session).map_or(0, |managed| managed.handled);
        self.route(router::Input::Asked { connection: session, handled });
    }

    /// Whether the store has forgotten a session. Where it could not, the session would be there again when the server comes
    /// back: it must not go on meanwhile.
    pub(super) fn forgotten(&mut self, session: ConnectionId, forgotten: bool) {
        if forgotten {
            return self.go_on(session);
        }
        let Some(managed) = self.sessions.get_mut(&session) else { return };
        managed.stored = true;
        let next = managed.next.take();
        self.timers.set(Timer::Expire(session), self.now + self.bounds.resume);
        if let Some(connection) = next {
            let error = StreamError::from(StreamCondition::ResourceConstraint);
            self.output(Output::End(connection, error.saying("not now")));
        }
    }

    /// A connection carries the session that was waiting for it: what is not acknowledged is sent again.
    pub(super) fn attach(&mut self, connection: ConnectionId, answer: Vec<u8>) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        let Some(session) = link.wants.take() else { return };
        let Some(managed) = self.sessions.get_mut(&session) else { return };
        if managed.next != Some(connection) {
            return;
        }
        (managed.carrier, managed.next) = (Some(connection), None);
        link.session = Some(session);
        let (paused, queue) = (managed.paused, managed.queue.clone());
        if paused {
            self.output(Output::Pause(connection));
        }
        self.route(router::Input::Away { connection: session, away: false });
        self.write(connection, Piece::Bytes(answer));
        for sent in queue.into_sent() {
            self.write(connection, Piece::Copy(sent.given.stanza));
        }
        self.ask_for_more(session);
    }

    /// A connection is gone that wanted a session back: the session waits on.
    pub(super) fn wants_no_more(&mut self, link: &Link, connection: ConnectionId) {
        let managed = link.wants.and_then(|session| Some((session, self.sessions.get_mut(&session)?)));
        if let Some((session, managed)) = managed.filter(|(_, managed)| managed.next == Some(connection)) {
            managed.next = None;
            if managed.carrier.is_none() {
                self.timers.set(Timer::Expire(session), self.now + self.bounds.resume);
            }
        }
    }
}
