//! What the administrator sees of one worker's sessions and does to them, and what the log says of each.
//!
//! At INFO a session is a number with totals; whose it was and where its ends lay is personal data, so at DEBUG only.

use super::Turn;
use crate::desk::Desk;
use crate::report::Report;
use tokio::sync::oneshot;
use turn::{Detail, End, Found, Page, Pick, Session, Survey, Traffic};
use wire::{Flow, Transport};

/// What the back office wants of one page of a worker's sessions.
#[derive(Clone, Debug)]
pub struct Look {
    /// Which sessions.
    pub pick: Pick,
    /// What of them.
    pub want: Want,
    /// Where.
    pub page: Page,
}

/// What is wanted of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// What a list shows.
    Sessions,
    /// Every detail.
    Details,
    /// Their end.
    End,
    /// How many there are and what went through them.
    Survey,
}

/// The answer to a [`Look`].
#[derive(Debug, Default)]
pub struct Seen {
    /// The sessions, in the order of the table; those ended, where that was wanted.
    pub sessions: Vec<Session>,
    /// The same in detail, where that was wanted.
    pub details: Vec<Detail>,
    /// How many there are, where that was wanted.
    pub survey: Survey,
    /// What went through all sessions that this worker has had, as far as it has been counted.
    pub traffic: Traffic,
    /// How many sessions the worker has.
    pub all: u64,
    /// Where the next page begins; `None` after the last.
    pub next: Option<u32>,
}

/// A letter from the back office.
#[derive(Debug)]
pub enum Order {
    /// Look at a page of sessions.
    Look(Look, oneshot::Sender<Seen>),
    /// Take no new allocations, or take them again.
    Drain(bool),
}

/// What is counted when sessions begin and end.
#[derive(Debug, Default)]
pub(super) struct Tally {
    began: [u64; TRANSPORTS.len()],
    ended: [u64; ENDS.len()],
    seconds: u64,
}

const TRANSPORTS: [Transport; 4] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls];
const ENDS: [End; 4] = [End::Released, End::Expired, End::Lost, End::Disconnected];

impl Tally {
    /// Adds the counts to a report.
    pub(super) fn report(&self, report: &mut Report) {
        for (transport, count) in TRANSPORTS.iter().zip(self.began) {
            report.add(&format!("turn.began.{transport}"), count);
        }
        for (end, count) in ENDS.iter().zip(self.ended) {
            report.add(&format!("turn.ended.{end}"), count);
        }
        report.add("turn.seconds", self.seconds);
    }
}

/// Adds what the machine counts of requests.
pub(super) fn report_requests(tally: &turn::Tally, report: &mut Report) {
    report.add("turn.bindings", tally.bindings);
    report.add("turn.unanswered", tally.limited);
    for (code, count) in &tally.refused {
        report.add(&format!("turn.refused.{code}"), *count);
    }
}

impl Turn {
    /// A session has begun.
    pub(super) fn began(&mut self, session: &Session) {
        let Session { id, user, client, relayed, .. } = session;
        if let Some(place) = TRANSPORTS.iter().position(|transport| *transport == client.transport) {
            self.tally.began[place] += 1;
        }
        tracing::debug!(session = %id, %user, client = %client.peer, transport = %client.transport, %relayed, "session began");
    }

    /// A session has ended.
    pub(super) fn ended(&mut self, desk: &mut Desk<'_, '_>, session: &Session, end: End) {
        let now = desk.net.now();
        let seconds = now.saturating_duration_since(session.began).as_secs();
        if let Some(place) = ENDS.iter().position(|known| *known == end) {
            self.tally.ended[place] += 1;
        }
        self.tally.seconds += seconds;
        if let Flow::Stream(conn) = session.client.flow {
            self.streams.watch(now, conn);
            if end == End::Disconnected {
                desk.net.close(conn);
            }
        }
        log_end(session, end, seconds);
    }

    /// The back office wants something.
    pub(super) fn order(&mut self, desk: &mut Desk<'_, '_>, order: Order) {
        match order {
            Order::Look(look, reply) => {
                self.take_carried(desk);
                let seen = self.look(desk, &look);
                self.carry_out(desk);
                // Whoever asked may have gone away meanwhile.
                drop(reply.send(seen));
            }
            Order::Drain(on) => {
                self.draining = on;
                super::Service::refresh(self, desk);
            }
        }
    }

    fn look(&mut self, desk: &Desk<'_, '_>, look: &Look) -> Seen {
        let Look { pick, want, page } = look;
        let mut seen = match want {
            Want::Sessions => of_sessions(self.server.page(pick, *page)),
            Want::End => of_sessions(self.server.disconnect(pick, *page)),
            Want::Details => {
                let Found { found, next } = self.server.details(desk.net.now(), pick, *page);
                Seen { details: found, next, ..Seen::default() }
            }
            Want::Survey => {
                let (survey, next) = self.server.survey(*page);
                Seen { survey, next, ..Seen::default() }
            }
        };
        seen.all = self.server.allocations() as u64;
        seen.traffic = self.server.traffic();
        seen
    }
}

fn of_sessions(found: Found<Session>) -> Seen {
    Seen { sessions: found.found, next: found.next, ..Seen::default() }
}

fn log_end(session: &Session, end: End, seconds: u64) {
    let Session { id, user, client, relayed, traffic, .. } = session;
    let Traffic { sent_packets, sent_bytes, received_packets, received_bytes, dropped_packets } = traffic;
    tracing::info!(
        session = %id,
        reason = %end,
        transport = %client.transport,
        seconds,
        sent_packets,
        sent_octets = sent_bytes,
        received_packets,
        received_octets = received_bytes,
        dropped_packets,
        "session ended"
    );
    tracing::debug!(session = %id, %user, client = %client.peer, %relayed, "whose session that was");
}
