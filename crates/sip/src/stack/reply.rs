//! Answers: of this server's own, with a transaction or without (RFC 3261 §8.2.6, §8.2.7), and those passed on.

use super::{Server, ServerKind, Stack};
use crate::message::{HeaderName, Message, Reply};
use crate::proxy::Refusal;
use crate::slab::Id;
use crate::transport::{Arrival, return_address, token::push_hex};
use std::time::Instant;

/// What may be sent to this server: it passes nearly all of it on.
const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, REFER, INFO, PRACK, UPDATE, PUBLISH";

/// A Warning (RFC 3261 §20.43) of ours.
fn warning(code: u16, text: &str) -> String {
    let plain = |c: char| if c.is_ascii_control() || matches!(c, '"' | '\\') { '\'' } else { c };
    format!("{code} parlour \"{}\"", text.chars().map(plain).take(300).collect::<String>())
}

impl Stack {
    /// The tag of our own answers to a request: the same for the same request, so that no state is needed
    /// (RFC 3261 §8.2.7), and to be known again in an ACK.
    pub(super) fn tag(&self, request: &Message<'_>) -> String {
        let number = request.cseq().number.to_be_bytes();
        let branch = request.via().branch().unwrap_or_default();
        let from = request.from().tag().unwrap_or_default();
        let hash = self.seal.likeness("tag", [branch, from, request.call_id(), &number]);
        let mut tag = String::with_capacity(16);
        push_hex(&mut tag, &hash.to_be_bytes());
        tag
    }

    /// Refuses a request without keeping anything of it.
    pub(crate) fn refuse(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        refusal: &Refusal,
    ) {
        let bytes = self.refusal(now, arrival, request, refusal);
        self.note_refusal(now, arrival, request, refusal);
        let mark = self.trace.mark(request);
        if mark.begins_call() {
            self.tally.called(refusal.code());
        }
        self.told(now, mark, (arrival, false), &bytes);
        self.send_back(now, arrival, return_address(request.via(), arrival), bytes);
    }

    /// The bytes of a refusal.
    fn refusal(&self, now: Instant, arrival: &Arrival, request: &Message<'_>, refusal: &Refusal) -> Vec<u8> {
        // Three challenges need as much.
        let mut out = Vec::with_capacity(request.head().len() + 768);
        let status = (refusal.code(), refusal.reason());
        let mut reply = Reply::with_reason(&mut out, request, Some(arrival.peer), status, &self.tag(request));
        match refusal {
            Refusal::Challenge { role, at, realm, stale, algorithms } => {
                let (source, unix) = (arrival.peer.ip(), self.epoch.unix(now));
                reply.lines(|out| {
                    self.digest.challenge(out, (*role, *at), realm, *algorithms, *stale, (source, unix))
                });
            }
            Refusal::MethodNotAllowed => {
                reply.header("Allow", "OPTIONS, REGISTER");
            }
            Refusal::Extension(tags) => {
                reply.header("Unsupported", tags);
            }
            Refusal::IntervalTooBrief(least) => {
                reply.header("Min-Expires", least.as_secs().to_string());
            }
            Refusal::SipsNotAllowed => {
                reply.header("Warning", warning(380, "SIPS Not Allowed"));
            }
            Refusal::Failed(why) => {
                reply.header("Warning", warning(399, why));
            }
            Refusal::Overload => {
                reply.header("Retry-After", self.config.limits.retry_after.as_secs().to_string());
            }
            _ => {}
        }
        reply.end();
        out
    }

    /// Answers a request with a bare status, without keeping anything of it.
    pub(super) fn answer_stateless(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        code: u16,
    ) {
        let mut out = Vec::new();
        Reply::begin(&mut out, request, Some(arrival.peer), code, &self.tag(request)).end();
        let mark = self.trace.mark(request);
        self.told(now, mark, (arrival, false), &out);
        self.send_back(now, arrival, return_address(request.via(), arrival), out);
    }

    /// OPTIONS to this server: what it can (RFC 3261 §11.2).
    pub(super) fn options(&mut self, now: Instant, arrival: &Arrival, request: &Message<'_>) {
        let mut out = Vec::new();
        let mut reply = Reply::begin(&mut out, request, Some(arrival.peer), 200, &self.tag(request));
        reply
            .header("Allow", ALLOW)
            .header("Supported", "path, outbound, gruu")
            .header("Accept", "application/sdp");
        reply.end();
        self.send_back(now, arrival, return_address(request.via(), arrival), out);
    }

    /// Answers a server transaction with a bare status of our own.
    pub(crate) fn answer(&mut self, now: Instant, id: Id, refusal: &Refusal) {
        let Some(server) = self.table.server(id) else { return };
        let (arrival, request) = (server.arrival, server.request.clone());
        let Ok(message) = Message::parse(&request) else { return };
        let bytes = self.refusal(now, &arrival, &message, refusal);
        self.respond(now, id, refusal.code(), bytes);
    }

    /// 100 Trying for a server transaction, by its request, whose Timestamp it repeats (RFC 3261 §8.2.6.1).
    pub(crate) fn trying(&mut self, now: Instant, id: Id, request: &Message<'_>) {
        let Some(server) = self.table.server(id) else { return };
        let mut out = Vec::new();
        let mut reply = Reply::begin(&mut out, request, Some(server.arrival.peer), 100, "");
        if let Some(timestamp) = request.header(HeaderName::Timestamp) {
            reply.header("Timestamp", timestamp);
        }
        reply.end();
        self.respond(now, id, 100, out);
    }

    /// The same for a request that has waited.
    pub(super) fn trying_late(&mut self, now: Instant, id: Id) {
        let Some(request) = self.table.server(id).map(|server| server.request.clone()) else { return };
        if let Ok(request) = Message::parse(&request) {
            self.trying(now, id, &request);
        }
    }

    /// Answers a server transaction. A 2xx to INVITE leaves even when its machine is past that (RFC 3261 §16.7
    /// step 10).
    pub(crate) fn respond(&mut self, now: Instant, id: Id, code: u16, bytes: Vec<u8>) {
        let Some(server) = self.table.server_mut(id) else { return };
        let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
        let (leaves, kept) = match &mut server.kind {
            ServerKind::Invite(machine) => {
                let may = machine.respond(code, &mut alarm);
                if may && code >= 200 && server.mark.begins_call() {
                    self.tally.called(code);
                }
                (may || (200..300).contains(&code), may && !(200..300).contains(&code))
            }
            ServerKind::Request(machine) => {
                let may = machine.respond(code, &mut alarm);
                (may, may)
            }
        };
        if kept {
            self.table.keep_answer(id, &bytes);
        }
        if leaves && code >= 200 {
            // All that is needed from now on is the answer: most transactions spend most of their life like this.
            self.table.forget_request(id);
            self.table.settle(id);
        }
        if leaves {
            self.send_response(now, id, bytes, false);
        }
    }

    /// Sends the last response of a server transaction again.
    pub(super) fn resend_response(&mut self, now: Instant, id: Id) {
        let Some(server) = self.table.server(id) else { return };
        if !server.last.is_empty() {
            let bytes = server.last.clone();
            self.send_response(now, id, bytes, true);
        }
    }

    fn send_response(&mut self, now: Instant, id: Id, bytes: Vec<u8>, again: bool) {
        let Some(Server { arrival, back, mark, .. }) = self.table.server(id) else { return };
        let (arrival, back, mark) = (*arrival, *back, *mark);
        self.told(now, mark, (&arrival, again), &bytes);
        self.send_back(now, &arrival, back, bytes);
    }
}
