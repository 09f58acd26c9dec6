//! Faults of the configuration.

use crate::visit::{BINARY, chmod, house, visit};
use std::process::Command;

#[test]
fn a_refused_configuration_and_its_lines() {
    let house = house().prepare();
    house.set("turn", "relay_ports", "\"49152-65535\"");
    house.set("sip", "udp", "[\"nowhere:0x\"]");
    let said = visit(&house, "configuration");
    said.found(&["error refused"]);
    said.says("refused", "fix", "did you mean `relay-ports`");
    said.says("refused", "evidence", "parlour.toml:");
    said.says("refused", "evidence", "sip.udp");
}

#[test]
fn secrets_that_everybody_may_read() {
    let house = house().set("turn", "secrets", "[\"never shown\"]").prepare();
    let said = visit(&house, "configuration");
    said.found(&["error secrets-readable"]);
    said.says("secrets-readable", "evidence", "turn.secrets");
    said.says("secrets-readable", "fix", "chmod 640");
    chmod(&house.config(), 0o640);
    visit(&house, "configuration").found(&[]);
    std::fs::write(house.dir().join("data/turn.secret"), "never shown").expect("ours");
    house.set("turn", "secrets", "[{ file = \"data/turn.secret\" }]");
    chmod(&house.dir().join("data/turn.secret"), 0o644);
    let said = visit(&house, "configuration");
    said.found(&["error readable"]);
    said.says("readable", "fix", "data/turn.secret");
}

#[test]
fn what_is_valid_and_odd() {
    let house = house().prepare();
    house.set("network", "addresses", "[\"192.0.2.77\"]");
    let said = visit(&house, "configuration");
    said.found(&["warning odd"]);
    said.says("odd", "fix", "external = [\"192.0.2.77=PRIVATE\"]");
    house.set("network", "addresses", "[\"127.0.0.1\"]");
    house.set("turn", "relay-ports", "\"40000-40003\"");
    visit(&house, "host").found(&["warning relay-ports"]);
}

#[test]
fn the_doctor_is_asked_for_what_he_knows() {
    let house = house().prepare();
    let ask = |words: &[&str]| {
        let output =
            Command::new(BINARY).arg("--config").arg(house.config()).arg("doctor").args(words).output();
        let output = output.expect("the binary is built");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = ask(&["--only", "certificate"]);
    assert!(code == Some(2) && said.contains("did you mean `certificates`?"), "{said}");
    let (code, said) = ask(&["--without", "brain"]);
    assert!(code == Some(2) && said.contains("configuration, server"), "{said}");
}
