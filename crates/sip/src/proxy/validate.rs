//! What a request must be before anybody routes it (RFC 3261 §16.3, RFC 5393 §4.2).

use super::Refusal;
use crate::message::{HeaderName, Message, Via};
use crate::transport::Seal;
use crate::transport::branch::loop_hash;
use crate::uri::Uri;

/// Checks what every request that is forwarded must be, in the order of RFC 3261 §16.3.
pub fn check(seal: &Seal, request: &Message<'_>) -> Result<(), Refusal> {
    if !matches!(request.uri(), Some(Uri::Sip(_))) {
        return Err(Refusal::Scheme);
    }
    if request.max_forwards() == Some(0) {
        return Err(Refusal::TooManyHops);
    }
    if has_been_here(seal, request) {
        return Err(Refusal::Loop);
    }
    unknown_extensions(request, HeaderName::ProxyRequire, &[])
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
    seal.hash("loop", parts.into_iter().chain(names.into_iter().flat_map(|name| request.all(name))))
}

/// Whether a Via looks like one of ours and has the request's hash, which is made only then.
fn has_been_here(seal: &Seal, request: &Message<'_>) -> bool {
    let is_it = |via: &Via<'_>| via.branch().and_then(loop_hash).is_some_and(|it| it == hash(seal, request));
    // The topmost is read already.
    is_it(request.via()) || request.vias_below().flatten().any(|via| is_it(&via))
}
