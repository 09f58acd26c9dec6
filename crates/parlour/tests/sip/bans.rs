//! Who tries passwords is shut out, and nobody else.

use crate::agent::{A_WHILE, Agent, SOON, proof, secure};
use crate::{PASSWORD, house};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use testkit::House;

const ATTACKER: [u8; 4] = [127, 0, 0, 66];
const HOME: [u8; 4] = [127, 0, 0, 77];

fn cli(house: &House, arguments: &[&str]) -> String {
    let output = house.cli(arguments, "");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Tries passwords until there is no answer; how many were answered.
fn crack(agent: &mut Agent, tries: usize) -> usize {
    let to = format!("sip:{}@falcot.com", agent.user);
    let ask = |agent: &mut Agent, more: &str| {
        let request = agent.request("REGISTER", "sip:falcot.com", &to, more, "");
        agent.send(&request);
        agent.hear(A_WHILE)
    };
    for count in 0..tries {
        let Some(challenge) = ask(agent, "") else { return count };
        assert!(challenge.line().starts_with("SIP/2.0 401"), "{}", challenge.0);
        let challenge = challenge.header("WWW-Authenticate").to_owned();
        let proof = proof(&challenge, &agent.user, &format!("guess{count}"), "REGISTER", "sip:falcot.com");
        if ask(agent, &format!("Authorization: {proof}\r\n")).is_none() {
            return count;
        }
    }
    tries
}

/// Whether a request without credentials is answered.
fn is_answered(agent: &mut Agent) -> bool {
    let request = agent.request("OPTIONS", "sip:falcot.com", "sip:falcot.com", "", "");
    agent.send(&request);
    agent.hear(A_WHILE).is_some()
}

pub(crate) fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.into()
}

/// Whether the server closes a stream without a word.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(A_WHILE)).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn whoever_tries_passwords_hears_nothing_more_and_nobody_else_suffers() {
    let mut house = house();
    let mut attacker = Agent::udp_from(&house, "joe", ATTACKER);
    let mut standing = connect_from(ATTACKER, house.port("sip.tcp"));
    let answered = crack(&mut attacker, 200);
    assert!((19..=22).contains(&answered), "{answered} tries were answered");
    assert!(!is_answered(&mut attacker));
    assert!(is_closed(connect_from(ATTACKER, house.port("sip.tcp"))));
    assert!(is_closed(connect_from(ATTACKER, house.port("sip.tls"))));
    assert!(is_closed(connect_from(ATTACKER, house.port("xmpp.client"))));
    standing.write_all(b"\r\n\r\n").unwrap();
    assert!(is_closed(standing), "a stream that was open before");
    // The right password does not help, and the account is free for others.
    let request = attacker.request("REGISTER", "sip:falcot.com", "sip:joe@falcot.com", "", "");
    attacker.send(&request);
    assert!(attacker.hear(A_WHILE).is_none());
    Agent::udp_from(&house, "joe", HOME).register();
    Agent::udp(&house, "joe").register();

    let list = cli(&house, &["sip", "bans"]);
    assert!(list.contains("127.0.0.66 ") && list.contains("20 failed sign-ins"), "{list}");
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(house.server().output().contains("banned"), "no line in the log");
    let status = cli(&house, &["status", "--json"]);
    assert!(status.contains("\"bans.sources\": 1") || status.contains("\"bans.sources\":1"), "{status}");
    // A reload changes nothing about it; an administrator may; trusted networks are let in again.
    cli(&house, &["reload"]);
    assert!(!is_answered(&mut attacker));
    cli(&house, &["sip", "unban", "127.0.0.66"]);
    assert!(is_answered(&mut attacker));
    attacker.register();
    house.kill_and_restart();
    assert_eq!(cli(&house, &["sip", "bans"]).trim(), "nobody is banned");
}

/// Whether a password is right for XMPP, said by TLS from somewhere; `None` where nobody listens to it.
fn signs_in(house: &House, from: [u8; 4], user: &str, password: &str) -> Option<bool> {
    use base64::Engine as _;
    let stream = connect_from(from, house.port("xmpp.client-tls"));
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = secure(house, stream).ok()?;
    let data = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    let text = format!(
        "<stream:stream to='falcot.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
         <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{data}</auth>"
    );
    stream.write_all(text.as_bytes()).ok()?;
    let mut heard = String::new();
    while !heard.contains("<success") && !heard.contains("<failure") {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).ok().filter(|&length| length > 0)?;
        heard += &String::from_utf8_lossy(&buffer[..length]);
    }
    Some(heard.contains("<success"))
}

#[test]
fn passwords_tried_by_xmpp_close_sip_too() {
    let house = house();
    assert_eq!(signs_in(&house, ATTACKER, "joe", PASSWORD), Some(true));
    let mut phone = Agent::udp_from(&house, "joe", ATTACKER);
    assert!(is_answered(&mut phone));
    let tried = (0..60).take_while(|n| signs_in(&house, ATTACKER, "joe", &format!("guess{n}")).is_some());
    let tried = tried.count();
    assert!((19..=22).contains(&tried), "{tried} tries were answered");
    assert!(!is_answered(&mut phone), "the phone beside is shut out, too");
    assert!(is_closed(connect_from(ATTACKER, house.port("sip.tls"))));
    assert!(cli(&house, &["sip", "bans"]).contains("127.0.0.66 "));
    // Nobody else suffers, and an administrator lets both in again.
    assert_eq!(signs_in(&house, HOME, "joe", PASSWORD), Some(true));
    cli(&house, &["sip", "unban", "127.0.0.66"]);
    phone.register();
    assert_eq!(signs_in(&house, ATTACKER, "joe", PASSWORD), Some(true));
}

/// Tried from everywhere: the account takes nobody new, by SIP or XMPP, but whoever has signed in from there before.
#[test]
fn an_account_that_is_tried_by_sip_is_locked_for_xmpp() {
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("joe@falcot.com", PASSWORD)
        .account("roland@falcot.com", PASSWORD)
        .set("sip", "bans", "{ attempts = 100, account = 5 }")
        .start();
    assert_eq!(signs_in(&house, HOME, "joe", PASSWORD), Some(true));
    for source in 1..=5 {
        crack(&mut Agent::udp_from(&house, "joe", [127, 0, 1, source]), 1);
    }
    let end = Instant::now() + SOON;
    while signs_in(&house, [127, 0, 2, 1], "joe", PASSWORD) == Some(true) {
        assert!(Instant::now() < end, "the account is not locked");
    }
    assert_eq!(signs_in(&house, HOME, "joe", PASSWORD), Some(true), "who was there before");
    assert_eq!(signs_in(&house, [127, 0, 2, 1], "roland", PASSWORD), Some(true), "others");
    Agent::udp_from(&house, "joe", HOME).register();
}

#[test]
fn an_administrator_bans_for_a_time_and_the_trusted_are_never_banned() {
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("joe@falcot.com", PASSWORD)
        .set("sip", "bans", "{ attempts = 3, trusted = [\"127.0.0.77\"] }")
        .start();
    let (mut attacker, mut home) =
        (Agent::udp_from(&house, "joe", ATTACKER), Agent::udp_from(&house, "joe", HOME));
    assert_eq!(crack(&mut home, 10), 10);
    home.register();
    cli(&house, &["sip", "ban", "127.0.0.66", "--for", "2s"]);
    let banned = Instant::now();
    assert!(!is_answered(&mut attacker));
    while !is_answered(&mut attacker) {
        assert!(banned.elapsed() < SOON, "the ban does not end");
    }
    assert!(banned.elapsed() > Duration::from_millis(1500));
    assert!(!house.cli(&["sip", "ban", "127.0.0.77"], "").status.success());
    assert!(!house.cli(&["sip", "unban", "127.0.0.66"], "").status.success());
    assert!(!house.cli(&["sip", "ban", "nonsense"], "").status.success());
}

#[test]
fn asking_without_credentials_is_no_fault_and_mistyping_is_forgiven() {
    let house = house();
    let mut agent = Agent::udp_from(&house, "joe", ATTACKER);
    for _ in 0..60 {
        let request = agent.request("REGISTER", "sip:falcot.com", "sip:joe@falcot.com", "", "");
        agent.send(&request);
        assert!(agent.answer().line().starts_with("SIP/2.0 401"));
    }
    assert_eq!(crack(&mut agent, 10), 10);
    agent.register();
}

#[test]
fn scanners_find_nothing() {
    let house = house();
    let scanner = UdpSocket::bind((std::net::Ipv4Addr::from(ATTACKER), 0)).unwrap();
    scanner.set_read_timeout(Some(A_WHILE)).unwrap();
    let local = scanner.local_addr().unwrap();
    for (count, name) in ["friendly-scanner", "sipvicious", "sipcli/v1.8", "VaxSIPUserAgent/3.0", "pplsip"]
        .into_iter()
        .enumerate()
    {
        for method in ["OPTIONS", "REGISTER", "INVITE"] {
            let request = format!(
                "{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{method}{count};rport\r\n\
                 Max-Forwards: 70\r\nFrom: \"sipvicious\" <sip:100@1.1.1.1>;tag=1\r\nTo: <sip:100@1.1.1.1>\r\n\
                 Call-ID: {method}{count}\r\nCSeq: 1 {method}\r\nUser-Agent: {name}\r\nContent-Length: 0\r\n\r\n"
            );
            scanner.send_to(request.as_bytes(), ("127.0.0.1", house.port("sip.udp"))).unwrap();
        }
    }
    assert!(scanner.recv(&mut [0; 4096]).is_err(), "a scanner was answered");
    let status = cli(&house, &["status"]);
    let scanned = status.lines().find(|line| line.contains("sip.scanners")).unwrap_or_default();
    assert!(scanned.trim().ends_with(" 15"), "{status}");
}
