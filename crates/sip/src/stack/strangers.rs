//! Who has proven nothing may ask for so much (what Kamailio's pike does): beyond that nobody answers. Over UDP anybody can
//! write anybody's address on a request, so nobody is blamed for it there.
//!
//! Answers do not count, nor what belongs to a dialog of ours. How much there may be, and of whom, is told from outside: the
//! workers count together.

use super::{Output, Stack};
use crate::message::Message;
use crate::proxy::route::Plan;
use crate::slab::Id;
use crate::transport::Arrival;
use std::fmt::Debug;
use std::time::Instant;
use wire::Flow;

/// How many requests whoever has proven nothing may send. All workers ask the same one.
pub trait Strangers: Debug + Send + Sync {
    /// Whether a request that came like this is looked at. One that is counts.
    fn takes(&self, now: Instant, arrival: &Arrival) -> bool;

    /// Whether one would be. Nothing is counted.
    fn has_room(&self, now: Instant, arrival: &Arrival) -> bool;

    /// Good credentials have come like this: neither they nor what was asked without them count. `registers`: a
    /// registration came by this flow.
    fn have_proven(&self, now: Instant, arrival: &Arrival, registers: bool);
}

/// Everybody may ask for anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl Strangers for Everybody {
    fn takes(&self, _: Instant, _: &Arrival) -> bool {
        true
    }

    fn has_room(&self, _: Instant, _: &Arrival) -> bool {
        true
    }

    fn have_proven(&self, _: Instant, _: &Arrival, _: bool) {}
}

impl Stack {
    /// Whether a request is looked at that may have come from a stranger. Else nobody answers it.
    pub(super) fn takes(&mut self, now: Instant, arrival: &Arrival) -> bool {
        let takes = self.admits(now, arrival);
        if !takes {
            self.turn_away(arrival);
        }
        takes
    }

    fn admits(&self, now: Instant, arrival: &Arrival) -> bool {
        self.is_known(arrival) || self.strangers.takes(now, arrival)
    }

    /// The same of one that is routed already, or could not be.
    pub(super) fn takes_routed(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        plan: Option<&Plan>,
    ) -> bool {
        let takes = plan.is_some_and(|plan| plan.in_dialog)
            || self.admits(now, arrival)
            // What we have sent to ourselves is looked at in any case; seldom does it have to be found out.
            || self.is_vouched(request);
        if !takes {
            self.turn_away(arrival);
        }
        takes
    }

    /// The same of one that has come before.
    pub(super) fn takes_again(&mut self, now: Instant, arrival: &Arrival, id: Id) -> bool {
        let context = self.table.server(id).and_then(|server| server.context.as_deref());
        context.is_some_and(|context| context.plan.in_dialog || context.plan.prover.is_some())
            || self.takes(now, arrival)
    }

    /// The same of one that another worker is to look at, and to count.
    pub(super) fn has_room(&mut self, now: Instant, arrival: &Arrival) -> bool {
        let has_room = self.strangers.has_room(now, arrival);
        if !has_room {
            self.turn_away(arrival);
        }
        has_room
    }

    fn turn_away(&mut self, arrival: &Arrival) {
        let is_proven = arrival.transport.is_stream();
        self.out.push_back(Output::TurnedAway { source: arrival.peer.ip(), is_proven });
    }

    /// Whether whoever sends by this way has shown a certificate that proves something.
    fn is_known(&self, arrival: &Arrival) -> bool {
        match arrival.flow {
            Flow::Stream(conn) => self.connections.is_known(conn),
            Flow::Datagram { .. } => false,
        }
    }
}
