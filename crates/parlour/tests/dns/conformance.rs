//! The page that says which test proves what names no test that is not there.

use std::path::Path;

/// Where a name in the page leads.
fn file(short: &str) -> String {
    let (room, rest) = short.split_once('/').expect("a folder and a file");
    let folder = match room {
        "Z" => "crates/domains",
        "N" => "crates/net",
        "P" => "crates/parlour/src",
        "B" => "crates/parlour/tests",
        "crates" => "crates",
        other => panic!("{other} stands for nothing"),
    };
    format!("{folder}/{rest}")
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/domains-conformance.md")).expect("it is there");
    let names: Vec<_> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(names.len() > 80, "only {}", names.len());
    for (short, test) in names {
        let source =
            std::fs::read_to_string(root.join(file(short))).unwrap_or_else(|e| panic!("{short}: {e}"));
        assert!(source.contains(&format!("fn {test}(")), "{short} has no test {test}");
    }
}
