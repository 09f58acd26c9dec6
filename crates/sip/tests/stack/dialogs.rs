//! What belongs to a dialog: reliable ringing, updates, transfers, holding, and requests that only look so.

use crate::house::{House, Sent};
use crate::request;
use crate::scene::{ALICE, BOB, BOB2, copy, house, of_alice, says, within, words};
use sip::stack::{Input, Output};
use std::time::Duration;
use wire::{Machine, SocketId};

/// Bob's request in the dialog that alice's INVITE, as he got it, has made.
fn of_bob(method: &str, branch: &str, invite: &str, more: &str) -> String {
    let invite = Sent { to: String::new(), text: invite.to_owned() };
    let routes: String = invite.header("Record-Route").iter().map(|r| format!("Route: {r}\r\n")).collect();
    let target = invite.header("Contact")[0].trim_matches(['<', '>']);
    let parties = ("<sip:bob@falcot.com>;tag=t1985110025060", invite.header("From")[0]);
    request(method, target, BOB, branch, parties, &format!("{routes}{more}"))
        .replace(&format!("call-{branch}@{BOB}"), invite.header("Call-ID")[0])
}

/// A call that stands, where nobody is let in without credentials: the INVITE as bob got it, the 200 as alice heard it.
fn call() -> (House, String, Sent) {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    house.datagram(ALICE, &within("ACK", "ack", 1, &ok));
    // Within a dialog that was let through nobody is asked again who he is.
    let mut config = crate::house::config(0, 1);
    config.authenticate = true;
    let epoch = testkit::epoch(testkit::start());
    house.stacks[0].set_config(config, epoch);
    (house, out, ok)
}

#[test]
fn ringing_that_is_acknowledged_and_updated_before_the_answer() {
    let mut house = house(&[BOB]);
    let invite = of_alice("INVITE", "1").replace("Content-Length", "Supported: 100rel\r\nContent-Length");
    let out = copy(&house.datagram(ALICE, &invite), BOB);
    assert!(out.contains("\r\nSupported: 100rel\r\n"));
    let reliable = "Contact: <sip:bob@198.51.100.2:5060>\r\nRequire: 100rel\r\nRSeq: 813520\r\n";
    let early = crate::answer(&out, "183 Session Progress", "t1985110025060", reliable);
    let sent = house.datagram(BOB, &early);
    assert_eq!((words(&sent), sent[0].header("RSeq")), (vec![(ALICE, "183")], vec!["813520"]));
    let early = sent[0].clone();
    let prack =
        within("PRACK", "2", 2, &early).replace("Content-Length", "RAck: 813520 1 INVITE\r\nContent-Length");
    let sent = house.datagram(ALICE, &prack);
    assert_eq!((words(&sent), sent[0].header("RAck")), (vec![(BOB, "PRACK")], vec!["813520 1 INVITE"]));
    assert_eq!(words(&says(&mut house, BOB, &sent[0].text, "200 OK")), [(ALICE, "200")]);
    // Both may update what they have agreed on (RFC 3311), and are heard by the other alone.
    let sent = house.datagram(ALICE, &within("UPDATE", "3", 3, &early));
    assert_eq!(words(&sent), [(BOB, "UPDATE")]);
    assert_eq!(words(&says(&mut house, BOB, &sent[0].text, "200 OK")), [(ALICE, "200")]);
    let sent = house.datagram(BOB, &of_bob("UPDATE", "4", &out, ""));
    assert_eq!(words(&sent), [(ALICE, "UPDATE")]);
    let refused = house.datagram(ALICE, &crate::answer(&sent[0].text, "491 Request Pending", "", ""));
    assert_eq!(words(&refused), [(BOB, "491")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "200 OK")), [(ALICE, "200")]);
}

#[test]
fn a_reliable_ringing_comes_again_until_its_prack() {
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    for seq in [1, 1, 1, 2] {
        let more = format!("Contact: <sip:bob@198.51.100.2:5060>\r\nRequire: 100rel\r\nRSeq: {seq}\r\n");
        let sent = house.datagram(BOB, &crate::answer(&out, "180 Ringing", "b", &more));
        assert_eq!((words(&sent), sent[0].header("RSeq")), (vec![(ALICE, "180")], vec![&*seq.to_string()]));
    }
}

#[test]
fn every_method_passes_in_a_dialog_both_ways() {
    let (mut house, out, ok) = call();
    let methods = [
        "INVITE",
        "INFO",
        "UPDATE",
        "REFER",
        "NOTIFY",
        "MESSAGE",
        "OPTIONS",
        "SUBSCRIBE",
        "PUBLISH",
        "ODD",
        "BYE",
    ];
    for (n, method) in methods.into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let sent = house.datagram(ALICE, &within(method, &format!("a{n}"), 10 + n, &ok));
        assert_eq!(words(&sent).last(), Some(&(BOB, method)), "{sent:?}");
        assert_eq!(words(&says(&mut house, BOB, &copy(&sent, BOB), "202 Accepted")), [(ALICE, "202")]);
        let sent = house
            .datagram(BOB, &of_bob(method, &format!("b{n}"), &out, "Contact: <sip:bob@198.51.100.2>\r\n"));
        let asked = copy(&sent, ALICE);
        assert!(asked.starts_with(method), "{asked}");
        let sent = house.datagram(ALICE, &crate::answer(&asked, "488 Not Acceptable Here", "", ""));
        assert_eq!(words(&sent).last(), Some(&(BOB, "488")));
    }
    house.wait(Duration::from_secs(200));
    assert_eq!(house.transactions(), 0);
}

#[test]
fn a_call_that_stands_is_held_and_a_glare_is_theirs_to_solve() {
    let (mut house, out, ok) = call();
    let hold = within("INVITE", "h", 2, &ok);
    let sent = house.datagram(ALICE, &hold);
    assert_eq!(words(&sent), [(ALICE, "100"), (BOB, "INVITE")]);
    let from_alice = copy(&sent, BOB);
    let sent = house.datagram(BOB, &of_bob("INVITE", "g", &out, "Contact: <sip:bob@198.51.100.2:5060>\r\n"));
    assert_eq!(words(&sent), [(BOB, "100"), (ALICE, "INVITE")]);
    let from_bob = copy(&sent, ALICE);
    let sent = says(&mut house, BOB, &from_alice, "491 Request Pending");
    assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, "491")]);
    let sent = house.datagram(ALICE, &crate::answer(&from_bob, "491 Request Pending", "", ""));
    assert_eq!(words(&sent), [(ALICE, "ACK"), (BOB, "491")]);
    // Given up, too (RFC 3261 §9.1 makes no difference).
    let sent = house.datagram(ALICE, &hold.replace("bKh", "bKi").replace("CSeq: 2", "CSeq: 3"));
    let out = copy(&sent, BOB);
    says(&mut house, BOB, &out, "180 Ringing");
    let give_up = hold.replace("bKh", "bKi").replace("CSeq: 2", "CSeq: 3").replace("INVITE", "CANCEL");
    assert_eq!(words(&house.datagram(ALICE, &give_up)), [(ALICE, "200"), (BOB, "CANCEL")]);
    assert_eq!(words(&says(&mut house, BOB, &out, "487 Request Terminated")), [(BOB, "ACK"), (ALICE, "487")]);
}

/// Bob sends alice to carol and hangs up at once; alice tells him how that goes.
#[test]
fn a_transfer() {
    let (mut house, out, ok) = call();
    let more = "Refer-To: <sip:carol@falcot.com?Replaces=12345%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\nReferred-By: <sip:bob@falcot.com>\r\n\
                Contact: <sip:bob@198.51.100.2:5060>\r\n";
    let sent = house.datagram(BOB, &of_bob("REFER", "r", &out, more));
    let refer = copy(&sent, ALICE);
    assert!(
        refer.contains("Refer-To: <sip:carol@falcot.com?Replaces=12345%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n")
    );
    assert_eq!(words(&house.datagram(ALICE, &crate::answer(&refer, "202 Accepted", "", ""))), [(BOB, "202")]);
    let bye = copy(&house.datagram(BOB, &of_bob("BYE", "y", &out, "")), ALICE);
    assert_eq!(words(&house.datagram(ALICE, &crate::answer(&bye, "200 OK", "", ""))), [(BOB, "200")]);
    // The dialog's usage by REFER goes on after the BYE (RFC 5057).
    for (n, fragment) in
        ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"].into_iter().enumerate()
    {
        let cseq = 20 + u32::try_from(n).unwrap();
        let text = within("NOTIFY", &format!("n{n}"), cseq, &ok).replace(
            "Content-Length: 0\r\n\r\n",
            &format!(
                "Event: refer\r\nContent-Type: message/sipfrag\r\nContent-Length: {}\r\n\r\n{fragment}",
                fragment.len()
            ),
        );
        let sent = house.datagram(ALICE, &text);
        assert_eq!(words(&sent), [(BOB, "NOTIFY")]);
        assert!(sent[0].text.ends_with(&format!("\r\n\r\n{fragment}")));
        assert_eq!(words(&says(&mut house, BOB, &sent[0].text, "200 OK")), [(ALICE, "200")]);
    }
}

/// What only looks like a request of the dialog: its Route is for another call, or for none.
#[test]
fn a_route_of_another_call_opens_nothing() {
    let (mut house, _, ok) = call();
    for change in [
        ("Call-ID: call-1@", "Call-ID: call-2@"),
        (";lr>", ";lr>, <sip:203.0.113.9;lr>;x=\""),
        ("Route: <sip:", "Route: <sip:00"),
    ] {
        let text = within("BYE", "x", 5, &ok).replace(change.0, change.1);
        let sent = house.datagram(ALICE, &text);
        assert!(sent.iter().all(|sent| sent.to == ALICE), "{change:?}: {sent:?}");
        assert!(words(&sent).iter().all(|word| word.1.starts_with('4')), "{change:?}: {sent:?}");
    }
}

#[test]
fn a_call_that_stands_outlives_a_restart_and_a_drain() {
    let (mut house, out, ok) = call();
    house.restart();
    assert_eq!(words(&house.datagram(ALICE, &within("INFO", "i", 5, &ok))), [(BOB, "INFO")]);
    let now = house.now;
    house.stacks[0].drain(now);
    let sent = house.datagram(BOB, &of_bob("BYE", "b", &out, ""));
    assert_eq!(words(&sent), [(ALICE, "BYE")]);
    assert_eq!(words(&house.datagram(ALICE, &of_alice("INVITE", "9"))), [(ALICE, "503")], "nothing new");
}

/// The phone that has the call has registered anew from elsewhere, and another phone of the same user, too.
#[test]
fn a_dialog_is_not_forked_to_whoever_is_registered_now() {
    let (mut house, _, ok) = call();
    let mut config = crate::house::config(0, 1);
    config.authenticate = false;
    house.stacks[0].set_config(config, testkit::epoch(testkit::start()));
    crate::call::register(&mut house, "bob", BOB2);
    assert_eq!(words(&house.datagram(ALICE, &within("BYE", "b", 5, &ok))), [(BOB, "BYE")]);
}

#[test]
fn extensions_between_phones_are_none_of_ours() {
    let mut house = house(&[BOB]);
    let more = "Supported: replaces, timer, frob\r\nRequire: frob\r\nSession-Expires: 1800\r\nContent-Length";
    let sent = house.datagram(ALICE, &of_alice("INVITE", "1").replace("Content-Length", more));
    let out = copy(&sent, BOB);
    assert!(
        out.contains("\r\nSupported: replaces, timer, frob\r\nRequire: frob\r\nSession-Expires: 1800\r\n")
    );
    let sent = says(&mut house, BOB, &out, "420 Bad Extension");
    assert_eq!(words(&sent), [(BOB, "ACK"), (ALICE, "420")]);
}

/// A strict router between alice and us has put our URI into the Request-URI and the target last (RFC 3261 §16.4), whichever
/// worker its request comes to.
#[test]
fn what_strict_routers_do_is_undone_by_every_worker() {
    let mut house = House::new(3);
    crate::call::register(&mut house, "bob", BOB);
    let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
    let ok = says(&mut house, BOB, &out, "200 OK").remove(0);
    let route = ok.header("Record-Route")[0].trim_matches(['<', '>']).to_owned();
    for worker in 0..3 {
        let plain = within("INFO", &format!("s{worker}"), 5, &ok);
        let target = "sip:bob@198.51.100.2:5060";
        let strict = plain
            .replace(&format!("INFO {target}"), &format!("INFO {route}"))
            .replace(&format!("Route: <{route}>"), &format!("Route: <{target}>"));
        let sent = house.datagram_at(worker, ALICE, &strict);
        assert_eq!(words(&sent), [(BOB, "INFO")], "{worker}");
        assert_eq!(sent[0].first_line(), format!("INFO {target} SIP/2.0"));
        assert!(sent[0].header("Route").is_empty());
    }
}

/// A phone names itself in its dialogs by an address of ours: its GRUU (RFC 5627 §4.3), or its address of record. What belongs
/// to the dialog reaches it where the dialog began, by datagrams too, and no other phone of its user.
#[test]
fn a_contact_at_our_domain_is_the_phone_that_named_it() {
    let instance = "urn:uuid:00000000-0000-1000-8000-00000000000a";
    for name in [format!("sip:bob@falcot.com;gr={instance}"), "sip:bob@falcot.com".to_owned()] {
        let mut house = House::new(2);
        let aor = "<sip:bob@falcot.com>";
        let more = format!("Supported: gruu\r\nContact: <sip:bob@{BOB}>;+sip.instance=\"<{instance}>\"\r\n");
        let register = request("REGISTER", "sip:falcot.com", BOB, "r", (&format!("{aor};tag=r"), aor), &more);
        assert_eq!(words(&house.datagram(BOB, &register)), [(BOB, "200")]);
        let out = copy(&house.datagram(ALICE, &of_alice("INVITE", "1")), BOB);
        let ok = crate::answer(&out, "200 OK", "t1985110025060", &format!("Contact: <{name}>\r\n"));
        let ok = house.datagram(BOB, &ok).remove(0);
        crate::call::register(&mut house, "bob", BOB2);
        for (method, cseq) in [("ACK", 1), ("INFO", 2), ("INVITE", 3), ("BYE", 4)] {
            for worker in [0, 1] {
                let sent = house.datagram_at(
                    worker,
                    ALICE,
                    &within(method, &format!("{method}{worker}"), cseq, &ok),
                );
                let to_phones: Vec<_> = words(&sent).into_iter().filter(|(to, _)| *to != ALICE).collect();
                // Which of the user's phones an address of record means nobody can tell: the others pass it over.
                match name.contains(";gr=") {
                    true => assert_eq!(to_phones, [(BOB, method)], "{name}"),
                    false => assert_eq!(to_phones, [(BOB, method), (BOB2, method)], "{name}"),
                }
            }
        }
        // The other way round: alice is reached where her INVITE came from.
        let mut house = house_of(BOB);
        let caller = format!("Contact: <{}>\r\n", name.replace("bob@", "alice@"));
        let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>");
        let out = copy(
            &house.datagram(ALICE, &request("INVITE", "sip:bob@falcot.com", ALICE, "1", parties, &caller)),
            BOB,
        );
        says(&mut house, BOB, &out, "200 OK");
        crate::call::register(&mut house, "alice", BOB2);
        for method in ["INFO", "INVITE", "ACK", "BYE"] {
            let sent =
                house.datagram(BOB, &of_bob(method, method, &out, "Contact: <sip:bob@198.51.100.2>\r\n"));
            let to_phones: Vec<_> = words(&sent).into_iter().filter(|(to, _)| *to != BOB).collect();
            assert_eq!(to_phones, [(ALICE, method)], "{name}");
        }
    }
}

fn house_of(phone: &str) -> House {
    house(&[phone])
}

/// Sockets are numbered in the order of the listeners: with another one before them they have other numbers after a restart, and
/// what a NAT lets through comes from the port that the phone has written to.
#[test]
fn a_dialog_outlives_a_restart_with_another_listener() {
    let nat = "203.0.113.77:4444";
    let mut house = house(&[BOB]);
    let out = copy(&house.datagram(nat, &of_alice("INVITE", "1")), BOB);
    let mut config = crate::house::config(0, 1);
    let mut other = config.listeners.all[0].clone();
    other.bound.set_port(5070);
    config.listeners.all[0].socket = Some(SocketId(2));
    config.listeners.all.insert(0, other);
    house.stacks[0].set_config(config, testkit::epoch(testkit::start()));
    let (local, peer) = ("192.0.2.1".parse().unwrap(), BOB.parse().unwrap());
    let bye = of_bob("BYE", "9", &out, "");
    let bytes = bye.as_bytes();
    house.stacks[0].handle(house.now, Input::Datagram { socket: SocketId(2), local, peer, bytes });
    let sent = std::iter::from_fn(|| house.stacks[0].poll()).find_map(|output| match output {
        Output::Send { socket, to, .. } => Some((socket, to.to_string())),
        _ => None,
    });
    assert_eq!(sent, Some((SocketId(2), nat.to_owned())));
}
