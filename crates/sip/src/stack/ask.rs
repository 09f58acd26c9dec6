//! Questions to the world outside: each has a token, a time limit, and something that goes on when the answer comes.

use super::{Asked, Stack, Token, token_of};
use crate::slab::Id;
use crate::transaction::Timer;
use std::time::Instant;
use wire::names::Found;

impl Stack {
    /// Keeps what goes on after the answer; `None` where too much is asked already.
    pub(crate) fn ask(&mut self, now: Instant, asked: Asked) -> Option<Token> {
        let id = self.asked.insert(asked)?;
        self.timers.set(Timer::Asked(id), now + self.config.limits.answer);
        Some(token_of(id))
    }

    /// The answer has come: what goes on. `None` where it came too late, or twice.
    pub(crate) fn answered(&mut self, id: Id) -> Option<Asked> {
        let asked = self.asked.remove(id)?;
        self.timers.cancel(Timer::Asked(id));
        Some(asked)
    }

    /// Nobody has answered in time.
    pub(super) fn not_answered(&mut self, now: Instant, id: Id) {
        match self.asked.get(id) {
            Some(Asked::Locate(_) | Asked::Acknowledge { .. }) => self.located(now, id, None),
            Some(Asked::Resolve { .. } | Asked::Stateless { .. }) => {
                let nothing = Found::Addresses(Vec::new());
                self.resolved(now, id, &nothing, 0);
            }
            Some(Asked::Media(_)) => self.mediated(now, id, None),
            Some(Asked::Store { .. }) => self.not_stored(now, id),
            None => {}
        }
    }
}
