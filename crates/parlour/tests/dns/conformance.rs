//! The page that says which test proves what names no test that is not there.

#[test]
fn every_test_that_is_named_exists() {
    let rooms = [
        ("Z", "crates/domains"),
        ("N", "crates/net"),
        ("P", "crates/parlour/src"),
        ("B", "crates/parlour/tests"),
        ("crates", "crates"),
    ];
    testkit::conformance::check("domains-conformance.md", 80, &rooms);
}
