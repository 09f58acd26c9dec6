//! Calls and messages between agents: forking, cancelling, dialogs across transports.

use crate::agent::{A_WHILE, Agent, Heard};
use crate::{PASSWORD, house};
use testkit::House;

const JOE: &str = "sip:joe@falcot.com";

/// Sends an INVITE with credentials to joe, without waiting for its end. What was sent comes back.
pub(crate) fn invite(roland: &mut Agent) -> String {
    invite_to(roland, JOE)
}

/// The same to anybody.
pub(crate) fn invite_to(roland: &mut Agent, uri: &str) -> String {
    let first = roland.request("INVITE", uri, uri, "", "");
    roland.send(&first);
    let challenge = roland.answer();
    let ack = first.replacen("INVITE", "ACK", 1).replace(" INVITE\r\n", " ACK\r\n");
    roland.send(ack.replace(&format!("To: <{uri}>"), &format!("To: {}", challenge.header("To"))));
    let proof =
        crate::agent::proof(challenge.header("Proxy-Authenticate"), "roland", PASSWORD, "INVITE", uri);
    let more = format!("Proxy-Authorization: {proof}\r\nContent-Type: application/sdp\r\n");
    let second = roland.request("INVITE", uri, uri, &more, "v=0\r\n");
    roland.send(&second);
    second
}

fn registered(house: &House, make: fn(&House, &str) -> Agent) -> Agent {
    let mut joe = make(house, "joe");
    joe.register();
    joe
}

/// One call from its INVITE to its BYE.
pub(crate) fn call(roland: &mut Agent, joe: &mut Agent) {
    invite(roland);
    let heard = joe.expect("INVITE ");
    assert_eq!((heard.body(), heard.header("Max-Forwards")), ("v=0\r\n", "69"));
    joe.reply(&heard, "180 Ringing", "");
    joe.reply(&heard, "200 OK", "v=0\r\n");
    let answer = roland.expect("SIP/2.0 200");
    roland.within("ACK", &answer);
    joe.expect("ACK ");
    roland.within("BYE", &answer);
    let bye = joe.expect("BYE ");
    joe.reply(&bye, "200 OK", "");
    roland.expect("SIP/2.0 200");
}

#[test]
fn calls_between_all_transports() {
    let house = house();
    let kinds: [fn(&House, &str) -> Agent; 2] = [Agent::udp, Agent::tcp];
    for caller in kinds {
        for callee in kinds {
            let mut joe = registered(&house, callee);
            call(&mut caller(&house, "roland"), &mut joe);
            let gone = joe.ask("REGISTER", "sip:falcot.com", JOE, "Expires: 0\r\n", "");
            assert_eq!(gone.line(), "SIP/2.0 200 OK");
        }
    }
}

#[test]
fn all_phones_ring_and_the_first_to_answer_has_the_call() {
    let house = house();
    let (mut desk, mut pocket) = (registered(&house, Agent::udp), registered(&house, Agent::tcp));
    let mut roland = Agent::udp(&house, "roland");
    invite(&mut roland);
    let (at_desk, in_pocket) = (desk.expect("INVITE "), pocket.expect("INVITE "));
    desk.reply(&at_desk, "180 Ringing", "");
    pocket.reply(&in_pocket, "180 Ringing", "");
    pocket.reply(&in_pocket, "200 OK", "v=0\r\n");
    let answer = roland.expect("SIP/2.0 200");
    roland.within("ACK", &answer);
    pocket.expect("ACK ");
    let cancel = desk.expect("CANCEL ");
    assert_eq!(cancel.header("Via").split("branch=").nth(1), at_desk.header("Via").split("branch=").nth(1));
    desk.reply(&cancel, "200 OK", "");
    desk.reply(&at_desk, "487 Request Terminated", "");
    desk.expect("ACK ");
    assert!(roland.hear(A_WHILE).is_none(), "the end of the other branch is nothing to the caller");
}

#[test]
fn the_best_refusal_reaches_the_caller() {
    let house = house();
    let (mut desk, mut pocket) = (registered(&house, Agent::udp), registered(&house, Agent::udp));
    let mut roland = Agent::udp(&house, "roland");
    invite(&mut roland);
    let (at_desk, in_pocket) = (desk.expect("INVITE "), pocket.expect("INVITE "));
    desk.reply(&at_desk, "486 Busy Here", "");
    desk.expect("ACK ");
    pocket.reply(&in_pocket, "603 Decline", "");
    pocket.expect("ACK ");
    assert_eq!(roland.answer().line(), "SIP/2.0 603 Decline");
}

#[test]
fn a_call_that_is_given_up_stops_ringing() {
    let house = house();
    let mut joe = registered(&house, Agent::udp);
    let mut roland = Agent::udp(&house, "roland");
    let sent = invite(&mut roland);
    let ringing = joe.expect("INVITE ");
    joe.reply(&ringing, "180 Ringing", "");
    roland.expect("SIP/2.0 180");
    let sent = Heard(sent);
    let mut cancel = format!("CANCEL {JOE} SIP/2.0\r\n");
    for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
        cancel += &format!("{name}: {}\r\n", sent.header(name));
    }
    roland.send(format!(
        "{cancel}CSeq: {}\r\nContent-Length: 0\r\n\r\n",
        sent.header("CSeq").replace("INVITE", "CANCEL")
    ));
    let answers = [roland.answer(), {
        let cancel = joe.expect("CANCEL ");
        joe.reply(&cancel, "200 OK", "");
        joe.reply(&ringing, "487 Request Terminated", "");
        joe.expect("ACK ");
        roland.answer()
    }];
    let mut lines = answers.each_ref().map(Heard::line);
    lines.sort_unstable();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
}

#[test]
fn messages_and_what_nobody_knows_pass_untouched() {
    let house = house();
    let mut joe = registered(&house, Agent::tcp);
    let mut roland = Agent::udp(&house, "roland");
    for method in ["MESSAGE", "NEWFANGLED"] {
        let more = "X-Odd :  a ,b;;\r\n\tfolded\r\nContent-Type: text/plain\r\nMax-Breadth: 60\r\n";
        let first = roland.request(method, JOE, JOE, more, "Привет");
        roland.send(&first);
        let challenge = roland.answer();
        let proof =
            crate::agent::proof(challenge.header("Proxy-Authenticate"), "roland", PASSWORD, method, JOE);
        let more = format!("Proxy-Authorization: {proof}\r\n{more}");
        let second = roland.request(method, JOE, JOE, &more, "Привет");
        roland.send(second);
        let heard = joe.expect(&format!("{method} "));
        assert!(heard.0.contains("\r\nX-Odd :  a ,b;;\r\n\tfolded\r\n"), "{}", heard.0);
        assert_eq!(heard.body(), "Привет");
        joe.reply(&heard, "202 Odd But Fine", "");
        assert_eq!(roland.answer().line(), "SIP/2.0 202 Odd But Fine");
    }
}

/// Sends a MESSAGE with credentials to anybody.
pub(crate) fn message(roland: &mut Agent, uri: &str) {
    let first = roland.request("MESSAGE", uri, uri, "", "");
    roland.send(&first);
    let challenge = roland.answer();
    let proof =
        crate::agent::proof(challenge.header("Proxy-Authenticate"), "roland", PASSWORD, "MESSAGE", uri);
    let second = roland.request("MESSAGE", uri, uri, &format!("Proxy-Authorization: {proof}\r\n"), "");
    roland.send(second);
}

#[test]
fn hosts_elsewhere_are_found_by_name() {
    let house = house();
    let (mut roland, mut peer) = (Agent::udp(&house, "roland"), Agent::udp(&house, "peer"));
    message(&mut roland, &format!("sip:peer@localhost:{}", peer.local.port()));
    let heard = peer.expect("MESSAGE ");
    peer.reply(&heard, "200 OK", "");
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
    message(&mut roland, "sip:peer@nowhere.invalid");
    assert_eq!(roland.answer().line(), "SIP/2.0 503 Destination Unreachable");
}

#[test]
fn nobody_at_a_port_is_known_at_once() {
    let house = house();
    let (mut roland, peer) = (Agent::udp(&house, "roland"), Agent::udp(&house, "peer"));
    let gone = format!("sip:peer@{}", peer.local);
    drop(peer);
    for uri in [gone.clone(), format!("{gone};transport=tcp")] {
        let asked = std::time::Instant::now();
        message(&mut roland, &uri);
        assert_eq!(roland.answer().line(), "SIP/2.0 503 Destination Unreachable");
        assert!(asked.elapsed() < std::time::Duration::from_secs(10), "{uri}: {:?}", asked.elapsed());
    }
}
