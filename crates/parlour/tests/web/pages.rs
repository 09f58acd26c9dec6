//! What the server answers itself.

use crate::{curl, house};
use testkit::House;

#[test]
fn host_meta_says_where_xmpp_is() {
    let house = house();
    let port = house.port("web.https");
    for (version, line) in [("--http1.1", "http/1.1 200 ok"), ("--http2", "http/2 200")] {
        let got = curl(&house, "https://falcot.com/.well-known/host-meta", &[version]);
        assert_eq!((got.status, got.head.lines().next().map(str::trim)), (200, Some(line)));
        assert_eq!(got.field("content-type"), Some("application/xrd+xml; charset=utf-8"));
        assert_eq!(got.field("access-control-allow-origin"), Some("*"));
        for (rel, url) in [
            ("websocket", format!("wss://xmpp.falcot.com:{port}/xmpp-websocket")),
            ("xbosh", format!("https://xmpp.falcot.com:{port}/http-bind")),
        ] {
            let link = format!("<Link rel='urn:xmpp:alt-connections:{rel}' href='{url}'/>");
            assert!(got.body.contains(&link), "{}", got.body);
        }
        let got = curl(&house, "https://localhost/.well-known/host-meta.json", &[version]);
        let page: serde_json::Value = serde_json::from_str(&got.body).expect("JSON");
        let websocket = format!("wss://localhost:{port}/xmpp-websocket");
        assert_eq!(page["links"][0]["href"], websocket);
        assert_eq!(page["links"][1]["rel"], "urn:xmpp:alt-connections:xbosh");
    }
}

#[test]
fn where_the_listener_is_not_shared_each_way_has_its_own_port() {
    let house = House::of(env!("CARGO_BIN_EXE_parlour")).set("web", "share", "false").start();
    let body = curl(&house, "https://localhost/.well-known/host-meta", &[]).body;
    let websocket = format!("wss://localhost:{}/xmpp-websocket", house.port("xmpp.web"));
    let bosh = format!("https://localhost:{}/http-bind", house.port("web.https"));
    assert!(body.contains(&websocket) && body.contains(&bosh), "{body}");
}

#[test]
fn what_is_not_there_is_said_clearly() {
    let house = house();
    for version in ["--http1.1", "--http2"] {
        let get = |path: &str, more: &[&str]| {
            curl(&house, &format!("https://falcot.com/{path}"), &[&[version], more].concat())
        };
        let nothing = get("nothing", &[]);
        assert_eq!((nothing.status, nothing.body.as_str()), (404, "404: there is nothing at this path\n"));
        let wrong = get("health", &["-d", "x"]);
        assert_eq!((wrong.status, wrong.field("allow")), (405, Some("get, head")));
        let well = get("health", &[]);
        assert_eq!((well.status, well.body.as_str()), (200, "ok\n"));
        let head = get("health", &["-I"]);
        assert_eq!((head.status, head.body.as_str(), head.field("content-length")), (200, "", Some("3")));
    }
}

#[test]
fn without_tls_everybody_is_sent_to_https() {
    let house = house();
    let port = house.port("web.https");
    let got = curl(&house, "http://falcot.com/a/b?c=d", &[]);
    let place = format!("https://falcot.com:{port}/a/b?c=d");
    assert_eq!((got.status, got.field("location")), (301, Some(place.as_str())));
    let got = curl(&house, "http://falcot.com/form", &["-d", "x=y"]);
    let place = format!("https://falcot.com:{port}/form");
    assert_eq!((got.status, got.field("location")), (308, Some(place.as_str())));
    // Pages are inside TLS alone, and challenges that nobody knows are not there.
    assert_eq!(curl(&house, "http://falcot.com/.well-known/host-meta", &[]).status, 301);
    assert_eq!(curl(&house, "http://falcot.com/.well-known/acme-challenge/x", &[]).status, 404);
}
