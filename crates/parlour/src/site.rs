//! What a domain of the plan offers to the world, and where.

use crate::config::Plan;
use crate::config::plan::{self, DomainPlan, HostPlan, Listener, Service, TlsPlan};
use domains::zone::lies_in;
use domains::{Host, Ports, Site};
use net::tls::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use wire::{Domain, Transport};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a domain of the plan offers to the world.
pub fn of(plan: &Plan, domain: &DomainPlan) -> Site {
    let host = |service, how: &HostPlan| Host {
        name: how.name_for(&domain.name),
        priority: how.priority,
        weight: how.weight,
        ..offered(plan, service)
    };
    let xmpp = host(Service::Xmpp, &plan.dns.xmpp);
    Site {
        name: domain.name.clone(),
        aliases: domain.aliases.clone(),
        components: components(plan, domain),
        turn: host(Service::Turn, &plan.dns.turn),
        sip: host(Service::Sip, &plan.dns.sip),
        // There are no listeners for other servers yet.
        federation: Host { name: xmpp.name.clone(), ..Host::default() },
        xmpp,
        key: plan.tls.as_ref().filter(|_| plan.dns.tlsa).and_then(|tls| key(tls, domain)),
        issuers: plan.dns.caa.clone(),
        ttl: plan.dns.ttl,
    }
}

/// Its rooms, and the components that lie below it; those that lie below none are the first domain's.
fn components(plan: &Plan, domain: &DomainPlan) -> Vec<Domain> {
    let is_of = |name: &Domain| {
        let below = |other: &&DomainPlan| lies_in(name.as_str(), &other.name);
        let whose = plan.domains.iter().filter(below).max_by_key(|other| other.name.as_str().len());
        whose.or(plan.domains.first()).is_some_and(|whose| whose.name == domain.name)
    };
    let components = plan.xmpp.components.iter().map(|component| &component.name);
    domain.rooms.iter().chain(components.filter(|name| is_of(name))).cloned().collect()
}

/// Where a service listens.
fn offered(plan: &Plan, service: Service) -> Host {
    let listeners = || plan.listeners().filter(|(whose, ..)| *whose == service);
    let mut addresses: Vec<IpAddr> = vec![];
    for (_, _, listener) in listeners() {
        for address in reached_at(plan, listener) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    let ports = |wanted: Transport| {
        let mut ports: Vec<u16> = vec![];
        for (.., listener) in listeners().filter(|(_, transport, l)| *transport == wanted && l.port != 0) {
            if !ports.contains(&listener.port) {
                ports.push(listener.port);
            }
        }
        ports
    };
    let ports = Ports {
        udp: ports(Transport::Udp),
        tcp: ports(Transport::Tcp),
        tls: ports(Transport::Tls),
        dtls: ports(Transport::Dtls),
        web: ports(Transport::Wss),
        h2: pages(plan, service),
    };
    Host { addresses, ports, ..Host::default() }
}

/// The ports at which pages are served beside a service's WebSockets: HTTP/2 is spoken there.
fn pages(plan: &Plan, service: Service) -> Vec<u16> {
    let is_shared = |listener: &Listener| {
        let mut others = plan.listeners();
        others.any(|(whose, transport, other)| {
            (whose, transport) == (Service::Web, Transport::Tls) && other == listener
        })
    };
    let own = plan.listeners().filter(|row| row.0 == service && row.1 == Transport::Wss);
    own.filter(|(.., listener)| is_shared(listener)).map(|(.., listener)| listener.port).collect()
}

/// What is published of the key that TLS listeners show to clients of a domain.
fn key(tls: &TlsPlan, domain: &DomainPlan) -> Option<[u8; 32]> {
    let shown = tls.shown_for(domain.name.as_str())?;
    let certificate = CertificateDer::from_pem_slice(&shown.chain_pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
    Some(Sha256::digest(certificate.public_key().raw).into())
}

/// The addresses at which the world reaches a listener.
pub(crate) fn reached_at(plan: &Plan, listener: &Listener) -> Vec<IpAddr> {
    match listener.host {
        plan::Host::One(address) if !address.is_unspecified() => vec![plan.network.public(address)],
        plan::Host::One(any) => {
            let mut all = plan.network.public_addresses();
            all.retain(|address| address.is_ipv6() == any.is_ipv6());
            all
        }
        plan::Host::All => plan.network.public_addresses(),
    }
}

pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}
