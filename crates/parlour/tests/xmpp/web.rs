//! XMPP over WebSockets (RFC 7395): stanza.io's client in Node, converse.js in Chromium, and a peer that speaks the frames itself.

use crate::house;
use std::time::Duration;
use testkit::House;
use testkit::house::node;
use testkit::netns;
use testkit::process::run;

const PACKAGES: &str = "cargo xtask test installs Node and its packages";

/// The server's address in its namespace.
const FAR: &str = "10.99.0.1";

fn play(house: &House, scenario: &str) {
    let mut command = node("xmpp/web/node.js");
    let host = if scenario == "far" { FAR } else { "127.0.0.1" };
    command.args([host, &house.port("xmpp.web").to_string(), scenario]);
    command.env("NODE_EXTRA_CA_CERTS", house.dir().join("data/certs/authority.pem"));
    let (code, output) = run(&mut command, PACKAGES, Duration::from_secs(60));
    assert!(code == Some(0) && output.contains("done"), "{scenario}: {code:?}\n{output}");
}

#[test]
fn two_chat_over_websockets_and_a_session_outlives_one() {
    play(&house(), "chat");
}

#[test]
fn converse_signs_in_and_chats_in_a_browser() {
    let house = house();
    let mut command = node("xmpp/web/chromium.js");
    command.arg(house.port("xmpp.web").to_string()).arg(house.dir().join("data/certs/falcot.com.pem"));
    let (code, output) = run(&mut command, PACKAGES, Duration::from_secs(60));
    assert!(code == Some(0) && output.contains("done"), "{code:?}\n{output}");
}

#[test]
fn each_element_is_a_message_that_stands_alone() {
    play(&house(), "frames");
}

#[test]
fn peers_that_break_the_rules_of_websockets() {
    let origins = "[\"https://falcot.com\"]";
    play(&crate::builder().set("xmpp", "origins", origins).start(), "attacks");
}

#[test]
fn without_tls_from_this_host_alone() {
    let Some(lan) = netns::lan("web::without_tls_from_this_host_alone") else { return };
    let house = crate::builder().within(&lan.server).prepare();
    house.set("xmpp", "web", &format!("[\"{FAR}:{}\"]", house.port("xmpp.web")));
    let mut house = house;
    house.start();
    play(&house, "far");
}
