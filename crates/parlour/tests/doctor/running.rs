//! Faults of the running server and its host.

use crate::certificates::{FILES, put_ended};
use crate::visit::{BINARY, done, house, visit, visit_by};
use std::process::Command;
use testkit::process::Program;
use testkit::{House, house};

const ALL: &str = "configuration,server,host,files,certificates,accounts";

#[test]
fn silent_on_a_good_installation() {
    let house = self::house().start();
    let said = visit(&house, ALL);
    said.found(&[]);
    let areas = said.json["areas"].as_array().expect("a list");
    assert_eq!(areas.len(), 6);
    assert!(areas.iter().all(|area| area["skipped"] == ""), "{:#}", said.json);
    let said = house.cli(&["doctor", "--only", "files"], "");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.trim(), "everything is as it should be; looked at: files");
}

#[test]
fn no_server_and_who_has_its_port() {
    let house = self::house().prepare();
    let said = visit(&house, "server");
    said.found(&["error not-running"]);
    said.says("not-running", "evidence", "is not there");
    let rival = std::net::TcpListener::bind(("127.0.0.1", house.port("sip.tcp"))).expect("a free port");
    let other = std::net::UdpSocket::bind(("127.0.0.1", house.port("turn.udp"))).expect("a free port");
    let said = visit(&house, "server");
    said.found(&["error not-running", "error port-taken"]);
    said.says("port-taken", "message", &format!("(process {})", std::process::id()));
    said.says("port-taken", "message", "sip tcp");
    said.says("port-taken", "evidence", &format!("udp {}", other.local_addr().expect("bound")));
    drop(rival);
    let mut house = self::house().start();
    house.kill();
    visit(&house, "server").says("not-running", "evidence", "left over");
    let said = visit(&house, "accounts");
    said.found(&[]);
    assert_eq!(said.json["areas"][0]["skipped"], "no server answers");
}

#[test]
fn a_server_that_works_by_another_configuration() {
    let house = self::house().start();
    let port = house::free_port();
    house.set("sip", "tcp", &format!("[\"127.0.0.1:{port}\"]"));
    let said = visit(&house, "server");
    said.found(&["error not-bound", "warning not-reloaded"]);
    said.says("not-bound", "message", &port.to_string());
    said.says("not-reloaded", "fix", "parlour reload");
    assert!(house.cli(&["reload"], "").status.success());
    visit(&house, "server").found(&[]);
    assert!(house.cli(&["turn", "drain"], "").status.success());
    visit(&house, "server").found(&["warning drained"]);
}

#[test]
fn too_few_files_and_a_clock_that_nobody_sets() {
    let mut house = self::house().start();
    let pid = house.server().id().to_string();
    done("prlimit", &["--pid", &pid, "--nofile=900:900"]);
    let said = visit(&house, "host");
    said.found(&["warning open-files"]);
    said.says("open-files", "fix", "LimitNOFILE=");
    let status = house.cli(&["status", "--json"], "");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["findings"][0]["what"], "open-files", "{status:#}");
    done("prlimit", &["--pid", &pid, "--nofile=24:900"]);
    visit(&house, "host").found(&["error open-files"]);
    done("prlimit", &["--pid", &pid, "--nofile=900:900"]);
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(house.config()).args(["doctor", "--json", "--only", "host"]);
    visit_by(&house, command, "no").found(&["warning open-files", "warning clock"]);
}

/// The server holds still until it is dropped.
struct Stopped(String);

impl Stopped {
    fn new(house: &mut House) -> Self {
        let pid = house.server().id().to_string();
        done("kill", &["-STOP", &pid]);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.0]).status();
    }
}

#[test]
fn a_server_that_hangs() {
    let mut house = self::house().start();
    let stopped = Stopped::new(&mut house);
    let said = visit(&house, "server");
    drop(stopped);
    said.found(&["error silent"]);
}

/// What `/health` says: of `admin.metrics` in full, and to strangers.
fn health(house: &House, metrics: u16) -> [String; 2] {
    use std::io::{Read, Write};
    let ask = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", metrics)).expect("it listens");
    plain.write_all(ask.as_bytes()).expect("it reads");
    let mut said = String::new();
    plain.read_to_string(&mut said).expect("it answers");
    let stream = std::net::TcpStream::connect(("127.0.0.1", house.port("web.https"))).expect("it listens");
    let mut tls = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).expect("memory");
    tls.set_verify(openssl::ssl::SslVerifyMode::NONE);
    let mut sealed = tls.build().connect("falcot.com", stream).expect("it shakes hands");
    sealed.write_all(ask.as_bytes()).expect("it reads");
    let mut other = String::new();
    // How it closes does not matter.
    let _ = sealed.read_to_string(&mut other);
    [said, other]
}

#[test]
fn the_health_page_tells_what_clients_feel() {
    let port = house::free_port();
    let metrics = format!("[\"127.0.0.1:{port}\"]");
    let house = self::house().set("admin", "metrics", &metrics);
    let house = FILES.iter().fold(house, |house, (table, key, value)| house.set(table, key, value)).start();
    let [said, other] = health(&house, port);
    assert!(said.starts_with("HTTP/1.1 200") && other.starts_with("HTTP/1.1 200"), "{said}{other}");
    put_ended(&house);
    assert!(house.cli(&["reload"], "").status.success());
    let status = house.cli(&["status"], "");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("error: the certificate has ended"), "{status}");
    let [said, other] = health(&house, port);
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("ill: certificate-ended"), "{said}");
    assert!(
        other.starts_with("HTTP/1.1 503") && other.contains("ill") && !other.contains("ended"),
        "{other}"
    );
}

/// Looks until that is found.
fn wait(house: &House, kind: &str) -> crate::visit::Said {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let said = visit(house, "server");
        if said.kinds().contains(kind) || std::time::Instant::now() > end {
            return said;
        }
    }
}

#[test]
fn an_authority_that_does_not_issue() {
    let nobody = format!("\"https://127.0.0.1:{}/directory\"", house::free_port());
    let house = self::house().set("acme", "directory", &nobody).set("acme", "terms-accepted", "true");
    let house = house.set("tls", "source", "\"acme\"").start();
    let said = wait(&house, "warning acme");
    said.found(&["warning acme"]);
    said.says("acme", "fix", "parlour cert renew falcot.com");
}

/// Takes the database for itself alone until it is killed.
const HOLD: &str = "import sqlite3, sys, time\n\
    base = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)\n\
    base.execute('BEGIN IMMEDIATE')\n\
    print('held', flush=True)\n\
    time.sleep(120)\n";

#[test]
fn a_database_that_takes_nothing() {
    let house = self::house().start();
    let mut command = Command::new("python3");
    command.args(["-c", HOLD]).arg(house.dir().join("data/parlour.db"));
    let mut holder = Program::start(&mut command, "python3");
    holder.expect("held", std::time::Duration::from_secs(30));
    // It waits for its turn, and is refused.
    assert!(!house.cli(&["user", "add", "joe@falcot.com"], "a password\n").status.success());
    let said = visit(&house, "server");
    said.found(&["error storage"]);
    holder.kill();
    assert!(house.cli(&["user", "add", "joe@falcot.com"], "a password\n").status.success());
    visit(&house, "server").found(&[]);
}
