//! A handler that tells the test what it sees and does what the test posts to it; workers made ready in one call.

use net::counters::Counts;
use net::tls::{ClientConfig, Identities, Identity, ServerName, Towards};
use net::{
    Batch, CloseReason, ConnectionInfo, Endpoint, HEADROOM, Handler, IcmpError, Kind, Limits, Net, Running,
    Setup, Spec, Subprotocol, Tag, Unwanted, WebRequest,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wire::{ConnectionId, SocketId, WorkerId};

/// Bytes that arrive are sent back.
pub(crate) const ECHO: Tag = Tag(1);
/// Bytes that arrive are shown to the test.
pub(crate) const SHOW: Tag = Tag(2);
/// Bytes that arrive are for [`Probe::on_received`].
pub(crate) const SCRIPT: Tag = Tag(3);

/// Streams from 192.0.2.0/24 are not welcome; else as [`SHOW`].
pub(crate) const UNWELCOME: Tag = Tag(4);
/// Reads nothing before the test says so; then it shows what comes.
pub(crate) const PAUSED: Tag = Tag(5);

/// What a probe saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Datagram { worker: WorkerId, socket: SocketId, peer: SocketAddr, local: IpAddr, data: Vec<u8>, of: usize },
    Unreachable { socket: SocketId, peer: SocketAddr, error: IcmpError },
    Opened { conn: ConnectionId, info: ConnectionInfo },
    Refused { conn: ConnectionId, tag: Tag, kind: io::ErrorKind },
    Secured { info: ConnectionInfo },
    Received { conn: ConnectionId, data: Vec<u8> },
    Ended { conn: ConnectionId },
    Room { conn: ConnectionId },
    Closed { conn: ConnectionId, tag: Option<Tag>, reason: CloseReason },
    Adopted { conn: ConnectionId, info: ConnectionInfo, baggage: String },
    Text { worker: WorkerId, text: String },
    Tick { at: Instant },
}

type Act = Box<dyn FnOnce(&mut Probe, &mut Net<'_, Mail>) + Send>;

/// What a probe is posted.
pub(crate) enum Mail {
    Do(Act),
    Text(String),
}

pub(crate) type OnReceived = fn(&mut Probe, &mut Net<'_, Mail>, ConnectionId, &[u8]) -> usize;

/// The handler.
pub(crate) struct Probe {
    pub(crate) seen: Sender<Seen>,
    pub(crate) on_received: OnReceived,
    pub(crate) alarm: Option<Instant>,
    /// Whether it has clients on a listener that is not in force any more.
    pub(crate) holds: bool,
    /// The socket that it has bound at its beginning.
    pub(crate) own: Option<(SocketId, SocketAddr)>,
    /// How far each connection has got.
    pub(crate) positions: HashMap<ConnectionId, u32>,
}

impl Probe {
    /// One that nobody listens to.
    pub(crate) fn silent() -> Self {
        let (seen, positions) = (channel().0, HashMap::new());
        Self { seen, on_received: ignore, alarm: None, holds: false, own: None, positions }
    }

    pub(crate) fn tell(&self, seen: Seen) {
        let _ = self.seen.send(seen);
    }
}

impl Handler for Probe {
    type Mail = Mail;

    fn begin(&mut self, net: &mut Net<'_, Mail>) {
        self.own = Some(net.bind_datagram(([127, 0, 0, 1], 0).into(), SHOW).expect("a port is free"));
    }

    fn datagrams(&mut self, net: &mut Net<'_, Mail>, socket: SocketId, batch: &mut Batch<'_>) {
        let of = batch.len();
        for index in 0..of {
            let (peer, local) = (batch.peer(index), batch.local(index));
            if net.socket_tag(socket) == Some(ECHO) {
                let whole = batch.whole_mut(index);
                whole[HEADROOM - 2..HEADROOM].copy_from_slice(b"> ");
                let part = batch.part(index, HEADROOM - 2..HEADROOM + batch.data(index).len());
                net.forward(socket, Some(local), peer, part);
            } else {
                let data = batch.data(index).to_vec();
                self.tell(Seen::Datagram { worker: net.me(), socket, peer, local, data, of });
            }
        }
    }

    fn welcomes(&self, _: Instant, tag: Tag, peer: SocketAddr) -> bool {
        tag != UNWELCOME || !peer.ip().to_string().starts_with("192.0.2.")
    }

    fn unreachable(&mut self, _: &mut Net<'_, Mail>, socket: SocketId, peer: SocketAddr, error: IcmpError) {
        self.tell(Seen::Unreachable { socket, peer, error });
    }

    fn upgrades(&mut self, tag: Tag, request: &WebRequest<'_>) -> Result<(Tag, Subprotocol), Unwanted> {
        let (text_only, longest) = match request.path() {
            "/chat" => (false, 64 << 10),
            "/text" => (true, 64 << 10),
            "/short" => (false, 100),
            _ => return Err(Unwanted::Path),
        };
        match request.origin {
            Some("https://evil.example") => Err(Unwanted::Origin),
            _ if request.offers("chat") => Ok((tag, Subprotocol { name: "chat", text_only, longest })),
            _ => Err(Unwanted::Protocol),
        }
    }

    fn opened(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, info: &ConnectionInfo) {
        if info.tag == PAUSED {
            net.pause(conn);
        }
        self.tell(Seen::Opened { conn, info: info.clone() });
    }

    fn refused(&mut self, _: &mut Net<'_, Mail>, conn: ConnectionId, tag: Tag, error: &io::Error) {
        self.tell(Seen::Refused { conn, tag, kind: error.kind() });
    }

    fn secured(&mut self, _: &mut Net<'_, Mail>, _: ConnectionId, info: &ConnectionInfo) {
        self.tell(Seen::Secured { info: info.clone() });
    }

    fn received(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, data: &[u8]) -> usize {
        match net.tag(conn) {
            Some(ECHO) => {
                net.write(conn, data).expect("there is room");
                data.len()
            }
            Some(SCRIPT) => (self.on_received)(self, net, conn, data),
            _ => {
                self.tell(Seen::Received { conn, data: data.to_vec() });
                data.len()
            }
        }
    }

    fn ended(&mut self, _: &mut Net<'_, Mail>, conn: ConnectionId) {
        self.tell(Seen::Ended { conn });
    }

    fn room(&mut self, _: &mut Net<'_, Mail>, conn: ConnectionId) {
        self.tell(Seen::Room { conn });
    }

    fn closed(&mut self, net: &mut Net<'_, Mail>, conn: ConnectionId, reason: CloseReason) {
        self.tell(Seen::Closed { conn, tag: net.tag(conn), reason });
    }

    fn adopted(&mut self, _: &mut Net<'_, Mail>, conn: ConnectionId, info: &ConnectionInfo, baggage: Mail) {
        let Mail::Text(baggage) = baggage else { panic!("baggage is text") };
        self.positions.insert(conn, baggage.parse().unwrap_or(0));
        self.tell(Seen::Adopted { conn, info: info.clone(), baggage });
    }

    fn mail(&mut self, net: &mut Net<'_, Mail>, mail: Mail) {
        match mail {
            Mail::Do(act) => act(self, net),
            Mail::Text(text) => self.tell(Seen::Text { worker: net.me(), text }),
        }
    }

    fn tick(&mut self, net: &mut Net<'_, Mail>) {
        self.alarm = None;
        self.tell(Seen::Tick { at: net.now() });
    }

    fn deadline(&self) -> Option<Instant> {
        self.alarm
    }

    fn holds(&self, _: SocketId) -> bool {
        self.holds
    }
}

/// A certificate for `falcot.com`, and what a client needs to trust it.
pub(crate) struct Certificate {
    pub(crate) identity: Identity,
    pub(crate) der: CertificateDer<'static>,
}

pub(crate) fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["falcot.com".into()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    Certificate { identity, der: CertificateDer::from_pem_slice(chain.as_bytes()).unwrap() }
}

/// A client's configuration that trusts these certificates alone.
pub(crate) fn trusting(
    certificates: &[&CertificateDer<'static>],
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add((*certificate).clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(net::tls::provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

pub(crate) fn falcot() -> ServerName<'static> {
    "falcot.com".try_into().unwrap()
}

/// Running workers, and what a test needs to talk to them.
pub(crate) struct House {
    pub(crate) running: Running<Mail>,
    seen: Mutex<Receiver<Seen>>,
    pub(crate) identities: Arc<Identities>,
    pub(crate) client: Arc<ClientConfig>,
    /// The certificate in force at the start.
    pub(crate) der: CertificateDer<'static>,
}

pub(crate) fn udp() -> Kind {
    Kind::Udp
}

pub(crate) fn tcp() -> Kind {
    Kind::Tcp { alpn: Vec::new() }
}

pub(crate) fn tls(alpn: &[&str]) -> Kind {
    Kind::Tls { alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect() }
}

pub(crate) fn dtls(alpn: &[&str]) -> Kind {
    Kind::Dtls { alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect() }
}

pub(crate) fn spec(tag: Tag, kind: Kind, at: &str) -> Spec {
    let at = match at.strip_prefix(':') {
        Some(port) => Endpoint::Every(port.parse().unwrap()),
        None => Endpoint::At(at.parse().unwrap()),
    };
    Spec::new(&format!("test {at:?}"), tag, kind, at)
}

/// An address of loopback that nobody else has: what this test closes there stays closed, and what it found free stays
/// free. On 127.0.0.1 another test may be given the port in the meantime.
pub(crate) fn own_ip() -> std::net::Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., third, fourth] = std::process::id().to_be_bytes();
    let of_this_test = NEXT.fetch_add(1, Ordering::Relaxed);
    assert_ne!(of_this_test, 0, "no more than 255 tests have one");
    [127, 1 + third % 250, fourth, of_this_test].into()
}

/// As [`own_ip`], with any port.
pub(crate) fn own() -> String {
    format!("{}:0", own_ip())
}

pub(crate) fn ignore(_: &mut Probe, _: &mut Net<'_, Mail>, _: ConnectionId, data: &[u8]) -> usize {
    data.len()
}

impl House {
    /// TLS to falcot.com, as the side that connects.
    pub(crate) fn towards(&self) -> Option<Towards> {
        Some(Towards { config: Arc::clone(&self.client), name: falcot() })
    }

    pub(crate) fn new(workers: u16, specs: &[Spec]) -> Self {
        Self::with(workers, specs, Limits::default(), ignore)
    }

    pub(crate) fn with(workers: u16, specs: &[Spec], limits: Limits, on_received: OnReceived) -> Self {
        let listeners = net::listen(specs, workers, &limits).unwrap();
        let certificate = certificate();
        let client = trusting(&[&certificate.der], &[], rustls::DEFAULT_VERSIONS);
        let identities = Identities::new(certificate.identity);
        let (seen, all_seen) = channel();
        let setup = Setup { limits, identities: Some(Arc::clone(&identities)) };
        let seen = Mutex::new(seen);
        let running = net::run(listeners, setup, move |_| Probe {
            seen: seen.lock().unwrap().clone(),
            on_received,
            alarm: None,
            holds: false,
            own: None,
            positions: HashMap::new(),
        });
        Self {
            running: running.unwrap(),
            seen: Mutex::new(all_seen),
            identities,
            client,
            der: certificate.der,
        }
    }

    /// The address of the listener's `index`th socket, with loopback in place of "every address".
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        let mut address = self.running.bound()[index].address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv6() {
                [0, 0, 0, 0, 0, 0, 0, 1].into()
            } else {
                [127, 0, 0, 1].into()
            });
        }
        address
    }

    /// What was seen next.
    pub(crate) fn next(&self) -> Seen {
        self.seen
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_secs(10))
            .expect("something happens within ten seconds")
    }

    /// What was seen next that `pick` wants; everything before it is passed over.
    pub(crate) fn find<T>(&self, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let seen = self
                .seen
                .lock()
                .unwrap()
                .recv_timeout(left)
                .expect("what is waited for happens within ten seconds");
            if let Some(found) = pick(seen) {
                return found;
            }
        }
    }

    /// Stops the workers; what was seen until then and not asked for.
    pub(crate) fn stop(self, patience: Duration) -> Vec<Seen> {
        self.running.stop(patience);
        self.seen.lock().unwrap().try_iter().collect()
    }

    /// Whether nothing is seen for a while.
    pub(crate) fn is_quiet(&self) -> bool {
        self.seen.lock().unwrap().recv_timeout(Duration::from_millis(100)).is_err()
    }

    /// Has a worker do something.
    pub(crate) fn act(&self, worker: u16, act: impl FnOnce(&mut Probe, &mut Net<'_, Mail>) + Send + 'static) {
        let posted = self.running.postbox().post(WorkerId(worker), Mail::Do(Box::new(act)));
        assert!(posted.is_ok(), "the queue has room");
    }

    /// Has a worker do something and tell its result.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        worker: u16,
        act: impl FnOnce(&mut Probe, &mut Net<'_, Mail>) -> T + Send + 'static,
    ) -> T {
        let (tell, told) = channel();
        self.act(worker, move |probe, net| tell.send(act(probe, net)).unwrap());
        told.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// What a worker has counted once it has done everything before this.
    pub(crate) fn counts(&self, worker: u16) -> Counts {
        self.ask(worker, |_, _| ());
        self.running.counts()[usize::from(worker)]
    }

    /// A plain connection to the `index`th listener.
    pub(crate) fn dial(&self, index: usize) -> TcpStream {
        let stream = TcpStream::connect(self.address(index)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A TLS connection to the `index`th listener, by a client of the library's own.
    pub(crate) fn dial_tls(&self, index: usize) -> StreamOwned<ClientConnection, TcpStream> {
        let session = ClientConnection::new(Arc::clone(&self.client), falcot()).unwrap();
        StreamOwned::new(session, self.dial(index))
    }

    pub(crate) fn opened(&self) -> (ConnectionId, ConnectionInfo) {
        self.find(|seen| match seen {
            Seen::Opened { conn, info } => Some((conn, info)),
            _ => None,
        })
    }

    pub(crate) fn closed(&self) -> (ConnectionId, CloseReason) {
        self.find(|seen| match seen {
            Seen::Closed { conn, reason, .. } => Some((conn, reason)),
            _ => None,
        })
    }
}
