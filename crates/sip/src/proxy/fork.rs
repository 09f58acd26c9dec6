//! A request on its way out: the target found, one branch per contact, each with its ways to try in order
//! (RFC 3261 §16.5, §16.6; RFC 3263 §4.3).

use super::context::{Branch, State, Way};
use super::forward::{self, Copy};
use super::route::{Plan, Target, begins_dialog};
use super::{Context, Refusal, validate};
use crate::dialog::beginning::Beginning;
use crate::message::body::with_session;
use crate::message::{Contact, HeaderName, Message, Method, NameAddr};
use crate::registrar;
use crate::slab::Id;
use crate::stack::{Asked, Client, Output, Path, ServerKind, Stack};
use crate::trace::Note;
use crate::transaction::{Key, Timer};
use crate::transport::inside::Depth;
use crate::transport::lookup;
use crate::transport::token::{self, Sealed, Seat, Side};
use crate::transport::{self, Arrival, Blocked, Branch as Via, Hop};
use crate::uri::{SipUri, Uri, is_sips, plain};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use wire::names::{Found, Question};
use wire::{Domain, Flow, Transport};

impl Stack {
    /// Forwards a request with a transaction.
    pub(crate) fn proxy(
        &mut self,
        now: Instant,
        arrival: Arrival,
        (request, key): (&Message<'_>, Key),
        plan: Plan,
    ) {
        let mut target = plan.target.clone();
        let hops = match (&target, self.dialog_flow(&plan)) {
            (Target::Account(_), Some(flow)) => {
                target = Target::Next;
                VecDeque::from([Hop::Flow(flow)])
            }
            (Target::Account(_), None) => VecDeque::new(),
            _ => match first_hops(&plan, request) {
                Some(hops) if is_long(request.bytes(), &plan) => with_streams(&hops),
                Some(hops) => hops,
                None if plan.needs_tls() => {
                    return self.refuse(now, &arrival, request, &Refusal::SipsNotAllowed);
                }
                None => return self.refuse(now, &arrival, request, &Refusal::Unreachable),
            },
        };
        let mut context = Context::new(plan);
        context.plan.looped = validate::hash(&self.seal, request);
        context.beginning = Beginning::of(request);
        let Some(id) = self.begin(now, arrival, (request, key), Some(Box::new(context))) else { return };
        if request.method() == Method::Invite {
            self.trying(now, id, request);
        }
        match target {
            Target::Account(address) => self.locate(now, id, address, request),
            _ => self.fork(now, id, VecDeque::from([vec![named(hops)]]), Some(request)),
        }
    }

    /// The flow to the other end of the dialog, where it still stands: a contact at a domain of ours is reached by it,
    /// not at whatever is registered there by now.
    pub(super) fn dialog_flow(&mut self, plan: &Plan) -> Option<Arrival> {
        let flow = plan.side.flow().filter(|_| plan.in_dialog)?;
        self.path(&Hop::Flow(flow)).map(|_| flow)
    }

    /// Asks where the user is; at home here that is known at once.
    fn locate(&mut self, now: Instant, id: Id, address: wire::Address, request: &Message<'_>) {
        if address.home(self.config.workers) == self.config.me {
            let contacts = self.contacts(now, &address);
            return self.found(now, id, contacts, Some(request));
        }
        let Some(token) = self.ask(now, Asked::Locate(id)) else {
            return self.nowhere(now, id, &Refusal::Overload);
        };
        if let Some(context) = self.table.context_mut(id) {
            context.asking = true;
        }
        self.out.push_back(Output::Locate { token, address });
    }

    /// The user was found, or is nowhere.
    pub(crate) fn located(&mut self, now: Instant, asked: Id, contacts: Option<Vec<registrar::Contact>>) {
        let id = match self.answered(asked) {
            Some(Asked::Locate(id)) => id,
            Some(Asked::Acknowledge { arrival, bytes, plan }) => {
                return self.acknowledge_at(now, arrival, &bytes, &plan, contacts.unwrap_or_default());
            }
            _ => return,
        };
        let Some(context) = self.table.context_mut(id) else { return };
        // Cancelled, or given up, meanwhile.
        if !std::mem::take(&mut context.asking) {
            return;
        }
        match contacts {
            Some(contacts) => self.found(now, id, contacts, None),
            None => self.nowhere(now, id, &Refusal::Overload),
        }
    }

    /// It is known where the user is, or that that is nowhere. `request`: what is to be forwarded, where it is at hand.
    fn found(
        &mut self,
        now: Instant,
        id: Id,
        mut contacts: Vec<registrar::Contact>,
        request: Option<&Message<'_>>,
    ) {
        let Some(context) = self.table.context_mut(id) else { return };
        if let Some(phone) = &context.plan.phone {
            contacts.retain(|contact| phone.has(contact, &self.seal));
        }
        let secure = context.plan.secure;
        let address = match &context.plan.target {
            Target::Account(address) => address.to_string(),
            _ => String::new(),
        };
        let registered = !contacts.is_empty();
        let groups = groups(contacts, secure);
        let count = u32::try_from(groups.iter().map(Vec::len).sum::<usize>()).unwrap_or(u32::MAX);
        let note = if count == 0 { Note::NotRegistered } else { Note::Registered };
        self.note_server(now, id, note, (count, address.as_bytes()));
        if groups.is_empty() {
            let refusal = if secure && registered { Refusal::SipsNotAllowed } else { Refusal::Unavailable };
            return self.nowhere(now, id, &refusal);
        }
        self.fork(now, id, groups, request);
    }

    /// Answers a request that has no branch.
    fn nowhere(&mut self, now: Instant, id: Id, refusal: &Refusal) {
        if let Some(context) = self.table.context_mut(id) {
            context.answered = true;
        }
        self.answer(now, id, refusal);
    }

    /// Starts the branches of the most preferred group.
    fn fork(&mut self, now: Instant, id: Id, groups: VecDeque<Vec<Branch>>, request: Option<&Message<'_>>) {
        let Some(context) = self.table.context_mut(id) else { return };
        context.later = groups;
        if context.is_too_wide() {
            context.later.clear();
            return self.nowhere(now, id, &Refusal::Breadth);
        }
        self.next_group(now, id, request);
        self.conclude(now, id);
    }

    /// Starts every branch of the next group. What is less preferred waits until all of these have refused, or have
    /// had their time (RFC 3261 §16.6 step 11).
    pub(super) fn next_group(&mut self, now: Instant, id: Id, request: Option<&Message<'_>>) {
        self.timers.cancel(Timer::Serial(id));
        let Some(server) = self.table.server_mut(id) else { return };
        let timing = &self.config.timing;
        let invite = matches!(server.kind, ServerKind::Invite(_));
        let Some(context) = server.context.as_deref_mut() else { return };
        let Some(group) = context.later.pop_front() else { return };
        if !context.later.is_empty() {
            self.timers.set(Timer::Serial(id), now + if invite { timing.serial } else { timing.t2 });
        } else if !invite && context.branches.len() + group.len() > 1 {
            self.timers.set(Timer::Serial(id), server.began + timing.last_word());
        }
        let first = context.branches.len();
        let all = first..first + group.len();
        context.branches.extend(group);
        for branch in all {
            self.go_on(now, id, branch, Refusal::Unreachable.code(), request);
        }
    }

    /// A group has rung for long enough: its phones are told to stop, and the next ones ring. Other requests than
    /// INVITE cannot be taken back (RFC 4320 §3); whoever answers first has answered.
    pub(crate) fn group_had_its_time(&mut self, now: Instant, id: Id) {
        if self.is_taken(id) {
            return;
        }
        let Some(server) = self.table.server_mut(id) else { return };
        let invite = matches!(server.kind, ServerKind::Invite(_));
        let Some(context) = server.context.as_deref_mut() else { return };
        if context.answered || context.closing {
            return;
        }
        if context.later.is_empty() {
            return self.settle_for_a_refusal(now, id);
        }
        if invite {
            for client in context.be_late() {
                self.cancel_client(now, client, NOT_ANSWERED);
            }
        }
        // Else the next ones ring as soon as all of these have stopped.
        if !self.table.context_mut(id).is_some_and(|context| context.may_widen()) {
            return;
        }
        self.note_server(now, id, Note::NextGroup, (0, b""));
        self.next_group(now, id, None);
        self.conclude(now, id);
    }

    /// A request other than INVITE has nearly had its time, and somebody is silent: a refusal of another is told while whoever asked
    /// still hears it (RFC 4320 §3).
    fn settle_for_a_refusal(&mut self, now: Instant, id: Id) {
        let Some(context) = self.table.context_mut(id).filter(|context| context.has_refusal()) else {
            return;
        };
        for client in context.be_late() {
            self.client_ended(now, client, Some(Refusal::Timeout.code()));
        }
    }

    /// Whether somebody has answered the call, though the answer is still with whoever relays its media.
    fn is_taken(&self, id: Id) -> bool {
        let context = self.table.server(id).and_then(|server| server.context.as_deref());
        let is_taken = |state| matches!(state, State::Pending(client) if self.table.client(client).is_some_and(Client::is_accepted));
        context.is_some_and(|context| context.branches.iter().any(|branch| is_taken(branch.state)))
    }

    /// Takes the next way of a branch; without one, the branch has failed with `code`.
    pub(crate) fn try_next(&mut self, now: Instant, id: Id, index: usize, code: u16) {
        self.go_on(now, id, index, code, None);
    }

    /// The same. `request`: what is to be forwarded, where it is at hand.
    fn go_on(&mut self, now: Instant, id: Id, index: usize, mut code: u16, request: Option<&Message<'_>>) {
        while let Some(context) = self.table.context_mut(id) {
            let hop = match context.closing {
                true => None,
                false => {
                    context.branches[index].next_flow();
                    next_hop(&mut context.branches[index].hops, &self.blocked, now)
                }
            };
            let Some(hop) = hop else { return context.failed(index, code) };
            if let Some(question) = hop.question() {
                context.branches[index].state = State::Resolving;
                let asked = Asked::Resolve { server: id, branch: index, hop };
                if self.resolve(now, asked, question) {
                    return;
                }
            } else if !context.may_go_round() && self.leads_to_us(&hop) {
                code = Refusal::Breadth.code();
            } else if self.try_hop(now, id, index, &hop, request) {
                return;
            }
        }
    }

    pub(super) fn resolve(&mut self, now: Instant, asked: Asked, question: Question) -> bool {
        let token = self.ask(now, asked);
        self.out.extend(token.map(|token| Output::Resolve { token, question }));
        token.is_some()
    }

    /// What is known of a name. `random` decides where records leave the choice to chance.
    pub(crate) fn resolved(&mut self, now: Instant, asked: Id, found: &Found, random: u64) {
        match self.answered(asked) {
            Some(Asked::Resolve { server, branch, hop }) => {
                let Some(row) = self.table.server_mut(server) else { return };
                let Some(context) = row.context.as_deref_mut() else { return };
                let waits = context.branches.get(branch).is_some_and(|b| b.state == State::Resolving);
                if !waits {
                    return;
                }
                let long = is_long(&row.request, &context.plan);
                let branch_row = &mut context.branches[branch];
                lookup::answered(&hop, found, random, &mut branch_row.hops);
                if branch_row.hops.is_empty() && branch_row.registered.is_none() {
                    context.why = format!("no server of {} was found", hop.name());
                }
                let branch_row = &mut context.branches[branch];
                branch_row.hops.truncate(MAX_WAYS);
                let ways = u32::try_from(branch_row.hops.len()).unwrap_or(u32::MAX);
                if long && branch_row.registered.is_none() && matches!(found, Found::Addresses(_)) {
                    branch_row.hops = with_streams(&branch_row.hops);
                }
                let name = hop.name().as_bytes().to_vec();
                self.note_server(now, server, Note::Resolved, (ways, &name));
                self.try_next(now, server, branch, Refusal::Unreachable.code());
                self.conclude(now, server);
            }
            Some(Asked::Stateless { arrival, bytes, plan, hop }) => {
                let mut hops = VecDeque::new();
                lookup::answered(&hop, found, random, &mut hops);
                if let Ok(request) = Message::parse(&bytes) {
                    self.send_first(now, arrival, &request, *plan, hops);
                }
            }
            _ => {}
        }
    }

    /// Sends a branch's request by one way; `false` where there is no such way (any more).
    fn try_hop(
        &mut self,
        now: Instant,
        id: Id,
        index: usize,
        hop: &Hop,
        request: Option<&Message<'_>>,
    ) -> bool {
        let Some((path, sent_by)) = self.path(hop) else {
            self.note_peer(now, id, Note::NoWay, (Some(hop.transport()), hop.peer()));
            self.no_listener(id, index, hop);
            return false;
        };
        let Some(server) = self.table.server(id) else { return false };
        let context = server.context.as_deref();
        let may_go = |context: &Context| {
            self.may_go(hop, &context.plan, &server.arrival, context.branches[index].registered)
        };
        if !context.is_some_and(may_go) {
            self.note_peer(now, id, Note::Inside, (Some(hop.transport()), hop.peer()));
            return false;
        }
        let bytes = server.request.clone();
        let read = request.is_none().then(|| Message::parse(&bytes).ok()).flatten();
        let Some(request) = request.or(read.as_ref()) else { return false };
        let seat = self.is_relayed(id, index, request, hop).then(|| self.seat_of(id, request)).flatten();
        let relayed = seat.is_some();
        if let Some(context) = self.table.context_mut(id) {
            context.branches[index].seat = seat;
            context.was_relayed |= relayed;
        }
        if relayed && request.method() == Method::Invite {
            self.note_server(now, id, Note::Relayed, (0, b""));
        }
        if relayed && self.mediate_request(now, (id, index), request, hop) {
            if let Some(context) = self.table.context_mut(id) {
                context.branches[index].state = State::Resolving;
            }
            return true;
        }
        self.send_branch(now, (id, index), request, (path, &sent_by, hop), None)
    }

    /// Says why there was no way, where that is for want of a listener to be found at.
    fn no_listener(&mut self, id: Id, index: usize, hop: &Hop) {
        if let (Hop::Address { transport, .. }, Some(context)) = (hop, self.table.context_mut(id))
            && context.branches.get(index).is_some_and(|branch| branch.registered.is_none())
        {
            context.why = format!("{}: this server does not speak {transport}", hop.name());
        }
    }

    /// Sends it, perhaps with another session description.
    fn send_branch(
        &mut self,
        now: Instant,
        (id, index): (Id, usize),
        request: &Message<'_>,
        (path, sent_by, hop): (Path, &str, &Hop),
        body: Option<&[u8]>,
    ) -> bool {
        let Some(arrival) = self.table.server(id).map(|server| server.arrival) else { return false };
        let invite = request.method() == Method::Invite;
        let path = self.speaking_for(path, request);
        let write = |stack: &Self, client: Id| {
            stack.copy((id, index), client, request, (hop, sent_by), &arrival, body)
        };
        self.start_client(now, Some((id, index)), path, write, invite).is_some()
    }

    /// Whoever relays the media of a request has answered: now it leaves.
    pub(super) fn mediated_request(&mut self, now: Instant, of: (Id, usize), hop: &Hop, body: Option<&[u8]>) {
        let (id, index) = of;
        let Some(server) = self.table.server(id) else { return };
        let Some(context) = server.context.as_deref() else { return };
        let waits = context.branches.get(index).is_some_and(|branch| branch.state == State::Resolving);
        if context.closing || !waits {
            return;
        }
        let bytes = server.request.clone();
        let Ok(request) = Message::parse(&bytes) else { return };
        let body = body.and_then(|description| with_session(&request, description));
        let way = self.path(hop);
        let sent = way.is_some_and(|(path, sent_by)| {
            self.send_branch(now, of, &request, (path, &sent_by, hop), body.as_deref())
        });
        if !sent {
            self.try_next(now, id, index, Refusal::Unreachable.code());
        }
        self.conclude(now, id);
    }

    /// The request as it leaves on one branch.
    fn copy(
        &self,
        (id, index): (Id, usize),
        client: Id,
        request: &Message<'_>,
        (hop, sent_by): (&Hop, &str),
        arrival: &Arrival,
        body: Option<&[u8]>,
    ) -> Vec<u8> {
        let context = self.table.server(id).and_then(|server| server.context.as_deref());
        let context = context.expect("a branch belongs to a forwarded request");
        let target = &context.branches[index];
        let via = Via { worker: self.config.me, id: client, looped: context.plan.looped };
        let uri = target.uri.as_deref().or(context.plan.uri.as_deref()).or(request.uri_bytes());
        let voucher = self.vouch(hop, request, uri.unwrap_or_default());
        Copy {
            plan: &context.plan,
            arrival,
            uri: target.uri.as_deref(),
            path: &target.path,
            hop,
            sent_by,
            branch: &(via.write(&self.seal) + &voucher),
            record_routes: &self.record_routes(request, arrival, (hop, sent_by), target.seat),
            max_forwards: self.config.limits.max_forwards,
            breadth: context.plan.share(context.targets()),
            consumed: self.realm_of(request, arrival).as_ref(),
            body,
        }
        .write(request)
    }

    /// The realm whose credentials in this request were for us.
    pub(super) fn realm_of(&self, request: &Message<'_>, arrival: &Arrival) -> Option<Domain> {
        if !request.has(HeaderName::ProxyAuthorization) {
            return None;
        }
        let Ok(Uri::Sip(from)) = request.from().uri() else { return None };
        self.place().realm(&from, arrival).cloned()
    }

    /// Who stands on the caller's side: what within the dialog is for it goes to the proxy it came through, or to the Contact. By its
    /// flow alone whoever is not to be reached at the Contact it names: behind NAT, on a stream, or as an address of ours, where
    /// others may be registered, too.
    fn caller_side(&self, request: &Message<'_>, arrival: &Arrival) -> Side {
        let Some(Ok(Contact::At(contact))) = request.contacts().next() else { return Side::Flow(*arrival) };
        let uri = contact.uri().ok();
        let uri = uri.as_ref().and_then(Uri::sip);
        let hop = uri.and_then(Hop::of_uri);
        if uri.is_some_and(|uri| self.place().is_us(uri, arrival))
            || transport::is_behind_nat(request.via(), hop.as_ref(), arrival)
        {
            return Side::Flow(*arrival);
        }
        let next = match request.list(HeaderName::RecordRoute).next() {
            Some(route) => {
                NameAddr::parse(route).ok().and_then(|route| forward::hop(route.uri_bytes(), false))
            }
            None => hop,
        };
        let own = arrival.peer.ip();
        let named = next.and_then(|hop| hop.peer()).map(|peer| peer.ip());
        host_side(named.filter(|ip| Depth::of(*ip) <= Depth::of(own)).unwrap_or(own))
    }

    /// Our Record-Routes: the one for the caller's side, and above it the one for the called side where they
    /// differ (RFC 5658). Each names the flow to its side, or the host there, where a plain address would not do.
    fn record_routes(
        &self,
        request: &Message<'_>,
        arrival: &Arrival,
        (hop, sent_by): (&Hop, &str),
        seat: Option<Seat>,
    ) -> Vec<String> {
        if !begins_dialog(request) {
            return Vec::new();
        }
        let Some(listener) = self.config.listeners.by_local(arrival.transport, arrival.local) else {
            return Vec::new();
        };
        let called = self.called(request, arrival);
        let sent_here = || self.config.listeners.sent_by(listener, Some(arrival.local.ip()));
        let mut near = called.unwrap_or_else(sent_here);
        let mut far = sent_by.to_owned();
        self.names_of_ours(request, arrival, (&mut near, &mut far, hop));
        let caller = self.caller_side(request, arrival);
        let called = match hop {
            Hop::Flow(flow) => Side::Flow(*flow),
            Hop::Address { to, .. } => host_side(to.ip()),
            _ => Side::Open,
        };
        let call_id = request.call_id();
        let secure = request.uri().and_then(Uri::sip).is_some_and(|uri| uri.secure);
        let uri = |host: &str, transport, side| {
            let user = token::write(&self.seal, call_id, &Sealed { side, seat });
            // What came for a sips URI is recorded as sips (RFC 3261 §16.6 step 4), on the sides where that is true.
            match transport {
                Transport::Tls if secure => format!("<sips:{user}@{host};lr>"),
                Transport::Wss if secure => format!("<sips:{user}@{host};transport=ws;lr>"),
                _ => ["<sip:", &user, "@", host, transport_param(transport), ";lr>"].concat(),
            }
        };
        let first = uri(&near, arrival.transport, caller);
        let same = near == far && arrival.transport == hop.transport();
        if same && [caller, called] == [Side::Open; 2] {
            return vec![first];
        }
        vec![first, uri(&far, hop.transport(), called)]
    }

    /// What we are called on either side. Servers of other domains, found or proven by TLS, expect a certificate for the name by
    /// which they reach us, so that is the domain of ours that the dialog is about (RFC 5922 §4); its records lead here.
    fn names_of_ours(
        &self,
        request: &Message<'_>,
        arrival: &Arrival,
        (near, far, hop): (&mut String, &mut String, &Hop),
    ) {
        let place = self.place();
        let domain =
            |uri: Option<&SipUri<'_>>| uri.and_then(|uri| place.domain_of(uri)).map(ToString::to_string);
        let proven = match arrival.flow {
            Flow::Stream(conn) => self.connections.has_proven(conn),
            Flow::Datagram { .. } => false,
        };
        let named = match hop {
            Hop::Address { transport: Transport::Tls, name, .. } => name.parse::<IpAddr>().is_err(),
            _ => false,
        };
        if !proven && !named {
            return;
        }
        let from = request.from().uri().ok();
        let caller = domain(from.as_ref().and_then(Uri::sip));
        let asked = || domain(request.uri().and_then(Uri::sip));
        if proven
            && caller.is_none()
            && let Some(name) = asked()
        {
            *near = name;
        }
        if named && let Some(name) = caller.or_else(asked) {
            *far = name;
        }
    }
}

/// Whoever is at an address, where that lies inside.
fn host_side(ip: IpAddr) -> Side {
    Side::Host(ip).host().map_or(Side::Open, Side::Host)
}

/// Where a request without an account as its target goes first.
pub(super) fn first_hops(plan: &Plan, request: &Message<'_>) -> Option<VecDeque<Hop>> {
    let mut hops = ways(plan, request)?;
    if plan.needs_tls() {
        hops.retain(|hop| hop.transport().is_secure());
    }
    (!hops.is_empty()).then_some(hops)
}

/// The flow to the other end of the dialog, or, where it is a stream, to the next proxy on the way there (RFC 5626 §5.3,
/// RFC 5923); and the address that the Route or Request-URI says.
fn ways(plan: &Plan, request: &Message<'_>) -> Option<VecDeque<Hop>> {
    let (next, flow) = match forward::next_route(b"", &plan.routes, plan.needs_tls()) {
        Some(hop) => (hop, plan.side.flow().filter(|flow| flow.transport.is_stream())),
        None => {
            let hop = match &plan.uri {
                Some(uri) => forward::hop(uri, plan.needs_tls()),
                None => {
                    request.uri().and_then(Uri::sip).and_then(|uri| forward::hop_of(uri, plan.needs_tls()))
                }
            };
            (hop, plan.side.flow())
        }
    };
    match flow {
        Some(flow) => Some(flow_hops(flow, next)),
        None => Some(VecDeque::from([next?])),
    }
}

/// A flow first; for streams, which end, then what the URI says.
fn flow_hops(flow: Arrival, uri: Option<Hop>) -> VecDeque<Hop> {
    let stream = matches!(flow.flow, Flow::Stream(_));
    let fallback = uri.filter(|_| stream);
    std::iter::once(Hop::Flow(flow)).chain(fallback).collect()
}

/// What a phone is told whose time to ring is over (RFC 3326).
const NOT_ANSWERED: &[u8] = b"Reason: SIP;cause=408;text=\"Request Timeout\"\r\n";

/// The branches of contacts, in groups of the same preference, the most preferred first (RFC 3261 §16.6). What has registered as
/// sips is reached by TLS alone, and `secure` requests reach nobody else.
pub(super) fn groups(mut contacts: Vec<registrar::Contact>, secure: bool) -> VecDeque<Vec<Branch>> {
    contacts.sort_by_key(|contact| Reverse(contact.q));
    let (mut groups, mut group, mut preference) = (VecDeque::new(), Vec::new(), None);
    for contact in contacts {
        if preference.replace(contact.q).is_some_and(|before| before != contact.q) {
            close(&mut groups, &mut group);
        }
        let is_sips = is_sips(&contact.uri);
        if secure && !is_sips {
            continue;
        }
        let is_fit = |branch: &Branch| !is_sips || branch.hops.iter().all(|hop| hop.transport().is_secure());
        let instance = contact.instance.clone().filter(|_| contact.outbound);
        if let Some(branch) = contact_branch(contact, secure).filter(is_fit) {
            add(&mut group, instance, branch);
        }
    }
    close(&mut groups, &mut group);
    groups
}

/// Puts a group behind those before it, unless nobody is in it.
fn close(groups: &mut VecDeque<Vec<Branch>>, group: &mut Vec<OfPhone>) {
    if !group.is_empty() {
        groups.push_back(group.drain(..).map(|(_, branch)| branch).collect());
    }
}

/// A branch, and the phone whose flow it is where it is one of perhaps several.
type OfPhone = (Option<Box<[u8]>>, Branch);

/// Adds a branch to its group. Another flow of a phone that is there already is another way to that, and as it was
/// refreshed later, the one to be tried first (RFC 5626 §6).
fn add(group: &mut Vec<OfPhone>, instance: Option<Box<[u8]>>, branch: Branch) {
    let same = group.iter_mut().find(|(other, _)| instance.is_some() && *other == instance);
    match same {
        Some((_, first)) => {
            let older = std::mem::replace(first, branch);
            first.others = older.others;
            first.others.push_front(Way { uri: older.uri, path: older.path, hops: older.hops });
        }
        None => group.push((instance, branch)),
    }
}

/// The branch of a contact; `None` where its URI leads nowhere. A sip request stays one: whoever has registered as sips gets it by
/// TLS, under the plain scheme (RFC 5630 §5.3).
fn contact_branch(contact: registrar::Contact, secure: bool) -> Option<Branch> {
    let uri = forward::hop(&contact.uri, secure);
    let hops = match (forward::next_route(&contact.path, b"", secure), contact.arrival) {
        (Some(first), _) => VecDeque::from([first?]),
        (None, Some(arrival)) => flow_hops(arrival, uri.filter(|_| !contact.outbound)),
        (None, None) => VecDeque::from([uri?]),
    };
    let uri = if secure { contact.uri } else { plain(&contact.uri).into() };
    let (uri, path, state) = (Some(uri), contact.path, State::Resolving);
    let flow = contact.outbound && begins_with_stream(&hops);
    let others = VecDeque::new();
    let registered = Some(contact.depth);
    Some(Branch { uri, path, hops, others, flow, state, registered, is_late: false, seat: None })
}

/// The branch of a request that says itself where to go.
fn named(hops: VecDeque<Hop>) -> Branch {
    let (uri, path, state) = (None, Box::default(), State::Resolving);
    let (others, flow) = (VecDeque::new(), begins_with_stream(&hops));
    Branch { uri, path, hops, others, flow, state, registered: None, is_late: false, seat: None }
}

fn begins_with_stream(hops: &VecDeque<Hop>) -> bool {
    matches!(hops.front(), Some(Hop::Flow(Arrival { flow: Flow::Stream(_), .. })))
}

/// The next way to try: the first that has not failed lately, else the first (RFC 3263 §4.3).
fn next_hop(hops: &mut VecDeque<Hop>, blocked: &Blocked, now: Instant) -> Option<Hop> {
    let is_fit = |hop: &Hop| hop.target().is_none_or(|target| !blocked.has(now, target));
    let first = hops.iter().position(is_fit).unwrap_or(0);
    hops.remove(first)
}

/// What a request may measure to leave as a datagram (RFC 3261 §18.1.1), without our Via and Record-Route.
const MAX_DATAGRAM: usize = 1300 - 250;

/// Whether a request is too long for a datagram: others than those of dialogs, whose way is known to carry them.
fn is_long(request: &[u8], plan: &Plan) -> bool {
    request.len() > MAX_DATAGRAM && !plan.in_dialog
}

/// Before each way by datagrams the same way by TCP. Where that is refused it is datagrams after all: better in pieces
/// than not at all (RFC 3261 §18.1.1).
fn with_streams(hops: &VecDeque<Hop>) -> VecDeque<Hop> {
    let has_stream = |at: SocketAddr| hops.iter().any(|hop| hop.target() == Some((true, at)));
    let stream = |hop: &Hop| match hop {
        Hop::Address { transport: Transport::Udp, to, name } if !has_stream(*to) => {
            Some(Hop::Address { transport: Transport::Tcp, to: *to, name: name.clone() })
        }
        _ => None,
    };
    hops.iter().flat_map(|hop| [stream(hop), Some(hop.clone())]).flatten().collect()
}

/// The most ways of one branch.
const MAX_WAYS: usize = 24;

/// How a URI of ours names a transport.
pub(crate) fn transport_param(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
        Transport::Dtls => ";transport=dtls-udp",
        // Both: whether it is inside TLS is for the scheme to say (RFC 7118 §5.2).
        Transport::Ws | Transport::Wss => ";transport=ws",
    }
}
