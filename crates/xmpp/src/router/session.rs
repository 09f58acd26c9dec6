//! A connected resource, as the router knows it.

use super::ledger::Debt;
use crate::jid::Jid;
use crate::pubsub::caps::Interest;
use crate::stanza::Stanza;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;
use wire::{ConnectionId, WorkerId};

/// What the server says to a session about what it did.
#[derive(Debug)]
pub(crate) enum Word {
    /// An answer.
    Stanza(Stanza),
    /// So many stanzas of it are handled (XEP-0198).
    Handled(u32),
}

/// A word of the server that waits until everything the session caused before it is durable.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) word: Word,
    /// Debts below this mark must be paid first.
    pub(crate) mark: u64,
    /// The round of questions to other workers that must be answered first, once that is known.
    pub(crate) round: Option<u64>,
    /// Keeps later answers behind this one, and counts it among what is under way.
    pub(crate) debt: Debt,
}

/// What of a session's doings may still become a write at other workers, and what was asked of them about it.
/// One round of questions is under way at a time; each is answered when all that was handed over before it is
/// durable there.
#[derive(Debug, Default)]
pub(crate) struct Abroad {
    /// Who was given something since the last round began.
    workers: WorkerSet,
    /// How much they were given.
    pub(crate) lent: usize,
    /// How many answers the round under way still waits for.
    left: usize,
    begun: u64,
    /// Whether the session was slowed down for it.
    pub(crate) slow: bool,
}

impl Abroad {
    /// Notes that a worker was given something.
    pub(crate) fn lend(&mut self, worker: WorkerId) {
        self.workers.insert(worker);
        self.lent += 1;
    }

    /// Whether nothing is known that could become a write elsewhere.
    pub(crate) fn is_clear(&self) -> bool {
        self.lent == 0 && self.left == 0
    }

    /// Whether a round is under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.left > 0
    }

    /// Begins a round: whom to ask.
    pub(crate) fn begin(&mut self) -> Vec<WorkerId> {
        let workers = self.workers.take();
        self.lent = 0;
        self.left = workers.len();
        self.begun += 1;
        workers
    }

    /// A worker has answered; says whether the round is over.
    pub(crate) fn answered(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// The round after which all that was lent so far is durable.
    pub(crate) fn next_round(&self) -> u64 {
        if self.lent > 0 { self.begun + 1 } else { self.begun }
    }

    /// Whether a round has begun, and is over.
    pub(crate) fn has_ended(&self, round: u64) -> bool {
        self.begun > round || (self.begun == round && self.left == 0)
    }

    /// Whether a round has begun.
    pub(crate) fn has_begun(&self, round: u64) -> bool {
        self.begun >= round
    }
}

/// A connected resource.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: ConnectionId,
    /// The full JID.
    pub(crate) jid: Jid,
    /// When it began.
    pub(crate) since: Instant,
    /// What was last broadcast, while the resource is available.
    pub(crate) presence: Option<Stanza>,
    /// What its client wants to hear of what others publish.
    pub(crate) interest: Interest,
    /// Whether it asked for the roster and so hears of its changes (RFC 6121 §2.1.6).
    pub(crate) interested: bool,
    /// Whether it knows versions of the roster (RFC 6121 §2.6).
    pub(crate) versions: bool,
    /// Whether its client acknowledges what it is given, so that nothing of that is lost (XEP-0198).
    pub(crate) acknowledges: bool,
    /// The last of the kept messages that it was given, until it has taken that one and so all before it.
    pub(crate) kept: Option<i64>,
    /// When it changed the account's password last.
    pub(crate) renewed: Option<Instant>,
    /// Whom it sent directed presence and must tell when it goes (RFC 6121 §4.6.3).
    pub(crate) directed: BTreeSet<Jid>,
    /// Answers in order.
    pub(crate) held: VecDeque<Held>,
    /// Octets of them, and whether the session was slowed down for it.
    pub(crate) held_octets: usize,
    pub(crate) is_heavy: bool,
    /// What it has under way at other workers.
    pub(crate) abroad: Abroad,
    /// How many reasons there are to read no more from it.
    pub(crate) slow: usize,
}

impl Word {
    /// How much of memory it takes while it waits.
    pub(crate) fn octets(&self) -> usize {
        match self {
            Self::Stanza(stanza) => stanza.as_str().len(),
            Self::Handled(_) => 0,
        }
    }
}

impl Session {
    pub(crate) fn new(connection: ConnectionId, jid: Jid, since: Instant) -> Self {
        Self {
            connection,
            jid,
            since,
            presence: None,
            interest: Interest::default(),
            interested: false,
            versions: false,
            acknowledges: false,
            kept: None,
            renewed: None,
            directed: BTreeSet::new(),
            held: VecDeque::new(),
            held_octets: 0,
            is_heavy: false,
            abroad: Abroad::default(),
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
        assert!(set.take().is_empty());
        for worker in [3, 0, 64, 3, 200] {
            set.insert(WorkerId(worker));
        }
        assert_eq!(set.take(), [0, 3, 64, 200].map(WorkerId));
        assert!(set.take().is_empty());
    }
}
