//! What the plan means for HTTP: which host names are ours, where they send whom, which limits hold.

use crate::challenges::Challenges;
use crate::config::plan::{Plan, Service, WebLimits};
use crate::desk::Shared;
use crate::marks;
use crate::vitals::Vitals;
use net::Bound;
use rustc_hash::FxHashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use wire::{Domain, Transport};

/// Where BOSH is (XEP-0206).
pub(super) const BOSH: &str = "/http-bind";

/// The usual port of https.
const HTTPS: u16 = 443;

/// A snapshot for all requests of one worker, until the plan changes.
#[derive(Debug)]
pub(super) struct Site {
    /// Host names that lead to us.
    pub(super) names: FxHashSet<String>,
    /// Domains, with the host name of XMPP for each.
    pub(super) hosts: Vec<(Domain, String)>,
    /// Where https is, for those who came without.
    pub(super) secure: Option<u16>,
    /// Where XMPP is by WebSocket, inside TLS.
    pub(super) websocket: Option<u16>,
    /// Where XMPP is by BOSH, inside TLS.
    pub(super) bosh: Option<u16>,
    /// Whether XMPP is on.
    pub(super) has_chat: bool,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) limits: WebLimits,
    /// What certificate authorities want to see.
    pub(super) challenges: Arc<Challenges>,
    /// How the server finds itself.
    pub(super) vitals: Arc<Vitals>,
    /// The server ends.
    pub(super) closing: bool,
}

impl Site {
    pub(super) fn new(shared: &Shared) -> Self {
        let (plan, bound) = (&shared.plan, &shared.bound[..]);
        let secure = ports(bound, Service::Web, Transport::Tls).next();
        let web = || ports(bound, Service::Xmpp, Transport::Wss);
        // One port for everything, where there is one.
        let websocket = web().find(|port| Some(*port) == secure).or_else(|| web().next());
        Self {
            names: names(plan),
            hosts: hosts(plan),
            secure,
            websocket,
            bosh: secure.or(websocket),
            has_chat: has_chat(plan),
            upstream: plan.web.upstream,
            limits: plan.web.limits.clone(),
            challenges: Arc::clone(&shared.challenges),
            vitals: Arc::clone(&shared.vitals),
            closing: false,
        }
    }

    /// Whether the server ends.
    pub(super) fn ending(self, closing: bool) -> Self {
        Self { closing, ..self }
    }

    /// Whether requests for a host (without its port) are for us: those for addresses too, and those that name none.
    pub(super) fn is_ours(&self, host: &str) -> bool {
        self.upstream.is_none()
            || host.is_empty()
            || address(host).is_some()
            || host == "localhost"
            || self.names.contains(host)
    }

    /// The URLs of XMPP by WebSocket and by BOSH (XEP-0156), for whoever has come by this name.
    pub(super) fn chat_at(&self, host: &str) -> Vec<(&'static str, String)> {
        let url = |name: &'static str, scheme: &str, port: Option<u16>, path: &str| {
            let place = self.chat_place(host, port?)?;
            Some((name, format!("{scheme}://{place}{path}")))
        };
        let websocket = url("urn:xmpp:alt-connections:websocket", "wss", self.websocket, "/xmpp-websocket");
        let bosh = url("urn:xmpp:alt-connections:xbosh", "https", self.bosh, BOSH);
        websocket.into_iter().chain(bosh).filter(|_| self.has_chat).collect()
    }

    fn chat_place(&self, host: &str, port: u16) -> Option<String> {
        let domain = self.hosts.iter().find(|(domain, _)| domain.as_str() == host);
        let known = address(host).is_some() || self.names.contains(host) || host == "localhost";
        let host = match domain {
            Some((_, host)) => host,
            None if known => host,
            None => &self.hosts.first()?.1,
        };
        Some(if port == HTTPS { host.to_owned() } else { format!("{host}:{port}") })
    }

    /// The same host by https.
    pub(super) fn secure_at(&self, host: &str) -> Option<String> {
        let port = self.secure?;
        Some(if port == HTTPS { host.to_owned() } else { format!("{host}:{port}") })
    }
}

/// The address that a host name is, if it is one.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn has_chat(plan: &Plan) -> bool {
    let xmpp = &plan.xmpp;
    [&xmpp.client, &xmpp.client_tls, &xmpp.web].iter().any(|listeners| !listeners.is_empty())
}

fn ports(bound: &[Bound], service: Service, transport: Transport) -> impl Iterator<Item = u16> {
    let is_it = move |one: &&Bound| marks::owner(one.tag) == service && one.transport == transport;
    bound.iter().filter(is_it).map(|one| one.address.port())
}

fn hosts(plan: &Plan) -> Vec<(Domain, String)> {
    let of = |name: &Domain, main: &Domain| (name.clone(), plan.dns.xmpp.name_for(main).to_string());
    let domains = plan.domains.iter();
    let all = domains.flat_map(|domain| {
        std::iter::once(&domain.name).chain(&domain.aliases).map(|name| of(name, &domain.name))
    });
    all.collect()
}

fn names(plan: &Plan) -> FxHashSet<String> {
    let mut names = FxHashSet::default();
    for domain in &plan.domains {
        for name in std::iter::once(&domain.name).chain(&domain.aliases).chain(&domain.rooms) {
            names.insert(name.to_string());
        }
        for host in [&plan.dns.turn, &plan.dns.sip, &plan.dns.xmpp] {
            names.insert(host.name_for(&domain.name).to_string());
        }
    }
    names
}
