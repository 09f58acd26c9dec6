//! What the called phone does wrong, or too often: the caller hears each thing once, and in the end one final answer.

use crate::house::{House, Sent};
use crate::scene::{ALICE, BOB, BOB2, copy, house, of_alice, says, within, words};
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Alice's request under way to bob's phone, as that got it.
fn under_way(method: &str) -> (House, String) {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice(method, "1")), BOB);
    (house, out)
}

/// After all timers nothing is left.
fn ends(mut house: House) {
    house.wait(seconds(200));
    assert_eq!(house.transactions(), 0);
}

/// What alice heard.
fn heard(sent: &[Sent]) -> Vec<&str> {
    words(sent).into_iter().filter(|(to, _)| *to == ALICE).map(|(_, word)| word).collect()
}

#[test]
fn a_phone_that_rings_many_times_is_heard_each_time() {
    let (mut house, out) = under_way("INVITE");
    for _ in 0..10 {
        assert_eq!(words(&says(&mut house, BOB, &out, "180 Ringing")), [(ALICE, "180")]);
    }
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
    ends(house);
}

#[test]
fn a_200_that_is_repeated_passes_each_time() {
    let (mut house, out) = under_way("INVITE");
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    for branch in 2..10 {
        let again = says(&mut house, BOB, &out, "200 OK");
        assert_eq!((words(&again), &again[0].text), (vec![(ALICE, "200")], &ok.text));
        let sent = house.datagram(ALICE, &within("ACK", &branch.to_string(), 1, &ok));
        assert_eq!(words(&sent), [(BOB, "ACK")]);
    }
    house.wait(seconds(33));
    assert!(says(&mut house, BOB, &out, "200 OK").is_empty(), "after Timer M (RFC 6026 §7.3)");
    ends(house);
}

#[test]
fn what_follows_a_final_answer_is_dropped() {
    for (first, then) in [
        ("200 OK", "180 Ringing"),
        ("200 OK", "486 Busy Here"),
        ("200 OK", "603 Decline"),
        ("486 Busy Here", "180 Ringing"),
        ("486 Busy Here", "200 OK"),
        ("600 Busy Everywhere", "200 OK"),
    ] {
        let (mut house, out) = under_way("INVITE");
        assert_eq!(heard(&says(&mut house, BOB, &out, first)), [&first[..3]]);
        assert!(says(&mut house, BOB, &out, then).is_empty(), "{first}, then {then}");
        ends(house);
    }
    // A refusal is acknowledged, whichever it is (RFC 3261 §17.1.1.2).
    for (first, then) in [("486 Busy Here", "404 Not Found"), ("404 Not Found", "603 Decline")] {
        let (mut house, out) = under_way("INVITE");
        says(&mut house, BOB, &out, first);
        assert_eq!(words(&says(&mut house, BOB, &out, then)), [(BOB, "ACK")], "{first}, then {then}");
        ends(house);
    }
    for (first, then) in [("200 OK", "180 Ringing"), ("200 OK", "404 Not Found"), ("404 Not Found", "200 OK")]
    {
        let (mut house, out) = under_way("MESSAGE");
        assert_eq!(heard(&says(&mut house, BOB, &out, first)), [&first[..3]]);
        assert!(says(&mut house, BOB, &out, then).is_empty(), "{first}, then {then}");
        ends(house);
    }
}

#[test]
fn a_refusal_that_is_repeated_is_acknowledged_each_time_and_passed_once() {
    for (status, code) in
        [("486 Busy Here", "486"), ("503 Service Unavailable", "500"), ("603 Decline", "603")]
    {
        let (mut house, out) = under_way("INVITE");
        let sent = says(&mut house, BOB, &out, status);
        assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, code)]);
        for _ in 0..5 {
            let again = says(&mut house, BOB, &out, status);
            assert_eq!((words(&again), &again[0].text), (vec![(BOB, "ACK")], &sent[0].text));
        }
        ends(house);
    }
}

#[test]
fn answers_whose_vias_were_tampered_with_reach_nobody() {
    for method in ["INVITE", "MESSAGE"] {
        let (mut house, out) = under_way(method);
        let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("Via:")).collect();
        let (ours, hers) = (lines[0], lines[1]);
        let strange = "Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx";
        let changed = ours.replacen("branch=z9hG4bK0.", "branch=z9hG4bK1.", 1);
        assert_ne!(ours, changed);
        for vias in
            [hers.to_owned(), format!("{strange}\r\n{ours}\r\n{hers}"), format!("{changed}\r\n{hers}")]
        {
            let tampered = out.replace(&format!("{ours}\r\n{hers}"), &vias);
            assert!(says(&mut house, BOB, &tampered, "200 OK").is_empty(), "{method}: {vias}");
        }
        let sent = house.wait(seconds(33));
        assert!(heard(&sent).contains(&if method == "INVITE" { "408" } else { "100" }), "{sent:?}");
        // One that is added below ours: the caller, whose own Via is not on top, drops it (RFC 3261 §18.1.2).
        let (mut house, out) = under_way(method);
        let added = out.replace(hers, &format!("{strange}\r\n{hers}"));
        let sent = says(&mut house, BOB, &added, "200 OK");
        assert_eq!(words(&sent), [(ALICE, "200")], "by the way it came, not by what Vias say");
        assert!(sent[0].header("Via")[0].contains("203.0.113.9"));
    }
}

#[test]
fn a_branch_that_comes_back_in_other_case_is_still_ours() {
    let (mut house, out) = under_way("INVITE");
    let via = out.lines().find(|line| line.starts_with("Via:")).unwrap();
    let branch = via.split("branch=").nth(1).unwrap();
    for altered in [branch.to_uppercase(), branch.to_lowercase()] {
        let sent = says(&mut house, BOB, &out.replace(branch, &altered), "180 Ringing");
        assert_eq!(words(&sent), [(ALICE, "180")], "{altered}");
    }
}

#[test]
fn an_answer_of_another_method_is_no_answer() {
    for (asked, said) in [
        ("INVITE", "MESSAGE"),
        ("INVITE", "ACK"),
        ("INVITE", "CANCEL"),
        ("MESSAGE", "INVITE"),
        ("MESSAGE", "INFO"),
        ("MESSAGE", "ACK"),
        ("MESSAGE", "CANCEL"),
    ] {
        let (mut house, out) = under_way(asked);
        let wrong = out.replace(&format!("CSeq: 1 {asked}"), &format!("CSeq: 1 {said}"));
        for status in ["180 Ringing", "200 OK", "486 Busy Here"] {
            assert!(says(&mut house, BOB, &wrong, status).is_empty(), "{said} {status} for {asked}");
        }
        let again = house.wait(Duration::from_millis(600));
        assert_eq!(words(&again), [(BOB, asked)], "it goes on being asked");
        assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
        ends(house);
    }
}

#[test]
fn a_malformed_provisional_answer_does_not_count() {
    for (method, end) in [("INVITE", "408"), ("MESSAGE", "100")] {
        let (mut house, out) = under_way(method);
        let without_to = out.replace("\r\nTo:", "\r\nX-To:");
        assert!(says(&mut house, BOB, &without_to, "180 Ringing").is_empty());
        let sent = house.wait(seconds(33));
        assert!(words(&sent).iter().filter(|word| **word == (BOB, method)).count() >= 5, "{sent:?}");
        assert!(heard(&sent).contains(&end), "{sent:?}");
        ends(house);
    }
}

#[test]
fn a_request_that_comes_back_is_seen() {
    for method in ["INVITE", "MESSAGE"] {
        for said in [method, "INVITE", "MESSAGE", "INFO", "ACK", "CANCEL"] {
            let (mut house, out) = under_way(method);
            let mut back = out.replace(&format!("{method} sip:"), &format!("{said} sip:"));
            back = back.replace(&format!("CSeq: 1 {method}"), &format!("CSeq: 1 {said}"));
            let mut rounds = 0;
            let mut sent = house.datagram(BOB, &back);
            while let Some(again) =
                sent.iter().find(|sent| sent.to == BOB && !sent.text.starts_with("SIP/2.0"))
            {
                rounds += 1;
                assert!(rounds < 3, "{method} as {said} goes round");
                let text = again.text.clone();
                sent = house.datagram(BOB, &text);
            }
            assert!(heard(&sent).is_empty(), "{method} as {said} is heard by alice: {sent:?}");
            // What alice asked goes on.
            assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")], "{method} as {said}");
            ends(house);
        }
    }
}

#[test]
fn a_response_to_an_ack_is_dropped() {
    let (mut house, out) = under_way("INVITE");
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    let ack = copy(&house.datagram(ALICE, &within("ACK", "2", 1, &ok)), BOB);
    for cseq in ["ACK", "INVITE", "MESSAGE"] {
        let wrong = ack.replace("CSeq: 1 ACK", &format!("CSeq: 1 {cseq}"));
        assert!(says(&mut house, BOB, &wrong, "200 OK").is_empty());
    }
    let (mut house, out) = under_way("INVITE");
    let ack = copy(&says(&mut house, BOB, &out, "486 Busy Here"), BOB);
    for cseq in ["ACK", "INVITE", "MESSAGE"] {
        let wrong = ack.replace("CSeq: 1 ACK", &format!("CSeq: 1 {cseq}"));
        assert!(says(&mut house, BOB, &wrong, "200 OK").is_empty());
    }
}

#[test]
fn early_media_passes() {
    let (mut house, out) = under_way("INVITE");
    let body =
        "v=0\r\no=- 1 1 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nm=audio 4000 RTP/AVP 0\r\n";
    let mut early = crate::answer(&out, "183 Session Progress", "b", "Contact: <sip:bob@198.51.100.2>\r\n");
    early = early.replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    );
    let sent = house.datagram(BOB, &early);
    assert_eq!(words(&sent), [(ALICE, "183")]);
    assert!(sent[0].text.ends_with(&format!("\r\n\r\n{body}")));
    assert_eq!(words(&says(&mut house, BOB, &out, "180 Ringing")), [(ALICE, "180")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
}

#[test]
fn codes_of_the_called_phone_pass_as_they_are() {
    for status in [
        "300 Multiple Choices",
        "302 Moved Temporarily",
        "401 Unauthorized",
        "404 Not Found",
        "420 Bad Extension",
        "480 Temporarily Unavailable",
        "484 Address Incomplete",
        "486 Busy Here",
        "488 Not Acceptable Here",
        "491 Request Pending",
        "500 Server Internal Error",
        "504 Server Time-out",
        "580 Precondition Failure",
        "600 Busy Everywhere",
        "603 Decline",
        "699 Who Knows",
    ] {
        for method in ["INVITE", "MESSAGE"] {
            let (mut house, out) = under_way(method);
            let sent = says(&mut house, BOB, &out, status);
            let passed = sent.iter().find(|sent| sent.to == ALICE).unwrap();
            assert_eq!(passed.first_line(), format!("SIP/2.0 {status}"));
            assert_eq!(passed.header("Contact"), ["<sip:bob@198.51.100.2:5060>"], "a 302 says where");
        }
    }
    let (mut house, out) = under_way("INVITE");
    assert_eq!(heard(&says(&mut house, BOB, &out, "503 Service Unavailable")), ["500"]);
}

/// Not passed on purpose: RFC 4320 §4.1 allows no other provisional answer than 100, §4.2 no 408.
#[test]
fn a_message_is_answered_once_and_finally() {
    let (mut house, out) = under_way("MESSAGE");
    for _ in 0..5 {
        assert!(says(&mut house, BOB, &out, "180 Ringing").is_empty());
    }
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
    assert!(says(&mut house, BOB, &out, "180 Ringing").is_empty());
    ends(house);
    let (mut house, out) = under_way("MESSAGE");
    assert!(says(&mut house, BOB, &out, "408 Request Timeout").is_empty());
    // Who asked hears nothing of that, and asks again: that is no other message, which would be delivered once more.
    for _ in 0..15 {
        house.wait(seconds(2));
        assert!(house.datagram(ALICE, &of_alice("MESSAGE", "1")).is_empty());
    }
    ends(house);
}

/// RFC 4320 §4.2: what came too late for the one that asked is not passed.
#[test]
fn an_answer_to_a_message_that_comes_too_late_is_dropped() {
    let (mut house, out) = under_way("MESSAGE");
    house.wait(seconds(33));
    assert!(says(&mut house, BOB, &out, "200 OK").is_empty());
    ends(house);
}

/// A phone answers a CANCEL of ours with 200 and then nothing, or refuses it: the call ends by the phone's answer, or
/// after 32 s.
#[test]
fn what_a_phone_says_to_cancel_decides_nothing() {
    for said in
        ["200 OK", "481 Call/Transaction Does Not Exist", "405 Method Not Allowed", "503 Busy", "603 No"]
    {
        let mut house = house(&[BOB, BOB2]);
        let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
        let (one, two) = (copy(&sent, BOB), copy(&sent, BOB2));
        says(&mut house, BOB2, &two, "180 Ringing");
        let sent = says(&mut house, BOB, &one, "200 OK");
        let stop = copy(&sent, BOB2);
        assert!(says(&mut house, BOB2, &stop, said).is_empty(), "{said}");
        assert_eq!(words(&says(&mut house, BOB2, &two, "487 Request Terminated")), [(BOB2, "ACK")], "{said}");
        ends(house);
    }
}
