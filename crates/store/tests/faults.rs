//! What the store does when the process is killed, the disk is full, the file is damaged, locked or not its own.

use sqlx::{Connection, Executor, SqliteConnection};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use store::{Answer, BindingRow, Fault, OpenError, Query, RosterItem, Settings, Store, StoreHandle};
use wire::{Account, Address, Keys};

const URL: &str = "sqlite:house.db";

fn joe() -> Address {
    "joe@falcot.com".parse().expect("valid")
}

fn house(folder: &Path) -> Store {
    let store = Store::create(URL, folder, Settings::default()).expect("a new database");
    store.put_many(vec![Account { address: joe(), keys: Keys::default() }]).expect("put");
    store
}

fn message(number: usize) -> Query {
    Query::AddOffline { account: joe(), stored: 0, payload: number.to_string().into(), limit: u32::MAX }
}

fn kept(store: &Store) -> Vec<usize> {
    match store.handle().ask_wait(Query::ListOffline {
        account: joe(),
        limit: u32::MAX,
        octets: u64::MAX,
        after: 0,
    }) {
        Ok(Answer::Offline(messages)) => {
            messages.iter().map(|m| String::from_utf8_lossy(&m.payload).parse().expect("a number")).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Runs SQL of another program on the file.
fn sql(folder: &Path, text: &'static str) -> SqliteConnection {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("house.db"));
        let mut connection =
            SqliteConnection::connect_with(&options.create_if_missing(true)).await.expect("opens");
        connection.execute(text).await.expect("runs");
        connection
    })
}

/// Lets go of what [`sql`] holds, and waits until it is let go.
fn finish(connection: SqliteConnection) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(connection.close()).expect("closes");
}

/// Not a test of its own: the process that the others start. It writes messages, rosters and bindings, and says
/// which messages are acknowledged, `-` for one that was refused.
#[test]
#[ignore = "started by the other tests, with the folder on standard input"]
fn child() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).unwrap();
    let settings = Settings { queue: 100, ..Settings::default() };
    let store = Store::open(URL, Path::new(folder.trim()), settings).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let handle = store.handle();
    std::thread::spawn(move || {
        for number in 0usize.. {
            let place = i64::try_from(number).unwrap();
            let row = BindingRow { place, expires: 0, payload: vec![7; 300] };
            insist(&handle, &Query::ReplaceBindings { aor: joe(), rows: vec![row], fewer: true }, |_| {});
            let item = RosterItem { contact: format!("{number}@falcot.com"), ..RosterItem::default() };
            insist(&handle, &Query::PutRosterItem { account: joe(), item }, |_| {});
            let sender = sender.clone();
            insist(&handle, &message(number), move |outcome| drop(sender.send((number, outcome))));
        }
    });
    let mut out = std::io::stdout().lock();
    for (number, outcome) in receiver {
        match outcome {
            Ok(_) => writeln!(out, "kept {number}").unwrap(),
            Err(_) => writeln!(out, "lost {:?}", kept(&store).len()).unwrap(),
        }
    }
}

/// Asks until there is room.
fn insist(
    handle: &StoreHandle,
    query: &Query,
    reply: impl FnOnce(Result<Answer, Fault>) + Clone + Send + 'static,
) {
    while handle.ask(query.clone(), reply.clone()).is_err() {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Starts [`child`] through the shell, after `before`.
fn start_child(folder: &Path, before: &str) -> (Child, impl Iterator<Item = String>) {
    let test = std::env::current_exe().expect("this program");
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("{before} exec \"$0\" --exact child --ignored --nocapture")])
        .arg(test)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{}", folder.display()).expect("the child reads");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    (child, lines)
}

fn kept_number(line: &str) -> Option<usize> {
    line.split_once("kept ")?.1.parse().ok()
}

#[test]
fn a_killed_process_has_lost_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    house(folder.path()).close();
    for round in 1..4 {
        let (mut child, mut lines) = start_child(folder.path(), "");
        let mut acknowledged: Vec<usize> =
            lines.by_ref().filter_map(|l| kept_number(&l)).take(700 * round).collect();
        child.kill().unwrap();
        acknowledged.extend(lines.filter_map(|line| kept_number(&line)));
        child.wait().unwrap();
        let store = Store::open(URL, folder.path(), Settings::default()).unwrap();
        let kept = kept(&store);
        assert_eq!(kept[..acknowledged.len()], acknowledged, "round {round}");
        let Ok(Answer::Roster { items: roster, .. }) = store.handle().ask_wait(Query::LoadRoster(joe()))
        else {
            panic!("a roster")
        };
        assert!(roster.len() >= acknowledged.len());
        let last = store.load_bindings().unwrap()[0].1[0].place;
        assert!(usize::try_from(last).unwrap() >= *acknowledged.last().unwrap());
        let up_to = i64::MAX;
        store.handle().ask_wait(Query::RemoveOffline { account: joe(), up_to }).unwrap();
    }
}

#[test]
fn a_full_disk_is_answered_and_outlived() {
    let folder = tempfile::tempdir().unwrap();
    house(folder.path()).close();
    // No file may grow beyond 1 MiB; the signal for it is ignored, so that the write fails as on a full disk.
    let (mut child, mut lines) = start_child(folder.path(), "trap '' XFSZ; ulimit -f 2048;");
    let mut acknowledged = Vec::new();
    let refused = loop {
        let line = lines.next().expect("it goes on");
        match kept_number(&line) {
            Some(number) => acknowledged.push(number),
            None if line.contains("lost ") => break line,
            None => {}
        }
    };
    let seen: usize = refused.split_once("lost ").unwrap().1.parse().unwrap();
    assert!(seen >= acknowledged.len() && acknowledged.len() > 100, "look-ups still work: {refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(lines.filter_map(|line| kept_number(&line)));
    let store = Store::open(URL, folder.path(), Settings::default()).unwrap();
    let kept = kept(&store);
    assert!(acknowledged.iter().all(|number| kept.binary_search(number).is_ok()));
    assert_eq!(store.handle().ask_wait(message(usize::MAX)), Ok(Answer::Done));
}

#[test]
fn a_lock_of_another_process_is_answered_and_outlived() {
    let folder = tempfile::tempdir().unwrap();
    house(folder.path()).close();
    let settings = Settings { patience: Duration::from_millis(50), ..Settings::default() };
    let store = Store::open(URL, folder.path(), settings).unwrap();
    let holder = sql(folder.path(), "BEGIN IMMEDIATE");
    assert!(matches!(store.handle().ask_wait(message(1)), Err(Fault::Unavailable(_))));
    assert!(store.handle().health().failing);
    assert_eq!(kept(&store), [], "look-ups go on");
    finish(holder);
    assert_eq!(store.handle().ask_wait(message(2)), Ok(Answer::Done));
    assert!(!store.handle().health().failing);
    assert_eq!(kept(&store), [2]);
}

#[test]
fn only_the_owner_may_read_a_new_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    for name in ["house.db", "house.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close();
    assert!(!folder.path().join("house.db-wal").exists(), "the log is in the file when it is closed");
}

fn refused(result: Result<Store, OpenError>) -> OpenError {
    result.expect_err("it must not open")
}

#[test]
fn what_is_not_there_or_there_already() {
    let folder = tempfile::tempdir().unwrap();
    let open = |url: &str| refused(Store::open(url, folder.path(), Settings::default()));
    let create = |url: &str| refused(Store::create(url, folder.path(), Settings::default()));
    assert!(matches!(open(URL), OpenError::Missing(_)));
    assert!(matches!(open("sqlite:no/house.db"), OpenError::NoFolder(path) if path.ends_with("no")));
    assert!(matches!(create("sqlite:no/house.db"), OpenError::NoFolder(_)));
    assert!(matches!(open("sqlite:."), OpenError::NotADatabase(..)));
    drop(house(folder.path()));
    assert!(matches!(create(URL), OpenError::Exists(_)));
}

#[test]
fn a_later_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    house(folder.path()).close();
    finish(sql(folder.path(), "INSERT INTO parlour_migrations (number, title, applied) VALUES (99, 'x', 0)"));
    let error = refused(Store::open(URL, folder.path(), Settings::default()));
    assert!(matches!(error, OpenError::Newer { found: 99, known: 1.., .. }));
    assert!(error.to_string().contains("written by a later version of this program"), "{error}");
}

#[test]
fn the_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    finish(sql(folder.path(), "CREATE TABLE accounts (id INTEGER)"));
    assert!(matches!(refused(Store::open(URL, folder.path(), Settings::default())), OpenError::Foreign(_)));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = "not a database ".repeat(1000);
    std::fs::write(folder.path().join("house.db"), &text).unwrap();
    let error = refused(Store::open(URL, folder.path(), Settings::default()));
    assert!(matches!(error, OpenError::NotADatabase(..)), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path().join("house.db")).unwrap(), text);
}

#[test]
fn damage_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = house(folder.path());
    (0..200).for_each(|number| insist(&store.handle(), &message(number), |_| {}));
    store.close();
    let path = folder.path().join("house.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].iter_mut().for_each(|byte| *byte = 0xaa);
    std::fs::write(&path, bytes).unwrap();
    match Store::open(URL, folder.path(), Settings::default()) {
        Err(error) => assert!(matches!(error, OpenError::NotADatabase(..)), "{error}"),
        Ok(store) => assert!(matches!(store.load_accounts(), Err(Fault::Unavailable(_)))),
    }
}

#[test]
fn a_held_database_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    house(folder.path()).close();
    let holder =
        sql(folder.path(), "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM roster_items");
    let settings = Settings { patience: Duration::from_millis(50), ..Settings::default() };
    let error = refused(Store::open(URL, folder.path(), settings));
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    finish(holder);
    Store::open(URL, folder.path(), settings).unwrap().close();
}
