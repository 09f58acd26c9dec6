//! `cargo xtask fuzz`: a reader under libFuzzer, from its committed corpus.

use crate::shell::{has, run};
use anyhow::{Result, bail};

/// Fuzzes `TARGET` for `SECONDS` (60 when not said).
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    let [target, rest @ ..] = arguments else { bail!("which target? stun, sip or xml") };
    if !has("cargo-fuzz") {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz (and rustup toolchain install nightly)");
    }
    let limit = format!("-max_total_time={}", rest.first().map_or("60", String::as_str));
    let corpus = format!("fuzz/corpus/{target}");
    run("cargo", &["+nightly", "fuzz", "run", target, &corpus, "--", &limit, "-rss_limit_mb=1024"])
}
