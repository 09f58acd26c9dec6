//! How the server finds itself: looked at by the back office now and then, read by every worker for the health page.

use super::quick;
use crate::acme::Standing;
use crate::admin::answers::doctor::DoctorFinding;
use crate::config::Plan;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::Health;

/// How often it is looked at.
pub const OFTEN: Duration = Duration::from_secs(30);

/// What clients feel, so that whoever decides where to send them should know.
const FELT: [&str; 4] = ["certificate-ended", "open-files", "space", "storage"];

/// How the server finds itself.
#[derive(Debug, Default)]
pub struct Vitals {
    ill: AtomicBool,
    /// What was found the last time: each is logged when it comes.
    known: Mutex<BTreeSet<String>>,
}

impl Vitals {
    /// Looks again: what is found.
    pub fn look(&self, plan: &Plan, storage: Health, orders: &[Standing]) -> Vec<DoctorFinding> {
        let findings = quick(plan, storage, orders);
        let felt = |finding: &&DoctorFinding| finding.severity == "error" && FELT.contains(&&*finding.what);
        self.ill.store(findings.iter().any(|finding| felt(&finding)), Ordering::Relaxed);
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

    /// Whether clients feel it.
    pub fn is_ill(&self) -> bool {
        self.ill.load(Ordering::Relaxed)
    }
}
