//! ACK: to a refusal it ends the server transaction; to a 2xx it is forwarded like a request of its own, without a
//! transaction (RFC 3261 §13.2.2.4, §16.11, §17.2.1).

use super::{ServerKind, Stack};
use crate::message::Message;
use crate::proxy::route::{Plan, has_route};
use crate::proxy::validate;
use crate::transaction::server_invite::Repeated;
use crate::transport::Arrival;
use std::time::Instant;

impl Stack {
    pub(super) fn ack(&mut self, now: Instant, arrival: Arrival, ack: &Message<'_>, stray: Option<u16>) {
        if let Some(id) = self.table.find(self.key(ack)) {
            let mut verdict = Repeated::Absorb;
            if let Some(server) = self.table.server_mut(id)
                && let ServerKind::Invite(machine) = &mut server.kind
            {
                let mut alarm = Self::alarm(&mut self.timers, &self.config, id, now);
                verdict = machine.acknowledged(&mut alarm);
            }
            if verdict != Repeated::Pass {
                return;
            }
        }
        if let Some(plan) = self.ack_plan(&arrival, ack) {
            if !self.mediate_ack(now, arrival, ack, &plan) {
                self.forward_stateless(now, arrival, ack, plan);
            }
        } else if ack.to().tag() != Some(self.tag(ack).as_bytes())
            && (stray.is_some() || self.takes(now, &arrival))
        {
            // Not even the ACK of a refusal that we gave without a transaction: perhaps another worker's.
            self.pass_on(arrival, ack, stray);
        }
    }

    /// Where the ACK of a 2xx goes: only along a route that we recorded for its dialog.
    fn ack_plan(&self, arrival: &Arrival, ack: &Message<'_>) -> Option<Plan> {
        if !has_route(ack) {
            return None;
        }
        validate::check(&self.seal, ack).and_then(|()| validate::has_hops(ack)).ok()?;
        let plan = self.place().route(ack, arrival).ok()?;
        plan.in_dialog.then_some(plan)
    }
}
