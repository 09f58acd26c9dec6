//! The store's one task: takes queries in their order, gathers changes for one commit, sends look-ups to the readers.

use crate::dialect::{self, Connection, Dialect, Trouble};
use crate::handle::{Counters, Job, Order};
use crate::location::Location;
use crate::query::{Fault, Outcome, Query};
use crate::reader::Readers;
use crate::store::Settings;
use crate::transaction;
use sqlx::Connection as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, sleep, timeout_at};

/// Owns the connection that writes.
pub(crate) struct Writer {
    pub(crate) location: Location,
    pub(crate) settings: Settings,
    /// `None` after an error that it may not have survived: made anew for the next commit.
    pub(crate) connection: Option<Connection>,
    pub(crate) readers: Rc<Readers>,
    pub(crate) orders: UnboundedReceiver<Order>,
    /// When the pages that the last commit needed are given back; `None` where they were.
    pub(crate) rests: Option<Instant>,
    pub(crate) counters: Arc<Counters>,
}

/// What is gathered for one commit.
#[derive(Default)]
struct Batch {
    writes: Vec<Job>,
    /// Look-ups that see those writes.
    reads: Vec<Job>,
    rows: usize,
    /// Nothing comes after this one.
    last: bool,
}

impl Writer {
    /// Works until it is told to close.
    pub(crate) async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            self.commit(batch.writes).await;
            batch.reads.into_iter().for_each(|job| self.readers.start(job));
            if batch.last {
                break;
            }
        }
        self.close().await;
    }

    /// Waits for a change, then for the window to end: who asks meanwhile wakes nobody. Takes what is there then, up to as
    /// many rows as a commit may have.
    async fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        while batch.writes.is_empty() {
            let order = match self.rests {
                None => self.orders.recv().await,
                // Questions come all the time; they need not the pages of whoever writes.
                Some(at) => match timeout_at(at, self.orders.recv()).await {
                    Ok(order) => order,
                    Err(_) => {
                        self.rest().await;
                        continue;
                    }
                },
            };
            self.take(order, &mut batch);
            if batch.last {
                return batch;
            }
        }
        if self.orders.len() < self.settings.rows {
            sleep(self.settings.window).await;
        }
        while batch.rows < self.settings.rows && !batch.last {
            match self.orders.try_recv() {
                Ok(order) => self.take(Some(order), &mut batch),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.take(None, &mut batch),
            }
        }
        batch
    }

    /// Gives back the pages that the database keeps in memory: they are in the system's cache, too.
    async fn rest(&mut self) {
        self.rests = None;
        self.counters.rests.fetch_add(1, Ordering::Relaxed);
        if let (Dialect::Sqlite, Some(connection)) = (self.location.dialect, &mut self.connection) {
            // It is a courtesy: the next commit shows whether the database is well.
            let _ = sqlx::raw_sql("PRAGMA shrink_memory").execute(connection).await;
        }
    }

    fn take(&self, order: Option<Order>, batch: &mut Batch) {
        match order {
            Some(Order::Job(job)) => self.sort(job, batch),
            Some(Order::Close) | None => batch.last = true,
        }
    }

    fn sort(&self, job: Job, batch: &mut Batch) {
        if let Err(fault) = job.query.check() {
            job.answer(Err(fault));
        } else if job.query.is_write() {
            batch.rows += job.query.weight();
            batch.writes.push(job);
        } else if batch.writes.is_empty() {
            self.readers.start(job);
        } else {
            batch.reads.push(job);
        }
    }

    /// Commits the changes and answers them.
    async fn commit(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        self.rests = Some(Instant::now() + self.settings.rest);
        let queries: Vec<&Query> = jobs.iter().map(|job| &job.query).collect();
        let outcomes = match self.transact(&queries).await {
            Ok(outcomes) => outcomes,
            // One row is at fault and the database is well: the others shall not suffer for it.
            Err(Fault::NoAccount | Fault::Invalid(_)) if jobs.len() > 1 => self.one_by_one(&queries).await,
            Err(fault) => vec![Err(fault); jobs.len()],
        };
        Job::answer_all(jobs.into_iter().zip(outcomes));
    }

    async fn one_by_one(&mut self, queries: &[&Query]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(queries.len());
        for query in queries {
            match self.transact(&[query]).await {
                Ok(mut one) => outcomes.append(&mut one),
                Err(fault) => outcomes.push(Err(fault)),
            }
        }
        outcomes
    }

    async fn transact(&mut self, queries: &[&Query]) -> Result<Vec<Outcome>, Fault> {
        let result = self.try_transact(queries).await;
        match &result {
            Ok(_) => self.well(queries.len()),
            Err(error) if fault_of_row(error) => {}
            Err(error) => {
                self.unwell(error);
                // It may be in the middle of a transaction, or its file may be gone.
                self.connection = None;
            }
        }
        result.map_err(|error| fault(&error))
    }

    async fn try_transact(&mut self, queries: &[&Query]) -> sqlx::Result<Vec<Outcome>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.location).await?,
        };
        let result = transaction::run(&mut connection, self.location.dialect, queries).await;
        self.connection = Some(connection);
        result
    }

    fn well(&self, writes: usize) {
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.writes.fetch_add(u64::try_from(writes).unwrap_or_default(), Ordering::Relaxed);
        if self.counters.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(database = %self.location.path.display(), "the database can be written again");
        }
    }

    /// Says it once, until it is well again.
    fn unwell(&self, error: &sqlx::Error) {
        if !self.counters.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(database = %self.location.path.display(), %error, "the database cannot be written");
        }
    }

    /// Answers what came too late, lets the look-ups end, and closes the files in order.
    async fn close(mut self) {
        self.orders.close();
        while let Some(order) = self.orders.recv().await {
            if let Order::Job(job) = order {
                job.answer(Err(Fault::Closed));
            }
        }
        self.readers.close().await;
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(database = %self.location.path.display(), %error, "the database was not closed well");
        }
    }
}

/// A new connection, ready to use.
pub(crate) async fn connect(location: &Location) -> sqlx::Result<Connection> {
    Connection::connect_with(&dialect::sqlite(&location.path, location.patience)).await
}

fn fault_of_row(error: &sqlx::Error) -> bool {
    matches!(Dialect::trouble(error), Trouble::NoAccount | Trouble::Row)
}

/// What an error of the database means to whoever asked.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    match Dialect::trouble(error) {
        Trouble::NoAccount => Fault::NoAccount,
        Trouble::Row => Fault::Invalid("the row breaks a rule of its table"),
        Trouble::Locked => Fault::Unavailable("another process holds the database".into()),
        Trouble::Damaged | Trouble::Other => Fault::Unavailable(error.to_string().into()),
    }
}
