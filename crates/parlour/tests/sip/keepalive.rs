//! Keep-alives on the SIP port: STUN is answered with the phone's address as it is seen (RFC 5626 §4.4.2), and phones behind NAT
//! are asked for a sign of life.

use crate::agent::{Agent, SOON};
use crate::{configured, house};
use std::net::UdpSocket;

#[test]
fn stun_on_the_sip_port_tells_the_phone_its_address() {
    let house = house();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([9; 12]);
    socket.send_to(&request, ("127.0.0.1", house.port("sip.udp"))).unwrap();
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).expect("an answer");
    let port = socket.local_addr().unwrap().port() ^ 0x2112;
    let mut expected = vec![1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
    expected.extend([9; 12]);
    expected.extend([0, 0x20, 0, 8, 0, 1]);
    expected.extend(port.to_be_bytes());
    expected.extend([127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42]);
    assert_eq!(buffer[..length], expected);
    // SIP goes on beside it.
    Agent::udp(&house, "joe").register();
}

#[test]
fn a_phone_behind_nat_is_asked_for_a_sign_of_life() {
    let house = configured(|house| house.set("sip", "limits", "{ ping = \"1s\" }"));
    let mut joe = Agent::udp(&house, "joe");
    // As it sees itself.
    joe.local = "192.168.1.9:5060".parse().unwrap();
    joe.register();
    for _ in 0..2 {
        let ping = joe.hear(SOON).expect("a request");
        assert_eq!(ping.line(), "OPTIONS sip:joe@192.168.1.9:5060;transport=udp SIP/2.0");
        joe.reply(&ping, "200 OK", "");
    }
}
