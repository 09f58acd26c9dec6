//! Ports kept for a later Allocate (RFC 8656 §7.2, EVEN-PORT with its R bit). The token says which worker keeps the port,
//! as the later Allocate comes from another client port and so may reach another worker.

use crate::config::RESERVATION;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;
use stun::attribute::ReservationToken;
use wire::{Address, Entropy, SocketId, WorkerId};

/// A bound socket that waits for its allocation.
#[derive(Clone, Debug)]
pub(crate) struct Reserved {
    pub(crate) socket: SocketId,
    pub(crate) local: SocketAddr,
    pub(crate) user: Address,
}

/// The ports kept; they count among the allocations of the account and of the server, whose limits bound them.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    by_token: BTreeMap<ReservationToken, Reserved>,
    by_user: FxHashMap<Address, usize>,
}

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
        *self.by_user.entry(reserved.user.clone()).or_default() += 1;
        self.by_token.insert(ReservationToken(token), reserved);
        (ReservationToken(token), now + RESERVATION)
    }

    /// Takes a port out, for the account that had it reserved.
    pub(crate) fn take(&mut self, token: ReservationToken, user: &Address) -> Option<Reserved> {
        self.by_token.get(&token).filter(|reserved| reserved.user == *user)?;
        self.expire(token)
    }

    /// Takes a port out as nobody came for it.
    pub(crate) fn expire(&mut self, token: ReservationToken) -> Option<Reserved> {
        let reserved = self.by_token.remove(&token)?;
        if let Some(count) = self.by_user.get_mut(&reserved.user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(&reserved.user);
            }
        }
        Some(reserved)
    }

    /// How many are kept for an account.
    pub(crate) fn count(&self, user: &Address) -> usize {
        self.by_user.get(user).copied().unwrap_or(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }
}

/// Which worker keeps the port of a token.
pub(crate) fn keeper(token: ReservationToken) -> WorkerId {
    WorkerId(u16::from_be_bytes([token.0[0], token.0[1]]))
}
