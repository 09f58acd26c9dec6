//! CANCEL: answered at once, and passed on to every branch that has not answered (RFC 3261 §9.2, §16.10).

use super::{Cancel, ClientKind, Stack};
use crate::message::{HeaderName, Message, build};
use crate::proxy::Refusal;
use crate::slab::Id;
use crate::trace::{Note, Word};
use crate::transaction::Timer;
use crate::transaction::client_invite;
use crate::transport::Arrival;
use std::time::Instant;

impl Stack {
    pub(super) fn cancel_request(
        &mut self,
        now: Instant,
        arrival: Arrival,
        cancel: &Message<'_>,
        stray: Option<u16>,
    ) {
        let (found, is_new) = (self.table.find(self.key(cancel)), stray.is_none());
        if found.is_none() && is_new && !self.takes(now, &arrival) {
            return;
        }
        self.saw(now, &arrival, cancel, is_new);
        let Some(id) = found else {
            if !self.pass_on(arrival, cancel, stray) {
                self.refuse(now, &arrival, cancel, &Refusal::NoTransaction);
            }
            return;
        };
        // Answering needs no state: the same CANCEL again gets the same answer and finds nothing left to do.
        self.answer_stateless(now, &arrival, cancel, 200);
        let mut reason = Vec::new();
        for value in cancel.all(HeaderName::Reason) {
            reason.extend_from_slice(&[b"Reason: ", value, b"\r\n"].concat());
        }
        self.note_server(now, id, Note::GaveUp, (0, b""));
        self.give_up(now, id, &reason);
    }

    /// Cancels all that is pending for a server transaction: the caller gave up, or somebody else took the call.
    pub(crate) fn give_up(&mut self, now: Instant, server: Id, reason: &[u8]) {
        let Some(context) = self.table.context_mut(server) else { return };
        let pending = context.close(Refusal::Cancelled.code());
        for client in pending {
            self.cancel_client(now, client, reason);
        }
        self.conclude(now, server);
    }

    /// Cancels one client transaction, now or when it has been heard of.
    pub(crate) fn cancel_client(&mut self, now: Instant, id: Id, reason: &[u8]) {
        let Some(client) = self.table.client_mut(id) else { return };
        let ClientKind::Invite(machine) = &client.kind else { return };
        if client.cancel == Cancel::No {
            client.reason = reason.to_vec();
            client.cancel = Cancel::Wanted;
        }
        if client.cancel == Cancel::Wanted && machine.state() == client_invite::State::Proceeding {
            self.send_cancel(now, id);
        }
    }

    /// Sends the CANCEL of an INVITE that was heard of, and sets a limit to waiting for its end.
    pub(crate) fn send_cancel(&mut self, now: Instant, id: Id) {
        let Some(client) = self.table.client(id) else { return };
        let Ok(invite) = Message::parse(&client.request) else { return };
        let mut bytes = Vec::new();
        build::cancel(&mut bytes, &invite, &client.reason);
        let path = client.path.clone();
        self.timers.cancel(Timer::C(id));
        self.timers.set(Timer::Cancelled(id), now + self.config.timing.patience());
        let carrier = self.start_client(now, None, path, |_, _| bytes, false);
        let Some(client) = self.table.client_mut(id) else { return };
        client.cancel = Cancel::Sent(carrier);
        let mark = client.mark.of(Word::Cancel);
        if let Some(carrier) = carrier.and_then(|carrier| self.table.client_mut(carrier)) {
            carrier.mark = mark;
        }
    }
}
