//! The public address by name: found at the start, and followed where it changes.

use crate::client::{Client, Line};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::House;

/// A name server that knows one address of every name, good for so many seconds; it may be told another.
fn serve(address: Option<Ipv4Addr>, ttl: u32) -> (SocketAddr, Arc<Mutex<Option<Ipv4Addr>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (at, known) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(address)));
    let shared = Arc::clone(&known);
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let query = &buffer[..length];
            let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_a = query[end - 4..end] == [0, 1, 0, 1];
            let known = shared.lock().unwrap().filter(|_| is_a);
            let mut answer =
                [&query[..2], &[0x81, 0x80, 0, 1, 0, known.is_some().into(), 0, 0, 0, 0]].concat();
            answer.extend(&query[12..end]);
            if let Some(address) = known {
                answer.extend([0xC0, 12, 0, 1, 0, 1]);
                answer.extend(ttl.to_be_bytes());
                answer.extend([0, 4]);
                answer.extend(address.octets());
            }
            let _ = socket.send_to(&answer, peer);
        }
    });
    (at, known)
}

/// Waits until a new relay is told with this address.
fn expect_relay(house: &House, expected: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let mut client = Client::new(Line::udp(house.port("turn.udp")), "roland", "tr0mbone");
        assert_eq!(client.allocate(), 0);
        let relay = client.relay.unwrap().ip().to_string();
        if relay == expected {
            return;
        }
        assert!(Instant::now() < until, "{relay} instead of {expected}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_public_address_is_found_by_its_name_and_followed() {
    let (server, known) = serve(Some([203, 0, 113, 9].into()), 1);
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .set("turn", "allow-peers", r#"["127.0.0.0/8"]"#)
        .set("network", "addresses", r#"["127.0.0.1"]"#)
        .set("network", "resolver", &format!("[\"{server}\"]"))
        .set("network", "external", r#"["home.dyn.example=127.0.0.1"]"#)
        .start();
    let mut client = Client::new(Line::udp(house.port("turn.udp")), "roland", "tr0mbone");
    assert_eq!(client.allocate(), 0);
    assert_eq!(client.relay.unwrap().ip().to_string(), "203.0.113.9", "from the first on");
    *known.lock().unwrap() = Some([203, 0, 113, 77].into());
    expect_relay(&house, "203.0.113.77");
    // What is not found any more stays as it was, over a reload too.
    *known.lock().unwrap() = None;
    assert!(house.cli(&["reload"], "").status.success());
    expect_relay(&house, "203.0.113.77");
    let check = String::from_utf8(house.cli(&["check"], "").stdout).unwrap();
    assert!(check.contains("no address of home.dyn.example is found"), "{check}");
    *known.lock().unwrap() = Some([203, 0, 113, 5].into());
    let zone = String::from_utf8(house.cli(&["dns", "zone"], "").stdout).unwrap();
    assert!(zone.contains("turn.falcot.com. 3600 IN A 203.0.113.5"), "{zone}");
    expect_relay(&house, "203.0.113.5");
}

/// The answer for the name of before is good for hours: that says nothing of the new one.
#[test]
fn a_name_that_is_configured_anew_is_asked_for_until_it_is_found() {
    let (server, known) = serve(Some([203, 0, 113, 9].into()), 36_000);
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .set("network", "addresses", r#"["127.0.0.1"]"#)
        .set("network", "resolver", &format!("[\"{server}\"]"))
        .set("network", "external", r#"["home.dyn.example=127.0.0.1"]"#)
        .start();
    expect_relay(&house, "203.0.113.9");
    *known.lock().unwrap() = None;
    house.set("network", "external", r#"["office.dyn.example=127.0.0.1"]"#);
    assert!(house.cli(&["reload"], "").status.success());
    *known.lock().unwrap() = Some([203, 0, 113, 77].into());
    expect_relay(&house, "203.0.113.77");
}
