//! A SIP user agent in a hundred lines: it says what a test tells it to say, and hands over what it hears.

use crate::PASSWORD;
use md5::{Digest, Md5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use testkit::House;

/// How long something may take that should come at once: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How long to wait for what should not come.
pub(crate) const A_WHILE: Duration = Duration::from_millis(400);

/// Tells dialogs and transactions of one test run from one another.
static COUNT: AtomicU32 = AtomicU32::new(1);

pub(crate) fn unique() -> u32 {
    std::process::id().wrapping_mul(1000).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

enum Link {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream, Vec<u8>),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>, Vec<u8>),
}

/// A message that came in.
#[derive(Clone, Debug)]
pub(crate) struct Heard(pub(crate) String);

impl Heard {
    pub(crate) fn line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// The values of all header fields of that name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_else(|| panic!("no {name} in\n{}", self.0))
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// One user agent.
pub(crate) struct Agent {
    link: Link,
    pub(crate) local: SocketAddr,
    pub(crate) user: String,
    /// Whose user it is.
    pub(crate) domain: &'static str,
    pub(crate) call_id: String,
    tag: String,
    cseq: u32,
    /// The Content-Type line of what is being said.
    kind: &'static str,
}

impl Agent {
    pub(crate) fn udp(house: &House, user: &str) -> Self {
        Self::udp_at(house, user, 0)
    }

    pub(crate) fn udp_at(house: &House, user: &str, port: u16) -> Self {
        Self::udp_to(house.port("sip.udp"), user, port)
    }

    /// One that talks to whoever has that port.
    pub(crate) fn udp_to(server: u16, user: &str, port: u16) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let server = SocketAddr::from(([127, 0, 0, 1], server));
        Self::new(socket.local_addr().unwrap(), user, Link::Udp(socket, server))
    }

    /// One at another address of the loopback network.
    pub(crate) fn udp_from(house: &House, user: &str, address: [u8; 4]) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((address, 0))).unwrap();
        let server = SocketAddr::from(([127, 0, 0, 1], house.port("sip.udp")));
        Self::new(socket.local_addr().unwrap(), user, Link::Udp(socket, server))
    }

    pub(crate) fn tcp(house: &House, user: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", house.port("sip.tcp"))).unwrap();
        Self::new(stream.local_addr().unwrap(), user, Link::Tcp(stream, Vec::new()))
    }

    /// One by TCP from another address of the loopback network.
    pub(crate) fn tcp_from(house: &House, user: &str, address: [u8; 4]) -> Self {
        let stream = crate::bans::connect_from(address, house.port("sip.tcp"));
        Self::new(stream.local_addr().unwrap(), user, Link::Tcp(stream, Vec::new()))
    }

    /// One by TLS.
    pub(crate) fn tls(house: &House, user: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", house.port("sip.tls"))).unwrap();
        let local = stream.local_addr().unwrap();
        Self::new(local, user, Link::Tls(Box::new(secure(house, stream).unwrap()), Vec::new()))
    }

    /// One by TLS that shows a certificate, with its key in the same text (PEM).
    pub(crate) fn tls_as(house: &House, user: &str, pem: &[u8]) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", house.port("sip.tls"))).unwrap();
        let local = stream.local_addr().unwrap();
        let stream = secure_as(house, stream, Some(pem)).unwrap();
        Self::new(local, user, Link::Tls(Box::new(stream), Vec::new()))
    }

    fn new(local: SocketAddr, user: &str, link: Link) -> Self {
        let (call_id, tag) = (format!("c{}", unique()), format!("t{}", unique()));
        Self { link, local, user: user.to_owned(), domain: "falcot.com", call_id, tag, cseq: 0, kind: "" }
    }

    fn transport(&self) -> &'static str {
        match self.link {
            Link::Udp(..) => "UDP",
            Link::Tcp(..) => "TCP",
            Link::Tls(..) => "TLS",
        }
    }

    /// Where it can be reached.
    pub(crate) fn contact(&self) -> String {
        let transport = self.transport().to_lowercase();
        format!("<sip:{}@{};transport={transport}>", self.user, self.local)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match &mut self.link {
            Link::Udp(socket, server) => drop(socket.send_to(bytes.as_ref(), *server).unwrap()),
            Link::Tcp(stream, _) => stream.write_all(bytes.as_ref()).unwrap(),
            Link::Tls(stream, _) => stream.write_all(bytes.as_ref()).and_then(|()| stream.flush()).unwrap(),
        }
    }

    /// The next message, if one comes within `limit`.
    pub(crate) fn hear(&mut self, limit: Duration) -> Option<Heard> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let bytes = match &mut self.link {
                Link::Udp(socket, _) => {
                    socket.set_read_timeout(Some(left)).unwrap();
                    let mut buffer = [0; 65_536];
                    socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
                }
                Link::Tcp(stream, kept) => {
                    stream.set_read_timeout(Some(left)).unwrap();
                    next_message(stream, kept)
                }
                Link::Tls(stream, kept) => {
                    stream.sock.set_read_timeout(Some(left)).unwrap();
                    next_message(stream, kept)
                }
            };
            if let Some(bytes) = bytes {
                return Some(Heard(String::from_utf8_lossy(&bytes).into_owned()));
            }
            if Instant::now() >= end {
                return None;
            }
        }
    }

    /// The next message whose first line begins so; provisional responses before it are passed over.
    pub(crate) fn expect(&mut self, begin: &str) -> Heard {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            let Some(heard) = self.hear(end - Instant::now()) else { break };
            if heard.line().starts_with(begin) {
                return heard;
            }
            assert!(
                heard.line().starts_with("SIP/2.0 1"),
                "{}: {begin} expected, not\n{}",
                self.user,
                heard.0
            );
        }
        panic!("{}: no {begin}", self.user);
    }

    /// A request outside any dialog, in the next CSeq.
    pub(crate) fn request(&mut self, method: &str, uri: &str, to: &str, more: &str, body: &str) -> String {
        self.cseq += 1;
        let Self { local, user, domain, call_id, tag, cseq, .. } = &*self;
        let (transport, branch) = (self.transport(), unique());
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{domain}>;tag={tag}\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: {}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            self.contact(),
            body.len()
        )
    }

    /// Sends a request, answers one challenge, and gives what comes after that and after provisional responses.
    pub(crate) fn ask(&mut self, method: &str, uri: &str, to: &str, more: &str, body: &str) -> Heard {
        self.ask_as(PASSWORD, method, uri, to, more, body)
    }

    pub(crate) fn ask_as(
        &mut self,
        password: &str,
        method: &str,
        uri: &str,
        to: &str,
        more: &str,
        body: &str,
    ) -> Heard {
        let first = self.request(method, uri, to, more, body);
        self.send(&first);
        let answer = self.answer();
        let (header, credentials) = match answer.line().split(' ').nth(1) {
            Some("401") => ("WWW-Authenticate", "Authorization"),
            Some("407") => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return answer,
        };
        self.acknowledge(&first, &answer);
        let challenges = answer.all(header);
        let challenge = challenges.iter().find(|c| c.contains("algorithm=MD5")).expect("an MD5 challenge");
        let proof = proof(challenge, &self.user, password, method, uri);
        let second = self.request(method, uri, to, &format!("{credentials}: {proof}\r\n{more}"), body);
        self.send(&second);
        let answer = self.answer();
        if answer.line() > "SIP/2.0 3" {
            self.acknowledge(&second, &answer);
        }
        answer
    }

    /// The next response that is not provisional.
    pub(crate) fn answer(&mut self) -> Heard {
        loop {
            let heard = self.hear(SOON).unwrap_or_else(|| panic!("{}: no answer", self.user));
            if !heard.line().starts_with("SIP/2.0 1") {
                return heard;
            }
        }
    }

    /// Acknowledges a failed INVITE (RFC 3261 §17.1.1.3).
    pub(crate) fn acknowledge(&mut self, request: &str, answer: &Heard) {
        if let Some(rest) = request.strip_prefix("INVITE ") {
            let request = Heard(request.to_owned());
            let uri = rest.split(' ').next().unwrap();
            let ack = format!(
                "ACK {uri} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
                 CSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
                request.header("Via"),
                request.header("From"),
                answer.header("To"),
                request.header("Call-ID"),
                self.cseq
            );
            self.send(ack);
        }
    }

    /// Registers where it is reached.
    pub(crate) fn register(&mut self) -> Heard {
        let (uri, to) = (format!("sip:{}", self.domain), format!("sip:{}@{}", self.user, self.domain));
        let answer = self.ask("REGISTER", &uri, &to, "Expires: 300\r\n", "");
        assert_eq!(answer.line(), "SIP/2.0 200 OK", "{}", answer.0);
        answer
    }

    /// Answers a request that came in.
    pub(crate) fn reply(&mut self, request: &Heard, status: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        let to = request.header("To");
        let tag = if to.contains(";tag=") { String::new() } else { format!(";tag={}", self.tag) };
        text += &format!("To: {to}{tag}\r\nContact: {}\r\n{}", self.contact(), self.kind);
        self.send(format!("{text}Content-Length: {}\r\n\r\n{body}", body.len()));
    }

    /// A request in the dialog that `invite`, which we have answered, has made.
    pub(crate) fn back(&mut self, method: &str, invite: &Heard) {
        self.cseq += 1;
        let routes: String = invite.all("Record-Route").iter().map(|r| format!("Route: {r}\r\n")).collect();
        let target = invite.header("Contact").trim_matches(['<', '>']);
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n{routes}\
             From: {};tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContent-Length: 0\r\n\r\n",
            self.transport(),
            self.local,
            unique(),
            invite.header("To"),
            self.tag,
            invite.header("From"),
            invite.header("Call-ID"),
            self.cseq,
        );
        self.send(text);
    }

    /// Answers with a session description.
    pub(crate) fn reply_with(&mut self, request: &Heard, status: &str, sdp: &str) {
        self.kind = "Content-Type: application/sdp\r\n";
        self.reply(request, status, sdp);
        self.kind = "";
    }

    /// A request in the dialog that `answer`, a 200 to our INVITE, has made.
    pub(crate) fn within(&mut self, method: &str, answer: &Heard) {
        self.within_with(method, answer, "");
    }

    /// The same with a session description.
    pub(crate) fn within_with(&mut self, method: &str, answer: &Heard, sdp: &str) {
        let (cseq, branch) = (if method == "ACK" { self.cseq } else { self.cseq + 1 }, unique());
        let contact = format!("Contact: {}\r\nContent-Type: application/sdp\r\n", self.contact());
        let kind = if sdp.is_empty() { "" } else { &contact };
        self.cseq = cseq;
        let routes: String =
            answer.all("Record-Route").iter().rev().map(|r| format!("Route: {r}\r\n")).collect();
        let target = answer.header("Contact").trim_matches(['<', '>']);
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n{routes}\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
            self.transport(),
            self.local,
            answer.header("From"),
            answer.header("To"),
            answer.header("Call-ID"),
            sdp.len(),
        );
        self.send(text);
    }

    /// A request in the dialog that `invite`, which we have answered with a 200, has made.
    pub(crate) fn within_as_callee(&mut self, method: &str, invite: &Heard) {
        let routes: String = invite.all("Record-Route").iter().map(|r| format!("Route: {r}\r\n")).collect();
        let target = invite.header("Contact").trim_matches(['<', '>']);
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n{routes}\
             From: {};tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
            self.transport(),
            self.local,
            unique(),
            invite.header("To"),
            self.tag,
            invite.header("From"),
            invite.header("Call-ID"),
        );
        self.send(text);
    }
}

/// TLS with whoever trusts the server's own authority.
pub(crate) fn secure(
    house: &House,
    stream: TcpStream,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    secure_as(house, stream, None)
}

fn secure_as(
    house: &House,
    mut stream: TcpStream,
    pem: Option<&[u8]>,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(house.dir().join("data/certs/authority.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match pem {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = CertificateDer::pem_slice_iter(pem).map(|one| one.unwrap()).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pem).unwrap()).unwrap()
        }
    };
    let name = ServerName::try_from("falcot.com").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// The next whole message of a stream, if it can be had with one more read.
fn next_message(stream: &mut impl Read, kept: &mut Vec<u8>) -> Option<Vec<u8>> {
    take_message(kept).or_else(|| {
        let mut buffer = [0; 65_536];
        let length = stream.read(&mut buffer).ok().filter(|&length| length > 0)?;
        kept.extend_from_slice(&buffer[..length]);
        take_message(kept)
    })
}

/// Takes the first whole message off what a stream has brought.
fn take_message(kept: &mut Vec<u8>) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(kept).into_owned();
    let head = text.find("\r\n\r\n")? + 4;
    let length = Heard(text).all("Content-Length").first().and_then(|l| l.parse().ok()).unwrap_or(0_usize);
    (kept.len() >= head + length).then(|| kept.drain(..head + length).collect())
}

/// What proves a password to a challenge (RFC 7616 §3.4.1).
pub(crate) fn proof(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let value = |name: &str| {
        let rest =
            &challenge[challenge.find(&format!("{name}=\"")).expect("in every challenge") + name.len() + 2..];
        rest[..rest.find('"').unwrap()].to_owned()
    };
    let (realm, nonce) = (value("realm"), value("nonce"));
    let hash =
        |text: String| -> String { Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect() };
    let (first, second) = (hash(format!("{user}:{realm}:{password}")), hash(format!("{method}:{uri}")));
    let response = hash(format!("{first}:{nonce}:00000001:abc:auth:{second}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm=MD5, qop=auth, nc=00000001, cnonce=\"abc\""
    )
}
