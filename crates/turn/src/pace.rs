//! Bandwidth: what one allocation, and all of one account, may relay in a second, each way. What comes too fast waits a little
//! in a queue of the allocation's own, bounded in time and octets, and is then dropped; nobody else's packets wait behind it.
//!
//! The measure is a token bucket in the form of GCRA: all there is to keep is the moment up to which the rate is spent.

use crate::allocation::{Allocation, Slot};
use crate::server::Timer;
use crate::{Output, Server, Verdict, Way};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How much of the rate may be spent at one time, as a time.
pub const BURST: Duration = Duration::from_millis(250);

/// How long a packet may wait.
pub const DELAY: Duration = Duration::from_millis(250);

/// How many octets of one allocation may wait, each way.
const QUEUE: usize = 64 * 1024;

/// How many octets may wait on one worker.
const QUEUES: usize = 16 * 1024 * 1024;

/// What a waiting packet takes beside its octets.
const OVERHEAD: usize = 128;

/// Octets a second, each way; 0 is without a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of one allocation.
    pub session: u64,
    /// Of all allocations of one account.
    pub user: u64,
}

impl Bandwidth {
    /// Whether there is any bound.
    pub fn is_bounded(&self) -> bool {
        self.session != 0 || self.user != 0
    }
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to a peer.
    Sent,
    /// From a peer to the client.
    Received,
}

/// Spends a rate on a packet: `ahead` is how far beyond now it is spent already. Says how long the packet is to wait and how
/// far it is spent then; `None` where it would wait for too long.
pub fn spend(ahead: Duration, octets: usize, rate: u64) -> Option<(Duration, Duration)> {
    let wait = ahead.saturating_sub(BURST);
    (wait <= DELAY).then(|| (wait, charge(ahead, octets, rate).1))
}

/// Spends a rate on octets that went on already. Says how long to wait before more of them go on, and how far it is spent.
pub fn charge(ahead: Duration, octets: usize, rate: u64) -> (Duration, Duration) {
    let cost = (octets as u64).saturating_mul(1_000_000_000) / rate.max(1);
    let ahead = ahead + Duration::from_nanos(cost);
    (ahead.saturating_sub(BURST), ahead)
}

/// What an allocation has spent, and what of it waits.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    sent: Lane,
    received: Lane,
}

/// One way.
#[derive(Debug, Default)]
struct Lane {
    /// Up to when the rate is spent.
    spent: Option<Instant>,
    waiting: VecDeque<Waiting>,
    octets: usize,
}

#[derive(Debug)]
struct Waiting {
    due: Instant,
    to: Way,
    bytes: Vec<u8>,
}

impl Pacing {
    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }

    /// When the next packet is due.
    fn deadline(&self) -> Option<Instant> {
        [&self.sent, &self.received].into_iter().filter_map(|lane| Some(lane.waiting.front()?.due)).min()
    }

    /// Takes out one packet that is due.
    fn next(&mut self, now: Instant) -> Option<Waiting> {
        let due = [&mut self.sent, &mut self.received]
            .into_iter()
            .find(|lane| lane.waiting.front().is_some_and(|packet| packet.due <= now))?;
        let packet = due.waiting.pop_front()?;
        due.octets -= packet.bytes.len() + OVERHEAD;
        Some(packet)
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        self.sent.clear();
        self.received.clear();
    }

    /// What waits, in octets.
    pub(crate) fn held(&self) -> usize {
        self.sent.octets + self.received.octets
    }
}

impl Lane {
    fn clear(&mut self) {
        self.waiting.clear();
        self.octets = 0;
    }

    /// How far what was spent is ahead of the clock.
    fn ahead(&self, now: Instant) -> Duration {
        self.spent.map_or(Duration::ZERO, |spent| spent.saturating_duration_since(now))
    }

    /// How long a packet is to wait by the allocation's own rate, nothing being spent yet.
    fn own(&self, now: Instant, octets: usize, rate: u64) -> Option<(Duration, Option<Instant>)> {
        if rate == 0 {
            return Some((Duration::ZERO, self.spent));
        }
        let ahead = self.ahead(now);
        let (wait, ahead) = spend(ahead, octets, rate)?;
        Some((wait, Some(now + ahead)))
    }

    /// How long a packet is to wait behind those that wait already.
    fn behind(&self, now: Instant, wait: Duration) -> Duration {
        let last = self.waiting.back().map(|packet| packet.due.saturating_duration_since(now));
        last.map_or(wait, |last| wait.max(last).max(Duration::from_nanos(1)))
    }
}

impl Allocation {
    /// How long a packet is to wait; `None`: it is dropped. What it spends is spent.
    pub(crate) fn pace(
        &mut self,
        now: Instant,
        direction: Direction,
        octets: usize,
        bandwidth: &Bandwidth,
    ) -> Option<Duration> {
        if !bandwidth.is_bounded() {
            return Some(Duration::ZERO);
        }
        let wait = self.spend(now, direction, octets, bandwidth);
        if wait.is_none() {
            self.traffic.dropped_packets += 1;
        }
        wait
    }

    /// How long a stream is not to be read any more after octets of it that went on already: nothing of a stream can be
    /// dropped, so what was too much is waited for.
    pub(crate) fn pace_stream(
        &mut self,
        now: Instant,
        direction: Direction,
        octets: usize,
        bandwidth: &Bandwidth,
    ) -> Duration {
        let mut wait = Duration::ZERO;
        if bandwidth.session != 0 {
            let lane = self.pacing.get_or_insert_default().lane(direction);
            let ahead = lane.ahead(now);
            let (own, ahead) = charge(ahead, octets, bandwidth.session);
            (wait, lane.spent) = (own, Some(now + ahead));
        }
        if bandwidth.user != 0 {
            wait = wait.max(self.seat.charge(now, direction, octets, bandwidth.user));
        }
        wait
    }

    fn spend(
        &mut self,
        now: Instant,
        direction: Direction,
        octets: usize,
        bandwidth: &Bandwidth,
    ) -> Option<Duration> {
        let lane = self.pacing.get_or_insert_default().lane(direction);
        let (own, spent) = lane.own(now, octets, bandwidth.session)?;
        let has_room = lane.octets + octets + OVERHEAD <= QUEUE;
        if !own.is_zero() && !has_room {
            return None;
        }
        let theirs = match bandwidth.user {
            0 => Duration::ZERO,
            rate => self.seat.spend(now, direction, octets, rate)?,
        };
        lane.spent = spent;
        let wait = lane.behind(now, own.max(theirs));
        (wait.is_zero() || has_room).then_some(wait)
    }
}

impl Server {
    /// Lets a packet that was admitted go, or keeps a copy of it until it may.
    pub(crate) fn depart(
        &mut self,
        now: Instant,
        slot: Slot,
        direction: Direction,
        (verdict, wait): (Verdict, Duration),
        bytes: &[u8],
    ) -> Verdict {
        match verdict {
            Verdict::Forward { to, range } if !wait.is_zero() => {
                self.hold(now + wait, slot, direction, to, &bytes[range]);
                Verdict::Drop
            }
            verdict => verdict,
        }
    }

    fn hold(&mut self, due: Instant, slot: Slot, direction: Direction, to: Way, part: &[u8]) {
        let size = part.len() + OVERHEAD;
        let mut bytes = self.buffer();
        let Some(allocation) = self.allocations.get(slot) else { return };
        if self.held + size > QUEUES {
            allocation.traffic.dropped_packets += 1;
            return self.recycle(bytes);
        }
        bytes.extend_from_slice(part);
        let pacing = allocation.pacing.get_or_insert_default();
        let lane = pacing.lane(direction);
        lane.octets += size;
        lane.waiting.push_back(Waiting { due, to, bytes });
        let deadline = pacing.deadline();
        self.held += size;
        deadline.into_iter().for_each(|at| self.timers.set(Timer::Pace(slot), at));
    }

    /// Sends what of an allocation is due.
    pub(crate) fn release(&mut self, now: Instant, slot: Slot) {
        loop {
            let Some(pacing) = self.allocations.get(slot).and_then(|one| one.pacing.as_mut()) else { return };
            let Some(Waiting { to, bytes, .. }) = pacing.next(now) else {
                let deadline = pacing.deadline();
                return deadline.into_iter().for_each(|at| self.timers.set(Timer::Pace(slot), at));
            };
            self.held -= bytes.len() + OVERHEAD;
            self.output(Output::Forward { to, bytes });
        }
    }

    /// Forgets what waits for a client that has another 5-tuple now: it was written for the old one.
    pub(crate) fn forget_received(&mut self, slot: Slot) {
        let allocation = self.allocations.get(slot);
        if let Some(pacing) = allocation.and_then(|allocation| allocation.pacing.as_mut()) {
            self.held -= pacing.received.octets;
            pacing.received.clear();
        }
    }

    /// Forgets what waits of an allocation that is gone, or that has another client by now.
    pub(crate) fn forget_waiting(&mut self, slot: Slot, allocation: &Allocation) {
        self.timers.cancel(Timer::Pace(slot));
        self.held -= allocation.pacing.as_ref().map_or(0, |pacing| pacing.held());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_spent_in_bursts_then_waited_for_then_refused() {
        let millis = Duration::from_millis;
        assert_eq!(spend(Duration::ZERO, 1000, 10_000), Some((Duration::ZERO, millis(100))));
        assert_eq!(spend(BURST, 1000, 10_000), Some((Duration::ZERO, BURST + millis(100))));
        assert_eq!(spend(BURST + millis(7), 1000, 10_000), Some((millis(7), BURST + millis(107))));
        assert_eq!(spend(BURST + DELAY, 0, 10_000), Some((DELAY, BURST + DELAY)));
        assert_eq!(spend(BURST + DELAY + millis(1), 1, 10_000), None);
        assert_eq!(spend(Duration::ZERO, 65_535, 1).map(|(wait, _)| wait), Some(Duration::ZERO));
    }
}
