//! Registrations: kept, durable before acknowledged, expired, restarted.

use crate::house::{House, Sent};
use crate::request;
use sip::stack::Input;
use std::time::Duration;

const BOB: &str = "198.51.100.2:5060";

fn register(branch: &str, more: &str) -> String {
    let bob = "<sip:bob@falcot.com>";
    request("REGISTER", "sip:falcot.com", BOB, branch, (&format!("{bob};tag=r"), bob), more)
}

fn contact(branch: &str) -> String {
    register(branch, "Contact: <sip:bob@198.51.100.2:5060>;q=0.5;x=y;expires=600\r\n")
}

fn only(sent: &[Sent]) -> &Sent {
    let [one] = sent else { panic!("one message, not {sent:?}") };
    one
}

#[test]
fn a_binding_comes_is_asked_for_and_goes() {
    let mut house = House::new(1);
    let sent = house.datagram(BOB, &contact("1"));
    let ok = only(&sent);
    assert_eq!((ok.first_line(), ok.to.as_str()), ("SIP/2.0 200 OK", BOB));
    assert_eq!(ok.header("Contact"), ["<sip:bob@198.51.100.2:5060>;q=0.500;x=y;expires=600"]);
    assert_eq!(ok.header("Date"), ["Thu, 01 Jan 2026 00:00:00 GMT"]);
    house.wait(Duration::from_millis(100_500));
    let sent = house.datagram(BOB, &register("2", ""));
    assert_eq!(only(&sent).header("Contact"), ["<sip:bob@198.51.100.2:5060>;q=0.500;x=y;expires=500"]);
    let sent = house.datagram(BOB, &register("3", "Contact: *\r\nExpires: 0\r\n"));
    assert!(only(&sent).first_line().starts_with("SIP/2.0 200") && only(&sent).header("Contact").is_empty());
    assert!(house.disk.is_empty());
}

#[test]
fn the_answer_follows_the_disk() {
    let mut house = House::new(1);
    house.disk_stalls = true;
    assert!(house.datagram(BOB, &contact("1")).is_empty());
    assert!(house.datagram(BOB, &contact("1")).is_empty(), "again: still waiting");
    let (worker, token) = house.held[0];
    assert_eq!(house.held.len(), 1);
    let sent = house.input(worker, Input::Stored { token, durable: true });
    assert_eq!(only(&sent).first_line(), "SIP/2.0 200 OK");
    let again = house.datagram(BOB, &contact("1"));
    assert_eq!(only(&again).text, only(&sent).text, "again: the same answer");
    assert!(house.input(worker, Input::Stored { token, durable: true }).is_empty());
}

#[test]
fn bindings_end_by_themselves_and_outlive_a_restart() {
    let mut house = House::new(2);
    house.datagram(BOB, &contact("1"));
    house.wait(Duration::from_secs(300));
    house.restart();
    let find = |house: &mut House| {
        let sent = house.datagram(
            "198.51.100.1:5060",
            &request(
                "OPTIONS",
                "sip:bob@falcot.com",
                "198.51.100.1:5060",
                "o",
                ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>"),
                "",
            ),
        );
        house.wait(Duration::from_secs(70));
        sent[0].first_line().to_owned()
    };
    assert_eq!(find(&mut house), "OPTIONS sip:bob@198.51.100.2:5060 SIP/2.0");
    house.wait(Duration::from_secs(300));
    assert_eq!(find(&mut house), "SIP/2.0 480 Temporarily Unavailable");
    assert!(house.disk.is_empty() && house.deadline().is_none());
}

#[test]
fn what_is_refused() {
    let mut house = House::new(1);
    let mut check = |text: String, status: &str, header: Option<(&str, &str)>| {
        let sent = house.datagram(BOB, &text);
        assert_eq!(only(&sent).first_line(), status, "{text}");
        if let Some((name, value)) = header {
            assert_eq!(only(&sent).header(name), [value]);
        }
    };
    let brief = register("1", "Contact: <sip:bob@x>;expires=5\r\n");
    check(brief, "SIP/2.0 423 Interval Too Brief", Some(("Min-Expires", "60")));
    check(register("2", "Contact: *\r\n"), "SIP/2.0 400 Malformed Contact", None);
    let tags = register("3", "Require: path, y, x\r\n");
    check(tags, "SIP/2.0 420 Bad Extension", Some(("Unsupported", "y, x")));
    check(contact("4").replace("bob@falcot.com", "bob@example.org"), "SIP/2.0 404 Not Found", None);
    check(
        contact("5").replace("sip:falcot.com", "sip:example.org"),
        "SIP/2.0 503 Destination Unreachable",
        None,
    );
    let odd = contact("6").replace("REGISTER sip:falcot.com", "REGISTER mailto:falcot.com");
    check(odd, "SIP/2.0 416 Unsupported URI Scheme", None);
}

#[test]
fn a_phone_behind_nat_is_reached_by_its_flow() {
    let mut house = House::new(1);
    let nat = "203.0.113.77:31000";
    let text = contact("1").replace("198.51.100.2", "10.0.0.2").replace(";branch", ";rport;branch");
    let sent = house.datagram(nat, &text);
    assert_eq!(only(&sent).to, nat);
    assert!(only(&sent).header("Via")[0].contains(";received=203.0.113.77"), "{sent:?}");
    let call = request(
        "INVITE",
        "sip:bob@falcot.com",
        "198.51.100.1:5060",
        "i",
        ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>"),
        "Contact: <sip:alice@198.51.100.1:5060>\r\n",
    );
    let sent = house.datagram("198.51.100.1:5060", &call);
    assert_eq!((sent[1].to.as_str(), sent[1].first_line()), (nat, "INVITE sip:bob@10.0.0.2:5060 SIP/2.0"));
    // Two routes: the one on top of the called phone's side names its flow, so that the BYE finds it as well.
    let routes: Vec<String> =
        sent[1].header("Record-Route").iter().map(|route| (*route).to_owned()).collect();
    assert_eq!(routes.len(), 2);
    let more = format!("Route: {}\r\nRoute: {}\r\n", routes[1], routes[0]);
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>;tag=b");
    let bye = request("BYE", "sip:bob@10.0.0.2:5060", "198.51.100.1:5060", "y", parties, &more);
    let sent = house.datagram("198.51.100.1:5060", &bye.replace("call-y@", "call-i@"));
    assert_eq!((sent[0].to.as_str(), sent[0].first_line()), (nat, "BYE sip:bob@10.0.0.2:5060 SIP/2.0"));
}

#[test]
fn a_path_is_followed() {
    let mut house = House::new(1);
    let more = "Contact: <sip:bob@10.0.0.2>\r\nPath: <sip:edge@203.0.113.5;lr>, <sip:203.0.113.6;lr>\r\nRequire: path\r\n";
    let sent = house.datagram(BOB, &register("1", more));
    assert_eq!(only(&sent).header("Path"), ["<sip:edge@203.0.113.5;lr>, <sip:203.0.113.6;lr>"]);
    let call = request(
        "MESSAGE",
        "sip:bob@falcot.com",
        BOB,
        "m",
        ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>"),
        "",
    );
    let sent = house.datagram(BOB, &call);
    assert_eq!(
        (only(&sent).to.as_str(), only(&sent).first_line()),
        ("203.0.113.5:5060", "MESSAGE sip:bob@10.0.0.2 SIP/2.0")
    );
    assert_eq!(only(&sent).header("Route"), ["<sip:edge@203.0.113.5;lr>, <sip:203.0.113.6;lr>"]);
}

#[test]
fn an_account_that_is_gone_is_registered_nowhere() {
    let mut house = House::new(1);
    house.datagram(BOB, &contact("1"));
    let bob = wire::Address::new("bob", "falcot.com").unwrap();
    let without = crate::house::directory().with([(bob.clone(), None)]);
    house.stacks[0].set_directory(house.now, std::sync::Arc::new(without));
    assert!(house.stacks[0].contacts(house.now, &bob).is_empty() && house.stacks[0].registrar().is_empty());
}

/// RFC 3261 §20.30: Record-Route in a REGISTER means nothing and does not come back.
#[test]
fn a_recorded_route_in_a_register_means_nothing() {
    let mut house = House::new(1);
    let more = "Record-Route: <sip:203.0.113.9;lr>\r\nContact: <sip:bob@198.51.100.2:5060>\r\n";
    let sent = house.datagram(BOB, &register("1", more));
    assert!(only(&sent).header("Record-Route").is_empty(), "{sent:?}");
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let sent = house.datagram(BOB, &request("MESSAGE", "sip:bob@falcot.com", BOB, "m", parties, ""));
    assert_eq!((only(&sent).to.as_str(), only(&sent).header("Route").len()), (BOB, 0));
}

#[test]
fn whose_registration_it_is_to_alone_says() {
    let mut house = House::new(1);
    let mut check = |branch: &str, change: (&str, &str), status: &str| {
        let text = contact(branch).replace(change.0, change.1);
        let sent = house.datagram(BOB, &text);
        assert_eq!(only(&sent).first_line(), status, "{text}");
    };
    check("1", ("To: <sip:bob@falcot.com>", "To: <sip:falcot.com>"), "SIP/2.0 404 Not Found");
    check("2", ("To: <sip:bob@falcot.com>", "To: <sip:bob@example.org>"), "SIP/2.0 404 Not Found");
    check("3", ("To: <sip:bob@falcot.com>", "To: <sip:nobody@falcot.com>"), "SIP/2.0 403 Not Your Account");
    check("4", ("REGISTER sip:falcot.com", "REGISTER sip:carol@falcot.com"), "SIP/2.0 200 OK");
    let contacts = |house: &House, user: &str| {
        let address = wire::Address::new(user, "falcot.com").unwrap();
        house.stacks[0].contacts(house.now, &address).len()
    };
    assert_eq!((contacts(&house, "bob"), contacts(&house, "carol")), (1, 0));
}
