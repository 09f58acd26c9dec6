//! Client transactions: started, answered, ended.

use super::{Cancel, Chain, Client, ClientKind, Path, Stack};
use crate::message::{HeaderName, Message, Method, build};
use crate::proxy::Refusal;
use crate::proxy::context::State;
use crate::slab::Id;
use crate::trace::Note;
use crate::transaction::Received;
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::client_request::ClientRequest;
use crate::transport::Branch;
use std::net::IpAddr;
use std::time::{Duration, Instant};

impl Stack {
    /// Starts a client transaction. `write` makes the request once the transaction's number is known. `None` where
    /// there are too many; a transaction whose request could not even be sent ends at once.
    pub(crate) fn start_client(
        &mut self,
        now: Instant,
        owner: Option<(Id, usize)>,
        path: Path,
        write: impl FnOnce(&Self, Id) -> Vec<u8>,
        invite: bool,
    ) -> Option<Id> {
        let reliable = !matches!(path, Path::Datagram { .. });
        let kind = match invite {
            true => ClientKind::Invite(ClientInvite::new(reliable)),
            false => ClientKind::Request(ClientRequest::new(reliable)),
        };
        let (mark, request, reason) = (self.mark_of_owner(owner), Vec::new(), Vec::new());
        let client =
            Client { kind, owner, mark, path, request, cancel: Cancel::No, reason, chain: Chain::default() };
        let id = self.table.insert_client(client)?;
        let bytes = write(self, id);
        let alarm = &mut Self::alarm(&mut self.timers, &self.config, id, now);
        let client = self.table.client_mut(id)?;
        match &mut client.kind {
            ClientKind::Invite(machine) => machine.start(alarm),
            ClientKind::Request(machine) => machine.start(alarm),
        }
        let path = client.path.clone();
        self.table.keep(id, bytes.clone());
        if let Some((server, branch)) = owner
            && let Some(context) = self.table.context_mut(server)
        {
            context.live += 1;
            context.branches[branch].state = State::Pending(id);
        }
        self.sent_on(now, id, false, &bytes);
        if !self.send(now, &path, bytes, Some(id)) {
            self.note_client(now, id, Note::Closed, b"");
            self.path_failed(now, id);
        }
        Some(id)
    }

    /// The way to the next element is gone: a datagram came back, a stream closed or would not open. Answers that
    /// were already there stand, and a 2xx may come again, by whatever way (RFC 6026 §7.2).
    pub(crate) fn path_failed(&mut self, now: Instant, id: Id) {
        let Some(client) = self.table.client(id).filter(|client| !client.is_accepted()) else { return };
        let over = client.is_answered();
        self.client_ended(now, id, (!over).then_some(Refusal::Unreachable.code()));
    }

    /// Whose request a client transaction forwards: where that came from.
    pub(super) fn asker(&self, id: Id) -> Option<IpAddr> {
        let (server, _) = self.table.client(id)?.owner?;
        self.table.server(server).map(|server| server.arrival.peer.ip())
    }

    /// Keeps why a way failed, for the answer; not of ways to phones that have registered, which are nobody else's affair.
    pub(super) fn note_failure(&mut self, id: Id, why: &str) {
        let Some((server, branch)) = self.table.client(id).and_then(|client| client.owner) else { return };
        if let Some(context) = self.table.context_mut(server)
            && context.branches.get(branch).is_some_and(|branch| branch.registered.is_none())
        {
            context.why = why.to_owned();
        }
    }

    /// The next element has failed: for a while others are tried before it (RFC 3263 §4.3).
    pub(super) fn block(&mut self, now: Instant, id: Id) {
        if let Some(client) = self.table.client(id) {
            self.blocked.add(now, client.path.target(), None);
        }
    }

    /// A client transaction is over; `failure` is what counts as its answer if it never had one.
    pub(crate) fn client_ended(&mut self, now: Instant, id: Id, failure: Option<u16>) {
        let Some(mut client) = self.table.remove_client(id) else { return };
        let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
        match &mut client.kind {
            ClientKind::Invite(machine) => machine.end(&mut alarm),
            ClientKind::Request(machine) => machine.end(&mut alarm),
        }
        if let Cancel::Sent(Some(carrier)) = client.cancel {
            self.client_ended(now, carrier, None);
        }
        let Some((server, branch)) = client.owner else { return };
        if let Some(context) = self.table.context_mut(server) {
            context.live -= 1;
        }
        if let Some(code) = failure {
            self.branch_failed(now, server, branch, code);
        }
        self.tidy(server);
    }

    /// A response whose topmost Via names one of our client transactions. One that is over gets no further: what was
    /// sent on by its Vias alone would go wherever its sender likes (RFC 6026 §7.3).
    pub(super) fn client_response(&mut self, now: Instant, branch: Branch, response: &Message<'_>) {
        let id = branch.id;
        let Some(client) = self.table.client(id).filter(|client| self.is_of(client, branch)) else { return };
        // A CANCEL of ours has its INVITE's branch.
        let id = match (client.cancel, response.method()) {
            (Cancel::Sent(Some(carrier)), Method::Cancel) => carrier,
            _ => id,
        };
        self.heard(now, id, response);
        let Some(client) = self.table.client_mut(id) else { return };
        let code = response.code().unwrap_or_default();
        let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
        let (verdict, invite) = match &mut client.kind {
            ClientKind::Invite(machine) if response.method() == Method::Invite => {
                (machine.received(code, &mut alarm), true)
            }
            ClientKind::Request(machine) if client.request.is_empty() || is_to(response, &client.request) => {
                (machine.received(code, &mut alarm), false)
            }
            // Not an answer to what was sent.
            _ => return,
        };
        let (owner, target) = (client.owner, client.path.target());
        match code {
            503 => {
                let asked = response.header(HeaderName::RetryAfter).and_then(retry_after);
                self.blocked.add(now, target, asked);
            }
            _ => self.blocked.remove(target),
        }
        // What is finally answered is not sent again; only the ACK of a refusal is made of it.
        if code >= 200 && !(invite && code >= 300) {
            self.table.keep(id, Vec::new());
        }
        if matches!(verdict, Received::Ack | Received::PassAndAck) {
            self.acknowledge(now, id, response);
        }
        if let Some((server, branch)) = owner
            && matches!(verdict, Received::Pass | Received::PassAndAck)
        {
            self.branch_response(now, (server, branch), id, (code, invite), response);
        }
    }

    /// Whether a branch names this transaction, not one of an earlier run that had its number.
    fn is_of(&self, client: &Client, branch: Branch) -> bool {
        let server = client.owner.and_then(|(server, _)| self.table.server(server));
        let context = server.and_then(|server| server.context.as_deref());
        context.is_some_and(|context| context.plan.looped == branch.looped)
    }

    /// Acknowledges a refusal (RFC 3261 §17.1.1.3).
    fn acknowledge(&mut self, now: Instant, id: Id, response: &Message<'_>) {
        let Some(client) = self.table.client(id) else { return };
        let Ok(invite) = Message::parse(&client.request) else { return };
        let mut bytes = Vec::new();
        build::ack(&mut bytes, &invite, response);
        let path = client.path.clone();
        self.sent_on(now, id, false, &bytes);
        self.send(now, &path, bytes, None);
    }
}

/// Whether a response is one to a request of that method (RFC 3261 §17.1.3).
fn is_to(response: &Message<'_>, request: &[u8]) -> bool {
    let rest = request.strip_prefix(response.method().as_bytes());
    rest.is_some_and(|rest| rest.first() == Some(&b' '))
}

/// The seconds that a Retry-After begins with (RFC 3261 §20.33).
fn retry_after(value: &[u8]) -> Option<Duration> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let seconds = std::str::from_utf8(&value[..end]).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
