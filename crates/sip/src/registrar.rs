//! The registrar's book: bindings of addresses of record, in memory at their home worker (RFC 3261 §10, RFC 3327, RFC 5626).
//!
//! It decides; writing to the disk and answering are the stack's.

pub mod binding;
pub mod gruu;
pub(crate) mod places;
pub mod request;

pub use binding::{Binding, Row};
pub use request::{Change, Changes};

use crate::page::{Found, Page};
use crate::proxy::Refusal;
use crate::slab::{Id, Slab};
use crate::stack::Registered;
use crate::transport::Arrival;
use crate::transport::inside::Depth;
use crate::uri::Uri;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeSet, BinaryHeap};
use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};
use wire::{Address, ConnectionId, Epoch};

/// What a registration may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A binding's life if the phone names none.
    pub expires: Duration,
    /// The shortest life; less is refused with 423.
    pub expires_min: Duration,
    /// The longest life; more is shortened.
    pub expires_max: Duration,
    /// Bindings of one address; further ones push out those refreshed the longest ago.
    pub bindings: usize,
}

/// The request that a change came with.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Its Call-ID.
    pub call_id: &'a [u8],
    /// Its CSeq number.
    pub cseq: u32,
    /// Its Path values, comma-separated (RFC 3327).
    pub path: &'a [u8],
    /// The way it came by.
    pub arrival: Arrival,
    /// When, by [`Registrar::stamp`].
    pub stamp: Stamp,
}

/// Where a phone is reached: what the proxy needs of a binding, also on another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The contact URI, as the phone wrote it.
    pub uri: Box<[u8]>,
    /// The Path to it, comma-separated; empty where there is none.
    pub path: Box<[u8]>,
    /// The way its registration came by, as long as that may still work.
    pub arrival: Option<Arrival>,
    /// How far inside whoever registered it is: it leads no further.
    pub depth: Depth,
    /// Preference in thousandths.
    pub q: u16,
    /// The `+sip.instance` of its phone, as written: contacts of the same phone are ways to one target.
    pub instance: Option<Box<[u8]>>,
    /// Since when that has been registered without a break under its Call-ID, in microseconds since 1970.
    pub since: u64,
    /// It is one flow of perhaps several of its phone, and reached by nothing else (RFC 5626).
    pub outbound: bool,
}

#[derive(Debug)]
struct Entry {
    address: Address,
    bindings: Bindings,
    /// When it is looked at: no later than the first of them ends.
    watched: Option<Moment>,
}

/// The bindings of one address: nearly always one, which then needs no allocation of its own.
#[derive(Debug)]
enum Bindings {
    One(Binding),
    Many(Box<[Binding]>),
}

impl Bindings {
    fn new(bindings: Vec<Binding>) -> Self {
        match <[Binding; 1]>::try_from(bindings) {
            Ok([one]) => Self::One(one),
            Err(many) => Self::Many(many.into()),
        }
    }

    fn all(&self) -> &[Binding] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// A moment in microseconds since 1970, by a clock that is never set back.
pub type Stamp = u64;

/// How long the texts of all bindings of an address may be together: each answer to its phones repeats them, and each change
/// writes them anew.
const MAX_OCTETS: usize = 64 * 1024;

/// How far stamps may have run ahead of the clock in an earlier run: an hour, or as many registrations as there are microseconds in it.
const AHEAD: Stamp = 3_600_000_000;

/// A moment in nanoseconds since the first that a registrar saw, counted from 1: half as long as an [`Instant`].
type Moment = NonZeroU64;

/// All bindings of one worker. Bounded by the number of accounts, times [`Rules::bindings`].
#[derive(Debug)]
pub struct Registrar {
    rows: Slab<Entry>,
    /// The rows alone: their addresses stand in them.
    by_address: HashTable<Id>,
    /// When time began here.
    start: Option<Instant>,
    /// The last stamp that was given, or is known of an earlier run.
    stamp: Stamp,
    /// The rows with flows of each connection, which end with it (RFC 5626).
    by_stream: BTreeSet<(ConnectionId, Id)>,
    /// When which row is looked at, the earliest first. A refresh leaves that as it was: the row is found alive then, and
    /// is looked at again when its bindings end. What a row's `watched` does not name is passed over.
    ends: BinaryHeap<Reverse<(Moment, Id)>>,
}

fn hash(address: &str) -> u64 {
    FxBuildHasher.hash_one(address)
}

impl Default for Registrar {
    fn default() -> Self {
        Self {
            rows: Slab::new(usize::MAX),
            by_address: HashTable::new(),
            start: None,
            stamp: 0,
            by_stream: BTreeSet::new(),
            ends: BinaryHeap::new(),
        }
    }
}

impl Registrar {
    /// The bindings of an address, in no order of preference.
    pub fn bindings(&self, address: &Address) -> &[Binding] {
        self.find(address).and_then(|id| self.rows.get(id)).map_or(&[], |row| row.bindings.all())
    }

    fn find(&self, address: &Address) -> Option<Id> {
        let is = |id: &Id| self.rows.get(*id).is_some_and(|row| row.address == *address);
        self.by_address.find(hash(address.as_str()), is).copied()
    }

    /// Takes the name of a row away.
    fn forget_name(&mut self, address: &Address) -> Option<Id> {
        let is = |id: &Id| self.rows.get(*id).is_some_and(|row| row.address == *address);
        let found = self.by_address.find_entry(hash(address.as_str()), is).ok()?;
        Some(found.remove().0)
    }

    /// The present as registrations are dated by it: later than any other that was given, wherever the host's clock was set
    /// meanwhile.
    pub fn stamp(&mut self, unix: Duration) -> Stamp {
        self.stamp = binding::micros(unix).max(self.stamp.saturating_add(1));
        self.stamp
    }

    fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.start.unwrap_or(at)).as_nanos();
        Moment::MIN.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    fn instant(&self, moment: Moment) -> Option<Instant> {
        Some(self.start? + Duration::from_nanos(moment.get() - 1))
    }

    /// Where an address is reached at `now`, the most preferred first; of the same preference, what was refreshed last comes last.
    pub fn contacts(&self, address: &Address, now: Instant) -> Vec<Contact> {
        let live = self.bindings(address).iter().filter(|binding| binding.expires > now);
        let mut contacts: Vec<Contact> = live.map(Binding::contact).collect();
        contacts.sort_by_key(|contact| std::cmp::Reverse(contact.q));
        contacts
    }

    /// A page of all bindings that hold at `now`. Those of one address are found together.
    pub fn page(&self, now: Instant, page: Page) -> Found<Registered> {
        self.some(now, page, |address, binding, found| found.push(Registered::new(address, binding)))
    }

    /// A page of the bindings that hold at `now`: `read` adds what is wanted of each.
    pub(crate) fn some<T>(
        &self,
        now: Instant,
        page: Page,
        mut read: impl FnMut(&Address, &Binding, &mut Vec<T>),
    ) -> Found<T> {
        Found::on(page, &self.rows, |_, row, found| {
            let live = row.bindings.all().iter().filter(|binding| binding.expires > now);
            live.for_each(|binding| read(&row.address, binding, found));
        })
    }

    /// How many places the pages cover.
    pub(crate) fn places(&self) -> u32 {
        self.rows.places()
    }

    /// How many addresses have bindings.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bindings there are.
    pub fn count(&self) -> usize {
        self.rows.iter().map(|(_, row)| row.bindings.all().len()).sum()
    }

    /// Puts in the bindings of an address as they were kept.
    pub fn load(&mut self, (now, epoch): (Instant, &Epoch), address: Address, bindings: Vec<Binding>) {
        self.start.get_or_insert(now);
        // Stamps of an earlier run were of its time, or, where the clock had been set back, of soon after the first.
        let last = |binding: &Binding| binding.since().max(binding::micros(epoch.unix(binding.expires)));
        self.stamp =
            bindings.iter().map(|binding| last(binding).saturating_add(AHEAD)).fold(self.stamp, Stamp::max);
        self.replace_all(&address, bindings);
    }

    /// Puts bindings in the place of those that the address had, where its rows are going to be written anew.
    fn replace_all(&mut self, address: &Address, mut bindings: Vec<Binding>) {
        places::settle(&mut bindings, |_| false);
        self.replace(address, bindings);
    }

    /// Carries out a registration, all of it or nothing (RFC 3261 §10.3 steps 6 and 7).
    pub fn apply(
        &mut self,
        address: &Address,
        changes: &Changes<'_>,
        origin: &Origin<'_>,
        rules: &Rules,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.start.get_or_insert(now);
        let mut bindings = self.bindings(address).to_vec();
        bindings.retain(|binding| binding.expires > now);
        match changes {
            Changes::Query => {}
            Changes::RemoveAll => {
                if bindings.iter().any(|binding| is_late(binding, origin)) {
                    return Err(Refusal::OutOfOrder);
                }
                bindings.clear();
            }
            Changes::Each(changes) => {
                // Each is compared with all that there are: what nobody may have costs no more than to count it.
                if changes.len() > rules.bindings {
                    return Err(Refusal::TooManyContacts);
                }
                if changes.iter().any(|change| comes_late(&bindings, change, origin)) {
                    return Err(Refusal::OutOfOrder);
                }
                let goes = |change: &&Change<'_>| change.expires.is_zero();
                for change in changes.iter().filter(|change| !goes(change)) {
                    set(&mut bindings, change, origin, now);
                }
                // What the same request sets stays, in whichever order it names the two: one URI may be written in several ways.
                for change in changes.iter().filter(goes) {
                    bindings.retain(|binding| is_late(binding, origin) || !is_same(binding, change));
                }
                limit(&mut bindings, origin, rules)?;
            }
        }
        places::settle(&mut bindings, |binding| binding.is_of((origin.call_id, origin.cseq)));
        self.replace(address, bindings);
        Ok(())
    }

    /// Puts bindings in the place of those that the address had.
    fn replace(&mut self, address: &Address, bindings: Vec<Binding>) {
        let Some(first) = bindings.iter().map(|binding| binding.expires).min() else {
            return self.forget(address);
        };
        let (row, first) = (self.find(address), self.moment(first));
        let flows: Vec<ConnectionId> = bindings.iter().filter_map(Binding::stream).collect();
        let bindings = Bindings::new(bindings);
        let id = match row {
            Some(id) => {
                let row = self.rows.get_mut(id).expect("the index names rows that exist");
                let old = std::mem::replace(&mut row.bindings, bindings);
                self.forget_flows(id, old.all());
                id
            }
            None => {
                let row = Entry { address: address.clone(), bindings, watched: None };
                let Some(id) = self.rows.insert(row) else { return };
                let Self { rows, by_address, .. } = self;
                let hash_of = |id: &Id| rows.get(*id).map_or(0, |row| hash(row.address.as_str()));
                by_address.insert_unique(hash(address.as_str()), id, hash_of);
                id
            }
        };
        self.by_stream.extend(flows.into_iter().map(|flow| (flow, id)));
        self.watch(id, first);
    }

    /// Sees to it that a row is looked at no later than `first`.
    fn watch(&mut self, id: Id, first: Moment) {
        let Some(row) = self.rows.get_mut(id).filter(|row| row.watched.is_none_or(|at| first < at)) else {
            return;
        };
        row.watched = Some(first);
        self.ends.push(Reverse((first, id)));
        if self.ends.len() > 2 * self.rows.len() + 64 {
            let Self { rows, ends, .. } = self;
            ends.retain(|Reverse((at, id))| rows.get(*id).is_some_and(|row| row.watched == Some(*at)));
        }
    }

    /// Takes off the front what names no row any more.
    fn pass_over(&mut self) {
        while let Some(Reverse((at, id))) = self.ends.peek()
            && self.rows.get(*id).is_none_or(|row| row.watched != Some(*at))
        {
            self.ends.pop();
        }
    }

    /// When a binding may have ended, at the earliest; `None` where there is none.
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.peek().and_then(|Reverse((at, _))| self.instant(*at))
    }

    /// Drops what has ended of one address, and says whose it was. Call until `None`.
    pub fn ended(&mut self, now: Instant) -> Option<Address> {
        let until = self.moment(now);
        loop {
            let Reverse((at, id)) =
                self.ends.peek_mut().filter(|first| first.0.0 <= until).map(PeekMut::pop)?;
            let Some(row) = self.rows.get_mut(id).filter(|row| row.watched == Some(at)) else { continue };
            row.watched = None;
            let next = row.bindings.all().iter().map(|binding| binding.expires).min();
            match next {
                Some(next) if next > now => {
                    let next = self.moment(next);
                    self.watch(id, next);
                    self.pass_over();
                }
                _ => {
                    let address = self.retain(id, |binding| binding.expires > now);
                    self.pass_over();
                    return address;
                }
            }
        }
    }

    /// A connection is gone, and with it the flows that were reached by nothing else (RFC 5626 §4.2). Says who had some.
    pub fn closed(&mut self, conn: ConnectionId) -> Vec<Address> {
        let (first, last) = (Id { index: 0, generation: 0 }, Id { index: u32::MAX, generation: u32::MAX });
        let rows: Vec<Id> = self.by_stream.range((conn, first)..=(conn, last)).map(|(_, id)| *id).collect();
        let drop_flow = |id| self.retain(id, |binding| binding.stream() != Some(conn));
        rows.into_iter().filter_map(drop_flow).collect()
    }

    /// Keeps some bindings of a row. Says whose row it is.
    fn retain(&mut self, id: Id, keep: impl Fn(&Binding) -> bool) -> Option<Address> {
        let row = self.rows.get(id)?;
        let address = row.address.clone();
        let bindings = row.bindings.all().iter().filter(|binding| keep(binding)).cloned().collect();
        self.replace_all(&address, bindings);
        Some(address)
    }

    fn drop_row(&mut self, id: Id) {
        if let Some(row) = self.rows.remove(id) {
            self.forget_flows(id, row.bindings.all());
            self.pass_over();
        }
    }

    fn forget_flows(&mut self, id: Id, bindings: &[Binding]) {
        for flow in bindings.iter().filter_map(Binding::stream) {
            self.by_stream.remove(&(flow, id));
        }
    }

    /// Drops every binding of an address: its account is gone.
    pub fn forget(&mut self, address: &Address) {
        if let Some(id) = self.forget_name(address) {
            self.drop_row(id);
        }
    }

    /// Every address that has bindings.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.rows.iter().map(|(_, row)| &row.address)
    }
}

/// Whether the request is older than the one that made the binding (RFC 3261 §10.3 step 7).
fn is_late(binding: &Binding, origin: &Origin<'_>) -> bool {
    binding.call_id() == origin.call_id && origin.cseq <= binding.cseq
}

/// Whether a newer request, or this one, has made the binding that a change is about.
fn comes_late(bindings: &[Binding], change: &Change<'_>, origin: &Origin<'_>) -> bool {
    bindings.iter().any(|binding| is_late(binding, origin) && is_same(binding, change))
}

/// Sets a contact in the place of what there is of it; of one that a request names twice the last holds.
fn set(bindings: &mut Vec<Binding>, change: &Change<'_>, origin: &Origin<'_>, now: Instant) {
    let since =
        bindings.iter().filter(|binding| is_of_same(binding, change, origin)).map(Binding::since).min();
    let place = bindings.iter().find(|binding| is_same(binding, change)).map(|binding| binding.place);
    bindings.retain(|binding| !is_same(binding, change));
    let place = place.unwrap_or_else(|| u8::try_from(bindings.len()).unwrap_or(u8::MAX));
    let mut binding = Binding::new(change, origin, since, now);
    binding.place = place;
    bindings.push(binding);
}

/// Keeps the newest bindings, which are at the end, as far as there may be so many and as they may be so long; what the
/// request itself sets has to be among them.
fn limit(bindings: &mut Vec<Binding>, origin: &Origin<'_>, rules: &Rules) -> Result<(), Refusal> {
    let mut octets = 0;
    let fits = |binding: &&Binding| {
        octets += binding.octets();
        octets <= MAX_OCTETS
    };
    let kept = bindings.iter().rev().take(rules.bindings).take_while(fits).count();
    let goes = bindings.len() - kept;
    if bindings[..goes].iter().any(|binding| is_late(binding, origin)) {
        return Err(Refusal::TooManyContacts);
    }
    bindings.drain(..goes);
    Ok(())
}

/// Whether a binding is of the same phone and registration, by whichever of its flows.
fn is_of_same(binding: &Binding, change: &Change<'_>, origin: &Origin<'_>) -> bool {
    let phone = change.phone();
    phone.is_some() && binding.phone() == phone && binding.call_id() == origin.call_id
}

/// Whether a change is about this binding: the same URI, or the same flow of the same phone (RFC 5626 §6).
fn is_same(binding: &Binding, change: &Change<'_>) -> bool {
    if let (Some(a), Some(b)) = (binding.instance(), change.instance()) {
        return a == b;
    }
    if binding.uri() == change.uri {
        return true;
    }
    match (Uri::parse(binding.uri()), Uri::parse(change.uri)) {
        (Ok(a), Ok(b)) => a.matches(&b),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
