//! Streams that may be for one or another, or WebSockets: what they begin with is looked at, requests are granted or refused,
//! frames become messages.

use super::Worker;
use crate::choice::{Chosen, choose};
use crate::core::{Core, Due, Manner};
use crate::stream::Phase;
use crate::web::{self, Admits, Answer, Asked, Beat, Fault, Item, Opcode, Reader, Session, WebRequest};
use crate::{CloseReason, Handler, Net, Subprotocol, Tag, Unwanted};
use wire::ConnectionId;

/// What browsers agree on where they open a WebSocket.
const HTTP: &[u8] = b"http/1.1";
/// Octets that are enough to say whose a stream is ([`Begins::More`](crate::Begins::More)).
const LONGEST_START: usize = 16;

/// What is to be done after a piece of a WebSocket.
enum Step {
    /// Take the next.
    Next,
    /// It takes no more for now: more has to come, or the handler wants to wait.
    Rest,
}

impl<H: Handler> Worker<H> {
    /// Shows a stream to the handler.
    pub(super) fn open_stream(&mut self, id: ConnectionId) {
        let Some(stream) = self.core.streams.get_mut(id) else { return };
        stream.phase = Phase::Open;
        let (info, fresh) = (stream.info(), stream.fresh);
        if !fresh {
            self.core.timers.cancel(Due::Stream(id.slot));
        }
        self.handler.opened(&mut Net::new(&mut self.core), id, &info);
    }

    /// The first octets of a stream that may be for one or another, or a WebSocket. Whether more is wanted now.
    pub(super) fn ask(&mut self, id: ConnectionId, data: &[u8]) -> bool {
        let Some(stream) = self.core.streams.get_mut(id) else { return false };
        let mut bytes = std::mem::take(&mut stream.unread);
        bytes.extend_from_slice(data);
        let prospects = stream.prospects;
        let alpn = stream.facts.as_ref().and_then(|facts| facts.alpn.as_deref());
        // Whoever has agreed on something else speaks that.
        let is_http = match alpn {
            Some(alpn) if prospects.shared && alpn != HTTP => Some(false),
            _ => prospects.is_http(&bytes),
        };
        match is_http {
            Some(true) => return self.request(id, bytes),
            Some(false) if prospects.shared => return self.choose(id, bytes),
            Some(false) if prospects.web == Admits::Only => self.refuse(id, Answer::BadRequest),
            Some(false) => return self.open_for(id, None, &bytes),
            None => stream.unread = bytes,
        }
        self.may_read(id)
    }

    /// Finds out whose a stream is that several may get. Whether more is wanted now.
    fn choose(&mut self, id: ConnectionId, bytes: Vec<u8>) -> bool {
        let Some(stream) = self.core.streams.get_mut(id) else { return false };
        let offer = self.core.shared.offer(stream.spec.unwrap_or(u16::MAX));
        let facts = stream.facts.as_deref();
        let (alpn, name) = facts.map_or((None, None), |facts| (facts.alpn.as_deref(), facts.sni.as_deref()));
        match choose(&offer.choices, alpn, name, &bytes) {
            Chosen::Of(tag) => self.open_for(id, Some(tag), &bytes),
            Chosen::More if bytes.len() < LONGEST_START => {
                stream.unread = bytes;
                true
            }
            Chosen::More | Chosen::Nobody => {
                tracing::debug!(connection = %id, peer = %stream.peer, ?alpn, ?name, "nobody speaks that here");
                self.core.end(id, CloseReason::Local, Manner::Orderly);
                false
            }
        }
    }

    /// Shows a stream to its handler, whose it is now; then what has come of it. Whether more is wanted now.
    fn open_for(&mut self, id: ConnectionId, tag: Option<Tag>, bytes: &[u8]) -> bool {
        if let Some(tag) = tag
            && !self.becomes(id, tag)
        {
            return false;
        }
        self.open_stream(id);
        match bytes {
            [] => self.may_read(id),
            _ => self.offer_first(id, bytes),
        }
    }

    /// Offers what a stream begins with, or keeps it where the handler does not want it yet. Whether more is wanted now.
    pub(super) fn offer_first(&mut self, id: ConnectionId, bytes: &[u8]) -> bool {
        if self.may_read(id) {
            return self.offer(id, bytes);
        }
        if let Some(stream) = self.core.streams.get_mut(id).filter(|stream| stream.phase == Phase::Open) {
            stream.unread = bytes.to_vec();
        }
        false
    }

    /// A stream turns out to be somebody's who may not be the one that its peer was let in by.
    pub(super) fn becomes(&mut self, id: ConnectionId, tag: Tag) -> bool {
        let Some(stream) = self.core.streams.get_mut(id) else { return false };
        let welcome = stream.tag == tag || self.handler.welcomes(self.core.now, tag, stream.peer);
        stream.tag = tag;
        if !welcome {
            self.core.counters.turned_away.add(1);
            self.core.end(id, CloseReason::Local, Manner::AtOnce);
        }
        welcome
    }

    /// A request, as far as it has come. Whether more is wanted now.
    fn request(&mut self, id: ConnectionId, bytes: Vec<u8>) -> bool {
        let Some(stream) = self.core.streams.get_mut(id) else { return false };
        let requests = stream.prospects.requests;
        let asked = match requests {
            // Nothing but this can ask for a WebSocket.
            Some(_) if !bytes.starts_with(web::START) => Asked::Other(Answer::BadRequest),
            _ => WebRequest::read(&bytes),
        };
        let (request, rest) = match (asked, requests) {
            (Asked::Part, _) => {
                stream.unread = bytes;
                return true;
            }
            (Asked::Other(_), Some(tag)) => return self.open_for(id, Some(tag), &bytes),
            (Asked::Other(answer) | Asked::Refused(answer), _) => {
                self.refuse(id, answer);
                return false;
            }
            (Asked::Request(request, rest), _) => (request, rest),
        };
        match (self.handler.upgrades(stream.tag, &request), requests) {
            (Ok((tag, subprotocol)), _) => self.upgrade(id, tag, subprotocol, &request, rest),
            (Err(Unwanted::Path), Some(tag)) => self.open_for(id, Some(tag), &bytes),
            (Err(unwanted), _) => {
                tracing::debug!(connection = %id, target = request.target, ?unwanted, "no WebSocket");
                self.refuse(id, unwanted.into());
                false
            }
        }
    }

    /// A stream becomes a WebSocket. Whether more is wanted now.
    fn upgrade(
        &mut self,
        id: ConnectionId,
        tag: Tag,
        subprotocol: Subprotocol,
        request: &WebRequest<'_>,
        rest: &[u8],
    ) -> bool {
        if !self.becomes(id, tag) {
            return false;
        }
        let Some(stream) = self.core.streams.get_mut(id) else { return false };
        let reader = Reader::new(subprotocol.longest, subprotocol.text_only);
        let session = Session::new(request.facts(subprotocol.name), reader, self.core.now);
        let answer = request.accept(subprotocol.name);
        stream.queue(&mut self.core.spare).extend_from_slice(answer.as_bytes());
        stream.web = Some(Box::new(session));
        stream.fresh = false;
        self.open_stream(id);
        self.core.mind_web(id);
        self.core.touch(id);
        self.offer_first(id, rest)
    }

    /// Says what was wrong, and ends a stream that the handler has not seen.
    fn refuse(&mut self, id: ConnectionId, answer: Answer) {
        if let Some(stream) = self.core.streams.get_mut(id) {
            stream.queue(&mut self.core.spare).extend_from_slice(answer.write().as_bytes());
            self.core.end(id, CloseReason::Local, Manner::Orderly);
        }
    }

    /// Takes frames in and hands messages to the handler, one by one, as long as it wants them. Whether it wants more now.
    pub(super) fn unframe(&mut self, id: ConnectionId, data: &[u8]) -> bool {
        let Some(stream) = self.core.streams.get_mut(id).filter(|stream| stream.may_read()) else {
            return false;
        };
        let mut kept = std::mem::take(&mut stream.unread);
        let mut rest = data;
        if !kept.is_empty() {
            kept.extend_from_slice(data);
            rest = &kept;
        }
        while let Step::Next = self.frame(id, &mut rest) {}
        if let Some(stream) = self.core.streams.get_mut(id).filter(|stream| stream.phase == Phase::Open) {
            stream.unread = rest.to_vec();
            if let Some(web) = stream.web.as_deref_mut().filter(|web| web.reader.message.is_empty()) {
                // An idle WebSocket keeps no room.
                self.core.spare.put(&mut web.reader.message);
            }
        }
        self.may_read(id)
    }

    /// The next piece of a WebSocket.
    fn frame(&mut self, id: ConnectionId, rest: &mut &[u8]) -> Step {
        let core = &mut self.core;
        let open = core.streams.get_mut(id).filter(|stream| stream.phase == Phase::Open && stream.may_read());
        let Some(web) = open.and_then(|stream| stream.web.as_deref_mut()) else { return Step::Rest };
        web.hear(core.now);
        core.spare.lend(&mut web.reader.message);
        let read = web.reader.next(rest);
        web.note_partial(core.now);
        match read {
            Ok(None) => return Step::Rest,
            Ok(Some(Item::Message)) => self.message(id),
            Ok(Some(Item::Ping)) => {
                let said = std::mem::take(&mut web.reader.control);
                core.write_frame(id, Opcode::Pong, &said);
            }
            Ok(Some(Item::Pong)) => {}
            Ok(Some(Item::Close(code))) => {
                web.code = code;
                core.end(id, CloseReason::Peer, Manner::Orderly);
            }
            Err(fault) => core.break_web(id, fault),
        }
        Step::Next
    }

    /// A message is whole.
    fn message(&mut self, id: ConnectionId) {
        let Some(web) = self.core.web_mut(id) else { return };
        let mut message = std::mem::take(&mut web.reader.message);
        self.handler.received(&mut Net::new(&mut self.core), id, &message);
        message.clear();
        match self.core.web_mut(id) {
            Some(web) => web.reader.message = message,
            None => self.core.spare.put(&mut message),
        }
    }
}

impl<M> Core<M> {
    fn web_mut(&mut self, id: ConnectionId) -> Option<&mut Session> {
        self.streams.get_mut(id)?.web.as_deref_mut()
    }

    /// Has a WebSocket looked at when it may have been silent for too long.
    pub(super) fn mind_web(&mut self, id: ConnectionId) {
        let at = self.now + self.shared.limits.web_silence;
        if self.web_mut(id).is_some() {
            self.timers.set(Due::Stream(id.slot), at);
        }
    }

    /// A WebSocket may have been silent for too long (RFC 6455 §5.5.2).
    pub(super) fn beat(&mut self, id: ConnectionId) {
        let (now, interval) = (self.now, self.shared.limits.web_silence);
        let Some(stream) = self.streams.get_mut(id) else { return };
        let paused = stream.paused;
        let Some(web) = stream.web.as_deref_mut() else { return };
        if paused {
            // Its pong may lie unread.
            web.excuse(now);
        }
        match web.beat(now, interval) {
            Beat::Wait(due) => self.timers.set(Due::Stream(id.slot), due),
            Beat::Ask(due) => {
                self.timers.set(Due::Stream(id.slot), due);
                self.write_frame(id, Opcode::Ping, b"");
            }
            Beat::Over => self.end(id, CloseReason::Silent, Manner::Orderly),
        }
    }

    /// Sends a frame that is none of a message. Whoever does not read what it is sent gets none.
    fn write_frame(&mut self, id: ConnectionId, opcode: Opcode, payload: &[u8]) {
        let limit = self.shared.limits.write_buffer;
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.may_write()) else { return };
        if stream.queued() + Session::size(payload.len()) <= limit {
            Session::write_frame(opcode, payload, stream.queue(&mut self.spare));
            self.touch(id);
        }
    }

    /// A client has broken the rules of WebSockets: it is told so, and that is the end.
    fn break_web(&mut self, id: ConnectionId, fault: Fault) {
        let code = fault as u16;
        if let Some(web) = self.web_mut(id) {
            web.code = Some(code);
        }
        self.end(id, CloseReason::Web(code), Manner::Orderly);
    }
}
