//! The streams of TURN clients: who is at the other end, and how long one may stay without an allocation.

use net::{Begins, ConnectionInfo};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};
use turn::Client;
use wire::{ConnectionId, Flow, Timers};

/// Whether a stream begins as a client's of STUN or TURN: with a message (RFC 8489 §5) of a method that there is; channels come
/// later.
pub fn begins(bytes: &[u8]) -> Begins {
    let may = bytes.first().is_none_or(|first| *first <= 1) && bytes.get(3).is_none_or(|last| last % 4 == 0);
    match may {
        true => Begins::with(bytes.get(4..).unwrap_or_default(), &COOKIE),
        false => Begins::No,
    }
}

/// The magic cookie.
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();

/// How long a stream without an allocation may go without a request: a slow or silent sender keeps nothing for longer.
const SILENCE: Duration = Duration::from_secs(60);

/// Every stream of one worker's TURN clients; net bounds how many there are.
#[derive(Debug, Default)]
pub(super) struct Streams {
    clients: FxHashMap<ConnectionId, Client>,
    /// Those without an allocation, and when they are closed.
    strangers: Timers<ConnectionId>,
}

impl Streams {
    /// A stream is ready.
    pub(super) fn open(&mut self, now: Instant, conn: ConnectionId, info: &ConnectionInfo) {
        let ConnectionInfo { transport, local, peer, .. } = *info;
        let flow = Flow::Stream(conn);
        self.clients.insert(conn, Client { flow, transport, local: local.ip().to_canonical(), peer });
        self.watch(now, conn);
    }

    /// Every stream, in no order.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.clients.keys().copied()
    }

    /// Who is at the other end.
    pub(super) fn client(&self, conn: ConnectionId) -> Option<Client> {
        self.clients.get(&conn).copied()
    }

    /// From now on a stream has no allocation.
    pub(super) fn watch(&mut self, now: Instant, conn: ConnectionId) {
        if self.clients.contains_key(&conn) {
            self.strangers.set(conn, now + SILENCE);
        }
    }

    /// A request came.
    pub(super) fn heard(&mut self, now: Instant, flow: Flow, is_allocated: bool) {
        match flow {
            Flow::Stream(conn) if is_allocated => drop(self.strangers.cancel(conn)),
            Flow::Stream(conn) => self.watch(now, conn),
            Flow::Datagram { .. } => {}
        }
    }

    /// A stream is gone.
    pub(super) fn close(&mut self, conn: ConnectionId) {
        self.clients.remove(&conn);
        self.strangers.cancel(conn);
    }

    /// A stream that has been silent for too long; call until `None`.
    pub(super) fn silent(&mut self, now: Instant) -> Option<ConnectionId> {
        self.strangers.pop(now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.strangers.next()
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }
}
