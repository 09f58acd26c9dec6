//! TURN as a client has it: a Binding, two relays and packets from one to the other, by every transport that is offered.

use super::notes::{Finding, Notes};
use super::places::{self, Place};
use super::{Patient, Skipped};
use crate::admin::Failure;
use crate::config::Plan;
use crate::config::plan::Service;
use crate::relay_test;
use serde_json::Value;
use wire::Transport;

/// Packets of each test.
const PACKETS: u64 = 5;

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    patient.server()?;
    let plan = &patient.plan;
    let ways = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls];
    let all: Vec<&Place> =
        ways.iter().flat_map(|way| places::of(&patient.places, Service::Turn, *way)).collect();
    if all.is_empty() {
        return Err(Skipped("no listener is reached, or none is on".into()));
    }
    let mut failed: Vec<(&Place, Failure)> = vec![];
    for place in all {
        match relay_test::examine(plan, place.transport, place.address, &place.name(plan), PACKETS) {
            Ok(done) => {
                let lost = done.sent.saturating_sub(done.received);
                notes.fine(format!(
                    "{place}: a relay to itself, {:.1} ms there and back, {lost} packets lost",
                    done.round_trip.median
                ));
            }
            Err(failure) => failed.push((place, failure)),
        }
    }
    tell(plan, &failed, notes);
    Ok(())
}

/// One finding for each cause, however many transports show it.
fn tell(plan: &Plan, failed: &[(&Place, Failure)], notes: &mut Notes) {
    let mut told: Vec<(String, String)> = vec![];
    for (_, failure) in failed {
        let fact = |key: &str| {
            let fault = failure.faults.first().and_then(|fault| fault.get(key));
            fault.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (step, said, help) = (fact("step"), fact("message"), fact("help"));
        if told.contains(&(step.clone(), said.clone())) {
            continue;
        }
        let same = failed.iter().filter(|(_, other)| other.message == failure.message);
        let same: Vec<&Place> = same.map(|(place, _)| *place).collect();
        let names: Vec<_> = same.iter().map(|place| place.to_string()).collect();
        let message = format!("a client of TURN does not come through: {step} fails");
        let what = if step == "resolve" || step.is_empty() { "turn".into() } else { format!("turn-{step}") };
        let seen =
            format!("{}: {}", names.join(", "), if said.is_empty() { &failure.message } else { &said });
        let fix = mend(plan, &step, &said, &help, &same);
        notes.found(Finding::error(what, message).seen(seen).mend(fix));
        told.push((step, said));
    }
}

fn mend(plan: &Plan, step: &str, said: &str, help: &str, places: &[&Place]) -> String {
    let ports = (plan.turn.relay_ports.start(), plan.turn.relay_ports.end());
    let line = match step {
        "permission" | "channel" if said.contains("403") => {
            let ranges: Vec<_> =
                plan.network.addresses.iter().map(|address| format!("\"{address}\"")).collect();
            format!(
                "[turn]\nallow-peers = [{}]   # only where clients of one another are in this network",
                ranges.join(", ")
            )
        }
        "binding" | "connect" => {
            let rules =
                places.iter().map(|place| format!("ufw allow {}/{}", place.address.port(), place.carrier()));
            rules.collect::<Vec<_>>().join("\n")
        }
        "relay" | "outside" => format!("ufw allow {}:{}/udp", ports.0, ports.1),
        "allocate" if ["300", "486", "508"].iter().any(|code| said.contains(code)) => {
            "parlour turn drain --off   # unless it was not drained: see turn.quota, turn.relay-ports".into()
        }
        _ => "parlour turn test   # once it is mended".into(),
    };
    format!("{line}\nlikely: {help}")
}
