//! Mobility (RFC 8016): an allocation goes on by another 5-tuple of its client's. A Refresh with the ticket announces the
//! new one; the old one stays good, and is where peers' datagrams go, until anything else comes by the new one. Then the
//! old one is forgotten and the old ticket is worth nothing. A client whose stream has broken is awaited until its
//! allocation ends. Where the new 5-tuple leads to another worker the allocation moves there (`away`).

mod away;
mod refresh;
mod ticket;

use crate::allocation::{Allocation, Slot};
use crate::server::{Output, Server};
use crate::tcp::Effect;
use crate::{Client, Refusal, Verdict};
pub(crate) use away::{Away, Resuming};
pub use away::{Cargo, Letter};
pub use refresh::{Announcement, Resumed};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};
use stun::attribute::MobilityTicket;
pub use ticket::Ticket;
use wire::{Address, Flow, Timers, WorkerId};

/// How often in a row an allocation may be announced at another 5-tuple.
const BURST: u32 = 32;

/// How long it takes until it may be once more.
const PACE: Duration = Duration::from_secs(1);

/// What an allocation that may move has beside the others.
#[derive(Debug)]
pub(crate) struct Mobility {
    /// What its client was given last.
    ticket: Ticket,
    /// What its client showed last: good as well until the client has come, and afterwards told to be the same request
    /// once more.
    shown: Option<Ticket>,
    /// Where the client has announced itself.
    next: Option<Next>,
    /// The client's stream is gone.
    is_lost: bool,
    /// When as many announcements as there may be were used up, or will have been.
    spent: Instant,
}

/// Where a client has announced itself.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// By this flow of this worker's.
    Here(Flow),
    /// At another worker.
    There(WorkerId, Client),
    /// The same, but that stream has broken.
    Forsaken(WorkerId, Client),
}

/// A client that has announced itself and sent nothing else yet.
#[derive(Debug)]
struct Roamer {
    client: Client,
    user: Address,
    /// The ticket that it showed.
    shown: Ticket,
    /// The one that it got.
    ticket: Ticket,
    /// Until when its allocation lives.
    until: Instant,
    home: Home,
}

/// Where the allocation of such a client is.
#[derive(Debug)]
enum Home {
    Here(Slot),
    There(Away),
}

/// Tickets given out, and clients that have announced themselves.
#[derive(Debug, Default)]
pub(crate) struct Roamers {
    by_flow: FxHashMap<Flow, Box<Roamer>>,
    /// Where tickets of this worker's lead: a place here, or a client of this table.
    by_ticket: FxHashMap<Ticket, Lead>,
    pub(crate) resuming: FxHashMap<Flow, Box<Resuming>>,
    /// When clients whose allocation is at another worker have not come for too long. Apart from the server's other
    /// timers, which are small.
    ends: Timers<Flow>,
    /// When a keeper has not answered for too long.
    patience: Timers<Flow>,
}

#[derive(Clone, Copy, Debug)]
enum Lead {
    Place(Slot),
    Roamer(Flow),
}

impl Roamers {
    /// Whether a client has announced itself by this 5-tuple.
    pub(crate) fn has(&self, flow: Flow) -> bool {
        !self.by_flow.is_empty() && self.by_flow.contains_key(&flow)
    }

    /// The same, or whether another worker is asked about one.
    pub(crate) fn knows(&self, flow: Flow) -> bool {
        self.has(flow) || self.resuming.contains_key(&flow)
    }

    /// When the next of their timers is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.ends.next(), self.patience.next()].into_iter().flatten().min()
    }

    /// How many clients have announced themselves, or are about to.
    fn len(&self) -> usize {
        self.by_flow.len() + self.resuming.len()
    }
}

impl Mobility {
    fn new(now: Instant, ticket: Ticket) -> Self {
        Self { ticket, shown: None, next: None, is_lost: false, spent: now }
    }

    /// Takes one announcement off what there may be.
    fn spend(&mut self, now: Instant) -> Result<(), Refusal> {
        let spent = self.spent.max(now) + PACE;
        if spent > now + PACE * BURST {
            return Err(Refusal::InsufficientCapacity);
        }
        self.spent = spent;
        Ok(())
    }
}

impl Allocation {
    /// The ticket, as the client gets it.
    pub(crate) fn ticket(&self) -> Option<[u8; 32]> {
        self.mobility.as_deref().map(|mobility| mobility.ticket.text())
    }
}

impl Server {
    /// How many clients have announced themselves without having come, how many wait for a keeper's answer, and how many
    /// tickets are worth anything.
    pub fn roaming(&self) -> [usize; 3] {
        [self.roamers.by_flow.len(), self.roamers.resuming.len(), self.roamers.by_ticket.len()]
    }

    /// Whether an Allocate asks for a ticket (RFC 8016 §3.1.1: an empty one; 405 where there are none). Streams to peers
    /// do not move.
    pub(crate) fn wants_ticket(
        &self,
        asked: Option<MobilityTicket<'_>>,
        may_move: bool,
    ) -> Result<bool, Refusal> {
        match asked {
            None => Ok(false),
            Some(_) if !self.config.mobility || !may_move => Err(Refusal::MobilityForbidden),
            Some(MobilityTicket(b"")) => Ok(true),
            Some(_) => Err(Refusal::BadRequest),
        }
    }

    /// Gives a new allocation its first ticket.
    pub(crate) fn give_ticket(&mut self, now: Instant, slot: Slot) {
        let ticket = Ticket::new(self.me, &mut self.entropy);
        if let Some(allocation) = self.allocations.get(slot) {
            allocation.mobility = Some(Box::new(Mobility::new(now, ticket)));
            self.roamers.by_ticket.insert(ticket, Lead::Place(slot));
        }
    }

    /// Something that no allocation's client has sent: one that has announced itself here may have come.
    #[cold]
    pub(crate) fn roamed(&mut self, now: Instant, flow: Flow, message: &[u8]) -> Verdict {
        if !self.roamers.has(flow) {
            return Verdict::Drop;
        }
        if self.come(now, flow, message) { self.from_client(now, flow, message) } else { Verdict::Drop }
    }

    /// A client that has announced itself has sent something else. Whether its allocation is here now; if not, what it
    /// sent is kept for it.
    pub(crate) fn come(&mut self, now: Instant, flow: Flow, message: &[u8]) -> bool {
        match self.roamers.by_flow.get(&flow).map(|roamer| &roamer.home) {
            Some(Home::Here(_)) => self.arrive(now, flow),
            Some(Home::There(_)) => self.fetch(now, flow, message),
            None => return true,
        }
        !self.roamers.has(flow)
    }

    /// The client has come by its new 5-tuple: the old one is no more.
    fn arrive(&mut self, now: Instant, flow: Flow) {
        let Some(roamer) = self.roamers.by_flow.remove(&flow) else { return };
        let Home::Here(slot) = roamer.home else { return };
        let Some(allocation) = self.allocations.get(slot) else { return };
        let old = allocation.client.flow;
        let Some(mobility) = allocation.mobility.as_deref_mut() else { return };
        (mobility.next, mobility.is_lost) = (None, false);
        let shown = mobility.shown;
        self.forget_received(slot);
        self.allocations.rehome(slot, roamer.client);
        if let Some(shown) = shown {
            self.roamers.by_ticket.remove(&shown);
        }
        self.hang_up(old);
        self.offload(now, slot);
    }

    /// Closes the stream of a 5-tuple that is forgotten.
    fn hang_up(&mut self, flow: Flow) {
        if let Flow::Stream(conn) = flow {
            self.effect(Effect::Close(conn));
        }
    }

    /// A client's stream is gone. Whether its allocation waits for it to come back another way.
    pub(crate) fn lost(&mut self, now: Instant, flow: Flow) -> bool {
        self.forsaken(flow);
        let Some(slot) = self.allocations.find(flow) else { return false };
        let allocation = self.allocations.get(slot);
        let Some(mobility) = allocation.and_then(|allocation| allocation.mobility.as_deref_mut()) else {
            return false;
        };
        mobility.is_lost = true;
        match mobility.next {
            Some(Next::Here(flow)) => self.arrive(now, flow),
            Some(Next::There(worker, client)) => self.send_off(slot, worker, client),
            Some(Next::Forsaken(..)) | None => {}
        }
        true
    }

    /// A stream is gone by which a client had only announced itself.
    fn forsaken(&mut self, flow: Flow) {
        if let Some(resuming) = self.roamers.resuming.get_mut(&flow) {
            return resuming.lose();
        }
        let Some(roamer) = self.roamers.by_flow.get_mut(&flow) else { return };
        let slot = match &mut roamer.home {
            Home::Here(slot) => *slot,
            // The ticket leads on to the other worker for as long as the allocation may live.
            Home::There(away) => {
                away.lose();
                let (to, ticket) = (away.worker(), roamer.ticket);
                return self.tell_forsaken(to, flow, ticket);
            }
        };
        self.roamers.by_flow.remove(&flow);
        if let Some(mobility) = self.allocations.get(slot).and_then(|one| one.mobility.as_deref_mut()) {
            mobility.next = None;
        }
    }

    /// An allocation has ended or goes elsewhere: its tickets are worth nothing here any more, and who had announced
    /// itself is forgotten.
    pub(crate) fn forget_tickets(&mut self, allocation: &Allocation) {
        let Some(mobility) = allocation.mobility.as_deref() else { return };
        for ticket in [Some(mobility.ticket), mobility.shown].into_iter().flatten() {
            self.roamers.by_ticket.remove(&ticket);
        }
    }

    /// Forgets where the client of an allocation has announced itself.
    pub(crate) fn forget_next(&mut self, slot: Slot) {
        let Some(mobility) = self.allocations.get(slot).and_then(|one| one.mobility.as_deref_mut()) else {
            return;
        };
        match mobility.next.take() {
            Some(Next::Here(flow)) => {
                self.roamers.by_flow.remove(&flow);
                self.hang_up(flow);
            }
            Some(Next::There(to, client) | Next::Forsaken(to, client)) => {
                let letter = Letter::Gone { flow: client.flow };
                self.output(Output::Roam { to, letter });
            }
            None => {}
        }
    }

    /// Sees to what has not come about in its time.
    pub(crate) fn tick_roamers(&mut self, now: Instant) {
        while let Some(flow) = self.roamers.patience.pop(now) {
            self.unanswered(now, flow);
        }
        while let Some(flow) = self.roamers.ends.pop(now) {
            self.unseen(flow);
        }
    }

    /// A client that had announced itself here has nothing to come for any more: its stream has no purpose either.
    pub(crate) fn unseen(&mut self, flow: Flow) {
        if let Some(roamer) = self.roamers.by_flow.remove(&flow) {
            self.roamers.ends.cancel(flow);
            self.hang_up(flow);
            if matches!(self.roamers.by_ticket.get(&roamer.ticket), Some(Lead::Roamer(_))) {
                self.roamers.by_ticket.remove(&roamer.ticket);
            }
        }
    }
}
