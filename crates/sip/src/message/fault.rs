//! What can be wrong with a message, and whether and how it is answered (RFC 3261 §8.2, §16.3, §18.3).

use super::HeaderName;
use super::index::Index;
use super::reply::Reply;
use std::fmt;
use std::net::SocketAddr;

/// What is wrong with a message. The text that goes into the answer is its [`Fault::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first line is neither a request line nor a status line.
    StartLine,
    /// A version other than `SIP/2.0`.
    Version,
    /// The Request-URI breaks the grammar.
    RequestUri,
    /// A line without a colon, or with something other than a token before it.
    HeaderField,
    /// A CR without LF, or an LF without CR, among the header fields.
    LineEnd,
    /// The header fields do not end.
    NoEmptyLine,
    /// More header fields than [`super::MAX_HEADERS`].
    TooManyHeaders,
    /// Start line and header fields are larger than they may be.
    HeadTooLarge,
    /// The body is larger than it may be.
    BodyTooLarge,
    /// A header field that every message must have is not there.
    Missing(HeaderName),
    /// A header field that may be there once is there twice, or has two values.
    Repeated(HeaderName),
    /// A Via breaks the grammar.
    Via,
    /// The From or To breaks the grammar.
    Parties,
    /// The Call-ID is empty or has white space in it.
    CallId,
    /// The CSeq breaks the grammar or is 2^31 or more.
    CSeq,
    /// The CSeq names another method than the request line.
    CSeqMethod,
    /// The Max-Forwards is no number from 0 to 255.
    MaxForwards,
    /// The Content-Length is no number.
    ContentLength,
    /// Two Content-Lengths differ.
    ContentLengths,
    /// The datagram ends before the body does.
    BodyShort,
    /// A message on a stream without a Content-Length.
    NoContentLength,
    /// A URI breaks the grammar.
    Uri,
    /// A host or port breaks the grammar.
    Host,
    /// A name-addr breaks the grammar.
    Address,
    /// A parameter breaks the grammar.
    Parameter,
    /// A quoted string does not end.
    QuotedString,
}

impl Fault {
    /// The status code of the answer.
    pub fn code(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::HeadTooLarge | Self::BodyTooLarge => 513,
            _ => 400,
        }
    }

    /// The reason phrase of the answer.
    pub fn reason(self) -> &'static str {
        match self {
            Self::StartLine => "Malformed Request-Line",
            Self::Version => "Version Not Supported",
            Self::RequestUri => "Malformed Request-URI",
            Self::HeaderField => "Malformed Header Field",
            Self::LineEnd => "Bare CR Or LF",
            Self::NoEmptyLine => "Header Fields Not Terminated",
            Self::TooManyHeaders => "Too Many Header Fields",
            Self::HeadTooLarge | Self::BodyTooLarge => "Message Too Large",
            Self::Missing(name) => missing(name),
            Self::Repeated(name) => repeated(name),
            Self::Via => "Malformed Via",
            Self::Parties => "Malformed From Or To",
            Self::CallId => "Malformed Call-ID",
            Self::CSeq => "Malformed CSeq",
            Self::CSeqMethod => "CSeq Method Does Not Match",
            Self::MaxForwards => "Malformed Max-Forwards",
            Self::ContentLength => "Malformed Content-Length",
            Self::ContentLengths => "Content-Lengths Differ",
            Self::BodyShort => "Content-Length Larger Than Message",
            Self::NoContentLength => "Missing Content-Length",
            Self::Uri => "Malformed URI",
            Self::Host => "Malformed Host",
            Self::Address => "Malformed Address",
            Self::Parameter => "Malformed Parameter",
            Self::QuotedString => "Quoted String Not Terminated",
        }
    }
}

fn missing(name: HeaderName) -> &'static str {
    match name {
        HeaderName::Via => "Missing Via",
        HeaderName::From => "Missing From",
        HeaderName::To => "Missing To",
        HeaderName::CallId => "Missing Call-ID",
        HeaderName::CSeq => "Missing CSeq",
        _ => "Missing Header Field",
    }
}

fn repeated(name: HeaderName) -> &'static str {
    match name {
        HeaderName::From => "Repeated From",
        HeaderName::To => "Repeated To",
        HeaderName::CallId => "Repeated Call-ID",
        HeaderName::CSeq => "Repeated CSeq",
        HeaderName::MaxForwards => "Repeated Max-Forwards",
        _ => "Repeated Header Field",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Fault {}

/// A message that is refused before anybody acts on it.
#[derive(Clone, Copy)]
pub struct Malformed<'a> {
    bytes: &'a [u8],
    fault: Fault,
}

impl<'a> Malformed<'a> {
    /// `bytes` begin with the start line.
    pub(crate) fn new(bytes: &'a [u8], fault: Fault) -> Self {
        Self { bytes, fault }
    }

    /// What is wrong.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The message, as far as there is one.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it gets an answer: it looks like a SIP request, and not like an ACK. All else is dropped.
    pub fn is_answered(&self) -> bool {
        let end = memchr::memchr2(b'\r', b'\n', self.bytes).unwrap_or(self.bytes.len());
        let line = &self.bytes[..end];
        let is_ack = line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"ACK "));
        !line.starts_with(b"SIP/") && !is_ack && memchr::memmem::find(line, b" SIP/").is_some()
    }

    /// Appends the answer to `out`: the Vias, From, To, Call-ID and CSeq as far as they are there, as written.
    /// `source` is who sent it, for `received` and `rport`; `tag` goes into a To without one.
    /// Nothing is written, and `false` returned, where no answer is due or no Via says who wants it.
    pub fn reply(&self, out: &mut Vec<u8>, source: Option<SocketAddr>, tag: &str) -> bool {
        let mut index = Index::new();
        let start = memchr::memchr(b'\n', self.bytes).map_or(self.bytes.len(), |end| end + 1);
        index.salvage(self.bytes, start);
        if !self.is_answered() || index.first(HeaderName::Via).is_none() {
            return false;
        }
        let code = self.fault.code();
        Reply::salvage(out, self.bytes, &index, source, (code, self.fault.reason()), tag).end();
        true
    }
}

impl fmt::Debug for Malformed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Malformed({:?}, {} bytes)", self.fault, self.bytes.len())
    }
}
