//! By whose account the doctor signs in: guests that the server makes for the visit, one for each domain, or the account that was
//! named. Guests are removed when the visit is over; the server removes what a doctor who was killed has left behind.

use super::server::ask;
use super::{Patient, Skipped};
use crate::admin::answers::PasswordSet;
use crate::config::Plan;
use serde_json::{Map, Value};
use wire::Address;

/// An account with its password.
pub(super) struct Visitor {
    pub(super) address: Address,
    pub(super) password: String,
    guest: bool,
}

impl Visitor {
    /// One that the caller named.
    pub(super) const fn named(address: Address, password: String) -> Self {
        Self { address, password, guest: false }
    }
}

/// Makes sure that there are some.
pub(super) fn invite(patient: &mut Patient) -> Result<(), Skipped> {
    patient.server()?;
    if !patient.visitors.is_empty() {
        return Ok(());
    }
    for domain in &patient.plan.domains {
        let given = Map::from_iter([("domain".to_owned(), Value::from(domain.name.as_str()))]);
        let refused = |why: String| Skipped(format!("the server makes no guest: {why}"));
        let made = ask(&patient.plan, &["user", "guest"], given).map_err(refused)?;
        let made = made.ok_or_else(|| Skipped("no server answers".into()))?;
        let made: PasswordSet = serde_json::from_value(made).map_err(|error| refused(error.to_string()))?;
        let address = made.address.parse().map_err(|_| refused("its name is none".into()))?;
        let password = made.password.unwrap_or_default();
        patient.visitors.push(Visitor { address, password, guest: true });
    }
    Ok(())
}

/// Ends the visit.
pub(super) fn dismiss(plan: &Plan, visitors: &[Visitor]) {
    for guest in visitors.iter().filter(|visitor| visitor.guest) {
        let given = Map::from_iter([("address".to_owned(), Value::from(guest.address.as_str()))]);
        // The server removes it by itself where this fails.
        drop(ask(plan, &["user", "remove"], given));
    }
}
