//! WebSockets (RFC 7118): one message to a message, reached by their flow alone, recorded with it.

use crate::house::{House, Sent, config};
use crate::{answer, request};
use sip::stack::{Config, Input};
use sip::transport::Listener;
use wire::Transport;

const ALICE: &str = "198.51.100.1:5060";
const BOB: &str = "198.51.100.2:41000";
const CAROL: &str = "198.51.100.3:41000";
const CONTACT: &str = "Contact: <sip:k3j@df7jal23ls0d.invalid;transport=ws>\r\n";

fn house(workers: u16) -> House {
    House::with(workers, |config: &mut Config| {
        let web = |transport, of| {
            let plain = config.listeners.all.iter().find(|listener| listener.transport == of).unwrap();
            Listener { transport, ..plain.clone() }
        };
        let web = [web(Transport::Ws, Transport::Tcp), web(Transport::Wss, Transport::Tls)];
        config.listeners.all.extend(web);
    })
}

fn ws(text: &str) -> String {
    text.replace("SIP/2.0/UDP", "SIP/2.0/WS").replace("Content-Length: 0\r\n", "")
}

fn register(user: &str, contact: &str) -> String {
    let to = format!("<sip:{user}@falcot.com>");
    let parties = (&*format!("{to};tag=r"), &*to);
    ws(&request("REGISTER", "sip:falcot.com", "df7jal23ls0d.invalid", &format!("r{user}"), parties, contact))
}

fn invite(to: &str) -> String {
    let parties = ("<sip:alice@falcot.com>;tag=a", &*format!("<{to}>"));
    request("INVITE", to, ALICE, "1", parties, "Contact: <sip:alice@198.51.100.1:5060>\r\n")
}

fn lines(sent: &[Sent]) -> Vec<(&str, &str)> {
    sent.iter().map(|sent| (sent.to.as_str(), sent.first_line())).collect()
}

#[test]
fn a_message_needs_no_length_and_a_keep_alive_is_answered() {
    let mut house = house(1);
    let conn = house.connect(0, Transport::Ws, BOB);
    let sent = house.stream(conn, &register("bob", CONTACT));
    assert_eq!(lines(&sent), [(BOB, "SIP/2.0 200 OK")]);
    assert!(sent[0].header("Via")[0].starts_with("SIP/2.0/WS df7jal23ls0d.invalid;"));
    assert_eq!(house.stream(conn, "\r\n\r\n")[0].text, "\r\n");
    assert!(house.stream(conn, "\r\n").is_empty());
    // A part of a message is a message that is wrong; it takes nothing along with it.
    assert!(house.stream(conn, "REGISTER sip:falcot.com SIP/2.0\r\n").is_empty());
    let bad = register("bob", CONTACT).replace("CSeq: 1", "Content-Length: 7\r\nCSeq: 1");
    assert_eq!(lines(&house.stream(conn, &bad)).len(), 1);
    assert!(!house.is_closed(conn));
    assert_eq!(lines(&house.stream(conn, &register("bob", CONTACT))), [(BOB, "SIP/2.0 200 OK")]);
    let long = register("bob", &format!("Subject: {}\r\n", "x".repeat(70_000)));
    house.stream(conn, &long);
    assert!(house.is_closed(conn), "longer than it may be");
}

#[test]
fn a_browser_is_called_and_calls_by_its_flow() {
    let mut house = house(1);
    let conn = house.connect(0, Transport::Ws, BOB);
    house.stream(conn, &register("bob", CONTACT));
    let sent = house.datagram(ALICE, &invite("sip:bob@falcot.com"));
    let out = &sent[1];
    let line = "INVITE sip:k3j@df7jal23ls0d.invalid;transport=ws SIP/2.0";
    assert_eq!((out.to.as_str(), out.first_line()), (BOB, line));
    assert!(out.header("Via")[0].starts_with("SIP/2.0/WS 192.0.2.1:5060;"), "{:?}", out.header("Via"));
    let routes: Vec<String> = out.header("Record-Route").iter().map(|route| (*route).to_owned()).collect();
    assert!(routes[0].ends_with("@192.0.2.1:5060;transport=ws;lr>"), "{routes:?}");
    assert!(routes[1].ends_with("@192.0.2.1:5060;lr>"), "{routes:?}");
    let ok = answer(&out.text, "200 OK", "b", CONTACT);
    assert_eq!(lines(&house.stream(conn, &ok)), [(ALICE, "SIP/2.0 200 OK")]);
    let parties = ("<sip:alice@falcot.com>;tag=a", "<sip:bob@falcot.com>;tag=b");
    let more = format!("Route: {}, {}\r\n", routes[1], routes[0]);
    let bye = request("BYE", "sip:k3j@df7jal23ls0d.invalid;transport=ws", ALICE, "2", parties, &more);
    let sent = house.datagram(ALICE, &bye.replace("call-2", "call-1"));
    assert_eq!(lines(&sent), [(BOB, "BYE sip:k3j@df7jal23ls0d.invalid;transport=ws SIP/2.0")]);
    // The browser's own goes the other way.
    let parties = ("<sip:bob@falcot.com>;tag=b", "<sip:alice@falcot.com>;tag=a");
    let more = format!("Route: {}\r\nRoute: {}\r\n", routes[0], routes[1]);
    let bye = request("BYE", "sip:alice@198.51.100.1:5060", "df7jal23ls0d.invalid", "3", parties, &more);
    let bye = ws(&bye).replace("call-3@df7jal23ls0d.invalid", &format!("call-1@{ALICE}"));
    assert_eq!(lines(&house.stream(conn, &bye)), [(ALICE, "BYE sip:alice@198.51.100.1:5060 SIP/2.0")]);
}

#[test]
fn nobody_dials_a_browser() {
    let mut house = house(1);
    let conn = house.connect(0, Transport::Ws, BOB);
    house.stream(conn, &register("bob", CONTACT));
    // Its connection is gone, and so is the only way to it.
    house.input(0, Input::Closed { conn });
    assert_eq!(house.stacks[0].registrar().count(), 0);
    let sent = house.datagram(ALICE, &invite("sip:bob@falcot.com"));
    let last = sent.last().unwrap();
    assert_eq!((last.to.as_str(), last.first_line()), (ALICE, "SIP/2.0 480 Temporarily Unavailable"));
    let to_elsewhere = invite("sip:bob@203.0.113.9;transport=ws");
    let last = house.datagram(ALICE, &to_elsewhere).pop().unwrap();
    assert!(last.first_line() > "SIP/2.0 400", "{}", last.first_line());
    // Nor is an answer to one that has left sent anywhere else.
    let conn = house.connect(0, Transport::Wss, CAROL);
    let parties = ("<sip:carol@falcot.com>;tag=c", "<sip:dave@falcot.com>");
    let call = ws(&request("INVITE", "sip:dave@falcot.com", "x.invalid", "4", parties, CONTACT));
    let udp =
        register("dave", "Contact: <sip:dave@198.51.100.1:5060>\r\n").replace("SIP/2.0/WS", "SIP/2.0/UDP");
    house.datagram(ALICE, &udp);
    let out = house.stream(conn, &call).into_iter().find(|sent| sent.to == ALICE).unwrap();
    house.input(0, Input::Closed { conn });
    house.datagram(ALICE, &answer(&out.text, "200 OK", "d", ""));
    assert!(house.dialled.is_empty(), "{:?}", house.dialled);
    // A server that starts anew does not remember it either.
    let conn = house.connect(0, Transport::Ws, BOB);
    house.stream(conn, &register("carol", CONTACT));
    assert_eq!(house.stacks[0].registrar().count(), 2);
    house.restart();
    assert_eq!(house.stacks[0].registrar().count(), 1);
}

#[test]
fn between_workers_and_inside_tls() {
    let mut house = house(2);
    let contact = CONTACT.replace("sip:k3j", "sips:k3j");
    for (worker, user, peer) in [(0, "bob", BOB), (1, "carol", CAROL)] {
        let conn = house.connect(worker, Transport::Wss, peer);
        let text = register(user, &contact).replace("R sip:falcot.com", "R sips:falcot.com");
        assert_eq!(lines(&house.stream(conn, &text)), [(peer, "SIP/2.0 200 OK")]);
    }
    let caller = house.connect(0, Transport::Wss, "198.51.100.4:41000");
    for (user, peer) in [("bob", BOB), ("carol", CAROL)] {
        let call = invite(&format!("sips:{user}@falcot.com")).replace("<sip:alice@198", "<sips:alice@198");
        let call = ws(&call
            .replace("z9hG4bK1", &format!("z9hG4bK{user}"))
            .replace("call-1", &format!("call-{user}")));
        let sent = house.stream(caller, &call);
        let out = sent.iter().find(|sent| sent.to == peer).unwrap();
        assert_eq!(out.first_line(), "INVITE sips:k3j@df7jal23ls0d.invalid;transport=ws SIP/2.0");
        assert!(out.header("Via")[0].starts_with("SIP/2.0/WSS 192.0.2.1:5061;"), "{:?}", out.header("Via"));
        let routes = out.header("Record-Route");
        assert!(
            routes.iter().all(|route| route.starts_with("<sips:") && route.ends_with(";transport=ws;lr>")),
            "{routes:?}"
        );
    }
    assert_eq!(config(0, 1).listeners.all.len(), 3, "the other tests have no WebSockets");
}
