//! Answers that wait until what their session did before is durable, and sessions that must slow down.

use super::ledger::{Debt, Pace};
use super::session::{Held, Word};
use super::{Between, Output, Router};
use crate::stanza::{Kind, Stanza};
use wire::{ConnectionId, WorkerId};

impl Router {
    /// Opens a debt for a session, here or elsewhere.
    pub(crate) fn owe(&mut self, origin: Option<ConnectionId>) -> Option<Debt> {
        let origin = origin?;
        let through = self.cause.filter(|(cause, _)| *cause == origin).map(|(_, number)| number);
        let (debt, pace) = self.ledger.open(origin, through);
        self.set_pace(debt.origin, pace);
        Some(debt)
    }

    /// Does something that a debt leads to: what it owes in turn takes the debt's place, which is paid then.
    pub(crate) fn through(&mut self, debt: Option<Debt>, act: impl FnOnce(&mut Self)) {
        let Some(debt) = debt else { return act(self) };
        let before = self.cause.replace((debt.origin, debt.number));
        act(self);
        self.run();
        self.cause = before;
        self.settle(Some(debt));
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

    /// Sends an answer of the server to a session: to an IQ, behind all that the session caused before.
    pub(crate) fn answer(&mut self, connection: ConnectionId, stanza: Stanza) {
        if stanza.kind() == Kind::Iq {
            self.say(connection, Word::Stanza(stanza));
        } else if self.sessions.contains_key(&connection) {
            self.deliver(connection, stanza);
        }
    }

    /// Says something to a session, behind all that the session caused before.
    pub(super) fn say(&mut self, connection: ConnectionId, word: Word) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let mark = self.ledger.mark(connection);
        if session.held.is_empty() && session.abroad.is_clear() && self.ledger.is_clear(connection, mark) {
            return self.utter(connection, word);
        }
        let (debt, pace) = self.ledger.open(connection, None);
        session.held_octets += word.octets();
        // A few questions for all there is are as much as many others.
        let heavy = !session.is_heavy && session.held_octets > self.limits.waiting_octets;
        session.is_heavy |= heavy;
        session.held.push_back(Held { word, mark, round: None, debt });
        self.set_pace(connection, if heavy { Pace::Slow } else { Pace::Same });
        self.set_pace(connection, pace);
        self.release(connection);
    }

    fn utter(&mut self, connection: ConnectionId, word: Word) {
        match word {
            Word::Stanza(stanza) => self.deliver(connection, stanza),
            Word::Handled(handled) => self.output(Output::Handled { connection, handled }),
        }
    }

    /// Sends the answers for which nothing is left to wait.
    fn release(&mut self, connection: ConnectionId) {
        while let Some(session) = self.sessions.get_mut(&connection) {
            let Some(head) = session.held.front_mut() else { return };
            if !self.ledger.is_clear(connection, head.mark) {
                return;
            }
            // Only now: what was just made durable here may have gone on to another worker.
            let round = *head.round.get_or_insert(session.abroad.next_round());
            if !session.abroad.has_ended(round) {
                if !session.abroad.has_begun(round) && !session.abroad.is_asking() {
                    self.ask_abroad(connection);
                }
                return;
            }
            let Some(Held { word, debt, .. }) = session.held.pop_front() else { return };
            session.held_octets -= word.octets();
            let light = session.is_heavy && session.held_octets <= self.limits.waiting_octets / 2;
            session.is_heavy &= !light;
            self.set_pace(connection, if light { Pace::Ready } else { Pace::Same });
            let pace = self.ledger.close(debt);
            self.utter(connection, word);
            self.set_pace(connection, pace);
        }
    }

    /// Notes that something of a session which may become a write was handed over to another worker. A session
    /// that hands over a lot is read no further than the others can follow.
    pub(super) fn lend(&mut self, connection: ConnectionId, worker: WorkerId) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        session.abroad.lend(worker);
        if session.abroad.lent < self.limits.pending {
            return;
        }
        if !session.abroad.is_asking() {
            self.ask_abroad(connection);
        } else if !std::mem::replace(&mut session.abroad.slow, true) {
            self.slower(connection);
        }
    }

    /// Asks the other workers when all that they were given of a session is durable.
    fn ask_abroad(&mut self, connection: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let workers = session.abroad.begin();
        workers.into_iter().for_each(|to| self.tell(to, Between::Barrier(connection)));
    }

    /// A worker says that what the session caused there is durable.
    pub(super) fn cleared(&mut self, connection: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        if !session.abroad.answered() {
            return;
        }
        let more = session.abroad.lent >= self.limits.pending;
        let slow = std::mem::take(&mut session.abroad.slow);
        if more {
            self.ask_abroad(connection);
        }
        if slow {
            self.faster(connection);
        }
        self.release(connection);
    }

    /// Sessions of other workers are slowed down by what they lend (`lend`).
    fn set_pace(&mut self, origin: ConnectionId, pace: Pace) {
        match pace {
            Pace::Same => {}
            Pace::Slow => self.slower(origin),
            Pace::Ready => self.faster(origin),
        }
    }

    /// There is a reason more to read no more from a session.
    fn slower(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.slow += 1;
            if session.slow == 1 {
                self.output(Output::Pause(connection));
            }
        }
    }

    /// There is a reason less to read no more from a session.
    fn faster(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection).filter(|session| session.slow > 0) {
            session.slow -= 1;
            if session.slow == 0 {
                self.output(Output::Resume(connection));
            }
        }
    }
}
