//! The commands on the house as a whole: what its configuration means, how it is, what the DNS must say.

use super::answers::{Checked, CheckedCertificate, CheckedDomain, Listening, Text};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::Failure;
use crate::config::Plan;
use crate::config::plan::{self, DomainPlan, Listener, Service, TlsPlan};
use domains::{Authority, Ports, Site};
use serde_json::Value;
use std::fmt::Write;
use std::net::IpAddr;
use time::OffsetDateTime;
use wire::{Domain, Transport};

pub(super) fn check(plan: &Plan, _: &Arguments) -> Result<Value, Failure> {
    let listeners = plan.listeners().map(|(service, transport, listener)| Listening {
        service: service.to_string(),
        transport: transport.to_string(),
        address: listener.to_string(),
    });
    let metrics = plan.admin.metrics.iter().map(|listener| Listening {
        service: "metrics".into(),
        transport: "http".into(),
        address: listener.to_string(),
    });
    reply(&Checked {
        file: plan.file.display().to_string(),
        domains: plan.domains.iter().map(checked_domain).collect(),
        listeners: listeners.chain(metrics).collect(),
        relay_ports: [*plan.turn.relay_ports.start(), *plan.turn.relay_ports.end()],
        addresses: strings(&plan.network.addresses),
        allow_peers: strings(&plan.turn.allow_peers),
        discovery: plan.turn.discovery().iter().map(|corners| strings(corners)).collect(),
        workers: plan.network.workers,
        storage: plan.storage.url.clone(),
        certificate: plan.tls.as_ref().map(checked_certificate),
        warnings: plan.warnings.clone(),
    })
}

fn checked_domain(domain: &DomainPlan) -> CheckedDomain {
    CheckedDomain {
        name: domain.name.to_string(),
        aliases: strings(&domain.aliases),
        admins: strings(&domain.admins),
        rooms: domain.rooms.as_ref().map(Domain::to_string),
    }
}

fn checked_certificate(tls: &TlsPlan) -> CheckedCertificate {
    let ends =
        i64::try_from(tls.ends.as_secs()).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    CheckedCertificate {
        file: tls.certificate.display().to_string(),
        names: tls.names.clone(),
        ends: ends.map_or_else(String::new, |ends| ends.date().to_string()),
        days: crate::config::days_left(tls.ends),
    }
}

fn strings<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(T::to_string).collect()
}

pub(super) fn status<'a>(house: &'a dyn Backend, _: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move { reply(&house.status().await?) })
}

pub(super) fn reload<'a>(house: &'a dyn Backend, _: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move { reply(&house.reload().await?) })
}

pub(super) fn dns_zone(plan: &Plan, arguments: &Arguments) -> Result<Value, Failure> {
    let wanted = arguments.text("domain").map(|name| domain_of(plan, name)).transpose()?;
    let servers = arguments.texts("name-server").into_iter().map(|name| {
        Domain::new(name).map_err(|_| Failure::usage(format!("`{name}` is not a name server's name")))
    });
    let authority = Authority { servers: servers.collect::<Result<_, _>>()?, serial: serial() };
    let mut text = String::new();
    for domain in plan.domains.iter().filter(|domain| wanted.is_none_or(|wanted| wanted == *domain)) {
        let site = site(plan, domain);
        zone_texts(&mut text, &site, &authority, arguments.flag("records"))
            .map_err(|e| Failure::failed(e.to_string()))?;
    }
    reply(&Text { text: text.trim_end().to_owned() })
}

fn domain_of<'a>(plan: &'a Plan, name: &str) -> Result<&'a DomainPlan, Failure> {
    let domain = Domain::new(name).ok();
    let ours = plan.domains.iter().find(|plan| Some(&plan.name) == domain.as_ref());
    ours.ok_or_else(|| Failure::usage(format!("{name} is not a domain of this house")))
}

fn zone_texts(
    text: &mut String,
    site: &Site,
    authority: &Authority,
    records: bool,
) -> Result<(), domains::record::NameTooLong> {
    for zone in domains::zones(site) {
        let body = if records { zone.fragment()? } else { zone.text(site, authority)? };
        let _ = writeln!(text, "; {}", zone.apex);
        for note in notes(site) {
            let _ = writeln!(text, "; {note}");
        }
        let _ = writeln!(text, "{body}");
    }
    Ok(())
}

/// What a reader of the zone should know.
fn notes(site: &Site) -> Vec<String> {
    let mut notes = vec![];
    for (label, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on()) {
        if host.addresses.is_empty() {
            notes.push(format!("no address is known for {label}: set network.addresses or network.external"));
        }
        for address in host.addresses.iter().filter(|address| !is_public(**address)) {
            notes.push(format!(
                "{label}: the world does not reach {address}; behind NAT set network.external"
            ));
        }
    }
    notes
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

/// The date with two digits to count a day's versions, as zones have it (RFC 1912 §2.2).
fn serial() -> u32 {
    let today = OffsetDateTime::now_utc().date();
    let date = today.year() * 10_000 + i32::from(u8::from(today.month())) * 100 + i32::from(today.day());
    u32::try_from(date).unwrap_or(0).saturating_mul(100)
}

/// What a domain of the plan offers to the world.
fn site(plan: &Plan, domain: &DomainPlan) -> Site {
    Site {
        name: domain.name.clone(),
        aliases: domain.aliases.clone(),
        rooms: domain.rooms.clone(),
        turn: host(plan, Service::Turn),
        sip: host(plan, Service::Sip),
        xmpp: host(plan, Service::Xmpp),
    }
}

fn host(plan: &Plan, service: Service) -> domains::Host {
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
        let ports = listeners().filter(|(_, transport, l)| *transport == wanted && l.port != 0);
        let mut ports: Vec<u16> = ports.map(|(.., listener)| listener.port).collect();
        ports.dedup();
        ports
    };
    let ports = Ports {
        udp: ports(Transport::Udp),
        tcp: ports(Transport::Tcp),
        tls: ports(Transport::Tls),
        dtls: ports(Transport::Dtls),
    };
    domains::Host { addresses, ports }
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
