//! Debian's coturn clients: everything they send comes back, over every transport, by indications and by channels.

use crate::house;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use testkit::House;
use testkit::process::{Program, run};

pub(crate) const PACKAGE: &str = "apt install coturn";
pub(crate) const ROLAND: [&str; 4] = ["-u", "roland", "-w", "tr0mbone"];

/// A peer on loopback that sends back what it gets.
pub(crate) struct Peer {
    pub(crate) port: u16,
    _program: Program,
}

impl Peer {
    pub(crate) fn start(address: &str) -> Self {
        let port = testkit::house::free_port();
        let mut command = Command::new("turnutils_peer");
        let mut program = Program::start(command.args(["-L", address, "-p", &port.to_string()]), PACKAGE);
        // It is ready when its port is taken.
        for _ in 0..200 {
            if UdpSocket::bind((address, port)).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(program.is_running(), "{}", program.output());
        Self { port, _program: program }
    }
}

/// Runs `turnutils_uclient` against a listener.
pub(crate) fn uclient(port: u16, peer: (&str, u16), password: &str, flags: &[&str]) -> (Option<i32>, String) {
    uclient_as(port, peer, &["-u", "roland", "-w", password], flags)
}

/// The same with another credential.
pub(crate) fn uclient_as(
    port: u16,
    peer: (&str, u16),
    credential: &[&str],
    flags: &[&str],
) -> (Option<i32>, String) {
    run(&mut command(port, peer, credential, flags), PACKAGE, Duration::from_secs(60))
}

/// `turnutils_uclient` before it runs.
pub(crate) fn command(port: u16, peer: (&str, u16), credential: &[&str], flags: &[&str]) -> Command {
    let mut command = Command::new("turnutils_uclient");
    command.args(flags).args(credential).args(["-n", "25", "-z", "4", "-l", "161"]);
    command.args(["-e", peer.0, "-r", &peer.1.to_string()]);
    command.args(["-p", &port.to_string(), "127.0.0.1"]);
    command
}

/// What was sent and what came back, by the client's last count.
pub(crate) fn totals(output: &str) -> Option<(u64, u64)> {
    let last = output.lines().rev().find(|line| line.contains("tot_send_bytes ~"))?;
    let number = |name: &str| {
        let rest = &last[last.find(name)? + name.len()..];
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    Some((number("tot_send_bytes ~ ")?, number("tot_recv_bytes ~ ")?))
}

/// All of it comes back with these flags.
pub(crate) fn comes_back(server: u16, peer: (&str, u16), flags: &[&str]) {
    let (code, output) = uclient(server, peer, "tr0mbone", flags);
    let totals = totals(&output);
    let all = totals.is_some_and(|(sent, received)| sent == received && sent >= 25 * 161);
    assert!(all && code == Some(0), "{server} {flags:?}: {code:?} {totals:?}\n{output}");
}

/// All of it comes back with each of these sets of flags. They run at the same time, as they mostly wait.
pub(crate) fn check(house: &House, listener: &str, address: &str, runs: &[&[&str]]) {
    let program = Peer::start(address);
    let (server, peer) = (house.port(listener), (address, program.port));
    std::thread::scope(|scope| {
        for flags in runs {
            scope.spawn(move || comes_back(server, peer, flags));
        }
    });
}

#[test]
fn over_udp_by_channels_and_by_indications() {
    let house = house();
    // Without -c every client wants a pair of ports and takes up the second one from another port of its own, so that
    // reservations cross workers.
    check(
        &house,
        "turn.udp",
        "127.0.0.1",
        &[&[], &["-s"], &["-c"], &["-s", "-c", "-m", "3"], &["-D", "-G"], &["-g", "-s", "-c"]],
    );
}

#[test]
fn over_tcp_by_channels_and_by_indications() {
    check(&house(), "turn.tcp", "127.0.0.1", &[&["-t"], &["-t", "-s"], &["-t", "-c", "-m", "3"]]);
}

#[test]
fn over_tls_by_channels_and_by_indications() {
    check(&house(), "turn.tls", "127.0.0.1", &[&["-t", "-S"], &["-t", "-S", "-s"]]);
}

#[test]
fn from_client_to_client() {
    check(&house(), "turn.udp", "127.0.0.1", &[&["-y", "-m", "2"], &["-y", "-s", "-m", "2"]]);
}

#[test]
fn relayed_by_ipv6() {
    check(&house(), "turn.udp", "::1", &[&["-x", "-c"], &["-x", "-c", "-s"]]);
}

#[test]
fn of_both_families_at_once() {
    let house = house();
    for peer in ["127.0.0.1", "::1"] {
        check(&house, "turn.udp", peer, &[&["-Z"], &["-Z", "-s"]]);
    }
    check(&house, "turn.tcp", "::1", &[&["-Z", "-t"]]);
}

#[test]
fn a_wrong_password_is_refused_and_nobody_else_suffers() {
    let house = house();
    let peer = Peer::start("127.0.0.1");
    let (code, output) = uclient(house.port("turn.udp"), ("127.0.0.1", peer.port), "guess", &["-c"]);
    assert!(code != Some(0) && output.contains("Cannot complete Allocation"), "{code:?}\n{output}");
    drop(peer);
    check(&house, "turn.udp", "127.0.0.1", &[&["-c"]]);
}

#[test]
fn stunclient_learns_its_address() {
    let house = house();
    let port = house.port("turn.udp").to_string();
    let mut command = Command::new("turnutils_stunclient");
    let (_, output) = run(command.args(["-p", &port, "127.0.0.1"]), PACKAGE, Duration::from_secs(20));
    assert!(output.contains("UDP reflexive addr: 127.0.0.1:"), "{output}");
}
