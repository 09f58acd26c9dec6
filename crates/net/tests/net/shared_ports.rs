//! Plain and TLS, datagrams and DTLS on one port, told apart by what a client sends first (RFC 7983).

use crate::dtls::{connect_to, echoes};
use crate::support::{ECHO, House, SHOW, Seen, dtls, spec, tcp, tls, udp};
use net::{CloseReason, Limits};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Duration;
use wire::Transport;

/// A port that is free for both.
fn port() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[test]
fn plain_streams_and_tls() {
    for order in [true, false] {
        let at = port();
        let (plain, sealed) = (spec(SHOW, tcp(), &at), spec(ECHO, tls(&["stun.turn"]), &at));
        let specs = if order { [plain, sealed] } else { [sealed, plain] };
        let house = House::new(2, &specs);
        let bound = house.running.bound();
        assert_eq!((bound.len(), bound[0].address), (2, bound[1].address));
        let mut sealed = house.dial_tls(0);
        sealed.write_all(b"inside").unwrap();
        let mut back = [0; 6];
        sealed.read_exact(&mut back).unwrap();
        let (_, info) = house.opened();
        assert_eq!((info.transport, info.tag), (Transport::Tls, ECHO));
        let mut plain = house.dial(0);
        plain.write_all(b"\0\x01").unwrap();
        let (conn, info) = house.opened();
        assert_eq!((info.transport, info.tag), (Transport::Tcp, SHOW));
        plain.write_all(b"more").unwrap();
        let mut seen = Vec::new();
        while seen.len() < 6 {
            seen.extend(house.find(|seen| match seen {
                Seen::Received { data, .. } => Some(data),
                _ => None,
            }));
        }
        assert_eq!((&back, &seen[..]), (b"inside", &b"\0\x01more"[..]));
        drop(plain);
        assert_eq!(house.closed(), (conn, CloseReason::Peer));
    }
}

#[test]
fn what_begins_as_neither_has_its_time() {
    let at = port();
    let limits = Limits { first_byte: Duration::from_millis(100), ..Limits::default() };
    let specs = [spec(ECHO, tcp(), &at), spec(ECHO, tls(&[]), &at)];
    let house = House::with(1, &specs, limits, crate::support::ignore);
    assert_eq!(house.dial(0).read(&mut [0]).unwrap_or(0), 0, "it is closed");
    assert_eq!(house.counts(0).open, 0);
}

#[test]
fn datagrams_and_dtls() {
    for order in [true, false] {
        let at = port();
        let (plain, sealed) = (spec(SHOW, udp(), &at), spec(ECHO, dtls(&["stun.turn"]), &at));
        let specs = if order { [plain, sealed] } else { [sealed, plain] };
        let house = House::new(2, &specs);
        let bound = house.running.bound();
        assert_eq!((bound.len(), bound[0].socket, bound[0].address), (2, bound[1].socket, bound[1].address));
        let mut client = connect_to(house.address(0));
        let (_, info) = house.opened();
        assert_eq!((info.transport, info.tag), (Transport::Dtls, ECHO));
        echoes(&mut client, b"inside");
        let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
        // STUN and ChannelData begin below 20 and above 63.
        for first in [0, 19, 64, 255] {
            plain.send_to(&[first, 1], house.address(0)).unwrap();
            let data = house.find(|seen| match seen {
                Seen::Datagram { data, .. } if !data.is_empty() => Some(data),
                _ => None,
            });
            assert_eq!(data, [first, 1]);
        }
        echoes(&mut client, b"still");
    }
}
