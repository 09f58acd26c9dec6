//! From the plan to what one worker's SIP stack is to do.

use super::strangers::Door;
use crate::config::Plan;
use crate::config::plan::{NetworkPlan, Service};
use crate::desk::Shared;
use crate::marks;
use crate::site;
use ::sip::registrar::Rules;
use ::sip::stack::{Config, Limits, Speaker};
use ::sip::transaction::Timing;
use ::sip::transport::{Listener, Listeners, host_text};
use net::{Begins, Bound};
use rustc_hash::FxHashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use wire::{Domain, Secret, Transport};

/// Connections that one worker opens at a time.
const DIALS: usize = 1024;

/// How long a caller waits for the disk, a name, another worker, or a connection to open.
const ANSWER: Duration = Duration::from_secs(10);

/// What callers are told to wait for when there is too much to do.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Whether a stream begins as SIP: with a request line or a response's (RFC 3261 §7), or with what keeps a connection alive
/// (RFC 5626 §3.5.1). The target of a request begins with its scheme, which that of HTTP seldom does.
pub fn begins(bytes: &[u8]) -> Begins {
    let message = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let length =
        message.iter().take(LONGEST_METHOD + 1).take_while(|octet| octet.is_ascii_uppercase()).count();
    let request = match message[length..] {
        [] if length <= LONGEST_METHOD => Begins::More,
        [b' '] if length > 0 => Begins::More,
        [b' ', next, ..] if length > 0 && next.is_ascii_alphabetic() => Begins::Yes,
        _ => Begins::No,
    };
    request.or(Begins::with(bytes, b"SIP/2.0 ")).or(Begins::with(bytes, b"\r\n\r\n"))
}

/// Octets of the longest method that a connection begins with: SUBSCRIBE, and whatever is as long.
const LONGEST_METHOD: usize = 10;

/// The plan's part, with the listeners as they were bound.
pub(super) fn config(shared: &Shared) -> Config {
    let limits = &shared.plan.sip.limits;
    let timing = Timing {
        t1: limits.t1,
        t2: limits.t2,
        t4: limits.t4,
        c: limits.timer_c,
        serial: limits.serial,
        d: (limits.t1 * 64).max(Duration::from_secs(32)),
    };
    Config {
        me: shared.me,
        workers: shared.workers,
        listeners: Listeners { names: names(&shared.plan), ..listeners(&shared.plan.network, &shared.bound) },
        secret: Secret::new(shared.key("sip")),
        authenticate: shared.plan.sip.authenticate,
        relaying: shared.plan.media.relaying,
        nonce: limits.nonce,
        timing,
        ping: Some(limits.ping).filter(|every| !every.is_zero()),
        rules: Rules {
            expires: limits.expires,
            expires_min: limits.expires_min,
            expires_max: limits.expires_max,
            bindings: limits.bindings,
        },
        speakers: shared
            .plan
            .sip
            .speak_for
            .iter()
            .map(|speaker| Speaker { account: speaker.account.clone(), name: speaker.name.clone() })
            .collect(),
        targets: shared.plan.sip.allow_targets.iter().map(|range| (range.address, range.prefix)).collect(),
        limits: Limits {
            transactions: limits.transactions,
            per_source: limits.per_source,
            dials: DIALS,
            trace: limits.trace,
            calls: limits.calls,
            head: limits.header,
            message: limits.message,
            max_forwards: limits.max_forwards,
            retry_after: RETRY_AFTER,
            idle: limits.idle,
            answer: ANSWER,
        },
    }
}

/// How much strangers may ask for.
pub(super) fn door(shared: &Shared) -> Door {
    let sip = &shared.plan.sip;
    Door::new(Arc::clone(&shared.strangers), &sip.bans, sip.limits.expires_max)
}

/// What this host is called where telephones are told of it, each domain's host first: some of them take it for the domain, others for a
/// proxy on the way there.
fn names(plan: &Plan) -> FxHashMap<Box<str>, Domain> {
    let mut names = FxHashMap::default();
    let hosts = plan
        .domains
        .iter()
        .flat_map(|domain| site::sip_hosts(plan, domain).into_iter().map(move |name| (name, &domain.name)));
    let external = plan.network.named.iter().map(|named| named.name.to_string());
    let external = external.zip(plan.domains.first().map(|domain| &domain.name).into_iter().cycle());
    for (name, domain) in hosts.chain(external) {
        names.entry(name.to_ascii_lowercase().into()).or_insert_with(|| domain.clone());
    }
    names
}

fn listeners(network: &NetworkPlan, bound: &[Bound]) -> Listeners {
    // What SIP has for itself comes first: that is what we call ourselves, and where DNS leads to.
    let is_ours = |bound: &&Bound| marks::owner(bound.tag) == Service::Sip;
    let is_shared = |one: &&Bound| {
        let mut others = bound.iter().filter(|bound| !is_ours(bound));
        others.any(|other| (other.address, other.transport) == (one.address, one.transport))
    };
    let (shared, own): (Vec<_>, Vec<_>) = bound.iter().filter(is_ours).partition(is_shared);
    let ours = own.into_iter().chain(shared);
    let listener = |bound: &Bound, transport| Listener {
        transport,
        socket: bound.socket,
        bound: bound.address,
        host: host(network, bound.address).into(),
    };
    // Where streams come in, WebSockets do.
    let web = |bound: &Bound| match bound.transport {
        Transport::Tcp => Some(listener(bound, Transport::Ws)),
        Transport::Tls => Some(listener(bound, Transport::Wss)),
        _ => None,
    };
    let mut all: Vec<Listener> = Vec::new();
    for one in ours.flat_map(|bound| [Some(listener(bound, bound.transport)), web(bound)]).flatten() {
        // A shared listener may name its WebSockets too.
        if !all.iter().any(|other| (other.transport, other.bound) == (one.transport, one.bound)) {
            all.push(one);
        }
    }
    let mut addresses = network.addresses.clone();
    if all.iter().any(|listener| listener.bound.ip().is_unspecified()) {
        addresses.extend([IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]);
    }
    let external = network.external.iter().map(|pair| (pair.private, pair.public)).collect();
    Listeners { all, addresses, external, ..Listeners::default() }
}

/// What a listener calls itself where the message's own path does not say: its address, else the first that the world
/// knows of its family.
fn host(network: &NetworkPlan, bound: SocketAddr) -> String {
    let ip = bound.ip();
    if !ip.is_unspecified() {
        return host_text(network.public(ip));
    }
    let of_family = |address: &IpAddr| address.is_ipv4() == ip.is_ipv4();
    let fallback = if ip.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let mut known = network.published().into_iter().chain(network.public_addresses());
    host_text(known.find(of_family).unwrap_or(fallback))
}
