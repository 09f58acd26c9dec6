//! What the doctor writes down.

use crate::admin::answers::doctor::{Doctor, DoctorArea, DoctorFinding};
use domains::check::Severity;

/// A finding that is being written.
pub(super) struct Finding {
    severity: Severity,
    what: String,
    message: String,
    evidence: String,
    fix: String,
}

impl Finding {
    fn new(severity: Severity, what: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            what: what.into(),
            message: message.into(),
            evidence: String::new(),
            fix: String::new(),
        }
    }

    /// Something does not work.
    pub(super) fn error(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, what, message)
    }

    /// Something will not work, or not for everybody.
    pub(super) fn warning(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what, message)
    }

    /// Something that one may want otherwise.
    pub(super) fn notice(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, what, message)
    }

    /// As bad as somebody else has found it.
    pub(super) fn of(severity: &str, what: impl Into<String>, message: impl Into<String>) -> Self {
        match severity {
            "error" => Self::error(what, message),
            "warning" => Self::warning(what, message),
            _ => Self::notice(what, message),
        }
    }

    /// What was seen.
    pub(super) fn seen(self, evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), ..self }
    }

    /// The exact line or command that mends it.
    pub(super) fn mend(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }
}

/// What was looked at and what was found.
#[derive(Default)]
pub(super) struct Notes {
    areas: Vec<DoctorArea>,
    findings: Vec<(Severity, DoctorFinding)>,
}

impl Notes {
    /// From now on it is about this part.
    pub(super) fn begin(&mut self, area: &str) {
        self.areas.push(DoctorArea { name: area.to_owned(), ..DoctorArea::default() });
    }

    /// That part is done, or was not looked at.
    pub(super) fn end(&mut self, skipped: Option<String>) {
        if let Some(area) = self.areas.last_mut() {
            area.skipped = skipped.unwrap_or_default();
        }
    }

    /// Nobody wanted to know of that part.
    pub(super) fn forget(&mut self, area: &str) {
        self.areas.retain(|one| one.name != area);
        self.findings.retain(|(_, finding)| finding.area != area);
    }

    /// Something is as it should be.
    pub(super) fn fine(&mut self, seen: impl Into<String>) {
        if let Some(area) = self.areas.last_mut() {
            area.seen.push(seen.into());
        }
    }

    /// Something is not.
    pub(super) fn found(&mut self, finding: Finding) {
        let Finding { severity, what, message, evidence, fix } = finding;
        let area = self.areas.last().map_or_else(String::new, |area| area.name.clone());
        let finding = DoctorFinding { severity: severity.word().into(), area, what, message, evidence, fix };
        self.findings.push((severity, finding));
    }

    /// For the caller, the worst first.
    pub(super) fn answer(mut self) -> Doctor {
        self.findings.sort_by_key(|(severity, _)| *severity);
        let good = self.findings.iter().all(|(severity, _)| *severity != Severity::Error);
        let findings = self.findings.into_iter().map(|(_, finding)| finding).collect();
        Doctor { good, areas: self.areas, findings }
    }
}
