//! Whether a session's client is still there (RFC 6120 §4.6): silence, questions that nobody answers, and stanzas
//! that never end.

use super::{Policy, StreamCondition, StreamError};
use std::time::Instant;

/// When a client was heard, and what it owes.
#[derive(Debug)]
pub(super) struct Watch {
    /// When bytes came last.
    heard: Instant,
    /// When it was asked, if no byte has come since.
    asked: Option<Instant>,
    /// Since when a stanza is not whole.
    amid: Option<Instant>,
}

/// What is to be done about a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Well,
    /// Ask whether it is there.
    Ask,
    /// It is not.
    Gone(StreamError),
}

impl Watch {
    pub(super) const fn new(now: Instant) -> Self {
        Self { heard: now, asked: None, amid: None }
    }

    /// Bytes came, which is an answer, whatever they say.
    pub(super) const fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// Whether those bytes have left a stanza that is not whole: the same as before, unless one was `finished`.
    pub(super) fn note(&mut self, now: Instant, amid: bool, finished: bool) {
        let since = self.amid.filter(|_| !finished).unwrap_or(now);
        self.amid = amid.then_some(since);
    }

    /// It was asked something.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// Nobody has listened meanwhile: the silence was ours.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.hear(now);
        self.note(now, self.amid.is_some(), true);
    }

    /// The time has come to look.
    pub(super) fn look(&mut self, now: Instant, policy: &Policy) -> Verdict {
        let gone = |why| Verdict::Gone(StreamError::from(StreamCondition::ConnectionTimeout).saying(why));
        if self.amid.is_some_and(|since| now >= since + policy.idle) {
            return gone("a stanza took too long");
        }
        if self.asked.is_some_and(|since| now >= since + policy.pong) {
            return gone("no answer");
        }
        if self.asked.is_none() && now >= self.heard + policy.idle {
            self.asked = Some(now);
            return Verdict::Ask;
        }
        Verdict::Well
    }

    /// When to look next.
    pub(super) fn next(&self, policy: &Policy) -> Instant {
        let silent = self.asked.map_or(self.heard + policy.idle, |since| since + policy.pong);
        self.amid.map_or(silent, |since| silent.min(since + policy.idle))
    }
}
