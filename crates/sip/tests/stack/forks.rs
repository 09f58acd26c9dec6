//! Forks: who is heard when all refuse, several answer, branches meet again, or one rings without end.

use crate::house::House;
use crate::request;
use crate::scene::{ALICE, BOB, BOB2, BOB3, cancel, copy, house, of_alice, says, within, words};
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Registers some contacts in one request.
fn register(house: &mut House, user: &str, contacts: &str) {
    let aor = format!("<sip:{user}@falcot.com>");
    let more = format!("Contact: {contacts}\r\n");
    let branch = format!("r{user}");
    let text = request("REGISTER", "sip:falcot.com", BOB, &branch, (&format!("{aor};tag=r"), &aor), &more);
    let sent = house.datagram(BOB, &text);
    assert_eq!(words(&sent), [(BOB, "200")], "{sent:?}");
    house.wait(seconds(40));
    house.sent.clear();
}

const WAYS: [&str; 3] = [BOB, BOB2, BOB3];

/// Calls bob; each phone says what the table says, in the order of the table. What alice hears in the end.
fn outcome(house: &mut House, said: &[&str]) -> Vec<String> {
    let first = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let mut heard = Vec::new();
    for (phone, status) in WAYS.into_iter().zip(said) {
        let out = house.sent.iter().find(|sent| sent.to == phone && sent.text.starts_with("INVITE"));
        let Some(out) = out.map(|out| out.text.clone()) else { continue };
        let sent = says(house, phone, &out, status);
        let acknowledged = words(&sent).contains(&(phone, "ACK"));
        assert_eq!(acknowledged, !status.starts_with('2'), "{said:?}: {sent:?}");
        // Who is told to stop, stops.
        for stop in sent.iter().filter(|sent| sent.text.starts_with("CANCEL")) {
            says(house, &stop.to, &stop.text, "200 OK");
        }
        heard.extend(sent.into_iter().filter(|sent| sent.to == ALICE));
    }
    assert_eq!(words(&first)[0], (ALICE, "100"));
    heard.iter().map(|sent| sent.first_line()[8..11].to_owned()).collect()
}

#[test]
fn the_best_refusal_of_all() {
    for (said, heard) in [
        (&["486 Busy", "404 No", "480 Away"][..], &["486"][..]),
        (&["404 No", "486 Busy", "415 Kind"], &["415"]),
        (&["404 No", "420 Extension", "486 Busy"], &["420"]),
        (&["500 Oh", "501 Oh", "504 Oh"], &["500"]),
        (&["600 All", "603 No", "604 No"], &["600"]),
        (&["500 Oh", "486 Busy", "504 Oh"], &["486"]),
        (&["500 Oh", "486 Busy", "603 No"], &["603"]),
        (&["503 Oh", "503 Oh", "503 Oh"], &["500"]),
        (&["302 There", "486 Busy", "500 Oh"], &["302"]),
        (&["407 Who", "486 Busy", "404 No"], &["407"]),
        (&["200 OK", "486 Busy", "404 No"], &["200"]),
        (&["486 Busy", "500 Oh", "200 OK"], &["200"]),
        (&["603 No", "200 OK", "486 Busy"], &["200"]),
        (&["200 OK", "603 No", "500 Oh"], &["200"]),
        (&["200 OK", "200 OK", "200 OK"], &["200", "200", "200"]),
        (&["486 Busy", "200 OK", "200 OK"], &["200", "200"]),
    ] {
        let mut house = house(&WAYS);
        assert_eq!(outcome(&mut house, said), heard, "{said:?}");
        house.wait(seconds(200));
        assert_eq!(house.transactions(), 0, "{said:?}");
    }
}

#[test]
fn the_best_refusal_of_all_one_after_the_other() {
    for (said, heard) in [
        (&["486 Busy", "404 No", "480 Away"][..], &["486"][..]),
        (&["500 Oh", "501 Oh", "504 Oh"], &["500"]),
        (&["486 Busy", "603 No", "200 OK"], &["603"]),
        (&["500 Oh", "486 Busy", "504 Oh"], &["486"]),
        (&["200 OK", "200 OK", "200 OK"], &["200"]),
        (&["486 Busy", "200 OK", "200 OK"], &["200"]),
        (&["500 Oh", "404 No", "200 OK"], &["200"]),
        (&["302 There", "486 Busy", "404 No"], &["302"]),
    ] {
        let mut house = house(&[]);
        let contacts: Vec<String> =
            WAYS.iter().zip(["1.0", "0.7", "0.2"]).map(|(way, q)| format!("<sip:bob@{way}>;q={q}")).collect();
        register(&mut house, "bob", &contacts.join(", "));
        assert_eq!(outcome(&mut house, said), heard, "{said:?}");
        house.wait(seconds(200));
        assert_eq!(house.transactions(), 0, "{said:?}");
    }
}

#[test]
fn three_answer_without_ringing_and_each_dialog_finds_its_phone() {
    let mut house = house(&WAYS);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let oks: Vec<_> = WAYS
        .into_iter()
        .map(|phone| {
            let sent = says(&mut house, phone, &copy(&sent, phone), "200 OK");
            assert_eq!(words(&sent), [(ALICE, "200")]);
            sent[0].clone()
        })
        .collect();
    for (n, (phone, ok)) in WAYS.into_iter().zip(&oks).enumerate() {
        let ack = house.datagram(ALICE, &within("ACK", &format!("a{n}"), 1, ok));
        assert_eq!(words(&ack), [(phone, "ACK")]);
        let bye = house.datagram(ALICE, &within("BYE", &format!("b{n}"), 2, ok));
        assert_eq!(words(&bye), [(phone, "BYE")]);
        assert_eq!(words(&says(&mut house, phone, &bye[0].text, "200 OK")), [(ALICE, "200")]);
    }
    house.wait(seconds(200));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn whoever_answers_after_all_were_told_to_stop_is_heard() {
    let mut house = house(&WAYS);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let [one, two, three] = WAYS.map(|phone| copy(&sent, phone));
    says(&mut house, BOB2, &two, "180 Ringing");
    says(&mut house, BOB3, &three, "180 Ringing");
    let stops = says(&mut house, BOB, &one, "603 Decline");
    assert_eq!(words(&stops), [(BOB, "ACK"), (BOB2, "CANCEL"), (BOB3, "CANCEL")]);
    assert_eq!(words(&says(&mut house, BOB2, &two, "200 OK")), [(ALICE, "200")], "a 200 beats a 6xx");
    assert_eq!(words(&says(&mut house, BOB3, &three, "487 Request Terminated")), [(BOB3, "ACK")]);
}

#[test]
fn timer_c_of_one_branch_leaves_the_others() {
    let mut house = house(&[BOB, BOB2]);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let (one, two) = (copy(&sent, BOB), copy(&sent, BOB2));
    says(&mut house, BOB, &one, "180 Ringing");
    says(&mut house, BOB2, &two, "180 Ringing");
    // The second goes on saying that it rings, the first does not.
    house.wait(seconds(100));
    says(&mut house, BOB2, &two, "180 Ringing");
    let sent = house.wait(seconds(86));
    assert_eq!(words(&sent)[0], (BOB, "CANCEL"), "ringing of one is no ringing of the other");
    assert!(words(&sent).iter().all(|(to, _)| *to == BOB), "{sent:?}");
    assert_eq!(words(&says(&mut house, BOB, &one, "487 Request Terminated")), [(BOB, "ACK")]);
    assert_eq!(words(&says(&mut house, BOB2, &two, "200 OK")), [(ALICE, "200")]);
}

#[test]
fn a_hundred_alone_starts_timer_c_once() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    assert!(says(&mut house, BOB, &out, "100 Trying").is_empty());
    house.wait(seconds(100));
    assert!(says(&mut house, BOB, &out, "100 Trying").is_empty());
    let sent = house.wait(seconds(86));
    assert_eq!(words(&sent)[0], (BOB, "CANCEL"), "RFC 3261 §16.7 step 2: 100 does not prolong it");
}

/// Bob has these contacts; of carol at our own domain, who has a phone, what is sent there comes back to us.
fn spiral(contacts: &str) -> House {
    let mut house = house(&[]);
    house.names.insert("falcot.com".to_owned(), vec!["192.0.2.1".parse().unwrap()]);
    register(&mut house, "bob", contacts);
    register(&mut house, "carol", &format!("<sip:carol@{BOB3}>"));
    house
}

const US: &str = "192.0.2.1:5060";

/// Carries what we send to ourselves until nothing is left of it; everything else that was sent comes back.
fn turn(house: &mut House, mut sent: Vec<crate::house::Sent>) -> Vec<crate::house::Sent> {
    let mut others = Vec::new();
    while !sent.is_empty() {
        let (ours, other): (Vec<_>, Vec<_>) = sent.into_iter().partition(|sent| sent.to == US);
        others.extend(other);
        sent = ours.into_iter().flat_map(|sent| house.datagram(US, &sent.text)).collect();
    }
    others
}

#[test]
fn a_call_goes_through_a_spiral() {
    for given_up in [false, true] {
        let mut house = spiral("<sip:carol@falcot.com>");
        let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
        let sent = turn(&mut house, sent);
        assert_eq!(words(&sent), [(ALICE, "100"), (BOB3, "INVITE")]);
        let out = copy(&sent, BOB3);
        let ringing = says(&mut house, BOB3, &out, "180 Ringing");
        assert_eq!(words(&turn(&mut house, ringing)), [(ALICE, "180")]);
        if given_up {
            let sent = house.datagram(ALICE, &cancel("1"));
            let sent = turn(&mut house, sent);
            assert_eq!(words(&sent), [(ALICE, "200"), (BOB3, "CANCEL")]);
            says(&mut house, BOB3, &copy(&sent, BOB3), "200 OK");
            let sent = says(&mut house, BOB3, &out, "487 Request Terminated");
            assert_eq!(words(&turn(&mut house, sent)), [(BOB3, "ACK"), (ALICE, "487")]);
        } else {
            let sent = says(&mut house, BOB3, &out, "200 OK");
            let sent = turn(&mut house, sent);
            assert_eq!(words(&sent), [(ALICE, "200")]);
            for (method, cseq) in [("ACK", 1), ("BYE", 2)] {
                let asked = house.datagram(ALICE, &within(method, method, cseq, &sent[0]));
                assert_eq!(words(&turn(&mut house, asked)), [(BOB3, method)]);
            }
        }
    }
}

#[test]
fn a_message_goes_through_a_spiral() {
    let mut house = spiral("<sip:carol@falcot.com>");
    let sent = house.datagram(ALICE, &of_alice("MESSAGE", "1"));
    let sent = turn(&mut house, sent);
    assert_eq!(words(&sent), [(BOB3, "MESSAGE")]);
    let sent = says(&mut house, BOB3, &sent[0].text, "200 OK");
    assert_eq!(words(&turn(&mut house, sent)), [(ALICE, "200")]);
}

/// Two ways that lead to one phone: that phone tells them apart (RFC 3261 §8.2.2.2), and its 482 is one refusal of two.
#[test]
fn a_fork_whose_branches_meet_again() {
    let mut house = spiral("<sip:carol@falcot.com>, <sip:dave@falcot.com>");
    register(&mut house, "dave", "<sip:carol@falcot.com>");
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let sent = turn(&mut house, sent);
    let copies: Vec<_> = sent.iter().filter(|sent| sent.to == BOB3).collect();
    assert_eq!(copies.len(), 2, "{:?}", words(&sent));
    let first = says(&mut house, BOB3, &copies[0].text, "180 Ringing");
    assert_eq!(words(&turn(&mut house, first)), [(ALICE, "180")]);
    let merged = says(&mut house, BOB3, &copies[1].text, "482 Loop Detected");
    assert_eq!(words(&turn(&mut house, merged)), [(BOB3, "ACK")]);
    let ok = says(&mut house, BOB3, &copies[0].text, "200 OK");
    assert_eq!(words(&turn(&mut house, ok)), [(ALICE, "200")]);
}

/// Whose Contact is the user's own address: it comes back once, and is seen.
#[test]
fn whoever_forwards_to_itself_is_a_loop() {
    let mut house = spiral("<sip:bob@falcot.com>");
    for method in ["INVITE", "MESSAGE"] {
        let sent = house.datagram(ALICE, &of_alice(method, method));
        let sent = turn(&mut house, sent);
        assert_eq!(words(&sent).last(), Some(&(ALICE, "482")), "{method}: {sent:?}");
    }
}

/// Two who forward to one another, each time by another URI, which no hash can tell: Max-Forwards ends it.
#[test]
fn a_loop_that_changes_each_time_ends_by_max_forwards() {
    let mut house = spiral("<sip:carol@falcot.com>");
    let mut text = of_alice("MESSAGE", "1");
    let mut hops = 0;
    let end = loop {
        let sent = house.datagram(ALICE, &text);
        // A forwarder beside us, which changes the URI each time.
        let Some(out) = sent.iter().find(|sent| sent.to == US) else { break sent };
        hops += 1;
        assert!(hops <= 70);
        text =
            out.text.replace("MESSAGE sip:carol@falcot.com", &format!("MESSAGE sip:bob@falcot.com;x={hops}"));
    };
    assert_eq!((hops, words(&end).last().map(|word| word.1)), (70, Some("483")));
}

/// RFC 4320 §3: whoever sends a message waits for 32 s and no longer, also where a phone that is not there any more says nothing.
#[test]
fn a_refusal_is_heard_in_time_where_others_are_silent() {
    for q in ["1.0", "0.5"] {
        let mut house = house(&[]);
        register(&mut house, "bob", &format!("<sip:bob@{BOB}>;q=1.0, <sip:bob@{BOB2}>;q={q}"));
        let mut sent = house.datagram(ALICE, &of_alice("MESSAGE", "1"));
        sent.extend(house.wait(seconds(5)));
        let (one, two) = (copy(&sent, BOB), copy(&sent, BOB2));
        assert!(says(&mut house, BOB, &one, "415 Unsupported Media Type").is_empty());
        let heard = |sent: &[crate::house::Sent]| {
            let of_alice = words(sent).into_iter().filter(|(to, _)| *to == ALICE);
            of_alice.map(|(_, word)| word.to_owned()).collect::<Vec<_>>()
        };
        assert!(heard(&house.wait(seconds(24))).is_empty());
        assert_eq!(heard(&house.wait(seconds(2))), ["415"], "{q}");
        assert!(says(&mut house, BOB2, &two, "200 OK").is_empty(), "that is too late");
        house.wait(seconds(70));
        assert_eq!(house.transactions(), 0);
    }
    // Where nobody has said anything, nothing is said: perhaps somebody still answers.
    let mut house = house(&[BOB, BOB2]);
    let sent = house.datagram(ALICE, &of_alice("MESSAGE", "1"));
    let one = copy(&sent, BOB);
    house.wait(seconds(31));
    assert_eq!(words(&says(&mut house, BOB, &one, "200 OK")), [(ALICE, "200")]);
}

/// A call of so much breadth.
fn thin(breadth: u32) -> String {
    let more = format!("Max-Breadth: {breadth}\r\nContent-Length");
    of_alice("INVITE", &format!("b{breadth}")).replace("Content-Length", &more)
}

/// RFC 5393 §5.3.3: where the breadth is not enough for all that would ring at once, nobody rings; one way is enough for one phone.
#[test]
fn a_breadth_that_is_not_enough_rings_nobody() {
    let mut house = house(&[]);
    register(
        &mut house,
        "bob",
        &format!("<sip:bob@{BOB}>;q=1.0, <sip:bob@{BOB2}>;q=0.5, <sip:bob@{BOB3}>;q=0.5"),
    );
    let sent = house.datagram(ALICE, &thin(1));
    assert_eq!(words(&sent), [(ALICE, "100"), (ALICE, "440")]);
    let mut house = self::house(&[BOB]);
    assert_eq!(words(&house.datagram(ALICE, &thin(1))), [(ALICE, "100"), (BOB, "INVITE")]);
}

/// RFC 5393 §5.3.3.1: whoever comes later has the breadth that those before have had, as soon as they are answered.
#[test]
fn breadth_that_was_had_is_had_again() {
    let mut house = house(&[]);
    let contacts = format!("<sip:bob@{BOB}>;q=1.0, <sip:bob@{BOB2}>;q=0.5, <sip:bob@{BOB3}>;q=0.2");
    register(&mut house, "bob", &contacts);
    let sent = house.datagram(ALICE, &thin(1));
    assert_eq!(words(&sent), [(ALICE, "100"), (BOB, "INVITE")]);
    let sent = says(&mut house, BOB, &copy(&sent, BOB), "486 Busy Here");
    assert_eq!(words(&sent), [(BOB, "ACK"), (BOB2, "INVITE")]);
    let second = copy(&sent, BOB2);
    assert!(second.contains("\r\nMax-Breadth: 1\r\n"), "{second}");
    // Who has had his time has the breadth until he has stopped.
    says(&mut house, BOB2, &second, "180 Ringing");
    assert_eq!(words(&house.wait(seconds(20))), [(BOB2, "CANCEL")]);
    let sent = says(&mut house, BOB2, &second, "487 Request Terminated");
    assert_eq!(words(&sent), [(BOB2, "ACK"), (BOB3, "INVITE")]);
    let sent = says(&mut house, BOB3, &copy(&sent, BOB3), "200 OK");
    assert_eq!(words(&sent), [(ALICE, "200")]);
    house.wait(seconds(200));
    assert_eq!(house.transactions(), 0);
}

/// One who forwards to himself by many URIs, one after the other: what each round is given anew would be work without end.
#[test]
fn rounds_by_this_server_share_the_breadth_also_one_after_the_other() {
    let contacts: Vec<String> = (1..=3).map(|n| format!("<sip:bob@falcot.com;x={n}>;q=0.{n}")).collect();
    let mut house = spiral(&contacts.join(", "));
    for (text, most) in [(thin(2), 0), (thin(9), 12)] {
        let (mut sent, mut rounds, mut heard) = (house.datagram(ALICE, &text), 0, Vec::new());
        while !sent.is_empty() {
            let (ours, other): (Vec<_>, Vec<_>) = sent.into_iter().partition(|sent| sent.to == US);
            rounds += ours.iter().filter(|sent| sent.text.starts_with("INVITE")).count();
            assert!(rounds <= most, "{rounds}");
            heard.extend(other);
            sent = ours.into_iter().flat_map(|sent| house.datagram(US, &sent.text)).collect();
        }
        let last = heard.last().map(|sent| sent.first_line().to_owned());
        let expected =
            if most == 0 { "SIP/2.0 440 Max-Breadth Exceeded" } else { "SIP/2.0 482 Loop Detected" };
        assert_eq!(last.as_deref(), Some(expected));
    }
}
