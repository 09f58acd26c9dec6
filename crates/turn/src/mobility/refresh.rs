//! A Refresh with a ticket (RFC 8016 §3.2.2).

use super::away::Resuming;
use super::{Home, Lead, Letter, Next, Roamer, Ticket};
use crate::allocation::{Slot, TokenSession};
use crate::exchange::Exchange;
use crate::opening::seconds;
use crate::request::{Answer, Call};
use crate::server::{Output, Timer};
use crate::{Refusal, Server};
use std::time::{Duration, Instant};
use stun::attribute::{Lifetime, MobilityTicket};
use wire::Address;

/// Clients that may have announced themselves to one server without having come: one for each allocation is remembered,
/// here or at another worker, and this is far more than a worker has of those.
const AT_MOST: usize = 1 << 16;

/// What a valid announcement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// How long the allocation lives now; nothing: it has ended.
    pub(crate) lifetime: Duration,
    /// Whether the client's old way is gone, so that nothing has to be waited for.
    pub(crate) is_lost: bool,
}

/// An announcement, as the worker that keeps the allocation gets it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// What the client shows.
    pub(crate) shown: Ticket,
    /// What it is to get.
    pub(crate) ticket: Ticket,
    /// Whose credential the request has.
    pub(crate) user: Address,
    /// How long the allocation is to live; nothing: it is to end.
    pub(crate) lifetime: Duration,
    /// What an access token brought along.
    pub(crate) session: Option<Box<TokenSession>>,
}

impl Server {
    /// 405 where there is no mobility; 400 from the 5-tuple that the allocation is bound to already, unless it is the
    /// request that has bound it once more; 437 where the ticket is worth nothing; 441 where it is another account's.
    pub(crate) fn refresh_by_ticket(&mut self, call: &Call<'_>, text: &[u8]) -> Answer {
        if !self.config.mobility {
            return Err(Refusal::MobilityForbidden);
        }
        let shown = Ticket::read(text).ok_or(Refusal::BadRequest)?;
        let flow = call.exchange.client.flow;
        if self.allocations.find(flow).is_some() {
            return self.repeated(call, shown);
        }
        if let Some(roamer) = self.roamers.by_flow.get(&flow) {
            let same = roamer.shown == shown && roamer.user == call.user;
            let (ticket, left) = (roamer.ticket, roamer.until.saturating_duration_since(call.now));
            return if same {
                Ok(Some(self.resumed(&call.exchange, left, ticket)))
            } else {
                Err(Refusal::BadRequest)
            };
        }
        if let Some(resuming) = self.roamers.resuming.get_mut(&flow) {
            resuming.again(call.exchange.transaction);
            return Ok(None);
        }
        if self.is_opening(flow) {
            return Err(Refusal::AllocationMismatch);
        }
        let requested = call.request.get::<Lifetime>()?.map(|lifetime| lifetime.0);
        let lifetime = if requested == Some(0) { Duration::ZERO } else { self.lifetime(call, requested) };
        let ticket = Ticket::new(self.me, &mut self.entropy);
        let announcement = Announcement {
            shown,
            ticket,
            user: call.user.clone(),
            lifetime,
            session: call.exchange.session().map(Box::new),
        };
        self.announce(call, announcement)
    }

    /// The request that has bound the 5-tuple, once more.
    fn repeated(&mut self, call: &Call<'_>, shown: Ticket) -> Answer {
        let slot = self.own_allocation(call)?;
        let allocation = self.allocations.get(slot).ok_or(Refusal::AllocationMismatch)?;
        let left = allocation.expires().saturating_duration_since(call.now);
        match allocation.mobility.as_deref() {
            Some(mobility) if mobility.shown == Some(shown) && mobility.next.is_none() => {
                let ticket = mobility.ticket;
                Ok(Some(self.resumed(&call.exchange, left, ticket)))
            }
            _ => Err(Refusal::BadRequest),
        }
    }

    /// To whoever keeps the allocation.
    fn announce(&mut self, call: &Call<'_>, announcement: Announcement) -> Answer {
        if self.roamers.len() >= AT_MOST {
            return Err(Refusal::InsufficientCapacity);
        }
        let (client, worker) = (call.exchange.client, announcement.shown.worker());
        match self.roamers.by_ticket.get(&announcement.shown) {
            Some(Lead::Place(slot)) => self.resume_here(call, *slot, announcement),
            None if worker == self.me => Err(Refusal::AllocationMismatch),
            Some(Lead::Roamer(flow)) => {
                let Some(Home::There(away)) = self.roamers.by_flow.get(flow).map(|roamer| &roamer.home)
                else {
                    return Err(Refusal::AllocationMismatch);
                };
                let to = away.worker();
                self.write_home(call, to, client, announcement)
            }
            None => self.write_home(call, worker, client, announcement),
        }
    }

    fn write_home(
        &mut self,
        call: &Call<'_>,
        to: wire::WorkerId,
        client: crate::Client,
        announcement: Announcement,
    ) -> Answer {
        let resuming = Resuming::new(call.exchange, to, announcement.clone());
        self.roamers.resuming.insert(client.flow, Box::new(resuming));
        self.roamers.patience.set(client.flow, call.now + super::away::PATIENCE);
        let letter = Letter::Announce { from: self.me, client, announcement };
        self.output(Output::Roam { to, letter });
        Ok(None)
    }

    fn resume_here(&mut self, call: &Call<'_>, slot: Slot, announcement: Announcement) -> Answer {
        let client = call.exchange.client;
        let resumed = self.resume(call.now, slot, &announcement)?;
        let Announcement { shown, ticket, user, .. } = announcement;
        if resumed.lifetime.is_zero() {
            return Ok(Some(self.resumed(&call.exchange, resumed.lifetime, ticket)));
        }
        let until = call.now + resumed.lifetime;
        let roamer = Roamer { client, user, shown, ticket, until, home: Home::Here(slot) };
        self.roamers.by_flow.insert(client.flow, Box::new(roamer));
        if let Some(mobility) = self.allocations.get(slot).and_then(|one| one.mobility.as_deref_mut()) {
            mobility.next = Some(Next::Here(client.flow));
        }
        if resumed.is_lost {
            self.arrive(call.now, client.flow);
        }
        Ok(Some(self.resumed(&call.exchange, resumed.lifetime, ticket)))
    }

    /// Judges an announcement where the allocation is, and lets that live longer under a new ticket.
    pub(super) fn resume(
        &mut self,
        now: Instant,
        slot: Slot,
        announcement: &Announcement,
    ) -> Result<Resumed, Refusal> {
        let Announcement { shown, ticket, user, lifetime, session } = announcement;
        let allocation = self.allocations.get(slot).ok_or(Refusal::AllocationMismatch)?;
        if allocation.user != *user {
            return Err(Refusal::WrongCredentials);
        }
        let mobility = allocation.mobility.as_deref_mut().ok_or(Refusal::AllocationMismatch)?;
        mobility.spend(now)?;
        if lifetime.is_zero() {
            self.remove(slot, crate::End::Released);
            return Ok(Resumed { lifetime: Duration::ZERO, is_lost: true });
        }
        let old = [Some(mobility.ticket), mobility.shown];
        (mobility.ticket, mobility.shown) = (*ticket, Some(*shown));
        let is_lost = mobility.is_lost;
        allocation.extend(None, now + *lifetime);
        if let (Some(kept), Some(session)) = (allocation.session.as_deref_mut(), session) {
            *kept = **session;
        }
        let deadline = allocation.deadline();
        self.timers.set(Timer::Allocation(slot), deadline);
        for old in old.into_iter().flatten().filter(|old| old != shown) {
            self.roamers.by_ticket.remove(&old);
        }
        self.roamers.by_ticket.insert(*ticket, Lead::Place(slot));
        self.forget_next(slot);
        Ok(Resumed { lifetime: *lifetime, is_lost })
    }

    /// The answer to a Refresh with a ticket: how long, and the ticket for the next time.
    pub(super) fn resumed(&mut self, exchange: &Exchange, lifetime: Duration, ticket: Ticket) -> Vec<u8> {
        let buffer = self.buffer();
        let text = ticket.text();
        let ticket = (!lifetime.is_zero()).then_some(MobilityTicket(&text));
        exchange.success(buffer, |writer| writer.with(&Lifetime(seconds(lifetime))).maybe(ticket.as_ref()))
    }
}
