//! What is answered at once, and who answers the rest.

use super::site::{BOSH, Site};
use crate::challenges;
use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode, Version};
use serde_json::json;

/// Where clients ask whether the server is well.
const HEALTH: &str = "/health";

/// An answer that is all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// Who answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Nobody need be asked.
    Known(Answer),
    /// Another service.
    Page,
    /// The web server behind us.
    Upstream,
}

/// By which door a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    /// Everybody is sent to https.
    pub(super) is_plain: bool,
    /// Inside TLS.
    pub(super) sealed: bool,
    /// From this host.
    pub(super) local: bool,
}

impl Answer {
    pub(super) fn new(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let kind = HeaderValue::from_static(kind);
        Self { status, headers: vec![(CONTENT_TYPE, kind)], body: body.into() }
    }

    /// What went wrong, in words.
    pub(super) fn failure(status: StatusCode, why: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{}: {why}\n", status.as_u16()))
            .with(CACHE_CONTROL, "no-store")
    }

    pub(super) fn nothing() -> Self {
        Self::failure(StatusCode::NOT_FOUND, "there is nothing at this path")
    }

    #[must_use]
    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
        self
    }

    fn wrong_method(allowed: &str) -> Self {
        let why = format!("this path takes {allowed}");
        Self::failure(StatusCode::METHOD_NOT_ALLOWED, &why).with(ALLOW, allowed)
    }
}

/// The authority that a request is for (RFC 9110 §7.2), or why it cannot be told; empty in HTTP/1.0, where it may lack.
pub(super) fn authority(request: &Parts) -> Result<String, &'static str> {
    let mut named = request.headers.get_all(HOST).iter();
    let (first, more) = (named.next(), named.next().is_some());
    if more {
        return Err("a request is for one host");
    }
    // What stands in the request's own line is what holds (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
    if let Some(authority) = request.uri.authority() {
        return checked(authority.as_str());
    }
    match first {
        Some(host) => checked(host.to_str().map_err(|_| "the host is no name")?),
        None if request.version == Version::HTTP_11 => Err("a request says which host it is for"),
        None => Ok(String::new()),
    }
}

fn checked(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Ok(String::new());
    }
    match text.parse::<Authority>() {
        Ok(authority) if !text.contains('@') => Ok(authority.as_str().to_ascii_lowercase()),
        _ => Err("the host is no name"),
    }
}

/// The host of an authority, without the port; as it is compared.
pub(super) fn host(authority: &str) -> &str {
    let bare = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    bare.strip_suffix('.').unwrap_or(bare)
}

/// Who answers a request for `authority`.
pub(super) fn route(site: &Site, door: Door, authority: &str, request: &Parts) -> Route {
    if request.method == Method::CONNECT {
        return Route::Known(Answer::failure(StatusCode::NOT_IMPLEMENTED, "this is no proxy"));
    }
    let (host, path) = (host(authority), request.uri.path());
    let pass = |answer| if site.upstream.is_some() { Route::Upstream } else { Route::Known(answer) };
    if let Some(token) = path.strip_prefix(challenges::PATH) {
        return match site.challenges.answer(token) {
            Some(answer) => Route::Known(read_only(request, || challenge(&answer))),
            // Whoever is behind us may have certificates of its own.
            None if challenges::is_token(token) && is_read(request) => pass(Answer::nothing()),
            // What leads elsewhere from here does not get past the rules that hold there.
            None => Route::Known(Answer::nothing()),
        };
    }
    if door.is_plain || !(door.sealed || door.local) {
        return Route::Known(redirect(site, host, request));
    }
    if !site.is_ours(host) {
        return Route::Upstream;
    }
    match path {
        "/.well-known/host-meta" => Route::Known(read_only(request, || host_meta(site, host, false))),
        "/.well-known/host-meta.json" => Route::Known(read_only(request, || host_meta(site, host, true))),
        HEALTH => Route::Known(read_only(request, || health(site))),
        BOSH if site.has_chat => Route::Page,
        _ => pass(Answer::nothing()),
    }
}

/// What an authority wants to see before it believes that a name is ours (RFC 8555 §8.3).
fn challenge(answer: &str) -> Answer {
    Answer::new(StatusCode::OK, "application/octet-stream", answer.to_owned()).with(CACHE_CONTROL, "no-store")
}

/// For a page that is looked at and nothing else.
fn read_only(request: &Parts, page: impl FnOnce() -> Answer) -> Answer {
    if is_read(request) { page() } else { Answer::wrong_method("GET, HEAD") }
}

fn is_read(request: &Parts) -> bool {
    matches!(request.method, Method::GET | Method::HEAD)
}

/// The same by https: with the same method and body, where there may be a body (RFC 9110 §15.4.9).
fn redirect(site: &Site, host: &str, request: &Parts) -> Answer {
    let place = site.secure_at(host).filter(|_| !host.is_empty());
    let Some(place) = place else { return Answer::nothing() };
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let status = match request.method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let target = if target.starts_with('/') { target } else { "/" };
    let url = format!("https://{place}{target}");
    Answer::new(status, "text/plain; charset=utf-8", format!("{url}\n")).with(LOCATION, &url)
}

/// Where XMPP is by HTTP (XEP-0156 §3, RFC 6415).
fn host_meta(site: &Site, host: &str, as_json: bool) -> Answer {
    let links = site.chat_at(host);
    if links.is_empty() {
        return Answer::nothing();
    }
    let answer = if as_json {
        let links: Vec<_> = links.iter().map(|(rel, href)| json!({ "rel": rel, "href": href })).collect();
        Answer::new(StatusCode::OK, "application/json", json!({ "links": links }).to_string())
    } else {
        let links: String =
            links.iter().map(|(rel, href)| format!("  <Link rel='{rel}' href='{href}'/>\n")).collect();
        let text = format!(
            "<?xml version='1.0' encoding='utf-8'?>\n\
             <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n{links}</XRD>\n"
        );
        Answer::new(StatusCode::OK, "application/xrd+xml; charset=utf-8", text)
    };
    // Scripts of every page may know.
    answer.with(ACCESS_CONTROL_ALLOW_ORIGIN, "*").with(CACHE_CONTROL, "max-age=3600")
}

/// Whether new clients are welcome; strangers hear no more than that.
fn health(site: &Site) -> Answer {
    let (status, text) = match site.closing {
        false if site.vitals.is_ill() => (StatusCode::SERVICE_UNAVAILABLE, "ill\n"),
        false => (StatusCode::OK, "ok\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
    };
    Answer::new(status, "text/plain; charset=utf-8", text).with(CACHE_CONTROL, "no-store")
}

#[cfg(test)]
mod tests;
