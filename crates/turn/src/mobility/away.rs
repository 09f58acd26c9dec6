//! Clients whose new 5-tuple leads to another worker than the one that keeps their allocation. The announcement goes there
//! by letter; the allocation follows, with its sockets, when the client has come. What the client sends meanwhile is kept.

use super::refresh::{Announcement, Resumed};
use super::{Home, Lead, Next, Roamer};
use crate::allocation::{Allocation, Slot};
use crate::exchange::Exchange;
use crate::offload::Offload;
use crate::server::{Output, Server, Timer};
use crate::{Client, End, Refusal};
use std::time::{Duration, Instant};
use stun::TransactionId;
use wire::{Flow, SocketId, WorkerId};

/// How long a worker may take to answer; also how long until an allocation is asked for once more.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Messages of a client, and their octets, that are kept while its allocation is on its way.
const HELD: usize = 32;
const HELD_OCTETS: usize = 64 << 10;

/// How often the same request is answered for having come several times while it was asked for.
const REPEATS: u8 = 8;

/// What workers write to one another about clients on their way.
#[derive(Debug)]
pub enum Letter {
    /// To the keeper: a client of the writer's has announced itself.
    Announce {
        /// The writer.
        from: WorkerId,
        /// The client.
        client: Client,
        /// What it showed.
        announcement: Announcement,
    },
    /// The keeper's answer.
    Answer {
        /// The client's.
        flow: Flow,
        /// What it comes to.
        result: Result<Resumed, Refusal>,
    },
    /// To the keeper: the client has come.
    Fetch {
        /// The writer.
        from: WorkerId,
        /// The ticket that it got.
        ticket: super::Ticket,
    },
    /// To the keeper: the stream has broken by which the client has announced itself. It goes on where it was, or comes
    /// by a third way.
    Forsaken {
        /// The writer.
        from: WorkerId,
        /// The client's.
        flow: Flow,
        /// The ticket that it got, or would have got.
        ticket: super::Ticket,
    },
    /// From the keeper: the client of this 5-tuple has nothing to come for.
    Gone {
        /// The client's.
        flow: Flow,
    },
}

/// An allocation on its way to another worker. Its sockets go with it.
#[derive(Debug)]
pub struct Cargo {
    allocation: Box<Allocation>,
    to: WorkerId,
    /// Its client's new end.
    client: Client,
}

impl Cargo {
    pub(crate) fn allocation_mut(&mut self) -> &mut Allocation {
        &mut self.allocation
    }

    /// Its relays' sockets, as the worker that it leaves calls them.
    pub fn sockets(&self) -> Vec<SocketId> {
        self.allocation.relays().map(|relay| relay.socket).collect()
    }

    /// Where it goes.
    pub fn to(&self) -> WorkerId {
        self.to
    }
}

/// The allocation of a client that has announced itself here, at another worker.
#[derive(Debug)]
pub(crate) struct Away {
    worker: WorkerId,
    /// What the client has sent.
    held: Vec<Vec<u8>>,
    /// When it was asked for last.
    asked: Option<Instant>,
    is_lost: bool,
}

impl Away {
    pub(super) fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The client's stream is gone.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        self.held.clear();
    }

    fn hold(&mut self, message: &[u8]) {
        let octets: usize = self.held.iter().map(Vec::len).sum();
        if self.held.len() < HELD && octets + message.len() <= HELD_OCTETS {
            self.held.push(message.to_vec());
        }
    }
}

/// A Refresh that waits for the keeper's answer.
#[derive(Debug)]
pub(crate) struct Resuming {
    exchange: Exchange,
    keeper: WorkerId,
    announcement: Announcement,
    repeats: u8,
    is_lost: bool,
}

impl Resuming {
    pub(super) fn new(exchange: Exchange, keeper: WorkerId, announcement: Announcement) -> Self {
        Self { exchange, keeper, announcement, repeats: 0, is_lost: false }
    }

    /// The same request came once more.
    pub(super) fn again(&mut self, transaction: TransactionId) {
        if transaction == self.exchange.transaction {
            self.repeats = (self.repeats + 1).min(REPEATS);
        }
    }

    /// The client's stream is gone: nobody hears the answer.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
    }
}

impl Server {
    pub(crate) fn letter(&mut self, now: Instant, letter: Letter) {
        match letter {
            Letter::Announce { from, client, announcement } => {
                self.announced(now, from, client, &announcement)
            }
            Letter::Answer { flow, result } => self.answered(now, flow, result),
            Letter::Fetch { from, ticket } => self.fetched(from, ticket),
            Letter::Forsaken { from, flow, ticket } => self.forsaken_there(from, flow, ticket),
            Letter::Gone { flow } => self.unseen(flow),
        }
    }

    /// As the keeper: a client has announced itself at another worker.
    fn announced(&mut self, now: Instant, from: WorkerId, client: Client, announcement: &Announcement) {
        let lead = self.roamers.by_ticket.get(&announcement.shown).copied();
        let (result, slot) = match lead {
            Some(Lead::Place(slot)) => (self.resume(now, slot, announcement), Some(slot)),
            Some(Lead::Roamer(flow)) => return self.forward(flow, from, client, announcement),
            None => (Err(Refusal::AllocationMismatch), None),
        };
        let is_lost = matches!(result, Ok(Resumed { is_lost: true, .. }));
        self.output(Output::Roam { to: from, letter: Letter::Answer { flow: client.flow, result } });
        let Some(slot) = slot else { return };
        if let Some(mobility) = self.allocations.get(slot).and_then(|one| one.mobility.as_deref_mut())
            && mobility.ticket == announcement.ticket
        {
            mobility.next = Some(Next::There(from, client));
            if is_lost {
                self.send_off(slot, from, client);
            }
        }
    }

    /// The ticket was given here, but the allocation has stayed where it was: that worker decides.
    fn forward(&mut self, flow: Flow, from: WorkerId, client: Client, announcement: &Announcement) {
        let letter = match self.roamers.by_flow.get(&flow).map(|roamer| &roamer.home) {
            Some(Home::There(away)) => {
                let letter = Letter::Announce { from, client, announcement: announcement.clone() };
                Output::Roam { to: away.worker, letter }
            }
            _ => {
                let result = Err(Refusal::AllocationMismatch);
                Output::Roam { to: from, letter: Letter::Answer { flow: client.flow, result } }
            }
        };
        self.output(letter);
    }

    /// The keeper has answered: the client is told, and awaited.
    fn answered(&mut self, now: Instant, flow: Flow, result: Result<Resumed, Refusal>) {
        self.roamers.patience.cancel(flow);
        let Some(resuming) = self.roamers.resuming.remove(&flow) else { return };
        let Resuming { exchange, keeper, announcement, repeats, is_lost } = *resuming;
        if is_lost {
            return self.tell_forsaken(keeper, flow, announcement.ticket);
        }
        if let Ok(resumed) = &result
            && !resumed.lifetime.is_zero()
        {
            let until = now + resumed.lifetime;
            let asked = resumed.is_lost.then_some(now);
            let home = Home::There(Away { worker: keeper, held: Vec::new(), asked, is_lost: false });
            let super::refresh::Announcement { shown, ticket, user, .. } = announcement;
            self.roamers.by_ticket.insert(ticket, Lead::Roamer(flow));
            let roamer = Roamer { client: exchange.client, user, shown, ticket, until, home };
            self.roamers.by_flow.insert(flow, Box::new(roamer));
            self.roamers.ends.set(flow, until);
        }
        for _ in 0..=repeats {
            let bytes = match &result {
                Ok(resumed) => self.resumed(&exchange, resumed.lifetime, announcement.ticket),
                Err(refusal) => {
                    let buffer = self.buffer();
                    exchange.error(buffer, refusal, None)
                }
            };
            self.send(flow, bytes);
        }
    }

    /// The keeper does not answer.
    pub(crate) fn unanswered(&mut self, now: Instant, flow: Flow) {
        self.answered(now, flow, Err(Refusal::InsufficientCapacity));
    }

    /// The client has come, and its allocation is still at another worker.
    pub(super) fn fetch(&mut self, now: Instant, flow: Flow, message: &[u8]) {
        let from = self.me;
        let Some(roamer) = self.roamers.by_flow.get_mut(&flow) else { return };
        let Home::There(away) = &mut roamer.home else { return };
        away.hold(message);
        if away.asked.is_some_and(|at| now < at + PATIENCE) {
            return;
        }
        away.asked = Some(now);
        let letter = Output::Roam { to: away.worker, letter: Letter::Fetch { from, ticket: roamer.ticket } };
        self.output(letter);
    }

    /// As the keeper: the client has come at another worker.
    fn fetched(&mut self, from: WorkerId, ticket: super::Ticket) {
        let Some(Lead::Place(slot)) = self.roamers.by_ticket.get(&ticket).copied() else { return };
        let mobility = self.allocations.get(slot).and_then(|one| one.mobility.as_deref());
        if let Some(Next::There(to, client)) = mobility.and_then(|mobility| mobility.next)
            && to == from
        {
            self.send_off(slot, to, client);
        }
    }

    /// To the keeper, which shall not send the allocation where nobody comes any more.
    pub(super) fn tell_forsaken(&mut self, to: WorkerId, flow: Flow, ticket: super::Ticket) {
        let letter = Letter::Forsaken { from: self.me, flow, ticket };
        self.output(Output::Roam { to, letter });
    }

    /// As the keeper: the stream has broken by which the client was to come at another worker.
    fn forsaken_there(&mut self, from: WorkerId, flow: Flow, ticket: super::Ticket) {
        let Some(Lead::Place(slot)) = self.roamers.by_ticket.get(&ticket).copied() else { return };
        let allocation = self.allocations.get(slot);
        if let Some(mobility) = allocation.and_then(|one| one.mobility.as_deref_mut())
            && let Some(Next::There(to, client)) = mobility.next
            && (to, client.flow) == (from, flow)
        {
            mobility.next = Some(Next::Forsaken(to, client));
        }
    }

    /// Sends an allocation off, whole; here it leaves nothing.
    pub(super) fn send_off(&mut self, slot: Slot, to: WorkerId, client: Client) {
        self.timers.cancel(Timer::Allocation(slot));
        let Some(mut allocation) = self.allocations.remove(slot) else { return };
        self.forget_tickets(&allocation);
        self.forget_waiting(slot, &allocation);
        if let Some(pacing) = allocation.pacing.as_mut() {
            pacing.clear();
        }
        self.traffic.add(allocation.uncounted());
        for offered in std::mem::take(&mut allocation.offered).into_values() {
            self.output(Output::Offload(Offload::Close(offered.id())));
        }
        self.hang_up(allocation.client.flow);
        let cargo = Box::new(Cargo { allocation, to, client });
        self.output(Output::Depart(cargo));
    }

    /// An allocation has come with these sockets, or has come back as its new worker did not take it.
    pub(crate) fn settle(&mut self, now: Instant, cargo: Cargo, sockets: &[Option<SocketId>]) {
        let Cargo { mut allocation, to, client } = cargo;
        let has_another = || self.allocations.find(client.flow).is_some() || self.is_opening(client.flow);
        let is_taken = to == self.me && has_another();
        if !allocation.resettle(sockets) || allocation.expires() <= now || is_taken {
            return self.wreck(allocation, to, client.flow, sockets);
        }
        if to != self.me {
            // The way back: it waits to be fetched again.
            let slot = self.take_in(allocation);
            return self.offload(now, slot);
        }
        let roamer = self.take_roamer(client.flow);
        let (held, is_lost) = match roamer.map(|roamer| roamer.home) {
            Some(Home::There(away)) => (away.held, away.is_lost),
            _ => (Vec::new(), matches!(client.flow, Flow::Stream(_))),
        };
        allocation.client = client;
        if let Some(mobility) = allocation.mobility.as_deref_mut() {
            (mobility.next, mobility.is_lost) = (None, is_lost);
        }
        let slot = self.take_in(allocation);
        self.offload(now, slot);
        for bytes in held {
            self.output(Output::Replay { client, bytes });
        }
    }

    fn take_roamer(&mut self, flow: Flow) -> Option<Box<Roamer>> {
        self.roamers.ends.cancel(flow);
        self.roamers.by_flow.remove(&flow)
    }

    fn take_in(&mut self, allocation: Box<Allocation>) -> Slot {
        let deadline = allocation.deadline();
        let tickets = allocation.mobility.as_deref().map(|mobility| {
            let shown = mobility.shown.filter(|_| mobility.next.is_some());
            [Some(mobility.ticket), shown]
        });
        let slot = self.allocations.insert(*allocation);
        for ticket in tickets.into_iter().flatten().flatten() {
            self.roamers.by_ticket.insert(ticket, Lead::Place(slot));
        }
        self.timers.set(Timer::Allocation(slot), deadline);
        slot
    }

    /// Its sockets could not be taken along, or it took too long: that is its end.
    fn wreck(&mut self, allocation: Box<Allocation>, to: WorkerId, flow: Flow, sockets: &[Option<SocketId>]) {
        for socket in sockets.iter().flatten() {
            self.output(Output::CloseRelay(*socket));
        }
        if to == self.me {
            self.unseen(flow);
        } else {
            self.output(Output::Roam { to, letter: Letter::Gone { flow } });
        }
        self.note_relays(&allocation, false);
        self.tell_ended(&allocation, End::Lost);
    }
}

impl Allocation {
    /// Gives its relays the names that their sockets have here. Whether all of them are there.
    fn resettle(&mut self, sockets: &[Option<SocketId>]) -> bool {
        let relays = [Some(&mut self.relay), self.second.as_deref_mut()].into_iter().flatten();
        let mut all = true;
        for (relay, socket) in relays.zip(sockets.iter().chain(std::iter::repeat(&None))) {
            match socket {
                Some(socket) => relay.socket = *socket,
                None => all = false,
            }
        }
        all
    }
}
