//! The accounts: whether there are any, whether the administrators are among them, who is shut out.

use super::notes::{Finding, Notes};
use super::server::ask;
use super::{Patient, Skipped};
use crate::admin::answers::{Bans, User, Users};
use crate::config::{Plan, host};
use serde::de::DeserializeOwned;
use serde_json::Map;
use std::net::IpAddr;

/// So many accounts are named, and more are counted.
const NAMED: usize = 5;

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    patient.server()?;
    let users: Users = tell(patient, &["user", "list"])?;
    let plan = &patient.plan;
    if users.users.is_empty() {
        let finding = Finding::warning("no-accounts", "there is no account: nobody can sign in");
        notes.found(
            finding
                .seen("`parlour user list` is empty")
                .mend(format!("parlour user add NAME@{}", plan.domains[0].name)),
        );
    }
    for domain in &plan.domains {
        for admin in domain
            .admins
            .iter()
            .filter(|admin| !users.users.iter().any(|user| user.address == admin.as_str()))
        {
            let message = format!("{admin}, an administrator of {}, has no account", domain.name);
            let seen = format!("domains.admins names {admin}");
            notes.found(
                Finding::warning("admin-unknown", message)
                    .seen(seen)
                    .mend(format!("parlour user add {admin}")),
            );
        }
    }
    keyless(plan, &users, notes);
    notes.fine(format!("{} accounts", users.users.len()));
    shut_out(&tell(patient, &["sip", "bans"])?, notes);
    Ok(())
}

fn tell<T: DeserializeOwned>(patient: &Patient, words: &[&str]) -> Result<T, Skipped> {
    let answer = ask(&patient.plan, words, Map::new()).map_err(Skipped)?;
    let answer = answer.ok_or_else(|| Skipped("no server answers".into()))?;
    serde_json::from_value(answer).map_err(|error| Skipped(format!("the server's answer: {error}")))
}

/// Accounts that lack the keys of a protocol which is offered: imported with those of another.
fn keyless(plan: &Plan, users: &Users, notes: &mut Notes) {
    for protocol in ["turn", "sip", "xmpp"] {
        let offered = plan.listeners().any(|(service, ..)| service.to_string() == protocol);
        let works = |user: &&User| user.works.iter().any(|word| word == protocol);
        let without: Vec<_> = users.users.iter().filter(|user| offered && !works(user)).collect();
        let Some(first) = without.first() else { continue };
        let named: Vec<_> = without.iter().take(NAMED).map(|user| user.address.as_str()).collect();
        let more = without.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "accounts that {protocol} does not let in, for they have no keys for it: {}",
            without.len()
        );
        let fix = format!(
            "parlour user passwd {}   # `parlour user show` says which keys there are",
            first.address
        );
        notes
            .found(Finding::notice("no-keys", message).seen(format!("{}{more}", named.join(", "))).mend(fix));
    }
}

/// This host itself, or an account, is shut out.
fn shut_out(bans: &Bans, notes: &mut Notes) {
    let own = host::all_addresses();
    for ban in &bans.sources {
        let address = ban.source.split('/').next().and_then(|text| text.parse::<IpAddr>().ok());
        if address.is_some_and(|ip| ip.is_loopback() || own.contains(&ip)) {
            let finding = Finding::error("banned", format!("this host itself is shut out ({})", ban.source));
            let seen = format!("`parlour sip bans` lists it: {}", ban.reason);
            notes.found(finding.seen(seen).mend(format!("parlour sip unban {}", ban.source)));
        }
    }
    for lock in &bans.accounts {
        let finding = Finding::notice("locked", format!("{} is locked for failed sign-ins", lock.account));
        notes.found(
            finding.seen("`parlour sip bans` lists it").mend(format!("parlour sip unban {}", lock.account)),
        );
    }
}
