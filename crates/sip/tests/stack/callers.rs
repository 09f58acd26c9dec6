//! What a caller does wrong, or too often: old clients, repeated requests, branches that say the same of different things.

use crate::house::House;
use crate::scene::{ALICE, BOB, BOB2, ack, cancel, copy, house, lines, of_alice, says, within, words};
use crate::{answer, call, request};
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ends(mut house: House) {
    house.wait(seconds(200));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn requests_of_one_branch_and_two_methods_are_two_transactions() {
    for (one, two) in [("INVITE", "MESSAGE"), ("MESSAGE", "INVITE"), ("MESSAGE", "INFO"), ("INFO", "MESSAGE")]
    {
        let mut house = house(&[BOB]);
        let first = copy(&house.datagram(ALICE, &of_alice(one, "1")), BOB);
        let second = copy(&house.datagram(ALICE, &of_alice(two, "1")), BOB);
        for (out, method) in [(first, one), (second, two)] {
            let sent = says(&mut house, BOB, &out, "200 OK");
            assert_eq!(words(&sent), [(ALICE, "200")], "{one}, {two}");
            assert_eq!(sent[0].header("CSeq"), [format!("1 {method}")]);
        }
        ends(house);
    }
}

#[test]
fn what_is_no_request_troubles_no_transaction() {
    for method in ["INVITE", "MESSAGE"] {
        let mut house = house(&[BOB]);
        let out = copy(&house.datagram(ALICE, &of_alice(method, "1")), BOB);
        // An ACK, and a response, of the same branch.
        assert!(house.datagram(ALICE, &of_alice("ACK", "1")).is_empty());
        let response = crate::answer(&of_alice(method, "1"), "200 OK", "x", "");
        assert!(house.datagram(ALICE, &response).is_empty());
        assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")], "{method}");
        assert!(house.datagram(ALICE, &of_alice("ACK", "1")).is_empty());
        ends(house);
    }
}

#[test]
fn a_caller_who_repeats_an_invite_many_times_rings_one_phone_once() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    for _ in 0..50 {
        assert_eq!(words(&house.datagram(ALICE, &of_alice("INVITE", "1"))), [(ALICE, "100")]);
    }
    says(&mut house, BOB, &out, "200 OK");
    for _ in 0..31 {
        assert!(house.datagram(ALICE, &of_alice("INVITE", "1")).is_empty(), "absorbed until Timer L");
        house.wait(seconds(1));
    }
    ends(house);
}

#[test]
fn the_ack_of_a_refusal_that_was_kept_nowhere_troubles_nobody() {
    let mut house = House::with(1, |config| config.authenticate = true);
    for _ in 0..3 {
        let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
        assert_eq!(words(&sent), [(ALICE, "407")], "the first was lost: the same again");
        for _ in 0..3 {
            assert!(house.datagram(ALICE, &ack("1", &sent[0])).is_empty());
        }
    }
    assert_eq!(house.transactions(), 0);
}

#[test]
fn the_ack_of_a_refusal_with_another_branch_is_none() {
    for change in [("branch=z9hG4bK1", "branch=z9hG4bKother"), (";branch=z9hG4bK1", "")] {
        let mut house = house(&[BOB]);
        let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
        let refusal = says(&mut house, BOB, &out, "486 Busy Here").remove(1);
        assert!(house.datagram(ALICE, &ack("1", &refusal).replace(change.0, change.1)).is_empty());
        let again = house.wait(seconds(33));
        assert_eq!(again.len(), 10, "{:?}", lines(&again));
        assert!(house.wait(seconds(40)).is_empty(), "Timer H");
        ends(house);
    }
}

#[test]
fn a_cseq_that_names_another_method_is_refused() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    for (method, says) in
        [("INVITE", "CANCEL"), ("INVITE", "FROB"), ("CANCEL", "INVITE"), ("MESSAGE", "INVITE")]
    {
        let wrong = of_alice(method, "2").replace(&format!("CSeq: 1 {method}"), &format!("CSeq: 1 {says}"));
        let sent = house.datagram(ALICE, &wrong);
        assert_eq!(lines(&sent), [(ALICE, "SIP/2.0 400 CSeq Method Does Not Match")], "{method} {says}");
    }
    let wrong = cancel("1").replace("CSeq: 1 CANCEL", "CSeq: 1 INVITE");
    assert_eq!(words(&house.datagram(ALICE, &wrong)), [(ALICE, "400")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")], "the call stands");
    ends(house);
}

/// RFC 3261 §17.2.3: callers of RFC 2543, whose branch means nothing, or who have none.
#[test]
fn branches_without_the_cookie_work() {
    for old in ["branch=1", "branch=x", "maddr=192.0.2.7"] {
        let change = |text: String| text.replace("branch=z9hG4bK1", old).replace("branch=z9hG4bK2", old);
        let mut house = house(&[BOB]);
        let invite = change(of_alice("INVITE", "1"));
        let out = copy(&house.datagram(ALICE, &invite), BOB);
        assert_eq!(words(&house.datagram(ALICE, &invite)), [(ALICE, "100")], "{old}: once");
        // Another call of the same branch.
        let other = change(of_alice("INVITE", "1")).replace("call-1@", "call-2@");
        let out2 = copy(&house.datagram(ALICE, &other), BOB);
        let refusal = says(&mut house, BOB, &out, "486 Busy Here").remove(1);
        assert!(house.datagram(ALICE, &change(ack("1", &refusal))).is_empty());
        assert!(house.wait(seconds(3)).iter().all(|sent| sent.to == BOB), "{old}: the ACK was understood");
        assert_eq!(words(&house.datagram(ALICE, &other.replace("INVITE", "CANCEL")))[0], (ALICE, "200"));
        says(&mut house, BOB, &out2, "180 Ringing");
        let sent = says(&mut house, BOB, &out2, "487 Request Terminated");
        assert_eq!(words(&sent).last(), Some(&(ALICE, "487")));
        // And one that is answered, whose ACK has the Via of its INVITE.
        let third = change(of_alice("INVITE", "1")).replace("call-1@", "call-3@");
        let out3 = copy(&house.datagram(ALICE, &third), BOB);
        let ok = says(&mut house, BOB, &out3, "200 OK").remove(0);
        assert_eq!(
            words(&house.datagram(ALICE, &change(within("ACK", "1", 1, &ok)))),
            [(BOB, "ACK")],
            "{old}"
        );
        let message = change(of_alice("MESSAGE", "1")).replace("call-1@", "call-4@");
        let out4 = copy(&house.datagram(ALICE, &message), BOB);
        assert!(house.datagram(ALICE, &message).is_empty());
        assert_eq!(words(&says(&mut house, BOB, &out4, "200 OK")), [(ALICE, "200")]);
        assert_eq!(words(&house.datagram(ALICE, &message)), [(ALICE, "200")]);
        ends(house);
    }
}

#[test]
fn a_branch_in_any_case_is_the_same_and_comes_back_as_it_was() {
    let mut house = house(&[BOB]);
    let upper = |text: String| text.replace("z9hG4bKabc", "Z9HG4BKABC");
    let sent = house.datagram(ALICE, &upper(of_alice("INVITE", "abc")));
    assert!(sent[0].header("Via")[0].ends_with("branch=Z9HG4BKABC"));
    let out = copy(&sent, BOB);
    assert_eq!(words(&house.datagram(ALICE, &of_alice("INVITE", "abc"))), [(ALICE, "100")], "the same again");
    let refusal = says(&mut house, BOB, &out, "486 Busy Here").remove(1);
    assert!(refusal.header("Via")[0].ends_with("branch=Z9HG4BKABC"));
    assert!(house.datagram(ALICE, &ack("abc", &refusal)).is_empty());
    assert!(house.wait(seconds(40)).is_empty(), "the ACK was understood");
}

/// A CANCEL of something else than INVITE is answered and changes nothing (RFC 3261 §9.2).
#[test]
fn a_cancel_of_a_message_changes_nothing() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("MESSAGE", "1")), BOB);
    assert_eq!(words(&house.datagram(ALICE, &cancel("1"))), [(ALICE, "481")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
    assert_eq!(words(&house.datagram(ALICE, &cancel("1"))), [(ALICE, "481")]);
    ends(house);
}

#[test]
fn a_lost_answer_to_a_message_is_sent_again() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("MESSAGE", "1")), BOB);
    for _ in 0..3 {
        assert!(house.datagram(ALICE, &of_alice("MESSAGE", "1")).is_empty());
    }
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    for _ in 0..3 {
        let again = house.datagram(ALICE, &of_alice("MESSAGE", "1"));
        assert_eq!((again.len(), &again[0].text), (1, &ok.text));
    }
    ends(house);
}

#[test]
fn credentials_that_are_none_are_asked_for_again() {
    let mut house = House::with(1, |config| config.authenticate = true);
    let digest = |nonce: &str| {
        format!(
            "Digest username=\"alice\", realm=\"falcot.com\", nonce=\"{nonce}\", uri=\"sip:bob@falcot.com\", \
             response=\"00000000000000000000000000000000\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\""
        )
    };
    let all = ["garbage", "Digest", "Basic YWxpY2U6eA==", "Digest ,,,=\"", &digest("AAAA"), &digest("")];
    for method in ["INVITE", "MESSAGE", "REGISTER"] {
        for (n, value) in all.iter().enumerate() {
            let (name, code) = match method {
                "REGISTER" => ("Authorization", "401"),
                _ => ("Proxy-Authorization", "407"),
            };
            let uri = if method == "REGISTER" { "sip:falcot.com" } else { "sip:bob@falcot.com" };
            let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:alice@falcot.com>");
            let more = format!("{name}: {value}\r\nContact: <sip:alice@{ALICE}>\r\n");
            let sent =
                house.datagram(ALICE, &request(method, uri, ALICE, &format!("{method}{n}"), parties, &more));
            assert_eq!(words(&sent), [(ALICE, code)], "{method} {value}");
        }
    }
    assert_eq!(house.transactions(), 0);
}

#[test]
fn something_long_is_answered_and_not_dropped() {
    let mut house = house(&[BOB]);
    let long = "x".repeat(6000);
    let aor = "<sip:bob@falcot.com>";
    let register = |branch: &str, more: &str| {
        request("REGISTER", "sip:falcot.com", BOB, branch, (&format!("{aor};tag=r"), aor), more)
    };
    let sent = house.datagram(BOB, &register("l1", "").replace("Call-ID: ", &format!("Call-ID: {long}")));
    assert_eq!(words(&sent), [(BOB, "200")]);
    let sent = house.datagram(BOB, &register("l2", &format!("Contact: <sip:bob@{BOB};x={long}>\r\n")));
    assert_eq!(words(&sent), [(BOB, "200")]);
    let sent =
        house.datagram(ALICE, &of_alice("INVITE", "l3").replace("Call-ID: ", &format!("Call-ID: {long}")));
    assert_eq!(words(&sent), [(ALICE, "100"), (BOB, "INVITE")]);
}

/// Whoever floods a house with calls under foreign names leaves half of all room to those who live there, and to calls that stand.
#[test]
fn strangers_have_half_of_all_room() {
    let mut house = House::with(1, |config| config.limits.transactions = 40);
    call::register(&mut house, "bob", BOB);
    let stranger = |n: usize| {
        let parties = ("<sip:x@example.org>;tag=x", "<sip:bob@falcot.com>");
        request("MESSAGE", "sip:bob@falcot.com", BOB2, &format!("s{n}"), parties, "")
    };
    // Each takes two: as it came, and as it left.
    for n in 0..15 {
        let expected = if n < 10 { (BOB, "MESSAGE") } else { (BOB2, "503") };
        assert_eq!(words(&house.datagram(BOB2, &stranger(n))), [expected], "{n}");
    }
    for n in 0..10 {
        assert_eq!(words(&house.datagram(ALICE, &of_alice("MESSAGE", &format!("m{n}")))), [(BOB, "MESSAGE")]);
    }
    assert_eq!(words(&house.datagram(ALICE, &of_alice("MESSAGE", "m"))), [(ALICE, "503")]);
}

/// An answer is as long as a phone likes, and is kept to be sent again: it counts as the request does.
#[test]
fn long_answers_take_no_more_room_than_long_requests() {
    let mut house = House::with(1, |config| config.limits.transactions = 100);
    call::register(&mut house, "bob", BOB);
    let long = format!("X: {}\r\n", "x".repeat(30_000));
    let ask = |house: &mut House, n: usize| house.datagram(ALICE, &of_alice("MESSAGE", &format!("m{n}")));
    let asked: Vec<String> = (0..20).map(|n| copy(&ask(&mut house, n), BOB)).collect();
    for request in &asked {
        let sent = house.datagram(BOB, &answer(request, "200 OK", "b", &long));
        assert_eq!(words(&sent), [(ALICE, "200")]);
    }
    assert_eq!(words(&ask(&mut house, 0)), [(ALICE, "200")], "sent again");
    assert!(ask(&mut house, 19).is_empty(), "not kept: there are 400 KiB for 100 transactions");
    let refused = house
        .datagram(ALICE, &of_alice("MESSAGE", "n").replace("Content-Length", &(long + "Content-Length")));
    assert_eq!(words(&refused), [(ALICE, "503")]);
    house.wait(Duration::from_secs(33));
    for n in 20..26 {
        assert_eq!(words(&ask(&mut house, n)), [(BOB, "MESSAGE")]);
    }
}

/// So does a refusal that waits for another phone to refuse, too.
#[test]
fn long_refusals_that_wait_take_no_more_room_either() {
    let mut house = House::with(1, |config| config.limits.transactions = 100);
    [BOB, BOB2].iter().for_each(|phone| call::register(&mut house, "bob", phone));
    let long = format!("X: {}\r\n", "x".repeat(30_000));
    let mut rings = Vec::new();
    for n in 0..20 {
        let sent = house.datagram(ALICE, &of_alice("INVITE", &format!("i{n}")));
        house.datagram(BOB, &answer(&copy(&sent, BOB), "486 Busy Here", "b", &long));
        rings.push(copy(&sent, BOB2));
    }
    let mut heard = |n: usize| {
        let sent = house.datagram(BOB2, &answer(&rings[n], "480 Temporarily Unavailable", "c", ""));
        sent.iter()
            .find(|sent| sent.to == ALICE)
            .map(|sent| (sent.first_line().to_owned(), sent.text.len() > 30_000))
    };
    assert_eq!(heard(19), Some(("SIP/2.0 480 Temporarily Unavailable".to_owned(), false)));
    assert_eq!(heard(0), Some(("SIP/2.0 486 Busy Here".to_owned(), true)));
    house.wait(Duration::from_secs(300));
    assert_eq!(house.transactions(), 0);
    assert_eq!(
        words(
            &house.datagram(
                ALICE,
                &of_alice("INVITE", "j").replace("Content-Length", &(long + "Content-Length"))
            )
        )[0],
        (ALICE, "100")
    );
}
