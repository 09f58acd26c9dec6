//! Whom requests of dialogs reach inside, and who hears why something inside was not reached.

use crate::house::{House, Sent};
use crate::scene::{ALICE, copy, lines, of_alice, words};
use crate::{answer, call, request};
use sip::transport::Listener;
use wire::SocketId;

/// Bob's phone, another host beside it, and a caller there.
const BOB: &str = "10.0.0.5:5060";
const BESIDE: &str = "10.0.0.9:5060";
const CAROL: &str = "10.0.0.7:5060";

/// A call of somebody's to bob, answered: what bob got and what the caller heard.
fn taken(house: &mut House, caller: &str, invite: &str) -> (String, Sent) {
    let out = copy(&house.datagram(caller, invite), BOB);
    let heard = house.datagram(BOB, &answer(&out, "200 OK", "b", &format!("Contact: <sip:bob@{BOB}>\r\n")));
    (out, heard.into_iter().find(|sent| sent.to == caller).expect("the 200"))
}

/// A request of the caller's in that call, to whomever it likes.
fn aimed(method: &str, branch: &str, caller: &str, target: &str, heard: &Sent) -> String {
    let routes = heard.header("Record-Route");
    let routes: String = routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
    request(method, target, caller, branch, (heard.header("From")[0], heard.header("To")[0]), &routes)
        .replace(&format!("call-{branch}@{caller}"), heard.header("Call-ID")[0])
}

fn by_carol() -> String {
    of_alice("INVITE", "1").replace(ALICE, CAROL).replace("alice", "carol")
}

#[test]
fn who_is_outside_reaches_within_a_call_the_other_end_and_nothing_else_inside() {
    let mut house = House::new(1);
    call::register(&mut house, "bob", BOB);
    house.names.insert("private.example".to_owned(), vec!["10.0.0.9".parse().unwrap()]);
    house.names.insert("host.example".to_owned(), vec!["127.0.0.1".parse().unwrap()]);
    let (_, heard) = taken(&mut house, ALICE, &of_alice("INVITE", "1"));
    let reached = |house: &mut House, method: &str, n: usize, target: &str| -> Vec<String> {
        let sent = house.datagram(ALICE, &aimed(method, &format!("{method}{n}"), ALICE, target, &heard));
        sent.into_iter().map(|sent| sent.to).filter(|to| to != ALICE).collect()
    };
    let inside = [
        "sip:bob@10.0.0.9:5060",
        "sip:bob@10.0.0.9:22;transport=tcp",
        "sip:bob@private.example",
        "sip:bob@192.168.1.1:80",
        "sip:bob@127.0.0.1:25",
        "sip:bob@host.example:25",
        "sip:bob@169.254.169.254:80;transport=tcp",
        "sip:bob@[fd00::1]",
    ];
    for (n, target) in inside.into_iter().enumerate() {
        for method in ["INFO", "ACK"] {
            assert!(reached(&mut house, method, n, target).is_empty(), "{method} {target}");
        }
    }
    assert!(house.dialled.is_empty());
    for (n, method) in ["ACK", "INFO", "BYE"].into_iter().enumerate() {
        assert_eq!(reached(&mut house, method, 90 + n, "sip:bob@10.0.0.5:5060"), [BOB], "{method}");
    }
    assert_eq!(reached(&mut house, "INFO", 99, "sip:bob@203.0.113.9:5060"), ["203.0.113.9:5060"]);
}

/// A Route of one's own in front of it, or the other side's entry left out, opens no more.
#[test]
fn routes_that_are_put_together_otherwise_open_nothing_more() {
    let mut house = House::new(1);
    call::register(&mut house, "bob", BOB);
    let (_, heard) = taken(&mut house, ALICE, &of_alice("INVITE", "1"));
    let ours = heard.header("Record-Route");
    assert_eq!(ours.len(), 2, "each side has its own");
    for (n, routes) in [
        format!("Route: {}\r\n", ours[0]),
        format!("Route: {}\r\n", ours[1]),
        format!("Route: {}\r\nRoute: <sip:10.0.0.9;lr>\r\n", ours[0]),
        format!("Route: {}\r\nRoute: {}\r\n", ours[0], ours[1]),
    ]
    .into_iter()
    .enumerate()
    {
        let branch = format!("m{n}");
        let parties = (heard.header("From")[0], heard.header("To")[0]);
        let text = request("INFO", "sip:bob@10.0.0.9", ALICE, &branch, parties, &routes)
            .replace(&format!("call-{branch}@{ALICE}"), heard.header("Call-ID")[0]);
        let sent = house.datagram(ALICE, &text);
        assert_eq!(words(&sent), [(ALICE, "503")], "{routes}");
    }
}

#[test]
fn who_is_inside_is_reached_from_outside_and_reaches_what_is_inside() {
    let mut house = House::new(1);
    call::register(&mut house, "bob", "198.51.100.2:5060");
    // Carol calls from inside, and names herself by her proxy or by herself.
    for (n, more, target, expected) in [
        (1, "", "sip:carol@10.0.0.7:5060", vec![CAROL]),
        (2, "", "sip:carol@10.0.0.9:5060", vec![]),
        (3, "Record-Route: <sip:10.0.0.9;lr>\r\n", "sip:carol@10.0.0.7:5060", vec![BESIDE]),
        (4, "Record-Route: <sip:127.0.0.1:25;lr>\r\n", "sip:carol@10.0.0.7:5060", vec![]),
    ] {
        let invite = by_carol().replace("branch=z9hG4bK1", &format!("branch=z9hG4bKi{n}"));
        let invite = invite.replace("Contact", &format!("{more}Contact"));
        let out = copy(&house.datagram(CAROL, &invite), "198.51.100.2:5060");
        house.datagram(
            "198.51.100.2:5060",
            &answer(&out, "200 OK", "b", "Contact: <sip:bob@198.51.100.2>\r\n"),
        );
        let routes: String = out
            .lines()
            .filter_map(|line| line.strip_prefix("Record-Route: "))
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        let parties = ("<sip:bob@falcot.com>;tag=b", "<sip:carol@falcot.com>;tag=a");
        let branch = format!("b{n}");
        let bye = request("BYE", target, "198.51.100.2:5060", &branch, parties, &routes)
            .replace(&format!("call-{branch}@198.51.100.2:5060"), &format!("call-1@{CAROL}"));
        let sent = house.datagram("198.51.100.2:5060", &bye);
        let to: Vec<&str> =
            sent.iter().map(|sent| sent.to.as_str()).filter(|to| to.starts_with("10.")).collect();
        assert_eq!(to, expected, "{n}");
    }
    // Two inside: whoever is there goes wherever it likes there, but not to this host.
    let mut house = House::new(1);
    call::register(&mut house, "bob", BOB);
    let (_, heard) = taken(&mut house, CAROL, &by_carol());
    let sent = house.datagram(CAROL, &aimed("INFO", "2", CAROL, "sip:bob@10.0.0.9:5060", &heard));
    assert_eq!(lines(&sent)[0].0, BESIDE);
    let sent = house.datagram(CAROL, &aimed("INFO", "3", CAROL, "sip:bob@127.0.0.1:25", &heard));
    assert_eq!(words(&sent), [(CAROL, "503")]);
}

/// Why a connection was refused tells who listens at which port: of what lies inside, to nobody who could not ask there itself.
#[test]
fn why_something_inside_was_not_reached_is_told_inside_alone() {
    let warning = |sent: &[Sent]| -> Vec<String> {
        sent.iter().flat_map(|sent| sent.header("Warning")).map(str::to_owned).collect()
    };
    let told = "399 parlour \"10.0.0.5 (tcp 10.0.0.5:22): connection refused\"";
    let allow = |text: &str, prefix| (text.parse().unwrap(), prefix);
    for (caller, invite, targets, expected) in [
        (ALICE, of_alice("INVITE", "1"), vec![], vec![]),
        (ALICE, of_alice("INVITE", "1"), vec![allow("10.0.0.0", 8)], vec![told]),
        (CAROL, by_carol(), vec![], vec![told]),
    ] {
        let mut house = House::with(1, |config| config.targets.clone_from(&targets));
        call::register(&mut house, "bob", BOB);
        let (_, heard) = taken(&mut house, caller, &invite);
        house.accepts = false;
        let probe = aimed("INFO", "2", caller, "sip:bob@10.0.0.5:22;transport=tcp", &heard);
        let sent = house.datagram(caller, &probe);
        assert_eq!(words(&sent), [(caller, "503")]);
        assert_eq!(house.dialled, ["10.0.0.5:22".parse().unwrap()]);
        assert_eq!(warning(&sent), expected, "{caller}");
    }
}

/// A server in several networks calls itself, towards each phone, by the address that is in the phone's network: by another
/// neither answers nor the BYE would find it.
#[test]
fn who_is_in_another_network_is_written_to_from_there() {
    let mut house = House::with(1, |config| {
        let udp = config.listeners.all[0].clone();
        let others = ["127.0.0.1:5060", "172.17.0.1:5060", "10.0.0.1:5060"].into_iter().zip(7..);
        let others = others.map(|(bound, n)| Listener {
            bound: bound.parse().unwrap(),
            socket: Some(SocketId(n)),
            ..udp.clone()
        });
        config.listeners.all.splice(0..0, others);
    });
    for (phone, branch, ours) in [(BOB, "1", "10.0.0.1:5060"), ("203.0.113.5:5060", "2", "192.0.2.1:5060")] {
        call::register(&mut house, "bob", phone);
        let out = copy(&house.datagram(ALICE, &of_alice("INVITE", branch)), phone);
        assert!(out.contains(&format!("Via: SIP/2.0/UDP {ours};branch=")), "{out}");
        let first = out.lines().find(|line| line.starts_with("Record-Route: ")).expect("one");
        assert!(first.contains(&format!("@{ours};lr>")), "{first}");
    }
}
