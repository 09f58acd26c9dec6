//! What Prometheus is told: on a listener of its own and on the admin socket, read by its own parser.

use crate::client::{Client, Line};
use crate::sessions::done;
use crate::strangers::Talk;
use crate::{configure, expect_counter, prepare};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;
use testkit::{House, house::python};

fn with_metrics() -> House {
    let mut house = prepare();
    configure(&house, "metrics", r#"["127.0.0.1:0"]"#);
    house.start();
    house
}

/// Where the metrics are, as `status` says.
fn doors(house: &House) -> Vec<SocketAddr> {
    let status = done(house, &["status"]);
    let listeners = status["listeners"].as_array().unwrap();
    let metrics = listeners.iter().filter(|listener| listener["service"] == "metrics");
    metrics.map(|listener| listener["address"].as_str().unwrap().parse().unwrap()).collect()
}

/// One request, one answer: its status and body.
fn http(mut stream: impl Read + Write, request: &str) -> (u16, String) {
    write!(stream, "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(door: SocketAddr, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(door).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    http(stream, &format!("GET {path}"))
}

/// Every sample by its name and labels (`name{label=value}`), as Prometheus' parser has it.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut command = python("clients/metrics.py");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    let samples: Vec<(String, BTreeMap<String, String>, f64, String)> =
        serde_json::from_slice(&output.stdout).unwrap();
    let name = |name: &str, labels: &BTreeMap<String, String>| {
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
    };
    samples.iter().map(|(n, labels, value, _)| (name(n, labels), *value)).collect()
}

fn scrape(house: &House) -> BTreeMap<String, f64> {
    let (status, text) = get(doors(house)[0], "/metrics");
    assert_eq!(status, 200, "{text}");
    for personal in ["roland", "joe", "falcot", "127.0.0.1", "::1"] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
    parsed(&text)
}

#[test]
fn prometheus_reads_what_goes_on() {
    let house = with_metrics();
    let before = scrape(&house);
    assert_eq!(before["parlour_turn_sessions{transport=udp}"], 0.0);
    assert_eq!(before["parlour_turn_draining"], 0.0);
    assert_eq!(before["parlour_workers"], 2.0);
    assert!(before["process_resident_memory_bytes"] > 1e6 && before["process_start_time_seconds"] > 1.6e9);
    assert!(before["parlour_certificate_end_time_seconds"] > 1.6e9);
    let mut talk = Talk::start(&house, Line::udp(house.port("turn.udp")));
    let _stream = Talk::start(&house, Line::tcp(house.port("turn.tcp")));
    talk.goes_on();
    assert_eq!(Client::new(Line::udp(house.port("turn.udp")), "joe", "wrong").allocate(), 401);
    let mut client = Client::new(Line::udp(house.port("turn.udp")), "joe", "tr0mbone");
    assert_eq!(client.allocate(), 0);
    assert_eq!(client.permit("10.0.0.1:9".parse().unwrap()), 403);
    let during = scrape(&house);
    for (name, value) in [
        ("parlour_turn_sessions{transport=udp}", 2.0),
        ("parlour_turn_sessions{transport=tcp}", 1.0),
        ("parlour_turn_sessions_begun_total{transport=udp}", 2.0),
        ("parlour_turn_relayed_packets_total{direction=sent}", 3.0),
        ("parlour_turn_relayed_bytes_total{direction=sent}", 12.0),
        ("parlour_turn_relayed_bytes_total{direction=received}", 12.0),
        ("parlour_turn_refused_total{code=401}", 5.0),
        ("parlour_turn_refused_total{code=403}", 1.0),
        ("parlour_turn_connections", 1.0),
        ("parlour_net_dtls_half_open", 0.0),
    ] {
        assert_eq!(during.get(name), Some(&value), "{name}: {during:#?}");
    }
    assert!(
        during["parlour_net_events_total{event=datagrams_in}"]
            > before["parlour_net_events_total{event=datagrams_in}"]
    );
    done(&house, &["turn", "disconnect", "roland@falcot.com"]);
    expect_counter(&house, "turn.allocations", 1);
    let after = scrape(&house);
    assert_eq!(after["parlour_turn_sessions{transport=udp}"], 1.0);
    assert_eq!(after["parlour_turn_sessions_ended_total{reason=disconnected}"], 2.0);
    assert_eq!(
        after["parlour_turn_relayed_packets_total{direction=sent}"], 3.0,
        "what has ended stays counted"
    );
    let (status, text) =
        http(UnixStream::connect(house.dir().join("data/admin.sock")).unwrap(), "GET /metrics");
    assert_eq!(status, 200);
    assert_eq!(parsed(&text)["parlour_turn_sessions{transport=udp}"], 1.0);
}

#[test]
fn only_two_pages_and_only_to_be_read() {
    let house = with_metrics();
    let door = doors(&house)[0];
    assert_eq!(get(door, "/health"), (200, "ok\n".into()));
    assert_eq!(get(door, "/v1/status").0, 404);
    assert_eq!(get(door, "/").0, 404);
    for request in ["POST /metrics", "DELETE /health"] {
        assert_eq!(http(TcpStream::connect(door).unwrap(), request).0, 405, "{request}");
    }
    done(&house, &["turn", "drain"]);
    assert_eq!(get(door, "/health"), (503, "draining\n".into()));
    assert_eq!(scrape(&house)["parlour_turn_draining"], 1.0);
}

#[test]
fn callers_that_say_nothing_keep_their_places_to_themselves() {
    let house = with_metrics();
    let door = doors(&house)[0];
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(door).unwrap()).collect();
    assert_eq!(get(door, "/health").0, 200);
    drop(silent);
    let long = format!("GET /{}", "x".repeat(40_000));
    let mut stream = TcpStream::connect(door).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may have closed it before everything was written.
    let _ = write!(stream, "{long} HTTP/1.1\r\n\r\n");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    assert!(read.is_err() || !answer.contains(" 200 "), "{answer}");
}

#[test]
fn a_reload_opens_and_closes_listeners() {
    let house = with_metrics();
    let first = doors(&house)[0];
    let free = testkit::house::free_port();
    configure(&house, "metrics", &format!("[\"127.0.0.1:{free}\"]"));
    let reloaded = done(&house, &["reload"]);
    assert_eq!(reloaded["after_restart"], Value::Array(vec![]));
    assert_eq!(doors(&house), [SocketAddr::from(([127, 0, 0, 1], free))]);
    assert_eq!(get(doors(&house)[0], "/health").0, 200);
    assert!(TcpStream::connect(first).is_err(), "the old one is closed");
    configure(&house, "metrics", &format!("[\"127.0.0.1:{}\"]", house.port("sip.tcp")));
    let output = house.cli(&["reload"], "");
    assert_eq!(output.status.code(), Some(2), "a listener that another has is a fault");
    configure(&house, "metrics", "[]");
    done(&house, &["reload"]);
    assert!(doors(&house).is_empty());
}

#[test]
fn a_renewed_certificate_shows_its_end_while_the_configuration_is_being_edited() {
    let house = with_metrics();
    let door = doors(&house)[0];
    std::fs::write(house.dir().join("parlour.toml"), "half a line").unwrap();
    let certs = house.dir().join("data/certs/falcot.com");
    let [chain, key] = ["pem", "key"].map(|end| certs.with_extension(format!("com.{end}")));
    let mut command = std::process::Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=falcot.com", "-newkey", "rsa:2048"]);
    command.args(["-addext", "subjectAltName=DNS:falcot.com", "-out"]).arg(chain).arg("-keyout").arg(key);
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ends = || -> u64 {
        let text = get(door, "/metrics").1;
        let line =
            text.lines().find(|line| line.starts_with("parlour_certificate_end_time_seconds ")).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    let patience = std::time::Instant::now() + Duration::from_secs(5);
    while ends().abs_diff(now + 9 * 86_400) > 600 {
        assert!(std::time::Instant::now() < patience, "{} at {now}", ends());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_listener_becomes_one_of_all_addresses_and_one_of_one_again() {
    let (mut house, free) = (prepare(), testkit::house::free_port());
    configure(&house, "metrics", &format!("[\"127.0.0.1:{free}\"]"));
    house.start();
    for listener in [format!(":{free}"), format!("127.0.0.1:{free}")].iter().cycle().take(6) {
        configure(&house, "metrics", &format!("[\"{listener}\"]"));
        let reloaded = done(&house, &["reload"]);
        let warnings = reloaded["warnings"].to_string();
        assert!(!warnings.contains("cannot be bound"), "{warnings}");
        assert_eq!(warnings.contains("whoever reaches this host"), listener.starts_with(':'), "{warnings}");
        assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], free)), "/health").0, 200);
    }
}
