//! The world around the stacks: what a tape says happens, and what must be true after it.

use super::books::{Books, Place, Sum};
use super::house::{self, BINDINGS, WORKERS};
use super::people::{Person, everybody};
use crate::tape::Tape;
use sip::Parcel;
use sip::proxy::media::Fork;
use sip::registrar::Row;
use sip::stack::{Everybody, Input, Stack, Strangers, Token};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::names::Question;
use wire::{Address, ConnectionId, Epoch, Machine, Transport};

const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);

/// What one input may bring about at most: a call can pass this server as often as its breadth and its hops allow.
const MOST: usize = 40_000;

/// What the world owes a stack.
#[derive(Debug)]
pub(super) enum Debt {
    Connect {
        token: Token,
        transport: Transport,
        to: SocketAddr,
    },
    Store {
        token: Token,
        address: Address,
        rows: Vec<Row>,
        fewer: bool,
    },
    Locate {
        token: Token,
        address: Address,
    },
    Resolve {
        token: Token,
        question: Question,
    },
    Media {
        token: Token,
        has_body: bool,
    },
    Parcel(Parcel),
    /// A datagram of ours to ourselves.
    Mirror {
        from: SocketAddr,
        bytes: Vec<u8>,
    },
}

/// An open stream: whose it is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) who: Option<usize>,
    pub(super) peer: SocketAddr,
    /// Something was begun on it that does not end.
    pub(super) is_spoilt: bool,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) stacks: Vec<Stack>,
    pub(super) variant: u8,
    pub(super) books: Books,
    pub(super) people: Vec<Person>,
    pub(super) streams: BTreeMap<ConnectionIdKey, Stream>,
    pub(super) slots: u32,
    /// Who acted last.
    actor: usize,
    pub(super) serial: u32,
    pub(super) disk: BTreeMap<Address, Vec<Row>>,
    pub(super) debts: VecDeque<(usize, Debt)>,
    /// Whether what stacks want of the world takes its time.
    pub(super) is_slow: bool,
    /// Whether the other ends of our connections take them.
    pub(super) takes_connections: bool,
    /// What came since somebody last acted.
    pub(super) effects: usize,
    pub(super) is_draining: bool,
    /// Forks whose media may be relayed.
    pub(super) relays: HashSet<Fork>,
    /// Whether all that happens is told, for people.
    pub(super) is_aloud: bool,
}

/// Streams in an order that repeats.
pub(super) type ConnectionIdKey = (u16, u32);

pub(super) fn stream_key(conn: ConnectionId) -> ConnectionIdKey {
    (conn.worker.0, conn.slot)
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "time starts somewhere; all that counts is what passes after it"
    )]
    pub(super) fn new(variant: u8) -> Self {
        let now = Instant::now() + Duration::from_secs(86_400);
        let epoch = Epoch { instant: now, unix: YEAR_2026 };
        let strangers: Arc<dyn Strangers> = match variant & 16 == 0 {
            true => Arc::new(Everybody),
            false => Arc::new(house::Crowded::default()),
        };
        let stack = |me| {
            let mut stack = Stack::new(house::config(me, variant), house::accounts(true), epoch);
            stack.set_strangers(Arc::clone(&strangers));
            stack
        };
        Self {
            now,
            stacks: (0..usize::from(WORKERS)).map(stack).collect(),
            variant,
            books: Books::new(variant & 8 != 0),
            people: everybody(),
            streams: BTreeMap::new(),
            slots: 0,
            actor: 0,
            serial: 0,
            disk: BTreeMap::new(),
            debts: VecDeque::new(),
            is_slow: false,
            takes_connections: true,
            effects: 0,
            is_draining: false,
            relays: HashSet::new(),
            is_aloud: false,
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self, tape: &mut Tape<'_>) {
        self.effects = 0;
        match tape.below(26) {
            0..=3 => self.phone_answers(tape),
            4 | 5 => self.person_calls(tape),
            6 | 7 => self.person_registers(tape),
            8..=10 => self.person_asks(tape),
            11 => self.person_cancels(tape),
            12 => self.person_acknowledges(tape),
            13 => self.person_speaks_in_dialog(tape),
            14 => self.person_repeats(tape),
            15 | 16 => self.time_passes(tape),
            17 => self.stream_breaks(tape),
            18 => self.world_answers(tape),
            19 => self.administrator_acts(tape),
            20 => self.person_sends_noise(tape),
            21 => self.network_complains(tape),
            22 => self.echo(tape),
            23 => self.everybody_registers(tape),
            _ => self.whole_call(tape),
        }
        if !self.is_slow {
            self.settle();
        }
    }

    /// What must be true now.
    pub(super) fn check(&mut self) {
        for (worker, stack) in self.stacks.iter().enumerate() {
            assert!(
                stack.transactions() <= house::transactions(self.variant),
                "{} transactions",
                stack.transactions()
            );
            assert!(stack.calls().len() <= house::CALLS, "{} calls", stack.calls().len());
            assert!(stack.unanswered() <= stack.transactions(), "what is not answered is a transaction");
            let open = self.streams.keys().filter(|(owner, _)| usize::from(*owner) == worker).count();
            assert_eq!(stack.streams(), open, "the streams that there are");
            let registrar = stack.registrar();
            for address in registrar.addresses() {
                assert_eq!(usize::from(address.home(WORKERS).0), worker, "bindings are at home");
                let count = registrar.bindings(address).len();
                assert!((1..=BINDINGS).contains(&count), "{count} bindings");
                if stack.storage().unsaved() == 0 {
                    assert_eq!(
                        self.disk.get(address).map(Vec::len),
                        Some(count),
                        "the disk has what it took"
                    );
                }
            }
        }
    }

    /// Everybody goes silent: all ends by itself.
    pub(super) fn end(&mut self) -> Sum {
        (self.is_slow, self.effects) = (false, 0);
        self.settle();
        for _ in 0..4 {
            self.effects = 0;
            self.pass(Duration::from_secs(4000));
            self.check();
        }
        for stack in &self.stacks {
            assert_eq!((stack.transactions(), stack.unanswered(), stack.streams()), (0, 0, 0));
            assert!(stack.registrar().is_empty(), "every binding has ended");
            assert_eq!(stack.storage().unsaved(), 0, "the disk has what it lacked");
            assert_eq!(stack.deadline(), None, "nothing is left to wait for");
        }
        assert!(self.disk.is_empty() && self.streams.is_empty());
        assert!(self.relays.is_empty(), "whoever relays is told when it is over: {:?}", self.relays);
        self.books.end();
        self.books.sum
    }

    /// Mostly the same as before, so that plays get somewhere.
    pub(super) fn who(&mut self, tape: &mut Tape<'_>) -> usize {
        let byte = tape.byte();
        if byte >= 0x40 {
            self.actor = usize::from(byte) % self.people.len();
        }
        self.actor
    }

    pub(super) fn actor_is(&mut self, who: usize) {
        self.actor = who;
    }

    fn time_passes(&mut self, tape: &mut Tape<'_>) {
        let millis = match tape.below(9) {
            0 => return self.until_deadline(),
            n => [1, 210, 600, 4_100, 11_000, 33_000, 200_000, 3_700_000][n - 1],
        };
        self.pass(Duration::from_millis(millis));
    }

    /// To the very moment that a stack waits for.
    fn until_deadline(&mut self) {
        if let Some(deadline) = self.stacks.iter().filter_map(Stack::deadline).min() {
            self.pass(deadline.saturating_duration_since(self.now));
        }
    }

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticks = 0;
        while let Some(next) =
            self.stacks.iter().filter_map(Stack::deadline).min().filter(|next| *next <= end)
        {
            self.now = self.now.max(next);
            for worker in 0..self.stacks.len() {
                self.stacks[worker].tick(self.now);
                self.carry_out(worker);
            }
            if !self.is_slow {
                self.settle();
            }
            ticks += 1;
            assert!(ticks < 100_000, "time stands still");
            self.effects = 0;
        }
        self.now = end;
    }

    #[expect(clippy::print_stderr, reason = "for whoever looks into a play")]
    fn tell(&self, worker: usize, what: &dyn std::fmt::Debug) {
        if self.is_aloud {
            eprintln!("{worker}: {what:?}");
        }
    }

    // What stacks are told.

    pub(super) fn input(&mut self, worker: usize, input: Input<'_>) {
        self.tell(worker, &input);
        self.stacks[worker].handle(self.now, input);
        self.carry_out(worker);
    }

    /// Does what a stack wants, or makes it a debt.
    pub(super) fn carry_out(&mut self, worker: usize) {
        while let Some(output) = self.stacks[worker].poll() {
            self.effects += 1;
            self.tell(worker, &output);
            assert!(self.effects < MOST, "one thing brings about too much: {output:?}");
            self.effect(worker, output);
        }
    }

    /// Does all that the world owes.
    pub(super) fn settle(&mut self) {
        while let Some((worker, debt)) = self.debts.pop_front() {
            self.pay(worker, debt);
        }
    }

    /// A request or response of somebody comes to us, by its stream or as a datagram.
    pub(super) fn bring(&mut self, who: usize, conn: Option<ConnectionId>, bytes: &[u8]) {
        self.books.hear(self.people[who].peer, bytes);
        match conn {
            Some(conn) if self.is_good(conn) => {
                self.input(conn.worker.0.into(), Input::Received { conn, bytes });
            }
            Some(_) => {}
            None => {
                let Person { worker, peer, .. } = self.people[who];
                self.datagram(worker, peer, bytes);
            }
        }
    }

    /// Whether what somebody writes to a stream is read as it is.
    pub(super) fn is_good(&self, conn: ConnectionId) -> bool {
        self.streams.get(&stream_key(conn)).is_some_and(|stream| !stream.is_spoilt)
    }

    /// Nobody writes to a stream any more.
    pub(super) fn spoil(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.streams.get_mut(&stream_key(conn)) {
            stream.is_spoilt = true;
        }
    }

    pub(super) fn datagram(&mut self, worker: usize, peer: SocketAddr, bytes: &[u8]) {
        let (socket, local) = match peer.is_ipv4() {
            true => (wire::SocketId(1), house::ip("192.0.2.1")),
            false => (wire::SocketId(2), house::ip("2001:db8::1")),
        };
        self.input(worker, Input::Datagram { socket, local, peer, bytes });
    }

    pub(super) fn stream_is_gone(&mut self, conn: ConnectionId) {
        if let Some(stream) = self.streams.remove(&stream_key(conn)) {
            self.books.is_gone(Place::Stream(conn, stream.peer));
            self.input(conn.worker.0.into(), Input::Closed { conn });
        }
    }

    fn network_complains(&mut self, tape: &mut Tape<'_>) {
        let (worker, who) = (tape.below(self.stacks.len()), self.who(tape));
        let peer = self.people[who].peer;
        self.books.is_gone(Place::Datagrams(peer));
        self.input(worker, Input::Unreachable { peer });
    }

    fn stream_breaks(&mut self, tape: &mut Tape<'_>) {
        let keys: Vec<_> = self.streams.keys().copied().collect();
        if let Some((worker, slot)) = tape.pick(&keys) {
            let worker = wire::WorkerId(worker);
            self.stream_is_gone(ConnectionId { worker, slot, generation: 0 });
        }
    }

    fn administrator_acts(&mut self, tape: &mut Tape<'_>) {
        match tape.below(6) {
            0..=2 => {
                let accounts = house::accounts(tape.byte() & 3 != 0);
                for worker in 0..self.stacks.len() {
                    self.stacks[worker].set_directory(self.now, accounts.clone());
                    self.carry_out(worker);
                }
            }
            3 | 4 => {
                let authenticates = 3 * (tape.byte() & 1);
                for worker in 0..self.stacks.len() {
                    let config = house::config(worker, self.variant & !3 | authenticates);
                    // The calendar is set, too.
                    let epoch = Epoch { instant: self.now, unix: YEAR_2026 };
                    self.stacks[worker].set_config(config, epoch);
                }
            }
            _ => {
                self.is_draining = true;
                for worker in 0..self.stacks.len() {
                    self.stacks[worker].drain(self.now);
                    self.carry_out(worker);
                }
            }
        }
    }
}
