//! From the plan's listeners to what net binds, and from net's marks back to the service that owns a socket.

mod sharing;

use crate::config::plan::{Host, Listener, Plan, Service};
use crate::marks::{LISTENER, tag};
use crate::services::{web, xmpp::components};
use net::{Endpoint, Kind, Proxies, Spec};
use sharing::Row;
pub use sharing::{is_shared, web_services};
use std::net::SocketAddr;
use wire::Transport;

/// What the plan wants bound, in its order.
pub fn specs(plan: &Plan) -> Vec<Spec> {
    let rows = plan.listeners().map(|(service, transport, listener)| Row {
        service,
        transport,
        spec: Spec {
            proxies: proxies(plan, transport),
            usual: usual(plan, service),
            ..spec(service, transport, listener)
        },
    });
    let mut all = sharing::merge(plan, rows.collect());
    all.extend(plan.component_listeners().iter().map(component));
    all
}

/// Who says whom a stream is from.
fn proxies(plan: &Plan, transport: Transport) -> Proxies {
    let ranges = plan.web.proxy_protocol.iter().filter(|_| transport.is_stream());
    Proxies::new(ranges.map(|range| (range.address, range.prefix)))
}

/// The name that a client of a service means which asks for none inside TLS: the service's own in the first domain.
fn usual(plan: &Plan, service: Service) -> Option<String> {
    let host = match service {
        Service::Turn => &plan.dns.turn,
        Service::Sip => &plan.dns.sip,
        Service::Xmpp => &plan.dns.xmpp,
        Service::Web => return plan.domains.first().map(|domain| domain.name.to_string()),
        Service::Media => return None,
    };
    plan.domains.first().map(|domain| host.name_for(&domain.name))
}

/// A listener for components of XMPP: no TLS, as it is on this host.
fn component(listener: &Listener) -> Spec {
    let plain = spec(Service::Xmpp, Transport::Tcp, listener);
    Spec {
        name: format!("xmpp components \"{listener}\""),
        tag: tag(Service::Xmpp, components::ROLE),
        kind: Kind::Tcp { alpn: Vec::new() },
        asks: false,
        ..plain
    }
}

fn spec(service: Service, transport: Transport, listener: &Listener) -> Spec {
    let kind = match transport {
        Transport::Udp => Kind::Udp,
        Transport::Tcp => Kind::Tcp { alpn: alpn(service) },
        Transport::Ws => Kind::Ws,
        Transport::Wss => Kind::Wss { alpn: vec![HTTP.as_bytes().into()] },
        Transport::Tls => Kind::Tls { alpn: alpn(service) },
        Transport::Dtls => Kind::Dtls { alpn: alpn(service) },
    };
    let at = match listener.host {
        Host::All => Endpoint::Every(listener.port),
        Host::One(address) => Endpoint::At(SocketAddr::new(address, listener.port)),
    };
    let name = format!("{service} {transport} \"{listener}\"");
    Spec {
        web: service == Service::Sip,
        // What asks for no WebSocket there may be BOSH (XEP-0206).
        requests: (service == Service::Xmpp && transport.is_web()).then_some(tag(Service::Web, LISTENER)),
        // Browsers would ask their users which certificate to show.
        asks: matches!(
            (service, transport),
            (Service::Sip, Transport::Tls) | (Service::Xmpp, Transport::Tcp | Transport::Tls)
        ),
        ..Spec::new(&name, tag(service, role_of(service, transport)), kind, at)
    }
}

/// The role of a listener.
fn role_of(service: Service, transport: Transport) -> u32 {
    if (service, transport) == (Service::Web, Transport::Tcp) { web::PLAIN } else { LISTENER }
}

/// What browsers name when they open a WebSocket.
const HTTP: &str = "http/1.1";

/// What a service speaks inside TLS, by its registered name (RFC 7443, RFC 7301 registry, XEP-0368).
fn alpn(service: Service) -> Vec<Vec<u8>> {
    let names: &[&str] = match service {
        Service::Turn => &["stun.turn", "stun.nat-discovery"],
        Service::Sip => &["sip/2", HTTP],
        Service::Xmpp => &["xmpp-client"],
        Service::Media => &[],
        Service::Web => &["h2", HTTP],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}
