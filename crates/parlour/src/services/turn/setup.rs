//! From the plan to what one worker's TURN server is to do.

use super::discovery;
use crate::config::Plan;
use crate::desk::Shared;
use turn::credentials::token::Tokens;
use turn::server::NonceRule;
use turn::{Config, Credentials, Limits, Policy, Range, Relays};
use wire::Secret;

/// What the house's own secret of time-limited credentials is made for.
pub const HOUSE_SECRET: &str = "turn credentials";

/// The plan's part, for one of the workers. Clients are spread over them by the kernel, so each gets an equal share
/// of all allocations; those of one account may all be on one worker, so that limit is not shared out.
pub(super) fn config(shared: &Shared) -> Config {
    let (plan, workers) = (&*shared.plan, shared.workers);
    let limits = &plan.turn.limits;
    Config {
        relays: relays(plan),
        ports: plan.turn.relay_ports.clone(),
        draining: false,
        alternates: plan.turn.alternate_servers.clone(),
        peers: peers(plan),
        discovery: discovery::rectangles(&shared.bound),
        credentials: credentials(shared),
        limits: Limits {
            allocations: count(plan.turn.quota.total.div_ceil(u32::from(workers.max(1)))),
            per_user: count(plan.turn.quota.user),
            permissions: limits.permissions,
            channels: limits.channels,
            strangers: share_of(limits.strangers, workers),
        },
        offload: may_offload(shared),
        lifetime: limits.lifetime,
        lifetime_max: limits.lifetime_max,
    }
}

/// A worker's share of what one source may be answered: the kernel spreads its ports over all. Zero stays zero.
fn share_of(strangers: u32, workers: u16) -> u32 {
    strangers.div_ceil(u32::from(workers.max(1)))
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
    let network = &plan.network;
    Relays {
        addresses: network.addresses.clone(),
        anywhere: !network.listed,
        external: network.external.iter().map(|pair| (pair.public, pair.private)).collect(),
    }
}

fn peers(plan: &Plan) -> Policy {
    let ranges = plan.turn.allow_peers.iter();
    let allow = ranges.map(|range| Range { address: range.address, prefix: range.prefix }).collect();
    Policy { allow, own: plan.network.own.clone() }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
