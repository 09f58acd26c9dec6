//! Listeners: what the product asks for, and binding all of it before anything runs.

mod registry;
mod retirement;

use crate::web::Prospects;
use crate::{Choice, Limits, Proxies, Tag, datagram, limits};
pub(crate) use registry::{Change, DatagramRow, DoorRow, Registry};
pub(crate) use retirement::Retirement;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use wire::{SocketId, Transport};

/// One listener that the product asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What an error calls it, for instance `sip.udp ":5060"`.
    pub name: String,
    /// The product's mark: sockets and connections of this listener carry it.
    pub tag: Tag,
    /// What is spoken there.
    pub kind: Kind,
    /// Where.
    pub at: Endpoint,
    /// Whether streams that begin as a request for a WebSocket become one, of [`Kind::Tcp`] and [`Kind::Tls`]
    /// ([`Handler::upgrades`](crate::Handler::upgrades)).
    pub web: bool,
    /// The mark of streams that begin as any other HTTP request: the handler sees those from their first octet on. `None`:
    /// where WebSockets come in, they are answered that nothing else does.
    pub requests: Option<Tag>,
    /// Who shares this listener, of [`Kind::Tcp`] and [`Kind::Tls`]; none: all streams are `tag`'s.
    pub choices: Vec<Choice>,
    /// Who says before a stream's first octet whom it is from (the PROXY protocol, version 1 or 2): nobody else is believed,
    /// and who is, must.
    pub proxies: Proxies,
    /// Whether clients inside TLS are asked for a certificate; browsers never are. One that is shown is in
    /// [`ConnectionInfo::chain`](crate::ConnectionInfo::chain), and nobody has judged it yet.
    pub asks: bool,
    /// The name that a client is taken to mean which names none inside TLS or DTLS, or one that is not here.
    pub usual: Option<String>,
}

impl Spec {
    /// One that takes in streams or datagrams for `tag` and nothing else, and asks nobody.
    pub fn new(name: &str, tag: Tag, kind: Kind, at: Endpoint) -> Self {
        let (name, choices, proxies) = (name.to_owned(), Vec::new(), Proxies::default());
        let (web, requests, asks, usual) = (false, None, false, None);
        Self { name, tag, kind, at, web, requests, choices, proxies, asks, usual }
    }
}

/// What a listener takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Datagrams.
    Udp,
    /// Plain streams. Where one starts TLS in mid-stream, `alpn` is offered; a client that names none is accepted.
    Tcp {
        /// Application protocols, the preferred one first; empty = none is negotiated.
        alpn: Vec<Vec<u8>>,
    },
    /// Streams inside TLS from the first byte on.
    Tls {
        /// As for [`Kind::Tcp`].
        alpn: Vec<Vec<u8>>,
    },
    /// WebSockets, and nothing else.
    Ws,
    /// WebSockets inside TLS, and nothing else.
    Wss {
        /// As for [`Kind::Tcp`]; browsers name `http/1.1`.
        alpn: Vec<Vec<u8>>,
    },
    /// Datagrams inside DTLS 1.2. Each session is a connection to its handler.
    Dtls {
        /// As for [`Kind::Tcp`].
        alpn: Vec<Vec<u8>>,
    },
}

/// Where a listener binds. Port 0 = one that is free, the same for both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Every address of this host, IPv4 and IPv6 by a socket each (IPv4 alone where the host has no IPv6).
    Every(u16),
    /// One address.
    At(SocketAddr),
}

/// A listener as it was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The number of the [`Spec`] among those in force: given to [`listen`], or later to
    /// [`Reception::change`](crate::Reception::change).
    pub spec: usize,
    /// Its mark.
    pub tag: Tag,
    /// What is spoken there.
    pub transport: Transport,
    /// Its address, with the real port.
    pub address: SocketAddr,
    /// The number of the socket; of datagram listeners only.
    pub socket: Option<SocketId>,
}

/// A listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {name} ({address}): {}", cause(source))]
pub struct ListenError {
    /// The number of the spec.
    pub spec: usize,
    /// Its name.
    pub name: String,
    /// The address that was tried.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address in use".into(),
        io::ErrorKind::AddrNotAvailable => "not an address of this host".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

impl Kind {
    fn transport(&self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            Self::Tcp { .. } => Transport::Tcp,
            Self::Tls { .. } => Transport::Tls,
            Self::Ws => Transport::Ws,
            Self::Wss { .. } => Transport::Wss,
            Self::Dtls { .. } => Transport::Dtls,
        }
    }

    /// The application protocols, the preferred one first.
    pub fn alpn(&self) -> &[Vec<u8>] {
        match self {
            Self::Udp | Self::Ws => &[],
            Self::Tcp { alpn } | Self::Tls { alpn } | Self::Wss { alpn } | Self::Dtls { alpn } => alpn,
        }
    }
}

/// Everything bound, for all workers; hand it to [`run`](crate::run). Dropping it closes everything.
#[derive(Debug)]
pub struct Listeners {
    bound: Vec<Bound>,
    pub(crate) registry: Registry,
    /// What each worker gets.
    pub(crate) changes: Vec<Change>,
}

/// What comes in by a socket: the number of its listener, and the mark of what comes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) spec: u16,
    pub(crate) tag: Tag,
    pub(crate) prospects: Prospects,
}

impl Listeners {
    /// What is bound where.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }
}

/// Questions to a silent peer before it counts as gone.
const KEEPALIVE_PROBES: u32 = 4;
/// How often a free port is looked for that suits both families.
const ATTEMPTS: usize = 32;

/// Binds every listener once for each of `workers`: all of them or, on the first error, none. Of two at one endpoint where
/// what a client sends first tells one from the other (plain streams and TLS, datagrams and DTLS), both come in by the same
/// sockets.
///
/// # Errors
/// Names the listener that cannot be bound and why; a port that any other process listens on is "address in use".
pub fn listen(specs: &[Spec], workers: u16, limits: &Limits) -> Result<Listeners, ListenError> {
    let (registry, changes) = Registry::default().change(specs, workers, limits)?;
    Ok(Listeners { bound: registry.bound(), registry, changes })
}

fn open_door(address: SocketAddr, limits: &Limits) -> io::Result<Socket> {
    let socket = open_stream(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit this.
    limits.prepare_stream(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(socket)
}

impl Limits {
    /// Sets how a stream's kernel side behaves: small writes leave at once, dead peers are noticed.
    pub(crate) fn prepare_stream(&self, socket: &Socket) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        let interval = (self.unacknowledged / KEEPALIVE_PROBES).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(self.keepalive.max(Duration::from_secs(1)));
        let keepalive = keepalive.with_interval(interval).with_retries(KEEPALIVE_PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.unacknowledged))
    }
}

fn open_stream(address: SocketAddr) -> io::Result<Socket> {
    let socket = stream_socket(address)?;
    // Connections of an earlier run that linger in the kernel are no obstacle.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// An unbound stream socket of the address's family; an IPv6 one sees no IPv4.
pub(crate) fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

type Refusal = (SocketAddr, io::Error);

/// The addresses to bind for a spec, with their real port, each of them free, or `ours` and to be left or shared.
fn choose(spec: &Spec, ours: &dyn Fn(SocketAddr) -> bool) -> Result<Vec<SocketAddr>, Refusal> {
    let port = match spec.at {
        Endpoint::At(address) => return probe(spec, address, ours).map(|free| vec![free]),
        Endpoint::Every(port) => port,
    };
    let mut outcome = choose_both(spec, port, ours);
    for _ in 1..ATTEMPTS {
        match &outcome {
            Err((_, error)) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                outcome = choose_both(spec, port, ours);
            }
            _ => break,
        }
    }
    outcome
}

fn choose_both(
    spec: &Spec,
    port: u16,
    ours: &dyn Fn(SocketAddr) -> bool,
) -> Result<Vec<SocketAddr>, Refusal> {
    let v4 = probe(spec, (Ipv4Addr::UNSPECIFIED, port).into(), ours)?;
    match probe(spec, (Ipv6Addr::UNSPECIFIED, v4.port()).into(), ours) {
        Ok(v6) => Ok(vec![v6, v4]),
        Err((_, error)) if lacks_family(&error) => Ok(vec![v4]),
        Err(refusal) => Err(refusal),
    }
}

fn lacks_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::ENOPROTOOPT))
}

/// Whether an address is free; which one, if the kernel chose the port. Sockets that share a port (`SO_REUSEPORT`) do not
/// find out, so one that does not share is bound for a moment.
fn probe(spec: &Spec, address: SocketAddr, ours: &dyn Fn(SocketAddr) -> bool) -> Result<SocketAddr, Refusal> {
    let free = || -> io::Result<SocketAddr> {
        let socket = match spec.kind {
            Kind::Udp | Kind::Dtls { .. } => datagram::open(address)?,
            Kind::Tcp { .. } | Kind::Tls { .. } | Kind::Ws | Kind::Wss { .. } => open_stream(address)?,
        };
        socket.bind(&address.into())?;
        Ok(socket.local_addr()?.as_socket().unwrap_or(address))
    };
    match free() {
        // Sockets of ours let others of ours in beside them; if somebody else is there too, `bind` tells.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && ours(address) => Ok(address),
        outcome => outcome.map_err(|error| (address, error)),
    }
}
