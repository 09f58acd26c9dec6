//! What Pebble does not do, by somebody who stands in front of it: it says when certificates are to be renewed (RFC 9773), hears what
//! an order replaces, and has enough of us (RFC 8555 §6.6).

use super::{PATIENCE, dns, follow, house, is_pebbles, json, text, wait_for};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openssl::ssl::{SslAcceptor, SslConnector, SslFiletype, SslMethod, SslStream, SslVerifyMode};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use testkit::House;
use testkit::pebble::{Pebble, Settings};

/// For how long certificates are good, in seconds.
const VALIDITY: u64 = 100;

struct Front {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The certificates that were asked about.
    asked: Mutex<Vec<String>>,
    /// What orders said that they replace.
    replaced: Mutex<Vec<String>>,
    /// How many orders said nothing of it.
    plain: AtomicUsize,
    /// Whether an answer to a new account was lost on the way.
    lost: AtomicBool,
    /// Whether it has enough.
    enough: AtomicBool,
}

impl Front {
    /// In front of Pebble, with its own certificate. It goes on until the test ends.
    fn start(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).expect("TLS");
        let folder = pebble.root().parent().expect("a folder").to_owned();
        acceptor.set_certificate_file(folder.join("own.pem"), SslFiletype::PEM).expect("there");
        acceptor.set_private_key_file(folder.join("own.key"), SslFiletype::PEM).expect("there");
        let (acceptor, state, behind) = (acceptor.build(), Arc::<State>::default(), pebble.port());
        let seen = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One request each; whoever comes without TLS is gone again.
                if let Ok(mut stream) = acceptor.accept(stream) {
                    let answer = serve(&mut stream, &seen, port, behind);
                    let _ = stream.write_all(&answer.unwrap_or_default());
                    let _ = stream.shutdown();
                }
            }
        });
        Self { port, state }
    }
}

/// Head and body of a request.
fn read(stream: &mut SslStream<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut all, mut octet) = (vec![], [0]);
    while !all.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).ok()?;
        all.push(octet[0]);
    }
    let head = String::from_utf8(all).ok()?;
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(Some(0), |length| length.trim().parse().ok())?];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn serve(stream: &mut SslStream<TcpStream>, state: &State, port: u16, behind: u16) -> Option<Vec<u8>> {
    let (head, body) = read(stream)?;
    let path = head.split_whitespace().nth(1)?;
    if let Some(name) = path.strip_prefix("/ari/") {
        state.asked.lock().expect("no panic").push(name.to_owned());
        // It lies in the past: now.
        let window = r#"{"suggestedWindow":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:01Z"}}"#;
        return Some(answer("200 OK", "Retry-After: 3600\r\n", window));
    }
    let ordered = || {
        let request: serde_json::Value = serde_json::from_slice(&body).ok()?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(request["payload"].as_str()?).ok()?;
        serde_json::from_slice::<serde_json::Value>(&payload).ok()
    };
    let mut replaces = None;
    if path.contains("order-plz") {
        if state.enough.load(Ordering::Relaxed) {
            let problem =
                r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates"}"#;
            return Some(answer("429 Too Many Requests", "Retry-After: 86000\r\n", problem));
        }
        replaces = ordered()?["replaces"].as_str().map(str::to_owned);
    }
    let passed = pass(behind, &head, &body)?;
    // Pebble may not have taken the nonce.
    if path.contains("order-plz") && passed.starts_with(b"HTTP/1.1 201") {
        return Some(ordered_anew(state, replaces, passed));
    }
    if path.contains("sign-me-up") && !state.lost.swap(true, Ordering::Relaxed) {
        return None;
    }
    if path != "/dir" {
        return Some(passed);
    }
    let text = String::from_utf8(passed).ok()?;
    let directory = text.split_once("\r\n\r\n")?.1.split_once('{')?.1;
    Some(answer("200 OK", "", &format!("{{\"renewalInfo\":\"https://127.0.0.1:{port}/ari\",{directory}")))
}

/// An order was made. It says what it replaces, as authorities have to (RFC 9773 §5); the first one does not.
fn ordered_anew(state: &State, replaces: Option<String>, passed: Vec<u8>) -> Vec<u8> {
    let Some(replaces) = replaces else {
        state.plain.fetch_add(1, Ordering::Relaxed);
        return passed;
    };
    let mut replaced = state.replaced.lock().expect("no panic");
    replaced.push(replaces.clone());
    if replaced.len() == 1 {
        return passed;
    }
    let text = String::from_utf8(passed).expect("JSON");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let body = body.replacen('{', &format!("{{\"replaces\":\"{replaces}\","), 1);
    let head = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let head: Vec<&str> = head.collect();
    format!("{}\r\nContent-Length: {}\r\n\r\n{body}", head.join("\r\n"), body.len()).into_bytes()
}

fn answer(status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// To Pebble and back, which ends the connection then.
fn pass(behind: u16, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).ok()?;
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", behind)).ok()?;
    let mut stream = connector.build().connect("127.0.0.1", stream).ok()?;
    let (first, rest) = head.split_once("\r\n")?;
    stream.write_all(format!("{first}\r\nConnection: close\r\n{rest}").as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = vec![];
    // Some end without saying so.
    let _ = stream.read_to_end(&mut answer);
    Some(answer)
}

fn listed(house: &House) -> serde_json::Value {
    json(&house.cli(&["cert", "list", "--json"], ""))
}

#[test]
fn an_authority_says_when_it_wants_to_be_asked_again() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    let pebble = Pebble::start(&Settings { validity: VALIDITY, ..settings });
    let front = Front::start(&pebble);
    follow(&house, &pebble);
    house.set("acme", "directory", &format!("\"https://127.0.0.1:{}/dir\"", front.port));
    house.start();
    wait_for(&mut house, &pebble, is_pebbles);
    // A window in the past is not believed before an eighth of a short life is over; the usual time would be much later.
    let eighth = |house: &House| {
        let listed = listed(house);
        let (begins, next) = (listed["house"][0]["begins"].as_u64(), listed["orders"][0]["next"].as_u64());
        begins.zip(next).is_some_and(|(begins, next)| next.abs_diff(begins + VALIDITY / 8) <= 2)
    };
    wait_for(&mut house, &pebble, eighth);
    let end = Instant::now() + PATIENCE;
    while front.state.replaced.lock().expect("no panic").is_empty() {
        assert!(Instant::now() < end, "{}\n{}", house.server().output(), pebble.output());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        front.state.lost.load(Ordering::Relaxed)
            && !house.server().output().contains("no certificate was issued")
    );
    assert!(!pebble.output().contains("There are now 2 accounts"), "the one of the answer that was lost");
    let asked = front.state.asked.lock().expect("no panic").first().cloned();
    assert_eq!(asked, front.state.replaced.lock().expect("no panic").first().cloned(), "the same name of it");

    let renewed = house.cli(&["cert", "renew"], "");
    assert!(renewed.status.success(), "{}\n{}", text(&renewed), pebble.output());
    assert!(front.state.replaced.lock().expect("no panic").len() >= 2);
    let plain = front.state.plain.load(Ordering::Relaxed);
    assert_eq!(plain, 2, "the first of all, and once more where what it replaces was not understood");

    front.state.enough.store(true, Ordering::Relaxed);
    let renewed = house.cli(&["cert", "renew"], "");
    assert_eq!(renewed.status.code(), Some(1), "{}", text(&renewed));
    let order = listed(&house)["orders"][0].clone();
    assert_eq!(order["fault"], "too many certificates (rateLimited)");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let next = order["next"].as_u64().expect("a number");
    // The clock has gone on since then.
    assert!((now + 80_000..now + 100_000).contains(&next), "{next} at {now}");
    assert!(is_pebbles(&house), "the last good one stays");
}
