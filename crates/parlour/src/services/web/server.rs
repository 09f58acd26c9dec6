//! Connections to the web server behind us: each is opened for one request of one client and carries what comes of it,
//! which is the rest of the client's connection where both change the protocol (WebSockets).

use super::engine::Task;
use super::exchange::{Upload, Word};
use super::pipe::Pipe;
use super::share::Way;
use super::{BACKLOG, Client, Timer, Web};
use crate::config::plan;
use crate::desk::Desk;
use crate::marks;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use net::Tag;
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wire::ConnectionId;

/// The mark of such connections.
pub(super) const TAG: Tag = marks::tag(plan::Service::Web, 2);

/// Octets of the head of an answer.
const HEAD: usize = 64 << 10;

/// A connection to the web server behind us.
pub(super) struct Server {
    /// For whom.
    pub(super) client: ConnectionId,
    pub(super) pipe: Pipe,
    task: Task,
    /// What came behind an answer that has changed the protocol.
    rest: Rc<Cell<Option<Bytes>>>,
    /// It is closed.
    pub(super) gone: bool,
    paused: bool,
    /// Held as long as it is.
    _way: Way,
}

impl Server {
    /// One that is being opened, and what requests are sent by.
    fn new(client: ConnectionId, way: Way) -> Option<(Self, SendRequest<Upload>)> {
        let pipe = Pipe::default();
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD);
        let handshake = pin!(builder.handshake::<_, Upload>(pipe.clone()));
        // There is nothing to wait for in a handshake of HTTP/1.1.
        let Poll::Ready(made) = handshake.poll(&mut Context::from_waker(Waker::noop())) else { return None };
        let (sender, connection) = made.ok()?;
        let rest = Rc::new(Cell::new(None));
        let behind = Rc::clone(&rest);
        let task = Task::new(async move {
            match connection.without_shutdown().await {
                Ok(parts) => behind.set(Some(parts.read_buf)),
                Err(error) => tracing::debug!(%error, "the web server behind us"),
            }
        });
        Some((Self { client, pipe, task, rest, gone: false, paused: false, _way: way }, sender))
    }

    /// Lets it do what it can do now: whether there was anything.
    fn advance(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) -> bool {
        let moved = self.task.advance().is_some();
        let sent = !self.gone && super::flush(desk, &self.pipe, conn);
        let is_full = self.pipe.unread() > BACKLOG;
        if !self.gone {
            super::restrain(desk, conn, &mut self.paused, is_full);
        }
        moved || sent
    }
}

impl Web {
    /// Opens a connection for an exchange.
    pub(super) fn connect(&mut self, desk: &mut Desk<'_, '_>, id: u64, servers: &mut Vec<ConnectionId>) {
        let (Some(slot), site) = (self.hub.slot(id), self.hub.site()) else { return };
        let made = match site.upstream {
            Some(address) if self.servers.len() < site.limits.upstream => {
                let way = Way::new(&slot.share, site.limits.upstream);
                let made = way.and_then(|way| Server::new(slot.conn, way));
                made.map(|(server, sender)| (address, server, sender))
            }
            _ => None,
        };
        let Some((address, server, sender)) = made else { return slot.tell(Word::Full) };
        let conn = desk.net.connect(address, None, TAG);
        self.servers.insert(conn, Box::new(server));
        servers.push(conn);
        slot.tell(Word::Server(conn, sender));
    }

    /// Lets the servers of a client do what they can do now; whether there was anything.
    pub(super) fn advance_servers(
        &mut self,
        desk: &mut Desk<'_, '_>,
        servers: &mut Vec<ConnectionId>,
    ) -> bool {
        let mut moved = false;
        servers.retain(|conn| match self.servers.get_mut(conn) {
            Some(server) => {
                moved |= server.advance(desk, *conn);
                true
            }
            None => false,
        });
        moved
    }

    /// A connection is of no more use.
    pub(super) fn leave(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        if self.servers.remove(&conn).is_some_and(|server| !server.gone) {
            desk.net.close(conn);
        }
    }

    /// Octets have come from a server.
    pub(super) fn heard(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize {
        let Some(server) = self.servers.get(&conn) else { return data.len() };
        let client = server.client;
        if self.carries(client) {
            return self.carry(desk, conn, client, data);
        }
        server.pipe.feed(data);
        self.advance(desk, client);
        data.len()
    }

    /// A server's connection is closed, or was never open.
    pub(super) fn lost(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, in_order: bool) {
        let Some(server) = self.servers.get_mut(&conn) else { return };
        let client = server.client;
        server.gone = true;
        server.pipe.end(in_order);
        if self.carries(client) {
            self.servers.remove(&conn);
            return desk.net.close(client);
        }
        self.advance(desk, client);
    }

    /// Whether a client's connection is not HTTP any more.
    pub(super) fn carries(&self, client: ConnectionId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.tunnel.is_some())
    }

    /// Both sides have changed the protocol: what has come behind that goes on, and from now on everything.
    pub(super) fn begin_to_carry(&mut self, desk: &mut Desk<'_, '_>, client: &mut Client) {
        let (Some(conn), Some(engine)) = (client.guest.tunnel.get(), client.engine.take()) else { return };
        let Some(server) = self.servers.get_mut(&conn) else { return desk.net.close(client.guest.conn) };
        client.tunnel = Some(conn);
        let mut behind = engine.rest();
        behind.extend(client.pipe.take_unread());
        let mut answer = server.rest.take().unwrap_or_default().to_vec();
        answer.extend(server.pipe.take_unread());
        for (to, octets) in [(conn, &behind), (client.guest.conn, &answer)] {
            // Both have had a request or its answer written, and no more.
            if desk.net.write(to, octets).is_err() {
                desk.net.abort(client.guest.conn);
            }
        }
        super::restrain(desk, client.guest.conn, &mut client.paused, false);
        super::restrain(desk, conn, &mut server.paused, false);
    }

    /// Octets go from one side to the other: how many were taken.
    pub(super) fn carry(
        &mut self,
        desk: &mut Desk<'_, '_>,
        from: ConnectionId,
        to: ConnectionId,
        data: &[u8],
    ) -> usize {
        let until = desk.net.now() + self.hub.site().limits.answer;
        let client = if self.clients.contains_key(&from) { from } else { to };
        self.timers.set(Timer::Connection(client), until);
        if desk.net.queued(to) < BACKLOG && desk.net.write(to, data).is_ok() {
            return data.len();
        }
        desk.net.pause(from);
        desk.net.await_room(to, BACKLOG / 2);
        0
    }

    /// There is room again at one side: the other is read again.
    pub(super) fn resume_carrying(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) -> bool {
        let other = match self.servers.get(&conn) {
            Some(server) if self.carries(server.client) => Some(server.client),
            Some(_) => None,
            None => self.clients.get(&conn).and_then(|client| client.tunnel),
        };
        if let Some(other) = other {
            desk.net.resume(other);
        }
        other.is_some()
    }
}
