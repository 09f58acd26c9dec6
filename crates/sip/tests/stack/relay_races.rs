//! What happens to a call while whoever relays its media thinks about one of its messages.

use crate::house::{House, Sent};
use crate::scene::{ALICE, BOB, BOB2, ack, cancel, copy, of_alice, says, words};
use crate::{call, request};
use sip::proxy::media::Relaying;
use sip::stack::Input;
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn house(phones: &[&str]) -> House {
    let mut house = House::with(1, |config| config.relaying = Relaying::Always);
    phones.iter().for_each(|phone| call::register(&mut house, "bob", phone));
    house
}

/// Alice's INVITE, which has left for these phones, and now the relay takes its time.
fn under_way<const N: usize>(phones: [&str; N]) -> (House, [String; N]) {
    let mut house = house(&phones);
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1"));
    house.relay_stalls = true;
    (house, phones.map(|phone| copy(&sent, phone)))
}

/// The relay has thought about everything, and is quick from now on.
fn relay_answers(house: &mut House) -> Vec<Sent> {
    house.relay_stalls = false;
    let waiting = std::mem::take(&mut house.unrelayed);
    assert!(!waiting.is_empty(), "nothing was asked");
    let input = |(worker, token)| house.input(worker, Input::Mediated { token, body: None });
    waiting.into_iter().flat_map(input).collect()
}

/// After all timers nothing is left, and alice has heard nothing but this again.
fn ends(mut house: House, again: &str) {
    let sent = house.wait(seconds(300));
    assert!(words(&sent).iter().all(|(to, word)| *to != ALICE || *word == again), "{:?}", words(&sent));
    assert!(words(&sent).iter().all(|(_, word)| *word != "CANCEL"), "{:?}", words(&sent));
    assert_eq!(house.transactions(), 0);
    let bindings = house.deadline();
    assert!(bindings.is_none_or(|next| next > house.now + seconds(600)), "a timer is left");
}

#[test]
fn whoever_gives_up_then_has_the_call() {
    let (mut house, [out]) = under_way([BOB]);
    assert!(says(&mut house, BOB, &out, "200 OK").is_empty());
    assert_eq!(words(&house.datagram(ALICE, &cancel("1"))), [(ALICE, "200")], "nothing to cancel any more");
    assert_eq!(words(&relay_answers(&mut house)), [(ALICE, "200")]);
    ends(house, "200");
}

#[test]
fn a_6xx_of_another_does_not_beat_the_answer() {
    let (mut house, [one, two]) = under_way([BOB, BOB2]);
    says(&mut house, BOB, &one, "200 OK");
    assert_eq!(words(&says(&mut house, BOB2, &two, "603 Decline")), [(BOB2, "ACK")]);
    assert_eq!(words(&relay_answers(&mut house)), [(ALICE, "200")]);
    ends(house, "200");
}

#[test]
fn ringing_that_comes_back_after_the_refusal_is_dropped() {
    let (mut house, [out]) = under_way([BOB]);
    assert!(says(&mut house, BOB, &out, "183 Session Progress").is_empty());
    let sent = says(&mut house, BOB, &out, "486 Busy Here");
    assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, "486")]);
    house.datagram(ALICE, &ack("1", &sent[1]));
    assert!(relay_answers(&mut house).is_empty());
    ends(house, "486");
}

/// The CANCEL does not wait for the relay: the phone would go on ringing. Nor does it come after the phone's answer.
#[test]
fn whoever_rings_is_cancelled_at_once_and_once() {
    for (status, heard) in [("487 Request Terminated", "487"), ("486 Busy Here", "486")] {
        let (mut house, [out]) = under_way([BOB]);
        house.datagram(ALICE, &cancel("1"));
        let stop = says(&mut house, BOB, &out, "180 Ringing");
        assert_eq!(words(&stop), [(BOB, "CANCEL")]);
        says(&mut house, BOB, &stop[0].text, "200 OK");
        let sent = says(&mut house, BOB, &out, status);
        assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, heard)]);
        house.datagram(ALICE, &ack("1", &sent[1]));
        assert!(relay_answers(&mut house).is_empty());
        ends(house, heard);
    }
}

#[test]
fn an_answer_that_is_repeated_meanwhile_passes_as_often() {
    let (mut house, [out]) = under_way([BOB]);
    for _ in 0..3 {
        assert!(says(&mut house, BOB, &out, "200 OK").is_empty());
    }
    house.input(0, Input::Unreachable { peer: BOB.parse().unwrap() });
    assert_eq!(words(&relay_answers(&mut house)), [(ALICE, "200"); 3]);
    ends(house, "200");
}

#[test]
fn where_the_relay_never_answers_the_call_is_answered_all_the_same() {
    let (mut house, [out]) = under_way([BOB]);
    says(&mut house, BOB, &out, "180 Ringing");
    says(&mut house, BOB, &out, "200 OK");
    assert_eq!(words(&house.wait(seconds(11))), [(ALICE, "180"), (ALICE, "200")]);
    house.unrelayed.clear();
    ends(house, "200");
}

/// Bob's desk is preferred to his mobile. Its answer is with the relay when its time to ring is over.
#[test]
fn whoever_has_answered_is_not_late() {
    let mut house = house(&[]);
    let bob = "<sip:bob@falcot.com>";
    let more = format!("Contact: <sip:bob@{BOB}>;q=1.0, <sip:bob@{BOB2}>;q=0.5\r\n");
    house.datagram(
        BOB,
        &request("REGISTER", "sip:falcot.com", BOB, "r", (&format!("{bob};tag=r"), bob), &more),
    );
    house.wait(seconds(40));
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    says(&mut house, BOB, &out, "180 Ringing");
    house.relay_stalls = true;
    house.wait(Duration::from_millis(19_900));
    assert!(says(&mut house, BOB, &out, "200 OK").is_empty());
    let sent = house.wait(Duration::from_millis(200));
    assert!(
        sent.is_empty() && house.unrelayed.len() == 1,
        "the next one does not begin to ring: {:?}",
        words(&sent)
    );
    assert_eq!(words(&relay_answers(&mut house)), [(ALICE, "200")]);
    ends(house, "200");
}
