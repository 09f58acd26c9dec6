//! The end of a datagram listener: it goes on for the clients it has, in every worker, and its sockets are closed together
//! when the last of them is gone. One by one would not do: the kernel spreads clients over those that are left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::AcqRel, Ordering::Acquire};

const RETIRED: u8 = 0;
const CLOSING: u8 = 1;
const RECALLED: u8 = 2;

/// How far the end of one listener has come, between all workers.
#[derive(Debug)]
pub(crate) struct Retirement {
    /// How many workers hold it.
    holders: AtomicUsize,
    state: AtomicU8,
}

impl Retirement {
    pub(crate) fn new(workers: u16) -> Arc<Self> {
        Arc::new(Self {
            holders: AtomicUsize::new(usize::from(workers.max(1))),
            state: AtomicU8::new(RETIRED),
        })
    }

    /// A worker that has let go has a client again, and holds it if it is not too late.
    pub(crate) fn hold(&self) {
        self.holders.fetch_add(1, AcqRel);
    }

    /// A worker's last client is gone; called once by each that holds it.
    pub(crate) fn release(&self) {
        if self.holders.fetch_sub(1, AcqRel) == 1 {
            let _ = self.state.compare_exchange(RETIRED, CLOSING, AcqRel, Acquire);
        }
    }

    /// Whether the sockets are to be closed.
    pub(crate) fn is_over(&self) -> bool {
        self.state.load(Acquire) == CLOSING
    }

    /// Puts the listener in force again; `false`: it is too late.
    pub(crate) fn recall(&self) -> bool {
        self.state.compare_exchange(RETIRED, RECALLED, AcqRel, Acquire).is_ok()
    }

    /// It stays retired after all.
    pub(crate) fn take_back(&self) {
        let next = if self.holders.load(Acquire) == 0 { CLOSING } else { RETIRED };
        let _ = self.state.compare_exchange(RECALLED, next, AcqRel, Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_worker_lets_go_unless_recalled_before() {
        let retirement = Retirement::new(2);
        retirement.release();
        assert!(!retirement.is_over());
        retirement.release();
        assert!(retirement.is_over() && !retirement.recall());

        let retirement = Retirement::new(2);
        retirement.release();
        retirement.hold();
        retirement.release();
        assert!(!retirement.is_over());

        let retirement = Retirement::new(1);
        assert!(retirement.recall());
        retirement.release();
        assert!(!retirement.is_over());
        retirement.take_back();
        assert!(retirement.is_over());
    }
}
