//! Net as a service sees it: real sockets on loopback, workers as they run in the product, clients from the standard library.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic, and may wait")]

mod datagrams;
mod dtls;
mod fragments;
mod halves;
mod listeners;
mod migration;
mod names;
mod proxies;
mod relays;
mod reload;
mod shared;
mod shared_ports;
mod streams;
mod support;
mod tls;
mod web;
