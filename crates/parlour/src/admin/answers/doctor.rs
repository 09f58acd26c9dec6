//! What `parlour doctor` found.

use crate::admin::answer::Answer;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::ToSchema;

/// How the installation is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// Whether nothing is so bad as an error.
    pub good: bool,
    /// What was looked at, in order.
    pub areas: Vec<DoctorArea>,
    /// What is wrong, or deserves a look; the worst first.
    pub findings: Vec<DoctorFinding>,
}

/// A part of the installation.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DoctorArea {
    /// Its name, as `--only` takes it.
    pub name: String,
    /// What was tried and seen there.
    pub seen: Vec<String>,
    /// Why it was not looked at; empty where it was.
    pub skipped: String,
}

/// Something wrong, or worth a look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorFinding {
    /// `error`, `warning` or `notice`.
    pub severity: String,
    /// The part that it belongs to.
    pub area: String,
    /// In one word, for programs; `docs/administration.md` lists them.
    pub what: String,
    /// In a sentence.
    pub message: String,
    /// What was seen.
    pub evidence: String,
    /// What mends it: a line to paste, a command, or what to do.
    pub fix: String,
}

impl DoctorFinding {
    /// For people, as a paragraph.
    pub fn paragraph(&self) -> String {
        let Self { severity, area, what, message, evidence, fix } = self;
        let mut text = format!("{severity}: {message} ({area}: {what})\n");
        for (title, content) in [("seen:", evidence), ("do:", fix)] {
            for (n, line) in content.lines().enumerate() {
                let _ = writeln!(text, "  {:5}  {line}", if n == 0 { title } else { "" });
            }
        }
        text
    }
}

impl Answer for Doctor {
    fn human(&self) -> String {
        let mut text: String = self.findings.iter().map(|finding| finding.paragraph() + "\n").collect();
        let (skipped, looked): (Vec<_>, Vec<_>) =
            self.areas.iter().partition(|area| !area.skipped.is_empty());
        for area in skipped {
            let _ = writeln!(text, "not looked at: {} ({})", area.name, area.skipped);
        }
        let names: Vec<_> = looked.iter().map(|area| area.name.as_str()).collect();
        let sum = if self.findings.is_empty() { "everything is as it should be; " } else { "" };
        let _ = write!(text, "{sum}looked at: {}", names.join(", "));
        text
    }

    fn is_good(&self) -> bool {
        self.good
    }
}
