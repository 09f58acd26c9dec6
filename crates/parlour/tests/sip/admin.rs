//! What an administrator sees of SIP: who is registered, and what is counted.

use crate::agent::Agent;
use crate::{calls, house};
use serde_json::Value;
use testkit::House;

/// The answer of a command that does what it should.
pub(crate) fn done(house: &House, arguments: &[&str]) -> Value {
    let output = house.cli(&[arguments, &["--json"]].concat(), "");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command says to people.
pub(crate) fn said(house: &House, arguments: &[&str]) -> String {
    let output = house.cli(arguments, "");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bindings_are_listed_by_account_and_in_parts() {
    let house = house();
    let mut joes = [Agent::udp(&house, "joe"), Agent::tcp(&house, "joe")];
    joes.iter_mut().for_each(|joe| drop(joe.register()));
    Agent::udp(&house, "roland").register();
    let list = done(&house, &["sip", "bindings"]);
    assert_eq!((list["bindings"].as_array().unwrap().len(), &list["next"]), (3, &Value::Null));
    let of_joe = done(&house, &["sip", "bindings", "--user", "joe@falcot.com"]);
    for (binding, (joe, transport)) in
        of_joe["bindings"].as_array().unwrap().iter().zip(joes.iter().zip(["udp", "tcp"]))
    {
        assert_eq!(binding["address"], "joe@falcot.com");
        assert_eq!(format!("<{}>", binding["contact"].as_str().unwrap()), joe.contact());
        let expected = (transport == "tcp").then_some(transport);
        assert_eq!(binding["transport"].as_str(), expected, "{binding}");
        assert!((290..=300).contains(&binding["remaining"].as_u64().unwrap()), "{binding}");
    }
    let (mut after, mut seen) = (None, 0);
    for _ in 0..9 {
        let mut arguments = vec!["sip".to_owned(), "bindings".into(), "--limit".into(), "1".into()];
        arguments.extend(after.map(|after| format!("--after={after}")));
        let part = done(&house, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        seen += part["bindings"].as_array().unwrap().len();
        after = part["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen, after), (3, None));
    let text = said(&house, &["sip", "bindings"]);
    assert!(text.starts_with("ADDRESS") && text.contains("3 bindings"), "{text}");
    let output = house.cli(&["sip", "bindings", "--limit", "0"], "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn requests_answers_and_bindings_are_counted() {
    let house = house();
    let mut joe = Agent::tcp(&house, "joe");
    joe.register();
    calls::call(&mut Agent::udp(&house, "roland"), &mut joe);
    let counters = &done(&house, &["status"])["counters"];
    let count = |name: &str| counters[name].as_u64().unwrap();
    assert_eq!((count("sip.requests.REGISTER"), count("sip.requests.BYE")), (2, 1));
    assert_eq!((count("sip.requests.INVITE"), count("sip.requests.ACK")), (2, 2));
    assert_eq!(
        (count("sip.answers.4xx"), count("sip.answers.2xx")),
        (2, 3),
        "401, 407; REGISTER, INVITE, BYE"
    );
    assert_eq!((count("sip.bindings"), count("sip.open.tcp")), (1, 1));
    assert!(count("sip.messages.udp") >= 5 && count("sip.messages.tcp") >= 4);
}

/// What a list of calls says, without what differs each time.
fn states(house: &House) -> Vec<(String, String)> {
    let list = done(house, &["sip", "calls"]);
    let word = |call: &Value, name: &str| call[name].as_str().unwrap().to_owned();
    list["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (word(call, "call_id"), word(call, "state")))
        .collect()
}

#[test]
fn calls_are_listed_and_ended() {
    let house = house();
    let mut joe = Agent::tcp(&house, "joe");
    joe.register();
    let mut roland = Agent::udp(&house, "roland");
    let state = |roland: &Agent, state: &str| vec![(roland.call_id.clone(), state.to_owned())];
    assert_eq!(states(&house), []);
    calls::invite(&mut roland);
    let heard = joe.expect("INVITE ");
    joe.reply(&heard, "180 Ringing", "");
    roland.expect("SIP/2.0 1");
    assert_eq!(states(&house), state(&roland, "ringing"));
    joe.reply(&heard, "200 OK", "");
    let answer = roland.expect("SIP/2.0 200");
    roland.within("ACK", &answer);
    joe.expect("ACK ");
    assert_eq!(states(&house), state(&roland, "answered"));
    let list = done(&house, &["sip", "calls", "--user", "joe@falcot.com"]);
    let call = &list["calls"][0];
    assert_eq!((&call["from"], &call["to"]), (&"sip:roland@falcot.com".into(), &"sip:joe@falcot.com".into()));
    assert_eq!(call["caller"], format!("{} udp", roland.local));
    assert_eq!(call["called"][0], format!("{} tcp", joe.local));
    assert_eq!(
        done(&house, &["sip", "calls", "--user", "nobody@falcot.com"])["calls"].as_array().unwrap().len(),
        0
    );
    assert_eq!(said(&house, &["sip", "hangup", &roland.call_id]).trim(), format!("ended {}", roland.call_id));
    for (phone, other) in [(&mut roland, "joe"), (&mut joe, "roland")] {
        let bye = phone.expect("BYE ");
        assert!(bye.header("From").contains(&format!("<sip:{other}@falcot.com>;tag=")), "{}", bye.0);
        assert!(bye.header("Reason").contains("administrator"), "{}", bye.0);
        phone.reply(&bye, "200 OK", "");
    }
    assert_eq!(states(&house), []);
    let story = done(&house, &["sip", "why", &roland.call_id]);
    assert!(story["reason"].as_str().unwrap().contains("; ended by an administrator after "), "{story}");
    let output = house.cli(&["sip", "hangup", &roland.call_id], "");
    assert_eq!(output.status.code(), Some(1));
    let counters = &done(&house, &["status"])["counters"];
    assert_eq!((&counters["sip.calls.now"], &counters["sip.called.2xx"]), (&0.into(), &1.into()));
}
