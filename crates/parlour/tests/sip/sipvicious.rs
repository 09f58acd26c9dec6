//! The scanner that everybody meets, sipvicious, openly and in disguise: it finds nobody and cracks nothing.

use crate::agent::Agent;
use crate::{PASSWORD, house};
use std::time::Duration;
use testkit::House;
use testkit::house::{free_port, python};
use testkit::process::run;

/// What it says where it has found nothing.
const NOTHING: &str = "found nothing";

/// Runs one of its programs at the server's UDP port, from 127.0.0.1; what it has said.
fn attack(house: &House, agent: &str, program: &str, arguments: &[&str]) -> String {
    let (port, own) = (house.port("sip.udp").to_string(), free_port().to_string());
    let mut command = python("sip/scan.py");
    command.args([agent, program, "-p", &port, "-P", &own, "-x", "127.0.0.1", "-t", "0.01"]);
    command.args(arguments).arg("127.0.0.1").current_dir(house.dir()).env("HOME", house.dir());
    let (_, said) = run(&mut command, "sipvicious (PyPI)", Duration::from_secs(20));
    assert!(!said.contains("Traceback") && !said.contains("ModuleNotFoundError"), "{program}: {said}");
    said
}

#[test]
fn it_finds_no_server_openly() {
    let house = house();
    for method in ["OPTIONS", "REGISTER", "INVITE"] {
        let said = attack(&house, "friendly-scanner", "svmap", &["-m", method]);
        assert!(said.contains(NOTHING), "{method}: {said}");
    }
    // Anybody else is told that a server is there, and nothing about it.
    let said = attack(&house, "Telephone", "svmap", &["-m", "OPTIONS"]);
    assert!(said.contains("| unknown ") && !said.to_lowercase().contains("parlour"), "{said}");
}

#[test]
fn it_finds_no_account_in_disguise() {
    let house = house();
    std::fs::write(house.dir().join("names"), "joe\nroland\nnobody\nadmin\n").unwrap();
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        let more = ["-m", method, "-d", "names", "--domain", "falcot.com", "--force", "--maximumtime", "1"];
        let said = attack(&house, "Telephone", "svwar", &more);
        assert!(said.contains(NOTHING), "{method}: {said}");
    }
}

#[test]
fn it_cracks_no_password_in_disguise() {
    let house = house();
    let crack = |guesses: String| {
        std::fs::write(house.dir().join("guesses"), guesses).unwrap();
        let more = ["-u", "joe", "-d", "guesses", "--domain", "falcot.com", "--maximumtime", "1"];
        attack(&house, "Telephone", "svcrack", &more)
    };
    let said = crack(format!("wrong\n{PASSWORD}\n"));
    assert!(said.contains(PASSWORD), "it can, given few enough to guess among: {said}");
    let said = crack((0..100).map(|n| format!("guess{n}\n")).collect::<String>() + PASSWORD + "\n");
    assert!(said.contains(NOTHING) && !said.contains(PASSWORD), "{said}");
    let bans = String::from_utf8(house.cli(&["sip", "bans"], "").stdout).unwrap();
    assert!(bans.starts_with("127.0.0.1 "), "{bans}");
    Agent::udp_from(&house, "joe", [127, 0, 0, 77]).register();
}
