//! Hand-over between workers: the kernel spreads clients, mail crosses, connections move in mid-stream.

use crate::support::*;
use net::{Limits, Net, Tag, TlsVersion};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::Duration;
use wire::{ConnectionId, WorkerId};

#[test]
fn clients_land_on_both_workers_and_each_stays_where_it_is() {
    let house = House::new(2, &[spec(SHOW, udp(), "127.0.0.1:0")]);
    let mut homes = HashMap::new();
    let clients: Vec<_> = (0..40).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for round in 0..3 {
        for client in &clients {
            client.send_to(b"hello", house.address(0)).unwrap();
            let Seen::Datagram { worker, peer, socket, .. } = house.next() else { panic!() };
            assert_eq!(Some(socket), house.running.bound()[0].socket, "the same number everywhere");
            assert_eq!(*homes.entry(peer).or_insert(worker), worker, "round {round}");
        }
    }
    let first = homes.values().filter(|worker| worker.0 == 0).count();
    assert!((4..=36).contains(&first), "{first} of 40 on worker 0");
}

#[test]
fn any_worker_answers_by_its_twin() {
    let house = House::new(2, &[spec(SHOW, udp(), "127.0.0.1:0")]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"hello", house.address(0)).unwrap();
    let Seen::Datagram { worker, peer, socket, .. } = house.next() else { panic!() };
    house.act(1 - worker.0, move |_, net| net.send(socket, None, peer, b"from the other"));
    let mut buffer = [0; 100];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"from the other"[..], house.address(0)));
}

#[test]
fn mail_crosses_both_ways_in_order() {
    let house = House::new(2, &[]);
    for to in [0, 1] {
        house.act(1 - to, move |_, net| {
            for number in 0..500 {
                assert!(net.post(WorkerId(to), Mail::Text(number.to_string())).is_ok());
            }
        });
        for number in 0..500 {
            let Seen::Text { worker, text } = house.next() else { panic!() };
            assert_eq!((worker, text), (WorkerId(to), number.to_string()));
        }
    }
}

/// Checks that numbers come in order, sends them back, takes only some of what is offered, and moves the connection to the
/// other worker at odd places.
fn wander(probe: &mut Probe, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    let at = probe.positions.entry(conn).or_default();
    let limit = 1 + *at as usize % 1009;
    let taken = (data.len() / 4).min(limit);
    for octets in data.chunks_exact(4).take(taken) {
        assert_eq!(octets, at.to_be_bytes(), "nothing lost or reordered");
        *at += 1;
    }
    let at = *at;
    net.write(conn, &data[..taken * 4]).unwrap();
    if taken > 0 && at % 3 != 1 {
        let other = WorkerId(1 - net.me().0);
        assert!(net.migrate(conn, other, Mail::Text(at.to_string())).is_ok());
        assert!(net.migrate(conn, other, Mail::Text(String::new())).is_err(), "only once");
        assert_eq!(net.write(conn, b"ignored: it is gone"), Ok(()));
        net.close(conn);
    } else if taken > 0 && taken * 4 < data.len() {
        // Have the rest offered again though nothing more may come.
        net.pause(conn);
        net.resume(conn);
    }
    taken * 4
}

fn wanderers() -> House {
    let specs = [spec(SCRIPT, tcp(), "127.0.0.1:0"), spec(SCRIPT, tls(&["numbers"]), "127.0.0.1:0")];
    House::with(2, &specs, Limits::default(), wander)
}

/// Sends this many numbers and reads them back, over a connection to the plain (0) or the TLS (1) listener.
fn count(house: &House, index: usize, numbers: u32) {
    let numbers: Vec<u8> = (0..numbers).flat_map(u32::to_be_bytes).collect();
    let mut back = vec![0; numbers.len()];
    if index == 0 {
        let mut client = house.dial(index);
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&numbers).unwrap());
            client.read_exact(&mut back).unwrap();
        });
    } else {
        let mut client = house.dial_tls(index);
        for (sent, back) in numbers.chunks(40_000).zip(back.chunks_mut(40_000)) {
            client.write_all(sent).unwrap();
            client.read_exact(back).unwrap();
        }
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    assert!(back == numbers);
}

fn wanders(index: usize) {
    let house = wanderers();
    count(&house, index, 100_000);
    let (mut moves, mut last) = (0, None);
    let closed = house.find(|seen| match seen {
        Seen::Adopted { conn, info, .. } => {
            assert_eq!(info.tag, SCRIPT);
            assert_eq!(info.tls.map(|facts| facts.version), (index == 1).then_some(TlsVersion::Tls13));
            assert_ne!(last, Some(conn.worker));
            (moves, last) = (moves + 1, Some(conn.worker));
            None
        }
        Seen::Closed { conn, .. } => Some(conn),
        _ => None,
    });
    assert_eq!(Some(closed.worker), last, "its last owner alone is told");
    assert!(moves > 50, "{moves} moves");
    assert!(house.is_quiet());
    let counts = house.counts(0) + house.counts(1);
    assert_eq!((counts.open, counts.accepted, counts.adopted), (0, 1, moves));
}

#[test]
fn a_plain_connection_moves_in_mid_stream() {
    wanders(0);
}

#[test]
fn a_tls_connection_moves_in_mid_stream() {
    wanders(1);
}

#[test]
fn many_connections_move_at_the_same_time() {
    let house = wanderers();
    std::thread::scope(|scope| {
        for number in 0..12 {
            let house = &house;
            scope.spawn(move || count(house, number % 2, 20_000));
        }
    });
    for _ in 0..12 {
        house.closed();
    }
    let counts = house.counts(0) + house.counts(1);
    assert_eq!((counts.open, counts.accepted), (0, 12));
}

#[test]
fn a_full_queue_gives_the_baggage_back_and_the_connection_stays() {
    let limits = Limits { mail: 1, ..Limits::default() };
    let house = House::with(2, &[spec(ECHO, tcp(), "127.0.0.1:0")], limits, |_, _, _, data| data.len());
    let mut client = house.dial(0);
    let (conn, _) = house.opened();
    let other = WorkerId(1 - conn.worker.0);
    let baggage = house.ask(conn.worker.0, move |_, net| {
        // The queue holds one; the other worker may have taken that one already, so a few are needed.
        let (mut posted, mut back) = (0, None);
        while back.is_none() && posted < 10_000 {
            posted += 1;
            if net.post(other, Mail::Text("filling".into())).is_err() {
                back = net.migrate(conn, other, Mail::Text("baggage".into())).err();
            }
        }
        match back {
            Some(Mail::Text(text)) => Some(text),
            _ => None,
        }
    });
    if baggage.is_some() {
        assert_eq!(baggage.as_deref(), Some("baggage"));
        client.write_all(b"still here").unwrap();
        client.read_exact(&mut [0; 10]).unwrap();
    }
}

#[test]
fn what_was_written_and_not_sent_goes_along_and_a_pause_too() {
    let house = House::new(2, &[spec(SHOW, tls(&[]), "127.0.0.1:0")]);
    let mut client = house.dial_tls(0);
    client.write_all(b"x").unwrap();
    let (conn, _) = house.opened();
    let other = 1 - conn.worker.0;
    house.find(|seen| matches!(seen, Seen::Received { .. }).then_some(()));
    house.act(conn.worker.0, move |_, net| {
        for number in 0..100u8 {
            net.write(conn, &[number; 10_000]).unwrap();
        }
        net.pause(conn);
        assert!(net.migrate(conn, WorkerId(other), Mail::Text("luggage".into())).is_ok());
    });
    let adopted = house.find(|seen| match seen {
        Seen::Adopted { conn, baggage, .. } => Some((conn, baggage)),
        _ => None,
    });
    assert_eq!(adopted.1, "luggage");
    client.write_all(b"later").unwrap();
    assert!(house.is_quiet(), "still paused");
    let mut all = vec![0; 1_000_000];
    client.read_exact(&mut all).unwrap();
    assert!(all.chunks(10_000).enumerate().all(|(number, piece)| piece.iter().all(|&o| o == number as u8)));
    let conn = adopted.0;
    assert_eq!(house.ask(other, move |_, net| net.tag(conn)), Some(SHOW));
    house.act(other, move |_, net| net.resume(conn));
    let Seen::Received { data, .. } = house.next() else { panic!() };
    assert_eq!(data, b"later");
}

#[test]
fn what_is_not_open_cannot_move() {
    let house = House::new(2, &[spec(ECHO, tcp(), "127.0.0.1:0")]);
    let _client = house.dial(0);
    let (conn, _) = house.opened();
    let refused = house.ask(conn.worker.0, move |_, net| {
        let other = WorkerId(1 - conn.worker.0);
        let nobody = ConnectionId { generation: 99, ..conn };
        let connecting = net.connect("192.0.2.1:9".parse().unwrap(), None, Tag(0));
        net.close(conn);
        [conn, nobody, connecting].map(|conn| net.migrate(conn, other, Mail::Text(String::new())).is_err())
    });
    assert_eq!(refused, [true; 3]);
}

#[test]
fn a_connection_that_nobody_receives_any_more_is_closed_and_its_place_free() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let house = House::with(2, &[spec(ECHO, tcp(), "127.0.0.1:0")], limits, |_, _, _, data| data.len());
    let mut client = house.dial(0);
    let (conn, _) = house.opened();
    let other = 1 - conn.worker.0;
    let (started, go) = std::sync::mpsc::channel();
    house.act(other, move |_, _| {
        started.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        panic!("on purpose, with mail in the queue");
    });
    go.recv().unwrap();
    house.ask(conn.worker.0, move |_, net| {
        assert!(net.migrate(conn, WorkerId(other), Mail::Text("lost".into())).is_ok());
    });
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
}
