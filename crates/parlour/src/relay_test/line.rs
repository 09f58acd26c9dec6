//! A client's way to the server: datagrams, a stream, or either inside TLS. Blocking, in the caller's process.

use crate::config::plan::Network;
use openssl::ssl::{
    HandshakeError, Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use turn::stream::{self, Frame};
use wire::Transport;

/// How long a connection and its handshake may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one read waits: DTLS sends again what was lost when it is asked, so it must be asked now and then.
const TURN: Duration = Duration::from_millis(200);
/// What one record of DTLS may be long on any way of today (RFC 8200 §5).
const MTU: u32 = 1200;
/// How many ports are tried before any will do.
const TRIES: usize = 64;
/// The longest message that is taken.
const LONGEST: usize = 65_536;

/// A connected datagram socket as something to read from and write to.
#[derive(Debug)]
struct Datagrams(Socket);

#[expect(
    clippy::disallowed_types,
    reason = "a client of its own, in the process of whoever called the command"
)]
type Socket = std::net::UdpSocket;

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Datagrams {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// A way to the server.
pub(super) struct Line {
    way: Box<dyn ReadWrite>,
    /// What it is.
    pub(super) transport: Transport,
    /// What has arrived on a stream and is not a whole message yet.
    arrived: Vec<u8>,
    /// The server's certificate (DER), where there is one.
    pub(super) certificate: Option<Vec<u8>>,
}

impl Line {
    /// Connects, and shakes hands where that is wanted; `name` is asked for in the handshake, and from `proxies` streams begin with a
    /// header.
    pub(super) fn open(
        transport: Transport,
        server: SocketAddr,
        name: &str,
        proxies: &[Network],
    ) -> io::Result<Self> {
        let plain = |way| Self { way, transport, arrived: vec![], certificate: None };
        match transport {
            Transport::Udp => Ok(plain(Box::new(datagrams(server)?))),
            Transport::Tcp => Ok(plain(Box::new(tcp(server, proxies)?))),
            Transport::Tls => Self::secure(transport, tcp(server, proxies)?, name),
            Transport::Dtls => Self::secure(transport, datagrams(server)?, name),
            Transport::Ws | Transport::Wss => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn secure<S: Read + Write + 'static>(transport: Transport, way: S, name: &str) -> io::Result<Self> {
        let stream = shake_hands(transport, way, name)?;
        let certificate = stream.ssl().peer_certificate().and_then(|certificate| certificate.to_der().ok());
        Ok(Self { way: Box::new(stream), transport, arrived: vec![], certificate })
    }

    /// Sends one message: STUN or ChannelData, padded where it must be.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut message = message.to_vec();
        if self.transport.is_stream() {
            message.resize(message.len().next_multiple_of(4), 0);
        }
        self.way.write_all(&message)
    }

    /// The next message; `None` where none comes until then.
    pub(super) fn receive(&mut self, until: Instant) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
            }
            let mut buffer = vec![0; LONGEST];
            match self.way.read(&mut buffer) {
                Ok(0) if self.transport.is_stream() => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) if self.transport.is_stream() => self.arrived.extend(&buffer[..length]),
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Err(error) if is_silence(&error) && Instant::now() >= until => return Ok(None),
                Err(error) if is_silence(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first message of what has arrived on a stream.
    fn whole(&mut self) -> io::Result<Option<Vec<u8>>> {
        match stream::first(&self.arrived, LONGEST) {
            Frame::Whole { length, taken } => {
                let message = self.arrived[..length].to_vec();
                self.arrived.drain(..taken);
                Ok(Some(message))
            }
            Frame::Part => Ok(None),
            Frame::Bad => Err(io::Error::new(ErrorKind::InvalidData, "what answers is no TURN server")),
        }
    }
}

/// Whether nothing has come yet.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What a stream from this address begins with, if it is taken for one of these proxies: that it is nobody else's.
pub(crate) fn header_from(local: IpAddr, proxies: &[Network]) -> Option<&'static [u8]> {
    let is_one = proxies.iter().any(|range| range.contains(local.to_canonical()));
    is_one.then_some(b"PROXY UNKNOWN\r\n")
}

fn tcp(server: SocketAddr, proxies: &[Network]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server, CONNECT)?;
    if let Some(header) = header_from(stream.local_addr()?.ip(), proxies) {
        stream.write_all(header)?;
    }
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TURN))?;
    stream.set_write_timeout(Some(CONNECT))?;
    Ok(stream)
}

/// Sends a payload to an address a few times, from one of these ports where one is free: a server takes from its own
/// addresses only what comes from the ports of relays.
pub(super) fn knock(to: SocketAddr, payload: &[u8], ports: &RangeInclusive<u16>) -> io::Result<()> {
    let mut socket = knocker(to, ports)?;
    for _ in 0..3 {
        // Whether it arrived is for the other end to say; an ICMP error may be what comes back.
        let _ = socket.write(payload);
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn knocker(to: SocketAddr, ports: &RangeInclusive<u16>) -> io::Result<Datagrams> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = ports.clone().rev().take(TRIES).find_map(|port| Socket::bind((any, port)).ok());
    let socket = socket.map_or_else(|| Socket::bind((any, 0)), Ok)?;
    socket.connect(to)?;
    Ok(Datagrams(socket))
}

fn datagrams(server: SocketAddr) -> io::Result<Datagrams> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = Socket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(TURN))?;
    Ok(Datagrams(socket))
}

fn shake_hands<S: Read + Write>(transport: Transport, way: S, name: &str) -> io::Result<SslStream<S>> {
    let until = Instant::now() + CONNECT;
    let mut result = session(transport, name).map_err(io::Error::other)?.connect(way);
    loop {
        match result {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::WouldBlock(_)) if Instant::now() >= until => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(HandshakeError::WouldBlock(unfinished)) => result = unfinished.handshake(),
            Err(HandshakeError::SetupFailure(error)) => return Err(io::Error::other(error)),
            Err(HandshakeError::Failure(failed)) => return Err(io::Error::other(failed.into_error())),
        }
    }
}

/// The certificate is looked at afterwards: that it is nobody's trusted one is a remark, not the end of the test.
fn session(transport: Transport, name: &str) -> Result<Ssl, openssl::error::ErrorStack> {
    let is_dtls = transport == Transport::Dtls;
    let mut context = SslContext::builder(if is_dtls { SslMethod::dtls() } else { SslMethod::tls_client() })?;
    context.set_verify(SslVerifyMode::NONE);
    context.set_min_proto_version(Some(if is_dtls { SslVersion::DTLS1_2 } else { SslVersion::TLS1_2 }))?;
    context.set_alpn_protos(b"\x09stun.turn")?;
    // Else a socket that does not say its own is taken for the least, and a ClientHello with a name is cut in two, which
    // servers that keep nothing of strangers do not take (RFC 9147 §5.5).
    context.set_options(SslOptions::NO_QUERY_MTU);
    let mut session = Ssl::new(&context.build())?;
    if name.parse::<std::net::IpAddr>().is_err() {
        session.set_hostname(name)?;
    }
    if is_dtls {
        session.set_mtu(MTU)?;
    }
    Ok(session)
}
