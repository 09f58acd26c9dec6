//! STUN and TURN on one worker: joins [`turn::Server`] with the worker's sockets and streams. What is relayed between
//! datagram sockets is not copied; streams are cut into messages first.

mod discovery;
mod dtls;
pub mod ledger;
mod mobility;
mod offload;
pub mod sessions;
mod setup;
mod streams;
mod tcp;

use crate::config::plan;
use crate::desk::{Desk, Shared};
use crate::marks;
use crate::report::Report;
use crate::services::Service;
use net::{Batch, CloseReason, ConnectionInfo, HEADROOM, IcmpError, Loose, Tag};
pub use offload::FastPath;
use offload::Offloading;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use streams::Streams;
use stun::attribute::{Icmp, ReservationToken};
use turn::mobility::{Cargo, Letter};
use turn::server::{Bound, Unbound};
use turn::stream::{self, Frame, STRANGER};
use turn::tcp::Event;
use turn::{Ask, Client, Granted, Input, Offload, Output, Server, Verdict, Way};
use wire::{Address, ConnectionId, Epoch, Flow, Machine, SocketId, Transport, WorkerId};

pub use streams::begins;

/// The mark of the sockets that relay: one per allocation.
const RELAY: Tag = marks::tag(plan::Service::Turn, 1);

/// How many octets of relayed datagrams may wait for a client's stream. What comes on top is dropped, as a full queue on
/// the way of a datagram would drop it; answers to requests still find room.
const QUEUE: usize = 256 * 1024;

/// Between the TURN services of two workers (a port that one keeps and a client of the other may have), and from the
/// back office.
#[derive(Debug)]
pub enum Mail {
    /// Let the port go.
    Claim {
        /// Who asks.
        from: WorkerId,
        /// Its number for this.
        ask: Ask,
        /// What the port was reserved under.
        token: ReservationToken,
        /// For which account.
        user: Address,
    },
    /// To this worker itself: by the time this comes the port is closed, and the other may be told.
    Closed {
        /// Who asked.
        to: WorkerId,
        /// Its number for this.
        ask: Ask,
        /// What was kept.
        granted: Option<Granted>,
    },
    /// About a client on its way from one worker to another.
    Letter(Letter),
    /// An allocation that follows its client, with its sockets.
    Cargo {
        /// The allocation.
        cargo: Box<Cargo>,
        /// Those that could be taken along.
        sockets: Vec<Option<Loose>>,
    },
    /// Comes with a client's connection that is to be joined to a peer's.
    Bind(Box<turn::tcp::Bind>),
    /// The port is free to be bound, or there is none.
    Grant {
        /// The number from the claim.
        ask: Ask,
        /// What was kept.
        granted: Option<Granted>,
    },
    /// The back office wants something.
    Order(sessions::Order),
}

/// STUN and TURN on one worker.
#[derive(Debug)]
pub struct Turn {
    server: Server,
    streams: Streams,
    offloading: Offloading,
    joins: tcp::Joins,
    tally: sessions::Tally,
    /// Whether no new allocation is made.
    /// Room for what goes from one relay here to another and lies in no batch.
    scratch: Vec<u8>,
    draining: bool,
    /// Whether the server ends.
    ending: bool,
}

impl Turn {
    /// A service with nothing under way.
    pub fn new(shared: &Shared, _now: Instant, epoch: Epoch) -> Self {
        let config = setup::config(shared, false);
        let nonce = setup::nonce(shared);
        let entropy = Box::new(net::entropy::System);
        let ledger = Arc::clone(&shared.relays) as _;
        let server = Server::new(shared.me, config, &nonce, shared.directory.clone(), epoch, entropy, ledger);
        let offloading = Offloading::new(shared.fast_path.as_ref(), shared.me);
        Self {
            server,
            streams: Streams::default(),
            offloading,
            joins: tcp::Joins::default(),
            tally: sessions::Tally::default(),
            scratch: Vec::new(),
            draining: false,
            ending: false,
        }
    }

    /// Mail for this service.
    pub fn mail(&mut self, desk: &mut Desk<'_, '_>, mail: Mail) {
        match mail {
            Mail::Claim { from, ask, token, user } => {
                self.handle(desk, Input::Claim { from, ask, token, user });
            }
            Mail::Closed { to, ask, granted } => post(desk, to, Mail::Grant { ask, granted }),
            Mail::Grant { ask, granted } => self.handle(desk, Input::Claimed { ask, granted }),
            Mail::Order(order) => self.order(desk, order),
            Mail::Letter(letter) => self.handle(desk, Input::Letter(letter)),
            Mail::Cargo { cargo, sockets } => {
                self.settle(desk, cargo, sockets);
                self.carry_out(desk);
            }
            // Without the connection it says nothing.
            Mail::Bind(_) => {}
        }
    }

    /// Lets the machine have an input and carries out what it wants.
    fn handle(&mut self, desk: &mut Desk<'_, '_>, input: Input<'_>) {
        self.server.handle(desk.net.now(), input);
        self.carry_out(desk);
    }

    fn carry_out(&mut self, desk: &mut Desk<'_, '_>) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { flow, bytes } => self.send(desk, flow, bytes),
                Output::Forward { to, bytes } => {
                    self.forward(desk, to, &bytes);
                    self.server.recycle(bytes);
                }
                Output::OpenRelay { ask, local } => self.open_relay(desk, ask, local),
                Output::CloseRelay(socket) => desk.net.unbind(socket),
                Output::Claim { to, ask, token, user } => self.claim(desk, to, ask, token, user),
                Output::Grant { to, ask, granted } => {
                    post(desk, desk.net.me(), Mail::Closed { to, ask, granted })
                }
                Output::Tcp(effect) => self.tcp(desk, effect),
                Output::Roam { to, letter } => self.write_to(desk, to, letter),
                Output::Depart(cargo) => self.depart(desk, cargo),
                Output::Replay { client, bytes } => self.stream_message(desk, client, &bytes),
                Output::Began(session) => self.began(&session),
                Output::Ended(session, end) => self.ended(desk, &session, end),
                Output::Offload(wish) => self.offload(desk, &wish),
            }
        }
    }

    fn send(&mut self, desk: &mut Desk<'_, '_>, flow: Flow, bytes: Vec<u8>) {
        match flow {
            Flow::Datagram { socket, local, peer } => desk.net.send(socket, Some(local), peer, &bytes),
            Flow::Stream(conn) => {
                if desk.net.write_apart(conn, &bytes).is_err() {
                    // It takes no answers: it is no client any more.
                    desk.net.abort(conn);
                }
            }
        }
        self.server.recycle(bytes);
    }

    /// Takes in what the kernel has carried so far.
    fn take_carried(&mut self, desk: &Desk<'_, '_>) {
        for carried in self.offloading.look_for_page(desk.net.now()) {
            self.server.handle(desk.net.now(), Input::Carried(carried));
        }
    }

    fn offload(&mut self, desk: &Desk<'_, '_>, wish: &Offload) {
        if let Some(carried) = self.offloading.carry_out(desk.net, wish) {
            self.server.handle(desk.net.now(), Input::Carried(carried));
        }
    }

    fn open_relay(&mut self, desk: &mut Desk<'_, '_>, ask: Ask, local: SocketAddr) {
        let result = match desk.net.bind_datagram(local, RELAY) {
            Ok((socket, local)) => Ok(Bound { socket, local }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Unbound::InUse),
            Err(error) => {
                tracing::warn!(%error, address = %local.ip(), "no relay can be bound");
                Err(Unbound::Failed)
            }
        };
        self.server.handle(desk.net.now(), Input::Relay { ask, result });
    }

    /// Asks another worker for a port. The worker's number comes from the client's token, so it may be nobody's.
    fn claim(
        &mut self,
        desk: &mut Desk<'_, '_>,
        to: WorkerId,
        ask: Ask,
        token: ReservationToken,
        user: Address,
    ) {
        let mail = Mail::Claim { from: desk.net.me(), ask, token, user };
        let is_worker = to.0 < desk.net.workers();
        if !is_worker || desk.net.post(to, crate::mail::Mail::Turn(mail)).is_err() {
            self.server.handle(desk.net.now(), Input::Claimed { ask, granted: None });
        }
    }

    /// Whether any client has its allocation by way of this listener.
    pub fn holds(&self, socket: SocketId) -> bool {
        self.server.serves(socket)
    }

    /// A datagram from a client on a listener.
    fn client_datagram(
        &mut self,
        desk: &mut Desk<'_, '_>,
        socket: SocketId,
        batch: &mut Batch<'_>,
        index: usize,
    ) {
        let (peer, local, data) = (batch.peer(index), batch.local(index), batch.data(index));
        let flow = Flow::Datagram { socket, local, peer };
        if desk.net.is_retired(socket) && !self.server.is_allocated(flow) {
            return;
        }
        match self.server.from_client(desk.net.now(), flow, data) {
            Verdict::Forward { to: Way::Peer { socket, peer, dont_fragment }, range } => {
                let part = batch.part(index, HEADROOM + range.start..HEADROOM + range.end);
                desk.net.forward(socket, None, peer, part);
                if dont_fragment {
                    desk.net.dont_fragment();
                }
            }
            Verdict::Forward { to: Way::Relay { socket, from }, range } => {
                let place = HEADROOM + range.start..HEADROOM + range.end;
                self.arrived(desk, (socket, from), batch, index, place);
            }
            Verdict::Slow => {
                let client = Client { flow, transport: Transport::Udp, local, peer };
                self.handle(desk, Input::Message { client, bytes: data });
            }
            Verdict::Drop | Verdict::Forward { .. } => {}
        }
    }

    /// A datagram from a peer on a relay's socket.
    fn peer_datagram(
        &mut self,
        desk: &mut Desk<'_, '_>,
        socket: SocketId,
        batch: &mut Batch<'_>,
        index: usize,
    ) {
        let (from, place) = (batch.peer(index), HEADROOM..HEADROOM + batch.data(index).len());
        self.arrived(desk, (socket, from), batch, index, place);
    }

    /// A datagram that came to a relay from somebody, by the network or from another relay here: where it lies in the packet
    /// of the batch.
    fn arrived(
        &mut self,
        desk: &mut Desk<'_, '_>,
        (socket, from): (SocketId, SocketAddr),
        batch: &mut Batch<'_>,
        index: usize,
        place: Range<usize>,
    ) {
        let frame = &mut batch.whole_mut(index)[..place.end];
        let verdict = self.server.from_peer(desk.net.now(), socket, from, frame, place.start);
        let Verdict::Forward { to, range } = verdict else { return };
        match to {
            Way::Client(Flow::Datagram { socket, local, peer }) => {
                let part = batch.part(index, range);
                desk.net.forward(socket, Some(local), peer, part);
            }
            to => self.forward(desk, to, &batch.whole_mut(index)[range]),
        }
    }

    /// What the bytes of a client's stream begin with.
    fn frame(&self, desk: &Desk<'_, '_>, flow: Flow, bytes: &[u8]) -> Frame {
        match stream::first(bytes, STRANGER) {
            Frame::Bad if self.server.is_allocated(flow) => {
                stream::first(bytes, desk.shared.plan.turn.limits.message)
            }
            frame => frame,
        }
    }

    /// One message of a client's stream.
    fn stream_message(&mut self, desk: &mut Desk<'_, '_>, client: Client, message: &[u8]) {
        match self.server.from_client(desk.net.now(), client.flow, message) {
            Verdict::Forward { to, range } => self.forward(desk, to, &message[range]),
            Verdict::Slow => {
                self.handle(desk, Input::Message { client, bytes: message });
                self.streams.heard(desk.net.now(), client.flow, self.server.may_be_silent(client.flow));
            }
            Verdict::Drop => {}
        }
        self.carry_out_news(desk);
    }

    /// The data path seldom wants more done than it says itself: when a client has come by another way, for one.
    fn carry_out_news(&mut self, desk: &mut Desk<'_, '_>) {
        if self.server.has_news() {
            self.carry_out(desk);
        }
    }

    /// Sends on what lies outside of a batch.
    fn forward(&mut self, desk: &mut Desk<'_, '_>, to: Way, bytes: &[u8]) {
        let Way::Relay { socket, from } = to else { return send_on(desk, to, bytes) };
        let mut frame = std::mem::take(&mut self.scratch);
        frame.clear();
        frame.resize(HEADROOM, 0);
        frame.extend_from_slice(bytes);
        if let Verdict::Forward { to, range } =
            self.server.from_peer(desk.net.now(), socket, from, &mut frame, HEADROOM)
        {
            send_on(desk, to, &frame[range]);
        }
        self.scratch = frame;
    }
}

/// Sends what was relayed; drops it where there is no room, as a full queue on a datagram's way would.
fn send_on(desk: &mut Desk<'_, '_>, to: Way, bytes: &[u8]) {
    match to {
        Way::Peer { socket, peer, dont_fragment } => {
            desk.net.send(socket, None, peer, bytes);
            if dont_fragment {
                desk.net.dont_fragment();
            }
        }
        Way::Client(Flow::Datagram { socket, local, peer }) => {
            desk.net.send(socket, Some(local), peer, bytes)
        }
        Way::Client(Flow::Stream(conn)) if desk.net.queued(conn) < QUEUE => {
            // Apart, as coturn's clients (4.6 to 4.17) take what they read from TLS for one message.
            let _ = desk.net.write_apart(conn, bytes);
        }
        Way::Client(Flow::Stream(_)) | Way::Relay { .. } => {}
    }
}

/// Part of the answer to a claim. A worker whose queue is full hears nothing; its own timer answers the client.
fn post(desk: &mut Desk<'_, '_>, to: WorkerId, mail: Mail) {
    let _ = desk.net.post(to, crate::mail::Mail::Turn(mail));
}

impl Service for Turn {
    fn datagrams(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, batch: &mut Batch<'_>) {
        for index in 0..batch.len() {
            if socket.is_shared() {
                self.client_datagram(desk, socket, batch, index);
            } else {
                self.peer_datagram(desk, socket, batch, index);
            }
        }
        self.carry_out_news(desk);
    }

    fn unreachable(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, peer: SocketAddr, error: IcmpError) {
        let icmp = Icmp { kind: error.kind, code: error.code, data: error.info };
        self.handle(desk, Input::Unreachable { socket, peer, icmp });
    }

    fn opened(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, info: &ConnectionInfo) {
        if self.peer_opened(desk, conn, info) {
            return;
        }
        self.streams.open(desk.net.now(), conn, info);
        if self.ending {
            desk.net.close(conn);
        }
    }

    fn refused(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _tag: Tag, _error: &io::Error) {
        self.handle(desk, Input::Tcp(Event::Refused(conn)));
    }

    fn ended(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        self.half_ended(desk, conn);
    }

    fn room(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId) {
        self.has_room(desk, conn);
    }

    fn secured(&mut self, _desk: &mut Desk<'_, '_>, _conn: ConnectionId, _info: &ConnectionInfo) {
        // TLS is never started in mid-stream here.
    }

    fn received(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, data: &[u8]) -> usize {
        let Some(client) = self.streams.client(conn) else { return self.carry(desk, conn, data) };
        if client.transport == Transport::Dtls {
            self.record(desk, client, data);
            return data.len();
        }
        let mut at = 0;
        loop {
            match self.frame(desk, client.flow, &data[at..]) {
                Frame::Whole { length, taken } => {
                    self.stream_message(desk, client, &data[at..at + length]);
                    at += taken;
                    if self.joins.has_turned(conn) {
                        return at;
                    }
                }
                Frame::Part => return at,
                Frame::Bad => {
                    tracing::debug!(client = %client.peer, "a stream that is neither STUN nor ChannelData");
                    desk.net.close(conn);
                    return data.len();
                }
            }
        }
    }

    fn closed(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _reason: CloseReason) {
        self.handle(desk, Input::Closed(conn));
        self.streams.close(conn);
        self.peer_closed(desk, conn);
    }

    fn refresh(&mut self, desk: &mut Desk<'_, '_>) {
        self.handle(desk, Input::Epoch(desk.net.epoch()));
        self.handle(desk, Input::Directory(desk.shared.directory.clone()));
        let config = setup::config(desk.shared, self.draining || self.ending);
        self.handle(desk, Input::Config(Box::new(config)));
    }

    fn drain(&mut self, desk: &mut Desk<'_, '_>, _until: Instant) {
        self.ending = true;
        self.refresh(desk);
        // Allocations live for as long as their clients refresh them: nothing would be won by waiting a little.
        self.streams.connections().for_each(|conn| desk.net.close(conn));
    }

    fn drained(&self) -> bool {
        true
    }

    fn tick(&mut self, desk: &mut Desk<'_, '_>) {
        self.server.tick(desk.net.now());
        self.carry_out(desk);
        for carried in self.offloading.tick(desk.net.now()) {
            self.handle(desk, Input::Carried(carried));
        }
        self.close_halves(desk);
        self.resume_paced(desk);
        while let Some(conn) = self.streams.silent(desk.net.now()) {
            // It may have got its allocation by way of another worker since it was heard last.
            if !self.server.may_be_silent(Flow::Stream(conn)) {
                desk.net.close(conn);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let own = [self.server.deadline(), self.streams.deadline()];
        let others = [self.offloading.deadline(), self.joins.deadline()];
        own.into_iter().chain(others).flatten().min()
    }

    fn report(&self, report: &mut Report) {
        report.add("turn.allocations", self.server.allocations() as u64);
        report.add("turn.peer-connections", self.server.peer_connections() as u64);
        report.add("turn.streams", self.streams.len() as u64);
        self.offloading.report(report);
        self.tally.report(report);
        sessions::report_requests(self.server.tally(), report);
    }
}
