//! The accounts of the house: kept in the store, seen by everybody through a snapshot that is swapped, not locked.
//!
//! One change at a time; each is durable before the next snapshot shows it. What other processes change (the
//! command line on a database that a server also has open) is seen by the next [`Accounts::refresh`].

pub mod derive;
pub mod import;
pub mod wishes;

use crate::config::Plan;
use arc_swap::ArcSwap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::{AccountRecord, Answer, Changes, Fault, Query, Store, StoreHandle};
use wire::{Account, Address, Directory, Keys};

/// How many accounts go into one transaction, so that others can write in between.
const BATCH: usize = 1000;

/// Opens the plan's database, and makes an empty one where there is none yet.
pub fn open_store(plan: &Plan, settings: store::Settings) -> Result<Store, store::OpenError> {
    match Store::open(&plan.storage.url, Path::new("/"), settings) {
        Err(store::OpenError::Missing(path)) => {
            tracing::info!("a new database: {}", path.display());
            Store::create(&plan.storage.url, Path::new("/"), settings)
        }
        other => other,
    }
}

/// Told of every new snapshot, once it is in force. Each call is waited for before the next, so that nobody is left with
/// an old one.
pub type Publish = Box<dyn Fn(Arc<Directory>) -> Told + Send + Sync>;

/// Done when everybody has been told.
pub type Told = Pin<Box<dyn Future<Output = ()> + Send>>;

/// For a process in which nobody else needs to know.
pub fn nobody() -> Publish {
    Box::new(|_| Box::pin(async {}))
}

/// The accounts of one process.
pub struct Accounts {
    store: StoreHandle,
    current: ArcSwap<Directory>,
    /// Which version of the store's accounts `current` shows.
    version: AtomicI64,
    changing: tokio::sync::Mutex<()>,
    publish: Publish,
}

/// Which accounts [`Accounts::put`] may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Only such as are not there yet.
    New,
    /// Only such as are there.
    Known,
    /// Both.
    Any,
}

/// Why accounts were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// These are there already.
    #[error("already there: {}", list(.0))]
    Exists(Vec<Address>),
    /// This one is not there.
    #[error("there is no account {0}")]
    Unknown(Address),
    /// The store took the first so many, and then no more.
    #[error("{fault}; the first {written} accounts are written, the others are not")]
    Partly {
        /// How many are durable.
        written: usize,
        /// Why the next were not taken.
        fault: Fault,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] Fault),
}

/// The first few of many addresses.
fn list(addresses: &[Address]) -> String {
    let some: Vec<_> = addresses.iter().take(5).map(Address::as_str).collect();
    let more = addresses.len().saturating_sub(some.len());
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}

impl Accounts {
    /// The store that they are kept in.
    pub fn store(&self) -> &StoreHandle {
        &self.store
    }

    /// Reads every account. `publish` is told of each later snapshot, not of this first one.
    pub async fn load(store: StoreHandle, plan: &Plan, publish: Publish) -> Result<Self, Fault> {
        let accounts = Self {
            store,
            current: ArcSwap::from_pointee(Directory::new(plan.domain_names())),
            version: AtomicI64::new(0),
            changing: tokio::sync::Mutex::new(()),
            publish: nobody(),
        };
        accounts.refresh().await?;
        Ok(Self { publish, ..accounts })
    }

    /// The snapshot in force.
    pub fn directory(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    /// One account with its dates.
    pub async fn record(&self, address: &Address) -> Result<Option<AccountRecord>, Fault> {
        match self.store.query(Query::LoadAccount(address.clone())).await? {
            Answer::Account(record) => Ok(record.map(|record| *record)),
            other => unreachable!("an account was asked for, not {other:?}"),
        }
    }

    /// Adds accounts or sets their keys. Nothing is written unless `which` allows all of them. Many go into several
    /// transactions: where the store fails, those before are written ([`ChangeError::Partly`]).
    pub async fn put(&self, accounts: Vec<Account>, which: Put) -> Result<(), ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        self.catch_up().await?;
        let directory = self.directory();
        let known = |account: &&Account| directory.get(&account.address).is_some();
        if which == Put::New {
            let there: Vec<_> =
                accounts.iter().filter(known).map(|account| account.address.clone()).collect();
            if !there.is_empty() {
                return Err(ChangeError::Exists(there));
            }
        }
        if which == Put::Known
            && let Some(account) = accounts.iter().find(|account| !known(account))
        {
            return Err(ChangeError::Unknown(account.address.clone()));
        }
        let written = self.write(accounts).await;
        let seen = self.catch_up().await;
        written.and(seen.map_err(ChangeError::from))
    }

    /// Sets the keys of one account that still has these; says whether it had.
    pub async fn change(&self, account: Account, old: &Keys) -> Result<bool, ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        self.catch_up().await?;
        if self.directory().get(&account.address).is_none_or(|known| known.keys != *old) {
            return Ok(false);
        }
        let written = self.write(vec![account]).await;
        let seen = self.catch_up().await;
        written.and(seen.map_err(ChangeError::from)).map(|()| true)
    }

    async fn write(&self, accounts: Vec<Account>) -> Result<(), ChangeError> {
        let mut written = 0;
        let mut accounts = accounts.into_iter().peekable();
        while accounts.peek().is_some() {
            let some: Vec<_> = accounts.by_ref().take(BATCH).collect();
            let number = some.len();
            match self.store.query(Query::PutAccounts(some)).await {
                Ok(_) => written += number,
                Err(fault) if written > 0 => return Err(ChangeError::Partly { written, fault }),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// Removes an account with all that is its own.
    pub async fn remove(&self, address: &Address) -> Result<(), ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        match self.store.query(Query::RemoveAccount(address.clone())).await {
            Err(Fault::NoAccount) => Err(ChangeError::Unknown(address.clone())),
            Err(fault) => Err(fault.into()),
            Ok(_) => Ok(self.catch_up().await?),
        }
    }

    /// Sees what other processes changed.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let _one_at_a_time = self.changing.lock().await;
        self.catch_up().await
    }

    /// The same accounts under the domains of another plan.
    pub async fn replan(&self, plan: &Plan) {
        let _one_at_a_time = self.changing.lock().await;
        self.swap(self.directory().with_domains(plan.domain_names())).await;
    }

    async fn catch_up(&self) -> Result<(), Fault> {
        let since = self.version.load(Ordering::Relaxed);
        let changes = match self.store.query(Query::AccountChanges { since }).await? {
            Answer::Changes(changes) => changes,
            other => unreachable!("changes were asked for, not {other:?}"),
        };
        self.version.store(changes.version, Ordering::Relaxed);
        if !changes.put.is_empty() || !changes.removed.is_empty() {
            self.swap(apply(&self.directory(), changes)).await;
        }
        Ok(())
    }

    async fn swap(&self, directory: Directory) {
        let directory = Arc::new(directory);
        self.current.store(Arc::clone(&directory));
        (self.publish)(directory).await;
    }
}

fn apply(directory: &Directory, changes: Changes) -> Directory {
    let put = changes.put.into_iter().map(|account| (account.address.clone(), Some(Arc::new(account))));
    let removed = changes.removed.into_iter().map(|address| (address, None));
    directory.with(put.chain(removed))
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accounts({:?})", self.current.load())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    #[tokio::test]
    async fn snapshots_are_told_in_their_order_and_before_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[[domains]]\nname = \"falcot.com\"\n[storage]\nurl = \"sqlite:parlour.db\"\n";
        let plan = crate::config::parse(&folder.path().join("parlour.toml"), text.into()).unwrap();
        let store = open_store(&plan, store::Settings::default()).unwrap();
        let told: Arc<Mutex<Vec<usize>>> = Arc::default();
        let hears = Arc::clone(&told);
        let publish: Publish = Box::new(move |directory| {
            let told = Arc::clone(&hears);
            Box::pin(async move {
                // The more there are, the sooner it comes: unless each is waited for, the last would be the first's.
                tokio::time::sleep(Duration::from_millis(40 / directory.len() as u64)).await;
                told.lock().unwrap().push(directory.len());
            })
        });
        let accounts = Accounts::load(store.handle(), &plan, publish).await.unwrap();
        let add = |name: &str| {
            let address = format!("{name}@falcot.com").parse().unwrap();
            accounts.put(vec![Account { address, keys: wire::Keys::default() }], Put::New)
        };
        let (first, second) = tokio::join!(add("roland"), add("joe"));
        first.and(second).unwrap();
        assert_eq!(*told.lock().unwrap(), [1, 2]);
    }
}
