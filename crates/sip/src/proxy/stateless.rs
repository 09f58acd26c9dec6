//! Forwarding without a transaction: the ACK of a 2xx (RFC 3261 §16.11).

use super::fork::{first_hops, groups};
use super::forward::Copy;
use super::route::{Plan, Target};
use super::{context, validate};
use crate::message::Message;
use crate::registrar::Contact;
use crate::stack::{Asked, Output, Stack};
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
        mut plan: Plan,
    ) {
        plan.looped = validate::hash(&self.seal, request);
        // An ACK goes where its dialog's route leads; to a phone that has named itself by an address of ours, as a GRUU is,
        // by what it has registered (RFC 5627 §5.1).
        let hops = match (&plan.target, self.dialog_flow(&plan)) {
            (Target::Next, _) => first_hops(&plan, request),
            (Target::Account(_), Some(flow)) => Some([Hop::Flow(flow)].into()),
            (Target::Account(address), None) => {
                let (address, bytes) = (address.clone(), request.bytes().to_vec());
                let token = self.ask(now, Asked::Acknowledge { arrival, bytes, plan: Box::new(plan) });
                return self.out.extend(token.map(|token| Output::Locate { token, address }));
            }
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
            if self.send_stateless(now, arrival, request, (&plan, None), &hop) {
                return;
            }
        }
    }

    /// Sends an ACK to whom it is meant for among a user's phones: to all of them where it does not say whom. Who is not in
    /// the dialog passes it over (RFC 3261 §17.2.3).
    pub(super) fn acknowledge_at(
        &mut self,
        now: Instant,
        arrival: Arrival,
        bytes: &[u8],
        plan: &Plan,
        mut contacts: Vec<Contact>,
    ) {
        let Ok(ack) = Message::parse(bytes) else { return };
        if let Some(phone) = &plan.phone {
            contacts.retain(|contact| phone.has(contact, &self.seal));
        }
        for target in groups(contacts, plan.secure).iter().flatten() {
            let sends = |hop: &Hop| self.send_stateless(now, arrival, &ack, (plan, Some(target)), hop);
            // The first way that there is.
            let _ = target.hops.iter().any(sends);
        }
    }

    fn send_stateless(
        &mut self,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        (plan, target): (&Plan, Option<&context::Branch>),
        hop: &Hop,
    ) -> bool {
        if !self.may_go(hop, plan, &arrival, target.and_then(|target| target.registered)) {
            return false;
        }
        let Some((path, sent_by)) = self.path(hop) else { return false };
        let path = self.speaking_for(path, request);
        let bytes = Copy {
            plan,
            arrival: &arrival,
            uri: target.and_then(|target| target.uri.as_deref()),
            path: target.map_or(b"", |target| &target.path),
            hop,
            sent_by: &sent_by,
            branch: &Branch::stateless(&self.seal, plan.looped, request.via().as_bytes()),
            record_routes: &[],
            max_forwards: self.config.limits.max_forwards,
            breadth: None,
            consumed: self.realm_of(request, &arrival).as_ref(),
            body: None,
        }
        .write(request);
        self.sent_past(now, &path, request, &bytes);
        self.send(now, &path, bytes, None)
    }
}
