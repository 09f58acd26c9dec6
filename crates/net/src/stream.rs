//! One stream connection: its socket, its TLS session if any, what waits in either direction; and a worker's table of them.

use crate::admission::Pass;
use crate::listen::Row;
use crate::sys::{Interest, streams};
use crate::tls::{Facts, Session};
use crate::web::{self, Prospects};
use crate::{ConnectionInfo, Tag};
use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use wire::{ConnectionId, SocketId, Transport, WorkerId};

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The kernel connects it.
    Connecting,
    /// A proxy is to say whom it is from; the handler has not seen it yet.
    Announcing,
    /// TLS begins; the handler has not seen it yet.
    Handshaking,
    /// Whose it is, or whether it is to be a WebSocket, is not known, or its request is not whole yet; the handler has not
    /// seen it.
    Asking,
    /// Bytes go both ways.
    Open,
    /// TLS begins in mid-stream.
    Securing,
    /// The handler is done with it; what is left goes out.
    Closing,
    /// To be removed.
    Gone,
}

/// A stream. It moves between workers as it is.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    pub(crate) tag: Tag,
    /// The listener (its spec) that accepted it; none if we connected.
    pub(crate) spec: Option<u16>,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) phase: Phase,
    /// Taken out while it lends its plaintext to the handler.
    pub(crate) session: Option<Box<Session>>,
    /// Whether what is written and read goes inside TLS.
    pub(crate) sealing: bool,
    pub(crate) facts: Option<Box<Facts>>,
    /// The name of ours that the client has meant before TLS began.
    pub(crate) meant: Option<Arc<str>>,
    /// What it is if it does not begin as TLS does; it has not begun yet.
    pub(crate) or_plain: Option<Row>,
    /// What may come of it, while that is not known.
    pub(crate) prospects: Prospects,
    /// Where a proxy passes it on.
    pub(crate) proxied: Option<Box<Proxied>>,
    /// Once it is a WebSocket.
    pub(crate) web: Option<Box<web::Session>>,
    /// Written, to be sealed when the handshake is done and the handler has returned.
    pub(crate) plain: Vec<u8>,
    /// Where in `plain` a new TLS record is to begin.
    pub(crate) cuts: Vec<usize>,
    /// To go out as it is: the kernel had no room.
    pub(crate) out: Vec<u8>,
    /// Offered to the handler, not taken.
    pub(crate) unread: Vec<u8>,
    /// Received, not opened yet: the handler paused or moved the stream meanwhile.
    pub(crate) sealed: Vec<u8>,
    /// Counts it against the limits, if it was accepted.
    pub(crate) pass: Option<Pass>,
    pub(crate) interest: Interest,
    pub(crate) paused: bool,
    pub(crate) leaving: bool,
    /// No plaintext has come yet, and the time for it runs.
    pub(crate) fresh: bool,
    /// The socket of this worker alone that accepted it.
    pub(crate) listener: Option<SocketId>,
    /// The peer's end of its half leaves ours open.
    pub(crate) keeps_half: bool,
    /// Our half is to end behind what waits.
    pub(crate) finishing: bool,
    /// The handler waits until no more octets than these wait.
    pub(crate) awaited: Option<usize>,
    /// Not in the event queue.
    pub(crate) parked: bool,
    pub(crate) dirty: bool,
    /// The peer has closed its side.
    pub(crate) ended: bool,
    /// We have closed our side.
    pub(crate) finished: bool,
}

/// What is known of a stream that a proxy passes on.
#[derive(Debug)]
pub(crate) struct Proxied {
    /// The proxy's address.
    pub(crate) by: SocketAddr,
    /// How it goes on once the proxy has said whom it is from.
    pub(crate) then: Ways,
}

/// What a stream may be by its first octet: plain, or TLS; at least one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways {
    pub(crate) plain: Option<Row>,
    pub(crate) tls: Option<Row>,
}

impl Ways {
    /// The one that it is taken for until it begins.
    pub(crate) fn first(self) -> Option<Row> {
        self.tls.or(self.plain)
    }
}

impl Stream {
    /// Takes it for what it is to be from its own first octet on.
    pub(crate) fn set_out(&mut self, ways: Ways) {
        let Some(row) = ways.first() else { return };
        (self.tag, self.spec, self.prospects) = (row.tag, Some(row.spec), row.prospects);
        self.fresh = ways.tls.is_none();
        self.sealing = ways.tls.is_some();
        self.or_plain = ways.plain.filter(|_| self.sealing);
        self.phase = match (self.sealing, row.prospects.are_open()) {
            (true, _) => Phase::Handshaking,
            (false, true) => Phase::Asking,
            (false, false) => Phase::Open,
        };
    }

    pub(crate) fn new(
        socket: TcpStream,
        tag: Tag,
        spec: Option<u16>,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Self {
        Self {
            socket,
            tag,
            spec,
            local,
            peer,
            phase: Phase::Open,
            session: None,
            sealing: false,
            facts: None,
            meant: None,
            or_plain: None,
            prospects: Prospects::default(),
            proxied: None,
            web: None,
            plain: Vec::new(),
            cuts: Vec::new(),
            out: Vec::new(),
            unread: Vec::new(),
            sealed: Vec::new(),
            pass: None,
            interest: Interest::default(),
            paused: false,
            leaving: false,
            fresh: false,
            listener: None,
            keeps_half: false,
            finishing: false,
            awaited: None,
            parked: false,
            dirty: false,
            ended: false,
            finished: false,
        }
    }

    /// What the handler is told of it.
    pub(crate) fn info(&self) -> ConnectionInfo {
        let facts = self.facts.as_deref();
        ConnectionInfo {
            tag: self.tag,
            outgoing: self.spec.is_none() && self.listener.is_none(),
            listener: self.listener,
            transport: match (facts.is_some(), self.web.is_some()) {
                (false, false) => Transport::Tcp,
                (true, false) => Transport::Tls,
                (false, true) => Transport::Ws,
                (true, true) => Transport::Wss,
            },
            local: self.local,
            peer: self.peer,
            proxy: self.proxied.as_ref().map(|proxied| proxied.by),
            sni: facts.and_then(|f| f.sni.clone()),
            alpn: facts.and_then(|f| f.alpn.clone()),
            tls: facts.map(|f| f.tls),
            web: self.web.as_ref().map(|web| web.facts.clone()),
            chain: facts.and_then(|f| f.chain.clone()),
        }
    }

    /// Whether bytes of the peer may be looked at now.
    pub(crate) fn may_read(&self) -> bool {
        match self.phase {
            Phase::Announcing | Phase::Handshaking | Phase::Asking | Phase::Securing => true,
            Phase::Open => !self.paused && !self.leaving,
            Phase::Connecting | Phase::Closing | Phase::Gone => false,
        }
    }

    /// Whether the handler may still write.
    pub(crate) fn may_write(&self) -> bool {
        !self.leaving && !self.finishing && !matches!(self.phase, Phase::Closing | Phase::Gone)
    }

    /// Where what is to be sent waits, inside TLS or not.
    pub(crate) fn queue(&mut self, spare: &mut Spare) -> &mut Vec<u8> {
        let queue = if self.sealing { &mut self.plain } else { &mut self.out };
        spare.lend(queue);
        queue
    }

    /// Octets written that the kernel has not taken.
    pub(crate) fn queued(&self) -> usize {
        self.plain.len() + self.out.len()
    }

    /// Has what is written from here on begin a new TLS record.
    pub(crate) fn cut(&mut self) {
        let end = self.plain.len();
        if end > self.cuts.last().copied().unwrap_or(0) {
            self.cuts.push(end);
        }
    }

    /// What the event queue should watch it for.
    pub(crate) fn wants(&self) -> Interest {
        let connecting = self.phase == Phase::Connecting;
        let drains = self.phase == Phase::Closing && !self.ended;
        Interest {
            read: (self.may_read() && !self.ended) || drains,
            write: connecting || !self.out.is_empty(),
        }
    }

    /// Seals what can be sealed and sends what the kernel takes; how many octets it took. What it does not take
    /// stays in `out`.
    pub(crate) fn flush(&mut self, spare: &mut Spare) -> io::Result<usize> {
        let mut spill =
            Spill { socket: &self.socket, out: &mut self.out, taken: 0, error: None, blocked: false };
        spill.retry();
        if let Some(session) = self.session.as_deref_mut() {
            if !session.is_handshaking() && !self.plain.is_empty() {
                let mut from = 0;
                for end in self.cuts.drain(..).chain([self.plain.len()]) {
                    session.seal(&self.plain[from..end]);
                    from = end;
                }
                spare.put(&mut self.plain);
            }
            if (self.phase == Phase::Closing || self.finishing) && !session.is_handshaking() {
                session.seal_close();
            }
            session.drain(&mut spill);
        }
        let Spill { taken, error, .. } = spill;
        if self.out.is_empty() {
            spare.put(&mut self.out);
        }
        error.map_or(Ok(taken), Err)
    }
}

/// Writes to the socket as long as it takes, then keeps the rest.
struct Spill<'a> {
    socket: &'a TcpStream,
    out: &'a mut Vec<u8>,
    taken: usize,
    error: Option<io::Error>,
    blocked: bool,
}

impl Spill<'_> {
    /// Sends what was kept earlier.
    fn retry(&mut self) {
        while !self.out.is_empty() && !self.blocked && self.error.is_none() {
            match self.attempt(streams::send) {
                Some(sent) => drop(self.out.drain(..sent)),
                None => return,
            }
        }
    }

    fn attempt(&mut self, write: impl FnOnce(&TcpStream, &[u8]) -> io::Result<usize>) -> Option<usize> {
        match write(self.socket, self.out) {
            Ok(sent) => {
                self.taken += sent;
                return Some(sent);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Some(0),
            Err(error) => self.error = Some(error),
        }
        None
    }
}

impl Write for Spill<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.out.is_empty() && !self.blocked && self.error.is_none() {
            let sent = match parts {
                [only] => self.attempt(|socket, _| streams::send(socket, only)),
                _ => self.attempt(|mut socket, _| socket.write_vectored(parts)),
            };
            if let Some(sent) = sent.filter(|&sent| sent > 0) {
                return Ok(sent);
            }
        }
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Buffers that streams have emptied, kept for others: an idle stream holds none.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    buffers: Vec<Vec<u8>>,
    octets: usize,
}

impl Spare {
    /// The largest that is kept, and how much room all have together: what one message for many takes on its way out.
    const LARGEST: usize = 64 << 10;
    const OCTETS: usize = 4 << 20;

    /// Takes an empty buffer out of the store if `buffer` has no room of its own.
    pub(crate) fn lend(&mut self, buffer: &mut Vec<u8>) {
        if buffer.capacity() == 0
            && let Some(spare) = self.buffers.pop()
        {
            self.octets -= spare.capacity();
            *buffer = spare;
        }
    }

    /// Empties `buffer` and keeps its room for others.
    pub(crate) fn put(&mut self, buffer: &mut Vec<u8>) {
        let mut buffer = std::mem::take(buffer);
        let room = buffer.capacity();
        if (1..=Self::LARGEST).contains(&room) && self.octets + room <= Self::OCTETS {
            buffer.clear();
            self.octets += room;
            self.buffers.push(buffer);
        }
    }
}

/// A worker's streams by slot and generation.
#[derive(Debug)]
pub(crate) struct Streams {
    me: WorkerId,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    stream: Option<Box<Stream>>,
}

impl Streams {
    pub(crate) fn new(me: WorkerId) -> Self {
        Self { me, slots: Vec::new(), free: Vec::new(), open: 0 }
    }

    pub(crate) fn insert(&mut self, stream: Box<Stream>) -> ConnectionId {
        let id = self.unused();
        self.free.pop();
        self.slots[id.slot as usize].stream = Some(stream);
        self.open += 1;
        id
    }

    /// An id that no stream has or ever had: for one that failed before it was.
    pub(crate) fn unused(&mut self) -> ConnectionId {
        let slot = self.free.last().copied().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, stream: None });
            self.free.push(self.slots.len() as u32 - 1);
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        ConnectionId { worker: self.me, slot, generation: place.generation }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Box<Stream>> {
        self.get(id)?;
        self.free.push(id.slot);
        self.open -= 1;
        self.slots[id.slot as usize].stream.take()
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Stream> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.stream.as_deref().filter(|_| slot.generation == id.generation && id.worker == self.me)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Stream> {
        let me = self.me;
        let slot = self.slots.get_mut(id.slot as usize)?;
        let same = slot.generation == id.generation && id.worker == me;
        slot.stream.as_deref_mut().filter(|_| same)
    }

    /// The id of the stream that is in this slot now.
    pub(crate) fn id_at(&self, slot: u32) -> Option<ConnectionId> {
        let place = self.slots.get(slot as usize)?;
        place.stream.as_ref()?;
        Some(ConnectionId { worker: self.me, slot, generation: place.generation })
    }

    /// How many there are, those that are closing too.
    pub(crate) fn len(&self) -> usize {
        self.open
    }

    /// All ids.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        (0..self.slots.len() as u32).filter_map(|slot| self.id_at(slot)).collect()
    }
}
