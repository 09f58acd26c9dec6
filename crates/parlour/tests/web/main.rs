//! HTTP through the real binary: curl by HTTP/1.1 and HTTP/2, and peers that do not behave.

mod pages;
mod ports;
mod strangers;
mod upstream;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use std::net::TcpStream;
use std::time::Duration;
use testkit::House;

const CURL: &str = "apt install curl";
const LIMIT: Duration = Duration::from_secs(60);

/// What curl got: the status, then head and body as they came.
struct Got {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

/// Asks a house for a page, at one of its listeners. `url` begins with scheme and host; the port is added.
fn curl(house: &House, url: &str, more: &[&str]) -> Got {
    let (scheme, rest) = url.split_once("://").expect("a whole url");
    let (host, path) = rest.split_once('/').expect("a path");
    let port = house.port(if scheme == "https" { "web.https" } else { "web.http" });
    let mut command = std::process::Command::new("curl");
    command.args(["-s", "-S", "-i", "--max-time", "60", "--resolve", &format!("{host}:{port}:127.0.0.1")]);
    command.arg("--cacert").arg(house.dir().join("data/certs/authority.pem"));
    command.args(more).arg(format!("{scheme}://{host}:{port}/{path}"));
    // It ends by itself: `--max-time`.
    let done = command.output().expect(CURL);
    assert!(done.status.success(), "{url}: {}", String::from_utf8_lossy(&done.stderr));
    read(&String::from_utf8_lossy(&done.stdout))
}

/// The last answer of what curl wrote.
fn read(output: &str) -> Got {
    let text = output.replace("\r\n", "\n");
    let (mut head, mut body) = text.split_once("\n\n").unwrap_or((&text, ""));
    while head.contains(" 100 ") {
        (head, body) = body.split_once("\n\n").unwrap_or((body, ""));
    }
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    Got {
        status: status.unwrap_or_else(|| panic!("{output}")),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// A TLS connection to this host that knows no application protocol.
fn tls(port: u16) -> SslStream<TcpStream> {
    tls_for(port, b"")
}

/// The same for those of this list, as TLS writes it.
fn tls_for(port: u16, protocols: &[u8]) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls()).expect("OpenSSL");
    if !protocols.is_empty() {
        connector.set_alpn_protos(protocols).expect("a list");
    }
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time");
    connector.build().connect("localhost", stream).expect("TLS")
}

fn house() -> House {
    House::of(env!("CARGO_BIN_EXE_parlour")).start()
}
