//! A server on a bench: this goes in, exactly that comes out. No socket, no clock.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]

mod administration;
mod algorithms;
mod allocate;
mod alternate;
mod bench;
mod beside;
mod challenge;
mod credentials;
mod discovery;
mod dual;
mod heap;
mod icmp;
mod lifetimes;
mod lossy;
mod mobility;
mod offload;
mod pace;
mod permissions;
mod places;
mod quota;
mod relay;
mod reservation;
mod strangers;
mod tcp;
mod temporary;
mod tokens;
