//! The relay: for each call whose ends cannot reach one another, a pair of ports towards each end and medium, RTP and
//! RTCP. Session descriptions that pass get its addresses; what comes in at one port goes out by its twin.
//!
//! Packets are not read: SRTP, DTLS and whatever else comes from the right place pass as they are.

mod guard;
mod kept;
mod latch;
mod message;
mod ports;
mod record;
mod session;
#[cfg(test)]
mod tests;
mod way;

pub use guard::Guard;
pub use kept::{Changes, Kept};
pub use message::{Branch, End, Kind, Message, Seat};
pub use session::{Ended, Reason};

use latch::Latch;
use ports::Ports;
use rustc_hash::FxHashMap;
use session::Session;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use way::Way;
use wire::{SocketId, Timers};

/// How one worker's relay is to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where ports can be bound, the preferred first.
    pub places: Vec<Place>,
    /// Whether only there; if not, also wherever somebody's signalling comes in.
    pub listed: bool,
    /// The ports of all workers.
    pub ports: RangeInclusive<u16>,
    /// Which of so many workers this is: each has ports of its own.
    pub share: (u16, u16),
    /// What belongs to this host.
    pub guard: Guard,
    /// A call of which no media have come for so long is over, whatever its RTCP says.
    pub silence: Duration,
    /// The same while somebody is on hold.
    pub hold: Duration,
    /// The same where RTCP comes meanwhile.
    pub hold_with_rtcp: Duration,
    /// The same before somebody has taken the call.
    pub ringing: Duration,
}

/// An address of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// As it is bound.
    pub bind: IpAddr,
    /// What the world calls it.
    pub public: IpAddr,
}

/// What a relay does to the world.
pub trait Hands {
    /// Binds a datagram socket.
    ///
    /// # Errors
    /// When it is not to be had.
    fn bind(&mut self, local: SocketAddr) -> Result<SocketId, Unbound>;
    /// Closes one.
    fn close(&mut self, socket: SocketId);
    /// Takes one of the calls that an account may have relayed at a time; `false` where it has them all.
    fn take_seat(&mut self, seat: Seat) -> bool;
    /// Gives it back.
    fn give_seat(&mut self, seat: Seat);
}

/// Why a socket was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// Somebody else has the port.
    InUse,
    /// The address is not ours, or no file descriptor is left.
    Failed,
}

/// What has been done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were relayed, those under way included.
    pub calls: u64,
    /// Packets that went through.
    pub packets: u64,
    /// Octets of them.
    pub octets: u64,
    /// Packets that came from the wrong place, or that had nowhere to go yet.
    pub dropped: u64,
    /// Messages that were left as they were for want of ports.
    pub no_ports: u64,
    /// Messages that were left as they were because an account had its share.
    pub no_seat: u64,
}

/// The number of a call that is relayed, never used again.
pub type Number = u64;

/// One worker's relay: that of the calls at home there.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    ports: Ports,
    sessions: FxHashMap<Number, Session>,
    /// The sessions of a Call-ID: one for each branch of a fork.
    calls: FxHashMap<Box<[u8]>, Vec<Number>>,
    ways: FxHashMap<SocketId, Way>,
    timers: Timers<Number>,
    ended: VecDeque<Ended>,
    next: Number,
    /// Calls that are not kept as they are now, and those that are over and kept still.
    changes: BTreeSet<Number>,
    /// How many of those that stand are kept.
    kept: usize,
    counts: Counts,
}

impl Relay {
    /// A relay without calls. Theirs are numbers from `first` on, of which each worker has every so-many-th.
    pub fn new(config: Config, first: Number) -> Self {
        Self {
            ports: Ports::new(&config.ports, config.share),
            next: first + u64::from(config.share.0),
            config,
            sessions: FxHashMap::default(),
            calls: FxHashMap::default(),
            ways: FxHashMap::default(),
            timers: Timers::default(),
            ended: VecDeque::new(),
            changes: BTreeSet::new(),
            kept: 0,
            counts: Counts::default(),
        }
    }

    /// What is new concerns new ports; calls keep theirs.
    pub fn set_config(&mut self, config: Config) {
        if (&config.ports, config.share) != (&self.config.ports, self.config.share) {
            self.ports = Ports::new(&config.ports, config.share);
            for session in self.sessions.values() {
                session.ports().for_each(|port| self.ports.claim(port));
            }
        }
        self.config = config;
    }

    /// How many calls are relayed now.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no call is.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// What has been done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What has ended since it was asked last.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Where a packet goes that came to a socket: by which other socket, and to whom. `bytes` are looked at only where
    /// it is open who stands at that end.
    pub fn forward(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<(SocketId, SocketAddr)> {
        let mut way = self.ways.get_mut(&socket)?;
        let mut onward = way.onward();
        if !way.latch.knows(now, from) {
            let known = self.learn(now, socket, from, bytes);
            way = self.ways.get_mut(&socket)?;
            if !known {
                self.counts.dropped += 1;
                return None;
            }
            onward = way.onward();
        }
        if way.rtp.is_none() && !is_rtcp(bytes) {
            way.media = Some(now);
        }
        let Some(onward) = onward else {
            self.counts.dropped += 1;
            return None;
        };
        way.packets += 1;
        self.counts.packets += 1;
        self.counts.octets += bytes.len() as u64;
        Some(onward)
    }

    /// Whether somebody who is not known yet is the end that this socket is for. Its twin then sends there.
    #[cold]
    fn learn(&mut self, now: Instant, socket: SocketId, from: SocketAddr, bytes: &[u8]) -> bool {
        let ours = self.is_ours(from);
        let Some(way) = self.ways.get_mut(&socket) else { return false };
        let before = way.latch.standing();
        if ours || !way.latch.learns(now, from, bytes, &self.config.guard) {
            return false;
        }
        let (session, rtp, known) = (way.session, way.rtp, way.latch.found());
        let is_new = way.latch.standing() != before;
        aim(&mut self.ways, &self.config.guard, socket);
        if let (Some(rtp), (named, Some(found))) = (rtp, known) {
            if let Some(way) = self.ways.get_mut(&rtp) {
                way.latch.hint(found, named);
            }
            aim(&mut self.ways, &self.config.guard, rtp);
        }
        if is_new {
            self.note(session);
        }
        true
    }

    /// Whether an address is a port of this relay, of any worker: what comes from there would go round for ever.
    fn is_ours(&self, address: SocketAddr) -> bool {
        let ip = address.ip();
        self.config.ports.contains(&address.port())
            && self.config.places.iter().any(|place| place.bind == ip || place.public == ip)
    }

    /// Ends calls that are silent.
    pub fn tick(&mut self, now: Instant, hands: &mut dyn Hands) {
        while let Some(number) = self.timers.pop(now) {
            let Some(session) = self.sessions.get(&number) else { continue };
            let due = self.due(session);
            if due <= now {
                self.end(now, number, Reason::Silent, hands);
            } else {
                self.timers.set(number, due);
            }
        }
    }

    /// When a call is over if nothing more comes. RTCP goes on without anybody there; it counts while somebody is on hold
    /// alone, and not for ever.
    fn due(&self, session: &Session) -> Instant {
        let ways = || session.sockets().filter_map(|socket| self.ways.get(&socket));
        let media = ways().filter_map(|way| way.media).max();
        let since = media.unwrap_or(session.began).max(session.touched);
        let patience = session.patience(&self.config);
        match ways().filter_map(|way| way.latch.heard()).max() {
            Some(heard) if session.is_on_hold() => {
                (since + patience).max((heard + patience).min(since + self.config.hold_with_rtcp))
            }
            _ => since + patience,
        }
    }

    /// When [`Self::tick`] is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }
}

/// The twin of a socket sends to whoever stands at that one's end.
fn aim(ways: &mut FxHashMap<SocketId, Way>, guard: &Guard, socket: SocketId) {
    let Some(way) = ways.get(&socket) else { return };
    let (twin, target) = (way.twin, way.latch.target(guard));
    if let Some(twin) = ways.get_mut(&twin) {
        twin.to = target;
    }
}

/// Whether a packet is RTCP that shares a port with RTP (RFC 5761 §4).
#[inline]
fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, 192..=223, ..])
}
