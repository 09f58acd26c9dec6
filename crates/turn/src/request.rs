//! Requests: is it one, whose is it, does it say anything unknown, and who handles it (RFC 8489 §6.3.1, RFC 8656 §5).

mod allocate;
mod binding;
mod channel_bind;
mod create_permission;
mod discovery;
mod refresh;

use crate::exchange::{Challenge, Exchange};
use crate::policy::Scope;
use crate::{Client, Refusal, Server};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use stun::attribute::Username;
use stun::credential::{self, Credential};
use stun::{Class, Key, Kind, Message, Method};
use wire::{Address, Directory, Domain};

/// An authenticated request.
struct Call<'a> {
    now: Instant,
    request: Message<'a>,
    exchange: Exchange,
    user: Address,
}

/// The answer to a request; `None`: it comes later, or not at all.
type Answer = Result<Option<Vec<u8>>, Refusal>;

impl Server {
    /// Takes in a message that the data path left alone. What is no request is dropped.
    pub(crate) fn message(&mut self, now: Instant, client: Client, bytes: &[u8]) {
        let Ok(request) = Message::parse(bytes) else { return };
        if request.class() != Class::Request || request.fingerprint() == Some(false) {
            return;
        }
        match request.method() {
            Method::BINDING => self.binding(client, &request),
            Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND => {
                self.authenticated(now, client, request);
            }
            _ => {}
        }
    }

    /// Lets only those in who show a credential; then sees to what must be understood; then hands over.
    fn authenticated(&mut self, now: Instant, client: Client, request: Message<'_>) {
        let mut exchange = Exchange::new(client, &request);
        let realm = self.realm(&request);
        let realm = realm.as_ref().map_or("", Domain::as_str);
        let answer = match self.authenticate(now, client, &request, realm) {
            Ok((user, credential)) => {
                exchange.signature = Some((credential.algorithm, credential.key));
                self.call(&Call { now, request, exchange, user })
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
            _ => self.channel_bind(call),
        }
    }

    /// RFC 8489 §9.2.4: whose request this is.
    fn authenticate<'a>(
        &self,
        now: Instant,
        client: Client,
        request: &Message<'a>,
        realm: &str,
    ) -> Result<(Address, Credential<'a>), Refusal> {
        let unix = self.epoch.unix(now);
        let mut user = None;
        let credential = credential::check(
            request,
            realm,
            |nonce| self.nonces.is_fresh(unix, client.peer, nonce),
            |username| {
                let (address, key) = key_of(&self.directory, realm, username)?;
                user = Some(address);
                Some(key)
            },
            &self.decoy,
        )?;
        let user = user.ok_or(Refusal::Unauthenticated)?;
        Ok((user, credential))
    }

    /// The realm of a credential: the domain of a username that names one of ours, else the first. A client that began
    /// with the first is challenged anew with its own, and comes again with that (RFC 8489 §9.2.5).
    fn realm(&self, request: &Message<'_>) -> Option<Domain> {
        let username = request.get().ok().flatten().map(|Username(name)| name);
        let named = username.and_then(|name| self.directory.domain(name.split_once('@')?.1));
        named.or(self.directory.first_domain()).cloned()
    }

    fn refuse(&mut self, now: Instant, exchange: &Exchange, refusal: &Refusal, realm: &str) {
        let buffer = self.buffer();
        let nonce = self.nonces.make(self.epoch.unix(now), exchange.client.peer);
        let challenge = Challenge { realm, nonce: nonce.as_str() };
        let bytes = exchange.error(buffer, refusal, refusal.is_challenge().then_some(challenge));
        self.send(exchange.client.flow, bytes);
    }

    /// RFC 8656 §7.2, step 11 and §8.2: how long an allocation is to live.
    fn lifetime(&self, requested: Option<u32>) -> Duration {
        let requested = Duration::from_secs(requested.unwrap_or(0).into());
        requested.min(self.config.lifetime_max).max(self.config.lifetime)
    }

    /// RFC 8656 §10.2, §12.2: whether a relay may write to a peer at all (403).
    fn scope(&self, peer: IpAddr) -> Result<Scope, Refusal> {
        self.config.peers.scope(peer).ok_or(Refusal::Forbidden)
    }
}

/// The attributes that requests may have and that must be understood. DONT-FRAGMENT in an Allocate only asks whether it is
/// offered (RFC 8656 §7.2, step 4), and it is.
fn is_known(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::USERNAME
            | Kind::REALM
            | Kind::NONCE
            | Kind::CHANNEL_NUMBER
            | Kind::LIFETIME
            | Kind::XOR_PEER_ADDRESS
            | Kind::DATA
            | Kind::DONT_FRAGMENT
            | Kind::REQUESTED_ADDRESS_FAMILY
            | Kind::EVEN_PORT
            | Kind::REQUESTED_TRANSPORT
            | Kind::RESERVATION_TOKEN
    )
}

/// The account behind a USERNAME and its key: `user` in the realm, or `user@domain`.
fn key_of(directory: &Directory, realm: &str, username: &str) -> Option<(Address, Key)> {
    let is_whole = username.contains('@');
    let address = if is_whole { username.parse().ok()? } else { Address::new(username, realm).ok()? };
    let account = directory.get(&directory.canonical(&address)?)?;
    let hash = if is_whole { account.keys.md5_whole } else { account.keys.md5 };
    Some((account.address.clone(), Key::long_term(&hash?)))
}
