//! The administrator beside a running server: commands go through its socket, and it sees each change at once.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use store::{BindingRow, Query, Settings, Store};
use testkit::House;
use testkit::house::scratch;
use testkit::process::Program;

const BINARY: &str = env!("CARGO_BIN_EXE_parlour");

fn started() -> House {
    House::of(BINARY).account("roland@falcot.com", "wonderland").start()
}

fn json(house: &House, arguments: &[&str], input: &str) -> Value {
    let Output { stdout, stderr, .. } = house.cli(&[arguments, &["--json"]].concat(), input);
    serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout:?} {stderr:?}"))
}

fn done(house: &House, arguments: &[&str], input: &str) -> String {
    let Output { status, stdout, stderr } = house.cli(arguments, input);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

fn refused(house: &House, arguments: &[&str], code: i32, reason: &str) {
    let Output { status, stderr, .. } = house.cli(arguments, "");
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.code() == Some(code) && said.contains(reason), "{status:?} {said}");
}

/// One request, as it stands; status and body of the answer.
fn http(house: &House, request: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(house.dir().join("data/admin.sock")).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

fn post(house: &House, path: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    http(
        house,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

#[test]
fn status_says_where_it_listens_and_what_it_has() {
    let house = started();
    let status = json(&house, &["status"], "");
    assert_eq!((status["workers"].as_u64(), status["accounts"].as_u64()), (Some(2), Some(1)));
    let listeners = status["listeners"].as_array().expect("a list");
    let has = |service: &str, transport: &str, key: &str| {
        let address = format!("127.0.0.1:{}", house.port(key));
        let row = serde_json::json!({ "service": service, "transport": transport, "address": address });
        assert!(listeners.contains(&row), "{row} is not in {listeners:?}");
    };
    has("turn", "udp", "turn.udp");
    has("turn", "tls", "turn.tls");
    has("sip", "udp", "sip.udp");
    has("sip", "tcp", "sip.tcp");
    has("xmpp", "tcp", "xmpp.client");
    has("xmpp", "tls", "xmpp.client-tls");
    assert!(done(&house, &["status"], "").contains("workers   2"));
    let socket = house.dir().join("data/admin.sock");
    let mode = std::fs::metadata(socket).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_server_sees_a_change_at_once() {
    let house = started();
    let accounts = || json(&house, &["status"], "")["accounts"].as_u64();
    assert_eq!(done(&house, &["user", "add", "joe@falcot.com"], "secret\n"), "added joe@falcot.com\n");
    assert_eq!(accounts(), Some(2));
    refused(&house, &["user", "add", "joe@falcot.com", "--generate"], 1, "already there: joe@falcot.com");
    assert!(
        done(&house, &["user", "passwd", "joe@falcot.com", "--generate"], "").contains("shown this once: ")
    );
    done(&house, &["user", "remove", "roland@falcot.com"], "");
    assert_eq!(accounts(), Some(1));
    let mut rows = String::from("address,ha1-md5\n");
    for n in 0..5000 {
        rows.push_str(&format!("u{n}@falcot.com,8493fbc53ba582fb4c044c456bdc40eb\n"));
    }
    assert_eq!(done(&house, &["user", "import", "-"], &rows), "imported 5000 accounts\n");
    assert_eq!(accounts(), Some(5001));
    let bad = json(&house, &["user", "import", "-"], "address,password\njoe@example.org,x\n");
    assert_eq!(bad["error"]["faults"][0]["line"], 2);
    assert_eq!(done(&house, &["user", "list"], "").lines().count(), 5001);
}

#[test]
fn what_is_added_outlives_a_kill() {
    let mut house = started();
    done(&house, &["user", "add", "joe@falcot.com"], "secret\n");
    house.kill_and_restart();
    assert_eq!(done(&house, &["user", "list"], ""), "joe@falcot.com\nroland@falcot.com\n");
}

#[test]
fn the_socket_speaks_http_with_json() {
    let house = started();
    let (status, made) = post(&house, "/v1/user/add", r#"{"address":"joe@falcot.com","generate":true}"#);
    assert_eq!((status, made["result"].as_str()), (200, Some("added")));
    let (status, list) = http(&house, "GET /v1/user/list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!((status, list["users"].as_array().map(Vec::len)), (200, Some(2)));
    let (status, document) =
        http(&house, "GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(status == 200 && document["paths"]["/v1/user/add"].is_object());
    let (status, checked) = post(&house, "/v1/check", "");
    assert!(status == 200 && checked["domains"][0]["name"] == "falcot.com");
}

#[test]
fn what_is_sent_wrongly_is_refused_in_json() {
    let house = started();
    let check = |path: &str, body: &str, expected: u16, reason: &str| {
        let (status, answer) = post(&house, path, body);
        let message = answer["error"]["message"].as_str().expect("a message").to_owned();
        assert!(status == expected && message.contains(reason), "{path} {body}: {status} {message}");
    };
    check("/v1/user/ad", "", 404, "there is no /v1/user/ad");
    check("/v1/serve", "", 404, "there is no /v1/serve");
    check("/", "", 404, "/openapi.json says what there is");
    check("/v1/user/add", "{", 400, "not a JSON object");
    check("/v1/user/add", "[]", 400, "not a JSON object");
    check("/v1/user/add", "{}", 400, "`address` is missing");
    check("/v1/user/add", r#"{"address":"joe@falcot.com"}"#, 400, "`password` is missing");
    check("/v1/user/add", r#"{"address":7}"#, 400, "`address` must be a text");
    check("/v1/user/add", r#"{"adress":"x"}"#, 400, "did you mean `address`?");
    check("/v1/user/add", r#"{"address":"roland@falcot.com","generate":true}"#, 409, "already there");
    check("/v1/user/add", r#"{"address":"joe@a.org","generate":true}"#, 400, "is not a domain of this house");
    check("/v1/user/show", r#"{"address":"joe@falcot.com"}"#, 404, "there is no account");
    check("/v1/user/import", r#"{"file":"x"}"#, 422, "nothing was imported");
    let (status, _) = http(&house, "GET /v1/user/remove HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(status, 400);
}

#[test]
fn callers_that_say_nothing_hold_nobody_up() {
    let house = started();
    let silent = || UnixStream::connect(house.dir().join("data/admin.sock")).expect("a server");
    let mut callers: Vec<_> = (0..20).map(|_| silent()).collect();
    for caller in &mut callers {
        caller.write_all(b"POST /v1/user/add HTTP/1.1\r\nhost").expect("it reads");
    }
    let begin = Instant::now();
    done(&house, &["user", "add", "joe@falcot.com", "--generate"], "");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn reload_takes_what_is_valid_and_nothing_else() {
    let house = started();
    let text = std::fs::read_to_string(house.config()).expect("there");
    std::fs::write(house.config(), text.replace("workers = 2", "wrokers = 2")).expect("ours");
    refused(&house, &["status"], 2, "did you mean `workers`?");
    let (status, answer) = post(&house, "/v1/reload", "");
    assert_eq!((status, &answer["error"]["kind"]), (422, &"configuration".into()));
    assert_eq!(answer["error"]["faults"][0]["key"], "network.wrokers");
    let with_alias = text
        .replace("aliases = [", "aliases = [\"falcot.org\", ")
        .replace("gathering = \"0ms\"", "gathering = \"1ms\"");
    std::fs::write(house.config(), with_alias.replace("workers = 2", "workers = 1")).expect("ours");
    let reloaded = json(&house, &["reload"], "");
    assert_eq!(reloaded["after_restart"], serde_json::json!(["turn.gathering", "network.workers"]));
    let warnings = reloaded["warnings"].to_string();
    // Our own authority has issued a certificate for the new name at once.
    assert!(!warnings.contains("it is not for falcot.org"), "{warnings}");
    assert_eq!(
        done(&house, &["user", "add", "joe@falcot.org", "--generate", "--json"], "")
            .matches("joe@falcot.com")
            .count(),
        1
    );
}

#[test]
fn one_server_for_one_house_and_it_ends_when_told() {
    let mut house = started();
    let mut second = Command::new(BINARY);
    second.arg("--config").arg(house.config()).arg("serve");
    let (code, said) = testkit::process::run(&mut second, "cargo build", Duration::from_secs(20));
    assert!(code == Some(1) && said.contains("a server runs already"), "{code:?} {said}");
    done(&house, &["status"], "");
    house.server().terminate();
    assert_eq!(house.server().wait(Duration::from_secs(20)), Some(0));
    assert!(!house.dir().join("data/admin.sock").exists());
    refused(&house, &["status"], 1, "the server does not run");
}

#[test]
fn a_turn_client_on_a_stream_does_not_hold_up_the_end() {
    let mut house = started();
    let mut client = std::net::TcpStream::connect(("127.0.0.1", house.port("turn.tcp"))).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    done(&house, &["status"], "");
    let begin = Instant::now();
    house.server().terminate();
    assert_eq!(client.read(&mut [0; 64]).expect("an orderly end"), 0);
    drop(client);
    assert_eq!(house.server().wait(Duration::from_secs(20)), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
#[expect(clippy::disallowed_types, reason = "the test takes the port away from the server")]
fn a_server_that_cannot_have_a_port_does_not_half_start() {
    let house = House::of(BINARY).prepare();
    let port = house.port("sip.tcp");
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("free until now");
    let mut server = Command::new(BINARY);
    server.arg("--config").arg(house.config()).arg("serve");
    let (code, said) = testkit::process::run(&mut server, "cargo build", Duration::from_secs(20));
    let names_it = said.contains("sip") && said.contains(&port.to_string());
    assert!(code == Some(1) && names_it && !said.contains("serving"), "{code:?} {said}");
    assert!(!house.dir().join("data/admin.sock").exists());
    drop(taken);
}

#[test]
fn bindings_that_ended_long_ago_are_forgotten_at_the_start() {
    let mut house = House::of(BINARY).account("roland@falcot.com", "wonderland").prepare();
    let dir = house.dir().to_owned();
    let open = || Store::open("sqlite:data/parlour.db", &dir, Settings::default()).expect("a database");
    let row = |place, expires| BindingRow { place, expires, payload: vec![] };
    let aor = "roland@falcot.com".parse().expect("an address");
    let rows = vec![row(1, 1_000_000_000), row(2, 100_000_000_000)];
    let store = open();
    store.handle().ask_wait(Query::ReplaceBindings { aor, rows, fewer: true }).expect("written");
    store.close();
    house.start();
    house.kill();
    let kept = open().load_bindings().expect("read");
    assert_eq!(kept.iter().map(|(_, rows)| rows.len()).sum::<usize>(), 1);
}

#[test]
fn a_signal_to_reload_does_not_end_a_server_that_still_starts() {
    let house = House::of(BINARY).prepare();
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(house.config()).arg("serve");
    let mut server = Program::start(&mut command, "cargo build");
    let (lock, end) = (house.dir().join("data/server.lock"), Instant::now() + Duration::from_secs(20));
    while !lock.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    server.signal("HUP");
    server.expect("the configuration was read again", Duration::from_secs(20));
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(20)), Some(0));
}

#[test]
fn a_house_in_a_deep_folder() {
    let top = scratch();
    let dir = top.join("d".repeat(120));
    let config = dir.join("parlour.toml");
    let run = |arguments: &[&str]| {
        let output = Command::new(BINARY).args(arguments).output().expect("built");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (place, config) = (dir.to_string_lossy().into_owned(), config.to_string_lossy().into_owned());
    assert_eq!(run(&["init", "falcot.com", "--dir", &place]).0, Some(0));
    let text = std::fs::read_to_string(&config).expect("there");
    let text: Vec<_> =
        text.lines().map(|line| if line.contains("[\":") { "" } else { line }).map(str::to_owned).collect();
    std::fs::write(&config, text.join("\n").replace("[sip]", "[sip]\nudp = [\"127.0.0.1:0\"]"))
        .expect("ours");
    let server = Program::start(Command::new(BINARY).args(["--config", &config, "serve"]), "cargo build");
    server.expect("serving", Duration::from_secs(20));
    assert_eq!(run(&["--config", &config, "status"]), (Some(0), String::new()));
    drop(server);
    std::fs::remove_dir_all(top).expect("ours");
}
