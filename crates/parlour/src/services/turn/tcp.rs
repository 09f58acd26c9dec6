//! Streams between TCP relays and their peers (RFC 6062): listening, connecting, and carrying bytes between a client's
//! connection and a peer's. Each waits for the other to take what it sent; an end of one half goes on as an end of that
//! half, so that nothing is lost at hang-up.

use super::{Mail, Turn};
use crate::config::plan;
use crate::desk::Desk;
use crate::marks;
use net::{ConnectionInfo, Tag};
use rustc_hash::FxHashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::attribute::PeerConnection;
use turn::server::{Bound, Unbound};
use turn::tcp::{Bind, CONNECTING, Effect, Event};
use turn::{Ask, Input};
use wire::{ConnectionId, Machine, Timers, WorkerId};

/// The mark of what listens for peers and of connections to them.
const PEER: Tag = marks::tag(plan::Service::Turn, 2);

/// How many octets may wait for one side to take them before the other is no longer read.
const QUEUE: usize = 64 * 1024;

/// How few it has to be before it is read again.
const ROOM: usize = 16 * 1024;

/// How long a connection is not read at a time as its bandwidth is used up; then it is seen whether it still is.
const PACED: Duration = Duration::from_secs(1);

/// How long one half may go on in silence after the other has ended. RFC 6062 §5.5 closes both at once; a client that
/// only ends its request shall still get its answer.
const HALF: Duration = Duration::from_secs(60);

/// One of two connections that are joined.
#[derive(Clone, Copy, Debug)]
struct Joined {
    other: ConnectionId,
    /// It has ended its half.
    ended: bool,
    /// It is not read as its bandwidth is used up.
    paced: bool,
}

/// The connections that are joined.
#[derive(Debug, Default)]
pub(super) struct Joins {
    pairs: FxHashMap<ConnectionId, Joined>,
    /// Those of which one half has ended, and when the silence of the other has lasted too long.
    halves: Timers<ConnectionId>,
    /// Those that have used up their bandwidth, and when they may go on.
    paced: Timers<ConnectionId>,
    /// What has just ceased to be a client's control connection: the rest of what came on it is not for the server.
    turned: Option<ConnectionId>,
}

impl Joins {
    /// Whether a connection has just ceased to carry messages.
    pub(super) fn has_turned(&mut self, conn: ConnectionId) -> bool {
        self.turned.take() == Some(conn)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.halves.next(), self.paced.next()].into_iter().flatten().min()
    }

    fn end(&mut self, conn: ConnectionId) {
        self.pairs.remove(&conn);
        self.halves.cancel(conn);
        self.paced.cancel(conn);
    }
}

impl Turn {
    pub(super) fn tcp(&mut self, desk: &mut Desk<'_, '_>, effect: Effect) {
        match effect {
            Effect::Listen { ask, local } => self.open_listener(desk, ask, local),
            Effect::Connect { id, local, to } => self.dial(desk, id, local, to),
            Effect::Move { conn, to, bind } => self.move_bind(desk, conn, to, bind),
            Effect::Join { client, peer } => self.join(desk, client, peer),
            Effect::Close(conn) => desk.net.close(conn),
            Effect::Abort(conn) => desk.net.abort(conn),
        }
    }

    fn open_listener(&mut self, desk: &mut Desk<'_, '_>, ask: Ask, local: SocketAddr) {
        let result = match desk.net.bind_stream(local, PEER) {
            Ok((socket, local)) => Ok(Bound { socket, local }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Unbound::InUse),
            Err(error) => {
                tracing::warn!(%error, address = %local.ip(), "no relay can listen");
                Err(Unbound::Failed)
            }
        };
        self.server.handle(desk.net.now(), Input::Relay { ask, result });
    }

    fn dial(&mut self, desk: &mut Desk<'_, '_>, id: PeerConnection, local: SocketAddr, to: SocketAddr) {
        let conn = desk.net.connect_from(local, to, PEER, CONNECTING);
        self.server.handle(desk.net.now(), Input::Tcp(Event::Dialled { id, conn }));
    }

    fn move_bind(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, to: WorkerId, bind: Box<Bind>) {
        match desk.net.migrate(conn, to, crate::mail::Mail::Turn(Mail::Bind(bind))) {
            Ok(()) => {
                self.streams.close(conn);
                self.joins.turned = Some(conn);
            }
            Err(crate::mail::Mail::Turn(Mail::Bind(bind))) => {
                self.server.handle(desk.net.now(), Input::Tcp(Event::Stayed(bind)));
            }
            Err(_) => {}
        }
    }

    /// A client's connection came from another worker, to be joined to one that is kept here.
    pub fn adopted(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        info: &ConnectionInfo,
        baggage: Mail,
    ) {
        let Mail::Bind(bind) = baggage else { return desk.net.abort(conn) };
        // Should it not be joined, it may ask for something else.
        self.streams.open(desk.net.now(), conn, info);
        self.handle(desk, Input::Tcp(Event::Came { conn, bind }));
    }

    fn join(&mut self, desk: &mut Desk<'_, '_>, client: ConnectionId, peer: ConnectionId) {
        self.streams.close(client);
        self.joins.turned = Some(client);
        for (conn, other) in [(client, peer), (peer, client)] {
            self.joins.pairs.insert(conn, Joined { other, ended: false, paced: false });
            desk.net.keep_half(conn);
            // Has what came already offered once more.
            desk.net.pause(conn);
            desk.net.resume(conn);
        }
    }

    /// Whether a connection belongs to a peer: its role, not a client's.
    pub(super) fn peer_opened(
        &mut self,
        desk: &mut Desk<'_, '_>,
        conn: ConnectionId,
        info: &ConnectionInfo,
    ) -> bool {
        if info.tag != PEER {
            return false;
        }
        // Nobody takes what it says until it is joined.
        desk.net.pause(conn);
        let event = match info.listener {
            Some(socket) => Event::Attempt { socket, peer: info.peer, conn },
            None => Event::Connected(conn),
        };
        self.handle(desk, Input::Tcp(event));
        true
    }

    /// Bytes of one joined connection go to the other as far as that has room, and if there is bandwidth left: others of
    /// the account may have used it up since this one was read last.
    pub(super) fn carry(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize {
        let Some(&Joined { other, .. }) = self.joins.pairs.get(&conn) else { return data.len() };
        let may_pass = self.server.stream_carried(desk.net.now(), conn, 0).is_zero();
        let fits = data.len().min(QUEUE.saturating_sub(desk.net.queued(other)));
        let taken = if may_pass && desk.net.write(other, &data[..fits]).is_ok() { fits } else { 0 };
        let wait = self.server.stream_carried(desk.net.now(), conn, taken);
        self.pace(desk, conn, wait.min(PACED));
        if taken < data.len() || desk.net.queued(other) >= QUEUE {
            desk.net.pause(conn);
            desk.net.await_room(other, ROOM);
        }
        if self.joins.pairs.get(&other).is_some_and(|joined| joined.ended) {
            self.joins.halves.set(other, desk.net.now() + HALF);
        }
        taken
    }

    /// One side has taken enough for the other to go on.
    pub(super) fn has_room(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(&Joined { other, .. }) = self.joins.pairs.get(&conn) else { return };
        if self.joins.pairs.get(&other).is_some_and(|joined| !joined.paced) {
            desk.net.resume(other);
        }
    }

    /// Does not read a connection for a while.
    fn pace(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        if let Some(joined) = self.joins.pairs.get_mut(&conn) {
            joined.paced = true;
            self.joins.paced.set(conn, desk.net.now() + wait);
            desk.net.pause(conn);
        }
    }

    /// Reads what has waited for its bandwidth, as far as the other side has room.
    pub(super) fn resume_paced(&mut self, desk: &mut Desk<'_, '_>) {
        while let Some(conn) = self.joins.paced.pop(desk.net.now()) {
            let Some(joined) = self.joins.pairs.get_mut(&conn) else { continue };
            joined.paced = false;
            desk.net.await_room(joined.other, ROOM);
        }
    }

    /// One side has ended its half: so does ours towards the other, behind everything that came before.
    pub(super) fn half_ended(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(joined) = self.joins.pairs.get_mut(&conn) else { return desk.net.close(conn) };
        joined.ended = true;
        desk.net.finish(joined.other);
        self.joins.halves.set(conn, desk.net.now() + HALF);
    }

    /// A connection is gone, and so the one that is joined to it.
    pub(super) fn peer_closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        self.joins.end(conn);
        self.handle(desk, Input::Tcp(Event::Gone(conn)));
    }

    /// Closes what has gone on in silence for too long.
    pub(super) fn close_halves(&mut self, desk: &mut Desk<'_, '_>) {
        while let Some(conn) = self.joins.halves.pop(desk.net.now()) {
            desk.net.close(conn);
        }
    }
}
