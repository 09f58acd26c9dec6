//! Everything through one port: clients of every protocol, each told from the others by what it names and says first.

use crate::{CURL, LIMIT, curl};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::{free_port, free_ports, python, scratch};
use testkit::process::{Program, run};

const PASSWORD: &str = "secret-roland";
const PATIENCE: Duration = Duration::from_secs(30);

/// A Binding request, and how its answer begins.
const BINDING: (&[u8], &[u8]) = (b"\0\x01\0\0\x21\x12\xa4\x42one port for", b"\x01\x01");
const OPTIONS: (&[u8], &[u8]) = (
    b"OPTIONS sip:falcot.com SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKport;rport\r\n\
      From: <sip:nobody@falcot.com>;tag=1\r\nTo: <sip:falcot.com>\r\nCall-ID: one-port\r\nCSeq: 1 OPTIONS\r\n\
      Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 200 ",
);
const STREAM: (&[u8], &[u8]) = (
    b"<?xml version='1.0'?><stream:stream to='falcot.com' version='1.0' xmlns='jabber:client' \
      xmlns:stream='http://etherx.jabber.org/streams'>",
    b"</stream:features>",
);
const PAGE: (&[u8], &[u8]) = (b"GET /health HTTP/1.1\r\nHost: falcot.com\r\n\r\n", b"HTTP/1.1 200 ");

fn house() -> testkit::house::Builder {
    let accounts = ["roland", "joe", "nina"];
    let builder = House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("turn", "allow-peers", r#"["127.0.0.0/8"]"#)
        .set("network", "addresses", r#"["127.0.0.1"]"#);
    accounts.iter().fold(builder, |builder, name| {
        builder.account(&format!("{name}@falcot.com"), &format!("secret-{name}"))
    })
}

/// A request for a WebSocket.
fn upgrade(path: &str, protocol: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: falcot.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// `openssl s_client` with something to say; killed when it is dropped.
struct Client {
    child: Child,
    heard: Receiver<Vec<u8>>,
}

impl Client {
    fn start(house: &House, port: u16, alpn: Option<&str>) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "falcot.com"]);
        command.args(["-servername", "falcot.com", "-connect", &format!("127.0.0.1:{port}")]);
        command.arg("-CAfile").arg(house.dir().join("data/certs/authority.pem"));
        command.args(alpn.iter().flat_map(|name| ["-alpn", name]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("install openssl");
        let mut output = child.stdout.take().expect("it is a pipe");
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(length) = output.read(&mut room)
                && length > 0
                && tell.send(room[..length].to_vec()).is_ok()
            {}
        });
        Self { child, heard }
    }

    /// Says something; what comes back until `wanted` is there, or the end.
    fn ask(&mut self, says: &[u8], wanted: &[u8]) -> Vec<u8> {
        let input = self.child.stdin.as_mut().expect("it is a pipe");
        // One that has been refused reads nothing.
        let _ = input.write_all(says).and_then(|()| input.flush());
        let (mut all, end) = (Vec::new(), Instant::now() + PATIENCE);
        while !all.windows(wanted.len()).any(|part| part == wanted) {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(more) => all.extend(more),
                Err(_) => break,
            }
        }
        all
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check(house: &House, alpn: Option<&str>, (says, wanted): (&[u8], &[u8])) {
    let heard = Client::start(house, house.port("web.https"), alpn).ask(says, wanted);
    let found = heard.windows(wanted.len()).any(|part| part == wanted);
    assert!(found, "{alpn:?} {:?}: {:?}", String::from_utf8_lossy(says), String::from_utf8_lossy(&heard));
}

#[test]
fn openssl_with_each_protocol_and_none() {
    let house = house().start();
    let (sip, xmpp) = (upgrade("/", "sip"), upgrade("/xmpp-websocket", "xmpp"));
    let switching = &b"HTTP/1.1 101 "[..];
    for (alpn, said) in [
        ("stun.turn", BINDING),
        ("stun.nat-discovery", BINDING),
        ("sip/2", OPTIONS),
        ("xmpp-client", STREAM),
        ("http/1.1", PAGE),
        ("http/1.1", (&sip[..], switching)),
        ("http/1.1", (&xmpp[..], switching)),
    ] {
        check(&house, Some(alpn), said);
        check(&house, None, said);
    }
    // What is agreed on holds, whatever comes then.
    check(&house, Some("xmpp-client"), (PAGE.0, b"</stream:stream>"));
    check(&house, Some("h2"), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\x04\0\0\0\0\0"));
    // RFC 7301 §3.2: no protocol in common.
    assert!(Client::start(&house, house.port("web.https"), Some("smtp")).ask(PAGE.0, PAGE.1).is_empty());
    // Nobody speaks that, and nobody waits for more of it.
    assert!(Client::start(&house, house.port("web.https"), None).ask(b"\x05\x01\0", b"?").is_empty());
}

/// Everything that a client of coturn's sends comes back.
fn relays(port: u16, flags: &[&str]) {
    let peer = free_port();
    let mut command = Command::new("turnutils_peer");
    let _peer = Program::start(command.args(["-L", "127.0.0.1", "-p", &peer.to_string()]), "coturn");
    // It is ready when its port is taken.
    #[expect(clippy::disallowed_types, reason = "a peer of the server")]
    let is_free = || std::net::UdpSocket::bind(("127.0.0.1", peer)).is_ok();
    let end = Instant::now() + PATIENCE;
    while is_free() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut command = Command::new("turnutils_uclient");
    command.args(flags).args(["-u", "roland", "-w", PASSWORD, "-n", "10", "-c"]);
    command.args(["-e", "127.0.0.1", "-r", &peer.to_string(), "-p", &port.to_string(), "127.0.0.1"]);
    let (code, output) = run(&mut command, "apt install coturn", LIMIT);
    let all = output.lines().rev().find(|line| line.contains("tot_send_msgs=")).unwrap_or_default();
    let count =
        |name: &str| -> Option<u32> { all.split(name).nth(1)?.split([' ', ',']).next()?.parse().ok() };
    let (sent, back) = (count("tot_send_msgs="), count("tot_recv_msgs="));
    assert!(code == Some(0) && sent == back && sent >= Some(10), "{flags:?}: {code:?}\n{output}");
}

/// baresip registers.
fn registers(port: u16, transport: &str) {
    let (dir, own) = (scratch(), free_ports(2));
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("the folder is ours");
    std::fs::create_dir_all(&dir).expect("a folder");
    write(
        "config",
        &format!(
            "sip_listen 127.0.0.1:{own}\nnet_interface 127.0.0.1\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\n\
             module_app account.so\nmodule_app menu.so\n"
        ),
    );
    write("contacts", "");
    write(
        "accounts",
        &format!(
            "<sip:roland@falcot.com>;auth_user=roland;auth_pass={PASSWORD};regint=60;\
             outbound=\"sip:127.0.0.1:{port};transport={transport}\"\n"
        ),
    );
    let mut command = Command::new("baresip");
    let phone = Program::start(command.arg("-f").arg(&dir).args(["-t", "60"]), "apt install baresip");
    phone.expect("200 OK", PATIENCE);
    let _ = std::fs::remove_dir_all(&dir);
}

/// Two clients of slixmpp's sign in, by STARTTLS and inside TLS, and chat.
fn chat(house: &House, plain: u16, sealed: u16) {
    let mut command = python("clients/xmpp_client.py");
    command.args(["chat", "--port", &plain.to_string(), "--tls-port", &sealed.to_string()]);
    command.arg("--ca").arg(house.dir().join("data/certs/authority.pem"));
    let (code, output) = run(&mut command, "slixmpp", LIMIT);
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn real_clients_of_every_protocol_come_in_by_one_port() {
    let house = house().start();
    let port = house.port("web.https");
    relays(port, &["-t", "-S"]);
    relays(port, &[]);
    relays(port, &["-S"]);
    registers(port, "tls");
    chat(&house, house.port("xmpp.client"), port);
    for version in ["--http1.1", "--http2"] {
        assert_eq!(curl(&house, "https://falcot.com/health", &[version]).status, 200);
    }
}

#[test]
fn a_plain_port_and_a_secure_one_of_the_same_number() {
    let port = free_port();
    let here = format!("[\"127.0.0.1:{port}\"]");
    let places = ["turn.tcp", "turn.tls", "sip.tcp", "sip.tls", "xmpp.client", "xmpp.client-tls"];
    let builder = places.iter().fold(house().set("web", "https", "[]"), |builder, place| {
        let (table, key) = place.split_once('.').expect("written table.key");
        builder.set(table, key, &here)
    });
    let house = builder.start();
    for (says, wanted) in [BINDING, OPTIONS, STREAM] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut heard = Vec::new();
        stream.write_all(says).expect("it is there");
        while !heard.windows(wanted.len()).any(|part| part == wanted) {
            let mut room = [0; 4096];
            let length = stream.read(&mut room).expect("an answer");
            assert!(length > 0, "{:?}", String::from_utf8_lossy(&heard));
            heard.extend(&room[..length]);
        }
    }
    relays(port, &["-t"]);
    relays(port, &["-t", "-S"]);
    registers(port, "tcp");
    registers(port, "tls");
    chat(&house, port, port);
}

/// HAProxy in front: it looks whether we are there, and passes streams on with a header.
struct Proxy {
    /// Where it speaks version 1, and 2.
    ports: [u16; 2],
    _program: Program,
    dir: std::path::PathBuf,
}

impl Proxy {
    fn start(server: u16) -> Self {
        let (dir, ports) = (scratch(), [free_port(), free_port()]);
        std::fs::create_dir_all(&dir).expect("a folder");
        let part = |name: &str, port: u16, how: &str| {
            format!(
                "listen {name}\n  bind 127.0.0.1:{port}\n  server parlour 127.0.0.1:{server} {how} check inter 200ms\n"
            )
        };
        let text = format!(
            "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n{}{}",
            part("one", ports[0], "send-proxy"),
            part("two", ports[1], "send-proxy-v2"),
        );
        std::fs::write(dir.join("haproxy.cfg"), text).expect("the folder is ours");
        let mut command = Command::new("haproxy");
        let program = Program::start(command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg")), "haproxy");
        ports.iter().for_each(|port| drop(connect_from([127, 0, 0, 77], *port)));
        Self { ports, _program: program, dir }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn connect_from(source: [u8; 4], port: u16) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("loopback is ours");
        match socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()) {
            Ok(()) => {
                let stream = TcpStream::from(socket);
                stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
                return stream;
            }
            Err(error) => assert!(Instant::now() < end, "{port}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a stream is answered, up to an empty line; nothing if it is closed.
fn answer(stream: &mut TcpStream, says: &[u8]) -> String {
    let _ = stream.write_all(says);
    let (mut heard, mut room) = (Vec::new(), [0; 4096]);
    while let Ok(length) = stream.read(&mut room)
        && length > 0
    {
        heard.extend(&room[..length]);
        if heard.windows(4).any(|part| part == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn haproxy_says_whom_a_stream_is_from() {
    let house = house().set("web", "proxy-protocol", r#"["127.0.0.1"]"#).start();
    let client = [127, 0, 0, 77];
    let plain = Proxy::start(house.port("sip.tcp"));
    for port in plain.ports {
        let mut stream = connect_from(client, port);
        let own = stream.local_addr().expect("connected").port();
        let text = answer(&mut stream, OPTIONS.0);
        assert!(text.starts_with("SIP/2.0 200 "), "{text}");
        // RFC 3581: where the request came from.
        assert!(text.contains(";received=127.0.0.77") && text.contains(&format!("rport={own}")), "{text}");
    }
    // Who does not come by the proxy needs no header, and the proxy's host cannot do without.
    let direct = answer(&mut connect_from(client, house.port("sip.tcp")), OPTIONS.0);
    assert!(direct.starts_with("SIP/2.0 200 "), "{direct}");
    assert_eq!(answer(&mut connect_from([127, 0, 0, 1], house.port("sip.tcp")), OPTIONS.0), "");
    // The same in front of TLS, and by another sender of headers.
    let sealed = Proxy::start(house.port("web.https"));
    for port in sealed.ports {
        let heard = Client::start(&house, port, Some("sip/2")).ask(OPTIONS.0, b"\r\n\r\n");
        assert!(heard.starts_with(b"SIP/2.0 200 "), "{}", String::from_utf8_lossy(&heard));
    }
    assert_eq!(curl(&house, "https://falcot.com/health", &["--haproxy-protocol"]).status, 200, "{CURL}");
}

#[test]
fn whoever_tries_passwords_behind_a_proxy_is_shut_out_alone() {
    let house = house().set("web", "proxy-protocol", r#"["127.0.0.1"]"#).start();
    let port = house.port("xmpp.client-tls");
    let mut connector = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).expect("OpenSSL");
    connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
    let connector = connector.build();
    let sign_in = |from: &str| -> Option<String> {
        let mut stream = connect_from([127, 0, 0, 1], port);
        stream.write_all(format!("PROXY TCP4 {from} 127.0.0.1 4000 443\r\n").as_bytes()).ok()?;
        let mut stream = connector.connect("falcot.com", stream).ok()?;
        stream.write_all(STREAM.0).ok()?;
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGpvZQBndWVzcw==</auth>";
        let (mut heard, mut room, mut asked) = (String::new(), [0; 4096], false);
        loop {
            let length = stream.read(&mut room).ok().filter(|length| *length > 0)?;
            heard.push_str(&String::from_utf8_lossy(&room[..length]));
            if heard.contains("</stream:features>") && !std::mem::replace(&mut asked, true) {
                stream.write_all(auth.as_bytes()).ok()?;
            }
            if heard.contains("</failure>") {
                return Some(heard);
            }
        }
    };
    let tries = (0..60).take_while(|_| sign_in("203.0.113.9").is_some()).count();
    assert!((10..50).contains(&tries), "{tries} tries were answered");
    assert!(sign_in("203.0.113.10").is_some(), "another client of the same proxy");
    let listed = house.cli(&["sip", "bans", "--json"], "");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("203.0.113.9") && !listed.contains("127.0.0.1"), "{listed}");
}

/// Whether a page is got at the house's port for HTTPS, and a Binding request answered there.
fn answers(house: &House) -> [bool; 2] {
    let ask = |alpn, (says, wanted): (&[u8], &[u8])| {
        let heard = Client::start(house, house.port("web.https"), Some(alpn)).ask(says, wanted);
        heard.windows(wanted.len()).any(|part| part == wanted)
    };
    [ask("http/1.1", PAGE), ask("stun.turn", BINDING)]
}

#[test]
fn a_port_comes_to_be_shared_and_is_no_more_while_connections_go_on() {
    let house = house().set("web", "share", "false").start();
    let port = house.port("web.https");
    let reload = |key: &str, value: &str| {
        house.set("web", key, value);
        let output = house.cli(&["reload"], "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let mut page = Client::start(&house, port, Some("http/1.1"));
    let asks = |page: &mut Client| assert!(page.ask(PAGE.0, b"ok\n").starts_with(PAGE.1));
    asks(&mut page);
    assert_eq!(answers(&house), [true, false]);
    reload("share", "true");
    asks(&mut page);
    assert_eq!(answers(&house), [true, true]);
    let mut relay = Client::start(&house, port, Some("stun.turn"));
    assert!(relay.ask(BINDING.0, BINDING.1).starts_with(BINDING.1));
    reload("share", "false");
    assert_eq!(answers(&house), [true, false]);
    // From now on nobody is let in without a header; who is in stays.
    reload("proxy-protocol", "[\"127.0.0.1\"]");
    assert_eq!(answers(&house), [false, false]);
    asks(&mut page);
    assert!(relay.ask(BINDING.0, BINDING.1).starts_with(BINDING.1));
}
