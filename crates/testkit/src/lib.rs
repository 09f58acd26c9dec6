//! What tests stand on: a seeded network with virtual time for machines without a socket (same seed, same run),
//! and the real binary on free loopback ports ([`House`]) with the programs that talk to it ([`process`]).
//!
//! Time never passes by itself: [`Simulation::run`] jumps from event to event, so an hour of timers takes
//! microseconds. Used by tests only, never by the server.

pub mod conformance;
pub mod entropy;
pub mod house;
pub mod nameserver;
pub mod netns;
pub mod network;
pub mod pebble;
pub mod process;
pub mod simulation;
pub mod spaces;
pub mod zone;

pub use entropy::Seeded;
pub use house::House;
pub use network::{Conditions, Network, Packet};
pub use simulation::{Host, Simulation};

use std::time::{Duration, Instant};

/// Some moment to start from. Everything later is reckoned from it; the real clock plays no part.
pub fn start() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

/// [`start`] with its calendar date: 2026-01-01 00:00 UTC.
pub fn epoch(start: Instant) -> wire::Epoch {
    wire::Epoch { instant: start, unix: Duration::from_secs(1_767_225_600) }
}
