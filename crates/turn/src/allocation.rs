//! Allocations (RFC 8656 §3.2): a client's relay, what it may do, how long it lasts; and the table of all of them.

use crate::Client;
use crate::channel::Channels;
use crate::permission::Permissions;
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use stun::TransactionId;
use stun::attribute::{Family, ReservationToken};
use wire::{Address, Flow, SocketId};

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
}

/// One relay.
#[derive(Debug)]
pub struct Allocation {
    /// Whose 5-tuple it is bound to.
    pub client: Client,
    /// Which account made it; only it may change it (441).
    pub user: Address,
    /// The relay's socket.
    pub socket: SocketId,
    /// Its address as the world sees it.
    pub relayed: SocketAddr,
    /// When it ends.
    pub expires: Instant,
    /// The Allocate that made it: the same again is a retransmission (RFC 8656 §7.2).
    pub transaction: TransactionId,
    /// The port reserved together with it.
    pub token: Option<ReservationToken>,
    /// A second family that was asked for and is not to be had.
    pub missing: Option<Family>,
    /// Whom traffic flows with.
    pub permissions: Permissions,
    /// Channels bound.
    pub channels: Channels,
    /// What went through.
    pub traffic: Traffic,
}

impl Allocation {
    /// Whether a peer's address is of the relay's family (443 if not).
    pub fn reaches(&self, peer: IpAddr) -> bool {
        Family::of_ip(self.relayed.ip()) == Family::of_ip(peer)
    }

    /// What is worth telling about it.
    pub fn session(&self) -> Session {
        let Self { client, relayed, traffic, .. } = self;
        Session { user: self.user.clone(), client: *client, relayed: *relayed, traffic: *traffic }
    }
}

/// An allocation as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which account made it.
    pub user: Address,
    /// From where.
    pub client: Client,
    /// The relay's address as the world sees it.
    pub relayed: SocketAddr,
    /// What went through.
    pub traffic: Traffic,
}

/// The place of an allocation in the table. Reused once the allocation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

/// Every allocation of a server.
#[derive(Debug, Default)]
pub(crate) struct Allocations {
    slots: Vec<Option<Box<Allocation>>>,
    free: Vec<Slot>,
    by_flow: FxHashMap<Flow, Slot>,
    by_socket: FxHashMap<SocketId, Slot>,
    by_user: FxHashMap<Address, usize>,
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

    /// The allocation in a place.
    pub(crate) fn get(&mut self, slot: Slot) -> Option<&mut Allocation> {
        self.slots.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// Takes in a new one.
    pub(crate) fn insert(&mut self, allocation: Allocation) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).expect("the limit of allocations is far below 2^32"))
        });
        self.by_flow.insert(allocation.client.flow, slot);
        self.by_socket.insert(allocation.socket, slot);
        *self.by_user.entry(allocation.user.clone()).or_default() += 1;
        self.slots[slot.0 as usize] = Some(Box::new(allocation));
        slot
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Box<Allocation>> {
        let allocation = self.slots.get_mut(slot.0 as usize)?.take()?;
        self.free.push(slot);
        self.by_flow.remove(&allocation.client.flow);
        self.by_socket.remove(&allocation.socket);
        if let Some(count) = self.by_user.get_mut(&allocation.user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(&allocation.user);
            }
        }
        Some(allocation)
    }

    /// How many an account has.
    pub(crate) fn count(&self, user: &Address) -> usize {
        self.by_user.get(user).copied().unwrap_or(0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_flow.len()
    }

    /// Every allocation, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Allocation> {
        self.slots.iter().flatten().map(|allocation| &**allocation)
    }
}
