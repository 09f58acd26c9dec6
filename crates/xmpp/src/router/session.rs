//! A connected resource, as the router knows it.

use super::ledger::Debt;
use crate::jid::Jid;
use crate::stanza::Stanza;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use wire::{ConnectionId, WorkerId};

/// An answer of the server that waits until everything the session caused before it is durable.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) stanza: Stanza,
    /// Debts below this mark must be paid first.
    pub(crate) mark: u64,
    /// Whether the other workers were asked already.
    pub(crate) fenced: bool,
    /// Keeps later answers behind this one, and counts it among what is under way.
    pub(crate) debt: Debt,
}

/// A connected resource.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: ConnectionId,
    /// The full JID.
    pub(crate) jid: Jid,
    /// What was last broadcast, while the resource is available.
    pub(crate) presence: Option<Stanza>,
    /// Whether it asked for the roster and so hears of its changes (RFC 6121 §2.1.6).
    pub(crate) interested: bool,
    /// Whom it sent directed presence and must tell when it goes (RFC 6121 §4.6.3).
    pub(crate) directed: FxHashSet<Jid>,
    /// Answers in order.
    pub(crate) held: VecDeque<Held>,
    /// Workers that were given something of this session which may still become a write there.
    pub(crate) elsewhere: WorkerSet,
    /// How many of them have still to say that it did.
    pub(crate) barriers: usize,
    /// How many workers want it to slow down.
    pub(crate) slow: usize,
}

impl Session {
    pub(crate) fn new(connection: ConnectionId, jid: Jid) -> Self {
        Self {
            connection,
            jid,
            presence: None,
            interested: false,
            directed: FxHashSet::default(),
            held: VecDeque::new(),
            elsewhere: WorkerSet::default(),
            barriers: 0,
            slow: 0,
        }
    }
}

/// A set of workers.
#[derive(Debug, Default)]
pub(crate) struct WorkerSet(Vec<u64>);

impl WorkerSet {
    pub(crate) fn insert(&mut self, worker: WorkerId) {
        let at = usize::from(worker.0) / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (worker.0 % 64);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// Takes all out.
    pub(crate) fn take(&mut self) -> Vec<WorkerId> {
        let bits = std::mem::take(&mut self.0);
        let all = 0..u16::try_from(bits.len() * 64).expect("as many bits as workers, rounded up");
        all.filter(|n| bits[usize::from(*n) / 64] >> (n % 64) & 1 == 1).map(WorkerId).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_taken_once() {
        let mut set = WorkerSet::default();
        assert!(set.is_empty() && set.take().is_empty());
        for worker in [3, 0, 64, 3, 200] {
            set.insert(WorkerId(worker));
        }
        assert!(!set.is_empty());
        assert_eq!(set.take(), [0, 3, 64, 200].map(WorkerId));
        assert!(set.is_empty());
    }
}
