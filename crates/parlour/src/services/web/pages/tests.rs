//! Who answers which request, and with what.

use super::*;
use crate::challenges::Challenges;
use hyper::Request;
use std::sync::Arc;

const TLS: Door = Door { is_plain: false, sealed: true, local: false };
const PLAIN: Door = Door { is_plain: true, sealed: false, local: true };

fn site(upstream: bool) -> Site {
    let domain = "falcot.com".parse().unwrap();
    let challenges = Challenges::default();
    assert!(challenges.put("token", "token.print"));
    Site {
        names: ["falcot.com", "xmpp.falcot.com"].into_iter().map(str::to_owned).collect(),
        hosts: vec![(domain, "xmpp.falcot.com".into())],
        secure: Some(443),
        websocket: Some(443),
        bosh: Some(443),
        has_chat: true,
        upstream: upstream.then(|| "127.0.0.1:8080".parse().unwrap()),
        limits: Default::default(),
        challenges: Arc::new(challenges),
        vitals: Arc::default(),
        closing: false,
    }
}

fn request(method: &str, uri: &str) -> Parts {
    Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
}

/// What is answered: the status, and the body or the place to go to.
fn known(site: &Site, door: Door, host: &str, method: &str, path: &str) -> (u16, String) {
    let Route::Known(answer) = route(site, door, host, &request(method, path)) else { panic!("{path}") };
    let place = answer.headers.iter().find(|(name, _)| *name == LOCATION);
    let text = place.map_or(&answer.body[..], |(_, value)| value.as_bytes());
    (answer.status.as_u16(), String::from_utf8(text.to_vec()).unwrap())
}

#[test]
fn challenges_are_answered_at_every_door_for_every_name() {
    let path = "/.well-known/acme-challenge/token";
    for (door, host) in [(TLS, "falcot.com"), (PLAIN, "falcot.com:80"), (PLAIN, "elsewhere.example")] {
        assert_eq!(known(&site(true), door, host, "GET", path), (200, "token.print".into()));
    }
    assert_eq!(known(&site(false), PLAIN, "falcot.com", "POST", path).0, 405);
    let other = "/.well-known/acme-challenge/other";
    assert_eq!(known(&site(false), PLAIN, "falcot.com", "GET", other).0, 404);
    assert_eq!(route(&site(true), PLAIN, "falcot.com", &request("GET", other)), Route::Upstream);
    // Nothing else gets past the plain door like this.
    for (method, token) in
        [("POST", "other"), ("GET", "../../admin"), ("GET", "..%2f..%2fadmin"), ("GET", ""), ("GET", "a/b")]
    {
        let path = format!("/.well-known/acme-challenge/{token}");
        assert_eq!(known(&site(true), PLAIN, "falcot.com", method, &path).0, 404, "{method} {path}");
    }
}

#[test]
fn the_plain_door_redirects_and_says_where_to() {
    let to = |host: &str, method: &str, path: &str| known(&site(true), PLAIN, host, method, path);
    assert_eq!(to("falcot.com:8080", "GET", "/a?b"), (301, "https://falcot.com/a?b".into()));
    assert_eq!(to("[::1]:8080", "PUT", "/"), (308, "https://[::1]/".into()));
    assert_eq!(
        to("elsewhere.example", "HEAD", "//evil.example/"),
        (301, "https://elsewhere.example//evil.example/".into())
    );
    assert_eq!(to("", "GET", "/").0, 404);
    assert_eq!(
        known(&Site { secure: Some(8443), ..site(false) }, PLAIN, "a.example", "GET", "/").1,
        "https://a.example:8443/"
    );
    // Without TLS there are pages from this host alone.
    let far = Door { is_plain: false, sealed: false, local: false };
    assert_eq!(known(&site(false), far, "falcot.com", "GET", "/health").0, 301);
    assert_eq!(known(&site(false), Door { local: true, ..far }, "falcot.com", "GET", "/health").0, 200);
}

#[test]
fn what_is_ours_and_what_is_passed_on() {
    let at = |host: &str, path: &str| route(&site(true), TLS, host, &request("GET", path));
    assert_eq!(at("shop.example", "/health"), Route::Upstream);
    assert_eq!(at("falcot.com", "/"), Route::Upstream);
    assert_eq!(at("xmpp.falcot.com:443", "/http-bind"), Route::Page);
    assert_eq!(at("192.0.2.1", "/http-bind"), Route::Page);
    assert_eq!(known(&site(true), TLS, "falcot.com.", "GET", "/health").0, 200);
    assert_eq!(known(&site(false), TLS, "shop.example", "GET", "/").0, 404);
    assert_eq!(known(&site(true), TLS, "falcot.com", "CONNECT", "falcot.com:22").0, 501);
    let ending = site(false).ending(true);
    assert_eq!(known(&ending, TLS, "falcot.com", "GET", "/health").0, 503);
}

#[test]
fn host_meta_names_a_host_that_leads_here() {
    let link = |host: &str| known(&site(false), TLS, host, "GET", "/.well-known/host-meta").1;
    for (host, at) in [
        ("falcot.com", "xmpp.falcot.com"),
        ("localhost:443", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("unknown.example", "xmpp.falcot.com"),
    ] {
        assert!(link(host).contains(&format!("'wss://{at}/xmpp-websocket'")), "{}", link(host));
    }
    let apart = Site { websocket: Some(5280), ..site(false) };
    let text = known(&apart, TLS, "localhost", "GET", "/.well-known/host-meta").1;
    assert!(
        text.contains("'wss://localhost:5280/xmpp-websocket'")
            && text.contains("'https://localhost/http-bind'"),
        "{text}"
    );
    let off = Site { has_chat: false, ..site(false) };
    assert_eq!(known(&off, TLS, "falcot.com", "GET", "/.well-known/host-meta").0, 404);
    assert_eq!(known(&off, TLS, "falcot.com", "POST", "/http-bind").0, 404);
}

#[test]
fn a_request_is_for_one_host_that_is_a_name() {
    let named = |version: Version, uri: &str, hosts: &[&str]| {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        authority(&request.body(()).unwrap().into_parts().0)
    };
    let one = Version::HTTP_11;
    assert_eq!(named(one, "/", &["Falcot.com:443"]), Ok("falcot.com:443".into()));
    assert_eq!(named(one, "http://falcot.com/", &["other.example"]), Ok("falcot.com".into()));
    assert_eq!(named(Version::HTTP_10, "/", &[]), Ok(String::new()));
    assert_eq!(named(Version::HTTP_2, "https://falcot.com/", &[]), Ok("falcot.com".into()));
    for (version, hosts) in [
        (one, &[][..]),
        (one, &["a.example", "b.example"]),
        (Version::HTTP_10, &["a.example", "a.example"]),
        (one, &["user@falcot.com"]),
        (one, &["falcot.com/path"]),
        (one, &["a b"]),
    ] {
        assert!(named(version, "/", hosts).is_err(), "{hosts:?}");
    }
    assert_eq!(host("falcot.com:443"), "falcot.com");
    assert_eq!(host("[::1]"), "[::1]");
}
