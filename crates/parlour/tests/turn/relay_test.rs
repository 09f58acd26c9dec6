//! `parlour turn test` against the real server: over each transport, and what it says of each step that fails.

use crate::sessions::{done, refused};
use crate::{configure, house, prepare};
use std::net::UdpSocket;
use testkit::House;

/// The step that failed and its reason, with exit code 1.
fn fails(house: &House, arguments: &[&str], step: &str, likely: &str) {
    let output = house.cli(&[&["turn", "test", "--json"], arguments].concat(), "");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let fault = &answer["error"]["faults"][0];
    assert_eq!(fault["step"], step, "{answer}");
    assert!(fault["help"].as_str().unwrap().contains(likely), "{answer}");
}

#[test]
fn packets_come_back_over_every_transport() {
    let house = house();
    for via in ["udp", "tcp", "tls", "dtls"] {
        let result = done(&house, &["turn", "test", "--via", via, "--count", "20"]);
        assert_eq!((&result["sent"], &result["received"]), (&20.into(), &20.into()), "{result}");
        assert_eq!((&result["transport"], &result["loss"]), (&via.into(), &0.0.into()), "{result}");
        let time = |name: &str| result["round_trip"][name].as_f64().unwrap();
        assert!(
            0.0 < time("min") && time("min") <= time("median") && time("median") <= time("p95"),
            "{result}"
        );
        assert_ne!(result["relays"][0], result["relays"][1]);
        assert!(result["seen"].as_str().unwrap().starts_with("127.0.0.1:"), "{result}");
        let notes = result["notes"].to_string();
        assert!(notes.contains("network.external") && !notes.contains("certificate"), "{notes}");
    }
    assert_eq!(crate::counter(&house, "turn.allocations"), 0, "it cleans up behind itself");
    let output = house.cli(&["turn", "test", "--count", "3"], "");
    let human = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(human.contains("3 sent, 3 came back (0.0 % lost)") && human.contains("round trip"), "{human}");
}

#[test]
fn another_server_by_name_with_an_account() {
    let house = house();
    let password = house.dir().join("password");
    let file = password.to_string_lossy().into_owned();
    let server = format!("localhost:{}", house.port("turn.tls"));
    let arguments =
        ["--via", "tls", "--count", "2", "--server", &server, "--user", "roland", "--password-file", &file];
    std::fs::write(&password, "tr0mbone\n").unwrap();
    assert_eq!(done(&house, &[&["turn", "test"], &arguments[..]].concat())["received"], 2);
    std::fs::write(&password, "wrong\n").unwrap();
    fails(&house, &arguments, "allocate", "another password");
}

#[test]
fn what_fails_and_why() {
    let house = house();
    refused(&house, &["turn", "test", "--count", "0"], 2, "from 1 to 100000");
    fails(&house, &["--server", "no-such-host.invalid"], "resolve", "DNS");
    let free = testkit::house::free_port();
    let nobody = format!("127.0.0.1:{free}");
    fails(&house, &["--server", &nobody, "--via", "tcp"], "connect", "no server listens");
    fails(&house, &["--server", &nobody], "binding", "no server listens");
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    fails(&house, &["--server", &deaf.local_addr().unwrap().to_string()], "binding", "firewall");
    let sip = format!("127.0.0.1:{}", house.port("sip.tcp"));
    fails(&house, &["--server", &sip, "--via", "tls"], "connect", "another service on that port");
    done(&house, &["turn", "drain"]);
    fails(&house, &[], "allocate", "the server is drained");
}

/// Relays are announced at an address that does not lead here. The server joins its own relays inside, so only the packet
/// from outside tells.
#[test]
fn a_wrong_mapping_is_named() {
    let mut house = prepare();
    configure(&house, "external", r#"["127.0.0.99=127.0.0.1"]"#);
    house.start();
    let server = format!("127.0.0.1:{}", house.port("turn.udp"));
    fails(&house, &["--server", &server, "--count", "5"], "relay", "network.external");
}

#[test]
fn a_refusing_peer_policy_is_named() {
    let house = house();
    assert_eq!(done(&house, &["turn", "test", "--count", "5"])["outside"], true);
    configure(&house, "deny-peers", r#"["127.0.0.1/32"]"#);
    done(&house, &["reload"]);
    fails(&house, &["--count", "5"], "permission", "turn.deny-peers");
}
