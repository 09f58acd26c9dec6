//! SIP on one worker: joins [`::sip::Stack`] with the worker's sockets and streams, the store and the switchboard.
//!
//! What the stack asks for is answered by mail: the store and the resolver work on threads of their own.

mod identity;
mod keepalive;
mod names;
pub mod overview;
mod setup;
pub mod strangers;

use crate::config::plan;
use crate::desk::{Desk, Shared};
use crate::marks;
use crate::report::Report;
use crate::seldom::Seldom;
use crate::services::{self, Service};
use crate::switchboard::Answer;
use ::sip::registrar::Row;
use ::sip::stack::{Input, Output, Parcel, Stack, Token};
use net::tls::{ServerName, Towards};
use net::{Batch, CloseReason, ConnectionInfo, IcmpError, Postbox, Subprotocol, Tag, Unwanted, WebRequest};
use rustc_hash::{FxHashMap, FxHashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Asker, BindingRow, Outcome, Query};
use wire::names::Found;
use wire::{Address, ConnectionId, Epoch, Locks, Machine, SocketId, Transport, WorkerId};

pub use ::sip::registrar::Contact;
pub use setup::begins;

/// The mark of connections that we open.
const DIALLED: Tag = marks::tag(plan::Service::Sip, 1);

/// Between the SIP services of two workers, or an answer to one.
#[derive(Debug)]
pub enum Mail {
    /// Another worker's stack hands something over.
    Parcel(Parcel),
    /// What became of bindings that were to be kept: the stack's mark of each, and whether they are on the disk.
    Stored(Vec<(Token, bool)>),
    /// What has become of a certificate that a user has shown.
    Identified(identity::Identified),
    /// From the back office.
    Order(overview::Order),
}

/// What was kept for the addresses at home on one worker.
pub type Kept = Vec<(Address, Vec<BindingRow>)>;

/// A connection that we are opening.
#[derive(Debug)]
struct Dialled {
    /// The stack's mark.
    token: Token,
    to: SocketAddr,
    /// Who is expected there.
    name: Box<str>,
    secure: bool,
}

/// Who hears from the store: one letter for all of a commit, as each may wake the worker.
#[derive(Debug)]
struct Keeper {
    me: WorkerId,
    postbox: Postbox<crate::mail::Mail>,
}

impl Asker for Keeper {
    fn answered(&self, outcomes: Vec<(u64, Outcome)>) {
        let answer = |(token, outcome): (Token, Outcome)| {
            if let Err(fault) = &outcome {
                tracing::debug!(%fault, "bindings were not kept");
            }
            (token, outcome.is_ok())
        };
        let mail = Mail::Stored(outcomes.into_iter().map(answer).collect());
        if self.postbox.post(self.me, crate::mail::Mail::Sip(mail)).is_err() {
            tracing::warn!(worker = self.me.0, "a worker's queue is full: bindings are written again");
        }
    }
}

/// SIP on one worker.
#[derive(Debug)]
pub struct Sip {
    stack: Stack,
    keeper: Arc<dyn Asker>,
    /// Connections that we are opening.
    dialled: FxHashMap<ConnectionId, Dialled>,
    open: FxHashSet<ConnectionId>,
    draining: bool,
    /// That another worker's queue is full.
    full: Seldom,
    door: Arc<strangers::Door>,
    /// That strangers ask for too much, and how often they did.
    flooded: Seldom,
    turned_away: u64,
    /// It was said that the database does not answer.
    stalled: bool,
    /// Of certificates that are taken back.
    tide: identity::Tide,
}

impl Sip {
    /// A service with the bindings that were kept for the addresses at home here.
    pub fn new(shared: &Shared, now: Instant, epoch: Epoch, kept: Kept) -> Self {
        let mut stack = Stack::new(setup::config(shared), shared.directory.clone(), epoch);
        for (address, rows) in kept {
            let rows: Vec<Row> = rows.into_iter().map(row).collect();
            stack.load(now, address, &rows);
        }
        let door = Arc::new(setup::door(shared));
        stack.set_strangers(Arc::clone(&door) as _);
        Self {
            stack,
            keeper: Arc::new(Keeper { me: shared.me, postbox: shared.postbox.clone() }),
            dialled: FxHashMap::default(),
            open: FxHashSet::default(),
            draining: false,
            full: Seldom::default(),
            door,
            flooded: Seldom::default(),
            turned_away: 0,
            stalled: false,
            tide: identity::Tide::default(),
        }
    }

    /// Whether this worker takes another stream: its share of those that there may be.
    pub fn has_room(&self, shared: &Shared) -> bool {
        self.open.len() < shared.plan.sip.limits.connections.div_ceil(usize::from(shared.workers))
    }

    /// Mail for this service.
    pub fn mail(&mut self, desk: &mut Desk<'_, '_>, mail: Mail) {
        let input = match mail {
            Mail::Parcel(parcel) => Input::HandedOver { parcel },
            Mail::Stored(answers) => return self.stored(desk, answers),
            Mail::Identified(identified) => return self.identified(desk, identified),
            Mail::Order(order) => return self.order(desk, order),
        };
        self.handle(desk, input);
    }

    /// The store has answered.
    fn stored(&mut self, desk: &mut Desk<'_, '_>, answers: Vec<(Token, bool)>) {
        let now = desk.net.now();
        for (token, durable) in answers {
            self.stack.handle(now, Input::Stored { token, durable });
        }
        self.carry_out(desk);
    }

    /// A client asks for a WebSocket: SIP is spoken on it, whatever the path (RFC 7118 §4).
    pub fn upgrades(&self, shared: &Shared, request: &WebRequest<'_>) -> Result<Subprotocol, Unwanted> {
        services::may_ask(&shared.plan.domains, &shared.plan.sip.origins, request)?;
        match request.offers("sip") {
            true => {
                let longest = shared.plan.sip.limits.message;
                Ok(Subprotocol { name: "sip", text_only: false, longest })
            }
            false => Err(Unwanted::Protocol),
        }
    }

    /// The switchboard answers a question of this service.
    pub fn located(&mut self, desk: &mut Desk<'_, '_>, answer: Answer) {
        let contacts = answer.reach.ok().map(|reach| reach.contacts);
        self.handle(desk, Input::Located { token: answer.token, contacts });
    }

    /// Whoever relays a call's media has answered: the session description that goes on; `None` leaves a message as it is.
    pub fn mediated(&mut self, desk: &mut Desk<'_, '_>, token: Token, body: Option<Vec<u8>>) {
        self.handle(desk, Input::Mediated { token, body });
    }

    /// Where an address at home here has registered, the preferred contact first.
    pub fn contacts(&self, now: Instant, address: &Address) -> Vec<Contact> {
        self.stack.contacts(now, address)
    }

    /// Other accounts than before are locked.
    pub fn set_locks(&mut self, locks: Arc<Locks>) {
        self.stack.set_locks(locks);
    }

    /// Lets the machine have an input and carries out what it wants.
    fn handle(&mut self, desk: &mut Desk<'_, '_>, input: Input<'_>) {
        self.stack.handle(desk.net.now(), input);
        self.carry_out(desk);
    }

    /// Says once that registrations are answered from memory, and once that they are not any more.
    fn watch_storage(&mut self, me: WorkerId) {
        let storage = self.stack.storage();
        if storage.is_stalled() == self.stalled {
            return;
        }
        self.stalled = storage.is_stalled();
        let (worker, unsaved) = (me.0, storage.unsaved());
        match self.stalled {
            true => tracing::warn!(
                worker,
                "the database does not answer: registrations are kept in memory until it does"
            ),
            false => {
                tracing::info!(worker, unsaved, "the database answers again: registrations are being written")
            }
        }
    }

    fn carry_out(&mut self, desk: &mut Desk<'_, '_>) {
        while let Some(output) = self.stack.poll() {
            match output {
                Output::Send { socket, local, to, bytes } => desk.net.send(socket, local, to, &bytes),
                Output::Write { conn, bytes } => write(desk, conn, &bytes),
                Output::Close { conn } => desk.net.close(conn),
                Output::Connect { token, transport, to, name, own } => {
                    self.connect(desk, token, (transport, to), (&name, &own));
                }
                Output::Store { token, address, rows, fewer } => {
                    self.store(desk, token, address, (rows, fewer));
                }
                Output::Locate { token, address } => desk.switchboard.locate(desk.net, token, address),
                Output::Resolve { token, question } => self.resolve(desk, token, question),
                Output::Media { token, passage } => desk.switchboard.mediate(desk.net, token, passage),
                Output::MediaOver(over) => desk.switchboard.relay_no_more(desk.net, over),
                Output::HandOver { to, parcel } => self.hand_over(desk, to, parcel),
                Output::TurnedAway { source, is_proven } => self.turned_away(desk, source, is_proven),
                Output::Proof { source, account, right } => proof(desk, source, account, right),
            }
        }
        self.watch_storage(desk.net.me());
        if self.draining && self.drained() {
            self.open.iter().for_each(|conn| desk.net.close(*conn));
        }
    }

    /// Somebody has sent more than a stranger may. Where nobody can have written that address in another's name, it counts for
    /// a ban.
    fn turned_away(&mut self, desk: &mut Desk<'_, '_>, source: IpAddr, is_proven: bool) {
        let now = desk.net.now();
        self.turned_away += 1;
        if let Some(times) = self.flooded.happened(now, 1) {
            tracing::warn!(
                %source,
                times,
                "more requests than sip.bans lets somebody send who proves nothing: they are not answered"
            );
        }
        if is_proven {
            desk.doorman.flooded(now, source);
        }
    }

    fn connect(
        &mut self,
        desk: &mut Desk<'_, '_>,
        token: Token,
        (transport, to): (Transport, SocketAddr),
        (name, own): (&str, &str),
    ) {
        let tls = match transport.is_secure() {
            false => None,
            true => match ServerName::try_from(name.to_owned()) {
                Ok(name) => Some(Towards { config: desk.shared.trust.sip(own), name }),
                Err(_) => {
                    let why = "its name cannot be that of a certificate".into();
                    return self.stack.handle(desk.net.now(), Input::Refused { token, why });
                }
            },
        };
        let conn = desk.net.connect(to, tls, DIALLED);
        self.dialled.insert(conn, Dialled { token, to, name: name.into(), secure: transport.is_secure() });
    }

    fn store(
        &mut self,
        desk: &mut Desk<'_, '_>,
        token: Token,
        aor: Address,
        (rows, fewer): (Vec<Row>, bool),
    ) {
        let rows = rows.into_iter().map(kept).collect();
        let query = Query::ReplaceBindings { aor, rows, fewer };
        let asked = desk.shared.store.ask_together(query, &self.keeper, token);
        if asked.is_err() {
            self.stack.handle(desk.net.now(), Input::Stored { token, durable: false });
        }
    }

    fn hand_over(&mut self, desk: &mut Desk<'_, '_>, to: WorkerId, parcel: Parcel) {
        let full = desk.net.post(to, crate::mail::Mail::Sip(Mail::Parcel(parcel))).err();
        if let Some(crate::mail::Mail::Sip(Mail::Parcel(parcel))) = full {
            // Strangers can fill it: each datagram of theirs may be handed over.
            if let Some(times) = self.full.happened(desk.net.now(), 1) {
                tracing::warn!(worker = to.0, times, "a worker's queue is full");
            }
            self.stack.handle(desk.net.now(), Input::NotHandedOver { parcel });
        }
    }
}

/// The domains that a peer has proven by the certificates it has shown.
fn proven(desk: &Desk<'_, '_>, info: &ConnectionInfo) -> Box<[Box<str>]> {
    let Some(chain) = &info.chain else { return Box::default() };
    match desk.shared.trust.sip_domains(chain) {
        Ok(domains) => domains.into_iter().filter(|d| !d.contains('*')).map(String::into_boxed_str).collect(),
        Err(why) => {
            tracing::debug!(peer = %info.peer, why, "what a peer shows proves nothing");
            Box::default()
        }
    }
}

/// Tells the doorman of credentials that somebody has shown.
fn proof(desk: &mut Desk<'_, '_>, source: IpAddr, account: Option<Address>, right: bool) {
    let now = desk.net.now();
    match account {
        Some(account) if right => desk.doorman.right(now, source, &account),
        account => desk.doorman.failed(now, source, account),
    }
}

/// A peer that does not read what it is sent is no peer any more.
fn write(desk: &mut Desk<'_, '_>, conn: ConnectionId, bytes: &[u8]) {
    if desk.net.write(conn, bytes).is_err() {
        tracing::debug!(%conn, "does not read what it is sent: closed");
        desk.net.abort(conn);
    }
}

fn row(kept: BindingRow) -> Row {
    let expires = Duration::from_secs(u64::try_from(kept.expires).unwrap_or_default());
    Row { place: u16::try_from(kept.place).unwrap_or(u16::MAX), expires, data: kept.payload }
}

fn kept(row: Row) -> BindingRow {
    let expires = i64::try_from(row.expires.as_secs()).unwrap_or(i64::MAX);
    BindingRow { place: row.place.into(), expires, payload: row.data }
}

/// Whether an error says that nobody is there: destination unreachable, but not for a datagram's size (RFC 792, RFC 4443).
fn is_final(error: &IcmpError, peer: SocketAddr) -> bool {
    const TOO_BIG: u8 = 4;
    match peer.ip().to_canonical() {
        IpAddr::V4(_) => error.kind == 3 && error.code != TOO_BIG,
        IpAddr::V6(_) => error.kind == 1,
    }
}

impl Service for Sip {
    fn datagrams(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, batch: &mut Batch<'_>) {
        for index in 0..batch.len() {
            let (local, peer) = (batch.local(index), batch.peer(index));
            if desk.doorman.drops(desk.net.now(), peer.ip()) {
                continue;
            }
            let bytes = batch.data(index);
            if keepalive::is_stun(bytes) {
                if !self.door.takes(desk.net.now(), peer, false) {
                    self.turned_away(desk, peer.ip(), false);
                } else if let Some(reply) = keepalive::answer(bytes, peer) {
                    desk.net.send(socket, Some(local).filter(|ip| !ip.is_unspecified()), peer, &reply);
                }
                continue;
            }
            let input = Input::Datagram { socket, local, peer, bytes };
            self.handle(desk, input);
        }
    }

    fn unreachable(
        &mut self,
        desk: &mut Desk<'_, '_>,
        _socket: SocketId,
        peer: SocketAddr,
        error: IcmpError,
    ) {
        if is_final(&error, peer) {
            self.handle(desk, Input::Unreachable { peer });
        }
    }

    fn opened(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo) {
        let token = self.dialled.remove(&conn).map(|dialled| dialled.token);
        // Some come in while none of them has said anything yet, or while their handshakes last.
        if token.is_none() && !self.has_room(desk.shared) {
            tracing::debug!(%conn, peer = %info.peer, "too many connections");
            return desk.net.abort(conn);
        }
        self.open.insert(conn);
        let (transport, local, peer) = (info.transport, info.local, info.peer);
        let domains = proven(desk, info);
        let is_dialled = token.is_some();
        self.handle(desk, Input::Opened { conn, transport, local, peer, token, domains });
        if !is_dialled {
            if let Some(name) = &info.sni {
                self.handle(desk, Input::Asked { conn, name: name.as_str().into() });
            }
            self.look_at(desk, conn, info);
        }
    }

    fn refused(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _tag: Tag, error: &io::Error) {
        let Some(Dialled { token, to, name, secure }) = self.dialled.remove(&conn) else { return };
        match secure {
            true => tracing::info!(%conn, %to, %name, %error, "no TLS connection could be opened"),
            false => tracing::debug!(%conn, %to, %name, %error, "not connected"),
        }
        self.handle(desk, Input::Refused { token, why: error.to_string() });
    }

    fn secured(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _info: &ConnectionInfo) {
        // SIP has no TLS in mid-stream: nobody asked for it.
        desk.net.abort(conn);
    }

    fn received(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize {
        if desk.drops(conn) {
            desk.net.abort(conn);
            return data.len();
        }
        self.handle(desk, Input::Received { conn, bytes: data });
        data.len()
    }

    fn closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, reason: CloseReason) {
        tracing::debug!(%conn, ?reason, "closed");
        self.open.remove(&conn);
        self.handle(desk, Input::Closed { conn });
    }

    fn resolved(&mut self, desk: &mut Desk<'_, '_>, token: u64, found: &Arc<Found>) {
        self.tell(desk, token, found);
        self.carry_out(desk);
    }

    fn refresh(&mut self, desk: &mut Desk<'_, '_>) {
        self.stack.set_config(setup::config(desk.shared), desk.net.epoch());
        self.door = Arc::new(setup::door(desk.shared));
        self.stack.set_strangers(Arc::clone(&self.door) as _);
        self.stack.set_directory(desk.net.now(), desk.shared.directory.clone());
        self.carry_out(desk);
    }

    fn drain(&mut self, desk: &mut Desk<'_, '_>, _until: Instant) {
        self.draining = true;
        self.stack.drain(desk.net.now());
        self.carry_out(desk);
    }

    fn drained(&self) -> bool {
        self.stack.unanswered() == 0
    }

    fn tick(&mut self, desk: &mut Desk<'_, '_>) {
        self.stack.tick(desk.net.now());
        self.carry_out(desk);
    }

    fn deadline(&self) -> Option<Instant> {
        self.stack.deadline()
    }

    fn report(&self, report: &mut Report) {
        self.report_on(report);
    }
}
