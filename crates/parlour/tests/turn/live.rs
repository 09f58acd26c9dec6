//! What a reload changes while sessions go on: quotas, peers, relay addresses, bandwidth, limits, and where clients are sent.

use crate::client::{Client, Line};
use crate::sessions::done;
use crate::strangers::Talk;
use crate::{configure, house};
use std::net::SocketAddr;
use std::time::Duration;
use stun::attribute::{ErrorCode, Lifetime};
use stun::{Message, Method};
use testkit::House;

/// Reads the configuration again; nothing of it may have to wait for a restart.
fn reload(house: &House) {
    let reloaded = done(house, &["reload"]);
    assert_eq!(reloaded["after_restart"], serde_json::json!([]));
}

fn client(house: &House, name: &str) -> Client {
    Client::new(Line::udp(house.port("turn.udp")), name, "tr0mbone")
}

#[test]
fn quotas() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    assert_eq!(client(&house, "roland").allocate(), 0);
    configure(&house, "quota", "{ user = 2 }");
    reload(&house);
    assert_eq!(client(&house, "roland").allocate(), 486);
    assert_eq!(client(&house, "joe").allocate(), 0, "another account has its own");
    configure(&house, "quota", "{ domain = 3 }");
    reload(&house);
    assert_eq!(client(&house, "joe").allocate(), 486);
    configure(&house, "quota", "{ total = 100 }");
    reload(&house);
    assert_eq!(client(&house, "roland").allocate(), 0);
    talk.goes_on();
}

#[test]
fn peers() {
    let house = house();
    let peer = |text: &str| -> SocketAddr { text.parse().unwrap() };
    let mut roland = client(&house, "roland");
    assert_eq!(roland.allocate(), 0);
    assert_eq!(roland.permit(peer("127.0.0.1:9")), 0);
    assert_eq!(roland.permit(peer("10.0.0.1:9")), 403);
    let mut talk = Talk::of(&house, "joe", Line::udp(house.port("turn.udp")));
    configure(&house, "allow-peers", r#"["10.0.0.0/8"]"#);
    configure(&house, "deny-peers", r#"["10.1.0.0/16", "1.1.1.0/24"]"#);
    reload(&house);
    assert_eq!(roland.permit(peer("10.0.0.1:9")), 0);
    for refused in ["10.1.0.1:9", "1.1.1.1:9", "127.0.0.1:9"] {
        assert_eq!(roland.permit(peer(refused)), 403, "{refused}");
    }
    assert_eq!(roland.permit(peer("1.1.2.1:9")), 0);
    talk.client.line.send(b"\x40\0\0\x04word");
    talk.peer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(talk.peer.recv(&mut [0; 100]).is_err(), "a channel to a peer that is refused now");
}

#[test]
fn relay_addresses() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    configure(&house, "relay-addresses", r#"["127.0.0.2"]"#);
    reload(&house);
    talk.goes_on();
    let _other = Talk::of(&house, "joe", Line::udp(house.port("turn.udp")));
    let list = done(&house, &["turn", "sessions"]);
    let relays = |user: &str| {
        let of_user = list["sessions"].as_array().unwrap().iter().find(|session| session["user"] == user);
        of_user.unwrap()["relays"][0].as_str().unwrap().to_owned()
    };
    assert!(relays("roland@falcot.com").starts_with("127.0.0.1:"), "{list}");
    assert!(relays("joe@falcot.com").starts_with("127.0.0.2:"), "{list}");
}

#[test]
fn limits_of_one_relay() {
    let house = house();
    let mut roland = client(&house, "roland");
    assert_eq!(roland.allocate(), 0);
    configure(
        &house,
        "limits",
        "{ permissions = 2, channels = 1, lifetime = \"2m\", lifetime-max = \"4m\" }",
    );
    reload(&house);
    let peers: Vec<SocketAddr> = (1..4).map(|n| SocketAddr::from(([127, 0, 0, n], 9))).collect();
    assert_eq!([roland.permit(peers[0]), roland.permit(peers[1])], [0, 0]);
    assert_eq!(roland.permit(peers[2]), 508);
    assert_eq!([roland.bind(0x4000, peers[0]), roland.bind(0x4001, peers[1])], [0, 508]);
    assert_eq!(roland.ask(Method::REFRESH, |writer| writer.with(&Lifetime(3600))), 0);
    let list = done(&house, &["turn", "sessions"]);
    let remaining = list["sessions"][0]["remaining"].as_u64().unwrap();
    assert!((200..=240).contains(&remaining), "{list}");
}

/// What does not fit is delayed for a little, then dropped; what fits goes through.
#[test]
fn bandwidth() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    configure(&house, "bandwidth", "{ session = 20000 }");
    reload(&house);
    let message = [&b"\x40\0\x03\xe8"[..], &[7; 1000]].concat();
    for _ in 0..400 {
        talk.client.line.send(&message);
    }
    std::thread::sleep(Duration::from_secs(2));
    let list = done(&house, &["turn", "sessions"]);
    let packets = list["sessions"][0]["sent"]["packets"].as_u64().unwrap();
    assert!((5..200).contains(&packets), "20 a second fit, 400 came at once: {packets}");
    assert!(list["sessions"][0]["dropped"].as_u64().unwrap() > 200, "{list}");
    configure(&house, "bandwidth", "{ session = 0 }");
    reload(&house);
    talk.peer.set_nonblocking(true).unwrap();
    while talk.peer.recv(&mut [0; 2000]).is_ok() {}
    talk.peer.set_nonblocking(false).unwrap();
    talk.goes_on();
}

/// Sends a request with the client's credential and gives the answer.
fn sent_elsewhere(house: &House) -> (u16, Option<SocketAddr>) {
    let mut joe = client(house, "joe");
    let code = joe.allocate();
    let answer = joe.answer.clone();
    let message = Message::parse(&answer).unwrap();
    let ErrorCode { code: said, .. } = message.get().unwrap().unwrap();
    assert_eq!(code, said);
    let to = message.get::<stun::attribute::AlternateServer>().unwrap();
    (code, to.map(|stun::attribute::AlternateServer(address)| address))
}

#[test]
fn where_clients_are_sent_while_it_is_drained() {
    let house = house();
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    done(&house, &["turn", "drain"]);
    let (code, to) = sent_elsewhere(&house);
    assert!([486, 508].contains(&code) && to.is_none(), "{code} {to:?}");
    configure(&house, "alternate-server", r#"["[2001:db8::2]:3478", "192.0.2.2:3478"]"#);
    reload(&house);
    assert_eq!(sent_elsewhere(&house), (300, Some("192.0.2.2:3478".parse().unwrap())));
    talk.goes_on();
}
