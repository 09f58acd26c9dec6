//! `cargo xtask docs`: the reference pages that are written from the code.

use crate::shell::{cargo, run};
use anyhow::Result;

/// Lets the binary write its own reference pages.
pub(crate) fn docs() -> Result<()> {
    run(&cargo(), &["run", "--quiet", "--package", "parlour", "--", "docs", "docs"])
}
