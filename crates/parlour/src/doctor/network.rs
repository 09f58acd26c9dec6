//! The network: whether the addresses that others are told are right, whether every listener is reached there, and what
//! certificate it shows.

pub(super) mod nat;

use super::certificates;
use super::notes::{Finding, Notes};
use super::places::Place;
use super::way::Way;
use super::{Patient, Skipped};
use crate::config::Plan;
use crate::config::{certificate_facts, covers, days_left};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use wire::Transport;
use wire::inside::is_public;

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    addresses(&patient.plan, notes);
    for server in &patient.asked.stun {
        nat::look(&patient.plan, server, notes);
    }
    patient.server()?;
    let plan = &patient.plan;
    let streams = patient.places.iter().filter(|place| place.carrier() == "tcp");
    let streams: Vec<Place> = streams.cloned().collect();
    let tried = try_all(plan, &streams);
    let mut lost: BTreeMap<(IpAddr, &str), Vec<(&Place, &io::Error)>> = BTreeMap::new();
    for (place, result) in streams.iter().zip(&tried) {
        match result {
            Ok(way) => shown(plan, place, way, notes),
            Err(error) => lost.entry((place.address.ip(), kind(error))).or_default().push((place, error)),
        }
    }
    for ((address, kind), places) in &lost {
        unreached(plan, *address, kind, places, notes);
    }
    let gone: Vec<Place> = lost.into_values().flatten().map(|(place, _)| place.clone()).collect();
    notes.fine(format!(
        "{} of {} listeners for streams are reached",
        streams.len() - gone.len(),
        streams.len()
    ));
    // Whoever looks on need not find the same again.
    patient.places.retain(|place| !gone.contains(place));
    Ok(())
}

/// Whether the world can come to the addresses that it is told.
fn addresses(plan: &Plan, notes: &mut Notes) {
    let all = plan.network.published();
    if all.is_empty() {
        let finding =
            Finding::error("no-address", "no address is known at which the world reaches this host");
        let fix = "[network]\naddresses = [\"YOUR.ADDRESS\"]   # behind NAT: external = [\"PUBLIC=PRIVATE\"]";
        return notes.found(finding.seen("network.addresses and this host's interfaces").mend(fix));
    }
    let far = all.iter().any(|address| is_public(*address));
    for near in all.iter().filter(|address| !is_public(**address)) {
        let message = format!("the world does not reach {near}, which it is told");
        let finding = match far {
            false => Finding::warning("private", message),
            true => Finding::notice("private", message),
        };
        let fix = format!(
            "[network]\nexternal = [\"PUBLIC={near}\"]   # `--stun SERVER` says what PUBLIC is; or addresses without it"
        );
        notes.found(finding.seen("network.addresses, or this host's interfaces").mend(fix));
    }
}

/// Tries all at once: a firewall keeps each waiting for as long as it may.
fn try_all(plan: &Plan, places: &[Place]) -> Vec<io::Result<Way>> {
    std::thread::scope(|scope| {
        let tries: Vec<_> = places.iter().map(|place| scope.spawn(|| open(plan, place))).collect();
        let failed = |_| Err(io::Error::other("the attempt failed"));
        tries.into_iter().map(|attempt| attempt.join().unwrap_or_else(failed)).collect()
    })
}

fn open(plan: &Plan, place: &Place) -> io::Result<Way> {
    let way = Way::to(place)?;
    match place.transport {
        Transport::Tls | Transport::Wss => way.seal(&place.name(plan), place.protocol()),
        _ => Ok(way),
    }
}

fn kind(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "silent",
        ErrorKind::InvalidData | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => "other",
        _ => "no-way",
    }
}

/// Listeners that are not reached at an address, all for the same reason.
fn unreached(plan: &Plan, address: IpAddr, kind: &str, lost: &[(&Place, &io::Error)], notes: &mut Notes) {
    let ports: BTreeSet<u16> = lost.iter().map(|(place, _)| place.address.port()).collect();
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let names: Vec<_> = lost.iter().map(|(place, error)| format!("{place}: {error}")).collect();
    let inside = lost.iter().filter_map(|(place, _)| place.behind);
    let inside: Vec<SocketAddr> = inside.filter(|own| Way::stream(*own).is_ok()).collect();
    let (list, seen) = (ports.join(", "), format!("tried from this host\n{}", names.join("\n")));
    let forward = lost.first().and_then(|(place, _)| place.behind).map(|own| own.ip());
    let firewall: Vec<String> = ports.iter().map(|port| format!("ufw allow {port}/tcp")).collect();
    let domain = &plan.domains[0].name;
    let (finding, fix) = match (kind, forward) {
        ("other", _) => (
            Finding::error(
                "stranger",
                format!("at {address} somebody else answers, or not by TLS: port {list}"),
            ),
            format!(
                "is {address} this host's? then see what listens there: ss -ltnp 'sport = :{}'",
                ports[0]
            ),
        ),
        (_, Some(own)) if !inside.is_empty() => (
            Finding::warning(
                "hairpin",
                format!(
                    "at {own} the services answer, at {address} they do not, as seen from here: port {list}"
                ),
            ),
            format!(
                "let the router forward these ports of {address} to {own}; where it does, it does not lead this host back to \
                     itself: ask from another host: parlour doctor --outside {domain}"
            ),
        ),
        (_, Some(own)) => (
            Finding::error("unreachable", format!("{address} is not reached at port {list}")),
            format!(
                "[network]\nexternal = [\"PUBLIC={own}\"]   # is {address} the public one? then forward these ports of it to {own}"
            ),
        ),
        ("silent", None) => (
            Finding::error(
                "unreachable",
                format!("nothing comes back from {address}, port {list}: a firewall, or a wrong address"),
            ),
            firewall.join("\n"),
        ),
        _ => (
            Finding::error("unreachable", format!("{address} is not reached at port {list}")),
            if plan.network.own.contains(&address) {
                "parlour reload   # the listeners are not bound there; `parlour status` says where they are"
                    .into()
            } else {
                format!("[network]\naddresses = [\"YOUR.ADDRESS\"]   # {address} leads elsewhere")
            },
        ),
    };
    notes.found(finding.seen(seen).mend(fix));
}

/// What certificate a listener shows for the name that clients ask for.
fn shown(plan: &Plan, place: &Place, way: &Way, notes: &mut Notes) {
    notes.fine(place.to_string());
    let Some(certificate) = way.certificate() else { return };
    let name = place.name(plan);
    let Ok((names, ends)) =
        certificate.to_der().map_err(|e| e.to_string()).and_then(|der| certificate_facts(&der))
    else {
        return;
    };
    let seen = format!("{place}, asked for {name}: {}; until {}", names.join(", "), certificate.not_after());
    if certificates::all(plan).iter().any(|known| known.is(&certificate)) {
        // What is wrong with the file is said of the file.
        return;
    }
    let days = days_left(ends);
    if !covers(&names, &name) || days < 0 {
        let finding = Finding::error(
            "certificate-shown",
            format!("{place} shows a certificate that is not for {name}, or is over"),
        );
        let fix = "parlour reload   # the files have another one; where a proxy stands in between, it is the proxy's";
        notes.found(finding.seen(seen).mend(fix));
    }
}
