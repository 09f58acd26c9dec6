//! Calls that outlive the server: what is kept of each that somebody has taken, and how it is relayed again by the same
//! ports. Whoever was found at one stays found, so that both ends hear one another at once.

use super::latch::{Known, Latch};
use super::message::Seat;
use super::record::{Reader, Writer};
use super::session::{Facing, MAX_STREAMS, MAX_TAGS, Session, Stream, bind};
use super::{Hands, Number, Relay, aim};
use rustc_hash::FxHashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use wire::Epoch;

/// What a record begins with.
const VERSION: u8 = 1;

/// A call as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub(super) call: Box<[u8]>,
    pub(super) tags: [Vec<Box<[u8]>>; 2],
    pub(super) ends: [(IpAddr, Option<IpAddr>); 2],
    pub(super) held: [bool; 2],
    pub(super) seat: Option<Seat>,
    /// When it began, as time since 1970.
    pub(super) began: Duration,
    pub(super) streams: Vec<Option<[KeptFacing; 2]>>,
}

/// A pair of ports as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptFacing {
    pub(super) local: SocketAddr,
    pub(super) public: IpAddr,
    pub(super) rtp: Known,
    pub(super) rtcp: Option<Known>,
}

/// What is to be kept from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Calls as they are now.
    pub kept: Vec<(Number, Kept)>,
    /// Those that are over.
    pub gone: Vec<Number>,
}

impl Changes {
    /// Whose these changes are.
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        self.kept.iter().map(|(number, _)| *number).chain(self.gone.iter().copied())
    }
}

impl Kept {
    /// Its Call-ID.
    pub fn call(&self) -> &[u8] {
        &self.call
    }

    /// Its even ports.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.streams.iter().flatten().flatten().map(|facing| facing.local.port())
    }

    /// In octets.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.octet(VERSION);
        out.text(&self.call);
        out.time(self.began);
        out.maybe(self.seat, Writer::number);
        for side in 0..2 {
            out.octet(u8::from(self.held[side]));
            out.host(self.ends[side].0);
            out.maybe(self.ends[side].1, Writer::host);
            out.count(self.tags[side].len());
            self.tags[side].iter().for_each(|tag| out.text(tag));
        }
        out.count(self.streams.len());
        for stream in &self.streams {
            out.maybe(stream.as_ref(), |out, facings| facings.iter().for_each(|one| one.write(out)));
        }
        out.0
    }

    /// From octets; `None` where they are none of ours.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut octets = Reader(octets);
        if octets.octet()? != VERSION {
            return None;
        }
        let (call, began) = (octets.text()?, octets.time()?);
        let seat = octets.maybe(Reader::number)?;
        let [one, other] = [read_end(&mut octets)?, read_end(&mut octets)?];
        let stream = |octets: &mut Reader<'_>| {
            octets.maybe(|octets| Some([KeptFacing::read(octets)?, KeptFacing::read(octets)?]))
        };
        let streams = octets.several(MAX_STREAMS, stream)?;
        octets.0.is_empty().then_some(Self {
            call,
            tags: [one.2, other.2],
            ends: [one.1, other.1],
            held: [one.0, other.0],
            seat,
            began,
            streams,
        })
    }
}

/// Whether it holds the call, where its signalling is, its tags.
type KeptEnd = (bool, (IpAddr, Option<IpAddr>), Vec<Box<[u8]>>);

fn read_end(octets: &mut Reader<'_>) -> Option<KeptEnd> {
    let holds = octets.octet()? != 0;
    let place = (octets.host()?, octets.maybe(Reader::host)?);
    Some((holds, place, octets.several(MAX_TAGS, Reader::text)?))
}

impl KeptFacing {
    fn write(&self, out: &mut Writer) {
        out.address(self.local);
        out.host(self.public);
        self.rtp.write(out);
        out.maybe(self.rtcp.as_ref(), |out, known| known.write(out));
    }

    fn read(octets: &mut Reader<'_>) -> Option<Self> {
        let (local, public) = (octets.address()?, octets.host()?);
        Some(Self { local, public, rtp: Known::read(octets)?, rtcp: octets.maybe(Known::read)? })
    }
}

impl Relay {
    /// Takes note that what is kept of a call is not what it is now. Nobody has answered yet: it is not kept.
    pub(super) fn note(&mut self, number: Number) {
        if self.sessions.get(&number).is_some_and(|session| session.is_taken) {
            self.changes.insert(number);
        }
    }

    /// A call is over: what is kept of it is to be forgotten.
    pub(super) fn forget(&mut self, number: Number, is_kept: bool) {
        if is_kept {
            self.kept -= 1;
            self.changes.insert(number);
        } else {
            self.changes.remove(&number);
        }
    }

    /// How many calls are not kept as they are now.
    pub fn unkept(&self) -> usize {
        self.changes.len()
    }

    /// Whether what is kept of a call is not what it is now.
    pub fn is_unkept(&self, number: Number) -> bool {
        self.changes.contains(&number)
    }

    /// How many calls that stand are kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// What is to be kept from now on, of so many calls at most.
    pub fn changes(&mut self, epoch: &Epoch, most: usize) -> Changes {
        let mut changes = Changes::default();
        while changes.kept.len() + changes.gone.len() < most {
            let Some(number) = self.changes.pop_first() else { break };
            match self.sessions.get_mut(&number) {
                Some(session) => {
                    self.kept += usize::from(!std::mem::replace(&mut session.is_kept, true));
                    let session = &self.sessions[&number];
                    changes.kept.push((number, self.keep(session, epoch)));
                }
                None => changes.gone.push(number),
            }
        }
        changes
    }

    /// These could not be kept, or forgotten: they are told again.
    pub fn change_again(&mut self, numbers: impl IntoIterator<Item = Number>) {
        self.changes.extend(numbers);
    }

    fn keep(&self, session: &Session, epoch: &Epoch) -> Kept {
        let known = |socket| self.ways.get(&socket).map(|way| way.latch.known(epoch));
        let facing = |facing: &Facing| {
            let rtcp = facing.rtcp.and_then(known);
            let Facing { local, public, rtp, .. } = *facing;
            Some(KeptFacing { local, public, rtp: known(rtp)?, rtcp })
        };
        let stream = |facings: &[Facing; 2]| Some([facing(&facings[0])?, facing(&facings[1])?]);
        Kept {
            call: session.call.clone(),
            tags: session.tags.clone(),
            ends: session.ends,
            held: session.held,
            seat: session.seat,
            began: epoch.unix(session.began),
            streams: session.streams.iter().map(|one| one.as_deref().and_then(stream)).collect(),
        }
    }

    /// Calls of before a restart are relayed again. `lent` are ports of this worker that calls at home elsewhere have: they
    /// are given last. How many are not relayed, as somebody has their ports.
    pub fn restore(
        &mut self,
        (now, epoch): (Instant, &Epoch),
        calls: Vec<(Number, Kept)>,
        lent: &FxHashSet<u16>,
        hands: &mut dyn Hands,
    ) -> usize {
        let all = calls.len();
        for (number, kept) in calls {
            // What is not relayed again is to be forgotten.
            if self.restore_one((now, epoch), number, kept, hands).is_none() {
                self.changes.insert(number);
            }
        }
        let taken = self.sessions.values().flat_map(Session::ports).collect();
        self.ports.set_aside(&taken, lent);
        all - self.sessions.len()
    }

    fn restore_one(
        &mut self,
        (now, epoch): (Instant, &Epoch),
        number: Number,
        kept: Kept,
        hands: &mut dyn Hands,
    ) -> Option<()> {
        let streams = bind_all(&kept.streams, hands)?;
        for (facings, kept) in streams.iter().zip(&kept.streams) {
            if let (Some(facings), Some(kept)) = (facings.as_deref(), kept) {
                self.join_again(number, (now, epoch), facings, kept);
            }
        }
        let session = Session {
            call: kept.call.clone(),
            branch: None,
            is_restored: true,
            tags: kept.tags,
            ends: kept.ends,
            streams,
            is_taken: true,
            is_kept: true,
            held: kept.held,
            // Where its account may have fewer calls now, this one is nobody's.
            seat: kept.seat.filter(|seat| hands.take_seat(*seat)),
            began: epoch.instant(kept.began).min(now),
            touched: now,
        };
        self.timers.set(number, now + session.patience(&self.config));
        self.sessions.insert(number, session);
        self.calls.entry(kept.call).or_default().push(number);
        self.counts.calls += 1;
        self.kept += 1;
        Some(())
    }

    /// Its ways, with whoever was found at them.
    fn join_again(
        &mut self,
        number: Number,
        at: (Instant, &Epoch),
        facings: &[Facing; 2],
        kept: &[KeptFacing; 2],
    ) {
        let [one, other] = facings;
        let sources = [kept[0].rtp.source, kept[1].rtp.source];
        self.join(number, (one.rtp, one, sources[0]), (other.rtp, other, sources[1]));
        if let (Some(first), Some(second)) = (one.rtcp, other.rtcp) {
            self.join(number, (first, one, sources[0]), (second, other, sources[1]));
        }
        for (facing, kept) in facings.iter().zip(kept) {
            let known = [Some((facing.rtp, &kept.rtp)), facing.rtcp.zip(kept.rtcp.as_ref())];
            for (socket, known) in known.into_iter().flatten() {
                if let Some(way) = self.ways.get_mut(&socket) {
                    way.latch = Latch::again(known, facing.local, at);
                }
                aim(&mut self.ways, &self.config.guard, socket);
            }
        }
    }
}

/// All ports of a call, or none.
fn bind_all(kept: &[Option<[KeptFacing; 2]>], hands: &mut dyn Hands) -> Option<Vec<Stream>> {
    let mut streams: Vec<Stream> = Vec::with_capacity(kept.len());
    for facings in kept {
        let bound = facings.as_ref().map(|facings| bind_again(facings, hands));
        if matches!(bound, Some(None)) {
            let bound = streams.iter().flatten().flat_map(|facings| facings.iter());
            bound.flat_map(Facing::sockets).for_each(|socket| hands.close(socket));
            return None;
        }
        streams.push(bound.flatten());
    }
    Some(streams)
}

/// Both pairs of a medium, or none.
fn bind_again(kept: &[KeptFacing; 2], hands: &mut dyn Hands) -> Option<Box<[Facing; 2]>> {
    let mut bound = |kept: &KeptFacing| {
        let (rtp, rtcp) = bind(kept.local, kept.rtcp.is_some(), hands).ok()?;
        Some(Facing { local: kept.local, public: kept.public, rtp, rtcp })
    };
    let one = bound(&kept[0])?;
    let Some(other) = bound(&kept[1]) else {
        one.sockets().for_each(|socket| hands.close(socket));
        return None;
    };
    Some(Box::new([one, other]))
}
