//! `parlour dns` through the real binary, judged by real name servers; and certificates of our own authority.

#![expect(clippy::disallowed_types, reason = "a test is a name server with a socket of its own")]

mod acme;
mod certificate;
mod check;
mod command;
mod conformance;
mod host;
mod provider;
mod push;
mod zone;
