//! The kernel's program, fed with single packets (`BPF_PROG_TEST_RUN`) inside namespaces of the test's own.

use super::*;
use aya::programs::{TestRun, TestRunOptions};
use std::time::Duration;
use testkit::netns::{self, ip};

const CLIENT: &str = "10.99.0.77:5000";
const SERVER: &str = "10.99.0.2:3478";
const RELAY: &str = "10.99.0.3:50000";
const PEER: &str = "10.99.0.78:7000";
const CLIENT6: &str = "[fd99::77]:5000";
const SERVER6: &str = "[fd99::2]:3478";
const RELAY6: &str = "[fd99::3]:50000";
const PEER6: &str = "[fd99::78]:7000";
const CHANNEL: u16 = 0x4001;
const PASSED: u32 = 2;
const SENT: u32 = 3;

fn ends(from: &str, to: &str, channel: Option<u16>) -> Ends {
    Ends { from: from.parse().unwrap(), to: to.parse().unwrap(), channel }
}

#[test]
fn ends_are_packed_as_the_program_reads_them() {
    let bytes = ends("192.0.2.1:258", "198.51.100.2:3478", Some(0x4001)).pack();
    assert_eq!(bytes[..4], [192, 0, 2, 1]);
    assert_eq!(bytes[16..20], [198, 51, 100, 2]);
    assert_eq!(bytes[32..], [1, 2, 0x0D, 0x96, 0x40, 1, 0, 0]);
    let short = ends("192.0.2.1:258", "198.51.100.2:3478", Some(0x4001)).pack_v4().unwrap();
    assert_eq!(short, [192, 0, 2, 1, 198, 51, 100, 2, 1, 2, 0x0D, 0x96, 0x40, 1, 0, 0]);
    assert_eq!(ends("[2001:db8::1]:1", "[2001:db8::2]:2", None).pack_v4(), None);
    let bytes = ends("[2001:db8::1]:1", "[2001:db8::2]:2", None).pack();
    assert_eq!((bytes[0], bytes[15], bytes[31]), (0x20, 1, 2));
    assert_eq!(bytes[32..], [0, 1, 0, 2, 0, 0, 1, 0]);
}

#[test]
fn the_program_is_built_where_clang_is() {
    let clang = std::process::Command::new("clang").arg("--version").output();
    assert_eq!(built().is_ok(), clang.is_ok(), "{MISSING}");
    let without = XdpError::NotBuilt("clang was not there").to_string();
    assert!(without.contains("built without it (clang was not there): install clang"), "{without}");
}

/// What the sender says of UDP's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Whole,
    /// Left to hardware that the packet never meets.
    Partial,
    None,
    Wrong,
}

/// The Internet checksum's sum (RFC 1071), octet by octet.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn pseudo(ends: &Ends, length: usize) -> Vec<u8> {
    let length = (length as u16).to_be_bytes();
    [octets(ends.from.ip()), octets(ends.to.ip()), vec![0, 17], length.to_vec()].concat()
}

/// UDP's header and what is in it.
fn udp(ends: &Ends, payload: &[u8], check: Check) -> Vec<u8> {
    let channel =
        ends.channel.map(|number| [number.to_be_bytes(), (payload.len() as u16).to_be_bytes()].concat());
    let data = [channel.unwrap_or_default(), payload.to_vec()].concat();
    let length = (data.len() + 8) as u16;
    let mut bytes = Vec::new();
    for number in [ends.from.port(), ends.to.port(), length, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(data);
    let pseudo = pseudo(ends, bytes.len());
    let whole = match !sum(&[&pseudo[..], &bytes].concat()) {
        0 => 0xFFFF,
        whole => whole,
    };
    let said = match check {
        Check::Whole => whole,
        Check::Partial => sum(&pseudo),
        Check::None => 0,
        Check::Wrong => whole ^ 0x0101,
    };
    bytes[6..8].copy_from_slice(&said.to_be_bytes());
    bytes
}

/// A frame as it comes from the wire.
fn frame(ends: &Ends, payload: &[u8], check: Check, hops: u8) -> Vec<u8> {
    let udp = udp(ends, payload, check);
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if ends.from.is_ipv4() {
        let length = ((udp.len() + 20) as u16).to_be_bytes();
        let mut head = vec![0x45, 0xB9, length[0], length[1], 0x12, 0x34, 0x40, 0, hops, 17, 0, 0];
        head.extend([octets(ends.from.ip()), octets(ends.to.ip())].concat());
        let check = (!sum(&head)).to_be_bytes();
        head[10..12].copy_from_slice(&check);
        bytes.extend([0x08, 0x00]);
        bytes.extend(head);
    } else {
        let length = (udp.len() as u16).to_be_bytes();
        bytes.extend([0x86, 0xDD, 0x6B, 0x91, 0x23, 0x45, length[0], length[1], 17, hops]);
        bytes.extend([octets(ends.from.ip()), octets(ends.to.ip())].concat());
    }
    bytes.extend(udp);
    bytes
}

/// A frame as it has to leave: the next hop's address, one hop less, DSCP and ECN as they came.
fn expected(ends: &Ends, payload: &[u8], check: Check, own: &[u8]) -> Vec<u8> {
    let mut bytes = frame(ends, payload, check, 63);
    bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, 0x77]);
    bytes[6..12].copy_from_slice(own);
    if ends.from.is_ipv6() {
        bytes[15..18].copy_from_slice(&[0x90, 0, 0]);
    }
    bytes
}

/// Inside a LAN, with no more capabilities than the manual asks for.
fn inside(test: &str) -> Option<netns::Lan> {
    netns::lan_with(test, &["bpf", "net_admin"])
}

struct Bench {
    attached: Attached,
    ways: Ways,
    context: Vec<u8>,
    own: Vec<u8>,
}

impl Bench {
    /// Attached to `l0`, with neighbours that stay.
    fn new() -> Self {
        ip("link set dev l0 xdpdrv off");
        for one in ["10.99.0.77", "10.99.0.78", "fd99::77", "fd99::78"] {
            ip(&format!("neigh add {one} lladdr 02:00:00:00:00:77 nud permanent dev l0"));
        }
        let read = |name: &str| std::fs::read_to_string(format!("/sys/class/net/l0/{name}")).unwrap();
        let index: u32 = read("ifindex").trim().parse().unwrap();
        let own = read("address").trim().split(':').map(|o| u8::from_str_radix(o, 16).unwrap()).collect();
        let (attached, mut shares) = attach("l0", 64, 2).unwrap();
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, 0, 0, index, 0, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
        Self { attached, ways: shares.remove(1), context, own }
    }

    fn open(&mut self, arriving: &Ends, leaving: &Ends) -> Way {
        self.ways.open(*arriving, leaving, Instant::now() + Duration::from_secs(60)).unwrap()
    }

    /// What becomes of a packet.
    fn run(&mut self, packet: &[u8]) -> (u32, Vec<u8>) {
        let (mut out, mut context) = (vec![0; 4096], self.context.clone());
        let length = (packet.len() as u32).to_ne_bytes();
        context[4..8].copy_from_slice(&length);
        let options = TestRunOptions {
            data_in: Some(packet),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ..TestRunOptions::default()
        };
        let result = relay(&mut self.attached.program).test_run(options).unwrap();
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }

    fn passes(&mut self, what: &str, packet: &[u8]) {
        let (verdict, out) = self.run(packet);
        assert_eq!((verdict, out == packet), (PASSED, true), "{what}");
    }
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + 0x80) as u8).collect()
}

#[test]
fn packets_come_out_as_they_have_to() {
    let Some(_) = inside("xdp::tests::packets_come_out_as_they_have_to") else { return };
    let mut bench = Bench::new();
    let own = bench.own.clone();
    let arriving = [
        ends(CLIENT, SERVER, Some(CHANNEL)),
        ends(CLIENT6, SERVER6, Some(CHANNEL)),
        ends(PEER, RELAY, None),
        ends(PEER6, RELAY6, None),
    ];
    let leaving = [
        [ends(RELAY, PEER, None), ends(RELAY6, PEER6, None)],
        [ends(SERVER, CLIENT, Some(CHANNEL)), ends(SERVER6, CLIENT6, Some(CHANNEL))],
    ];
    for (index, from) in arriving.iter().enumerate() {
        for to in &leaving[index / 2] {
            let way = bench.open(from, to);
            let mut sent = Count::default();
            for length in [0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 160, 161, 1000, 1203, 1400] {
                for check in [Check::Whole, Check::Partial, Check::None, Check::Wrong] {
                    if check == Check::None && from.from.is_ipv6() {
                        continue;
                    }
                    let payload = payload(length);
                    let (verdict, out) = bench.run(&frame(from, &payload, check, 64));
                    let check = if check == Check::Wrong { check } else { Check::Whole };
                    let mut wanted = expected(to, &payload, check, &own);
                    if from.from.is_ipv6() && to.from.is_ipv4() {
                        // It had no identification of its own.
                        wanted[18..20].fill(0);
                        wanted[24..26].fill(0);
                        let sum = (!sum(&wanted[14..34])).to_be_bytes();
                        wanted[24..26].copy_from_slice(&sum);
                    }
                    let at = wanted.len() - length - if to.channel.is_some() { 6 } else { 2 };
                    if check == Check::Wrong {
                        // Wrong in its own way: what matters is that it is.
                        assert_ne!(out[at..at + 2], expected(to, &payload, Check::Whole, &own)[at..at + 2]);
                        wanted[at..at + 2].copy_from_slice(&out[at..at + 2]);
                    }
                    assert_eq!((verdict, &out), (SENT, &wanted), "{from:?} {to:?} {length} {check:?}");
                    sent.packets += 1;
                    sent.octets += length as u64;
                }
            }
            assert_eq!(bench.ways.count(&way), sent);
            assert_eq!(bench.ways.close(way), sent);
        }
    }
}

#[test]
fn everything_else_is_left_alone() {
    let Some(_) = inside("xdp::tests::everything_else_is_left_alone") else { return };
    let mut bench = Bench::new();
    let (from, to) = (ends(CLIENT, SERVER, Some(CHANNEL)), ends(RELAY, PEER, None));
    let good = frame(&from, b"payload", Check::Whole, 64);
    bench.passes("no way", &good);
    let way = bench.open(&from, &to);
    assert_eq!(bench.run(&good).0, SENT);

    let changed = |at: usize, value: u8, rest: &[u8]| {
        let mut bytes = [&good, rest].concat();
        bytes[at] = value;
        bytes[24..26].fill(0);
        let sum = (!sum(&bytes[14..34])).to_be_bytes();
        bytes[24..26].copy_from_slice(&sum);
        bytes
    };
    let mut wrong_sum = good.clone();
    wrong_sum[24] ^= 1;
    bench.passes("the checksum of IP is wrong", &wrong_sum);
    bench.passes("a fragment follows", &changed(20, 0x20, &[]));
    bench.passes("it is a fragment", &changed(21, 1, &[]));
    bench.passes("it has options", &changed(14, 0x46, &[]));
    bench.passes("it is IPv5", &changed(14, 0x55, &[]));
    bench.passes("it is no UDP", &changed(23, 6, &[]));
    bench.passes("it may make no more hop", &changed(22, 1, &[]));
    bench.passes("IP and UDP disagree about the length", &changed(39, 20, &[]));
    bench.passes("ChannelData is shorter than the datagram", &changed(45, 6, &[]));
    bench.passes("ChannelData is longer than the datagram", &changed(45, 8, &[]));
    bench.passes("another channel", &changed(43, 2, &[]));
    bench.passes("another port of the client", &changed(35, 0x89, &[]));
    bench.passes("another port of ours", &changed(37, 0x97, &[]));
    bench.passes("another address of the client", &changed(29, 76, &[]));
    bench.passes("another address of ours", &changed(33, 3, &[]));
    bench.passes("a STUN message", &changed(42, 0, &[]));
    bench.passes("it is cut short", &good[..good.len() - 1]);
    for length in 14..good.len() {
        bench.passes("it is cut short", &good[..length]);
    }
    let mut tagged = good.clone();
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    bench.passes("it has a VLAN tag", &tagged);
    // A short frame is filled up to Ethernet's least length: that is no part of the packet.
    let (verdict, out) = bench.run(&changed(16, 0, &[0; 11]));
    assert_eq!(verdict, SENT);
    assert_eq!(out[16..18], [0, 35]);

    let long = frame(&from, &payload(1480), Check::Whole, 64);
    assert_eq!(bench.run(&long).0, PASSED, "longer than the interface takes");
    let passed = bench.ways.close(way);
    assert!(passed.packets == 2 && passed.passed > 0, "{passed:?}");
    bench.passes("the way is closed", &good);
}

#[test]
fn ways_end_and_neighbours_have_to_be_known() {
    let Some(_) = inside("xdp::tests::ways_end_and_neighbours_have_to_be_known") else { return };
    let mut bench = Bench::new();
    let (from, to) = (ends(PEER, RELAY, None), ends(SERVER, CLIENT, Some(CHANNEL)));
    let good = frame(&from, b"payload", Check::Whole, 64);
    let way = bench.ways.open(from, &to, Instant::now() + Duration::from_millis(60)).unwrap();
    assert!(bench.ways.open(from, &to, Instant::now()).is_err(), "one begins like this already");
    assert_eq!(bench.run(&good).0, SENT);
    let end = Instant::now() + Duration::from_millis(80);
    while Instant::now() < end {}
    bench.passes("it is over", &good);
    bench.ways.extend(&way, Instant::now() + Duration::from_secs(5));
    assert_eq!(bench.run(&good).0, SENT);
    bench.ways.extend(&way, Instant::now());
    let end = Instant::now() + Duration::from_millis(10);
    while Instant::now() < end {}
    bench.passes("it was ended", &good);
    assert_eq!(bench.ways.close(way), Count { packets: 2, octets: 14, passed: 2 });

    let way = bench.open(&from, &to);
    let (until, long_ago) =
        (Instant::now() + Duration::from_secs(9), Instant::now() - Duration::from_secs(61));
    let [until, long_ago] = [until, long_ago].map(|time| bench.ways.clock.nanoseconds(time));
    bench.ways.meters.open(way.meter, until, long_ago);
    bench.passes("the stack is to look after the neighbour", &good);
    assert_eq!(bench.run(&good).0, SENT);
    ip("neigh del 10.99.0.77 dev l0");
    bench.passes("nobody knows where the client is", &good);
    ip("route add 10.99.0.77/32 via 127.0.0.2 dev lo");
    bench.passes("the client is behind another interface", &good);
    bench.ways.close(way);

    // The test has the second half of 64: no more than these, and each again once it is closed.
    let numbered = |port: u32| ends(&format!("10.99.0.77:{port}"), SERVER, Some(CHANNEL));
    let ways: Vec<Way> = (1..=32).map(|port| bench.open(&numbered(port), &to)).collect();
    assert!(bench.ways.open(from, &to, Instant::now()).is_err());
    ways.into_iter().for_each(|way| assert_eq!(bench.ways.close(way), Count::default()));
    let way = bench.open(&from, &to);
    bench.ways.close(way);
}

#[test]
fn what_is_missing_is_said() {
    let Some(_) = inside("xdp::tests::what_is_missing_is_said") else { return };
    let fault = attach("none0", 8, 1).unwrap_err().to_string();
    assert_eq!(fault, "there is no network interface `none0`");
    let fault = attach("l0", 8, 1).unwrap_err().to_string();
    assert!(fault.contains("`l0` does not take an XDP program in driver mode"), "{fault}");
    assert!(fault.contains("busy"), "another program is there: {fault}");
    let fault = attach("lo", 8, 1).unwrap_err().to_string();
    assert!(fault.contains("`lo` does not take an XDP program in driver mode"), "{fault}");
}
