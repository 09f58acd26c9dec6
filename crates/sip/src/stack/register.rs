//! REGISTER at the home of its address (RFC 3261 §10.3, its steps in order). Its 200 follows the disk, where that answers.

use super::outbound;
use super::{Output, Parcel, Stack};
use crate::digest::Role;
use crate::message::reply::push_number;
use crate::message::{HeaderName, Message, NameAddr, Reply, glance};
use crate::proxy::{Refusal, validate};
use crate::registrar::gruu;
use crate::registrar::places;
use crate::registrar::request::Change;
use crate::registrar::{Binding, Changes, Origin, Row, request};
use crate::slab::Id;
use crate::transaction::Key;
use crate::transaction::Timer;
use crate::transport::{Arrival, return_address};
use crate::uri::{Uri, is_sips};
use std::time::Instant;
use wire::{Address, Flow, WorkerId};

/// What a REGISTER may require.
const EXTENSIONS: &[&str] = &["path", "outbound", "gruu"];

impl Stack {
    pub(super) fn register(&mut self, now: Instant, arrival: Arrival, (request, key): (&Message<'_>, Key)) {
        let address = match self.registrant(request, &arrival) {
            Ok(address) => address,
            Err(refusal) => return self.refuse(now, &arrival, request, &refusal),
        };
        let registered = match address.home(self.config.workers) {
            home if home == self.config.me => self.register_here(now, arrival, (request, key), &address),
            home => self.register_at(now, arrival, request, (&address, home)),
        };
        if let Err(refusal) = registered {
            self.refuse(now, &arrival, request, &refusal);
        }
    }

    /// A REGISTER for the home of its address, another worker. One that brings no proof is asked for it here, in that one's
    /// name: half of them never go there.
    fn register_at(
        &mut self,
        now: Instant,
        arrival: Arrival,
        request: &Message<'_>,
        (address, home): (&Address, WorkerId),
    ) -> Result<(), Refusal> {
        let user = self.has_shown(now, &arrival, address).then(|| address.clone());
        let role = Role::Server;
        if self.config.authenticate && user.is_none() && !request.has(role.credentials()) {
            validate::unknown_extensions(request, HeaderName::Require, EXTENSIONS)?;
            let realm = self.directory.domain(address.domain()).cloned().ok_or(Refusal::NotYours)?;
            return Err(self.challenge(request, (role, home), (address, realm), false));
        }
        let mut asked = None;
        // Its bindings end with the connection: their home wants to know.
        if let Flow::Stream(conn) = arrival.flow
            && let Some(connection) = self.connections.get_mut(conn)
        {
            connection.used_by(home);
            asked = connection.asked.clone();
        }
        let parcel = Parcel::Request { arrival, bytes: request.bytes().to_vec(), user, asked };
        self.out.push_back(Output::HandOver { to: home, parcel });
        Ok(())
    }

    /// Where a datagram is a REGISTER that only another worker can do anything about: which. It reads it, and counts it; here
    /// no more is looked at than whose it is.
    pub(super) fn registers_at(&self, arrival: &Arrival, bytes: &[u8]) -> Option<WorkerId> {
        if self.config.workers == 1 {
            return None;
        }
        let glance = glance(bytes).filter(|glance| glance.proves || !self.config.authenticate)?;
        let to = NameAddr::parse(glance.to).ok()?;
        let Ok(Uri::Sip(uri)) = to.uri() else { return None };
        let home = self.place().account(&uri, arrival)?.home(self.config.workers);
        (home != self.config.me).then_some(home)
    }

    /// Whose bindings a REGISTER is about, by the main name of its domain. Whether there is such an account shows
    /// when the password is asked for.
    fn registrant(&self, request: &Message<'_>, arrival: &Arrival) -> Result<Address, Refusal> {
        match request.to().uri() {
            Ok(Uri::Sip(uri)) => self.place().account(&uri, arrival).ok_or(Refusal::NotFound),
            _ => Err(Refusal::BadRequest("To Names No SIP Address")),
        }
    }

    fn register_here(
        &mut self,
        now: Instant,
        arrival: Arrival,
        (request, key): (&Message<'_>, Key),
        address: &Address,
    ) -> Result<(), Refusal> {
        validate::unknown_extensions(request, HeaderName::Require, EXTENSIONS)?;
        self.prove(now, &arrival, request, (Role::Server, address))?;
        // The directory's own name: what is kept of a registration shares it.
        let own = self.directory.get(address).map(|account| account.address.clone());
        let address = &own.unwrap_or_else(|| address.clone());
        let keeps_flows = outbound::first_hop_knows(request);
        let scratch = request::scratch(request, keeps_flows);
        let mut changes = request::read(request, &scratch, &self.config.rules, &arrival)?;
        self.follow_addresses(&arrival, address, &mut changes);
        if !is_sips_throughout(request, &changes) {
            return Err(Refusal::SipsContact);
        }
        if let Changes::Query = changes {
            let bytes = self.registered(now, &arrival, request, address);
            self.send_back(now, &arrival, return_address(request.via(), &arrival), bytes);
            return Ok(());
        }
        if !keeps_flows && outbound::asked(request) {
            return Err(Refusal::NoOutbound);
        }
        let path = request.list(HeaderName::Path).collect::<Vec<_>>().join(&b", "[..]);
        let stamp = self.registrar.stamp(self.epoch.unix(now));
        let cseq = request.cseq().number;
        let origin = Origin { call_id: request.call_id(), cseq, path: &path, arrival, stamp };
        if !self.table.takes(arrival.peer.ip(), request.bytes().len()) {
            return Err(Refusal::Overload);
        }
        let before = self.registrar.bindings(address).len();
        self.registrar.apply(address, &changes, &origin, &self.config.rules, now)?;
        if self.registrar.bindings(address).len() < before {
            self.storage.note_fewer(address);
        }
        self.watch_bindings(now);
        // Written now, as the request is at hand; it leaves when the disk has the bindings.
        let bytes = self.registered(now, &arrival, request, address);
        let server = self.begin(now, arrival, (request, key), None);
        if let Some(server) = server {
            self.table.hold_answer(server, bytes);
        }
        self.save(now, address, (server, Some((request.call_id(), cseq))));
        Ok(())
    }

    /// A Contact that is another address of ours is no phone: what is for it goes there, whichever way its REGISTER came.
    fn follow_addresses(&self, arrival: &Arrival, address: &Address, changes: &mut Changes<'_>) {
        let Changes::Each(changes) = changes else { return };
        let is_another = |uri: &[u8]| match Uri::parse(uri) {
            Ok(Uri::Sip(uri)) => self
                .place()
                .account(&uri, arrival)
                .is_some_and(|other| other != *address && self.directory.get(&other).is_some()),
            _ => false,
        };
        for change in changes.iter_mut().filter(|change| change.by_flow && change.instance().is_none()) {
            change.by_flow = !is_another(change.uri);
        }
    }

    /// The clock of whichever binding ends first.
    pub(super) fn watch_bindings(&mut self, now: Instant) {
        self.watch_phones(now);
        match self.registrar.next_end() {
            Some(first) => self.timers.set(Timer::Bindings, first),
            None => drop(self.timers.cancel(Timer::Bindings)),
        }
    }

    /// The bindings of an address as they are kept on disk, in the order of their places; where it is told, those alone that a
    /// request has made or refreshed.
    pub(super) fn rows(&mut self, now: Instant, address: &Address, of: Option<(&[u8], u32)>) -> Vec<Row> {
        let stamp = self.registrar.stamp(self.epoch.unix(now));
        let bindings = self.registrar.bindings(address);
        let of = of.filter(|_| bindings.len() <= places::MOST);
        let ordered = (stamp..).zip(bindings);
        let changed = ordered.filter(|(_, binding)| of.is_none_or(|request| binding.is_of(request)));
        let mut rows: Vec<Row> = changed.map(|(order, binding)| binding.row(&self.epoch, order)).collect();
        rows.sort_by_key(|row| row.place);
        if of.is_none() {
            // There may be more than have places of their own.
            (0..).zip(&mut rows).for_each(|(place, row)| row.place = place);
        }
        rows
    }

    /// Answers a REGISTER whose bindings are in memory, and on the disk if that could be. Its answer waits where the last
    /// one that left is kept: none has left so far.
    pub(super) fn acknowledge_registration(&mut self, now: Instant, id: Id) {
        if self.table.server(id).is_some_and(|server| !server.is_answered()) {
            let bytes = self.table.take_answer(id);
            self.respond(now, id, 200, bytes);
        }
    }

    /// 200 with every binding (RFC 3261 §10.3 step 8).
    fn registered(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        address: &Address,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let tag = self.tag(request);
        let gruu = outbound::supports(request, "gruu");
        let stamp = self.registrar.stamp(self.epoch.unix(now));
        let mut reply = Reply::begin(&mut out, request, Some(arrival.peer), 200, &tag);
        for binding in self.registrar.bindings(address) {
            if binding.expires > now {
                let mut text = contact(binding, now);
                if let Some(instance) = binding.phone().filter(|_| gruu) {
                    text.extend(
                        gruu::params(&self.seal, address, (instance, is_sips(binding.uri())), stamp)
                            .into_bytes(),
                    );
                }
                reply.header("Contact", text);
            }
        }
        for path in request.all(HeaderName::Path) {
            reply.header("Path", path);
        }
        self.outbound_headers(&mut reply, arrival, request);
        reply.header("Date", super::date::write(self.epoch.unix(now)));
        reply.end();
        out
    }
}

/// Whether what is registered as sips is that all the way: Request-URI, Contacts and Path (RFC 5630 §5.2).
fn is_sips_throughout(request: &Message<'_>, changes: &Changes<'_>) -> bool {
    let Changes::Each(changes) = changes else { return true };
    let all = || {
        let path = |path| NameAddr::parse(path).is_ok_and(|path| is_sips(path.uri_bytes()));
        request.uri_bytes().is_some_and(is_sips)
            && changes.iter().all(|change| is_sips(change.uri))
            && request.list(HeaderName::Path).all(path)
    };
    // Whatever goes, goes.
    let new = |change: &&Change<'_>| !change.expires.is_zero();
    !changes.iter().filter(new).any(|change| is_sips(change.uri)) || all()
}

/// A Contact of the answer: how long the binding still lives, to the second above.
fn contact(binding: &Binding, now: Instant) -> Vec<u8> {
    let left = binding.expires.saturating_duration_since(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let mut text = Vec::with_capacity(binding.uri().len() + binding.params().len() + 32);
    [b"<", binding.uri(), b">"].into_iter().for_each(|part| text.extend_from_slice(part));
    if binding.q < 1000 {
        text.extend_from_slice(format!(";q=0.{:03}", binding.q).as_bytes());
    }
    text.extend_from_slice(binding.params());
    text.extend_from_slice(b";expires=");
    push_number(&mut text, seconds);
    text
}
