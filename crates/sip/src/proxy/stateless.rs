//! Forwarding without a transaction: the ACK of a 2xx (RFC 3261 §16.11).

use super::fork::first_hops;
use super::forward::Copy;
use super::route::{Plan, Target};
use crate::message::Message;
use crate::stack::{Asked, Stack};
use crate::transport::{Arrival, Branch, Hop};
use std::collections::VecDeque;
use std::time::Instant;

impl Stack {
    /// Sends a request on its way and forgets it.
    pub(crate) fn forward_stateless(
        &mut self,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        plan: Plan,
    ) {
        // An ACK goes where its dialog's route leads; an address of record is no place to acknowledge.
        let hops = match (&plan.target, self.dialog_flow(&plan)) {
            (Target::Next, _) => first_hops(&plan, request),
            (Target::Account(_), Some(flow)) => Some([Hop::Flow(flow)].into()),
            _ => None,
        };
        let Some(hops) = hops else { return };
        self.send_first(now, arrival, request, plan, hops);
    }

    /// Sends it by the first way that there is.
    pub(super) fn send_first(
        &mut self,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        plan: Plan,
        hops: VecDeque<Hop>,
    ) {
        for hop in hops {
            if let Some(question) = hop.question() {
                let bytes = request.bytes().to_vec();
                let asked = Asked::Stateless { arrival, bytes, plan: Box::new(plan), hop };
                self.resolve(now, asked, question);
                return;
            }
            if self.send_stateless(now, arrival, request, &plan, &hop) {
                return;
            }
        }
    }

    fn send_stateless(
        &mut self,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        plan: &Plan,
        hop: &Hop,
    ) -> bool {
        if !self.may_go(hop, plan, &arrival, None) {
            return false;
        }
        let Some((path, sent_by)) = self.path(hop) else { return false };
        let bytes = Copy {
            plan,
            arrival: &arrival,
            uri: None,
            path: b"",
            hop,
            sent_by: &sent_by,
            branch: &Branch::stateless(&self.seal, plan.looped, request.via().as_bytes()),
            record_routes: &[],
            max_forwards: self.config.limits.max_forwards,
            breadth: None,
            consumed: self.realm_of(request, &arrival).as_deref(),
            body: None,
        }
        .write(request);
        self.sent_past(now, &path, request, &bytes);
        self.send(now, &path, bytes, None)
    }
}
