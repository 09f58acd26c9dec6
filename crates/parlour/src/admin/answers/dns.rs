//! What `parlour dns check` and `parlour dns push` found and did.

use crate::admin::answer::Answer;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::ToSchema;

/// What the DNS says beside what it should say.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsCheck {
    /// Whether nothing is so bad as an error.
    pub good: bool,
    /// The zones that were looked at.
    pub zones: Vec<DnsZone>,
    /// What is wrong, or deserves a look; the worst first.
    pub findings: Vec<DnsFinding>,
}

/// A zone as it was seen.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsZone {
    /// The name that the records are below.
    pub name: String,
    /// The zone that it lies in; empty where there is none.
    pub zone: String,
    /// Who was asked: the domain's own servers, then the resolver.
    pub asked: Vec<String>,
    /// `verified`, `signed`, `unsigned`, `not delegated`, `keys missing` or `broken`.
    pub dnssec: String,
    /// Each record that should be there.
    pub records: Vec<DnsRecord>,
}

/// A record that should be there.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsRecord {
    /// As a line of the zone.
    pub expected: String,
    /// Whether everybody who was asked has it.
    pub good: bool,
    /// What each has at that name, of that type.
    pub found: Vec<DnsFound>,
}

/// What one server has at a name.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsFound {
    /// Who says so.
    pub server: String,
    /// What its records say.
    pub records: Vec<String>,
}

/// Something wrong, or worth a look.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsFinding {
    /// `error`, `warning` or `notice`.
    pub severity: String,
    /// In one word: `missing`, `foreign`, `alias`, `remembered`, `silent`, `refused`, `lame`, `serial`, `single`, `zone`,
    /// `dnssec`, `pinned`, `private`, `host`.
    pub what: String,
    /// The name that it is about.
    pub name: String,
    /// In a sentence.
    pub message: String,
    /// What was seen.
    pub evidence: String,
    /// What mends it: a line to paste, or what to do.
    pub fix: String,
    /// Where it was seen.
    pub seen_by: Vec<String>,
}

impl Answer for DnsCheck {
    fn human(&self) -> String {
        let mut text = String::new();
        for zone in &self.zones {
            let _ = writeln!(text, "{}: asked {}; DNSSEC: {}", zone.name, zone.asked.join(", "), zone.dnssec);
            for record in &zone.records {
                let mark = if record.good { "ok     " } else { "MISSING" };
                let _ = writeln!(text, "  {mark}  {}", record.expected);
            }
        }
        for finding in &self.findings {
            let DnsFinding { severity, message, evidence, fix, seen_by, .. } = finding;
            let _ = writeln!(text, "\n{severity}: {message}");
            let _ = writeln!(text, "  seen:  {evidence} ({})", seen_by.join(", "));
            for (n, line) in fix.lines().enumerate() {
                let _ = writeln!(text, "  {} {line}", if n == 0 { "do:   " } else { "      " });
            }
        }
        if self.findings.is_empty() {
            let _ = writeln!(text, "\neverything is as it should be");
        }
        text.trim_end().to_owned()
    }

    fn is_good(&self) -> bool {
        self.good
    }
}

/// What was changed in the DNS, or would be.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsPush {
    /// Whether it was done, and not only shown.
    pub applied: bool,
    /// Whether everything is, or would be, as it should.
    pub good: bool,
    /// The name server, or the provider.
    pub server: String,
    /// Each zone.
    pub zones: Vec<DnsChange>,
}

/// What is changed in one zone.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct DnsChange {
    /// The name that the records are below.
    pub name: String,
    /// The zone of the server that they go to.
    pub zone: String,
    /// Lines that are put in.
    pub add: Vec<String>,
    /// Lines of ours that are taken out.
    pub remove: Vec<String>,
    /// Lines of ours that are to be remembered for another time.
    pub renew: Vec<String>,
    /// Lines that the provider's interface cannot take, and that are not there yet.
    pub by_hand: Vec<String>,
    /// Lines of others, where ours would have to be; nothing is changed there.
    pub foreign: Vec<String>,
    /// How many records were as they should be.
    pub unchanged: usize,
    /// Why nothing could be done; empty where it could.
    pub error: String,
}

impl Answer for DnsPush {
    fn human(&self) -> String {
        let mut text = String::new();
        for change in &self.zones {
            let DnsChange { name, zone, add, remove, renew, by_hand, foreign, unchanged, error } = change;
            let at = if zone.is_empty() { String::new() } else { format!(" in the zone {zone}") };
            let _ = writeln!(text, "{name}{at} at {}", self.server);
            remove.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
            add.iter().for_each(|line| text.push_str(&format!("+ {line}\n")));
            renew.iter().for_each(|line| text.push_str(&format!("~ {line}\n")));
            for line in by_hand {
                let _ = writeln!(text, "? {line}    (not by this interface: put it there by hand)");
            }
            for line in foreign {
                let _ = writeln!(text, "! {line}    (not ours: left as it is, and ours left out)");
            }
            if error.is_empty() {
                let verb = if self.applied { "" } else { " would be" };
                let (add, remove) = (add.len() + renew.len(), remove.len());
                let _ = writeln!(
                    text,
                    "  {add}{verb} put in, {remove}{verb} taken out, {unchanged} as they should be"
                );
            } else {
                let _ = writeln!(text, "  error: {error}");
            }
        }
        text.trim_end().to_owned()
    }

    fn is_good(&self) -> bool {
        self.good
    }
}
