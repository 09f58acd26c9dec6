//! What a request must be before anybody routes it (RFC 3261 §16.3, RFC 5393 §4.2).

use super::Refusal;
use crate::message::{HeaderName, Message, Via};
use crate::transport::Seal;
use crate::transport::branch::loop_hash;
use crate::uri::Uri;
use std::cell::OnceCell;

/// Checks what every request must be, in the order of RFC 3261 §16.3.
pub fn check(seal: &Seal, request: &Message<'_>) -> Result<(), Refusal> {
    if !matches!(request.uri(), Some(Uri::Sip(_))) {
        return Err(Refusal::Scheme);
    }
    if has_been_here(request, || hash(seal, request)) {
        return Err(Refusal::Loop);
    }
    unknown_extensions(request, HeaderName::ProxyRequire, &[])
}

/// Whether a request may be forwarded once more. One for this server itself need not (RFC 3261 §8.2).
pub fn has_hops(request: &Message<'_>) -> Result<(), Refusal> {
    if request.max_forwards() == Some(0) { Err(Refusal::TooManyHops) } else { Ok(()) }
}

/// Refuses tags in `name` that are not among `known`, naming them (RFC 3261 §8.2.2.3, §16.3 step 5).
pub fn unknown_extensions(request: &Message<'_>, name: HeaderName, known: &[&str]) -> Result<(), Refusal> {
    if !request.has(name) {
        return Ok(());
    }
    let is_known = |tag: &[u8]| known.iter().any(|known| tag.eq_ignore_ascii_case(known.as_bytes()));
    let unknown: Vec<&[u8]> = request.list(name).filter(|tag| !is_known(tag)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::Extension(unknown.join(&b", "[..]))) }
}

/// A hash of all that decides where a request goes. Equal hashes in a Via of ours mean a loop; a spiral, that
/// comes back with another Request-URI, has another hash (RFC 5393 §4.2.1).
pub fn hash(seal: &Seal, request: &Message<'_>) -> u64 {
    let number = request.cseq().number.to_be_bytes();
    let parts = [
        request.uri_bytes().unwrap_or_default(),
        request.from().tag().unwrap_or_default(),
        request.to().tag().unwrap_or_default(),
        request.call_id(),
        &number,
    ];
    let names = [HeaderName::Route, HeaderName::ProxyRequire, HeaderName::ProxyAuthorization];
    seal.likeness("loop", parts.into_iter().chain(names.into_iter().flat_map(|name| request.all(name))))
}

/// Whether a Via looks like one of ours and has the request's hash, which is made only then, and once.
fn has_been_here(request: &Message<'_>, hash: impl Fn() -> u64) -> bool {
    let own = OnceCell::new();
    let is_it = |via: &Via<'_>| {
        let said = via.branch().and_then(loop_hash);
        said.is_some_and(|said| said == *own.get_or_init(&hash))
    };
    // The topmost is read already.
    is_it(request.via()) || request.vias_below().flatten().any(|via| is_it(&via))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A stranger writes as many as a message holds, and as much for the hash to be made of.
    #[test]
    fn vias_that_look_like_ours_cost_one_hash_between_them() {
        for (branch, expected) in [("s1.0123456789abcdef", 1), ("74bf9", 0)] {
            let via = format!("SIP/2.0/UDP a;branch=z9hG4bK{branch}");
            let vias = vec![via; 300].join(",");
            let text = format!(
                "OPTIONS sip:a@b SIP/2.0\r\nVia: {vias}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
                 Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n",
            );
            let (request, made) = (Message::parse(text.as_bytes()).unwrap(), Cell::new(0));
            let hash = || {
                made.set(made.get() + 1);
                2
            };
            assert!(!has_been_here(&request, hash));
            assert_eq!(made.get(), expected, "{branch}");
        }
    }
}
