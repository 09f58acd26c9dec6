//! Refresh (RFC 8656 §8.2): makes an allocation live longer, or ends it.

use super::{Answer, Call};
use crate::allocation::Slot;
use crate::opening::seconds;
use crate::server::Timer;
use crate::{Refusal, Server};
use stun::attribute::{Family, Lifetime, MobilityTicket, RequestedAddressFamily};

impl Server {
    pub(super) fn refresh(&mut self, call: &Call<'_>) -> Answer {
        if let Some(MobilityTicket(ticket)) = call.request.get()? {
            return self.refresh_by_ticket(call, ticket);
        }
        let slot = self.own_allocation(call)?;
        let family = self.named_family(call, slot)?;
        let requested = call.request.get::<Lifetime>()?.map(|lifetime| lifetime.0);
        let granted = match requested {
            Some(0) => self.end(slot, family),
            _ => self.extend(call, slot, family, requested),
        };
        let buffer = self.buffer();
        Ok(Some(call.exchange.success(buffer, |writer| writer.with(&Lifetime(granted)))))
    }

    /// The caller's allocation: 437 where there is none, 441 where it is another account's (RFC 8656 §5).
    pub(crate) fn own_allocation(&mut self, call: &Call<'_>) -> Result<Slot, Refusal> {
        let slot = self.allocations.find(call.exchange.client.flow).ok_or(Refusal::AllocationMismatch)?;
        match self.allocations.get(slot) {
            Some(allocation) if allocation.user == call.user => Ok(slot),
            _ => Err(Refusal::WrongCredentials),
        }
    }

    /// Where the client names a family, a relay must be of it: 443. Then the request is for that relay alone.
    fn named_family(&mut self, call: &Call<'_>, slot: Slot) -> Result<Option<Family>, Refusal> {
        let Some(RequestedAddressFamily(named)) = call.request.get()? else { return Ok(None) };
        let family = named.ok_or(Refusal::PeerAddressFamilyMismatch)?;
        let relay = self.allocations.get(slot).and_then(|allocation| allocation.of_family(family));
        relay.map(|relay| Some(relay.family())).ok_or(Refusal::PeerAddressFamilyMismatch)
    }

    /// Ends the relay of a family, or the whole allocation where there is no other one.
    fn end(&mut self, slot: Slot, family: Option<Family>) -> u32 {
        match family.and_then(|family| self.allocations.shed(slot, family)) {
            Some(relay) => self.shed(slot, relay),
            None => self.remove(slot, crate::End::Released),
        }
        0
    }

    fn extend(&mut self, call: &Call<'_>, slot: Slot, family: Option<Family>, requested: Option<u32>) -> u32 {
        let lifetime = self.lifetime(call, requested);
        if let Some(allocation) = self.allocations.get(slot) {
            allocation.extend(family, call.now + lifetime);
            self.timers.set(Timer::Allocation(slot), allocation.deadline());
        }
        seconds(lifetime)
    }
}
