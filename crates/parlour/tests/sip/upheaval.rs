//! Calls while the server is reloaded, looked at, and told to end.

use crate::agent::{Agent, SOON};
use crate::calls::invite;
use crate::house;
use crate::sipp::{answering, sipp};
use std::time::Duration;
use testkit::house::free_port;
use testkit::process::Program;

/// An administrator who is never done, beside fifty calls a second: none of them may notice.
#[test]
fn calls_go_on_while_everything_is_reloaded_and_looked_at() {
    let house = house();
    let mut called = answering(&house, "answer", 150);
    let mut caller = Program::start(&mut sipp(&house, "call", free_port(), 150, &["-r", "50"]), "sip-tester");
    let mut rounds = 0;
    while caller.is_running() && rounds < 60 {
        for command in
            [&["reload"][..], &["sip", "calls"], &["sip", "bindings"], &["status"], &["sip", "bans"]]
        {
            let output = house.cli(command, "");
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        house.add(&format!("guest{rounds}@falcot.com"), "x");
        rounds += 1;
    }
    assert_eq!(caller.wait(Duration::from_secs(20)), Some(0), "{}", caller.output());
    assert_eq!(called.wait(Duration::from_secs(20)), Some(0), "{}", called.output());
    assert!(rounds > 3, "{rounds} rounds");
}

/// What rings when the server is told to end may still be answered; nothing new begins.
#[test]
fn a_server_that_ends_lets_what_rings_be_answered() {
    let mut house = house();
    let (mut joe, mut roland) = (Agent::udp(&house, "joe"), Agent::tcp(&house, "roland"));
    joe.register();
    invite(&mut roland);
    let heard = joe.expect("INVITE ");
    joe.reply(&heard, "180 Ringing", "");
    roland.expect("SIP/2.0 180");
    house.server().terminate();
    let mut other = Agent::udp(&house, "roland");
    let refused = loop {
        let request = other.request("OPTIONS", "sip:falcot.com", "sip:falcot.com", "", "");
        other.send(&request);
        match other.answer() {
            heard if heard.line().starts_with("SIP/2.0 200") => std::thread::sleep(Duration::from_millis(20)),
            heard => break heard,
        }
    };
    assert_eq!(refused.line(), "SIP/2.0 503 Service Unavailable");
    assert!(refused.header("Retry-After").parse::<u32>().is_ok());
    joe.reply(&heard, "200 OK", "v=0\r\n");
    assert_eq!(roland.expect("SIP/2.0 200").body(), "v=0\r\n");
    assert_eq!(house.server().wait(SOON), Some(0));
}
