//! When a call's media need a relay, and how its messages get there and back: whoever relays is asked with each session
//! description that passes, and answers with the one that goes on in its place. Nothing here reads descriptions but for
//! the addresses in them; where nobody answers, a message goes on as it came.

use super::forward;
use super::route::Plan;
use crate::message::body::session;
use crate::message::{Contact, Message, Method};
use crate::slab::Id;
use crate::stack::{Asked, Output, Stack, token_of};
use crate::transport::inside::Depth;
use crate::transport::token::Seat;
use crate::transport::{Arrival, Hop};
use std::net::IpAddr;
use std::time::Instant;
use wire::{Address, WorkerId};

/// Which calls are relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relaying {
    /// None.
    #[default]
    Never,
    /// Those whose ends cannot reach one another.
    Needed,
    /// All whose ends do not find a way by themselves (ICE).
    Always,
}

/// A message of a call that is to be relayed, on its way from one end to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The Call-ID.
    pub call: Box<[u8]>,
    /// Of what begins a dialog, and of its answers: which way of which fork.
    pub fork: Option<(Fork, u32)>,
    /// Whoever sent it.
    pub by: End,
    /// Whoever gets it.
    pub to: End,
    /// What it is.
    pub kind: Kind,
    /// Whose call it is: the number of the account that has proved it, or that is called.
    pub seat: Option<Seat>,
    /// The session description; empty where there is none.
    pub body: Vec<u8>,
}

/// A request that is forwarded, perhaps to several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fork {
    /// The worker that has it.
    pub worker: WorkerId,
    /// Its number there.
    pub request: u64,
}

/// One end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its tag; empty where it has none yet.
    pub tag: Box<[u8]>,
    /// Where its signalling comes from or goes to, where that is known.
    pub source: Option<IpAddr>,
    /// At which address of ours that is, where it is known.
    pub local: Option<IpAddr>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Request,
    /// A response that takes no call.
    Response,
    /// A 2xx to INVITE.
    Answer,
}

/// What is relayed no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// All ways of a fork but the one that was taken, if one was.
    Fork {
        /// The Call-ID.
        call: Box<[u8]>,
        /// Which fork.
        fork: Fork,
        /// The way that was taken.
        winner: Option<u32>,
    },
    /// A dialog: its tags.
    Dialog {
        /// The Call-ID.
        call: Box<[u8]>,
        /// The tag of whoever ended it.
        by: Box<[u8]>,
        /// The other's.
        to: Box<[u8]>,
    },
}

/// What goes on when whoever relays has answered.
#[derive(Debug)]
pub(crate) enum Mediated {
    /// A request on one way.
    Request { server: Id, branch: usize, hop: Hop },
    /// A response of one way.
    Response { server: Id, branch: usize, of: (u16, bool), bytes: Vec<u8> },
    /// An ACK.
    Ack { arrival: Arrival, bytes: Vec<u8>, plan: Box<Plan> },
}

/// Whether an address lies in a network that is not the Internet.
fn is_inside(ip: IpAddr) -> bool {
    Depth::of(ip) > Depth::Outside
}

/// What one end shows of where it is: where its signalling comes from, and where it says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standpoint {
    source: IpAddr,
    claims: Option<IpAddr>,
}

impl Standpoint {
    fn new(source: IpAddr, claims: Option<IpAddr>) -> Self {
        let claims = claims.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified());
        Self { source: source.to_canonical(), claims }
    }

    /// Whether nobody outside reaches it where it says that it is.
    fn is_behind_nat(&self) -> bool {
        self.claims.is_none_or(|ip| ip != self.source && is_inside(ip))
    }

    fn is_ipv4(&self) -> bool {
        self.claims.unwrap_or(self.source).is_ipv4()
    }

    /// Whether it is in a network that is not the Internet, which our own address there reaches.
    fn is_inside(&self) -> bool {
        is_inside(self.claims.filter(|_| !self.is_behind_nat()).unwrap_or(self.source))
    }

    /// Whether both are in one network behind one NAT, as far as that can be told.
    fn is_beside(&self, other: &Self) -> bool {
        let near = |a: IpAddr, b: IpAddr| match (a, b) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..2] == b.octets()[..2],
            (IpAddr::V6(a), IpAddr::V6(b)) => a.segments()[..4] == b.segments()[..4],
            _ => false,
        };
        let claims = match (self.claims, other.claims) {
            (Some(a), Some(b)) => near(a, b),
            _ => true,
        };
        self.source == other.source && claims
    }
}

/// Whether two ends cannot reach one another.
fn are_apart(one: &Standpoint, other: &Standpoint) -> bool {
    if one.is_ipv4() != other.is_ipv4() {
        return true;
    }
    let behind_nat = one.is_behind_nat() || other.is_behind_nat();
    !one.is_beside(other) && (behind_nat || one.is_inside() != other.is_inside())
}

/// Whether a request may carry an offer or an answer to one (RFC 3264, RFC 3311, RFC 3262).
fn carries_media(method: Method<'_>) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Prack)
}

/// The first address that a description says media are received at.
fn connection(sdp: &[u8]) -> Option<IpAddr> {
    let line = sdp.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"c=IN IP"))?;
    let text = std::str::from_utf8(line.get(2..)?).ok()?;
    text.trim().parse().ok()
}

/// Whether the ends of a description find a way by themselves (RFC 8839).
fn has_ice(sdp: &[u8]) -> bool {
    [&b"a=ice-ufrag:"[..], b"a=candidate:"].iter().any(|name| memchr::memmem::find(sdp, name).is_some())
}

/// The host that a message's Contact names, where it is an address.
fn contact_ip(message: &Message<'_>) -> Option<IpAddr> {
    match message.contacts().next()?.ok()? {
        Contact::At(contact) => uri_ip(contact.uri_bytes()),
        _ => None,
    }
}

fn uri_ip(uri: &[u8]) -> Option<IpAddr> {
    match forward::hop(uri, false)? {
        Hop::Address { to, .. } => Some(to.ip()),
        _ => None,
    }
}

fn known(ip: IpAddr) -> Option<IpAddr> {
    Some(ip).filter(|ip| !ip.is_unspecified())
}

fn tag(tag: Option<&[u8]>) -> Box<[u8]> {
    tag.unwrap_or_default().into()
}

/// The end that a message came from.
fn end_at(arrival: &Arrival, of: Option<&[u8]>) -> End {
    let source = Some(arrival.peer.ip().to_canonical());
    End { tag: tag(of), source, local: known(arrival.local.ip().to_canonical()) }
}

impl Stack {
    /// Whether a request that is about to leave by this way is of a call that is to be relayed.
    pub(super) fn is_relayed(&self, server: Id, branch: usize, request: &Message<'_>, hop: &Hop) -> bool {
        if self.config.relaying == Relaying::Never || !carries_media(request.method()) {
            return false;
        }
        let Some(server) = self.table.server(server) else { return false };
        let Some(context) = server.context.as_deref() else { return false };
        let sdp = session(request);
        if context.plan.in_dialog {
            // An INVITE without a description gets an offer in its answer.
            return context.plan.seat.is_some() && (sdp.is_some() || request.method() == Method::Invite);
        }
        let is_other = sdp.is_none() && !request.body().is_empty();
        if request.method() != Method::Invite || is_other || sdp.is_some_and(has_ice) {
            return false;
        }
        let Some(to) = hop_ip(hop) else { return false };
        let row = &context.branches[branch];
        let claims = sdp.and_then(connection).or_else(|| contact_ip(request));
        let caller = Standpoint::new(server.arrival.peer.ip(), claims);
        // What is behind another proxy, or registered nowhere, is where it is sent to.
        let elsewhere = row.registered.is_some() && row.path.is_empty();
        let claims = if elsewhere { row.uri.as_deref().and_then(uri_ip) } else { Some(to) };
        let called = Standpoint::new(to, claims);
        self.config.relaying == Relaying::Always || are_apart(&caller, &called)
    }

    /// Asks for a request's description to be put in the relay's terms; `false` where it goes on as it is.
    pub(super) fn mediate_request(
        &mut self,
        now: Instant,
        (id, branch): (Id, usize),
        request: &Message<'_>,
        hop: &Hop,
    ) -> bool {
        let Some(server) = self.table.server(id) else { return false };
        let Some(context) = server.context.as_deref() else { return false };
        let index = u32::try_from(branch).unwrap_or(u32::MAX);
        let fork = (!context.plan.in_dialog).then(|| (self.fork_of(id), index));
        let local = match hop {
            Hop::Flow(arrival) => known(arrival.local.ip().to_canonical()),
            _ => None,
        };
        let source = hop_ip(hop);
        let passage = Passage {
            call: request.call_id().into(),
            fork,
            by: end_at(&server.arrival, request.from().tag()),
            to: End { tag: tag(request.to().tag()), source, local },
            kind: Kind::Request,
            seat: context.branches[branch].seat,
            body: session(request).unwrap_or_default().to_vec(),
        };
        self.mediate(now, Mediated::Request { server: id, branch, hop: hop.clone() }, passage)
    }

    /// The same of a response to such a request.
    pub(super) fn mediate_response(
        &mut self,
        now: Instant,
        (id, branch): (Id, usize),
        client: Id,
        of: (u16, bool),
        response: &Message<'_>,
    ) -> bool {
        let (code, invite) = of;
        let Some(server) = self.table.server(id) else { return false };
        let Some(context) = server.context.as_deref() else { return false };
        if context.branches[branch].seat.is_none() || !(101..300).contains(&code) {
            return false;
        }
        let source = self.table.client(client).map(|client| client.path.target().1.ip().to_canonical());
        let index = u32::try_from(branch).unwrap_or(u32::MAX);
        let passage = Passage {
            call: response.call_id().into(),
            fork: (!context.plan.in_dialog).then(|| (self.fork_of(id), index)),
            by: End { tag: tag(response.to().tag()), source, local: None },
            to: end_at(&server.arrival, response.from().tag()),
            kind: if invite && code >= 200 { Kind::Answer } else { Kind::Response },
            seat: None,
            body: session(response).unwrap_or_default().to_vec(),
        };
        let bytes = response.bytes().to_vec();
        self.mediate(now, Mediated::Response { server: id, branch, of, bytes }, passage)
    }

    /// The same of an ACK, which carries the answer to an offer in a 2xx.
    pub(crate) fn mediate_ack(
        &mut self,
        now: Instant,
        arrival: Arrival,
        ack: &Message<'_>,
        plan: &Plan,
    ) -> bool {
        let Some(body) = session(ack).filter(|_| plan.seat.is_some()) else { return false };
        let passage = Passage {
            call: ack.call_id().into(),
            fork: None,
            by: end_at(&arrival, ack.from().tag()),
            to: End { tag: tag(ack.to().tag()), source: None, local: None },
            kind: Kind::Request,
            seat: None,
            body: body.to_vec(),
        };
        let bytes = ack.bytes().to_vec();
        self.mediate(now, Mediated::Ack { arrival, bytes, plan: Box::new(plan.clone()) }, passage)
    }

    fn mediate(&mut self, now: Instant, mediated: Mediated, passage: Passage) -> bool {
        let token = self.ask(now, Asked::Media(Box::new(mediated)));
        let passage = Box::new(passage);
        self.out.extend(token.map(|token| Output::Media { token, passage }));
        token.is_some()
    }

    fn fork_of(&self, server: Id) -> Fork {
        Fork { worker: self.config.me, request: token_of(server) }
    }

    /// Whose seat a relayed call takes: within a dialog, of whoever has proved it when that began; From says nothing there.
    pub(super) fn seat_of(&self, server: Id, request: &Message<'_>) -> Option<Seat> {
        let server = self.table.server(server)?;
        let plan = &server.context.as_deref()?.plan;
        if plan.in_dialog {
            return plan.seat;
        }
        let account = self.account_of(request, &server.arrival, plan)?;
        Some(self.seal.hash("seat", [account.as_str().as_bytes()]))
    }

    /// Whose call begins: the caller's, who has proved it, or else the one who is called.
    fn account_of(&self, request: &Message<'_>, arrival: &Arrival, plan: &Plan) -> Option<Address> {
        if plan.prover.is_some() {
            return plan.prover.clone();
        }
        let caller = request.from().uri().ok().and_then(|uri| match uri {
            crate::uri::Uri::Sip(uri) => self.place().account(&uri, arrival),
            _ => None,
        });
        let known = caller.filter(|address| self.directory.get(address).is_some());
        known.or(match &plan.target {
            super::route::Target::Account(address) => Some(address.clone()),
            _ => None,
        })
    }

    /// Whoever relays has answered: the description that goes on; `None` leaves a message as it is.
    pub(crate) fn mediated(&mut self, now: Instant, asked: Id, body: Option<&[u8]>) {
        let Some(Asked::Media(mediated)) = self.answered(asked) else { return };
        match *mediated {
            Mediated::Request { server, branch, hop } => {
                self.mediated_request(now, (server, branch), &hop, body);
            }
            Mediated::Response { server, branch, of, bytes } => {
                let bytes = replaced(bytes, body);
                if let Ok(response) = Message::parse(&bytes) {
                    self.pass_response(now, (server, branch), of, &response);
                }
            }
            Mediated::Ack { arrival, bytes, plan } => {
                let bytes = replaced(bytes, body);
                if let Ok(ack) = Message::parse(&bytes) {
                    self.forward_stateless(now, arrival, &ack, *plan);
                }
            }
        }
    }

    /// A fork is settled: what its other ways have of a relay is not needed any more.
    pub(super) fn media_settled(&mut self, server: Id, winner: Option<usize>) {
        let Some(row) = self.table.server(server) else { return };
        let Some(context) = row.context.as_deref() else { return };
        if context.plan.in_dialog || !context.was_relayed {
            return;
        }
        let Ok(request) = Message::parse(&row.request) else { return };
        // The way that was taken may have come after one that needed a relay.
        let winner = winner.filter(|index| context.branches[*index].seat.is_some());
        let winner = winner.and_then(|index| u32::try_from(index).ok());
        let (call, fork) = (request.call_id().into(), self.fork_of(server));
        self.out.push_back(Output::MediaOver(Over::Fork { call, fork, winner }));
    }

    /// A BYE was answered: its dialog is over, unless it was asked for credentials.
    pub(super) fn media_over(&mut self, server: Id, code: u16, response: &Message<'_>) {
        let over = response.method() == Method::Bye && code >= 200 && !matches!(code, 401 | 407);
        let relayed = |context: &super::Context| context.plan.seat.is_some();
        if over && self.table.server(server).and_then(|row| row.context.as_deref()).is_some_and(relayed) {
            let (by, to) = (tag(response.from().tag()), tag(response.to().tag()));
            let call = response.call_id().into();
            self.out.push_back(Output::MediaOver(Over::Dialog { call, by, to }));
        }
    }
}

/// The host at the end of a way, once it is known.
fn hop_ip(hop: &Hop) -> Option<IpAddr> {
    match hop {
        Hop::Flow(arrival) => Some(arrival.peer.ip().to_canonical()),
        Hop::Address { to, .. } => Some(to.ip().to_canonical()),
        _ => None,
    }
}

/// A message with another description.
fn replaced(bytes: Vec<u8>, description: Option<&[u8]>) -> Vec<u8> {
    let Some(description) = description else { return bytes };
    let Ok(message) = Message::parse(&bytes) else { return bytes };
    let Some(body) = crate::message::body::with_session(&message, description) else { return bytes };
    let mut out = Vec::new();
    let mut edit = crate::message::Edit::new(&message, &mut out);
    edit.body(&body);
    edit.finish();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(source: &str, claims: &str) -> Standpoint {
        Standpoint::new(source.parse().expect("valid"), claims.parse().ok())
    }

    fn check(one: (&str, &str), other: (&str, &str), apart: bool) {
        let (a, b) = (end(one.0, one.1), end(other.0, other.1));
        assert_eq!(are_apart(&a, &b), apart, "{one:?} {other:?}");
        assert_eq!(are_apart(&b, &a), apart, "{other:?} {one:?}");
    }

    #[test]
    fn who_reaches_whom() {
        let public = ("198.51.100.7", "198.51.100.7");
        let another = ("203.0.113.9", "203.0.113.9");
        let behind = ("203.0.113.5", "192.168.1.5");
        check(public, another, false);
        check(public, behind, true);
        check(behind, ("203.0.113.6", "192.168.1.5"), true);
        check(behind, ("203.0.113.5", "192.168.1.9"), false);
        // Two customers of one carrier's NAT.
        check(behind, ("203.0.113.5", "10.0.0.9"), true);
        check(("10.0.0.5", "10.0.0.5"), ("10.9.0.5", "10.9.0.5"), false);
        check(("10.0.0.5", "10.0.0.5"), public, true);
        check(public, ("2001:db8::5", "2001:db8::5"), true);
        check(("2001:db8::7", "2001:db8::7"), ("2001:db8:1::5", "2001:db8:1::5"), false);
        check(("2001:db8::7", "192.0.2.7"), ("2001:db8:1::5", "2001:db8:1::5"), true);
        // A provider whose media have a host of their own.
        check(("198.51.100.7", "198.51.100.80"), another, false);
        // Who says no address, or that of nobody, may be anywhere.
        check(("203.0.113.5", "a.invalid"), public, true);
        check(("203.0.113.5", "0.0.0.0"), public, true);
        check(("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), false);
        check(("::ffff:198.51.100.7", "198.51.100.7"), another, false);
    }

    #[test]
    fn the_address_in_a_description() {
        let read = |text: &str| connection(text.as_bytes()).map(|ip| ip.to_string());
        assert_eq!(read("v=0\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("v=0\nm=audio 1 RTP/AVP 0\nc=IN IP6 2001:db8::1\n").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("v=0\r\nc=IN IP4 phone.example.org\r\n"), None);
        assert_eq!(read("v=0\r\ns=c=IN IP4 192.0.2.1\r\n"), None);
        assert!(has_ice(b"v=0\r\na=ice-ufrag:x\r\n") && !has_ice(b"v=0\r\n"));
    }
}
