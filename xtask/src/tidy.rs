//! `cargo xtask tidy`: the house's rules that a compiler does not hold. Each finding names file and line.

mod edges;
mod floors;
mod licences;
mod words;

use crate::shell::output;
use anyhow::{Result, bail};

/// Everything that is wrong, or nothing.
pub(crate) fn tidy() -> Result<()> {
    let files = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let mut found = edges::check()?;
    found.extend(licences::check()?);
    for path in files.lines().filter(|path| std::path::Path::new(path).is_file()) {
        found.extend(words::check(path)?);
        found.extend(floors::check(path)?);
    }
    if found.is_empty() {
        println!("tidy: the house is in order");
        return Ok(());
    }
    found.iter().for_each(|line| println!("tidy: {line}"));
    bail!("tidy: {} finding(s)", found.len())
}
