//! Where in a message a session description stands: as its body, or as one part of several (RFC 3261 §7.4, RFC 5621).

use super::{HeaderName, Message, Params};
use std::borrow::Cow;
use std::ops::Range;

/// The session description that a message carries.
pub fn session<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    Some(&message.body()[place(message)?])
}

/// A message's body with another session description in place of its own.
pub fn with_session(message: &Message<'_>, description: &[u8]) -> Option<Vec<u8>> {
    let (place, body) = (place(message)?, message.body());
    Some([&body[..place.start], description, &body[place.end..]].concat())
}

fn place(message: &Message<'_>) -> Option<Range<usize>> {
    let body = message.body();
    if body.is_empty() || message.has(HeaderName::ContentEncoding) {
        return None;
    }
    let kind = message.header(HeaderName::ContentType)?;
    match () {
        () if is(kind, b"application/sdp") => Some(0..body.len()),
        () if is(kind, b"multipart/mixed") || is(kind, b"multipart/alternative") => part(kind, body),
        () => None,
    }
}

/// Whether a media type is this one, whatever its parameters.
fn is(kind: &[u8], name: &[u8]) -> bool {
    kind.split(|&b| b == b';').next().unwrap_or_default().trim_ascii().eq_ignore_ascii_case(name)
}

/// The part of several that is a session description (RFC 2046 §5.1.1).
fn part(kind: &[u8], body: &[u8]) -> Option<Range<usize>> {
    let boundary = [b"--", &*boundary(kind)?].concat();
    let mut at = memchr::memmem::find(body, &boundary)? + boundary.len();
    // Nobody sends more parts than this.
    for _ in 0..16 {
        let begin = at + memchr::memchr(b'\n', &body[at..])? + 1;
        let end = begin + memchr::memmem::find(&body[begin..], &[b"\r\n", &boundary[..]].concat())?;
        let head = memchr::memmem::find(&body[begin..end], b"\r\n\r\n")?;
        if is_session(&body[begin..begin + head]) {
            return Some(begin + head + 4..end);
        }
        at = end + 2 + boundary.len();
    }
    None
}

/// What separates parts (RFC 2046 §5.1.1).
fn boundary(kind: &[u8]) -> Option<Cow<'_, [u8]>> {
    let at = memchr::memchr(b';', kind)?;
    Params(&kind[at..]).find("boundary").map(|param| param.text()).filter(|text| !text.is_empty())
}

/// Whether a part's header fields say that it is a session description as it stands there.
fn is_session(head: &[u8]) -> bool {
    let mut found = false;
    for line in head.split(|&b| b == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        found |= name.eq_ignore_ascii_case(b"content-type") && is(value, b"application/sdp");
        let plain = value.eq_ignore_ascii_case(b"binary")
            || value.eq_ignore_ascii_case(b"8bit")
            || value.eq_ignore_ascii_case(b"7bit");
        if name.eq_ignore_ascii_case(b"content-transfer-encoding") && !plain {
            return false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, body: &str) -> Vec<u8> {
        let head = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: <sip:d@e>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n";
        format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn check(kind: &str, body: &str, expected: Option<&str>) {
        let bytes = message(kind, body);
        let message = Message::parse(&bytes).expect("valid");
        assert_eq!(session(&message), expected.map(str::as_bytes), "{kind} {body}");
        if let Some(old) = expected {
            let new = with_session(&message, b"NEW").expect("there is one");
            assert_eq!(String::from_utf8_lossy(&new), body.replace(old, "NEW"));
        }
    }

    #[test]
    fn where_a_description_stands() {
        check("Content-Type: application/sdp\r\n", "v=0\r\n", Some("v=0\r\n"));
        check("c: Application/SDP;charset=utf-8\r\n", "v=0\r\n", Some("v=0\r\n"));
        check("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", "v=0\r\n", None);
        check("Content-Type: application/sdp\r\n", "", None);
        check("Content-Type: text/plain\r\n", "v=0\r\n", None);
        check("", "v=0\r\n", None);
        let parts = "--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n--x--\r\n";
        check("Content-Type: multipart/mixed;boundary=x\r\n", parts, Some("v=0\r\ns=-\r\n"));
        check("Content-Type: multipart/mixed; boundary=\"x\"\r\n", parts, Some("v=0\r\ns=-\r\n"));
        check("Content-Type: multipart/mixed;boundary=y\r\n", parts, None);
        check("Content-Type: multipart/mixed\r\n", parts, None);
        let coded =
            parts.replace("application/sdp\r\n", "application/sdp\r\nContent-Transfer-Encoding: base64\r\n");
        check("Content-Type: multipart/mixed;boundary=x\r\n", &coded, None);
        check("Content-Type: multipart/mixed;boundary=x\r\n", "--x\r\nContent-Type: application/sdp", None);
    }
}
