//! Files that are replaced in one step.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file durably, so that whoever reads it meanwhile, and whoever starts after a sudden end, finds the old one or the new one.
///
/// # Errors
/// It cannot be written; the old one is there then.
pub fn replace(path: &Path, mode: u32, octets: &[u8]) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    // What is left of an earlier try may be open to others.
    drop(std::fs::remove_file(&new));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
