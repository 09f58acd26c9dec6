//! Where the world is told to reach the services: each listener at each address that is published for it.

use crate::config::Plan;
use crate::config::plan::{Host, Listener, Network, Service};
use crate::site::reached_at;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use wire::Transport;

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) service: Service,
    pub(super) transport: Transport,
    /// As the world calls it.
    pub(super) address: SocketAddr,
    /// As this host calls it, where a NAT stands between.
    pub(super) behind: Option<SocketAddr>,
    /// Whose streams begin there with a proxy's header: perhaps ours (`web.proxy-protocol`).
    pub(super) proxies: Arc<[Network]>,
}

impl Place {
    /// What is named in a handshake: what a client has typed.
    pub(super) fn name(&self, plan: &Plan) -> String {
        let domain = &plan.domains[0].name;
        match self.service {
            Service::Turn => plan.dns.turn.name_for(domain),
            _ => domain.to_string(),
        }
    }

    /// What is spoken inside TLS.
    pub(super) const fn protocol(&self) -> &'static str {
        match (self.service, self.transport) {
            (_, Transport::Wss) | (Service::Web | Service::Media, _) => "http/1.1",
            (Service::Turn, _) => "stun.turn",
            (Service::Sip, _) => "sip/2",
            (Service::Xmpp, _) => "xmpp-client",
        }
    }

    /// `tcp` or `udp`, for firewalls.
    pub(super) const fn carrier(&self) -> &'static str {
        if matches!(self.transport, Transport::Udp | Transport::Dtls) { "udp" } else { "tcp" }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} at {}", self.service, self.transport, self.address)
    }
}

/// Every place, in the order of the configuration.
pub(super) fn all(plan: &Plan) -> Vec<Place> {
    let mut all = vec![];
    let proxies: Arc<[Network]> = plan.web.proxy_protocol.clone().into();
    for (service, transport, listener) in plan.listeners().filter(|(.., listener)| listener.port != 0) {
        for address in reached_at(plan, listener) {
            let at = SocketAddr::new(address, listener.port);
            let behind = behind(plan, listener, address).map(|ip| SocketAddr::new(ip, listener.port));
            let place = Place { service, transport, address: at, behind, proxies: Arc::clone(&proxies) };
            if !all.contains(&place) {
                all.push(place);
            }
        }
    }
    all
}

/// Our own address behind a public one.
fn behind(plan: &Plan, listener: &Listener, public: IpAddr) -> Option<IpAddr> {
    let pair = plan.network.external.iter().find(|pair| pair.public == public)?;
    match listener.host {
        Host::One(own) if !own.is_unspecified() => Some(own),
        _ => Some(pair.private),
    }
}

/// The places of one service by one transport that were reached.
pub(super) fn of<'a>(
    places: &'a [Place],
    service: Service,
    transport: Transport,
) -> impl Iterator<Item = &'a Place> + 'a {
    places.iter().filter(move |place| place.service == service && place.transport == transport)
}
