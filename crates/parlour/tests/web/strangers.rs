//! Clients that are slow, large, many or wrong: each is bounded and told so, and others are served meanwhile.

use crate::{curl, tls, tls_for};
use openssl::ssl::SslStream;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::House;

/// One whose HTTP has its listener for itself: whoever might want something else there is heard out first.
fn house(limits: &str) -> House {
    House::of(env!("CARGO_BIN_EXE_parlour")).set("web", "limits", limits).set("web", "share", "false").start()
}

/// All that comes until the server closes.
fn rest(stream: &mut SslStream<TcpStream>) -> String {
    let mut all = Vec::new();
    // However it ends: what was said is what counts.
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// What is answered to octets behind which nothing comes, until the server closes.
fn say(house: &House, text: &str) -> String {
    let mut stream = tls(house.port("web.https"));
    // One that is refused in the middle of it is answered all the same.
    let _ = stream.write_all(text.as_bytes());
    rest(&mut stream)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("")
}

const GET: &str = "GET /health HTTP/1.1\r\nHost: falcot.com\r\n\r\n";

#[test]
fn who_is_slow_or_idle_is_closed() {
    let house = house("{ begin = \"1s\", idle = \"1s\" }");
    assert_eq!(status(&say(&house, "GET /health HTTP/1.1\r\nHost:")), "408");
    // The same behind a request that was answered.
    let answers = say(&house, &format!("{GET}GET /hea"));
    assert!(answers.starts_with("HTTP/1.1 200 ") && answers.contains("ok\n"), "{answers}");
    let answer = say(&house, GET);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    let post = "POST /http-bind HTTP/1.1\r\nHost: falcot.com\r\nContent-Length: 10\r\n\r\nhalf";
    assert_eq!(status(&say(&house, post)), "408");
    // HTTP/2: nothing but the beginning, and nothing at all.
    let mut stream = two(&house);
    assert!(frames(&mut stream).contains(&Frame { kind: GOAWAY, code: Some(0) }));
}

#[test]
fn what_is_too_large_or_wrong_is_refused() {
    let house = house("{ begin = \"2s\", idle = \"2s\", body = 2000 }");
    let with =
        |field: &str| say(&house, &format!("GET /health HTTP/1.1\r\nHost: falcot.com\r\n{field}\r\n\r\n"));
    assert_eq!(status(&with(&format!("X: {}", "x".repeat(20_000)))), "431");
    assert_eq!(status(&with(&"X: y\r\n".repeat(150))), "431");
    assert_eq!(status(&with("Host: other.example")), "400");
    assert_eq!(status(&with("Content-Length: 1\r\nContent-Length: 2")), "400");
    assert_eq!(status(&with("Bad Field: x")), "400");
    assert_eq!(status(&say(&house, "GET /health HTTP/1.1\r\n\r\n")), "400");
    assert_eq!(status(&say(&house, "\x16\x03\x01 what\r\n\r\n")), "400");
    let post = |length: usize| {
        say(
            &house,
            &format!(
                "POST /http-bind HTTP/1.1\r\nHost: falcot.com\r\nContent-Length: {length}\r\n\r\n{}",
                "x".repeat(length)
            ),
        )
    };
    assert_eq!(status(&post(2001)), "413");
    assert_ne!(status(&post(2000)), "413");
    let chunks = "7d0\r\n".to_owned() + &"x".repeat(2000) + "\r\n1\r\nx\r\n0\r\n\r\n";
    let chunked =
        format!("POST /http-bind HTTP/1.1\r\nHost: falcot.com\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    assert_eq!(status(&say(&house, &chunked)), "413");
}

#[test]
fn requests_of_one_connection_are_counted() {
    let house = house("{ requests = 3 }");
    let answers = say(&house, &GET.repeat(5));
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
    // By HTTP/2 the client is told which were the last.
    let mut stream = two(&house);
    for id in [1, 3, 5, 7] {
        stream.write_all(&headers(id, true)).expect("written");
    }
    let frames = frames(&mut stream);
    let answered = frames.iter().filter(|frame| frame.kind == HEADERS).count();
    assert!((3..=4).contains(&answered) && frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
}

/// What it is, why the connection ends if the client still hears that, and what is sent each time.
type Flood = (&'static str, u32, Box<dyn Fn(u32) -> Vec<u8>>);

#[test]
fn floods_by_http_2_end_the_connection_and_nothing_else() {
    let house = house("{ begin = \"1s\" }");
    let reset = |id: u32| [headers(id, false), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat();
    // Requests taken back at once (CVE-2023-44487), a head without end (CVE-2024-27316), settings and pings that are not
    // read, a window of nothing, frames of streams that are not there.
    let floods: [Flood; 5] = [
        ("resets", 0, Box::new(move |n| reset(2 * n + 1))),
        (
            "continuation",
            11,
            Box::new(|n| match n {
                0 => frame(HEADERS, 1, 1, HEALTH),
                // A field that is not indexed: 1 000 octets of it.
                _ => frame(CONTINUATION, 0, 1, &[&b"\x00\x01x\x7f\xe9\x06"[..], &[b'y'; 1000]].concat()),
            }),
        ),
        ("bad window", 1, Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &0_u32.to_be_bytes()))),
        ("data of nobody", 1, Box::new(|n| frame(DATA, 0, 2 * n + 1, b"x"))),
        ("too long", 6, Box::new(|_| frame(DATA, 0, 1, &[0; 20_000]))),
    ];
    for (name, expected, flood) in floods {
        let mut stream = two(&house);
        // Whoever is closed may find that out while it still speaks.
        let _ = (0..2_000).try_for_each(|n| stream.write_all(&flood(n)));
        let frames = frames(&mut stream);
        let code = frames.iter().find_map(|frame| frame.code);
        assert!(code.is_none_or(|code| code == expected), "{name}: {frames:?}");
        assert!(frames.len() < 1_500, "{name}: {}", frames.len());
        assert_eq!(curl(&house, "https://falcot.com/health", &["--http2"]).body, "ok\n", "{name}");
    }
}

#[test]
fn who_does_not_read_is_given_up() {
    let house = house("{ answer = \"1s\" }");
    let mut stream = two(&house);
    // What they are answered is never read: pings without end.
    let end = Instant::now() + Duration::from_secs(40);
    let ping = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    stream.get_ref().set_write_timeout(Some(Duration::from_secs(20))).expect("a time");
    while stream.write_all(&ping).is_ok() {
        assert!(Instant::now() < end, "it takes pings for ever");
    }
    assert_eq!(curl(&house, "https://falcot.com/health", &[]).body, "ok\n");
}

const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// GET, https, `/health` at `falcot.com`, in HPACK without a table (RFC 7541).
const HEALTH: &[u8] = b"\x82\x87\x04\x07/health\x01\x0afalcot.com";

/// An HTTP/2 connection that has begun.
pub(crate) fn two(house: &House) -> SslStream<TcpStream> {
    let mut stream = tls_for(house.port("web.https"), b"\x02h2");
    assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"h2"[..]));
    let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, b"")[..]].concat();
    stream.write_all(&begin).expect("written");
    stream
}

/// A request without a body.
fn headers(id: u32, ends: bool) -> Vec<u8> {
    frame(HEADERS, if ends { 5 } else { 4 }, id, HEALTH)
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    /// Why the connection ends (RFC 9113 §7).
    code: Option<u32>,
}

/// The frames that come until the server closes.
fn frames(stream: &mut SslStream<TcpStream>) -> Vec<Frame> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let (mut rest, mut frames) = (&all[..], Vec::new());
    while let [a, b, c, kind, ..] = *rest {
        let length = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        let code = rest.get(13..17).filter(|_| kind == GOAWAY);
        frames
            .push(Frame { kind, code: code.map(|code| u32::from_be_bytes(code.try_into().expect("four"))) });
        rest = rest.get(length..).unwrap_or_default();
    }
    frames
}
