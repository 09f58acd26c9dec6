//! A client's way to the server: datagrams, a stream, or a stream inside TLS. Blocking, in the process of whoever called the
//! doctor. Whom a certificate is from is looked at elsewhere.

use super::places::Place;
use crate::relay_test::header_from;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a connection, a handshake and a write may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one read waits.
const TURN: Duration = Duration::from_millis(100);
/// The longest that is taken in one piece.
const LONGEST: usize = 65_536;

#[expect(
    clippy::disallowed_types,
    reason = "a client of its own, in the process of whoever called the command"
)]
pub(super) type Datagrams = std::net::UdpSocket;

enum Stream {
    Datagrams(Datagrams),
    Plain(TcpStream),
    Sealed(SslStream<TcpStream>),
}

/// A way to the server.
pub(super) struct Way {
    stream: Stream,
    /// Our end.
    pub(super) local: SocketAddr,
    /// What has arrived and is not taken yet.
    pub(super) arrived: Vec<u8>,
}

impl Way {
    pub(super) fn datagrams(server: SocketAddr) -> io::Result<Self> {
        let socket = Datagrams::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(TURN))?;
        let local = socket.local_addr()?;
        Ok(Self { stream: Stream::Datagrams(socket), local, arrived: vec![] })
    }

    /// A stream to a place of the server's.
    pub(super) fn to(place: &Place) -> io::Result<Self> {
        let mut way = Self::stream(place.address)?;
        if let Some(header) = header_from(way.local.ip(), &place.proxies) {
            way.send(header)?;
        }
        Ok(way)
    }

    pub(super) fn stream(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let local = stream.local_addr()?;
        Ok(Self { stream: Stream::Plain(stream), local, arrived: vec![] })
    }

    /// Shakes hands on a stream: `name` is asked for, `protocol` is what will be spoken (ALPN).
    pub(super) fn seal(self, name: &str, protocol: &str) -> io::Result<Self> {
        let Stream::Plain(plain) = self.stream else { return Err(ErrorKind::Unsupported.into()) };
        plain.set_read_timeout(Some(PATIENCE))?;
        let stream = session(name, protocol)?.connect(plain).map_err(|error| {
            let said = error.to_string();
            io::Error::new(ErrorKind::InvalidData, said.lines().next().unwrap_or_default().to_owned())
        })?;
        Ok(Self { stream: Stream::Sealed(stream), arrived: vec![], ..self })
    }

    /// What the server has shown.
    pub(super) fn certificate(&self) -> Option<X509> {
        match &self.stream {
            Stream::Sealed(stream) => stream.ssl().peer_certificate(),
            _ => None,
        }
    }

    /// The same with what stands behind it.
    pub(super) fn chain(&self) -> Vec<X509> {
        match &self.stream {
            Stream::Sealed(stream) => {
                let chain = stream.ssl().peer_cert_chain();
                chain.map_or_else(Vec::new, |chain| chain.iter().map(ToOwned::to_owned).collect())
            }
            _ => vec![],
        }
    }

    pub(super) fn is_datagrams(&self) -> bool {
        matches!(self.stream, Stream::Datagrams(_))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Datagrams(socket) => socket.send(bytes).map(drop),
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Sealed(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Waits for more to arrive; `false` where nothing comes until then. Of datagrams only the last one is kept.
    pub(super) fn hear(&mut self, until: Instant) -> io::Result<bool> {
        let mut buffer = vec![0; LONGEST];
        loop {
            let read = match &mut self.stream {
                Stream::Datagrams(socket) => socket.recv(&mut buffer),
                Stream::Plain(stream) => {
                    stream.set_read_timeout(Some(TURN)).and_then(|()| stream.read(&mut buffer))
                }
                Stream::Sealed(stream) => {
                    stream.get_ref().set_read_timeout(Some(TURN)).and_then(|()| stream.read(&mut buffer))
                }
            };
            match read {
                Ok(0) if !self.is_datagrams() => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    if self.is_datagrams() {
                        self.arrived.clear();
                    }
                    self.arrived.extend_from_slice(&buffer[..length]);
                    return Ok(true);
                }
                Err(error) if !is_silence(&error) => return Err(error),
                Err(_) if Instant::now() >= until => return Ok(false),
                Err(_) => {}
            }
        }
    }
}

/// Whether nothing has come yet.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn session(name: &str, protocol: &str) -> io::Result<Ssl> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    let length = u8::try_from(protocol.len()).map_err(|_| ErrorKind::InvalidInput)?;
    context.set_alpn_protos(&[&[length], protocol.as_bytes()].concat())?;
    let mut session = Ssl::new(&context.build())?;
    if name.parse::<IpAddr>().is_err() {
        session.set_hostname(name)?;
    }
    Ok(session)
}
