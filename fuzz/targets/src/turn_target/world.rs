//! The world around the servers: what a tape says happens, and what they want is carried out, at once or late.

use super::Reached;
use super::grammar::{self, Draft, Lexicon};
use super::house::{Book, PASSWORDS, QUOTA, Seeded, accounts, config};
use super::moves::Mishap;
use super::people::{Person, everybody};
use super::rules::Rules;
use super::streams::Streams;
use crate::tape::Tape;
use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stun::attribute::{
    Attribute, MobilityTicket, Nonce, PeerConnection, Realm, ReservationToken, XorPeerAddress,
};
use stun::{Class, Kind, Message, Method, TransactionId};
use turn::Granted;
use turn::mobility::Letter;
use turn::server::{Bound, NonceRule, Unbound};
use turn::stream::{self, Frame};
use turn::tcp::Event;
use turn::{Ask, Bandwidth, Client, Input, Output, Refusal, Server, Session, Verdict, Way};
use wire::{Address, Epoch, Flow, Machine, Secret, SocketId, Transport, WorkerId};

pub(super) const WORKERS: usize = 2;
const HEADROOM: usize = 64;
const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);

/// Between workers.
enum Mail {
    Claim { from: WorkerId, ask: Ask, token: ReservationToken, user: Address },
    Grant { ask: Ask, granted: Option<Granted> },
    Letter(Letter),
}

pub(super) struct World {
    start: Instant,
    pub(super) now: Instant,
    pub(super) servers: Vec<Server>,
    pub(super) rules: Rules,
    pub(super) people: Vec<Person>,
    pub(super) streams: Streams,
    book: Book,
    /// Who acted last.
    actor: usize,
    transactions: u64,
    pub(super) sockets: u32,
    /// Addresses that are bound, by either worker.
    pub(super) taken: HashSet<SocketAddr>,
    pub(super) mishap: Mishap,
    /// Whether what servers want of the world takes its time.
    pub(super) is_slow: bool,
    pub(super) opening: VecDeque<(usize, Ask, SocketAddr)>,
    mail: VecDeque<(usize, Mail)>,
    /// What was kept for clients that have moved.
    replays: VecDeque<(usize, Client, Vec<u8>)>,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "time starts somewhere; all that counts is what passes after it"
    )]
    pub(super) fn new() -> Self {
        let start = Instant::now() + Duration::from_secs(86_400);
        let rule = NonceRule { secret: Secret::new("nonce"), lifetime: Duration::from_secs(1800) };
        let book = Book::default();
        let server = |number: u16| {
            let epoch = Epoch { instant: start, unix: YEAR_2026 };
            let entropy = Box::new(Seeded(u64::from(number) + 1));
            let accounts = accounts(PASSWORDS[0], true);
            let ledger = Arc::new(book.clone());
            Server::new(WorkerId(number), config(0), &rule, accounts, epoch, entropy, ledger)
        };
        Self {
            start,
            now: start,
            servers: (0..WORKERS as u16).map(server).collect(),
            rules: Rules::default(),
            people: everybody(),
            streams: Streams::default(),
            book,
            actor: 0,
            transactions: 0,
            sockets: 0,
            taken: HashSet::new(),
            mishap: Mishap::None,
            is_slow: false,
            opening: VecDeque::new(),
            mail: VecDeque::new(),
            replays: VecDeque::new(),
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self, tape: &mut Tape<'_>) {
        match tape.below(26) {
            0..=6 => self.person_sends(tape, grammar::request),
            7 => self.person_sends(tape, grammar::indication),
            8 | 9 => self.person_sends_channel_data(tape),
            10 => self.peer_sends(tape),
            11 => self.person_sends_noise(tape),
            12 => self.time_passes(tape),
            13 => self.person_hangs_up(tape),
            14 => self.world_answers(tape),
            15 => self.administrator_acts(tape),
            16 => self.person_repeats(tape),
            17 => self.person_settles(tape),
            18 => self.peer_answers(tape),
            19 => self.stranger_worker_speaks(tape),
            20 => self.network_complains(tape),
            21 => self.person_writes(tape),
            22 | 23 => self.person_moves(tape),
            24 => self.former_stream_breaks(tape),
            _ => self.peer_stream_does(tape),
        }
        if !self.is_slow {
            self.settle();
        }
    }

    /// What must be true now.
    pub(super) fn check(&mut self) {
        assert!(self.book.seats() <= QUOTA.total, "more seats than there are");
        let sessions: Vec<Session> = self.servers.iter().flat_map(Server::sessions).collect();
        self.rules.check(&sessions);
        self.book.check_relays(&sessions);
        assert!(sessions.len() <= self.book.seats() as usize, "each allocation has a seat");
        for session in &sessions {
            let theirs = sessions.iter().filter(|other| other.user == session.user).count();
            assert!(theirs <= QUOTA.user as usize, "{} has {theirs} allocations", session.user);
        }
    }

    /// Everybody goes silent: all ends by itself.
    pub(super) fn end(&mut self) -> Reached {
        self.settle();
        for _ in 0..3 {
            self.pass(Duration::from_secs(4000));
            self.settle();
            self.check();
        }
        self.rules.end();
        for server in &self.servers {
            assert_eq!(server.allocations(), 0);
            assert_eq!(server.deadline(), None, "nothing is left to wait for");
        }
        assert!(self.taken.is_empty(), "every port is free again");
        assert_eq!(self.book.seats(), 0, "every seat is given back");
        assert!(self.streams.is_empty(), "no connection of a peer is left");
        let mut reached = Reached::default();
        self.rules.sum(&mut reached);
        reached
    }

    // What people do.

    /// Mostly the same as before, so that plays get somewhere.
    pub(super) fn who(&mut self, tape: &mut Tape<'_>) -> usize {
        let byte = tape.byte();
        if byte >= 0x80 {
            self.actor = usize::from(byte) % self.people.len();
        }
        self.actor
    }

    /// Allocates, as a good client does, and lets a peer in by a channel.
    fn person_settles(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let [peer, channel] = [tape.byte(), tape.byte()];
        for _ in 0..2 {
            self.person_sends_request(&[0, 0], who);
        }
        self.person_sends_request(&[5, channel, peer], who);
    }

    /// A request that a good client sends.
    fn person_sends_request(&mut self, script: &[u8], who: usize) {
        self.actor = who;
        // Behind its script every tape says zero: nothing odd.
        let script = [&[0, 0], script].concat();
        self.person_sends(&mut Tape::new(&script), grammar::request);
        self.settle();
    }

    pub(super) fn person_sends(
        &mut self,
        tape: &mut Tape<'_>,
        draft: fn(&mut Tape<'_>, &Lexicon<'_>) -> Draft,
    ) {
        let (who, other) = (self.who(tape), tape.below(self.people.len()));
        self.transactions += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        let relays = self.relays();
        let tokens: Vec<_> = self.people.iter().flat_map(|person| person.tokens.iter().copied()).collect();
        let connections: Vec<_> =
            self.people.iter().flat_map(|person| person.connections.iter().copied()).collect();
        let ticket = self.people[who].ticket.clone();
        let lexicon = Lexicon {
            ticket: &ticket,
            transaction: TransactionId(id),
            tokens: &tokens,
            relays: &relays,
            connections: &connections,
        };
        let draft = draft(tape, &lexicon);
        let bytes = draft.write(tape, &lexicon, &self.people[who], &self.people[other]);
        self.people[who].last.clone_from(&bytes);
        self.send(tape, who, &bytes);
    }

    /// A Send indication to somebody whom the client has let in.
    fn person_writes(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let Person { worker, client, .. } = self.people[who];
        let Some(session) = self.session(worker, client.flow) else { return };
        let Some(peer) = self.rules.some_permitted(session.id) else { return };
        let port = [4000, 4001][tape.below(2)];
        let length = tape.below(90);
        let bytes = grammar::send(SocketAddr::new(peer, port), tape.take(length));
        self.send(tape, who, &bytes);
    }

    fn person_sends_channel_data(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let bytes = grammar::channel_data(tape, self.people[who].client.transport.is_stream());
        self.send(tape, who, &bytes);
    }

    fn person_sends_noise(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let length = tape.below(120);
        let bytes = tape.take(length).to_vec();
        self.send(tape, who, &bytes);
    }

    fn person_repeats(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let bytes = self.people[who].last.clone();
        self.send(tape, who, &bytes);
    }

    fn person_hangs_up(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        self.hang_up(who);
    }

    pub(super) fn hang_up(&mut self, who: usize) {
        let (worker, flow) = (self.people[who].worker, self.people[who].client.flow);
        if let Flow::Stream(connection) = flow {
            if self.people[who].is_joined {
                self.input(worker, Input::Tcp(Event::Gone(connection)));
            } else {
                self.input(worker, Input::Closed(connection));
            }
            let is_lost = !self.servers[worker].is_allocated(flow) || !self.people[who].ticket.is_empty();
            assert!(is_lost, "an allocation goes with its stream, unless its client may come back");
            self.people[who].reconnect();
        }
    }

    /// Bytes on a person's way to us: a datagram, or a piece of a stream that may be cut anywhere.
    fn send(&mut self, tape: &mut Tape<'_>, who: usize, bytes: &[u8]) {
        if self.people[who].is_joined {
            return;
        }
        if !self.people[who].client.transport.is_stream() {
            return self.message(who, bytes);
        }
        let cut = if tape.byte() & 7 == 0 { tape.below(bytes.len() + 1) } else { bytes.len() };
        for piece in [&bytes[..cut], &bytes[cut..]] {
            self.people[who].stream.extend_from_slice(piece);
            self.frames(who);
        }
    }

    /// Takes the whole messages off a stream, as the service does.
    fn frames(&mut self, who: usize) {
        loop {
            let Person { worker, client, stream, is_joined, .. } = &self.people[who];
            if *is_joined {
                return;
            }
            let limit =
                if self.servers[*worker].is_allocated(client.flow) { 65_540 } else { stream::STRANGER };
            match stream::first(stream, limit) {
                Frame::Whole { length, taken } => {
                    let message = stream[..length].to_vec();
                    self.people[who].stream.drain(..taken);
                    self.message(who, &message);
                }
                Frame::Part => return,
                Frame::Bad => return self.hang_up(who),
            }
        }
    }

    pub(super) fn message(&mut self, who: usize, bytes: &[u8]) {
        let (worker, client) = (self.people[who].worker, self.people[who].client);
        self.note(who, bytes);
        self.message_of(worker, client, bytes);
    }

    fn message_of(&mut self, worker: usize, client: Client, bytes: &[u8]) {
        match self.servers[worker].from_client(self.now, client.flow, bytes) {
            Verdict::Slow => self.input(worker, Input::Message { client, bytes }),
            Verdict::Drop => {}
            Verdict::Forward { to: Way::Peer { socket, peer, .. }, range } => {
                let part = bytes.get(range).expect("a part of what came");
                let session = self.session(worker, client.flow).expect("only an allocation sends");
                self.rules.sent(self.now, &session, socket, peer, part.len());
                self.kernel(socket, peer, part);
            }
            Verdict::Forward { to: Way::Relay { socket, from }, range } => {
                let part = bytes.get(range).expect("a part of what came").to_vec();
                self.rules.sent_beside(part.len());
                self.beside(worker, socket, from, &part);
            }
            verdict @ Verdict::Forward { .. } => panic!("{verdict:?} of what a client sent"),
        }
        self.carry_out(worker);
    }

    /// Remembers a request, so that its answer is expected once.
    fn note(&mut self, who: usize, bytes: &[u8]) {
        let Ok(request) = Message::parse(bytes) else { return };
        if request.class() != Class::Request {
            return;
        }
        let transaction = request.transaction();
        let raw = request.attributes().filter(|raw| raw.kind == Kind::XOR_PEER_ADDRESS);
        let peers =
            raw.filter_map(|raw| XorPeerAddress::read(raw.value, transaction)).map(|peer| peer.0.ip());
        let asked = self.people[who].asked.entry((transaction, request.method())).or_default();
        asked.length = bytes.len();
        asked.peers.extend(peers);
        asked.sent += 1;
    }

    // What peers do.

    fn peer_sends(&mut self, tape: &mut Tape<'_>) {
        let worker = tape.below(WORKERS);
        let mut sockets: Vec<SocketId> = self.rules.sockets.keys().copied().collect();
        sockets.sort_unstable();
        let socket = tape.pick(&sockets).unwrap_or(SocketId(SocketId::OWN + 7));
        let peer = grammar::peer(tape, &self.relays());
        self.relay_receives(worker, socket, peer, tape);
    }

    fn relay_receives(&mut self, worker: usize, socket: SocketId, peer: SocketAddr, tape: &mut Tape<'_>) {
        let length = tape.below(200);
        self.beside(worker, socket, peer, tape.take(length));
    }

    /// What comes to a relay's socket, from the network or from the relay of another client.
    pub(super) fn beside(&mut self, worker: usize, socket: SocketId, peer: SocketAddr, data: &[u8]) {
        let mut frame = vec![0xEE; HEADROOM];
        frame.extend_from_slice(data);
        let length = frame.len() - HEADROOM;
        match self.servers[worker].from_peer(self.now, socket, peer, &mut frame, HEADROOM) {
            Verdict::Forward { to: Way::Client(flow), range } => {
                assert!(frame.get(range).is_some_and(|part| part.len() >= length), "a part of the frame");
                let session = self.session(worker, flow).expect("only an allocation receives");
                self.rules.received(self.now, &session, peer, length);
            }
            Verdict::Drop => {}
            verdict => panic!("{verdict:?} of what a peer sent"),
        }
        self.carry_out(worker);
    }

    /// A good peer: one that the client has let in, to the client's relay.
    fn peer_answers(&mut self, tape: &mut Tape<'_>) {
        let who = self.who(tape);
        let Person { worker, client, .. } = self.people[who];
        let Some(session) = self.session(worker, client.flow) else { return };
        let Some(peer) = self.rules.some_permitted(session.id) else { return };
        let port = [4000, 4001][tape.below(2)];
        let relay = self.rules.relay_of(&session).expect("a session has a relay");
        self.relay_receives(worker, relay, SocketAddr::new(peer, port), tape);
    }

    // What else happens.

    fn time_passes(&mut self, tape: &mut Tape<'_>) {
        let seconds = match tape.below(8) {
            0 => return self.until_deadline(),
            n => [1, 6, 31, 299, 301, 601, 3601][n - 1],
        };
        self.pass(Duration::from_secs(seconds));
    }

    /// To the very moment that a server waits for.
    fn until_deadline(&mut self) {
        if let Some(deadline) = self.servers.iter().filter_map(Server::deadline).min() {
            self.pass(deadline.saturating_duration_since(self.now));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if time >= Duration::from_secs(1) {
            self.people.iter_mut().for_each(|person| person.long_answers = [0; WORKERS]);
        }
        for worker in 0..WORKERS {
            self.servers[worker].tick(self.now);
            self.carry_out(worker);
            let deadline = self.servers[worker].deadline();
            assert!(deadline.is_none_or(|deadline| deadline > self.now), "what was due is done");
        }
    }

    fn administrator_acts(&mut self, tape: &mut Tape<'_>) {
        let worker = tape.below(WORKERS);
        match tape.below(4) {
            0 | 1 => {
                let config = config(tape.below(10));
                self.rules.is_paced |= config.bandwidth != Bandwidth::default();
                self.input(worker, Input::Config(Box::new(config)));
            }
            2 => {
                let password = tape.pick(&PASSWORDS).unwrap_or(PASSWORDS[0]);
                let accounts = accounts(password, tape.byte() & 3 != 0);
                self.people.iter_mut().for_each(|person| person.password = password);
                for worker in 0..WORKERS {
                    self.input(worker, Input::Directory(accounts.clone()));
                }
            }
            _ => {
                // The calendar is set, by up to an hour either way.
                let shift = Duration::from_secs(tape.number().into()) / 10;
                let unix = YEAR_2026 + (self.now - self.start);
                let unix = if tape.byte() & 1 == 0 { unix + shift } else { unix - shift };
                self.input(worker, Input::Epoch(Epoch { instant: self.now, unix }));
            }
        }
    }

    /// The world is slow from now on, or quick; or one thing that it owes is done, or fails.
    fn world_answers(&mut self, tape: &mut Tape<'_>) {
        match tape.byte() {
            0xF0..0xF8 => self.mishap = Mishap::Back,
            0xF8.. => self.mishap = Mishap::Lost,
            byte if byte & 3 == 0 => self.is_slow = !self.is_slow,
            byte if byte & 3 == 1 => self.deliver(),
            byte if byte & 3 == 2 => self.open(),
            _ => {
                if let Some((worker, ask, _)) = self.opening.pop_back() {
                    let why = if tape.byte() & 1 == 0 { Unbound::Failed } else { Unbound::InUse };
                    self.input(worker, Input::Relay { ask, result: Err(why) });
                }
            }
        }
    }

    /// Answers that nobody waits for, claims of what is not there.
    fn stranger_worker_speaks(&mut self, tape: &mut Tape<'_>) {
        let (worker, ask) = (tape.below(WORKERS), Ask(tape.byte().into()));
        let from = WorkerId(tape.byte().into());
        match tape.below(3) {
            0 => {
                let tokens: Vec<_> = self.people.iter().flat_map(|person| person.tokens.clone()).collect();
                let token = tape.pick(&tokens).unwrap_or(ReservationToken([1; 8]));
                let user = "joe@falcot.com".parse().expect("an address");
                self.input(worker, Input::Claim { from, ask, token, user });
            }
            1 => self.input(worker, Input::Relay { ask: Ask(ask.0 + 10_000), result: Err(Unbound::InUse) }),
            _ => self.input(worker, Input::Claimed { ask: Ask(ask.0 + 10_000), granted: None }),
        }
    }

    // What servers want.

    pub(super) fn input(&mut self, worker: usize, input: Input<'_>) {
        self.servers[worker].handle(self.now, input);
        self.carry_out(worker);
    }

    fn carry_out(&mut self, worker: usize) {
        while let Some(output) = self.servers[worker].poll() {
            match output {
                Output::Send { flow, bytes } => {
                    self.answer(worker, flow, &bytes);
                    self.servers[worker].recycle(bytes);
                }
                Output::Forward { to, bytes } => {
                    self.forward(worker, to, &bytes);
                    self.servers[worker].recycle(bytes);
                }
                Output::OpenRelay { ask, local } => self.opening.push_back((worker, ask, local)),
                Output::Tcp(effect) => self.tcp(worker, effect),
                Output::Roam { to, letter } => self.write_to(to, letter),
                Output::Depart(cargo) => self.depart(worker, cargo),
                Output::Replay { client, bytes } => self.replays.push_back((worker, client, bytes)),
                Output::Offload(offload) => panic!("{offload:?} though there is no fast path"),
                Output::CloseRelay(socket) => {
                    let local = self.rules.closed(socket);
                    assert!(self.taken.remove(&local));
                }
                Output::Claim { to, ask, token, user } => {
                    let from = WorkerId(worker as u16);
                    self.post(to, Mail::Claim { from, ask, token, user }, Some((worker, ask)));
                }
                Output::Grant { to, ask, granted } => self.post(to, Mail::Grant { ask, granted }, None),
                Output::Began(session) => self.rules.began(&session),
                Output::Ended(session, _) => self.rules.ended(&session),
            }
            if !self.is_slow {
                self.open();
            }
        }
        // The answers to one are heard before the next is looked at: the rules learn from them what the next may do.
        if let Some((worker, client, bytes)) = self.replays.pop_front() {
            self.message_of(worker, client, &bytes);
        }
    }

    /// The worker's number may come from a client's token, so it may be nobody's.
    fn post(&mut self, to: WorkerId, mail: Mail, back: Option<(usize, Ask)>) {
        if usize::from(to.0) < WORKERS {
            self.mail.push_back((to.0.into(), mail));
        } else if let Some((worker, ask)) = back {
            self.servers[worker].handle(self.now, Input::Claimed { ask, granted: None });
        }
    }

    /// A letter between workers; its address may come from a client's ticket, so it may be nobody's.
    fn write_to(&mut self, to: WorkerId, letter: Letter) {
        if usize::from(to.0) < WORKERS {
            self.mail.push_back((to.0.into(), Mail::Letter(letter)));
        } else if let Letter::Announce { from, client, .. } = letter {
            let answer = Letter::Answer { flow: client.flow, result: Err(Refusal::AllocationMismatch) };
            self.mail.push_back((from.0.into(), Mail::Letter(answer)));
        }
    }

    /// Does all that the world owes.
    fn settle(&mut self) {
        while !self.opening.is_empty() || !self.mail.is_empty() {
            self.open();
            self.deliver();
        }
    }

    fn open(&mut self) {
        let Some((worker, ask, local)) = self.opening.pop_front() else { return };
        let result = if self.taken.insert(local) {
            self.sockets += 1;
            let socket = SocketId(SocketId::OWN + self.sockets);
            self.rules.bound(socket, local);
            Ok(Bound { socket, local })
        } else {
            Err(Unbound::InUse)
        };
        self.input(worker, Input::Relay { ask, result });
    }

    fn deliver(&mut self) {
        let Some((worker, mail)) = self.mail.pop_front() else { return };
        match mail {
            Mail::Claim { from, ask, token, user } => {
                self.input(worker, Input::Claim { from, ask, token, user })
            }
            Mail::Letter(letter) => self.input(worker, Input::Letter(letter)),
            Mail::Grant { ask, granted } => self.input(worker, Input::Claimed { ask, granted }),
        }
    }

    /// A server says something to a client.
    fn answer(&mut self, worker: usize, flow: Flow, bytes: &[u8]) {
        let answer = Message::parse(bytes).expect("what we send is STUN");
        assert_ne!(answer.fingerprint(), Some(false));
        if answer.class() == Class::Indication {
            assert_eq!(answer.method(), Method::CONNECTION_ATTEMPT);
            return self.attempted(worker, flow, &answer);
        }
        let whose = |person: &Person| match (flow, person.client.flow) {
            (Flow::Datagram { peer, .. }, Flow::Datagram { peer: theirs, .. }) => peer.ip() == theirs.ip(),
            _ => person.hears(flow),
        };
        let who = self.people.iter().position(whose).expect("somebody is answered");
        let person = &mut self.people[who];
        let asked =
            person.asked.get_mut(&(answer.transaction(), answer.method())).expect("a request is answered");
        asked.answered += 1;
        assert!(asked.answered <= asked.sent, "one answer to each request: {answer:?}");
        assert!(matches!(answer.class(), Class::Success | Class::Error));
        if answer.integrity().is_none()
            && person.client.transport == Transport::Udp
            && bytes.len() > 2 * asked.length
        {
            // A source's budget of long answers, at each worker: a tenth of the others.
            person.long_answers[worker] += 1;
            assert!(
                person.long_answers[worker] <= 51,
                "too many answers of {} octets to {}",
                bytes.len(),
                asked.length
            );
        }
        let is_permit = matches!(answer.method(), Method::CREATE_PERMISSION | Method::CHANNEL_BIND);
        let peers = if is_permit && answer.class() == Class::Success { asked.peers.clone() } else { vec![] };
        learn(person, &answer);
        if !peers.is_empty() {
            let session = self.session(worker, flow).expect("only an allocation has permissions");
            self.rules.permit(self.now, session.id, &peers);
        }
    }

    pub(super) fn session(&self, worker: usize, flow: Flow) -> Option<Session> {
        self.servers[worker].sessions().find(|session| session.client.flow == flow)
    }

    /// Every relay's address as the world sees it, in an order that repeats.
    fn relays(&self) -> Vec<SocketAddr> {
        let sessions = self.servers.iter().flat_map(Server::sessions);
        let mut relays: Vec<_> =
            sessions.flat_map(|session| [Some(session.relayed), session.second]).flatten().collect();
        relays.sort_unstable();
        relays
    }
}

/// What a client keeps of an answer.
fn learn(person: &mut Person, answer: &Message<'_>) {
    if let Ok(Some(Nonce(nonce))) = answer.get() {
        person.nonce = nonce.into();
    }
    if let Ok(Some(connection)) = answer.get::<PeerConnection>() {
        person.connections.push(connection);
        if person.connections.len() > 4 {
            person.connections.remove(0);
        }
    }
    if let Ok(Some(MobilityTicket(ticket))) = answer.get() {
        person.ticket = ticket.to_vec();
    }
    if let Ok(Some(Realm(realm))) = answer.get() {
        person.realm = realm.into();
    }
    if let Ok(Some(token)) = answer.get::<ReservationToken>() {
        person.tokens.push(token);
        if person.tokens.len() > 4 {
            person.tokens.remove(0);
        }
    }
}
