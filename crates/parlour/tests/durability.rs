//! What was acknowledged is durable: the server is killed under load, and every registration, roster change and
//! kept message that it had acknowledged is there after the restart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use testkit::House;
use testkit::house::python;
use testkit::process::{Program, run};

const USERS: usize = 16;

fn client(house: &House, mode: &str, notes: &Path) -> Command {
    let mut command = python("clients/durable.py");
    command.arg(mode).arg("--notes").arg(notes).args(["--users", &USERS.to_string()]);
    command.args(["--sip", &house.port("sip.udp").to_string()]);
    command.args(["--xmpp", &house.port("xmpp.client-tls").to_string()]);
    command
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_under_load() {
    let mut builder = House::of(env!("CARGO_BIN_EXE_parlour"));
    for n in 0..USERS {
        builder = builder.account(&format!("u{n}@falcot.com"), "secret");
    }
    let mut house = builder.start();
    let notes = house.dir().join("notes");
    for round in 0..3 {
        let mut load = Program::start(&mut client(&house, "load", &notes), "python3");
        load.expect("loading", Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1500 + 700 * round));
        house.kill();
        assert_eq!(load.wait(Duration::from_secs(60)), Some(0), "{}", load.output());
        house.start();
        let (code, said) = run(&mut client(&house, "check", &notes), "python3", Duration::from_secs(120));
        assert_eq!(code, Some(0), "round {round}: {said}");
    }
}
