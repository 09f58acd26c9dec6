//! Browsers' SIP (RFC 7118): JsSIP in Node, over WebSockets of their own ports and on those of TCP and TLS.

use crate::{PASSWORD, house};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use testkit::House;
use testkit::house::{free_port, node};
use testkit::process::run;

const PACKAGES: &str = "cargo xtask test installs Node and its packages";

fn people_talk(house: &House, scheme: &str, port: u16) {
    let mut command = node("sip/web/node.js");
    command.args([scheme, &port.to_string(), PASSWORD]);
    command.env("NODE_EXTRA_CA_CERTS", house.dir().join("data/certs/authority.pem"));
    let (code, output) = run(&mut command, PACKAGES, Duration::from_secs(60));
    assert!(code == Some(0) && output.contains("done"), "{scheme} at {port}: {code:?}\n{output}");
}

#[test]
fn jssip_in_a_browser_calls_with_sound() {
    let house = house();
    let mut command = node("sip/web/chromium.js");
    command.args(["sip.ws", "sip.wss"].map(|listener| house.port(listener).to_string()));
    command.args([PASSWORD.as_ref(), house.dir().join("data/certs/falcot.com.pem").as_os_str()]);
    let (code, output) = run(&mut command, PACKAGES, Duration::from_secs(60));
    assert!(code == Some(0) && output.contains("done"), "{code:?}\n{output}");
}

/// The first line of the answer to a request for a WebSocket.
fn asked(port: u16, origin: &str, protocol: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: falcot.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{origin}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn pages_that_may_connect_are_listed_and_the_list_is_read_again() {
    let house = house();
    let (good, other) = ("Origin: https://falcot.com\r\n", "Origin: https://evil.example\r\n");
    let granted = "HTTP/1.1 101 Switching Protocols";
    for port in [house.port("sip.ws"), house.port("sip.tcp")] {
        assert_eq!(asked(port, other, "sip"), "HTTP/1.1 403 Forbidden", "unset, our own pages may");
        for own in [good, "Origin: https://chat.falcot.com:8443\r\n", "Origin: http://localhost:8000\r\n", ""]
        {
            assert_eq!(asked(port, own, "sip"), granted, "{own}");
        }
        assert_eq!(asked(port, good, "xmpp"), "HTTP/1.1 400 Bad Request");
    }
    house.set("sip", "origins", "[\"*\"]");
    assert!(house.cli(&["reload"], "").status.success());
    assert_eq!(asked(house.port("sip.ws"), other, "sip"), granted);
    house.set("sip", "origins", "[\"https://FALCOT.com\"]");
    assert!(house.cli(&["reload"], "").status.success());
    for port in [house.port("sip.ws"), house.port("sip.tcp")] {
        assert_eq!(asked(port, other, "sip"), "HTTP/1.1 403 Forbidden");
        assert_eq!(asked(port, good, "sip"), granted);
        assert_eq!(asked(port, "", "sip"), granted, "what is no browser may say what it likes");
    }
    // A listener more, for plain and TLS at once.
    let port = free_port();
    house.set("sip", "ws", &format!("[\"127.0.0.1:{}\", \"127.0.0.1:{port}\"]", house.port("sip.ws")));
    house.set("sip", "wss", &format!("[\"127.0.0.1:{port}\"]"));
    assert!(house.cli(&["reload"], "").status.success());
    assert_eq!(asked(port, good, "sip"), granted);
    people_talk(&house, "wss", port);
    // TURN has no WebSockets.
    assert_ne!(asked(house.port("turn.tcp"), good, "sip"), granted);
}

/// As long as a SIP message may be, so long may a WebSocket's be: the head of a longer one is enough to end it (RFC 6455 §7.4.1).
#[test]
fn a_message_that_is_too_long_is_refused_at_its_first_octets() {
    let house = house();
    house.set("sip", "limits", "{ message = 4096 }");
    assert!(house.cli(&["reload"], "").status.success());
    for (length, code) in [(4096_u16, None), (4097, Some(1009_u16))] {
        let mut stream = TcpStream::connect(("127.0.0.1", house.port("sip.ws"))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = "GET / HTTP/1.1\r\nHost: falcot.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: sip\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).unwrap();
            said.push(octet[0]);
        }
        // The head of a binary frame, masked with zeros; and of the shorter one a ping behind it, which is answered.
        let mut bytes = [&[0x82, 0xfe][..], &length.to_be_bytes(), &[0; 4]].concat();
        if code.is_none() {
            bytes.resize(bytes.len() + usize::from(length), b'\r');
            bytes.extend([0x89, 0x80, 0, 0, 0, 0]);
        }
        stream.write_all(&bytes).unwrap();
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let Some(code) = code else {
            assert_ne!(head, [0x88, 2], "{length} octets may come");
            continue;
        };
        let mut told = [0; 2];
        stream.read_exact(&mut told).unwrap();
        assert_eq!((head, told), ([0x88, 2], code.to_be_bytes()));
    }
}

#[test]
fn jssip_registers_writes_and_calls_over_websockets() {
    let house = house();
    for (scheme, listener) in [("ws", "sip.ws"), ("ws", "sip.tcp"), ("wss", "sip.wss"), ("wss", "sip.tls")] {
        people_talk(&house, scheme, house.port(listener));
    }
}
