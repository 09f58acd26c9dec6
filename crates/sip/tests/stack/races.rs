//! Races: what crosses what, what comes late, what comes after a restart.

use crate::answer;
use crate::house::House;
use crate::scene::{ALICE, BOB, BOB2, BOB3, ack, cancel, copy, house, lines, of_alice, says, within, words};
use sip::stack::Input;
use std::time::Duration;
use wire::Transport;

const FAR: &str = "203.0.113.1:5060";
const FAR2: &str = "203.0.113.2:5060";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn cancel_while_nothing_was_heard_from_the_phone() {
    // A ringing that comes late is answered by the CANCEL.
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    assert_eq!(words(&house.datagram(ALICE, &cancel("1"))), [(ALICE, "200")]);
    let sent = says(&mut house, BOB, &out, "180 Ringing");
    assert_eq!(words(&sent), [(BOB, "CANCEL"), (ALICE, "180")]);
    says(&mut house, BOB, &sent[0].text, "200 OK");
    let sent = says(&mut house, BOB, &out, "487 Request Terminated");
    assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, "487")]);
    assert_eq!(words(&house.datagram(ALICE, &ack("1", &sent[1]))), []);
    assert!(house.wait(seconds(70)).is_empty());
    assert_eq!(house.transactions(), 0);
}

#[test]
fn a_phone_that_rings_on_after_the_cancel_is_given_up() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    house.datagram(ALICE, &cancel("1"));
    let sent = says(&mut house, BOB, &out, "180 Ringing");
    says(&mut house, BOB, &sent[0].text, "200 OK");
    house.wait(seconds(20));
    says(&mut house, BOB, &out, "180 Ringing");
    let sent = house.wait(seconds(13));
    assert_eq!(words(&sent)[0], (ALICE, "487"), "ringing on does not prolong it: {sent:?}");
    house.wait(seconds(70));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn a_phone_that_was_never_heard_of_is_never_cancelled() {
    let mut house = house(&[BOB]);
    house.datagram(ALICE, &of_alice("INVITE", "1"));
    house.datagram(ALICE, &cancel("1"));
    let sent = house.wait(seconds(33));
    assert!(sent.iter().all(|sent| !sent.text.starts_with("CANCEL")), "{sent:?}");
    let told: Vec<_> = words(&sent).into_iter().filter(|(to, _)| *to == ALICE).collect();
    assert_eq!(told[0], (ALICE, "408"));
    house.wait(seconds(70));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn cancel_comes_after_a_refusal() {
    for status in ["486 Busy Here", "503 Service Unavailable"] {
        let mut house = house(&[BOB]);
        let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
        let sent = says(&mut house, BOB, &out, status);
        let code = if status.starts_with("503") { "500" } else { "486" };
        assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, code)]);
        assert_eq!(words(&house.datagram(ALICE, &cancel("1"))), [(ALICE, "200")]);
        let sent = house.wait(seconds(31));
        assert!(words(&sent).iter().all(|word| *word == (ALICE, code)), "{sent:?}");
        house.wait(seconds(70));
        assert_eq!(house.transactions(), 0);
    }
}

#[test]
fn a_final_answer_crosses_the_cancel() {
    for (status, heard) in [
        ("486 Busy Here", "486"),
        ("503 Service Unavailable", "500"),
        ("200 OK", "200"),
        ("603 Decline", "603"),
    ] {
        let mut house = house(&[BOB]);
        let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
        says(&mut house, BOB, &out, "180 Ringing");
        let stop = house.datagram(ALICE, &cancel("1"));
        assert_eq!(words(&stop), [(ALICE, "200"), (BOB, "CANCEL")]);
        let sent = says(&mut house, BOB, &out, status);
        assert_eq!(words(&sent).last(), Some(&(ALICE, heard)), "{sent:?}");
        // The phone has answered, so the CANCEL finds nothing.
        assert!(says(&mut house, BOB, &stop[1].text, "481 Call/Transaction Does Not Exist").is_empty());
        let sent = house.wait(seconds(100));
        assert!(words(&sent).iter().all(|word| *word == (ALICE, heard)), "one final answer: {sent:?}");
        assert_eq!(house.transactions(), 0);
    }
}

#[test]
fn a_fork_of_three_is_given_up() {
    let mut house = house(&[BOB, BOB2, BOB3]);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    let [one, two, three] = [BOB, BOB2, BOB3].map(|phone| copy(&sent, phone));
    says(&mut house, BOB, &one, "486 Busy Here");
    says(&mut house, BOB2, &two, "180 Ringing");
    assert_eq!(words(&house.datagram(ALICE, &cancel("1"))), [(ALICE, "200"), (BOB2, "CANCEL")]);
    assert_eq!(words(&says(&mut house, BOB2, &two, "487 Request Terminated")), [(BOB2, "ACK")]);
    let sent = says(&mut house, BOB3, &three, "180 Ringing");
    assert_eq!(words(&sent)[0], (BOB3, "CANCEL"));
    let sent = says(&mut house, BOB3, &three, "487 Request Terminated");
    assert_eq!(words(&sent), [(BOB3, "ACK"), (ALICE, "486")], "the first refusal of its class");
    house.wait(seconds(100));
    assert_eq!(house.transactions(), 0);
}

/// After a restart transactions have the numbers that those before it had: what still comes for these is not for those.
#[test]
fn an_answer_from_before_a_restart_is_nobodys() {
    let mut house = house(&[BOB]);
    let old = copy(&house.datagram(ALICE, &of_alice("INVITE", "old")), BOB);
    house.restart();
    house.sent.clear();
    let new = copy(&house.datagram(ALICE, &of_alice("INVITE", "new")), BOB);
    assert!(says(&mut house, BOB, &old, "200 OK").is_empty(), "alice hears of another call");
    assert_eq!(words(&says(&mut house, BOB, &new, "180 Ringing")), [(ALICE, "180")]);
}

/// The caller's ACK was lost: the phone says 200 again, whatever has become of the way that the first came by.
#[test]
fn a_200_passes_again_after_its_way_has_failed() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    says(&mut house, BOB, &out, "200 OK");
    house.input(0, Input::Unreachable { peer: BOB.parse().unwrap() });
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
    house.wait(seconds(40));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn a_200_passes_again_by_a_new_stream() {
    let mut house = House::new(1);
    let conn = house.connect(0, Transport::Tcp, "198.51.100.2:41000");
    let (aor, at) = ("<sip:bob@falcot.com>", "198.51.100.2:41000");
    let contact = format!("Contact: <sip:bob@{at};transport=tcp>\r\n");
    let register =
        crate::request("REGISTER", "sip:falcot.com", at, "r", (&format!("{aor};tag=r"), aor), &contact);
    house.stream(conn, &register.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), at);
    let ok = answer(&out, "200 OK", "b", &contact);
    assert_eq!(words(&house.stream(conn, &ok)), [(ALICE, "200")]);
    house.input(0, Input::Closed { conn });
    let conn = house.connect(0, Transport::Tcp, "198.51.100.2:41001");
    assert_eq!(words(&house.stream(conn, &ok)), [(ALICE, "200")]);
}

/// Bob's first choice is a host with two addresses, his second a phone.
fn in_turn() -> House {
    let mut house = house(&[]);
    let addresses = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().unwrap());
    house.names.insert("peer.example".to_owned(), addresses.to_vec());
    let aor = "<sip:bob@falcot.com>";
    let more = format!("Contact: <sip:bob@peer.example>;q=1.0, <sip:bob@{BOB}>;q=0.5\r\n");
    house.datagram(
        BOB,
        &crate::request("REGISTER", "sip:falcot.com", BOB, "r", (&format!("{aor};tag=r"), aor), &more),
    );
    house.sent.clear();
    house
}

#[test]
fn whose_time_is_over_is_not_tried_another_way() {
    // Silent, silent after the CANCEL, refusing: in none of these the second address rings while the next phone does.
    let mut house = in_turn();
    house.datagram(ALICE, &of_alice("INVITE", "1"));
    let sent = house.wait(seconds(40));
    assert!(sent.iter().any(|sent| sent.to == BOB), "the next one rings");
    assert!(sent.iter().all(|sent| sent.to != FAR2), "{:?}", lines(&sent));

    let mut house = in_turn();
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), FAR);
    says(&mut house, FAR, &out, "180 Ringing");
    let sent = house.wait(seconds(60));
    assert!(words(&sent).contains(&(FAR, "CANCEL")));
    assert!(sent.iter().all(|sent| sent.to != FAR2), "{:?}", lines(&sent));

    let mut house = in_turn();
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), FAR);
    says(&mut house, FAR, &out, "180 Ringing");
    house.wait(seconds(21));
    let sent = says(&mut house, FAR, &out, "503 Service Unavailable");
    assert!(sent.iter().all(|sent| sent.to != FAR2), "{:?}", lines(&sent));
}

#[test]
fn who_has_rung_for_three_minutes_is_not_tried_another_way() {
    let mut house = house(&[]);
    let addresses = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().unwrap());
    house.names.insert("peer.example".to_owned(), addresses.to_vec());
    let call = of_alice("INVITE", "1").replace("bob@falcot.com", "bob@peer.example");
    let out = copy(&house.datagram(ALICE, &call), FAR);
    says(&mut house, FAR, &out, "180 Ringing");
    let sent = house.wait(seconds(230));
    assert!(words(&sent).contains(&(ALICE, "408")) && words(&sent).contains(&(FAR, "CANCEL")));
    assert!(sent.iter().all(|sent| sent.to != FAR2), "{:?}", lines(&sent));
}

/// Whoever sent it has given up when the first address has (RFC 4320 §3): a MESSAGE that arrives now arrives twice.
#[test]
fn what_nobody_waits_for_is_not_sent_another_way() {
    let mut house = house(&[]);
    let addresses = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().unwrap());
    house.names.insert("peer.example".to_owned(), addresses.to_vec());
    house.datagram(ALICE, &of_alice("MESSAGE", "1").replace("bob@falcot.com", "bob@peer.example"));
    let sent = house.wait(seconds(120));
    assert!(sent.iter().all(|sent| sent.to != FAR2), "{:?}", lines(&sent));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn a_late_ack_passes() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    for second in 1..=10 {
        house.wait(seconds(1));
        assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")], "{second}");
    }
    for branch in ["2", "3"] {
        assert_eq!(words(&house.datagram(ALICE, &within("ACK", branch, 1, &ok))), [(BOB, "ACK")]);
    }
    // Even when nothing is left of the INVITE.
    house.wait(seconds(60));
    assert_eq!(house.transactions(), 0);
    assert_eq!(words(&house.datagram(ALICE, &within("ACK", "4", 1, &ok))), [(BOB, "ACK")]);
}

#[test]
fn a_bye_that_crosses_the_200_passes() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    let early = says(&mut house, BOB, &out, "180 Ringing").remove(0);
    let bye = house.datagram(ALICE, &within("BYE", "2", 2, &early));
    assert_eq!(words(&bye), [(BOB, "BYE")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
    assert_eq!(words(&says(&mut house, BOB, &bye[0].text, "200 OK")), [(ALICE, "200")]);
}
