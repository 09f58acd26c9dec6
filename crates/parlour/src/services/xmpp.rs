//! XMPP on one worker.

use crate::desk::{Desk, Shared};
use crate::report::Report;
use crate::services::Service;
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Tag};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{ConnectionId, Epoch, SocketId};

/// Between the XMPP services of two workers, or the store's answer to one.
#[derive(Debug)]
pub enum Mail {}

/// XMPP on one worker.
#[derive(Debug)]
pub struct Xmpp {}

impl Xmpp {
    /// A service with nothing under way.
    pub fn new(_shared: &Shared, _now: Instant, _epoch: Epoch) -> Self {
        Self {}
    }

    /// Mail for this service.
    pub fn mail(&mut self, _desk: &mut Desk<'_, '_>, mail: Mail) {
        match mail {}
    }

    /// A connection has moved here, with the stream that goes on in it.
    pub fn adopted(
        &mut self,
        _desk: &mut Desk<'_, '_>,
        _conn: ConnectionId,
        _info: &ConnectionInfo,
        baggage: Mail,
    ) {
        match baggage {}
    }

    /// How many sessions an address at home here has.
    pub fn sessions(&self, _address: &wire::Address) -> usize {
        0
    }
}

impl Service for Xmpp {
    fn datagrams(&mut self, _desk: &mut Desk<'_, '_>, _socket: SocketId, _batch: &mut Batch<'_>) {}
    fn unreachable(
        &mut self,
        _desk: &mut Desk<'_, '_>,
        _socket: SocketId,
        _peer: SocketAddr,
        _error: IcmpError,
    ) {
    }
    fn opened(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, _info: &ConnectionInfo) {}
    fn refused(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, _tag: Tag, _error: &io::Error) {}
    fn secured(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, _info: &ConnectionInfo) {}
    fn received(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, data: &[u8]) -> usize {
        data.len()
    }
    fn closed(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, _reason: CloseReason) {}
    fn refresh(&mut self, _desk: &mut Desk<'_, '_>) {}
    fn drain(&mut self, _desk: &mut Desk<'_, '_>, _until: Instant) {}
    fn drained(&self) -> bool {
        true
    }
    fn tick(&mut self, _desk: &mut Desk<'_, '_>) {}
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn report(&self, _report: &mut Report) {}
}
