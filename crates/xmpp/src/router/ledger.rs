//! What sessions caused that is not durable yet. An answer to a session waits behind every debt that is
//! older than it, so that a client which has its answer knows that all it did before survives a crash.
//!
//! A session's debts may lie at several workers; each keeps the book of what happens on its own side.

use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use wire::ConnectionId;

/// Something under way that a session caused. Whoever holds it pays it back with [`Ledger::close`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a debt that is not closed holds the session's answers back for ever"]
pub(crate) struct Debt {
    /// The session's connection.
    pub(crate) origin: ConnectionId,
    /// When it was caused, among what the session causes.
    pub(crate) number: u64,
}

/// What the session's connection should do about the length of its list of debts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nothing new.
    Same,
    /// Read no more: enough is under way.
    Slow,
    /// Read on.
    Ready,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    /// How many are open of each number.
    open: BTreeMap<u64, usize>,
    count: usize,
    slow: bool,
    /// Another worker asks to hear when every debt below the mark is paid.
    barriers: VecDeque<u64>,
}

impl Book {
    fn clear_below(&self, mark: u64) -> bool {
        self.open.first_key_value().is_none_or(|(oldest, _)| *oldest >= mark)
    }

    fn is_over(&self) -> bool {
        self.open.is_empty() && self.barriers.is_empty()
    }
}

/// How far beyond its limit a session may get before it is refused: what was read already when it was asked
/// to slow down, and what it lent to another worker before that one's answer came.
const ROOM: usize = 4;

/// The debts of every session that has any here.
#[derive(Debug)]
pub(crate) struct Ledger {
    limit: usize,
    books: FxHashMap<ConnectionId, Book>,
}

impl Ledger {
    /// A session is asked to slow down when it has `limit` debts, and has no more room at [`ROOM`] times as many.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), books: FxHashMap::default() }
    }

    /// The limit from now on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// How much is under way, of all sessions together.
    pub(crate) fn len(&self) -> usize {
        self.books.values().map(|book| book.count).sum()
    }

    /// Whether `origin` may cause more. Asked before anything is done for it.
    pub(crate) fn has_room(&self, origin: ConnectionId) -> bool {
        self.books.get(&origin).is_none_or(|book| book.count < self.limit * ROOM)
    }

    /// Notes that `origin` caused something: now, or through an earlier debt of this number, whose place in time
    /// it shares.
    pub(crate) fn open(&mut self, origin: ConnectionId, through: Option<u64>) -> (Debt, Pace) {
        let book = self.books.entry(origin).or_default();
        let number = through.unwrap_or(book.next);
        book.next = book.next.max(number + 1);
        *book.open.entry(number).or_default() += 1;
        book.count += 1;
        let slow = !book.slow && book.count >= self.limit;
        book.slow |= slow;
        (Debt { origin, number }, if slow { Pace::Slow } else { Pace::Same })
    }

    /// Pays a debt back.
    pub(crate) fn close(&mut self, debt: Debt) -> Pace {
        let Some(book) = self.books.get_mut(&debt.origin) else { return Pace::Same };
        if let Some(open) = book.open.get_mut(&debt.number) {
            *open -= 1;
            if *open == 0 {
                book.open.remove(&debt.number);
            }
        }
        book.count -= 1;
        let ready = book.slow && book.count <= self.limit / 2;
        book.slow &= !ready;
        if book.is_over() {
            self.books.remove(&debt.origin);
        }
        if ready { Pace::Ready } else { Pace::Same }
    }

    /// A mark that stands after every debt of `origin` so far.
    pub(crate) fn mark(&self, origin: ConnectionId) -> u64 {
        self.books.get(&origin).map_or(0, |book| book.next)
    }

    /// Whether every debt of `origin` below `mark` is paid.
    pub(crate) fn is_clear(&self, origin: ConnectionId, mark: u64) -> bool {
        self.books.get(&origin).is_none_or(|book| book.clear_below(mark))
    }

    /// Another worker asks when all that `origin` caused here so far is paid. `true`: it is already.
    /// Otherwise [`Ledger::reached`] says so later.
    pub(crate) fn barrier(&mut self, origin: ConnectionId) -> bool {
        match self.books.get_mut(&origin) {
            Some(book) if !book.open.is_empty() => {
                book.barriers.push_back(book.next);
                false
            }
            _ => true,
        }
    }

    /// Whether a barrier of `origin` has been reached. Call until `false` after each [`Ledger::close`].
    pub(crate) fn reached(&mut self, origin: ConnectionId) -> bool {
        let Some(book) = self.books.get_mut(&origin) else { return false };
        let Some(&mark) = book.barriers.front() else { return false };
        if !book.clear_below(mark) {
            return false;
        }
        book.barriers.pop_front();
        if book.is_over() {
            self.books.remove(&origin);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::WorkerId;

    const ROMEO: ConnectionId = ConnectionId { worker: WorkerId(0), slot: 1, generation: 0 };
    const JULIET: ConnectionId = ConnectionId { worker: WorkerId(1), slot: 1, generation: 0 };

    #[test]
    fn a_mark_waits_for_older_debts_only() {
        let mut ledger = Ledger::new(10);
        let (first, _) = ledger.open(ROMEO, None);
        let mark = ledger.mark(ROMEO);
        let (second, _) = ledger.open(ROMEO, None);
        let (other, _) = ledger.open(JULIET, None);
        assert!(!ledger.is_clear(ROMEO, mark));
        ledger.close(first);
        let end = ledger.mark(ROMEO);
        assert!(ledger.is_clear(ROMEO, mark) && !ledger.is_clear(ROMEO, end));
        ledger.close(second);
        assert!(ledger.is_clear(ROMEO, end) && !ledger.is_clear(JULIET, u64::MAX));
        ledger.close(other);
        assert!(ledger.books.is_empty());
    }

    #[test]
    fn what_a_debt_leads_to_shares_its_place() {
        let mut ledger = Ledger::new(10);
        let (first, _) = ledger.open(ROMEO, None);
        let mark = ledger.mark(ROMEO);
        let (later, _) = ledger.open(ROMEO, None);
        let (led_to, _) = ledger.open(ROMEO, Some(first.number));
        ledger.close(first);
        assert!(!ledger.is_clear(ROMEO, mark));
        ledger.close(led_to);
        assert!(ledger.is_clear(ROMEO, mark));
        ledger.close(later);
        assert!(ledger.books.is_empty());
    }

    #[test]
    fn a_long_list_slows_the_session_down_once_and_a_longer_one_has_no_room() {
        let mut ledger = Ledger::new(4);
        let mut debts = Vec::new();
        let mut paces = Vec::new();
        while ledger.has_room(ROMEO) {
            let (debt, pace) = ledger.open(ROMEO, None);
            debts.push(debt);
            paces.push(pace);
        }
        assert_eq!(debts.len(), 16);
        assert_eq!(paces.iter().filter(|p| **p == Pace::Slow).count(), 1);
        assert_eq!(paces[3], Pace::Slow);
        let paces: Vec<Pace> = debts.drain(..).map(|debt| ledger.close(debt)).collect();
        assert_eq!(paces.iter().filter(|p| **p == Pace::Ready).count(), 1);
        assert_eq!(paces[13], Pace::Ready);
    }

    #[test]
    fn the_limit_may_change_while_debts_are_open() {
        let mut ledger = Ledger::new(1);
        let (first, pace) = ledger.open(ROMEO, None);
        assert_eq!(pace, Pace::Slow);
        let (second, _) = ledger.open(ROMEO, None);
        ledger.set_limit(10);
        assert!(ledger.has_room(ROMEO));
        assert_eq!(ledger.close(first), Pace::Ready);
        ledger.set_limit(0);
        assert_eq!(ledger.close(second), Pace::Same);
    }

    #[test]
    fn another_worker_learns_when_its_session_owes_nothing_older_here() {
        let mut ledger = Ledger::new(10);
        assert!(ledger.barrier(ROMEO));
        let (debt, _) = ledger.open(ROMEO, None);
        assert!(!ledger.barrier(ROMEO));
        let (later, _) = ledger.open(ROMEO, None);
        assert!(!ledger.reached(ROMEO));
        ledger.close(debt);
        assert!(ledger.reached(ROMEO) && !ledger.reached(ROMEO));
        ledger.close(later);
        assert!(ledger.books.is_empty());
    }
}
