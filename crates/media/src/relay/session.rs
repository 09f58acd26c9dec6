//! One call that is relayed: its two ends, its media, and what a message that passes changes of them.

use super::message::{Branch, Kind, Seat};
use super::{Config, Counts, End, Hands, Latch, Message, Number, Place, Relay, Unbound, Way, aim};
use crate::sdp::{Carrier, Description, Medium};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use wire::SocketId;
use wire::inside::Depth;

/// Media of one call that are relayed; further ones are left as they are.
pub(super) const MAX_STREAMS: usize = 8;
/// Phones of one branch that have answered, each with a tag of its own.
pub(super) const MAX_TAGS: usize = 16;
/// Branches of one Call-ID.
const MAX_BRANCHES: usize = 64;
/// Of those, how many begin in mid-call, with whatever tags the request names.
const MAX_ANEW: usize = 4;
/// Pairs that are tried where somebody else has one.
const TRIES: usize = 32;

/// Which end: 0 is the one that began the dialog.
pub(super) type Side = usize;

/// A call.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) call: Box<[u8]>,
    /// Which branch of the fork it is, until it is taken.
    pub(super) branch: Option<Branch>,
    /// It was relayed before a restart.
    pub(super) is_restored: bool,
    /// The tags of each end: of the called one as many as phones have answered.
    pub(super) tags: [Vec<Box<[u8]>>; 2],
    /// Where each end's signalling is.
    pub(super) ends: [(IpAddr, Option<IpAddr>); 2],
    pub(super) streams: Vec<Stream>,
    pub(super) is_taken: bool,
    /// Something of it is kept for a restart.
    pub(super) is_kept: bool,
    pub(super) held: [bool; 2],
    pub(super) seat: Option<Seat>,
    pub(super) began: Instant,
    /// When its signalling was heard last.
    pub(super) touched: Instant,
}

/// One medium: a pair of ports towards each end, where it is relayed.
pub(super) type Stream = Option<Box<[Facing; 2]>>;

/// What faces one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facing {
    /// As it is bound.
    pub(super) local: SocketAddr,
    /// What the end is told.
    pub(super) public: IpAddr,
    pub(super) rtp: SocketId,
    pub(super) rtcp: Option<SocketId>,
}

impl Facing {
    pub(super) fn sockets(&self) -> impl Iterator<Item = SocketId> + use<> {
        std::iter::once(self.rtp).chain(self.rtcp)
    }
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its Call-ID.
    pub call: Box<[u8]>,
    /// Why.
    pub reason: Reason,
    /// Whether anybody had taken it.
    pub was_taken: bool,
    /// How long it was.
    pub lasted: Duration,
    /// Packets that went to either end, the calling one first.
    pub packets: [u64; 2],
}

/// Why a call is relayed no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its signalling said so: BYE, CANCEL, a refusal, another phone took it.
    Signalled,
    /// Nothing came for too long.
    Silent,
}

impl Session {
    pub(super) fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.facings().flat_map(Facing::sockets)
    }

    /// Its even ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.facings().map(|facing| facing.local.port())
    }

    fn facings(&self) -> impl Iterator<Item = &Facing> {
        self.streams.iter().flatten().flat_map(|facing| facing.iter())
    }

    /// Whether it began to be relayed in mid-call.
    fn is_anew(&self) -> bool {
        self.branch.is_none() && !self.is_restored
    }

    /// Whether somebody has put it on hold.
    pub(super) fn is_on_hold(&self) -> bool {
        self.is_taken && self.held.contains(&true)
    }

    /// How long no media may come of it.
    pub(super) fn patience(&self, config: &Config) -> Duration {
        match (self.is_taken, self.is_on_hold()) {
            // What begins in mid-call is answered at once, or nobody is there.
            (false, _) if self.branch.is_none() => config.silence,
            (false, _) => config.ringing,
            (true, true) => config.hold,
            (true, false) => config.silence,
        }
    }

    fn side_of(&self, by: &End, to: &End) -> Option<Side> {
        let has = |side: Side, end: &End| self.tags[side].contains(&end.tag);
        match () {
            () if has(0, by) && (to.tag.is_empty() || has(1, to)) => Some(0),
            () if has(1, by) && has(0, to) => Some(1),
            () => None,
        }
    }

    /// Takes note of an end as a message shows it.
    fn meet(&mut self, side: Side, end: &End) {
        if !end.tag.is_empty() && !self.tags[side].contains(&end.tag) && self.tags[side].len() < MAX_TAGS {
            self.tags[side].push(end.tag.clone());
        }
        let (source, local) = self.ends[side];
        self.ends[side] = (end.source.unwrap_or(source), end.local.or(local));
    }
}

impl Relay {
    /// A message passes: the description that goes on in place of its own; `None` leaves it as it is.
    pub fn pass(&mut self, now: Instant, message: &Message, hands: &mut dyn Hands) -> Option<Vec<u8>> {
        let number = match self.find(message) {
            Some(number) => number,
            None if message.kind == Kind::Request => self.begin(now, message, hands)?,
            None => return None,
        };
        let session = self.sessions.get_mut(&number)?;
        let by = match message.branch {
            Some(_) => usize::from(message.kind != Kind::Request),
            None => session.side_of(&message.by, &message.to)?,
        };
        session.meet(by, &message.by);
        session.meet(1 - by, &message.to);
        session.touched = now;
        session.is_taken |= message.kind == Kind::Answer;
        let description = Some(&message.body[..]).filter(|body| !body.is_empty());
        let description = description.and_then(|body| Description::read(body).ok());
        let body = description.and_then(|description| self.describe(now, number, by, &description, hands));
        let patience = self.sessions.get(&number)?.patience(&self.config);
        self.timers.set(number, now + patience);
        self.note(number);
        body
    }

    /// The session of a message.
    fn find(&self, message: &Message) -> Option<Number> {
        let numbers = self.calls.get(&message.call)?;
        let fits = |session: &Session| match message.branch {
            Some(branch) => session.branch == Some(branch),
            None => session.side_of(&message.by, &message.to).is_some(),
        };
        numbers.iter().copied().find(|number| self.sessions.get(number).is_some_and(fits))
    }

    /// Whether a call may have one more session.
    fn may_begin(&self, message: &Message) -> bool {
        let Some(numbers) = self.calls.get(&message.call) else { return true };
        let is_anew = |number: &&Number| self.sessions.get(number).is_some_and(Session::is_anew);
        let anew = numbers.iter().filter(is_anew).count();
        numbers.len() < MAX_BRANCHES && (message.branch.is_some() || anew < MAX_ANEW)
    }

    fn begin(&mut self, now: Instant, message: &Message, hands: &mut dyn Hands) -> Option<Number> {
        if !self.may_begin(message) {
            return None;
        }
        // What is not to be relayed takes no place; without a description, it is said later.
        let none = !message.body.is_empty() && Description::read(&message.body).is_err();
        if none || self.ports.len() < 2 {
            self.counts.no_ports += u64::from(!none);
            return None;
        }
        let ends = [(message.by.source?, message.by.local), (message.to.source?, message.to.local)];
        if let Some(seat) = message.seat
            && !hands.take_seat(seat)
        {
            self.counts.no_seat += 1;
            return None;
        }
        let number = self.next;
        self.next += u64::from(self.config.share.1.max(1));
        let tag = |end: &End| Some(end.tag.clone()).filter(|tag| !tag.is_empty()).into_iter().collect();
        let session = Session {
            call: message.call.clone(),
            branch: message.branch,
            is_restored: false,
            tags: [tag(&message.by), tag(&message.to)],
            ends,
            streams: Vec::new(),
            is_taken: false,
            is_kept: false,
            held: [false; 2],
            seat: message.seat,
            began: now,
            touched: now,
        };
        self.sessions.insert(number, session);
        self.calls.entry(message.call.clone()).or_default().push(number);
        self.counts.calls += 1;
        Some(number)
    }

    /// An end says where it receives: that is where its packets are expected from and the other's are sent to. The other
    /// end is told ports of ours.
    fn describe(
        &mut self,
        now: Instant,
        number: Number,
        by: Side,
        description: &Description<'_>,
        hands: &mut dyn Hands,
    ) -> Option<Vec<u8>> {
        let media = description.media();
        if media.iter().any(|medium| medium.rtp.port() != 0 && self.is_ours(medium.rtp)) {
            // It has been through here: whoever relays it already does so.
            return None;
        }
        for (index, medium) in media.iter().enumerate().take(MAX_STREAMS) {
            let is_new =
                medium.rtp.port() != 0 && medium.bundled.is_none() && medium.carrier != Carrier::Other;
            let has = |session: &Session| session.streams.get(index).is_some_and(Option::is_some);
            if is_new && !self.sessions.get(&number).is_some_and(has) {
                let ends = self.sessions.get(&number)?.ends;
                let stream = self.stream(number, by, ends, medium, hands);
                let streams = &mut self.sessions.get_mut(&number)?.streams;
                streams.resize_with(streams.len().max(index + 1), || None);
                streams[index] = stream;
            }
        }
        let session = self.sessions.get_mut(&number)?;
        session.held[by] = description.is_held();
        let source = session.ends[by].0;
        let mut at = Vec::with_capacity(media.len());
        for (index, medium) in media.iter().enumerate() {
            // What is bundled goes by the ports of the first (RFC 8843 §7).
            let stream = session.streams.get(medium.bundled.unwrap_or(index)).and_then(Option::as_deref);
            let facing = stream.filter(|_| medium.rtp.port() != 0);
            at.push(facing.map(|facing| SocketAddr::new(facing[1 - by].public, facing[1 - by].local.port())));
            if let (Some(facing), None) = (facing, medium.bundled) {
                let sockets = [(Some(facing[by].rtp), medium.rtp), (facing[by].rtcp, medium.rtcp)];
                for (socket, named) in sockets {
                    let Some(socket) = socket else { continue };
                    if let Some(way) = self.ways.get_mut(&socket) {
                        way.latch.describe(now, named, source);
                    }
                    aim(&mut self.ways, &self.config.guard, socket);
                }
            }
        }
        at.iter().any(Option::is_some).then(|| description.rewrite(&at))
    }

    /// Ports towards both ends.
    fn stream(
        &mut self,
        number: Number,
        by: Side,
        ends: [(IpAddr, Option<IpAddr>); 2],
        medium: &Medium,
        hands: &mut dyn Hands,
    ) -> Stream {
        let has_rtcp = medium.carrier == Carrier::Rtp;
        let other = ends[1 - by].0;
        let own = if medium.rtp.ip().is_unspecified() { ends[by].0 } else { medium.rtp.ip() };
        let mut places = [None; 2];
        places[by] = self.config.place(own.is_ipv4(), ends[by]);
        places[1 - by] = self.config.place(other.is_ipv4(), ends[1 - by]);
        let (Some(first), Some(second)) = (places[0], places[1]) else { return None };
        let first = self.open(first, ends[0].0, has_rtcp, hands)?;
        let Some(second) = self.open(second, ends[1].0, has_rtcp, hands) else {
            self.close(&first, hands);
            return None;
        };
        self.join(number, (first.rtp, &first, ends[0].0), (second.rtp, &second, ends[1].0));
        if let (Some(one), Some(other)) = (first.rtcp, second.rtcp) {
            self.join(number, (one, &first, ends[0].0), (other, &second, ends[1].0));
        }
        Some(Box::new([first, second]))
    }

    pub(super) fn join(
        &mut self,
        session: Number,
        one: (SocketId, &Facing, IpAddr),
        other: (SocketId, &Facing, IpAddr),
    ) {
        for ((socket, facing, source), (twin, ..)) in [(one, other), (other, one)] {
            let latch = Latch::new(source, facing.local);
            let rtp = (socket != facing.rtp).then_some(facing.rtp);
            self.ways.insert(socket, Way { session, latch, twin, to: None, rtp, media: None, packets: 0 });
        }
    }

    /// A pair of ports towards one end.
    fn open(
        &mut self,
        place: Place,
        source: IpAddr,
        has_rtcp: bool,
        hands: &mut dyn Hands,
    ) -> Option<Facing> {
        // Whoever lies inside with us reaches us without the detour by our public address.
        let is_near = is_inside(source) && is_inside(place.bind);
        let public = if is_near { place.bind } else { place.public };
        for _ in 0..TRIES.min(self.ports.len()) {
            let port = self.ports.take()?;
            let local = SocketAddr::new(place.bind, port);
            match bind(local, has_rtcp, hands) {
                Ok((rtp, rtcp)) => return Some(Facing { local, public, rtp, rtcp }),
                Err(unbound) => {
                    self.ports.give(port);
                    if unbound == Unbound::Failed {
                        break;
                    }
                }
            }
        }
        self.counts.no_ports += 1;
        None
    }

    fn close(&mut self, facing: &Facing, hands: &mut dyn Hands) {
        for socket in facing.sockets() {
            hands.close(socket);
            self.ways.remove(&socket);
        }
        self.ports.give(facing.local.port());
    }

    /// A fork is settled: all of its branches but the one that was taken, if any, are over.
    pub fn settle(
        &mut self,
        call: &[u8],
        fork: Branch,
        winner: Option<u32>,
        now: Instant,
        hands: &mut dyn Hands,
    ) {
        let Some(numbers) = self.calls.get(call).cloned() else { return };
        for number in numbers {
            let Some(branch) = self.sessions.get(&number).and_then(|session| session.branch) else {
                continue;
            };
            if branch.is_of_same(&fork) && Some(branch.index) != winner {
                self.end(now, number, Reason::Signalled, hands);
            }
        }
    }

    /// A dialog is over: that of these two tags.
    pub fn over(&mut self, call: &[u8], by: &[u8], to: &[u8], now: Instant, hands: &mut dyn Hands) {
        let Some(numbers) = self.calls.get(call).cloned() else { return };
        for number in numbers {
            let Some(session) = self.sessions.get(&number) else { continue };
            let has = |side: Side, tag: &[u8]| session.tags[side].iter().any(|own| **own == *tag);
            if (has(0, by) && has(1, to)) || (has(1, by) && has(0, to)) {
                self.end(now, number, Reason::Signalled, hands);
            }
        }
    }

    pub(super) fn end(&mut self, now: Instant, number: Number, reason: Reason, hands: &mut dyn Hands) {
        let Some(session) = self.sessions.remove(&number) else { return };
        self.timers.cancel(number);
        self.forget(number, session.is_kept);
        let mut packets = [0; 2];
        for facing in session.streams.iter().flatten() {
            for (side, face) in facing.iter().enumerate() {
                // What came in here went to the other end.
                packets[1 - side] += self.ways.get(&face.rtp).map_or(0, |way| way.packets);
                self.close(face, hands);
            }
        }
        if let Some(seat) = session.seat {
            hands.give_seat(seat);
        }
        if let Some(numbers) = self.calls.get_mut(&session.call) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.calls.remove(&session.call);
            }
        }
        let lasted = now.saturating_duration_since(session.began);
        let (call, was_taken) = (session.call, session.is_taken);
        self.ended.push_back(Ended { call, reason, was_taken, lasted, packets });
    }
}

/// Binds a pair, or its even port alone.
pub(super) fn bind(
    local: SocketAddr,
    has_rtcp: bool,
    hands: &mut dyn Hands,
) -> Result<(SocketId, Option<SocketId>), Unbound> {
    let rtp = hands.bind(local)?;
    if !has_rtcp {
        return Ok((rtp, None));
    }
    match hands.bind(SocketAddr::new(local.ip(), local.port() + 1)) {
        Ok(rtcp) => Ok((rtp, Some(rtcp))),
        Err(unbound) => {
            hands.close(rtp);
            Err(unbound)
        }
    }
}

/// Whether an address lies in a network that is not the Internet.
fn is_inside(ip: IpAddr) -> bool {
    Depth::of(ip) > Depth::Outside
}

impl Config {
    /// Where ports towards an end are bound: at the address of ours that it knows, else at the first that is as private
    /// as the end is, else at the first.
    fn place(&self, is_ipv4: bool, (source, local): (IpAddr, Option<IpAddr>)) -> Option<Place> {
        let fits = |place: &&Place| place.bind.is_ipv4() == is_ipv4;
        let known =
            local.map(|ip| ip.to_canonical()).filter(|ip| ip.is_ipv4() == is_ipv4 && !ip.is_unspecified());
        let named = self.places.iter().find(|place| Some(place.bind) == known);
        if let Some(place) = named {
            return Some(*place);
        }
        if let Some(ip) = known.filter(|_| !self.listed) {
            return Some(Place { bind: ip, public: ip });
        }
        let alike = |place: &&Place| is_inside(place.bind) == is_inside(source);
        let mut all = self.places.iter().filter(fits);
        all.clone().find(alike).or_else(|| all.next()).copied()
    }
}

impl Counts {
    /// Messages that were left as they were though a relay was wanted.
    pub fn refused(&self) -> u64 {
        self.no_ports + self.no_seat
    }
}
