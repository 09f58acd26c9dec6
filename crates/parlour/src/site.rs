//! What a domain of the plan offers to the world, and where.

use crate::config::Plan;
use crate::config::plan::{self, CertificatePlan, DomainPlan, HostPlan, Listener, Service, TlsPlan};
use domains::zone::lies_in;
use domains::{Host, Ports, Site};
use net::tls::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::IpAddr;
use wire::{Domain, Transport};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a domain of the plan offers to the world.
pub fn of(plan: &Plan, domain: &DomainPlan) -> Site {
    let host = |service, how: &HostPlan| Host {
        priority: how.priority,
        weight: how.weight,
        ..offered(plan, service, &how.name_for(&domain.name))
    };
    let host = |service, how: &HostPlan| pinned(plan, how, host(service, how));
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
        issuers: plan.dns.caa.clone(),
        ttl: plan.dns.ttl,
    }
}

/// The names of the hosts at which a domain's SIP is.
pub fn sip_hosts(plan: &Plan, domain: &DomainPlan) -> Vec<String> {
    let host = offered(plan, Service::Sip, &plan.dns.sip.name_for(&domain.name));
    host.all().map(|host| host.name.clone()).collect()
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

/// Where a service listens: at one host, where the ports of each transport are all reached at the same addresses. Otherwise ports that are
/// reached at other addresses than the first are at hosts of further names, as one name would say that each port is reached everywhere.
fn offered(plan: &Plan, service: Service, name: &str) -> Host {
    let mut rows: Vec<(Row, BTreeSet<IpAddr>)> = vec![];
    for (_, transport, listener) in plan.listeners().filter(|(whose, ..)| *whose == service) {
        let addresses = reached_at(plan, listener);
        match rows.iter_mut().find(|(row, _)| *row == (transport, listener.port)) {
            Some((_, known)) => known.extend(addresses),
            None => rows.push(((transport, listener.port), addresses.into_iter().collect())),
        }
    }
    let is_known = rows.iter().any(|(_, addresses)| !addresses.is_empty());
    rows.retain(|(_, addresses)| !is_known || !addresses.is_empty());
    let alike = |(one, known): &(Row, BTreeSet<IpAddr>)| {
        rows.iter().all(|(other, addresses)| other.0 != one.0 || addresses == known)
    };
    let everywhere: BTreeSet<IpAddr> = rows.iter().flat_map(|(_, addresses)| addresses.clone()).collect();
    let is_one = rows.iter().all(alike);
    let mut groups: Vec<(Vec<Row>, BTreeSet<IpAddr>)> = vec![];
    for (row, addresses) in rows {
        let addresses = if is_one { everywhere.clone() } else { addresses };
        match groups.iter_mut().find(|(_, known)| *known == addresses) {
            Some((group, _)) => group.push(row),
            None => groups.push((vec![row], addresses)),
        }
    }
    let mut hosts = groups.into_iter().enumerate().map(|(n, (rows, addresses))| Host {
        name: if n == 0 { name.to_owned() } else { further(name, n + 1) },
        ports: ports(plan, service, &rows),
        addresses: sorted(plan, service, &addresses),
        ..Host::default()
    });
    let first = hosts.next().unwrap_or_else(|| Host { name: name.to_owned(), ..Host::default() });
    Host { others: hosts.collect(), ..first }
}

/// A transport and a port.
type Row = (Transport, u16);

/// The name of a service's second, third … host.
fn further(name: &str, n: usize) -> String {
    match name.split_once('.') {
        Some((label, rest)) => format!("{label}-{n}.{rest}"),
        None => format!("{name}-{n}"),
    }
}

/// These addresses in the order of the configuration.
fn sorted(plan: &Plan, service: Service, addresses: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = vec![];
    for (.., listener) in plan.listeners().filter(|(whose, ..)| *whose == service) {
        for address in reached_at(plan, listener) {
            if addresses.contains(&address) && !all.contains(&address) {
                all.push(address);
            }
        }
    }
    all
}

fn ports(plan: &Plan, service: Service, rows: &[Row]) -> Ports {
    let of = |wanted: Transport| -> Vec<u16> {
        let own = rows.iter().filter(|(transport, port)| *transport == wanted && *port != 0);
        own.map(|(_, port)| *port).collect()
    };
    Ports {
        udp: of(Transport::Udp),
        tcp: of(Transport::Tcp),
        tls: of(Transport::Tls),
        dtls: of(Transport::Dtls),
        web: of(Transport::Wss),
        h2: pages(plan, service),
    }
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

/// The same with what is published of keys, where that is wanted: at each of its hosts a client asks for the host itself, or for
/// a domain that has led it there.
fn pinned(plan: &Plan, how: &HostPlan, mut host: Host) -> Host {
    let Some(tls) = plan.tls.as_ref().filter(|_| plan.dns.tlsa) else { return host };
    let led = plan.domains.iter().filter(|domain| how.name_for(&domain.name) == host.name);
    let typed: Vec<&Domain> =
        led.flat_map(|domain| std::iter::once(&domain.name).chain(&domain.aliases)).collect();
    let of = |name: &str| keys(tls, std::iter::once(name).chain(typed.iter().map(|typed| typed.as_str())));
    host.keys = of(&host.name);
    host.others.iter_mut().for_each(|other| other.keys = of(&other.name));
    host
}

/// What is published of the keys of certificates that clients are shown who ask for these names.
fn keys<'a>(tls: &TlsPlan, names: impl Iterator<Item = &'a str>) -> Vec<[u8; 32]> {
    let mut keys = vec![];
    for key in names.flat_map(|name| tls.shown_for(name)).filter_map(key) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn key(shown: &CertificatePlan) -> Option<[u8; 32]> {
    let certificate = CertificateDer::from_pem_slice(&shown.chain_pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
    Some(Sha256::digest(certificate.public_key().raw).into())
}

/// The addresses at which the world reaches a listener.
pub(crate) fn reached_at(plan: &Plan, listener: &Listener) -> Vec<IpAddr> {
    match listener.host {
        plan::Host::One(address) if !address.is_unspecified() => vec![plan.network.public(address)],
        plan::Host::One(any) => {
            let mut all = plan.network.published();
            all.retain(|address| address.is_ipv6() == any.is_ipv6());
            all
        }
        plan::Host::All => plan.network.published(),
    }
}
