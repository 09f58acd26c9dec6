//! Fast paths: channels of UDP clients (RFC 8656 §12) whose packets something below us may relay by itself (the kernel, by
//! XDP). The machine says which and until when, and takes back what was counted there. A path ends by itself at its time,
//! the earliest end of channel, permission and relay; sooner when anything about it changes. Clients on streams and DTLS,
//! indications, channels to our own relays (which may have another address outside), and everything about which there is any doubt stay with [`Server::from_client`] and [`Server::from_peer`].

use crate::allocation::{Allocation, Slot};
use crate::{End, Output, Relaying, Server, Session, SessionId, Traffic};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use stun::attribute::ChannelNumber;
use wire::{Flow, SocketId, Transport};

/// Names a path; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub u64);

/// A channel, with the four ends of what it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The listener that the client writes to.
    pub socket: SocketId,
    /// The address of ours that it writes to.
    pub local: IpAddr,
    /// The client.
    pub client: SocketAddr,
    /// The number in front of what it sends and gets.
    pub number: ChannelNumber,
    /// What the relay is bound to.
    pub relay: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
}

/// What is to happen to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// It begins. Where there is no room for it, say so by [`Carried::last`].
    Open {
        /// Its name.
        id: PathId,
        /// What it joins.
        path: Path,
        /// When it ends.
        until: Instant,
    },
    /// Its end has moved.
    Extend {
        /// Which.
        id: PathId,
        /// When it ends now.
        until: Instant,
    },
    /// It ends at once; [`Carried::last`] is the answer.
    Close(PathId),
}

/// What a path has carried since it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Which.
    pub id: PathId,
    /// Packets and octets beside those that came through us.
    pub traffic: Traffic,
    /// Whether the path is no more.
    pub last: bool,
}

/// A path that was told of.
#[derive(Debug)]
pub(crate) struct Offered {
    id: PathId,
    path: Path,
    until: Instant,
}

impl Offered {
    /// Its name.
    pub(crate) fn id(&self) -> PathId {
        self.id
    }
}

/// The paths whose last word is still to come.
#[derive(Debug, Default)]
pub(crate) struct Offloads {
    count: u64,
    owners: FxHashMap<PathId, SessionId>,
    sessions: FxHashMap<SessionId, Owner>,
}

#[derive(Debug)]
struct Owner {
    slot: Slot,
    /// How many of its paths are not over.
    paths: usize,
    /// It has ended, and is told of when the last of its paths has been counted.
    ended: Option<Box<(Session, End)>>,
}

impl Offloads {
    fn add(&mut self, slot: Slot, session: SessionId) -> PathId {
        self.count += 1;
        let id = PathId(self.count);
        self.owners.insert(id, session);
        let owner = self.sessions.entry(session).or_insert(Owner { slot, paths: 0, ended: None });
        // It may have been elsewhere meanwhile.
        (owner.slot, owner.paths) = (slot, owner.paths + 1);
        id
    }
}

impl Allocation {
    /// The paths that its channels allow at `now`, each with its end.
    fn paths(&self, now: Instant) -> Vec<(Path, Instant)> {
        let Flow::Datagram { socket, local, peer: client } = self.client.flow else { return Vec::new() };
        if self.client.transport != Transport::Udp || self.relaying != Relaying::Udp {
            return Vec::new();
        }
        let path = |(number, peer, until): (ChannelNumber, SocketAddr, Instant)| {
            let relay = self.towards(now, peer)?;
            let path = Path { socket, local, client, number, relay: relay.local, peer };
            Some((path, until.min(relay.expires)))
        };
        self.channels.outward(now).filter_map(path).collect()
    }
}

impl Server {
    /// Compares what a client's channels allow with what was told, and tells the difference.
    pub(crate) fn offload_of(&mut self, now: Instant, flow: Flow) {
        if let Some(slot) = self.allocations.find(flow) {
            self.offload(now, slot);
        }
    }

    /// The same for every client.
    pub(crate) fn offload_all(&mut self, now: Instant) {
        for slot in self.allocations.places() {
            self.offload(now, slot);
        }
    }

    /// The same for one place.
    pub(crate) fn offload(&mut self, now: Instant, slot: Slot) {
        let is_on = self.config.offload;
        let Some(allocation) = self.allocations.get(slot) else { return };
        if !is_on && allocation.offered.is_empty() {
            return;
        }
        let wanted = if is_on { allocation.paths(now) } else { Vec::new() };
        let session = allocation.id;
        let mut old = std::mem::take(&mut allocation.offered);
        let mut offered = FxHashMap::default();
        for (path, until) in wanted {
            let kept = old.remove_entry(&path.number).and_then(|(_, old)| self.keep(old, &path, until));
            let new = kept.unwrap_or_else(|| self.offer(slot, session, path, until));
            offered.insert(path.number, new);
        }
        old.into_values().for_each(|old| self.output(Output::Offload(Offload::Close(old.id))));
        if let Some(allocation) = self.allocations.get(slot) {
            allocation.offered = offered;
        }
    }

    /// Extends a path if need be, or closes it where its channel leads elsewhere now.
    fn keep(&mut self, mut old: Offered, path: &Path, until: Instant) -> Option<Offered> {
        if old.path != *path {
            self.output(Output::Offload(Offload::Close(old.id)));
            return None;
        }
        if until != old.until {
            old.until = until;
            self.output(Output::Offload(Offload::Extend { id: old.id, until }));
        }
        Some(old)
    }

    fn offer(&mut self, slot: Slot, session: SessionId, path: Path, until: Instant) -> Offered {
        let id = self.offloads.add(slot, session);
        self.output(Output::Offload(Offload::Open { id, path, until }));
        Offered { id, path, until }
    }

    /// Tells of an allocation's end: at once, or when what its paths carried is known.
    pub(crate) fn tell_ended(&mut self, allocation: &Allocation, end: End) {
        for offered in allocation.offered.values() {
            self.output(Output::Offload(Offload::Close(offered.id)));
        }
        let session = allocation.session();
        match self.offloads.sessions.get_mut(&allocation.id) {
            Some(owner) => owner.ended = Some(Box::new((session, end))),
            None => self.output(Output::Ended(session, end)),
        }
    }

    /// What a path has carried.
    pub(crate) fn carried(&mut self, carried: &Carried) {
        let Some(&session) = self.offloads.owners.get(&carried.id) else { return };
        let Some(owner) = self.offloads.sessions.get_mut(&session) else { return };
        let traffic = match &mut owner.ended {
            Some(ended) => {
                self.traffic.add(carried.traffic);
                Some(&mut ended.0.traffic)
            }
            None => {
                let here = self.allocations.get(owner.slot).filter(|one| one.id == session);
                let allocation = here.or_else(|| departing(&mut self.outputs, session));
                allocation.map(|allocation| &mut allocation.traffic)
            }
        };
        if let Some(traffic) = traffic {
            traffic.add(carried.traffic);
        }
        if carried.last {
            self.offloads.owners.remove(&carried.id);
            owner.paths -= 1;
            if owner.paths == 0 {
                let ended = self.offloads.sessions.remove(&session).and_then(|owner| owner.ended);
                if let Some((session, end)) = ended.map(|ended| *ended) {
                    self.output(Output::Ended(session, end));
                }
            }
        }
    }
}

/// An allocation that is about to go to another worker.
fn departing(outputs: &mut VecDeque<Output>, session: SessionId) -> Option<&mut Allocation> {
    outputs.iter_mut().find_map(|output| match output {
        Output::Depart(cargo) => Some(cargo.allocation_mut()).filter(|allocation| allocation.id == session),
        _ => None,
    })
}
