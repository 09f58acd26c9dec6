//! The media relay on one worker: joins [`::media::Relay`] with the worker's sockets. What comes in is sent on from where it
//! lies.

pub mod book;
pub mod keeper;
mod passage;
mod setup;

use crate::config::plan;
use crate::desk::{Desk, Shared};
use crate::mail;
use crate::marks;
use crate::report::Report;
use crate::seldom::Seldom;
use crate::services::Service;
use ::media::Relay;
use ::media::relay::{Hands, Reason, Seat, Unbound};
use ::sip::proxy::media::{Over, Passage};
use book::Book;
use keeper::{Keeper, Share};
use net::{Batch, CloseReason, ConnectionInfo, HEADROOM, IcmpError, Net, Tag};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use wire::{ConnectionId, SocketId};

/// The mark of the sockets that relay.
const RELAY: Tag = marks::tag(plan::Service::Media, 1);

/// The relay of the calls at home on one worker.
#[derive(Debug)]
pub struct Media {
    relay: Relay,
    keeper: Keeper,
    /// What is relayed from the beginning.
    share: Share,
    /// How often it had no ports, or an account its share, as far as that was counted for the log.
    refused: u64,
    refusals: Seldom,
    unbound: Unsaid,
}

/// Ports that could not be bound, and why the last one could not.
#[derive(Debug, Default)]
struct Unsaid {
    seldom: Seldom,
    count: u64,
    last: Option<(IpAddr, io::Error)>,
}

/// What the relay's hands are: the worker's sockets, and the book of all workers.
struct Worker<'a, 'n> {
    net: &'a mut Net<'n, mail::Mail>,
    book: &'a Book,
    most: u32,
    unbound: &'a mut Unsaid,
}

impl Hands for Worker<'_, '_> {
    fn bind(&mut self, local: SocketAddr) -> Result<SocketId, Unbound> {
        match self.net.bind_datagram(local, RELAY) {
            Ok((socket, _)) => Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Unbound::InUse),
            Err(error) => {
                self.unbound.count += 1;
                self.unbound.last = Some((local.ip(), error));
                Err(Unbound::Failed)
            }
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.net.unbind(socket);
    }

    fn take_seat(&mut self, seat: Seat) -> bool {
        self.book.take(seat, self.most)
    }

    fn give_seat(&mut self, seat: Seat) {
        self.book.give(seat);
    }
}

impl Media {
    /// A service that relays no call before [`Self::begin`].
    pub fn new(shared: &Shared, share: Share) -> Self {
        let relay = Relay::new(setup::config(shared), share.first);
        let (refusals, unbound) = (Seldom::default(), Unsaid::default());
        Self { relay, keeper: Keeper::default(), share, refused: 0, refusals, unbound }
    }

    /// Calls of before the last end are relayed again.
    pub fn begin(&mut self, desk: &mut Desk<'_, '_>) {
        let Share { calls, ports, .. } = std::mem::take(&mut self.share);
        let (now, epoch, all) = (desk.net.now(), desk.net.epoch(), calls.len());
        let hands = &mut hands(desk, &mut self.unbound);
        let lost = self.relay.restore((now, &epoch), calls, &ports, hands);
        if lost > 0 {
            tracing::warn!(
                calls = lost,
                "calls lose their relay: their ports are taken, or their addresses are gone"
            );
        }
        if all > lost {
            tracing::info!(calls = all - lost, "calls of before are relayed as they were");
        }
        self.say_refusals(now);
        self.look(desk);
    }

    /// What has changed is kept.
    fn look(&mut self, desk: &Desk<'_, '_>) {
        self.keeper.look(desk, &mut self.relay, desk.shared.plan.media.silence);
    }

    /// A message of a call passes: the session description that goes on in place of its own.
    pub fn pass(&mut self, desk: &mut Desk<'_, '_>, passage: Passage) -> Option<Vec<u8>> {
        let now = desk.net.now();
        let body = self.relay.pass(now, &passage::message(passage), &mut hands(desk, &mut self.unbound));
        self.say_refusals(now);
        self.look(desk);
        body
    }

    /// Something is relayed no more.
    pub fn over(&mut self, desk: &mut Desk<'_, '_>, over: &Over) {
        let now = desk.net.now();
        let hands = &mut hands(desk, &mut self.unbound);
        match over {
            Over::Fork { call, fork, winner } => {
                self.relay.settle(call, passage::branch(*fork, 0), *winner, now, hands);
            }
            Over::Dialog { call, by, to } => self.relay.over(call, by, to, now, hands),
        }
        self.say_ended();
        self.look(desk);
    }

    fn say_ended(&mut self) {
        while let Some(ended) = self.relay.next_ended() {
            let call = String::from_utf8_lossy(&ended.call);
            let (to_caller, to_called) = (ended.packets[0], ended.packets[1]);
            let silent = ended.reason == Reason::Silent;
            tracing::debug!(%call, seconds = ended.lasted.as_secs(), to_caller, to_called, silent, "relayed no more");
        }
    }

    fn say_refusals(&mut self, now: Instant) {
        let counts = self.relay.counts();
        let further = counts.refused() - std::mem::replace(&mut self.refused, counts.refused());
        if let Some(times) = self.refusals.happened(now, further) {
            tracing::warn!(
                times,
                no_ports = counts.no_ports,
                no_seat = counts.no_seat,
                "calls go without the relay that they need: media.rtp-ports are used up, or an account has its share"
            );
        }
        let Unsaid { seldom, count, last } = &mut self.unbound;
        if let (Some(times), Some((address, error))) = (seldom.happened(now, std::mem::take(count)), last) {
            tracing::warn!(%error, %address, times, "ports for calls' media cannot be bound");
        }
    }
}

fn hands<'a, 'n>(desk: &'a mut Desk<'_, 'n>, unbound: &'a mut Unsaid) -> Worker<'a, 'n> {
    Worker { net: &mut *desk.net, book: &desk.shared.calls, most: desk.shared.plan.media.account, unbound }
}

impl Service for Media {
    fn datagrams(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, batch: &mut Batch<'_>) {
        let now = desk.net.now();
        for index in 0..batch.len() {
            let (from, data) = (batch.peer(index), batch.data(index));
            let end = HEADROOM + data.len();
            if let Some((socket, to)) = self.relay.forward(now, socket, from, data) {
                desk.net.forward(socket, None, to, batch.part(index, HEADROOM..end));
            }
        }
        self.look(desk);
    }

    fn unreachable(&mut self, _: &mut Desk<'_, '_>, _: SocketId, _: SocketAddr, _: IcmpError) {
        // A phone that has closed its port says BYE too; until then its packets are dropped where they are not wanted.
    }

    fn opened(&mut self, desk: &mut Desk<'_, '_>, conn: ConnectionId, _: &ConnectionInfo) {
        // Nothing here listens for streams.
        desk.net.abort(conn);
    }

    fn refused(&mut self, _: &mut Desk<'_, '_>, _: ConnectionId, _: Tag, _: &io::Error) {}

    fn secured(&mut self, _: &mut Desk<'_, '_>, _: ConnectionId, _: &ConnectionInfo) {}

    fn received(&mut self, _: &mut Desk<'_, '_>, _: ConnectionId, data: &[u8]) -> usize {
        data.len()
    }

    fn closed(&mut self, _: &mut Desk<'_, '_>, _: ConnectionId, _: CloseReason) {}

    fn refresh(&mut self, desk: &mut Desk<'_, '_>) {
        self.relay.set_config(setup::config(desk.shared));
    }

    fn drain(&mut self, desk: &mut Desk<'_, '_>, _: Instant) {
        // Calls last as long as they last, and go on with the server that comes after this one.
        self.keeper.drain(desk, &mut self.relay, desk.shared.plan.media.silence);
    }

    fn drained(&self) -> bool {
        self.relay.unkept() == 0
    }

    fn tick(&mut self, desk: &mut Desk<'_, '_>) {
        let now = desk.net.now();
        self.relay.tick(now, &mut hands(desk, &mut self.unbound));
        self.say_ended();
        if self.keeper.deadline().is_some_and(|at| at <= now) {
            self.keeper.work(desk, &mut self.relay, desk.shared.plan.media.silence);
        }
        self.look(desk);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.relay.deadline(), self.keeper.deadline()].into_iter().flatten().min()
    }

    fn report(&self, report: &mut Report) {
        let counts = self.relay.counts();
        report.add("media.calls", self.relay.len() as u64);
        report.add("media.calls-relayed", counts.calls);
        report.add("media.calls-unsaved", self.keeper.unsaved(&self.relay) as u64);
        report.add("media.without-ports", counts.no_ports);
        report.add("media.over-quota", counts.no_seat);
        report.add("media.packets", counts.packets);
        report.add("media.octets", counts.octets);
        report.add("media.dropped", counts.dropped);
    }
}
