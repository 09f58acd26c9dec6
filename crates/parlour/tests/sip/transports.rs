//! Calls across transports that the called one ends, several messages in one write, and ends of connections.

use crate::agent::{A_WHILE, Agent, Heard, SOON};
use crate::calls::invite;
use crate::house;
use std::time::{Duration, Instant};
use testkit::House;

const JOE: &str = "sip:joe@falcot.com";

/// A way to make an agent for a user.
type Make = fn(&House, &str) -> Agent;

const KINDS: [(&str, Make); 3] = [("UDP", Agent::udp), ("TCP", Agent::tcp), ("TLS", Agent::tls)];

/// Joe is called and hangs up: his BYE takes the way that was recorded, whichever transports meet.
#[test]
fn the_called_one_hangs_up_on_every_transport() {
    let house = house();
    for (from, caller) in KINDS {
        for (to, called) in KINDS {
            let mut joe = called(&house, "joe");
            joe.register();
            let mut roland = caller(&house, "roland");
            invite(&mut roland);
            let heard = joe.expect("INVITE ");
            let routes = heard.all("Record-Route").len();
            assert_eq!(
                routes,
                if (from, to) == ("UDP", "UDP") { 1 } else { 2 },
                "{from} to {to}: {}",
                heard.0
            );
            joe.reply(&heard, "200 OK", "v=0\r\n");
            let answer = roland.expect("SIP/2.0 200");
            roland.within("ACK", &answer);
            joe.expect("ACK ");
            joe.back("BYE", &heard);
            let bye = roland.expect("BYE ");
            assert!(bye.header("Via").starts_with(&format!("SIP/2.0/{from}")), "{}", bye.0);
            roland.reply(&bye, "200 OK", "");
            joe.expect("SIP/2.0 200");
            let gone = joe.ask("REGISTER", "sip:falcot.com", JOE, "Expires: 0\r\n", "");
            assert_eq!(gone.line(), "SIP/2.0 200 OK");
        }
    }
}

#[test]
fn several_messages_in_one_write_are_several() {
    let house = house();
    for make in [Agent::tcp, Agent::tls] {
        let mut agent = make(&house, "joe");
        let mut next = || agent.request("OPTIONS", "sip:falcot.com", "sip:falcot.com", "", "");
        let (three, last) = ([next(), next(), next()].concat(), next());
        let (begin, end) = last.split_at(50);
        agent.send(three + "\r\n\r\n" + begin);
        for number in 1..=3 {
            let answer = agent.expect("SIP/2.0 200");
            assert_eq!(answer.header("CSeq"), format!("{number} OPTIONS"));
        }
        agent.send(end);
        // The pong of the keep-alive came before it.
        let answer = agent.hear(SOON).unwrap();
        assert!(
            answer.0.trim_start().starts_with("SIP/2.0 200") && answer.0.contains("CSeq: 4 OPTIONS"),
            "{}",
            answer.0
        );
    }
}

#[test]
fn a_phone_whose_connection_has_ended_is_gone_at_once() {
    let house = house();
    for make in [Agent::tcp, Agent::tls] {
        let mut joe = make(&house, "joe");
        joe.register();
        // Nothing listens where a stream came from; the flow was all there was.
        drop(joe);
        let mut roland = Agent::udp(&house, "roland");
        let began = Instant::now();
        invite(&mut roland);
        let answer = roland.answer();
        assert!(["480", "503"].contains(&&answer.line()[8..11]), "{}", answer.0);
        assert!(began.elapsed() < Duration::from_secs(15), "sooner than by a time-out of 32 s");
    }
}

/// A caller on a stream whose connection ends while it rings: the called one is left to answer, and hears no nonsense.
#[test]
fn a_caller_whose_connection_ends_troubles_nobody() {
    let house = house();
    let mut joe = Agent::udp(&house, "joe");
    joe.register();
    let mut roland = Agent::tcp(&house, "roland");
    invite(&mut roland);
    let heard = joe.expect("INVITE ");
    joe.reply(&heard, "180 Ringing", "");
    roland.expect("SIP/2.0 180");
    drop(roland);
    joe.reply(&heard, "200 OK", "v=0\r\n");
    assert!(joe.hear(A_WHILE).is_none());
    let mut roland = Agent::tcp(&house, "roland");
    crate::calls::call(&mut roland, &mut joe);
}

/// RFC 3581 and RFC 3261 §18.2.2: to where it came from with rport, to the port of the Via without.
#[test]
fn an_answer_returns_as_the_via_says() {
    let house = house();
    let mut agent = Agent::udp(&house, "roland");
    let request = agent.request("INVITE", JOE, JOE, "", "");
    agent.send(&request);
    let answer = agent.answer();
    assert!(answer.header("Via").contains(&format!(";rport={}", agent.local.port())), "{}", answer.0);
    let mut other = Agent::udp(&house, "roland");
    let request = other.request("INVITE", JOE, JOE, "", "").replace(";rport", "");
    let elsewhere = request.replace(&other.local.to_string(), &agent.local.to_string());
    other.send(&elsewhere);
    assert!(other.hear(A_WHILE).is_none());
    assert!(agent.answer().line().starts_with("SIP/2.0 407"));
}

#[test]
fn an_answer_may_be_long() {
    let house = house();
    let mut roland = Agent::tcp(&house, "roland");
    let mut joe = Agent::tls(&house, "joe");
    joe.register();
    invite(&mut roland);
    let heard: Heard = joe.expect("INVITE ");
    let body = "a=x\r\n".repeat(6000);
    joe.reply(&heard, "200 OK", &body);
    assert_eq!(roland.expect("SIP/2.0 200").body(), body);
}

/// What it is told leads back by the name that its handshake asked for: our certificate has that, and seldom an address.
#[test]
fn a_phone_by_tls_is_told_the_name_that_it_knows() {
    let house = house();
    let port = house.port("sip.tls");
    for (host, expected) in [("falcot.com", "falcot.com"), ("sip.falcot.com", "127.0.0.1")] {
        let mut joe = Agent::tls(&house, "joe");
        let uri = format!("sip:{host}:{port};transport=tls");
        let heard = joe.ask("REGISTER", &uri, JOE, "Supported: path\r\n", "");
        assert_eq!(heard.header("Service-Route"), format!("<sip:{expected}:{port};transport=tls;lr>"));
    }
}
