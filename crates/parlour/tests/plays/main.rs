//! Plays: text files in `tests/scenarios/` whose sentences are acted out against the real binary over TLS.
//!
//! The language is told in `tests/scenarios/README.md`. A play that is not named here fails a test.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]

mod actor;
mod pattern;
mod play;
mod scram;
mod script;

use std::path::PathBuf;

/// Where the plays lie.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

macro_rules! plays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { play::give(&folder().join(concat!(stringify!($name), ".scene"))); })*

        #[test]
        fn every_play_is_given() {
            let mut there: Vec<String> = std::fs::read_dir(folder())
                .unwrap()
                .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(".scene")?.to_owned()))
                .collect();
            there.sort();
            assert_eq!(there, [$(stringify!($name)),*], "name each play in this file, in order");
        }
    };
}

plays! {
    account
    archive
    certificates
    client_state
    components
    conversation
    external_services
    fast
    last
    messages
    one_go
    pep
    pre_approval
    presence
    rooms
    roster
    roster_versions
    scram_and_bindings
    sessions
    sign_in
    stream_management
    suspended
}
