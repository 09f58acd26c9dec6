//! A request's way in: to the transaction it repeats, to the registrar, to this server itself, or to the proxy.

use super::{Output, Parcel, Server, ServerKind, Stack};
use crate::message::{HeaderName, Message, Method, Via};
use crate::proxy::policy::Asker;
use crate::proxy::route::{Plan, Target};
use crate::proxy::{Context, Refusal, validate};
use crate::slab::Id;
use crate::transaction::server_invite::{Repeated, ServerInvite};
use crate::transaction::server_request::ServerRequest;
use crate::transaction::{Key, Timer};
use crate::transport::{Arrival, default_port, return_address};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::{Flow, Transport};

impl Stack {
    pub(super) fn request(
        &mut self,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        stray: Option<u16>,
    ) {
        let is_new = stray.is_none();
        match request.method() {
            Method::Ack => {
                self.saw(now, &arrival, request, is_new);
                self.ack(now, arrival, request, stray);
            }
            Method::Cancel => self.cancel_request(now, arrival, request, stray),
            _ => {
                let key = self.key(request);
                match self.table.find(key) {
                    Some(id) if is_new && !self.takes_again(now, &arrival, id) => {}
                    Some(id) => {
                        self.saw(now, &arrival, request, is_new);
                        self.repeated(now, id);
                    }
                    None => self.fresh(now, arrival, (request, key), is_new),
                }
            }
        }
    }

    /// The name of a request's transaction (RFC 3261 §17.2.3); of an ACK or CANCEL, that of its INVITE.
    pub(crate) fn key(&self, request: &Message<'_>) -> Key {
        let via = request.via();
        let method = match request.method() {
            Method::Ack | Method::Cancel => Method::Invite.as_bytes(),
            method => method.as_bytes(),
        };
        match via.branch() {
            Some(branch) if via.has_magic_branch() => {
                self.keyring.by_branch(method, branch, via.host(), via.port())
            }
            _ => {
                let parts = [
                    via.as_bytes(),
                    request.uri_bytes().unwrap_or_default(),
                    request.from().tag().unwrap_or_default(),
                    request.call_id(),
                ];
                self.keyring.by_all(method, parts, request.cseq().number)
            }
        }
    }

    /// A request came again.
    fn repeated(&mut self, now: Instant, id: Id) {
        let Some(server) = self.table.server(id) else { return };
        let verdict = match &server.kind {
            ServerKind::Invite(machine) => machine.repeated(),
            ServerKind::Request(machine) => machine.repeated(),
        };
        if verdict == Repeated::Resend {
            self.resend_response(now, id);
        }
    }

    /// Whether the peer asks that its connection be used for requests to it (RFC 5923 §5).
    fn note_alias(&mut self, arrival: &Arrival, via: &Via<'_>) {
        let Flow::Stream(conn) = arrival.flow else { return };
        if arrival.transport == Transport::Tls && via.params().has("alias") {
            let ip = via.host().ip().unwrap_or(arrival.peer.ip());
            self.connections
                .alias(conn, SocketAddr::new(ip, via.port().unwrap_or(default_port(Transport::Tls))));
        }
    }

    /// A request that was not seen before (RFC 3261 §16.3, §8.2).
    /// `is_new`: to any worker.
    fn fresh(&mut self, now: Instant, arrival: Arrival, (request, key): (&Message<'_>, Key), is_new: bool) {
        let judged =
            validate::check(&self.seal, request).and_then(|()| self.place().route(request, &arrival));
        if is_new && !self.takes_routed(now, &arrival, request, judged.as_ref().ok()) {
            return;
        }
        self.note_alias(&arrival, request.via());
        self.saw(now, &arrival, request, is_new);
        self.introduce(now, request);
        match judged {
            Ok(plan) => self.judged(now, arrival, (request, key), plan),
            Err(refusal) => self.refuse(now, &arrival, request, &refusal),
        }
    }

    fn judged(
        &mut self,
        now: Instant,
        arrival: Arrival,
        (request, key): (&Message<'_>, Key),
        mut plan: Plan,
    ) {
        // Whoever gets it would take it for safe all the way (RFC 3261 §26.2.2).
        if plan.needs_tls() && !arrival.transport.is_secure() {
            return self.refuse(now, &arrival, request, &Refusal::SipsNotAllowed);
        }
        // Calls that stand are still served; what is new goes elsewhere.
        if self.draining && !plan.in_dialog {
            return self.refuse(now, &arrival, request, &Refusal::Overload);
        }
        let for_us = matches!(plan.target, Target::Us | Target::Account(_));
        if for_us && request.method() == Method::Register {
            return self.register(now, arrival, (request, key));
        }
        if plan.target == Target::Us {
            return self.for_us(now, &arrival, request);
        }
        // What has come to its end here goes no further.
        if let Err(refusal) = validate::has_hops(request) {
            return self.refuse(now, &arrival, request, &refusal);
        }
        match self.permit(now, &arrival, request, &plan) {
            Ok(Asker::Stranger) if !self.table.takes_strangers() => {
                self.refuse(now, &arrival, request, &Refusal::Overload);
            }
            Ok(asker) => {
                if let Asker::Account(account) = asker {
                    plan.prover = Some(account);
                }
                if plan.in_dialog {
                    self.call_goes_on(now, request);
                }
                self.proxy(now, arrival, (request, key), plan);
            }
            Err(refusal) => self.refuse(now, &arrival, request, &refusal),
        }
    }

    /// A request to this server itself (RFC 3261 §11.2).
    fn for_us(&mut self, now: Instant, arrival: &Arrival, request: &Message<'_>) {
        if let Err(refusal) = validate::unknown_extensions(request, HeaderName::Require, &[]) {
            return self.refuse(now, arrival, request, &refusal);
        }
        match request.method() {
            Method::Options => self.options(now, arrival, request),
            // There is no dialog with this server itself (RFC 3261 §12.2.2, RFC 6665 §4.1.3).
            _ if request.to().tag().is_some() => {
                self.refuse(now, arrival, request, &Refusal::NoTransaction);
            }
            Method::Bye | Method::Notify | Method::Update | Method::Prack | Method::Info => {
                self.refuse(now, arrival, request, &Refusal::NoTransaction);
            }
            Method::Invite | Method::Message | Method::Subscribe | Method::Refer => {
                self.refuse(now, arrival, request, &Refusal::Incomplete);
            }
            _ => self.refuse(now, arrival, request, &Refusal::MethodNotAllowed),
        }
    }

    /// Starts a server transaction of this name; `None`, and 503, where there are too many.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        arrival: Arrival,
        (request, key): (&Message<'_>, Key),
        context: Option<Box<Context>>,
    ) -> Option<Id> {
        let reliable = arrival.transport.is_stream();
        let kind = match request.method() {
            Method::Invite => ServerKind::Invite(ServerInvite::new(reliable)),
            _ => ServerKind::Request(ServerRequest::new(reliable)),
        };
        // What waits for the disk alone is answered long before a 100 would be due (`storage`).
        let may_last = context.is_some();
        let server = Server {
            kind,
            key,
            mark: self.trace.mark(request),
            began: now,
            arrival,
            back: return_address(request.via(), &arrival),
            request: Arc::from(request.bytes()),
            last: Vec::new(),
            context,
            ended: false,
            settled: false,
        };
        let Some(id) = self.table.insert_server(server) else {
            self.refuse(now, &arrival, request, &Refusal::Overload);
            return None;
        };
        if may_last && let ServerKind::Request(machine) = &mut self.table.server_mut(id)?.kind {
            machine.start(&mut Self::alarm(&mut self.timers, &self.config, id, now));
        }
        Some(id)
    }

    /// Nothing will be said to a request: it ends without a word as soon as it does not come again (RFC 4320 §4.2).
    pub(crate) fn fall_silent(&mut self, now: Instant, id: Id) {
        let Some(server) = self.table.server_mut(id) else { return };
        let age = now.saturating_duration_since(server.began);
        let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
        let is_kept = match &mut server.kind {
            ServerKind::Invite(_) => false,
            ServerKind::Request(machine) => !machine.fall_silent(age, &mut alarm),
        };
        if is_kept {
            self.table.forget_request(id);
            self.table.settle(id);
        } else {
            self.end_server(now, id);
        }
    }

    /// Ends a server transaction without a word, or because its machine has ended.
    pub(crate) fn end_server(&mut self, now: Instant, id: Id) {
        let Some(server) = self.table.server_mut(id) else { return };
        let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
        match &mut server.kind {
            ServerKind::Invite(machine) => machine.end(&mut alarm),
            ServerKind::Request(machine) => machine.end(&mut alarm),
        }
        server.ended = true;
        let key = server.key;
        self.table.settle(id);
        self.table.forget_key(key, id);
        self.tidy(id);
    }

    /// Takes out a server transaction that has ended and on which no client transaction depends.
    pub(crate) fn tidy(&mut self, id: Id) {
        let Some(server) = self.table.server(id) else { return };
        if server.ended && server.context.as_ref().is_none_or(|context| context.live == 0) {
            self.timers.cancel(Timer::Serial(id));
            self.table.remove_server(id);
        }
    }

    /// Offers a CANCEL or ACK that matches nothing here to the next worker; `false` where all were asked.
    pub(super) fn pass_on(&mut self, arrival: Arrival, request: &Message<'_>, stray: Option<u16>) -> bool {
        let workers = self.config.workers;
        let left = stray.unwrap_or(workers - 1);
        if left == 0 {
            return false;
        }
        let to = wire::WorkerId((self.config.me.0 + 1) % workers);
        let parcel = Parcel::Stray { arrival, bytes: request.bytes().to_vec(), left: left - 1 };
        self.out.push_back(Output::HandOver { to, parcel });
        true
    }
}
