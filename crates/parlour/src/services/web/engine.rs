//! One HTTP connection as a machine: hyper's futures, polled whenever one of them was woken, without a runtime and
//! without waiting.

use super::exchange::Front;
use super::pipe::Pipe;
use crate::config::plan::WebLimits;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Header fields of one request.
const FIELDS: usize = 100;

/// What a client may send of bodies, of one request and of all of a connection, before it hears that it was read.
const WINDOW: u32 = 64 << 10;

/// Whether something wants to be polled.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future that is polled when it was woken.
pub(super) struct Task {
    /// Until it is over.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    flag: Arc<Flag>,
}

impl Task {
    pub(super) fn new(future: impl Future<Output = ()> + 'static) -> Self {
        Self { future: Some(Box::pin(future)), flag: Flag::new() }
    }

    /// Polls it if it was woken: whether it is over, if so.
    pub(super) fn advance(&mut self) -> Option<bool> {
        let future = self.future.as_mut()?;
        let waker = self.flag.taken()?;
        let is_over = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if is_over {
            self.future = None;
        }
        Some(is_over)
    }
}

impl Flag {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    /// What to poll with, where it was woken.
    pub(super) fn taken(self: &Arc<Self>) -> Option<Waker> {
        self.0.swap(false, Ordering::Relaxed).then(|| Waker::from(Arc::clone(self)))
    }
}

/// What hyper wants to run beside a connection: an exchange each.
#[derive(Clone, Default)]
pub(super) struct Tasks(Rc<RefCell<Vec<Task>>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.borrow_mut().push(Task::new(future));
    }
}

enum Connection {
    One(Box<http1::Connection<Pipe, Front>>),
    Two(Pin<Box<http2::Connection<Pipe, Front, Tasks>>>),
}

/// The server's side of a connection.
pub(super) struct Engine {
    connection: Connection,
    flag: Arc<Flag>,
    started: Tasks,
    running: Vec<Task>,
    is_over: bool,
}

impl Engine {
    /// HTTP/1.1 (RFC 9112).
    pub(super) fn one(pipe: Pipe, front: Front, limits: &WebLimits) -> Self {
        let mut http = http1::Builder::new();
        http.max_headers(FIELDS).max_buf_size(limits.head.max(8192)).max_header_size(limits.head);
        Self::new(Connection::One(Box::new(http.serve_connection(pipe, front))), Tasks::default())
    }

    /// HTTP/2 (RFC 9113).
    pub(super) fn two(pipe: Pipe, front: Front, limits: &WebLimits) -> Self {
        let tasks = Tasks::default();
        let mut http = http2::Builder::new(tasks.clone());
        http.max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(4 * WINDOW)
            .max_send_buf_size(WINDOW as usize);
        Self::new(Connection::Two(Box::pin(http.serve_connection(pipe, front))), tasks)
    }

    fn new(connection: Connection, started: Tasks) -> Self {
        Self { connection, flag: Flag::new(), started, running: Vec::new(), is_over: false }
    }

    /// Whether HTTP/1.1 is spoken.
    pub(super) fn is_one(&self) -> bool {
        matches!(self.connection, Connection::One(_))
    }

    /// Polls what was woken, once each; whether there was anything.
    pub(super) fn advance(&mut self) -> bool {
        let mut moved = false;
        if !self.is_over
            && let Some(waker) = self.flag.taken()
        {
            moved = true;
            self.is_over = self.poll(&mut Context::from_waker(&waker)).is_ready();
        }
        self.running.append(&mut self.started.0.borrow_mut());
        self.running.retain_mut(|task| match task.advance() {
            Some(is_over) => {
                moved = true;
                !is_over
            }
            None => true,
        });
        moved
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let result = match &mut self.connection {
            Connection::One(connection) => connection.poll_without_shutdown(context),
            Connection::Two(connection) => connection.as_mut().poll(context),
        };
        result.map(|result| {
            if let Err(error) = result {
                tracing::debug!(%error, "an HTTP connection ends");
            }
        })
    }

    /// Takes no further request; ends when those under way are answered.
    pub(super) fn finish(&mut self) {
        match &mut self.connection {
            Connection::One(connection) => Pin::new(connection.as_mut()).graceful_shutdown(),
            Connection::Two(connection) => connection.as_mut().graceful_shutdown(),
        }
        Arc::clone(&self.flag).wake();
    }

    /// What it has read and not understood, when it is over.
    pub(super) fn rest(self) -> Vec<u8> {
        match self.connection {
            Connection::One(connection) => connection.into_parts().read_buf.to_vec(),
            Connection::Two(_) => Vec::new(),
        }
    }

    /// Whether nothing more comes of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}
