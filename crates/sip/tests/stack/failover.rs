//! The next target (RFC 3263 §4.3): tried at once when one fails, and before the one that failed for a while after.

use crate::house::{House, Sent};
use crate::{answer, request};
use sip::stack::Input;
use std::time::Duration;
use wire::Transport;

const ALICE: &str = "198.51.100.1:5060";
const FIRST: &str = "203.0.113.1:5060";
const SECOND: &str = "203.0.113.2:5060";

/// A name with two addresses.
fn house() -> House {
    let mut house = House::new(1);
    let addresses = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().unwrap());
    house.names.insert("peer.example".to_owned(), addresses.to_vec());
    house
}

fn call(method: &str, branch: &str, param: &str) -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@peer.example>");
    let contact = "Contact: <sip:alice@198.51.100.1:5060>\r\n";
    request(method, &format!("sip:x@peer.example{param}"), ALICE, branch, parties, contact)
}

fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    let short = |sent: &Sent| sent.first_line().len().min(12);
    sent.iter().map(|sent| (sent.to.as_str(), &sent.first_line()[..short(sent)])).collect()
}

/// Which target a new request goes to first.
fn first_of(house: &mut House, branch: &str) -> String {
    let sent = house.datagram(ALICE, &call("MESSAGE", branch, ""));
    let out = sent.last().unwrap();
    house.datagram(&out.to, &answer(&out.text, "486 Busy Here", "x", ""));
    house.wait(Duration::from_millis(100));
    out.to.clone()
}

#[test]
fn a_closed_port_is_left_at_once_and_tried_last_for_a_while() {
    let mut house = house();
    let sent = house.datagram(ALICE, &call("INVITE", "1", ""));
    assert_eq!(sent[1].to, FIRST);
    let sent = house.input(0, Input::Unreachable { peer: FIRST.parse().unwrap() });
    assert_eq!(lines(&sent), [(SECOND, "INVITE sip:x")]);
    assert_eq!(first_of(&mut house, "2"), SECOND);
    house.wait(Duration::from_secs(31));
    assert_eq!(first_of(&mut house, "3"), FIRST, "it ages");
}

#[test]
fn a_target_that_is_listed_is_tried_last_and_forgiven_when_it_answers() {
    let mut house = house();
    house.datagram(ALICE, &call("INVITE", "1", ""));
    house.input(0, Input::Unreachable { peer: FIRST.parse().unwrap() });
    house.input(0, Input::Unreachable { peer: SECOND.parse().unwrap() });
    let sent = house.datagram(ALICE, &call("INVITE", "2", ""));
    assert_eq!(sent[1].to, FIRST, "where all have failed, all are tried");
    let sent = house.input(0, Input::Unreachable { peer: FIRST.parse().unwrap() });
    assert_eq!(sent[0].to, SECOND);
    let sent = house.datagram(SECOND, &answer(&sent[0].text, "486 Busy Here", "x", ""));
    assert!(sent.iter().any(|sent| sent.to == ALICE && sent.first_line().contains("486")));
    assert_eq!(first_of(&mut house, "3"), SECOND);
}

#[test]
fn a_503_moves_on_and_says_for_how_long() {
    for (more, soon, later) in
        [("", 29, 31), ("Retry-After: 60 (maintenance)\r\n", 59, 61), ("Retry-After: 99999\r\n", 299, 301)]
    {
        let mut house = house();
        let sent = house.datagram(ALICE, &call("INVITE", "1", ""));
        let refused = answer(&sent[1].text, "503 Service Unavailable", "x", more);
        let sent = house.datagram(FIRST, &refused);
        assert_eq!(lines(&sent), [(FIRST, "ACK sip:x@pe"), (SECOND, "INVITE sip:x")]);
        house.datagram(SECOND, &answer(&sent[1].text, "486 Busy Here", "x", ""));
        house.wait(Duration::from_secs(soon));
        assert_eq!(first_of(&mut house, "2"), SECOND, "{more}");
        house.wait(Duration::from_secs(later - soon));
        assert_eq!(first_of(&mut house, "3"), FIRST, "{more}");
    }
}

#[test]
fn a_refused_or_closed_connection_moves_on() {
    let mut house = house();
    house.accepts = false;
    let sent = house.datagram(ALICE, &call("INVITE", "1", ";transport=tcp"));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 100 "), (ALICE, "SIP/2.0 503 ")]);
    assert_eq!(house.dialled, [FIRST, SECOND].map(|to| to.parse().unwrap()));
    let why = format!("Warning: 399 parlour \"peer.example (tcp {SECOND}): connection refused\"");
    assert!(sent[1].text.contains(&why), "{}", sent[1].text);
    house.accepts = true;
    house.wait(Duration::from_secs(31));
    let sent = house.datagram(ALICE, &call("INVITE", "2", ";transport=tcp"));
    assert_eq!(sent[1].to, FIRST);
    let conn = house.stream_to(FIRST);
    let sent = house.input(0, Input::Closed { conn });
    assert_eq!(lines(&sent), [(SECOND, "INVITE sip:x")]);
    let sent = house.datagram(ALICE, &call("INVITE", "3", ";transport=tcp"));
    assert_eq!(sent[1].to, SECOND);
    assert_eq!(first_of(&mut house, "4"), FIRST, "by UDP it has not failed");
}

#[test]
fn who_is_silent_for_too_long_is_tried_last() {
    let mut house = house();
    house.datagram(ALICE, &call("INVITE", "1", ""));
    let sent = house.wait(Duration::from_secs(33));
    assert!(sent.iter().any(|sent| sent.to == SECOND));
    assert_eq!(first_of(&mut house, "2"), SECOND);
}

#[test]
fn an_error_of_the_network_does_not_end_what_rings() {
    let mut house = house();
    let sent = house.datagram(ALICE, &call("INVITE", "1", ""));
    let invite = sent[1].text.clone();
    house.datagram(FIRST, &answer(&invite, "180 Ringing", "x", ""));
    assert!(house.input(0, Input::Unreachable { peer: FIRST.parse().unwrap() }).is_empty());
    let ok = answer(&invite, "200 OK", "x", "Contact: <sip:x@203.0.113.1>\r\n");
    assert_eq!(lines(&house.datagram(FIRST, &ok)), [(ALICE, "SIP/2.0 200 ")]);
    assert_eq!(first_of(&mut house, "2"), FIRST, "nor is it listed");
}

/// A phone whose Contact is its address of record, on a stream: within the dialog it is reached by its own stream,
/// though another phone of the same account has registered since.
#[test]
fn a_contact_at_our_own_domain_is_reached_by_the_flow_of_its_dialog() {
    let mut house = House::new(1);
    let caller = house.connect(0, Transport::Tcp, "198.51.100.7:41000");
    let (alice, bob) = ("<sip:alice@falcot.com>", "<sip:bob@falcot.com>");
    let bobs = "198.51.100.2:5060";
    for (aor, at) in [(bob, bobs), (alice, "198.51.100.9:5060")] {
        let more = format!("Contact: <sip:p@{at}>\r\n");
        let branch = format!("r{}", at.len() + at.matches('9').count());
        house.datagram(
            at,
            &request("REGISTER", "sip:falcot.com", at, &branch, (&format!("{aor};tag=r"), aor), &more),
        );
    }
    let invite = request(
        "INVITE",
        "sip:bob@falcot.com",
        "10.0.0.7:5060",
        "i",
        (&format!("{alice};tag=a"), bob),
        &format!("Contact: {alice}\r\n"),
    );
    let sent = house.stream(caller, &invite.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let heard = sent.iter().find(|sent| sent.to == bobs).unwrap();
    let routes: String = heard.header("Record-Route").iter().map(|r| format!("Route: {r}\r\n")).collect();
    house.datagram(bobs, &answer(&heard.text, "200 OK", "b", &format!("Contact: <sip:p@{bobs}>\r\n")));
    let within = |method: &str, branch: &str| {
        let parties = (&*format!("{bob};tag=b"), &*format!("{alice};tag=a"));
        request(method, "sip:alice@falcot.com", bobs, branch, parties, &routes)
            .replace(&format!("call-{branch}@{bobs}"), "call-i@10.0.0.7:5060")
    };
    for method in ["BYE", "ACK"] {
        let sent = house.datagram(bobs, &within(method, method));
        assert_eq!(sent.last().unwrap().to, "198.51.100.7:41000", "{method}");
    }
    house.input(0, Input::Closed { conn: caller });
    let sent = house.datagram(bobs, &within("INFO", "info"));
    assert_eq!(sent.last().unwrap().to, "198.51.100.9:5060", "without its stream, wherever its user is");
}

#[test]
fn what_is_too_long_for_a_datagram_goes_by_tcp_and_by_udp_where_that_is_refused() {
    let long = |branch: &str| {
        call("INVITE", branch, "").replace("Contact", &format!("X: {}\r\nContact", "x".repeat(1000)))
    };
    let mut house = house();
    let sent = house.datagram(ALICE, &long("1"));
    assert_eq!(lines(&sent)[1], (FIRST, "INVITE sip:x"));
    assert!(sent[1].header("Via")[0].starts_with("SIP/2.0/TCP 192.0.2.1:5060;"), "{}", sent[1].text);
    assert_eq!(house.dialled, [FIRST.parse().unwrap()]);
    let mut refusing = self::house();
    refusing.accepts = false;
    let sent = refusing.datagram(ALICE, &long("1"));
    assert_eq!((refusing.dialled.len(), sent[1].to.as_str()), (1, FIRST));
    assert!(sent[1].header("Via")[0].starts_with("SIP/2.0/UDP 192.0.2.1:5060;"));
    let sent = refusing.datagram(ALICE, &long("2"));
    assert_eq!(
        (refusing.dialled.len(), sent[1].to.as_str()),
        (1, FIRST),
        "its TCP is tried last for a while"
    );
    house.accepts = false;
    let short = call("INVITE", "3", "");
    let sent = house.datagram(ALICE, &short);
    assert!(sent[1].header("Via")[0].starts_with("SIP/2.0/UDP"));
}

/// Many a provider takes datagrams alone, behind a firewall that says nothing to all else: nobody waits long for that, nor often.
#[test]
fn what_is_too_long_for_a_datagram_is_one_soon_where_nobody_takes_the_connection() {
    let long = |branch: &str| {
        call("INVITE", branch, "").replace("Contact", &format!("X: {}\r\nContact", "x".repeat(1000)))
    };
    let mut house = house();
    house.silent_dials = true;
    let sent = house.datagram(ALICE, &long("1"));
    assert_eq!((sent.len(), house.dialled.len()), (1, 1), "{sent:?}");
    assert!(house.wait(Duration::from_millis(1900)).is_empty());
    let sent = house.wait(Duration::from_millis(200));
    assert_eq!(lines(&sent), [(FIRST, "INVITE sip:x")]);
    assert!(sent[0].header("Via")[0].starts_with("SIP/2.0/UDP 192.0.2.1:5060;"));
    house.datagram(FIRST, &answer(&sent[0].text, "486 Busy Here", "b", ""));
    for (branch, wait) in [("2", 0), ("3", 290)] {
        house.wait(Duration::from_secs(wait));
        let sent = house.datagram(ALICE, &long(branch));
        assert_eq!((lines(&sent)[1].0, house.dialled.len()), (FIRST, 1), "{branch}");
        house.datagram(FIRST, &answer(&sent[1].text, "486 Busy Here", "b", ""));
    }
    house.wait(Duration::from_secs(70));
    assert_eq!(house.transactions(), 0);
    house.datagram(ALICE, &long("4"));
    assert_eq!(house.dialled.len(), 2, "perhaps it takes them by now");
    // Where streams are named, they have the time that they may take.
    let mut house = self::house();
    house.silent_dials = true;
    house.datagram(ALICE, &call("INVITE", "5", ";transport=tcp"));
    for (wait, dialled) in [(9, 1), (2, 2)] {
        house.wait(Duration::from_secs(wait));
        assert_eq!(house.dialled.len(), dialled);
    }
}

/// A phone that registered by UDP listens to nothing else.
#[test]
fn phones_get_long_requests_as_they_registered() {
    let mut house = House::new(1);
    let (bob, at) = ("<sip:bob@falcot.com>", "198.51.100.2:5060");
    let more = format!("Contact: <sip:bob@{at}>\r\n");
    house
        .datagram(at, &request("REGISTER", "sip:falcot.com", at, "r", (&format!("{bob};tag=r"), bob), &more));
    let more = format!("X: {}\r\n", "x".repeat(2000));
    let parties = ("<sip:alice@falcot.com>;tag=a", bob);
    let sent = house.datagram(ALICE, &request("INVITE", "sip:bob@falcot.com", ALICE, "1", parties, &more));
    assert_eq!(sent[1].to, at);
    assert!(house.dialled.is_empty());
}

#[test]
fn addresses_inside_are_reached_by_those_who_registered_from_there_alone() {
    let message = |to: &str, branch: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:x@example.net>");
        request("MESSAGE", &format!("sip:x@{to}"), ALICE, branch, parties, "")
    };
    let insides = [
        "127.0.0.1:8080",
        "10.0.0.1",
        "169.254.169.254:80;transport=tcp",
        "[::1]",
        "[fd00::1]",
        "internal.example",
    ];
    let names = |house: &mut House| {
        house.names.insert("internal.example".to_owned(), vec!["192.168.1.1".parse().unwrap()]);
    };
    let mut house = House::new(1);
    names(&mut house);
    for (n, to) in insides.iter().enumerate() {
        let sent = house.datagram(ALICE, &message(to, &n.to_string()));
        assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 ")], "{to}");
    }
    assert!(house.dialled.is_empty());
    let allow = |text: &str, prefix| (text.parse().unwrap(), prefix);
    let mut house = House::with(1, |config| {
        config.targets = vec![allow("192.168.0.0", 16), allow("10.0.0.1", 32)];
    });
    names(&mut house);
    for (to, reached) in
        [("internal.example", "192.168.1.1:5060"), ("10.0.0.1", "10.0.0.1:5060"), ("10.0.0.2", ALICE)]
    {
        let sent = house.datagram(ALICE, &message(to, &format!("a{reached}")));
        assert_eq!(sent[0].to, reached);
    }
}

#[test]
fn domains_are_found_by_their_records() {
    use wire::names::{Naptr, Srv};
    let mut house = House::new(1);
    let record = |service: &str, replacement: &str, order| Naptr {
        order,
        preference: 0,
        service: service.into(),
        replacement: replacement.into(),
    };
    let server = |priority, target: &str| Srv { priority, weight: 0, port: 5070, target: target.into() };
    house.naptr.insert("peer.example".into(), vec![record("SIP+D2T", "_sip._tcp.peer.example", 1)]);
    house.srv.insert("_sip._tcp.peer.example".into(), vec![server(2, "b.example"), server(1, "a.example")]);
    house.names.insert("a.example".into(), vec!["203.0.113.1".parse().unwrap()]);
    house.names.insert("b.example".into(), vec!["203.0.113.2".parse().unwrap()]);
    house.accepts = false;
    house.datagram(ALICE, &call("INVITE", "1", ""));
    assert_eq!(house.dialled, ["203.0.113.1:5070", "203.0.113.2:5070"].map(|to| to.parse().unwrap()));
}

/// What leaves for bob after a registration of his with this Contact line from `source`, which names itself `via`.
fn called(house: &mut House, source: &str, contact: &str) -> Vec<String> {
    let bob = "<sip:bob@falcot.com>";
    let text = request("REGISTER", "sip:falcot.com", source, "r", (&format!("{bob};tag=r"), bob), contact);
    assert_eq!(house.datagram(source, &text)[0].first_line(), "SIP/2.0 200 OK");
    let parties = ("<sip:alice@falcot.com>;tag=a", bob);
    let sent = house.datagram(ALICE, &request("MESSAGE", "sip:bob@falcot.com", ALICE, "m", parties, ""));
    sent.into_iter().map(|sent| sent.to).collect()
}

#[test]
fn nobody_registers_what_lies_further_inside_than_whoever_registers() {
    const OUTSIDE: &str = "203.0.113.9:5060";
    const INSIDE: &str = "10.0.0.5:5060";
    const LINK: &str = "169.254.1.1:5060";
    const HOST: &str = "127.0.0.9:5060";
    for (source, contact, reached) in [
        // A name, a Path, and an address where the flow says so already.
        (OUTSIDE, "Contact: <sip:x@host.example:25>\r\n", ALICE),
        (OUTSIDE, "Contact: <sip:x@private.example>\r\n", ALICE),
        (OUTSIDE, "Contact: <sip:x@203.0.113.9>\r\nPath: <sip:127.0.0.1:25;lr>\r\n", ALICE),
        (OUTSIDE, "Contact: <sip:x@203.0.113.9>\r\nPath: <sip:private.example;lr>\r\n", ALICE),
        (OUTSIDE, "Contact: <sip:x@127.0.0.1:25>\r\n", OUTSIDE),
        (INSIDE, "Contact: <sip:x@private.example>\r\n", "10.0.0.7:5060"),
        (INSIDE, "Contact: <sip:x@10.0.0.6>\r\n", "10.0.0.6:5060"),
        (INSIDE, "Contact: <sip:x@10.0.0.6>\r\nPath: <sip:10.0.0.5;lr>\r\n", INSIDE),
        (INSIDE, "Contact: <sip:x@127.0.0.1:25>\r\n", INSIDE),
        (INSIDE, "Contact: <sip:x@host.example:25>\r\n", ALICE),
        (LINK, "Contact: <sip:x@169.254.1.1>\r\n", LINK),
        (LINK, "Contact: <sip:x@127.0.0.1:25>\r\n", LINK),
        (HOST, "Contact: <sip:x@host.example:25>\r\n", "127.0.0.1:25"),
    ] {
        let mut house = House::new(1);
        house.names.insert("host.example".to_owned(), vec!["127.0.0.1".parse().unwrap()]);
        house.names.insert("private.example".to_owned(), vec!["10.0.0.7".parse().unwrap()]);
        assert_eq!(called(&mut house, source, contact), [reached], "{source} {contact}");
        // The same after a restart.
        house.restart();
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
        let again = request("MESSAGE", "sip:bob@falcot.com", ALICE, "n", parties, "");
        assert_eq!(house.datagram(ALICE, &again)[0].to, reached, "{source} {contact}");
    }
}

#[test]
fn the_address_behind_a_closed_stream_may_not_lie_inside() {
    let mut house = House::new(1);
    let conn = house.connect(0, wire::Transport::Tcp, "203.0.113.9:40000");
    let bob = "<sip:bob@falcot.com>";
    let contact = "Contact: <sip:x@127.0.0.1:25>\r\n";
    let via = "203.0.113.9:5060";
    let text = request("REGISTER", "sip:falcot.com", via, "r", (&format!("{bob};tag=r"), bob), contact);
    house.stream(conn, &text.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    house.input(0, sip::Input::Closed { conn });
    let parties = ("<sip:alice@falcot.com>;tag=a", bob);
    let sent = house.datagram(ALICE, &request("MESSAGE", "sip:bob@falcot.com", ALICE, "m", parties, ""));
    assert_eq!(sent.iter().map(|sent| sent.to.as_str()).collect::<Vec<_>>(), [ALICE]);
}

#[test]
fn a_transport_that_is_not_spoken_is_told() {
    let mut house = House::with(1, |config| {
        config.listeners.all.retain(|listener| listener.transport != Transport::Tls);
    });
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let sent = house.datagram(ALICE, &call("MESSAGE", "1", ";transport=tls"));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 ")]);
    assert!(sent[0].text.contains("\"peer.example: this server does not speak tls\""), "{}", sent[0].text);
}
