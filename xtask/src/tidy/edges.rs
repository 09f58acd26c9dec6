//! Who may know whom: the workspace's dependencies against the table of the house.

use crate::shell::{cargo, output};
use anyhow::{Context, Result};
use serde_json::Value;

/// Every edge that may exist, beside `testkit` as a dev-dependency and the oracles in tests. What is not
/// here is refused: a new edge is a decision, and is written down here and in ARCHITECTURE.md.
const ALLOWED: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("stun", &["wire"]),
    ("turn", &["wire", "stun"]),
    ("sip", &["wire"]),
    ("xmpp", &["wire"]),
    ("media", &["wire"]),
    ("domains", &["wire"]),
    ("store", &["wire"]),
    ("net", &["wire"]),
    ("testkit", &["wire"]),
    ("parlour", &["wire", "stun", "turn", "sip", "media", "xmpp", "domains", "store", "net"]),
    ("load", &[]),
    ("fuzz-targets", &["wire", "stun", "turn", "sip", "media", "xmpp"]),
    ("xtask", &[]),
];

/// What machines may lean on: pure tables, hashes, ciphers and text, never a socket, a clock or a task.
const PURE: &[&str] = &[
    "aws-lc-rs",
    "base64",
    "domain",
    "hashbrown",
    "hmac",
    "idna",
    "md-5",
    "memchr",
    "pbkdf2",
    "rustc-hash",
    "sha1",
    "sha2",
    "siphasher",
    "stringprep",
    "subtle",
    "x509-parser",
];

const MACHINES: &[&str] = &["wire", "stun", "turn", "sip", "media", "xmpp", "domains"];

/// Compares `cargo metadata` with the tables.
pub(super) fn check() -> Result<Vec<String>> {
    let text = output(&cargo(), &["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    Ok(packages.iter().flat_map(|package| check_package(package, &names)).collect())
}

fn check_package(package: &Value, ours: &[&str]) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = ALLOWED.iter().find(|(n, _)| *n == name) else {
        return vec![format!("{name}: a crate that the table of allowed edges does not know")];
    };
    let mut found = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let on = dependency["name"].as_str().unwrap_or_default();
        let for_tests = dependency["kind"] == "dev";
        if ours.contains(&on) && !allowed.contains(&on) && !(for_tests && on == "testkit") {
            found.push(format!("{name} may not know {on}"));
        }
        if MACHINES.contains(&name) && !for_tests && !ours.contains(&on) && !PURE.contains(&on) {
            found.push(format!(
                "{name} is a machine and may not lean on {on}: only on pure tables, hashes and ciphers"
            ));
        }
    }
    if package["features"].as_object().is_some_and(|features| !features.is_empty()) {
        found.push(format!("{name} has cargo features: on and off is configuration"));
    }
    found
}
