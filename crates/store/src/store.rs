//! Opens a database, owns the thread that works on it, closes it.

use crate::handle::{Counters, StoreHandle};
use crate::location::{Location, OpenError};
use crate::query::{Answer, BindingRow, Fault, Query};
use crate::reader::Readers;
use crate::schema;
use crate::writer::{Writer, connect};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wire::{Account, Address};

/// How the store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many queries may wait for their answer; more are refused as [`Busy`](crate::Busy).
    pub queue: usize,
    /// How long the first change of a commit waits for others.
    pub window: Duration,
    /// With how many rows a commit waits no longer.
    pub rows: usize,
    /// How many look-ups run at once.
    pub readers: usize,
    /// How long a transaction waits for another process that holds the database.
    pub patience: Duration,
    /// After how long without a change the pages that the database keeps for changes are given back.
    pub rest: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let (window, patience) = (Duration::from_millis(2), Duration::from_secs(5));
        Self { queue: 16_384, window, rows: 2048, readers: 2, patience, rest: Duration::from_secs(10) }
    }
}

/// An open database. Closed when it is dropped.
#[derive(Debug)]
pub struct Store {
    handle: StoreHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Store {
    /// Opens the database that `url` names (`sqlite:PATH`, a relative path from `base`), and brings its schema up to
    /// date. It must exist: [`Store::create`] makes one.
    pub fn open(url: &str, base: &Path, settings: Settings) -> Result<Self, OpenError> {
        let location = Location::parse(url, base, settings.patience)?;
        location.must_exist()?;
        Self::start(location, settings)
    }

    /// Makes a new, empty database, which only its owner may read, and opens it. It must not exist yet.
    pub fn create(url: &str, base: &Path, settings: Settings) -> Result<Self, OpenError> {
        let location = Location::parse(url, base, settings.patience)?;
        location.make()?;
        let path = location.path.clone();
        Self::start(location, settings).inspect_err(|_| {
            // It was ours and is of no use: what went wrong is told, and `create` can be tried again.
            let _ = std::fs::remove_file(path);
        })
    }

    /// The face for everybody who asks.
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }

    /// Every account. Waits.
    pub fn load_accounts(&self) -> Result<Vec<Account>, Fault> {
        match self.handle.ask_wait(Query::LoadAccounts)? {
            Answer::Accounts(accounts) => Ok(accounts),
            other => unreachable!("accounts were asked for, not {other:?}"),
        }
    }

    /// Every binding, grouped by address, in the order of `place`. Waits.
    pub fn load_bindings(&self) -> Result<Vec<(Address, Vec<BindingRow>)>, Fault> {
        match self.handle.ask_wait(Query::LoadBindings)? {
            Answer::Bindings(bindings) => Ok(bindings),
            other => unreachable!("bindings were asked for, not {other:?}"),
        }
    }

    /// The number that grows with every change of an account, by whatever process. Waits.
    pub fn accounts_version(&self) -> Result<i64, Fault> {
        match self.handle.ask_wait(Query::AccountsVersion)? {
            Answer::Version(version) => Ok(version),
            other => unreachable!("the version was asked for, not {other:?}"),
        }
    }

    /// Puts many accounts, a thousand in a transaction, so that others can write in between. Waits; after an error
    /// those before it are there.
    pub fn put_many(&self, accounts: Vec<Account>) -> Result<(), Fault> {
        let mut accounts = accounts.into_iter().peekable();
        while accounts.peek().is_some() {
            let some = accounts.by_ref().take(1000).collect();
            self.handle.ask_wait(Query::PutAccounts(some))?;
        }
        Ok(())
    }

    /// Commits and answers all that was asked, then closes the database. Later questions are refused.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the store failed");
        }
    }

    fn start(location: Location, settings: Settings) -> Result<Self, OpenError> {
        let path = location.path.clone();
        let failed = |error: std::io::Error| OpenError::Failed(path.clone(), error.to_string());
        let (opened, answer) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(location, settings, &opened))
            .map_err(failed)?;
        match answer.recv() {
            Ok(Ok(handle)) => Ok(Self { handle, thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(OpenError::Failed(path, "its thread failed".into())),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.end();
    }
}

type Opened = std::sync::mpsc::SyncSender<Result<StoreHandle, OpenError>>;

/// The whole life of the store's thread.
fn run(location: Location, settings: Settings, opened: &Opened) {
    let path = location.path.clone();
    let answer = |result| opened.send(result).expect("the opener waits for the answer");
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return answer(Err(OpenError::Failed(path, error.to_string()))),
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match open(location, settings).await {
            Ok((handle, writer)) => {
                answer(Ok(handle));
                writer.run().await;
            }
            Err(error) => answer(Err(error)),
        }
    });
}

async fn open(location: Location, settings: Settings) -> Result<(StoreHandle, Writer), OpenError> {
    let explain = |error: sqlx::Error| location.explain(&error);
    let mut connection = connect(&location).await.map_err(explain)?;
    schema::migrate(&mut connection, &location).await?;
    let mut idle = Vec::new();
    for _ in 0..settings.readers.max(1) {
        idle.push(connect(&location).await.map_err(explain)?);
    }
    let readers = Readers::new(location.clone(), idle);
    let counters = Arc::new(Counters::default());
    let (handle, orders) = StoreHandle::new(settings.queue, Arc::clone(&counters));
    let (connection, rests) = (Some(connection), None);
    let writer = Writer { location, settings, connection, readers, orders, rests, counters };
    Ok((handle, writer))
}
