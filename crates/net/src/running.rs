//! Starting the workers, talking to them from other threads, stopping them.

use crate::admission::Admission;
use crate::core::{Chores, Core, Shared};
use crate::counters::{Counters, Counting, Counts};
use crate::datagram::Sockets;
use crate::dtls;
use crate::listen::{Change, Registry};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::reception::{Reception, Sides};
use crate::stream::{Spare, Stream, Streams};
use crate::sys::{Bell, Events};
use crate::tls::Identities;
use crate::worker::{self, Ears, Leaving, Worker};
use crate::{Bound, Handler, Limits, Listeners};
use arc_swap::ArcSwap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc as channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use wire::{Epoch, Timers, WorkerId};

/// What all workers share.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The bounds.
    pub limits: Limits,
    /// Certificates for accepted TLS, replaceable while running. Without any, no handshake succeeds.
    pub identities: Option<Arc<Identities>>,
}

/// What a handler may want to know when it is made.
#[derive(Debug)]
pub struct Start<'a, M> {
    /// The worker it is made for.
    pub me: WorkerId,
    /// How many workers there are.
    pub workers: u16,
    /// The time now.
    pub now: Instant,
    /// The same moment on the calendar.
    pub epoch: Epoch,
    /// Every listener, the same for all workers.
    pub bound: &'a [Bound],
    /// A way to post mail to any worker from any thread.
    pub postbox: &'a Postbox<M>,
}

/// What lies in a worker's queue.
#[derive(Debug)]
pub(crate) enum Envelope<M> {
    /// For the handler.
    Mail(M),
    /// A stream that moves here, with what its old owner sent along.
    Stream(Box<Stream>, M),
}

/// What a worker is told by those who started it.
#[derive(Debug)]
pub(crate) enum Order {
    /// Accept nothing more, and end when drained; at the latest at this moment.
    Stop(Instant),
    /// Listen otherwise from now on, and say so.
    Listen(Box<Change>, oneshot::Sender<()>),
}

/// A way to post mail to workers from any thread. Cheap to clone.
pub struct Postbox<M> {
    queues: Arc<[Sender<Envelope<M>>]>,
}

impl<M> fmt::Debug for Postbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postbox").field("workers", &self.queues.len()).finish_non_exhaustive()
    }
}

impl<M> Clone for Postbox<M> {
    fn clone(&self) -> Self {
        Self { queues: Arc::clone(&self.queues) }
    }
}

impl<M: Send + 'static> Postbox<M> {
    /// How many workers there are.
    pub fn workers(&self) -> u16 {
        self.queues.len() as u16
    }

    /// Posts mail to a worker. Never blocks.
    ///
    /// # Errors
    /// Gives the mail back when the worker's queue is full, it has ended, or there is none of this number.
    pub fn post(&self, to: WorkerId, mail: M) -> Result<(), M> {
        // The place first: so the mail need not be unpacked again.
        match self.queues.get(usize::from(to.0)).map(Sender::try_reserve) {
            Some(Ok(place)) => {
                place.send(Envelope::Mail(mail));
                Ok(())
            }
            _ => Err(mail),
        }
    }

    /// Posts mail to a worker, waiting for room. For the back office, never for a handler.
    ///
    /// # Errors
    /// Gives the mail back when the worker has ended or there is none of this number.
    pub async fn deliver(&self, to: WorkerId, mail: M) -> Result<(), M> {
        let Some(queue) = self.queues.get(usize::from(to.0)) else { return Err(mail) };
        match queue.reserve().await {
            Ok(place) => {
                place.send(Envelope::Mail(mail));
                Ok(())
            }
            Err(_) => Err(mail),
        }
    }

    /// Keeps a place in a worker's queue.
    pub(crate) fn reserve(&self, to: WorkerId) -> Option<OwnedPermit<Envelope<M>>> {
        self.queues.get(usize::from(to.0))?.clone().try_reserve_owned().ok()
    }
}

/// How a worker came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which one.
    pub worker: WorkerId,
    /// Whether its thread panicked.
    pub panicked: bool,
}

/// The running workers. Dropping it stops them at once, without waiting for anything to drain.
pub struct Running<M: Send + 'static> {
    postbox: Postbox<M>,
    bound: Vec<Bound>,
    counters: Vec<Arc<Counters>>,
    half_open: Arc<Admission>,
    orders: Vec<UnboundedSender<Order>>,
    ended: UnboundedReceiver<Ended>,
    threads: Vec<JoinHandle<()>>,
    reception: Option<Reception>,
}

impl<M: Send + 'static> Running<M> {
    /// A way to post mail to the workers.
    pub fn postbox(&self) -> Postbox<M> {
        self.postbox.clone()
    }

    /// What was bound where at the start.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// What changes the listeners; given once.
    pub fn reception(&mut self) -> Option<Reception> {
        self.reception.take()
    }

    /// What each worker has counted so far, in their order.
    pub fn counts(&self) -> Vec<Counts> {
        self.counters.iter().map(|counters| counters.read()).collect()
    }

    /// What reads the same later, from elsewhere.
    pub fn counting(&self) -> Counting {
        Counting { workers: self.counters.clone(), half_open: Arc::clone(&self.half_open) }
    }

    /// Waits until some worker has ended, which without [`Self::stop`] only a panic brings about. Safe to cancel.
    pub async fn ended(&mut self) -> Ended {
        match self.ended.recv().await {
            Some(ended) => ended,
            // All were told of already.
            None => std::future::pending().await,
        }
    }

    /// Stops: no connection is accepted from now on; each worker ends once it is drained
    /// ([`Handler::drained`]) and its connections are gone, at the latest after `patience`; then what is left is closed and
    /// the threads are joined. Blocks: call it from a blocking thread. Mail still arrives meanwhile, so the
    /// product posts its own order to drain first. Returns how those workers ended that [`Self::ended`] has not told of.
    pub fn stop(mut self, patience: Duration) -> Vec<Ended> {
        self.halt(Instant::now() + patience);
        std::iter::from_fn(|| self.ended.try_recv().ok()).collect()
    }

    fn halt(&mut self, by: Instant) {
        for orders in &self.orders {
            // A worker that has ended needs no order.
            let _ = orders.send(Order::Stop(by));
        }
        for thread in self.threads.drain(..) {
            // A panic has been told of by `ended`.
            let _ = thread.join();
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Running<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Drop for Running<M> {
    fn drop(&mut self) {
        self.halt(Instant::now());
    }
}

/// Starts one thread per worker. `make` is called once on each of these threads. Workers run no runtime: tasks that a
/// handler spawns run on the runtime from within which this is called, if there is one.
///
/// # Errors
/// A thread or its event queue cannot be made, or TLS cannot be set up (a TLS listener needs an identity).
pub fn run<H, F>(listeners: Listeners, setup: Setup, make: F) -> io::Result<Running<H::Mail>>
where
    H: Handler,
    F: Fn(&Start<'_, H::Mail>) -> H + Send + Sync + 'static,
{
    let bound = listeners.bound().to_vec();
    let Listeners { registry, changes, .. } = listeners;
    let mail = setup.limits.mail.max(1);
    let (queues, inboxes): (Vec<_>, Vec<_>) = changes.iter().map(|_| mpsc::channel(mail)).unzip();
    let postbox = Postbox { queues: queues.into() };
    let (shared, sides) = share(setup, bound.clone(), &registry)?;
    let shared = Arc::new(shared);
    let (telling, ended) = mpsc::unbounded_channel();
    let (ready, readiness) = channel::channel();
    let (counters, orders, threads) = (Vec::new(), Vec::new(), Vec::new());
    let mut running = Running {
        postbox,
        bound,
        counters,
        half_open: Arc::clone(&shared.half_open),
        orders,
        ended,
        threads,
        reception: None,
    };
    let make = Arc::new(make);
    let runtime = Handle::try_current().ok();
    for ((me, change), inbox) in (0..).map(WorkerId).zip(changes).zip(inboxes) {
        let (order, orders) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        running.counters.push(Arc::clone(&counters));
        running.orders.push(order);
        let (shared, postbox) = (Arc::clone(&shared), running.postbox.clone());
        let seat = Seat { me, change, inbox, orders, counters, shared, postbox };
        let (make, ready, runtime) = (Arc::clone(&make), ready.clone(), runtime.clone());
        let last_word = LastWord { worker: me, telling: telling.clone() };
        let body = move || {
            let _last_word = last_word;
            let _runtime = runtime.as_ref().map(Handle::enter);
            seat.occupy(&*make, ready);
        };
        running.threads.push(thread::Builder::new().name(format!("worker-{}", me.0)).spawn(body)?);
    }
    drop(ready);
    for _ in &running.threads {
        let gone = || io::Error::other("a worker panicked when it was made");
        readiness.recv().unwrap_or_else(|_| Err(gone()))?;
    }
    running.reception = Some(Reception::new(registry, running.orders.clone(), shared, sides));
    Ok(running)
}

fn share(setup: Setup, bound: Vec<Bound>, registry: &Registry) -> io::Result<(Shared, Option<Sides>)> {
    let Setup { limits, identities } = setup;
    let wants = |bound: &Bound| bound.transport.is_secure();
    if identities.is_none() && bound.iter().any(wants) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a TLS listener without a certificate"));
    }
    let sides = identities.map(Sides::new).transpose()?;
    let offers = ArcSwap::from_pointee(Sides::offers(sides.as_ref(), registry, &[]));
    let admission = Admission::new(limits.connections, limits.connections_per_source);
    let half_open = Admission::new(limits.half_open, limits.half_open_per_source);
    let cookies = dtls::Cookies::new(random_key()?);
    let started = Instant::now();
    let pace = Pace::new(started, limits.handshakes_per_source);
    Ok((Shared { limits, offers, admission, half_open, pace, cookies, started, bound }, sides))
}

fn random_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(key)
}

/// Tells that a worker's thread is over, however that came.
struct LastWord {
    worker: WorkerId,
    telling: UnboundedSender<Ended>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        // Nobody listens any more when `Running` is gone.
        let _ = self.telling.send(Ended { worker: self.worker, panicked: thread::panicking() });
    }
}

/// What a worker is made of, on its way to its thread.
struct Seat<M> {
    me: WorkerId,
    change: Change,
    inbox: Receiver<Envelope<M>>,
    orders: UnboundedReceiver<Order>,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
    postbox: Postbox<M>,
}

impl<M: Send + 'static> Seat<M> {
    /// Makes the worker, says so, and works until it is told to stop.
    fn occupy<H: Handler<Mail = M>>(
        self,
        make: &dyn Fn(&Start<'_, M>) -> H,
        ready: channel::Sender<io::Result<()>>,
    ) {
        // Whoever started us may have given up already. The sender ends here: those who wait shall not wait for a worker
        // that panicked before it came this far.
        let worker = match self.make_worker(make) {
            Ok(worker) => worker,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        drop(ready);
        worker.work();
    }

    fn make_worker<H: Handler<Mail = M>>(self, make: &dyn Fn(&Start<'_, M>) -> H) -> io::Result<Worker<H>> {
        let Self { me, change, inbox, orders, counters, shared, postbox } = self;
        let now = Instant::now();
        let epoch = worker::epoch(now);
        let events = Events::new()?;
        let sockets = Sockets::new(shared.limits.relay_buffer);
        let workers = postbox.workers();
        let handler = make(&Start { me, workers, now, epoch, bound: &shared.bound, postbox: &postbox });
        let core = Core {
            me,
            now,
            epoch,
            shared,
            counters,
            events,
            sockets,
            outbox: Outbox::new(),
            streams: Streams::new(me),
            dtls: dtls::Sessions::new(me),
            leaving: Leaving::default(),
            spare: Spare::default(),
            timers: Timers::default(),
            postbox,
            chores: Chores::default(),
        };
        let bell = Arc::new(Bell::new()?);
        Worker::new(handler, core, change, Ears { inbox, orders, bell })
    }
}

#[cfg(test)]
mod heap;
