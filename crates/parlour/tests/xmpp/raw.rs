//! A peer that sends what the test says, well-formed or not, over TCP or TLS.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::House;

const LIMIT: Duration = Duration::from_secs(60);

/// The bytes go one of two ways.
enum Way {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One connection and all that was heard on it.
pub(crate) struct Raw {
    way: Way,
    heard: Vec<u8>,
    /// How far the last `expect` has read.
    read: usize,
    closed: bool,
}

impl Raw {
    /// Connects to the port for STARTTLS and stays outside TLS.
    pub(crate) fn plain(house: &House) -> Self {
        Self { way: Way::Plain(connect(house.port("xmpp.client"))), heard: vec![], read: 0, closed: false }
    }

    /// Connects with TLS from the first byte.
    pub(crate) fn tls(house: &House) -> Self {
        let way = handshake(house, connect(house.port("xmpp.client-tls")));
        Self { way, heard: vec![], read: 0, closed: false }
    }

    /// A session: signed in with PLAIN inside TLS, the resource bound.
    pub(crate) fn session(house: &House, user: &str, resource: &str) -> Self {
        let mut raw = Self::tls(house);
        raw.send(super::HEADER);
        raw.expect("</stream:features>");
        raw.send(&plain_auth(user, &format!("secret-{user}")));
        raw.expect("<success");
        raw.send(super::HEADER);
        raw.expect("</stream:features>");
        raw.send(&bind(resource));
        raw.expect("</iq>");
        raw
    }

    /// After `<proceed/>`: goes on inside TLS.
    pub(crate) fn secure(mut self, house: &House) -> Self {
        self.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        let Way::Plain(tcp) = self.way else { panic!("TLS twice") };
        Self { way: handshake(house, tcp), heard: vec![], read: 0, closed: false }
    }

    /// Sends text. A connection that the server has closed takes it and loses it.
    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// Sends bytes.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let sent = match &mut self.way {
            Way::Plain(tcp) => tcp.write_all(bytes),
            Way::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        // What the server says about it is still to be read.
        drop(sent);
    }

    /// Closes the connection from this side, without a word.
    pub(crate) fn hang_up(&mut self) {
        let tcp = match &self.way {
            Way::Plain(tcp) => tcp,
            Way::Tls(tls) => &tls.sock,
        };
        // The server may have been the first to.
        let ended = tcp.shutdown(std::net::Shutdown::Write);
        let is_gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotConnected;
        assert!(ended.is_ok() || ended.is_err_and(is_gone));
    }

    /// Everything heard so far.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// Waits until `text` is heard behind what was expected before.
    pub(crate) fn expect(&mut self, text: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            let rest = String::from_utf8_lossy(&self.heard[self.read..]).into_owned();
            if let Some(at) = rest.find(text) {
                self.read += at + text.len();
                return;
            }
            assert!(!self.closed && Instant::now() < end, "no {text} in {rest}");
            self.listen();
        }
    }

    /// Waits for `before`, and for what stands behind it in single quotes.
    pub(crate) fn quoted(&mut self, before: &str) -> String {
        self.expect(before);
        let start = self.read;
        self.expect("'");
        String::from_utf8_lossy(&self.heard[start..self.read - 1]).into_owned()
    }

    /// Waits until `text` was heard, before or after anything else.
    pub(crate) fn hears(&mut self, text: &str) {
        let end = Instant::now() + LIMIT;
        let mut searched = 0;
        while !self.heard[searched..].windows(text.len()).any(|some| some == text.as_bytes()) {
            assert!(!self.closed && Instant::now() < end, "no {text} in {}", self.heard());
            searched = self.heard.len().saturating_sub(text.len());
            self.listen();
        }
    }

    /// The same, behind so many octets of what was heard.
    pub(crate) fn hears_from(&mut self, start: usize, text: &str) {
        let end = Instant::now() + LIMIT;
        while !self.heard()[start..].contains(text) {
            assert!(!self.closed && Instant::now() < end, "no {text} in {}", &self.heard()[start..]);
            self.listen();
        }
    }

    /// Waits until `text` is heard behind what was expected before, or the connection ends; whether it was heard.
    pub(crate) fn hears_or_ends(&mut self, text: &str) -> bool {
        let end = Instant::now() + LIMIT;
        loop {
            let rest = String::from_utf8_lossy(&self.heard[self.read..]).into_owned();
            if let Some(at) = rest.find(text) {
                self.read += at + text.len();
                return true;
            }
            assert!(Instant::now() < end, "no {text} in {rest}");
            if self.closed {
                return false;
            }
            self.listen();
        }
    }

    /// Whether the server closes the connection in time.
    pub(crate) fn closes_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.closed && Instant::now() < end {
            self.listen();
        }
        self.closed
    }

    /// Waits for the end of the connection: the last that was said is this stream error.
    pub(crate) fn ends_with_error(&mut self, condition: &str) {
        self.closes_within(LIMIT);
        let heard = self.heard();
        assert!(self.closed, "the connection is still open: {heard}");
        let error = format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
        assert!(heard.contains(&error) && heard.ends_with("</stream:stream>"), "not {condition}: {heard}");
        assert!(heard.starts_with("<?xml version='1.0'?><stream:stream "), "no header: {heard}");
    }

    fn listen(&mut self) {
        let mut buffer = [0; 8192];
        let read = match &mut self.way {
            Way::Plain(tcp) => tcp.read(&mut buffer),
            Way::Tls(tls) => tls.read(&mut buffer),
        };
        match read {
            Ok(0) => self.closed = true,
            Ok(n) => self.heard.extend_from_slice(&buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.closed = true,
        }
    }
}

fn connect(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    tcp.set_read_timeout(Some(Duration::from_millis(200))).expect("a valid time-out");
    tcp.set_nodelay(true).expect("a TCP socket");
    tcp
}

fn handshake(house: &House, mut tcp: TcpStream) -> Way {
    let file = house.dir().join("data/certs/authority.pem");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).expect("init has written it") {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("falcot.com").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a valid configuration");
    tcp.set_read_timeout(Some(LIMIT)).expect("a valid time-out");
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp).expect("the handshake succeeds");
    }
    tcp.set_read_timeout(Some(Duration::from_millis(200))).expect("a valid time-out");
    Way::Tls(Box::new(StreamOwned::new(tls, tcp)))
}

/// `<auth/>` with PLAIN.
pub(crate) fn plain_auth(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{data}</auth>")
}

/// The request to bind a resource.
pub(crate) fn bind(resource: &str) -> String {
    format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
    )
}
