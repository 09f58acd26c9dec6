//! Bytes to [`Message`]: one pass over the lines, then the header fields that every message must have.

use super::index::{self, Index};
use super::{CSeq, Fault, HeaderName, Malformed, Message, Method, NameAddr, Start, Via, lex};
use crate::uri::Uri;

/// Reads a message that fills `bytes`, or begins them: what lies behind its Content-Length is left out.
pub(super) fn message(bytes: &[u8]) -> Result<Message<'_>, Malformed<'_>> {
    let bytes = &bytes[super::leading_line_ends(bytes)..];
    read(bytes).map_err(|fault| Malformed::new(bytes, fault))
}

#[inline(always)]
fn read(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    let line = index::line_end(bytes, 0).map_err(|_| Fault::StartLine)?;
    let start = start(&bytes[..line])?;
    let mut index = Index::new();
    let body = index.read(bytes, line + 2)?;
    let value = |name| single(bytes, &index, name);
    let cseq = cseq(value(HeaderName::CSeq)?)?;
    let mut max_forwards = None;
    if let Start::Request { method, .. } = start {
        if cseq.method != method {
            return Err(Fault::CSeqMethod);
        }
        if index.first(HeaderName::MaxForwards).is_some() {
            max_forwards = Some(hops(value(HeaderName::MaxForwards)?)?);
        }
    }
    let call_id = value(HeaderName::CallId)?;
    if call_id.is_empty() || call_id.iter().any(|&b| lex::is_lws(b)) {
        return Err(Fault::CallId);
    }
    let from = party(value(HeaderName::From)?)?;
    let to = party(value(HeaderName::To)?)?;
    let via = first_via(bytes, &index)?;
    let end = body + body_length(bytes, &index, bytes.len() - body)?;
    Ok(Message { bytes: &bytes[..end], start, index, body, via, from, to, call_id, cseq, max_forwards })
}

/// Reads the start line (RFC 3261 §7.1, §7.2).
fn start(line: &[u8]) -> Result<Start<'_>, Fault> {
    if line.starts_with(b"SIP/") {
        return status_line(line);
    }
    let method = lex::find(line, b' ').ok_or(Fault::StartLine)?;
    let version = memchr::memrchr(b' ', line).ok_or(Fault::StartLine)?;
    let uri = line.get(method + 1..version).ok_or(Fault::StartLine)?;
    check_version(&line[version + 1..])?;
    let method = Method::new(&line[..method]).ok_or(Fault::StartLine)?;
    let parsed = Uri::parse(uri).map_err(|_| Fault::RequestUri)?;
    // Headers in a URI are for requests yet to be made; in a Request-URI they mean nothing (RFC 3261 §19.1.1).
    if parsed.sip().is_some_and(|sip| !sip.headers.is_empty()) {
        return Err(Fault::RequestUri);
    }
    Ok(Start::Request { method, uri_bytes: uri, uri: parsed })
}

/// The version's letters compare without regard to case (RFC 3261 §7.1).
fn check_version(text: &[u8]) -> Result<(), Fault> {
    if text == b"SIP/2.0" || text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let number = text.get(..4).filter(|name| name.eq_ignore_ascii_case(b"SIP/")).map(|_| &text[4..]);
    match number.and_then(|n| memchr::memchr(b'.', n).map(|dot| (&n[..dot], &n[dot + 1..]))) {
        Some((major, minor)) if digits(major) && digits(minor) => Err(Fault::Version),
        _ => Err(Fault::StartLine),
    }
}

fn status_line(line: &[u8]) -> Result<Start<'_>, Fault> {
    let (version, rest) = line.split_at(lex::find(line, b' ').ok_or(Fault::StartLine)?);
    check_version(version)?;
    let (code, reason) = match rest {
        [b' ', a, b, c] => ([*a, *b, *c], &[][..]),
        [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
        _ => return Err(Fault::StartLine),
    };
    match lex::number(&code).and_then(|n| u16::try_from(n).ok()) {
        Some(code @ 100..=699) => Ok(Start::Status { code, reason }),
        _ => Err(Fault::StartLine),
    }
}

/// The value of a header field that is there exactly once.
fn single<'a>(bytes: &'a [u8], index: &Index, name: HeaderName) -> Result<&'a [u8], Fault> {
    let entry = index.first(name).ok_or(Fault::Missing(name))?;
    if index.is_repeated(name) {
        return Err(Fault::Repeated(name));
    }
    Ok(&bytes[usize::from(entry.value)..usize::from(entry.value_end)])
}

fn party(value: &[u8]) -> Result<NameAddr<'_>, Fault> {
    NameAddr::parse(value).map_err(|_| Fault::Parties)
}

/// Reads a CSeq: a number below 2^31 and a method (RFC 3261 §8.1.1.5, §20.16).
fn cseq(value: &[u8]) -> Result<CSeq<'_>, Fault> {
    let space = value.iter().position(|&b| lex::is_lws(b)).ok_or(Fault::CSeq)?;
    let number = lex::number32(&value[..space]).filter(|&n| n < 1 << 31).ok_or(Fault::CSeq)?;
    let method = Method::new(lex::trim_start(&value[space..])).ok_or(Fault::CSeq)?;
    Ok(CSeq { number, method })
}

fn hops(value: &[u8]) -> Result<u8, Fault> {
    lex::number(value).and_then(|n| u8::try_from(n).ok()).ok_or(Fault::MaxForwards)
}

fn first_via<'a>(bytes: &'a [u8], index: &Index) -> Result<Via<'a>, Fault> {
    let entry = index.first(HeaderName::Via).ok_or(Fault::Missing(HeaderName::Via))?;
    let value = &bytes[usize::from(entry.value)..usize::from(entry.value_end)];
    // Nearly every line has one; a comma that parts two has no place in it.
    Via::parse(value).or_else(|_| Via::parse(&value[..lex::element(value)]))
}

/// How long the body is, of `available` bytes (RFC 3261 §18.3): as long as said, or all there is.
fn body_length(bytes: &[u8], index: &Index, available: usize) -> Result<usize, Fault> {
    match content_length(bytes, index)? {
        None => Ok(available),
        Some(said) if said <= available => Ok(said),
        Some(_) => Err(Fault::BodyShort),
    }
}

/// What Content-Length says. Several must agree: who is fooled about where a message ends is fooled about the next.
pub(crate) fn content_length(bytes: &[u8], index: &Index) -> Result<Option<usize>, Fault> {
    let mut said = None;
    for entry in index.all(HeaderName::ContentLength) {
        let value = &bytes[usize::from(entry.value)..usize::from(entry.value_end)];
        let length = lex::number(value).and_then(|n| usize::try_from(n).ok()).ok_or(Fault::ContentLength)?;
        if said.is_some_and(|before| before != length) {
            return Err(Fault::ContentLengths);
        }
        said = Some(length);
    }
    Ok(said)
}
