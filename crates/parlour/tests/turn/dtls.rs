//! DTLS with the real binary: Debian's coturn clients and `openssl s_client`, certificates with RSA and ECDSA keys on
//! either side, and one port for plain and sealed.

use crate::client::binding;
use crate::coturn::check;
use crate::{house, prepare};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use stun::TransactionId;
use testkit::House;
use testkit::process::run;

const PACKAGE: &str = "apt install openssl";

#[test]
fn by_channels_and_by_indications() {
    let runs: &[&[&str]] = &[&["-S"], &["-S", "-s"], &["-S", "-c", "-m", "3"], &["-S", "-c", "-s", "-D"]];
    check(&house(), "turn.dtls", "127.0.0.1", runs);
}

#[test]
fn from_client_to_client_and_to_ipv6() {
    let house = house();
    check(&house, "turn.dtls", "127.0.0.1", &[&["-S", "-y", "-m", "2"], &["-S", "-y", "-s", "-m", "2"]]);
    check(&house, "turn.dtls", "::1", &[&["-S", "-x", "-c"]]);
}

/// A certificate of its own with a key of this kind, as `DIR/NAME.pem` and `DIR/NAME.key`.
fn certificate(house: &House, name: &str, key: &[&str]) -> [String; 2] {
    let [chain, private] =
        ["pem", "key"].map(|end| house.dir().join(format!("{name}.{end}")).display().to_string());
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=falcot.com", "-newkey"]).args(key);
    command.args(["-addext", "subjectAltName=DNS:falcot.com", "-out", &chain, "-keyout", &private]);
    let (code, output) = run(&mut command, PACKAGE, Duration::from_secs(20));
    assert_eq!(code, Some(0), "{output}");
    [chain, private]
}

const RSA: &[&str] = &["rsa:2048"];
const ECDSA: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn clients_with_certificates() {
    let house = house();
    for (name, key) in [("rsa", RSA), ("ecdsa", ECDSA)] {
        let [chain, private] = certificate(&house, name, key);
        check(&house, "turn.dtls", "127.0.0.1", &[&["-S", "-c", "-i", &chain, "-k", &private]]);
    }
}

/// What `openssl s_client` says of a handshake; it ends when its input does.
fn s_client(house: &House, flags: &[&str]) -> String {
    let to = format!("127.0.0.1:{}", house.port("turn.dtls"));
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-dtls1_2", "-connect", &to, "-alpn", "stun.turn"])
        .args(flags)
        .stdin(Stdio::null());
    run(&mut command, PACKAGE, Duration::from_secs(20)).1
}

/// A session of `openssl s_client` that takes bytes and gives them.
struct Standing(Child);

impl Standing {
    fn start(to: &str) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-dtls1_2", "-connect", to]).stderr(Stdio::null());
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(PACKAGE))
    }

    /// Asks for its address and is told.
    fn is_served(&mut self) {
        let request = binding(TransactionId([7; 12]));
        self.0.stdin.as_mut().unwrap().write_all(&request).unwrap();
        let mut answer = [0; 32];
        self.0.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &[7; 12][..]));
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_swapped_certificate_is_shown_to_the_next_and_sessions_go_on() {
    let house = house();
    let certs = house.dir().join("data/certs/falcot.com");
    let [own_chain, own_key] = ["pem", "key"].map(|end| certs.with_extension(format!("com.{end}")));
    let to = format!("127.0.0.1:{}", house.port("turn.dtls"));
    let mut standing = Standing::start(&to);
    standing.is_served();
    for (key, says) in [(RSA, "Peer signature type: RSA"), (ECDSA, "Peer signature type: ECDSA")] {
        let [chain, private] = certificate(&house, "next", key);
        // The key first: the pair is taken when both fit.
        std::fs::copy(private, &own_key).unwrap();
        std::fs::copy(chain, &own_chain).unwrap();
        assert!(house.cli(&["reload"], "").status.success());
        for flags in [&[][..], &["-cipher", "CHACHA20"]] {
            let said = s_client(&house, flags);
            let whole = said.contains(says) && said.contains("ALPN protocol: stun.turn");
            assert!(whole && said.contains("Protocol  : DTLSv1.2"), "{said}");
        }
    }
    standing.is_served();
    assert!(s_client(&house, &["-cipher", "AES256-SHA:AES128-GCM-SHA256"]).contains("handshake failure"));
}

/// A ClientHello as small as it can be, with this random.
fn hello(random: u32) -> Vec<u8> {
    let random = random.to_be_bytes().repeat(8);
    let body = [&[0xfe, 0xfd][..], &random, &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
    let length = body.len() as u8;
    let record = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, length + 12];
    let message = [1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
    [&record[..], &message, &body].concat()
}

/// KiB of memory that the server has.
fn resident(house: &mut House) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.server().id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn twenty_thousand_strangers_cost_nothing() {
    let mut house = house();
    let port = house.port("turn.dtls");
    let ask = |house: &House, sources: std::ops::Range<u32>| {
        for source in sources {
            let address = std::net::Ipv4Addr::from(0x7f01_0000 + source);
            let socket = UdpSocket::bind((address, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let request = hello(source);
            socket.send_to(&request, ("127.0.0.1", port)).unwrap();
            let mut answer = [0; 2048];
            let length = socket.recv(&mut answer).unwrap();
            // A HelloVerifyRequest, and no longer than what may have been sent in somebody else's name.
            assert!(answer[13] == 3 && length <= request.len(), "{length} octets for {}", request.len());
        }
        assert_eq!(crate::counter(house, "turn.streams"), 0);
    };
    ask(&house, 0..2_000);
    let before = resident(&mut house);
    ask(&house, 2_000..22_000);
    let after = resident(&mut house);
    assert!(after <= before + 512, "{before} KiB, then {after} KiB");
}

/// A datagram socket as OpenSSL reads and writes it.
#[derive(Debug)]
struct Datagrams(UdpSocket);

impl Read for Datagrams {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.0.recv(room)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> std::io::Result<usize> {
        self.0.send(datagram)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A client that has asked for its address once and is silent then.
fn idle(context: &SslContext, source: u32, port: u16) -> SslStream<Datagrams> {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::from(0x7f02_0000 + source), 0)).unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut client = Ssl::new(context).unwrap().connect(Datagrams(socket)).unwrap();
    client.write_all(&binding(TransactionId([9; 12]))).unwrap();
    assert!(client.read(&mut [0; 100]).unwrap() >= 32);
    client
}

#[test]
fn an_idle_session_keeps_no_buffers() {
    let mut house = house();
    let port = house.port("turn.dtls");
    let mut context = SslContext::builder(SslMethod::dtls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    let context = context.build();
    let mut clients: Vec<_> = (0..200).map(|source| idle(&context, source, port)).collect();
    let before = resident(&mut house);
    clients.extend((200..600).map(|source| idle(&context, source, port)));
    let each = (resident(&mut house) - before) * 1024 / 400;
    assert_eq!(crate::counter(&house, "turn.streams"), 600);
    // OpenSSL's own state is some 36 KiB (21 of them its handshake buffer); buffers for records would be 33 more.
    assert!(each <= 50 << 10, "{each} octets each");
}

#[test]
fn plain_and_sealed_on_one_port() {
    let mut house = prepare();
    let text = std::fs::read_to_string(house.config()).unwrap();
    let [udp, tcp, dtls, tls] =
        ["turn.udp", "turn.tcp", "turn.dtls", "turn.tls"].map(|name| format!(":{}\"", house.port(name)));
    let text = text.replace(&dtls, &udp).replace(&tls, &tcp);
    std::fs::write(house.config(), text).unwrap();
    house.start();
    check(&house, "turn.udp", "127.0.0.1", &[&["-c"], &["-c", "-S"], &["-s", "-S"]]);
    check(&house, "turn.tcp", "127.0.0.1", &[&["-c", "-t"], &["-c", "-t", "-S"]]);
    let status = String::from_utf8(house.cli(&["status"], "").stdout).unwrap();
    for listener in [("udp", &udp), ("dtls", &udp), ("tcp", &tcp), ("tls", &tcp)] {
        let is_it = |line: &str| line.contains(listener.0) && line.contains(listener.1.trim_end_matches('"'));
        assert!(status.lines().any(is_it), "{listener:?} in {status}");
    }
}
