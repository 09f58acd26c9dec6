//! Licences and number of the locked packages.

use crate::shell::{cargo, output};
use anyhow::{Context, Result};
use serde_json::Value;

/// What may be part of the binary or of its tests.
const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "CC0-1.0",
    "MIT-0",
    "OpenSSL",
    "0BSD",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "BSL-1.0",
];

/// Copyleft per file: as an oracle in tests only, never in the binary.
const TESTS_ONLY: &[&str] = &["MPL-2.0"];

/// How many packages the lock file may hold: the plan's 350; the 23 that no build of ours has, which Cargo locks for features of `instant-acme`
/// that are not switched on (decision 37); and what `dns-update` brings beside them (decision 34), of which a third is for other systems.
const MOST: usize = 400;

/// Every locked package with a licence that is not allowed, and too many of them.
pub(super) fn check() -> Result<Vec<String>> {
    let text = output(&cargo(), &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let foreign: Vec<&Value> = packages.iter().filter(|p| !p["source"].is_null()).collect();
    let mut found: Vec<String> = foreign.iter().filter_map(|package| check_package(package)).collect();
    println!("tidy: {} locked packages (at most {MOST})", foreign.len());
    if foreign.len() > MOST {
        found.push(format!("{} locked packages, more than {MOST}", foreign.len()));
    }
    Ok(found)
}

fn check_package(package: &Value) -> Option<String> {
    let licence = package["license"].as_str().unwrap_or("none named");
    (!is_allowed(licence)).then(|| format!("{}: licence {licence}", package["name"].as_str().unwrap_or("?")))
}

/// An SPDX expression: one allowed branch of each `OR`, all parts of each `AND`.
fn is_allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // Without brackets `A AND B OR C` is taken as `A AND (B OR C)` too, the stricter reading of what packages write.
    flat.split(" AND ").all(|part| {
        part.split(" OR ").map(str::trim).any(|name| ALLOWED.contains(&name) || TESTS_ONLY.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-2.0", "none named", "AGPL-3.0 OR SSPL-1.0"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}
