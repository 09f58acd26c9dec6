//! What the plan means for streams and for the router.

use crate::config::Plan;
use crate::config::plan::{ComponentPlan, DomainPlan};
use crate::desk::Shared;
use crate::reach;
use net::Begins;
use std::sync::Arc;
use wire::{Address, Domain, Secret};
use xmpp::component::Component;
use xmpp::muc::RoomLimits;
use xmpp::router::{self, House, Neighbour};
use xmpp::sasl::Mechanism;
use xmpp::stream::Policy;
use xmpp::xml;

/// What sessions may use on their streams beside what the streams themselves offer: roster versions and the approval of
/// requests that have not come yet (RFC 6121 §2.6, §3.4).
const FEATURES: &str =
    "<ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>";

/// Whether a stream begins as XMPP: with an XML declaration or an element (RFC 6120 §4.2, §11.5).
pub fn begins(bytes: &[u8]) -> Begins {
    match bytes {
        [] | [b'<'] => Begins::More,
        [b'<', next, ..] if *next == b'?' || next.is_ascii_alphabetic() => Begins::Yes,
        _ => Begins::No,
    }
}

/// What the house allows on its streams.
pub(super) fn policy(shared: &Shared) -> Policy {
    let limits = &shared.plan.xmpp.limits;
    let member = xml::Limits {
        size: u32::try_from(limits.stanza).unwrap_or(u32::MAX),
        depth: u16::try_from(limits.depth).unwrap_or(u16::MAX),
        attributes: u16::try_from(limits.attributes).unwrap_or(u16::MAX),
        ..xml::Limits::MEMBER
    };
    let stranger = xml::Limits {
        size: u32::try_from(limits.stanza_stranger).unwrap_or(u32::MAX),
        ..xml::Limits::STRANGER
    };
    Policy {
        stranger,
        member,
        mechanisms: Mechanism::ALL.to_vec(),
        attempts: limits.attempts,
        login: limits.login,
        idle: limits.idle,
        pong: limits.pong,
        resume: limits.resume,
        features: FEATURES.to_owned(),
        secret: Secret::new(shared.key("xmpp salts of accounts that do not exist")),
    }
}

/// What is bounded in the router, and how.
pub(super) fn limits(plan: &Plan) -> router::Limits {
    let limits = &plan.xmpp.limits;
    router::Limits {
        rooms: RoomLimits {
            rooms: limits.rooms,
            of_account: limits.rooms_of_account,
            occupants: limits.occupants,
            creators: plan.xmpp.rooms_by_admins.then(|| admins(plan)),
            ..RoomLimits::default()
        },
        archive: plan.xmpp.archive,
        archive_messages: limits.archive_messages,
        archive_octets: limits.archive_octets,
        sessions: limits.sessions,
        roster: limits.contacts,
        roster_octets: limits.contacts_octets,
        offline: u32::try_from(limits.offline).unwrap_or(u32::MAX),
        pending: limits.pending,
        waiting: limits.waiting,
        waiting_octets: limits.unacknowledged_octets,
        nodes: limits.nodes,
        node_items: u32::try_from(limits.node_items).unwrap_or(u32::MAX),
        item: limits.item,
        items_octets: limits.items_octets,
        subscribers: limits.subscribers,
        ..router::Limits::default()
    }
}

/// What is told of the house around XMPP.
pub(super) fn house(shared: &Shared) -> Arc<House> {
    let plan = &shared.plan;
    let own = || Secret::new(shared.key(reach::HOUSE_SECRET));
    let admins = plan.domains.iter().map(|domain| (domain.name.clone(), domain.admins.clone()));
    Arc::new(House {
        externals: reach::externals(plan, reach::Office::new(plan, own)),
        admins: admins.collect(),
    })
}

/// The components that may come, with their secrets.
pub(super) fn components(plan: &Plan) -> Vec<Component> {
    let known = |component: &ComponentPlan| Component {
        host: component.name.clone(),
        secret: component.secret.clone(),
    };
    plan.xmpp.components.iter().map(known).collect()
}

/// The same as services: each is listed by the domain that it lies below, or else by the first.
pub(super) fn neighbours(plan: &Plan) -> Vec<Neighbour> {
    let names = || plan.domains.iter().map(|domain| &domain.name);
    let of = |host: &Domain| {
        let below = |domain: &&Domain| {
            host.as_str().strip_suffix(domain.as_str()).is_some_and(|label| label.ends_with('.'))
        };
        names().filter(below).max_by_key(|domain| domain.as_str().len()).or_else(|| names().next()).cloned()
    };
    let all = plan.xmpp.components.iter();
    all.filter_map(|c| Some(Neighbour { domain: of(&c.name)?, host: c.name.clone(), name: None })).collect()
}

/// The admins of all domains.
fn admins(plan: &Plan) -> Arc<[Address]> {
    plan.domains.iter().flat_map(|domain| domain.admins.iter().cloned()).collect()
}

/// The room services.
pub(super) fn rooms(plan: &Plan) -> Vec<Neighbour> {
    let service = |domain: &DomainPlan| {
        let host = domain.rooms.clone()?;
        Some(Neighbour { host, domain: domain.name.clone(), name: Some("Rooms".to_owned()) })
    };
    plan.domains.iter().filter_map(service).collect()
}
