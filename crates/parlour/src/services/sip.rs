//! SIP on one worker.

use crate::desk::{Desk, Shared};
use crate::report::Report;
use crate::services::Service;
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Tag};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{ConnectionId, Epoch, SocketId};

/// A place where an address of record is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {}

/// Between the SIP services of two workers, or the store's answer to one.
#[derive(Debug)]
pub enum Mail {}

/// SIP on one worker.
#[derive(Debug)]
pub struct Sip {}

impl Sip {
    /// A service with the bindings that were kept for the addresses at home here.
    pub fn new(_shared: &Shared, _now: Instant, _epoch: Epoch, _kept: crate::office::Kept) -> Self {
        Self {}
    }

    /// Mail for this service.
    pub fn mail(&mut self, _desk: &mut Desk<'_, '_>, mail: Mail) {
        match mail {}
    }

    /// The switchboard answers a question of this service.
    pub fn located(&mut self, _desk: &mut Desk<'_, '_>, _answer: crate::switchboard::Answer) {}

    /// Where an address at home here has registered, the preferred contact first.
    pub fn contacts(&self, _now: Instant, _address: &wire::Address) -> Vec<Contact> {
        Vec::new()
    }
}

impl Service for Sip {
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
