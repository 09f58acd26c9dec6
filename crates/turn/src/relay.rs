//! The data path (RFC 8656 §11, §12): one or two lookups per packet, no heap, bytes left where they lie.

use crate::allocation::{Relay, Relaying, Slot};
use crate::channel::{self, HEADER};
use crate::indication::{self, Send};
use crate::policy::Scope;
use crate::server::Server;
use crate::{Direction, Output};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;
use stun::attribute::{ChannelNumber, Icmp};
use stun::message::padded;
use stun::{Class, Message, TransactionId};
use wire::{Flow, SocketId};

/// What to do with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send a part of it on.
    Forward {
        /// Where to.
        to: Way,
        /// Which part, counted from the start of the slice that was handed in.
        range: Range<usize>,
    },
    /// Not traffic: for [`wire::Machine::handle`].
    Slow,
    /// Nothing.
    Drop,
}

/// Where a relayed packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a relay's socket to a peer.
    Peer {
        /// The relay's socket.
        socket: SocketId,
        /// The peer.
        peer: SocketAddr,
        /// Whether it must arrive in one piece: the IP header's DF bit (RFC 8656 §14).
        dont_fragment: bool,
    },
    /// To another client's relay on this worker, without leaving the process: hand it to [`Server::from_peer`], as if it had
    /// come to that socket.
    Relay {
        /// The relay's socket.
        socket: SocketId,
        /// The sender's relay, as the world sees it.
        from: SocketAddr,
    },
    /// To a client.
    Client(Flow),
}

impl Server {
    /// What to do with a message of a client: one datagram, or one frame of its stream.
    pub fn from_client(&mut self, now: Instant, flow: Flow, message: &[u8]) -> Verdict {
        let verdict = match message.first() {
            Some(0x40..=0x7F) => self.channel_data(now, flow, message).unwrap_or(Verdict::Drop),
            Some(0..=3) => match Message::parse(message) {
                Ok(parsed) => self.stun(now, flow, &parsed, message),
                Err(_) => Verdict::Drop,
            },
            _ => Verdict::Drop,
        };
        if verdict == Verdict::Drop && self.roamers.has(flow) {
            self.roamed(now, flow, message)
        } else {
            verdict
        }
    }

    /// RFC 8656 §12.6: from a channel to its peer.
    fn channel_data(&mut self, now: Instant, flow: Flow, message: &[u8]) -> Option<Verdict> {
        let (number, length) = channel::read(message)?;
        let slot = self.allocations.find(flow)?;
        let channel = self.allocations.get(slot)?.channels.get(now, number)?;
        let (peer, is_ours) = (channel.peer, channel.is_ours);
        let part = Part { peer, is_ours, range: HEADER..HEADER + length, dont_fragment: false };
        self.departing(now, slot, part, message)
    }

    fn stun(&mut self, now: Instant, flow: Flow, message: &Message<'_>, bytes: &[u8]) -> Verdict {
        match message.class() {
            Class::Request => Verdict::Slow,
            Class::Indication => self.send_indication(now, flow, message, bytes).unwrap_or(Verdict::Drop),
            Class::Success | Class::Error => Verdict::Drop,
        }
    }

    /// RFC 8656 §11.2: from a Send indication to its peer.
    fn send_indication(
        &mut self,
        now: Instant,
        flow: Flow,
        message: &Message<'_>,
        bytes: &[u8],
    ) -> Option<Verdict> {
        let Send { peer, data, dont_fragment } = indication::read_send(message)?;
        let slot = self.allocations.find(flow)?;
        let allocation = self.allocations.get(slot).filter(|one| one.relaying == Relaying::Udp)?;
        let permission = allocation.permissions.get(now, peer.ip())?;
        if !Scope::includes(permission.scope, peer.port(), &self.config.ports) {
            return None;
        }
        let is_ours = permission.scope.is_ours();
        self.departing(now, slot, Part { peer, is_ours, range: data, dont_fragment }, bytes)
    }

    /// To a peer, through the relay that reaches it; now, or when its bandwidth allows it.
    fn departing(&mut self, now: Instant, slot: Slot, part: Part, message: &[u8]) -> Option<Verdict> {
        let Part { peer, is_ours, range, dont_fragment } = part;
        let beside = if is_ours { self.allocations.relay_at(peer) } else { None };
        if is_ours && beside.is_none() && !self.may_be_reached(Relaying::Udp, peer) {
            return None;
        }
        let allocation = self.allocations.get(slot)?;
        let Relay { socket, relayed: from, .. } = *allocation.towards(now, peer)?;
        let wait = allocation.pace(now, Direction::Sent, range.len(), &self.config.bandwidth)?;
        allocation.traffic.sent_packets += 1;
        allocation.traffic.sent_bytes += range.len() as u64;
        let to = match beside {
            Some(socket) => Way::Relay { socket, from },
            None if is_ours => {
                // It may be another worker's: the kernel brings it there, which knows bound addresses only.
                let peer = SocketAddr::new(self.config.relays.bound(peer.ip()), peer.port());
                Way::Peer { socket, peer, dont_fragment }
            }
            None => Way::Peer { socket, peer, dont_fragment },
        };
        Some(self.depart(now, slot, Direction::Sent, (Verdict::Forward { to, range }, wait), message))
    }

    /// A peer's address as its client knows it: where another worker's relay behind NAT sent this by the kernel, that relay's
    /// address as the world sees it.
    pub(crate) fn known(&self, peer: SocketAddr) -> SocketAddr {
        let relays = &self.config.relays;
        if relays.external.is_empty() || !self.config.ports.contains(&peer.port()) {
            return peer;
        }
        SocketAddr::new(relays.advertised(peer.ip()), peer.port())
    }

    /// What to do with a datagram that a peer sent to a relay: `frame` holds `headroom` octets and then the datagram, and
    /// is changed in place so that the verdict's range is what the client is to get (RFC 8656 §11.3, §12.7).
    pub fn from_peer(
        &mut self,
        now: Instant,
        socket: SocketId,
        peer: SocketAddr,
        frame: &mut [u8],
        headroom: usize,
    ) -> Verdict {
        let peer = self.known(peer);
        self.arrived(now, socket, peer, frame, headroom).unwrap_or(Verdict::Drop)
    }

    fn arrived(
        &mut self,
        now: Instant,
        socket: SocketId,
        peer: SocketAddr,
        frame: &mut [u8],
        headroom: usize,
    ) -> Option<Verdict> {
        let transaction = self.next_transaction();
        let slot = self.allocations.slot_of_socket(socket)?;
        let allocation = self.allocations.get(slot).filter(|one| one.lives(now, socket))?;
        let channel = allocation.channels.number(now, peer);
        if channel.is_none() {
            allocation.permissions.get(now, peer.ip())?;
        }
        let length = frame.len() - headroom;
        let wait = allocation.pace(now, Direction::Received, length, &self.config.bandwidth)?;
        let range = match channel {
            Some(number) => {
                let is_stream = allocation.client.transport.is_stream();
                write_channel_data(frame, headroom, number, is_stream)?
            }
            None => indication::write_data(frame, headroom, peer, transaction)?,
        };
        allocation.traffic.received_packets += 1;
        allocation.traffic.received_bytes += length as u64;
        let verdict = Verdict::Forward { to: Way::Client(allocation.client.flow), range };
        Some(self.depart(now, slot, Direction::Received, (verdict, wait), frame))
    }

    /// What the network said to a datagram from a relay to a peer: the client is told, where it may hear of that peer at all
    /// (RFC 8656 §11.5).
    pub(crate) fn unreachable(&mut self, now: Instant, socket: SocketId, peer: SocketAddr, icmp: Icmp) {
        let peer = self.known(peer);
        let is_error = if peer.is_ipv4() { matches!(icmp.kind, 3 | 11) } else { matches!(icmp.kind, 1..=3) };
        let transaction = self.next_transaction();
        let mut bytes = self.buffer();
        let allocation = self.allocations.of_socket(socket).filter(|one| is_error && one.lives(now, socket));
        let Some(allocation) = allocation.filter(|one| one.permissions.get(now, peer.ip()).is_some()) else {
            return self.recycle(bytes);
        };
        indication::write_icmp(&mut bytes, peer, icmp, transaction);
        let to = Way::Client(allocation.client.flow);
        self.output(Output::Forward { to, bytes });
    }

    /// An identifier for an indication. Nobody answers it, so it need only differ from the others.
    fn next_transaction(&mut self) -> TransactionId {
        self.indications = self.indications.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.indications ^ self.indications >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mut id = [0; 12];
        id[..8].copy_from_slice(&mixed.to_be_bytes());
        id[8..].copy_from_slice(&self.indications.to_be_bytes()[..4]);
        TransactionId(id)
    }
}

/// What of a client's message goes to a peer.
struct Part {
    peer: SocketAddr,
    /// Whether that is an address of ours.
    is_ours: bool,
    range: Range<usize>,
    dont_fragment: bool,
}

/// Puts the header in front of a datagram; on streams the padding too, for which the datagram moves forward.
fn write_channel_data(
    frame: &mut [u8],
    headroom: usize,
    number: ChannelNumber,
    is_stream: bool,
) -> Option<Range<usize>> {
    let length = frame.len() - headroom;
    let padding = if is_stream { padded(length) - length } else { 0 };
    let start = headroom.checked_sub(HEADER + padding)?;
    let header = channel::header(number, length)?;
    if padding > 0 {
        frame.copy_within(headroom.., headroom - padding);
        let end = frame.len();
        frame[end - padding..].fill(0);
    }
    frame[start..start + HEADER].copy_from_slice(&header);
    Some(start..frame.len())
}
