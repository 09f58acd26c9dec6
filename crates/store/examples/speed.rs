//! What the store costs: rows per second, processor time per row, and how long 100 000 rows take to load.
//! Run it in release mode, with a folder on the disk to be measured.
#![expect(clippy::print_stdout, reason = "it is a program that prints figures")]
#![expect(clippy::expect_used, reason = "figures from a run that failed would be worthless")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{BindingRow, Query, RosterItem, Settings, Store};
use wire::{Account, Address, Keys, Scram};

const ROWS: usize = 100_000;

fn main() {
    let folder = std::env::args().nth(1).expect("give a folder");
    let folder = Path::new(&folder);
    let store = Store::create("sqlite:speed.db", folder, Settings::default()).expect("a new database");
    let accounts: Vec<Account> = (0..ROWS).map(account).collect();
    let before = Moment::now();
    store.put_many(accounts).expect("put");
    before.show("import of 100 000 accounts", ROWS);

    for waiting in [1, 16, 256, 4096] {
        let rows = if waiting == 1 { 1000 } else { 20_000 };
        let replace = |i| Query::ReplaceBindings { aor: address(i), rows: vec![binding()], fewer: false };
        many(&store, &format!("bindings, {waiting} waiting"), rows, waiting, replace);
    }
    let message = |i: usize| Query::AddOffline {
        account: address(i % 1000),
        stored: 0,
        payload: vec![7; 600],
        limit: 1000,
    };
    many(&store, "offline messages, 256 waiting", 20_000, 256, message);
    let item = |i: usize| {
        let item = RosterItem { contact: format!("user{i}@falcot.com"), ..RosterItem::default() };
        Query::PutRosterItem { account: address(i % 1000), item }
    };
    many(&store, "roster items, 256 waiting", 20_000, 256, item);
    many(&store, "rosters of 20 loaded, 64 waiting", 10_000, 64, |i| Query::LoadRoster(address(i % 1000)));
    many(&store, "empty rosters loaded, 64 waiting", 10_000, 64, |i| Query::LoadRoster(address(2000 + i)));
    many(&store, "messages looked for, 64 waiting", 10_000, 64, |i| Query::ListOffline {
        account: address(2000 + i),
        limit: 100,
        octets: u64::MAX,
        after: 0,
    });
    many(&store, "all bindings", ROWS, 4096, |i| Query::ReplaceBindings {
        aor: address(i),
        rows: vec![binding()],
        fewer: false,
    });
    store.close();

    let before = Moment::now();
    let store = Store::open("sqlite:speed.db", folder, Settings::default()).expect("opens");
    before.show("opening", 1);
    let before = Moment::now();
    let loaded = store.load_accounts().expect("loads").len();
    before.show("loading accounts", loaded);
    let before = Moment::now();
    let loaded = store.load_bindings().expect("loads").len();
    before.show("loading bindings", loaded);
}

/// Asks `rows` queries, never more than `waiting` at once.
fn many(store: &Store, what: &str, rows: usize, waiting: usize, query: impl Fn(usize) -> Query) {
    let answered = Arc::new(AtomicU64::new(0));
    let before = Moment::now();
    let main = std::thread::current();
    for i in 0..rows {
        while i - usize::try_from(answered.load(Ordering::Relaxed)).expect("few") >= waiting {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let (answered, main) = (Arc::clone(&answered), main.clone());
        let reply = move |outcome: store::Outcome| {
            outcome.expect("done");
            answered.fetch_add(1, Ordering::Relaxed);
            main.unpark();
        };
        store.handle().ask(query(i), reply).expect("there is room");
    }
    while answered.load(Ordering::Relaxed) < rows as u64 {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    before.show(what, rows);
}

struct Moment(Instant, f64);

impl Moment {
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum();
        Self(Instant::now(), ticks / 100.0)
    }

    fn show(&self, what: &str, rows: usize) {
        let now = Self::now();
        let (wall, processor) = ((now.0 - self.0).as_secs_f64(), now.1 - self.1);
        let each = 1e6 / rows as f64;
        println!(
            "{what}: {rows} in {wall:.2} s, {:.0}/s, {:.1} µs processor time each",
            rows as f64 / wall,
            processor * each
        );
    }
}

fn address(i: usize) -> Address {
    format!("user{i}@falcot.com").parse().expect("valid")
}

fn binding() -> BindingRow {
    BindingRow { place: 1, expires: 1_800_000_000, payload: vec![7; 300] }
}

fn account(i: usize) -> Account {
    let keys = Keys {
        md5: Some([1; 16]),
        sha256: Some([2; 32]),
        md5_whole: Some([3; 16]),
        sha256_whole: Some([4; 32]),
        scram_sha1: Some(Scram {
            iterations: 10_000,
            salt: [5; 16].into(),
            stored_key: [6; 20],
            server_key: [7; 20],
        }),
        scram_sha256: Some(Scram {
            iterations: 10_000,
            salt: [5; 16].into(),
            stored_key: [6; 32],
            server_key: [7; 32],
        }),
        sha512_256: Some([8; 32]),
        sha512_256_whole: Some([9; 32]),
        scram_sha512: Some(Scram {
            iterations: 10_000,
            salt: [5; 16].into(),
            stored_key: [6; 64],
            server_key: [7; 64],
        }),
    };
    Account { address: address(i), keys }
}
