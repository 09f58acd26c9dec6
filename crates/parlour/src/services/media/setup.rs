//! From the plan to what one worker's relay is to do.

use crate::config::Plan;
use crate::desk::Shared;
use ::media::Config;
use ::media::relay::Place;
use std::net::IpAddr;

/// The plan's part, for one of the workers.
pub(super) fn config(shared: &Shared) -> Config {
    let media = &shared.plan.media;
    Config {
        places: places(&shared.plan),
        listed: shared.plan.network.listed || !media.addresses.is_empty(),
        ports: media.rtp_ports.clone(),
        share: (shared.me.0, shared.workers),
        silence: media.silence,
        hold: media.limits.hold,
        ringing: media.limits.ringing,
    }
}

fn places(plan: &Plan) -> Vec<Place> {
    let network = &plan.network;
    let addresses = match plan.media.addresses.is_empty() {
        true => &network.addresses,
        false => &plan.media.addresses,
    };
    let place = |bind: &IpAddr| Place { bind: *bind, public: network.public(*bind) };
    addresses.iter().map(place).collect()
}
