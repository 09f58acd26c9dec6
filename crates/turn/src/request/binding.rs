//! Binding (RFC 8489 §6.3.1): tells anybody their address, in as few octets as there can be.

use crate::discovery::Rectangle;
use crate::{Client, Refusal, Server};
use std::time::Instant;
use stun::attribute::XorMappedAddress;
use stun::{Kind, Message};

impl Server {
    /// Answers a Binding request; it needs no credential, and one that is there is not looked at.
    pub(super) fn binding(&mut self, now: Instant, client: Client, request: &Message<'_>) {
        self.tally.bindings += 1;
        if let Some(place) = Rectangle::place(&self.config.discovery, client.flow) {
            return self.discover(now, client, request, place);
        }
        let exchange = self.exchange(client, request);
        let unknown: Vec<Kind> = request.unknown(is_credential).collect();
        let buffer = self.buffer();
        let bytes = if unknown.is_empty() {
            exchange.success(buffer, |writer| writer.with(&XorMappedAddress(client.peer)))
        } else {
            exchange.error(buffer, &Refusal::UnknownAttributes(unknown), None)
        };
        self.answer_stranger(now, &exchange, client.flow, bytes);
    }
}

/// The attributes of a credential, which any request may have.
pub(super) fn is_credential(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::USERNAME
            | Kind::REALM
            | Kind::NONCE
            | Kind::USERHASH
            | Kind::PASSWORD_ALGORITHM
            | Kind::ACCESS_TOKEN
    )
}
