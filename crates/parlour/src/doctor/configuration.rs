//! The configuration: what is wrong with it, what is odd in it, and whether secrets lie open in it.

use super::notes::{Finding, Notes};
use super::{Patient, Skipped};
use crate::admin::Failure;
use std::os::unix::fs::PermissionsExt;
use toml::Value;

/// A configuration that is refused: each fault is a finding.
pub(super) fn refused(failure: &Failure, notes: &mut Notes) {
    for fault in &failure.faults {
        let text = |key: &str| fault.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        let number = |key: &str| fault.get(key).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let (file, line, column) = (text("file"), number("line"), number("column"));
        let place = if line == 0 { file.to_owned() } else { format!("{file}:{line}:{column}") };
        let key = text("key");
        let seen = if key.is_empty() { place } else { format!("{place}, key {key}") };
        let help = if text("help").is_empty() { "`parlour check` shows the line" } else { text("help") };
        notes.found(Finding::error("refused", text("message")).seen(seen).mend(help));
    }
}

/// What warnings say of a file that lies open.
const OPEN: &str = ": others may read ";

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let plan = &patient.plan;
    let file = plan.file.display();
    for warning in plan.warnings.iter().filter(|warning| !warning.starts_with("tls.certificate:")) {
        if let Some((key, rest)) = warning.split_once(OPEN) {
            let path = rest.trim_end_matches("; chmod 600 it");
            // Those of these two are looked at closer: `readable_secrets`, `files`.
            if path != file.to_string() && key != "tls.key" {
                let finding = Finding::error("readable", format!("others may read the secret of {key}"));
                notes.found(finding.seen(format!("{path} (key {key})")).mend(format!("chmod 600 {path}")));
            }
            continue;
        }
        let (key, said) = warning.split_once(": ").unwrap_or(("", warning));
        let finding = Finding::warning("odd", warning.clone()).seen(format!("{file}: {key}"));
        let (_, help) = said.rsplit_once("; ").unwrap_or(("", "see docs/configuration.md for the key"));
        notes.found(finding.mend(format!("{help}; then `parlour check` and `parlour reload`")));
    }
    readable_secrets(patient, notes);
    notes.fine(format!("{file} is valid"));
    Ok(())
}

/// Secrets that stand in the file as texts, where others may read it.
fn readable_secrets(patient: &Patient, notes: &mut Notes) {
    let file = &patient.plan.file;
    let mode = std::fs::metadata(file).map_or(0, |facts| facts.permissions().mode());
    let table = std::fs::read_to_string(file).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let Some(table) = table.filter(|_| mode & 0o004 != 0) else { return };
    let mut keys = vec![];
    inline("", &Value::Table(table), &mut keys);
    if !keys.is_empty() {
        let name = file.display();
        let message = format!("every user of this host may read the secrets in {name}");
        let seen = format!("mode {:03o}; {} are texts there", mode & 0o777, keys.join(", "));
        notes.found(Finding::error("secrets-readable", message).seen(seen).mend(format!(
            "chmod 640 {name}   # with the server's group; or put each into a file: {{ file = \"data/NAME.secret\" }}"
        )));
    }
}

/// The keys whose values are secrets and stand there as texts.
fn inline(key: &str, value: &Value, found: &mut Vec<String>) {
    let last = key.rsplit('.').next().unwrap_or("");
    let is_secret = matches!(last, "secret" | "secrets" | "hmac") || key.ends_with("oauth-keys.key");
    match value {
        Value::String(_) if is_secret && !found.iter().any(|known| known == key) => {
            found.push(key.to_owned())
        }
        Value::Array(values) => values.iter().for_each(|value| inline(key, value, found)),
        Value::Table(table) => {
            for (name, value) in table {
                let whole = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                inline(&whole, value, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_stand_in_the_file() {
        let check = |text: &str, expected: &[&str]| {
            let mut found = vec![];
            inline("", &Value::Table(text.parse().unwrap()), &mut found);
            assert_eq!(found, expected, "{text}");
        };
        check("[turn]\nsecrets = [\"a\", \"b\"]", &["turn.secrets"]);
        check("[turn]\nsecrets = [{ file = \"a\" }, { credential = \"b\" }]", &[]);
        check("[dns]\npush = { server = \"x\", key = \"y\", secret = \"z\" }", &["dns.push.secret"]);
        check("[dns]\npush = { server = \"x\", key = \"y\", secret = { file = \"z\" } }", &[]);
        check("[[turn.oauth-keys]]\nkid = \"a\"\nkey = \"b\"", &["turn.oauth-keys.key"]);
        check("[[turn.oauth-keys]]\nkid = \"a\"\nkey = { file = \"b\" }", &[]);
        check("[tls]\nkey = \"data/certs/a.key\"", &[]);
    }
}
