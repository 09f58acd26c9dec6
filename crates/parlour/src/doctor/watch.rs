//! The server's own eye on itself: what the doctor can tell at once, looked at now and then, logged when it comes.

use super::quick;
use crate::admin::answers::doctor::DoctorFinding;
use crate::config::Plan;
use crate::standing::Standing;
use crate::vitals::Vitals;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Health;

/// How often it is looked at.
pub const OFTEN: Duration = Duration::from_secs(30);

/// What clients feel, so that whoever decides where to send them should know.
const FELT: [&str; 4] = ["certificate-ended", "open-files", "space", "storage"];

/// Who looks.
#[derive(Debug)]
pub struct Watch {
    vitals: Arc<Vitals>,
    /// What was found the last time: each is logged when it comes.
    known: Mutex<BTreeSet<String>>,
}

impl Watch {
    /// One that tells what it finds to `vitals`, and has seen nothing yet.
    pub fn new(vitals: Arc<Vitals>) -> Self {
        Self { vitals, known: Mutex::default() }
    }

    /// Looks again: what is found.
    pub fn look(&self, plan: &Plan, storage: Health, orders: &[Standing]) -> Vec<DoctorFinding> {
        let findings = quick(plan, storage, orders);
        let felt = |finding: &&DoctorFinding| finding.severity == "error" && FELT.contains(&&*finding.what);
        self.vitals.tell(findings.iter().any(|finding| felt(&finding)));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for DoctorFinding { severity, area, what, message, evidence, .. } in &findings {
            // Certificates are told by whoever renews them.
            if area != "certificates" && !known.contains(what) && severity != "notice" {
                tracing::warn!(what, evidence, "{message}; `parlour doctor` says what mends it");
            }
        }
        *known = findings.iter().map(|finding| finding.what.clone()).collect();
        findings
    }

    /// Whether clients feel what was found.
    pub fn is_ill(&self) -> bool {
        self.vitals.is_ill()
    }
}
