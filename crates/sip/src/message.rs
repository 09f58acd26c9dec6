//! SIP messages on bytes: an index of where things stand, and views that read them (RFC 3261 §7, §20).
//!
//! Nothing is copied, nothing is taken for UTF-8; unknown methods, schemes and header fields stay as they are.
//! What every message must have is checked by `Message::parse`; all else is read when asked for.

pub mod body;
pub mod build;
pub mod edit;
mod fault;
mod glance;
mod index;
pub(crate) mod lex;
mod method;
mod name;
mod name_addr;
mod params;
mod parse;
pub mod reply;
mod via;

use crate::uri::Uri;
pub use edit::Edit;
pub use fault::{Fault, Malformed};
pub(crate) use glance::glance;
pub(crate) use index::{Index, line_end};
pub use index::{MAX_HEAD, MAX_HEADERS};
pub use lex::{List, unquote};
pub use method::Method;
pub use name::HeaderName;
pub use name_addr::NameAddr;
pub use params::{Param, Params};
pub(crate) use parse::content_length;
pub use reply::Reply;
pub(crate) use reply::offset;
pub use via::{Via, after_magic};

/// A message, read in place. It has a valid start line, topmost Via, From, To, Call-ID and CSeq, and, where they
/// are there, a valid Max-Forwards and a Content-Length that fits.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    start: Start<'a>,
    index: Index,
    body: usize,
    via: Via<'a>,
    from: NameAddr<'a>,
    to: NameAddr<'a>,
    call_id: &'a [u8],
    cseq: CSeq<'a>,
    max_forwards: Option<u8>,
}

/// The first line of a message.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// A request line.
    Request {
        /// What is asked for.
        method: Method<'a>,
        /// The Request-URI as written.
        uri_bytes: &'a [u8],
        /// The Request-URI, read.
        uri: Uri<'a>,
    },
    /// A status line.
    Status {
        /// 100 to 699.
        code: u16,
        /// The reason phrase; any bytes.
        reason: &'a [u8],
    },
}

/// The number and method of a request, which its responses repeat (RFC 3261 §20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

/// One header field as it stands in a message.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Which it is.
    pub name: HeaderName,
    /// Its name as written.
    pub name_bytes: &'a [u8],
    /// Its value as written, without white space around it; a folded value has its line ends inside.
    pub value: &'a [u8],
}

/// One value of a Contact header field.
#[derive(Clone, Copy, Debug)]
pub enum Contact<'a> {
    /// `*`: all bindings (RFC 3261 §10.2.2).
    All,
    /// An address.
    At(NameAddr<'a>),
}

impl<'a> Message<'a> {
    /// Reads a message from a datagram, or one that was cut out of a stream. Empty lines in front
    /// are skipped, what lies behind the Content-Length is left out.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed<'a>> {
        parse::message(bytes)
    }

    /// The whole message, from its first line to the end of its body.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Start line and header fields, the empty line included.
    pub fn head(&self) -> &'a [u8] {
        &self.bytes[..self.body]
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body..]
    }

    /// The first line, read.
    pub fn start(&self) -> &Start<'a> {
        &self.start
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method: of a response, that of the request it answers.
    pub fn method(&self) -> Method<'a> {
        self.cseq.method
    }

    /// The Request-URI, read; `None` in a response.
    pub fn uri(&self) -> Option<&Uri<'a>> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Status { .. } => None,
        }
    }

    /// The Request-URI as written; `None` in a response.
    pub fn uri_bytes(&self) -> Option<&'a [u8]> {
        match self.start {
            Start::Request { uri_bytes, .. } => Some(uri_bytes),
            Start::Status { .. } => None,
        }
    }

    /// The status code; `None` in a request.
    pub fn code(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Status { code, .. } => Some(code),
        }
    }

    /// The topmost Via.
    pub fn via(&self) -> &Via<'a> {
        &self.via
    }

    /// The From.
    pub fn from(&self) -> &NameAddr<'a> {
        &self.from
    }

    /// The To.
    pub fn to(&self) -> &NameAddr<'a> {
        &self.to
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &'a [u8] {
        self.call_id
    }

    /// The CSeq.
    pub fn cseq(&self) -> CSeq<'a> {
        self.cseq
    }

    /// The Max-Forwards of a request, where there is one.
    pub fn max_forwards(&self) -> Option<u8> {
        self.max_forwards
    }

    /// Every header field, in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> {
        self.index.iter().map(|entry| Header {
            name: entry.name,
            name_bytes: &self.bytes[usize::from(entry.start)..usize::from(entry.name_end)],
            value: self.slice(entry),
        })
    }

    /// Whether there is a header field of that name.
    pub fn has(&self, name: HeaderName) -> bool {
        self.index.first(name).is_some()
    }

    /// The value of the first header field of that name, whole.
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.index.first(name).map(|entry| self.slice(entry))
    }

    /// The values of all header fields of that name, each whole.
    pub fn all(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.index.all(name).map(|entry| self.slice(entry))
    }

    /// The values of a header field that this server has no name for. Names compare without regard to case.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |h| h.name_bytes.eq_ignore_ascii_case(name.as_bytes())).map(|h| h.value)
    }

    /// The elements of a header field that is a comma-separated list, over all its lines: option tags, methods,
    /// addresses. Not for header fields whose values hold commas of their own (Authorization, Date …).
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.all(name).flat_map(List::new)
    }

    /// Whether a list of tokens (Supported, Require, Allow …) holds `token`. Option tags compare without case.
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// All Vias, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, Fault>> {
        self.list(HeaderName::Via).map(Via::parse)
    }

    /// All Vias but the topmost.
    pub fn vias_below(&self) -> impl Iterator<Item = Result<Via<'a>, Fault>> {
        // Most requests come from whoever made them.
        let first = self.header(HeaderName::Via).unwrap_or_default();
        let alone = !self.index.is_repeated(HeaderName::Via) && lex::element(first) == first.len();
        let rest = if alone { None } else { Some(self.vias().skip(1)) };
        rest.into_iter().flatten()
    }

    /// The addresses of a list header field: Route, Record-Route, Path, Service-Route, P-Asserted-Identity ….
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> {
        self.list(name).map(NameAddr::parse)
    }

    /// The Route set, next hop first.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Fault>> {
        self.addresses(HeaderName::Route)
    }

    /// All Contacts.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'a>, Fault>> {
        self.list(HeaderName::Contact).map(|value| match value {
            b"*" => Ok(Contact::All),
            value => NameAddr::parse(value).map(Contact::At),
        })
    }

    /// The Expires header field in seconds; a number too large is the largest. `None` where there is none or it
    /// is no number.
    pub fn expires(&self) -> Option<u32> {
        self.header(HeaderName::Expires).and_then(delta_seconds)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    fn slice(&self, entry: &index::Entry) -> &'a [u8] {
        &self.bytes[usize::from(entry.value)..usize::from(entry.value_end)]
    }
}

/// Reads delta-seconds: digits; what does not fit into 32 bits is the largest number that does (RFC 3261 §20.19).
pub(crate) fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(lex::number32(text).unwrap_or(u32::MAX))
}

/// How many bytes of empty lines a message begins with (RFC 3261 §7.5).
pub(crate) fn leading_line_ends(bytes: &[u8]) -> usize {
    let mut at = 0;
    while bytes[at..].starts_with(b"\r\n") {
        at += 2;
    }
    at
}
