//! Calls whose media are relayed: who is asked what, what goes on in place of what came, and when it is over. The relay of
//! these tests puts 192.0.2.50 into descriptions.

use crate::house::{House, Sent};
use crate::scene::{ALICE, BOB, BOB2, cancel, copy, of_alice, says, within, words};
use crate::{answer, call, request};
use sip::proxy::media::{Kind, Over, Relaying};
use sip::stack::Input;
use std::time::Duration;

/// Where alice says that she is: behind a NAT.
const HOME: &str = "192.168.1.5";

fn house(relaying: Relaying, phones: &[&str]) -> House {
    let mut house = House::with(1, |config| config.relaying = relaying);
    phones.iter().for_each(|phone| call::register(&mut house, "bob", phone));
    house
}

fn sdp(ip: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
}

/// A message with a session description as its body.
fn with_body(message: &str, body: &str) -> String {
    let head = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n", body.len());
    message.replace("Content-Length: 0\r\n\r\n", &head) + body
}

fn offers(branch: &str, ip: &str) -> String {
    with_body(&of_alice("INVITE", branch), &sdp(ip))
}

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// What a phone answers, with a description.
fn answers(house: &mut House, phone: &str, to: &str, status: &str, ip: &str) -> Vec<Sent> {
    let contact = format!("Contact: <sip:bob@{phone}>\r\n");
    let tag = format!("t{}", phone.replace(['.', ':'], ""));
    house.datagram(phone, &with_body(&answer(to, status, &tag, &contact), &sdp(ip)))
}

/// A call of alice's that bob has taken: what she heard.
fn taken(house: &mut House) -> Sent {
    let out = copy(&house.datagram(ALICE, &offers("1", HOME)), BOB);
    let heard = answers(house, BOB, &out, "200 OK", "198.51.100.2");
    heard.iter().find(|sent| sent.to == ALICE).expect("the 200 goes on").clone()
}

#[test]
fn descriptions_go_on_in_the_relay_s_terms_and_the_bye_ends_it() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let out = copy(&house.datagram(ALICE, &offers("1", HOME)), BOB);
    assert_eq!(body(&out), sdp(HOME).replace(&format!("c=IN IP4 {HOME}"), "c=IN IP4 192.0.2.50"));
    let length = format!("Content-Length: {}\r\n", body(&out).len());
    assert!(out.contains(&length), "{out}");
    let ringing = says(&mut house, BOB, &out, "180 Ringing");
    assert_eq!(words(&ringing), [(ALICE, "180")]);
    let heard = answers(&mut house, BOB, &out, "200 OK", "198.51.100.2");
    assert!(body(&heard[0].text).contains("c=IN IP4 192.0.2.50\r\n"), "{heard:?}");
    let kinds: Vec<_> = house.passages.iter().map(|passage| passage.kind).collect();
    assert_eq!(kinds, [Kind::Request, Kind::Response, Kind::Answer]);
    let (first, last) = (house.passages[0].clone(), house.passages[2].clone());
    assert_eq!(
        (&*first.by.tag, &*first.to.tag, &*last.by.tag),
        (&b"a"[..], &b""[..], &b"t1985110025060"[..])
    );
    assert_eq!(first.by.source, "198.51.100.1".parse().ok());
    assert_eq!(first.to.source, "198.51.100.2".parse().ok());
    assert_eq!(last.by.source, "198.51.100.2".parse().ok());
    assert!(first.seat.is_some() && last.seat.is_none());
    assert!(first.fork.is_some() && first.fork == last.fork);
    let [Over::Fork { winner: Some(0), .. }] = &house.over[..] else { panic!("{:?}", house.over) };
    house.datagram(ALICE, &within("ACK", "2", 1, &heard[0]));
    let bye = copy(&house.datagram(ALICE, &within("BYE", "3", 2, &heard[0])), BOB);
    assert_eq!(house.over.len(), 1, "not before it is answered");
    says(&mut house, BOB, &bye, "200 OK");
    let Some(Over::Dialog { call, by, to }) = house.over.get(1) else { panic!("{:?}", house.over) };
    assert_eq!((&**call, &**by, &**to), (&first.call[..], &b"a"[..], &b"t1985110025060"[..]));
}

/// The end that an administrator makes is one for the relay, and the trace tells that there was one.
#[test]
fn a_call_that_is_hung_up_is_relayed_no_more() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let ok = taken(&mut house);
    let call_id = ok.header("Call-ID")[0].as_bytes().to_vec();
    let before = house.sent.len();
    let now = house.now;
    assert_eq!(house.stacks[0].hang_up(now, &call_id), 1);
    house.settle_now();
    let byes: Vec<Sent> = house.sent[before..].to_vec();
    assert_eq!(words(&byes), [(BOB, "BYE"), (ALICE, "BYE")]);
    house.datagram(BOB, &answer(&byes[0].text, "200 OK", "", ""));
    assert!(house.over.iter().any(|over| matches!(over, Over::Dialog { .. })), "{:?}", house.over);
    let rows = house.stacks[0].trace(&[call_id.into()]).remove(0);
    let story = sip::trace::Story::of(rows).expect("a call that was traced");
    assert!(story.steps.iter().any(|step| step.text == "the media go by the relay"), "{:?}", story.steps);
}

#[test]
fn who_can_reach_one_another_has_no_relay_nor_what_finds_its_own_way() {
    let ice = sdp(HOME) + "a=ice-ufrag:x\r\n";
    let text = with_body(&of_alice("INVITE", "1"), &sdp(HOME)).replace("application/sdp", "text/plain");
    let plain = of_alice("MESSAGE", "1");
    for (relaying, invite) in [
        (Relaying::Needed, offers("1", "198.51.100.1")),
        (Relaying::Needed, of_alice("INVITE", "1")),
        (Relaying::Needed, with_body(&of_alice("INVITE", "1"), &ice)),
        (Relaying::Always, with_body(&of_alice("INVITE", "1"), &ice)),
        (Relaying::Always, text),
        (Relaying::Always, with_body(&plain, &sdp(HOME))),
        (Relaying::Never, offers("1", HOME)),
    ] {
        let mut house = house(relaying, &[BOB]);
        let out = copy(&house.datagram(ALICE, &invite), BOB);
        assert_eq!(body(&out), body(&invite));
        answers(&mut house, BOB, &out, "200 OK", "198.51.100.2");
        assert!(house.passages.is_empty() && house.over.is_empty(), "{invite}");
    }
    let mut house = house(Relaying::Always, &[BOB]);
    house.datagram(ALICE, &offers("1", "198.51.100.1"));
    assert_eq!(house.passages.len(), 1);
}

#[test]
fn within_a_relayed_call_offers_and_answers_of_all_kinds_pass_by_the_relay() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let heard = taken(&mut house);
    house.datagram(ALICE, &within("ACK", "2", 1, &heard));
    house.passages.clear();
    for (n, method) in ["INVITE", "UPDATE"].into_iter().enumerate() {
        let branch = format!("m{n}");
        let request = with_body(&within(method, &branch, 2, &heard), &sdp("192.168.1.6"));
        let out = copy(&house.datagram(ALICE, &request), BOB);
        assert!(body(&out).contains("c=IN IP4 192.0.2.50\r\n"), "{out}");
        let back = answers(&mut house, BOB, &out, "200 OK", "198.51.100.2");
        assert!(body(&back[0].text).contains("c=IN IP4 192.0.2.50\r\n"), "{back:?}");
        let [asked, answered] = &house.passages[..] else { panic!("{:?}", house.passages) };
        assert!(asked.fork.is_none() && answered.fork.is_none());
        assert_eq!((&asked.by.tag, &asked.to.tag), (&answered.to.tag, &answered.by.tag));
        house.passages.clear();
    }
    // What carries no description asks nobody: INFO, and an UPDATE that only keeps the session alive.
    for (n, method) in ["INFO", "UPDATE", "OPTIONS"].into_iter().enumerate() {
        let out = copy(&house.datagram(ALICE, &within(method, &format!("n{n}"), 5, &heard)), BOB);
        says(&mut house, BOB, &out, "200 OK");
    }
    assert!(house.passages.is_empty());
    assert_eq!(house.over.len(), 1, "only what the first answer settled");
}

#[test]
fn an_offer_in_the_200_is_answered_in_the_ack() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let far = of_alice("INVITE", "1").replace("alice@198.51.100.1:5060", &format!("alice@{HOME}:5060"));
    let out = copy(&house.datagram(ALICE, &far), BOB);
    assert_eq!(body(&out), "");
    let heard = answers(&mut house, BOB, &out, "200 OK", "198.51.100.2");
    assert!(body(&heard[0].text).contains("c=IN IP4 192.0.2.50\r\n"), "{heard:?}");
    let ack = with_body(&within("ACK", "2", 1, &heard[0]), &sdp(HOME));
    let out = copy(&house.datagram(ALICE, &ack), BOB);
    assert!(out.starts_with("ACK ") && body(&out).contains("c=IN IP4 192.0.2.50\r\n"), "{out}");
    let ack = house.passages.last().expect("asked");
    assert_eq!((ack.kind, &*ack.by.tag, ack.to.source), (Kind::Request, &b"a"[..], None));
}

#[test]
fn one_part_of_several_is_a_description_too() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let parts = format!(
        "--x\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n",
        sdp(HOME)
    );
    let invite = with_body(&of_alice("INVITE", "1"), &parts)
        .replace("application/sdp\r\nContent-Length", "multipart/mixed;boundary=x\r\nContent-Length");
    let out = copy(&house.datagram(ALICE, &invite), BOB);
    assert_eq!(body(&out), parts.replace(&format!("c=IN IP4 {HOME}"), "c=IN IP4 192.0.2.50"));
}

#[test]
fn a_fork_is_settled_by_who_takes_the_call_or_by_nobody() {
    let mut house = house(Relaying::Needed, &[BOB, BOB2]);
    let sent = house.datagram(ALICE, &offers("1", HOME));
    let (first, second) = (copy(&sent, BOB), copy(&sent, BOB2));
    let ways: Vec<_> = house.passages.iter().map(|passage| passage.fork.map(|(_, way)| way)).collect();
    assert_eq!(ways, [Some(0), Some(1)]);
    let way = if body(&second).is_empty() { 0 } else { 1 };
    says(&mut house, BOB, &first, "180 Ringing");
    answers(&mut house, BOB2, &second, "183 Session Progress", "198.51.100.3");
    answers(&mut house, BOB2, &second, "200 OK", "198.51.100.3");
    let winner =
        house.passages.iter().find(|p| p.kind == Kind::Answer).and_then(|p| p.fork).map(|(_, way)| way);
    let [Over::Fork { winner: told, .. }] = &house.over[..] else { panic!("{:?}", house.over) };
    assert!(*told == winner && winner.is_some() && way == 1);
    for status in ["486 Busy Here", "603 Decline"] {
        let mut house = self::house(Relaying::Needed, &[BOB]);
        let out = copy(&house.datagram(ALICE, &offers("1", HOME)), BOB);
        says(&mut house, BOB, &out, status);
        assert!(matches!(&house.over[..], [Over::Fork { winner: None, .. }]), "{:?}", house.over);
    }
}

#[test]
fn a_call_that_is_given_up_is_relayed_no_more() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let out = copy(&house.datagram(ALICE, &offers("1", HOME)), BOB);
    says(&mut house, BOB, &out, "180 Ringing");
    let sent = house.datagram(ALICE, &cancel("1"));
    says(&mut house, BOB, &copy(&sent, BOB), "200 OK");
    assert!(house.over.is_empty());
    says(&mut house, BOB, &out, "487 Request Terminated");
    assert!(matches!(&house.over[..], [Over::Fork { winner: None, .. }]));
    house.wait(Duration::from_secs(70));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn while_the_relay_is_asked_the_invite_waits_and_may_be_cancelled() {
    let mut house = house(Relaying::Needed, &[BOB]);
    house.relay_stalls = true;
    assert_eq!(words(&house.datagram(ALICE, &offers("1", HOME))), [(ALICE, "100")]);
    let sent = house.datagram(ALICE, &cancel("1"));
    assert_eq!(words(&sent), [(ALICE, "200"), (ALICE, "487")]);
    assert!(matches!(&house.over[..], [Over::Fork { winner: None, .. }]));
    let (worker, token) = house.unrelayed[0];
    assert_eq!(words(&house.input(worker, Input::Mediated { token, body: None })), []);
    house.wait(Duration::from_secs(70));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn where_the_relay_does_not_answer_a_call_goes_on_as_it_is() {
    let mut house = house(Relaying::Needed, &[BOB]);
    house.relay_stalls = true;
    house.datagram(ALICE, &offers("1", HOME));
    let sent = house.wait(Duration::from_secs(11));
    let out = copy(&sent, BOB);
    assert_eq!(body(&out), sdp(HOME));
    house.relay_stalls = false;
    let heard = answers(&mut house, BOB, &out, "200 OK", "198.51.100.2");
    assert_eq!(words(&heard)[0], (ALICE, "200"));
}

#[test]
fn provisional_answers_and_the_200_stay_in_order_while_the_relay_thinks() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let out = copy(&house.datagram(ALICE, &offers("1", HOME)), BOB);
    house.relay_stalls = true;
    assert_eq!(words(&answers(&mut house, BOB, &out, "183 Session Progress", "198.51.100.2")), []);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), []);
    let held = house.unrelayed.clone();
    let sent: Vec<Sent> = held
        .iter()
        .flat_map(|(w, token)| house.input(*w, Input::Mediated { token: *token, body: None }))
        .collect();
    assert_eq!(words(&sent), [(ALICE, "183"), (ALICE, "200")]);
}

#[test]
fn a_bye_that_is_asked_for_credentials_ends_nothing() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let heard = taken(&mut house);
    house.datagram(ALICE, &within("ACK", "2", 1, &heard));
    let bye = copy(&house.datagram(ALICE, &within("BYE", "3", 2, &heard)), BOB);
    says(&mut house, BOB, &bye, "401 Unauthorized");
    assert_eq!(house.over.len(), 1);
    let bye = copy(&house.datagram(ALICE, &within("BYE", "4", 3, &heard)), BOB);
    says(&mut house, BOB, &bye, "481 Call/Transaction Does Not Exist");
    assert_eq!(house.over.len(), 2);
}

/// Whose seat a call takes was proved when it began. What is said in it proves nothing, and takes nobody else's.
#[test]
fn within_a_call_nobody_takes_the_seat_of_another() {
    let mut house = house(Relaying::Needed, &[BOB]);
    let heard = taken(&mut house);
    let seat = house.passages[0].seat;
    house.datagram(ALICE, &within("ACK", "2", 1, &heard));
    house.passages.clear();
    for (n, from) in ["carol@falcot.com", "nobody@falcot.com", "x@example.org"].into_iter().enumerate() {
        let again = with_body(&within("INVITE", &format!("m{n}"), 2, &heard), &sdp(HOME));
        house.datagram(ALICE, &again.replace("From: <sip:alice@falcot.com>", &format!("From: <sip:{from}>")));
        let asked = house.passages.pop().expect("relayed");
        assert!(asked.fork.is_none() && asked.seat == seat, "{from}");
    }
    let mut other = self::house(Relaying::Needed, &[BOB]);
    other.datagram(ALICE, &offers("1", HOME).replace("alice@falcot.com", "carol@falcot.com"));
    assert!(other.passages[0].seat.is_some_and(|carols| Some(carols) != seat));
}

/// Bob's phone has two flows: one behind a NAT, which needs a relay and is gone, and one that needs none.
#[test]
fn a_relay_that_was_asked_in_vain_is_told_so() {
    const NAT: &str = "203.0.113.77:5060";
    for (status, expected) in [("200 OK", "200"), ("486 Busy Here", "486")] {
        let mut house = house(Relaying::Needed, &[]);
        for (reg, at, contact) in [(1, BOB, BOB), (2, NAT, "192.168.9.9:5060")] {
            let bob = "<sip:bob@falcot.com>";
            let more = format!(
                "Supported: outbound\r\nContact: <sip:bob@{contact}>;reg-id={reg};+sip.instance=\"<urn:uuid:1>\"\r\n"
            );
            let parties = (&*format!("{bob};tag=r"), bob);
            let text = request("REGISTER", "sip:falcot.com", contact, &format!("r{reg}"), parties, &more);
            assert_eq!(words(&house.datagram(at, &text)), [(at, "200")]);
            house.wait(Duration::from_secs(40));
        }
        let out = copy(&house.datagram(ALICE, &offers("1", "198.51.100.1")), NAT);
        assert_eq!(house.passages.len(), 1, "the flow behind the NAT is relayed");
        let sent = house.datagram(NAT, &answer(&out, "430 Flow Failed", "x", ""));
        let out = copy(&sent, BOB);
        assert!(body(&out).contains("c=IN IP4 198.51.100.1\r\n"), "the other is not: {out}");
        assert!(house.over.is_empty());
        let heard = answers(&mut house, BOB, &out, status, "198.51.100.2");
        assert!(words(&heard).contains(&(ALICE, expected)), "{:?}", words(&heard));
        assert!(matches!(&house.over[..], [Over::Fork { winner: None, .. }]), "{:?}", house.over);
    }
}
