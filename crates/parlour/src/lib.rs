//! The product: configuration, administration, and the office in which the protocol machines work.
//!
//! This is the only room that knows every other; nothing knows it. See ARCHITECTURE.md.

pub mod cli;
pub mod config;
