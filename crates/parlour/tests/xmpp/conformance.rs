//! The page that says which test proves what names no test that is not there.

use testkit::conformance::{check, root};

#[test]
fn every_test_that_is_named_exists() {
    let rooms = [
        ("P", "tests/scenarios"),
        ("S", "crates/xmpp/tests/scenes"),
        ("U", "crates/xmpp/src"),
        ("B", "crates/parlour/tests"),
        ("W", "crates/parlour/src"),
        ("D", "crates/store/tests"),
    ];
    check("xmpp-conformance.md", 200, &rooms);
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
