//! Refresh (RFC 8656 §8.2): makes an allocation live longer, or ends it.

use super::{Answer, Call};
use crate::allocation::Slot;
use crate::opening::seconds;
use crate::server::Timer;
use crate::{Refusal, Server};
use stun::attribute::{Family, Lifetime, RequestedAddressFamily};

impl Server {
    pub(super) fn refresh(&mut self, call: &Call<'_>) -> Answer {
        let slot = self.own_allocation(call)?;
        self.same_family(call, slot)?;
        let requested = call.request.get::<Lifetime>()?.map(|lifetime| lifetime.0);
        let granted = if requested == Some(0) { self.end(slot) } else { self.extend(call, slot, requested) };
        let buffer = self.buffer();
        Ok(Some(call.exchange.success(buffer, |writer| writer.with(&Lifetime(granted)))))
    }

    /// The caller's allocation: 437 where there is none, 441 where it is another account's (RFC 8656 §5).
    pub(super) fn own_allocation(&mut self, call: &Call<'_>) -> Result<Slot, Refusal> {
        let slot = self.allocations.find(call.exchange.client.flow).ok_or(Refusal::AllocationMismatch)?;
        match self.allocations.get(slot) {
            Some(allocation) if allocation.user == call.user => Ok(slot),
            _ => Err(Refusal::WrongCredentials),
        }
    }

    /// Where the client names a family, it must be the relay's: 443.
    fn same_family(&mut self, call: &Call<'_>, slot: Slot) -> Result<(), Refusal> {
        let Some(RequestedAddressFamily(named)) = call.request.get()? else { return Ok(()) };
        let family = self.allocations.get(slot).map(|allocation| Family::of_ip(allocation.relayed.ip()));
        if named == family { Ok(()) } else { Err(Refusal::PeerAddressFamilyMismatch) }
    }

    fn end(&mut self, slot: Slot) -> u32 {
        self.remove(slot);
        0
    }

    fn extend(&mut self, call: &Call<'_>, slot: Slot, requested: Option<u32>) -> u32 {
        let lifetime = self.lifetime(requested);
        if let Some(allocation) = self.allocations.get(slot) {
            allocation.expires = call.now + lifetime;
            self.timers.set(Timer::Allocation(slot), call.now + lifetime);
        }
        seconds(lifetime)
    }
}
