//! `cargo xtask bench`: Parlour beside its peers from Debian, in alternation.

use crate::install;
use anyhow::{Result, bail};

/// Runs the benchmark of one service.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    install::for_benches()?;
    bail!("no benchmark {arguments:?} yet")
}
