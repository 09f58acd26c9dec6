//! The page that says which test proves what names no test that is not there.

use std::path::Path;

/// Where a name in the page leads.
fn file(short: &str) -> String {
    let (room, rest) = short.split_once('/').unwrap();
    let folder = match room {
        "S" => "crates/stun",
        "M" => "crates/turn",
        "B" => "crates/parlour/tests/turn",
        other => panic!("{other} stands for nothing"),
    };
    format!("{folder}/{rest}")
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/turn-conformance.md")).unwrap();
    let names: Vec<_> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(names.len() > 80, "only {}", names.len());
    for (short, test) in names {
        let source =
            std::fs::read_to_string(root.join(file(short))).unwrap_or_else(|e| panic!("{short}: {e}"));
        assert!(source.contains(&format!("fn {test}(")), "{short} has no test {test}");
    }
}
