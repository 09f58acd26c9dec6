//! Requests: is it one, whose is it, does it say anything unknown, and who handles it (RFC 8489 §6.3.1, RFC 8656 §5).

mod allocate;
mod binding;
mod channel_bind;
mod create_permission;
mod discovery;
mod refresh;

use crate::allocation::Slot;
use crate::credentials::{Owner, Purpose};
use crate::exchange::Exchange;
use crate::policy::Scope;
use crate::{Client, Refusal, Server};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use stun::attribute::PeerConnection;
use stun::credential::{self, Claim, Credential, Who};
use stun::{Class, Kind, Message, Method};
use wire::{Address, Domain, Flow};

/// An authenticated request.
pub(crate) struct Call<'a> {
    pub(crate) now: Instant,
    pub(crate) request: Message<'a>,
    pub(crate) exchange: Exchange,
    pub(crate) user: Address,
}

/// The answer to a request; `None`: it comes later, or not at all.
pub(crate) type Answer = Result<Option<Vec<u8>>, Refusal>;

impl Server {
    /// Takes in a message that the data path left alone. What is no request is dropped.
    pub(crate) fn message(&mut self, now: Instant, client: Client, bytes: &[u8]) {
        let Ok(request) = Message::parse(bytes) else { return };
        if request.class() != Class::Request || request.fingerprint() == Some(false) {
            return;
        }
        match request.method() {
            Method::BINDING => self.binding(now, client, &request),
            Method::ALLOCATE
            | Method::REFRESH
            | Method::CREATE_PERMISSION
            | Method::CHANNEL_BIND
            | Method::CONNECT
            | Method::CONNECTION_BIND
                if shows_ticket(&request) || self.come(now, client.flow, bytes) =>
            {
                self.authenticated(now, client, request);
            }
            _ => {}
        }
    }

    /// Lets only those in who show a credential; then sees to what must be understood; then hands over.
    fn authenticated(&mut self, now: Instant, client: Client, request: Message<'_>) {
        let mut exchange = self.exchange(client, &request);
        if self.is_sent_on(&exchange, &request) {
            return;
        }
        let realm = self.realm(&request);
        let realm = realm.as_ref().map_or("", Domain::as_str);
        let answer = match self.authenticate(now, client, &request, realm) {
            Ok(Credential { owner, key, algorithm }) => {
                exchange.software = self.config.software;
                (exchange.signature, exchange.until) = (Some((algorithm, key)), owner.until);
                self.keep_session(&exchange);
                self.call(&Call { now, request, exchange, user: owner.user })
            }
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(Some(bytes)) => self.send(client.flow, bytes),
            Ok(None) => {}
            Err(refusal) => self.refuse(now, &exchange, &refusal, realm),
        }
    }

    fn call(&mut self, call: &Call<'_>) -> Answer {
        let unknown: Vec<Kind> = call.request.unknown(is_known).collect();
        if !unknown.is_empty() {
            return Err(Refusal::UnknownAttributes(unknown));
        }
        match call.request.method() {
            Method::ALLOCATE => self.allocate(call),
            Method::REFRESH => self.refresh(call),
            Method::CREATE_PERMISSION => self.create_permission(call),
            Method::CONNECT => self.connect(call),
            Method::CONNECTION_BIND => self.connection_bind(call),
            _ => self.channel_bind(call),
        }
    }

    /// RFC 8489 §9.2.4: whose request this is.
    fn authenticate<'r>(
        &self,
        now: Instant,
        client: Client,
        request: &Message<'r>,
        realm: &str,
    ) -> Result<Credential<Owner>, Refusal> {
        let unix = self.epoch.unix(now);
        let begins = request.method() == Method::ALLOCATE;
        let purpose = Purpose { unix, begins, place: self.place(client.flow, request) };
        let candidates = |claim: Claim<'r>| self.candidates(purpose, claim);
        let is_fresh = |nonce: &str| self.nonces.is_fresh(unix, client.peer, nonce);
        Ok(credential::check(request, realm, candidates, is_fresh, &self.decoy)?)
    }

    /// The allocation that a request is about: that of its 5-tuple, or the one that it binds a connection of.
    fn place(&self, flow: Flow, request: &Message<'_>) -> Option<Slot> {
        let bound = || match request.get::<PeerConnection>() {
            Ok(Some(id)) if request.method() == Method::CONNECTION_BIND => self.links.slot(id),
            _ => None,
        };
        self.allocations.find(flow).or_else(bound)
    }

    /// The realm of a credential: the domain of a username that names one of ours, else the first. A client that began
    /// with the first is challenged anew with its own, and comes again with that (RFC 8489 §9.2.5).
    fn realm(&self, request: &Message<'_>) -> Option<Domain> {
        let named = match Claim::who(request) {
            Ok(Who::Name(name)) => name.split_once('@').and_then(|(_, domain)| self.directory.domain(domain)),
            Ok(Who::Hash(hash)) => {
                let account = self.directory.hashed(&hash.0);
                account.and_then(|(account, _)| self.directory.domain(account.address.domain()))
            }
            Err(_) => None,
        };
        named.or(self.directory.first_domain()).cloned()
    }

    /// What an access token brought is kept with the allocation: further requests come without it (RFC 7635 §4.2).
    fn keep_session(&mut self, exchange: &Exchange) {
        let Some(session) = exchange.session() else { return };
        let allocation = self.allocations.of_client(exchange.client.flow);
        if let Some(kept) = allocation.and_then(|allocation| allocation.session.as_deref_mut()) {
            *kept = session;
        }
    }

    /// RFC 8656 §7.2, step 11 and §8.2: how long an allocation is to live.
    pub(crate) fn lifetime(&self, call: &Call<'_>, requested: Option<u32>) -> Duration {
        let requested = Duration::from_secs(requested.unwrap_or(0).into());
        let granted = requested.min(self.config.lifetime_max).max(self.config.lifetime);
        match call.exchange.until {
            None => granted,
            // No longer than the access token (RFC 7635 §4.2).
            Some(until) => granted.min(until.saturating_sub(self.epoch.unix(call.now))),
        }
    }

    /// RFC 8656 §10.2, §12.2: whether a relay may write to a peer at all (403).
    fn scope(&self, peer: IpAddr) -> Result<Scope, Refusal> {
        self.config.peers.scope(peer).ok_or(Refusal::Forbidden)
    }
}

/// Whether it is a client's announcement of another 5-tuple (RFC 8016 §3.2.1).
fn shows_ticket(request: &Message<'_>) -> bool {
    request.method() == Method::REFRESH && request.raw(Kind::MOBILITY_TICKET).is_some()
}

/// The attributes that requests may have and that must be understood. DONT-FRAGMENT in an Allocate only asks whether it is
/// offered (RFC 8656 §7.2, step 4), and it is.
fn is_known(kind: Kind) -> bool {
    let is_of_turn = matches!(
        kind,
        Kind::CHANNEL_NUMBER
            | Kind::CONNECTION_ID
            | Kind::LIFETIME
            | Kind::XOR_PEER_ADDRESS
            | Kind::DATA
            | Kind::DONT_FRAGMENT
            | Kind::REQUESTED_ADDRESS_FAMILY
            | Kind::EVEN_PORT
            | Kind::REQUESTED_TRANSPORT
            | Kind::RESERVATION_TOKEN
    );
    is_of_turn || binding::is_credential(kind)
}
