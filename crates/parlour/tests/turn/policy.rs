//! What the administrator bounds, on the real server: quotas over all workers, peers, ports, addresses, bandwidth, and where
//! clients are sent from a server that drains.

use crate::client::{Client, Line};
use crate::coturn::check;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use stun::Method;
use stun::attribute::Lifetime;
use testkit::House;
use testkit::house::{Builder, free_ports};

/// A house of two workers, where peers on loopback are allowed.
fn builder() -> Builder {
    House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .account("joe@falcot.com", "tr0mbone")
        .set("turn", "allow-peers", r#"["127.0.0.0/8"]"#)
        .set("network", "addresses", r#"["127.0.0.1"]"#)
}

fn client(house: &House, name: &str) -> Client {
    Client::new(Line::udp(house.port("turn.udp")), name, "tr0mbone")
}

fn release(client: &mut Client) {
    assert_eq!(client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
}

fn reload(house: &House) {
    let output = house.cli(&["reload"], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A range of ports that nobody uses, and none of those that calls are relayed by.
fn range(count: u16) -> (u16, u16) {
    let first = free_ports(count);
    (first, first + count - 1)
}

fn codes(clients: &mut [Client]) -> Vec<u16> {
    clients.iter_mut().map(Client::allocate).collect()
}

#[test]
fn quotas_are_exact_over_all_workers() {
    let house = builder().set("turn", "quota", "{ user = 5, domain = 7, total = 7 }").start();
    // The kernel spreads their ports over both workers.
    let mut clients: Vec<_> = (0..12).map(|_| client(&house, "roland")).collect();
    assert_eq!(codes(&mut clients), [[0; 5].as_slice(), &[486; 7]].concat());
    let mut others: Vec<_> = (0..4).map(|_| client(&house, "joe")).collect();
    assert_eq!(codes(&mut others), [0, 0, 486, 486]);
    release(&mut clients[3]);
    assert_eq!(codes(&mut others[2..]), [0, 486]);

    house.set("turn", "quota", "{ user = 6, domain = 9, total = 9 }");
    reload(&house);
    assert_eq!(codes(&mut clients[5..]), [[0; 2].as_slice(), &[486; 5]].concat());
}

#[test]
fn four_relay_ports_are_used_up_and_free_at_once() {
    let (first, last) = range(4);
    let house = builder().set("turn", "relay-ports", &format!("\"{first}-{last}\"")).start();
    let mut clients: Vec<_> = (0..5).map(|_| client(&house, "roland")).collect();
    assert_eq!(codes(&mut clients), [0, 0, 0, 0, 508]);
    let mut ports: Vec<_> = clients[..4].iter().map(|client| client.relay.unwrap().port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, (first..=last).collect::<Vec<_>>());
    for round in 0..4 {
        release(&mut clients[round]);
        assert_eq!(clients[4].allocate(), 0, "round {round}");
        release(&mut clients[4]);
        assert_eq!(clients[round].allocate(), 0);
    }
}

#[test]
fn debian_s_clients_reach_one_another_by_eight_ports() {
    for flags in [&["-y", "-c", "-m", "2"][..], &["-y", "-c", "-s", "-m", "2"]] {
        let (first, last) = range(8);
        let house = builder().set("turn", "relay-ports", &format!("\"{first}-{last}\"")).start();
        check(&house, "turn.udp", "127.0.0.1", &[flags]);
    }
}

#[test]
fn peers_that_are_denied_at_a_reload_are_cut_off() {
    let house = builder().start();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let at = peer.local_addr().unwrap();
    let mut roland = client(&house, "roland");
    assert_eq!((roland.allocate(), roland.bind(0x4000, at)), (0, 0));
    let mut buffer = [0; 64];
    let mut arrives = |client: &mut Client| {
        client.line.send(b"\x40\0\0\x05hello");
        peer.recv(&mut buffer).is_ok()
    };
    assert!(arrives(&mut roland));
    house.set("turn", "deny-peers", r#"["127.0.0.1/32"]"#);
    reload(&house);
    assert!(!arrives(&mut roland));
    assert_eq!((roland.permit(at), roland.bind(0x4000, at)), (403, 403));
    house.set("turn", "deny-peers", "[]");
    reload(&house);
    assert_eq!(roland.bind(0x4000, at), 0);
    assert!(arrives(&mut roland));
}

#[test]
fn relays_are_spread_over_their_addresses() {
    let house = builder().set("turn", "relay-addresses", r#"["127.0.0.2", "127.0.0.3"]"#).start();
    let mut clients: Vec<_> = (0..16).map(|_| client(&house, "roland")).collect();
    assert_eq!(codes(&mut clients), [0; 16]);
    let mut addresses: Vec<_> = clients.iter().map(|client| client.relay.unwrap().ip().to_string()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses, ["127.0.0.2", "127.0.0.3"]);
}

#[test]
fn a_server_that_drains_sends_its_clients_elsewhere() {
    let house = builder().set("turn", "alternate-server", r#"["127.0.0.1:9", "[::1]:9"]"#).start();
    let [mut old, mut new] = ["roland", "joe"].map(|name| client(&house, name));
    assert_eq!(old.allocate(), 0);
    assert!(house.cli(&["turn", "drain"], "").status.success());
    assert_eq!(new.allocate(), 300);
    assert_eq!(new.alternate, Some("127.0.0.1:9".parse().unwrap()));
    assert_eq!(old.ask(Method::REFRESH, |writer| writer.with(&Lifetime(600))), 0);
    assert!(house.cli(&["turn", "drain", "--off"], "").status.success());
    assert_eq!(new.allocate(), 0);
}

#[test]
fn what_is_faster_than_the_bandwidth_is_delayed_and_then_dropped() {
    let house = builder().set("turn", "bandwidth", "{ session = 100000, user = 0 }").start();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    let [mut greedy, mut modest] = ["roland", "joe"].map(|name| client(&house, name));
    for client in [&mut greedy, &mut modest] {
        assert_eq!((client.allocate(), client.bind(0x4000, peer.local_addr().unwrap())), (0, 0));
    }
    let message = |mark: u8| [&b"\x40\0\x03\xE8"[..], &[mark; 1000]].concat();
    let begin = Instant::now();
    (0..150).for_each(|_| greedy.line.send(&message(b'g')));
    modest.line.send(&message(b'm'));
    let sent = begin.elapsed();
    let (mut marks, mut last, mut buffer) = (Vec::new(), begin, [0; 2000]);
    while let Ok(1000) = peer.recv(&mut buffer) {
        marks.push(buffer[0]);
        last = Instant::now();
    }
    let of_greedy = marks.iter().filter(|mark| **mark == b'g').count();
    // A quarter of a second's worth at once, another one later, and what came free while they were sent.
    let most = 55 + usize::try_from(sent.as_millis() / 10).unwrap();
    assert!((50..=most).contains(&of_greedy), "{of_greedy} in {sent:?}");
    assert!(last - begin >= Duration::from_millis(200), "{:?}", last - begin);
    let behind = marks.iter().skip_while(|mark| **mark == b'g').skip(1).count();
    assert!(behind >= 20, "nobody waits for others, but {behind} came behind");
}

/// Two clients of the same house, each with a channel to the other's relay.
fn pair(house: &House) -> [Client; 2] {
    let mut pair = ["roland", "joe"].map(|name| client(house, name));
    let relays: [SocketAddr; 2] = pair.each_mut().map(|client| {
        assert_eq!(client.allocate(), 0);
        client.relay.unwrap()
    });
    assert_eq!((pair[0].bind(0x4000, relays[1]), pair[1].bind(0x4000, relays[0])), (0, 0));
    pair
}

/// Everything that clients of this house send one another arrives.
fn reach_one_another(house: &House) {
    // Of sixteen pairs some are on one worker and some on two. All stay: a port of one that went away would still have
    // an allocation.
    let mut pairs: Vec<_> = (0..16).map(|_| pair(house)).collect();
    for (number, [one, other]) in (0_u8..).zip(&mut pairs) {
        for length in [0, 1, 160, 1200] {
            let size = u16::try_from(length).unwrap().to_be_bytes();
            let message = [&[0x40, 0, size[0], size[1]][..], &vec![number; length]].concat();
            one.line.send(&message);
            assert_eq!(other.line.receive(), message);
            other.line.send(&message);
            assert_eq!(one.line.receive(), message);
        }
    }
}

#[test]
fn clients_reach_one_another_on_one_worker_and_on_two() {
    reach_one_another(&builder().start());
}

#[test]
fn clients_reach_one_another_behind_nat_without_its_help() {
    let hidden = builder().set("network", "external", r#"["203.0.113.9=127.0.0.1"]"#);
    reach_one_another(&hidden.set("turn", "allow-peers", r#"["203.0.113.9/32"]"#).start());
}

#[test]
fn between_clients_of_one_worker_no_packet_leaves_the_process() {
    let house = builder()
        .set("network", "workers", "1")
        .set("turn", "allow-peers", r#"["203.0.113.9/32"]"#)
        .set("network", "external", r#"["203.0.113.9=127.0.0.1"]"#)
        .start();
    // Nothing answers at the address that the world knows, but the relays behind it are the same process's.
    let [mut one, mut other] = pair(&house);
    assert_eq!(one.relay.unwrap().ip().to_string(), "203.0.113.9");
    one.line.send(b"\x40\0\0\x05hello");
    assert_eq!(other.line.receive(), b"\x40\0\0\x05hello");
}
