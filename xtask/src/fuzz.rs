//! `cargo xtask fuzz`: a reader under libFuzzer, from its committed corpus.

use crate::shell::{has, run};
use anyhow::{Result, bail};

/// Fuzzes `TARGET` for `SECONDS` (60 when not said).
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    let [target, rest @ ..] = arguments else {
        bail!("which target? stun, turn, sip, sip-stack, sdp, xml, bosh or xmpp-stream")
    };
    if !has("cargo-fuzz") {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz (and rustup toolchain install nightly)");
    }
    let limit = format!("-max_total_time={}", rest.first().map_or("60", String::as_str));
    // What is found goes to the first folder; the committed corpus behind it is only read.
    let found = format!("fuzz/run/corpus/{target}");
    let corpus = format!("fuzz/corpus/{target}");
    std::fs::create_dir_all(&found)?;
    let line = [
        "+nightly",
        "fuzz",
        "run",
        "--fuzz-dir",
        "fuzz/run",
        target,
        &found,
        &corpus,
        "--",
        &limit,
        "-rss_limit_mb=1024",
    ];
    run("cargo", &line)
}
