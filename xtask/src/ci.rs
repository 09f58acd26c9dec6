//! `cargo xtask ci`: what has to pass before a change lands. `.ci/run` calls nothing else.

use crate::shell::{cargo, has, run, run_with};
use crate::{test, tidy};
use anyhow::Result;

/// The cheap looks first, so that a slip shows early.
pub(crate) fn ci() -> Result<()> {
    let cargo = cargo();
    run(&cargo, &["fmt", "--all", "--check"])?;
    tidy::tidy()?;
    run(&cargo, &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
    run_with(
        &cargo,
        &["doc", "--workspace", "--no-deps", "--quiet"],
        &[("RUSTDOCFLAGS", "--deny warnings")],
    )?;
    licences(&cargo)?;
    test::test(&[])
}

/// `cargo deny` where it is installed; tidy has compared the licences of every locked package already.
fn licences(cargo: &str) -> Result<()> {
    if has("cargo-deny") {
        return run(cargo, &["deny", "--offline", "check", "bans", "licenses", "sources"]);
    }
    println!("cargo-deny is not installed: advisories are not looked up (`cargo install cargo-deny`)");
    Ok(())
}
