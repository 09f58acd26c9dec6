//! What a request without a valid credential is answered (RFC 8489 §9.2.4). Over UDP the sender's address may be
//! somebody else's, so the answer is at most twice as long as the request: a full challenge where that fits, else one as
//! before RFC 8489, for which the 28 octets of a browser's first Allocate suffice with realms of up to 12 characters.

use crate::exchange::Exchange;
use crate::server::Server;
use crate::{Client, Refusal};
use std::time::Instant;
use stun::message::padded;
use stun::nonce::{Form, NonceText};
use stun::{HEADER, Message};
use wire::{Flow, Transport};

/// What a client needs for its next try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge<'a> {
    pub(crate) realm: &'a str,
    pub(crate) nonce: NonceText,
    /// Whether PASSWORD-ALGORITHMS is told; the nonce says so as well.
    pub(crate) algorithms: bool,
    /// Whose access tokens are taken (RFC 7635).
    pub(crate) server: Option<&'a str>,
}

impl Server {
    /// How to answer a request. Strangers over UDP are not told what software this is: their answers are to be short.
    pub(crate) fn exchange(&self, client: Client, request: &Message<'_>) -> Exchange {
        let software = self.config.software.filter(|_| !is_forgeable(client));
        Exchange { software, ..Exchange::new(client, request) }
    }

    /// Answers a request that was refused.
    pub(crate) fn refuse(&mut self, now: Instant, exchange: &Exchange, refusal: &Refusal, realm: &str) {
        self.tally.refuse(refusal);
        let buffer = self.buffer();
        let bytes = if !refusal.is_challenge() {
            exchange.error(buffer, refusal, None)
        } else if is_forgeable(exchange.client) && exchange.octets < least(exchange) {
            // It leaves no room for any challenge, and no client sends it.
            exchange.error(buffer, &Refusal::BadRequest, None)
        } else {
            let challenge = self.challenge(now, exchange, realm);
            exchange.error(buffer, refusal, Some(challenge))
        };
        if exchange.signature.is_some() {
            self.send(exchange.client.flow, bytes);
        } else {
            self.answer_stranger(now, exchange, exchange.client.flow, bytes);
        }
    }

    /// Sends an answer to somebody who has shown no credential, if the source's budget allows.
    pub(crate) fn answer_stranger(&mut self, now: Instant, exchange: &Exchange, flow: Flow, bytes: Vec<u8>) {
        let Exchange { client, octets, .. } = exchange;
        let source = client.peer.ip();
        let is_admitted = if is_forgeable(*client) {
            self.strangers.admit(now, source, *octets, bytes.len())
        } else {
            self.strangers.admit_proven(now, source)
        };
        if !is_admitted {
            self.tally.limited += 1;
            return self.recycle(bytes);
        }
        self.send(flow, bytes);
    }

    /// The fullest challenge that there is room for. Where there is none for the shortest, it is sent nevertheless: the
    /// source's budget for such answers is a small one.
    fn challenge<'s>(&'s self, now: Instant, exchange: &Exchange, realm: &'s str) -> Challenge<'s> {
        let server = self.config.credentials.tokens.as_ref().map(|tokens| tokens.server());
        let room = if is_forgeable(exchange.client) { 2 * exchange.octets } else { usize::MAX };
        let fits = |(form, server): &(Form, Option<&str>)| octets(exchange, realm, *form, *server) <= room;
        let shapes = [(Form::Full, server), (Form::Short, server), (Form::Full, None)];
        let (form, server) = shapes.into_iter().find(fits).unwrap_or((Form::Short, None));
        let nonce = self.nonces.make(self.epoch.unix(now), exchange.client.peer, form);
        Challenge { realm, nonce, algorithms: form == Form::Full, server }
    }
}

/// Whether anybody may have written the sender's address.
fn is_forgeable(client: Client) -> bool {
    client.transport == Transport::Udp
}

/// How long the shortest request is that asks for something: LIFETIME or REQUESTED-TRANSPORT alone.
fn least(exchange: &Exchange) -> usize {
    HEADER + 8 + if exchange.fingerprint { 8 } else { 0 }
}

/// How long an answer with such a challenge is.
fn octets(exchange: &Exchange, realm: &str, form: Form, server: Option<&str>) -> usize {
    let attribute = |length| 4 + padded(length);
    let code = attribute(4);
    let algorithms = if form == Form::Full { attribute(8) } else { 0 };
    let server = server.map_or(0, |server| attribute(server.len()));
    let fingerprint = if exchange.fingerprint { attribute(4) } else { 0 };
    HEADER + code + attribute(realm.len()) + attribute(form.length()) + algorithms + server + fingerprint
}
