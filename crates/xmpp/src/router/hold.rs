//! Answers that wait until what their session did before is durable, and sessions that must slow down.

use super::ledger::{Debt, Pace};
use super::session::Held;
use super::{Between, Output, Router};
use crate::stanza::Stanza;
use wire::ConnectionId;

impl Router {
    /// Opens a debt for a session, here or elsewhere.
    pub(crate) fn owe(&mut self, origin: Option<ConnectionId>) -> Option<Debt> {
        let (debt, pace) = self.ledger.open(origin?);
        self.set_pace(debt.origin, pace);
        Some(debt)
    }

    /// Pays a debt; answers that waited for it alone go out.
    pub(crate) fn settle(&mut self, debt: Option<Debt>) {
        let Some(debt) = debt else { return };
        let origin = debt.origin;
        let pace = self.ledger.close(debt);
        self.set_pace(origin, pace);
        if origin.worker == self.me {
            self.release(origin);
        } else {
            while self.ledger.reached(origin) {
                self.tell(origin.worker, Between::Cleared(origin));
            }
        }
    }

    /// Sends an answer of the server to a session, behind all that the session caused before.
    pub(crate) fn answer(&mut self, connection: ConnectionId, stanza: Stanza) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let mark = self.ledger.mark(connection);
        if session.held.is_empty() && session.elsewhere.is_empty() && self.ledger.is_clear(connection, mark) {
            return self.deliver(connection, stanza);
        }
        let (debt, pace) = self.ledger.open(connection);
        session.held.push_back(Held { stanza, mark, fenced: false, debt });
        self.set_pace(connection, pace);
        self.release(connection);
    }

    /// Sends the answers for which nothing is left to wait.
    fn release(&mut self, connection: ConnectionId) {
        while let Some(session) = self.sessions.get_mut(&connection) {
            let Some(head) = session.held.front_mut() else { return };
            if session.barriers > 0 || !self.ledger.is_clear(connection, head.mark) {
                return;
            }
            if !std::mem::replace(&mut head.fenced, true) && !session.elsewhere.is_empty() {
                let workers = session.elsewhere.take();
                session.barriers = workers.len();
                return workers.into_iter().for_each(|to| self.tell(to, Between::Barrier(connection)));
            }
            let Some(Held { stanza, debt, .. }) = session.held.pop_front() else { return };
            let pace = self.ledger.close(debt);
            self.deliver(connection, stanza);
            self.set_pace(connection, pace);
        }
    }

    /// A worker says that what the session caused there is durable.
    pub(super) fn cleared(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.barriers = session.barriers.saturating_sub(1);
            self.release(connection);
        }
    }

    fn set_pace(&mut self, origin: ConnectionId, pace: Pace) {
        match pace {
            Pace::Same => {}
            Pace::Slow if origin.worker == self.me => self.slower(origin),
            Pace::Ready if origin.worker == self.me => self.faster(origin),
            Pace::Slow => self.tell(origin.worker, Between::Slow(origin)),
            Pace::Ready => self.tell(origin.worker, Between::Ready(origin)),
        }
    }

    /// One worker more wants the session to slow down.
    pub(super) fn slower(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.slow += 1;
            if session.slow == 1 {
                self.output(Output::Pause(connection));
            }
        }
    }

    /// One worker less wants the session to slow down.
    pub(super) fn faster(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection).filter(|session| session.slow > 0) {
            session.slow -= 1;
            if session.slow == 0 {
                self.output(Output::Resume(connection));
            }
        }
    }
}
