//! The server: whether it runs and answers, by which version and configuration, and whether it listens where it should.

use super::notes::{Finding, Notes};
use super::sockets::{self, Socket};
use super::{Patient, Skipped};
use crate::admin::answers::Status;
use crate::admin::client;
use crate::admin::here;
use crate::config::Plan;
use crate::config::plan::{Host, Listener};
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};
use wire::Transport;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    patient.pid = process(&patient.plan);
    let plan = &patient.plan;
    match ask(plan, &["status"], Map::new()) {
        Ok(Some(status)) => match serde_json::from_value::<Status>(status) {
            Ok(status) => {
                running(plan, &status, notes);
                patient.server = Some(status);
            }
            Err(error) => {
                let finding = Finding::error("silent", "the server's answer is not understood");
                notes.found(finding.seen(error.to_string()).mend("systemctl restart parlour"));
            }
        },
        Ok(None) => not_running(plan, notes),
        Err(failure) => {
            let socket = plan.admin.socket.display();
            let finding = Finding::error("silent", "the server does not answer its administrator");
            let fix =
                "run this as the server's user or as root; if it still does not: systemctl restart parlour";
            notes.found(finding.seen(format!("{socket}: {failure}")).mend(fix));
        }
    }
    Ok(())
}

/// The process behind the door, whether it answers or not.
fn process(plan: &Plan) -> Option<u32> {
    let reached = here::block_on(async {
        let stream = client::reach(&plan.admin.socket).await.ok()??;
        stream.peer_cred().ok()?.pid()
    });
    reached.ok()?.and_then(|pid| u32::try_from(pid).ok())
}

/// What the running server says to a command; `None` where none runs.
pub(super) fn ask(plan: &Plan, words: &[&str], given: Map<String, Value>) -> Result<Option<Value>, String> {
    let route = format!("/v1/{}", words.join("/"));
    let work = async {
        let Some(stream) = client::reach(&plan.admin.socket).await? else { return Ok(None) };
        client::post(stream, &route, &Value::Object(given)).await.map(Some)
    };
    let within = here::block_on(async { tokio::time::timeout(PATIENCE, work).await });
    match within.map_err(|failure| failure.to_string())? {
        Ok(answer) => answer.map_err(|failure| failure.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

fn running(plan: &Plan, status: &Status, notes: &mut Notes) {
    let Status { version, pid, .. } = status;
    notes.fine(format!("parlour {version} runs as process {pid}"));
    if version != env!("CARGO_PKG_VERSION") {
        let finding =
            Finding::warning("version", format!("another version is installed than runs ({version})"));
        let seen = format!("installed is {}", env!("CARGO_PKG_VERSION"));
        notes.found(finding.seen(seen).mend("systemctl restart parlour"));
    }
    if status.counters.get("turn.draining").is_some_and(|on| *on > 0) {
        let finding = Finding::warning("drained", "no new TURN sessions are made");
        notes.found(finding.seen("turn.draining is 1").mend("parlour turn drain --off"));
    }
    not_reloaded(plan, status, notes);
    not_bound(plan, status, notes);
    // What nobody else can know; the rest is looked at again.
    for own in status.findings.iter().filter(|own| OWN.contains(&&*own.what)) {
        notes.found(Finding::of(&own.severity, &own.what, &own.message).seen(&own.evidence).mend(&own.fix));
    }
}

/// What the server alone knows of itself.
const OWN: [&str; 2] = ["storage", "acme"];

/// The file has changed, and the server does not know.
fn not_reloaded(plan: &Plan, status: &Status, notes: &mut Notes) {
    let written = std::fs::metadata(&plan.file).and_then(|facts| facts.modified()).ok();
    let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    // An older server does not say.
    if status.read > 0 && written.as_millis() > u128::from(status.read) {
        let finding = Finding::warning(
            "not-reloaded",
            "the configuration has changed, and the server works by the old one",
        );
        let seconds = (written.as_millis() - u128::from(status.read)).div_ceil(1000);
        let seen = format!("{} was written {seconds} s after the server had read it", plan.file.display());
        notes.found(
            finding
                .seen(seen)
                .mend("parlour reload   # storage, workers and limits: systemctl restart parlour"),
        );
    }
}

fn not_bound(plan: &Plan, status: &Status, notes: &mut Notes) {
    let bound: Vec<SocketAddr> = status.listeners.iter().filter_map(|one| one.address.parse().ok()).collect();
    for (service, transport, listener) in plan.listeners() {
        if listener.port == 0 || bound.iter().any(|address| is_at(listener, *address)) {
            continue;
        }
        let message = format!("the server does not listen on {service} {transport} \"{listener}\"");
        let seen = format!("it listens on {}", list(bound.iter().map(SocketAddr::to_string)));
        notes.found(
            Finding::error("not-bound", message)
                .seen(seen)
                .mend("parlour reload   # it says why, where it cannot"),
        );
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// Whether what was bound there serves this listener.
fn is_at(listener: &Listener, bound: SocketAddr) -> bool {
    let host = match listener.host {
        Host::All => true,
        Host::One(address) => bound.ip().to_canonical() == address || bound.ip().is_unspecified(),
    };
    host && bound.port() == listener.port
}

fn not_running(plan: &Plan, notes: &mut Notes) {
    let socket = plan.admin.socket.display();
    let seen =
        if plan.admin.socket.exists() { "is left over from a server that has died" } else { "is not there" };
    let config = plan.file.display();
    let fix = format!("systemctl start parlour   # or: parlour --config {config} serve");
    notes.found(
        Finding::error("not-running", "the server does not run").seen(format!("{socket} {seen}")).mend(fix),
    );
    taken(plan, notes);
}

/// Ports that somebody else has, so that the server cannot start.
fn taken(plan: &Plan, notes: &mut Notes) {
    let sockets = sockets::all();
    let mut rivals: Vec<(String, &Socket)> = vec![];
    for (service, transport, listener) in plan.listeners() {
        let datagrams = matches!(transport, Transport::Udp | Transport::Dtls);
        let here = sockets
            .iter()
            .filter(|socket| socket.datagrams == datagrams && clashes(listener, socket.address));
        rivals.extend(here.map(|socket| (format!("{service} {transport} \"{listener}\""), socket)));
    }
    rivals.dedup_by(|one, other| one.0 == other.0);
    let found: Vec<Socket> = rivals.iter().map(|(_, socket)| **socket).collect();
    let owners = sockets::owners(&found);
    for (listener, socket) in rivals {
        let owner = socket.owner(&owners);
        let protocol = if socket.datagrams { "udp" } else { "tcp" };
        let finding = Finding::error("port-taken", format!("the port of {listener} is taken by {owner}"));
        let program = owner.split(' ').next().unwrap_or("PROGRAM");
        let fix = format!(
            "systemctl disable --now {program}   # its unit may be called otherwise; or another port in the configuration"
        );
        notes.found(finding.seen(format!("{protocol} {}", socket.address)).mend(fix));
    }
}

/// Whether a socket of somebody else keeps the listener from being bound.
fn clashes(listener: &Listener, other: SocketAddr) -> bool {
    let ip = other.ip();
    let host = match listener.host {
        Host::All => true,
        Host::One(address) => {
            ip.to_canonical() == address || (ip.is_unspecified() && (ip.is_ipv6() || address.is_ipv4()))
        }
    };
    host && listener.port != 0 && other.port() == listener.port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_another_version() {
        let text = "[[domains]]\nname = \"falcot.com\"\n";
        let plan = crate::config::parse(std::path::Path::new("/nowhere/parlour.toml"), text.into()).unwrap();
        let found = |version: &str| {
            let mut notes = Notes::default();
            notes.begin("server");
            running(&plan, &Status { version: version.into(), ..Status::default() }, &mut notes);
            let findings = notes.answer().findings.into_iter();
            findings.filter(|one| one.what == "version").map(|one| one.fix).collect::<Vec<_>>()
        };
        assert_eq!(found(env!("CARGO_PKG_VERSION")), [""; 0]);
        assert_eq!(found("0.0.1"), ["systemctl restart parlour"]);
    }
}
