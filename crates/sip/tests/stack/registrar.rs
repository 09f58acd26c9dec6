//! The registrar as phones meet it: removing, asking, repeating, mixing, with and without flows of one's own (RFC 5626).

use crate::house::{House, Sent};
use crate::request;
use crate::scene::{BOB, words};
use std::time::Duration;

/// A REGISTER of bob's: its Call-ID, its CSeq, its Contacts and what else.
fn register(call_id: &str, cseq: u32, more: &str) -> String {
    let bob = "<sip:bob@falcot.com>";
    let branch = format!("{call_id}{cseq}{}", more.len());
    request("REGISTER", "sip:falcot.com", BOB, &branch, (&format!("{bob};tag=r"), bob), more)
        .replace(&format!("call-{branch}@{BOB}"), call_id)
        .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
}

fn ask(house: &mut House, text: &str) -> Sent {
    let mut sent = house.datagram(BOB, text);
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent.remove(0)
}

/// The bindings that an answer tells of, in order, without what is not asked about.
fn bindings(answer: &Sent) -> Vec<String> {
    assert_eq!(answer.first_line(), "SIP/2.0 200 OK", "{answer:?}");
    let mut all: Vec<String> = answer.header("Contact").into_iter().map(str::to_owned).collect();
    all.sort();
    all
}

#[test]
fn removing_what_is_not_there_is_a_200() {
    let mut house = House::new(1);
    for (cseq, more) in [
        (1, "Contact: <sip:bob@198.51.100.9>;expires=0\r\n"),
        (2, "Contact: <sip:bob@198.51.100.9>\r\nExpires: 0\r\n"),
        (3, "Contact: *\r\nExpires: 0\r\n"),
    ] {
        assert!(bindings(&ask(&mut house, &register("c", cseq, more))).is_empty(), "{more}");
    }
}

#[test]
fn asking_for_nothing_registered_is_an_empty_200() {
    let mut house = House::new(1);
    assert!(bindings(&ask(&mut house, &register("c", 1, ""))).is_empty());
}

#[test]
fn a_star_takes_all_or_nothing() {
    let mut house = House::new(1);
    ask(&mut house, &register("c", 1, "Contact: <sip:bob@198.51.100.2>, <sip:bob@198.51.100.3>\r\n"));
    for (cseq, more) in [
        (2, "Contact: *\r\n"),
        (3, "Contact: *\r\nExpires: 10\r\n"),
        (4, "Contact: *\r\nExpires: 0\r\nContact: <sip:bob@198.51.100.2>\r\n"),
        (5, "Contact: *;expires=0\r\n"),
    ] {
        let answer = ask(&mut house, &register("c", cseq, more));
        assert!(answer.first_line().starts_with("SIP/2.0 400"), "{more}: {answer:?}");
    }
    assert_eq!(bindings(&ask(&mut house, &register("c", 6, ""))).len(), 2, "nothing was taken");
    assert!(bindings(&ask(&mut house, &register("c", 7, "Contact: *\r\nExpires: 0\r\n"))).is_empty());
}

#[test]
fn what_comes_out_of_order_changes_nothing() {
    let mut house = House::new(1);
    let contact = "Contact: <sip:bob@198.51.100.2>\r\n";
    ask(&mut house, &register("c", 5, contact));
    for (cseq, more) in [
        (4, contact),
        (5, "Contact: <sip:bob@198.51.100.2>;expires=0\r\n"),
        (4, "Contact: *\r\nExpires: 0\r\n"),
    ] {
        let answer = ask(&mut house, &register("c", cseq, more));
        assert_eq!(answer.first_line(), "SIP/2.0 500 Out Of Order", "{cseq} {more}");
    }
    assert_eq!(bindings(&ask(&mut house, &register("c", 6, ""))).len(), 1);
    // A phone that has started anew counts from one, under another Call-ID.
    assert_eq!(bindings(&ask(&mut house, &register("d", 1, contact))).len(), 1);
    assert!(
        bindings(&ask(&mut house, &register("d", 2, "Contact: <sip:bob@198.51.100.2>;expires=0\r\n")))
            .is_empty()
    );
}

#[test]
fn one_request_sets_and_removes() {
    let mut house = House::new(1);
    ask(&mut house, &register("c", 1, "Contact: <sip:bob@198.51.100.2>\r\n"));
    let more = "Contact: <sip:bob@198.51.100.2>;expires=0, <sip:bob@198.51.100.3>;expires=300\r\n";
    assert_eq!(bindings(&ask(&mut house, &register("c", 2, more))), ["<sip:bob@198.51.100.3>;expires=300"]);
}

#[test]
fn expires_of_a_contact_comes_before_that_of_the_request() {
    let mut house = House::new(1);
    let more =
        "Expires: 600\r\nContact: <sip:bob@198.51.100.2>\r\nContact: <sip:bob@198.51.100.3>;expires=120\r\n";
    assert_eq!(
        bindings(&ask(&mut house, &register("c", 1, more))),
        ["<sip:bob@198.51.100.2>;expires=600", "<sip:bob@198.51.100.3>;expires=120"]
    );
    // All or nothing: one that would live too short spoils the other, too (RFC 3261 §10.3).
    let more =
        "Expires: 900\r\nContact: <sip:bob@198.51.100.2>\r\nContact: <sip:bob@198.51.100.3>;expires=5\r\n";
    let answer = ask(&mut house, &register("c", 2, more));
    assert_eq!(
        (answer.first_line(), answer.header("Min-Expires")),
        ("SIP/2.0 423 Interval Too Brief", vec!["60"])
    );
    assert_eq!(
        bindings(&ask(&mut house, &register("c", 3, ""))),
        ["<sip:bob@198.51.100.2>;expires=600", "<sip:bob@198.51.100.3>;expires=120"]
    );
    house.wait(Duration::from_secs(121));
    assert_eq!(bindings(&ask(&mut house, &register("c", 4, ""))), ["<sip:bob@198.51.100.2>;expires=479"]);
}

/// A flow of the phone of that number.
fn flow(phone: u32, reg_id: u32, more: &str) -> String {
    format!(
        "Supported: path, outbound\r\nContact: <sip:bob@198.51.100.2:5060;ob>;reg-id={reg_id};\
         +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000{phone}>\"{more}\r\n"
    )
}

/// Phone and flow of each binding, and how long it lives.
fn flows(answer: &Sent) -> Vec<(String, String, String)> {
    let param = |text: &str, name: &str| {
        let rest = text.split_once(name).unwrap_or_else(|| panic!("no {name} in {text}")).1;
        rest.split([';', ',', '>', '"']).next().unwrap().to_owned()
    };
    let of = |text: &String| {
        (param(text, "00000000-0000-1000-8000-00000000000"), param(text, "reg-id="), param(text, ";expires="))
    };
    let mut all: Vec<_> = bindings(answer).iter().map(of).collect();
    all.sort();
    all
}

fn row(phone: &str, flow: &str, expires: &str) -> (String, String, String) {
    (phone.to_owned(), flow.to_owned(), expires.to_owned())
}

#[test]
fn flows_are_refreshed_told_apart_and_removed() {
    let mut house = House::new(1);
    let first = register("c", 1, &flow(1, 1, ";expires=600"));
    let answer = ask(&mut house, &first);
    assert_eq!(flows(&answer), [row("1", "1", "600")]);
    assert_eq!(answer.header("Require"), ["outbound"]);
    assert_eq!(ask(&mut house, &first).text, answer.text, "repeated: the same again");
    // A refresh replaces, also where the Call-ID is new; another flow and another phone do not.
    let answer = ask(&mut house, &register("d", 1, &flow(1, 1, ";expires=700")));
    assert_eq!(flows(&answer), [row("1", "1", "700")]);
    ask(&mut house, &register("e", 1, &flow(1, 2, ";expires=800")));
    let answer = ask(&mut house, &register("f", 1, &flow(2, 1, ";expires=900;q=0.5")));
    assert_eq!(flows(&answer), [row("1", "1", "700"), row("1", "2", "800"), row("2", "1", "900")]);
    // The preference changes with the refresh.
    let answer = ask(&mut house, &register("f", 2, &flow(2, 1, ";expires=900;q=0.1")));
    assert!(bindings(&answer).iter().any(|contact| contact.contains("q=0.1")));
    // One ends by itself, one is taken away; the third is still there.
    let answer = ask(&mut house, &register("f", 3, &flow(2, 1, ";expires=0")));
    assert_eq!(flows(&answer), [row("1", "1", "700"), row("1", "2", "800")]);
    house.wait(Duration::from_secs(750));
    assert_eq!(flows(&ask(&mut house, &register("g", 1, ""))), [row("1", "2", "50")]);
    let answer = ask(&mut house, &register("h", 1, "Contact: *\r\nExpires: 0\r\n"));
    assert!(bindings(&answer).is_empty());
}

#[test]
fn nobody_calls_who_has_unregistered() {
    let mut house = House::new(1);
    ask(&mut house, &register("c", 1, "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    let sent = house.datagram(crate::scene::ALICE, &crate::scene::of_alice("INVITE", "1"));
    assert_eq!(words(&sent).last(), Some(&(BOB, "INVITE")));
    // The call that is ringing rings on; the next one finds nobody.
    ask(&mut house, &register("c", 2, "Contact: *\r\nExpires: 0\r\n"));
    let ringing = crate::scene::says(&mut house, BOB, &sent[1].text, "180 Ringing");
    assert_eq!(words(&ringing), [(crate::scene::ALICE, "180")]);
    let sent = house.datagram(crate::scene::ALICE, &crate::scene::of_alice("INVITE", "2"));
    assert_eq!(words(&sent).last(), Some(&(crate::scene::ALICE, "480")));
}

/// Bob's telephone, which comes by a stream or from behind NAT, has his calls go on to carol.
#[test]
fn a_contact_that_is_another_account_is_followed_whichever_way_it_was_registered() {
    const ALICE: &str = "198.51.100.1:5060";
    for by_stream in [true, false] {
        let mut house = House::new(1);
        house.names.insert("falcot.com".to_owned(), vec!["192.0.2.1".parse().unwrap()]);
        let conn = house.connect(0, wire::Transport::Tcp, BOB);
        let to = |house: &mut House, cseq: u32, contact: &str| {
            let text = register("c", cseq, &format!("Contact: <{contact}>\r\n"));
            let answer = match by_stream {
                true => house.stream(conn, &text.replace("SIP/2.0/UDP", "SIP/2.0/TCP")),
                false => house.datagram("203.0.113.7:4001", &text),
            };
            assert_eq!(answer[0].first_line(), "SIP/2.0 200 OK");
            let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
            let text = request("MESSAGE", "sip:bob@falcot.com", ALICE, &format!("m{cseq}"), parties, "");
            let sent = house.datagram(ALICE, &text).remove(0);
            let gone = register("c", cseq + 1, &format!("Contact: <{contact}>;expires=0\r\n"));
            house.datagram(BOB, &gone);
            (sent.to, sent.text.split(' ').nth(1).unwrap().to_owned())
        };
        let carol = "sip:carol@sip.falcot.com";
        house.names.insert("sip.falcot.com".to_owned(), vec!["192.0.2.1".parse().unwrap()]);
        assert_eq!(to(&mut house, 1, carol), ("192.0.2.1:5060".to_owned(), carol.to_owned()));
        // His own address there, and names that are nobody's, are a telephone that does not know where it is.
        let flow = if by_stream { BOB } else { "203.0.113.7:4001" };
        for (cseq, contact) in
            [(3, "sip:bob@falcot.com"), (5, "sip:4711@falcot.com"), (7, "sip:bob@10.0.0.2")]
        {
            assert_eq!(to(&mut house, cseq, contact), (flow.to_owned(), contact.to_owned()), "{by_stream}");
        }
    }
}
