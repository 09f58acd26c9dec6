//! What happens when a timer is due.

use super::{Cancel, Client, ClientKind, Entry, Output, ServerKind, Stack};
use crate::proxy::Refusal;
use crate::slab::Id;
use crate::trace::Note;
use crate::transaction::{Fired, Timer};
use std::time::Instant;

impl Stack {
    pub(super) fn fired(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::C(id) => self.rang_too_long(now, id),
            Timer::Serial(id) => self.group_had_its_time(now, id),
            Timer::Cancelled(id) => self.give_up_client(now, id),
            Timer::Bindings => self.bindings_end(now),
            Timer::Pings => self.ping_some(now),
            Timer::Dialling(id) => self.refused(now, id, "no answer"),
            Timer::Asked(id) => self.not_answered(now, id),
            Timer::Patience => self.lose_patience(now),
            Timer::Calls => self.tell_homes(),
            Timer::Storage => self.try_to_save(now),
            Timer::Idle(conn) => self.perhaps_idle(now, conn),
            Timer::Partial(conn) => self.out.push_back(Output::Close { conn }),
            Timer::A(id)
            | Timer::B(id)
            | Timer::D(id)
            | Timer::E(id)
            | Timer::F(id)
            | Timer::G(id)
            | Timer::H(id)
            | Timer::I(id)
            | Timer::J(id)
            | Timer::K(id)
            | Timer::L(id)
            | Timer::M(id)
            | Timer::Trying(id) => self.transaction_fired(now, timer, id),
        }
    }

    fn transaction_fired(&mut self, now: Instant, timer: Timer, id: Id) {
        let is_server = matches!(self.table.get(id), Some(Entry::Server(_)));
        let fired = self.ask_machine(now, timer, id);
        match (fired, is_server) {
            (Fired::Resend, true) => self.resend_response(now, id),
            (Fired::Resend, false) => self.resend_request(now, id),
            (Fired::Trying, _) => self.trying_late(now, id),
            (Fired::TimedOut, _) => {
                self.note_client(now, id, Note::Silent, b"");
                self.block(now, id);
                self.client_ended(now, id, Some(Refusal::Timeout.code()));
            }
            (Fired::Ended, true) => self.end_server(now, id),
            (Fired::Ended, false) => self.client_ended(now, id, None),
            (Fired::Nothing, _) => {}
        }
    }

    fn ask_machine(&mut self, now: Instant, timer: Timer, id: Id) -> Fired {
        if let Some(server) = self.table.server_mut(id) {
            let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
            return match &mut server.kind {
                ServerKind::Invite(machine) => machine.fired(timer, &mut alarm),
                ServerKind::Request(machine) => machine.fired(timer, &mut alarm),
            };
        }
        let Some(client) = self.table.client_mut(id) else { return Fired::Nothing };
        let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
        match &mut client.kind {
            ClientKind::Invite(machine) => machine.fired(timer, &mut alarm),
            ClientKind::Request(machine) => machine.fired(timer, &mut alarm),
        }
    }

    fn resend_request(&mut self, now: Instant, id: Id) {
        let Some(Client { path, request, .. }) = self.table.client(id) else { return };
        let (path, bytes) = (path.clone(), request.clone());
        self.sent_on(now, id, true, &bytes);
        self.send(now, &path, bytes, Some(id));
    }

    /// Timer C: the called phone is told to stop (RFC 3261 §16.8), and the caller hears what it says to that, or of a
    /// time-out. It does not begin to ring at another address.
    fn rang_too_long(&mut self, now: Instant, id: Id) {
        let Some(client) = self.table.client_mut(id) else { return };
        if client.cancel == Cancel::No {
            let owner = client.owner;
            client.reason = b"Reason: SIP;cause=408;text=\"Request Timeout\"\r\n".to_vec();
            client.cancel = Cancel::Wanted;
            self.note_client(now, id, Note::RangTooLong, b"");
            if let Some((server, branch)) = owner
                && let Some(context) = self.table.context_mut(server)
            {
                context.branches[branch].give_up_ways();
            }
            self.send_cancel(now, id);
        }
    }

    /// The CANCEL had no effect (RFC 3261 §9.1): the transaction counts as over.
    fn give_up_client(&mut self, now: Instant, id: Id) {
        let Some(client) = self.table.client(id) else { return };
        let closing = client
            .owner
            .and_then(|(server, _)| self.table.server(server)?.context.as_ref())
            .is_some_and(|context| context.closing);
        let code = if closing { Refusal::Cancelled.code() } else { Refusal::Timeout.code() };
        self.client_ended(now, id, Some(code));
    }

    fn bindings_end(&mut self, now: Instant) {
        while let Some(address) = self.registrar.ended(now) {
            self.save_fewer(now, &address);
        }
        self.watch_bindings(now);
    }
}
