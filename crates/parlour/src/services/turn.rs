//! STUN and TURN on one worker.

use crate::desk::{Desk, Shared};
use crate::report::Report;
use crate::services::Service;
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Tag};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{ConnectionId, Epoch, SocketId};

/// Between the STUN and TURN services of two workers, or the store's answer to one.
#[derive(Debug)]
pub enum Mail {}

/// STUN and TURN on one worker.
#[derive(Debug)]
pub struct Turn {}

impl Turn {
    /// A service with nothing under way.
    pub fn new(_shared: &Shared, _now: Instant, _epoch: Epoch) -> Self {
        Self {}
    }

    /// Mail for this service.
    pub fn mail(&mut self, _desk: &mut Desk<'_, '_>, mail: Mail) {
        match mail {}
    }
}

impl Service for Turn {
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
