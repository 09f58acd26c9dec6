//! Plays: what somebody sends and what somebody else receives, told in plain text (`*.scene`), with routers as
//! workers, a store that can stop, fail and crash, and no socket. Each play is given with one, two and three
//! workers: where an account lives must make no difference.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod hall;
mod script;
mod store;
mod storm;
mod world;

use std::path::Path;

/// Plays every scene of a file.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes").join(name).with_extension("scene");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for scene in script::scenes(&text) {
        for workers in 1..=3 {
            script::play(name, &scene, workers);
        }
    }
}

macro_rules! plays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        /// A file that nobody plays proves nothing.
        #[test]
        fn every_file_is_played() {
            let played = [$(stringify!($name)),*];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenes");
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "scene") {
                    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                    assert!(played.contains(&name.as_str()), "nobody plays {name}.scene");
                }
            }
        }
    };
}

plays! {
    accounts
    archive
    avatar
    blocked_presence
    blocking
    bookmarks
    caps
    carbons
    delivery
    directed
    documents
    durable
    iq
    last
    limits
    offline
    password
    pre_approval
    presence
    pubsub
    pubsub_access
    pubsub_contacts
    pubsub_nodes
    room_admin
    room_entry
    room_guard
    room_owner
    room_people
    room_talk
    roster
    roster_versions
    sessions
    subscriptions
}

/// RFC 6121 §8.5, table 1, from end to end: for each row, what happens to a message of each type.
#[test]
fn every_row_of_the_delivery_table() {
    // Who is there, to whom it is addressed, then for normal, chat, groupchat, headline and error: delivered
    // to (a)ll, (b)est or (n)obody; (e)rror, (k)ept, (d)ropped.
    let table = "
        nobody    nurse                 e e e e d
        nobody    nurse/garden          e e e e d
        away      juliet                k k e d d
        away      juliet/balcony        e k e d d
        negative  juliet                k k e d d
        negative  juliet/balcony        r r r r r
        negative  juliet/gone           e k e d d
        one       juliet                b b e a d
        one       juliet/balcony        r r r r r
        one       juliet/gone           e b e d d
        several   juliet                b b e a d
        several   juliet/balcony        r r r r r
        several   juliet/gone           e b e d d";
    for row in table.trim().lines() {
        let cells: Vec<&str> = row.split_whitespace().collect();
        for (kind, outcome) in ["normal", "chat", "groupchat", "headline", "error"].iter().zip(&cells[2..]) {
            let text = script::table_scene(cells[0], cells[1], kind, outcome);
            for workers in 1..=3 {
                script::play(row, &script::scenes(&text)[0], workers);
            }
        }
    }
}
