//! Bytes of streams: connecting, reading, TLS, offering plaintext to the handler, taking over streams of other workers.

use super::Worker;
use crate::core::{Due, Manner};
use crate::stream::{Phase, Stream};
use crate::sys::{Event, streams};
use crate::tls::{CHALLENGE, Session, words};
use crate::token::Token;
use crate::{CloseReason, Handler, Net};
use std::io;
use wire::ConnectionId;

/// Reads of one stream at one time.
const READS: usize = 4;

impl<H: Handler> Worker<H> {
    pub(super) fn stream_event(&mut self, slot: u32, generation: u32, event: Event) {
        let Some(id) = self.core.streams.id_at(slot) else { return };
        if !Token::matches(generation, id.generation) {
            return;
        }
        let Some(stream) = self.core.streams.get(id) else { return };
        if stream.phase == Phase::Connecting {
            return self.connected(id);
        }
        let reads = stream.wants().read;
        if event.read && reads {
            self.read(id, event.ended);
        } else if event.broken {
            let kind = stream.socket.take_error().ok().flatten().map(|error| error.kind());
            if kind.is_none() && stream.phase == Phase::Open && !reads {
                return self.core.park(id);
            }
            let reason = kind.map_or(CloseReason::Peer, CloseReason::Failed);
            self.core.end(id, reason, Manner::AtOnce);
        }
        if event.write {
            self.core.touch(id);
        }
    }

    /// The kernel has connected a stream, or given up.
    fn connected(&mut self, id: ConnectionId) {
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        if let Some(error) = stream.socket.take_error().unwrap_or_else(Some) {
            return self.core.end(id, CloseReason::Failed(error.kind()), Manner::AtOnce);
        }
        stream.local = stream.socket.local_addr().unwrap_or(stream.local);
        self.core.counters.connected.add(1);
        if stream.sealing {
            stream.phase = Phase::Handshaking;
        } else {
            stream.phase = Phase::Open;
            let info = stream.info();
            self.core.timers.cancel(Due::Stream(id.slot));
            self.handler.opened(&mut Net::new(&mut self.core), id, &info);
        }
        self.core.touch(id);
    }

    /// Reads as long as there may be more, but no more than a few times, and than its portion where many have something.
    /// `to_the_end`: the peer's end is known to lie behind what there is.
    fn read(&mut self, id: ConnectionId, to_the_end: bool) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut portion = self.portion;
        for _ in 0..READS {
            let Some(room) = self.room(id, scratch.len().min(portion)) else { break };
            if room == 0 {
                // The others first; what is left of the handler's is offered again meanwhile, and the rest told again.
                break;
            }
            match self.read_once(id, &mut scratch[..room]) {
                Some(count) if count == room || to_the_end => portion -= count,
                _ => break,
            }
        }
        self.scratch = scratch;
    }

    /// How many octets of a stream may be read at one time; none if it is not to be read now.
    fn room(&self, id: ConnectionId, most: usize) -> Option<usize> {
        let stream = self.core.streams.get(id).filter(|stream| stream.wants().read)?;
        let room = self.core.shared.limits.read_buffer.saturating_sub(stream.unread.len());
        // What is inside TLS has its bound where it is opened.
        Some(if stream.sealing { most } else { room.min(most) })
    }

    /// Reads and lets it be looked at; how much, if it may go on.
    fn read_once(&mut self, id: ConnectionId, scratch: &mut [u8]) -> Option<usize> {
        let stream = self.core.streams.get_mut(id)?;
        let drains = stream.phase == Phase::Closing;
        match streams::receive(&stream.socket, scratch) {
            Ok(0) => {
                self.ended(id);
                None
            }
            Ok(count) => {
                self.core.counters.stream_bytes_in.add(count);
                if !drains {
                    self.take_in(id, &scratch[..count]);
                }
                Some(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(0),
            Err(error) => {
                self.core.end(id, CloseReason::Failed(error.kind()), Manner::AtOnce);
                None
            }
        }
    }

    /// The peer has closed its side.
    fn ended(&mut self, id: ConnectionId) {
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        stream.ended = true;
        if stream.keeps_half && stream.phase == Phase::Open {
            self.handler.ended(&mut Net::new(&mut self.core), id);
            return self.core.touch(id);
        }
        self.core.end(id, CloseReason::Peer, Manner::Orderly);
    }

    pub(super) fn take_in(&mut self, id: ConnectionId, bytes: &[u8]) {
        match self.core.streams.get(id) {
            Some(stream) if stream.phase == Phase::Announcing => self.hear_proxy(id, bytes),
            Some(stream) if stream.or_plain.is_some() => self.tell_apart(id, bytes),
            Some(stream) if stream.sealing => self.open_sealed(id, bytes),
            Some(_) => drop(self.offer(id, bytes)),
            None => {}
        }
    }

    /// The first octets of a stream that may be plain or TLS.
    fn tell_apart(&mut self, id: ConnectionId, bytes: &[u8]) {
        let (limits, now) = (&self.core.shared.limits, self.core.now);
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        let Some(row) = stream.or_plain.take() else { return };
        if bytes.first().is_none_or(|&first| Session::may_begin_with(first)) {
            self.core.timers.set(Due::Stream(id.slot), now + limits.handshake);
            return self.open_sealed(id, bytes);
        }
        (stream.spec, stream.prospects) = (Some(row.spec), row.prospects);
        stream.sealing = false;
        stream.fresh = true;
        if row.prospects.shared {
            // Whose it is comes out below, and whether that one lets its peer in.
            stream.tag = row.tag;
        } else if !self.becomes(id, row.tag) {
            return;
        }
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        if row.prospects.are_open() {
            stream.phase = Phase::Asking;
        } else {
            self.open_stream(id);
        }
        self.offer_first(id, bytes);
    }

    /// Offers again what is left of earlier bytes: after `resume`, and after a stream has come from another worker.
    pub(super) fn revisit(&mut self, id: ConnectionId) {
        let Some(stream) = self.core.streams.get_mut(id).filter(|stream| stream.may_read()) else { return };
        let has_unread = !stream.unread.is_empty();
        if has_unread && !self.offer(id, &[]) {
            return;
        }
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        if stream.sealing {
            let sealed = std::mem::take(&mut stream.sealed);
            self.open_sealed(id, &sealed);
        }
        self.core.touch(id);
    }

    /// Opens TLS records and offers what is in them, as far as the handler wants it now; keeps the rest.
    fn open_sealed(&mut self, id: ConnectionId, mut sealed: &[u8]) {
        let Some(mut session) = self.take_session(id, sealed) else { return };
        let result = loop {
            if self.may_read(id) {
                session.each_chunk(|chunk| self.offer(id, chunk));
            }
            let may_read = self.may_read(id);
            if sealed.is_empty() || !may_read || session.peer_closed() {
                break Ok(may_read && session.peer_closed());
            }
            if let Err(error) = session.feed(&mut sealed) {
                break Err(error);
            }
            self.advance(id, &session);
        };
        if let Some(stream) = self.core.streams.get_mut(id) {
            stream.session = Some(session);
            if matches!(stream.phase, Phase::Open) {
                stream.sealed = sealed.to_vec();
            }
        }
        match result {
            Ok(true) => self.ended(id),
            Ok(false) => self.core.touch(id),
            Err(error) => self.core.end(id, CloseReason::Tls(words(&error)), Manner::Orderly),
        }
    }

    pub(super) fn may_read(&self, id: ConnectionId) -> bool {
        self.core.streams.get(id).is_some_and(Stream::may_read)
    }

    /// Takes a stream's session out of it; makes it when the first octet of the peer's side of the handshake is there.
    fn take_session(&mut self, id: ConnectionId, sealed: &[u8]) -> Option<Box<Session>> {
        let stream = self.core.streams.get_mut(id)?;
        if let Some(session) = stream.session.take() {
            return Some(session);
        }
        let (first, spec) = (*sealed.first()?, stream.spec?);
        let (peer, meant) = (stream.peer.ip(), stream.meant.clone());
        let made = match Session::may_begin_with(first) {
            true if !self.core.may_shake(peer) => Err("too many handshakes of its source".to_owned()),
            true => self.core.server_session(spec, meant),
            false => Err("the peer does not speak TLS".to_owned()),
        };
        made.map_err(|error| self.core.end(id, CloseReason::Tls(error), Manner::AtOnce)).ok()
    }

    /// Tells the handler when a handshake is done.
    fn advance(&mut self, id: ConnectionId, session: &Session) {
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        let begins = stream.phase == Phase::Handshaking;
        if session.is_handshaking() || !(begins || stream.phase == Phase::Securing) {
            return;
        }
        let facts = session.facts().map(Box::new);
        if facts.as_ref().is_some_and(|facts| facts.alpn.as_deref() == Some(CHALLENGE)) {
            // An authority has seen what it wanted to see: nothing follows (RFC 8737 §3).
            stream.phase = if begins { Phase::Asking } else { Phase::Open };
            self.core.counters.handshakes.add(1);
            return self.core.end(id, CloseReason::Local, Manner::Orderly);
        }
        let asks = begins && stream.prospects.are_open();
        stream.phase = if asks { Phase::Asking } else { Phase::Open };
        stream.facts = facts;
        stream.fresh = begins && stream.spec.is_some();
        let (info, fresh) = (stream.info(), stream.fresh);
        self.core.counters.handshakes.add(1);
        self.core.timers.cancel(Due::Stream(id.slot));
        if fresh {
            let patience = self.core.shared.limits.first_byte;
            self.core.timers.set(Due::Stream(id.slot), self.core.now + patience);
        }
        if asks {
            // The handler sees it when it is known what it is: perhaps the handshake has told.
            self.ask(id, &[]);
        } else if begins {
            self.handler.opened(&mut Net::new(&mut self.core), id, &info);
        } else {
            self.handler.secured(&mut Net::new(&mut self.core), id, &info);
        }
    }

    /// Offers plaintext to the handler behind what it had left; keeps what it leaves. Whether it wants more now.
    pub(super) fn offer(&mut self, id: ConnectionId, data: &[u8]) -> bool {
        match self.core.streams.get(id) {
            Some(stream) if stream.phase == Phase::Asking => return self.ask(id, data),
            Some(stream) if stream.web.is_some() => return self.unframe(id, data),
            _ => {}
        }
        let Some(stream) = self.core.streams.get_mut(id).filter(|stream| stream.may_read()) else {
            return false;
        };
        if std::mem::take(&mut stream.fresh) {
            self.core.timers.cancel(Due::Stream(id.slot));
        }
        let mut kept = std::mem::take(&mut stream.unread);
        let mut net = Net::new(&mut self.core);
        let taken = if kept.is_empty() {
            let taken = self.handler.received(&mut net, id, data).min(data.len());
            kept.extend_from_slice(&data[taken..]);
            taken
        } else {
            kept.extend_from_slice(data);
            let taken = self.handler.received(&mut net, id, &kept).min(kept.len());
            kept.drain(..taken);
            taken
        };
        self.keep(id, kept, taken > 0)
    }

    /// Keeps what the handler has left, if the stream still goes on as before. Whether it wants more now.
    fn keep(&mut self, id: ConnectionId, kept: Vec<u8>, progress: bool) -> bool {
        let full = kept.len() >= self.core.shared.limits.read_buffer;
        let Some(stream) = self.core.streams.get_mut(id).filter(|stream| stream.phase == Phase::Open) else {
            return false;
        };
        // An idle stream keeps no room.
        stream.unread = if kept.is_empty() { Vec::new() } else { kept };
        if !stream.may_read() {
            return false;
        }
        if full && !progress {
            self.core.end(id, CloseReason::ReadOverflow, Manner::Orderly);
            return false;
        }
        if full {
            // There is no room for more that would have it offered again.
            self.core.chores.revisits.push_back(id);
        }
        true
    }

    /// Takes over a stream from another worker.
    pub(super) fn adopt(&mut self, mut stream: Box<Stream>, baggage: H::Mail) {
        stream.dirty = false;
        stream.parked = false;
        let info = stream.info();
        match self.core.register(stream) {
            Ok(id) => {
                self.core.counters.adopted.add(1);
                self.core.chores.revisits.push_back(id);
                self.core.mind_web(id);
                self.handler.adopted(&mut Net::new(&mut self.core), id, &info, baggage);
            }
            // The event queue is out of memory: the connection is lost, and nobody here has seen it.
            Err(error) => tracing::error!(%error, "a connection that moved here is lost"),
        }
    }
}
