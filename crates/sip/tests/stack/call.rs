//! Calls through the proxy, message by message.

use crate::house::{House, Sent};
use crate::{answer, request};
use sip::stack::Input;
use std::time::Duration;

const ALICE: &str = "198.51.100.1:5060";
const BOB: &str = "198.51.100.2:5060";
const BOB2: &str = "198.51.100.3:5060";

pub(crate) fn register(house: &mut House, user: &str, peer: &str) {
    let more = format!("Contact: <sip:{user}@{peer}>\r\n");
    let aor = format!("<sip:{user}@falcot.com>");
    let text = request(
        "REGISTER",
        "sip:falcot.com",
        peer,
        &format!("r{user}{peer}").replace([':', '.'], ""),
        (&format!("{aor};tag=r"), &aor),
        &more,
    );
    let sent = house.datagram(peer, &text);
    assert_eq!(sent.last().map(Sent::first_line), Some("SIP/2.0 200 OK"), "{sent:?}");
    house.wait(Duration::from_secs(40));
    house.sent.clear();
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

/// A house where bob has these phones.
fn house(phones: &[&str]) -> House {
    let mut house = House::new(1);
    phones.iter().for_each(|phone| register(&mut house, "bob", phone));
    house
}

#[test]
fn a_call_from_invite_to_bye() {
    let mut house = house(&[BOB]);
    let sent = house.datagram(ALICE, &invite("1"));
    assert_eq!(
        lines(&sent),
        [(ALICE, "SIP/2.0 100 Trying"), (BOB, "INVITE sip:bob@198.51.100.2:5060 SIP/2.0")]
    );
    let out = sent[1].clone();
    assert_eq!(out.header("Max-Forwards"), ["69"]);
    assert_eq!(out.header("Via").len(), 2);
    let [route] = out.header("Record-Route")[..] else { panic!("{out:?}") };
    assert!(route.contains("@192.0.2.1:5060;lr>"), "{route}");

    let sent = house.datagram(BOB, &answer(&out.text, "180 Ringing", "b", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 180 Ringing")]);
    assert_eq!(sent[0].header("Via"), [format!("SIP/2.0/UDP {ALICE};branch=z9hG4bK1")]);
    let ok = answer(&out.text, "200 OK", "b", "Contact: <sip:bob@198.51.100.2:5060>\r\n");
    assert_eq!(lines(&house.datagram(BOB, &ok)), [(ALICE, "SIP/2.0 200 OK")]);
    assert_eq!(
        lines(&house.datagram(BOB, &ok)),
        [(ALICE, "SIP/2.0 200 OK")],
        "a 2xx that comes again passes again"
    );

    let to_bob = |method: &str, branch: &str| {
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>;tag=b");
        let more = format!("Route: {route}\r\n");
        request(method, "sip:bob@198.51.100.2:5060", ALICE, branch, parties, &more)
            .replace(&format!("call-{branch}@"), "call-1@")
    };
    let sent = house.datagram(ALICE, &to_bob("ACK", "2"));
    assert_eq!(lines(&sent), [(BOB, "ACK sip:bob@198.51.100.2:5060 SIP/2.0")]);
    assert!(sent[0].header("Route").is_empty() && sent[0].header("Record-Route").is_empty());
    assert_eq!(
        house.datagram(ALICE, &to_bob("ACK", "2"))[0].text,
        sent[0].text,
        "the same ACK has the same branch"
    );

    let bye = house.datagram(ALICE, &to_bob("BYE", "3"));
    assert_eq!(lines(&bye), [(BOB, "BYE sip:bob@198.51.100.2:5060 SIP/2.0")]);
    let sent = house.datagram(BOB, &answer(&bye[0].text, "200 OK", "", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK")]);
    house.wait(Duration::from_secs(70));
    assert_eq!(
        (house.transactions(), house.deadline().is_some()),
        (0, true),
        "only the binding's timer is left"
    );
}

#[test]
fn nobody_there() {
    let mut house = house(&[]);
    let sent = house.datagram(ALICE, &invite("1"));
    assert_eq!(lines(&sent)[1].1, "SIP/2.0 480 Temporarily Unavailable");
    let ack = answer(&sent[1].text, "", "", "");
    let to = sent[1].header("To")[0].to_owned();
    assert!(to.contains(";tag=") && !ack.is_empty());
    let sent = house.wait(Duration::from_millis(600));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 480 Temporarily Unavailable")], "until the ACK comes");
    let ack = invite("1").replace("INVITE", "ACK").replace("<sip:bob@falcot.com>", &to);
    assert!(house.datagram(ALICE, &ack).is_empty() && house.wait(Duration::from_secs(40)).is_empty());
    assert_eq!(house.transactions(), 0);

    let unknown = invite("2").replace("bob@", "nobody@");
    let sent = house.datagram(ALICE, &unknown);
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 404 Not Found")]);
    let ack = unknown.replace("INVITE", "ACK").replace("<sip:nobody@falcot.com>", sent[0].header("To")[0]);
    assert!(house.datagram(ALICE, &ack).is_empty());
    assert_eq!(house.transactions(), 0, "a refusal keeps nothing");
}

#[test]
fn retransmissions_are_absorbed() {
    let mut house = house(&[BOB]);
    let call = invite("1").replace("Content-Length", "Timestamp: 54\r\nContent-Length");
    let sent = house.datagram(ALICE, &call);
    assert_eq!(sent[0].header("Timestamp"), ["54"]);
    assert_eq!(lines(&house.datagram(ALICE, &invite("1"))), [(ALICE, "SIP/2.0 100 Trying")]);
    house.datagram(BOB, &answer(&sent[1].text, "180 Ringing", "b", ""));
    assert_eq!(lines(&house.datagram(ALICE, &invite("1"))), [(ALICE, "SIP/2.0 180 Ringing")]);
    house.datagram(BOB, &answer(&sent[1].text, "200 OK", "b", ""));
    assert!(house.datagram(ALICE, &invite("1")).is_empty());
}

#[test]
fn a_fork_where_one_is_busy_and_one_answers() {
    let mut house = house(&[BOB, BOB2]);
    let sent = house.datagram(ALICE, &invite("1"));
    let (one, two) = (sent[1].text.clone(), sent[2].text.clone());
    assert_eq!((sent[1].to.as_str(), sent[2].to.as_str()), (BOB, BOB2));
    house.datagram(BOB2, &answer(&two, "180 Ringing", "b2", ""));
    let sent = house.datagram(BOB, &answer(&one, "486 Busy Here", "b1", ""));
    assert_eq!(lines(&sent), [(BOB, "ACK sip:bob@198.51.100.2:5060 SIP/2.0")]);
    let sent = house.datagram(BOB2, &answer(&two, "200 OK", "b2", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK")]);
}

#[test]
fn a_fork_where_both_answer_passes_both_and_cancels_the_rest() {
    let mut house = house(&[BOB, BOB2, "198.51.100.4:5060"]);
    let sent = house.datagram(ALICE, &invite("1"));
    let texts: Vec<String> = sent[1..].iter().map(|sent| sent.text.clone()).collect();
    house.datagram(BOB2, &answer(&texts[1], "180 Ringing", "b2", ""));
    let sent = house.datagram(BOB, &answer(&texts[0], "200 OK", "b1", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK"), (BOB2, "CANCEL sip:bob@198.51.100.3:5060 SIP/2.0")]);
    assert!(sent[1].header("Reason")[0].contains("completed elsewhere"));
    // The third phone has not been heard of: it is cancelled when it is (RFC 3261 §9.1).
    let sent = house.datagram("198.51.100.4:5060", &answer(&texts[2], "180 Ringing", "b3", ""));
    assert_eq!(lines(&sent), [("198.51.100.4:5060", "CANCEL sip:bob@198.51.100.4:5060 SIP/2.0")]);
    // The second answered before the CANCEL arrived: its 2xx passes too.
    let sent = house.datagram(BOB2, &answer(&texts[1], "200 OK", "b2", ""));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK")]);
}

#[test]
fn a_6xx_ends_the_others_ringing_and_wins() {
    let mut house = house(&[BOB, BOB2]);
    let sent = house.datagram(ALICE, &invite("1"));
    let (one, two) = (sent[1].text.clone(), sent[2].text.clone());
    house.datagram(BOB2, &answer(&two, "180 Ringing", "b2", ""));
    let sent = house.datagram(BOB, &answer(&one, "603 Decline", "b1", ""));
    assert_eq!(
        lines(&sent),
        [(BOB, "ACK sip:bob@198.51.100.2:5060 SIP/2.0"), (BOB2, "CANCEL sip:bob@198.51.100.3:5060 SIP/2.0")]
    );
    house.datagram(BOB2, &answer(&sent[1].text, "200 OK", "b2", ""));
    let sent = house.datagram(BOB2, &answer(&two, "487 Request Terminated", "b2", ""));
    assert_eq!(lines(&sent)[1], (ALICE, "SIP/2.0 603 Decline"));
}

#[test]
fn cancel_before_and_after_ringing() {
    for rings_first in [true, false] {
        let mut house = house(&[BOB]);
        let sent = house.datagram(ALICE, &invite("1"));
        let out = sent[1].text.clone();
        let ringing = answer(&out, "180 Ringing", "b", "");
        let stop = (BOB, "CANCEL sip:bob@198.51.100.2:5060 SIP/2.0");
        let cancel = invite("1").replace("INVITE", "CANCEL").replace("Contact", "Reason: SIP;cause=1\r\nX");
        let sent = if rings_first {
            house.datagram(BOB, &ringing);
            let sent = house.datagram(ALICE, &cancel);
            assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK"), stop]);
            assert_eq!(sent[1].header("Reason"), ["SIP;cause=1"]);
            sent
        } else {
            assert_eq!(lines(&house.datagram(ALICE, &cancel)), [(ALICE, "SIP/2.0 200 OK")]);
            let sent = house.datagram(BOB, &ringing);
            assert_eq!(lines(&sent), [stop, (ALICE, "SIP/2.0 180 Ringing")]);
            sent
        };
        let stop = sent.iter().find(|sent| sent.to == BOB).unwrap();
        assert_eq!(stop.header("Via").len(), 1);
        assert!(out.contains(stop.header("Via")[0]), "a CANCEL has its INVITE's branch");
        assert_eq!(lines(&house.datagram(ALICE, &cancel))[0], (ALICE, "SIP/2.0 200 OK"), "again");
        assert!(house.datagram(BOB, &answer(&stop.text, "200 OK", "b", "")).is_empty());
        let sent = house.datagram(BOB, &answer(&out, "487 Request Terminated", "b", ""));
        assert_eq!(lines(&sent)[1], (ALICE, "SIP/2.0 487 Request Terminated"));
    }
}

#[test]
fn cancel_crosses_the_answer() {
    let mut house = house(&[BOB]);
    let out = house.datagram(ALICE, &invite("1"))[1].text.clone();
    house.datagram(BOB, &answer(&out, "200 OK", "b", ""));
    let sent = house.datagram(ALICE, &invite("1").replace("INVITE", "CANCEL"));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 200 OK")], "the call stands");
    let sent = house.datagram(ALICE, &invite("9").replace("INVITE", "CANCEL"));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 481 Call/Transaction Does Not Exist")]);
}

#[test]
fn a_phone_that_ignores_cancel_is_given_up() {
    let mut house = house(&[BOB]);
    let out = house.datagram(ALICE, &invite("1"))[1].text.clone();
    house.datagram(BOB, &answer(&out, "180 Ringing", "b", ""));
    house.datagram(ALICE, &invite("1").replace("INVITE", "CANCEL"));
    let sent = house.wait(Duration::from_secs(33));
    assert!(lines(&sent).contains(&(ALICE, "SIP/2.0 487 Request Terminated")), "{sent:?}");
    // A late answer is dropped (RFC 6026 §7.3), whomever its Vias name.
    for status in ["487 Request Terminated", "200 OK"] {
        let late = answer(&out, status, "b", "");
        assert!(house.datagram(BOB, &late).is_empty());
        assert!(house.datagram(BOB, &late.replace(ALICE, "203.0.113.99:53")).is_empty());
    }
}

#[test]
fn timer_c_ends_endless_ringing() {
    let mut house = house(&[BOB]);
    let out = house.datagram(ALICE, &invite("1"))[1].text.clone();
    house.datagram(BOB, &answer(&out, "180 Ringing", "b", ""));
    assert!(house.wait(Duration::from_secs(180)).is_empty());
    house.datagram(BOB, &answer(&out, "180 Ringing", "b", ""));
    assert!(house.wait(Duration::from_secs(184)).is_empty(), "each 1xx starts Timer C anew");
    let sent = house.wait(Duration::from_secs(2));
    assert_eq!(lines(&sent)[0], (BOB, "CANCEL sip:bob@198.51.100.2:5060 SIP/2.0"));
    let sent = house.datagram(BOB, &answer(&out, "487 Request Terminated", "b", ""));
    assert_eq!(lines(&sent)[1], (ALICE, "SIP/2.0 487 Request Terminated"));
}

#[test]
fn a_silent_phone_is_a_time_out_for_invite_and_silence_for_all_else() {
    let mut house = house(&[BOB]);
    house.datagram(ALICE, &invite("1"));
    let sent = house.wait(Duration::from_secs(33));
    assert_eq!(sent.iter().filter(|sent| sent.to == BOB).count(), 6);
    assert!(lines(&sent).contains(&(ALICE, "SIP/2.0 408 Request Timeout")));
    // RFC 4320: one 100 when the caller's Timer E has reached T2, and never a 408.
    let mut house = self::house(&[BOB]);
    house.datagram(ALICE, &invite("2").replace("INVITE", "MESSAGE"));
    let sent = house.wait(Duration::from_secs(70));
    let told: Vec<_> = lines(&sent).into_iter().filter(|(to, _)| *to == ALICE).collect();
    assert_eq!(told, [(ALICE, "SIP/2.0 100 Trying")]);
    assert_eq!((sent.len(), house.transactions()), (11, 0));
}

#[test]
fn a_closed_port_is_known_at_once() {
    let mut house = house(&[BOB]);
    house.datagram(ALICE, &invite("1"));
    let sent = house.input(0, Input::Unreachable { peer: BOB.parse().unwrap() });
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 Destination Unreachable")]);
}

#[test]
fn any_method_reaches_a_user() {
    let mut house = house(&[BOB]);
    for (n, method) in ["MESSAGE", "OPTIONS", "INFO", "PUBLISH", "FROBNICATE"].into_iter().enumerate() {
        let branch = format!("m{n}");
        let sent = house.datagram(ALICE, &invite(&branch).replace("INVITE", method));
        assert_eq!(lines(&sent), [(BOB, &*format!("{method} sip:bob@198.51.100.2:5060 SIP/2.0"))]);
        let sent = house.datagram(BOB, &answer(&sent[0].text, "202 Accepted", "b", ""));
        assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 202 Accepted")]);
        assert!(house.datagram(BOB, &answer(&sent[0].text, "200 OK", "b", "")).is_empty());
    }
}

#[test]
fn names_are_looked_up_and_the_next_address_is_tried() {
    let mut house = House::new(1);
    house.names.insert(
        "peer.example".to_owned(),
        vec!["203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap()],
    );
    let call = invite("1").replace("bob@falcot.com", "bob@peer.example");
    let sent = house.datagram(ALICE, &call);
    assert_eq!(lines(&sent)[1], ("203.0.113.1:5060", "INVITE sip:bob@peer.example SIP/2.0"));
    let next = house.datagram("203.0.113.1:5060", &answer(&sent[1].text, "503 Service Unavailable", "x", ""));
    assert_eq!(lines(&next)[1].0, "203.0.113.2:5060");
    let sent = house.input(0, Input::Unreachable { peer: "203.0.113.2:5060".parse().unwrap() });
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 503 Destination Unreachable")]);
    let sent = house.datagram(ALICE, &invite("2").replace("bob@falcot.com", "bob@nowhere.example"));
    assert_eq!(lines(&sent)[1].1, "SIP/2.0 503 Destination Unreachable");
}

#[test]
fn in_dialog_requests_need_the_route_that_was_recorded() {
    let mut house = House::new(1);
    let parties = ("<sip:x@example.org>;tag=x", "<sip:y@example.net>;tag=y");
    let forged = "Route: <sip:000000000000000000000000@192.0.2.1:5060;lr>\r\n";
    let sent = house.datagram(ALICE, &request("BYE", "sip:y@203.0.113.9", ALICE, "1", parties, forged));
    assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 403 Relaying Denied")]);
    assert!(
        house.datagram(ALICE, &request("ACK", "sip:y@203.0.113.9", ALICE, "2", parties, forged)).is_empty()
    );
}

#[test]
fn a_recorded_route_opens_nothing_but_its_dialog() {
    let (mut house, routes) = call_under_way(ALICE, "198.51.100.1:5060");
    let parties = ("<sip:x@example.org>;tag=x", "<sip:y@example.net>");
    let more = format!("Route: {}\r\n", routes[0]);
    for method in ["INVITE", "MESSAGE", "ODD"] {
        let text = request(method, "sip:y@203.0.113.9", BOB, "9", parties, &more)
            .replace(&format!("call-9@{BOB}"), &format!("call-1@{ALICE}"));
        assert_eq!(lines(&house.datagram(BOB, &text)), [(BOB, "SIP/2.0 403 Relaying Denied")], "{method}");
    }
}

/// A house with a call from alice to bob under way; the recorded routes as bob got them.
fn call_under_way(alice: &str, alice_contact: &str) -> (House, Vec<String>) {
    let mut house = house(&[BOB]);
    let call = invite("1").replace("alice@198.51.100.1:5060", &format!("alice@{alice_contact}"));
    let sent = house.datagram(alice, &call);
    let routes = sent[1].header("Record-Route").iter().map(|route| (*route).to_owned()).collect();
    house.datagram(BOB, &answer(&sent[1].text, "200 OK", "b", "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    (house, routes)
}

/// A BYE of the called phone in that call.
fn bye_of_bob(uri: &str, routes: &str) -> String {
    let parties = ("<sip:bob@falcot.com>;tag=b", "<sip:alice@falcot.com>;tag=a");
    request("BYE", uri, BOB, "7", parties, routes)
        .replace(&format!("call-7@{BOB}"), &format!("call-1@{ALICE}"))
}

#[test]
fn a_caller_behind_nat_hears_the_bye() {
    let nat = "203.0.113.50:33000";
    let (mut house, routes) = call_under_way(nat, "10.0.0.1:5060");
    assert_eq!(routes.len(), 2);
    let more = format!("Route: {}\r\nRoute: {}\r\n", routes[0], routes[1]);
    let sent = house.datagram(BOB, &bye_of_bob("sip:alice@10.0.0.1:5060", &more));
    assert_eq!(lines(&sent), [(nat, "BYE sip:alice@10.0.0.1:5060 SIP/2.0")]);
}

#[test]
fn what_strict_routers_do_is_undone() {
    let (mut house, routes) = call_under_way(ALICE, "198.51.100.1:5060");
    let own = routes[0].trim_matches(['<', '>']);
    // RFC 3261 §16.4: our own URI stands in the Request-URI, the target is the last Route.
    let sent = house.datagram(BOB, &bye_of_bob(own, "Route: <sip:alice@198.51.100.1:5060>\r\n"));
    assert_eq!(lines(&sent), [(ALICE, "BYE sip:alice@198.51.100.1:5060 SIP/2.0")]);
    assert!(sent[0].header("Route").is_empty());
}

#[test]
fn the_next_hop_may_be_strict_or_loose() {
    let (mut house, routes) = call_under_way(ALICE, "198.51.100.1:5060");
    let loose = format!("Route: {}, <sip:203.0.113.8;lr>\r\n", routes[0]);
    let sent = house.datagram(BOB, &bye_of_bob("sip:alice@198.51.100.1:5060", &loose));
    assert_eq!(lines(&sent), [("203.0.113.8:5060", "BYE sip:alice@198.51.100.1:5060 SIP/2.0")]);
    assert_eq!(sent[0].header("Route"), ["<sip:203.0.113.8;lr>"]);
    let strict = format!("Route: {}\r\nRoute: <sip:203.0.113.9>, <sip:203.0.113.10;lr>\r\n", routes[0]);
    let text = bye_of_bob("sip:alice@198.51.100.1:5060", &strict).replace("bK7", "bK8");
    let sent = house.datagram(BOB, &text);
    assert_eq!(lines(&sent), [("203.0.113.9:5060", "BYE sip:203.0.113.9 SIP/2.0")]);
    assert_eq!(sent[0].header("Route"), ["<sip:203.0.113.10;lr>, <sip:alice@198.51.100.1:5060>"]);
}
