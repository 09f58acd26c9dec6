//! A client by hand: signed requests over a datagram socket or a stream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use stun::attribute::{
    AlternateServer, ChannelNumber, Data, ErrorCode, Nonce, Realm, RequestedTransport, Username,
    XorPeerAddress, XorRelayedAddress,
};
use stun::{Algorithm, Class, Key, Message, Method, TransactionId, Writer};

pub(crate) const REALM: &str = "falcot.com";
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes to and from the server, in messages.
pub(crate) enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Line {
    pub(crate) fn udp(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Udp(socket)
    }

    /// From one address to another, wherever they are.
    pub(crate) fn between(from: &str, to: &str) -> Self {
        let socket = UdpSocket::bind(from).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Udp(socket)
    }

    pub(crate) fn tcp(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::Tcp(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => drop(socket.send(bytes).unwrap()),
            Self::Tcp(stream) => stream.write_all(bytes).unwrap(),
        }
    }

    /// The next message, STUN or ChannelData with its padding.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        match self {
            Self::Udp(socket) => {
                let mut bytes = vec![0; 70_000];
                let length = socket.recv(&mut bytes).unwrap();
                bytes.truncate(length);
                bytes
            }
            Self::Tcp(stream) => {
                let mut bytes = vec![0; 4];
                stream.read_exact(&mut bytes).unwrap();
                let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                let rest = if bytes[0] < 0x40 { length + 16 } else { length.next_multiple_of(4) };
                bytes.resize(4 + rest, 0);
                stream.read_exact(&mut bytes[4..]).unwrap();
                bytes
            }
        }
    }

    /// Whether the server closes the stream, whatever it says first.
    pub(crate) fn is_closed(&mut self) -> bool {
        let Self::Tcp(stream) = self else { return false };
        match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Tcp(stream) => stream.local_addr().unwrap(),
        }
    }
}

/// Somebody with a name and a password.
pub(crate) struct Client {
    pub(crate) line: Line,
    name: String,
    password: String,
    pub(crate) nonce: String,
    number: u8,
    /// The last answer.
    pub(crate) answer: Vec<u8>,
    /// The relay that the last Allocate gave.
    pub(crate) relay: Option<SocketAddr>,
    /// Where the last answer sent us instead.
    pub(crate) alternate: Option<SocketAddr>,
}

pub(crate) fn binding(transaction: TransactionId) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, Class::Request, Method::BINDING, transaction).finish();
    out
}

impl Client {
    pub(crate) fn new(line: Line, name: &str, password: &str) -> Self {
        Self {
            line,
            name: name.into(),
            password: password.into(),
            nonce: String::new(),
            number: 0,
            answer: Vec::new(),
            relay: None,
            alternate: None,
        }
    }

    /// Asks for something, with a credential once a nonce is known; gives the answer's code, 0 for success.
    pub(crate) fn ask(&mut self, method: Method, body: impl Fn(Writer<'_>) -> Writer<'_>) -> u16 {
        let code = self.ask_once(method, &body);
        if code == 401 && self.number == 1 { self.ask_once(method, &body) } else { code }
    }

    fn key(&self) -> Key {
        Key::md5(&self.name, REALM, &self.password)
    }

    /// A request, with a credential once a nonce is known.
    pub(crate) fn request(&mut self, method: Method, body: impl Fn(Writer<'_>) -> Writer<'_>) -> Vec<u8> {
        self.number += 1;
        let mut out = Vec::new();
        let transaction = TransactionId([self.number; 12]);
        let mut writer = body(Writer::new(&mut out, Class::Request, method, transaction));
        if !self.nonce.is_empty() {
            writer = writer.with(&Username(&self.name)).with(&Realm(REALM)).with(&Nonce(&self.nonce));
            writer = writer.sign(Algorithm::Sha1, &self.key());
        }
        writer.finish();
        out
    }

    /// The same account by another line: it knows the nonce.
    pub(crate) fn by(&self, line: Line) -> Self {
        Self { nonce: self.nonce.clone(), ..Self::new(line, &self.name, &self.password) }
    }

    fn ask_once(&mut self, method: Method, body: &impl Fn(Writer<'_>) -> Writer<'_>) -> u16 {
        let out = self.request(method, body);
        let (transaction, key) = (TransactionId([self.number; 12]), self.key());
        self.line.send(&out);
        self.answer = self.line.receive();
        let answer = Message::parse(&self.answer).unwrap();
        assert_eq!(answer.transaction(), transaction);
        if let Some(Nonce(nonce)) = answer.get().unwrap() {
            self.nonce = nonce.into();
        }
        self.alternate = answer.get().unwrap().map(|AlternateServer(server)| server);
        if let Some(XorRelayedAddress(relay)) = answer.get().unwrap() {
            self.relay = Some(relay);
        }
        let ErrorCode { code, .. } = answer.get().unwrap().unwrap_or(ErrorCode { code: 0, reason: "" });
        assert!(
            matches!(code, 401 | 438) || answer.is_signed(&key),
            "an answer that is not signed: {answer:?}"
        );
        code
    }

    pub(crate) fn allocate(&mut self) -> u16 {
        self.ask(Method::ALLOCATE, |writer| writer.with(&RequestedTransport::UDP))
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) -> u16 {
        self.ask(Method::CREATE_PERMISSION, |writer| writer.with(&XorPeerAddress(peer)))
    }

    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr) -> u16 {
        self.ask(Method::CHANNEL_BIND, |writer| {
            writer.with(&ChannelNumber(number)).with(&XorPeerAddress(peer))
        })
    }

    /// Sends data to a peer by an indication.
    pub(crate) fn indicate(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut out = Vec::new();
        Writer::new(&mut out, Class::Indication, Method::SEND, TransactionId([99; 12]))
            .with(&XorPeerAddress(peer))
            .with(&Data(data))
            .finish();
        self.line.send(&out);
    }
}
