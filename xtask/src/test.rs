//! `cargo xtask test`: every test, on a machine that may lack everything but Rust and gcc.

use crate::shell::{cargo, root, run_with};
use crate::{install, shell};
use anyhow::Result;

/// Installs what is missing and runs `cargo test`.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    install::for_tests()?;
    let mut line = vec!["test", "--workspace"];
    line.extend(arguments.iter().map(String::as_str));
    let python = root().join(install::PYTHON);
    run_with(&cargo(), &line, &[("PARLOUR_PYTHON", &python.to_string_lossy())])?;
    println!("cargo xtask test: all passed in {}", shell::root().display());
    Ok(())
}
