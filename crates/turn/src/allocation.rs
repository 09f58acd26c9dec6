//! Allocations (RFC 8656 §3.2): a client's relay or two, what they may do, how long they last; and the table of all of them.

use crate::channel::Channels;
use crate::exchange::Exchange;
use crate::mobility::Mobility;
use crate::offload::Offered;
use crate::pace::Pacing;
use crate::permission::Permissions;
use crate::{Client, Policy, Refusal, Seat};
use rustc_hash::FxHashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use stun::attribute::{ChannelNumber, Family, ReservationToken};
use stun::{Key, TransactionId};
use wire::{Address, Flow, SocketId, WorkerId};

/// What went through an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams from the client to peers.
    pub sent_packets: u64,
    /// Their payload, in octets.
    pub sent_bytes: u64,
    /// Datagrams from peers to the client.
    pub received_packets: u64,
    /// Their payload, in octets.
    pub received_bytes: u64,
    /// Datagrams of either way that were more than the bandwidth.
    pub dropped_packets: u64,
}

impl Traffic {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.sent_packets += other.sent_packets;
        self.sent_bytes += other.sent_bytes;
        self.received_packets += other.received_packets;
        self.received_bytes += other.received_bytes;
        self.dropped_packets += other.dropped_packets;
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            sent_packets: self.sent_packets.saturating_sub(earlier.sent_packets),
            sent_bytes: self.sent_bytes.saturating_sub(earlier.sent_bytes),
            received_packets: self.received_packets.saturating_sub(earlier.received_packets),
            received_bytes: self.received_bytes.saturating_sub(earlier.received_bytes),
            dropped_packets: self.dropped_packets.saturating_sub(earlier.dropped_packets),
        }
    }
}

/// Which allocation this is, for administrators and logs: never used twice while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    /// Who keeps it.
    pub worker: WorkerId,
    /// Counts this worker's allocations.
    pub number: u64,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.worker.0, self.number)
    }
}

/// What travels between a relay and its peers (REQUESTED-TRANSPORT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relaying {
    /// Datagrams.
    Udp,
    /// Streams (RFC 6062).
    Tcp,
}

impl fmt::Display for Relaying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// One relayed transport address of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its socket.
    pub socket: SocketId,
    /// What it is bound to.
    pub local: SocketAddr,
    /// Its address as the world sees it.
    pub relayed: SocketAddr,
    /// When it ends: the two of a dual allocation may be refreshed apart (RFC 8656 §8.2).
    pub expires: Instant,
}

impl Relay {
    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        Family::of_ip(self.relayed.ip())
    }
}

/// A family that was asked for as one of two, and why there is no relay of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which family.
    pub family: Family,
    /// Why.
    pub refusal: Refusal,
    /// Whether the client speaks of the second family as clients did before RFC 8656.
    pub is_old: bool,
}

/// The key that came in an access token, and how far it goes (RFC 7635 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSession {
    /// What every further message is signed with.
    pub key: Key,
    /// When the token ends, since 1970: the allocation does so too.
    pub until: Duration,
}

/// What one client has: a relay, or one of each family.
#[derive(Debug)]
pub struct Allocation {
    /// Which one it is.
    pub id: SessionId,
    /// Whose 5-tuple it is bound to.
    pub client: Client,
    /// Which account made it; only it may change it (441).
    pub user: Address,
    /// Its place among those that there may be.
    pub seat: Seat,
    /// What is relayed.
    pub relaying: Relaying,
    /// Its relay; of the two of a dual allocation the first that is left.
    pub relay: Relay,
    /// The other relay of a dual allocation.
    pub second: Option<Box<Relay>>,
    /// When it began.
    pub began: Instant,
    /// The Allocate that made it: the same again is a retransmission (RFC 8656 §7.2).
    pub transaction: TransactionId,
    /// The port reserved together with it.
    pub token: Option<ReservationToken>,
    /// One of two families that was asked for and is not to be had.
    pub missing: Option<Box<Missing>>,
    /// What its client signs with, where that came in an access token.
    pub session: Option<Box<TokenSession>>,
    /// Whom traffic flows with.
    pub permissions: Permissions,
    /// Channels bound.
    pub channels: Channels,
    /// What went through.
    pub traffic: Traffic,
    /// What it has spent of its bandwidth, where that is bounded.
    pub(crate) pacing: Option<Box<Pacing>>,
    /// The fast paths of its channels.
    pub(crate) offered: FxHashMap<ChannelNumber, Offered>,
    /// How it goes on by another 5-tuple, if it may.
    pub(crate) mobility: Option<Box<Mobility>>,
    /// How much of that is among the server's traffic already.
    pub counted: Traffic,
}

impl Allocation {
    /// What went through and is not counted yet; from now on it is.
    pub(crate) fn uncounted(&mut self) -> Traffic {
        let new = self.traffic.since(&self.counted);
        self.counted = self.traffic;
        new
    }

    /// Whether a request is signed with its key, where that came in an access token: those count for one account all of
    /// them, and yet are of different people (RFC 7635 §4.2).
    pub(crate) fn is_of(&self, exchange: &Exchange) -> bool {
        let signed = exchange.signature.map(|(_, key)| key);
        self.session.as_deref().is_none_or(|session| signed == Some(session.key))
    }

    /// Its relays.
    pub fn relays(&self) -> impl Iterator<Item = &Relay> {
        [Some(&self.relay), self.second.as_deref()].into_iter().flatten()
    }

    /// The relay of a family.
    pub fn of_family(&self, family: Family) -> Option<&Relay> {
        self.relays().find(|relay| relay.family() == family)
    }

    /// The relay that reaches a peer: of its family, and still alive.
    pub fn towards(&self, now: Instant, peer: SocketAddr) -> Option<&Relay> {
        self.relays().find(|relay| relay.relayed.is_ipv4() == peer.is_ipv4() && now < relay.expires)
    }

    /// Whether a relay is still alive.
    pub(crate) fn lives(&self, now: Instant, socket: SocketId) -> bool {
        self.relays().any(|relay| relay.socket == socket && now < relay.expires)
    }

    /// Whether a peer's address is of a relay's family (443 if not).
    pub fn reaches(&self, peer: IpAddr) -> bool {
        self.of_family(Family::of_ip(peer)).is_some()
    }

    /// When the first of its relays ends.
    pub fn deadline(&self) -> Instant {
        self.second.as_ref().map_or(self.relay.expires, |second| second.expires.min(self.relay.expires))
    }

    /// When the last of its relays ends.
    pub fn expires(&self) -> Instant {
        self.second.as_ref().map_or(self.relay.expires, |second| second.expires.max(self.relay.expires))
    }

    /// Lets its relays, or the one of a family, live until then.
    pub(crate) fn extend(&mut self, family: Option<Family>, until: Instant) {
        let relays = [Some(&mut self.relay), self.second.as_deref_mut()].into_iter().flatten();
        let chosen = relays.filter(|relay| family.is_none_or(|family| relay.family() == family));
        chosen.for_each(|relay| relay.expires = until);
    }

    /// Takes one relay of two out, with the permissions and channels of its family. `None` where it is the only one, or
    /// there is none.
    fn shed(&mut self, family: Family) -> Option<Relay> {
        let second = **self.second.as_ref()?;
        let gone = *self.of_family(family)?;
        if gone.socket == self.relay.socket {
            self.relay = second;
        }
        self.second = None;
        self.permissions.forget_family(family);
        self.channels.forget_family(family);
        Some(gone)
    }

    /// Takes what it may do back as far as the policy has changed.
    pub(crate) fn judge_anew(&mut self, policy: &Policy, ports: &RangeInclusive<u16>) {
        self.permissions.judge_anew(policy);
        let scope =
            |peer: SocketAddr| policy.scope(peer.ip()).filter(|scope| scope.includes(peer.port(), ports));
        self.channels.judge_anew(scope);
    }

    /// What is worth telling about it.
    pub fn session(&self) -> Session {
        Session {
            id: self.id,
            user: self.user.clone(),
            client: self.client,
            relaying: self.relaying,
            relayed: self.relay.relayed,
            second: self.second.as_ref().map(|second| second.relayed),
            began: self.began,
            expires: self.expires(),
            permissions: self.permissions.len(),
            channels: self.channels.len(),
            traffic: self.traffic,
        }
    }
}

/// An allocation as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one it is.
    pub id: SessionId,
    /// Which account made it.
    pub user: Address,
    /// From where.
    pub client: Client,
    /// What is relayed.
    pub relaying: Relaying,
    /// The relay's address as the world sees it.
    pub relayed: SocketAddr,
    /// The other one's, of a dual allocation.
    pub second: Option<SocketAddr>,
    /// When it began.
    pub began: Instant,
    /// When it ends, unless it is refreshed.
    pub expires: Instant,
    /// How many permissions it has, or had.
    pub permissions: usize,
    /// How many channels it has, or had.
    pub channels: usize,
    /// What went through.
    pub traffic: Traffic,
}

/// The place of an allocation in the table. Reused once the allocation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Its number.
    pub(crate) fn place(self) -> u32 {
        self.0
    }
}

/// Every allocation of a server.
#[derive(Debug, Default)]
pub(crate) struct Allocations {
    slots: Vec<Option<Box<Allocation>>>,
    free: Vec<Slot>,
    by_flow: FxHashMap<Flow, Slot>,
    by_socket: FxHashMap<SocketId, Slot>,
    /// Relays of datagrams, by their address as the world sees it.
    by_relayed: FxHashMap<SocketAddr, SocketId>,
}

impl Allocations {
    /// Where the allocation of a 5-tuple is.
    pub(crate) fn find(&self, flow: Flow) -> Option<Slot> {
        self.by_flow.get(&flow).copied()
    }

    /// The allocation of a 5-tuple.
    pub(crate) fn of_client(&mut self, flow: Flow) -> Option<&mut Allocation> {
        let slot = self.find(flow)?;
        self.get(slot)
    }

    /// The allocation of a relay's socket.
    pub(crate) fn of_socket(&mut self, socket: SocketId) -> Option<&mut Allocation> {
        let slot = *self.by_socket.get(&socket)?;
        self.get(slot)
    }

    /// Where the allocation of a relay's socket is.
    pub(crate) fn slot_of_socket(&self, socket: SocketId) -> Option<Slot> {
        self.by_socket.get(&socket).copied()
    }

    /// The allocation in a place.
    pub(crate) fn get(&mut self, slot: Slot) -> Option<&mut Allocation> {
        self.slots.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// The allocation in a place, to look at.
    pub(crate) fn peek(&self, slot: Slot) -> Option<&Allocation> {
        self.slots.get(slot.0 as usize)?.as_deref()
    }

    /// The relay at an address as the world sees it.
    pub(crate) fn relay_at(&self, relayed: SocketAddr) -> Option<SocketId> {
        self.by_relayed.get(&relayed).copied()
    }

    /// Takes in a new one.
    pub(crate) fn insert(&mut self, allocation: Allocation) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).expect("the limit of allocations is far below 2^32"))
        });
        self.by_flow.insert(allocation.client.flow, slot);
        self.by_socket.extend(allocation.relays().map(|relay| (relay.socket, slot)));
        if allocation.relaying == Relaying::Udp {
            self.by_relayed.extend(allocation.relays().map(|relay| (relay.relayed, relay.socket)));
        }
        self.slots[slot.0 as usize] = Some(Box::new(allocation));
        slot
    }

    /// Binds one to another 5-tuple.
    pub(crate) fn rehome(&mut self, slot: Slot, client: Client) {
        let Some(allocation) = self.get(slot) else { return };
        let old = std::mem::replace(&mut allocation.client, client);
        self.by_flow.remove(&old.flow);
        self.by_flow.insert(client.flow, slot);
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Box<Allocation>> {
        let allocation = self.slots.get_mut(slot.0 as usize)?.take()?;
        self.free.push(slot);
        self.by_flow.remove(&allocation.client.flow);
        allocation.relays().for_each(|relay| self.forget(relay));
        Some(allocation)
    }

    /// Takes one relay of two out of an allocation; see [`Allocation::shed`].
    pub(crate) fn shed(&mut self, slot: Slot, family: Family) -> Option<Relay> {
        let relay = self.get(slot)?.shed(family)?;
        self.forget(&relay);
        Some(relay)
    }

    /// A relay is not found any more. One for streams may have the same address as another one for datagrams.
    fn forget(&mut self, relay: &Relay) {
        self.by_socket.remove(&relay.socket);
        if self.relay_at(relay.relayed) == Some(relay.socket) {
            self.by_relayed.remove(&relay.relayed);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_flow.len()
    }

    /// Where there are allocations.
    pub(crate) fn places(&self) -> Vec<Slot> {
        self.by_flow.values().copied().collect()
    }

    /// Every allocation, in no order, to be changed; not what it is found by.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Allocation> {
        self.slots.iter_mut().flatten().map(|allocation| &mut **allocation)
    }

    /// The allocations in the places from `from` on, at most so many places, and the place behind them if there is one.
    pub(crate) fn within(
        &self,
        from: u32,
        places: u32,
    ) -> (impl Iterator<Item = (Slot, &Allocation)>, Option<u32>) {
        let end = from.saturating_add(places);
        let range = from.min(self.size())..end.min(self.size());
        let there = range.filter_map(|at| Some((Slot(at), self.slots[at as usize].as_deref()?)));
        (there, (end < self.size()).then_some(end))
    }

    /// The same, to change them.
    pub(crate) fn within_mut(
        &mut self,
        from: u32,
        places: u32,
    ) -> (impl Iterator<Item = &mut Allocation>, Option<u32>) {
        let (begin, end) = (from.min(self.size()) as usize, from.saturating_add(places).min(self.size()));
        let next = (end < self.size()).then_some(end);
        (self.slots[begin..end as usize].iter_mut().flatten().map(|allocation| &mut **allocation), next)
    }

    fn size(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Every allocation, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Allocation> {
        self.slots.iter().flatten().map(|allocation| &**allocation)
    }
}
