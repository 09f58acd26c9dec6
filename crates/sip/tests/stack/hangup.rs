//! The calls that a worker knows of, wherever their messages come to, and their end by an administrator.

use crate::call::register;
use crate::house::{House, Sent};
use crate::scene::{ALICE, BOB, BOB2, cancel, copy, lines, of_alice, says, within};
use crate::{answer, request};
use sip::dialog::home;
use sip::page::Page;
use sip::stack::{Ringing, Stack};
use std::time::Duration;
use wire::Transport;

const ALL: Page = Page { from: 0, places: 1000, most: 1000 };

fn house(workers: u16, phones: &[&str]) -> House {
    let mut house = House::new(workers);
    phones.iter().for_each(|phone| register(&mut house, "bob", phone));
    house
}

/// How many calls stand at each worker.
fn standing(house: &mut House) -> Vec<usize> {
    house.stacks.iter_mut().for_each(Stack::tell_homes);
    house.settle_now();
    house.stacks.iter().map(|stack| stack.calls().page(house.now, ALL).found.len()).collect()
}

fn ringing(house: &House) -> Vec<Ringing> {
    house.stacks.iter().flat_map(|stack| stack.ringing(ALL).found).collect()
}

/// A call of alice's that bob has answered, as she heard it.
fn call(house: &mut House, branch: &str) -> Sent {
    let sent = house.datagram(ALICE, &of_alice("INVITE", branch));
    says(house, BOB, &copy(&sent, BOB), "200 OK").remove(0)
}

fn hang_up(house: &mut House, call_id: &str) -> (usize, Vec<Sent>) {
    standing(house);
    let before = house.sent.len();
    let now = house.now;
    let count = house.stacks.iter_mut().map(|stack| stack.hang_up(now, call_id.as_bytes())).sum();
    house.wait(Duration::ZERO);
    house.settle_now();
    (count, house.sent[before..].to_vec())
}

/// The CSeq number of a BYE.
fn number(bye: &Sent) -> u32 {
    bye.header("CSeq")[0].strip_suffix(" BYE").unwrap().parse().unwrap()
}

#[test]
fn calls_are_known_at_their_home_from_answer_to_bye() {
    let mut house = house(3, &[BOB]);
    let mut homes = vec![0; 3];
    for n in 0..9 {
        let branch = format!("c{n}");
        homes[usize::from(home(format!("call-{branch}@{ALICE}").as_bytes(), 3).0)] += 1;
        let ok = call(&mut house, &branch);
        assert_eq!(standing(&mut house).iter().sum::<usize>(), n + 1);
        if n == 0 {
            // The BYE comes to a worker that is neither the INVITE's nor the call's home, and is told to that.
            house.datagram_at(2, ALICE, &within("INFO", "i", 2, &ok));
        }
    }
    assert_eq!(standing(&mut house), homes);
    assert!(homes.iter().filter(|count| **count > 0).count() > 1, "{homes:?}");
    let ok = house
        .sent
        .iter()
        .rfind(|sent| sent.to == ALICE && sent.first_line() == "SIP/2.0 200 OK")
        .unwrap()
        .clone();
    house.datagram_at(2, ALICE, &within("BYE", "y", 2, &ok));
    assert_eq!(standing(&mut house).iter().sum::<usize>(), 8);
    let begun: u64 = house.stacks.iter().map(|stack| stack.calls().begun()).sum();
    assert_eq!(begun, 9);
}

#[test]
fn both_sides_are_told_and_go() {
    let mut house = house(2, &[BOB]);
    let ok = call(&mut house, "1");
    let call_id = ok.header("Call-ID")[0].to_owned();
    // Alice has gone on to CSeq 5 and to another address, bob has sent nothing.
    let moved = within("INVITE", "2", 5, &ok).replace("alice@198.51.100.1:5060>", "alice@198.51.100.1:5090>");
    house.datagram_at(1, ALICE, &moved);
    let (count, sent) = hang_up(&mut house, &call_id);
    assert_eq!(count, 1);
    let (to_bob, to_alice) = (&sent[0], &sent[1]);
    assert_eq!(
        lines(&sent),
        [
            (BOB, "BYE sip:bob@198.51.100.2:5060 SIP/2.0"),
            ("198.51.100.1:5090", "BYE sip:alice@198.51.100.1:5090 SIP/2.0")
        ]
    );
    assert_eq!((to_bob.header("From"), to_bob.header("To")), (ok.header("From"), ok.header("To")));
    assert_eq!((to_alice.header("From"), to_alice.header("To")), (ok.header("To"), ok.header("From")));
    assert!(number(to_bob) > 5 && number(to_alice) > 0);
    for bye in &sent {
        assert_eq!(bye.header("Call-ID"), [&call_id]);
        assert!(
            bye.header("Route").is_empty() && bye.header("Reason")[0].contains("administrator"),
            "{bye:?}"
        );
    }
    assert_eq!(standing(&mut house), [0, 0]);
    assert_eq!(hang_up(&mut house, &call_id).0, 0);
    // Phones answer, and nobody is told; what is not answered is sent again.
    assert!(house.datagram(BOB, &answer(&to_bob.text, "200 OK", "", "")).is_empty());
    let again = house.wait(Duration::from_millis(600));
    assert_eq!(again.iter().filter(|sent| sent.text.starts_with("BYE ")).count(), 1);
    assert!(house.datagram_at(1, "198.51.100.1:5090", &answer(&to_alice.text, "200 OK", "", "")).is_empty());
    house.wait(Duration::from_secs(70));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn phones_behind_nat_and_on_streams_are_reached_by_their_flows() {
    let mut house = House::new(2);
    let conn = house.connect(1, Transport::Tcp, BOB2);
    let bob = "<sip:bob@falcot.com>";
    let text = request(
        "REGISTER",
        "sip:falcot.com",
        "10.0.0.2:5060",
        "r",
        (&format!("{bob};tag=r"), bob),
        "Contact: <sip:bob@10.0.0.2:5060;transport=tcp>\r\n",
    );
    house.stream(conn, &text.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let nat = "203.0.113.50:33000";
    let invite = of_alice("INVITE", "1").replace("alice@198.51.100.1:5060", "alice@10.0.0.1:5060");
    let sent = house.datagram(nat, &invite);
    let ok = answer(&copy(&sent, BOB2), "200 OK", "b", "Contact: <sip:bob@10.0.0.2:5060;transport=tcp>\r\n");
    house.stream(conn, &ok);
    let (count, sent) = hang_up(&mut house, &format!("call-1@{ALICE}"));
    assert_eq!(count, 1);
    let mut lines = lines(&sent);
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            (BOB2, "BYE sip:bob@10.0.0.2:5060;transport=tcp SIP/2.0"),
            (nat, "BYE sip:alice@10.0.0.1:5060 SIP/2.0")
        ]
    );
}

#[test]
fn other_proxies_on_the_way_are_passed_again() {
    let mut house = house(1, &[BOB]);
    let upstream = "Record-Route: <sip:203.0.113.7;lr>\r\nContact";
    let sent = house.datagram("203.0.113.7:5060", &of_alice("INVITE", "1").replace("Contact", upstream));
    let out = copy(&sent, BOB);
    let out = out.replacen("Record-Route: ", "Record-Route: <sip:203.0.113.8;lr>\r\nRecord-Route: ", 1);
    says(&mut house, BOB, &out, "200 OK");
    let (_, sent) = hang_up(&mut house, &format!("call-1@{ALICE}"));
    assert_eq!(
        lines(&sent),
        [
            ("203.0.113.8:5060", "BYE sip:bob@198.51.100.2:5060 SIP/2.0"),
            ("203.0.113.7:5060", "BYE sip:alice@198.51.100.1:5060 SIP/2.0")
        ]
    );
    assert_eq!(sent[0].header("Route"), ["<sip:203.0.113.8;lr>"]);
    assert_eq!(sent[1].header("Route"), ["<sip:203.0.113.7;lr>"]);
}

#[test]
fn what_rings_is_listed_and_cancelled() {
    let mut house = house(2, &[BOB, BOB2]);
    let sent = house.datagram_at(1, ALICE, &of_alice("INVITE", "1"));
    let out = copy(&sent, BOB);
    house.datagram_at(1, BOB, &answer(&out, "180 Ringing", "b", ""));
    house.datagram_at(1, BOB2, &answer(&copy(&sent, BOB2), "486 Busy Here", "c", ""));
    let [call] = &ringing(&house)[..] else { panic!("one call rings") };
    assert_eq!((&*call.from, &*call.called), (&b"sip:alice@falcot.com"[..], &b"sip:bob@falcot.com"[..]));
    assert_eq!(call.caller, (Some(Transport::Udp), Some(ALICE.parse().unwrap())));
    assert_eq!(call.phones, [(Some(Transport::Udp), Some(BOB.parse().unwrap()))]);
    let (count, sent) = hang_up(&mut house, &format!("call-1@{ALICE}"));
    assert_eq!((count, lines(&sent)), (1, vec![(BOB, "CANCEL sip:bob@198.51.100.2:5060 SIP/2.0")]));
    assert!(sent[0].header("Reason")[0].contains("administrator"));
    let sent = house.datagram_at(1, BOB, &answer(&out, "487 Request Terminated", "b", ""));
    assert!(lines(&sent).contains(&(ALICE, "SIP/2.0 486 Busy Here")), "{sent:?}");
    assert!(ringing(&house).is_empty());
    let sent = house.datagram(ALICE, &of_alice("INVITE", "2"));
    house.datagram(BOB, &answer(&copy(&sent, BOB), "180 Ringing", "b", ""));
    assert_eq!(ringing(&house).len(), 1);
    house.datagram(ALICE, &cancel("2"));
    assert_eq!(standing(&mut house), [0, 0]);
}

#[test]
fn dialogs_that_phones_do_not_know_any_more_are_over() {
    let mut house = house(1, &[BOB]);
    let ok = call(&mut house, "1");
    let out = house.datagram(ALICE, &within("INFO", "2", 2, &ok));
    house.datagram(BOB, &answer(&copy(&out, BOB), "481 Call/Transaction Does Not Exist", "", ""));
    assert_eq!(standing(&mut house), [0]);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "3"));
    let timer = "Session-Expires: 90;refresher=uac\r\nContact: <sip:bob@198.51.100.2:5060>\r\n";
    let ok = house.datagram(BOB, &answer(&copy(&sent, BOB), "200 OK", "b", timer)).remove(0);
    house.wait(Duration::from_secs(80));
    house.datagram(
        ALICE,
        &within("UPDATE", "4", 2, &ok).replace("Content-Length", "Session-Expires: 90\r\nContent-Length"),
    );
    house.wait(Duration::from_secs(150));
    assert_eq!(standing(&mut house), [1]);
    house.wait(Duration::from_secs(10));
    assert_eq!(standing(&mut house), [0], "nobody has refreshed it");
}

/// What was said before the answer (RFC 3262, RFC 3311) has used up numbers that nobody had a call for to count.
#[test]
fn a_bye_has_a_number_above_all_that_were_used() {
    let mut house = house(2, &[BOB]);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let out = copy(&sent, BOB);
    let early = says(&mut house, BOB, &out, "183 Session Progress").remove(0);
    for (method, cseq) in [("PRACK", 2), ("UPDATE", 3)] {
        let sent = house.datagram_at(1, ALICE, &within(method, method, cseq, &early));
        says(&mut house, BOB, &copy(&sent, BOB), "200 OK");
    }
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    let (count, sent) = hang_up(&mut house, ok.header("Call-ID")[0]);
    let to_bob = sent.iter().find(|sent| sent.to == BOB).unwrap();
    assert!(count == 1 && number(to_bob) > 3, "{sent:?}");
}

/// What other workers are told waits for more of the same, but not for long.
#[test]
fn other_workers_hear_of_calls_a_little_later() {
    let mut house = house(2, &[BOB]);
    let elsewhere = (0..)
        .map(|n| format!("e{n}"))
        .filter(|branch| home(format!("call-{branch}@{ALICE}").as_bytes(), 2).0 == 1);
    for branch in elsewhere.take(3) {
        call(&mut house, &branch);
    }
    let known = |house: &House| house.stacks[1].calls().len();
    assert_eq!(known(&house), 0);
    house.wait(Duration::from_millis(99));
    assert_eq!(known(&house), 0);
    house.wait(Duration::from_millis(1));
    assert_eq!(known(&house), 3);
}
