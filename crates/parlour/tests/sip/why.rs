//! `parlour sip why`: how a call went, and what of it was kept.

use crate::admin::{done, said};
use crate::agent::Agent;
use crate::{calls, house};
use testkit::House;

const JOE: &str = "sip:joe@falcot.com";

fn why(house: &House, call_id: &str) -> (String, String) {
    let story = done(house, &["sip", "why", call_id]);
    let text = |name: &str| story[name].as_str().unwrap().to_owned();
    (text("outcome"), text("reason"))
}

fn failed(reason: &str) -> (String, String) {
    ("failed".into(), reason.into())
}

#[test]
fn a_call_is_told_from_its_first_message_to_its_last() {
    let house = house();
    let mut joe = Agent::tcp(&house, "joe");
    joe.register();
    let mut roland = Agent::udp(&house, "roland");
    calls::call(&mut roland, &mut joe);
    let story = done(&house, &["sip", "why", &roland.call_id]);
    assert_eq!(
        (&story["outcome"], &story["from"], &story["to"]),
        (&"ended".into(), &"sip:roland@falcot.com".into(), &JOE.into())
    );
    let reason = story["reason"].as_str().unwrap();
    let (begin, end) = (format!("answered by {} after ", joe.local), "; ended by the caller after ");
    assert!(reason.starts_with(&begin) && reason.contains(end), "{reason}");
    let texts: Vec<_> =
        story["steps"].as_array().unwrap().iter().map(|step| step["text"].as_str().unwrap()).collect();
    assert_eq!(texts[0], "INVITE sip:joe@falcot.com");
    assert_eq!(
        texts.iter().filter(|text| **text == "200 OK").count(),
        4,
        "of INVITE and BYE, in and out: {texts:?}"
    );
    assert_eq!(texts.iter().filter(|text| text.starts_with("BYE ")).count(), 2, "{texts:?}");
    let text = said(&house, &["sip", "why", &roland.call_id]);
    assert!(
        text.contains("\n  outcome  ended\n") && text.contains("-- INVITE sip:joe@falcot.com --"),
        "{text}"
    );
    for secret in ["nonce", "response", "Digest", "qop"] {
        assert!(!text.contains(secret), "{text}");
    }
    let output = house.cli(&["sip", "why", "nobody-knows"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn what_went_wrong_is_said_in_words() {
    let house = house();
    let mut roland = Agent::udp(&house, "roland");
    let answer = roland.ask("INVITE", JOE, JOE, "", "");
    assert_eq!(answer.line(), "SIP/2.0 480 Temporarily Unavailable");
    assert_eq!(why(&house, &roland.call_id), failed("joe@falcot.com is not registered"));
    let mut mistaken = Agent::udp(&house, "roland");
    for _ in 0..2 {
        assert_eq!(
            mistaken.ask_as("wrong", "INVITE", JOE, JOE, "", "").line().split(' ').nth(1),
            Some("407")
        );
    }
    assert_eq!(why(&house, &mistaken.call_id), failed("407 twice: wrong password for roland@falcot.com"));
    let mut shy = Agent::udp(&house, "roland");
    let request = shy.request("MESSAGE", JOE, JOE, "", "");
    shy.send(&request);
    shy.answer();
    let unknown = "the caller was asked for its password (407) and has not shown one";
    assert_eq!(why(&house, &shy.call_id), failed(unknown));
    let mut other = Agent::udp(&house, "roland");
    other.ask_as("wrong", "REGISTER", "sip:falcot.com", "sip:roland@falcot.com", "Expires: 60\r\n", "");
    assert_eq!(why(&house, &other.call_id), failed("wrong password for roland@falcot.com"));
    let recent = done(&house, &["sip", "recent"]);
    let list: Vec<_> =
        recent["calls"].as_array().unwrap().iter().map(|call| call["call_id"].as_str().unwrap()).collect();
    assert_eq!(
        list,
        [&other, &shy, &mistaken, &roland].map(|agent| agent.call_id.as_str()),
        "the last one first"
    );
    assert_eq!(recent["calls"][3]["reason"], "joe@falcot.com is not registered");
    let one = done(&house, &["sip", "recent", "--limit", "1"]);
    assert_eq!(one["calls"].as_array().unwrap().len(), 1);
    let of_joe = done(&house, &["sip", "recent", "--user", "joe@falcot.com"]);
    assert_eq!(of_joe["calls"].as_array().unwrap().len(), 3);
    let text = said(&house, &["sip", "recent"]);
    assert!(
        text.contains("failed") && text.contains("407 twice: wrong password for roland@falcot.com"),
        "{text}"
    );
}
