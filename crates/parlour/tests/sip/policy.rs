//! Who may do what: credentials, no open relay, keep-alive of bindings through a crash.

use crate::agent::{A_WHILE, Agent};
use crate::{PASSWORD, house};

#[test]
fn own_callers_must_prove_who_they_are() {
    let house = house();
    let mut roland = Agent::udp(&house, "roland");
    for method in ["INVITE", "MESSAGE"] {
        let request = roland.request(method, "sip:joe@falcot.com", "sip:joe@falcot.com", "", "");
        roland.send(&request);
        let answer = roland.answer();
        assert_eq!(answer.line(), "SIP/2.0 407 Proxy Authentication Required");
        assert!(answer.header("Proxy-Authenticate").contains("realm=\"falcot.com\""));
        let wrong = roland.ask_as("wrong", method, "sip:joe@falcot.com", "sip:joe@falcot.com", "", "");
        assert_eq!(wrong.line(), "SIP/2.0 407 Proxy Authentication Required");
    }
    let mut nobody = Agent::udp(&house, "nobody");
    let answer = nobody.ask("INVITE", "sip:joe@falcot.com", "sip:joe@falcot.com", "", "");
    assert_eq!(answer.line(), "SIP/2.0 407 Proxy Authentication Required");
}

/// What `parlour dns zone` leads telephones to is this server, also where they name it as a proxy on the way, or in place of the domain.
#[test]
fn the_host_in_the_zone_is_this_server() {
    let house = house();
    let (mut roland, mut joe) = (Agent::udp(&house, "roland"), Agent::udp(&house, "joe"));
    let route = "Route: <sip:sip.falcot.com;lr>\r\n";
    let more = format!("Contact: {}\r\n{route}", joe.contact());
    let answer = joe.ask("REGISTER", "sip:sip.falcot.com", "sip:joe@sip.falcot.com", &more, "");
    assert_eq!(answer.line(), "SIP/2.0 200 OK", "{}", answer.0);
    let request = roland.request("MESSAGE", "sip:joe@sip.falcot.com", "sip:joe@falcot.com", route, "");
    roland.send(request);
    assert_eq!(roland.answer().line(), "SIP/2.0 407 Proxy Authentication Required");
    let answer = roland.ask("OPTIONS", "sip:sip.falcot.com", "sip:sip.falcot.com", route, "");
    assert_eq!(answer.line(), "SIP/2.0 200 OK", "{}", answer.0);
}

#[test]
fn nobody_registers_for_another() {
    let house = house();
    let mut joe = Agent::udp(&house, "joe");
    let answer = joe.ask("REGISTER", "sip:falcot.com", "sip:roland@falcot.com", "Expires: 60\r\n", "");
    assert_eq!(answer.line().split(' ').nth(1), Some("403"), "{}", answer.0);
    let mut wrong = Agent::udp(&house, "joe");
    let answer = wrong.ask_as("wrong", "REGISTER", "sip:falcot.com", "sip:joe@falcot.com", "", "");
    assert_eq!(answer.line(), "SIP/2.0 401 Unauthorized");
}

#[test]
fn no_open_relay() {
    let house = house();
    for mut stranger in [Agent::udp(&house, "stranger"), Agent::tcp(&house, "stranger")] {
        for uri in ["sip:victim@example.org", "sip:+33123456789@198.51.100.7", "sip:127.0.0.1:9"] {
            for method in ["INVITE", "MESSAGE", "OPTIONS", "REGISTER"] {
                let request = stranger.request(method, uri, uri, "", "");
                stranger.send(request.replace("sip:stranger@falcot.com", "sip:stranger@example.com"));
                let answer = stranger.answer();
                assert_eq!(answer.line().split(' ').nth(1), Some("403"), "{method} {uri}: {}", answer.0);
            }
        }
        let route = "Route: <sip:198.51.100.7;lr>\r\n";
        let request = stranger.request("MESSAGE", "sip:joe@falcot.com", "sip:joe@falcot.com", route, "");
        stranger.send(request.replace("sip:stranger@falcot.com", "sip:stranger@example.com"));
        let answer = stranger.answer();
        assert_eq!(answer.line().split(' ').nth(1), Some("403"), "by a route: {}", answer.0);
    }
}

/// What only this host can reach is not reached by asking this server (and the configuration's exceptions are).
#[test]
fn users_do_not_reach_what_is_inside() {
    let house = house();
    house.set("sip", "allow-targets", "[]");
    let answer = house.cli(&["reload"], "");
    assert!(answer.status.success(), "{answer:?}");
    let (mut roland, mut inside) = (Agent::udp(&house, "roland"), Agent::udp(&house, "inside"));
    let uri = format!("sip:x@127.0.0.1:{}", inside.local.port());
    let answer = roland.ask("MESSAGE", &uri, &uri, "", "");
    assert_eq!(answer.line(), "SIP/2.0 503 Destination Unreachable");
    assert!(inside.hear(A_WHILE).is_none());
}

#[test]
fn the_server_answers_for_itself() {
    let house = house();
    for mut anybody in [Agent::udp(&house, "anybody"), Agent::tcp(&house, "anybody")] {
        let request = anybody.request("OPTIONS", "sip:falcot.com", "sip:falcot.com", "", "");
        anybody.send(request.replace("sip:anybody@falcot.com", "sip:anybody@example.com"));
        assert_eq!(anybody.answer().line(), "SIP/2.0 200 OK");
        let request = anybody.request("OPTIONS", "sip:nobody@falcot.com", "sip:nobody@falcot.com", "", "");
        anybody.send(request.replace("sip:anybody@falcot.com", "sip:anybody@example.com"));
        assert_eq!(anybody.answer().line(), "SIP/2.0 404 Not Found");
    }
}

#[test]
fn bindings_survive_a_crash() {
    let mut house = house();
    let mut joes: Vec<_> = (0..3).map(|_| Agent::udp(&house, "joe")).collect();
    joes.iter_mut().for_each(|joe| drop(joe.register()));
    house.kill_and_restart();
    let mut roland = Agent::udp(&house, "roland");
    let first = roland.request("MESSAGE", "sip:joe@falcot.com", "sip:joe@falcot.com", "", "");
    roland.send(&first);
    let challenge = roland.answer();
    let proof = crate::agent::proof(
        challenge.header("Proxy-Authenticate"),
        "roland",
        PASSWORD,
        "MESSAGE",
        "sip:joe@falcot.com",
    );
    let more = format!("Proxy-Authorization: {proof}\r\nContent-Type: text/plain\r\n");
    let second = roland.request("MESSAGE", "sip:joe@falcot.com", "sip:joe@falcot.com", &more, "hello");
    roland.send(&second);
    for joe in &mut joes {
        let heard = joe.expect("MESSAGE ");
        assert_eq!((heard.body(), heard.all("Proxy-Authorization").len()), ("hello", 0));
        joe.reply(&heard, "200 OK", "");
    }
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
}

#[test]
fn a_binding_that_is_taken_back_is_gone_after_a_crash() {
    let mut house = house();
    let mut joe = Agent::udp(&house, "joe");
    joe.register();
    let contact = joe.contact();
    let answer = joe.register();
    assert!(answer.header("Contact").contains(contact.trim_matches(['<', '>'])), "{}", answer.0);
    let answer = joe.ask("REGISTER", "sip:falcot.com", "sip:joe@falcot.com", "Expires: 0\r\n", "");
    assert_eq!((answer.line(), answer.all("Contact").len()), ("SIP/2.0 200 OK", 0), "{}", answer.0);
    house.kill_and_restart();
    let mut roland = Agent::udp(&house, "roland");
    let answer = roland.ask("MESSAGE", "sip:joe@falcot.com", "sip:joe@falcot.com", "", "");
    assert_eq!(answer.line(), "SIP/2.0 480 Temporarily Unavailable");
    assert!(joe.hear(A_WHILE).is_none());
}
