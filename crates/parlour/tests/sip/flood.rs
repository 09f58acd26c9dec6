//! Who sends more than a stranger may is not answered any more; telephones at the same address, and everybody else, are.

use crate::agent::{A_WHILE, Agent, SOON};
use crate::sipp::sipp;
use crate::{configured, house};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::free_port;
use testkit::process::{Program, run};

const ATTACKER: [u8; 4] = [127, 0, 0, 66];
const HOME: [u8; 4] = [127, 0, 0, 77];

/// Few, so that a test reaches the end of it.
const LITTLE: &str = "{ rate = 10, burst = 50 }";

fn little() -> House {
    configured(|house| house.set("sip", "bans", LITTLE))
}

/// One figure of `parlour status`.
fn counted(house: &House, key: &str) -> u64 {
    let output = house.cli(&["status"], "");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = words.find(|words| words.first() == Some(&key));
    line.and_then(|words| words.last()?.parse().ok()).unwrap_or(0)
}

/// A sipp at another address.
fn sipp_from(house: &House, address: &str, scenario: &str, count: u32, more: &[&str]) -> Command {
    let mut command = sipp(house, scenario, free_port(), count, more);
    command.args(["-i", address]);
    command
}

fn options(agent: &mut Agent) -> String {
    agent.request("OPTIONS", "sip:falcot.com", "sip:falcot.com", "", "")
}

#[test]
fn a_flood_is_not_answered_and_telephones_beside_it_are() {
    let mut house = little();
    let mut joe = Agent::udp_from(&house, "joe", ATTACKER);
    joe.register();
    let began = Instant::now();
    let mut flood = sipp_from(&house, "127.0.0.66", "flood", 100_000, &["-r", "1000"]);
    let flood = Program::start(&mut flood, "sip-tester");
    while counted(&house, "sip.unanswered") < 500 {
        assert!(began.elapsed() < SOON, "everything is answered");
        std::thread::sleep(Duration::from_millis(20));
    }
    joe.register();
    Agent::tcp_from(&house, "roland", ATTACKER).register();
    Agent::udp_from(&house, "roland", HOME).register();
    // Nobody can have it banned in another's name.
    let bans = house.cli(&["sip", "bans"], "");
    assert_eq!(String::from_utf8_lossy(&bans.stdout).trim(), "nobody is banned");
    let (answered, seconds) = (counted(&house, "sip.answers.2xx"), began.elapsed().as_secs() + 1);
    assert!(answered <= 50 + 10 * seconds + 10, "{answered} in {seconds} s");
    let said = house.server().output();
    let lines = said.lines().filter(|line| line.contains("sip.bans lets") && line.contains("127.0.0.66"));
    assert_eq!(lines.count(), 1, "once in a minute:\n{said}");
    drop(flood);
    // A reload changes it.
    house.set("sip", "bans", "{ rate = 0 }");
    assert!(house.cli(&["reload"], "").status.success());
    let mut stranger = Agent::udp_from(&house, "x", ATTACKER);
    for _ in 0..100 {
        let request = options(&mut stranger);
        stranger.send(request);
        assert_eq!(stranger.answer().line(), "SIP/2.0 200 OK");
    }
}

#[test]
fn who_floods_by_a_stream_is_banned() {
    let house = little();
    let mut attacker = Agent::tcp_from(&house, "x", ATTACKER);
    let requests: String = (0..300).map(|_| options(&mut attacker)).collect();
    attacker.send(requests);
    let end = Instant::now() + SOON;
    loop {
        let bans = house.cli(&["sip", "bans"], "").stdout;
        let bans = String::from_utf8_lossy(&bans);
        if bans.contains("127.0.0.66 ") && bans.contains("50 requests more than strangers may send") {
            break;
        }
        assert!(Instant::now() < end, "{bans}");
    }
    Agent::tcp_from(&house, "joe", HOME).register();
}

/// After a power cut: far more at once than strangers may send, at one address, and all of them get in.
#[test]
fn an_office_registers_at_once_behind_one_address() {
    let house = configured(|house| house.set("sip", "bans", "{ rate = 10, burst = 100 }"));
    let mut phones =
        sipp_from(&house, "127.0.0.66", "register", 500, &["-t", "un", "-max_socket", "600", "-r", "5000"]);
    let (code, said) = run(&mut phones, "sip-tester", Duration::from_secs(70));
    assert_eq!(code, Some(0), "{said}");
    // What is set unless it is said takes them without a word lost.
    let house = self::house();
    let mut phones =
        sipp_from(&house, "127.0.0.66", "register", 500, &["-t", "un", "-max_socket", "600", "-r", "5000"]);
    let (code, said) = run(&mut phones, "sip-tester", Duration::from_secs(70));
    assert_eq!((code, counted(&house, "sip.unanswered")), (Some(0), 0), "{said}");
}

/// Keep-alives are answered with less than they might be asked for in another's name.
#[test]
fn keep_alives_by_stun_count_too() {
    let house = little();
    let socket = UdpSocket::bind((Ipv4Addr::from(ATTACKER), 0)).unwrap();
    socket.set_read_timeout(Some(A_WHILE)).unwrap();
    let began = Instant::now();
    let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    for _ in 0..150 {
        socket.send_to(&binding, ("127.0.0.1", house.port("sip.udp"))).unwrap();
    }
    let mut buffer = [0; 100];
    let answered = std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count();
    let most = 50 + 10 * (usize::try_from(began.elapsed().as_secs()).unwrap() + 1);
    assert!((50..=most).contains(&answered), "{answered} of at most {most}");
    assert_eq!(counted(&house, "sip.unanswered"), 150 - answered as u64);
}
