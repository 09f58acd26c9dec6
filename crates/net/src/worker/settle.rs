//! Carrying out what callbacks have asked for, until nothing is left to do.

use super::Worker;
use crate::core::Manner;
use crate::dtls;
use crate::running::Envelope;
use crate::stream::{Phase, Stream};
use crate::{CloseReason, Handler, Net};
use std::net::Shutdown;
use wire::ConnectionId;

impl<H: Handler> Worker<H> {
    /// Sends, tells, moves and flushes. Callbacks on the way may ask for more.
    pub(super) fn settle(&mut self) {
        self.attend();
        while !self.core.chores.dirty.is_empty() {
            while let Some(id) = self.core.chores.dirty.pop() {
                self.flush(id);
                // Whoever is told that a stream has ended may still ask what it was.
                if !self.core.chores.endings.is_empty() {
                    self.attend();
                }
            }
            self.attend();
        }
        self.core.chores.hurry = false;
    }

    /// The same, but what waits on streams may wait a little longer.
    pub(super) fn attend(&mut self) {
        loop {
            self.send_datagrams();
            if let Some((id, reason)) = self.core.chores.endings.pop_front() {
                self.handler.closed(&mut Net::new(&mut self.core), id, reason);
                if dtls::is_dtls(id) {
                    self.core.drop_session(id);
                }
            } else if let Some((id, tag, error)) = self.core.chores.refusals.pop_front() {
                self.handler.refused(&mut Net::new(&mut self.core), id, tag, &error);
            } else if let Some(id) = self.core.chores.revisits.pop_front() {
                self.revisit(id);
            } else if let Some(id) = self.core.chores.rooms.pop_front() {
                self.handler.room(&mut Net::new(&mut self.core), id);
            } else if !self.depart() {
                return;
            }
        }
    }

    fn send_datagrams(&mut self) {
        let core = &mut self.core;
        let unbinding = &mut core.chores.unbinding;
        if !core.outbox.is_empty() || !unbinding.is_empty() {
            core.outbox.flush(&mut core.sockets, unbinding, &self.arrivals, &core.counters);
        }
        core.outbox.batch = 0;
    }

    /// Sends what waits on a stream, and lets it take its next step towards its end.
    fn flush(&mut self, id: ConnectionId) {
        let core = &mut self.core;
        let Some(stream) = core.streams.get_mut(id) else { return };
        stream.dirty = false;
        match stream.phase {
            Phase::Connecting => {}
            Phase::Gone => return self.remove(id),
            _ => match stream.flush(&mut core.spare) {
                Ok(sent) => core.counters.stream_bytes_out.add(sent),
                Err(error) => core.end(id, CloseReason::Failed(error.kind()), Manner::AtOnce),
            },
        }
        if core.streams.get_mut(id).is_some_and(is_over) {
            return self.remove(id);
        }
        core.advance_halves(id);
        core.watch(id);
    }

    fn remove(&mut self, id: ConnectionId) {
        let Some(stream) = self.core.unregister(id) else { return };
        if stream.phase == Phase::Gone && !stream.ended {
            // The peer shall not mistake this for an orderly end.
            let _ = socket2::SockRef::from(&stream.socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Sends one stream off to its new owner, if any wants to go.
    fn depart(&mut self) -> bool {
        let Some(departure) = self.core.chores.moves.pop_front() else { return false };
        // Its new owner is told of nothing that was only written.
        self.flush(departure.conn);
        let Some(mut stream) = self.core.unregister(departure.conn) else { return true };
        stream.leaving = false;
        departure.place.send(Envelope::Stream(stream, departure.baggage));
        true
    }
}

/// For a closing stream: closes our side once everything is out; whether the peer's side is closed too.
fn is_over(stream: &mut Stream) -> bool {
    if stream.phase != Phase::Closing || !stream.out.is_empty() {
        return false;
    }
    if !std::mem::replace(&mut stream.finished, true) {
        let _ = stream.socket.shutdown(Shutdown::Write);
    }
    stream.ended
}
