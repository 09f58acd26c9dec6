//! Debian's sipp: many registrations and calls, none of which may fail.

use crate::agent::Agent;
use crate::{PASSWORD, house};
use std::process::Command;
use std::time::Duration;
use testkit::House;
use testkit::house::free_port;
use testkit::process::{Program, run};

/// A sipp with one of our scenarios, `count` times.
pub(crate) fn sipp(house: &House, scenario: &str, port: u16, count: u32, more: &[&str]) -> Command {
    let file = format!("{}/tests/sip/scenarios/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("sipp");
    command.arg(format!("127.0.0.1:{}", house.port("sip.udp")));
    command.args(["-sf", &file, "-i", "127.0.0.1", "-p", &port.to_string(), "-m", &count.to_string()]);
    command.args(["-nostdin", "-au", "roland", "-ap", PASSWORD, "-timeout", "60s", "-timeout_error"]);
    command.args(more).current_dir(house.dir());
    command
}

/// Runs it to its end: every call must have succeeded.
fn succeed(house: &House, scenario: &str, count: u32, more: &[&str]) {
    let limit = Duration::from_secs(70);
    let (code, said) = run(&mut sipp(house, scenario, free_port(), count, more), "sip-tester", limit);
    let tail: Vec<_> = said.lines().rev().take(60).collect();
    assert_eq!(code, Some(0), "{scenario}: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
}

/// A sipp that answers calls to joe, who has registered from where it listens.
pub(crate) fn answering(house: &House, scenario: &str, count: u32) -> Program {
    let port = free_port();
    Agent::udp_at(house, "joe", port).register();
    Program::start(&mut sipp(house, scenario, port, count, &[]), "sip-tester")
}

#[test]
fn registrations() {
    let house = house();
    succeed(&house, "register", 500, &["-r", "200"]);
    succeed(
        &house,
        "register",
        200,
        &["-r", "100", "-t", "t1", "-rsa", &format!("127.0.0.1:{}", house.port("sip.tcp"))],
    );
}

#[test]
fn authenticated_calls() {
    let house = house();
    let mut callee = answering(&house, "answer", 200);
    succeed(&house, "call", 200, &["-r", "50"]);
    assert_eq!(callee.wait(Duration::from_secs(20)), Some(0), "{}", callee.output());
}

#[test]
fn calls_that_are_given_up() {
    let house = house();
    let mut callee = answering(&house, "ring", 50);
    succeed(&house, "cancel", 50, &["-r", "25"]);
    assert_eq!(callee.wait(Duration::from_secs(20)), Some(0), "{}", callee.output());
}

/// A caller and whom joe's phone is, each with its scenario; not one call may end otherwise than both say.
///
/// By one worker, for sipp knows one order of what crosses: with two, a NOTIFY may overtake the 202 before it.
fn meet(called: &str, caller: &str, count: u32, rate: &str) {
    let house = crate::configured(|house| house.set("network", "workers", "1"));
    let mut callee = answering(&house, called, count);
    succeed(&house, caller, count, &["-r", rate]);
    assert_eq!(callee.wait(Duration::from_secs(20)), Some(0), "{}", callee.output());
}

#[test]
fn ringing_that_is_acknowledged_and_updated() {
    meet("ring-reliably", "call-reliably", 50, "25");
}

#[test]
fn calls_that_are_acknowledged_late_and_held() {
    meet("be-held", "hold", 30, "30");
}

#[test]
fn calls_that_are_transferred() {
    meet("transfer", "be-transferred", 50, "25");
}

#[test]
fn calls_that_are_refused() {
    meet("busy", "be-refused", 100, "50");
}

#[test]
fn messages() {
    let house = house();
    let mut callee = answering(&house, "take-message", 200);
    succeed(&house, "message", 200, &["-r", "100"]);
    assert_eq!(callee.wait(Duration::from_secs(20)), Some(0), "{}", callee.output());
}

#[test]
fn options() {
    let house = house();
    succeed(&house, "options", 500, &["-r", "250"]);
}
