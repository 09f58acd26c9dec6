//! One person's connection: TLS, the stream's elements one by one, and what it takes to be signed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::House;
use xmpp::sasl::scram::{Algorithm as _, Sha256};
use xmpp::xml::{Event, Limits, Reader};
use xmpp::{Element, ns};

/// The domain of every play.
pub(crate) const DOMAIN: &str = "verona.example";
/// How long anything may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long one look at the connection waits.
const GLANCE: Duration = Duration::from_millis(20);

enum Way {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Gone,
}

/// A connection.
pub(crate) struct Actor {
    way: Way,
    reader: Reader,
    /// What has come and nobody has asked for yet.
    pub(crate) inbox: VecDeque<Element>,
    /// Whether the server has closed its stream.
    pub(crate) finished: bool,
    /// Whether the connection is gone.
    pub(crate) gone: bool,
    /// The namespace of its stanzas, where that is not that of clients.
    namespace: Option<&'static str>,
    /// The id of its stream.
    id: String,
}

impl Actor {
    /// A connection with TLS from the first byte.
    pub(crate) fn connect(house: &House) -> Self {
        let tcp = tcp(house.port("xmpp.client-tls"));
        Self::on(Way::Tls(Box::new(secure(house, tcp, ""))))
    }

    /// The same, with a certificate and its key to show (PEM).
    pub(crate) fn connect_with(house: &House, shown: &str) -> Self {
        let tcp = tcp(house.port("xmpp.client-tls"));
        Self::on(Way::Tls(Box::new(secure(house, tcp, shown))))
    }

    /// A connection without TLS.
    pub(crate) fn connect_plain(house: &House) -> Self {
        Self::on(Way::Plain(tcp(house.port("xmpp.client"))))
    }

    fn on(way: Way) -> Self {
        let limits = Limits { size: 1 << 24, depth: 200, attributes: 200, name: 1000 };
        Self {
            way,
            reader: Reader::new(limits),
            inbox: VecDeque::new(),
            finished: false,
            gone: false,
            namespace: None,
            id: String::new(),
        }
    }

    /// A component (XEP-0114) with its handshake; what comes of that is the next element.
    pub(crate) fn attach(port: u16, host: &str, secret: &str) -> Result<Self, String> {
        let mut actor = Self::on(Way::Plain(tcp(port)));
        actor.namespace = Some(ns::COMPONENT);
        actor.send(&format!(
            "<stream:stream xmlns='{}' xmlns:stream='{}' to='{host}'>",
            ns::COMPONENT,
            ns::STREAM
        ));
        let end = Instant::now() + PATIENCE;
        while actor.id.is_empty() && actor.inbox.is_empty() && !actor.gone && Instant::now() < end {
            actor.listen()?;
        }
        let proof = xmpp::component::handshake(&actor.id, &wire::Secret::new(secret));
        actor.send(&format!("<handshake>{proof}</handshake>"));
        Ok(actor)
    }

    /// STARTTLS on a plain connection whose stream is open.
    pub(crate) fn start_tls(&mut self, house: &House) -> Result<(), String> {
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.wait_for("proceed", ns::TLS)?;
        match std::mem::replace(&mut self.way, Way::Gone) {
            Way::Plain(tcp) => self.way = Way::Tls(Box::new(secure(house, tcp, ""))),
            _ => return Err("TLS is up already".into()),
        }
        Ok(())
    }

    /// Begins a stream; what comes belongs to it.
    pub(crate) fn open(&mut self) {
        self.reader.restart();
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='{}'>",
            ns::STREAM
        ));
    }

    /// Sends text. A connection that the server has closed takes it and loses it.
    pub(crate) fn send(&mut self, text: &str) {
        let sent = match &mut self.way {
            Way::Plain(tcp) => tcp.write_all(text.as_bytes()),
            Way::Tls(tls) => tls.write_all(text.as_bytes()).and_then(|()| tls.flush()),
            Way::Gone => Ok(()),
        };
        // What the server says about it is still to be read.
        drop(sent);
    }

    /// Ends the connection without a word, as a network that is lost does: unread bytes make it a reset.
    pub(crate) fn hang_up(&mut self) {
        if let Some(tcp) = self.tcp() {
            drop(tcp.shutdown(Shutdown::Both));
        }
        self.way = Way::Gone;
        self.gone = true;
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match &self.way {
            Way::Plain(tcp) => Some(tcp),
            Way::Tls(tls) => Some(&tls.sock),
            Way::Gone => None,
        }
    }

    /// Takes in what has come, for a moment at most.
    pub(crate) fn listen(&mut self) -> Result<(), String> {
        let mut buffer = [0; 16_384];
        let read = match &mut self.way {
            Way::Plain(tcp) => tcp.read(&mut buffer),
            Way::Tls(tls) => tls.read(&mut buffer),
            Way::Gone => Ok(0),
        };
        match read {
            Ok(0) => self.gone = true,
            Ok(octets) => return self.take(&buffer[..octets]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.gone = true,
        }
        if self.gone {
            self.way = Way::Gone;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let shown = || String::from_utf8_lossy(bytes).into_owned();
            let (used, event) = self.reader.next(rest).map_err(|fault| format!("{fault}: {}", shown()))?;
            match event {
                Some(Event::Element(element)) => {
                    let element = element.element().map_err(|fault| format!("{fault}: {}", shown()))?;
                    let element = match self.namespace {
                        Some(own) => Element::parse(&element.to_xml(own), ns::CLIENT).unwrap(),
                        None => element,
                    };
                    self.inbox.push_back(element);
                }
                Some(Event::Close) => self.finished = true,
                Some(Event::Open(header)) => self.id = header.get("id").unwrap_or_default().into_owned(),
                None => {}
            }
            rest = &rest[used..];
        }
        Ok(())
    }

    /// The next element that comes in time.
    pub(crate) fn next(&mut self) -> Result<Element, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(element) = self.inbox.pop_front() {
                return Ok(element);
            }
            if self.gone || Instant::now() >= end {
                return Err(if self.gone { "the connection is gone".into() } else { "nothing came".into() });
            }
            self.listen()?;
        }
    }

    /// The next element, which must be this one.
    pub(crate) fn wait_for(&mut self, name: &str, namespace: &str) -> Result<Element, String> {
        let got = self.next()?;
        if got.is(name, namespace) { Ok(got) } else { Err(format!("no <{name}/> but {}", shown(&got))) }
    }

    /// Signs in with PLAIN and begins the stream behind it, on a connection with TLS.
    pub(crate) fn sign_in(&mut self, user: &str) -> Result<(), String> {
        self.open();
        self.wait_for("features", ns::STREAM)?;
        let data = BASE64.encode(format!("\0{user}\0secret-{user}"));
        self.send(&format!("<auth xmlns='{}' mechanism='PLAIN'>{data}</auth>", ns::SASL));
        self.wait_for("success", ns::SASL)?;
        self.open();
        self.wait_for("features", ns::STREAM).map(drop)
    }

    /// What only the two ends of the connection know (RFC 9266).
    pub(crate) fn exporter(&self) -> Vec<u8> {
        let Way::Tls(tls) = &self.way else { return Vec::new() };
        let key = tls.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        key.expect("the handshake is done").to_vec()
    }

    /// The hash of the server's certificate, which is signed with SHA-256 (RFC 5929).
    pub(crate) fn end_point(&self) -> Vec<u8> {
        let Way::Tls(tls) = &self.way else { return Vec::new() };
        let own = &tls.conn.peer_certificates().expect("a server shows one")[0];
        Sha256::hash(own).to_vec()
    }

    /// Binds a resource, this one or any.
    pub(crate) fn bind(&mut self, resource: Option<&str>) -> Result<(), String> {
        let resource = resource.map(|name| Element::new("resource", ns::BIND).text(name));
        let bind = Element::new("bind", ns::BIND).children_from(resource).to_xml(ns::CLIENT);
        self.send(&format!("<iq type='set' id='bind'>{bind}</iq>"));
        let answer = self.wait_for("iq", ns::CLIENT)?;
        match answer.get("type") {
            Some("result") => Ok(()),
            _ => Err(shown(&answer)),
        }
    }
}

/// An element as a play would write it.
pub(crate) fn shown(element: &Element) -> String {
    element.to_xml(ns::CLIENT)
}

fn tcp(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    tcp.set_nodelay(true).expect("a TCP socket");
    tcp.set_read_timeout(Some(GLANCE)).expect("a valid time-out");
    tcp
}

/// TLS, with a certificate and its key (PEM) to show, if that is not empty.
fn secure(house: &House, mut tcp: TcpStream, shown: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(house.dir().join("data/certs/authority.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let own: Vec<_> = CertificateDer::pem_slice_iter(shown.as_bytes()).map(Result::unwrap).collect();
    let config = match PrivateKeyDer::from_pem_slice(shown.as_bytes()) {
        Ok(key) => config.with_client_auth_cert(own, key).unwrap(),
        Err(_) => config.with_no_client_auth(),
    };
    let mut tls = ClientConnection::new(Arc::new(config), ServerName::try_from(DOMAIN).unwrap()).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).expect("the handshake succeeds");
    }
    tcp.set_read_timeout(Some(GLANCE)).unwrap();
    StreamOwned::new(tls, tcp)
}
