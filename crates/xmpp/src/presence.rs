//! Presence (RFC 6121 §3, §4): who sees whom, and when.

pub(crate) mod broadcast;
mod probe;
mod subscribe;
pub mod subscription;
