//! CreatePermission (RFC 8656 §10.2): all of the addresses it names, or none.

use super::{Answer, Call};
use crate::allocation::Slot;
use crate::policy::Scope;
use crate::{Refusal, Server};
use std::net::IpAddr;
use stun::Kind;
use stun::attribute::{Attribute, XorPeerAddress};

impl Server {
    pub(super) fn create_permission(&mut self, call: &Call<'_>) -> Answer {
        let slot = self.own_allocation(call)?;
        let peers = self.named_peers(call)?;
        self.of_relay_family(slot, peers.iter().map(|(peer, _)| *peer))?;
        self.install(call, slot, &peers)?;
        let buffer = self.buffer();
        Ok(Some(call.exchange.success(buffer, |writer| writer)))
    }

    /// At least one, each well formed (400) and allowed (403).
    fn named_peers(&self, call: &Call<'_>) -> Result<Vec<(IpAddr, Scope)>, Refusal> {
        let mut peers = Vec::new();
        for raw in call.request.attributes().filter(|raw| raw.kind == Kind::XOR_PEER_ADDRESS) {
            let peer =
                XorPeerAddress::read(raw.value, call.request.transaction()).ok_or(Refusal::BadRequest)?;
            peers.push((peer.0.ip(), self.scope(peer.0.ip())?));
        }
        if peers.is_empty() { Err(Refusal::BadRequest) } else { Ok(peers) }
    }

    /// Of the relay's family, as nothing else can be reached: 443.
    pub(crate) fn of_relay_family(
        &mut self,
        slot: Slot,
        mut peers: impl Iterator<Item = IpAddr>,
    ) -> Result<(), Refusal> {
        match self.allocations.get(slot) {
            Some(allocation) if peers.all(|peer| allocation.reaches(peer)) => Ok(()),
            _ => Err(Refusal::PeerAddressFamilyMismatch),
        }
    }

    /// Installs or refreshes permissions, and with them the channels to these addresses: 508 where there is no room.
    pub(super) fn install(
        &mut self,
        call: &Call<'_>,
        slot: Slot,
        peers: &[(IpAddr, Scope)],
    ) -> Result<(), Refusal> {
        let limit = self.config.limits.permissions;
        let allocation = self.allocations.get(slot).ok_or(Refusal::AllocationMismatch)?;
        if !allocation.permissions.has_room(call.now, peers, limit) {
            return Err(Refusal::InsufficientCapacity);
        }
        for (peer, scope) in peers {
            let until = allocation.permissions.install(call.now, *peer, *scope);
            allocation.channels.permit(*peer, until);
        }
        Ok(())
    }
}
