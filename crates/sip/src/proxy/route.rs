//! Where a request goes: our Routes taken off, strict routers' rewriting undone (RFC 3261 §16.4), the target named
//! (§16.5). Asking where a user is happens elsewhere.

use super::Refusal;
use crate::message::{HeaderName, Message, lex};
use crate::registrar::gruu::{self, Phone};
use crate::transport::token::{self, Sealed, Seat, Side};
use crate::transport::{Arrival, Listeners, Seal};
use crate::uri::{SipUri, Uri};
use wire::{Address, Directory, Transport};

/// Whom a request is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// This server.
    #[default]
    Us,
    /// An address at a domain of ours, by the domain's main name.
    Account(Address),
    /// The next Route, or the Request-URI where there is none.
    Next,
}

/// How a request was judged: what to take off, what to put in its place, and whom it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whom it is for.
    pub target: Target,
    /// How many Routes on top were ours.
    pub popped: usize,
    /// The Request-URI that a strict router had put at the end of the Routes (RFC 3261 §16.4).
    pub uri: Option<Box<[u8]>>,
    /// The Routes that remain, comma-separated, without the last one if that became `uri`.
    pub routes: Box<[u8]>,
    /// What our own Route says of the other end of the dialog: the flow or the host inside by which it is reached.
    pub side: Side,
    /// A Route of ours, sealed for this dialog, led here, and it names both ends' tags: the dialog was let through
    /// when it began. What would begin another dialog along the same Route has no To tag.
    pub in_dialog: bool,
    /// The dialog's media go by a relay: who has proved, when it began, whose seat that takes.
    pub seat: Option<Seat>,
    /// The account that the caller has proven.
    pub prover: Option<Address>,
    /// Which of its target's phones alone it is for (RFC 5627).
    pub phone: Option<Phone>,
    /// It must travel by TLS to its very end: the Request-URI is sips (RFC 5630 §3.2).
    pub secure: bool,
    /// The hash by which loops are seen, once it is forwarded.
    pub looped: u64,
    /// How many branches it may have at a time, here and from here on (RFC 5393 §5).
    pub breadth: usize,
    /// It said so itself.
    pub has_breadth: bool,
}

/// The Max-Breadth of a request that has none, and the most that one may have (RFC 5393 §5.3.3).
const MAX_BREADTH: usize = 60;

/// What a request's Max-Breadth is here, and whether it says so itself.
fn breadth(request: &Message<'_>) -> (usize, bool) {
    let said = request.header(HeaderName::MaxBreadth).and_then(lex::number);
    let said = said.and_then(|n| usize::try_from(n).ok());
    (said.map_or(MAX_BREADTH, |n| n.min(MAX_BREADTH)), said.is_some_and(|n| n <= MAX_BREADTH))
}

impl Plan {
    /// Whether no way but TLS is good enough. Dialogs go the way that they began: there are telephones that name themselves by
    /// sips in dialogs that are not, and a call that cannot be ended is no more secure.
    pub fn needs_tls(&self) -> bool {
        self.secure && !self.in_dialog
    }

    /// The Max-Breadth of each of so many copies (RFC 5393 §5.3.3); `None` where it stays as it came.
    pub fn share(&self, targets: usize) -> Option<usize> {
        let kept = targets <= 1 && self.has_breadth;
        (!kept).then(|| self.of_each(targets))
    }

    /// What each of so many targets may have. Where they are more than the breadth, those that come later have what the earlier ones
    /// have had (RFC 5393 §5.3.3.1).
    fn of_each(&self, targets: usize) -> usize {
        (self.breadth / targets.max(1)).max(1)
    }

    /// Whether so many copies more may be under way, beside those that have no final answer yet.
    pub fn has_breadth_for(&self, more: usize, busy: usize, targets: usize) -> bool {
        (busy + more) * self.of_each(targets) <= self.breadth
    }
}

/// What routing needs to know of this server.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Our addresses.
    pub listeners: &'a Listeners,
    /// Our domains and accounts.
    pub directory: &'a Directory,
    /// Our seal.
    pub seal: &'a Seal,
}

/// A URI that leads to this server itself.
struct Own {
    /// What it says, where it was sealed for this dialog.
    sealed: Option<Sealed>,
}

impl Place<'_> {
    /// Takes a request's Routes and Request-URI apart.
    pub fn route(&self, request: &Message<'_>, arrival: &Arrival) -> Result<Plan, Refusal> {
        let malformed = Refusal::BadRequest("Malformed Route");
        let mut routes: Vec<(&[u8], SipUri<'_>)> = Vec::new();
        for route in request.routes() {
            let route = route.map_err(|_| malformed.clone())?;
            let Ok(Uri::Sip(uri)) = route.uri() else { return Err(malformed) };
            routes.push((route.uri_bytes(), uri));
        }
        let (breadth, has_breadth) = breadth(request);
        let mut plan = Plan { breadth, has_breadth, ..Plan::default() };
        let mut request_uri = *request.uri().and_then(Uri::sip).ok_or(Refusal::Scheme)?;
        // RFC 3261 §16.4: a strict router put our Record-Route into the Request-URI and the target last.
        if let Some(sealed) = self.sealed(&request_uri, request.call_id())
            && let Some((bytes, uri)) = routes.pop()
        {
            (plan.uri, plan.side, plan.in_dialog) = (Some(bytes.into()), sealed.side, true);
            plan.seat = sealed.seat;
            request_uri = uri;
        }
        let own = routes.iter().map_while(|(_, uri)| self.own(uri, request.call_id(), arrival));
        for own in own {
            plan.popped += 1;
            plan.in_dialog |= own.sealed.is_some();
            let sealed = own.sealed.unwrap_or_default();
            (plan.side, plan.seat) = (sealed.side, plan.seat.or(sealed.seat));
        }
        plan.in_dialog &= request.to().tag().is_some();
        plan.secure = request_uri.secure;
        let remaining = &routes[plan.popped..];
        let mut ahead = Vec::new();
        for (bytes, _) in remaining {
            let begin = if ahead.is_empty() { &b"<"[..] } else { b", <" };
            [begin, bytes, b">"].iter().for_each(|part| ahead.extend_from_slice(part));
        }
        plan.routes = ahead.into();
        plan.target = match remaining.first() {
            Some(_) => Target::Next,
            None => self.target(&request_uri, arrival)?,
        };
        self.gruu(&mut plan, &request_uri, arrival)?;
        Ok(plan)
    }

    /// A URI of one phone (RFC 5627 §5.1): which, and whose where it hides that.
    fn gruu(&self, plan: &mut Plan, uri: &SipUri<'_>, arrival: &Arrival) -> Result<(), Refusal> {
        let Target::Account(_) = &plan.target else { return Ok(()) };
        let Some(domain) = self.realm(uri, arrival) else { return Ok(()) };
        let Some(read) = gruu::read(self.seal, uri, domain) else { return Ok(()) };
        let (address, phone) = read.ok_or(Refusal::NotFound)?;
        if let Some(address) = address {
            plan.target = Target::Account(address);
        }
        plan.phone = Some(phone);
        Ok(())
    }

    /// Whom a Request-URI names. A name that no account can have is nobody's.
    fn target(&self, uri: &SipUri<'_>, arrival: &Arrival) -> Result<Target, Refusal> {
        if !self.is_us(uri, arrival) {
            return Ok(Target::Next);
        }
        if uri.user.is_none() {
            return Ok(Target::Us);
        }
        self.account(uri, arrival).map(Target::Account).ok_or(Refusal::NotFound)
    }

    /// Whether a URI's host is this server or a domain of it.
    pub fn is_us(&self, uri: &SipUri<'_>, arrival: &Arrival) -> bool {
        match uri.host.ip() {
            None => self.domain_of(uri).is_some() || self.listeners.is_our_name(uri.host),
            Some(ip) => {
                let transport = if uri.secure { Transport::Tls } else { Transport::Udp };
                let came_here = ip.to_canonical() == arrival.local.ip().to_canonical();
                let port = uri.port.unwrap_or(crate::transport::default_port(transport));
                self.listeners.is_us(ip, uri.port, transport) || (came_here && self.listeners.has_port(port))
            }
        }
    }

    /// The domain of ours that a URI's host is, or is a host of.
    pub fn domain_of(&self, uri: &SipUri<'_>) -> Option<&wire::Domain> {
        let name = std::str::from_utf8(uri.host.name()?).ok()?;
        self.directory.domain(name).or_else(|| self.listeners.domain_at(name, uri.port))
    }

    /// The domain of ours that a request is of: the caller's, or the one that is asked for.
    pub fn party(&self, request: &Message<'_>) -> Option<&wire::Domain> {
        let from = request.from().uri().ok();
        let caller = from.as_ref().and_then(Uri::sip).and_then(|uri| self.domain_of(uri));
        caller.or_else(|| request.uri().and_then(Uri::sip).and_then(|uri| self.domain_of(uri)))
    }

    /// The domain of ours that a response is of: the one that was asked for, or the caller's.
    pub fn answerer(&self, response: &Message<'_>) -> Option<&wire::Domain> {
        let domain =
            |party: Option<Uri<'_>>| party.as_ref().and_then(Uri::sip).and_then(|uri| self.domain_of(uri));
        domain(response.to().uri().ok()).or_else(|| domain(response.from().uri().ok()))
    }

    /// The address of ours that a URI names, at its domain's main name; one at our bare address belongs to the
    /// first domain. `None` where the URI is not ours or has no user part.
    pub fn account(&self, uri: &SipUri<'_>, arrival: &Arrival) -> Option<Address> {
        uri.address_at(self.realm(uri, arrival)?).ok()
    }

    /// The domain of ours that a URI belongs to: at our bare address, the first.
    pub fn realm(&self, uri: &SipUri<'_>, arrival: &Arrival) -> Option<&wire::Domain> {
        match self.domain_of(uri) {
            None if self.is_us(uri, arrival) => self.directory.first_domain(),
            domain => domain,
        }
    }

    /// Whether a Route leads to us.
    fn own(&self, uri: &SipUri<'_>, call_id: &[u8], arrival: &Arrival) -> Option<Own> {
        if let Some(sealed) = self.sealed(uri, call_id) {
            return Some(Own { sealed: Some(sealed) });
        }
        let port = uri.port.unwrap_or(crate::transport::default_port(Transport::Udp));
        let here = self.is_us(uri, arrival) && (uri.port.is_none() || self.listeners.has_port(port));
        here.then_some(Own { sealed: None })
    }

    /// Whether a URI is one that we put into this dialog's Record-Route.
    pub(crate) fn is_sealed(&self, uri: &SipUri<'_>, call_id: &[u8]) -> bool {
        self.sealed(uri, call_id).is_some()
    }

    /// The same, with what it says.
    fn sealed(&self, uri: &SipUri<'_>, call_id: &[u8]) -> Option<Sealed> {
        token::read(self.seal, call_id, uri.user?)
    }
}

/// Whether a method begins a dialog, so that we want to stay on its path (RFC 3261 §12.1, RFC 6665, RFC 3515).
pub fn begins_dialog(request: &Message<'_>) -> bool {
    use crate::message::Method;
    let method = request.method();
    match method {
        Method::Invite | Method::Subscribe | Method::Refer => request.to().tag().is_none(),
        Method::Notify => true,
        _ => false,
    }
}

/// Whether a request carries a Route at all.
pub fn has_route(request: &Message<'_>) -> bool {
    request.has(HeaderName::Route)
}
