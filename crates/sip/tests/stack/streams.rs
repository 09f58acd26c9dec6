//! Streams: cut into messages, answered on the same one, reused, opened, lost.

use crate::house::{House, Sent, directory};
use crate::{answer, request};
use sip::stack::Input;
use std::sync::Arc;
use std::time::Duration;
use wire::{Account, Address, Domain, Keys, Transport};

const ALICE: &str = "198.51.100.1:5060";
const BOB: &str = "198.51.100.2:41000";

fn tcp(text: &str) -> String {
    text.replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

fn register() -> String {
    let bob = "<sip:bob@falcot.com>";
    let contact = "Contact: <sip:bob@10.0.0.2:5060;transport=tcp>\r\n";
    tcp(&request("REGISTER", "sip:falcot.com", "10.0.0.2:5060", "r", (&format!("{bob};tag=r"), bob), contact))
}

fn invite(branch: &str) -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    request(
        "INVITE",
        "sip:bob@falcot.com",
        ALICE,
        branch,
        parties,
        "Contact: <sip:alice@198.51.100.1:5060>\r\n",
    )
}

fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    sent.iter().map(|sent| (sent.to.as_str(), sent.first_line())).collect()
}

#[test]
fn messages_come_in_pieces_and_keep_alives_are_answered() {
    let mut house = House::new(1);
    let conn = house.connect(0, Transport::Tcp, BOB);
    let text = format!("\r\n\r\n{}\r\n\r\n", register());
    let mut sent = Vec::new();
    for byte in text.chars() {
        sent.extend(house.stream(conn, &byte.to_string()));
    }
    assert_eq!(lines(&sent), [(BOB, ""), (BOB, "SIP/2.0 200 OK"), (BOB, "")]);
    assert_eq!((sent[0].text.as_str(), sent[2].text.as_str()), ("\r\n", "\r\n"));
}

#[test]
fn what_nobody_can_cut_is_answered_and_ends_the_stream() {
    let mut house = House::new(1);
    for (bad, status) in [
        (
            register().replace("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 1"),
            "SIP/2.0 400 Content-Lengths Differ",
        ),
        (
            register().replace("Content-Length: 0", "Content-Length: -1"),
            "SIP/2.0 400 Malformed Content-Length",
        ),
        (register().replace("Content-Length: 0", "X: y"), "SIP/2.0 400 Missing Content-Length"),
        (register().replace("Content-Length: 0", "Content-Length: 999999"), "SIP/2.0 513 Message Too Large"),
    ] {
        let conn = house.connect(0, Transport::Tcp, BOB);
        let sent = house.stream(conn, &bad);
        assert_eq!(lines(&sent), [(BOB, status)]);
        assert!(house.is_closed(conn));
    }
    let conn = house.connect(0, Transport::Tcp, BOB);
    assert!(house.stream(conn, "\u{0}\u{1}GET / HTTP/1.1\r\n\r\n").is_empty() && house.is_closed(conn));
    let conn = house.connect(0, Transport::Tcp, BOB);
    let endless = format!("REGISTER sip:falcot.com SIP/2.0\r\n{}", "X: y\r\n".repeat(10_000));
    house.stream(conn, &endless);
    assert!(house.is_closed(conn), "header fields without an end");
}

#[test]
fn a_call_between_transports_records_both() {
    let mut house = House::new(1);
    let conn = house.connect(0, Transport::Tcp, BOB);
    house.stream(conn, &register());
    let sent = house.datagram(ALICE, &invite("1").replace("Content-Length: 0\r\n", ""));
    let out = &sent[1];
    assert_eq!(
        (out.to.as_str(), out.first_line()),
        (BOB, "INVITE sip:bob@10.0.0.2:5060;transport=tcp SIP/2.0")
    );
    assert_eq!(out.header("Content-Length"), ["0"], "a stream needs it");
    let routes: Vec<String> = out.header("Record-Route").iter().map(|route| (*route).to_owned()).collect();
    assert!(
        routes[0].ends_with("@192.0.2.1:5060;transport=tcp;lr>")
            && routes[1].ends_with("@192.0.2.1:5060;lr>")
    );
    let ok = answer(&out.text, "200 OK", "b", "Contact: <sip:bob@10.0.0.2:5060;transport=tcp>\r\n");
    assert_eq!(lines(&house.stream(conn, &ok)), [(ALICE, "SIP/2.0 200 OK")]);
    // The caller's BYE goes by both routes, of which the last names the called phone's stream.
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>;tag=b");
    let more = format!("Route: {}, {}\r\n", routes[1], routes[0]);
    let bye = request("BYE", "sip:bob@10.0.0.2:5060;transport=tcp", ALICE, "2", parties, &more);
    let sent = house.datagram(ALICE, &bye.replace("call-2", "call-1"));
    assert_eq!(lines(&sent), [(BOB, "BYE sip:bob@10.0.0.2:5060;transport=tcp SIP/2.0")]);
    assert!(sent[0].header("Route").is_empty());
    // The called phone's BYE goes the other way: the caller has an address of its own.
    let parties = ("<sip:bob@falcot.com>;tag=b", "<sip:alice@falcot.com>;tag=a");
    let more = format!("Route: {}\r\nRoute: {}\r\n", routes[0], routes[1]);
    let bye = tcp(&request("BYE", "sip:alice@198.51.100.1:5060", "10.0.0.2:5060", "3", parties, &more));
    let sent = house.stream(conn, &bye.replace("call-3@10.0.0.2:5060", &format!("call-1@{ALICE}")));
    assert_eq!(lines(&sent), [(ALICE, "BYE sip:alice@198.51.100.1:5060 SIP/2.0")]);
}

#[test]
fn a_stream_that_closes_ends_what_waits_for_it() {
    let mut house = House::new(1);
    let conn = house.connect(0, Transport::Tcp, BOB);
    house.stream(conn, &register().replace("10.0.0.2", "198.51.100.2"));
    house.datagram(ALICE, &invite("1"));
    house.accepts = false;
    let sent = house.input(0, Input::Closed { conn });
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 Destination Unreachable")]);
    assert_eq!(house.dialled, ["198.51.100.2:5060".parse().unwrap()], "its own address was tried first");
    let sent = house.datagram(ALICE, &invite("2"));
    assert_eq!(lines(&sent)[1].1, "SIP/2.0 503 Destination Unreachable");
}

#[test]
fn an_answer_whose_stream_is_gone_goes_by_a_new_one() {
    let mut house = House::new(1);
    let conn = house.connect(0, Transport::Tcp, BOB);
    house.disk_stalls = true;
    house.stream(conn, &register());
    house.input(0, Input::Closed { conn });
    let (worker, token) = house.held[0];
    let sent = house.input(worker, Input::Stored { token, durable: true });
    assert_eq!(
        lines(&sent),
        [("198.51.100.2:5060", "SIP/2.0 200 OK")],
        "to the port in the Via (RFC 3261 §18.2.2)"
    );
}

/// Who asks by a stream and is gone when the answer comes has one opened to wherever it likes: that leaves room for what others ask.
#[test]
fn answers_leave_room_for_what_is_asked() {
    let mut house = House::new(1);
    let (at, bob) = ("198.51.100.2:5060", "<sip:bob@falcot.com>");
    let contact = format!("Contact: <sip:bob@{at}>\r\n");
    house.datagram(
        at,
        &request("REGISTER", "sip:falcot.com", at, "r", (&format!("{bob};tag=r"), bob), &contact),
    );
    house.silent_dials = true;
    let gone = |house: &mut House, n: usize| {
        let peer = format!("203.0.113.{n}:5060");
        let conn = house.connect(0, Transport::Tcp, &peer);
        let parties = ("<sip:x@example.net>;tag=a", bob);
        let text = request("MESSAGE", "sip:bob@falcot.com", &peer, &format!("m{n}"), parties, "");
        let sent = house.stream(conn, &tcp(&text));
        house.input(0, Input::Closed { conn });
        house.datagram(at, &answer(&sent.last().unwrap().text, "200 OK", "b", ""));
    };
    (1..6).for_each(|n| gone(&mut house, n));
    assert_eq!(house.dialled.len(), 2, "of ten that may be opened at a time");
    let call = invite("1").replace("bob@falcot.com", "bob@203.0.113.50;transport=tcp");
    house.datagram(ALICE, &call);
    assert_eq!(house.dialled.len(), 3);
    house.wait(Duration::from_secs(11));
    gone(&mut house, 6);
    assert_eq!(house.dialled.len(), 4);
}

#[test]
fn a_connection_that_never_opens_is_given_up() {
    let mut house = House::new(1);
    let call = invite("1").replace("bob@falcot.com", "bob@203.0.113.5;transport=tcp");
    house.silent_dials = true;
    let sent = house.datagram(ALICE, &call);
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 100 Trying")]);
    let sent = house.wait(Duration::from_secs(11));
    assert_eq!(lines(&sent)[0], (ALICE, "SIP/2.0 503 Destination Unreachable"));
    house.wait(Duration::from_secs(60));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn tls_says_so_and_reaches_phones_by_their_own_stream_alone() {
    let mut house = House::new(1);
    let conn = house.connect(0, Transport::Tls, BOB);
    let text = register().replace("SIP/2.0/TCP", "SIP/2.0/TLS").replace("transport=tcp", "transport=tls");
    house.stream(conn, &text);
    let sent = house.datagram(ALICE, &invite("1"));
    assert_eq!(lines(&sent)[1], (BOB, "INVITE sip:bob@10.0.0.2:5060;transport=tls SIP/2.0"));
    assert!(sent[1].header("Via")[0].starts_with("SIP/2.0/TLS 192.0.2.1:5061;"));
    assert!(sent[1].header("Record-Route")[0].contains("@192.0.2.1:5061;transport=tls;lr>"));
}

#[test]
fn silent_and_slow_streams_are_closed() {
    let mut house = House::new(1);
    let (idle, slow, busy) = (
        house.connect(0, Transport::Tcp, BOB),
        house.connect(0, Transport::Tcp, BOB),
        house.connect(0, Transport::Tcp, BOB),
    );
    house.stream(slow, "REGISTER ");
    house.wait(Duration::from_secs(20));
    house.stream(slow, "sip:");
    house.wait(Duration::from_secs(13));
    assert!(house.is_closed(slow) && !house.is_closed(idle));
    house.wait(Duration::from_secs(3000));
    house.stream(busy, "\r\n\r\n");
    house.wait(Duration::from_secs(600));
    assert!(house.is_closed(idle) && !house.is_closed(busy));
    house.wait(Duration::from_secs(3100));
    assert!(house.is_closed(busy) && house.deadline().is_none());
}

/// A server of beta.test connects by TLS with what it can prove, and sends a MESSAGE; whether what is for beta.test then goes
/// by its connection.
fn is_reused(domains: &[&str], via: &str, to: &str) -> bool {
    const PEER: &str = "203.0.113.9:40000";
    let mut house = House::new(1);
    house.names.insert("beta.test".to_owned(), vec!["203.0.113.9".parse().unwrap()]);
    house.names.insert("gamma.test".to_owned(), vec!["203.0.113.9".parse().unwrap()]);
    let conn = house.connect_as(0, Transport::Tls, PEER, domains);
    let parties = ("<sip:x@beta.test>;tag=a", "<sip:bob@falcot.com>");
    let from_peer = request("MESSAGE", "sip:bob@falcot.com", "203.0.113.9:5061", "1", parties, "");
    let line = from_peer.lines().find(|line| line.starts_with("Via: ")).unwrap().to_owned();
    house.stream(conn, &from_peer.replace(&line, &format!("Via: {via};branch=z9hG4bKpeer")));
    let ask = |house: &mut House, branch: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", &*format!("<sip:x@{to}>"));
        let uri = format!("sip:x@{to};transport=tls");
        let before = house.dialled.len();
        let sent = house.datagram(ALICE, &request("MESSAGE", &uri, ALICE, branch, parties, ""));
        (house.dialled.len() == before, sent)
    };
    let (reused, sent) = ask(&mut house, "2");
    let out = sent.iter().find(|sent| sent.first_line().starts_with("MESSAGE ")).unwrap();
    assert_eq!(out.to, if reused { PEER } else { "203.0.113.9:5061" });
    assert!(out.text.lines().nth(1).unwrap().ends_with(";alias"), "{}", out.text);
    assert!(ask(&mut house, "3").0, "by one or the other connection");
    house.input(0, Input::Closed { conn });
    assert_eq!(ask(&mut house, "4").0, !reused, "what is closed is not used");
    reused
}

#[test]
fn a_connection_is_used_backwards_by_whoever_asks_and_has_proven_its_domain() {
    const VIA: &str = "SIP/2.0/TLS 203.0.113.9:5061";
    assert!(is_reused(&["beta.test"], &format!("{VIA};alias"), "beta.test"));
    assert!(is_reused(&["alpha.test", "beta.test"], "SIP/2.0/TLS 203.0.113.9;alias", "beta.test"));
    assert!(
        is_reused(&["beta.test"], "SIP/2.0/TLS sip.beta.test;alias", "beta.test"),
        "wherever it says that it is"
    );
    assert!(!is_reused(&["beta.test"], VIA, "beta.test"), "it has not asked");
    assert!(!is_reused(&[], &format!("{VIA};alias"), "beta.test"), "it has proven nothing");
    assert!(!is_reused(&["beta.test"], &format!("{VIA};alias"), "gamma.test"), "it is not that domain");
    assert!(
        !is_reused(&["beta.test"], "SIP/2.0/TLS 203.0.113.9:5071;alias", "beta.test"),
        "it is not that server"
    );
}

#[test]
fn a_connection_of_ours_is_used_for_every_domain_that_its_server_has_proven() {
    let mut house = House::new(1);
    house.proven = vec!["beta.test".to_owned(), "gamma.test".to_owned()];
    let mut ask = |to: &str, branch: &str| {
        house.names.insert(to.to_owned(), vec!["203.0.113.9".parse().unwrap()]);
        let parties = ("<sip:alice@falcot.com>;tag=a", &*format!("<sip:x@{to}>"));
        let uri = format!("sip:x@{to};transport=tls");
        house.datagram(ALICE, &request("MESSAGE", &uri, ALICE, branch, parties, ""));
        house.dialled.len()
    };
    assert_eq!([ask("beta.test", "1"), ask("gamma.test", "2"), ask("delta.test", "3")], [1, 1, 2]);
}

/// A house of two domains, the second of which has an alias; alice is in both.
fn of_two_domains() -> House {
    let (first, second) = (Domain::new("falcot.com").unwrap(), Domain::new("second.test").unwrap());
    let alias = [Domain::new("sip.second.test").unwrap()];
    let mut house = House::new(1);
    let address = Address::within("alice", &second).unwrap();
    let account = Account { address: address.clone(), keys: Keys::default() };
    let directory = directory().with_domains([(&first, &[][..]), (&second, &alias[..])]);
    let directory = directory.with([(address, Some(Arc::new(account)))]);
    house.stacks[0].set_directory(house.now, Arc::new(directory));
    house
}

#[test]
fn an_answer_by_a_new_connection_is_given_by_the_domain_that_was_asked() {
    let mut house = of_two_domains();
    house.disk_stalls = true;
    for (n, (transport, domain, by)) in [
        (Transport::Tls, "second.test", "second.test"),
        (Transport::Tls, "sip.second.test", "second.test"),
        (Transport::Tls, "falcot.com", ""),
        (Transport::Tcp, "second.test", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let peer = format!("198.51.100.{}:5061", n + 10);
        let conn = house.connect(0, transport, &peer.replace("5061", "41000"));
        let alice = format!("<sip:alice@{domain}>");
        let contact = format!("Contact: <sip:alice@{peer};transport=tcp>\r\n");
        let parties = (&*format!("{alice};tag=r"), &*alice);
        let text = request("REGISTER", &format!("sip:{domain}"), &peer, "r", parties, &contact);
        let via = if transport == Transport::Tls { "SIP/2.0/TLS" } else { "SIP/2.0/TCP" };
        house.stream(conn, &text.replace("SIP/2.0/UDP", via));
        house.input(0, Input::Closed { conn });
        let (worker, token) = house.held[n];
        let sent = house.input(worker, Input::Stored { token, durable: true });
        assert_eq!(lines(&sent), [(&*peer, "SIP/2.0 200 OK")]);
        assert_eq!(house.spoken_for[n], by, "{domain}");
    }
}

/// One that is shown one certificate of ours is not taken for another domain's; the peer's own is anybody's.
#[test]
fn each_domain_of_ours_speaks_by_a_connection_of_its_own() {
    let mut house = of_two_domains();
    house.proven = vec!["beta.test".to_owned(), "gamma.test".to_owned()];
    for name in ["beta.test", "gamma.test"] {
        house.names.insert(name.to_owned(), vec!["203.0.113.9".parse().unwrap()]);
    }
    let ask = |house: &mut House, from: &str, to: &str, branch: &str| {
        let parties = (&*format!("<sip:alice@{from}>;tag=a"), &*format!("<sip:x@{to}>"));
        let uri = format!("sip:x@{to};transport=tls");
        house.datagram(ALICE, &request("MESSAGE", &uri, ALICE, branch, parties, ""));
        house.spoken_for.clone()
    };
    assert_eq!(ask(&mut house, "falcot.com", "beta.test", "1"), [""]);
    assert_eq!(ask(&mut house, "second.test", "beta.test", "2"), ["", "second.test"]);
    assert_eq!(ask(&mut house, "sip.second.test", "gamma.test", "3").len(), 2, "the same once more");
    assert_eq!(ask(&mut house, "falcot.com", "gamma.test", "4").len(), 2);

    let conn = house.connect_as(0, Transport::Tls, "203.0.113.8:40000", &["delta.test"]);
    let parties = ("<sip:x@delta.test>;tag=a", "<sip:bob@falcot.com>");
    let from_peer = request("MESSAGE", "sip:bob@falcot.com", "203.0.113.8:5061", "5", parties, "");
    house.stream(
        conn,
        &from_peer.replace("SIP/2.0/UDP 203.0.113.8:5061", "SIP/2.0/TLS 203.0.113.8:5061;alias"),
    );
    house.names.insert("delta.test".to_owned(), vec!["203.0.113.8".parse().unwrap()]);
    for (from, branch) in [("second.test", "6"), ("falcot.com", "7")] {
        assert_eq!(ask(&mut house, from, "delta.test", branch).len(), 2);
    }
}

#[test]
fn an_address_has_to_prove_again_what_it_has_proven_there() {
    let mut house = House::new(1);
    house.names.insert("beta.test".to_owned(), vec!["203.0.113.9".parse().unwrap()]);
    let ask = |house: &mut House, uri: &str, branch: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@beta.test>");
        house.datagram(ALICE, &request("MESSAGE", uri, ALICE, branch, parties, ""));
        house.expected.clone()
    };
    let by_address = "sip:x@203.0.113.9:5061;transport=tls";
    assert_eq!(ask(&mut house, by_address, "1"), ["203.0.113.9"]);
    let conn = house.stream_to("203.0.113.9:5061");
    house.input(0, Input::Closed { conn });
    assert_eq!(ask(&mut house, "sip:x@beta.test;transport=tls", "2"), ["203.0.113.9", "beta.test"]);
    assert_eq!(ask(&mut house, by_address, "3").len(), 2, "the connection to beta.test is there");
    let conn = house.stream_to("203.0.113.9:5061");
    house.input(0, Input::Closed { conn });
    house.accepts = false;
    assert_eq!(ask(&mut house, by_address, "4")[2], "beta.test");
    assert_eq!(ask(&mut house, by_address, "5")[3], "203.0.113.9", "it is not any more");
}

#[test]
fn servers_of_other_domains_find_us_by_our_own() {
    let mut house = House::new(1);
    house.names.insert("beta.test".to_owned(), vec!["203.0.113.9".parse().unwrap()]);
    let ours = ("<sip:alice@falcot.com>;tag=a", "<sip:x@beta.test>");
    let contact = "Contact: <sip:alice@198.51.100.1:5060>\r\n";
    let sent =
        house.datagram(ALICE, &request("INVITE", "sip:x@beta.test;transport=tls", ALICE, "1", ours, contact));
    let routes = sent[1].header("Record-Route");
    assert!(routes[0].ends_with("@falcot.com;transport=tls;lr>"), "{}", routes[0]);
    assert!(routes[1].ends_with("@192.0.2.1:5060;lr>"), "{}", routes[1]);
    // The other way round; and a phone of ours is no such server.
    house.datagram(ALICE, &register().replace("SIP/2.0/TCP", "SIP/2.0/UDP").replace(";transport=tcp", ""));
    let (domain, address) = ("@falcot.com;transport=tls;lr>", "@192.0.2.1:5061;transport=tls;lr>");
    for (from, proven, named) in [
        ("sip:x@beta.test", &["beta.test"][..], domain),
        ("sip:y@beta.test", &[], address),
        ("sip:alice@falcot.com", &["falcot.com"], address),
    ] {
        let conn = house.connect_as(0, Transport::Tls, "203.0.113.9:40000", proven);
        let parties = (&*format!("<{from}>;tag=a"), "<sip:bob@falcot.com>");
        let text = request(
            "INVITE",
            "sip:bob@falcot.com",
            "203.0.113.9",
            from,
            parties,
            "Contact: <sip:x@203.0.113.9>\r\n",
        );
        let sent = house.stream(conn, &text.replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
        let routes = sent[1].header("Record-Route");
        assert!(routes[1].ends_with(named), "{}", routes[1]);
    }
}

/// Telephones that verify certificates (pjsip) expect the name that they know in whatever leads back here.
#[test]
fn whoever_comes_by_tls_is_led_back_by_the_name_that_it_has_asked_for() {
    let (mut house, mut number) = (House::new(2), 0);
    let routed = |port: &str| format!("Route: <sip:falcot.com{port};transport=tls;lr>\r\n");
    let address = "192.0.2.1:5061";
    for (asked, uri, route, expected) in [
        ("falcot.com", "sip:falcot.com;transport=tls", "", "falcot.com"),
        ("sip.falcot.com", "sip:SIP.falcot.com", "", "sip.falcot.com"),
        ("falcot.com", "sip:falcot.com:5061", "", "falcot.com:5061"),
        ("falcot.com", "sip:falcot.com:443;transport=tls", "", address),
        ("falcot.com", "sip:sip.falcot.com", &routed(":5061"), "falcot.com:5061"),
        // Nothing listens there, or it has come by another name than the one it writes: who knows whether that one leads here.
        ("sip.falcot.com", "sip:falcot.com", "", address),
        ("sip.falcot.com", "sip:sip.falcot.com", &routed(""), address),
        ("", "sip:falcot.com", "", address),
        ("beta.test", "sip:falcot.com", "", address),
    ] {
        // At the home of the address, and elsewhere.
        for worker in [0, 1] {
            number += 1;
            let conn = house.connect(worker, Transport::Tls, &format!("198.51.100.2:{}", 41_000 + number));
            if !asked.is_empty() {
                house.input(worker.into(), Input::Asked { conn, name: asked.into() });
            }
            let (bob, branch) = ("<sip:bob@falcot.com>", number.to_string());
            let more =
                format!("Supported: path\r\n{route}Contact: <sip:bob@10.0.0.2:5060;transport=tls>\r\n");
            let text =
                request("REGISTER", uri, "10.0.0.2:5060", &branch, (&format!("{bob};tag=r"), bob), &more);
            let sent = house.stream(conn, &text.replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
            let led = format!("<sip:{expected};transport=tls;lr>");
            assert_eq!(sent[0].header("Service-Route"), [&*led], "{uri} {asked}: {}", sent[0].text);
        }
    }
    // Within a call: bob, by the last stream, and alice by one whose name he does not share.
    let conn = house.connect(0, Transport::Tls, "198.51.100.1:50000");
    house.input(0, Input::Asked { conn, name: "sip.falcot.com".into() });
    for (branch, host, expected) in
        [("c1", "sip.falcot.com", "@sip.falcot.com;"), ("c2", "falcot.com", "@192.0.2.1:5061;")]
    {
        let text = invite(branch).replace("INVITE sip:bob@falcot.com", &format!("INVITE sip:bob@{host}"));
        let sent = house.stream(conn, &text.replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
        let invite = sent.iter().find(|sent| sent.first_line().starts_with("INVITE ")).unwrap();
        let routes = invite.header("Record-Route");
        assert!(routes[1].contains(expected) && routes[1].ends_with(";transport=tls;lr>"), "{routes:?}");
    }
}

/// Datagrams may do without a length; on a stream nobody could say where the message ends.
#[test]
fn answers_that_go_on_by_a_stream_say_how_long_they_are() {
    for (n, status) in ["180 Ringing", "200 OK", "486 Busy Here"].into_iter().enumerate() {
        let mut house = House::new(1);
        let phone = "198.51.100.9:5060";
        crate::call::register(&mut house, "bob", phone);
        let conn = house.connect(0, Transport::Tcp, ALICE);
        let sent = house.stream(conn, &tcp(&invite(&n.to_string())));
        let copy = sent.iter().find(|sent| sent.to == phone).expect("the call");
        let said = answer(
            &copy.text,
            status,
            "b",
            "Contact: <sip:bob@198.51.100.9>\r\nContent-Type: text/plain\r\n",
        );
        let said = said.replace("Content-Length: 0\r\n\r\n", "\r\nhello");
        let heard = house.datagram(phone, &said);
        let heard = heard.iter().find(|sent| sent.to == ALICE).expect("the answer");
        assert_eq!(
            (heard.header("Content-Length"), heard.text.ends_with("\r\n\r\nhello")),
            (vec!["5"], true),
            "{heard:?}"
        );
    }
}
