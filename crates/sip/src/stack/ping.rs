//! Requests to phones behind NAT that do nothing themselves to be reached (what Kamailio's nathelper does): each asks for an
//! answer, which keeps the way open in both directions. Nothing is kept of them; their answers find no transaction.
//!
//! Phones with flows of their own (RFC 5626) see to them, and streams have their own life.

use super::Stack;
use crate::page::Page;
use crate::registrar::binding::Binding;
use crate::transaction::Timer;
use crate::transport::{Arrival, Hop};
use std::time::{Duration, Instant};
use wire::{Address, Flow};

/// How often some phones have their turn.
const STEP: Duration = Duration::from_secs(1);

/// How many places of the book are looked at in one turn, at least.
const LEAST: u32 = 64;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    place: u32,
    /// When the first had theirs; `None` while nobody is registered.
    began: Option<Instant>,
}

/// A phone that is to be asked, and whose it is.
struct Phone {
    owner: Address,
    uri: Box<[u8]>,
    way: Arrival,
}

impl Stack {
    /// Begins with the first registration.
    pub(super) fn watch_phones(&mut self, now: Instant) {
        let Some(every) = self.config.ping.filter(|_| self.pings.began.is_none()) else { return };
        if !self.registrar.is_empty() {
            self.pings = Pings { place: 0, began: Some(now) };
            self.timers.set(Timer::Pings, now + every);
        }
    }

    /// Some phones have their turn: as many as it takes for each to have one in time.
    pub(super) fn ping_some(&mut self, now: Instant) {
        let due = self.pings.began.take().zip(self.config.ping);
        let Some((began, every)) = due.filter(|_| !self.registrar.is_empty() && !self.draining) else {
            return;
        };
        let steps = u32::try_from(every.as_secs()).unwrap_or(u32::MAX).max(1);
        let places = self.registrar.places().div_ceil(steps).max(LEAST);
        let page = Page { from: self.pings.place, places, most: usize::MAX };
        let began = if page.from == 0 { now } else { began };
        let found = self.registrar.some(now, page, |address, binding, found| {
            found.extend(way(binding).map(|way| Phone {
                owner: address.clone(),
                uri: binding.contact().uri,
                way,
            }));
        });
        found.found.into_iter().for_each(|phone| self.ping(now, &phone));
        let next = if found.next.is_some() { now + STEP } else { (began + every).max(now + STEP) };
        self.pings = Pings { place: found.next.unwrap_or(0), began: Some(began) };
        self.timers.set(Timer::Pings, next);
    }

    fn ping(&mut self, now: Instant, phone: &Phone) {
        let Some((path, sent_by)) = self.path(&Hop::Flow(phone.way)) else { return };
        let second = self.epoch.unix(now).as_secs().to_be_bytes();
        let (domain, uri) = (phone.owner.domain(), &phone.uri);
        // Phones behind different NATs may have one URI.
        let name = self.seal.likeness("ping", [phone.owner.as_str().as_bytes(), uri, &second]);
        let mut text = [b"OPTIONS ", &**uri, b" SIP/2.0\r\n"].concat();
        text.extend_from_slice(
            format!("Via: SIP/2.0/UDP {sent_by};branch=z9hG4bKping{name:016x}\r\nMax-Forwards: 70\r\n")
                .as_bytes(),
        );
        text.extend_from_slice(format!("From: <sip:{domain}>;tag={name:016x}\r\nTo: <").as_bytes());
        text.extend_from_slice(uri);
        text.extend_from_slice(
            format!(">\r\nCall-ID: {name:016x}@{domain}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        );
        self.send(now, &path, text, None);
    }
}

/// The way to a phone that is reached by it alone, and does not keep it open as far as is known.
fn way(binding: &Binding) -> Option<Arrival> {
    let way = binding.arrival().filter(|way| matches!(way.flow, Flow::Datagram { .. }))?;
    (binding.path().is_empty() && binding.instance().is_none()).then_some(way)
}
