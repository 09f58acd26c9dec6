//! How many allocations one account, one domain and all together may have. They are counted over all workers, exactly, in a
//! book that the product keeps; it is opened when an allocation or a reservation begins or ends. A packet touches it only
//! where the administrator has bounded the bandwidth of accounts.

use crate::{Direction, Refusal, Relaying};
use std::fmt;
use std::time::{Duration, Instant};
use wire::Address;

/// How many allocations there may be at a time; ports reserved for one count as one, and a relay of each family counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of one account.
    pub user: u32,
    /// Of all accounts of one domain.
    pub domain: u32,
    /// Of everybody.
    pub total: u32,
}

/// The one book that all workers share.
pub trait Ledger: Send + Sync {
    /// Takes a seat, where the account, its domain and the house have one left.
    fn take(&self, user: &Address, quota: &Quota) -> Result<Seat, Taken>;

    /// Takes note that a relay is at a port from now on, or no longer.
    fn note(&self, _relaying: Relaying, _port: u16, _is_there: bool) {}

    /// Whether a relay of any worker is at a port, as far as that was noted. What else listens at one of our ports is none
    /// of our clients' business.
    fn is_relay(&self, _relaying: Relaying, _port: u16) -> bool {
        true
    }
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The account has all it may have, or its domain has.
    Theirs,
    /// All are taken.
    All,
}

impl From<Taken> for Refusal {
    fn from(_: Taken) -> Self {
        Self::AllocationQuotaReached
    }
}

/// The right to one allocation or reserved port, given back when it is dropped.
pub type Seat = Box<dyn Place>;

/// What stands behind a seat.
pub trait Place: Send + fmt::Debug {
    /// Spends the rate of the account, over all workers, on a packet; how long it is to wait, `None` where it is to be
    /// dropped (see [`crate::pace::spend`]).
    fn spend(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Option<Duration>;

    /// Spends it on octets of a stream, which went on already and cannot be dropped, however much is spent before; how long
    /// nothing more is to go on (see [`crate::pace::charge`]).
    fn charge(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Duration;
}
