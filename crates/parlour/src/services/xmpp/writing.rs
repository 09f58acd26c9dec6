//! What goes out on a client's connection: at once, or when there is room; and what becomes of what never does.

use super::client::{Client, written};
use super::{Timer, Xmpp};
use crate::desk::Desk;
use std::time::Duration;
use wire::ConnectionId;
use xmpp::managed::{self, Piece};
use xmpp::{framed, router};

/// How long to wait before a look whether a connection has taken what was written.
const FLUSH: Duration = Duration::from_millis(1);
/// The same, once it turned out to be slow.
const SLOW_FLUSH: Duration = Duration::from_millis(20);

impl Xmpp {
    /// Sends a piece, now or once there is room. A client that leaves too much unread is no client any more: what it
    /// has not had goes back to the router.
    pub(super) fn send(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, piece: Piece) {
        match piece {
            Piece::Bytes(said) if self.clients.get(&conn).is_some_and(|client| client.visit.is_some()) => {
                self.bosh_say(desk, conn, &said);
            }
            Piece::Bytes(said) if self.clients.get(&conn).is_some_and(|client| client.framed) => {
                for message in framed::outbound(&said) {
                    self.send_piece(desk, conn, Piece::Bytes(message.into_bytes()));
                }
            }
            piece => self.send_piece(desk, conn, piece),
        }
    }

    fn send_piece(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, piece: Piece) {
        let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) else {
            // What else was to be said to it nobody misses.
            if let Piece::Given(given) = piece {
                self.manage(desk, managed::Input::Unwritten { connection: conn, given });
            }
            return;
        };
        // What was read of it is done, and may be a thousand questions for all there is: the answers would fill the memory.
        if client.cut && !piece.is_missed() {
            return;
        }
        if client.visit.is_some() {
            return self.bosh_send(desk, conn, piece);
        }
        if client.unsent.is_empty() && desk.net.write(conn, &written(&piece, client.framed)).is_ok() {
            if let Some(receipt) = piece.receipt() {
                client.receipts.push(receipt);
                self.timers.set(Timer::Flush(conn), desk.net.now() + FLUSH);
            }
            return;
        }
        let most = if client.cut { usize::MAX } else { desk.shared.plan.xmpp.limits.unread };
        let Some(piece) = client.unsent.push(piece, most) else {
            return self.timers.set(Timer::Flush(conn), desk.net.now() + FLUSH);
        };
        client.unsent.push_anyway(piece);
        client.cut = true;
        self.cut.push(conn);
    }

    /// A client leaves too much unread. All that was read of it is done by now, but for what was not its turn yet: that
    /// counts as handled too.
    pub(super) fn cut_off(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        tracing::debug!(%conn, "a client does not read what it is sent");
        if self.clients.get(&conn).is_some_and(|client| client.visit.is_some()) {
            return self.depart(desk, conn);
        }
        self.hear_out(desk, conn);
        let Some(client) = self.clients.get_mut(&conn).filter(|client| !client.over) else { return };
        client.over = true;
        let unsent = std::mem::take(&mut client.unsent).into_pieces();
        // What it may still read of what was written is its own; the rest is given to another.
        desk.net.close(conn);
        self.lost(desk, conn, true, unsent);
    }

    /// Does what a client said before, though it was not its turn yet: nobody will be there to say it later.
    pub(super) fn hear_out(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        while let Some(client) = self.clients.get_mut(&conn) {
            client.paused = false;
            let Some(output) = client.waiting.pop_front() else { return };
            self.step(desk, conn, output);
        }
    }

    /// Writes what there is room for, and confirms what is taken.
    pub(super) fn flush(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn).filter(|client| client.is_pending()) else { return };
        let most = desk.shared.plan.network.limits.write_buffer;
        while let Some(octets) = write_next(desk, conn, client, most) {
            client.receipts.extend(client.unsent.advance(octets));
        }
        if !self.confirm(desk, conn) {
            self.timers.set(Timer::Flush(conn), desk.net.now() + SLOW_FLUSH);
        }
    }

    /// Confirms what the kernel has taken while the connection was whole, if that is all: it counts as received, as
    /// long as clients do not acknowledge stanzas themselves (XEP-0198). What was in doubt when it broke comes again.
    pub(super) fn confirm(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId) -> bool {
        let Some(client) = self.clients.get_mut(&conn) else { return true };
        if !client.unsent.is_empty() || desk.net.queued(conn) > 0 {
            return false;
        }
        for receipt in std::mem::take(&mut client.receipts) {
            self.route(desk, router::Input::Delivered(receipt));
        }
        true
    }
}

/// Writes as much of what comes next as there is room for; what is a message of its own goes whole or waits. How many
/// octets of it are written.
fn write_next(desk: &mut Desk<'_, '_>, conn: ConnectionId, client: &Client, most: usize) -> Option<usize> {
    if client.framed {
        let piece = client.unsent.first()?;
        return desk.net.write(conn, &written(piece, true)).ok().map(|()| piece.bytes().len());
    }
    let next = client.unsent.next(most.saturating_sub(desk.net.queued(conn)))?;
    let octets = next.len();
    (octets > 0 && desk.net.write(conn, next).is_ok()).then_some(octets)
}
