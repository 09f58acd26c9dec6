//! The page that says which test proves what names no test that is not there.

use std::path::Path;

/// Where a name in the page leads.
fn file(short: &str) -> String {
    let (room, rest) = short.split_once('/').unwrap();
    let folder = match room {
        "S" => "crates/sip/tests/stack",
        "T" => "crates/sip/tests",
        "U" => "crates/sip/src",
        "B" => "crates/parlour/tests/sip",
        other => panic!("{other} stands for nothing"),
    };
    format!("{folder}/{rest}")
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/sip-conformance.md")).unwrap();
    let names: Vec<_> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(names.len() > 150, "only {}", names.len());
    let mut missing = Vec::new();
    for (short, test) in names {
        let source =
            std::fs::read_to_string(root.join(file(short))).unwrap_or_else(|e| panic!("{short}: {e}"));
        if !source.contains(&format!("fn {test}(")) {
            missing.push(format!("{short} has no test {test}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
