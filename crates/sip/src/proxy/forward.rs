//! A request as it leaves (RFC 3261 §16.6): only Request-URI, Max-Forwards, Route, Record-Route and Via are
//! written anew, Max-Breadth where it changes; what others assert of the caller, and credentials for us, stay here. Every
//! other byte goes out as it came in.

use super::route::Plan;
use crate::message::{Edit, HeaderName, Message, NameAddr, lex};
use crate::transport::{Arrival, Hop, via_name};
use crate::uri::{SipUri, Uri};
use wire::{Domain, Transport};

/// What a copy of a request gets on its way to one target.
#[derive(Debug)]
pub struct Copy<'a> {
    /// How the request was judged.
    pub plan: &'a Plan,
    /// Who sent it.
    pub arrival: &'a Arrival,
    /// The Request-URI for this target; `None` leaves it as it is.
    pub uri: Option<&'a [u8]>,
    /// The Path to this target, comma-separated.
    pub path: &'a [u8],
    /// By which way: over a TLS connection of ours the other side may reach us too (RFC 5923).
    pub hop: &'a Hop,
    /// Who we are on that transport, `host:port`.
    pub sent_by: &'a str,
    /// Our branch, and what else our Via says.
    pub branch: &'a str,
    /// Our Record-Routes, in the order in which they are put on top of one another.
    pub record_routes: &'a [String],
    /// What Max-Forwards starts from where there is none.
    pub max_forwards: u8,
    /// This copy's share of the request's breadth, where it is not what came in.
    pub breadth: Option<usize>,
    /// The credentials for us are taken out: the realm they are for.
    pub consumed: Option<&'a Domain>,
    /// The body in place of its own, where it has another.
    pub body: Option<&'a [u8]>,
}

/// Who the caller is, as somebody asserts whom phones believe. Nobody who sends to us is trusted with that
/// (RFC 3325 §5): what users prove shows in From.
const ASSERTED: [HeaderName; 2] = [HeaderName::PAssertedIdentity, HeaderName::RemotePartyId];

impl Copy<'_> {
    /// Writes the copy of `request`.
    pub fn write(&self, request: &Message<'_>) -> Vec<u8> {
        let transport = self.hop.transport();
        let ours = transport == Transport::Tls && matches!(self.hop, Hop::Address { .. });
        let alias = if ours { ";alias" } else { "" };
        let mut out = Vec::new();
        let mut edit = Edit::new(request, &mut out);
        edit.stamp_via(self.arrival.peer);
        self.routes(request, &mut edit);
        edit.max_forwards(request.max_forwards().map_or(self.max_forwards, |hops| hops.saturating_sub(1)));
        if let Some(breadth) = self.breadth {
            edit.set(HeaderName::MaxBreadth, breadth.to_string());
        }
        // What is pushed first stands above what is pushed later.
        for route in self.record_routes.iter().rev() {
            edit.push(HeaderName::RecordRoute, route);
        }
        edit.push(
            HeaderName::Via,
            ["SIP/2.0/", via_name(transport), " ", self.sent_by, ";branch=", self.branch, alias].concat(),
        );
        for name in ASSERTED {
            edit.remove(name, |_| true);
        }
        if let Some(realm) = self.consumed {
            edit.remove(HeaderName::ProxyAuthorization, |value| names_realm(value, realm.as_str()));
        }
        match self.body {
            Some(body) => drop(edit.body(body)),
            None if transport.is_stream() => drop(edit.content_length()),
            None => {}
        }
        edit.finish();
        out
    }

    /// Request-URI and Routes. For a next hop that is a strict router the two change places (RFC 3261 §16.6 step 6).
    fn routes(&self, request: &Message<'_>, edit: &mut Edit<'_, '_, '_>) {
        let uri = self.uri.or(self.plan.uri.as_deref());
        let first = first_route(self.path, &self.plan.routes);
        if self.path.is_empty() && self.plan.uri.is_none() && first.is_none_or(is_loose) {
            if let Some(uri) = uri {
                edit.request_uri(uri);
            }
            edit.pop(HeaderName::Route, self.plan.popped);
            return;
        }
        let routes = join(self.path, &self.plan.routes);
        edit.remove(HeaderName::Route, |_| true);
        match first.filter(|first| !is_loose(first)) {
            Some(strict) => {
                let rest = crate::message::List::new(&routes).skip(1).collect::<Vec<_>>().join(&b", "[..]);
                let target = [b"<", uri.or(request.uri_bytes()).unwrap_or_default(), b">"].concat();
                edit.request_uri(strict);
                edit.push(HeaderName::Route, join(&rest, &target));
            }
            None => {
                if let Some(uri) = uri {
                    edit.request_uri(uri);
                }
                if !routes.is_empty() {
                    edit.push(HeaderName::Route, &routes);
                }
            }
        }
    }
}

/// The URI of the next Route, where there is one: the Path to a target comes before the Routes that remain.
fn first_route<'a>(path: &'a [u8], routes: &'a [u8]) -> Option<&'a [u8]> {
    let first = crate::message::List::new(path).chain(crate::message::List::new(routes)).next()?;
    Some(NameAddr::parse(first).ok()?.uri_bytes())
}

/// Where the first Route leads, where there is one; `secure`: by TLS.
pub fn next_route(path: &[u8], routes: &[u8], secure: bool) -> Option<Option<Hop>> {
    let first = first_route(path, routes)?;
    Some(hop(first, secure))
}

/// Where a URI leads; `secure`: as if it were sips, as the Request-URI is (RFC 3261 §16.6 step 7).
pub fn hop(uri: &[u8], secure: bool) -> Option<Hop> {
    match Uri::parse(uri) {
        Ok(Uri::Sip(uri)) => hop_of(&uri, secure),
        _ => None,
    }
}

/// The same of one that was read.
pub fn hop_of(uri: &SipUri<'_>, secure: bool) -> Option<Hop> {
    Hop::of_uri(&SipUri { secure: uri.secure || secure, ..*uri })
}

fn is_loose(uri: &[u8]) -> bool {
    matches!(Uri::parse(uri), Ok(Uri::Sip(uri)) if uri.is_loose())
}

fn join(a: &[u8], b: &[u8]) -> Vec<u8> {
    match (a.is_empty(), b.is_empty()) {
        (false, false) => [a, b", ", b].concat(),
        _ => [a, b].concat(),
    }
}

/// Whether credentials are for this realm, however they are written: whoever gets them may try passwords on them at leisure.
fn names_realm(value: &[u8], realm: &str) -> bool {
    let is = |text: &[u8]| match text.strip_prefix(b"\"") {
        Some(text) => text.strip_prefix(realm.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"')),
        None => false,
    };
    let named = |before: &[u8]| {
        let name = lex::trim_end(before);
        name.len().checked_sub(5).is_some_and(|at| name[at..].eq_ignore_ascii_case(b"realm"))
    };
    memchr::memchr_iter(b'=', value).any(|at| named(&value[..at]) && is(lex::trim_start(&value[at + 1..])))
}
