//! From the plan to what one worker's relay is to do.

use crate::config::Plan;
use crate::config::plan::Service;
use crate::desk::Shared;
use ::media::Config;
use ::media::relay::{Guard, Place};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The plan's part, for one of the workers.
pub(super) fn config(shared: &Shared) -> Config {
    let media = &shared.plan.media;
    Config {
        places: places(&shared.plan),
        listed: shared.plan.network.listed || !media.addresses.is_empty(),
        ports: media.rtp_ports.clone(),
        share: (shared.me.0, shared.workers),
        guard: guard(shared),
        silence: media.silence,
        hold: media.limits.hold,
        hold_with_rtcp: media.limits.hold_with_rtcp,
        ringing: media.limits.ringing,
    }
}

/// What packets are not to be aimed at.
fn guard(shared: &Shared) -> Guard {
    let plan = &shared.plan;
    let mut own = plan.network.own.clone();
    own.extend(&plan.media.addresses);
    own.extend(plan.network.external.iter().map(|pair| pair.public));
    let datagrams = shared.bound.iter().filter(|bound| bound.socket.is_some());
    let has_relays = plan.listeners().any(|(service, ..)| service == Service::Turn);
    Guard {
        own: own.into_iter().map(|ip| ip.to_canonical()).collect(),
        listeners: datagrams.map(|bound| bound.address.port()).collect(),
        relays: if has_relays { plan.turn.relay_ports.clone() } else { NONE },
    }
}

/// No port.
const NONE: RangeInclusive<u16> = RangeInclusive::new(1, 0);

fn places(plan: &Plan) -> Vec<Place> {
    let network = &plan.network;
    let addresses = match plan.media.addresses.is_empty() {
        true => &network.addresses,
        false => &plan.media.addresses,
    };
    let place = |bind: &IpAddr| Place { bind: *bind, public: network.public(*bind) };
    addresses.iter().map(place).collect()
}
