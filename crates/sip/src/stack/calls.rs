//! Calls as an administrator sees them: those that ring are transactions of ours, those that stand are in the book at
//! their home; and their end.

use super::{Client, Entry, Output, Parcel, Server, ServerKind, Stack};
use crate::dialog::beginning::Beginning;
use crate::dialog::book::{self, Book, Call, Event, Party, Sign};
use crate::dialog::home;
use crate::message::{Contact, HeaderName, List, Message, Method, NameAddr};
use crate::page::{Found, Page};
use crate::proxy::Refusal;
use crate::proxy::context::State;
use crate::slab::Id;
use crate::trace::{Note, Peer};
use crate::transaction::Timer;
use crate::transport::Arrival;
use crate::uri::Uri;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Flow, Transport, WorkerId};

/// A call that rings. Texts are as phones wrote them: any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ringing {
    /// Its Call-ID.
    pub call_id: Box<[u8]>,
    /// The URI of From.
    pub from: Box<[u8]>,
    /// The Request-URI.
    pub called: Box<[u8]>,
    /// Where the caller is.
    pub caller: Peer,
    /// Who is being called.
    pub phones: Vec<Peer>,
    /// When it began.
    pub began: Instant,
}

/// How long other workers are not told of calls at home there, and how many events may wait.
const UNTOLD: Duration = Duration::from_millis(100);
const MOST_UNTOLD: usize = 256;

/// What the phones of a call are told that an administrator ends (RFC 3326).
const REASON: &str = "Reason: Q.850;cause=16;text=\"Ended by the administrator\"\r\n";

impl Stack {
    /// The calls at home here that stand.
    pub fn calls(&self) -> &Book {
        &self.calls
    }

    /// A page of the calls that ring, of those that came here.
    pub fn ringing(&self, page: Page) -> Found<Ringing> {
        self.table.page(page, |_, entry, found| found.extend(self.rings(entry)))
    }

    fn rings(&self, entry: &Entry) -> Option<Ringing> {
        let Entry::Server(server) = entry else { return None };
        let context = server.context.as_deref()?;
        if !matches!(server.kind, ServerKind::Invite(_)) || server.is_answered() || context.plan.in_dialog {
            return None;
        }
        let request = Message::parse(&server.request).ok()?;
        let phone = |branch: &crate::proxy::context::Branch| match branch.state {
            State::Pending(client) => {
                self.table.client(client).map(|Client { path, .. }| Self::of_path(path))
            }
            _ => None,
        };
        Some(Ringing {
            call_id: request.call_id().into(),
            from: request.from().uri_bytes().into(),
            called: request.uri_bytes()?.into(),
            caller: (Some(server.arrival.transport), Some(server.arrival.peer)),
            phones: context.branches.iter().filter_map(phone).collect(),
            began: server.began,
        })
    }

    /// Tells the home of a call what has become of it. Another worker hears of it a little later, together with what happens
    /// meanwhile: each letter may have to wake it.
    pub(crate) fn tell_home(&mut self, now: Instant, call_id: &[u8], event: Event) {
        let to = home(call_id, self.config.workers);
        if to == self.config.me {
            return self.calls.take(now, event);
        }
        self.untold.push((to, event));
        if self.untold.len() >= MOST_UNTOLD {
            self.tell_homes();
        } else if self.timers.get(Timer::Calls).is_none() {
            self.timers.set(Timer::Calls, now + UNTOLD);
        }
    }

    /// Tells the other workers now what they have not been told of calls at home there.
    pub fn tell_homes(&mut self) {
        self.timers.cancel(Timer::Calls);
        let mut letters: BTreeMap<WorkerId, Vec<Event>> = BTreeMap::new();
        for (to, event) in self.untold.drain(..) {
            letters.entry(to).or_default().push(event);
        }
        for (to, events) in letters {
            self.out.push_back(Output::HandOver { to, parcel: Parcel::Calls(events) });
        }
    }

    /// An INVITE that begins a call is answered: the first 2xx is about to pass.
    pub(crate) fn call_begins(&mut self, now: Instant, server: Id, branch: usize, answer: &Message<'_>) {
        let Some(Server { request, arrival, context: Some(context), .. }) = self.table.server(server) else {
            return;
        };
        let Some(beginning) = context.beginning else { return };
        let client = match context.branches.get(branch).map(|branch| branch.state) {
            Some(State::Pending(client)) => self.table.client(client),
            _ => None,
        };
        let phone = client.map(|client| Self::of_path(&client.path)).unwrap_or_default();
        let caller = (Some(arrival.transport), Some(arrival.peer));
        if let Some(call) = Self::call(now, (&beginning, request), answer, [caller, phone]) {
            let request = Arc::clone(request);
            self.tell_home(now, beginning.call_id(&request), Event::Began(Box::new(call)));
        }
    }

    fn call(
        now: Instant,
        (beginning, invite): (&Beginning, &[u8]),
        answer: &Message<'_>,
        [caller, phone]: [Peer; 2],
    ) -> Option<Call> {
        let party = |[name, tag, target]: [&[u8]; 3], cseq: u32, peer: Peer| Party {
            name: name.into(),
            tag: tag.into(),
            target: target.into(),
            cseq,
            peer,
        };
        let called = [answer.to().as_bytes(), answer.to().tag()?, contact(answer)?];
        Some(Call {
            call_id: beginning.call_id(invite).into(),
            called: beginning.called(invite).into(),
            routes: answer.list(HeaderName::RecordRoute).collect::<Vec<_>>().join(&b", "[..]).into(),
            parties: [party(beginning.caller(invite), beginning.cseq, caller), party(called, 0, phone)],
            began: now,
            heard: now,
            lasts: book::lasts(answer).unwrap_or_else(book::believed),
        })
    }

    /// The Route of requests to one side: from this server's own entry on, as others' before it are not ours to follow.
    fn route_to(&self, call: &Call, caller: bool) -> Vec<u8> {
        let mut routes: Vec<&[u8]> = List::new(&call.routes).collect();
        if !caller {
            routes.reverse();
        }
        let ours = routes.into_iter().skip_while(|route| !self.is_sealed(route, &call.call_id));
        ours.map(|route| [b"Route: ", route, b"\r\n"].concat()).collect::<Vec<_>>().concat()
    }

    fn is_sealed(&self, route: &[u8], call_id: &[u8]) -> bool {
        let Ok(route) = NameAddr::parse(route) else { return false };
        matches!(route.uri(), Ok(Uri::Sip(uri)) if self.place().is_sealed(&uri, call_id))
    }

    /// A request of a dialog is let through.
    pub(super) fn call_goes_on(&mut self, now: Instant, request: &Message<'_>) {
        let (Some(from), Some(to)) = (request.from().tag(), request.to().tag()) else { return };
        let method = request.method();
        if !matches!(
            method,
            Method::Invite
                | Method::Bye
                | Method::Update
                | Method::Refer
                | Method::Info
                | Method::Prack
                | Method::Message
        ) {
            return;
        }
        let refreshes = matches!(method, Method::Invite | Method::Update);
        let sign = Sign {
            call_id: request.call_id(),
            tags: [from, to],
            cseq: Some(request.cseq().number),
            target: refreshes.then(|| contact(request)).flatten(),
            lasts: refreshes.then(|| book::lasts(request)).flatten(),
            ends: method == Method::Bye,
        };
        self.heard_of_call(now, &sign);
    }

    fn heard_of_call(&mut self, now: Instant, sign: &Sign<&[u8]>) {
        match home(sign.call_id, self.config.workers) == self.config.me {
            true => self.calls.hear(now, sign),
            false => self.tell_home(now, sign.call_id, Event::Heard(Box::new(sign.to_owned()))),
        }
    }

    /// A request of a dialog was answered 481 or 408: there is no such dialog any more (RFC 3261 §12.2.1.2).
    pub(crate) fn call_is_gone(&mut self, now: Instant, answer: &Message<'_>) {
        let (Some(from), Some(to)) = (answer.from().tag(), answer.to().tag()) else { return };
        let tags = [from, to];
        let sign =
            Sign { call_id: answer.call_id(), tags, cseq: None, target: None, lasts: None, ends: true };
        self.heard_of_call(now, &sign);
    }

    /// An administrator ends a call: what stands here is ended on both sides, what rings here is cancelled. Says how many
    /// that were.
    pub fn hang_up(&mut self, now: Instant, call_id: &[u8]) -> usize {
        let standing = self.calls.take_out(call_id);
        let of_call = |entry: &Entry| {
            matches!(entry, Entry::Server(server) if self.trace.is_of(server.mark, call_id))
                && self.rings(entry).is_some_and(|call| *call.call_id == *call_id)
        };
        let ringing = self.table.find_all(of_call);
        let count = standing.len() + ringing.len();
        for server in ringing {
            self.note_server(now, server, Note::HungUp, (0, b""));
            self.give_up(now, server, REASON.as_bytes());
        }
        for call in standing {
            self.note_call(now, call_id, Note::HungUp);
            let [caller, called] = &call.parties;
            self.send_bye(now, &call, (caller, called));
            self.send_bye(now, &call, (called, caller));
        }
        count
    }

    /// Sends a BYE as if one side of a call had sent it, by the way that its requests take. Nobody hears the answer.
    fn send_bye(&mut self, now: Instant, call: &Call, (from, to): (&Party, &Party)) {
        let (Some(listener), Some(peer)) = (self.config.listeners.all.first(), from.peer.1) else { return };
        let local = SocketAddr::new(peer.ip(), listener.bound.port());
        let peer = SocketAddr::new(peer.ip(), NOBODY_S_PORT);
        let flow = Flow::Datagram { socket: wire::SocketId(0), local: local.ip(), peer };
        let arrival = Arrival { flow, transport: Transport::Udp, local, peer };
        let routes = self.route_to(call, to == &call.parties[0]);
        let text = bye(call, (from, to), &routes, &self.branch_of_bye(call, to));
        let Ok(request) = Message::parse(&text) else { return };
        if let Ok(plan) = self.place().route(&request, &arrival) {
            let key = self.key(&request);
            self.proxy(now, arrival, (&request, key), plan);
        }
    }

    fn branch_of_bye(&self, call: &Call, to: &Party) -> String {
        let number = to.cseq.to_be_bytes();
        format!("{:016x}", self.seal.hash("bye", [&*call.call_id, &to.tag, &number]))
    }
}

/// How many requests a side may have sent that were not counted: before the answer (RFC 3262, RFC 3311), when there was no
/// call yet, and past this server. A gap is no fault, a number that was used is (RFC 3261 §12.2.2).
const UNSEEN: u32 = 1 << 20;

/// The last number that there is (RFC 3261 §8.1.1.5).
const MAX_CSEQ: u32 = (1 << 31) - 1;

/// The port of requests of our own: no answer is sent there.
pub(super) const NOBODY_S_PORT: u16 = 0;

fn contact<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    match message.contacts().next()? {
        Ok(Contact::At(contact)) => Some(contact.uri_bytes()),
        _ => None,
    }
}

/// The BYE of one side of a call (RFC 3261 §15.1.1, §12.2.1.1).
fn bye(call: &Call, (from, to): (&Party, &Party), routes: &[u8], branch: &str) -> Vec<u8> {
    let host = from.peer.1.map_or_else(String::new, |peer| crate::transport::host_text(peer.ip()));
    let mut text = [b"BYE ", &*to.target, b" SIP/2.0\r\n"].concat();
    text.extend_from_slice(
        format!("Via: SIP/2.0/UDP {host};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n").as_bytes(),
    );
    text.extend_from_slice(routes);
    for (name, value) in [("From", &from.name), ("To", &to.name), ("Call-ID", &call.call_id)] {
        text.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    let number = from.cseq.saturating_add(UNSEEN).min(MAX_CSEQ);
    text.extend_from_slice(format!("CSeq: {number} BYE\r\n{REASON}Content-Length: 0\r\n\r\n").as_bytes());
    text
}

/// Whether an answer to a request of a dialog says that there is no such dialog.
pub(crate) fn says_gone(code: u16) -> bool {
    [Refusal::NoTransaction.code(), Refusal::Timeout.code()].contains(&code)
}
