//! XMPP by HTTP requests (BOSH: XEP-0124, XEP-0206): strophe.js and stanza.io's client in Node, converse.js in Chromium, and a
//! peer that makes the requests itself.

use crate::{builder, house};
use std::time::Duration;
use testkit::House;
use testkit::house::node;
use testkit::netns;
use testkit::process::run;

const PACKAGES: &str = "cargo xtask test installs Node and its packages";

/// The server's address in its namespace.
const FAR: &str = "10.99.0.1";

fn play(house: &House, scenario: &str) {
    let host = if scenario == "far" { FAR } else { "127.0.0.1" };
    let tls = house.port("web.https").to_string();
    start(house, "xmpp/bosh/raw.js", &[scenario, host, &house.port("xmpp.web").to_string(), &tls]);
}

fn start(house: &House, script: &str, arguments: &[&str]) {
    let mut command = node(script);
    command.args(arguments);
    command.env("NODE_EXTRA_CA_CERTS", house.dir().join("data/certs/authority.pem"));
    let (code, output) = run(&mut command, PACKAGES, Duration::from_secs(120));
    assert!(code == Some(0) && output.contains("done"), "{script} {arguments:?}: {code:?}\n{output}");
}

#[test]
fn two_sign_in_and_chat_by_requests() {
    play(&house(), "session");
}

#[test]
fn what_was_lost_comes_again() {
    play(&house(), "lost");
}

#[test]
fn what_is_no_request_hears_why() {
    play(&house(), "refused");
}

#[test]
fn scripts_of_our_own_pages_may_ask() {
    play(&house(), "pages");
}

#[test]
fn a_client_that_stays_away_has_lost_its_connection() {
    play(&builder().set("xmpp", "limits", "{ bosh-inactivity = \"6s\" }").start(), "away");
}

#[test]
fn a_client_that_does_not_come_is_given_up() {
    play(&house(), "deaf");
}

#[test]
fn a_session_goes_on_by_other_requests() {
    play(&house(), "resumed");
}

#[test]
fn whoever_waits_hears_of_the_end() {
    let mut house = house();
    let pid = house.server().id().to_string();
    start(&house, "xmpp/bosh/raw.js", &["shutdown", "127.0.0.1", &house.port("xmpp.web").to_string(), &pid]);
}

#[test]
fn without_tls_from_this_host_alone() {
    let Some(lan) = netns::lan("bosh::without_tls_from_this_host_alone") else { return };
    let mut house = builder().within(&lan.server).prepare();
    house.set("xmpp", "web", &format!("[\"{FAR}:{}\"]", house.port("xmpp.web")));
    house.set("web", "https", &format!("[\"{FAR}:{}\"]", house.port("web.https")));
    house.start();
    play(&house, "far");
}

#[test]
fn strophe_and_stanza_chat_by_requests() {
    let house = house();
    let [plain, tls] = ["xmpp.web", "web.https"].map(|listener| house.port(listener).to_string());
    start(&house, "xmpp/bosh/clients.js", &[&plain, &tls]);
}

#[test]
fn converse_signs_in_chats_and_joins_a_room_by_requests() {
    let house = house();
    let plain = house.port("xmpp.web").to_string();
    let url = format!("https://falcot.com:{}/http-bind", house.port("web.https"));
    let certificate = house.dir().join("data/certs/falcot.com.pem");
    start(&house, "xmpp/web/chromium.js", &[&plain, &certificate.to_string_lossy(), &url]);
}
