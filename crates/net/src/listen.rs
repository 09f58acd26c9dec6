//! Listeners: what the product asks for, and binding all of it before anything runs.

use crate::{Limits, Tag};
use std::io;
use std::net::SocketAddr;
use wire::{SocketId, Transport};

/// One listener that the product asks for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What an error calls it, for instance `sip.udp ":5060"`.
    pub name: String,
    /// The product's mark: sockets and connections of this listener carry it.
    pub tag: Tag,
    /// What is spoken there.
    pub kind: Kind,
    /// Where.
    pub at: Endpoint,
}

/// What a listener takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Datagrams.
    Udp,
    /// Plain streams. Where one starts TLS in mid-stream, `alpn` is offered; a client that names none is accepted.
    Tcp {
        /// Application protocols, the preferred one first; empty = none is negotiated.
        alpn: Vec<Vec<u8>>,
    },
    /// Streams inside TLS from the first byte on.
    Tls {
        /// As for [`Kind::Tcp`].
        alpn: Vec<Vec<u8>>,
    },
}

/// Where a listener binds. Port 0 = one that is free, the same for both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Every address of this host, IPv4 and IPv6 by a socket each (IPv4 alone where the host has no IPv6).
    Every(u16),
    /// One address.
    At(SocketAddr),
}

/// A listener as it was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The number of the [`Spec`] among those given to [`listen`].
    pub spec: usize,
    /// Its mark.
    pub tag: Tag,
    /// What is spoken there.
    pub transport: Transport,
    /// Its address, with the real port.
    pub address: SocketAddr,
    /// The number of the socket; of datagram listeners only.
    pub socket: Option<SocketId>,
}

/// A listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {name} ({address}): {}", cause(source))]
pub struct ListenError {
    /// The number of the spec.
    pub spec: usize,
    /// Its name.
    pub name: String,
    /// The address that was tried.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address in use".into(),
        io::ErrorKind::AddrNotAvailable => "not an address of this host".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Everything bound, for all workers; hand it to [`run`](crate::run). Dropping it closes everything.
#[derive(Debug)]
pub struct Listeners {
    bound: Vec<Bound>,
}

impl Listeners {
    /// What is bound where.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }
}

/// Binds every listener once for each of `workers`: all of them or, on the first error, none.
///
/// # Errors
/// Names the listener that cannot be bound and why; a port that any other process listens on is "address in use".
pub fn listen(_specs: &[Spec], _workers: u16, _limits: &Limits) -> Result<Listeners, ListenError> {
    unimplemented!()
}
