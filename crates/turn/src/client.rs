//! Who sent something: the 5-tuple that an allocation belongs to (RFC 8656 §3.1), and how to answer.

use std::net::{IpAddr, SocketAddr};
use wire::{Flow, Transport};

/// A client's end of a 5-tuple. `flow` alone tells clients apart; the rest is what requests need beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The way back.
    pub flow: Flow,
    /// How its bytes travel.
    pub transport: Transport,
    /// The address of ours that it wrote to.
    pub local: IpAddr,
    /// Its address and port as we see them.
    pub peer: SocketAddr,
}
