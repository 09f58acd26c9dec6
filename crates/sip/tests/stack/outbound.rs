//! Flows of phones (RFC 5626): several per phone, one tried after the other, gone with their connections.

use crate::house::{House, Sent};
use crate::{answer, request};
use std::time::Duration;
use wire::{Address, ConnectionId, Transport};

const ALICE: &str = "198.51.100.1:5060";
const EDGE: &str = "203.0.113.5:5060";

/// A REGISTER of bob's phone over its flow `reg`.
fn register(reg: u32, branch: &str, more: &str) -> String {
    let contact = format!(
        "Contact: <sip:bob@10.0.0.2:5060;transport=tcp;pn-provider=apns;pn-prid=a%3Db;ob>;reg-id={reg};+sip.instance=\"<urn:uuid:1>\"\r\n"
    );
    let more = format!("{contact}Supported: path, outbound\r\n{more}");
    let bob = "<sip:bob@falcot.com>";
    let text =
        request("REGISTER", "sip:falcot.com", "10.0.0.2:5060", branch, (&format!("{bob};tag=r"), bob), &more);
    text.replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

fn call(house: &mut House, branch: &str) -> Vec<Sent> {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let contact = "Contact: <sip:alice@198.51.100.1>\r\n";
    house.datagram(ALICE, &request("INVITE", "sip:bob@falcot.com", ALICE, branch, parties, contact))
}

/// Two flows of one phone, to two workers.
fn two_flows(house: &mut House) -> [ConnectionId; 2] {
    let flows = [(0, "203.0.113.7:4001"), (1, "203.0.113.7:4002")]
        .map(|(worker, peer)| house.connect(worker, Transport::Tcp, peer));
    for (reg, flow) in (1..).zip(flows) {
        let sent = house.stream(flow, &register(reg, &format!("r{reg}"), ""));
        assert_eq!(sent[0].first_line(), "SIP/2.0 200 OK");
        assert_eq!(
            (sent[0].header("Require"), sent[0].header("Flow-Timer")),
            (vec!["outbound"], vec!["120"])
        );
        assert_eq!(sent[0].header("Contact").len(), usize::try_from(reg).unwrap());
        assert_eq!(sent[0].header("Service-Route"), ["<sip:192.0.2.1:5060;transport=tcp;lr>"]);
    }
    flows
}

fn bound(house: &House) -> usize {
    let bob = Address::new("bob", "falcot.com").unwrap();
    house.stacks.iter().map(|stack| stack.contacts(house.now, &bob).len()).sum()
}

#[test]
fn flows_of_one_phone_are_tried_one_after_the_other() {
    let mut house = House::new(2);
    let flows = two_flows(&mut house);
    let sent = call(&mut house, "1");
    let invites: Vec<&Sent> = sent.iter().filter(|sent| sent.first_line().starts_with("INVITE")).collect();
    assert_eq!(invites.len(), 1, "one phone, one call: {sent:?}");
    assert_eq!(invites[0].to, "203.0.113.7:4002", "the flow that was refreshed last");
    // What push services need comes out as it went in (RFC 8599).
    let line = "INVITE sip:bob@10.0.0.2:5060;transport=tcp;pn-provider=apns;pn-prid=a%3Db;ob SIP/2.0";
    assert_eq!(invites[0].first_line(), line);
    // That flow ends while it rings: the other takes over, at once.
    let sent = house.input(1, sip::stack::Input::Closed { conn: flows[1] });
    assert_eq!((sent[0].to.as_str(), sent[0].first_line()), ("203.0.113.7:4001", line));
    assert_eq!(
        (bound(&house), house.disk.values().map(Vec::len).sum::<usize>()),
        (1, 1),
        "the dead flow is dropped"
    );
    let sent = house.stream(flows[0], &answer(&sent[0].text, "200 OK", "b", ""));
    assert_eq!((sent[0].to.as_str(), sent[0].first_line()), (ALICE, "SIP/2.0 200 OK"));
}

#[test]
fn a_flow_that_an_edge_reports_failed_is_followed_by_the_next() {
    let mut house = House::new(1);
    for reg in [1, 2] {
        let path = format!("Path: <sip:flow{reg}@203.0.113.5;lr;ob>\r\n");
        let text = register(reg, &format!("r{reg}"), &path);
        let text = text
            .replacen("Via:", "Via: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKe\r\nVia:", 1)
            .replace("z9hG4bKe", &format!("z9hG4bKe{reg}"));
        assert_eq!(house.datagram(EDGE, &text)[0].first_line(), "SIP/2.0 200 OK");
    }
    let sent = call(&mut house, "1");
    assert_eq!(sent[1].header("Route"), ["<sip:flow2@203.0.113.5;lr;ob>"]);
    let sent = house.datagram(EDGE, &answer(&sent[1].text, "430 Flow Failed", "e", ""));
    assert!(sent[0].first_line().starts_with("ACK"));
    assert_eq!(sent[1].header("Route"), ["<sip:flow1@203.0.113.5;lr;ob>"]);
    let sent = house.datagram(EDGE, &answer(&sent[1].text, "486 Busy Here", "e", ""));
    assert_eq!(sent[1].first_line(), "SIP/2.0 486 Busy Here");
}

#[test]
fn a_first_hop_without_flows_is_told() {
    let mut house = House::new(1);
    let via = |text: String| text.replacen("Via:", "Via: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKe\r\nVia:", 1);
    for path in
        ["", "Path: <sip:203.0.113.5;lr>\r\n", "Path: <sip:203.0.113.6;lr;ob>, <sip:203.0.113.5;lr>\r\n"]
    {
        let sent = house.datagram(EDGE, &via(register(1, "r1", path)));
        assert_eq!(sent[0].first_line(), "SIP/2.0 439 First Hop Lacks Outbound Support", "{path}");
    }
    // Who does not ask for it is bound as ever.
    let plain = via(register(1, "r1", "")).replace("path, outbound", "path");
    assert_eq!(house.datagram(EDGE, &plain)[0].first_line(), "SIP/2.0 200 OK");
}

#[test]
fn without_any_flow_left_nobody_waits() {
    let mut house = House::new(2);
    let flows = two_flows(&mut house);
    house.input(0, sip::stack::Input::Closed { conn: flows[0] });
    house.input(1, sip::stack::Input::Closed { conn: flows[1] });
    assert_eq!((bound(&house), house.disk.len()), (0, 0));
    let sent = call(&mut house, "1");
    assert_eq!(sent.last().unwrap().first_line(), "SIP/2.0 480 Temporarily Unavailable");
    house.wait(Duration::from_secs(200));
    assert_eq!((house.transactions(), house.deadline()), (0, None));
}

#[test]
fn the_flow_timer_suits_the_transport() {
    let mut house = House::new(1);
    let text = register(1, "r1", "").replace("SIP/2.0/TCP", "SIP/2.0/UDP");
    assert_eq!(house.datagram("203.0.113.7:4001", &text)[0].header("Flow-Timer"), ["29"]);
}

/// RFC 5626 §6: one request registers one flow, the one that it comes by. Others may go with it.
#[test]
fn a_request_registers_one_flow_and_nothing_beside_it() {
    let mut house = House::new(1);
    let (one, other) = ("Contact: <sip:bob@10.0.0.2>", ";+sip.instance=\"<urn:uuid:1>\"");
    let mut number = 0;
    let mut ask = |contacts: &[&str]| {
        number += 1;
        let lines: String = contacts.iter().map(|more| format!("{one}{more}\r\n")).collect();
        let bob = "<sip:bob@falcot.com>";
        let more = format!("{lines}Supported: outbound\r\n");
        let text = request("REGISTER", "sip:falcot.com", ALICE, "r", (&format!("{bob};tag=r"), bob), &more);
        let text = text.replace("bKr", &format!("bKr{number}"));
        house.datagram(ALICE, &text.replace("CSeq: 1 ", &format!("CSeq: {number} ")))[0].clone()
    };
    let (first, second) = (format!(";reg-id=1{other}"), format!(";reg-id=2{other}"));
    let plain = ";x=1";
    for contacts in [[&*first, &*second], [&first, plain], [plain, &second]] {
        let refused = ask(&contacts);
        assert_eq!(refused.first_line(), "SIP/2.0 400 More Than One Contact With Reg-Id", "{contacts:?}");
    }
    let gone = format!("{first};expires=0");
    for contacts in [&[&*first][..], &[&*second, &gone], &[&gone, &second], &[";x=1;reg-id=1", ";y"]] {
        assert_eq!(ask(contacts).first_line(), "SIP/2.0 200 OK", "{contacts:?}");
    }
    assert_eq!(bound(&house), 1, "one URI, however it was registered");
}

/// RFC 5626 §6: where the flow of a phone does not end here, nor at a proxy that keeps it, its `reg-id` says nothing.
#[test]
fn behind_a_proxy_that_keeps_no_flows_contacts_are_told_apart_by_their_uris() {
    let mut house = House::new(1);
    for (number, host) in [(1, "10.0.0.2:5060"), (2, "10.0.0.2:6060")] {
        let text = register(1, &format!("r{number}"), "").replace("path, outbound", "path");
        let text = text.replace("bob@10.0.0.2:5060", &format!("bob@{host}"));
        let text = text.replacen("Via:", "Via: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKe\r\nVia:", 1);
        let answer = house.datagram(EDGE, &text.replace("bKe", &format!("bKe{number}")))[0].clone();
        assert_eq!(answer.first_line(), "SIP/2.0 200 OK");
        assert!(!answer.text.contains("reg-id") && answer.text.contains("+sip.instance"), "{answer:?}");
    }
    assert_eq!(bound(&house), 2);
}
