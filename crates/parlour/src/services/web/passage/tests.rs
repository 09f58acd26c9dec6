//! What goes on of requests and answers.

use super::*;
use crate::services::web::pages::Door;
use std::cell::Cell;
use std::rc::Rc;
use wire::{ConnectionId, WorkerId};

const CONN: ConnectionId = ConnectionId { worker: WorkerId(0), slot: 0, generation: 0 };

fn guest(peer: &str) -> Guest {
    let door = Door { is_plain: false, sealed: true, local: false };
    let (requests, under_way, tunnel) = (Cell::new(0), Cell::new(0), Cell::new(None));
    let share = Rc::default();
    Guest { conn: CONN, peer: peer.parse().unwrap(), share, door, requests, under_way, tunnel }
}

/// What goes on of a request: its line and its fields, sorted.
fn pass(version: Version, fields: &[(&'static str, &str)], peer: &str) -> (String, Vec<String>) {
    let mut request = Request::new(());
    *request.version_mut() = version;
    *request.uri_mut() = "https://www.falcot.com/a?b=c".parse().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let (parts, ()) = request.into_parts();
    let passed = super::request(parts, "www.falcot.com", &guest(peer), ());
    let mut all: Vec<_> =
        passed.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    all.sort();
    (format!("{} {}", passed.method(), passed.uri()), all)
}

#[test]
fn what_is_between_hops_ends_here_and_what_we_say_is_ours() {
    let (line, fields) = pass(
        Version::HTTP_11,
        &[
            ("connection", "keep-alive, X-Private"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-private", "1"),
            ("x-forwarded-for", "192.0.2.99"),
            ("x-forwarded-ssl", "on"),
            ("x_forwarded_for", "192.0.2.99"),
            ("forwarded", "for=192.0.2.99"),
            ("x-real-ip", "192.0.2.99"),
            ("proxy", "http://evil.example"),
            ("expect", "100-continue"),
            ("host", "elsewhere.example"),
            ("via", "1.0 fred"),
            ("accept", "*/*"),
        ],
        "192.0.2.7:4711",
    );
    assert_eq!(line, "GET /a?b=c");
    let expected = [
        "accept: */*",
        "connection: close",
        "forwarded: for=192.0.2.7;host=\"www.falcot.com\";proto=https",
        "host: www.falcot.com",
        "via: 1.0 fred",
        "via: 1.1 parlour",
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-host: www.falcot.com",
        "x-forwarded-proto: https",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn cookies_of_http_2_are_one_again_and_addresses_are_quoted() {
    let (_, fields) = pass(Version::HTTP_2, &[("cookie", "a=1"), ("cookie", "b=2")], "[2001:db8::7]:4711");
    assert!(fields.contains(&"cookie: a=1; b=2".to_owned()), "{fields:?}");
    assert!(fields.contains(&"via: 2.0 parlour".to_owned()), "{fields:?}");
    let forwarded = "forwarded: for=\"[2001:db8::7]\";host=\"www.falcot.com\";proto=https";
    assert!(fields.contains(&forwarded.to_owned()), "{fields:?}");
}

#[test]
fn a_change_of_protocol_goes_on() {
    let wanted = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
    let (_, fields) = pass(Version::HTTP_11, &wanted, "192.0.2.7:4711");
    assert!(fields.contains(&"connection: upgrade".to_owned()), "{fields:?}");
    assert!(fields.contains(&"upgrade: websocket".to_owned()), "{fields:?}");
    // Without the word in `Connection` it means nothing.
    let (_, fields) = pass(Version::HTTP_11, &wanted[1..], "192.0.2.7:4711");
    assert!(!fields.iter().any(|field| field.starts_with("upgrade")), "{fields:?}");
    // Another version of HTTP would let requests through that nobody looks at.
    for protocol in ["h2c", "websocket, H2C", "HTTP/2.0", "TLS/1.0"] {
        let smuggled =
            [("connection", "Upgrade"), ("upgrade", protocol), ("http2-settings", "AAMAAABkAAQCAAAA")];
        let (_, fields) = pass(Version::HTTP_11, &smuggled, "192.0.2.7:4711");
        let left = |name: &str| fields.iter().any(|field| field.starts_with(name));
        assert!(!left("upgrade") && !left("http2-settings"), "{fields:?}");
        assert!(fields.contains(&"connection: close".to_owned()), "{fields:?}");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("connection", "Upgrade, X-Hop"), ("upgrade", "websocket"), ("x-hop", "1"), ("x-own", "2")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    switched(&mut headers);
    assert_eq!((headers[CONNECTION].to_str().unwrap(), headers.len()), ("upgrade", 3));
}
