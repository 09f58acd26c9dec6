//! What could not be handed over to another worker yet, as its queue was full. Order is kept: once something
//! waits, all that comes later for the same worker waits behind it.

use super::{Between, Output, Router, Work};
use crate::stanza::Condition;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::Instant;
use wire::WorkerId;

/// The backlogs, one per worker that has one.
#[derive(Debug, Default)]
pub(super) struct Links {
    backlog: FxHashMap<WorkerId, VecDeque<Between>>,
    retry: Option<Instant>,
}

impl Links {
    /// Whether something waits for this worker.
    pub(super) fn is_stuck(&self, to: WorkerId) -> bool {
        !self.backlog.is_empty() && self.backlog.contains_key(&to)
    }

    /// It was the oldest: what was behind it has not been tried.
    pub(super) fn no_room(&mut self, to: WorkerId, what: Between, retry: Instant) {
        self.backlog.entry(to).or_default().push_front(what);
        self.retry = Some(retry);
    }

    /// When to try again.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// All that waits, in order, if it is time to try again.
    pub(super) fn flush(&mut self, now: Instant) -> Vec<(WorkerId, Between)> {
        if self.retry.is_none_or(|retry| retry > now) {
            return Vec::new();
        }
        self.retry = None;
        let all = std::mem::take(&mut self.backlog).into_iter();
        all.flat_map(|(to, queue)| queue.into_iter().map(move |what| (to, what))).collect()
    }
}

impl Router {
    /// Puts something behind what waits for a worker; a stanza that finds no room there is answered.
    pub(super) fn queue_up(&mut self, to: WorkerId, what: Between) {
        let queue = self.links.backlog.entry(to).or_default();
        match what {
            Between::Parcel(parcel) if queue.len() >= self.limits.backlog => {
                self.bounce(parcel, Condition::ResourceConstraint);
                self.run();
            }
            // Who has no room for it hears of what is published next.
            Between::Wish(_) if queue.len() >= self.limits.backlog => {}
            // Who misses something is not in the room any more.
            Between::Many { stanzas, to } if queue.len() >= self.limits.backlog => {
                to.iter().for_each(|to| self.is_gone(&stanzas, to));
                self.run();
            }
            // A few words per session at most: they need no bound of their own.
            what => queue.push_back(what),
        }
    }

    /// Tells another worker's router.
    pub(crate) fn tell(&mut self, to: WorkerId, what: Between) {
        self.output(Output::HandOver { to, what });
    }

    /// Another worker's router says something.
    pub(super) fn handed_over(&mut self, what: Between) {
        match what {
            Between::Parcel(parcel) => self.arrived(parcel),
            Between::Barrier(origin) => {
                if self.ledger.barrier(origin) {
                    self.tell(origin.worker, Between::Cleared(origin));
                }
            }
            Between::Cleared(connection) => self.cleared(connection),
            Between::Wish(wish) => {
                if self.directory.get(&wish.account).is_some() {
                    self.later(Work::Wished(wish));
                }
            }
            Between::Many { stanzas, to } => self.give_out(&stanzas, &to),
            Between::Listed { room, listing } => self.rooms.note(&room, listing),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::router::{Between, Input, Limits, Output, Router, Setting};
    use std::sync::Arc;
    use std::time::Duration;
    use wire::{ConnectionId, Directory, Machine, WorkerId};

    #[test]
    fn what_waited_goes_before_what_came_in_the_same_moment() {
        let now = testkit::start();
        let mut router = Router::new(Setting {
            me: WorkerId(0),
            workers: 2,
            limits: Limits::default(),
            directory: Arc::new(Directory::new([])),
            rooms: Vec::new(),
            components: Vec::new(),
            epoch: testkit::epoch(now),
            entropy: Box::new(testkit::Seeded::new(0)),
        });
        let of = |slot| ConnectionId { worker: WorkerId(1), slot, generation: 0 };
        router.handle(now, Input::HandedOver(Between::Barrier(of(1))));
        let Some(Output::HandOver { to, what }) = router.poll() else { panic!("an answer") };
        router.handle(now, Input::NoRoom { to, what });
        router.handle(now, Input::HandedOver(Between::Barrier(of(2))));
        router.tick(now + Duration::from_secs(1));
        for slot in [1, 2] {
            let what = Between::Cleared(of(slot));
            assert_eq!(router.poll(), Some(Output::HandOver { to: WorkerId(1), what }));
        }
        assert_eq!(router.poll(), None);
    }
}
