//! What could not be handed over to another worker yet, as its queue was full. Order is kept: once something
//! waits, all that comes later for the same worker waits behind it.

use super::{Between, Output, Parcel, Router, Work};
use crate::jid::Jid;
use crate::stanza::Condition;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use wire::WorkerId;

/// The backlogs, one per worker that has one.
#[derive(Debug, Default)]
pub(super) struct Links {
    backlog: FxHashMap<WorkerId, VecDeque<Between>>,
    /// Behind a backlog that has no room left: who goes, from whom and to whom, once each. So there are no more of them than
    /// addresses that somebody was shown.
    gone: FxHashMap<WorkerId, BTreeMap<(Jid, Jid), Parcel>>,
    retry: Option<Instant>,
    /// How much was given up that somebody waits for.
    lost: u64,
}

/// Whether nobody hears that it found no room, though somebody waits for it.
fn is_awaited(parcel: &Parcel) -> bool {
    parcel.answer || parcel.stanza.is_unavailable()
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

    /// How much was given up, for want of room, that somebody waits for.
    pub(super) fn lost(&self) -> u64 {
        self.lost
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
        let mut gone = std::mem::take(&mut self.gone);
        all.flat_map(|(to, queue)| {
            let behind = gone.remove(&to).unwrap_or_default().into_values().map(Between::Parcel);
            queue.into_iter().chain(behind).map(move |what| (to, what))
        })
        .collect()
    }
}

impl Router {
    /// Whether something waits for any other worker.
    pub(crate) fn is_held_up(&self) -> bool {
        !self.links.backlog.is_empty()
    }

    /// Puts something behind what waits for a worker; a stanza that finds no room there is answered. There is twice as much room
    /// for what somebody waits for, as what is asked is bounded: answers, and that somebody is gone, which is never lost.
    pub(super) fn queue_up(&mut self, to: WorkerId, what: Between) {
        let queue = self.links.backlog.entry(to).or_default();
        match what {
            Between::Parcel(parcel)
                if queue.len() >= self.limits.backlog * if is_awaited(&parcel) { 2 } else { 1 } =>
            {
                if parcel.stanza.is_unavailable() {
                    let pair = (parcel.from().clone(), parcel.to().clone());
                    self.links.gone.entry(to).or_default().insert(pair, parcel);
                    return;
                }
                self.links.lost += u64::from(is_awaited(&parcel));
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
            Between::Listed { room, listing } => self.rooms.hear(&room, listing),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::router::suspended::Suspended;
    use crate::router::{Answer, Between, Input, Limits, Output, Parcel, Query, Router, Setting};
    use crate::stanza::Stanza;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use wire::{Account, Address, ConnectionId, Directory, Domain, Keys, Machine, WorkerId};

    fn parcel(number: u32, kind: &str, answer: bool) -> Between {
        Between::Parcel(Parcel { answer, ..Parcel::own(stanza("presence", number, kind)) })
    }

    fn stanza(element: &str, number: u32, kind: &str) -> Stanza {
        let xml = format!("<{element} from='a@b.example' to='c@d.example' id='{number}' type='{kind}'/>");
        Stanza::parse(&xml).unwrap()
    }

    fn router(now: Instant, backlog: usize, directory: Directory) -> Router {
        let limits = Limits { backlog, ..Limits::default() };
        Router::new(Setting { limits, ..Setting::of_test(now, directory) })
    }

    /// Where there is no room for what is said any more there still is for answers, and for who is gone.
    #[test]
    fn what_somebody_waits_for_has_room_of_its_own() {
        let now = testkit::start();
        let mut router = router(now, 3, Directory::new([]));
        let to = WorkerId(1);
        router.handle(now, Input::NoRoom { to, what: parcel(0, "probe", false) });
        let said =
            [("probe", false), ("probe", false), ("probe", false), ("unavailable", false), ("error", true)];
        for (number, (kind, answer)) in (1..).zip(said) {
            router.queue_up(to, parcel(number, kind, answer));
        }
        assert_eq!(router.load().lost, 0);
        router.queue_up(to, parcel(6, "unavailable", false));
        for number in 7..=8 {
            router.queue_up(to, parcel(number, "error", true));
        }
        assert_eq!(router.load().lost, 2);
        // Of who goes nothing is lost; that they go once more says nothing new.
        for number in 9..=10 {
            router.queue_up(to, parcel(number, "unavailable", false));
        }
        assert_eq!(router.load().lost, 2);
        // Only presence says that, whatever the type of something else.
        for number in 11..=12 {
            router.queue_up(to, Between::Parcel(Parcel::own(stanza("message", number, "unavailable"))));
        }
        router.tick(now + Duration::from_secs(1));
        let kept: Vec<String> = std::iter::from_fn(|| router.poll())
            .map(|output| match output {
                Output::HandOver { what: Between::Parcel(parcel), .. } => {
                    parcel.stanza.id().unwrap_or_default().into_owned()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kept, ["0", "1", "2", "4", "5", "6", "10"]);
    }

    #[test]
    fn what_waited_goes_before_what_came_in_the_same_moment() {
        let now = testkit::start();
        let mut router = Router::new(Setting::of_test(now, Directory::new([])));
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

    /// Who goes is kept without a bound of its own for those who have seen it come: nobody else has that room.
    #[test]
    fn nobody_goes_from_where_it_has_not_been_while_something_waits() {
        let now = testkit::start();
        let address: Address = "romeo@verona.example".parse().unwrap();
        let account = Arc::new(Account { address: address.clone(), keys: Keys::default() });
        let domain = Domain::new("verona.example").unwrap();
        let directory = Directory::new([(&domain, &[][..])]).with([(address, Some(account))]);
        let mut router = router(now, 3, directory);
        let connection = ConnectionId { worker: WorkerId(0), slot: 1, generation: 0 };
        let suspended = Suspended::of_test("romeo@verona.example/garden", &["seen@verona.example"]);
        router.handle(now, Input::Restore { connection, suspended: Box::new(suspended) });
        while router.poll().is_some() {}
        router.handle(now, Input::NoRoom { to: WorkerId(1), what: parcel(0, "probe", false) });
        for to in ["seen", "unseen"] {
            let xml = format!(
                "<presence from='romeo@verona.example/garden' to='{to}@verona.example' type='unavailable'/>"
            );
            router.handle(now, Input::Stanza { connection, stanza: Stanza::parse(&xml).unwrap() });
        }
        let mut refused = Vec::new();
        while let Some(output) = router.poll() {
            match output {
                Output::Ask { token, query: Query::LoadRoster(_) } => {
                    let empty = Answer::Roster { items: vec![], settings: None, nodes: vec![] };
                    router.handle(now, Input::Answer { token, outcome: Ok(empty) });
                }
                Output::Deliver { given, .. } => refused.push(given.stanza.as_str().to_owned()),
                _ => {}
            }
        }
        let [refused] = &refused[..] else { panic!("{refused:?}") };
        assert!(refused.contains("from='unseen@verona.example'") && refused.contains("resource-constraint"));
    }
}
