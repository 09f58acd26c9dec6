//! The end of a datagram listener: it goes on for the clients it has, in every worker, and its sockets are closed together
//! when the last of them is gone. One by one would not do: the kernel spreads clients over those that are left.
//!
//! Its address may still be that of a listener in force, so that new clients come in here. So it ends in two steps: when
//! nobody holds it, new clients are refused; when every worker has seen after that that it has none, it is closed.

use std::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::WorkerId;

const RETIRED: u8 = 0;
const REFUSING: u8 = 1;
const OVER: u8 = 2;
const RECALLED: u8 = 3;

/// How far the end of one listener has come, between all workers. Each looks now and then; only then the lock is taken.
#[derive(Debug)]
pub(crate) struct Retirement {
    workers: Mutex<Vec<Stand>>,
    stage: AtomicU8,
}

/// How one worker stands to it.
#[derive(Clone, Copy, Debug)]
struct Stand {
    /// It has clients.
    holds: bool,
    /// It has had none since new ones are refused.
    is_done: bool,
}

impl Retirement {
    pub(crate) fn new(workers: u16) -> Arc<Self> {
        let stand = Stand { holds: true, is_done: false };
        let workers = Mutex::new(vec![stand; usize::from(workers.max(1))]);
        Arc::new(Self { workers, stage: AtomicU8::new(RETIRED) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stand>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker says whether it has clients; whether the sockets are to be closed.
    pub(crate) fn look(&self, me: WorkerId, holds: bool) -> bool {
        let mut workers = self.lock();
        if let Some(own) = workers.get_mut(usize::from(me.0)) {
            // While new ones are not refused there may be one the next moment.
            let is_done = !holds && self.stage.load(Acquire) == REFUSING;
            *own = Stand { holds, is_done };
        }
        let stage = match self.stage.load(Acquire) {
            RETIRED | REFUSING if workers.iter().any(|stand| stand.holds) => RETIRED,
            RETIRED => REFUSING,
            REFUSING if workers.iter().all(|stand| stand.is_done) => OVER,
            other => other,
        };
        if stage == RETIRED {
            workers.iter_mut().for_each(|stand| stand.is_done = false);
        }
        self.stage.store(stage, Release);
        stage == OVER
    }

    /// Whether new clients are not let in, as it is about to end.
    pub(crate) fn refuses(&self) -> bool {
        matches!(self.stage.load(Acquire), REFUSING | OVER)
    }

    /// Whether the sockets are to be closed.
    pub(crate) fn is_over(&self) -> bool {
        self.stage.load(Acquire) == OVER
    }

    /// Puts the listener in force again; `false`: it is too late.
    pub(crate) fn recall(&self) -> bool {
        let _workers = self.lock();
        let in_time = self.stage.load(Acquire) != OVER;
        if in_time {
            self.stage.store(RECALLED, Release);
        }
        in_time
    }

    /// It stays retired after all.
    pub(crate) fn take_back(&self) {
        let _workers = self.lock();
        self.stage.store(RETIRED, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId(0);
    const TWO: WorkerId = WorkerId(1);

    #[test]
    fn it_is_over_when_nobody_has_held_it_since_new_clients_are_refused() {
        let retirement = Retirement::new(2);
        assert!(!retirement.look(ONE, false) && !retirement.refuses(), "the other may hold it");
        // Meanwhile the first has a client again.
        assert!(!retirement.look(TWO, false) && retirement.refuses());
        assert!(!retirement.look(ONE, true) && !retirement.refuses());
        assert!(!retirement.look(TWO, false) && !retirement.look(ONE, false));
        assert!(!retirement.look(TWO, false), "the first has not looked since");
        assert!(retirement.look(ONE, false) && retirement.is_over());
        assert!(!retirement.recall() && retirement.look(TWO, false));
    }

    #[test]
    fn it_can_be_recalled_before() {
        let retirement = Retirement::new(1);
        retirement.look(ONE, false);
        assert!(retirement.recall() && !retirement.refuses());
        assert!(!retirement.look(ONE, false));
        retirement.take_back();
        assert!(!retirement.look(ONE, false) && retirement.look(ONE, false));
    }
}
