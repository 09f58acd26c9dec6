//! An Allocate that has passed every check and waits for its socket (RFC 8656 §7.2): ports are tried until one is free,
//! with EVEN-PORT's R bit two neighbours.

use crate::allocation::{Allocation, Missing, Relay, Relaying};
use crate::channel::Channels;
use crate::exchange::Exchange;
use crate::permission::Permissions;
use crate::ports::Ports;
use crate::reservation::{Granted, Reserved};
use crate::server::{Ask, Bound, Output, Server, Timer, Unbound};
use crate::{Refusal, Seat, Traffic};
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::attribute::{
    AddressErrorCode, Attribute, Family, Lifetime, MobilityTicket, ReservationToken, XorMappedAddress,
    XorRelayedAddress,
};
use stun::{Kind, TransactionId, Writer};
use wire::{Address, Flow};

/// An Allocate that waits.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) exchange: Exchange,
    pub(crate) user: Address,
    /// Its place among the allocations; `None` while that is still with a reserved port.
    pub(crate) seat: Option<Seat>,
    /// The place of a neighbour that is to be reserved.
    pub(crate) neighbour: Option<Seat>,
    pub(crate) relaying: Relaying,
    /// Whether it gets a ticket.
    pub(crate) mobile: bool,
    pub(crate) lifetime: Duration,
    /// The socket that is sought now.
    pub(crate) seeking: Seeking,
    /// What is to be sought after it, for the second family of a dual allocation.
    pub(crate) second: Option<Seeking>,
    /// The relay of the first of two families.
    pub(crate) found: Option<Bound>,
    /// One of two families that is not to be had.
    pub(crate) missing: Option<Box<Missing>>,
    /// Whether a second family was asked for, and that as clients did before RFC 8656.
    pub(crate) is_old: bool,
}

/// The search for one socket.
#[derive(Clone, Debug)]
pub(crate) struct Seeking {
    /// Where it is bound.
    pub(crate) bind: IpAddr,
    /// Where else it may be bound, once every port there is taken.
    pub(crate) others: Vec<IpAddr>,
    /// The ports not tried yet.
    pub(crate) ports: Ports,
    /// Whether only even ports will do.
    pub(crate) is_even: bool,
    /// Whether the next higher port is to be kept as well.
    pub(crate) pair: bool,
    /// The even port of a pair, while its neighbour is tried.
    pub(crate) even: Option<Bound>,
}

impl Seeking {
    /// Of a port that is kept already.
    pub(crate) fn reserved(at: IpAddr) -> Self {
        Self { bind: at, others: Vec::new(), ports: Ports::only(0), is_even: false, pair: false, even: None }
    }
}

impl Opening {
    pub(crate) fn flow(&self) -> Flow {
        self.exchange.client.flow
    }
}

impl Server {
    /// Whether a client's Allocate waits: what it sends again meanwhile is a retransmission.
    pub(crate) fn is_opening(&self, flow: Flow) -> bool {
        self.opening_of.contains_key(&flow)
    }

    /// Tries the next port.
    pub(crate) fn open_next(&mut self, now: Instant, ask: Ask) {
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        match opening.seeking.ports.next() {
            Some(port) => {
                let local = SocketAddr::new(opening.seeking.bind, port);
                let relaying = opening.relaying;
                self.open_socket(relaying, ask, local);
            }
            None => self.open_elsewhere(now, ask),
        }
    }

    /// Every port at one address is taken: on to the next address.
    fn open_elsewhere(&mut self, now: Instant, ask: Ask) {
        self.let_go_of_even(ask);
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        let Some(bind) = opening.seeking.others.pop() else { return self.not_found(now, ask) };
        let range = &self.config.ports;
        let is_even = opening.seeking.is_even;
        let ports = if is_even { Ports::even } else { Ports::any }(range, &mut self.entropy);
        (opening.seeking.bind, opening.seeking.ports) = (bind, ports);
        self.open_next(now, ask);
    }

    /// A socket is bound, or not.
    pub(crate) fn opened(&mut self, now: Instant, ask: Ask, result: Result<Bound, Unbound>) {
        match result {
            Ok(bound) => self.bound(now, ask, bound),
            Err(Unbound::InUse) => self.in_use(now, ask),
            Err(Unbound::Failed) => self.open_elsewhere(now, ask),
        }
    }

    fn bound(&mut self, now: Instant, ask: Ask, bound: Bound) {
        let Some(opening) = self.openings.get_mut(&ask) else {
            // Its client has gone meanwhile.
            return self.output(Output::CloseRelay(bound.socket));
        };
        match opening.seeking.even.take() {
            None if opening.seeking.pair => self.open_neighbour(ask, bound),
            None => self.found(now, ask, bound),
            Some(even) => self.complete(now, ask, even, Some(bound)),
        }
    }

    fn open_neighbour(&mut self, ask: Ask, even: Bound) {
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        opening.seeking.even = Some(even);
        let mut local = even.local;
        local.set_port(even.local.port().saturating_add(1));
        self.output(Output::OpenRelay { ask, local });
    }

    fn in_use(&mut self, now: Instant, ask: Ask) {
        self.let_go_of_even(ask);
        self.open_next(now, ask);
    }

    /// The neighbour of an even port is not to be had.
    fn let_go_of_even(&mut self, ask: Ask) {
        if let Some(even) = self.openings.get_mut(&ask).and_then(|opening| opening.seeking.even.take()) {
            self.output(Output::CloseRelay(even.socket));
        }
    }

    /// The worker that kept a port has let it go.
    pub(crate) fn claimed(&mut self, now: Instant, ask: Ask, granted: Option<Granted>) {
        match (self.openings.get_mut(&ask), granted) {
            (Some(opening), Some(Granted { local, seat })) => {
                opening.seat = Some(seat);
                (opening.seeking.bind, opening.seeking.ports) = (local.ip(), Ports::only(local.port()));
                self.open_next(now, ask);
            }
            _ => self.fail(ask),
        }
    }

    /// The socket of one family is there: on to the second, or done.
    fn found(&mut self, now: Instant, ask: Ask, bound: Bound) {
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        match (opening.found, opening.second.take()) {
            (None, Some(second)) => {
                (opening.found, opening.seeking) = (Some(bound), second);
                self.open_next(now, ask);
            }
            _ => self.complete(now, ask, bound, None),
        }
    }

    /// No socket of one family is to be had: on to the second, or done with the first, or 508
    /// (RFC 8656 §7.2: one of two is a success with ADDRESS-ERROR-CODE).
    fn not_found(&mut self, now: Instant, ask: Ask) {
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        let family = Family::of_ip(opening.seeking.bind);
        let missing = Missing { family, refusal: Refusal::InsufficientCapacity, is_old: opening.is_old };
        match (opening.found, opening.second.take()) {
            (None, Some(second)) => {
                (opening.missing, opening.seeking) = (Some(Box::new(missing)), second);
                self.open_next(now, ask);
            }
            (Some(first), _) => {
                opening.missing = Some(Box::new(missing));
                opening.found = None;
                self.complete(now, ask, first, None);
            }
            (None, None) => self.fail(ask),
        }
    }

    /// No relay is to be had: 508, or where else to go.
    pub(crate) fn fail(&mut self, ask: Ask) {
        if let Some(opening) = self.end_opening(ask) {
            let refusal = self.elsewhere(opening.exchange.client, Refusal::InsufficientCapacity);
            self.tally.refuse(&refusal);
            let buffer = self.buffer();
            self.send(opening.flow(), opening.exchange.error(buffer, &refusal, None));
        }
    }

    /// The client has gone.
    pub(crate) fn give_up(&mut self, ask: Ask) {
        self.end_opening(ask);
    }

    fn end_opening(&mut self, ask: Ask) -> Option<Opening> {
        self.timers.cancel(Timer::Opening(ask));
        let mut opening = self.openings.remove(&ask)?;
        self.opening_of.remove(&opening.flow());
        for bound in [opening.seeking.even.take(), opening.found.take()].into_iter().flatten() {
            self.output(Output::CloseRelay(bound.socket));
        }
        Some(opening)
    }

    /// The last relay is there, and perhaps a neighbour that is kept for later.
    fn complete(&mut self, now: Instant, ask: Ask, last: Bound, neighbour: Option<Bound>) {
        self.timers.cancel(Timer::Opening(ask));
        let Some(opening) = self.openings.remove(&ask) else { return };
        self.opening_of.remove(&opening.flow());
        let seat = opening.seat.expect("taken before the socket was sought, or granted with the port");
        let token = neighbour.zip(opening.neighbour).map(|(Bound { socket, local }, seat)| {
            self.reserve(now, Reserved { socket, local, user: opening.user.clone(), seat })
        });
        let until = now + opening.lifetime;
        let last = self.relay(last, until);
        let first = opening.found.map(|found| self.relay(found, until));
        let allocation = Allocation {
            id: self.next_session(),
            client: opening.exchange.client,
            user: opening.user,
            seat,
            relaying: opening.relaying,
            relay: first.unwrap_or(last),
            second: first.map(|_| Box::new(last)),
            began: now,
            transaction: opening.exchange.transaction,
            token,
            missing: opening.missing,
            session: opening.exchange.session().map(Box::new),
            permissions: Permissions::default(),
            channels: Channels::default(),
            traffic: Traffic::default(),
            pacing: None,
            offered: FxHashMap::default(),
            mobility: None,
            counted: Traffic::default(),
        };
        self.note_relays(&allocation, true);
        self.output(Output::Began(allocation.session()));
        let slot = self.allocations.insert(allocation);
        self.timers.set(Timer::Allocation(slot), until);
        if opening.mobile {
            self.give_ticket(now, slot);
        }
        self.granted(&opening.exchange, opening.lifetime);
    }

    fn relay(&self, bound: Bound, expires: Instant) -> Relay {
        let Bound { socket, local } = bound;
        let relayed = SocketAddr::new(self.config.relays.advertised(local.ip()), local.port());
        Relay { socket, local, relayed, expires }
    }

    /// Keeps a port for a later Allocate.
    fn reserve(&mut self, now: Instant, reserved: Reserved) -> ReservationToken {
        let (token, until) = self.reservations.keep(now, self.me, reserved, &mut self.entropy);
        self.timers.set(Timer::Reservation(token), until);
        token
    }

    /// Answers an Allocate from the allocation that the client has (RFC 8656 §7.2, success response).
    pub(crate) fn granted(&mut self, exchange: &Exchange, lifetime: Duration) {
        let buffer = self.buffer();
        let flow = exchange.client.flow;
        let Some(allocation) = self.allocations.of_client(flow) else { return };
        let ticket = allocation.ticket();
        let bytes = exchange.success(buffer, |writer| {
            let writer = allocation
                .relays()
                .fold(writer, |writer, relay| writer.with(&XorRelayedAddress(relay.relayed)))
                .with(&Lifetime(seconds(lifetime)))
                .maybe(allocation.token.as_ref())
                .maybe(ticket.as_ref().map(|text| MobilityTicket(text)).as_ref())
                .with(&XorMappedAddress(exchange.client.peer));
            match &allocation.missing {
                Some(missing) => tell_missing(writer, missing),
                None => writer,
            }
        });
        self.send(flow, bytes);
    }
}

/// ADDRESS-ERROR-CODE, under the number that the client knows.
fn tell_missing<'b>(writer: Writer<'b>, missing: &Missing) -> Writer<'b> {
    let Missing { family, refusal, is_old } = missing;
    let code = AddressErrorCode { family: *family, code: refusal.code(), reason: refusal.reason() };
    if !is_old {
        return writer.with(&code);
    }
    let mut value = Vec::new();
    code.write(TransactionId([0; 12]), &mut value);
    writer.raw(Kind::DRAFT_ADDRESS_ERROR_CODE, &value)
}

/// A lifetime as LIFETIME carries it.
pub(crate) fn seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}
