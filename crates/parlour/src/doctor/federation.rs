//! Other domains, by way of our own server as a user's telephone has it: it finds the other's server, believes its certificate, is
//! believed by it, and brings back an answer to OPTIONS (RFC 3261 §11, RFC 3263, RFC 5922).

use super::notes::{Finding, Notes};
use super::places::{self, Place};
use super::server::ask;
use super::sip::Phone;
use super::{Patient, Skipped, visitors};
use crate::admin::answer::Answer;
use crate::admin::answers::sip::SipStory;
use crate::config::Plan;
use crate::config::plan::Service;
use serde_json::{Map, Value};
use wire::Transport;

/// So many lines of what the server has noted are shown.
const LINES: usize = 16;

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let ways = [Transport::Tls, Transport::Tcp, Transport::Udp];
    let place = ways.iter().find_map(|way| places::of(&patient.places, Service::Sip, *way).next().cloned());
    let place = place.ok_or_else(|| Skipped("no listener of SIP is reached, or none is on".into()))?;
    visitors::invite(patient)?;
    for domain in &patient.asked.federation {
        try_out(patient, &place, domain, notes);
    }
    Ok(())
}

fn try_out(patient: &Patient, place: &Place, domain: &str, notes: &mut Notes) {
    let Some(visitor) = patient.visitors.first() else { return };
    let asked = Phone::open(place, visitor).and_then(|mut phone| {
        let status = phone.reach(domain)?;
        Ok((status, phone.call_id.clone()))
    });
    let (status, call_id) = match asked {
        Ok(asked) => asked,
        Err(trouble) => return notes.found(trouble.finding(place, visitor)),
    };
    if is_theirs(&status) {
        return notes.fine(format!("{domain} answers in SIP: {status}"));
    }
    let finding = Finding::error("federation-sip", format!("{domain} is not reached in SIP"));
    let fix = format!(
        "parlour doctor --outside {domain}   # is it at fault there? its certificate: tls.roots, sip.peers"
    );
    notes.found(finding.seen(format!("{status}\n{}", story(&patient.plan, &call_id))).mend(fix));
}

/// Whether it is the other's answer: who refuses is there. Ours, where nobody is reached, are others.
fn is_theirs(status: &str) -> bool {
    let code = status.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
    code.starts_with('2') || matches!(code, "401" | "403" | "405" | "420" | "481" | "486" | "488")
}

/// What the server has noted of it; it holds no credentials.
fn story(plan: &Plan, call_id: &str) -> String {
    let given = Map::from_iter([("call-id".to_owned(), Value::from(call_id))]);
    let told = ask(plan, &["sip", "why"], given).ok().flatten();
    let told = told.and_then(|told| serde_json::from_value::<SipStory>(told).ok());
    told.map_or_else(String::new, |told| told.human().lines().take(LINES).collect::<Vec<_>>().join("\n"))
}
