//! A worker's DTLS sessions: by the id that handlers know, and by the way their datagrams come.

use super::{LARGEST_MESSAGE, Pipe, Session};
use crate::admission::Pass;
use crate::listen::Row;
use crate::tls::Facts;
use crate::{ConnectionInfo, Tag};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use wire::{ConnectionId, SocketId, Transport, WorkerId};

/// Slots from here on are those of sessions, below are those of streams.
const FIRST: u32 = 1 << 31;
/// How many sessions keep buffers for records (some 34 KiB each): those that were at work last.
const BUFFERED: usize = 64;

/// Whether this is the id of a session.
pub(crate) fn is_dtls(id: ConnectionId) -> bool {
    id.slot >= FIRST
}

/// The way by which a session's datagrams come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) socket: SocketId,
    pub(crate) local: IpAddr,
    pub(crate) peer: SocketAddr,
}

/// Where DTLS comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrance {
    /// What is offered, and the mark of the sessions.
    pub(crate) row: Row,
    /// Nothing else comes in by this socket.
    pub(crate) alone: bool,
    /// Only for the sessions that there are.
    pub(crate) closed: bool,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The handler has not seen it yet.
    Handshaking,
    /// Messages go both ways. `fresh`: none has come yet.
    Open { fresh: bool },
    /// To be removed once the handler has been told.
    Gone,
}

/// One session, and whose it is.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) session: Session,
    pub(crate) stage: Stage,
    pub(crate) path: Path,
    /// Our end with its port.
    pub(crate) local: SocketAddr,
    pub(crate) tag: Tag,
    /// What its client's hello began with: a new one tells that the client has begun anew.
    pub(crate) random: [u8; 32],
    pub(crate) facts: Option<Box<Facts>>,
    /// Counts it as a connection.
    pub(crate) _pass: Pass,
    /// Counts it as half-open.
    pub(crate) half: Option<Pass>,
    /// When the stage began.
    pub(crate) since: Instant,
    /// When something came last.
    pub(crate) heard: Instant,
    warm: bool,
}

impl Peer {
    pub(crate) fn info(&self) -> ConnectionInfo {
        let facts = self.facts.as_deref();
        ConnectionInfo {
            tag: self.tag,
            outgoing: false,
            listener: None,
            transport: Transport::Dtls,
            web: None,
            local: self.local,
            proxy: None,
            peer: self.path.peer,
            sni: facts.and_then(|f| f.sni.clone()),
            alpn: facts.and_then(|f| f.alpn.clone()),
            tls: facts.map(|f| f.tls),
            chain: None,
        }
    }
}

/// What a new session is made of.
pub(crate) struct Newcomer {
    pub(crate) session: Session,
    pub(crate) path: Path,
    pub(crate) local: SocketAddr,
    pub(crate) tag: Tag,
    pub(crate) random: [u8; 32],
    pub(crate) passes: (Pass, Pass),
}

/// All sessions of a worker.
#[derive(Debug)]
pub(crate) struct Sessions {
    me: WorkerId,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    /// Its keys have shown that they receive what is sent to them; the map is keyed at random all the same.
    ways: HashMap<Path, u32>,
    /// Where DTLS comes in, by the numbers of listening sockets.
    entrances: Vec<Option<Entrance>>,
    /// Those that have buffers, in a ring.
    warm: Vec<ConnectionId>,
    next_warm: usize,
    pub(crate) pipe: Pipe,
    /// Where a message is opened.
    pub(crate) room: Box<[u8]>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    peer: Option<Box<Peer>>,
}

impl Sessions {
    pub(crate) fn new(me: WorkerId) -> Self {
        Self {
            me,
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            ways: HashMap::new(),
            entrances: Vec::new(),
            warm: Vec::new(),
            next_warm: 0,
            pipe: Pipe::default(),
            room: Box::default(),
        }
    }

    /// Whether DTLS comes in by a listening socket from now on, and how.
    pub(crate) fn enter_by(&mut self, socket: SocketId, entrance: Option<Entrance>) {
        let index = socket.0 as usize;
        self.entrances.resize(self.entrances.len().max(index + 1), None);
        self.entrances[index] = entrance;
    }

    /// Whether DTLS comes in by a socket.
    pub(crate) fn entrance(&self, socket: SocketId) -> Option<Entrance> {
        self.entrances.get(socket.0 as usize).copied().flatten()
    }

    /// Takes in a session; it is found by its path from now on.
    pub(crate) fn insert(&mut self, now: Instant, newcomer: Newcomer) -> ConnectionId {
        let Newcomer { session, path, local, tag, random, passes } = newcomer;
        if self.room.is_empty() {
            self.room = vec![0; LARGEST_MESSAGE].into_boxed_slice();
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, peer: None });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let peer = Peer {
            session,
            stage: Stage::Handshaking,
            path,
            local,
            tag,
            random,
            facts: None,
            _pass: passes.0,
            half: Some(passes.1),
            since: now,
            heard: now,
            warm: false,
        };
        slot.peer = Some(Box::new(peer));
        let id = ConnectionId { worker: self.me, slot: FIRST + index, generation: slot.generation };
        self.ways.insert(path, id.slot);
        self.open += 1;
        id
    }

    /// The session whose datagrams come by this path.
    pub(crate) fn by_path(&self, path: &Path) -> Option<ConnectionId> {
        self.id_at(*self.ways.get(path)?)
    }

    /// The id of the session that is in this slot now.
    pub(crate) fn id_at(&self, slot: u32) -> Option<ConnectionId> {
        let place = self.slots.get(slot.checked_sub(FIRST)? as usize)?;
        place.peer.as_ref()?;
        Some(ConnectionId { worker: self.me, slot, generation: place.generation })
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Peer> {
        let slot = self.slots.get(id.slot.checked_sub(FIRST)? as usize)?;
        slot.peer.as_deref().filter(|_| slot.generation == id.generation && id.worker == self.me)
    }

    /// The session, and the pipe and the room that are lent to it while it works.
    pub(crate) fn at_work(&mut self, id: ConnectionId) -> Option<(&mut Peer, &mut Pipe, &mut [u8])> {
        self.get(id)?;
        self.warm_up(id);
        let peer = self.slots[(id.slot - FIRST) as usize].peer.as_deref_mut()?;
        Some((peer, &mut self.pipe, &mut self.room))
    }

    fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Peer> {
        self.get(id)?;
        self.slots[(id.slot - FIRST) as usize].peer.as_deref_mut()
    }

    /// Lets a session have buffers, at the expense of the one that has had its own for the longest time.
    fn warm_up(&mut self, id: ConnectionId) {
        if self.get_mut(id).is_none_or(|peer| std::mem::replace(&mut peer.warm, true)) {
            return;
        }
        if self.warm.len() < BUFFERED {
            self.warm.push(id);
            return;
        }
        let other = std::mem::replace(&mut self.warm[self.next_warm], id);
        self.next_warm = (self.next_warm + 1) % BUFFERED;
        if let Some(other) = self.get_mut(other) {
            other.warm = false;
            other.session.keep_buffers(false);
        }
    }

    /// Its path leads nowhere from now on.
    pub(crate) fn forget_path(&mut self, id: ConnectionId) {
        if let Some(path) = self.get(id).map(|peer| peer.path)
            && self.ways.get(&path) == Some(&id.slot)
        {
            self.ways.remove(&path);
        }
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_none() {
            return;
        }
        self.forget_path(id);
        let index = id.slot - FIRST;
        self.slots[index as usize].peer = None;
        self.free.push(index);
        self.open -= 1;
    }

    /// Whether any session lives on this socket.
    pub(crate) fn holds(&self, socket: SocketId) -> bool {
        self.ways.keys().any(|path| path.socket == socket)
    }

    pub(crate) fn len(&self) -> usize {
        self.open
    }

    /// All ids.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        (0..self.slots.len() as u32).filter_map(|index| self.id_at(FIRST + index)).collect()
    }
}
