//! The DNS: what `parlour dns check` finds.

use super::notes::{Finding, Notes};
use super::{Patient, Skipped};
use crate::dns::check;

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let (plan, asked) = (&patient.plan, &patient.asked);
    let domains: Vec<_> = plan.domains.iter().collect();
    let authorities: Vec<_> = asked.authorities.iter().map(String::as_str).collect();
    let checked = check::examine(plan, &domains, asked.resolver.as_deref(), &authorities);
    let checked = checked.map_err(|failure| Skipped(failure.to_string()))?;
    for zone in checked.zones {
        let good = zone.records.iter().filter(|record| record.good).count();
        notes.fine(format!(
            "{}: {good} of {} records; DNSSEC: {}",
            zone.name,
            zone.records.len(),
            zone.dnssec
        ));
    }
    // Addresses that the world does not reach are a finding of the network.
    for found in checked.findings.into_iter().filter(|found| found.what != "private") {
        let seen = format!("{} ({})", found.evidence, found.seen_by.join(", "));
        let finding = Finding::of(&found.severity, found.what, found.message);
        notes.found(finding.seen(seen).mend(found.fix));
    }
    Ok(())
}
