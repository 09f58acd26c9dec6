//! The fast path in the kernel (`turn.xdp`), between network namespaces that the test makes: what goes through it while the
//! server's process stands still, what does not, and that it ends at once.

use crate::client::{Client, Line};
use crate::counter;
use crate::sessions::done;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use stun::Method;
use stun::attribute::{Family, Lifetime, RequestedAddressFamily, RequestedTransport};
use testkit::House;
use testkit::netns::{self, Lan};

const SERVER: &str = "10.99.0.1:3478";
const SERVER6: &str = "[fd99::1]:3478";
const CHANNEL: u16 = 0x4001;

/// A house in the server's namespace, with the program on its interface.
fn house(lan: &Lan) -> House {
    listening(lan, &format!("[{SERVER:?}, {SERVER6:?}]"))
}

fn listening(lan: &Lan, at: &str) -> House {
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .within(&lan.server)
        .account("roland@falcot.com", "tr0mbone")
        .set("turn", "udp", at)
        .set("turn", "allow-peers", r#"["10.0.0.0/8", "fd00::/8"]"#)
        .set("turn", "xdp", r#""s0""#)
        .set("network", "addresses", r#"["10.99.0.1", "fd99::1"]"#);
    house.start()
}

fn roland(from: &str, server: &str) -> Client {
    Client::new(Line::between(from, server), "roland", "tr0mbone")
}

fn peer(at: &str) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    socket
}

fn channel_data(data: &[u8]) -> Vec<u8> {
    [&CHANNEL.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// Payloads of every length that matters to a checksum.
fn payloads() -> impl Iterator<Item = Vec<u8>> {
    let lengths = [0, 1, 2, 3, 7, 32, 63, 64, 65, 159, 160, 161, 500, 999, 1200];
    lengths.into_iter().map(|length| (0..length).map(|n| (n * 31 + length) as u8).collect())
}

/// A client with a channel to a peer, over which one packet went each way; where the peer sees the relay.
fn joined(client: &mut Client, peer: &UdpSocket) -> SocketAddr {
    let address = peer.local_addr().unwrap();
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let allocated = client.ask(Method::ALLOCATE, |writer| {
        writer.with(&RequestedTransport::UDP).with(&RequestedAddressFamily(Some(family)))
    });
    assert_eq!((allocated, client.bind(CHANNEL, address)), (0, 0));
    client.line.send(&channel_data(b"first"));
    let mut bytes = [0; 2000];
    let (length, relay) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"first");
    peer.send_to(b"second", relay).unwrap();
    assert_eq!(client.line.receive(), channel_data(b"second"));
    relay
}

/// Both ways, every payload.
fn exchange(client: &mut Client, peer: &UdpSocket, relay: SocketAddr) {
    let mut bytes = [0; 2000];
    for payload in payloads() {
        client.line.send(&channel_data(&payload));
        let (length, from) = peer.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from), (&payload[..], relay));
        peer.send_to(&payload, relay).unwrap();
        assert_eq!(client.line.receive(), channel_data(&payload));
    }
}

/// Datagrams that this namespace's kernel has thrown away for their checksums.
fn checksum_errors() -> u64 {
    let v4 = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut rows = v4.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let column = names.split(' ').position(|name| name == "InCsumErrors").unwrap();
    let v6 = std::fs::read_to_string("/proc/net/snmp6").unwrap();
    let v6 = v6.lines().find_map(|line| line.strip_prefix("Udp6InCsumErrors")).unwrap();
    values.split(' ').nth(column).unwrap().parse::<u64>().unwrap() + v6.trim().parse::<u64>().unwrap()
}

/// Waits until the server has read its counters, or a path has ended.
fn expect_counter(house: &House, name: &str, least: u64) {
    let end = Instant::now() + Duration::from_secs(5);
    while counter(house, name) < least {
        assert!(Instant::now() < end, "{name} is {}, less than {least}", counter(house, name));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn channels_are_relayed_while_the_server_s_process_stands_still() {
    let test = "xdp::channels_are_relayed_while_the_server_s_process_stands_still";
    let Some(lan) = netns::lan(test) else { return };
    let mut house = house(&lan);
    // Each family with each, and a peer behind a router.
    let pairs = [
        ("10.99.0.2:0", SERVER, "10.99.0.3:0"),
        ("[fd99::2]:0", SERVER6, "[fd99::3]:0"),
        ("10.99.0.2:0", SERVER, "[fd99::3]:0"),
        ("[fd99::2]:0", SERVER6, "10.99.0.3:0"),
        ("10.99.0.2:0", SERVER, "10.98.0.1:0"),
    ];
    let mut joints: Vec<_> = pairs
        .iter()
        .map(|(from, server, to)| {
            let (mut client, peer) = (roland(from, server), peer(to));
            let relay = joined(&mut client, &peer);
            (client, peer, relay)
        })
        .collect();
    assert_eq!(counter(&house, "turn.xdp-channels"), 5);
    let before = counter(&house, "turn.xdp-packets");
    house.server().signal("STOP");
    for (client, peer, relay) in &mut joints {
        exchange(client, peer, *relay);
    }
    house.server().signal("CONT");
    let packets = joints.len() as u64 * payloads().count() as u64 * 2;
    assert_eq!(counter(&house, "turn.xdp-packets") - before, packets);
    assert_eq!(checksum_errors(), 0);
}

#[test]
fn what_is_no_open_channel_comes_to_the_server() {
    let Some(lan) = netns::lan("xdp::what_is_no_open_channel_comes_to_the_server") else { return };
    let house = house(&lan);
    let (mut client, peer, other) = (roland("10.99.0.2:0", SERVER), peer("10.99.0.3:0"), peer("10.99.0.3:0"));
    let relay = joined(&mut client, &peer);
    let packets = counter(&house, "turn.xdp-packets");
    // An indication each way, of the same address but another port.
    client.indicate(other.local_addr().unwrap(), b"hello");
    let mut bytes = [0; 100];
    assert_eq!(other.recv_from(&mut bytes).unwrap(), (5, relay));
    other.send_to(b"hello", relay).unwrap();
    let indication = client.line.receive();
    assert_eq!(stun::Message::parse(&indication).unwrap().class(), stun::Class::Indication);
    // What a peer sends may look like ChannelData.
    peer.send_to(&channel_data(b"nested"), relay).unwrap();
    assert_eq!(client.line.receive(), channel_data(&channel_data(b"nested")));
    // Padding behind the payload is cut off by the server, not by the kernel.
    client.line.send(&[channel_data(b"padded"), vec![0; 2]].concat());
    let (length, _) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"padded");
    assert_eq!(counter(&house, "turn.xdp-packets") - packets, 1);
    // A datagram in two fragments.
    let long = vec![7; 1900];
    client.line.send(&channel_data(&long));
    let mut bytes = [0; 3000];
    let (length, _) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], &long[..]);
    assert_eq!(counter(&house, "turn.xdp-packets") - packets, 1);
}

/// Nothing arrives, whatever is sent: neither through the kernel nor, where the process runs, through the server.
fn is_silent(client: &mut Client, peer: &UdpSocket, relay: SocketAddr) {
    let Line::Udp(socket) = &client.line else { panic!("a client over UDP") };
    peer.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.send(&channel_data(b"late")).unwrap();
    // The port may be closed already: then the network says so.
    let _ = peer.send_to(b"late", relay);
    assert!(peer.recv_from(&mut [0; 10]).is_err() && socket.recv(&mut [0; 10]).is_err());
}

/// What a session is told to have carried: packets and octets, from the client and to it.
fn totals(house: &House) -> [[u64; 2]; 2] {
    let session = &done(house, &["turn", "sessions"])["sessions"][0];
    ["sent", "received"].map(|way| ["packets", "octets"].map(|unit| session[way][unit].as_u64().unwrap()))
}

#[test]
fn the_kernel_stops_when_the_allocation_ends() {
    let Some(lan) = netns::lan("xdp::the_kernel_stops_when_the_allocation_ends") else { return };
    let mut house = house(&lan);
    let (mut client, peer) = (roland("10.99.0.2:0", SERVER), peer("10.99.0.3:0"));
    let relay = joined(&mut client, &peer);
    exchange(&mut client, &peer, relay);
    // What went through the kernel counts with the packet each way that did not, or did.
    let octets: usize = payloads().map(|payload| payload.len()).sum();
    let (packets, octets) = (payloads().count() as u64 + 1, octets as u64);
    assert_eq!(totals(&house), [[packets, octets + 5], [packets, octets + 6]]);
    assert_eq!(client.ask(Method::REFRESH, |writer| writer.with(&Lifetime(0))), 0);
    house.server().signal("STOP");
    is_silent(&mut client, &peer, relay);
    house.server().signal("CONT");
    assert_eq!(counter(&house, "turn.xdp-channels"), 0);
    assert!(counter(&house, "turn.xdp-packets") >= 2 * (packets - 1));
    let ended = format!("sent_packets={packets} sent_octets={}", octets + 5);
    house.server().expect(&ended, Duration::from_secs(5));
    // However the process ends, its program leaves the interface.
    assert!(has_program(&lan));
    house.kill();
    assert!(!has_program(&lan));
}

/// Whether there is a program on the server's interface.
fn has_program(lan: &Lan) -> bool {
    let mut line = std::process::Command::new("ip");
    let output = line.args(["-n", &lan.server, "link", "show", "s0"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("prog/xdp")
}

/// Sets a key of `[turn]` and has the configuration read again.
fn reload_with(house: &House, key: &str, value: &str) {
    house.set("turn", key, value);
    let output = house.cli(&["reload"], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until no more channels than these are in the kernel.
fn expect_channels(house: &House, most: u64) {
    let end = Instant::now() + Duration::from_secs(5);
    while counter(house, "turn.xdp-channels") > most {
        assert!(Instant::now() < end, "channels stay in the kernel");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_reload_takes_peers_and_channels_from_the_kernel() {
    let Some(lan) = netns::lan("xdp::a_reload_takes_peers_and_channels_from_the_kernel") else { return };
    let mut house = house(&lan);
    let (mut client, peer) = (roland("10.99.0.2:0", SERVER), peer("10.99.0.3:0"));
    let relay = joined(&mut client, &peer);
    let (mut other, free) = (roland("[fd99::2]:0", SERVER6), self::peer("[fd99::3]:0"));
    let other_relay = joined(&mut other, &free);
    // A peer that is refused from now on is out of reach at once; the other one is not.
    reload_with(&house, "deny-peers", r#"["10.99.0.3/32"]"#);
    expect_channels(&house, 1);
    house.server().signal("STOP");
    exchange(&mut other, &free, other_relay);
    house.server().signal("CONT");
    is_silent(&mut client, &peer, relay);
    // With a bound for the bandwidth every packet comes to the server, which goes on relaying.
    reload_with(&house, "bandwidth", r#"{ session = "100 MB" }"#);
    expect_channels(&house, 0);
    let packets = counter(&house, "turn.xdp-packets");
    exchange(&mut other, &free, other_relay);
    assert_eq!(counter(&house, "turn.xdp-packets"), packets);
}

#[test]
fn turnutils_uclient_over_channels() {
    let Some(lan) = netns::lan("xdp::turnutils_uclient_over_channels") else { return };
    // A listener on every address: which one a client wrote to is told with its datagrams.
    let house = listening(&lan, r#"[":3478"]"#);
    let peer = std::process::Command::new("turnutils_peer").args(["-L", "10.99.0.3", "-p", "3480"]).spawn();
    let mut peer = peer.expect("coturn is installed");
    let mut line = std::process::Command::new("turnutils_uclient");
    line.args(
        "-u roland -w tr0mbone -L 10.99.0.2 -e 10.99.0.3 -r 3480 -n 100 -m 2 -l 160 -z 5 10.99.0.1"
            .split(' '),
    );
    let (code, said) = testkit::process::run(&mut line, "coturn", Duration::from_secs(30));
    peer.kill().unwrap();
    peer.wait().unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Total lost packets 0 (0.0"), "{said}");
    expect_counter(&house, "turn.xdp-packets", 350);
}

#[test]
fn what_is_missing_for_it_is_said_at_the_start() {
    let Some(lan) = netns::lan("xdp::what_is_missing_for_it_is_said_at_the_start") else { return };
    let mut house = house(&lan);
    house.kill();
    // Without capabilities; without such an interface.
    for (before, interface, reason) in [
        (["setpriv", "--bounding-set=-all"], "s0", "the process needs CAP_BPF and CAP_NET_ADMIN"),
        (["env", "--"], "s9", "there is no network interface `s9`"),
    ] {
        house.set("turn", "xdp", &format!("{interface:?}"));
        let mut line = std::process::Command::new("ip");
        line.args(["netns", "exec", &lan.server]).args(before).arg(env!("CARGO_BIN_EXE_parlour"));
        line.arg("--config").arg(house.config()).arg("serve");
        let (code, said) = testkit::process::run(&mut line, "util-linux", Duration::from_secs(10));
        assert!(code.is_some_and(|code| code != 0) && said.contains(reason), "{code:?}: {said}");
    }
}
