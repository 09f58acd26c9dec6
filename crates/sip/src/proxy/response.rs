//! Answers of branches (RFC 3261 §16.7): provisional ones and every 2xx pass at once, the best refusal when all
//! branches have answered.

use super::Refusal;
use super::context::Answer;
use crate::message::{Edit, HeaderName, Message};
use crate::slab::Id;
use crate::stack::{Cancel, ServerKind, Stack, says_gone};
use crate::transaction::Timer;
use std::time::Instant;

/// What a branch's phone is told when another took the call (RFC 3326).
const ELSEWHERE: &[u8] = b"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";

/// A response as it goes on: without our Via, and on a stream with its length, which datagrams may do without (RFC 3261 §18.3).
pub(super) fn passed_on(response: &Message<'_>, on_stream: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut edit = Edit::new(response, &mut bytes);
    edit.pop(HeaderName::Via, 1);
    if on_stream {
        edit.content_length();
    }
    edit.finish();
    bytes
}

impl Stack {
    /// A response of one branch that its client transaction lets through.
    pub(crate) fn branch_response(
        &mut self,
        now: Instant,
        (server, branch): (Id, usize),
        client: Id,
        (code, invite): (u16, bool),
        response: &Message<'_>,
    ) {
        self.media_over(server, code, response);
        if invite && code < 200 {
            self.heard_of(now, client, code);
        }
        if !self.mediate_response(now, (server, branch), client, (code, invite), response) {
            self.pass_response(now, (server, branch), (code, invite), response);
        }
    }

    /// The same, with what was to be changed in it.
    pub(super) fn pass_response(
        &mut self,
        now: Instant,
        (server, branch): (Id, usize),
        (code, invite): (u16, bool),
        response: &Message<'_>,
    ) {
        match code {
            // 100 stays here, and other methods have no others (RFC 4320 §4.1).
            101..=199 if invite => {
                let on_stream = self.answers_on_stream(server);
                self.respond(now, server, code, passed_on(response, on_stream));
            }
            100..=199 => {}
            200..=299 => self.success(now, (server, branch), (code, invite), response),
            _ => self.refusal_of_branch(now, (server, branch), code, response),
        }
    }

    fn answers_on_stream(&self, server: Id) -> bool {
        self.table.server(server).is_some_and(|server| server.arrival.transport.is_stream())
    }

    /// A provisional response to INVITE: the call is alive, or the phone can be told to stop.
    fn heard_of(&mut self, now: Instant, client: Id, code: u16) {
        match self.table.client(client).map(|client| client.cancel) {
            Some(Cancel::Wanted) => self.send_cancel(now, client),
            Some(Cancel::No) if code > 100 || self.timers.get(Timer::C(client)).is_none() => {
                self.timers.set(Timer::C(client), now + self.config.timing.c);
            }
            _ => {}
        }
    }

    /// A 2xx passes at once, each one of an INVITE; the other phones stop ringing.
    fn success(
        &mut self,
        now: Instant,
        (server, branch): (Id, usize),
        (code, invite): (u16, bool),
        response: &Message<'_>,
    ) {
        let Some(context) = self.table.context_mut(server) else { return };
        if invite && !context.answered && !context.plan.in_dialog {
            self.call_begins(now, server, branch, response);
        }
        let Some(context) = self.table.context_mut(server) else { return };
        context.done(branch);
        let first = !std::mem::replace(&mut context.answered, true);
        if first && invite {
            self.media_settled(server, Some(branch));
        }
        if first || invite {
            let on_stream = self.answers_on_stream(server);
            self.respond(now, server, code, passed_on(response, on_stream));
        }
        if first && invite {
            self.give_up(now, server, ELSEWHERE);
        }
    }

    /// A refusal is kept until every branch has answered; a 6xx ends the others' ringing (RFC 3261 §16.7 step 5).
    fn refusal_of_branch(
        &mut self,
        now: Instant,
        (server, branch): (Id, usize),
        code: u16,
        response: &Message<'_>,
    ) {
        let on_stream = self.answers_on_stream(server);
        let has_room = self.table.keeps(response.bytes().len());
        let Some(context) = self.table.context_mut(server) else { return };
        if matches!(code, 430 | 503) && !context.closing && context.branches[branch].has_more() {
            self.try_next(now, server, branch, code);
            return self.conclude(now, server);
        }
        // Where too much is kept already, the caller hears no more than that there is nobody to be had.
        match has_room {
            true => context.refused(branch, code, response, on_stream),
            false => context.failed(branch, Refusal::Unavailable.code()),
        }
        if context.plan.in_dialog && says_gone(code) {
            self.call_is_gone(now, response);
        }
        self.table.count_answers(server);
        if code >= 600 {
            let reason = format!("Reason: SIP;cause={code}\r\n");
            self.give_up(now, server, reason.as_bytes());
        }
        self.conclude(now, server);
    }

    /// A branch had no answer: its way is gone, or nobody answered in time. Perhaps there is another way; but when a
    /// request other than INVITE has had its time, nobody waits for it any more (RFC 4320 §3).
    pub(crate) fn branch_failed(&mut self, now: Instant, server: Id, branch: usize, code: u16) {
        if let Some(row) = self.table.server_mut(server)
            && matches!(row.kind, ServerKind::Request(_))
            && code == Refusal::Timeout.code()
            && let Some(context) = row.context.as_deref_mut()
        {
            context.branches[branch].give_up_ways();
        }
        self.try_next(now, server, branch, code);
        self.conclude(now, server);
    }

    /// Passes the best answer on, once every branch has answered.
    pub(crate) fn conclude(&mut self, now: Instant, server: Id) {
        // A group in which nobody can be reached at all is over as soon as it has begun.
        while let Some(context) = self.table.context_mut(server)
            && !context.answered
            && context.is_group_done()
            && !context.later.is_empty()
        {
            self.next_group(now, server, None);
        }
        let Some(context) = self.table.context_mut(server) else { return };
        if context.answered || !context.is_complete() {
            return;
        }
        self.media_settled(server, None);
        let Some(context) = self.table.context_mut(server) else { return };
        context.answered = true;
        let best = context.answer();
        self.table.count_answers(server);
        self.pass_best(now, server, best);
        // What may not be said at all (408 to other methods than INVITE, RFC 4320 §4.2) ends in silence.
        if self.table.server(server).is_some_and(|server| !server.is_answered()) {
            self.fall_silent(now, server);
        }
    }

    fn pass_best(&mut self, now: Instant, server: Id, best: Answer) {
        match best {
            Answer::Pass(code, bytes) => self.respond(now, server, code, bytes),
            Answer::Own(code) => {
                let why = self.table.context_mut(server).map(|context| std::mem::take(&mut context.why));
                let why = why.filter(|why| code == Refusal::Unreachable.code() && !why.is_empty());
                self.answer(now, server, &why.map_or_else(|| own(code), Refusal::Failed));
            }
        }
    }
}

/// The refusal behind a code of our own.
fn own(code: u16) -> Refusal {
    match code {
        408 => Refusal::Timeout,
        430 => Refusal::FlowFailed,
        440 => Refusal::Breadth,
        480 => Refusal::Unavailable,
        487 => Refusal::Cancelled,
        500 => Refusal::Upstream,
        _ => Refusal::Unreachable,
    }
}
