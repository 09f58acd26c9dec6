//! Writing responses: what a response repeats of its request, and what comes on top (RFC 3261 §8.2.6, RFC 3581 §4).

use super::index::{Entry, Index};
use super::{HeaderName, Message, Param, Via, lex};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A response being written. Finish it with [`Reply::end`] or [`Reply::body`].
#[derive(Debug)]
#[must_use = "a response ends with end() or body()"]
pub struct Reply<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Reply<'o> {
    /// Appends the status line with the usual reason phrase, the Vias, From, To, Call-ID and CSeq to `out`.
    /// `source` is who sent the request: the topmost Via gets `received` and `rport` as RFC 3581 §4 says.
    /// `tag` goes into a To that has none; empty for a 100.
    pub fn begin(
        out: &'o mut Vec<u8>,
        request: &Message<'_>,
        source: Option<SocketAddr>,
        code: u16,
        tag: &str,
    ) -> Self {
        Self::with_reason(out, request, source, (code, reason(code)), tag)
    }

    /// The same with a reason phrase of one's own.
    pub fn with_reason(
        out: &'o mut Vec<u8>,
        request: &Message<'_>,
        source: Option<SocketAddr>,
        status: (u16, &str),
        tag: &str,
    ) -> Self {
        let tag = if request.to().tag().is_some() { "" } else { tag };
        Self::repeat(out, (request.bytes(), request.index(), Some(request.via())), source, status, tag)
    }

    /// The same for a message that could not be read as a whole.
    pub(super) fn salvage(
        out: &'o mut Vec<u8>,
        bytes: &[u8],
        index: &Index,
        source: Option<SocketAddr>,
        status: (u16, &str),
        tag: &str,
    ) -> Self {
        let to = index.first(HeaderName::To).map_or(&b""[..], |entry| value(bytes, entry));
        let has_tag = to.windows(5).any(|five| five.eq_ignore_ascii_case(b";tag="));
        let first = index.first(HeaderName::Via).map(|entry| value(bytes, entry));
        let via = first.and_then(|value| Via::parse(&value[..lex::element(value)]).ok());
        Self::repeat(out, (bytes, index, via.as_ref()), source, status, if has_tag { "" } else { tag })
    }

    fn repeat(
        out: &'o mut Vec<u8>,
        (bytes, index, via): (&[u8], &Index, Option<&Via<'_>>),
        source: Option<SocketAddr>,
        (code, reason): (u16, &str),
        tag: &str,
    ) -> Self {
        out.reserve(bytes.len().min(1024) + 256);
        out.extend_from_slice(b"SIP/2.0 ");
        push_number(out, code.into());
        out.push(b' ');
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        repeat_vias(out, (bytes, index, via), source);
        repeat_first(out, bytes, index, HeaderName::From);
        if let Some(entry) = index.first(HeaderName::To) {
            out.extend_from_slice(&bytes[usize::from(entry.start)..usize::from(entry.value_end)]);
            if !tag.is_empty() {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        repeat_first(out, bytes, index, HeaderName::CallId);
        repeat_first(out, bytes, index, HeaderName::CSeq);
        Self { out }
    }

    /// Repeats the request's Record-Routes: in a response that makes a dialog (RFC 3261 §12.1.1).
    pub fn record_routes(&mut self, request: &Message<'_>) -> &mut Self {
        for value in request.all(HeaderName::RecordRoute) {
            self.header("Record-Route", value);
        }
        self
    }

    /// Appends a header field.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        push_field(self.out, name, value.as_ref());
        self
    }

    /// Lets `write` append whole header lines, each with its CRLF.
    pub fn lines(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        write(self.out);
        self
    }

    /// Ends a response without a body.
    pub fn end(self) {
        self.out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    /// Ends a response with a body.
    pub fn body(self, content_type: &str, body: &[u8]) {
        push_field(self.out, "Content-Type", content_type.as_bytes());
        self.out.extend_from_slice(b"Content-Length: ");
        push_number(self.out, body.len() as u64);
        self.out.extend_from_slice(b"\r\n\r\n");
        self.out.extend_from_slice(body);
    }
}

fn value<'a>(bytes: &'a [u8], entry: &Entry) -> &'a [u8] {
    &bytes[usize::from(entry.value)..usize::from(entry.value_end)]
}

fn repeat_first(out: &mut Vec<u8>, bytes: &[u8], index: &Index, name: HeaderName) {
    if let Some(entry) = index.first(name) {
        out.extend_from_slice(&bytes[usize::from(entry.start)..usize::from(entry.value_end)]);
        out.extend_from_slice(b"\r\n");
    }
}

/// `via` is the topmost, where it can be read.
fn repeat_vias(
    out: &mut Vec<u8>,
    (bytes, index, via): (&[u8], &Index, Option<&Via<'_>>),
    source: Option<SocketAddr>,
) {
    let mut top = source.zip(via);
    for entry in index.all(HeaderName::Via) {
        let (mut from, to) = (usize::from(entry.start), usize::from(entry.value_end));
        if let Some((source, via)) = top.take() {
            let start = offset(bytes, via.as_bytes());
            out.extend_from_slice(&bytes[from..start]);
            stamp(out, via, source);
            from = start + via.as_bytes().len();
        }
        out.extend_from_slice(&bytes[from..to]);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a Via with what the receiver adds to it: `received` where the address differs from the written one or
/// `rport` is asked for, and the port in `rport` (RFC 3261 §18.2.1, RFC 3581 §4). What was there before of both
/// goes: only the receiver knows.
pub(super) fn stamp(out: &mut Vec<u8>, via: &Via<'_>, source: SocketAddr) {
    let wants_port = match via.only_rport() {
        Some(rport) => stamp_port(out, via.as_bytes(), rport, source.port()),
        None => stamp_anew(out, via, source.port()),
    };
    let ip = source.ip().to_canonical();
    if wants_port || via.host().ip().is_none_or(|written| written.to_canonical() != ip) {
        out.extend_from_slice(b";received=");
        push_ip(out, ip);
    }
}

/// Appends a Via with the port in its `rport`, if it has one.
fn stamp_port(out: &mut Vec<u8>, text: &[u8], rport: Option<Param<'_>>, port: u16) -> bool {
    let Some(param) = rport else {
        out.extend_from_slice(text);
        return false;
    };
    let (name_end, end) = ends(text, &param);
    out.extend_from_slice(&text[..name_end]);
    out.push(b'=');
    push_number(out, port.into());
    out.extend_from_slice(&text[end..]);
    true
}

/// The same for one that has several, and without every `received`.
fn stamp_anew(out: &mut Vec<u8>, via: &Via<'_>, port: u16) -> bool {
    let text = via.as_bytes();
    let mut copied = 0;
    let mut wants_port = false;
    for param in via.params().iter() {
        let (name_end, end) = ends(text, &param);
        if param.is("rport") {
            out.extend_from_slice(&text[copied..name_end]);
            out.push(b'=');
            push_number(out, port.into());
            (copied, wants_port) = (end, true);
        } else if param.is("received") {
            let name = offset(text, param.name);
            let semicolon = memchr::memrchr(b';', &text[..name]).expect("a parameter follows a semicolon");
            out.extend_from_slice(&text[copied..semicolon]);
            copied = end;
        }
    }
    out.extend_from_slice(&text[copied..]);
    wants_port
}

/// Where the name of a parameter ends in `text`, and where its value does.
fn ends(text: &[u8], param: &Param<'_>) -> (usize, usize) {
    let name_end = offset(text, param.name) + param.name.len();
    (name_end, param.value.map_or(name_end, |value| offset(text, value) + value.len()))
}

/// Where `part` begins in the text that it is a part of.
pub(crate) fn offset(text: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// Appends `Name: value` and its line end.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal digits.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // One digit.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// An address and a port, as a Via or a URI names them.
pub(crate) fn host_port(ip: IpAddr, port: u16) -> String {
    let mut text = Vec::with_capacity(24);
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            text.push(b'[');
            push_ip(&mut text, ip.into());
            text.push(b']');
        }
        ip @ IpAddr::V4(_) => push_ip(&mut text, ip),
    }
    text.push(b':');
    push_number(&mut text, port.into());
    String::from_utf8(text).expect("an address is written in ASCII")
}

/// An address without brackets, with room for a port behind it.
pub(crate) fn ip_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let (digits, length) = v4_text(ip);
            let mut text = String::with_capacity(24);
            text.push_str(ascii(&digits[..length]));
            text
        }
        IpAddr::V6(ip) => ip.to_string(),
    }
}

/// The same with no room left.
pub(crate) fn ip_name(ip: IpAddr) -> Box<str> {
    match ip {
        IpAddr::V4(ip) => {
            let (digits, length) = v4_text(ip);
            ascii(&digits[..length]).into()
        }
        IpAddr::V6(ip) => ip.to_string().into(),
    }
}

/// Appends an address without brackets.
fn push_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let (digits, length) = v4_text(ip);
            out.extend_from_slice(&digits[..length]);
        }
        IpAddr::V6(ip) => write!(out, "{ip}").expect("a vector takes everything"),
    }
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("an address is written in ASCII")
}

/// An IPv4 address, and how long its text is.
fn v4_text(ip: Ipv4Addr) -> ([u8; 15], usize) {
    let (mut text, mut end) = ([0; 15], 0);
    let mut push = |byte| {
        text[end] = byte;
        end += 1;
    };
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    (text, end)
}

/// The usual reason phrase of a status code (RFC 3261 §21 and the registry at IANA).
pub fn reason(code: u16) -> &'static str {
    match REASONS.binary_search_by_key(&code, |row| row.0) {
        Ok(row) => REASONS[row].1,
        Err(_) => match code / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

/// Sorted by code.
const REASONS: [(u16, &str); 64] = [
    (100, "Trying"),
    (180, "Ringing"),
    (181, "Call Is Being Forwarded"),
    (182, "Queued"),
    (183, "Session Progress"),
    (199, "Early Dialog Terminated"),
    (200, "OK"),
    (202, "Accepted"),
    (204, "No Notification"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Moved Temporarily"),
    (305, "Use Proxy"),
    (380, "Alternative Service"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Timeout"),
    (410, "Gone"),
    (412, "Conditional Request Failed"),
    (413, "Request Entity Too Large"),
    (414, "Request-URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Unsupported URI Scheme"),
    (417, "Unknown Resource-Priority"),
    (420, "Bad Extension"),
    (421, "Extension Required"),
    (422, "Session Interval Too Small"),
    (423, "Interval Too Brief"),
    (429, "Provide Referrer Identity"),
    (430, "Flow Failed"),
    (433, "Anonymity Disallowed"),
    (436, "Bad Identity Info"),
    (439, "First Hop Lacks Outbound Support"),
    (440, "Max-Breadth Exceeded"),
    (480, "Temporarily Unavailable"),
    (481, "Call/Transaction Does Not Exist"),
    (482, "Loop Detected"),
    (483, "Too Many Hops"),
    (484, "Address Incomplete"),
    (485, "Ambiguous"),
    (486, "Busy Here"),
    (487, "Request Terminated"),
    (488, "Not Acceptable Here"),
    (489, "Bad Event"),
    (491, "Request Pending"),
    (493, "Undecipherable"),
    (494, "Security Agreement Required"),
    (500, "Server Internal Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Server Time-out"),
    (505, "Version Not Supported"),
    (513, "Message Too Large"),
    (600, "Busy Everywhere"),
    (603, "Decline"),
    (604, "Does Not Exist Anywhere"),
    (606, "Not Acceptable"),
];

#[cfg(test)]
mod tests;
