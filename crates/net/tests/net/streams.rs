//! Plain streams: echo, bytes left untaken, back-pressure both ways, ends of every kind, limits, connecting.

use crate::support::*;
use net::{CloseReason, Full, Limits, Net, Tag};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;
use wire::{ConnectionId, Transport};

fn limited(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Reads what the peer sends, as long as it comes.
fn drain(stream: &mut TcpStream) -> io::Result<usize> {
    io::copy(stream, &mut io::sink()).map(|count| count as usize)
}

#[test]
fn bytes_come_back_in_both_families() {
    let house = House::new(2, &[spec(ECHO, tcp(), ":0")]);
    for index in [0, 1] {
        let mut client = house.dial(index);
        let (_, info) = house.opened();
        assert_eq!((info.tag, info.outgoing, info.transport), (ECHO, false, Transport::Tcp));
        assert_eq!((info.local, info.peer), (client.peer_addr().unwrap(), client.local_addr().unwrap()));
        assert!(info.tls.is_none() && info.sni.is_none() && info.alpn.is_none());
        for text in ["a", "longer", &"long ".repeat(1000)] {
            client.write_all(text.as_bytes()).unwrap();
            let mut back = vec![0; text.len()];
            client.read_exact(&mut back).unwrap();
            assert_eq!(back, text.as_bytes());
        }
    }
}

/// Takes whole lines only, and says what was offered.
fn whole_lines(probe: &mut Probe, _: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    probe.tell(Seen::Received { conn, data: data.to_vec() });
    data.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1)
}

#[test]
fn what_is_left_is_offered_again_with_more_behind_it() {
    let house = House::with(1, &[spec(SCRIPT, tcp(), "127.0.0.1:0")], Limits::default(), whole_lines);
    let mut client = house.dial(0);
    for (sent, offered) in [("one\ntw", "one\ntw"), ("o", "two"), ("\nth", "two\nth"), ("ree\n", "three\n")] {
        client.write_all(sent.as_bytes()).unwrap();
        let data = house.find(|seen| match seen {
            Seen::Received { data, .. } => Some(data),
            _ => None,
        });
        assert_eq!(String::from_utf8(data).unwrap(), offered);
    }
}

#[test]
fn too_much_left_untaken_closes_the_connection() {
    let limits = limited(|limits| limits.read_buffer = 1000);
    let house = House::with(1, &[spec(SCRIPT, tcp(), "127.0.0.1:0")], limits, whole_lines);
    let mut client = house.dial(0);
    client.write_all(&[b'x'; 999]).unwrap();
    house.find(|seen| matches!(seen, Seen::Received { .. }).then_some(()));
    assert!(house.is_quiet(), "there is room for one more");
    client.write_all(b"x").unwrap();
    assert_eq!(house.closed().1, CloseReason::ReadOverflow);
    assert_eq!(drain(&mut client).unwrap(), 0);
}

fn pause_at_once(probe: &mut Probe, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
    probe.tell(Seen::Received { conn, data: data.to_vec() });
    net.pause(conn);
    data.len().min(4)
}

#[test]
fn a_paused_stream_is_not_read_until_it_is_resumed() {
    let house = House::with(1, &[spec(SCRIPT, tcp(), "127.0.0.1:0")], Limits::default(), pause_at_once);
    let mut client = house.dial(0);
    let (conn, _) = house.opened();
    client.write_all(b"123456").unwrap();
    for (more, offered) in [("", "123456"), ("789", "56"), ("", "789")] {
        let Seen::Received { data, .. } = house.next() else { panic!() };
        assert_eq!(String::from_utf8(data).unwrap(), offered);
        client.write_all(more.as_bytes()).unwrap();
        assert!(house.is_quiet());
        house.act(0, move |_, net| net.resume(conn));
    }
    client.shutdown(Shutdown::Both).unwrap();
    assert_eq!(house.closed().1, CloseReason::Peer);
}

#[test]
fn many_streams_that_have_much_to_say_do_not_keep_a_datagram_waiting() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0"), spec(SHOW, udp(), "127.0.0.1:0")]);
    let mut clients: Vec<TcpStream> = (0..40).map(|_| house.dial(0)).collect();
    clients.iter().for_each(|_| drop(house.opened()));
    let (release, held) = std::sync::mpsc::channel::<()>();
    house.act(0, move |_, _| held.recv().unwrap());
    let mut said = 0;
    for client in &mut clients {
        client.set_nonblocking(true).unwrap();
        while let Ok(count) = client.write(&[7; 16 << 10]) {
            said += count;
        }
    }
    assert!(said > 2 << 20, "{said} octets wait");
    let asking = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    asking.send_to(b"me too", house.address(1)).unwrap();
    release.send(()).unwrap();
    let mut before = 0;
    house.find(|seen| match seen {
        Seen::Received { data, .. } => {
            before += data.len();
            None
        }
        Seen::Datagram { .. } => Some(()),
        _ => None,
    });
    assert!(before < 1 << 20, "{before} octets of streams were read first");
}

#[test]
fn a_slow_reader_fills_the_buffer_and_loses_nothing() {
    let limits = limited(|limits| limits.write_buffer = 100_000);
    let house = House::with(1, &[spec(SCRIPT, tcp(), "127.0.0.1:0")], limits, ignore);
    let mut client = house.dial(0);
    let (conn, _) = house.opened();
    let mut written = 0;
    loop {
        let first = written as u32;
        let outcome = house.ask(0, move |_, net| {
            let piece: Vec<u8> = (first..first + 5000).flat_map(u32::to_be_bytes).collect();
            net.write(conn, &piece)
        });
        if outcome == Err(Full) {
            break;
        }
        written += 5000;
        assert!(written < 50_000_000, "the buffer is bounded");
    }
    let queued = house.ask(0, move |_, net| net.queued(conn));
    assert!((80_001..=100_000).contains(&queued), "{queued}");
    let too_much = house.ask(0, move |_, net| net.write(conn, &[0; 30_000]));
    assert_eq!(too_much, Err(Full), "all or nothing");
    house.act(0, move |_, net| net.close(conn));
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), written * 4);
    for (number, octets) in (0u32..).zip(all.chunks_exact(4)) {
        assert_eq!(octets, number.to_be_bytes());
    }
}

#[test]
fn closing_flushes_and_ends_in_order() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let mut client = house.dial(0);
    let (conn, _) = house.opened();
    house.act(0, move |_, net| {
        net.write(conn, &[7; 900_000]).unwrap();
        net.close(conn);
        net.close(conn);
        assert_eq!(net.write(conn, b"too late"), Ok(()));
        assert!(net.tag(conn).is_some());
    });
    let tag = house.find(|seen| match seen {
        Seen::Closed { tag, reason: CloseReason::Local, .. } => Some(tag),
        _ => None,
    });
    assert_eq!(tag, Some(SHOW), "known until then");
    client.write_all(b"not looked at any more").unwrap();
    assert_eq!(drain(&mut client).unwrap(), 900_000);
    drop(client);
    assert!(house.is_quiet(), "told once");
    assert_eq!(house.ask(0, move |_, net| (net.tag(conn), net.write(conn, b"gone"))), (None, Ok(())));
    assert_eq!(house.counts(0).open, 0);
}

#[test]
fn aborting_resets() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let mut client = house.dial(0);
    let (conn, _) = house.opened();
    house.act(0, move |_, net| net.abort(conn));
    assert_eq!(house.closed(), (conn, CloseReason::Local));
    assert_eq!(drain(&mut client).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(house.counts(0).open, 0);
}

#[test]
fn a_peer_s_half_close_ends_the_connection_after_what_was_written() {
    let house = House::new(1, &[spec(ECHO, tcp(), "127.0.0.1:0")]);
    let mut client = house.dial(0);
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(house.closed().1, CloseReason::Peer);
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "hello");
}

#[test]
fn a_reset_is_told() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let client = house.dial(0);
    house.opened();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(house.closed().1, CloseReason::Failed(ErrorKind::ConnectionReset));
}

/// The end that sending finds was told when the stream was already forgotten, with what it was.
#[test]
fn who_hears_of_an_end_that_sending_found_can_still_ask_what_it_was() {
    let house = House::new(1, &[spec(SHOW, tcp(), "127.0.0.1:0")]);
    let client = house.dial(0);
    let (conn, _) = house.opened();
    house.act(0, move |_, net| {
        // The worker writes before it can see that the peer is gone.
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        net.write(conn, b"hello").unwrap();
    });
    let tag = house.find(|seen| match seen {
        Seen::Closed { tag, reason: CloseReason::Failed(_), .. } => Some(tag),
        _ => None,
    });
    assert_eq!(tag, Some(SHOW));
}

#[test]
fn a_peer_that_never_reads_cannot_hold_a_closed_connection_for_ever() {
    let limits = limited(|limits| limits.linger = Duration::from_millis(100));
    let house = House::with(1, &[spec(SHOW, tcp(), "127.0.0.1:0")], limits, ignore);
    let client = house.dial(0);
    let (conn, _) = house.opened();
    house.act(0, move |_, net| {
        while net.write(conn, &[0; 500_000]).is_ok() && net.queued(conn) < 1_000_000 {}
        net.close(conn);
    });
    house.closed();
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        house.counts(0).open == 0
    });
    assert!(gone);
    drop(client);
}

#[test]
fn one_source_cannot_take_all_places() {
    let limits = limited(|limits| limits.connections_per_source = 2);
    let house = House::with(2, &[spec(ECHO, tcp(), ":0")], limits, ignore);
    let first = house.dial(1);
    let mut second = house.dial(1);
    house.opened();
    house.opened();
    let mut third = house.dial(1);
    assert_eq!(drain(&mut third).unwrap_or(0), 0);
    second.write_all(b"fine").unwrap();
    second.read_exact(&mut [0; 4]).unwrap();
    house.dial(0).write_all(b"another source").unwrap();
    house.opened();
    drop(first);
    house.closed();
    let again = (0..100).any(|_| {
        let mut again = house.dial(1);
        let _ = again.write_all(b"x");
        again.read_exact(&mut [0]).is_ok()
    });
    assert!(again, "the place is free again");
    let turned_away: u64 = house.running.counts().iter().map(|counts| counts.turned_away).sum();
    assert!(turned_away >= 1);
}

/// The worker hears of both at the same time.
#[test]
fn who_goes_leaves_its_place_to_the_next() {
    let limits = limited(|limits| limits.connections = 1);
    let house = House::with(1, &[spec(ECHO, tcp(), "127.0.0.1:0")], limits, ignore);
    let first = house.dial(0);
    house.opened();
    let ((begin, begun), (end, ended)) = (channel(), channel());
    house.act(0, move |_, _| {
        begin.send(()).unwrap();
        ended.recv_timeout(Duration::from_secs(60)).unwrap();
    });
    begun.recv_timeout(Duration::from_secs(60)).unwrap();
    drop(first);
    let second = house.dial(0);
    end.send(()).unwrap();
    assert_eq!(house.opened().1.peer, second.local_addr().unwrap());
    assert_eq!(house.counts(0).turned_away, 0);
}

#[test]
fn all_places_together_are_bounded() {
    let limits = limited(|limits| limits.connections = 1);
    let house = House::with(1, &[spec(ECHO, tcp(), ":0")], limits, ignore);
    let _first = house.dial(1);
    house.opened();
    assert_eq!(drain(&mut house.dial(0)).unwrap_or(0), 0);
}

#[test]
fn a_silent_stranger_is_closed_and_one_who_spoke_is_not() {
    let limits = limited(|limits| limits.first_byte = Duration::from_millis(150));
    let house = House::with(1, &[spec(ECHO, tcp(), "127.0.0.1:0")], limits, ignore);
    let mut talker = house.dial(0);
    talker.write_all(b"x").unwrap();
    talker.read_exact(&mut [0]).unwrap();
    let mut silent = house.dial(0);
    assert_eq!(house.closed().1, CloseReason::Silent);
    assert_eq!(drain(&mut silent).unwrap(), 0);
    std::thread::sleep(Duration::from_millis(200));
    talker.write_all(b"y").unwrap();
    talker.read_exact(&mut [0]).unwrap();
}

#[test]
fn we_connect_and_what_was_written_meanwhile_arrives() {
    let house = House::new(1, &[]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap();
    let conn = house.ask(0, move |_, net| {
        let conn = net.connect(to, None, SHOW);
        net.write(conn, b"early").unwrap();
        conn
    });
    let (mut peer, from) = server.accept().unwrap();
    let (opened, info) = house.opened();
    assert_eq!((opened, info.tag, info.outgoing), (conn, SHOW, true));
    assert_eq!((info.local, info.peer), (from, to));
    let mut early = [0; 5];
    peer.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    peer.write_all(b"answer").unwrap();
    let Seen::Received { data, .. } = house.next() else { panic!() };
    assert_eq!(data, b"answer");
}

#[test]
fn who_is_not_there_refuses() {
    let house = House::new(1, &[]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let asked = house.ask(0, move |_, net| net.connect(free, None, Tag(77)));
    let Seen::Refused { conn, tag, kind } = house.next() else { panic!() };
    assert_eq!((conn, tag, kind), (asked, Tag(77), ErrorKind::ConnectionRefused));
    let asked = house.ask(0, |_, net| net.connect("255.255.255.255:9".parse().unwrap(), None, Tag(78)));
    let Seen::Refused { conn, tag, .. } = house.next() else { panic!() };
    assert_eq!((conn, tag), (asked, Tag(78)), "at once");
    house.act(0, |_, net| {
        let conn = net.connect("192.0.2.1:9".parse().unwrap(), None, Tag(79));
        net.close(conn);
    });
    let tag = house.find(|seen| match seen {
        Seen::Refused { tag, .. } => Some(tag),
        _ => None,
    });
    assert_eq!(tag, Tag(79), "given up by ourselves");
    assert_eq!(house.counts(0).open, 0);
}
