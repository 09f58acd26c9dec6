//! Connect and ConnectionBind (RFC 6062 §5.2, §5.4), and what a TCP Allocate may ask for (§5.1).

use super::{Bind, Effect, Link, Sender, keeper};
use crate::allocation::{Relaying, Slot};
use crate::exchange::Exchange;
use crate::request::{Answer, Call};
use crate::server::Timer;
use crate::{Client, Refusal, Server};
use std::net::SocketAddr;
use std::time::Instant;
use stun::attribute::{Family, PeerConnection, RequestedTransport, XorPeerAddress};
use stun::credential::{Claim, Who};
use stun::{Kind, Message, Method};
use wire::{Address, ConnectionId, Flow};

/// REQUESTED-TRANSPORT: UDP, or TCP for clients on a stream, and then without what makes no sense for streams
/// (RFC 6062 §5.1: 400).
pub(crate) fn requested_transport(call: &Call<'_>) -> Result<Relaying, Refusal> {
    match call.request.get()?.ok_or(Refusal::BadRequest)? {
        RequestedTransport::UDP => Ok(Relaying::Udp),
        RequestedTransport::TCP => {
            let unfit = [Kind::DONT_FRAGMENT, Kind::EVEN_PORT, Kind::RESERVATION_TOKEN];
            let fits = unfit.iter().all(|kind| call.request.raw(*kind).is_none());
            let is_stream = call.exchange.client.transport.is_stream();
            if is_stream && fits { Ok(Relaying::Tcp) } else { Err(Refusal::BadRequest) }
        }
        _ => Err(Refusal::UnsupportedTransport),
    }
}

impl Server {
    /// RFC 6062 §5.2. The peer has to be one that relays may write to before anything is sent to it.
    pub(crate) fn connect(&mut self, call: &Call<'_>) -> Answer {
        let slot = self.own_allocation(call)?;
        self.relays_streams(slot)?;
        let XorPeerAddress(peer) = call.request.get()?.ok_or(Refusal::BadRequest)?;
        self.of_relay_family(slot, [peer.ip()].into_iter())?;
        let scope = self.peer_scope(peer)?;
        if !self.may_be_reached(Relaying::Tcp, peer) {
            return Err(Refusal::Forbidden);
        }
        if self.links.has(slot, peer) {
            return Err(Refusal::ConnectionAlreadyExists);
        }
        if !self.has_link_room(slot) {
            return Err(Refusal::InsufficientCapacity);
        }
        let relay = self.allocations.get(slot).and_then(|one| one.of_family(Family::of_ip(peer.ip())));
        let local = relay.ok_or(Refusal::PeerAddressFamilyMismatch)?.local;
        let link =
            Link { slot, peer, is_outward: true, asked: Some(call.exchange), conn: None, client: None };
        let id = self.links.add(self.me, &mut self.entropy, link);
        // Another relay of ours: the kernel knows bound addresses only.
        let ip = if scope.is_ours() { self.config.relays.bound(peer.ip()) } else { peer.ip() };
        self.effect(Effect::Connect { id, local, to: SocketAddr::new(ip, peer.port()) });
        Ok(None)
    }

    /// The allocation relays streams; of another one neither Connect nor ConnectionBind makes sense (403).
    fn relays_streams(&mut self, slot: Slot) -> Result<(), Refusal> {
        let relaying = self.allocations.get(slot).map(|allocation| allocation.relaying);
        if relaying == Some(Relaying::Tcp) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// The peer has not accepted: 447.
    pub(super) fn refused(&mut self, conn: ConnectionId) {
        let Some(&(id, _)) = self.links.by_conn.get(&conn) else { return };
        let Some(exchange) = self.links.remove(id).and_then(|link| link.asked) else { return };
        self.tally.refuse(&Refusal::ConnectionTimeoutOrFailure);
        let buffer = self.buffer();
        let bytes = exchange.error(buffer, &Refusal::ConnectionTimeoutOrFailure, None);
        self.send(exchange.client.flow, bytes);
    }

    /// RFC 6062 §5.4. The client's connection goes to the worker that keeps the peer's.
    pub(crate) fn connection_bind(&mut self, call: &Call<'_>) -> Answer {
        let client = call.exchange.client;
        let (Flow::Stream(conn), true) = (client.flow, client.transport.is_stream()) else {
            return Err(Refusal::BadRequest);
        };
        let id: PeerConnection = call.request.get()?.ok_or(Refusal::BadRequest)?;
        if self.is_allocated(client.flow) || self.is_opening(client.flow) {
            return Err(Refusal::BadRequest);
        }
        let user = &call.user;
        if keeper(id) == self.me {
            return self.bind_here(conn, id, &call.exchange, user);
        }
        let bind = Bind { exchange: call.exchange, sender: Sender::User(user.clone()), id };
        self.effect(Effect::Move { conn, to: keeper(id), bind: Box::new(bind) });
        Ok(None)
    }

    /// Joins a client's connection with a peer's that waits for it, of the same account's.
    fn bind_here(
        &mut self,
        conn: ConnectionId,
        id: PeerConnection,
        exchange: &Exchange,
        user: &Address,
    ) -> Answer {
        let link = self.links.by_id.get(&id).ok_or(Refusal::BadRequest)?;
        let (Some(peer), None, None) = (link.conn, link.client, &link.asked) else {
            return Err(Refusal::BadRequest);
        };
        let allocation = self.allocations.get(link.slot).ok_or(Refusal::BadRequest)?;
        if allocation.user != *user || !allocation.is_of(exchange) {
            return Err(Refusal::WrongCredentials);
        }
        if let Some(link) = self.links.by_id.get_mut(&id) {
            link.client = Some(conn);
        }
        self.links.by_conn.insert(conn, (id, super::Side::Client));
        self.timers.cancel(Timer::Link(id));
        // The answer goes in front of the peer's bytes.
        let buffer = self.buffer();
        let bytes = exchange.success(buffer, |writer| writer.with(&id));
        self.send(Flow::Stream(conn), bytes);
        self.effect(Effect::Join { client: conn, peer });
        Ok(None)
    }

    /// A client's connection came from another worker.
    pub(super) fn came(&mut self, now: Instant, conn: ConnectionId, bind: Bind) {
        let Bind { exchange, sender, id } = bind;
        let user = match sender {
            Sender::User(user) => user,
            Sender::Unproven(request) => {
                let client = Client { flow: Flow::Stream(conn), ..exchange.client };
                return self.message(now, client, &request);
            }
        };
        if let Err(refusal) = self.bind_here(conn, id, &exchange, &user) {
            self.tally.refuse(&refusal);
            let buffer = self.buffer();
            let bytes = exchange.error(buffer, &refusal, None);
            self.send(Flow::Stream(conn), bytes);
        }
    }

    /// Whether a ConnectionBind comes from somebody with an access token and is for another worker, where its key is:
    /// then it goes there as it is (RFC 7635 §4.2).
    pub(crate) fn is_sent_on(&mut self, exchange: &Exchange, request: &Message<'_>) -> bool {
        let Flow::Stream(conn) = exchange.client.flow else { return false };
        let Ok(Some(id)) = request.get::<PeerConnection>() else { return false };
        let is_free = !self.is_allocated(exchange.client.flow) && !self.is_opening(exchange.client.flow);
        let is_for_another = request.method() == Method::CONNECTION_BIND && keeper(id) != self.me;
        if is_free && is_for_another && self.is_signed_by_session(request) {
            let sender = Sender::Unproven(request.bytes().into());
            let bind = Box::new(Bind { exchange: *exchange, sender, id });
            self.effect(Effect::Move { conn, to: keeper(id), bind });
            return true;
        }
        false
    }

    /// Whether the key may be one that an earlier access token brought.
    fn is_signed_by_session(&self, request: &Message<'_>) -> bool {
        let Ok(Claim { who: Who::Name(kid), token: None, .. }) = Claim::read(request) else { return false };
        self.config.credentials.tokens.as_ref().is_some_and(|tokens| tokens.knows(kid))
    }

    /// There is no worker of this number (400), or none that takes it now: then the client may try again (508).
    pub(super) fn stayed(&mut self, bind: &Bind) {
        self.tally.refuse(&Refusal::InsufficientCapacity);
        let buffer = self.buffer();
        let bytes = bind.exchange.error(buffer, &Refusal::InsufficientCapacity, None);
        self.send(bind.exchange.client.flow, bytes);
    }

    /// Channels are for datagrams: 403.
    pub(crate) fn relays_datagrams(&mut self, slot: Slot) -> Result<(), Refusal> {
        let relaying = self.allocations.get(slot).map(|allocation| allocation.relaying);
        if relaying == Some(Relaying::Udp) { Ok(()) } else { Err(Refusal::Forbidden) }
    }
}
