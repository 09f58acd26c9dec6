//! The bench: a server, its clients, sockets that open as the test says, and outputs as lines of text.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stun::attribute::{
    AddressErrorCode, AlternateServer, ErrorCode, Lifetime, Nonce, Realm, RequestedTransport,
    ReservationToken, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use stun::{Algorithm, Class, Key, Kind, Message, Method, TransactionId, Writer};
use testkit::Seeded;
use turn::mobility::Letter;
use turn::quota::{Place, Taken};
use turn::server::{Bound, NonceRule, Unbound};
use turn::tcp::Effect;
use turn::{
    Ask, Client, Config, Direction, Input, Ledger, Limits, Output, Policy, Quota, Range, Relaying, Relays,
    Seat, Server, Verdict, Way,
};
use wire::{
    Account, ConnectionId, Directory, Domain, Flow, Keys, Machine, Secret, SocketId, Transport, WorkerId,
};

pub(crate) const REALM: &str = "falcot.com";

/// Another domain of the house.
pub(crate) const SECOND_REALM: &str = "falcot.org";

/// An attribute of a request, as raw bytes.
pub(crate) type Attribute = (Kind, Vec<u8>);

pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    start: Instant,
    /// Ports that somebody else has.
    pub(crate) taken: HashSet<u16>,
    /// Whether nothing can be bound at all.
    pub(crate) exhausted: bool,
    /// Addresses of which every port is taken.
    pub(crate) full: HashSet<IpAddr>,
    /// Whether a port is taken at one address only; else at all of them.
    pub(crate) by_address: bool,
    held: HashSet<SocketAddr>,
    sockets_at: HashMap<SocketId, SocketAddr>,
    /// After how many sockets nobody answers any more.
    pub(crate) silent_after: Option<u32>,
    sockets: u32,
    transactions: u8,
}

/// A client with its credential.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) nonce: String,
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client(transport: Transport, peer: &str) -> Client {
    let (local, peer) = (ip("198.51.100.1"), address(peer));
    let flow = match transport {
        Transport::Udp => Flow::Datagram { socket: SocketId(1), local, peer },
        _ => Flow::Stream(ConnectionId { worker: WorkerId(0), slot: peer.port().into(), generation: 0 }),
    };
    Client { flow, transport, local, peer }
}

/// A client that says it is `name`, with the password that both accounts have.
pub(crate) fn user(name: &str, peer: &str) -> User {
    let client = client(Transport::Udp, peer);
    User { client, name: name.into(), password: "tr0mbone".into(), nonce: String::new() }
}

/// The same over a stream.
pub(crate) fn stream_user(name: &str, peer: &str) -> User {
    User { client: client(Transport::Tcp, peer), ..user(name, peer) }
}

pub(crate) fn config() -> Config {
    let range = |address, prefix| Range { address: ip(address), prefix };
    Config {
        relays: Relays {
            addresses: vec![ip("198.51.100.1"), ip("2001:db8::1")],
            anywhere: false,
            external: vec![(ip("203.0.113.99"), ip("198.51.100.1"))],
        },
        ports: 50_000..=50_999,
        // The documentation ranges stand for the public ones here.
        peers: Policy {
            deny: vec![],
            allow: vec![range("203.0.113.0", 24), range("2001:db8:7::", 48)],
            own: vec![ip("9.9.9.9")],
        },
        draining: false,
        alternates: Vec::new(),
        discovery: Vec::new(),
        credentials: turn::Credentials::default(),
        software: None,
        quota: Quota { user: 3, domain: 4, total: 5 },
        bandwidth: turn::Bandwidth::default(),
        limits: Limits { permissions: 4, channels: 3, strangers: 500 },
        mobility: true,
        offload: false,
        lifetime: Duration::from_secs(600),
        lifetime_max: Duration::from_secs(3600),
    }
}

/// What all workers of a house share: how many seats each account, each domain and everybody (`""`) has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(Pages, Spent, Ports);

/// Where relays are, where that is noted at all.
#[expect(clippy::disallowed_types, reason = "it stands for the product's book, which counts without a lock")]
type Ports = Arc<std::sync::Mutex<Option<HashMap<(bool, u16), u32>>>>;

impl Book {
    /// One that notes where relays are.
    pub(crate) fn of_ports() -> Self {
        let book = Self::default();
        *book.2.lock().unwrap() = Some(HashMap::new());
        book
    }

    /// How many relays it knows of.
    pub(crate) fn relays(&self) -> u32 {
        self.2.lock().unwrap().iter().flat_map(HashMap::values).sum()
    }
}

/// How far each account has spent its bandwidth, each way.
#[expect(clippy::disallowed_types, reason = "it stands for the product's book, which counts without a lock")]
type Spent = Arc<std::sync::Mutex<HashMap<(String, bool), Instant>>>;

#[expect(clippy::disallowed_types, reason = "it stands for the product's book, which has a lock")]
type Pages = Arc<std::sync::Mutex<HashMap<String, u32>>>;

#[derive(Debug)]
struct Held(Book, wire::Address);

/// Under which names the seats of an account are counted.
fn names(user: &wire::Address) -> [String; 3] {
    [user.as_str(), user.domain(), ""].map(str::to_owned)
}

impl Place for Held {
    fn spend(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Option<Duration> {
        let mut spent = self.0.1.lock().unwrap();
        let until = spent.entry((self.1.to_string(), direction == Direction::Sent)).or_insert(now);
        let (wait, ahead) = turn::pace::spend(until.saturating_duration_since(now), octets, rate)?;
        *until = now + ahead;
        Some(wait)
    }

    fn charge(&self, now: Instant, direction: Direction, octets: usize, rate: u64) -> Duration {
        let mut spent = self.0.1.lock().unwrap();
        let until = spent.entry((self.1.to_string(), direction == Direction::Sent)).or_insert(now);
        let (wait, ahead) = turn::pace::charge(until.saturating_duration_since(now), octets, rate);
        *until = now + ahead;
        wait
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap();
        names(&self.1).iter().for_each(|name| *counts.get_mut(name).unwrap() -= 1);
    }
}

impl Ledger for Book {
    fn take(&self, user: &wire::Address, quota: &Quota) -> Result<Seat, Taken> {
        let names = names(user);
        let mut counts = self.0.lock().unwrap();
        let [of_user, of_domain, total] = names.each_ref().map(|name| counts.get(name).copied().unwrap_or(0));
        if of_user >= quota.user || of_domain >= quota.domain {
            return Err(Taken::Theirs);
        }
        if total >= quota.total {
            return Err(Taken::All);
        }
        names.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
        Ok(Box::new(Held(self.clone(), user.clone())))
    }

    fn note(&self, relaying: Relaying, port: u16, is_there: bool) {
        let mut ports = self.2.lock().unwrap();
        let Some(ports) = &mut *ports else { return };
        let count = ports.entry((relaying == Relaying::Udp, port)).or_default();
        *count = if is_there { *count + 1 } else { count.checked_sub(1).unwrap() };
    }

    fn is_relay(&self, relaying: Relaying, port: u16) -> bool {
        let place = (relaying == Relaying::Udp, port);
        self.2.lock().unwrap().as_ref().is_none_or(|ports| ports.get(&place).is_some_and(|count| *count > 0))
    }
}

/// The accounts, all with this password but for one that was imported without keys.
pub(crate) fn accounts(password: &str) -> Arc<Directory> {
    let account = |name: &str, realm: &str| {
        let address: wire::Address = format!("{name}@{realm}").parse().unwrap();
        let md5 = |user: &str| {
            use md5::Digest;
            Some(md5::Md5::digest(format!("{user}:{realm}:{password}")).into())
        };
        let sha256 = |user: &str| {
            use sha2::Digest;
            Some(sha2::Sha256::digest(format!("{user}:{realm}:{password}")).into())
        };
        let whole = format!("{name}@{realm}");
        let (md5, md5_whole, sha256, sha256_whole) = (md5(name), md5(&whole), sha256(name), sha256(&whole));
        let keys = Keys { md5, md5_whole, sha256, sha256_whole, ..Keys::default() };
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    let names = [("roland", REALM), ("joe", REALM), ("4711", REALM), ("zoe", SECOND_REALM)];
    let mut accounts: Vec<_> = names.iter().map(|(name, realm)| account(name, realm)).collect();
    let address: wire::Address = "imported@falcot.com".parse().unwrap();
    accounts.push((address.clone(), Some(Arc::new(Account { address, keys: Keys::default() }))));
    let [first, second] = [REALM, SECOND_REALM].map(|name| Domain::new(name).unwrap());
    Arc::new(Directory::new([(&first, &[][..]), (&second, &[][..])]).with(accounts))
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::worker(0, config)
    }

    pub(crate) fn worker(number: u16, config: Config) -> Self {
        Self::worker_of(Book::default(), number, config)
    }

    /// One worker of a house.
    pub(crate) fn worker_of(book: Book, number: u16, config: Config) -> Self {
        let now = testkit::start();
        let nonce = NonceRule { secret: Secret::new("nonce"), lifetime: Duration::from_secs(3600) };
        let entropy = Box::new(Seeded::new(u64::from(number) + 1));
        let server = Server::new(
            WorkerId(number),
            config,
            &nonce,
            accounts("tr0mbone"),
            testkit::epoch(now),
            entropy,
            Arc::new(book),
        );
        Self {
            server,
            now,
            start: now,
            taken: HashSet::new(),
            exhausted: false,
            full: HashSet::new(),
            by_address: false,
            held: HashSet::new(),
            sockets_at: HashMap::new(),
            silent_after: None,
            sockets: 0,
            transactions: 0,
        }
    }

    pub(crate) fn after(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.server.tick(self.now);
        self.outputs()
    }

    /// Seconds since 1970, as the server has it.
    pub(crate) fn unix(&self) -> u64 {
        testkit::epoch(self.start).unix(self.now).as_secs()
    }

    /// A fresh transaction.
    pub(crate) fn transaction(&mut self) -> TransactionId {
        self.transactions = self.transactions.wrapping_add(1);
        TransactionId([self.transactions; 12])
    }

    /// A request with the client's credential.
    pub(crate) fn signed(&mut self, user: &User, method: Method, attributes: &[Attribute]) -> Vec<u8> {
        let transaction = self.transaction();
        signed(user, method, transaction, attributes)
    }

    /// Sends a request with a credential, and tells what comes of it.
    pub(crate) fn ask(&mut self, user: &User, method: Method, attributes: &[Attribute]) -> Vec<String> {
        let bytes = self.signed(user, method, attributes);
        self.message(user.client, &bytes)
    }

    /// Hands the server a message as the product would, and tells what comes of it.
    pub(crate) fn message(&mut self, client: Client, bytes: &[u8]) -> Vec<String> {
        match self.server.from_client(self.now, client.flow, bytes) {
            Verdict::Slow => self.input(Input::Message { client, bytes }),
            Verdict::Drop => vec!["drop".into()],
            Verdict::Forward { to: Way::Relay { socket, from }, range } => {
                vec![self.peer_sends(socket.0, &from.to_string(), &bytes[range])]
            }
            Verdict::Forward { to, range } => vec![forward(to, &bytes[range])],
        }
    }

    /// A datagram from a peer, and what comes of it.
    pub(crate) fn peer_sends(&mut self, socket: u32, peer: &str, payload: &[u8]) -> String {
        let mut frame = [&[0xEE; 64][..], payload].concat();
        match self.server.from_peer(self.now, SocketId(socket), address(peer), &mut frame, 64) {
            Verdict::Forward { to, range } => forward(to, &frame[range]),
            verdict => format!("{verdict:?}").to_lowercase(),
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) -> Vec<String> {
        self.server.handle(self.now, input);
        self.outputs()
    }

    /// Carries out what the server wants and writes it down.
    pub(crate) fn outputs(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.server.poll() {
            lines.push(match &output {
                Output::Offload(offload) => crate::offload::show(offload, self.now),
                output => show(output),
            });
            match output {
                Output::OpenRelay { ask, local } | Output::Tcp(Effect::Listen { ask, local }) => {
                    self.bind(ask, local)
                }
                Output::CloseRelay(socket) => {
                    if let Some(local) = self.sockets_at.remove(&socket) {
                        self.held.remove(&local);
                    }
                }
                Output::Send { bytes, .. } | Output::Forward { bytes, .. } => self.server.recycle(bytes),
                _ => {}
            }
        }
        lines
    }

    pub(crate) fn bind(&mut self, ask: Ask, local: SocketAddr) {
        if self.silent_after.is_some_and(|count| self.sockets >= count) {
            return;
        }
        let result = if self.exhausted {
            Err(Unbound::Failed)
        } else if self.full.contains(&local.ip()) {
            Err(Unbound::InUse)
        } else if if self.by_address { self.held.insert(local) } else { self.taken.insert(local.port()) } {
            self.sockets += 1;
            let socket = SocketId(SocketId::OWN + self.sockets);
            self.sockets_at.insert(socket, local);
            Ok(Bound { socket, local })
        } else {
            Err(Unbound::InUse)
        };
        self.server.handle(self.now, Input::Relay { ask, result });
    }

    /// Learns the nonce from a first answer of 401.
    pub(crate) fn challenge(&mut self, user: &mut User) {
        let request = unsigned(self.transaction(), Method::ALLOCATE, &[transport(17)]);
        self.server.handle(self.now, Input::Message { client: user.client, bytes: &request });
        let Some(Output::Send { bytes, .. }) = self.server.poll() else { panic!("no answer") };
        let Nonce(nonce) = Message::parse(&bytes).unwrap().get().unwrap().unwrap();
        user.nonce = nonce.into();
    }

    /// A client with an allocation; its socket is the next number from `OWN + 1` up.
    pub(crate) fn allocated(&mut self, name: &str, peer: &str) -> User {
        self.allocated_for(user(name, peer))
    }

    pub(crate) fn allocated_for(&mut self, mut user: User) -> User {
        self.challenge(&mut user);
        let lines = self.ask(&user, Method::ALLOCATE, &[transport(17)]);
        assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
        user
    }

    /// The same in another realm than the first.
    pub(crate) fn allocated_in(&mut self, realm: &str, name: &str, peer: &str) -> User {
        let mut user = user(name, peer);
        self.challenge(&mut user);
        let request = signed_for(realm, &user, Method::ALLOCATE, self.transaction(), &[transport(17)]);
        let lines = self.message(user.client, &request);
        assert!(lines.last().is_some_and(|line| line.contains("Allocate ok")), "{lines:?}");
        user
    }

    /// Installs permissions.
    pub(crate) fn permit(&mut self, user: &User, peers: &[&str]) {
        let peers: Vec<_> = peers.iter().map(|peer| peer_address(peer)).collect();
        let lines = self.ask(user, Method::CREATE_PERMISSION, &peers);
        assert_eq!(lines, [to(user, "CreatePermission ok signed")]);
    }

    /// Binds a channel.
    pub(crate) fn bind_channel(&mut self, user: &User, number: u16, peer: &str) {
        let lines = self.ask(user, Method::CHANNEL_BIND, &[channel(number), peer_address(peer)]);
        assert_eq!(lines, [to(user, "ChannelBind ok signed")]);
    }
}

/// A line about an answer.
pub(crate) fn to(user: &User, line: &str) -> String {
    format!("{}: {line}", user.client.peer)
}

pub(crate) fn unsigned(transaction: TransactionId, method: Method, attributes: &[Attribute]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, method, transaction);
    attributes.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value)).finish();
    bytes
}

pub(crate) fn signed(
    user: &User,
    method: Method,
    transaction: TransactionId,
    attributes: &[Attribute],
) -> Vec<u8> {
    signed_for(REALM, user, method, transaction, attributes)
}

pub(crate) fn signed_for(
    realm: &str,
    user: &User,
    method: Method,
    transaction: TransactionId,
    attributes: &[Attribute],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Request, method, transaction);
    let writer = attributes.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value));
    let key = Key::md5(&user.name, realm, &user.password);
    let writer = writer.with(&Username(&user.name)).with(&Realm(realm)).with(&Nonce(&user.nonce));
    writer.sign(Algorithm::Sha1, &key).finish();
    bytes
}

fn value<'a, A: stun::Attribute<'a>>(attribute: &A) -> Attribute {
    let mut bytes = Vec::new();
    attribute.write(TransactionId([0; 12]), &mut bytes);
    (A::KIND, bytes)
}

pub(crate) fn transport(protocol: u8) -> Attribute {
    value(&RequestedTransport(protocol))
}

pub(crate) fn lifetime(seconds: u32) -> Attribute {
    value(&Lifetime(seconds))
}

pub(crate) fn channel(number: u16) -> Attribute {
    value(&stun::attribute::ChannelNumber(number))
}

pub(crate) fn family(number: u8) -> Attribute {
    (Kind::REQUESTED_ADDRESS_FAMILY, vec![number, 0, 0, 0])
}

/// XOR-PEER-ADDRESS of an IPv4 peer, whose value no transaction plays a part in; of an IPv6 peer one of transaction 0.
pub(crate) fn peer_address(peer: &str) -> Attribute {
    value(&XorPeerAddress(address(peer)))
}

pub(crate) fn forward(to: Way, bytes: &[u8]) -> String {
    match to {
        Way::Peer { socket, peer, dont_fragment } => {
            let whole = if dont_fragment { " whole" } else { "" };
            format!("{} -> {peer}{whole}: {}", socket.0 - SocketId::OWN, String::from_utf8_lossy(bytes))
        }
        Way::Relay { socket, from } => {
            let text = String::from_utf8_lossy(bytes);
            format!("{} <- {from}: {text}", socket.0 - SocketId::OWN)
        }
        Way::Client(Flow::Datagram { peer, .. }) => format!("{peer}: {}", payload(bytes)),
        Way::Client(Flow::Stream(connection)) => format!("{connection}: {}", payload(bytes)),
    }
}

fn payload(bytes: &[u8]) -> String {
    match bytes[0] {
        0x40..=0x7F => {
            format!("{:02x}{:02x} {:?}", bytes[0], bytes[1], String::from_utf8_lossy(&bytes[4..]))
        }
        _ => describe(bytes),
    }
}

pub(crate) fn show(output: &Output) -> String {
    match output {
        Output::Send { flow: Flow::Datagram { peer, .. }, bytes } => format!("{peer}: {}", describe(bytes)),
        Output::Send { flow: Flow::Stream(connection), bytes } => {
            format!("{connection}: {}", describe(bytes))
        }
        Output::Forward { to, bytes } => forward(*to, bytes),
        Output::OpenRelay { local, .. } => format!("open {}", local.ip()),
        Output::CloseRelay(socket) => format!("close {}", socket.0 - SocketId::OWN),
        Output::Claim { to, user, .. } => format!("claim from {} for {user}", to.0),
        Output::Grant { to, granted, .. } => format!("grant to {}: {}", to.0, granted.is_some()),
        Output::Roam { to, letter } => format!("letter to {}: {}", to.0, show_letter(letter)),
        Output::Depart(cargo) => format!("depart to {}", cargo.to().0),
        Output::Replay { client, .. } => format!("replay {}", client.peer),
        Output::Tcp(effect) => show_effect(effect),
        Output::Began(session) => format!("began {} {}", session.user, session.client.peer),
        Output::Ended(session, _) => {
            let traffic = session.traffic;
            format!("ended {} sent {} received {}", session.user, traffic.sent_bytes, traffic.received_bytes)
        }
        Output::Offload(offload) => format!("{offload:?}"),
    }
}

fn show_letter(letter: &Letter) -> String {
    match letter {
        Letter::Announce { client, .. } => format!("announce {}", client.peer),
        Letter::Answer { result: Ok(_), .. } => "yes".into(),
        Letter::Answer { result: Err(refusal), .. } => format!("{}", refusal.code()),
        Letter::Fetch { .. } => "fetch".into(),
        Letter::Forsaken { .. } => "forsaken".into(),
        Letter::Gone { .. } => "gone".into(),
    }
}

fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::Listen { local, .. } => format!("listen {}", local.ip()),
        Effect::Connect { to, .. } => format!("connect {to}"),
        Effect::Move { conn, to, .. } => format!("move {conn} to {}", to.0),
        Effect::Join { client, peer } => format!("join {client} {peer}"),
        Effect::Close(conn) => format!("close {conn}"),
        Effect::Abort(conn) => format!("abort {conn}"),
    }
}

/// A STUN message as a line: ports of relays are left out where they are random.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let message = Message::parse(bytes).unwrap();
    let mut line = format!("{:?}", message.method());
    match message.class() {
        Class::Success => line.push_str(" ok"),
        Class::Error => {
            let ErrorCode { code, reason } = message.get().unwrap().unwrap();
            line.push_str(&format!(" {code} {reason}"));
        }
        class => line.push_str(&format!(" {class:?}")),
    }
    for raw in message.attributes() {
        line.push_str(&attribute(&message, &raw).unwrap_or_default());
    }
    if message.integrity().is_some() {
        line.push_str(" signed");
    }
    line
}

fn attribute(message: &Message<'_>, raw: &stun::message::Raw<'_>) -> Option<String> {
    let kind = raw.kind;
    Some(match kind {
        Kind::XOR_RELAYED_ADDRESS => {
            use stun::Attribute;
            format!(" relayed={}", XorRelayedAddress::read(raw.value, message.transaction())?.0.ip())
        }
        Kind::XOR_MAPPED_ADDRESS => format!(" mapped={}", message.get::<XorMappedAddress>().unwrap()?.0),
        Kind::XOR_PEER_ADDRESS => format!(" peer={}", message.get::<XorPeerAddress>().unwrap()?.0),
        Kind::LIFETIME => format!(" lifetime={}", message.get::<Lifetime>().unwrap()?.0),
        Kind::REALM => format!(" realm={}", message.get::<Realm<'_>>().unwrap()?.0),
        Kind::NONCE => " nonce".into(),
        Kind::RESERVATION_TOKEN => {
            message.get::<ReservationToken>().unwrap()?;
            " token".into()
        }
        Kind::MOBILITY_TICKET => " ticket".into(),
        Kind::ADDRESS_ERROR_CODE => {
            let missing = message.get::<AddressErrorCode<'_>>().unwrap()?;
            format!(" missing={:?} {}", missing.family, missing.code)
        }
        Kind::ALTERNATE_SERVER => format!(" alternate={}", message.get::<AlternateServer>().unwrap()?.0),
        Kind::ICMP => format!(" icmp={:?}", message.get::<stun::attribute::Icmp>().unwrap()?),
        Kind(0x8033) => format!(" missing={:02x?}", &raw.value[..4]),
        Kind::DATA => format!(" data={:?}", String::from_utf8_lossy(message.raw(kind)?.value)),
        Kind::UNKNOWN_ATTRIBUTES => format!(" unknown={:02x?}", message.raw(kind)?.value),
        _ => return None,
    })
}
