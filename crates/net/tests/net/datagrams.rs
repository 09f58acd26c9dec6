//! Datagrams: both families, source addresses, batches, relays, ICMP errors.

use crate::support::*;
use net::{Limits, Tag};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use wire::SocketId;

fn client(at: &str) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn answer(client: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

#[test]
fn both_families_are_echoed_in_place_on_one_port() {
    let house = House::new(2, &[spec(ECHO, udp(), ":0")]);
    let (v6, v4) = (house.address(0), house.address(1));
    assert!(v6.is_ipv6() && v4.is_ipv4() && v6.port() == v4.port() && v4.port() != 0);
    for (own, to) in [("127.0.0.1:0", v4), ("[::1]:0", v6)] {
        let client = client(own);
        for length in [0, 1, 160, 1400, 20_000, 65_000] {
            client.send_to(&vec![b'x'; length], to).unwrap();
            let (data, from) = answer(&client);
            assert_eq!((data.len(), from), (length + 2, to), "headroom and datagram");
            assert_eq!(&data[..2], b"> ");
        }
    }
}

#[test]
fn replies_leave_from_the_address_that_was_written_to() {
    let house = House::new(1, &[spec(ECHO, udp(), ":0")]);
    let port = house.address(1).port();
    let client = client("0.0.0.0:0");
    for to in ["127.0.0.2", "127.0.0.1", "127.9.9.9"] {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        client.send_to(b"hello", to).unwrap();
        assert_eq!(answer(&client), (b"> hello".to_vec(), to));
    }
}

#[test]
fn v4_peers_of_a_wildcard_listener_show_as_v4() {
    let house = House::new(1, &[spec(SHOW, udp(), ":0")]);
    let client = client("127.0.0.1:0");
    client.send_to(b"hello", house.address(1)).unwrap();
    let Seen::Datagram { peer, local, data, socket, .. } = house.next() else { panic!() };
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!((local, &data[..]), ("127.0.0.1".parse().unwrap(), &b"hello"[..]));
    assert!(socket.is_shared());
}

#[test]
fn what_waits_arrives_as_batches_and_leaves_in_order() {
    let house = House::new(1, &[spec(ECHO, udp(), "127.0.0.1:0"), spec(SHOW, udp(), "127.0.0.1:0")]);
    // The worker is held up while datagrams gather.
    let (gate, open) = std::sync::mpsc::channel::<()>();
    house.act(0, move |_, _| open.recv().unwrap());
    let client = client("127.0.0.1:0");
    for number in 0..100u8 {
        client.send_to(&[number; 200], house.address(0)).unwrap();
        client.send_to(&[number], house.address(1)).unwrap();
    }
    gate.send(()).unwrap();
    for number in 0..100u8 {
        let (data, from) = answer(&client);
        assert_eq!((data.len(), data[201], from), (202, number, house.address(0)));
    }
    let mut largest = 0;
    for number in 0..100 {
        let Seen::Datagram { data, of, .. } = house.next() else { panic!() };
        assert_eq!(data, [number]);
        largest = largest.max(of);
    }
    assert!(largest > 16, "batches of at most {largest}");
    let counts = house.counts(0);
    assert_eq!((counts.datagrams_in, counts.datagrams_out, counts.datagrams_dropped), (200, 100, 0));
    assert_eq!((counts.datagram_bytes_in, counts.datagram_bytes_out), (100 * 201, 100 * 202));
}

#[test]
fn a_mixture_of_sizes_and_receivers_arrives_whole() {
    let house = House::new(1, &[spec(SHOW, udp(), "127.0.0.1:0")]);
    let clients: Vec<_> = (0..3).map(|_| client("127.0.0.1:0")).collect();
    let to: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
    let socket = house.running.bound()[0].socket.unwrap();
    // Two bursts, as a client's receive buffer is small.
    for sizes in [&[100, 100, 100, 60, 100, 100, 0, 1200, 1200, 1300, 40][..], &[9000, 9000, 30_000, 30_000]]
    {
        let to = to.clone();
        house.act(0, move |_, net| {
            for (number, size) in sizes.iter().enumerate() {
                for to in &to {
                    net.send(socket, None, *to, &vec![number as u8; *size]);
                }
            }
        });
        for client in &clients {
            for (number, size) in sizes.iter().enumerate() {
                assert_eq!(answer(client).0, vec![number as u8; *size]);
            }
        }
    }
    // More than one message takes, and than one call takes.
    let first = to[0];
    house.act(0, move |_, net| (0..100).for_each(|number| net.send(socket, None, first, &[number; 50])));
    for number in 0..100 {
        assert_eq!(answer(&clients[0]).0, [number; 50]);
    }
    let all = to.clone();
    house.act(0, move |_, net| {
        (0..90).for_each(|number| net.send(socket, None, all[number % 3], &[number as u8]))
    });
    for number in 0..90 {
        assert_eq!(answer(&clients[number % 3]).0, [number as u8]);
    }
    assert_eq!(house.counts(0).datagrams_dropped, 0);
}

#[test]
fn relays_are_bound_at_once_and_carry_both_ways() {
    let house = House::new(1, &[]);
    let (relay, address) =
        house.ask(0, |_, net| net.bind_datagram("127.0.0.1:0".parse().unwrap(), SHOW).unwrap());
    assert!(!relay.is_shared());
    let peer = client("127.0.0.1:0");
    peer.send_to(b"to the relay", address).unwrap();
    let Seen::Datagram { socket, local, data, .. } = house.next() else { panic!() };
    assert_eq!((socket, local, &data[..]), (relay, address.ip(), &b"to the relay"[..]));
    let to = peer.local_addr().unwrap();
    house.act(0, move |_, net| {
        net.send(relay, None, to, b"last words");
        net.unbind(relay);
        assert!(net.socket_tag(relay).is_some(), "until the callback returns");
    });
    assert_eq!(answer(&peer), (b"last words".to_vec(), address));
    assert_eq!(house.ask(0, move |_, net| net.socket_tag(relay)), None);
    UdpSocket::bind(address).expect("the port is free again");
}

#[test]
fn a_port_in_use_is_the_caller_s_answer() {
    let house = House::new(1, &[]);
    let taken = client("127.0.0.1:0").local_addr().unwrap();
    let holder = UdpSocket::bind(taken).unwrap();
    let error = house.ask(0, move |_, net| net.bind_datagram(taken, SHOW).unwrap_err().kind());
    assert_eq!(error, std::io::ErrorKind::AddrInUse);
    drop(holder);
}

#[test]
fn a_thousand_relays_cost_little_and_close_cleanly() {
    net::raise_open_files().unwrap();
    let house = House::new(1, &[]);
    let relays: Vec<(SocketId, SocketAddr)> = house.ask(0, |_, net| {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        (0..1000).map(|_| net.bind_datagram(any, ECHO).unwrap()).collect()
    });
    let client = client("127.0.0.1:0");
    for (_, address) in &relays {
        client.send_to(b"?", address).unwrap();
        assert_eq!(answer(&client), (b"> ?".to_vec(), *address));
    }
    house.ask(0, move |_, net| relays.iter().for_each(|(relay, _)| net.unbind(*relay)));
}

fn unreachable(at: &str) {
    let house = House::new(1, &[]);
    let any = at.parse().unwrap();
    let (relay, _) = house.ask(0, move |_, net| net.bind_datagram(any, SHOW).unwrap());
    let nobody = client(at).local_addr().unwrap();
    let friend = client(at);
    let to = friend.local_addr().unwrap();
    house.act(0, move |_, net| net.send(relay, None, nobody, b"anybody there?"));
    let Seen::Unreachable { socket, peer, error } = house.next() else { panic!() };
    assert_eq!((socket, peer), (relay, nobody));
    let port_unreachable = if nobody.is_ipv4() { (3, 3) } else { (1, 4) };
    assert_eq!((error.kind, error.code), port_unreachable);
    // The error does not cost other peers their datagrams, not even in one call with it.
    house.act(0, move |_, net| {
        for _ in 0..5 {
            net.send(relay, None, nobody, b"?");
            net.send(relay, None, to, b"!");
        }
    });
    for _ in 0..5 {
        assert_eq!(answer(&friend).0, b"!");
    }
}

#[test]
fn icmp_errors_name_the_peer_that_is_unreachable_v4() {
    unreachable("127.0.0.1:0");
}

#[test]
fn icmp_errors_name_the_peer_that_is_unreachable_v6() {
    unreachable("[::1]:0");
}

#[test]
fn what_cannot_be_sent_is_dropped_and_counted() {
    let house = House::new(1, &[spec(SHOW, udp(), "127.0.0.1:0")]);
    let socket = house.running.bound()[0].socket.unwrap();
    let receiver = client("127.0.0.1:0");
    let to = receiver.local_addr().unwrap();
    house.act(0, move |_, net| {
        net.send(socket, None, to, &[1; 70_000]);
        net.send(SocketId(77), None, to, b"from nowhere");
        net.send(socket, None, "[::1]:9".parse().unwrap(), b"other family");
        net.send(socket, None, to, b"good");
    });
    assert_eq!(answer(&receiver).0, b"good");
    let counts = house.counts(0);
    assert_eq!((counts.datagrams_out, counts.datagrams_dropped), (1, 3));
}

#[test]
fn a_source_address_can_be_chosen_on_a_wildcard_listener() {
    let house = House::new(1, &[spec(Tag(9), udp(), ":0")]);
    let socket = house.running.bound()[1].socket.unwrap();
    let receiver = client("127.0.0.1:0");
    let to = receiver.local_addr().unwrap();
    let source: IpAddr = "127.0.0.5".parse().unwrap();
    house.act(0, move |_, net| {
        for _ in 0..3 {
            net.send(socket, Some(source), to, b"same size");
        }
    });
    for _ in 0..3 {
        assert_eq!(answer(&receiver).1.ip(), source);
    }
}

#[test]
fn under_load_packets_are_gathered_and_alone_they_are_not_late() {
    let bound = Duration::from_millis(50);
    let limits = Limits { gathering: bound, ..Limits::default() };
    let house = House::with(1, &[spec(ECHO, udp(), "127.0.0.1:0")], limits, ignore);
    let client = client("127.0.0.1:0");
    client.connect(house.address(0)).unwrap();
    // The machine may be busy: the best of many counts.
    let lone = |client: &UdpSocket| {
        let one = |_| {
            let sent = Instant::now();
            client.send(b"alone").unwrap();
            answer(client);
            sent.elapsed()
        };
        (0..100).map(one).any(|time| time < bound / 2)
    };
    assert!(lone(&client));
    let packets = 150;
    let before = house.counts(0).wakeups;
    for _ in 0..packets {
        client.send(b"one of many").unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    (0..packets).for_each(|_| drop(answer(&client)));
    let wakeups = house.counts(0).wakeups - before;
    assert!(wakeups < packets / 3, "{wakeups} wake-ups for {packets} packets");
    std::thread::sleep(bound * 2);
    assert!(lone(&client));
}

/// Datagrams that the kernel hands over joined are told apart again, each with its headroom.
#[test]
fn datagrams_that_the_kernel_has_joined_are_told_apart() {
    let house = House::new(1, &[spec(ECHO, udp(), "127.0.0.1:0"), spec(SHOW, udp(), "127.0.0.1:0")]);
    let (echo, show) = (house.address(0), house.address(1));
    let any = "127.0.0.1:0".parse().unwrap();
    let (relay, from) = house.ask(0, move |_, net| net.bind_datagram(any, SHOW).unwrap());
    let mut joined = 0;
    // Joining begins once a listener had many at one time; then sixty of one size and a shorter one come as one.
    for round in 0..40u8 {
        for to in [echo, show] {
            house.act(0, move |_, net| {
                for n in 0..60 {
                    net.send(relay, None, to, &[[round, n].as_slice(), &[0xd5; 300]].concat());
                }
                net.send(relay, None, to, &[round, 60]);
            });
        }
        let (mut echoed, mut shown) = (0, 0);
        while echoed + shown < 2 * 61 {
            let Seen::Datagram { peer, data, of, .. } = house.next() else { panic!() };
            joined = joined.max(if peer == from { of } else { 0 });
            let (number, head) = if peer == echo { (&mut echoed, 2) } else { (&mut shown, 0) };
            assert_eq!(data[head..head + 2], [round, *number]);
            assert_eq!(data.len() - head, if *number == 60 { 2 } else { 302 });
            assert!(peer != echo || data.starts_with(b"> "));
            *number += 1;
        }
    }
    assert!(joined > 32, "{joined} at one time are no more than one call takes");
}
