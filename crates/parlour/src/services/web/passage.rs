//! What is changed in requests for the web server behind us, and in its answers (RFC 9110 §7.6).

use super::exchange::Guest;
use hyper::header::{
    CONNECTION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, VIA,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap as Fields, Request, Uri, Version};
use std::net::IpAddr;

/// What is between one hop and the next, beside what `Connection` names.
const HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What only we say of a client, beside what begins with [`FORWARDED_AS`]; `Proxy`, which scripts of servers take for a
/// setting of theirs; and what was answered here.
const OURS: [&str; 6] = ["forwarded", "x-real-ip", "proxy", "expect", "content-length", "http2-settings"];

/// What begins like this is ours.
const FORWARDED_AS: &str = "x-forwarded-";

/// What we are called where messages tell by whom they came.
const NAME: &str = "parlour";

/// The protocol that a client wants to speak on, after an HTTP/1.1 request (RFC 9110 §7.8). Another version of HTTP is none:
/// its further requests would go on unseen, with whatever the client claims in them of where they are from.
pub(super) fn upgrade(parts: &Parts) -> Option<HeaderValue> {
    let wanted = parts.version == Version::HTTP_11 && tokens(&parts.headers).any(|token| token == "upgrade");
    let mut named = parts.headers.get_all(UPGRADE).iter();
    let (only, more) = (named.next().filter(|_| wanted)?, named.next().is_some());
    let mut protocols = only.to_str().ok()?.split(',').map(|name| name.trim().to_ascii_lowercase());
    let is_http = |name: &str| matches!(name.split('/').next(), Some("h2c" | "h2" | "http" | "tls"));
    (!more && !protocols.any(|name| is_http(&name))).then(|| only.clone())
}

/// The request as it goes on. `body` is what it is with.
pub(super) fn request<B>(parts: Parts, authority: &str, guest: &Guest, body: B) -> Request<B> {
    let upgrade = upgrade(&parts);
    let Parts { method, uri, mut headers, version, .. } = parts;
    strip(&mut headers);
    for name in headers.keys().filter(|name| is_ours(name.as_str())).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    join_cookies(&mut headers);
    note_way(&mut headers, version);
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    let peer = guest.peer.ip().to_canonical();
    let scheme = if guest.door.sealed { "https" } else { "http" };
    let forwarded = match peer {
        IpAddr::V4(v4) => format!("for={v4};host=\"{authority}\";proto={scheme}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\";host=\"{authority}\";proto={scheme}"),
    };
    set(HOST, authority);
    set(FORWARDED, &forwarded);
    set(HeaderName::from_static("x-forwarded-for"), &peer.to_string());
    set(HeaderName::from_static("x-forwarded-host"), authority);
    set(HeaderName::from_static("x-forwarded-proto"), scheme);
    set(CONNECTION, if upgrade.is_some() { "upgrade" } else { "close" });
    headers.extend(upgrade.map(|protocol| (UPGRADE, protocol)));
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target(&uri);
    *request.headers_mut() = headers;
    request
}

/// Whether nobody but us says this of a client. There are servers that take an underscore for a hyphen.
fn is_ours(name: &str) -> bool {
    let name = name.replace('_', "-");
    name.starts_with(FORWARDED_AS) || OURS.contains(&name.as_str())
}

/// The head of an answer as it goes on.
pub(super) fn answer(headers: &mut HeaderMap, version: Version) {
    strip(headers);
    note_way(headers, version);
}

/// The head of an answer that changes the protocol.
pub(super) fn switched(headers: &mut HeaderMap) {
    let protocol = headers.remove(UPGRADE);
    strip(headers);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.extend(protocol.map(|protocol| (UPGRADE, protocol)));
}

/// Path and query, or the asterisk of `OPTIONS`.
fn target(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// What `Connection` names.
fn tokens(headers: &Fields) -> impl Iterator<Item = String> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|token| token.trim().to_ascii_lowercase())
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<_> =
        tokens(headers).filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok()).collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
}

/// HTTP/2 lets them come in pieces (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        let pieces: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
            headers.insert(COOKIE, whole);
        }
    }
}

/// By whom it came (RFC 9110 §7.6.3).
fn note_way(headers: &mut HeaderMap, version: Version) {
    let version = match version {
        Version::HTTP_2 => "2.0",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    headers.extend(HeaderValue::from_str(&format!("{version} {NAME}")).map(|value| (VIA, value)));
}

#[cfg(test)]
mod tests;
