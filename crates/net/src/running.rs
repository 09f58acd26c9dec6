//! Starting the workers, talking to them from other threads, stopping them.

use crate::counters::Counts;
use crate::tls::{ClientConfig, Identities};
use crate::{Bound, Handler, Limits, Listeners};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Epoch, WorkerId};

/// What all workers share.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The bounds.
    pub limits: Limits,
    /// Certificates for accepted TLS, replaceable while running. Without any, no handshake succeeds.
    pub identities: Option<Arc<Identities>>,
    /// How we open TLS connections, and whom we trust then. Without it such a `connect` is refused.
    pub client: Option<Arc<ClientConfig>>,
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

/// A way to post mail to workers from any thread. Cheap to clone.
#[derive(Debug)]
pub struct Postbox<M> {
    _mail: PhantomData<fn(M)>,
}

impl<M> Clone for Postbox<M> {
    fn clone(&self) -> Self {
        unimplemented!()
    }
}

impl<M: Send + 'static> Postbox<M> {
    /// How many workers there are.
    pub fn workers(&self) -> u16 {
        unimplemented!()
    }

    /// Posts mail to a worker. Never blocks.
    ///
    /// # Errors
    /// Gives the mail back when the worker's queue is full or it has ended.
    pub fn post(&self, _to: WorkerId, _mail: M) -> Result<(), M> {
        unimplemented!()
    }

    /// Posts mail to a worker, waiting for room. For the back office.
    ///
    /// # Errors
    /// Gives the mail back when the worker has ended.
    pub async fn deliver(&self, _to: WorkerId, _mail: M) -> Result<(), M> {
        unimplemented!()
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
#[derive(Debug)]
pub struct Running<M: Send + 'static> {
    postbox: Postbox<M>,
}

impl<M: Send + 'static> Running<M> {
    /// A way to post mail to the workers.
    pub fn postbox(&self) -> Postbox<M> {
        self.postbox.clone()
    }

    /// What each worker has counted so far, in their order.
    pub fn counts(&self) -> Vec<Counts> {
        unimplemented!()
    }

    /// Waits until some worker has ended, which without [`Self::stop`] only a panic brings about. Safe to cancel.
    pub async fn ended(&mut self) -> Ended {
        unimplemented!()
    }

    /// Stops: no connection is accepted from now on; each worker ends once it is drained
    /// ([`Handler::drained`]) and its connections are gone, at the latest after `patience`; then what is left is closed and
    /// the threads are joined. Blocks: call it from a blocking thread. Mail still arrives meanwhile, so the
    /// product posts its own order to drain first.
    pub fn stop(self, _patience: Duration) -> Vec<Ended> {
        unimplemented!()
    }
}

/// Starts one thread per worker. `make` is called once on each of these threads.
///
/// # Errors
/// A thread or its event queue cannot be made, or TLS cannot be set up.
pub fn run<H, F>(_listeners: Listeners, _setup: Setup, _make: F) -> io::Result<Running<H::Mail>>
where
    H: Handler,
    F: Fn(&Start<'_, H::Mail>) -> H + Send + Sync + 'static,
{
    unimplemented!()
}
