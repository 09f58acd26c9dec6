//! What a worker's core does for DTLS sessions: greets clients, sends what sessions leave, ends them, minds their timers.

use super::Entrance;
use super::{Hello, LARGEST_MESSAGE, Newcomer, Path, Session, Stage};
use crate::CloseReason;
use crate::core::{Core, Due, Manner};
use std::net::SocketAddr;
use wire::ConnectionId;

impl<M> Core<M> {
    /// Answers a ClientHello that no session has: a client that has not shown that it receives what is sent to it gets a
    /// cookie, and nothing is kept of it; one that returns its cookie gets a session.
    pub(crate) fn greet(
        &mut self,
        entrance: Entrance,
        path: Path,
        hello: &Hello<'_>,
        datagram: &[u8],
    ) -> Option<ConnectionId> {
        let time = self.now.saturating_duration_since(self.shared.started);
        let cookies = &self.shared.cookies;
        if cookies.is_valid(time, path.local, path.peer, hello) {
            return self.begin_session(entrance, path, hello, datagram);
        }
        let reply = cookies.reply(time, path.local, path.peer, hello);
        // Never more than was sent: it may go to somebody who did not ask.
        if reply.len() <= datagram.len() {
            self.outbox.send(path.socket, Some(path.local), path.peer, &reply);
        }
        None
    }

    fn begin_session(
        &mut self,
        entrance: Entrance,
        path: Path,
        hello: &Hello<'_>,
        datagram: &[u8],
    ) -> Option<ConnectionId> {
        let source = path.peer.ip();
        if !self.may_shake(source) {
            tracing::debug!(peer = %path.peer, "too many handshakes");
            return None;
        }
        let passes = self.shared.admission.admit(source).zip(self.shared.half_open.admit(source));
        let Some(passes) = passes else {
            self.counters.turned_away.add(1);
            tracing::debug!(peer = %path.peer, "too many connections");
            return None;
        };
        let side = self.shared.offer(entrance.row.spec).dtls.clone()?;
        let session = match Session::begin(&side, &mut self.dtls.pipe, datagram) {
            Ok(session) => session,
            Err(error) => {
                self.dtls.pipe.clear();
                self.counters.handshake_failures.add(1);
                tracing::debug!(peer = %path.peer, error, "no DTLS session");
                return None;
            }
        };
        let port = self.sockets.get(path.socket)?.local.port();
        let (local, random, tag) = (SocketAddr::new(path.local, port), hello.random, entrance.row.tag);
        let id = self.dtls.insert(self.now, Newcomer { session, path, local, tag, random, passes });
        self.counters.accepted.add(1);
        self.counters.open.add(1);
        Some(id)
    }

    /// Sends what the session that was at work has left to be sent.
    pub(crate) fn send_sealed(&mut self, path: Path) {
        for datagram in self.dtls.pipe.leaving() {
            self.outbox.send(path.socket, Some(path.local), path.peer, datagram);
        }
        self.dtls.pipe.clear();
    }

    /// Sends a message in a record of its own.
    pub(crate) fn seal(&mut self, id: ConnectionId, message: &[u8]) {
        let Some((peer, pipe, _)) = self.dtls.at_work(id) else { return };
        let (path, open) = (peer.path, matches!(peer.stage, Stage::Open { .. }));
        if open && (message.len() > LARGEST_MESSAGE || !peer.session.seal(pipe, message)) {
            self.counters.datagrams_dropped.add(1);
        }
        self.send_sealed(path);
    }

    /// Ends a session: its handler is told if it has seen it, and its peer if that is orderly.
    pub(crate) fn end_session(&mut self, id: ConnectionId, reason: CloseReason, manner: Manner) {
        let Some((peer, pipe, _)) = self.dtls.at_work(id) else { return };
        let (path, stage) = (peer.path, std::mem::replace(&mut peer.stage, Stage::Gone));
        match stage {
            Stage::Gone => return,
            Stage::Handshaking => {
                self.counters.handshake_failures.add(1);
                tracing::debug!(connection = %id, peer = %path.peer, ?reason, "no DTLS session");
                return self.drop_session(id);
            }
            Stage::Open { .. } => {}
        }
        if manner == Manner::Orderly {
            peer.session.seal_close(pipe);
            self.send_sealed(path);
        }
        // From now on its peer may begin anew.
        self.dtls.forget_path(id);
        self.timers.cancel(Due::Session(id.slot));
        self.chores.endings.push_back((id, reason));
    }

    /// Removes a session of which nobody needs to know any more.
    pub(crate) fn drop_session(&mut self, id: ConnectionId) {
        self.timers.cancel(Due::Session(id.slot));
        self.dtls.remove(id);
        self.counters.open.take(1);
    }

    /// Sets the timer of a session for its stage.
    pub(crate) fn mind_session(&mut self, id: ConnectionId) {
        let (limits, now) = (&self.shared.limits, self.now);
        let Some(peer) = self.dtls.get(id) else { return };
        let at = match peer.stage {
            Stage::Handshaking => {
                let end = peer.since + limits.handshake;
                peer.session.retransmits_in().map_or(end, |wait| end.min(now + wait))
            }
            Stage::Open { fresh: true } => peer.since + limits.first_byte,
            Stage::Open { fresh: false } => peer.heard + limits.session_idle,
            Stage::Gone => return,
        };
        self.timers.set(Due::Session(id.slot), at);
    }

    /// The timer of a session rang.
    pub(crate) fn session_timeout(&mut self, slot: u32) {
        let Some(id) = self.dtls.id_at(slot) else { return };
        let Some(peer) = self.dtls.get(id) else { return };
        let (limits, now) = (&self.shared.limits, self.now);
        match peer.stage {
            Stage::Handshaking if now >= peer.since + limits.handshake => {
                self.end_session(id, CloseReason::HandshakeTimeout, Manner::AtOnce);
            }
            Stage::Handshaking => self.retransmit(id),
            Stage::Open { fresh: true } => self.end_session(id, CloseReason::Silent, Manner::Orderly),
            Stage::Open { fresh: false } if now >= peer.heard + limits.session_idle => {
                self.end_session(id, CloseReason::Silent, Manner::Orderly);
            }
            Stage::Open { fresh: false } => self.mind_session(id),
            Stage::Gone => {}
        }
    }

    fn retransmit(&mut self, id: ConnectionId) {
        let Some((peer, pipe, _)) = self.dtls.at_work(id) else { return };
        let (path, goes_on) = (peer.path, peer.session.retransmit(pipe));
        self.send_sealed(path);
        if goes_on {
            self.mind_session(id);
        } else {
            self.end_session(id, CloseReason::HandshakeTimeout, Manner::AtOnce);
        }
    }
}
