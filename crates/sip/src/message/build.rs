//! Requests that follow from another: CANCEL (RFC 3261 §9.1) and the ACK to a failure (§17.1.1.3).

use super::reply::{push_field, push_number};
use super::{HeaderName, Message};

/// Appends the CANCEL of `invite`, a request as this server sent it. `more` are further whole header lines
/// (a Reason, RFC 3326), each with its CRLF.
pub fn cancel(out: &mut Vec<u8>, invite: &Message<'_>, more: &[u8]) {
    start(out, invite, "CANCEL");
    fields(out, invite, invite.to().as_bytes(), "CANCEL");
    out.extend_from_slice(more);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Appends the ACK of `invite`, a request as this server sent it, for a final response of 300 or above.
pub fn ack(out: &mut Vec<u8>, invite: &Message<'_>, response: &Message<'_>) {
    start(out, invite, "ACK");
    fields(out, invite, response.to().as_bytes(), "ACK");
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

fn start(out: &mut Vec<u8>, invite: &Message<'_>, method: &str) {
    out.reserve(512);
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(invite.uri_bytes().unwrap_or_default());
    out.extend_from_slice(b" SIP/2.0\r\n");
}

/// The topmost Via alone, the Routes, and what tells one call from another.
fn fields(out: &mut Vec<u8>, invite: &Message<'_>, to: &[u8], method: &str) {
    push_field(out, "Via", invite.via().as_bytes());
    for route in invite.all(HeaderName::Route) {
        push_field(out, "Route", route);
    }
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    push_field(out, "From", invite.from().as_bytes());
    push_field(out, "To", to);
    push_field(out, "Call-ID", invite.call_id());
    out.extend_from_slice(b"CSeq: ");
    push_number(out, invite.cseq().number.into());
    out.push(b' ');
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
