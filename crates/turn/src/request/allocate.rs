//! Allocate (RFC 8656 §7.2), its checks in the RFC's order. The socket is opened elsewhere ([`crate::opening`]).

use super::{Answer, Call};
use crate::allocation::{Missing, Relaying};
use crate::opening::{Opening, Seeking};
use crate::ports::Ports;
use crate::quota::{Seat, Taken};
use crate::reservation::{self, Reserved};
use crate::server::{Bound, Output, Timer};
use crate::tcp::requested_transport;
use crate::{Client, Refusal, Server};
use std::net::IpAddr;
use stun::attribute::{
    AdditionalAddressFamily, DraftAdditionalAddressFamily, EvenPort, Family, Lifetime,
    RequestedAddressFamily, ReservationToken,
};
use wire::Entropy;

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

/// Where relays may be bound, by the order of the families asked for; nowhere yet for a reserved port.
#[derive(Default)]
struct Places {
    first: Vec<IpAddr>,
    second: Vec<IpAddr>,
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
        let seats = self.seats(call, &wish)?;
        self.open(call, relaying, &wish, places, seats)
    }

    /// Step 2: is the 5-tuple in use? The same transaction again is a retransmission and gets the same answer.
    fn is_repeated(&mut self, call: &Call<'_>) -> Result<bool, Refusal> {
        let flow = call.exchange.client.flow;
        if self.is_opening(flow) {
            return Ok(true);
        }
        if self.roamers.knows(flow) {
            return Err(Refusal::AllocationMismatch);
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
    fn places(&mut self, call: &Call<'_>, wish: &Wish) -> Result<Places, Refusal> {
        if wish.token.is_some() {
            return Ok(Places::default());
        }
        let (local, turn) = (call.exchange.client.local, self.entropy.next_u64());
        let places = |family| self.config.relays.places(local, family, turn);
        let first = places(wish.family);
        let (second, missing) = match wish.second {
            None => (Vec::new(), None),
            Some(Second { family, is_old }) => {
                let second = places(family);
                let missing = match (first.is_empty(), second.is_empty()) {
                    (false, true) => Some(family),
                    (true, false) => Some(wish.family),
                    _ => None,
                };
                let refusal = Refusal::AddressFamilyNotSupported;
                (second, missing.map(|family| Box::new(Missing { family, refusal, is_old })))
            }
        };
        match (first.is_empty(), second.is_empty()) {
            (true, true) => Err(Refusal::AddressFamilyNotSupported),
            (true, false) => Ok(Places { first: second, second: first, missing }),
            (false, _) => Ok(Places { first, second, missing }),
        }
    }

    /// Step 9: has the account, its domain or everybody together all there may be (486)? Ports kept for it count. The one
    /// that it comes for now brings its own place.
    fn seats(&mut self, call: &Call<'_>, wish: &Wish) -> Result<(Option<Seat>, Option<Seat>), Refusal> {
        if wish.token.is_some() {
            return Ok((None, None));
        }
        let client = call.exchange.client;
        if self.config.draining {
            return Err(self.elsewhere(client, Refusal::InsufficientCapacity));
        }
        let mut take = || match self.ledger.take(&call.user, &self.config.quota) {
            Err(Taken::All) => Err(self.elsewhere(client, Taken::All.into())),
            seat => Ok(seat?),
        };
        let pair = wish.even.is_some_and(|even| even.reserve);
        Ok((Some(take()?), if pair { Some(take()?) } else { None }))
    }

    /// Where else the client may go (300), or that there is nowhere.
    pub(crate) fn elsewhere(&mut self, client: Client, otherwise: Refusal) -> Refusal {
        let turn = self.entropy.next_u64();
        let alternates = self.config.alternates.iter();
        let fitting = alternates.filter(|server| server.is_ipv4() == client.peer.is_ipv4());
        let count = fitting.clone().count().max(1) as u64;
        let chosen = fitting.copied().nth(usize::try_from(turn % count).unwrap_or(0));
        chosen.map_or(otherwise, Refusal::TryAlternate)
    }

    /// Every check is passed: get the sockets.
    fn open(
        &mut self,
        call: &Call<'_>,
        relaying: Relaying,
        wish: &Wish,
        places: Places,
        (seat, neighbour): (Option<Seat>, Option<Seat>),
    ) -> Answer {
        let local = call.exchange.client.local;
        let requested = call.request.get::<Lifetime>()?.map(|lifetime| lifetime.0);
        let opening = Opening {
            exchange: call.exchange,
            user: call.user.clone(),
            seat,
            neighbour,
            relaying,
            mobile: self.wants_ticket(call.request.get()?, relaying == Relaying::Udp)?,
            lifetime: self.lifetime(call, requested),
            seeking: self.seek(places.first, wish.even).unwrap_or_else(|| Seeking::reserved(local)),
            second: self.seek(places.second, wish.even),
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

    /// The search for a socket at one of these addresses, the first of them first.
    fn seek(&mut self, mut places: Vec<IpAddr>, even: Option<EvenPort>) -> Option<Seeking> {
        places.reverse();
        let (bind, is_even) = (places.pop()?, even.is_some());
        let ports = if is_even { Ports::even } else { Ports::any }(&self.config.ports, &mut self.entropy);
        let pair = even.is_some_and(|even| even.reserve);
        Some(Seeking { bind, others: places, ports, is_even, pair, even: None })
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
        let Reserved { socket, local, seat, .. } = reserved;
        let ask = self.await_socket(call.now, Opening { seat: Some(seat), ..opening });
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
