//! What an administrator sees and does: sessions page by page, one in every detail, the end of some.
//!
//! A page is a number of places in the table, not of sessions, so that no look takes long, whatever is picked.

use crate::allocation::{Allocation, Session, SessionId, Slot, Traffic};
use crate::{Refusal, Server};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use stun::attribute::ChannelNumber;
use wire::{Address, Transport};

/// Why an allocation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its client has ended it (Refresh with a lifetime of 0).
    Released,
    /// Its client has not refreshed it.
    Expired,
    /// Its client's stream is gone.
    Lost,
    /// An administrator has ended it.
    Disconnected,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Lost => "lost",
            Self::Disconnected => "disconnected",
        })
    }
}

/// Which sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Every one.
    All,
    /// Those of an account.
    User(Address),
    /// This one.
    One(SessionId),
}

impl Pick {
    fn takes(&self, allocation: &Allocation) -> bool {
        match self {
            Self::All => true,
            Self::User(user) => allocation.user == *user,
            Self::One(id) => allocation.id == *id,
        }
    }
}

/// A page of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its first place.
    pub from: u32,
    /// How many places are looked at.
    pub places: u32,
    /// How many sessions are wanted; the page ends with the last of them.
    pub most: usize,
}

/// What was found on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// In the order of the table.
    pub found: Vec<T>,
    /// Where the next page begins; `None` where this was the last.
    pub next: Option<u32>,
}

/// A session in every detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// What stands in the list.
    pub session: Session,
    /// Whom traffic is permitted with, and until when.
    pub permissions: Vec<(IpAddr, Instant)>,
    /// Its channels, where they lead, and until when.
    pub channels: Vec<(ChannelNumber, SocketAddr, Instant)>,
}

impl Detail {
    fn of(now: Instant, allocation: &Allocation) -> Self {
        let permissions = allocation.permissions.iter(now).map(|(peer, permission)| (peer, permission.until));
        let channels =
            allocation.channels.iter(now).map(|(number, channel)| (number, channel.peer, channel.until));
        let (mut permissions, mut channels): (Vec<_>, Vec<_>) = (permissions.collect(), channels.collect());
        permissions.sort_unstable();
        channels.sort_unstable_by_key(|(number, ..)| number.0);
        Self { session: allocation.session(), permissions, channels }
    }
}

/// How many allocations there are, by the client's transport, on a page or on several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Over UDP.
    pub udp: u64,
    /// Over TCP.
    pub tcp: u64,
    /// Over TLS.
    pub tls: u64,
    /// Over DTLS.
    pub dtls: u64,
}

impl Survey {
    fn add(&mut self, transport: Transport) {
        *match transport {
            Transport::Udp => &mut self.udp,
            Transport::Tcp => &mut self.tcp,
            Transport::Tls => &mut self.tls,
            Transport::Dtls => &mut self.dtls,
            Transport::Ws | Transport::Wss => return,
        } += 1;
    }

    /// Adds another page.
    pub fn merge(&mut self, other: Self) {
        let Self { udp, tcp, tls, dtls } = other;
        *self =
            Self { udp: self.udp + udp, tcp: self.tcp + tcp, tls: self.tls + tls, dtls: self.dtls + dtls };
    }
}

/// What is counted beside sessions and their traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Binding requests.
    pub bindings: u64,
    /// Requests refused, by error code.
    pub refused: BTreeMap<u16, u64>,
    /// Answers not sent, as their source had had its share of those for strangers.
    pub limited: u64,
}

impl Tally {
    /// Counts a refusal.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        *self.refused.entry(refusal.code()).or_default() += 1;
    }
}

impl Server {
    /// What has been counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The sessions on a page.
    pub fn page(&self, pick: &Pick, page: Page) -> Found<Session> {
        self.pick(pick, page, |_, allocation| allocation.session())
    }

    /// The same in every detail.
    pub fn details(&self, now: Instant, pick: &Pick, page: Page) -> Found<Detail> {
        self.pick(pick, page, |_, allocation| Detail::of(now, allocation))
    }

    /// Ends the picked sessions on a page. [`wire::Machine::poll`] says what is to be closed.
    pub fn disconnect(&mut self, pick: &Pick, page: Page) -> Found<Session> {
        let Found { found, next } = self.pick(pick, page, |slot, allocation| (slot, allocation.session()));
        found.iter().for_each(|(slot, _)| self.remove(*slot, End::Disconnected));
        Found { found: found.into_iter().map(|(_, session)| session).collect(), next }
    }

    /// Counts the allocations on a page, and adds what went through them since the last time to [`Self::traffic`].
    pub fn survey(&mut self, page: Page) -> (Survey, Option<u32>) {
        let mut survey = Survey::default();
        let (there, next) = self.allocations.within_mut(page.from, page.places);
        for allocation in there {
            survey.add(allocation.client.transport);
            self.traffic.add(allocation.uncounted());
        }
        (survey, next)
    }

    /// What went through all allocations that there have been, as far as it has been counted: when they ended, or in
    /// the last survey. It only grows.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn pick<T>(&self, pick: &Pick, page: Page, show: impl Fn(Slot, &Allocation) -> T) -> Found<T> {
        let (there, mut next) = self.allocations.within(page.from, page.places);
        let mut found = Vec::new();
        for (slot, allocation) in there.filter(|(_, allocation)| pick.takes(allocation)) {
            if found.len() == page.most {
                next = Some(slot.place());
                break;
            }
            found.push(show(slot, allocation));
        }
        Found { found, next }
    }
}
