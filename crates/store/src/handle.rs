//! The face of the store for everybody else: asks without waiting, is answered by a closure.

use crate::query::{Fault, Outcome, Query};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// As many queries wait as may, or the store is closed: nothing was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot take another query now")]
pub struct Busy;

/// Whoever asks so often that it wants the answers of one commit together.
pub trait Asker: Send + Sync + std::fmt::Debug {
    /// What became of its questions, each with its mark. Called on the store's thread: it must not block.
    fn answered(&self, outcomes: Vec<(u64, Outcome)>);
}

/// Who is answered. Called on the store's thread: it must not block.
pub(crate) enum Reply {
    Alone(Box<dyn FnOnce(Outcome) + Send>),
    Together(Arc<dyn Asker>, u64),
}

/// A query on its way.
pub(crate) struct Job {
    pub(crate) query: Query,
    reply: Reply,
    /// Its place among those that may wait; free again when the job is dropped.
    _place: OwnedSemaphorePermit,
}

impl Job {
    /// Answers it.
    pub(crate) fn answer(self, outcome: Outcome) {
        match self.reply {
            Reply::Alone(reply) => reply(outcome),
            Reply::Together(asker, mark) => asker.answered(vec![(mark, outcome)]),
        }
    }

    /// Answers all of one commit; those who want that, once.
    pub(crate) fn answer_all(answers: impl Iterator<Item = (Self, Outcome)>) {
        // As many as there are workers.
        let mut together: Vec<(Arc<dyn Asker>, Vec<_>)> = Vec::new();
        for (job, outcome) in answers {
            let Reply::Together(asker, mark) = job.reply else {
                job.answer(outcome);
                continue;
            };
            match together.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &asker)) {
                Some((_, outcomes)) => outcomes.push((mark, outcome)),
                None => together.push((asker, vec![(mark, outcome)])),
            }
        }
        for (asker, outcomes) in together {
            asker.answered(outcomes);
        }
    }
}

/// What travels to the store's thread.
pub(crate) enum Order {
    /// A query.
    Job(Job),
    /// Commit what is there, and end.
    Close,
}

/// What is counted of the store's work.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) failing: AtomicBool,
    /// How often the pages of changes were given back.
    pub(crate) rests: AtomicU64,
}

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Queries that wait for their answer.
    pub waiting: usize,
    /// Transactions committed since the start.
    pub commits: u64,
    /// Changes committed since the start.
    pub writes: u64,
    /// Whether the last transaction failed.
    pub failing: bool,
}

/// Asks the store. Cheap to clone; may be used from any thread, inside and outside of any runtime.
#[derive(Clone)]
pub struct StoreHandle {
    orders: mpsc::UnboundedSender<Order>,
    places: Arc<Semaphore>,
    capacity: usize,
    counters: Arc<Counters>,
}

impl StoreHandle {
    pub(crate) fn new(capacity: usize, counters: Arc<Counters>) -> (Self, mpsc::UnboundedReceiver<Order>) {
        // The channel itself has no bound: `places` bounds all that waits, also behind the channel.
        let (orders, receiver) = mpsc::unbounded_channel();
        (Self { orders, places: Arc::new(Semaphore::new(capacity)), capacity, counters }, receiver)
    }

    /// Asks, and returns at once. `reply` is called on the store's thread, exactly once, and must not block;
    /// after `Err(Busy)` it is never called.
    pub fn ask(&self, query: Query, reply: impl FnOnce(Outcome) + Send + 'static) -> Result<(), Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        self.send(query, Reply::Alone(Box::new(reply)), place)
    }

    /// Asks, and returns at once. `asker` is answered with `mark`, exactly once, together with whatever else of it shares the
    /// commit; after `Err(Busy)` never.
    pub fn ask_together(&self, query: Query, asker: &Arc<dyn Asker>, mark: u64) -> Result<(), Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        self.send(query, Reply::Together(Arc::clone(asker), mark), place)
    }

    /// Asks and waits for the outcome: for the command line, never on a worker's thread.
    pub fn ask_wait(&self, query: Query) -> Outcome {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let place = loop {
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => break place,
                Err(tokio::sync::TryAcquireError::Closed) => return Err(Fault::Closed),
                Err(tokio::sync::TryAcquireError::NoPermits) => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        };
        let reply = move |outcome| drop(sender.send(outcome));
        self.send(query, Reply::Alone(Box::new(reply)), place).map_err(|Busy| Fault::Closed)?;
        receiver.recv().unwrap_or(Err(Fault::Closed))
    }

    /// Asks and waits for the outcome without holding up the runtime; waits for room, too.
    pub async fn query(&self, query: Query) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Fault::Closed)?;
        let reply = move |outcome| drop(sender.send(outcome));
        self.send(query, Reply::Alone(Box::new(reply)), place).map_err(|Busy| Fault::Closed)?;
        receiver.await.unwrap_or(Err(Fault::Closed))
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        Health {
            waiting: self.capacity.saturating_sub(self.places.available_permits()),
            commits: self.counters.commits.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
            failing: self.counters.failing.load(Ordering::Relaxed),
        }
    }

    fn send(&self, query: Query, reply: Reply, place: OwnedSemaphorePermit) -> Result<(), Busy> {
        self.orders.send(Order::Job(Job { query, reply, _place: place })).map_err(|_| Busy)
    }

    /// Takes no more queries, and lets the store end once those that were taken are answered.
    pub(crate) fn close(&self) {
        self.places.close();
        // A store that has ended already needs no order to end.
        drop(self.orders.send(Order::Close));
    }
}

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoreHandle({:?})", self.health())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc as channel;

    #[derive(Debug)]
    struct Listener(channel::Sender<Vec<u64>>);

    impl Asker for Listener {
        fn answered(&self, outcomes: Vec<(u64, Outcome)>) {
            let marks = outcomes.into_iter().map(|(mark, outcome)| outcome.map_or(0, |_| mark));
            self.0.send(marks.collect()).expect("the test listens");
        }
    }

    /// Whoever runs this asks every second whether accounts have changed.
    #[test]
    fn pages_are_given_back_though_questions_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = crate::Settings { rest: std::time::Duration::from_millis(50), ..Default::default() };
        let store = crate::Store::create("sqlite:a.db", folder.path(), settings).expect("a database");
        let handle = store.handle();
        let joe = "joe@falcot.com".parse().expect("an address");
        handle
            .ask_wait(Query::PutAccounts(vec![wire::Account { address: joe, keys: wire::Keys::default() }]))
            .expect("written");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while handle.counters.rests.load(Ordering::Relaxed) == 0 {
            assert!(std::time::Instant::now() < end, "they are kept");
            handle.ask_wait(Query::AccountsVersion).expect("answered");
        }
    }

    #[test]
    fn who_wants_that_is_answered_once_for_a_commit() {
        let places = Arc::new(Semaphore::new(10));
        let job = |reply| {
            let place = Arc::clone(&places).try_acquire_owned().expect("a place");
            Job { query: Query::LoadBindings, reply, _place: place }
        };
        let (heard, alone) = (channel::channel(), channel::channel());
        let [one, other]: [Arc<dyn Asker>; 2] = [0, 1].map(|_| Arc::new(Listener(heard.0.clone())) as _);
        let sender = alone.0;
        let alone_reply = move |outcome: Outcome| sender.send(outcome.is_ok()).expect("the test listens");
        let jobs = [
            job(Reply::Together(Arc::clone(&one), 1)),
            job(Reply::Together(Arc::clone(&other), 2)),
            job(Reply::Alone(Box::new(alone_reply))),
            job(Reply::Together(Arc::clone(&one), 3)),
            job(Reply::Together(Arc::clone(&one), 4)),
        ];
        let done = || Ok(crate::query::Answer::Done);
        let outcomes = [done(), done(), done(), Err(Fault::Closed), done()];
        Job::answer_all(jobs.into_iter().zip(outcomes));
        assert_eq!(heard.1.try_iter().collect::<Vec<_>>(), [vec![1, 0, 4], vec![2]]);
        assert!(alone.1.try_recv().expect("answered"));
        assert_eq!(places.available_permits(), 10, "all places are free again");
    }
}
