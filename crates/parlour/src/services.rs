//! The services of one worker: each joins a protocol's machine with the worker's hands. They never know one another;
//! they meet in the switchboard.

pub mod media;
mod origins;
pub mod sip;
pub mod turn;
pub mod web;
pub mod xmpp;

use crate::config::plan::DomainPlan;
use crate::desk::Desk;
use crate::report::Report;
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Tag, Unwanted, WebRequest};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::names::Found;
use wire::{ConnectionId, SocketId};

/// Whether scripts of a page may connect. Only browsers say which page that is: this keeps out their scripts, nobody else.
fn is_welcome(domains: &[DomainPlan], origins: &[String], origin: Option<&str>) -> bool {
    let is_listed = |origin: &str| match origins {
        [] => origins::is_own(domains, origin),
        listed => listed.iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(origin)),
    };
    origin.is_none_or(is_listed)
}

/// Whether a script of the page that asks may open a WebSocket.
fn may_ask(domains: &[DomainPlan], origins: &[String], request: &WebRequest<'_>) -> Result<(), Unwanted> {
    is_welcome(domains, origins, request.origin).then_some(()).ok_or(Unwanted::Origin)
}

/// What the office asks of every service. The callbacks are those of [`net::Handler`], for this service's own sockets
/// and connections.
pub trait Service {
    /// Datagrams arrived.
    fn datagrams(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, batch: &mut Batch<'_>);
    /// An earlier datagram did not reach its peer.
    fn unreachable(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, peer: SocketAddr, error: IcmpError);
    /// A stream is ready.
    fn opened(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo);
    /// A stream that this service asked for could not be opened.
    fn refused(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, tag: Tag, error: &io::Error);
    /// TLS is up in mid-stream.
    fn secured(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo);
    /// Bytes of a stream; returns how many were taken.
    fn received(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize;
    /// The peer of a stream has ended its half ([`net::Net::keep_half`]).
    fn ended(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId) {}
    /// A stream has the room that was asked for ([`net::Net::await_room`]).
    fn room(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId) {}
    /// A stream is gone.
    fn closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, reason: CloseReason);
    /// What this service wanted to know of a name ([`Resolver::look_up`](crate::resolver::Resolver::look_up)).
    fn resolved(&mut self, _desk: &mut Desk<'_, '_>, _token: u64, _found: &Arc<Found>) {}
    /// The accounts or the plan have changed: `desk.shared` has the new ones.
    fn refresh(&mut self, desk: &mut Desk<'_, '_>);
    /// Take on nothing new; be done by `until`.
    fn drain(&mut self, desk: &mut Desk<'_, '_>, until: Instant);
    /// Whether nothing is left that is worth waiting for.
    fn drained(&self) -> bool;
    /// The deadline has come.
    fn tick(&mut self, desk: &mut Desk<'_, '_>);
    /// When `tick` is wanted; cheap, as it is asked after every callback.
    fn deadline(&self) -> Option<Instant>;
    /// Says how it is.
    fn report(&self, report: &mut Report);
}
