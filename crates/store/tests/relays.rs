//! Calls that are relayed come back as they were written last, and those that are over do not.

use store::{Answer, Fault, Query, RelayRow, Settings, Store};

fn row(number: i64, text: &str) -> RelayRow {
    RelayRow { number, written: 1_000 + number, payload: text.as_bytes().to_vec() }
}

fn keep(put: Vec<RelayRow>, gone: &[i64]) -> Query {
    Query::KeepRelays { put, gone: gone.to_vec() }
}

fn load(store: &Store) -> Result<Vec<RelayRow>, Fault> {
    store.handle().ask_wait(Query::LoadRelays).map(|answer| match answer {
        Answer::Relays(rows) => rows,
        other => panic!("rows were asked for, not {other:?}"),
    })
}

#[test]
fn what_is_relayed_comes_back_as_it_was_written_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create("sqlite:house.db", folder.path(), Settings::default()).expect("a new database");
    let handle = store.handle();
    assert_eq!(load(&store), Ok(vec![]));
    handle.ask_wait(keep(vec![row(3, "c"), row(1, "a"), row(0, "")], &[])).expect("stored");
    handle.ask_wait(keep(vec![row(1, "b"), row(2, "d")], &[3, 9])).expect("stored");
    store.close();
    let store = Store::open("sqlite:house.db", folder.path(), Settings::default()).expect("it is there");
    assert_eq!(load(&store), Ok(vec![row(0, ""), row(1, "b"), row(2, "d")]));
}

/// More than a page of them, and than one statement writes.
#[test]
fn very_many_come_back_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create("sqlite:house.db", folder.path(), Settings::default()).expect("a new database");
    let all: Vec<RelayRow> = (1..=9_000).map(|number| row(number, "call")).collect();
    store.handle().ask_wait(keep(all.clone(), &[])).expect("stored");
    assert_eq!(load(&store), Ok(all));
    let gone: Vec<i64> = (1..9_000).collect();
    store.handle().ask_wait(keep(vec![], &gone)).expect("stored");
    assert_eq!(load(&store), Ok(vec![row(9_000, "call")]));
}

/// Within one commit the later word holds, whichever it is.
#[test]
fn the_last_of_many_changes_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { window: std::time::Duration::from_millis(200), ..Settings::default() };
    let store = Store::create("sqlite:house.db", folder.path(), settings).expect("a new database");
    let handle = store.handle();
    for query in [
        keep(vec![row(1, "a"), row(2, "a")], &[]),
        keep(vec![row(1, "b")], &[2]),
        keep(vec![row(3, "c")], &[]),
    ] {
        handle.ask(query, |outcome| drop(outcome.expect("stored"))).expect("there is room");
    }
    assert_eq!(load(&store), Ok(vec![row(1, "b"), row(3, "c")]));
    let long = RelayRow { payload: vec![0; (1 << 20) + 1], ..row(4, "") };
    assert!(matches!(handle.ask_wait(keep(vec![long], &[])), Err(Fault::Invalid(_))));
}
