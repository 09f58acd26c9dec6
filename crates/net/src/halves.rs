//! Streams whose two directions end one after the other, and waiting for room in one.

use crate::CloseReason;
use crate::core::{Core, Manner};
use crate::stream::{Phase, Stream};
use std::net::Shutdown;
use wire::ConnectionId;

impl<M> Core<M> {
    /// After a flush: tells of room that was waited for, ends our half when everything is out, and the stream when both
    /// halves have ended.
    pub(crate) fn advance_halves(&mut self, id: ConnectionId) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.phase == Phase::Open) else {
            return;
        };
        if stream.awaited.is_some_and(|octets| stream.queued() <= octets) {
            stream.awaited = None;
            self.chores.rooms.push_back(id);
        }
        if stream.finishing && close_half(stream) && stream.ended {
            self.end(id, CloseReason::Peer, Manner::Orderly);
        }
    }
}

/// Closes our side once everything is out; whether it is closed.
fn close_half(stream: &mut Stream) -> bool {
    if stream.queued() > 0 {
        return false;
    }
    if !std::mem::replace(&mut stream.finished, true) {
        // The peer may have broken it already; its event tells so.
        let _ = stream.socket.shutdown(Shutdown::Write);
    }
    true
}
