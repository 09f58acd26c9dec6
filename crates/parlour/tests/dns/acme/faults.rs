//! What an authority refuses, and what a sudden end leaves behind.

use super::{PATIENCE, dns, follow, house, is_in_dns, is_pebbles, json, shown, text, wait_for};
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::free_port;
use testkit::pebble::{Pebble, Settings};

/// How the domain stands with its authority.
fn standing(house: &House) -> serde_json::Value {
    json(&house.cli(&["cert", "list", "--json"], ""))["orders"][0].clone()
}

fn wait_for_fault(house: &mut House, pebble: &Pebble, part: &str) {
    let end = Instant::now() + PATIENCE;
    while !standing(house)["fault"].as_str().is_some_and(|fault| fault.contains(part)) {
        let said = house.server().output();
        assert!(Instant::now() < end, "{}\n{said}\n{}", standing(house), pebble.output());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_authority_of_customers_wants_to_see_the_account() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let customer = Some(("kid-1".to_owned(), key.to_owned()));
    let pebble = Pebble::start(&Settings { customer, ..settings });
    follow(&house, &pebble);
    house.start();
    wait_for_fault(&mut house, &pebble, "set acme.external-account");
    assert!(!is_pebbles(&house) && shown(&house, "falcot.com").contains("Parlour of falcot.com"));
    house.set("acme", "external-account", &format!("{{ kid = \"kid-1\", key = \"{key}\" }}"));
    let reload = house.cli(&["reload"], "");
    assert!(reload.status.success(), "{}", text(&reload));
    // A changed configuration is tried at once.
    wait_for(&mut house, &pebble, is_pebbles);
    let said = house.server().output();
    assert!(!said.contains(key), "a secret is shown:\n{said}");
}

#[test]
fn a_name_that_is_refused_does_not_hold_up_the_others() {
    // Its address is somebody else's.
    let dns = dns("turn.falcot.com. IN A 127.0.0.2");
    let (mut house, settings) = house(&dns);
    let pebble = Pebble::start(&settings);
    follow(&house, &pebble);
    house.start();
    wait_for(&mut house, &pebble, is_pebbles);
    let now = shown(&house, "falcot.com");
    assert!(now.contains("DNS:xmpp.falcot.com") && !now.contains("DNS:turn.falcot.com"), "{now}");
    let standing = standing(&house);
    assert_eq!(standing["missing"], serde_json::json!(["turn.falcot.com"]), "{standing}");
    let listed = text(&house.cli(&["cert", "list"], ""));
    assert!(listed.contains("is not for turn.falcot.com"), "{listed}");
}

fn orders(pebble: &Pebble) -> usize {
    pebble.output().matches("Added order").count()
}

#[test]
fn where_one_challenge_fails_the_next_one_is_tried_for_that_name() {
    // Somebody else has this name's ports.
    let dns = dns("turn.falcot.com. IN A 127.0.0.2");
    let (mut house, settings) = house(&dns);
    let pebble = Pebble::start(&Settings { rejects: 10, ..settings });
    follow(&house, &pebble);
    house.set("acme", "challenge", "[\"tls-alpn-01\", \"dns-01\"]");
    house.start();
    wait_for(&mut house, &pebble, is_pebbles);
    let now = shown(&house, "falcot.com");
    assert!(now.contains("DNS:turn.falcot.com") && now.contains("DNS:xmpp.falcot.com"), "{now}");
    assert_eq!(orders(&pebble), 2, "{}", pebble.output());
    assert_eq!(standing(&house)["fault"], "", "{}", standing(&house));
    // What has worked is known the next time, also to a server that was started again.
    wait_for(&mut house, &pebble, |house| {
        let kept = std::fs::read_to_string(house.dir().join("data/acme/falcot.com.json"));
        kept.is_ok_and(|kept| kept.contains("dns-01") && kept.contains("\"order\": null"))
    });
    house.kill_and_restart();
    let renewed = house.cli(&["cert", "renew"], "");
    assert!(renewed.status.success(), "{}\n{}", text(&renewed), pebble.output());
    assert_eq!(orders(&pebble), 3, "{}", pebble.output());
    assert!(!is_in_dns(&dns), "what was put into the DNS is gone again");
}

#[test]
fn where_all_challenges_fail_each_of_them_is_named() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    // It looks where nobody is.
    let pebble = Pebble::start(&Settings { tls_port: free_port(), http_port: free_port(), ..settings });
    follow(&house, &pebble);
    house.set("acme", "challenge", "[\"http-01\", \"tls-alpn-01\"]");
    house.start();
    wait_for_fault(&mut house, &pebble, "(tls-alpn-01)");
    let standing = standing(&house);
    let fault = standing["fault"].as_str().expect("a text");
    let (http, tls) = (fault.find("(http-01)"), fault.find("(tls-alpn-01)"));
    assert!(http.is_some() && http < tls, "{fault}");
    assert_eq!(orders(&pebble), 2, "{}", pebble.output());
}

#[test]
fn a_name_that_is_not_ours_is_named_with_the_reason() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    // It looks where nobody is.
    let pebble = Pebble::start(&Settings { tls_port: free_port(), ..settings });
    follow(&house, &pebble);
    house.start();
    wait_for_fault(&mut house, &pebble, "(tls-alpn-01)");
    let standing = standing(&house);
    let next = standing["next"].as_u64().expect("a number");
    let fault = standing["fault"].as_str().expect("a text");
    assert!(fault.contains("falcot.com: Failed to connect"), "{fault}");
    // A server that is started again does not try at once what has just failed.
    house.kill_and_restart();
    let end = Instant::now() + PATIENCE;
    while self::standing(&house)["next"].as_u64() != Some(next) {
        assert!(Instant::now() < end, "{} instead of {next}", self::standing(&house));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(orders(&pebble), 1, "{}", pebble.output());
    let renewed = house.cli(&["cert", "renew"], "");
    assert_eq!(renewed.status.code(), Some(1), "{}", text(&renewed));
    assert_eq!(orders(&pebble), 2, "an administrator is not made to wait");
    house.kill_and_restart();
    house.set("tls", "source", "\"own\"");
    assert!(house.cli(&["reload"], "").status.success());
    let renewed = house.cli(&["cert", "renew"], "");
    assert!(text(&renewed).contains("tls.source is not \"acme\""), "{}", text(&renewed));
}

#[test]
fn a_sudden_end_in_the_middle_leaves_nothing_behind() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    // It takes its time, so that there is a middle.
    let pebble = Pebble::start(&Settings { sleeps: true, ..settings });
    follow(&house, &pebble);
    house.set("acme", "challenge", "\"dns-01\"");
    house.start();
    let end = Instant::now() + PATIENCE;
    while !is_in_dns(&dns) {
        assert!(Instant::now() < end, "{}\n{}", house.server().output(), pebble.output());
        std::thread::sleep(Duration::from_millis(1));
    }
    house.kill();
    assert!(is_in_dns(&dns) || is_pebbles_file(&house), "it was quicker than we are");
    let account = account(&house);
    house.start();
    let settled = |house: &House| is_pebbles(house) && !is_in_dns(&dns);
    let again = house.cli(&["cert", "renew"], "");
    wait_for(&mut house, &pebble, settled);
    assert_eq!(self::account(&house), account, "the account is the same: {}", text(&again));
    let accounts = pebble.output().matches("There are now 1 accounts").count();
    assert!(accounts <= 1, "{}", pebble.output());
}

fn is_pebbles_file(house: &House) -> bool {
    house.dir().join("data/certs/falcot.com.acme.pem").exists()
}

fn account(house: &House) -> String {
    let folder = std::fs::read_dir(house.dir().join("data/acme")).expect("there");
    let mut files = folder.map(|file| file.expect("there").path());
    let file = files
        .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("account-")));
    let text = std::fs::read_to_string(file.expect("one was made")).expect("there");
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["url"].to_string()
}
