//! Pages that say which test proves what: each name in them leads to a test that is there.

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Checks a page of `docs`. A name is written `R/file.rs::test`, where `R` is one of the `rooms` with its folder, or
/// `R/file.scene::title`, which may leave off the title's end.
///
/// # Panics
/// Where a name leads nowhere, or there are fewer than `least`.
pub fn check(page: &str, least: usize, rooms: &[(&str, &str)]) {
    let page = std::fs::read_to_string(root().join("docs").join(page)).expect("the page is there");
    let names: Vec<_> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(names.len() >= least, "only {}", names.len());
    let missing: Vec<String> = names
        .into_iter()
        .filter(|(short, name)| !has(&read(short, rooms), short, name))
        .map(|(short, name)| format!("{short} has no {name}"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The file that a name leads to.
fn read(short: &str, rooms: &[(&str, &str)]) -> String {
    let (room, rest) = short.split_once('/').expect("a room and a file");
    let folder = rooms.iter().find(|(name, _)| *name == room);
    let (_, folder) = folder.unwrap_or_else(|| panic!("{room} of {short} stands for nothing"));
    let file = root().join(folder).join(rest);
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{short}: {error}"))
}

/// Whether a source has a test of this name, or a scene whose title begins so.
fn has(source: &str, short: &str, name: &str) -> bool {
    if short.ends_with(".scene") {
        let titles = source.lines().filter_map(|line| line.strip_prefix("== "));
        return titles.into_iter().any(|title| title.starts_with(name));
    }
    source.contains(&format!("fn {name}("))
}
