//! A request comes: in its turn, before it, or again (XEP-0124 §11, §12, §14).

use super::answered::Answered;
use super::{Output, Payload, Phase, Session};
use crate::bosh::Condition;
use crate::bosh::body::Body;
use crate::bosh::wrapper::Answer;
use crate::stream::END;
use std::time::{Duration, Instant};

/// An answer that was given so long ago has been missed, where the client does not know of it.
const MISSED: Duration = Duration::from_secs(3);

/// A request that has no answer yet.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) rid: u64,
    /// Who waits for the answer; nobody, once its connection is lost.
    pub(super) ticket: Option<T>,
    pub(super) since: Instant,
    /// What the stream has not read of it.
    pub(super) work: Option<String>,
    /// Whether the client pauses with it.
    pub(super) pause: bool,
    /// How often it has come.
    pub(super) came: u32,
}

/// A request that has come before its time.
#[derive(Debug)]
pub(super) struct Early<T> {
    pub(super) ticket: T,
    pub(super) body: Body,
    pub(super) since: Instant,
    pub(super) came: u32,
}

impl<T: Copy + Eq, P: Payload> Session<T, P> {
    /// A request of the session. What it brings is for the stream (`take`); then `settle` answers.
    pub fn request(&mut self, now: Instant, ticket: T, body: Body, out: &mut Vec<Output<T, P>>) {
        if self.is_over() {
            return self.break_off(ticket, Condition::ItemNotFound, out);
        }
        if body.rid <= self.received {
            return self.repeated(now, ticket, body.rid, out);
        }
        if let Some(early) = self.early.get_mut(&body.rid) {
            early.came += 1;
            let (old, came) = (std::mem::replace(&mut early.ticket, ticket), early.came);
            return self.again(Some(old), ticket, came, out);
        }
        if let Err(condition) = self.admit(&body) {
            return self.break_off(ticket, condition, out);
        }
        self.early.insert(body.rid, Early { ticket, body, since: now, came: 1 });
        while let Some(early) = self.early.remove(&(self.received + 1)) {
            self.received += 1;
            if !self.keys.take(&early.body) {
                return self.break_off(early.ticket, Condition::ItemNotFound, out);
            }
            if self.hurries(&early) {
                return self.break_off(early.ticket, Condition::PolicyViolation, out);
            }
            self.accept(now, early, out);
        }
    }

    /// Whether a new request may come now.
    fn admit(&self, body: &Body) -> Result<(), Condition> {
        // One that comes beside all others may have overtaken them.
        let extra = body.is_extra() || self.early.values().any(|early| early.body.is_extra());
        let most = self.terms.requests + usize::from(extra);
        let others = self.waiting.len() + self.early.len();
        if body.rid - self.received > most as u64 {
            return Err(Condition::ItemNotFound);
        }
        match others + 1 > most {
            true => Err(Condition::PolicyViolation),
            false => Ok(()),
        }
    }

    /// Whether a request that asks for nothing has come too soon behind the one before it.
    fn hurries(&self, early: &Early<T>) -> bool {
        let Early { body, since, .. } = early;
        let (before, was_empty) = self.last;
        let apart = since.max(&before).saturating_duration_since(*since.min(&before));
        let in_vain = match self.terms.polls() {
            true => was_empty && self.answered.get(body.rid - 1).is_some_and(|answer| answer.barren),
            false => self.waiting.len() + 1 == self.terms.requests,
        };
        apart < self.terms.limits.polling && in_vain && body.is_empty() && !body.is_extra()
    }

    /// It is a request's turn.
    fn accept(&mut self, now: Instant, early: Early<T>, out: &mut Vec<Output<T, P>>) {
        let Early { ticket, body, since, came } = early;
        self.last = (since, body.is_empty());
        self.acknowledge(now, &body, out);
        let pause = body.pause.map(Duration::from_secs).filter(|pause| *pause <= self.terms.limits.pause);
        self.inactivity = pause.unwrap_or(self.terms.inactivity);
        self.pausing |= pause.is_some();
        let work = match body.restart {
            // What else it carries is not for the new stream (XEP-0206 §5).
            true => Some(body.wish.or(&self.terms.wish).header()),
            false => Some(body.payload).filter(|payload| !payload.is_empty()),
        };
        let work = if body.terminate { Some(work.unwrap_or_default() + END) } else { work };
        let pause = pause.is_some();
        self.waiting.push_back(Waiting { rid: body.rid, ticket: Some(ticket), since, work, pause, came });
        self.look(now);
    }

    /// What a request tells of the answers that its client has had (XEP-0124 §9.2). Where it does not say, it has had
    /// those that it could not go on without; and who asks for nothing waits for nothing else.
    fn acknowledge(&mut self, now: Instant, body: &Body, out: &mut Vec<Output<T, P>>) {
        let before = body.rid - 1;
        let had = if self.terms.acknowledges {
            body.ack.unwrap_or(before)
        } else if (body.is_empty() && body.pause.is_none()) || body.terminate {
            before
        } else {
            // A pause comes beside as many others as there may be.
            let others = self.terms.requests + usize::from(body.is_extra());
            body.rid.saturating_sub(others as u64)
        };
        out.extend(self.answered.confirm(had).map(Output::Taken));
        let missed = self.answered.get(had.saturating_add(1)).filter(|_| self.terms.acknowledges);
        self.report = missed.filter(|answer| answer.at + MISSED <= now).map(|answer| (answer.rid, answer.at));
    }

    /// A request that has come before: its answer is given again, or is still to come and goes to who asked last.
    fn repeated(&mut self, now: Instant, ticket: T, rid: u64, out: &mut Vec<Output<T, P>>) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.rid == rid) {
            waiting.came += 1;
            waiting.since = now;
            let (old, came) = (waiting.ticket.replace(ticket), waiting.came);
            self.look(now);
            return self.again(old, ticket, came, out);
        }
        let Some(Answered { text, came, .. }) = self.answered.get_mut(rid) else {
            return self.break_off(ticket, Condition::ItemNotFound, out);
        };
        *came += 1;
        if *came > self.terms.limits.repeats {
            return self.break_off(ticket, Condition::PolicyViolation, out);
        }
        out.push(Output::Answer { ticket, status: 200, text: text.clone() });
        self.idle = self.idle.map(|_| now);
    }

    /// Who has asked before is told to ask again (XEP-0124 §14.3).
    fn again(&mut self, old: Option<T>, ticket: T, came: u32, out: &mut Vec<Output<T, P>>) {
        if let Some(ticket) = old {
            let again = Answer { recover: true, ..Answer::default() };
            out.push(Output::Answer { ticket, status: 200, text: again.write(&[]).into() });
        }
        if came > self.terms.limits.repeats {
            self.break_off(ticket, Condition::PolicyViolation, out);
        }
    }

    /// Nobody waits any more for the answer to a request: its connection is lost.
    pub fn abandoned(&mut self, now: Instant, ticket: T) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.ticket == Some(ticket)) {
            waiting.ticket = None;
        }
        self.early.retain(|_, early| early.ticket != ticket);
        self.look(now);
    }

    /// Whether the client takes leave, or is told that it is gone.
    pub const fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }
}
