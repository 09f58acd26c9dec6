//! Allocate (RFC 8656 §7.2), its checks in the RFC's order. The socket is opened elsewhere ([`crate::opening`]).

use super::{Answer, Call};
use crate::allocation::{Missing, Relaying};
use crate::opening::{Opening, Seeking};
use crate::ports::Ports;
use crate::reservation::{self, Reserved};
use crate::server::{Bound, Output, Timer};
use crate::tcp::requested_transport;
use crate::{Refusal, Server};
use std::net::IpAddr;
use stun::attribute::{
    AdditionalAddressFamily, DraftAdditionalAddressFamily, EvenPort, Family, Lifetime,
    RequestedAddressFamily, ReservationToken,
};

/// What a valid Allocate asks for.
struct Wish {
    token: Option<ReservationToken>,
    /// The family of the relay, or of the first of two.
    family: Family,
    even: Option<EvenPort>,
    second: Option<Second>,
}

/// The wish for a second relay, of the other family.
#[derive(Clone, Copy)]
struct Second {
    family: Family,
    /// Whether it was uttered as before RFC 8656.
    is_old: bool,
}

/// Where relays may be bound, by the order of the families asked for.
struct Places {
    first: IpAddr,
    second: Option<IpAddr>,
    missing: Option<Box<Missing>>,
}

impl Server {
    /// Step 1, authentication, is done.
    pub(super) fn allocate(&mut self, call: &Call<'_>) -> Answer {
        if self.is_repeated(call)? {
            return Ok(None);
        }
        let relaying = requested_transport(call)?;
        let wish = wish(call)?;
        let places = self.places(call, &wish)?;
        self.within_quota(call, &wish)?;
        self.open(call, relaying, &wish, places)
    }

    /// Step 2: is the 5-tuple in use? The same transaction again is a retransmission and gets the same answer.
    fn is_repeated(&mut self, call: &Call<'_>) -> Result<bool, Refusal> {
        let flow = call.exchange.client.flow;
        if self.is_opening(flow) {
            return Ok(true);
        }
        let Some(allocation) = self.allocations.of_client(flow) else { return Ok(false) };
        if allocation.transaction != call.exchange.transaction || allocation.user != call.user {
            return Err(Refusal::AllocationMismatch);
        }
        let left = allocation.expires().saturating_duration_since(call.now);
        self.granted(&call.exchange, left);
        Ok(true)
    }

    /// Where to bind a relay of each family that is wished for: 440 where there is no place at all. A reserved port has its
    /// own place.
    fn places(&self, call: &Call<'_>, wish: &Wish) -> Result<Places, Refusal> {
        let local = call.exchange.client.local;
        if wish.token.is_some() {
            return Ok(Places { first: local, second: None, missing: None });
        }
        let place = |family| self.config.relays.bind(local, family);
        let first = place(wish.family);
        let Some(Second { family, is_old }) = wish.second else {
            let first = first.ok_or(Refusal::AddressFamilyNotSupported)?;
            return Ok(Places { first, second: None, missing: None });
        };
        let missing =
            |family| Some(Box::new(Missing { family, refusal: Refusal::AddressFamilyNotSupported, is_old }));
        match (first, place(family)) {
            (Some(first), Some(second)) => Ok(Places { first, second: Some(second), missing: None }),
            (Some(first), None) => Ok(Places { first, second: None, missing: missing(family) }),
            (None, Some(first)) => Ok(Places { first, second: None, missing: missing(wish.family) }),
            (None, None) => Err(Refusal::AddressFamilyNotSupported),
        }
    }

    /// Step 9: has the account all it may have (486), or the server (508)? Ports kept for it count, but for the one that
    /// it comes for now.
    fn within_quota(&self, call: &Call<'_>, wish: &Wish) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        let kept = self.reservations.count(&call.user).saturating_sub(usize::from(wish.token.is_some()));
        if self.allocations.count(&call.user) + kept >= limits.per_user {
            return Err(Refusal::AllocationQuotaReached);
        }
        let all = self.allocations.len() + self.openings.len() + self.reservations.len();
        if all < limits.allocations { Ok(()) } else { Err(Refusal::InsufficientCapacity) }
    }

    /// Every check is passed: get the sockets.
    fn open(&mut self, call: &Call<'_>, relaying: Relaying, wish: &Wish, places: Places) -> Answer {
        let requested = call.request.get::<Lifetime>()?.map(|lifetime| lifetime.0);
        let opening = Opening {
            exchange: call.exchange,
            user: call.user.clone(),
            relaying,
            lifetime: self.lifetime(call, requested),
            seeking: self.seek(places.first, wish.even),
            second: places.second.map(|bind| self.seek(bind, wish.even)),
            found: None,
            missing: places.missing,
            is_old: wish.second.is_some_and(|second| second.is_old),
        };
        match wish.token {
            None => {
                let ask = self.await_socket(call.now, opening);
                self.open_next(call.now, ask);
            }
            Some(token) => self.open_reserved(call, opening, token)?,
        }
        Ok(None)
    }

    /// The search for a socket at this address.
    fn seek(&mut self, bind: IpAddr, even: Option<EvenPort>) -> Seeking {
        let ports = match even {
            None => Ports::any(&self.config.ports, &mut self.entropy),
            Some(_) => Ports::even(&self.config.ports, &mut self.entropy),
        };
        Seeking { bind, ports, pair: even.is_some_and(|even| even.reserve), even: None }
    }

    /// Step 5: the port was reserved by an earlier Allocate, perhaps on another worker. 508 where it is not to be had.
    fn open_reserved(
        &mut self,
        call: &Call<'_>,
        opening: Opening,
        token: ReservationToken,
    ) -> Result<(), Refusal> {
        let keeper = reservation::keeper(token);
        if keeper != self.me {
            let ask = self.await_socket(call.now, opening);
            self.output(Output::Claim { to: keeper, ask, token, user: call.user.clone() });
            return Ok(());
        }
        let reserved = self.reservations.take(token, &call.user).ok_or(Refusal::InsufficientCapacity)?;
        self.timers.cancel(Timer::Reservation(token));
        let Reserved { socket, local, .. } = reserved;
        let ask = self.await_socket(call.now, opening);
        self.opened(call.now, ask, Ok(Bound { socket, local }));
        Ok(())
    }
}

/// Steps 5 to 8: which address and port; what excludes what.
fn wish(call: &Call<'_>) -> Result<Wish, Refusal> {
    let token: Option<ReservationToken> = call.request.get()?;
    let even: Option<EvenPort> = call.request.get()?;
    let family: Option<RequestedAddressFamily> = call.request.get()?;
    let second = second_family(call)?;
    if token.is_some() && (even.is_some() || family.is_some() || second.is_some()) {
        return Err(Refusal::BadRequest);
    }
    Ok(Wish {
        token,
        family: requested_family(family)?,
        even,
        second: additional_family(family, even, second)?,
    })
}

/// Step 6: IPv4 unless another family is named (440 where nobody knows it).
fn requested_family(family: Option<RequestedAddressFamily>) -> Result<Family, Refusal> {
    match family {
        None => Ok(Family::V4),
        Some(RequestedAddressFamily(Some(family))) => Ok(family),
        Some(RequestedAddressFamily(None)) => Err(Refusal::AddressFamilyNotSupported),
    }
}

/// The attribute that asks for a second family, and whether it is the old one.
fn second_family(call: &Call<'_>) -> Result<Option<(AdditionalAddressFamily, bool)>, Refusal> {
    if let Some(second) = call.request.get()? {
        return Ok(Some((second, false)));
    }
    // Debian's `turnutils_uclient -Z` (4.6.1) sends the number of the drafts.
    let second: Option<DraftAdditionalAddressFamily> = call.request.get()?;
    Ok(second.map(|DraftAdditionalAddressFamily(family)| (AdditionalAddressFamily(family), true)))
}

/// Step 8: a second family can only be IPv6, and excludes naming the first one and reserving a port.
fn additional_family(
    family: Option<RequestedAddressFamily>,
    even: Option<EvenPort>,
    second: Option<(AdditionalAddressFamily, bool)>,
) -> Result<Option<Second>, Refusal> {
    match second {
        None => Ok(None),
        Some((AdditionalAddressFamily(Some(Family::V6)), is_old))
            if family.is_none() && even.is_none_or(|even| !even.reserve) =>
        {
            Ok(Some(Second { family: Family::V6, is_old }))
        }
        Some(_) => Err(Refusal::BadRequest),
    }
}
