//! What sips promises: TLS all the way, neither given up nor made up on the way (RFC 3261 §26.2.2, RFC 5630).

use crate::house::{House, Sent};
use crate::{answer, request};
use wire::{ConnectionId, Transport};

const ALICE: &str = "198.51.100.1:5061";
const BOB: &str = "198.51.100.2:41000";

fn tls(text: &str) -> String {
    text.replace("SIP/2.0/UDP", "SIP/2.0/TLS")
}

/// Bob registers over TLS: the Request-URI's scheme, and that of his Contact.
fn register(scheme: &str, contact: &str, more: &str) -> String {
    let bob = "<sip:bob@falcot.com>";
    let contact = format!("Contact: <{contact}:bob@10.0.0.2:5061>{more}");
    tls(&request(
        "REGISTER",
        &format!("{scheme}:falcot.com"),
        "10.0.0.2:5061",
        "r",
        (&format!("{bob};tag=r"), bob),
        &contact,
    ))
}

fn call(method: &str, uri: &str, branch: &str, more: &str) -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let contact = format!("Contact: <sips:alice@198.51.100.1:5061>\r\n{more}");
    tls(&request(method, uri, ALICE, branch, parties, &contact))
}

fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    sent.iter().map(|sent| (sent.to.as_str(), sent.first_line())).collect()
}

/// A house at which bob has registered, and alice's connection.
fn house(scheme: &str, contact: &str) -> (House, ConnectionId) {
    let mut house = House::new(1);
    let bob = house.connect(0, Transport::Tls, BOB);
    let sent = house.stream(bob, &register(scheme, contact, "\r\n"));
    assert_eq!(lines(&sent), [(BOB, "SIP/2.0 200 OK")]);
    let alice = house.connect(0, Transport::Tls, ALICE);
    (house, alice)
}

#[test]
fn a_sips_request_reaches_whom_has_registered_so_and_is_recorded_so() {
    let (mut house, alice) = house("sips", "sips");
    let sent = house.stream(alice, &call("INVITE", "sips:bob@falcot.com", "1", ""));
    assert_eq!(lines(&sent)[1], (BOB, "INVITE sips:bob@10.0.0.2:5061 SIP/2.0"));
    let routes = sent[1].header("Record-Route");
    assert_eq!(routes.len(), 2);
    for route in routes {
        assert!(route.starts_with("<sips:") && route.ends_with("@192.0.2.1:5061;lr>"), "{route}");
    }
}

#[test]
fn a_sip_request_to_a_sips_phone_stays_sip_and_goes_by_tls() {
    let (mut house, alice) = house("sips", "sips");
    let sent = house.stream(alice, &call("INVITE", "sip:bob@falcot.com", "1", ""));
    assert_eq!(lines(&sent)[1], (BOB, "INVITE sip:bob@10.0.0.2:5061 SIP/2.0"));
    assert!(sent[1].header("Via")[0].starts_with("SIP/2.0/TLS "));
    assert!(sent[1].header("Record-Route").iter().all(|route| route.starts_with("<sip:")));
}

#[test]
fn a_sips_request_is_not_for_a_sip_phone_even_on_tls() {
    let (mut house, alice) = house("sip", "sip");
    let sent = house.stream(alice, &call("INVITE", "sips:bob@falcot.com", "1", ""));
    assert_eq!(lines(&sent)[1], (ALICE, "SIP/2.0 480 Temporarily Unavailable"));
    assert_eq!(sent[1].header("Warning"), ["380 parlour \"SIPS Not Allowed\""]);
    let sent = house.stream(alice, &call("MESSAGE", "sips:joe@falcot.com", "2", ""));
    assert!(sent[0].header("Warning").is_empty(), "whoever is nowhere is just that: {}", sent[0].text);
}

#[test]
fn a_sips_request_that_has_not_come_by_tls_is_refused() {
    let (mut house, _) = house("sips", "sips");
    let text = call("INVITE", "sips:bob@falcot.com", "1", "").replace("SIP/2.0/TLS", "SIP/2.0/UDP");
    let sent = house.datagram(ALICE, &text);
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 480 Temporarily Unavailable")]);
    assert_eq!(sent[0].header("Warning"), ["380 parlour \"SIPS Not Allowed\""]);
}

#[test]
fn a_sips_contact_is_sips_throughout_or_refused() {
    for (text, status) in [
        (register("sip", "sips", "\r\n"), "SIP/2.0 400 SIPS Contact Without SIPS"),
        (register("sips", "sips", ", <sip:bob@10.0.0.3>\r\n"), "SIP/2.0 400 SIPS Contact Without SIPS"),
        (
            register("sips", "sips", "\r\nPath: <sip:203.0.113.1;lr>\r\n"),
            "SIP/2.0 400 SIPS Contact Without SIPS",
        ),
        (register("sips", "sips", "\r\nPath: <sips:203.0.113.1;lr>\r\n"), "SIP/2.0 200 OK"),
        (register("sips", "sip", "\r\n"), "SIP/2.0 200 OK"),
        (register("sip", "sips", ";expires=0\r\n"), "SIP/2.0 200 OK"),
    ] {
        let mut house = House::new(1);
        let bob = house.connect(0, Transport::Tls, BOB);
        let sent = house.stream(bob, &text);
        assert_eq!(lines(&sent), [(BOB, status)], "{text}");
    }
    let mut house = House::new(1);
    let text = register("sips", "sips", "\r\n").replace("SIP/2.0/TLS", "SIP/2.0/UDP");
    let sent = house.datagram(BOB, &text);
    assert!(!lines(&sent)[0].1.contains("200"), "it has not come by TLS: {}", sent[0].text);
}

#[test]
fn a_sips_uri_elsewhere_and_its_routes_lead_over_tls_alone() {
    let (mut house, alice) = house("sips", "sips");
    house.names.insert("peer.example".to_owned(), vec!["203.0.113.1".parse().unwrap()]);
    let sent = house.stream(alice, &call("MESSAGE", "sips:x@peer.example", "1", ""));
    assert_eq!(lines(&sent), [("203.0.113.1:5061", "MESSAGE sips:x@peer.example SIP/2.0")]);
    let route = "Route: <sip:203.0.113.2;lr>\r\n";
    let sent = house.stream(alice, &call("MESSAGE", "sips:x@peer.example", "2", route));
    assert_eq!(lines(&sent), [("203.0.113.2:5061", "MESSAGE sips:x@peer.example SIP/2.0")]);
    assert!(sent[0].header("Via")[0].starts_with("SIP/2.0/TLS "));
    let route = "Route: <sip:203.0.113.2;transport=udp;lr>\r\n";
    let sent = house.stream(alice, &call("MESSAGE", "sips:x@peer.example", "3", route));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 480 Temporarily Unavailable")]);
}

#[test]
fn the_uri_of_one_sips_phone_is_sips() {
    let mut house = House::new(1);
    let bob = house.connect(0, Transport::Tls, BOB);
    let more = ";+sip.instance=\"<urn:x>\"\r\nSupported: gruu\r\n";
    let sent = house.stream(bob, &register("sips", "sips", more));
    let contact = sent[0].header("Contact")[0];
    assert!(contact.contains(";pub-gruu=\"sips:bob@falcot.com;gr=urn:x\""), "{contact}");
    assert!(contact.contains(";temp-gruu=\"sips:tgruu."), "{contact}");
}

#[test]
fn a_phone_that_names_itself_by_sips_in_a_plain_dialog_can_be_hung_up_on() {
    let (mut house, _) = house("sips", "sips");
    const CAROL: &str = "198.51.100.3:5060";
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let contact = format!("Contact: <sip:alice@{CAROL}>\r\n");
    let sent = house.datagram(CAROL, &request("INVITE", "sip:bob@falcot.com", CAROL, "1", parties, &contact));
    let (invite, bob) = (sent[1].text.clone(), house.stream_to(BOB));
    let contact = "Contact: <sips:bob@10.0.0.2:5061>\r\n";
    let sent = house.stream(bob, &answer(&invite, "200 OK", "b", contact));
    let routes: String =
        sent[0].header("Record-Route").iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>;tag=b");
    for (method, branch) in [("ACK", "2"), ("BYE", "3")] {
        let text = request(method, "sips:bob@10.0.0.2:5061", CAROL, branch, parties, &routes)
            .replace(&format!("call-{branch}@"), "call-1@");
        let sent = house.datagram(CAROL, &text);
        assert_eq!(lines(&sent), [(BOB, &*format!("{method} sips:bob@10.0.0.2:5061 SIP/2.0"))]);
    }
}
