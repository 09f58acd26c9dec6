//! Configuration in two steps: what was typed ([`file`]) and what it means ([`plan`]).
//!
//! Only `plan` declares a configuration valid, and nothing binds, opens or starts before it did.

pub mod plan;

pub use plan::Plan;
