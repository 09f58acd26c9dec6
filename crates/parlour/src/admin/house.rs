//! The commands on the house as a whole: what its configuration means, how it is.

use super::answers::{Checked, CheckedCertificate, CheckedDomain, Listening};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::Failure;
use crate::config::Plan;
use crate::config::plan::{CertificatePlan, DomainPlan};
use serde_json::Value;
use time::OffsetDateTime;
use wire::Domain;

pub(crate) fn check(plan: &Plan, _: &Arguments) -> Result<Value, Failure> {
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
        certificates: plan.tls.iter().flat_map(|tls| &tls.certificates).map(checked_certificate).collect(),
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

fn checked_certificate(one: &CertificatePlan) -> CheckedCertificate {
    let ends =
        i64::try_from(one.ends.as_secs()).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    CheckedCertificate {
        file: one.certificate.display().to_string(),
        names: one.names.clone(),
        ends: ends.map_or_else(String::new, |ends| ends.date().to_string()),
        days: crate::config::days_left(one.ends),
    }
}

fn strings<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(T::to_string).collect()
}

pub(crate) fn status<'a>(house: &'a dyn Backend, _: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move { reply(&house.status().await?) })
}

pub(crate) fn reload<'a>(house: &'a dyn Backend, _: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move { reply(&house.reload().await?) })
}
