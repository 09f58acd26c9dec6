//! The loop of one worker: wait for mail, sockets or a deadline; let the handler see it; carry out what it asks for.
//!
//! All of the worker's files hang in one event queue of its own, which the thread's runtime waits for as for one file. So
//! a wake-up costs the runtime once, however many files have news, and an idle socket costs no task.

mod accept;
mod arrive;
mod converse;
mod gates;
mod settle;

use crate::core::{Core, Due, Manner};
use crate::running::{Envelope, Order};
use crate::stream::Phase;
use crate::sys::{Arrivals, Interest};
use crate::token::Token;
use crate::{CloseReason, Handler, Net};
pub(crate) use accept::{Door, Doors};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::time::Sleep;
use wire::Epoch;

/// How often the calendar is looked at.
const EPOCH_AGE: Duration = Duration::from_secs(5);
/// Pieces of mail taken at one time.
const LETTERS: usize = 64;
/// Octets read from a stream at one time.
const SCRATCH: usize = 64 << 10;

/// One moment on both clocks.
pub(crate) fn epoch(now: Instant) -> Epoch {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Epoch { instant: now, unix }
}

/// A worker: its handler, its core, and the buffers that it lends to the handler.
pub(crate) struct Worker<H: Handler> {
    handler: H,
    core: Core<H::Mail>,
    doors: Doors,
    arrivals: Arrivals,
    scratch: Box<[u8]>,
    inbox: Receiver<Envelope<H::Mail>>,
    orders: UnboundedReceiver<Order>,
    letters: Vec<Envelope<H::Mail>>,
    /// When to stop at the latest, once that was ordered.
    stopping: Option<Instant>,
}

impl<H: Handler> Worker<H> {
    pub(crate) fn new(
        handler: H,
        core: Core<H::Mail>,
        doors: Doors,
        inbox: Receiver<Envelope<H::Mail>>,
        orders: UnboundedReceiver<Order>,
    ) -> Self {
        Self {
            handler,
            core,
            doors,
            arrivals: Arrivals::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            inbox,
            orders,
            letters: Vec::with_capacity(LETTERS),
            stopping: None,
        }
    }

    /// Works until it is told to stop and nothing is left, or the time for that is up.
    pub(crate) async fn work(mut self) -> io::Result<()> {
        let queue = self.core.events.awaitable()?;
        let mut alarm = Alarm::new(self.core.now);
        self.settle();
        while !self.is_finished() {
            let due = self.next_due();
            poll_fn(|cx| self.poll_news(cx, &queue, &mut alarm, due)).await;
            self.round();
        }
        self.leave();
        Ok(())
    }

    /// Ready when there is anything to do. Fetches orders and mail on the way.
    fn poll_news(
        &mut self,
        cx: &mut Context<'_>,
        queue: &AsyncFd<OwnedFd>,
        alarm: &mut Alarm,
        due: Option<Instant>,
    ) -> Poll<()> {
        let mut news = self.core.stirred;
        while let Poll::Ready(order) = self.orders.poll_recv(cx) {
            // Nobody holds the workers any more: that is an order to stop at once.
            let ended = order.is_none();
            self.obey(order.unwrap_or(Order::Stop(self.core.now)));
            news = true;
            if ended {
                break;
            }
        }
        news |= self.inbox.poll_recv_many(cx, &mut self.letters, LETTERS).is_ready();
        if let Poll::Ready(Ok(mut guard)) = queue.poll_read_ready(cx) {
            // Cleared before the queue is read: what happens afterwards is told again.
            guard.clear_ready();
            self.core.stirred = true;
            news = true;
        }
        news |= alarm.poll(cx, due).is_ready();
        if news { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Lets everything happen that there is to do now.
    fn round(&mut self) {
        self.core.counters.wakeups.add(1);
        self.core.now = Instant::now();
        if self.core.now.saturating_duration_since(self.core.epoch.instant) > EPOCH_AGE {
            self.core.epoch = epoch(self.core.now);
        }
        self.read_mail();
        if std::mem::take(&mut self.core.stirred) {
            self.read_events();
        }
        while let Some(due) = self.core.timers.pop(self.core.now) {
            self.timeout(due);
            self.settle();
        }
        if self.handler.deadline().is_some_and(|at| at <= self.core.now) {
            self.handler.tick(&mut Net::new(&mut self.core));
            self.settle();
        }
    }

    fn read_events(&mut self) {
        let count = self.core.events.fetch();
        self.core.stirred = self.core.events.was_full();
        for index in 0..count {
            let event = self.core.events.get(index);
            match Token::unpack(event.token) {
                Token::Datagram(socket) => self.datagram_event(socket, event),
                Token::Stream { slot, generation } => self.stream_event(slot, generation, event),
                Token::Listener(index) => self.accept(index),
            }
            self.settle();
        }
    }

    fn read_mail(&mut self) {
        if self.letters.is_empty() {
            return;
        }
        self.core.counters.mail.add(self.letters.len());
        let mut letters = std::mem::take(&mut self.letters);
        for letter in letters.drain(..) {
            match letter {
                Envelope::Mail(mail) => self.handler.mail(&mut Net::new(&mut self.core), mail),
                Envelope::Stream(stream, baggage) => self.adopt(stream, baggage),
            }
        }
        self.letters = letters;
        self.settle();
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Stop(by) => {
                self.doors.close();
                self.stopping = Some(self.stopping.map_or(by, |earlier| earlier.min(by)));
            }
        }
    }

    fn timeout(&mut self, due: Due) {
        let slot = match due {
            Due::Stream(slot) => slot,
            Due::Listener(index) => return self.doors.reopen(index, &mut self.core),
            Due::Gate(socket) => return self.watch_gate(socket, Interest::READ),
        };
        let Some(id) = self.core.streams.id_at(slot) else { return };
        let phase = self.core.streams.get(id).map_or(Phase::Gone, |stream| stream.phase);
        let (reason, manner) = match phase {
            Phase::Connecting => (CloseReason::Failed(io::ErrorKind::TimedOut), Manner::AtOnce),
            Phase::Handshaking | Phase::Securing => (CloseReason::HandshakeTimeout, Manner::AtOnce),
            Phase::Open => (CloseReason::Silent, Manner::Orderly),
            Phase::Closing | Phase::Gone => (CloseReason::Shutdown, Manner::AtOnce),
        };
        self.core.end(id, reason, manner);
    }

    fn next_due(&self) -> Option<Instant> {
        [self.handler.deadline(), self.core.timers.next(), self.stopping].into_iter().flatten().min()
    }

    fn is_finished(&self) -> bool {
        self.stopping
            .is_some_and(|by| self.core.now >= by || (self.core.streams.len() == 0 && self.handler.drained()))
    }

    /// Closes what is left; the kernel sends what it has taken.
    fn leave(&mut self) {
        for id in self.core.streams.ids() {
            self.core.end(id, CloseReason::Shutdown, Manner::Orderly);
        }
        self.settle();
    }
}

/// A timer that is set anew only when it would ring too late.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set: Option<Instant>,
}

impl Alarm {
    fn new(now: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(now.into())), set: None }
    }

    /// Ready at `due`, or somewhat earlier where an earlier moment had been asked for.
    fn poll(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        if self.set.is_none_or(|set| due < set) {
            self.sleep.as_mut().reset(due.into());
            self.set = Some(due);
        }
        let rung = self.sleep.as_mut().poll(cx);
        if rung.is_ready() {
            self.set = None;
        }
        rung
    }
}
