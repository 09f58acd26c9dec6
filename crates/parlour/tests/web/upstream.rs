//! Requests that are for the web server behind us: it is told who asks, and what it says comes back as it comes.

use crate::strangers::{HEADERS, frame, two};
use crate::{curl, tls};
use openssl::ssl::SslStream;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use testkit::House;

/// A large answer, larger than everything that is held on the way.
const LARGE: usize = 3 << 20;

/// A web server that says what it was asked.
fn upstream() -> u16 {
    #[expect(clippy::disallowed_types, reason = "a peer of the server")]
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(&stream));
        }
    });
    port
}

fn serve(stream: &TcpStream) -> Option<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|octets| *octets > 0)?;
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    match path.as_str() {
        "/large" => {
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\nX-Own: 1\r\n\r\n").ok()?;
            (0..LARGE / 1024).try_for_each(|_| writer.write_all(&[b'x'; 1024])).ok()
        }
        "/until-the-end" => writer.write_all(b"HTTP/1.0 200 OK\r\n\r\nno length\n").ok(),
        "/echo" => {
            writer
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst",
                )
                .ok()?;
            let mut octets = [0; 4096];
            while let Some(count) = reader.read(&mut octets).ok().filter(|count| *count > 0) {
                writer.write_all(&octets[..count]).ok()?;
            }
            Some(())
        }
        "/broken" => writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").ok(),
        "/silent" => {
            let _ = reader.read(&mut [0]);
            Some(())
        }
        _ => {
            let mut body = vec![0; length.unwrap_or(0)];
            if lower.contains("transfer-encoding: chunked") {
                body = chunked(&mut reader)?;
            } else {
                reader.read_exact(&mut body).ok()?;
            }
            let said = format!("{head}[{} octets]", body.len());
            let (kind, length) = ("Connection: close, X-Hop\r\nX-Hop: 1\r\nX-Own: 2", said.len());
            write!(writer, "HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{said}").ok()
        }
    }
}

fn chunked(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut part = vec![0; length + 2];
        reader.read_exact(&mut part).ok()?;
        body.extend_from_slice(&part[..length]);
        if length == 0 {
            return Some(body);
        }
    }
}

fn with_upstream(limits: &str) -> House {
    House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("web", "upstream", &format!("\"127.0.0.1:{}\"", upstream()))
        .set("web", "limits", limits)
        .start()
}

/// Asks for another protocol, and says something at once; what has come back by then.
fn change(house: &House) -> (SslStream<TcpStream>, String) {
    let mut stream = tls(house.port("web.https"));
    let request =
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly";
    stream.write_all(request.as_bytes()).expect("written");
    let mut got = Vec::new();
    while !got.ends_with(b"firstearly") {
        let mut octets = [0; 256];
        let count = stream.read(&mut octets).expect("an answer");
        assert!(count > 0, "{}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&octets[..count]);
    }
    (stream, String::from_utf8_lossy(&got).to_lowercase())
}

#[test]
fn other_hosts_and_other_paths_are_passed_on() {
    let house = with_upstream("{}");
    for version in ["--http1.1", "--http2"] {
        for url in ["https://falcot.com/shop?x=1", "https://localhost/shop?x=1"] {
            let got = curl(&house, url, &[version, "-H", "X-Forwarded-For: 192.0.2.1", "-H", "Cookie: a=b"]);
            assert_eq!(
                (got.status, got.field("x-own"), got.field("x-hop")),
                (200, Some("2"), None),
                "{}",
                got.head
            );
            let said = got.body.to_lowercase();
            assert!(said.starts_with("get /shop?x=1 http/1.1\n"), "{said}");
            let host = url.split('/').nth(2).expect("a host");
            for line in [
                format!("host: {host}:{}", house.port("web.https")),
                "x-forwarded-for: 127.0.0.1".to_owned(),
                "x-forwarded-proto: https".to_owned(),
                "cookie: a=b".to_owned(),
            ] {
                assert!(said.lines().any(|said| said == line), "{line} is missing in\n{said}");
            }
            assert!(!said.contains("192.0.2.1"), "{said}");
        }
        // Ours stay ours, by our own names.
        assert_eq!(curl(&house, "https://falcot.com/health", &[version]).body, "ok\n");
        let meta = curl(&house, "https://falcot.com/.well-known/host-meta", &[version]);
        assert!(meta.body.contains("<XRD"), "{}", meta.body);
    }
}

#[test]
fn bodies_of_any_length_go_through_in_both_directions() {
    let house = with_upstream("{}");
    let file = house.dir().join("large");
    std::fs::write(&file, vec![b'y'; LARGE]).expect("the folder is ours");
    let upload = format!("@{}", file.display());
    for version in ["--http1.1", "--http2"] {
        let got = curl(&house, "https://localhost/large", &[version]);
        assert_eq!((got.status, got.body.trim_end().len(), got.field("x-own")), (200, LARGE, Some("1")));
        let got = curl(&house, "https://localhost/until-the-end", &[version]);
        assert_eq!((got.status, got.body.as_str()), (200, "no length\n"));
        let got = curl(&house, "https://localhost/post", &[version, "--data-binary", &upload]);
        assert!(got.body.trim_end().ends_with(&format!("[{LARGE} octets]")), "{}", got.body);
        let chunked = [version, "-H", "Transfer-Encoding: chunked", "--data-binary", &upload];
        let got = curl(&house, "https://localhost/post", &chunked);
        assert!(got.body.trim_end().ends_with(&format!("[{LARGE} octets]")), "{}", got.body);
        assert_eq!(
            curl(&house, "https://localhost/large", &[version, "-I"]).field("content-length"),
            Some("3145728")
        );
    }
}

#[test]
fn a_server_that_does_not_answer_or_is_not_there() {
    let house = with_upstream("{ answer = \"1s\" }");
    for version in ["--http1.1", "--http2"] {
        assert_eq!(curl(&house, "https://localhost/silent", &[version]).status, 504);
    }
    // Another protocol may be silent for no longer either.
    assert_eq!(change(&house).0.read(&mut [0]).ok(), Some(0));
    house.set("web", "upstream", &format!("\"127.0.0.1:{}\"", testkit::house::free_port()));
    assert!(house.cli(&["reload"], "").status.success());
    let end = Instant::now() + Duration::from_secs(20);
    let mut status = 0;
    while status != 502 {
        assert!(Instant::now() < end, "{status}");
        status = curl(&house, "https://localhost/shop", &[]).status;
    }
}

#[test]
fn challenges_that_are_not_ours_may_be_those_of_the_server_behind() {
    let house = with_upstream("{}");
    let got = curl(&house, "http://shop.example/.well-known/acme-challenge/x", &[]);
    assert_eq!(got.status, 200);
    assert!(got.body.contains("GET /.well-known/acme-challenge/x HTTP/1.1"), "{}", got.body);
    assert_eq!(curl(&house, "http://shop.example/", &[]).status, 301);
}

#[test]
fn a_change_of_protocol_goes_through() {
    let house = with_upstream("{}");
    let (mut stream, head) = change(&house);
    assert!(head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: echo\r\n"), "{head}");
    for round in 0..100_u8 {
        let said = vec![round; 20_000];
        stream.write_all(&said).expect("written");
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).expect("the same");
        assert!(said == heard, "{round}");
    }
}

#[test]
fn websockets_of_other_hosts_and_paths_are_passed_on() {
    let house = with_upstream("{}");
    for (host, path) in
        [("shop.example", "xmpp-websocket"), ("shop.example", "socket"), ("falcot.com", "socket")]
    {
        let fields = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: xmpp",
        ];
        let fields = fields.iter().flat_map(|field| ["-H", field]).chain(["-k", "--http1.1"]);
        let got = curl(&house, &format!("https://{host}/{path}"), &fields.collect::<Vec<_>>());
        assert!(got.body.starts_with(&format!("GET /{path} HTTP/1.1")), "{} {}", got.head, got.body);
        assert!(got.body.to_lowercase().contains("\nupgrade: websocket\n"), "{}", got.body);
    }
}

#[test]
fn an_answer_that_has_begun_is_ended_when_the_server_ends() {
    #[expect(clippy::disallowed_types, reason = "a peer of the server")]
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let mut house =
        House::of(env!("CARGO_BIN_EXE_parlour")).set("web", "upstream", &format!("\"{address}\"")).start();
    let port = house.port("web.https");
    let mut client = tls(port);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
    let (mut behind, _) = listener.accept().expect("the request");
    behind.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").expect("written");
    let mut got = Vec::new();
    while !got.ends_with(b"first") {
        let mut octets = [0; 256];
        let count = client.read(&mut octets).expect("an answer");
        assert!(count > 0, "{}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&octets[..count]);
    }
    house.server().terminate();
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < end, "it still takes connections");
        thread::sleep(Duration::from_millis(5));
    }
    behind.write_all(b"after").expect("written");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("closed in order");
    assert_eq!(String::from_utf8_lossy(&rest), "after");
}

#[test]
fn who_takes_nothing_of_an_answer_gives_the_way_free() {
    let house = with_upstream("{ answer = \"1s\", upstream = 1 }");
    let mut stream = two(&house);
    // A window of nothing, then GET, https, `/large` at `localhost`.
    let window = frame(4, 0, 0, b"\0\x04\0\0\0\0");
    let ask = frame(HEADERS, 5, 1, b"\x82\x87\x04\x06/large\x01\x09localhost");
    stream.write_all(&[window, ask].concat()).expect("written");
    let closed = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(
        !matches!(closed, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "it is waited for: {closed:?}"
    );
}
