//! HTTP on one worker: joins connections with what answers requests. HTTP/1.1 and HTTP/2 are hyper's; it is fed with the
//! octets that came, polled, and asked what it has to say, as any machine here.

mod engine;
mod exchange;
mod pages;
mod passage;
mod pipe;
mod server;
mod share;
mod site;

use crate::config::plan::WebLimits;
use crate::desk::{Desk, Shared};
use crate::marks;
use crate::report::Report;
use crate::seldom::Seldom;
use crate::services::Service;
use crate::switchboard::pages::{Reply, Ticket};
use engine::Engine;
use exchange::{Effect, Front, Guest, Hub, Word};
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Tag};
use pages::Door;
use pipe::Pipe;
use rustc_hash::FxHashMap;
use server::Server;
use site::Site;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;
use wire::{ConnectionId, SocketId, Timers};

/// The role of a plain listener that sends everybody to https.
pub const PLAIN: u32 = 1;

/// What HTTP/2 begins with (RFC 9113 §3.4), as far as it differs from every method.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// Octets that may wait for a client to take them before no more is made.
const BACKLOG: usize = 128 << 10;

/// What a client is told that has begun a request and does not end it.
const LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A connection does nothing, or not enough.
    Connection(ConnectionId),
    /// An exchange is to end.
    Exchange(u64),
}

/// HTTP on one worker.
pub struct Web {
    hub: Rc<Hub>,
    clients: FxHashMap<ConnectionId, Box<Client>>,
    /// Connections to the web server behind us.
    servers: FxHashMap<ConnectionId, Box<Server>>,
    silence: Seldom,
    /// Requests that it has not answered, as far as that was counted for the log.
    unanswered: u64,
    timers: Timers<Timer>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Web({} connections)", self.clients.len())
    }
}

/// A client's connection.
struct Client {
    pipe: Pipe,
    /// As soon as it is known what it speaks.
    engine: Option<Engine>,
    guest: Rc<Guest>,
    /// The connections to the web server behind us that were opened for it.
    servers: Vec<ConnectionId>,
    /// The one that it is the other end of: nothing here is HTTP any more.
    tunnel: Option<ConnectionId>,
    /// Requests that had begun when it was last looked at.
    begun: u32,
    /// Since when there is no request.
    idle: Instant,
    /// Since when one comes whose head is not whole.
    partial: Option<Instant>,
    /// Since when what it was sent waits, and how much that was.
    stuck: Option<(Instant, usize)>,
    /// It takes no further request; when it is over at the latest.
    finishing: Option<Instant>,
    paused: bool,
}

/// What is to be done about a connection that does nothing, or not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It does not take what it is sent.
    Abort,
    /// It was told that this is the end, and does not end.
    Close,
    /// It has begun a request and does not end it.
    Late,
    /// It has no request.
    Finish,
}

impl Client {
    fn new(hub: &Hub, conn: ConnectionId, info: &ConnectionInfo, now: Instant) -> Self {
        let door = Door {
            is_plain: marks::role(info.tag) == PLAIN,
            sealed: info.transport.is_secure(),
            local: info.nearest().ip().to_canonical().is_loopback(),
        };
        let (requests, under_way, tunnel) = (Cell::new(0), Cell::new(0), Cell::new(None));
        let share = hub.shares.of(info.peer.ip());
        let guest = Rc::new(Guest { conn, peer: info.peer, share, door, requests, under_way, tunnel });
        Self {
            pipe: Pipe::default(),
            engine: None,
            guest,
            servers: Vec::new(),
            tunnel: None,
            begun: 0,
            idle: now,
            partial: None,
            stuck: None,
            finishing: None,
            paused: false,
        }
    }

    /// Octets have come: how many of them are taken.
    fn feed(&mut self, hub: &Rc<Hub>, info: Option<ConnectionInfo>, data: &[u8], now: Instant) -> usize {
        if self.engine.is_none() {
            let named = info.and_then(|info| info.alpn).is_some_and(|name| name == b"h2");
            let length = data.len().min(PREFACE.len());
            let is_two = named || data[..length] == PREFACE[..length];
            if is_two && !named && length < PREFACE.len() {
                return 0;
            }
            let front = Front { hub: Rc::clone(hub), guest: Rc::clone(&self.guest) };
            let (pipe, limits) = (self.pipe.clone(), &hub.site().limits);
            let engine = if is_two { Engine::two } else { Engine::one };
            self.engine = Some(engine(pipe, front, limits));
        }
        if self.guest.under_way.get() == 0 {
            self.partial.get_or_insert(now);
        }
        self.pipe.feed(data);
        data.len()
    }

    /// Takes no further request.
    fn finish(&mut self, until: Instant) {
        if let (None, Some(engine)) = (self.finishing, &mut self.engine) {
            engine.finish();
            self.finishing = Some(until);
        }
    }

    /// Notes what has changed since it was last looked at.
    fn note(&mut self, now: Instant, queued: usize) {
        let begun = self.guest.requests.get();
        if std::mem::replace(&mut self.begun, begun) != begun {
            self.partial = None;
        }
        if self.guest.under_way.get() > 0 {
            self.idle = now;
        }
        self.stuck = match self.stuck {
            _ if queued == 0 => None,
            Some((since, before)) if queued >= before => Some((since, before)),
            _ => Some((now, queued)),
        };
    }

    /// When it is looked at next, as nothing may happen until then.
    fn due(&self, now: Instant, limits: &WebLimits) -> Option<Instant> {
        let is_busy = self.guest.under_way.get() > 0;
        match (self.finishing, self.partial) {
            // Nobody tells when it has taken what it was sent.
            _ if self.stuck.is_some() => Some(now + limits.begin.min(limits.idle).min(limits.answer)),
            _ if is_busy => None,
            (Some(until), _) => Some(until.max(self.idle + limits.begin)),
            (None, Some(since)) if self.is_one() => Some(since + limits.begin),
            _ => Some(self.idle + limits.idle),
        }
    }

    /// What is to be done about it, if anything.
    fn verdict(&self, now: Instant, limits: &WebLimits) -> Option<Verdict> {
        if let Some((since, _)) = self.stuck {
            return (since + limits.answer <= now).then_some(Verdict::Abort);
        }
        self.due(now, limits).filter(|due| *due <= now)?;
        Some(match (self.finishing, self.partial) {
            (Some(_), _) => Verdict::Close,
            (None, Some(_)) if self.is_one() => Verdict::Late,
            _ => Verdict::Finish,
        })
    }

    fn is_one(&self) -> bool {
        self.engine.as_ref().is_none_or(Engine::is_one)
    }
}

impl Web {
    /// A service without connections.
    pub fn new(shared: &Shared) -> Self {
        let hub = Rc::new(Hub::new(shared.me, Site::new(shared)));
        Self {
            hub,
            clients: FxHashMap::default(),
            servers: FxHashMap::default(),
            silence: Seldom::default(),
            unanswered: 0,
            timers: Timers::default(),
        }
    }

    /// Whether requests for a host, with its port or without, are for this server.
    pub fn is_ours(&self, authority: &str) -> bool {
        self.hub.site().is_ours(pages::host(&authority.to_ascii_lowercase()))
    }

    /// Another service has answered a request.
    pub fn replied(&mut self, desk: &mut Desk<'_, '_>, reply: Reply) {
        let Some(slot) = self.hub.slot(reply.ticket.id) else { return };
        let conn = slot.conn;
        slot.tell(Word::Reply(reply));
        self.advance(desk, conn);
    }

    /// Lets a connection do what it can do now.
    fn advance(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(mut client) = self.clients.remove(&conn) else { return };
        let (now, site) = (desk.net.now(), self.hub.site());
        loop {
            let mut moved = client.engine.as_mut().is_some_and(Engine::advance);
            self.settle(desk, &mut client.servers);
            moved |= self.advance_servers(desk, &mut client.servers);
            moved |= flush(desk, &client.pipe, conn);
            if client.guest.requests.get() >= site.limits.requests {
                client.finish(now + site.limits.begin);
            }
            if !moved {
                break;
            }
        }
        client.note(now, desk.net.queued(conn));
        let is_over = client.engine.as_ref().is_some_and(Engine::is_over) && !client.pipe.has_output();
        if is_over && client.guest.tunnel.get().is_some() {
            self.begin_to_carry(desk, &mut client);
            self.timers.set(Timer::Connection(conn), now + site.limits.answer);
        } else if is_over {
            // What it leaves behind is settled by `closed`.
            desk.net.close(conn);
        } else if client.tunnel.is_none() {
            let is_full = client.pipe.unread() > 0;
            restrain(desk, conn, &mut client.paused, is_full);
            match client.due(now, &site.limits) {
                Some(due) => self.timers.set(Timer::Connection(conn), due),
                None => drop(self.timers.cancel(Timer::Connection(conn))),
            }
        }
        self.clients.insert(conn, client);
        self.say_silence(now);
    }

    /// The web server behind us does not answer: an administrator should look.
    fn say_silence(&mut self, now: Instant) {
        let count = self.hub.counts.unanswered.get();
        let further = count - std::mem::replace(&mut self.unanswered, count);
        if let Some(times) = self.silence.happened(now, further) {
            tracing::warn!(times, "the web server of web.upstream does not answer");
        }
    }

    /// Does what exchanges want done.
    fn settle(&mut self, desk: &mut Desk<'_, '_>, servers: &mut Vec<ConnectionId>) {
        while let Some(effect) = self.hub.next_effect() {
            match effect {
                Effect::Within(id, time) => self.timers.set(Timer::Exchange(id), desk.net.now() + time),
                Effect::Over(id) => drop(self.timers.cancel(Timer::Exchange(id))),
                Effect::Connect(id) => self.connect(desk, id, servers),
                Effect::Leave(conn) => self.leave(desk, conn),
                Effect::Page(page) => desk.switchboard.ask_for_page(page),
                Effect::Abandoned(id) => {
                    desk.switchboard.abandon_page(Ticket { worker: desk.shared.me, id });
                }
            }
        }
    }

    /// A timer is due.
    fn ring(&mut self, desk: &mut Desk<'_, '_>, timer: Timer) {
        match timer {
            Timer::Exchange(id) => {
                let Some(slot) = self.hub.slot(id) else { return };
                slot.tell(Word::Late);
                self.advance(desk, slot.conn);
                if self.hub.slot(id).is_some_and(|slot| slot.is_deaf()) {
                    // Its answer has begun and its client takes nothing of it (a window of nothing, in HTTP/2).
                    desk.net.abort(slot.conn);
                }
            }
            Timer::Connection(conn) => self.look(desk, conn),
        }
    }

    /// A connection may have done nothing for too long.
    fn look(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let (now, limits) = (desk.net.now(), &self.hub.site().limits);
        client.note(now, desk.net.queued(conn));
        let verdict = match client.tunnel {
            Some(_) => Some(Verdict::Close),
            None => client.verdict(now, limits),
        };
        match verdict {
            None => self.advance(desk, conn),
            Some(Verdict::Abort) => desk.net.abort(conn),
            Some(Verdict::Late) => {
                // One that has no room for so little is closed all the same.
                let _ = desk.net.write(conn, LATE);
                desk.net.close(conn);
            }
            Some(Verdict::Close) => desk.net.close(conn),
            Some(Verdict::Finish) if client.engine.is_none() => desk.net.close(conn),
            Some(Verdict::Finish) => {
                client.finish(now + limits.begin);
                self.advance(desk, conn);
            }
        }
    }
}

/// Hands what a pipe has to say to its connection; whether there was anything.
fn flush(desk: &mut Desk<'_, '_>, pipe: &Pipe, conn: ConnectionId) -> bool {
    let net = &mut desk.net;
    let mut sent = false;
    pipe.drain(|octets| {
        let has_room = net.queued(conn) < BACKLOG;
        if !has_room {
            net.await_room(conn, BACKLOG / 2);
        }
        sent = has_room && net.write(conn, octets).is_ok();
        sent
    });
    sent
}

/// Takes nothing more from a connection while there is too much that was not read.
fn restrain(desk: &mut Desk<'_, '_>, conn: ConnectionId, paused: &mut bool, is_full: bool) {
    if is_full != std::mem::replace(paused, is_full) {
        match is_full {
            true => desk.net.pause(conn),
            false => desk.net.resume(conn),
        }
    }
}

impl Service for Web {
    fn datagrams(&mut self, _: &mut Desk<'_, '_>, _: SocketId, _: &mut Batch<'_>) {}

    fn unreachable(&mut self, _: &mut Desk<'_, '_>, _: SocketId, _: SocketAddr, _: IcmpError) {}

    fn opened(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo) {
        if info.tag == server::TAG {
            return;
        }
        let now = desk.net.now();
        self.clients.insert(conn, Box::new(Client::new(&self.hub, conn, info, now)));
        self.advance(desk, conn);
    }

    fn refused(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _: Tag, error: &io::Error) {
        tracing::debug!(%error, "the web server behind us cannot be reached");
        self.lost(desk, conn, false);
    }

    fn secured(&mut self, _: &mut Desk<'_, '_>, _: ConnectionId, _: &ConnectionInfo) {}

    fn received(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize {
        if self.servers.contains_key(&conn) {
            return self.heard(desk, conn, data);
        }
        let Some(client) = self.clients.get_mut(&conn).filter(|_| !desk.drops(conn)) else {
            return data.len();
        };
        if let Some(server) = client.tunnel {
            return self.carry(desk, conn, server, data);
        }
        let info = if client.engine.is_none() { desk.net.info(conn) } else { None };
        let taken = client.feed(&self.hub, info, data, desk.net.now());
        self.advance(desk, conn);
        taken
    }

    fn room(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        if !self.resume_carrying(desk, conn) {
            let client = self.servers.get(&conn).map_or(conn, |server| server.client);
            self.advance(desk, client);
        }
    }

    fn closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, reason: CloseReason) {
        if self.servers.contains_key(&conn) {
            return self.lost(desk, conn, reason == CloseReason::Peer);
        }
        self.timers.cancel(Timer::Connection(conn));
        let Some(client) = self.clients.remove(&conn) else { return };
        let (mut servers, source) = (client.servers.clone(), client.guest.peer.ip());
        drop(client);
        self.settle(desk, &mut servers);
        for server in servers {
            self.leave(desk, server);
        }
        self.hub.shares.forget(source);
    }

    fn refresh(&mut self, desk: &mut Desk<'_, '_>) {
        let closing = self.hub.site().closing;
        self.hub.set_site(Site::new(desk.shared).ending(closing));
    }

    fn drain(&mut self, desk: &mut Desk<'_, '_>, until: Instant) {
        self.hub.set_site(Site::new(desk.shared).ending(true));
        let all: Vec<_> = self.clients.keys().copied().collect();
        for conn in all {
            if let Some(client) = self.clients.get_mut(&conn) {
                client.finish(until);
            }
            self.advance(desk, conn);
        }
    }

    fn drained(&self) -> bool {
        self.clients.values().all(|client| client.guest.under_way.get() == 0)
    }

    fn tick(&mut self, desk: &mut Desk<'_, '_>) {
        let now = desk.net.now();
        while let Some(timer) = self.timers.pop(now) {
            self.ring(desk, timer);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn report(&self, report: &mut Report) {
        report.add("web.connections", self.clients.len() as u64);
        report.add("web.requests", self.hub.counts.requests.get());
        report.add("web.upstream-connections", self.servers.len() as u64);
        report.add("web.upstream-unanswered", self.hub.counts.unanswered.get());
    }
}
