//! Ports kept for a later Allocate (RFC 8656 §7.2, EVEN-PORT with its R bit). The token says which worker keeps the port,
//! as the later Allocate comes from another client port and so may reach another worker.

use crate::Seat;
use crate::config::RESERVATION;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;
use stun::attribute::ReservationToken;
use wire::{Address, Entropy, SocketId, WorkerId};

/// A bound socket that waits for its allocation.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) socket: SocketId,
    pub(crate) local: SocketAddr,
    pub(crate) user: Address,
    pub(crate) seat: Seat,
}

/// A reserved port on its way to the worker whose client comes for it.
#[derive(Debug)]
pub struct Granted {
    /// The address, free to be bound.
    pub local: SocketAddr,
    /// Its place among the allocations.
    pub seat: Seat,
}

/// The ports kept; they count among the allocations, whose quota bounds them.
#[derive(Debug, Default)]
pub(crate) struct Reservations(BTreeMap<ReservationToken, Reserved>);

impl Reservations {
    /// Keeps a port and says under which token, and until when.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        me: WorkerId,
        reserved: Reserved,
        entropy: &mut dyn Entropy,
    ) -> (ReservationToken, Instant) {
        let mut token = [0; 8];
        entropy.fill(&mut token);
        token[..2].copy_from_slice(&me.0.to_be_bytes());
        self.0.insert(ReservationToken(token), reserved);
        (ReservationToken(token), now + RESERVATION)
    }

    /// Takes a port out, for the account that had it reserved.
    pub(crate) fn take(&mut self, token: ReservationToken, user: &Address) -> Option<Reserved> {
        self.0.get(&token).filter(|reserved| reserved.user == *user)?;
        self.expire(token)
    }

    /// Takes a port out as nobody came for it.
    pub(crate) fn expire(&mut self, token: ReservationToken) -> Option<Reserved> {
        self.0.remove(&token)
    }
}

/// Which worker keeps the port of a token.
pub(crate) fn keeper(token: ReservationToken) -> WorkerId {
    WorkerId(u16::from_be_bytes([token.0[0], token.0[1]]))
}
