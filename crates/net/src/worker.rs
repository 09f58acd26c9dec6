//! The loop of one worker: wait for mail, sockets or a deadline; let the handler see it; carry out what it asks for.
//!
//! All of the worker's files hang in one event queue, and the thread waits for nothing else: mail and orders ring a bell
//! that hangs there too. So a wake-up is one system call, however many files have news, and an idle socket costs no task.

mod accept;
mod arrive;
mod converse;
mod gates;
mod relisten;
mod sealed;
mod settle;
mod upgrade;

use crate::core::{Core, Due, Manner};
use crate::gathering::Gathering;
use crate::listen::Change;
use crate::running::{Envelope, Order};
use crate::stream::Phase;
use crate::sys::{self, Alarm, Arrivals, Bell, Interest};
use crate::token::Token;
use crate::{CloseReason, Handler, Net};
use accept::Doors;
pub(crate) use relisten::Leaving;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use wire::Epoch;

/// How often the calendar is looked at.
const EPOCH_AGE: Duration = Duration::from_secs(5);
/// Pieces of mail taken at one time.
const LETTERS: usize = 64;
/// After so many events streams are flushed, though there are more: nobody waits for an answer longer than these take.
const ROUND: usize = 32;
/// Octets read from a stream at one time.
const SCRATCH: usize = 64 << 10;
/// Octets that one round reads of all streams together, unless there are so many that each would have less than this.
const FEAST: usize = 512 << 10;
const LEAST: usize = 8 << 10;

/// One moment on both clocks.
pub(crate) fn epoch(now: Instant) -> Epoch {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Epoch { instant: now, unix }
}

/// Where a worker hears from other threads.
pub(crate) struct Ears<M> {
    pub(crate) inbox: Receiver<Envelope<M>>,
    pub(crate) orders: UnboundedReceiver<Order>,
    /// Rung when there is something in either that was not there when they were looked at last.
    pub(crate) bell: Arc<Bell>,
}

/// A worker: its handler, its core, and the buffers that it lends to the handler.
pub(crate) struct Worker<H: Handler> {
    handler: H,
    core: Core<H::Mail>,
    doors: Doors,
    arrivals: Arrivals,
    scratch: Box<[u8]>,
    /// Octets that this round reads of one stream.
    portion: usize,
    ears: Ears<H::Mail>,
    /// Whether there may be mail that the bell does not tell of.
    listening: bool,
    alarm: Alarm,
    /// Whether a deadline may have come.
    due: bool,
    gathering: Gathering,
    /// Whether there was a rest before this round: then sockets may have more than they use to.
    rested: bool,
    /// Whether a socket had as many datagrams as are taken at one time: it may have more.
    crowded: bool,
    letters: Vec<Envelope<H::Mail>>,
    /// When to stop at the latest, once that was ordered.
    stopping: Option<Instant>,
}

impl<H: Handler> Worker<H> {
    pub(crate) fn new(
        handler: H,
        core: Core<H::Mail>,
        change: Change,
        ears: Ears<H::Mail>,
    ) -> io::Result<Self> {
        core.events.add(&*ears.bell, Token::Bell.pack(), Interest::READ)?;
        let alarm = Alarm::new()?;
        let gathering = Gathering::new(core.shared.limits.gathering, core.now);
        if !core.shared.limits.gathering.is_zero() {
            sys::wake_in_time();
        }
        core.events.add(&alarm, Token::Alarm.pack(), Interest::READ)?;
        let mut worker = Self {
            handler,
            core,
            doors: Doors::default(),
            arrivals: Arrivals::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            portion: FEAST,
            ears,
            listening: true,
            alarm,
            due: false,
            gathering,
            rested: false,
            crowded: false,
            letters: Vec::with_capacity(LETTERS),
            stopping: None,
        };
        worker.relisten(change)?;
        Ok(worker)
    }

    /// Works until it is told to stop and nothing is left, or the time for that is up.
    pub(crate) fn work(mut self) {
        self.begin();
        while !self.is_finished() {
            self.turn();
        }
        self.leave();
    }

    /// What the handler wishes for at the beginning, and mail that came before.
    pub(crate) fn begin(&mut self) {
        self.handler.begin(&mut Net::new(&mut self.core));
        self.settle();
        self.listen();
    }

    /// Waits for news, and lets everything happen that there is to do then.
    pub(crate) fn turn(&mut self) {
        self.due = self.is_due();
        let block = !self.listening && !self.due;
        let count = self.core.events.wait(block);
        self.round(count);
        self.gather();
    }

    /// Whether the next deadline has come; if not, the alarm is set for it.
    fn is_due(&mut self) -> bool {
        let Some(due) = self.next_due() else { return false };
        let now = self.core.now;
        if due > now {
            self.alarm.set(now, due);
        }
        due <= now
    }

    /// Takes in orders and mail. What comes afterwards rings the bell, once neither had anything more.
    fn listen(&mut self) {
        let waker = Waker::from(Arc::clone(&self.ears.bell));
        let mut cx = Context::from_waker(&waker);
        while let Poll::Ready(order) = self.ears.orders.poll_recv(&mut cx) {
            // Nobody holds the workers any more: that is an order to stop at once.
            let ended = order.is_none();
            self.obey(order.unwrap_or(Order::Stop(self.core.now)));
            if ended {
                break;
            }
        }
        let polled = self.ears.inbox.poll_recv_many(&mut cx, &mut self.letters, LETTERS);
        // None at all: nobody can send any more.
        self.listening = matches!(polled, Poll::Ready(1..));
        self.read_mail();
    }

    /// Lets everything happen that there is to do now.
    fn round(&mut self, events: usize) {
        self.core.counters.wakeups.add(1);
        self.core.now = Instant::now();
        if self.core.now.saturating_duration_since(self.core.epoch.instant) > EPOCH_AGE {
            self.core.epoch = epoch(self.core.now);
        }
        if self.listening {
            self.listen();
        }
        self.portion = FEAST / events.clamp(1, FEAST / LEAST);
        // What several events have for one stream leaves together: one record, one system call.
        for index in 0..events {
            self.event(index);
            let pause = index + 1 == events || index % ROUND == ROUND - 1;
            if pause || self.core.chores.hurry { self.settle() } else { self.attend() }
        }
        while let Some(due) = self.core.timers.pop(self.core.now) {
            self.timeout(due);
            self.settle();
        }
        // A deadline that this round has made is looked at before the next.
        if self.due && self.handler.deadline().is_some_and(|at| at <= self.core.now) {
            self.handler.tick(&mut Net::new(&mut self.core));
            self.settle();
        }
    }

    /// Rests, where that pays, until more has come.
    fn gather(&mut self) {
        let received = self.core.counters.datagrams_in.get();
        let until =
            self.gathering.rest(self.core.now, received).filter(|_| !std::mem::take(&mut self.crowded));
        if let Some(until) = until {
            sys::rest(until.saturating_duration_since(Instant::now()));
        }
        self.rested = until.is_some();
    }

    fn event(&mut self, index: usize) {
        let event = self.core.events.get(index);
        match Token::unpack(event.token) {
            Token::Datagram(socket) => self.datagram_event(socket, event),
            Token::Stream { slot, generation } => self.stream_event(slot, generation, event),
            Token::Listener(index) => {
                // Streams that have ended before, in this round, give their places to those that come.
                self.settle();
                self.accept(index);
            }
            Token::Alarm => {
                self.alarm.silence();
                self.due = true;
            }
            Token::Bell => {
                // Silenced before anything is taken: what comes afterwards rings again.
                self.ears.bell.silence();
                self.listen();
            }
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
            // It has ended, or will shortly: nothing new is listened to.
            Order::Listen(..) if self.stopping.is_some() => {}
            Order::Listen(change, done) => {
                if let Err(error) = self.relisten(*change) {
                    tracing::error!(%error, "a listener is lost");
                }
                // Whoever ordered it may have gone away meanwhile.
                let _ = done.send(());
            }
        }
    }

    fn timeout(&mut self, due: Due) {
        let slot = match due {
            Due::Stream(slot) => slot,
            Due::Listener(index) => return self.doors.reopen(index, &mut self.core),
            Due::Gate(socket) => return self.watch_gate(socket, Interest::READ),
            Due::Session(slot) => return self.core.session_timeout(slot),
            Due::Retired => return self.look_at_retired(),
        };
        let Some(id) = self.core.streams.id_at(slot) else { return };
        let stream = self.core.streams.get(id);
        if stream.is_some_and(|stream| stream.phase == Phase::Open && stream.web.is_some()) {
            return self.core.beat(id);
        }
        let phase = stream.map_or(Phase::Gone, |stream| stream.phase);
        let (reason, manner) = match phase {
            Phase::Connecting => (CloseReason::Failed(io::ErrorKind::TimedOut), Manner::AtOnce),
            Phase::Announcing | Phase::Handshaking | Phase::Securing => {
                (CloseReason::HandshakeTimeout, Manner::AtOnce)
            }
            Phase::Asking | Phase::Open => (CloseReason::Silent, Manner::Orderly),
            Phase::Closing | Phase::Gone => (CloseReason::Shutdown, Manner::AtOnce),
        };
        self.core.end(id, reason, manner);
    }

    fn next_due(&self) -> Option<Instant> {
        [self.handler.deadline(), self.core.timers.next(), self.stopping].into_iter().flatten().min()
    }

    fn is_finished(&self) -> bool {
        self.stopping.is_some_and(|by| {
            self.core.now >= by || (self.core.open_connections() == 0 && self.handler.drained())
        })
    }

    /// Closes what is left; the kernel sends what it has taken.
    fn leave(&mut self) {
        for id in self.core.streams.ids().into_iter().chain(self.core.dtls.ids()) {
            self.core.end(id, CloseReason::Shutdown, Manner::Orderly);
        }
        self.settle();
    }
}
