//! URIs of one phone among those of its user (RFC 5627).

use crate::house::{House, config};
use crate::request;
use std::time::Duration;

const ALICE: &str = "198.51.100.1:5060";

/// Registers bob's phone of that number; its public and its temporary URI.
fn register(house: &mut House, n: u8, branch: &str, tags: &str) -> Option<(String, String)> {
    register_as(house, n, branch, tags, |text| text)
}

/// The same, with something changed.
fn register_as(
    house: &mut House,
    n: u8,
    branch: &str,
    tags: &str,
    change: impl Fn(String) -> String,
) -> Option<(String, String)> {
    let (via, bob) = (format!("198.51.100.{n}:5060"), "<sip:bob@falcot.com>");
    let more = format!("Contact: <sip:bob@{via}>;+sip.instance=\"<urn:uuid:f81d4fae-{n}>\"\r\n{tags}");
    let text = request("REGISTER", "sip:falcot.com", &via, branch, (&format!("{bob};tag=r"), bob), &more);
    let sent = house.datagram(&via, &change(text));
    assert_eq!(sent[0].first_line(), "SIP/2.0 200 OK");
    let contact = sent[0].header("Contact").into_iter().find(|contact| contact.contains(&via))?.to_owned();
    let value = |name: &str| {
        let (_, rest) = contact.split_once(&format!(";{name}=\""))?;
        rest.split('"').next().map(str::to_owned)
    };
    Some((value("pub-gruu")?, value("temp-gruu")?))
}

/// Where a message to a URI goes, or what it is answered.
fn reached(house: &mut House, uri: &str, branch: &str) -> Vec<String> {
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
    let sent = house.datagram(ALICE, &request("MESSAGE", uri, ALICE, branch, parties, ""));
    sent.iter().map(|sent| sent.first_line().to_owned()).collect()
}

#[test]
fn a_phone_has_uris_of_its_own() {
    let mut house = House::new(2);
    let (public, temporary) = register(&mut house, 7, "1", "Supported: gruu\r\n").unwrap();
    register(&mut house, 8, "2", "Supported: gruu\r\n").unwrap();
    assert!(register(&mut house, 9, "3", "").is_none(), "who does not know them gets none");
    assert_eq!(public, "sip:bob@falcot.com;gr=urn:uuid:f81d4fae-7");
    assert!(
        temporary.starts_with("sip:tgruu.")
            && temporary.ends_with("@falcot.com;gr")
            && !temporary.contains("bob")
    );
    assert_eq!(reached(&mut house, "sip:bob@falcot.com", "a").len(), 3);
    let only = ["MESSAGE sip:bob@198.51.100.7:5060 SIP/2.0"];
    assert_eq!(reached(&mut house, &public, "b"), only);
    assert_eq!(reached(&mut house, &temporary, "c"), only);
    // Another each time; the earlier one stays good, also after a restart.
    house.wait(std::time::Duration::from_secs(1));
    let (_, other) =
        register_as(&mut house, 7, "4", "Require: gruu\r\n", |text| of_call(&text, "1", 2)).unwrap();
    assert_ne!(other, temporary);
    house.restart();
    assert_eq!(reached(&mut house, &temporary, "d"), only);
    assert_eq!(reached(&mut house, &other, "e"), only);
}

/// The host's clock is set back: what is new is good all the same, and a registration that begins ends what was before it.
#[test]
fn temporary_uris_need_no_clock_that_is_right() {
    let gruu = "Supported: gruu\r\n";
    let good = ["MESSAGE sip:bob@198.51.100.7:5060 SIP/2.0"];
    let gone = ["SIP/2.0 480 Temporarily Unavailable"];
    let mut house = House::new(1);
    let (_, first) = register(&mut house, 7, "1", gruu).unwrap();
    let early = |house: &House, hours| wire::Epoch {
        instant: house.now,
        unix: testkit::epoch(house.now).unix - Duration::from_secs(3600_u64 * hours),
    };
    let (config, epoch) = (config(0, 1), early(&house, 1));
    house.stacks[0].set_config(config, epoch);
    let (_, second) = register_as(&mut house, 7, "2", gruu, |text| of_call(&text, "1", 2)).unwrap();
    assert_eq!(reached(&mut house, &second, "a"), good);
    assert_eq!(reached(&mut house, &first, "b"), good, "of the same registration");
    let epoch = early(&house, 2);
    house.restart_at(epoch);
    let (_, third) = register_as(&mut house, 7, "3", gruu, |text| of_call(&text, "1", 3)).unwrap();
    assert_eq!(reached(&mut house, &third, "c"), good);
    let (_, other) = register(&mut house, 7, "4", gruu).unwrap();
    assert_eq!(reached(&mut house, &other, "d"), good);
    for (branch, uri) in [("e", &first), ("f", &second), ("g", &third)] {
        assert_eq!(reached(&mut house, uri, branch), gone, "{branch}");
    }
}

#[test]
fn what_names_no_phone_reaches_none() {
    let mut house = House::new(1);
    let (_, temporary) = register(&mut house, 7, "1", "Supported: gruu\r\n").unwrap();
    let gone = reached(&mut house, "sip:bob@falcot.com;gr=urn:uuid:other", "a");
    assert_eq!(gone, ["SIP/2.0 480 Temporarily Unavailable"]);
    let digit = if temporary.as_bytes()[40] == b'0' { "1" } else { "0" };
    let forged = format!("{}{digit}{}", &temporary[..40], &temporary[41..]);
    for uri in [&forged, "sip:tgruu.@falcot.com;gr", "sip:tgruu.00@falcot.com;gr", "sip:bob@falcot.com;gr"] {
        assert_eq!(reached(&mut house, uri, &format!("f{}", uri.len())), ["SIP/2.0 404 Not Found"], "{uri}");
    }
}

/// A registration of the phone of number 7 under an earlier one's Call-ID, with that CSeq number.
fn of_call(text: &str, first: &str, cseq: u32) -> String {
    let id = text.lines().find_map(|line| line.strip_prefix("Call-ID: ")).unwrap();
    text.replace(id, &format!("call-{first}@198.51.100.7:5060"))
        .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
}

/// RFC 5627 §3.2: those of one registration, however often it is refreshed, hold until it ends or goes on under another Call-ID.
#[test]
fn temporary_uris_end_with_the_registration_that_they_came_with() {
    let gruu = "Supported: gruu\r\n";
    let second = std::time::Duration::from_secs(1);
    let good = ["MESSAGE sip:bob@198.51.100.7:5060 SIP/2.0"];
    let gone = ["SIP/2.0 480 Temporarily Unavailable"];
    let expired = |text: &str| text.replace("Content-Length", "Expires: 0\r\nContent-Length");
    let short = |text: &str| text.replace("Content-Length", "Expires: 60\r\nContent-Length");
    // Another Call-ID, as after the phone's restart.
    let mut house = House::new(1);
    let (public, first) = register(&mut house, 7, "1", gruu).unwrap();
    house.wait(second);
    let (_, second_one) = register_as(&mut house, 7, "2", gruu, |text| of_call(&text, "1", 2)).unwrap();
    house.wait(second);
    let (_, other) = register(&mut house, 7, "3", gruu).unwrap();
    for (branch, uri, expected) in
        [("a", &first, gone), ("b", &second_one, gone), ("c", &other, good), ("d", &public, good)]
    {
        assert_eq!(reached(&mut house, uri, branch), expected, "{branch}");
    }
    // Taken back, and made anew under the same Call-ID.
    let gone_for_now = register_as(&mut house, 7, "4", gruu, |text| expired(&of_call(&text, "3", 2)));
    assert!(gone_for_now.is_none());
    house.wait(second);
    let (_, anew) = register_as(&mut house, 7, "5", gruu, |text| short(&of_call(&text, "3", 3))).unwrap();
    assert_eq!(reached(&mut house, &other, "e"), gone);
    assert_eq!(reached(&mut house, &anew, "f"), good);
    // Run out, and made anew.
    house.wait(61 * second);
    let (_, last) = register_as(&mut house, 7, "6", gruu, |text| of_call(&text, "3", 4)).unwrap();
    assert_eq!(reached(&mut house, &anew, "g"), gone);
    assert_eq!(reached(&mut house, &last, "h"), good);
}
