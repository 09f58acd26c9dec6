//! The database is held by another process: registrations and calls go on, the administrator is told, and all is
//! written when it is free again.

use crate::PASSWORD;
use crate::agent::Agent;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::process::Program;

/// Takes the database for itself alone until it is killed.
const HOLD: &str = "import sqlite3, sys, time\n\
    base = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)\n\
    base.execute('BEGIN IMMEDIATE')\n\
    print('held', flush=True)\n\
    time.sleep(60)\n";

pub(crate) fn hold(house: &House) -> Program {
    let mut command = Command::new("python3");
    command.args(["-c", HOLD]).arg(house.dir().join("data/parlour.db"));
    let holder = Program::start(&mut command, "python3");
    holder.expect("held", Duration::from_secs(10));
    holder
}

/// Refreshes a registration with a life of its own; how long that took.
fn refresh(agent: &mut Agent) -> Duration {
    let began = Instant::now();
    agent.register();
    began.elapsed()
}

fn unsaved(house: &House) -> u64 {
    let output = house.cli(&["status"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("sip.bindings.unsaved"));
    let line = line.unwrap_or_else(|| panic!("no count of unsaved bindings in\n{text}"));
    line.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap()
}

#[test]
fn a_held_database_stops_no_registration_and_no_call() {
    let mut house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", PASSWORD)
        .account("joe@falcot.com", PASSWORD)
        .start();
    let (mut roland, mut joe) = (Agent::tcp(&house, "roland"), Agent::udp(&house, "joe"));
    let mut holder = hold(&house);
    let end = Instant::now() + Duration::from_secs(7);
    let mut slowest = Duration::ZERO;
    let mut calls = 0;
    while Instant::now() < end {
        slowest = slowest.max(refresh(&mut roland)).max(refresh(&mut joe));
        crate::calls::call(&mut roland, &mut joe);
        calls += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        calls > 3 && slowest < Duration::from_secs(2),
        "{calls} calls, the slowest refresh took {slowest:?}"
    );
    assert!(unsaved(&house) > 0, "the administrator sees it");
    assert!(house.server().output().contains("the database does not answer"), "{}", house.server().output());
    holder.kill();
    let end = Instant::now() + Duration::from_secs(20);
    while unsaved(&house) > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(unsaved(&house), 0);
    house.kill_and_restart();
    crate::calls::call(&mut Agent::tcp(&house, "roland"), &mut joe);
}
