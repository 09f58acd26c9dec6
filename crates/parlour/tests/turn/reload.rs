//! Listeners added and removed at `parlour reload`: who is being served goes on without losing a packet.

use crate::client::{Client, Line};
use crate::{expect_counter, house, prepare};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stun::Method;
use stun::attribute::Lifetime;
use testkit::House;
use testkit::house::free_port;

/// Writes a key's list of listeners anew, on loopback.
fn listen(house: &House, key: &str, ports: &[u16]) {
    let text = std::fs::read_to_string(house.config()).unwrap();
    let list: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let begin = text.find("\n[turn]").unwrap();
    let at = begin + text[begin..].find(&format!("\n{key} = [")).unwrap() + 1;
    let end = at + text[at..].find('\n').unwrap();
    let text = format!("{}{key} = [{}]{}", &text[..at], list.join(", "), &text[end..]);
    std::fs::write(house.config(), text).unwrap();
}

fn reload(house: &House) -> (bool, String) {
    let output = house.cli(&["reload"], "");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The ports that `status` shows for one transport of TURN.
fn shown(house: &House, transport: &str) -> Vec<u16> {
    let output = house.cli(&["status", "--json"], "");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = status["listeners"].as_array().unwrap().iter();
    let ours = all.filter(|one| one["service"] == "turn" && one["transport"] == transport);
    let port = |one: &serde_json::Value| one["address"].as_str()?.rsplit_once(':')?.1.parse().ok();
    ours.map(|one| port(one).unwrap()).collect()
}

/// A client with a channel to a peer that sends everything back.
fn talker(line: Line, peer: &UdpSocket) -> Client {
    let mut client = Client::new(line, "roland", "tr0mbone");
    assert_eq!(client.allocate(), 0);
    assert_eq!(client.bind(0x4000, peer.local_addr().unwrap()), 0);
    client
}

/// Every word comes back, in order, until told to stop; how many.
fn talk(client: &mut Client, stop: &AtomicBool) -> u32 {
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let word = [&[0x40, 0, 0, 4][..], &number.to_be_bytes()].concat();
        client.line.send(&word);
        assert_eq!(client.line.receive(), word, "word {number}");
        number += 1;
    }
    number
}

fn echo(peer: &UdpSocket, stop: &AtomicBool) {
    peer.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = peer.recv_from(&mut bytes) {
            peer.send_to(&bytes[..length], from).unwrap();
        }
    }
}

#[test]
fn allocations_relay_through_reloads_without_a_lost_packet() {
    let mut house = prepare();
    let (udp, leaving, coming) = (house.port("turn.udp"), free_port(), free_port());
    listen(&house, "udp", &[udp, leaving]);
    house.start();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let tcp = house.port("turn.tcp");
    let mut clients = [Line::udp(udp), Line::udp(leaving), Line::udp(leaving), Line::tcp(tcp)]
        .map(|line| talker(line, &peer));
    std::thread::scope(|scope| {
        scope.spawn(|| echo(&peer, &over));
        let talks: Vec<_> = clients.iter_mut().map(|client| scope.spawn(|| talk(client, &stop))).collect();
        listen(&house, "udp", &[udp, coming]);
        listen(&house, "tcp", &[]);
        listen(&house, "dtls", &[]);
        let (done, said) = reload(&house);
        assert!(done && !said.contains("restart"), "{said}");
        assert_eq!((shown(&house, "udp"), shown(&house, "tcp")), (vec![udp, coming], vec![]));
        assert!(shown(&house, "dtls").is_empty());
        // Long enough for what is left without clients to be closed.
        std::thread::sleep(Duration::from_millis(1500));
        assert!(TcpStream::connect(("127.0.0.1", tcp)).is_err());
        listen(&house, "tcp", &[coming]);
        assert!(reload(&house).0);
        stop.store(true, Ordering::Relaxed);
        for talk in talks {
            assert!(talk.join().unwrap() > 100);
        }
        for line in [Line::udp(coming), Line::tcp(coming)] {
            drop(talker(line, &peer));
        }
        over.store(true, Ordering::Relaxed);
    });
    expect_counter(&house, "turn.allocations", 5);
    // Nobody new is served by the one that leaves, and once its last client goes it is closed.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stranger.send_to(&crate::client::binding(stun::TransactionId([1; 12])), ("127.0.0.1", leaving)).unwrap();
    assert!(stranger.recv(&mut [0; 100]).is_err());
    assert!(UdpSocket::bind(("127.0.0.1", leaving)).is_err());
    for client in &mut clients[1..3] {
        assert_eq!(client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
    }
    let until = Instant::now() + Duration::from_secs(5);
    while UdpSocket::bind(("127.0.0.1", leaving)).is_err() {
        assert!(Instant::now() < until, "the port is still bound");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_listener_that_cannot_be_bound_is_named_and_nothing_changes() {
    let house = house();
    let (udp, free) = (house.port("turn.udp"), free_port());
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = foreign.local_addr().unwrap().port();
    listen(&house, "udp", &[free]);
    listen(&house, "tcp", &[taken]);
    let (done, said) = reload(&house);
    let why = format!("cannot listen on turn tcp \"127.0.0.1:{taken}\" (127.0.0.1:{taken}): address in use");
    assert!(!done && said.contains(&why), "{said}");
    assert_eq!((shown(&house, "udp"), shown(&house, "tcp")), (vec![udp], vec![house.port("turn.tcp")]));
    assert!(UdpSocket::bind(("127.0.0.1", free)).is_ok());
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    drop(talker(Line::udp(udp), &peer));
}

#[test]
fn tls_comes_to_a_house_that_had_none() {
    let mut house = prepare();
    let text = std::fs::read_to_string(house.config()).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !["source = ", "certificate = ", "key = "].iter().any(|key| line.starts_with(key)))
        .map(|line| {
            if ["tls = ", "dtls = ", "wss = ", "client"].iter().any(|key| line.starts_with(key)) {
                ""
            } else {
                line
            }
        })
        .collect();
    std::fs::write(house.config(), without.join("\n")).unwrap();
    house.start();
    assert!(shown(&house, "tls").is_empty());
    std::fs::write(house.config(), text).unwrap();
    assert_eq!(reload(&house), (true, "reloaded\n".to_owned()));
    let runs: &[&[&str]] = &[&["-t", "-S", "-c"]];
    crate::coturn::check(&house, "turn.tls", "127.0.0.1", runs);
    crate::coturn::check(&house, "turn.dtls", "127.0.0.1", &[&["-S", "-c"]]);
}

#[test]
fn one_address_becomes_all_and_back_while_clients_go_on() {
    let house = house();
    let port = house.port("turn.udp");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let over = AtomicBool::new(false);
    let every = |all: bool| {
        let text = std::fs::read_to_string(house.config()).unwrap();
        let [one, wide] = [format!("udp = [\"127.0.0.1:{port}\"]"), format!("udp = [\":{port}\"]")];
        let text = if all { text.replace(&one, &wide) } else { text.replace(&wide, &one) };
        std::fs::write(house.config(), text).unwrap();
        let (done, said) = reload(&house);
        assert!(done, "{said}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| echo(&peer, &over));
        let mut clients = Vec::new();
        let each_talks = |clients: &mut Vec<Client>| {
            clients.extend((0..4).map(|_| talker(Line::udp(port), &peer)));
            for client in clients.iter_mut() {
                assert!(talks_once(client), "a word is lost");
            }
        };
        for all in [true, false, true] {
            each_talks(&mut clients);
            every(all);
            each_talks(&mut clients);
        }
        over.store(true, Ordering::Relaxed);
    });
    expect_counter(&house, "turn.allocations", 24);
}

fn talks_once(client: &mut Client) -> bool {
    client.line.send(b"\x40\0\0\x04word");
    client.line.receive() == b"\x40\0\0\x04word"
}
