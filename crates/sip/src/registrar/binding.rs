//! One binding, kept small: its texts share one allocation. Its row is how it survives a restart.

use super::{Change, Contact, Origin, Stamp};
use crate::message::Params;
use crate::transport::inside::Depth;
use crate::transport::{Arrival, Listeners, token};
use std::time::{Duration, Instant};
use wire::{ConnectionId, Epoch, Flow, Transport};

/// One contact of an address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Contact URI, contact parameters, Path, Call-ID, one after another, and the way its REGISTER came by as
    /// [`token`] writes it; nothing of that where the contact is reached at its URI, or it was a connection of an earlier
    /// run.
    text: Box<[u8]>,
    /// Where the first four end.
    ends: [u16; 4],
    /// The CSeq number of the REGISTER that made or refreshed it.
    pub cseq: u32,
    /// Preference in thousandths.
    pub q: u16,
    /// How far inside whoever registered it is.
    depth: Depth,
    /// Where its row stands on the disk among those of its address: each has a place of its own, without a gap.
    pub(super) place: u8,
    /// Since when its phone has been registered without a break under this Call-ID, in microseconds since 1970: temporary URIs
    /// that are older are not its own any more (RFC 5627).
    since: u64,
    /// When it ends.
    pub expires: Instant,
}

/// A binding as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands among the rows of its address.
    pub place: u16,
    /// When it ends, as time since 1970-01-01 00:00 UTC.
    pub expires: Duration,
    /// All else, in a form that only this crate reads.
    pub data: Vec<u8>,
}

impl Row {
    /// What was registered or refreshed later comes later.
    pub fn order(&self) -> Stamp {
        let order = || self.data.get(ROW_ORDER)?.try_into().ok().map(Stamp::from_be_bytes);
        if self.data.first() == Some(&VERSION) { order().unwrap_or(0) } else { 0 }
    }
}

/// What [`Row::data`] begins with.
const VERSION: u8 = 3;

/// The same of rows that stood in the order in which they had been refreshed.
const VERSION_2: u8 = 2;

/// The same of rows that do not say since when their phones have been registered.
const VERSION_1: u8 = 1;

/// How many octets stand before the texts of a row.
const ROW_HEAD: usize = 33;

/// Those of them that say when it was written.
const ROW_ORDER: std::ops::Range<usize> = 25..ROW_HEAD;

/// Where the depth begins in what has the preference below it.
const DEPTH: u32 = 14;

impl Binding {
    /// A binding of a phone that has been registered since then, or, where that is not said, begins to be.
    pub(super) fn new(change: &Change<'_>, origin: &Origin<'_>, since: Option<u64>, now: Instant) -> Self {
        let parts = [change.uri, change.params, origin.path, origin.call_id];
        let (text, ends) = join(parts, change.by_flow.then_some(&origin.arrival));
        let depth = Depth::of(origin.arrival.peer.ip());
        let since = since.unwrap_or(origin.stamp);
        let expires = now + change.expires;
        Self { text, ends, cseq: origin.cseq, q: change.q, depth, place: 0, since, expires }
    }

    /// How long its texts are.
    pub(super) fn octets(&self) -> usize {
        self.text.len()
    }

    /// The contact URI.
    pub fn uri(&self) -> &[u8] {
        &self.text[..usize::from(self.ends[0])]
    }

    /// The contact's parameters but for `q` and `expires`, each with its semicolon.
    pub fn params(&self) -> &[u8] {
        &self.text[usize::from(self.ends[0])..usize::from(self.ends[1])]
    }

    /// The Path values, comma-separated; empty where there are none.
    pub fn path(&self) -> &[u8] {
        &self.text[usize::from(self.ends[1])..usize::from(self.ends[2])]
    }

    /// The Call-ID of the REGISTER.
    pub fn call_id(&self) -> &[u8] {
        &self.text[usize::from(self.ends[2])..usize::from(self.ends[3])]
    }

    /// The way its REGISTER came by, where that is the way to it.
    pub fn arrival(&self) -> Option<Arrival> {
        token::read_arrival(&self.text[usize::from(self.ends[3])..])
    }

    /// `+sip.instance` and `reg-id`, where both are there (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<(&[u8], &[u8])> {
        instance(self.params())
    }

    /// `+sip.instance`, as written.
    pub fn phone(&self) -> Option<&[u8]> {
        Params(self.params()).get("+sip.instance")
    }

    /// Since when its phone has been registered without a break under this Call-ID.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// What the proxy needs to know.
    pub fn contact(&self) -> Contact {
        // Header fields in a contact's URI have no place in a Request-URI (RFC 3261 §19.1.1, §16.6 step 2).
        let uri = self.uri().split(|&b| b == b'?').next().unwrap_or_default();
        Contact {
            uri: uri.into(),
            path: self.path().into(),
            arrival: self.arrival(),
            depth: self.depth,
            q: self.q,
            instance: self.phone().map(Into::into),
            since: self.since,
            outbound: self.instance().is_some(),
        }
    }

    /// The connection without which it is nothing: its phone's flow (RFC 5626), or a WebSocket.
    pub fn stream(&self) -> Option<ConnectionId> {
        if !self.path().is_empty() {
            return None;
        }
        let arrival = self.arrival()?;
        match arrival.flow {
            Flow::Stream(conn) if self.instance().is_some() || arrival.transport.is_web() => Some(conn),
            _ => None,
        }
    }

    /// Whether this request made it, or refreshed it.
    pub(crate) fn is_of(&self, (call_id, cseq): (&[u8], u32)) -> bool {
        self.cseq == cseq && self.call_id() == call_id
    }

    /// The binding as it is kept on disk. `order`: that of a row that is to come later is higher.
    pub fn row(&self, epoch: &Epoch, order: Stamp) -> Row {
        let mut data = Vec::with_capacity(ROW_HEAD + self.text.len());
        data.push(VERSION);
        data.extend_from_slice(&self.cseq.to_be_bytes());
        data.extend_from_slice(&(self.depth.bits() << DEPTH | self.q).to_be_bytes());
        for end in &self.ends[..3] {
            data.extend_from_slice(&end.to_be_bytes());
        }
        data.extend_from_slice(&u32::from(self.ends[3]).to_be_bytes());
        data.extend_from_slice(&self.since.to_be_bytes());
        data.extend_from_slice(&order.to_be_bytes());
        data.extend_from_slice(&self.text);
        Row { place: self.place.into(), expires: epoch.unix(self.expires), data }
    }

    /// Reads a row back; `None` where it is none of ours. Connections of an earlier run are gone, datagrams
    /// leave by the listener that now has the address.
    pub fn from_row(row: &Row, epoch: &Epoch, listeners: &Listeners) -> Option<Self> {
        let (head, rest) = row.data.split_first_chunk::<17>()?;
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let length = u32::from_be_bytes(head[13..].try_into().expect("four bytes"));
        let ends = [number(7), number(9), number(11), u16::try_from(length).ok()?];
        let (since, order, rest) = match head[0] {
            VERSION => (rest.get(..8)?, 8, rest.get(8..)?),
            VERSION_2 => (rest.get(..8)?, 0, rest.get(8..)?),
            VERSION_1 => (&[0; 8][..], 0, rest),
            _ => return None,
        };
        let (since, rest) = (u64::from_be_bytes(since.try_into().expect("eight octets")), rest.get(order..)?);
        let (text, arrival) = rest.split_at_checked(usize::from(ends[3]))?;
        if !ends.is_sorted() {
            return None;
        }
        let arrival = token::read_arrival(arrival);
        if arrival.is_some_and(|arrival| arrival.transport.is_web()) {
            // Nobody but its browser opens it again, and that registers anew.
            return None;
        }
        let arrival = arrival.and_then(|arrival| renewed(arrival, listeners));
        Some(Self {
            text: with_arrival(text.to_vec(), arrival.as_ref()),
            ends,
            cseq: u32::from_be_bytes(head[1..5].try_into().expect("four bytes")),
            q: number(5) & ((1 << DEPTH) - 1),
            depth: Depth::of_bits(number(5) >> DEPTH),
            place: 0,
            since,
            expires: epoch.instant(row.expires),
        })
    }
}

/// A moment in microseconds since 1970.
pub(super) fn micros(unix: Duration) -> u64 {
    u64::try_from(unix.as_micros()).unwrap_or(u64::MAX)
}

fn renewed(arrival: Arrival, listeners: &Listeners) -> Option<Arrival> {
    let Flow::Datagram { local, peer, .. } = arrival.flow else { return None };
    let listener = listeners.by_local(Transport::Udp, arrival.local)?;
    if listener.bound.port() != arrival.local.port() {
        return None;
    }
    Some(Arrival { flow: Flow::Datagram { socket: listener.socket?, local, peer }, ..arrival })
}

/// Joins four texts; all come from one message's header fields, which fit 16 bits together.
fn join(parts: [&[u8]; 4], arrival: Option<&Arrival>) -> (Box<[u8]>, [u16; 4]) {
    let mut ends = [0; 4];
    let mut sum = 0;
    for (end, part) in ends.iter_mut().zip(parts) {
        sum += part.len();
        *end = u16::try_from(sum).unwrap_or(u16::MAX);
    }
    (with_arrival(parts.concat(), arrival), ends)
}

fn with_arrival(mut text: Vec<u8>, arrival: Option<&Arrival>) -> Box<[u8]> {
    if let Some(arrival) = arrival {
        token::write_arrival(&mut text, arrival);
    }
    text.into()
}

pub(super) fn instance(params: &[u8]) -> Option<(&[u8], &[u8])> {
    let params = Params(params);
    Some((params.get("+sip.instance")?, params.get("reg-id")?))
}
