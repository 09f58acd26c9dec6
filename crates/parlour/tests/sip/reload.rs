//! Listeners of SIP that come and go at a reload.

use crate::agent::{Agent, unique};
use crate::house;
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::free_port;

/// Whether a request to this port is answered.
fn is_answered(port: u16) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let local = socket.local_addr().unwrap();
    let id = unique();
    let request = format!(
        "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:falcot.com>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), ("127.0.0.1", port)).unwrap();
    socket.recv(&mut [0; 4096]).is_ok()
}

fn listen(house: &House, from: &str, to: &str) {
    let text = std::fs::read_to_string(house.config()).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(house.config(), text.replace(from, to)).unwrap();
    let output = house.cli(&["reload"], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn one_comes_one_goes_and_streams_stay() {
    let house = house();
    let (old, new) = (house.port("sip.udp"), free_port());
    let [before, both, after] = [vec![old], vec![old, new], vec![new]].map(|ports| {
        let list: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        format!("udp = [{}]", list.join(", "))
    });
    let mut standing = Agent::tcp(&house, "joe");
    standing.register();
    assert!(is_answered(old) && !is_answered(new));
    listen(&house, &before, &both);
    assert!(is_answered(old) && is_answered(new));
    listen(&house, &both, &after);
    assert!(is_answered(new) && !is_answered(old));
    standing.register();
    let until = Instant::now() + Duration::from_secs(5);
    while UdpSocket::bind(("127.0.0.1", old)).is_err() {
        assert!(Instant::now() < until, "the port is still bound");
        std::thread::sleep(Duration::from_millis(50));
    }
}
