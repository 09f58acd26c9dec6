//! From the plan to what one worker's TURN server is to do.

use super::discovery;
use crate::config::Plan;
use crate::config::plan::Network;
use crate::desk::Shared;
use crate::reach::HOUSE_SECRET;
use turn::credentials::token::Tokens;
use turn::server::NonceRule;
use turn::{Bandwidth, Config, Credentials, Limits, Policy, Quota, Range, Relays};
use wire::Secret;

/// The plan's part, for one of the workers.
pub(super) fn config(shared: &Shared, draining: bool) -> Config {
    let (plan, workers) = (&*shared.plan, shared.workers);
    let limits = &plan.turn.limits;
    Config {
        relays: relays(plan),
        ports: plan.turn.relay_ports.clone(),
        peers: peers(plan),
        discovery: discovery::rectangles(&shared.bound),
        software: plan.turn.software.then_some(concat!("Parlour ", env!("CARGO_PKG_VERSION"))),
        credentials: credentials(shared),
        quota: Quota {
            user: plan.turn.quota.user,
            domain: plan.turn.quota.domain,
            total: plan.turn.quota.total,
        },
        draining,
        alternates: plan.turn.alternate_servers.clone(),
        bandwidth: Bandwidth { session: plan.turn.bandwidth.session, user: plan.turn.bandwidth.user },
        limits: Limits {
            permissions: limits.permissions,
            channels: limits.channels,
            strangers: share_of(limits.strangers, workers),
        },
        mobility: plan.turn.mobility,
        offload: may_offload(shared),
        lifetime: limits.lifetime,
        lifetime_max: limits.lifetime_max,
    }
}

/// A worker's share of what one source may be answered: the kernel spreads its ports over all. One port has one worker,
/// so that a few are always left. Zero stays zero.
fn share_of(strangers: u32, workers: u16) -> u32 {
    strangers.div_ceil(u32::from(workers.max(1))).max(strangers.min(20))
}

/// What is taken beside the passwords of accounts: the administrator's secrets, the one that `parlour turn credentials`
/// has without being told any, and access tokens.
fn credentials(shared: &Shared) -> Credentials {
    let turn = &shared.plan.turn;
    let own = Secret::new(shared.key(HOUSE_SECRET));
    let keys = turn.oauth_keys.iter().map(|key| (key.kid.as_str(), key.key.expose()));
    let tokens = turn.oauth_server.as_ref().map(|server| Tokens::new(server.as_str(), keys));
    Credentials { secrets: turn.secrets.iter().cloned().chain([own]).collect(), tokens }
}

/// Nonces that every worker accepts, also after a restart.
pub(super) fn nonce(shared: &Shared) -> NonceRule {
    NonceRule { secret: Secret::new(shared.key("turn nonce")), lifetime: shared.plan.turn.limits.nonce }
}

/// The kernel's program keeps no account of rates: where bandwidth is bounded, every packet comes to us.
fn may_offload(shared: &Shared) -> bool {
    let turn = &shared.plan.turn;
    shared.fast_path.is_some()
        && turn.xdp.is_some()
        && turn.bandwidth.session == 0
        && turn.bandwidth.user == 0
}

fn relays(plan: &Plan) -> Relays {
    let (network, chosen) = (&plan.network, &plan.turn.relay_addresses);
    Relays {
        addresses: if chosen.is_empty() { network.addresses.clone() } else { chosen.clone() },
        anywhere: !network.listed && chosen.is_empty(),
        external: network.external.iter().map(|pair| (pair.public, pair.private)).collect(),
    }
}

fn peers(plan: &Plan) -> Policy {
    let ranges = |typed: &[Network]| {
        typed.iter().map(|range| Range { address: range.address, prefix: range.prefix }).collect()
    };
    let (allow, deny) = (ranges(&plan.turn.allow_peers), ranges(&plan.turn.deny_peers));
    let mut own = plan.network.own.clone();
    own.extend(&plan.turn.relay_addresses);
    Policy { allow, deny, own }
}
