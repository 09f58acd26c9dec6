//! ChannelBind (RFC 8656 §12.2).

use super::{Answer, Call};
use crate::allocation::Slot;
use crate::config::PERMISSION;
use crate::policy::Scope;
use crate::{Refusal, Server};
use std::net::SocketAddr;
use stun::attribute::{ChannelNumber, XorPeerAddress};

impl Server {
    pub(super) fn channel_bind(&mut self, call: &Call<'_>) -> Answer {
        let slot = self.own_allocation(call)?;
        let (number, peer) = named_channel(call)?;
        self.relays_datagrams(slot)?;
        self.is_unbound(call, slot, number, peer)?;
        self.of_relay_family(slot, [peer.ip()].into_iter())?;
        let scope = self.peer_scope(peer)?;
        self.bind(call, slot, number, peer, scope)?;
        let buffer = self.buffer();
        Ok(Some(call.exchange.success(buffer, |writer| writer)))
    }

    /// Neither bound otherwise: 400.
    fn is_unbound(
        &mut self,
        call: &Call<'_>,
        slot: Slot,
        number: ChannelNumber,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        let allocation = self.allocations.get(slot).ok_or(Refusal::AllocationMismatch)?;
        allocation.channels.check(call.now, number, peer).map_err(|_| Refusal::BadRequest)
    }

    /// The peer's address and port are allowed: 403.
    pub(crate) fn peer_scope(&self, peer: SocketAddr) -> Result<Scope, Refusal> {
        let scope = self.scope(peer.ip())?;
        if scope.includes(peer.port(), &self.config.ports) { Ok(scope) } else { Err(Refusal::Forbidden) }
    }

    /// Binds or refreshes the channel, and the permission with it: 508 where there is no room.
    fn bind(
        &mut self,
        call: &Call<'_>,
        slot: Slot,
        number: ChannelNumber,
        peer: SocketAddr,
        scope: Scope,
    ) -> Result<(), Refusal> {
        let limit = self.config.limits.channels;
        let allocation = self.allocations.get(slot).ok_or(Refusal::AllocationMismatch)?;
        if !allocation.channels.has_room(number, limit) {
            return Err(Refusal::InsufficientCapacity);
        }
        self.install(call, slot, &[(peer.ip(), scope)])?;
        let allocation = self.allocations.get(slot).ok_or(Refusal::AllocationMismatch)?;
        allocation.channels.bind(call.now, number, peer, call.now + PERMISSION, scope.is_ours());
        Ok(())
    }
}

/// Both attributes, well formed, and a number that may be bound: 400.
fn named_channel(call: &Call<'_>) -> Result<(ChannelNumber, SocketAddr), Refusal> {
    let number: Option<ChannelNumber> = call.request.get()?;
    let peer: Option<XorPeerAddress> = call.request.get()?;
    match (number, peer) {
        (Some(number), Some(XorPeerAddress(peer))) if number.is_usable() => Ok((number, peer)),
        _ => Err(Refusal::BadRequest),
    }
}
