//! How much room a file system has, and what somebody may do with a file.

use nix::sys::statvfs::statvfs;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What is left of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Octets for us.
    pub(super) free: u64,
    /// Octets altogether.
    pub(super) size: u64,
    /// Files that can still be made; `None` where the file system does not count them.
    pub(super) files: Option<u64>,
}

/// How bad the want of room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    None,
    Soon,
    Now,
}

const MIB: u64 = 1 << 20;

impl Room {
    /// That of the file system where a path lies.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let facts = statvfs(path).ok()?;
        // Their types differ from system to system.
        let number = |n: u64| n;
        let block = number(facts.fragment_size());
        let files = number(facts.files());
        Some(Self {
            free: number(facts.blocks_available()).saturating_mul(block),
            size: number(facts.blocks()).saturating_mul(block),
            files: (files > 0).then(|| number(facts.files_available())),
        })
    }

    /// Whether the database still has what it needs: it writes its log beside itself before it can shrink it.
    pub(super) fn want(self) -> Want {
        match self {
            Self { free, .. } if free < 100 * MIB => Want::Now,
            Self { files: Some(left), .. } if left < 100 => Want::Now,
            Self { free, size, .. } if free < 1024 * MIB && free < size / 10 => Want::Soon,
            Self { files: Some(left), .. } if left < 1000 => Want::Soon,
            _ => Want::None,
        }
    }
}

/// The user and the mode of a file, as `ls` has them.
pub(super) fn owner_and_mode(facts: &Metadata) -> String {
    format!("{}, mode {:03o}", user(facts.uid()), facts.permissions().mode() & 0o777)
}

/// A user's name, or the number of one who has none here.
pub(super) fn user(id: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut words = line.split(':');
        let name = words.next()?;
        (words.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room() {
        let check = |free, size, files, expected| assert_eq!(Room { free, size, files }.want(), expected);
        check(50 * MIB, 100 * MIB, Some(1000), Want::Now);
        check(500 * MIB, 10_000 * MIB, Some(10_000), Want::Soon);
        check(500 * MIB, 600 * MIB, Some(10_000), Want::None);
        check(9000 * MIB, 10_000 * MIB, Some(50), Want::Now);
        check(9000 * MIB, 10_000 * MIB, Some(500), Want::Soon);
        check(9000 * MIB, 10_000 * MIB, None, Want::None);
        assert!(Room::at(Path::new("/")).is_some_and(|room| room.size > 0));
        assert!(Room::at(Path::new("/no/such/folder")).is_none());
        assert_eq!(user(0), "root");
        assert_eq!(user(987_654), "987654");
    }
}
