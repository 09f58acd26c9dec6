//! Some workers' stacks with what stands around them in the server: the switchboard, the disk, names, streams.

use sip::proxy::media::{Over, Passage, Relaying};
use sip::registrar::{Row, Rules};
use sip::stack::{Config, Input, Limits, Output, Parcel, Stack};
use sip::transaction::Timing;
use sip::transport::{Listener, Listeners};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{Host, Packet};
use wire::names::{Found, Naptr, Question, Srv};
use wire::{
    Account, Address, ConnectionId, Directory, Domain, Keys, Machine, Secret, SocketId, Transport, WorkerId,
};

pub(crate) const UDP: &str = "192.0.2.1:5060";

/// A datagram that left, or bytes on a stream.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) text: String,
}

impl Sent {
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The values of a header field, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }
}

/// What is to be written, and whether there may be more of it on the disk.
type Rows = (Vec<Row>, bool);

pub(crate) struct House {
    pub(crate) stacks: Vec<Stack>,
    pub(crate) now: Instant,
    began: Instant,
    pub(crate) sent: Vec<Sent>,
    pub(crate) disk: BTreeMap<Address, Vec<Row>>,
    /// How often it was told that there may be more bindings than those that it is to keep.
    pub(crate) forgotten: usize,
    /// How many rows were written.
    pub(crate) written: usize,
    /// Whether the disk answers; if not, tokens gather here.
    pub(crate) disk_stalls: bool,
    pub(crate) held: Vec<(usize, u64)>,
    held_rows: BTreeMap<(usize, u64), (Address, Rows)>,
    /// Every name has the address 203.0.113.1.
    pub(crate) finds_everything: bool,
    pub(crate) names: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) naptr: BTreeMap<String, Vec<Naptr>>,
    pub(crate) srv: BTreeMap<String, Vec<Srv>>,
    /// Whether connections of ours are accepted, and which were asked for.
    pub(crate) accepts: bool,
    /// What the servers that are connected to prove.
    pub(crate) proven: Vec<String>,
    /// Connections of ours neither open nor fail.
    pub(crate) silent_dials: bool,
    /// No worker takes what another hands over.
    pub(crate) full_queues: bool,
    pub(crate) dialled: Vec<SocketAddr>,
    /// Whom each of them was to prove.
    pub(crate) expected: Vec<String>,
    /// For which domain of ours each of them was.
    pub(crate) spoken_for: Vec<String>,
    /// The mark of the last of them.
    pub(crate) last_dial: u64,
    /// Of which account credentials were shown, and whether they were right.
    pub(crate) proofs: Vec<(Option<String>, bool)>,
    /// Whose requests were not looked at, and whether that was beyond doubt.
    pub(crate) turned_away: Vec<(String, bool)>,
    /// What was asked of the relay, which puts 192.0.2.50 into descriptions, and what is over.
    pub(crate) passages: Vec<Passage>,
    pub(crate) over: Vec<Over>,
    /// The relay does not answer; its questions gather here.
    pub(crate) relay_stalls: bool,
    pub(crate) unrelayed: Vec<(usize, u64)>,
    pub(crate) hand_overs: Vec<(WorkerId, WorkerId, &'static str)>,
    closed: Vec<ConnectionId>,
    streams: BTreeMap<(u16, u32), SocketAddr>,
    out: VecDeque<Packet>,
}

pub(crate) fn directory() -> Arc<Directory> {
    let main = Domain::new("falcot.com").unwrap();
    let alias = [Domain::new("sip.falcot.com").unwrap()];
    let account = |user: &str| {
        let address = Address::new(user, "falcot.com").unwrap();
        let text = format!("{user}:falcot.com:hunter2");
        let keys = Keys {
            md5: Some(<md5::Md5 as md5::Digest>::digest(&text).into()),
            sha256: Some(<sha2::Sha256 as sha2::Digest>::digest(&text).into()),
            ..Keys::default()
        };
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    Arc::new(Directory::new([(&main, &alias[..])]).with(["alice", "bob", "carol", "dave"].map(account)))
}

pub(crate) fn config(me: u16, workers: u16) -> Config {
    let listener = |transport, socket, bound: &str| Listener {
        transport,
        socket,
        bound: bound.parse().unwrap(),
        host: "falcot.com".into(),
    };
    Config {
        me: WorkerId(me),
        workers,
        listeners: Listeners {
            all: vec![
                listener(Transport::Udp, Some(SocketId(1)), UDP),
                listener(Transport::Tcp, None, UDP),
                listener(Transport::Tls, None, "192.0.2.1:5061"),
            ],
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ..Listeners::default()
        },
        secret: Secret::new("the same on every worker"),
        authenticate: false,
        speakers: Vec::new(),
        relaying: Relaying::Never,
        nonce: Duration::from_secs(300),
        timing: Timing::default(),
        ping: None,
        rules: Rules {
            expires: Duration::from_secs(3600),
            expires_min: Duration::from_secs(60),
            expires_max: Duration::from_secs(7200),
            bindings: 3,
        },
        targets: Vec::new(),
        limits: Limits {
            transactions: 1000,
            per_source: 500,
            dials: 10,
            trace: 1000,
            calls: 100,
            head: 32 * 1024,
            message: 64 * 1024,
            max_forwards: 70,
            retry_after: Duration::from_secs(5),
            idle: Duration::from_secs(3600),
            answer: Duration::from_secs(10),
        },
    }
}

impl House {
    pub(crate) fn new(workers: u16) -> Self {
        Self::with(workers, |_| {})
    }

    pub(crate) fn with(workers: u16, change: impl Fn(&mut Config)) -> Self {
        let now = testkit::start();
        let stack = |me| {
            let mut config = config(me, workers);
            change(&mut config);
            Stack::new(config, directory(), testkit::epoch(now))
        };
        Self {
            stacks: (0..workers).map(stack).collect(),
            now,
            began: now,
            sent: Vec::new(),
            disk: BTreeMap::new(),
            forgotten: 0,
            written: 0,
            disk_stalls: false,
            held: Vec::new(),
            held_rows: BTreeMap::new(),
            finds_everything: false,
            names: BTreeMap::new(),
            naptr: BTreeMap::new(),
            srv: BTreeMap::new(),
            accepts: true,
            proven: Vec::new(),
            silent_dials: false,
            full_queues: false,
            dialled: Vec::new(),
            spoken_for: Vec::new(),
            expected: Vec::new(),
            last_dial: 0,
            proofs: Vec::new(),
            turned_away: Vec::new(),
            passages: Vec::new(),
            over: Vec::new(),
            relay_stalls: false,
            unrelayed: Vec::new(),
            hand_overs: Vec::new(),
            closed: Vec::new(),
            streams: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// The calendar.
    pub(crate) fn epoch(&self) -> wire::Epoch {
        testkit::epoch(self.began)
    }

    /// Ends every worker and starts anew with what is on the disk.
    pub(crate) fn restart(&mut self) {
        self.restart_at(testkit::epoch(self.began));
    }

    /// The same by another calendar.
    pub(crate) fn restart_at(&mut self, epoch: wire::Epoch) {
        let workers = u16::try_from(self.stacks.len()).unwrap();
        let authenticate = false;
        for me in 0..workers {
            let config = Config { authenticate, ..config(me, workers) };
            let mut stack = Stack::new(config, directory(), epoch);
            for (address, rows) in &self.disk {
                if address.home(workers).0 == me {
                    stack.load(self.now, address.clone(), rows);
                }
            }
            self.stacks[usize::from(me)] = stack;
        }
    }

    /// A datagram comes to one worker. What leaves is in `sent` afterwards.
    pub(crate) fn datagram_at(&mut self, worker: usize, peer: &str, text: &str) -> Vec<Sent> {
        self.datagram_bytes(worker, peer, text.as_bytes())
    }

    pub(crate) fn datagram_bytes(&mut self, worker: usize, peer: &str, bytes: &[u8]) -> Vec<Sent> {
        let (local, peer) = ("192.0.2.1".parse().unwrap(), peer.parse().unwrap());
        self.input(worker, Input::Datagram { socket: SocketId(1), local, peer, bytes })
    }

    /// A datagram comes to the first worker.
    pub(crate) fn datagram(&mut self, peer: &str, text: &str) -> Vec<Sent> {
        self.datagram_at(0, peer, text)
    }

    /// Something happens to one worker; what leaves comes back.
    pub(crate) fn input(&mut self, worker: usize, input: Input<'_>) -> Vec<Sent> {
        let before = self.sent.len();
        self.stacks[worker].handle(self.now, input);
        self.settle();
        self.sent[before..].to_vec()
    }

    /// A peer opens a stream to one worker.
    pub(crate) fn connect(&mut self, worker: u16, transport: Transport, peer: &str) -> ConnectionId {
        self.connect_as(worker, transport, peer, &[])
    }

    /// The same by a peer that proves these domains.
    pub(crate) fn connect_as(
        &mut self,
        worker: u16,
        transport: Transport,
        peer: &str,
        domains: &[&str],
    ) -> ConnectionId {
        let proven = domains.iter().map(|domain| (*domain).into()).collect();
        let conn = self.next_stream(worker, peer.parse().unwrap());
        let port = if transport.is_secure() { 5061 } else { 5060 };
        let local = SocketAddr::new("192.0.2.1".parse().unwrap(), port);
        let peer = peer.parse().unwrap();
        self.input(
            usize::from(worker),
            Input::Opened { conn, transport, local, peer, token: None, domains: proven },
        );
        conn
    }

    fn next_stream(&mut self, worker: u16, peer: SocketAddr) -> ConnectionId {
        let slot = u32::try_from(self.streams.len()).unwrap();
        self.streams.insert((worker, slot), peer);
        ConnectionId { worker: WorkerId(worker), slot, generation: 0 }
    }

    /// The last stream between the first worker and a peer.
    pub(crate) fn stream_to(&self, peer: &str) -> ConnectionId {
        let peer: SocketAddr = peer.parse().unwrap();
        let of_peer = |((worker, _), to): &(&(u16, u32), &SocketAddr)| *worker == 0 && **to == peer;
        let ((worker, slot), _) = self.streams.iter().rfind(of_peer).unwrap();
        ConnectionId { worker: WorkerId(*worker), slot: *slot, generation: 0 }
    }

    pub(crate) fn stream(&mut self, conn: ConnectionId, text: &str) -> Vec<Sent> {
        self.stream_bytes(conn, text.as_bytes())
    }

    pub(crate) fn stream_bytes(&mut self, conn: ConnectionId, bytes: &[u8]) -> Vec<Sent> {
        self.input(usize::from(conn.worker.0), Input::Received { conn, bytes })
    }

    pub(crate) fn is_closed(&self, conn: ConnectionId) -> bool {
        self.closed.contains(&conn)
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn wait(&mut self, duration: Duration) -> Vec<Sent> {
        let (before, end) = (self.sent.len(), self.now + duration);
        while let Some(next) = self.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.tick_all();
        }
        self.now = end;
        self.sent[before..].to_vec()
    }

    fn tick_all(&mut self) {
        for worker in 0..self.stacks.len() {
            self.stacks[worker].tick(self.now);
        }
        self.settle();
    }

    /// Carries out what a test has asked a stack for directly.
    pub(crate) fn settle_now(&mut self) {
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let ready = (0..self.stacks.len()).find_map(|w| self.stacks[w].poll().map(|output| (w, output)));
            let Some((worker, output)) = ready else { return };
            self.carry_out(worker, output);
        }
    }

    fn carry_out(&mut self, worker: usize, output: Output) {
        match output {
            Output::Send { to, bytes, .. } => {
                self.sent
                    .push(Sent { to: to.to_string(), text: String::from_utf8_lossy(&bytes).into_owned() });
                self.out.push_back(Packet { from: UDP.parse().unwrap(), to, bytes });
            }
            Output::Write { conn, bytes } => {
                assert_eq!(usize::from(conn.worker.0), worker, "a stream belongs to one worker");
                let to = self.streams[&(conn.worker.0, conn.slot)].to_string();
                self.sent.push(Sent { to, text: String::from_utf8_lossy(&bytes).into_owned() });
            }
            Output::Close { conn } => {
                self.closed.push(conn);
                self.stacks[worker].handle(self.now, Input::Closed { conn });
            }
            Output::Connect { token, transport, to, name, own } => {
                self.expected.push(name.into());
                self.spoken_for.push(own.into());
                self.dial(worker, token, transport, to);
            }
            Output::Store { token, address, rows, fewer } => {
                self.store(worker, token, address, (rows, fewer));
            }
            Output::Locate { token, address } => {
                let home = usize::from(address.home(u16::try_from(self.stacks.len()).unwrap()).0);
                let contacts = Some(self.stacks[home].contacts(self.now, &address));
                self.stacks[worker].handle(self.now, Input::Located { token, contacts });
            }
            Output::Resolve { token, question } => {
                let everything =
                    if self.finds_everything { vec!["203.0.113.1".parse().unwrap()] } else { vec![] };
                let found = match &question {
                    Question::Naptr(name) => {
                        Found::Naptr(self.naptr.get(&**name).cloned().unwrap_or_default())
                    }
                    Question::Srv(name) => Found::Srv(self.srv.get(&**name).cloned().unwrap_or_default()),
                    Question::Addresses(name) => {
                        Found::Addresses(self.names.get(&**name).cloned().unwrap_or(everything))
                    }
                };
                self.stacks[worker].handle(self.now, Input::Resolved { token, found, random: 0 });
            }
            Output::TurnedAway { source, is_proven } => {
                self.turned_away.push((source.to_string(), is_proven))
            }
            Output::Proof { account, right, .. } => self.proofs.push((account.map(|a| a.to_string()), right)),
            Output::Media { token, passage } => {
                let body = Some(relayed(&passage.body)).filter(|body| !body.is_empty());
                self.passages.push(*passage);
                match self.relay_stalls {
                    true => self.unrelayed.push((worker, token)),
                    false => self.stacks[worker].handle(self.now, Input::Mediated { token, body }),
                }
            }
            Output::MediaOver(over) => self.over.push(over),
            Output::HandOver { to, parcel } => {
                let me = WorkerId(u16::try_from(worker).unwrap());
                // What is told of calls changes nothing for anybody.
                if !matches!(parcel, Parcel::Calls(_)) {
                    self.hand_overs.push((me, to, kind(&parcel)));
                }
                if self.full_queues {
                    self.stacks[worker].handle(self.now, Input::NotHandedOver { parcel });
                } else {
                    self.stacks[usize::from(to.0)].handle(self.now, Input::HandedOver { parcel });
                }
            }
        }
    }

    fn dial(&mut self, worker: usize, token: u64, transport: Transport, to: SocketAddr) {
        self.dialled.push(to);
        self.last_dial = token;
        if self.silent_dials {
            return;
        }
        let conn = self.next_stream(u16::try_from(worker).unwrap(), to);
        let local = "192.0.2.1:40000".parse().unwrap();
        let domains = self.proven.iter().map(|domain| domain.as_str().into()).collect();
        let input = match self.accepts {
            true => Input::Opened { conn, transport, local, peer: to, token: Some(token), domains },
            false => Input::Refused { token, why: "connection refused".into() },
        };
        self.stacks[worker].handle(self.now, input);
    }

    fn store(&mut self, worker: usize, token: u64, address: Address, rows: Rows) {
        self.held_rows.insert((worker, token), (address, rows));
        if self.disk_stalls {
            self.held.push((worker, token));
        } else {
            self.write(worker, token);
            self.stacks[worker].handle(self.now, Input::Stored { token, durable: true });
        }
    }

    fn write(&mut self, worker: usize, token: u64) {
        let Some((address, (mut rows, fewer))) = self.held_rows.remove(&(worker, token)) else { return };
        self.forgotten += usize::from(fewer);
        self.written += rows.len();
        // Rows in other places stay, but, where there are fewer, for those behind.
        let before = self.disk.remove(&address).unwrap_or_default();
        let count = rows.len();
        let stays = |row: &Row| {
            !(rows.iter().any(|new| new.place == row.place) || fewer && usize::from(row.place) >= count)
        };
        let before: Vec<Row> = before.into_iter().filter(stays).collect();
        rows.extend(before);
        rows.sort_by_key(|row| row.place);
        match rows.is_empty() {
            true => self.disk.remove(&address),
            false => self.disk.insert(address, rows),
        };
    }

    /// The disk gets to what it was asked when that was the `which`th question.
    pub(crate) fn disk_answers(&mut self, which: usize, durable: bool) -> Vec<Sent> {
        let (worker, token) = self.held[which];
        if durable {
            self.write(worker, token);
        }
        self.input(worker, Input::Stored { token, durable })
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.stacks.iter().filter_map(Machine::deadline).min()
    }

    /// Locks an account for all but one source.
    pub(crate) fn lock(&mut self, account: &str, known: Option<&str>) {
        let known = known.map(|peer| wire::Source::of(peer.parse::<SocketAddr>().unwrap().ip()));
        let lock =
            wire::Lock { until: self.now + Duration::from_secs(600), known: known.into_iter().collect() };
        let locks = Arc::new(wire::Locks::new([(account.parse().unwrap(), lock)]));
        self.stacks.iter_mut().for_each(|stack| stack.set_locks(Arc::clone(&locks)));
    }

    pub(crate) fn scanned(&self) -> u64 {
        self.stacks.iter().map(sip::Stack::scanned).sum()
    }

    pub(crate) fn transactions(&self) -> usize {
        self.stacks.iter().map(Stack::transactions).sum()
    }
}

/// A description in the relay's terms.
fn relayed(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).into_owned();
    let lines = text.split_inclusive('\n').map(|line| match line.starts_with("c=") {
        true => "c=IN IP4 192.0.2.50\r\n",
        false => line,
    });
    lines.collect::<String>().into_bytes()
}

fn kind(parcel: &Parcel) -> &'static str {
    match parcel {
        Parcel::Request { .. } => "request",
        Parcel::Unread { .. } => "unread",
        Parcel::Stray { .. } => "stray",
        Parcel::Response { .. } => "response",
        Parcel::Write { .. } => "write",
        Parcel::Closed { .. } => "closed",
        Parcel::Gone { .. } => "gone",
        Parcel::Calls(_) => "call",
        Parcel::Unreachable { .. } => "unreachable",
    }
}

/// On the simulated network the kernel spreads peers over the workers.
impl Host for House {
    fn owns(&self, address: SocketAddr) -> bool {
        address == UDP.parse().unwrap()
    }

    fn receive(&mut self, now: Instant, packet: &Packet) {
        self.now = now;
        let worker = usize::from(packet.from.port()) % self.stacks.len();
        let (local, socket) = (packet.to.ip(), SocketId(1));
        self.input(worker, Input::Datagram { socket, local, peer: packet.from, bytes: &packet.bytes });
    }

    fn transmit(&mut self) -> Option<Packet> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        House::deadline(self)
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        self.tick_all();
    }
}
