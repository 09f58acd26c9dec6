//! The store from outside: what goes in comes out, also after it was closed and opened again.

use std::path::Path;
use std::time::Duration;
use store::{
    Answer, ArchivedMessage, BindingRow, Changes, Document, Fault, OfflineMessage, Query, RosterItem,
    Settings, Span, Store, Subscription,
};
use wire::{Account, Address, Keys, Scram};

const URL: &str = "sqlite:house.db";

fn address(text: &str) -> Address {
    text.parse().expect("valid")
}

/// An account with every key.
fn account(name: &str, octet: u8) -> Account {
    let keys = Keys {
        md5: Some([octet; 16]),
        sha256: Some([octet; 32]),
        md5_whole: Some([octet; 16]),
        sha256_whole: Some([octet; 32]),
        scram_sha1: Some(Scram {
            iterations: 10_000,
            salt: [octet; 16].into(),
            stored_key: [octet; 20],
            server_key: [2; 20],
        }),
        scram_sha256: Some(Scram {
            iterations: 4096,
            salt: [octet; 8].into(),
            stored_key: [octet; 32],
            server_key: [3; 32],
        }),
        sha512_256: Some([octet; 32]),
        sha512_256_whole: Some([octet; 32]),
        scram_sha512: Some(Scram {
            iterations: 4096,
            salt: [octet; 8].into(),
            stored_key: [octet; 64],
            server_key: [3; 64],
        }),
    };
    Account { address: address(name), keys }
}

fn house(folder: &Path) -> Store {
    let store = Store::create(URL, folder, Settings::default()).expect("a new database");
    store.put_many(vec![account("roland@falcot.com", 1), account("joe@falcot.com", 2)]).expect("put");
    store
}

fn again(store: Store, folder: &Path) -> Store {
    store.close();
    Store::open(URL, folder, Settings::default()).expect("opens again")
}

fn ask(store: &Store, query: Query) -> Result<Answer, Fault> {
    store.handle().ask_wait(query)
}

fn row(place: i64) -> BindingRow {
    BindingRow { place, expires: 5000 + place, payload: vec![0, 255, 7] }
}

fn replace(aor: &str, rows: Vec<BindingRow>) -> Query {
    Query::ReplaceBindings { aor: address(aor), rows, fewer: true }
}

fn message(account: &str, text: &str, limit: u32) -> Query {
    Query::AddOffline { account: address(account), stored: 77, payload: text.into(), limit }
}

fn list(store: &Store, account: &str) -> Vec<OfflineMessage> {
    match ask(
        store,
        Query::ListOffline { account: address(account), limit: 1000, octets: u64::MAX, after: 0 },
    ) {
        Ok(Answer::Offline(messages)) => messages,
        other => panic!("{other:?}"),
    }
}

fn texts(messages: &[OfflineMessage]) -> Vec<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.payload).expect("text")).collect()
}

fn item(contact: &str) -> RosterItem {
    RosterItem {
        contact: contact.into(),
        name: Some("Joe ✆".into()),
        subscription: Subscription::Both,
        ask: true,
        approved: true,
        pending: Some(vec![1, 0, 2]),
        listed: true,
        groups: vec!["Friends".into(), "Work, \n\"home\"".into()],
    }
}

#[test]
fn accounts_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let poor =
        Account { address: address("poor@falcot.com"), keys: Keys { md5: Some([9; 16]), ..Keys::default() } };
    ask(&store, Query::PutAccounts(vec![poor.clone()])).unwrap();
    let store = again(store, folder.path());
    let mut accounts = store.load_accounts().unwrap();
    accounts.sort_by(|a, b| a.address.cmp(&b.address));
    assert_eq!(accounts, [account("joe@falcot.com", 2), poor, account("roland@falcot.com", 1)]);
}

#[test]
fn new_keys_replace_all_the_old_ones_but_not_the_date() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let record = |store: &Store| match ask(store, Query::LoadAccount(address("joe@falcot.com"))).unwrap() {
        Answer::Account(Some(record)) => record,
        other => panic!("{other:?}"),
    };
    let before = record(&store);
    let fewer =
        Account { address: address("joe@falcot.com"), keys: Keys { md5: Some([9; 16]), ..Keys::default() } };
    ask(&store, Query::PutAccounts(vec![account("joe@falcot.com", 4), fewer.clone()])).unwrap();
    let after = record(&store);
    assert_eq!((after.account, after.created), (fewer, before.created));
    assert!(after.changed >= before.changed && before.created > 1_700_000_000);
    assert_eq!(ask(&store, Query::LoadAccount(address("nobody@falcot.com"))), Ok(Answer::Account(None)));
}

#[test]
fn removing_an_account_takes_all_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let joe = address("joe@falcot.com");
    ask(&store, replace("joe@falcot.com", vec![row(1)])).unwrap();
    ask(&store, message("joe@falcot.com", "x", 10)).unwrap();
    ask(&store, Query::PutRosterItem { account: joe.clone(), item: item("roland@falcot.com") }).unwrap();
    assert_eq!(ask(&store, Query::RemoveAccount(joe.clone())), Ok(Answer::Done));
    assert_eq!(ask(&store, Query::RemoveAccount(joe.clone())), Err(Fault::NoAccount));
    ask(&store, Query::PutAccounts(vec![account("joe@falcot.com", 3)])).unwrap();
    assert_eq!(store.load_bindings(), Ok(vec![]));
    assert_eq!(
        ask(&store, Query::LoadRoster(joe.clone())),
        Ok(Answer::Roster { items: vec![], settings: None, nodes: vec![] })
    );
    assert_eq!(ask(&store, Query::CountOffline(joe)), Ok(Answer::Count(0)));
}

#[test]
fn another_process_sees_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let server = house(folder.path());
    let other = Store::open(URL, folder.path(), Settings::default()).unwrap();
    let known = server.accounts_version().unwrap();
    let changes = |since| match ask(&server, Query::AccountChanges { since }).unwrap() {
        Answer::Changes(changes) => changes,
        other => panic!("{other:?}"),
    };
    assert_eq!(changes(known), Changes { version: known, ..Changes::default() });
    ask(&other, Query::PutAccounts(vec![account("new@falcot.com", 5)])).unwrap();
    ask(&other, Query::RemoveAccount(address("joe@falcot.com"))).unwrap();
    assert_eq!(server.accounts_version(), Ok(known + 2));
    let seen = changes(known);
    assert_eq!(seen.version, known + 2);
    assert_eq!(seen.put, [account("new@falcot.com", 5)]);
    assert_eq!(seen.removed, [address("joe@falcot.com")]);
    ask(&other, Query::PutAccounts(vec![account("joe@falcot.com", 6)])).unwrap();
    let seen = changes(seen.version);
    assert_eq!((seen.put, seen.removed), (vec![account("joe@falcot.com", 6)], vec![]));
    assert_eq!(changes(0).put.len(), 3);
}

#[test]
fn bindings_are_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    ask(&store, replace("joe@falcot.com", vec![row(3), row(1), row(2)])).unwrap();
    ask(&store, replace("roland@falcot.com", vec![row(-4)])).unwrap();
    ask(&store, replace("joe@falcot.com", vec![row(5), row(1)])).unwrap();
    let store = again(store, folder.path());
    let joe = (address("joe@falcot.com"), vec![row(1), row(5)]);
    let roland = (address("roland@falcot.com"), vec![row(-4)]);
    assert_eq!(store.load_bindings().unwrap(), [joe.clone(), roland.clone()]);
    ask(&store, Query::PurgeBindings { before: 5001 }).unwrap();
    assert_eq!(store.load_bindings().unwrap(), [joe]);
    ask(&store, replace("joe@falcot.com", vec![])).unwrap();
    assert_eq!(store.load_bindings().unwrap(), []);
    assert!(matches!(ask(&store, replace("joe@falcot.com", vec![row(1), row(1)])), Err(Fault::Invalid(_))));
}

#[test]
fn bindings_in_other_places_stay_whether_changes_come_one_by_one_or_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let row = |place, expires| BindingRow { expires, ..row(place) };
    let put = |rows: &[BindingRow], fewer| Query::ReplaceBindings {
        aor: address("joe@falcot.com"),
        rows: rows.to_vec(),
        fewer,
    };
    let first = [row(0, 1), row(1, 1), row(2, 1), row(3, 1)];
    for (changes, expected) in [
        (vec![put(&[row(1, 2)], false)], vec![row(0, 1), row(1, 2), row(2, 1), row(3, 1)]),
        (
            vec![put(&[row(1, 2)], false), put(&[row(4, 3)], false), put(&[row(1, 4)], false)],
            vec![row(0, 1), row(1, 4), row(2, 1), row(3, 1), row(4, 3)],
        ),
        (
            vec![put(&[row(3, 2)], false), put(&[row(0, 3), row(1, 3)], true), put(&[row(1, 4)], false)],
            vec![row(0, 3), row(1, 4)],
        ),
        (
            vec![put(&[row(0, 3), row(1, 3)], true), put(&[], false), put(&[row(2, 5)], false)],
            vec![row(0, 3), row(1, 3), row(2, 5)],
        ),
        (vec![put(&[], false)], first.to_vec()),
        (vec![put(&[row(2, 9)], false), put(&[], true)], vec![]),
    ] {
        for together in [false, true] {
            ask(&store, put(&first, true)).unwrap();
            for change in changes.clone() {
                match together {
                    true => store.handle().ask(change, |_| {}).unwrap(),
                    false => drop(ask(&store, change).unwrap()),
                }
            }
            // Behind all of them.
            ask(&store, replace("roland@falcot.com", vec![])).unwrap();
            let all = store.load_bindings().unwrap();
            let rows = all.into_iter().next().map(|(_, rows)| rows).unwrap_or_default();
            assert_eq!(rows, expected, "{changes:?}, together: {together}");
        }
    }
}

#[test]
fn rosters() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let joe = address("joe@falcot.com");
    let put = |item| Query::PutRosterItem { account: joe.clone(), item };
    let plain = RosterItem {
        contact: "example.net".into(),
        subscription: Subscription::From,
        ..RosterItem::default()
    };
    ask(&store, put(RosterItem { contact: "roland@falcot.com".into(), ..RosterItem::default() })).unwrap();
    ask(&store, put(item("roland@falcot.com"))).unwrap();
    ask(&store, put(plain.clone())).unwrap();
    ask(&store, put(item("gone@falcot.com"))).unwrap();
    ask(&store, Query::RemoveRosterItem { account: joe.clone(), contact: "gone@falcot.com".into() }).unwrap();
    let store = again(store, folder.path());
    let roster = ask(&store, Query::LoadRoster(joe.clone())).unwrap();
    assert_eq!(
        roster,
        Answer::Roster { items: vec![plain, item("roland@falcot.com")], settings: None, nodes: vec![] }
    );
    let other = ask(&store, Query::LoadRoster(address("roland@falcot.com"))).unwrap();
    assert_eq!(other, Answer::Roster { items: vec![], settings: None, nodes: vec![] });
}

#[test]
fn values_that_some_database_cannot_keep_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let refused = |item| {
        let query = Query::PutRosterItem { account: address("joe@falcot.com"), item };
        assert!(matches!(ask(&store, query), Err(Fault::Invalid(_))));
    };
    refused(item(""));
    refused(item(&"x".repeat(1281)));
    refused(item("a\0b@falcot.com"));
    refused(RosterItem { name: Some("\u{1f}".into()), ..item("a@falcot.com") });
    refused(RosterItem { name: Some("x".repeat(8193)), ..item("a@falcot.com") });
    refused(RosterItem { groups: vec![String::new()], ..item("a@falcot.com") });
    refused(RosterItem { pending: Some(vec![0; (1 << 20) + 1]), ..item("a@falcot.com") });
    let long = Query::AddOffline {
        account: address("joe@falcot.com"),
        stored: 0,
        payload: vec![0; (1 << 20) + 1],
        limit: 1,
    };
    assert!(matches!(ask(&store, long), Err(Fault::Invalid(_))));
}

#[test]
fn messages_are_kept_in_order_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let joe = address("joe@falcot.com");
    for (i, expected) in
        [Ok(Answer::Done), Ok(Answer::Done), Ok(Answer::Done), Err(Fault::Full)].into_iter().enumerate()
    {
        assert_eq!(ask(&store, message("joe@falcot.com", &i.to_string(), 3)), expected);
    }
    assert_eq!(ask(&store, message("roland@falcot.com", "other", 3)), Ok(Answer::Done));
    let store = again(store, folder.path());
    let messages = list(&store, "joe@falcot.com");
    assert_eq!(texts(&messages), ["0", "1", "2"]);
    assert!(messages.iter().all(|message| message.stored == 77));
    let after =
        Query::ListOffline { account: joe.clone(), limit: 1, octets: u64::MAX, after: messages[0].id };
    assert_eq!(ask(&store, after), Ok(Answer::Offline(vec![messages[1].clone()])));
    ask(&store, Query::RemoveOffline { account: joe.clone(), up_to: messages[1].id }).unwrap();
    assert_eq!(texts(&list(&store, "joe@falcot.com")), ["2"]);
    ask(&store, Query::RemoveOffline { account: joe, up_to: messages[2].id }).unwrap();
    ask(&store, message("joe@falcot.com", "3", 3)).unwrap();
    assert!(list(&store, "joe@falcot.com")[0].id > messages[2].id, "an id is never used again");
    assert_eq!(texts(&list(&store, "roland@falcot.com")), ["other"]);
}

#[test]
fn the_limit_holds_within_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let (sender, receiver) = std::sync::mpsc::channel();
    for i in 0..10 {
        let sender = sender.clone();
        let text = i.to_string();
        store
            .handle()
            .ask(message("joe@falcot.com", &text, 4), move |outcome| sender.send((i, outcome)).unwrap())
            .unwrap();
    }
    for i in 0..10 {
        let expected = if i < 4 { Ok(Answer::Done) } else { Err(Fault::Full) };
        assert_eq!(receiver.recv().unwrap(), (i, expected));
    }
    assert_eq!(texts(&list(&store, "joe@falcot.com")), ["0", "1", "2", "3"]);
}

#[test]
fn a_row_at_fault_does_not_spoil_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let (sender, receiver) = std::sync::mpsc::channel();
    let queries = [
        message("joe@falcot.com", "a", 9),
        message("nobody@falcot.com", "b", 9),
        replace("roland@falcot.com", vec![row(1)]),
        replace("nobody@falcot.com", vec![row(1)]),
        Query::PutRosterItem { account: address("joe@falcot.com"), item: item("") },
        Query::PutRosterItem { account: address("joe@falcot.com"), item: item("a@falcot.com") },
        message("joe@falcot.com", "c", 9),
    ];
    for (i, query) in queries.into_iter().enumerate() {
        let sender = sender.clone();
        store.handle().ask(query, move |outcome| sender.send((i, outcome.is_ok())).unwrap()).unwrap();
    }
    let mut outcomes: Vec<(usize, bool)> = receiver.iter().take(7).collect();
    outcomes.sort_unstable();
    let good: Vec<usize> = outcomes.iter().filter(|(_, good)| *good).map(|(i, _)| *i).collect();
    assert_eq!(good, [0, 2, 5, 6]);
    assert_eq!(texts(&list(&store, "joe@falcot.com")), ["a", "c"]);
    assert_eq!(store.load_bindings().unwrap(), [(address("roland@falcot.com"), vec![row(1)])]);
    assert!(!store.handle().health().failing);
}

#[test]
fn the_last_of_many_changes_wins_and_a_look_up_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let handle = store.handle();
    let joe = address("joe@falcot.com");
    for place in 0..50 {
        handle.ask(replace("joe@falcot.com", vec![row(place)]), |_| {}).unwrap();
        let item = RosterItem { name: Some(place.to_string()), ..item("a@falcot.com") };
        handle.ask(Query::PutRosterItem { account: joe.clone(), item }, |_| {}).unwrap();
    }
    handle.ask(Query::RemoveAccount(address("roland@falcot.com")), |_| {}).unwrap();
    let Answer::Roster { items: roster, .. } = ask(&store, Query::LoadRoster(joe.clone())).unwrap() else {
        panic!("a roster")
    };
    assert_eq!(roster, [RosterItem { name: Some("49".into()), ..item("a@falcot.com") }]);
    assert_eq!(store.load_bindings().unwrap(), [(joe, vec![row(49)])]);
    assert_eq!(store.load_accounts().unwrap().len(), 1);
}

#[test]
fn an_account_and_its_rows_in_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let handle = store.handle();
    let (sender, receiver) = std::sync::mpsc::channel();
    for query in [
        Query::PutAccounts(vec![account("new@falcot.com", 1)]),
        message("new@falcot.com", "1", 9),
        Query::RemoveAccount(address("new@falcot.com")),
        Query::PutAccounts(vec![account("new@falcot.com", 2)]),
        message("new@falcot.com", "2", 9),
    ] {
        let sender = sender.clone();
        handle.ask(query, move |outcome| sender.send(outcome).unwrap()).unwrap();
    }
    assert!(receiver.iter().take(5).all(|outcome| outcome == Ok(Answer::Done)));
    assert_eq!(texts(&list(&store, "new@falcot.com")), ["2"]);
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(house(folder.path()));
    let settings = Settings { queue: 8, ..Settings::default() };
    let store = Store::open(URL, folder.path(), settings).unwrap();
    let handle = store.handle();
    let (sender, receiver) = std::sync::mpsc::channel();
    let taken = (0..100)
        .filter(|i| {
            let sender = sender.clone();
            handle
                .ask(message("joe@falcot.com", &i.to_string(), 1000), move |o| sender.send(o).unwrap())
                .is_ok()
        })
        .count();
    assert!((8..100).contains(&taken), "{taken}");
    store.close();
    assert!(receiver.iter().take(taken).all(|outcome| outcome == Ok(Answer::Done)));
    assert_eq!(handle.ask(message("joe@falcot.com", "late", 9), |_| {}), Err(store::Busy));
    assert_eq!(handle.ask_wait(message("joe@falcot.com", "late", 9)), Err(Fault::Closed));
}

#[test]
fn it_answers_inside_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime
        .block_on(async { store.handle().query(Query::CountOffline(address("joe@falcot.com"))).await });
    assert_eq!(outcome, Ok(Answer::Count(0)));
}

fn document(title: &str, payload: Option<&str>) -> Document {
    let payload = payload.map(|payload| payload.as_bytes().to_vec());
    Document { kind: 2, title: title.into(), payload }
}

fn put_document(account: &str, title: &str, payload: Option<&str>) -> Query {
    Query::PutDocument { account: address(account), document: document(title, payload), limit: 16 }
}

fn load_document(store: &Store, account: &str, title: &str) -> Option<String> {
    let query = Query::LoadDocument { account: address(account), kind: 2, title: title.into() };
    match ask(store, query) {
        Ok(Answer::Document(payload)) => payload.map(|payload| String::from_utf8(payload).expect("text")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn documents_are_kept_by_title_up_to_a_limit_of_octets() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    ask(&store, put_document("roland@falcot.com", "a", Some("12345678"))).expect("stored");
    ask(&store, put_document("roland@falcot.com", "b", Some("123456"))).expect("stored");
    assert_eq!(ask(&store, put_document("roland@falcot.com", "c", Some(""))), Err(Fault::Full));
    // What replaces is not counted twice.
    ask(&store, put_document("roland@falcot.com", "a", Some("87654321"))).expect("stored");
    assert_eq!(ask(&store, put_document("roland@falcot.com", "a", Some("123456789"))), Err(Fault::Full));
    let store = again(store, folder.path());
    assert_eq!(load_document(&store, "roland@falcot.com", "a").as_deref(), Some("87654321"));
    assert_eq!(load_document(&store, "joe@falcot.com", "a"), None);
    ask(&store, put_document("roland@falcot.com", "a", None)).expect("stored");
    assert_eq!(load_document(&store, "roland@falcot.com", "a"), None);
    ask(&store, put_document("roland@falcot.com", "c", Some("x"))).expect("stored");
    ask(&store, put_document("joe@falcot.com", "c", Some("y"))).expect("stored");
    let list = |account: Option<&str>| match ask(
        &store,
        Query::ListDocuments { account: account.map(address), kind: 2 },
    ) {
        Ok(Answer::Documents(all)) => {
            all.into_iter().map(|(a, d)| format!("{a} {}", d.title)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(list(None), ["joe@falcot.com c", "roland@falcot.com b", "roland@falcot.com c"]);
    assert_eq!(list(Some("joe@falcot.com")), ["joe@falcot.com c"]);
    let nobody = put_document("nobody@falcot.com", "a", Some("x"));
    assert_eq!(ask(&store, nobody), Err(Fault::NoAccount));
}

fn archived(id: i64, peer: &str) -> ArchivedMessage {
    ArchivedMessage { id, peer: peer.into(), resource: "r".into(), payload: format!("m{id}").into_bytes() }
}

fn list_archived(store: &Store, peer: Option<&str>, after: i64, before: i64, last: bool) -> Vec<i64> {
    let span = Span { peer: peer.map(str::to_owned), resource: None, after, before, only: None };
    let query =
        Query::ListArchived { account: address("roland@falcot.com"), span, last, limit: 3, octets: u64::MAX };
    match ask(store, query) {
        Ok(Answer::Archived(messages)) => messages.iter().map(|message| message.id).collect(),
        other => panic!("{other:?}"),
    }
}

/// What one statement writes: as many rows as there are, and a fault of one is not that of the others.
#[test]
fn commits_of_any_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    let (roland, nobody) = (address("roland@falcot.com"), address("nobody@falcot.com"));
    let add = |account: &Address, id| Query::AddArchived {
        account: account.clone(),
        message: archived(id, "joe@falcot.com"),
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut next = 0;
    for size in [1, 2, 3, 64, 65, 256, 600, 1025] {
        let ids = next + 1..=next + size;
        next += size;
        // One of another account that is not there, in every second.
        let fault = (size % 2 == 0).then(|| add(&nobody, 1));
        for query in ids.map(|id| add(&roland, id)).chain(fault) {
            let sender = sender.clone();
            store.handle().ask(query, move |outcome| sender.send(outcome).expect("heard")).expect("room");
        }
        let outcomes: Vec<_> = (0..size + i64::from(size % 2 == 0))
            .map(|_| receiver.recv_timeout(Duration::from_secs(60)).expect("answered"))
            .collect();
        let good = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(i64::try_from(good), Ok(size));
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Fault::NoAccount))));
    }
    let span = Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None };
    let all = Query::ListArchived { account: roland, span, last: false, limit: 5000, octets: u64::MAX };
    let Ok(Answer::Archived(messages)) = ask(&store, all) else { panic!("the archive") };
    let expected: Vec<_> = (1..=next).map(|id| archived(id, "joe@falcot.com")).collect();
    assert_eq!(messages, expected);
}

#[test]
fn an_archive_is_read_by_span_peer_and_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    let add = |account: &str, id, peer| {
        let query = Query::AddArchived { account: address(account), message: archived(id, peer) };
        ask(&store, query)
    };
    for id in [5, 1, 4, 2, 3] {
        add("roland@falcot.com", id, if id % 2 == 0 { "even@x" } else { "odd@x" }).expect("stored");
    }
    add("joe@falcot.com", 3, "odd@x").expect("stored");
    assert!(matches!(add("roland@falcot.com", 3, "odd@x"), Err(Fault::Invalid(_))));
    assert_eq!(list_archived(&store, None, 0, i64::MAX, false), [1, 2, 3]);
    assert_eq!(list_archived(&store, None, 0, i64::MAX, true), [3, 4, 5]);
    assert_eq!(list_archived(&store, None, 2, 5, false), [3, 4]);
    assert_eq!(list_archived(&store, Some("even@x"), 0, i64::MAX, true), [2, 4]);
    let count = |after| {
        let span = Span {
            peer: Some("odd@x".into()),
            resource: Some("r".into()),
            after,
            before: i64::MAX,
            only: Some(vec![1, 3, 4, 5]),
        };
        ask(&store, Query::CountArchived { account: address("roland@falcot.com"), span })
    };
    assert_eq!((count(0), count(3)), (Ok(Answer::Count(3)), Ok(Answer::Count(1))));
    ask(&store, Query::PurgeArchives { before: 3 }).expect("stored");
    assert_eq!(list_archived(&store, None, 0, i64::MAX, false), [3, 4, 5]);
}

#[test]
fn the_oldest_go_from_an_archive_that_is_too_large() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = house(folder.path());
    let roland = || address("roland@falcot.com");
    for id in 1..=5 {
        ask(&store, Query::AddArchived { account: roland(), message: archived(id, "a@x") }).expect("stored");
    }
    let excess = |messages, octets| ask(&store, Query::ArchiveExcess { account: roland(), messages, octets });
    for (messages, octets, expected) in [
        (5, u64::MAX, None),
        (4, u64::MAX, Some(1)),
        (1, u64::MAX, Some(4)),
        (0, u64::MAX, Some(5)),
        (5, 10, None),
        (5, 9, Some(1)),
        (2, 8, Some(3)),
        (4, 4, Some(3)),
        (5, 0, Some(5)),
    ] {
        assert_eq!(excess(messages, octets), Ok(Answer::Excess(expected)), "{messages} {octets}");
    }
    let nobody = Query::ArchiveExcess { account: address("nina@falcot.com"), messages: 0, octets: 0 };
    assert_eq!(ask(&store, nobody), Ok(Answer::Excess(None)));
    ask(&store, Query::TrimArchive { account: roland(), up_to: 1 }).expect("stored");
    assert_eq!(list_archived(&store, None, 0, i64::MAX, false), [2, 3, 4]);
}

/// What is read at a time fits into memory, however long each message is: what is wanted and one more, so that it is known
/// that there is more.
#[test]
fn a_page_of_messages_has_no_more_octets_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    let account = address("roland@falcot.com");
    for id in 1..=4 {
        ask(&store, Query::AddArchived { account: account.clone(), message: archived(id, "a@b") }).unwrap();
        ask(&store, message("roland@falcot.com", "m#", 9)).unwrap();
    }
    let check = |octets: u64, expected: usize| {
        let kept = Query::ListOffline { account: account.clone(), limit: 9, octets, after: 0 };
        match ask(&store, kept) {
            Ok(Answer::Offline(messages)) => assert_eq!(messages.len(), expected),
            other => panic!("{other:?}"),
        }
        for last in [false, true] {
            let span = Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None };
            let query = Query::ListArchived { account: account.clone(), span, last, limit: 9, octets };
            let Ok(Answer::Archived(messages)) = ask(&store, query) else { panic!("messages") };
            let ids: Vec<i64> = messages.iter().map(|message| message.id).collect();
            let all: Vec<i64> = (1..=4).collect();
            assert_eq!(ids, if last { &all[4 - expected..] } else { &all[..expected] });
        }
    };
    // Each has two octets. The first is told however long it is, and one more shows that there is more.
    check(0, 2);
    check(3, 2);
    check(4, 3);
    check(100, 4);
}
