//! The page that says which test proves what names no test that is not there.

#[test]
fn every_test_that_is_named_exists() {
    let rooms = [("S", "crates/stun"), ("M", "crates/turn"), ("B", "crates/parlour/tests/turn")];
    testkit::conformance::check("turn-conformance.md", 80, &rooms);
}
