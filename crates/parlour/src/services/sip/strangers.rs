//! How many requests one source may send that prove nothing (what Kamailio's pike does): one book for all workers, without a
//! lock and of one size for ever.
//!
//! A source has a budget for its datagrams, whose address anybody may have written, and one for its streams. Where that is
//! used up, a flow that a registration came by has one of its own, so that nobody can shut telephones out in their address's name.
//! Sources that fall on the same row share its budget; rows are chosen by a keyed hash.

use crate::config::plan::{BansPlan, Network};
use ::sip::stack::Strangers;
use ::sip::transport::Arrival;
use foldhash::quality::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::Source;

/// How many budgets there are: 256 KiB.
const ROWS: usize = 1 << 15;

/// How many flows are remembered: 512 KiB.
const FLOWS: usize = 1 << 16;

/// What has come and been asked: the request, and the challenge that it answers.
const EXCHANGE: u64 = 2;

/// The budgets of all sources, for all workers.
#[derive(Debug)]
pub struct Book {
    since: Instant,
    key: RandomState,
    /// When each budget will be whole again, in nanoseconds since `since`.
    rows: Box<[AtomicU64]>,
    /// Flows that registrations came by: half a hash of each, and until when, in seconds since `since`.
    flows: Box<[AtomicU64]>,
}

impl Default for Book {
    fn default() -> Self {
        let empty = |length| (0..length).map(|_| AtomicU64::new(0)).collect();
        Self { since: Instant::now(), key: RandomState::default(), rows: empty(ROWS), flows: empty(FLOWS) }
    }
}

impl Book {
    fn row(&self, hash: u64) -> &AtomicU64 {
        &self.rows[place(hash, ROWS)]
    }

    fn flow(&self, hash: u64) -> &AtomicU64 {
        &self.flows[place(hash, FLOWS)]
    }
}

fn place(hash: u64, length: usize) -> usize {
    usize::try_from(hash % length as u64).expect("less than a length")
}

/// What the plan makes of the book.
#[derive(Debug)]
pub struct Door {
    book: Arc<Book>,
    /// The nanoseconds that one request takes up; zero: there is no limit.
    step: u64,
    /// Those of as many as may come at once.
    burst: u64,
    /// How long a flow is remembered, in seconds.
    lasts: u64,
    trusted: Vec<Network>,
}

impl Door {
    /// A door by the rules of `sip.bans`, for registrations that last so long at most.
    pub fn new(book: Arc<Book>, rules: &BansPlan, lasts: Duration) -> Self {
        let step = if rules.rate == 0 { 0 } else { 1_000_000_000 / u64::from(rules.rate) };
        let burst = step.saturating_mul(rules.burst.into());
        let trusted = rules.trusted.clone();
        Self { book, step, burst, lasts: lasts.as_secs(), trusted }
    }

    /// Whether something that proves nothing is looked at. It counts then.
    pub fn takes(&self, now: Instant, peer: SocketAddr, is_stream: bool) -> bool {
        self.is_open(now, (peer, is_stream), |row, now| self.take(row, now))
    }

    fn is_open(
        &self,
        now: Instant,
        (peer, is_stream): (SocketAddr, bool),
        has: impl Fn(&AtomicU64, u64) -> bool,
    ) -> bool {
        if self.step == 0 {
            return true;
        }
        let now = self.nanoseconds(now);
        has(self.of_source(peer, is_stream), now)
            || self.of_flow(now, (peer, is_stream)).is_some_and(|row| has(row, now))
            || self.trusted.iter().any(|network| network.contains(peer.ip().to_canonical()))
    }

    /// The budget of a source.
    fn of_source(&self, peer: SocketAddr, is_stream: bool) -> &AtomicU64 {
        self.book.row(self.book.key.hash_one((Source::of(peer.ip()), is_stream)))
    }

    /// The budget of a flow that a registration came by.
    fn of_flow(&self, now: u64, flow: (SocketAddr, bool)) -> Option<&AtomicU64> {
        let hash = self.book.key.hash_one(flow);
        let said = self.book.flow(hash).load(Ordering::Relaxed);
        let is_known = said >> 32 == hash >> 32 && said & u64::from(u32::MAX) > now / SECOND;
        is_known.then(|| self.book.row(hash.rotate_left(32)))
    }

    /// Takes one request out of a budget (the generic cell rate algorithm, ITU-T I.371).
    fn take(&self, whole_again: &AtomicU64, now: u64) -> bool {
        let taken = |whole: u64| {
            let after = whole.max(now).saturating_add(self.step);
            (after <= now.saturating_add(self.burst)).then_some(after)
        };
        whole_again.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    fn would_take(&self, whole_again: &AtomicU64, now: u64) -> bool {
        let after = whole_again.load(Ordering::Relaxed).max(now).saturating_add(self.step);
        after <= now.saturating_add(self.burst)
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.book.since);
        since.as_secs().saturating_mul(SECOND).saturating_add(since.subsec_nanos().into())
    }
}

const SECOND: u64 = 1_000_000_000;

impl Strangers for Door {
    fn takes(&self, now: Instant, arrival: &Arrival) -> bool {
        self.takes(now, arrival.peer, arrival.transport.is_stream())
    }

    fn has_room(&self, now: Instant, arrival: &Arrival) -> bool {
        let flow = (arrival.peer, arrival.transport.is_stream());
        self.is_open(now, flow, |row, now| self.would_take(row, now))
    }

    fn have_proven(&self, now: Instant, arrival: &Arrival, registers: bool) {
        if self.step == 0 {
            return;
        }
        let (now, flow) = (self.nanoseconds(now), (arrival.peer, arrival.transport.is_stream()));
        let given = |whole: u64| {
            (whole > now).then(|| whole.saturating_sub(EXCHANGE.saturating_mul(self.step)).max(now))
        };
        // Where the budget is whole, it stays so.
        let _ = self.of_source(flow.0, flow.1).fetch_update(Ordering::Relaxed, Ordering::Relaxed, given);
        if registers {
            let hash = self.book.key.hash_one(flow);
            let until = (now / SECOND).saturating_add(self.lasts).min(u32::MAX.into());
            self.book.flow(hash).store(hash >> 32 << 32 | until, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
