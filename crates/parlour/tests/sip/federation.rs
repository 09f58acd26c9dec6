//! Two houses that know one another by the DNS and by their certificates alone.

use crate::PASSWORD;
use crate::agent::{Agent, Heard};
use crate::calls::message;
use crate::names::{A, SRV, Zone, serve, srv};
use std::net::UdpSocket;
use testkit::House;

const BINARY: &str = env!("CARGO_BIN_EXE_parlour");

/// A house of this domain that asks this name server.
fn prepared(domain: &str, users: &[&str], dns: &UdpSocket) -> House {
    let mut house = House::of(BINARY).domain(domain).set("sip", "allow-targets", "[\"127.0.0.1\"]").set(
        "network",
        "resolver",
        &format!("[\"{}\"]", dns.local_addr().unwrap()),
    );
    for user in users {
        house = house.account(&format!("{user}@{domain}"), PASSWORD);
    }
    house.prepare()
}

fn trust(house: &House, other: &House) {
    let authority = other.dir().join("data/certs/authority.pem");
    house.set("tls", "roots", &format!("[\"{}\"]", authority.display()));
}

/// falcot.com with roland, and beta.test with peer, each of which trusts the other's authority.
fn two(more: impl FnOnce(&House, &House) -> Zone) -> (House, House) {
    let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut alpha = prepared("falcot.com", &["roland"], &dns);
    let mut beta = prepared("beta.test", &["peer"], &dns);
    trust(&alpha, &beta);
    trust(&beta, &alpha);
    let mut zone = more(&alpha, &beta);
    zone.insert(("here.test", A), vec![vec![127, 0, 0, 1]]);
    serve(dns, zone);
    alpha.start();
    beta.start();
    (alpha, beta)
}

fn tls_of(house: &House, priority: u8) -> Vec<u8> {
    srv(priority, house.port("sip.tls"), "here.test")
}

fn peer_of(beta: &House) -> Agent {
    let mut peer = Agent::udp(beta, "peer");
    peer.domain = "beta.test";
    peer.register();
    peer
}

/// Roland calls peer, who answers: what either has heard of that.
fn call(roland: &mut Agent, peer: &mut Agent, uri: &str) -> (Heard, Heard) {
    let first = roland.request("INVITE", uri, "sip:peer@beta.test", "", "");
    roland.send(&first);
    let challenge = roland.answer();
    roland.acknowledge(&first, &challenge);
    let challenge = challenge.header("Proxy-Authenticate");
    let proof = crate::agent::proof(challenge, "roland", PASSWORD, "INVITE", uri);
    let proof = format!("Proxy-Authorization: {proof}\r\n");
    let second = roland.request("INVITE", uri, "sip:peer@beta.test", &proof, "");
    roland.send(&second);
    let heard = peer.expect("INVITE ");
    assert!(heard.all("Via")[1].starts_with("SIP/2.0/TLS "), "{}", heard.0);
    peer.reply(&heard, "180 Ringing", "");
    peer.reply(&heard, "200 OK", "");
    let answer = roland.expect("SIP/2.0 200");
    roland.within("ACK", &answer);
    peer.expect("ACK ");
    (answer, heard)
}

/// What a message to somebody elsewhere is answered.
fn asked(alpha: &House, uri: &str) -> Heard {
    let mut roland = Agent::udp(alpha, "roland");
    message(&mut roland, uri);
    roland.answer()
}

#[test]
fn a_call_goes_by_tls_to_a_domain_found_by_srv_and_ends_from_either_side() {
    let (alpha, beta) = two(|_, beta| Zone::from([(("_sips._tcp.beta.test", SRV), vec![tls_of(beta, 1)])]));
    let mut peer = peer_of(&beta);
    for uri in ["sip:peer@beta.test", "sip:peer@beta.test;transport=tls"] {
        let mut roland = Agent::udp(&alpha, "roland");
        let (answer, heard) = call(&mut roland, &mut peer, uri);
        if uri.ends_with("tls") {
            peer.within_as_callee("BYE", &heard);
            let bye = roland.expect("BYE ");
            roland.reply(&bye, "200 OK", "");
            peer.expect("SIP/2.0 200");
            continue;
        }
        roland.within("BYE", &answer);
        let bye = peer.expect("BYE ");
        peer.reply(&bye, "200 OK", "");
        roland.expect("SIP/2.0 200");
    }
}

#[test]
fn a_certificate_for_another_domain_sends_us_on_and_the_answer_says_so() {
    let (alpha, beta) = two(|alpha, beta| {
        Zone::from([
            (("_sips._tcp.beta.test", SRV), vec![tls_of(alpha, 1), tls_of(beta, 2)]),
            (("_sips._tcp.gamma.test", SRV), vec![tls_of(beta, 1)]),
        ])
    });
    let mut peer = peer_of(&beta);
    let mut roland = Agent::udp(&alpha, "roland");
    message(&mut roland, "sip:peer@beta.test");
    let heard = peer.expect("MESSAGE ");
    peer.reply(&heard, "200 OK", "");
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK", "the second server is the right one");
    let answer = asked(&alpha, "sip:peer@gamma.test");
    assert_eq!(answer.line(), "SIP/2.0 503 Destination Unreachable");
    let why = answer.header("Warning");
    assert!(
        why.starts_with("399 parlour \"gamma.test (tls 127.0.0.1:")
            && why.contains("its certificate is for beta.test, ")
            && why.ends_with(", not gamma.test\""),
        "{why}"
    );
    let story = crate::admin::done(&alpha, &["sip", "why", answer.header("Call-ID")]);
    let reason = story["reason"].as_str().unwrap();
    assert!(
        reason.contains("TLS to 127.0.0.1:") && reason.contains(" refused: its certificate is for beta.test"),
        "{reason}"
    );
    let answer = asked(&alpha, "sip:peer@delta.test");
    assert_eq!(answer.header("Warning"), "399 parlour \"no server of delta.test was found\"");
}

#[test]
fn an_authority_is_trusted_from_the_reload_on_that_names_it() {
    let (alpha, beta) = two(|_, beta| Zone::from([(("_sips._tcp.beta.test", SRV), vec![tls_of(beta, 1)])]));
    let mut peer = peer_of(&beta);
    alpha.set("tls", "roots", "[]");
    assert!(alpha.cli(&["reload"], "").status.success());
    let answer = asked(&alpha, "sip:peer@beta.test");
    let why = answer.header("Warning");
    assert!(why.ends_with("): its certificate is not signed by anybody we trust\""), "{why}");
    trust(&alpha, &beta);
    assert!(alpha.cli(&["reload"], "").status.success());
    let mut roland = Agent::udp(&alpha, "roland");
    message(&mut roland, "sip:peer@beta.test");
    let heard = peer.expect("MESSAGE ");
    peer.reply(&heard, "200 OK", "");
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
}

#[test]
fn an_authority_of_one_domain_vouches_for_that_domain_alone() {
    let (alpha, beta) = two(|_, beta| {
        let at = || vec![tls_of(beta, 1)];
        Zone::from([(("_sips._tcp.beta.test", SRV), at()), (("_sips._tcp.gamma.test", SRV), at())])
    });
    let mut peer = peer_of(&beta);
    let authority = beta.dir().join("data/certs/authority.pem");
    alpha.set("tls", "roots", "[]");
    for domain in ["gamma.test", "beta.test"] {
        alpha.set("tls", "domain-roots", &format!("[\"{domain}={}\"]", authority.display()));
        assert!(alpha.cli(&["reload"], "").status.success());
        let refused = |uri: &str, end: &str| {
            let answer = asked(&alpha, uri);
            let why = answer.header("Warning");
            assert!(why.ends_with(&format!("): its certificate {end}\"")), "{uri}: {why}");
        };
        if domain == "gamma.test" {
            refused("sip:peer@beta.test", "is not signed by anybody we trust");
            let names = asked(&alpha, "sip:peer@gamma.test").header("Warning").to_owned();
            assert!(names.ends_with(", not gamma.test\""), "{names}");
        } else {
            let mut roland = Agent::udp(&alpha, "roland");
            message(&mut roland, "sip:peer@beta.test");
            let heard = peer.expect("MESSAGE ");
            peer.reply(&heard, "200 OK", "");
            assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
            refused("sip:peer@gamma.test", "is not signed by anybody we trust");
        }
    }
}

fn streams(house: &House) -> u64 {
    let status = house.cli(&["status", "--json"], "");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    status["counters"]["sip.streams"].as_u64().unwrap()
}

/// What the peer is answered to a message that reaches roland.
fn answered(peer: &mut Agent, roland: &mut Agent, uri: &str) -> Heard {
    let first = peer.request("MESSAGE", uri, uri, "", "");
    peer.send(&first);
    let challenge = peer.answer();
    let proof = crate::agent::proof(challenge.header("Proxy-Authenticate"), "peer", PASSWORD, "MESSAGE", uri);
    let second = peer.request("MESSAGE", uri, uri, &format!("Proxy-Authorization: {proof}\r\n"), "");
    peer.send(&second);
    let heard = roland.expect("MESSAGE ");
    roland.reply(&heard, "200 OK", "");
    peer.answer()
}

#[test]
fn a_connection_serves_both_directions_once_both_have_proven_who_they_are() {
    let (alpha, beta) = two(|alpha, beta| {
        for house in [alpha, beta] {
            house.set("network", "workers", "1");
        }
        Zone::from([
            (("_sips._tcp.beta.test", SRV), vec![tls_of(beta, 1)]),
            (("_sips._tcp.falcot.com", SRV), vec![tls_of(alpha, 1)]),
        ])
    });
    let mut peer = peer_of(&beta);
    let mut roland = Agent::udp(&alpha, "roland");
    roland.register();
    message(&mut roland, "sip:peer@beta.test");
    let heard = peer.expect("MESSAGE ");
    peer.reply(&heard, "200 OK", "");
    assert_eq!(roland.answer().line(), "SIP/2.0 200 OK");
    let answer = answered(&mut peer, &mut roland, "sip:roland@falcot.com");
    assert_eq!(answer.line(), "SIP/2.0 200 OK");
    assert_eq!((streams(&alpha), streams(&beta)), (1, 1));
}

/// The second of two domains shows its own certificate where it connects: what comes back for it needs no other connection.
#[test]
fn each_domain_shows_its_own_certificate() {
    let (alpha, beta) = two(|alpha, beta| {
        for house in [alpha, beta] {
            house.set("network", "workers", "1");
        }
        let text = std::fs::read_to_string(alpha.config()).unwrap();
        std::fs::write(alpha.config(), format!("{text}\n[[domains]]\nname = \"second.test\"\n")).unwrap();
        alpha.add("roland@second.test", PASSWORD);
        Zone::from([
            (("_sips._tcp.beta.test", SRV), vec![tls_of(beta, 1)]),
            (("_sips._tcp.second.test", SRV), vec![tls_of(alpha, 1)]),
        ])
    });
    let mut peer = peer_of(&beta);
    let mut roland = Agent::udp(&alpha, "roland");
    roland.domain = "second.test";
    roland.register();
    let mut first = Agent::udp(&alpha, "roland");
    for (from, connections) in [(&mut roland, 1), (&mut first, 2)] {
        message(from, "sip:peer@beta.test");
        let heard = peer.expect("MESSAGE ");
        peer.reply(&heard, "200 OK", "");
        assert_eq!(from.answer().line(), "SIP/2.0 200 OK");
        assert_eq!((streams(&alpha), streams(&beta)), (connections, connections));
    }
    let answer = answered(&mut peer, &mut roland, "sip:roland@second.test");
    assert_eq!(answer.line(), "SIP/2.0 200 OK");
    assert_eq!((streams(&alpha), streams(&beta)), (2, 2));
}

#[test]
fn a_call_can_be_ended_after_the_other_server_has_started_anew() {
    let (mut alpha, beta) = two(|alpha, beta| {
        Zone::from([
            (("_sips._tcp.beta.test", SRV), vec![tls_of(beta, 1)]),
            (("_sips._tcp.falcot.com", SRV), vec![tls_of(alpha, 1)]),
        ])
    });
    let mut peer = peer_of(&beta);
    let mut roland = Agent::udp(&alpha, "roland");
    let uri = "sip:peer@beta.test";
    let (_, heard) = call(&mut roland, &mut peer, uri);
    alpha.kill_and_restart();
    peer.within_as_callee("BYE", &heard);
    let bye = roland.expect("BYE ");
    roland.reply(&bye, "200 OK", "");
    peer.expect("SIP/2.0 200");
}
