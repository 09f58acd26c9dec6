//! An Allocate that has passed every check and waits for its socket (RFC 8656 §7.2): ports are tried until one is free,
//! with EVEN-PORT's R bit two neighbours.

use crate::allocation::Allocation;
use crate::channel::Channels;
use crate::exchange::Exchange;
use crate::permission::Permissions;
use crate::ports::Ports;
use crate::reservation::Reserved;
use crate::server::{Ask, Bound, Output, Server, Timer, Unbound};
use crate::{Refusal, Traffic};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::attribute::{
    AddressErrorCode, Family, Lifetime, ReservationToken, XorMappedAddress, XorRelayedAddress,
};
use wire::{Address, Flow};

/// An Allocate that waits.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) exchange: Exchange,
    pub(crate) user: Address,
    pub(crate) lifetime: Duration,
    /// Where its socket is bound.
    pub(crate) bind: IpAddr,
    /// The ports not tried yet.
    pub(crate) ports: Ports,
    /// Whether the next higher port is to be kept as well.
    pub(crate) pair: bool,
    /// The even port of a pair, while its neighbour is tried.
    pub(crate) first: Option<Bound>,
    /// A second family that was asked for and is not to be had.
    pub(crate) missing: Option<Family>,
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
    pub(crate) fn open_next(&mut self, ask: Ask) {
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        match opening.ports.next() {
            Some(port) => {
                let local = SocketAddr::new(opening.bind, port);
                self.output(Output::OpenRelay { ask, local });
            }
            None => self.fail(ask),
        }
    }

    /// A socket is bound, or not.
    pub(crate) fn opened(&mut self, now: Instant, ask: Ask, result: Result<Bound, Unbound>) {
        match result {
            Ok(bound) => self.bound(now, ask, bound),
            Err(Unbound::InUse) => self.in_use(ask),
            Err(Unbound::Failed) => self.fail(ask),
        }
    }

    fn bound(&mut self, now: Instant, ask: Ask, bound: Bound) {
        let Some(opening) = self.openings.get_mut(&ask) else {
            // Its client has gone meanwhile.
            return self.output(Output::CloseRelay(bound.socket));
        };
        match opening.first {
            None if opening.pair => self.open_neighbour(ask, bound),
            None => self.complete(now, ask, bound, None),
            Some(first) => self.complete(now, ask, first, Some(bound)),
        }
    }

    fn open_neighbour(&mut self, ask: Ask, first: Bound) {
        let Some(opening) = self.openings.get_mut(&ask) else { return };
        opening.first = Some(first);
        let mut local = first.local;
        local.set_port(first.local.port().saturating_add(1));
        self.output(Output::OpenRelay { ask, local });
    }

    fn in_use(&mut self, ask: Ask) {
        if let Some(first) = self.openings.get_mut(&ask).and_then(|opening| opening.first.take()) {
            self.output(Output::CloseRelay(first.socket));
        }
        self.open_next(ask);
    }

    /// The worker that kept a port has let it go.
    pub(crate) fn claimed(&mut self, ask: Ask, local: Option<SocketAddr>) {
        match (self.openings.get_mut(&ask), local) {
            (Some(opening), Some(local)) => {
                (opening.bind, opening.ports) = (local.ip(), Ports::only(local.port()));
                self.open_next(ask);
            }
            _ => self.fail(ask),
        }
    }

    /// No socket is to be had: 508.
    pub(crate) fn fail(&mut self, ask: Ask) {
        if let Some(opening) = self.end_opening(ask) {
            let refusal = Refusal::InsufficientCapacity;
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
        if let Some(first) = opening.first.take() {
            self.output(Output::CloseRelay(first.socket));
        }
        Some(opening)
    }

    /// The relay is there, and a neighbour that is kept for later.
    fn complete(&mut self, now: Instant, ask: Ask, relay: Bound, neighbour: Option<Bound>) {
        self.timers.cancel(Timer::Opening(ask));
        let Some(opening) = self.openings.remove(&ask) else { return };
        self.opening_of.remove(&opening.flow());
        let token = neighbour.map(|neighbour| self.reserve(now, neighbour, opening.user.clone()));
        let relayed = SocketAddr::new(self.config.relays.advertised(relay.local.ip()), relay.local.port());
        let allocation = Allocation {
            client: opening.exchange.client,
            user: opening.user,
            socket: relay.socket,
            relayed,
            expires: now + opening.lifetime,
            transaction: opening.exchange.transaction,
            token,
            missing: opening.missing,
            permissions: Permissions::default(),
            channels: Channels::default(),
            traffic: Traffic::default(),
        };
        self.output(Output::Began(allocation.session()));
        let slot = self.allocations.insert(allocation);
        self.timers.set(Timer::Allocation(slot), now + opening.lifetime);
        self.granted(&opening.exchange, opening.lifetime);
    }

    /// Keeps a port for a later Allocate.
    fn reserve(&mut self, now: Instant, neighbour: Bound, user: Address) -> ReservationToken {
        let reserved = Reserved { socket: neighbour.socket, local: neighbour.local, user };
        let (token, until) = self.reservations.keep(now, self.me, reserved, &mut self.entropy);
        self.timers.set(Timer::Reservation(token), until);
        token
    }

    /// Answers an Allocate from the allocation that the client has (RFC 8656 §7.2, success response).
    pub(crate) fn granted(&mut self, exchange: &Exchange, lifetime: Duration) {
        let buffer = self.buffer();
        let flow = exchange.client.flow;
        let Some(allocation) = self.allocations.of_client(flow) else { return };
        let missing = allocation.missing.map(|family| {
            let refusal = Refusal::AddressFamilyNotSupported;
            AddressErrorCode { family, code: refusal.code(), reason: refusal.reason() }
        });
        let bytes = exchange.success(buffer, |writer| {
            writer
                .with(&XorRelayedAddress(allocation.relayed))
                .with(&Lifetime(seconds(lifetime)))
                .maybe(allocation.token.as_ref())
                .with(&XorMappedAddress(exchange.client.peer))
                .maybe(missing.as_ref())
        });
        self.send(flow, bytes);
    }
}

/// A lifetime as LIFETIME carries it.
pub(crate) fn seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}
