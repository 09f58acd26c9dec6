//! The page that says which test proves what names no test that is not there.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where a name in the page leads.
fn file(short: &str) -> PathBuf {
    let (room, rest) = short.split_once('/').expect("a room and a file");
    let folder = match room {
        "P" => "tests/scenarios",
        "S" => "crates/xmpp/tests/scenes",
        "U" => "crates/xmpp/src",
        "B" => "crates/parlour/tests",
        "W" => "crates/parlour/src",
        "D" => "crates/store/tests",
        other => panic!("{other} stands for nothing"),
    };
    root().join(folder).join(rest)
}

/// Whether a source has a test of this name, or a scene whose title begins so.
fn has(source: &str, short: &str, name: &str) -> bool {
    if short.ends_with(".scene") {
        return source
            .lines()
            .filter_map(|line| line.strip_prefix("== "))
            .any(|title| title.starts_with(name));
    }
    source.contains(&format!("fn {name}("))
}

#[test]
fn every_test_that_is_named_exists() {
    let page = std::fs::read_to_string(root().join("docs/xmpp-conformance.md")).unwrap();
    let names: Vec<_> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(names.len() > 200, "only {}", names.len());
    let mut missing = Vec::new();
    for (short, name) in names {
        let source = std::fs::read_to_string(file(short)).unwrap_or_else(|e| panic!("{short}: {e}"));
        if !has(&source, short, name) {
            missing.push(format!("{short} has no {name}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What nobody says what it proves is either missing in the page or proves nothing.
#[test]
fn every_play_is_named() {
    let page = std::fs::read_to_string(root().join("docs/xmpp-conformance.md")).unwrap();
    for (room, folder) in [("P", "tests/scenarios"), ("S", "crates/xmpp/tests/scenes")] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".scene") {
                assert!(page.contains(&format!("`{room}/{name}::")), "{name} of {folder} proves nothing");
            }
        }
    }
}
