//! Calls that are relayed outlive the server. What each worker's relay tells of them is written by the store, some calls
//! at a time, and no call waits for that; at the start all are read, and each goes to the worker that is its home now.

use crate::clock;
use crate::desk::Desk;
use ::media::Relay;
use ::media::relay::{Changes, Kept, Number};
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use store::{Answer, Fault, Query, RelayRow, StoreHandle};

/// How long changes wait for others.
const GATHERING: Duration = Duration::from_millis(250);
/// How long the store is left alone that did not take them.
const REST: Duration = Duration::from_secs(1);
/// Of how many calls changes are written at a time.
const AT_ONCE: usize = 1024;
/// Octets of a call's record; more has only who writes very long tags, many of them.
const LONGEST: usize = 16 << 10;
/// How often it is written that the server is there, while calls are kept.
const OFTEN: Duration = Duration::from_secs(10);
/// The number of the row that says so.
const THERE: i64 = 0;

/// What has become of a question.
const ASKED: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// Has the store write what is to be kept of one worker's calls.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// When there is something to do.
    at: Option<Instant>,
    /// The store did not take what it was asked for: until when it is left alone.
    rest: Option<Instant>,
    /// What the store was asked for last: of which calls, and what has become of it.
    asked: Option<(Vec<Number>, Arc<AtomicU8>)>,
    /// When it was written last that the server is there.
    there: Option<Instant>,
    /// The server is to end: nothing waits for anything.
    draining: bool,
}

impl Keeper {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Of how many calls the database does not have what is known now.
    pub(super) fn unsaved(&self, relay: &Relay) -> usize {
        let asked = self.asked.as_ref().filter(|(_, state)| state.load(Ordering::Relaxed) != DONE);
        let numbers = asked.into_iter().flat_map(|(numbers, _)| numbers);
        relay.unkept() + numbers.filter(|number| !relay.is_unkept(**number)).count()
    }

    /// From now on all is written at once.
    pub(super) fn drain(&mut self, desk: &Desk<'_, '_>, relay: &mut Relay, silence: Duration) {
        (self.draining, self.there) = (true, None);
        self.work(desk, relay, silence);
    }

    /// After whatever may have changed something.
    pub(super) fn look(&mut self, desk: &Desk<'_, '_>, relay: &mut Relay, silence: Duration) {
        if relay.unkept() == 0 && (relay.kept() == 0 || self.at.is_some()) {
            return;
        }
        if self.draining {
            return self.work(desk, relay, silence);
        }
        let soon = Some(desk.net.now() + GATHERING).max(self.rest);
        self.at = self.at.min(soon).or(soon);
    }

    /// The deadline has come.
    pub(super) fn work(&mut self, desk: &Desk<'_, '_>, relay: &mut Relay, silence: Duration) {
        let soon = self.work_now(desk, relay, silence);
        let next = self.there.filter(|_| relay.kept() > 0).map(|there| there + often(silence));
        self.at = soon.or(next);
    }

    /// When to go on.
    fn work_now(&mut self, desk: &Desk<'_, '_>, relay: &mut Relay, silence: Duration) -> Option<Instant> {
        let now = desk.net.now();
        match self.asked.take().map(|(numbers, state)| (state.load(Ordering::Relaxed), numbers, state)) {
            Some((ASKED, numbers, state)) if !self.draining => {
                self.asked = Some((numbers, state));
                return Some(now + GATHERING);
            }
            Some((FAILED, numbers, _)) => {
                relay.change_again(numbers);
                return self.rest_from(now);
            }
            _ => {}
        }
        let is_due = self.there.is_none_or(|there| now >= there + often(silence));
        if relay.unkept() == 0 && (relay.kept() == 0 || !is_due) {
            return None;
        }
        match self.ask(desk, relay) {
            true => Some(now + GATHERING),
            false => self.rest_from(now),
        }
    }

    fn rest_from(&mut self, now: Instant) -> Option<Instant> {
        self.rest = Some(now + REST);
        self.rest
    }

    /// Whether the store takes some.
    fn ask(&mut self, desk: &Desk<'_, '_>, relay: &mut Relay) -> bool {
        let (now, epoch) = (desk.net.now(), desk.net.epoch());
        let written = seconds(epoch.unix(now));
        let changes = relay.changes(&epoch, AT_ONCE);
        let numbers: Vec<Number> = changes.numbers().collect();
        let (mut put, gone) = rows(&changes, written);
        put.extend((relay.kept() > 0).then(|| RelayRow { number: THERE, written, payload: Vec::new() }));
        let state = Arc::new(AtomicU8::new(ASKED));
        let told = Arc::clone(&state);
        let reply = move |outcome: store::Outcome| {
            told.store(if outcome.is_ok() { DONE } else { FAILED }, Ordering::Relaxed);
        };
        if desk.shared.store.ask(Query::KeepRelays { put, gone }, reply).is_err() {
            relay.change_again(numbers);
            return false;
        }
        (self.asked, self.there) = (Some((numbers, state)), Some(now));
        true
    }
}

/// What of changes is written, and what is forgotten: also what is too long.
fn rows(changes: &Changes, written: i64) -> (Vec<RelayRow>, Vec<i64>) {
    let row =
        |(number, kept): &(Number, Kept)| RelayRow { number: of(*number), written, payload: kept.write() };
    let (put, long): (Vec<_>, Vec<_>) =
        changes.kept.iter().map(row).partition(|row| row.payload.len() <= LONGEST);
    let long = long.into_iter().map(|row| row.number);
    (put, changes.gone.iter().copied().map(of).chain(long).collect())
}

/// How often it is written that the server is there: so that what is silent for too long can be told.
fn often(silence: Duration) -> Duration {
    OFTEN.min(silence / 4)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The number of a row; those of calls are far below the end.
fn of(number: Number) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What one worker's relay begins with.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// From where on its calls are numbered, as those of the other workers.
    pub first: Number,
    /// The calls at home there.
    pub calls: Vec<(Number, Kept)>,
    /// The ports of all calls.
    pub ports: Arc<FxHashSet<u16>>,
}

/// The calls of before the last end, by the workers that are their homes now. What ended longer ago than a call may be
/// silent is forgotten.
///
/// # Errors
/// When the database cannot be read.
pub fn load(store: &StoreHandle, workers: u16, silence: Duration) -> Result<Vec<Share>, Fault> {
    let rows = match store.ask_wait(Query::LoadRelays)? {
        Answer::Relays(rows) => rows,
        other => unreachable!("calls were asked for, not {other:?}"),
    };
    let Sorted { calls, gone, first } = sort(rows, clock::now(), silence);
    if !gone.is_empty()
        && let Err(fault) = store.ask_wait(Query::KeepRelays { put: Vec::new(), gone })
    {
        tracing::warn!(%fault, "calls that are relayed no more stay in the database");
    }
    let ports = Arc::new(calls.iter().flat_map(|(_, kept)| kept.ports()).collect());
    let share = Share { first, calls: Vec::new(), ports };
    let mut shares = vec![share; usize::from(workers)];
    for call in calls {
        let home = ::sip::dialog::home(call.1.call(), workers);
        shares[usize::from(home.0)].calls.push(call);
    }
    Ok(shares)
}

/// Rows, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sorted {
    calls: Vec<(Number, Kept)>,
    gone: Vec<i64>,
    /// A number that none of them has, nor has had.
    first: Number,
}

fn sort(rows: Vec<RelayRow>, now: Duration, silence: Duration) -> Sorted {
    let last = rows.iter().map(|row| row.written).max().unwrap_or_default();
    let is_over = seconds(now).saturating_sub(last) > seconds(silence);
    let highest = rows.last().and_then(|row| u64::try_from(row.number).ok()).unwrap_or_default();
    // As many numbers for each millisecond as nobody begins calls in.
    let of_now = u64::try_from(now.as_millis()).unwrap_or_default() << 20;
    let mut sorted = Sorted { first: of_now.max(highest + 1), ..Sorted::default() };
    let mut unread = 0_usize;
    for row in rows.into_iter().filter(|row| row.number > THERE) {
        let kept = if is_over { None } else { Kept::read(&row.payload) };
        unread += usize::from(!is_over && kept.is_none());
        match (kept, u64::try_from(row.number)) {
            (Some(kept), Ok(number)) => sorted.calls.push((number, kept)),
            _ => sorted.gone.push(row.number),
        }
    }
    if unread > 0 {
        tracing::warn!(
            calls = unread,
            "what is kept of calls that were relayed cannot be read: they are relayed no more"
        );
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call without media, as the relay writes it.
    fn record(call: &[u8]) -> Vec<u8> {
        let end = [0, 4, 127, 0, 0, 1, 0, 0];
        [&[1, 0, call.len() as u8], call, &[0; 9], &end, &end, &[0]].concat()
    }

    fn row(number: i64, written: i64, payload: &[u8]) -> RelayRow {
        RelayRow { number, written, payload: payload.to_vec() }
    }

    fn sorted(rows: &[RelayRow], now: u64) -> (Vec<Number>, Vec<i64>) {
        let sorted = sort(rows.to_vec(), Duration::from_secs(now), Duration::from_secs(60));
        (sorted.calls.iter().map(|(number, _)| *number).collect(), sorted.gone)
    }

    #[test]
    fn calls_are_those_of_a_server_that_was_there_lately() {
        let rows = [row(0, 1000, b""), row(7, 500, &record(b"x")), row(9, 990, &record(b"y"))];
        assert_eq!(sorted(&rows, 1060), (vec![7, 9], vec![]));
        assert_eq!(sorted(&rows, 1061), (vec![], vec![7, 9]));
        assert_eq!(sorted(&rows[1..], 1051), (vec![], vec![7, 9]));
        // A clock that was set back meanwhile.
        assert_eq!(sorted(&rows, 10), (vec![7, 9], vec![]));
        assert_eq!(sorted(&[], 10), (vec![], vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_forgotten() {
        let rows = [row(-3, 1000, b""), row(5, 1000, b"\x09"), row(6, 1000, &record(b"x"))];
        assert_eq!(sorted(&rows, 1000), (vec![6], vec![5]));
    }

    /// The store would refuse it, and all that is written with it.
    #[test]
    fn what_is_too_long_is_not_kept() {
        let kept = |length: usize| {
            let end = [0, 4, 127, 0, 0, 1, 0, 0];
            let call = vec![b'x'; length];
            let length = u16::try_from(length).unwrap().to_be_bytes();
            Kept::read(&[&[1][..], &length, &call, &[0; 9], &end, &end, &[0]].concat()).unwrap()
        };
        let changes = Changes { kept: vec![(7, kept(100)), (8, kept(20_000)), (9, kept(3))], gone: vec![4] };
        let (put, gone) = rows(&changes, 1000);
        assert_eq!(
            put.iter().map(|row| (row.number, row.written)).collect::<Vec<_>>(),
            [(7, 1000), (9, 1000)]
        );
        assert_eq!(gone, [4, 8]);
    }

    #[test]
    fn no_number_is_used_again() {
        let first = |rows: &[RelayRow], now| sort(rows.to_vec(), Duration::from_millis(now), OFTEN).first;
        assert_eq!((first(&[], 0), first(&[], 3)), (1, 3 << 20));
        let late = row(9 << 20, 0, &record(b"x"));
        assert_eq!(first(std::slice::from_ref(&late), 3), (9 << 20) + 1);
        assert_eq!(first(&[late], 12), 12 << 20);
    }

    #[test]
    fn each_call_goes_to_its_home() {
        let folder = tempfile::tempdir().unwrap();
        let settings = store::Settings::default();
        let store = store::Store::create("sqlite:a.db", folder.path(), settings).unwrap();
        let written = seconds(clock::now());
        let calls: Vec<Vec<u8>> = (0..40).map(|n| format!("call-{n}").into_bytes()).collect();
        let mut put: Vec<_> =
            (1..).zip(&calls).map(|(number, call)| row(number, written, &record(call))).collect();
        put.push(row(41, written, b"of a later version"));
        store.handle().ask_wait(Query::KeepRelays { put, gone: vec![] }).unwrap();
        let shares = load(&store.handle(), 3, OFTEN).unwrap();
        let all: usize = shares.iter().map(|share| share.calls.len()).sum();
        assert_eq!((shares.len(), all), (3, 40));
        for (worker, share) in (0..).zip(&shares) {
            let is_home = |call: &[u8]| ::sip::dialog::home(call, 3) == wire::WorkerId(worker);
            assert!(share.calls.iter().all(|(_, kept)| is_home(kept.call())));
        }
        let left = store.handle().ask_wait(Query::LoadRelays);
        assert!(matches!(left, Ok(Answer::Relays(rows)) if rows.len() == 40));
    }
}
