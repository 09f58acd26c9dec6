//! deSEC and Cloudflare as their clients see them, behind a proxy on a loopback port: the names are theirs, the certificate is
//! of an authority of the test, the records go into BIND.

use domains::message::{Answer, Update};
use domains::record::{Data, Record};
use domains::tsig::{Algorithm, Key};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use testkit::nameserver::{KEY, NameServer, SECRET};

/// What the provider gives out to its customer.
pub(super) const TOKEN: &str = "a-token/that nobody sees";

/// The zone of the customer.
pub(super) const ZONE: &str = "falcot.com";

/// The longest answer of a name server.
const LONGEST: usize = 65_535;

pub(super) struct StandIn {
    books: Arc<Books>,
    folder: TempDir,
    address: SocketAddr,
}

/// What the provider knows.
struct Books {
    rows: Mutex<Vec<Row>>,
    seen: Mutex<Vec<String>>,
    dns: SocketAddr,
    connections: AtomicUsize,
}

#[derive(Clone)]
struct Row {
    id: usize,
    record: Record,
    ttl: u32,
}

/// What a client wants.
struct Request {
    method: String,
    path: Vec<String>,
    query: Vec<(String, String)>,
    authorization: String,
    body: Value,
}

type Said = (u16, Value);

impl StandIn {
    /// Its zone is served by this BIND.
    pub(super) fn new(dns: &NameServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (config, root) = certificate();
        std::fs::write(folder.path().join("root.pem"), root).expect("ours");
        let books = Books {
            rows: Mutex::default(),
            seen: Mutex::default(),
            dns: dns.address,
            connections: AtomicUsize::new(0),
        };
        let books = Arc::new(books);
        let shared = Arc::clone(&books);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (config, books) = (Arc::clone(&config), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream, &config, &books));
            }
        });
        Self { books, folder, address }
    }

    /// How a program finds it.
    pub(super) fn environment(&self) -> [(&'static str, String); 2] {
        let root: PathBuf = self.folder.path().join("root.pem");
        [("HTTPS_PROXY", format!("http://{}", self.address)), ("SSL_CERT_FILE", root.display().to_string())]
    }

    /// Somebody writes a record into the books by hand.
    pub(super) fn write(&self, owner: &str, data: Data) {
        self.books.add(Record { owner: owner.to_owned(), data }, 3600);
    }

    /// A record goes into the zone by another way than the interface.
    pub(super) fn publish(&self, owner: &str, data: Data) {
        self.books.publish(vec![(Record { owner: owner.to_owned(), data }, 60)], vec![]);
    }

    /// Each record as `NAME TYPE TEXT`, in order.
    pub(super) fn lines(&self) -> Vec<String> {
        let rows = self.books.rows.lock().expect("nobody failed");
        let line = |row: &Row| {
            format!(
                "{} {} {}",
                row.record.owner,
                row.record.data.kind(),
                row.record.data.to_text().expect("short")
            )
        };
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        lines.sort();
        lines
    }

    /// How long others may remember what stands at a name.
    pub(super) fn ttl(&self, owner: &str) -> Option<u32> {
        let rows = self.books.rows.lock().expect("nobody failed");
        rows.iter().find(|row| row.record.owner == owner).map(|row| row.ttl)
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.books.connections.load(Ordering::Relaxed)
    }

    /// What it was asked, as `METHOD PATH`.
    pub(super) fn seen(&self) -> Vec<String> {
        self.books.seen.lock().expect("nobody failed").clone()
    }
}

fn certificate() -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let names = ["desec.io", "api.cloudflare.com"].map(str::to_owned);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &root).expect("signed");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a key and its certificate");
    (Arc::new(config), root.pem())
}

/// One connection: `CONNECT`, TLS, requests.
fn serve(mut stream: TcpStream, config: &Arc<ServerConfig>, books: &Books) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        match stream.read(&mut one) {
            Ok(1) => head.push(one[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).expect("ASCII");
    let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(':').next()).unwrap_or_default();
    if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err() {
        return;
    }
    let tls = ServerConnection::new(Arc::clone(config)).expect("a good configuration");
    let mut reader = BufReader::new(StreamOwned::new(tls, stream));
    while let Some(request) = read(&mut reader) {
        books.seen.lock().expect("nobody failed").push(format!(
            "{} {}",
            request.method,
            request.path.join("/")
        ));
        let (code, body) = match host {
            "desec.io" => books.desec(&request),
            _ => books.cloudflare(&request),
        };
        let body = if code == 204 { String::new() } else { body.to_string() };
        let answer = format!("HTTP/1.1 {code} So\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|length| *length > 0).map(|_| text.trim_end().to_owned())
    };
    let first = line()?;
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let text = line()?;
        let Some((name, value)) = text.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => value.clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Some(Request {
        method,
        path: path.split('/').skip(1).map(str::to_owned).collect(),
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        authorization,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

impl Request {
    fn asked(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

fn unquoted(text: &str) -> String {
    text.trim_matches('"').replace("\\\"", "\"")
}

/// What a record says, from its text as zone files have it.
fn data(kind: &str, text: &str) -> Option<Data> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let host = |name: &str| name.trim_end_matches('.').to_owned();
    Some(match kind {
        "A" | "AAAA" => Data::Address(text.parse().ok()?),
        "CNAME" => Data::Alias(host(text)),
        "TXT" => Data::Text(unquoted(text)),
        "SRV" => Data::Srv {
            priority: words.first()?.parse().ok()?,
            weight: words.get(1)?.parse().ok()?,
            port: words.get(2)?.parse().ok()?,
            target: Some(host(words.get(3)?)).filter(|target| !target.is_empty()),
        },
        "CAA" => Data::Caa(domains::record::issuer(&unquoted(text.splitn(3, ' ').nth(2)?))),
        _ => return None,
    })
}

impl Books {
    /// The interface of deSEC: sets of records, in the words of zone files.
    fn desec(&self, request: &Request) -> Said {
        if request.authorization != format!("Token {TOKEN}") {
            return (401, json!({"detail": "Invalid token."}));
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let ["api", "v1", "domains", ZONE, rest @ ..] = &path[..] else { return (404, json!({})) };
        match (request.method.as_str(), rest) {
            ("GET", [""]) => (200, json!({"name": ZONE})),
            (method, ["rrsets", ""]) => match &request.body {
                Value::Array(sets) if method == "PUT" => {
                    (200, sets.iter().map(|set| self.put_set(set)).collect())
                }
                set => (201, self.put_set(set)),
            },
            (method, ["rrsets", label, kind, ""]) => {
                let label = label.trim_matches('@');
                match method {
                    "PUT" => (200, self.put_set(&request.body)),
                    "DELETE" => {
                        self.put_set(&json!({"subname": label, "type": kind, "records": []}));
                        (204, Value::Null)
                    }
                    _ => match self.set(label, kind) {
                        Some(set) => (200, set),
                        None => (404, json!({"detail": "Not found."})),
                    },
                }
            }
            _ => (404, json!({})),
        }
    }

    fn set(&self, label: &str, kind: &str) -> Option<Value> {
        let rows = self.at(&whole(label), kind);
        let ttl = rows.first()?.ttl;
        let records: Vec<String> = rows.iter().filter_map(|row| row.record.data.to_text().ok()).collect();
        Some(json!({
            "created": "", "touched": "", "domain": ZONE, "subname": label, "name": format!("{}.", whole(label)),
            "records": records, "ttl": ttl, "type": kind,
        }))
    }

    fn put_set(&self, set: &Value) -> Value {
        let (label, kind) = (set["subname"].as_str().expect("a name"), set["type"].as_str().expect("a type"));
        let texts = set["records"].as_array().expect("records").iter().filter_map(Value::as_str);
        let wanted: Vec<Data> =
            texts.map(|text| data(kind, text).unwrap_or_else(|| panic!("{kind} {text}"))).collect();
        let ttl = u32::try_from(set["ttl"].as_u64().unwrap_or(3600)).expect("a short time");
        assert!(ttl >= 3600, "deSEC refuses a shorter time than an hour");
        self.at(&whole(label), kind).iter().for_each(|row| self.remove(row.id));
        for data in wanted {
            self.add(Record { owner: whole(label), data }, ttl);
        }
        self.set(label, kind).unwrap_or_default()
    }

    /// The interface of Cloudflare: records one by one, each with an id.
    fn cloudflare(&self, request: &Request) -> Said {
        let good = |result: Value| (200, json!({"success": true, "errors": [], "result": result}));
        if request.authorization != format!("Bearer {TOKEN}") {
            let error = json!({"code": 9109, "message": "Invalid access token"});
            return (403, json!({"success": false, "errors": [error], "result": null}));
        }
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", ["client", "v4", "zones"]) if request.asked("name") == ZONE => {
                good(json!([{"id": "z1", "name": ZONE}]))
            }
            ("GET", ["client", "v4", "zones"]) => good(json!([])),
            ("GET", ["client", "v4", "zones", "z1", "dns_records"]) => {
                let rows = self.at(request.asked("name"), request.asked("type"));
                good(rows.iter().map(told).collect())
            }
            ("POST", ["client", "v4", "zones", "z1", "dns_records"]) => {
                let (kind, name) = (request.body["type"].as_str(), request.body["name"].as_str());
                let text = text_of(&request.body);
                let data = data(kind.expect("a type"), &text).unwrap_or_else(|| panic!("{text}"));
                let ttl = u32::try_from(request.body["ttl"].as_u64().expect("a time")).expect("short");
                self.add(Record { owner: name.expect("a name").to_owned(), data }, ttl);
                good(json!({}))
            }
            ("DELETE", ["client", "v4", "zones", "z1", "dns_records", id]) => {
                self.remove(id.parse().expect("one of ours"));
                good(json!({}))
            }
            _ => (404, json!({"success": false, "errors": [], "result": null})),
        }
    }

    fn at(&self, owner: &str, kind: &str) -> Vec<Row> {
        let rows = self.rows.lock().expect("nobody failed");
        let is_it = |row: &&Row| row.record.owner == owner && row.record.data.kind().to_string() == kind;
        rows.iter().filter(is_it).cloned().collect()
    }

    fn add(&self, record: Record, ttl: u32) {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
        let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.publish(vec![(record.clone(), 60)], vec![]);
        self.rows.lock().expect("nobody failed").push(Row { id, record, ttl });
    }

    fn remove(&self, id: usize) {
        let mut rows = self.rows.lock().expect("nobody failed");
        let place = rows.iter().position(|row| row.id == id).expect("it is there");
        let row = rows.remove(place);
        drop(rows);
        self.publish(vec![], vec![row.record]);
    }

    /// Has BIND serve it.
    fn publish(&self, add: Vec<(Record, u32)>, remove: Vec<Record>) {
        use base64::Engine;
        let secret = base64::prelude::BASE64_STANDARD.decode(SECRET).expect("base64");
        let key = Key { name: KEY.into(), algorithm: Algorithm::Sha256, secret: wire::Secret::new(secret) };
        let update = Update { zone: ZONE.into(), add, remove, ..Update::default() };
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
        let signed = key.sign(update.message(7).expect("short"), now).expect("short");
        let mut stream = TcpStream::connect(self.dns).expect("BIND runs");
        let length = u16::try_from(signed.message.len()).expect("short");
        stream.write_all(&[&length.to_be_bytes()[..], &signed.message].concat()).expect("sent");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length)).min(LONGEST)];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(Answer::read(&answer, 7).map(|answer| answer.code), Some(0), "BIND takes it");
    }
}

fn whole(label: &str) -> String {
    if label.is_empty() { ZONE.to_owned() } else { format!("{label}.{ZONE}") }
}

/// A record in Cloudflare's words.
fn told(row: &Row) -> Value {
    let Row { id, record, ttl } = row;
    let mut told = json!({
        "id": id.to_string(), "name": record.owner, "ttl": ttl, "type": record.data.kind().to_string(),
        "proxied": false,
    });
    match &record.data {
        Data::Srv { priority, weight, port, target } => {
            let target = target.as_deref().unwrap_or(".");
            told["data"] = json!({"priority": priority, "weight": weight, "port": port, "target": target});
        }
        Data::Caa(issuer) => told["data"] = json!({"flags": 0, "tag": "issue", "value": issuer}),
        data => told["content"] = data.to_text().expect("short").into(),
    }
    told
}

fn text_of(body: &Value) -> String {
    let said = &body["data"];
    let word = |key: &str| said[key].as_str().unwrap_or_default();
    match body["type"].as_str() {
        Some("SRV") => {
            format!("{} {} {} {}", said["priority"], said["weight"], said["port"], word("target"))
        }
        Some("CAA") => format!("{} {} \"{}\"", said["flags"], word("tag"), word("value")),
        _ => body["content"].as_str().unwrap_or_default().to_owned(),
    }
}
