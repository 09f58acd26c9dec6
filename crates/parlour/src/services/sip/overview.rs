//! What the administrator asks one worker's SIP, and what it says of itself.

use super::Sip;
use crate::desk::Desk;
use crate::report::Report;
use ::sip::dialog::book::Call;
use ::sip::stack::{Registered, Ringing};
use ::sip::trace::Row;
use ::sip::{Found, Page};
use std::time::Instant;
use tokio::sync::oneshot;
use wire::Address;

/// A Call-ID as it was written.
pub type CallId = Box<[u8]>;

/// A letter from the back office, with the way back.
#[derive(Debug)]
pub enum Order {
    /// A page of the bindings of everybody at home here.
    Bindings(Page, oneshot::Sender<Found<Registered>>),
    /// The bindings of one address at home here.
    BindingsOf(Address, oneshot::Sender<Vec<Registered>>),
    /// Certificates of this account are good no more: who has shown one asks from now on as everybody does.
    ForgetIdentity(Address, oneshot::Sender<()>),
    /// Tell the homes of calls now what they do not know yet.
    TellHomes(oneshot::Sender<()>),
    /// A page of the calls that ring, of those that came here.
    Ringing(Page, oneshot::Sender<Found<Ringing>>),
    /// A page of the calls at home here that stand.
    Calls(Page, oneshot::Sender<Found<Call>>),
    /// End the call with this Call-ID: what is to be ended here. How many that were.
    HangUp(Box<str>, oneshot::Sender<usize>),
    /// The Call-IDs of so many of the latest calls that came here, the last one first, with when they did.
    Latest(usize, oneshot::Sender<Vec<(Instant, CallId)>>),
    /// Everything that is known here of the calls with these Call-IDs.
    Trace(Box<[CallId]>, oneshot::Sender<Vec<Vec<Row>>>),
}

impl Sip {
    /// The back office wants something. Whoever asked may have gone away meanwhile.
    pub(super) fn order(&mut self, desk: &mut Desk<'_, '_>, order: Order) {
        let now = desk.net.now();
        match order {
            Order::Bindings(page, reply) => drop(reply.send(self.stack.bindings(now, page))),
            Order::BindingsOf(address, reply) => drop(reply.send(self.stack.bindings_of(now, &address))),
            Order::ForgetIdentity(user, reply) => {
                self.tide.turn();
                self.stack.forget_identity(&user);
                // Whoever wanted that may have gone away.
                let _ = reply.send(());
            }
            Order::TellHomes(reply) => {
                self.stack.tell_homes();
                self.carry_out(desk);
                if reply.send(()).is_err() {
                    tracing::debug!("whoever wanted to know of calls has gone away");
                }
            }
            Order::Ringing(page, reply) => drop(reply.send(self.stack.ringing(page))),
            Order::Calls(page, reply) => drop(reply.send(self.stack.calls().page(now, page))),
            Order::HangUp(call_id, reply) => {
                let ended = self.stack.hang_up(now, call_id.as_bytes());
                self.carry_out(desk);
                if reply.send(ended).is_err() {
                    tracing::debug!(ended, "whoever wanted calls ended has gone away");
                }
            }
            Order::Latest(most, reply) => drop(reply.send(self.stack.latest(most))),
            Order::Trace(calls, reply) => drop(reply.send(self.stack.trace(&calls))),
        }
    }

    /// Adds how this worker's SIP is.
    pub(super) fn report_on(&self, report: &mut Report) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let stack = &self.stack;
        report.add("sip.addresses", count(stack.registrar().len()));
        report.add("sip.bindings", count(stack.registrar().count()));
        report.add("sip.transactions", count(stack.transactions()));
        report.add("sip.bindings.unsaved", count(stack.storage().unsaved()));
        report.add("sip.registrations.from-memory", stack.storage().from_memory());
        report.add("sip.scanners", stack.scanned());
        report.add("sip.unanswered", self.turned_away);
        report.add("sip.streams", count(stack.streams()));
        for (transport, open) in stack.streams_by_transport() {
            report.add(&format!("sip.open.{transport}"), count(open));
        }
        report.add("sip.calls.now", count(stack.calls().len()));
        report.add("sip.calls.unseen", stack.calls().dropped());
        let tally = stack.tally();
        for (class, calls) in tally.calls() {
            report.add(&format!("sip.called.{class}"), calls);
        }
        for (method, requests) in tally.requests() {
            report.add(&format!("sip.requests.{method}"), requests);
        }
        for (class, answers) in tally.answers() {
            report.add(&format!("sip.answers.{class}"), answers);
        }
        for (transport, messages) in tally.messages() {
            report.add(&format!("sip.messages.{transport}"), messages);
        }
    }
}
