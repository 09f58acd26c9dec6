//! What SIP costs without sockets and disk: registrations, calls and OPTIONS through one worker's stack, a message a millisecond.
//!
//! `cargo run --release -p sip --example cost`, or, for instructions with their callers,
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect=cost::serve target/release/examples/cost call 500`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement talks to its terminal and looks at the clock"
)]
#![allow(clippy::unwrap_used, reason = "a measurement may end at the first surprise")]

use md5::{Digest as _, Md5};
use sip::proxy::media::Relaying;
use sip::registrar::{Contact, Rules};
use sip::stack::{Config, Input, Limits, Output, Stack};
use sip::transaction::Timing;
use sip::transport::{Listener, Listeners};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{
    Account, Address, Directory, Domain, Epoch, Keys, Machine, Secret, SocketId, Transport, WorkerId,
};

const DOMAIN: &str = "bench.example";
const USERS: usize = 1000;
const PEER: &str = "127.0.0.1:40000";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let units = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    for (name, unit) in [
        ("options", Bench::options as fn(&mut Bench, usize)),
        ("register", Bench::register),
        ("call", Bench::call),
    ] {
        if what.is_empty() || what == name {
            let mut bench = Bench::new();
            (0..USERS).for_each(|i| bench.register(i));
            (bench.spent, bench.counted) = (Duration::ZERO, true);
            (USERS..USERS + units).for_each(|i| unit(&mut bench, i));
            println!("{name}: {:.2} µs each", bench.spent.as_secs_f64() * 1e6 / units as f64);
        }
    }
}

/// What left in answer to one message, and what a disk and a switchboard were asked.
#[derive(Default)]
struct Left(Vec<String>);

struct Bench {
    stack: Stack,
    now: Instant,
    spent: Duration,
    /// Whether what comes is measured: accounts that register first are not.
    counted: bool,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let epoch = Epoch { instant: now, unix: Duration::from_secs(1_800_000_000) };
        Self { stack: Stack::new(config(), directory(), epoch), now, spent: Duration::ZERO, counted: false }
    }

    /// Lets the stack have a message.
    fn say(&mut self, text: &str) -> Vec<String> {
        self.now += Duration::from_millis(1);
        let mut left = Left::default();
        let begun = Instant::now();
        let how = if self.counted { serve } else { take };
        how(&mut self.stack, self.now, text.as_bytes(), &mut left);
        self.spent += begun.elapsed();
        left.0
    }

    fn options(&mut self, i: usize) {
        let answer = self.say(&format!(
            "OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};rport;branch=z9hG4bKo{i}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:load0@{DOMAIN}>;tag=o{i}\r\nTo: <sip:{DOMAIN}>\r\n\
             Call-ID: o{i}@load\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!(answer[0].starts_with("SIP/2.0 200"), "{answer:?}");
    }

    fn register(&mut self, i: usize) {
        let user = i % USERS;
        let request = |cseq: usize, more: &str| {
            format!(
                "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};rport;branch=z9hG4bKr12345c{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:load{user}@{DOMAIN}>;tag=r12345\r\nTo: <sip:load{user}@{DOMAIN}>\r\n\
                 Call-ID: {user}-12345@load\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:load{user}@{PEER}>\r\n\
                 Expires: 3600\r\nUser-Agent: load\r\n{more}Content-Length: 0\r\n\r\n"
            )
        };
        let challenge = self.say(&request(2 * i + 1, "")).remove(0);
        let answer = answer(&challenge, user, "REGISTER", &format!("sip:{DOMAIN}"));
        let answer = self.say(&request(2 * i + 2, &format!("Authorization: {answer}\r\n")));
        assert!(answer[0].starts_with("SIP/2.0 200"), "{answer:?}");
    }

    fn call(&mut self, i: usize) {
        let (from, to) = (2 * i % USERS, (2 * i + 1) % USERS);
        let invite = |cseq: usize, more: &str| {
            let length = SDP.len();
            format!(
                "INVITE sip:load{to}@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};rport;branch=z9hG4bKi12345n{i}c{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:load{from}@{DOMAIN}>;tag=a{i}\r\nTo: <sip:load{to}@{DOMAIN}>\r\n\
                 Call-ID: {i}-12345@load\r\nCSeq: {cseq} INVITE\r\nContact: <sip:load{from}@{PEER}>\r\n\
                 User-Agent: load\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n{more}\
                 Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}"
            )
        };
        let challenge = self.say(&invite(1, "")).remove(0);
        assert!(challenge.starts_with("SIP/2.0 407"), "{challenge}");
        let ack = invite(1, "").replacen("INVITE", "ACK", 1).replace("1 INVITE", "1 ACK");
        let ack = ack.replace(
            &format!("To: {}", field(&invite(1, ""), "To")),
            &format!("To: {}", field(&challenge, "To")),
        );
        self.say(
            &ack.split("Contact").next().map(|head| format!("{head}Content-Length: 0\r\n\r\n")).unwrap(),
        );
        let proof = answer(&challenge, from, "INVITE", &format!("sip:load{to}@{DOMAIN}"));
        let left = self.say(&invite(2, &format!("Proxy-Authorization: {proof}\r\n")));
        let came = left.iter().find(|text| text.starts_with("INVITE")).unwrap_or_else(|| panic!("{left:?}"));
        self.say(&reply(came, "180 Ringing", ""));
        let answer = self.say(&reply(came, "200 OK", SDP)).remove(0);
        let inside = |method: &str, cseq: usize| {
            format!(
                "{method} sip:called@{PEER} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};rport;branch=z9hG4bK{method}12345n{i}\r\n\
                 Max-Forwards: 70\r\nRoute: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
                 Content-Length: 0\r\n\r\n",
                field(&answer, "Record-Route"),
                field(&answer, "From"),
                field(&answer, "To"),
                field(&answer, "Call-ID"),
            )
        };
        self.say(&inside("ACK", 2));
        let bye = self.say(&inside("BYE", 3));
        let left = self.say(&reply(&bye[0], "200 OK", ""));
        assert!(left[0].starts_with("SIP/2.0 200"), "{left:?}");
    }
}

/// One message that is measured, with all that comes of it.
#[inline(never)]
fn serve(stack: &mut Stack, now: Instant, bytes: &[u8], left: &mut Left) {
    take(stack, now, bytes, left);
}

#[inline(never)]
fn take(stack: &mut Stack, now: Instant, bytes: &[u8], left: &mut Left) {
    let (local, peer) = (IpAddr::from([127, 0, 0, 1]), SocketAddr::from(([127, 0, 0, 1], 40_000)));
    stack.tick(now);
    stack.handle(now, Input::Datagram { socket: SocketId(1), local, peer, bytes });
    while let Some(output) = stack.poll() {
        match output {
            Output::Send { bytes, .. } => left.0.push(String::from_utf8(bytes).unwrap()),
            Output::Store { token, .. } => stack.handle(now, Input::Stored { token, durable: true }),
            Output::Locate { token, address } => {
                let contacts: Option<Vec<Contact>> = Some(stack.contacts(now, &address));
                stack.handle(now, Input::Located { token, contacts });
            }
            _ => {}
        }
    }
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

fn reply(request: &str, status: &str, body: &str) -> String {
    let vias: String =
        request.lines().filter(|line| line.starts_with("Via")).map(|line| format!("{line}\r\n")).collect();
    let to = field(request, "To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=b" };
    let routes = field(request, "Record-Route");
    let routes = if routes.is_empty() { String::new() } else { format!("Record-Route: {routes}\r\n") };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status}\r\n{vias}{routes}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:called@{PEER}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        field(request, "From"),
        field(request, "Call-ID"),
        field(request, "CSeq"),
        body.len(),
    )
}

fn hex(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to the MD5 challenge, which is the first.
fn answer(challenge: &str, user: usize, method: &str, uri: &str) -> String {
    let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (first, second) = (hex(&format!("load{user}:{DOMAIN}:load")), hex(&format!("{method}:{uri}")));
    let response = hex(&format!("{first}:{nonce}:00000001:0a4f113b:auth:{second}"));
    format!(
        "Digest username=\"load{user}\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=00000001"
    )
}

fn directory() -> Arc<Directory> {
    let main = Domain::new(DOMAIN).unwrap();
    let account = |i: usize| {
        let address = Address::new(&format!("load{i}"), DOMAIN).unwrap();
        let md5 = Some(Md5::digest(format!("load{i}:{DOMAIN}:load")).into());
        let keys = Keys { md5, sha256: Some([1; 32]), sha512_256: Some([2; 32]), ..Keys::default() };
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    Arc::new(Directory::new([(&main, &[][..])]).with((0..USERS).map(account)))
}

fn config() -> Config {
    let bound: SocketAddr = "127.0.0.1:5060".parse().unwrap();
    let listener =
        Listener { transport: Transport::Udp, socket: Some(SocketId(1)), bound, host: DOMAIN.into() };
    let seconds = Duration::from_secs;
    Config {
        me: WorkerId(0),
        workers: 1,
        listeners: Listeners { all: vec![listener], addresses: vec![bound.ip()], ..Listeners::default() },
        secret: Secret::new("the same on every worker"),
        authenticate: true,
        speakers: Vec::new(),
        relaying: Relaying::Never,
        nonce: seconds(300),
        timing: Timing::default(),
        ping: None,
        rules: Rules {
            expires: seconds(3600),
            expires_min: seconds(60),
            expires_max: seconds(7200),
            bindings: 10,
        },
        targets: Vec::new(),
        limits: Limits {
            transactions: 1_000_000,
            per_source: 1_000_000,
            dials: 10,
            trace: 10_000,
            calls: 10_000,
            head: 32 * 1024,
            message: 64 * 1024,
            max_forwards: 70,
            retry_after: seconds(5),
            idle: seconds(3600),
            answer: seconds(10),
        },
    }
}
