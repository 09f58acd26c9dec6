//! What stacks want: messages reach people, questions are answered, at once or late, or never.

use super::books::Place;
use super::house::{self, WORKERS};
use super::people::Letter;
use super::world::{Debt, Stream, World, stream_key};
use crate::tape::Tape;
use sip::proxy::media::{Kind, Over};
use sip::registrar::Row;
use sip::stack::{Input, Output, Token};
use sip::{Message, Parcel};
use std::net::SocketAddr;
use wire::names::Found;
use wire::{ConnectionId, Transport, WorkerId};

impl World {
    pub(super) fn effect(&mut self, worker: usize, output: Output) {
        match output {
            Output::Send { socket, local, to, bytes } => {
                assert!(matches!(socket.0, 1 | 2), "a listener of ours");
                assert!(local.is_none_or(|ip| ip.is_ipv4() == to.is_ipv4()), "from {local:?} to {to}");
                self.out(Place::Datagrams(to), &bytes, None);
            }
            Output::Write { conn, bytes } => self.write(worker, conn, &bytes),
            Output::Close { conn } => {
                assert_eq!(usize::from(conn.worker.0), worker, "a stream belongs to one worker");
                self.stream_is_gone(conn);
            }
            Output::Connect { token, transport, to, .. } => {
                assert!(transport.is_stream() && to.port() != 0);
                assert!(!(to.ip().is_loopback() || to.ip().is_multicast()), "to nobody: {to}");
                self.debts.push_back((worker, Debt::Connect { token, transport, to }));
            }
            Output::Store { token, address, rows, fewer } => {
                self.debts.push_back((worker, Debt::Store { token, address, rows, fewer }));
            }
            Output::Locate { token, address } => {
                self.debts.push_back((worker, Debt::Locate { token, address }))
            }
            Output::Resolve { token, question } => {
                self.debts.push_back((worker, Debt::Resolve { token, question }));
            }
            Output::Proof { .. } => {}
            // Nobody has to answer it, and nobody may know of it.
            Output::TurnedAway { .. } => self.books.is_lossy = true,
            Output::Media { token, passage } => {
                self.books.is_lossy |= self.is_slow;
                let is_request = passage.kind == Kind::Request;
                self.relays.extend(passage.fork.filter(|_| is_request).map(|(fork, _)| fork));
                self.debts.push_back((worker, Debt::Media { token, has_body: !passage.body.is_empty() }));
            }
            Output::MediaOver(Over::Fork { fork, .. }) => drop(self.relays.remove(&fork)),
            Output::MediaOver(Over::Dialog { .. }) => {}
            Output::HandOver { to, parcel } => {
                assert!(to.0 < WORKERS && usize::from(to.0) != worker, "another worker, {to:?}");
                self.books.is_lossy |= self.is_slow;
                self.debts.push_back((to.0.into(), Debt::Parcel(parcel)));
            }
        }
    }

    fn write(&mut self, worker: usize, conn: ConnectionId, bytes: &[u8]) {
        assert_eq!(usize::from(conn.worker.0), worker, "a stream belongs to one worker");
        let Some(stream) = self.streams.get(&stream_key(conn)) else { return };
        if bytes != b"\r\n" {
            self.out(Place::Stream(conn, stream.peer), bytes, stream.who);
        }
    }

    /// A message has left: the books know, and whoever is there gets it.
    fn out(&mut self, to: Place, bytes: &[u8], who: Option<usize>) {
        let is_response = bytes.starts_with(b"SIP/2.0 ");
        match is_response {
            true => self.books.answer(self.now, to, bytes),
            false => self.books.leave(self.now, to, bytes),
        }
        let (who, conn) = match to {
            Place::Stream(conn, _) => (who, Some(conn)),
            Place::Datagrams(at) if is_us(at) => {
                let from = if at.is_ipv4() { "192.0.2.1:5060" } else { "[2001:db8::1]:5060" };
                let mirror = Debt::Mirror { from: house::at(from), bytes: bytes.to_vec() };
                self.debts.push_back((self.serial as usize % self.stacks.len(), mirror));
                return;
            }
            Place::Datagrams(at) => (self.at(at, Transport::Udp), None),
        };
        let (Some(who), Ok(message)) = (who, Message::parse(bytes)) else { return };
        let letter = Letter { bytes: bytes.to_vec(), conn };
        match is_response {
            true => self.people[who].gets_answer(&message, letter),
            false => self.people[who].gets_request(letter),
        }
    }

    /// Who is at an address; behind NAT, one port is as good as another.
    fn at(&self, address: SocketAddr, transport: Transport) -> Option<usize> {
        let is_there = |person: &&super::people::Person| {
            person.peer.ip() == address.ip()
                && (person.transport == Transport::Udp) == (transport == Transport::Udp)
        };
        self.people.iter().position(|person| is_there(&person))
    }

    /// Pays one debt in full.
    pub(super) fn pay(&mut self, worker: usize, debt: Debt) {
        match debt {
            Debt::Connect { token, transport, to } => self.connected(worker, token, transport, to),
            Debt::Store { token, address, mut rows, fewer } => {
                let count = rows.len();
                let before = self.disk.remove(&address).unwrap_or_default().into_iter();
                let is_new = |row: &Row| rows.iter().any(|new| new.place == row.place);
                let stays = |row: &Row| !(is_new(row) || fewer && usize::from(row.place) >= count);
                let before: Vec<Row> = before.filter(stays).collect();
                rows.extend(before);
                match rows.is_empty() {
                    true => self.disk.remove(&address),
                    false => self.disk.insert(address, rows),
                };
                self.input(worker, Input::Stored { token, durable: true });
            }
            Debt::Locate { token, address } => {
                let home = usize::from(address.home(WORKERS).0);
                let contacts = Some(self.stacks[home].contacts(self.now, &address));
                self.input(worker, Input::Located { token, contacts });
            }
            Debt::Resolve { token, question } => {
                let found = house::find(&question);
                self.input(worker, Input::Resolved { token, found, random: u64::from(self.serial) });
            }
            Debt::Media { token, has_body } => {
                let body = has_body.then(|| b"v=0\r\nc=IN IP4 192.0.2.50\r\n".to_vec());
                self.input(worker, Input::Mediated { token, body });
            }
            Debt::Parcel(parcel) => self.input(worker, Input::HandedOver { parcel }),
            Debt::Mirror { from, bytes } => {
                // What we answer ourselves is an answer like any.
                self.books.answered(self.now, &bytes);
                self.datagram(worker, from, &bytes);
            }
        }
    }

    fn connected(&mut self, worker: usize, token: Token, transport: Transport, to: SocketAddr) {
        if !self.takes_connections || is_us(to) {
            return self.input(worker, Input::Refused { token, why: "refused".into() });
        }
        let conn =
            self.next_stream(worker, Stream { who: self.at(to, transport), peer: to, is_spoilt: false });
        let local =
            SocketAddr::new(house::ip(if to.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" }), 40_000);
        let (token, domains) = (Some(token), Box::default());
        self.input(worker, Input::Opened { conn, transport, local, peer: to, token, domains });
    }

    pub(super) fn next_stream(&mut self, worker: usize, stream: Stream) -> ConnectionId {
        self.slots += 1;
        let conn = ConnectionId { worker: WorkerId(worker as u16), slot: self.slots, generation: 0 };
        self.streams.insert(stream_key(conn), stream);
        conn
    }

    /// Somebody's stream, opened where there is none.
    pub(super) fn stream_of(&mut self, who: usize) -> ConnectionId {
        if let Some(conn) = self.people[who].conn.filter(|conn| self.is_good(*conn)) {
            return conn;
        }
        let (worker, peer, transport) =
            (self.people[who].worker, self.people[who].peer, self.people[who].transport);
        let conn = self.next_stream(worker, Stream { who: Some(who), peer, is_spoilt: false });
        self.people[who].conn = Some(conn);
        let port = match transport {
            Transport::Tls => 5061,
            Transport::Ws => 5080,
            Transport::Wss => 5443,
            _ => 5060,
        };
        let local = SocketAddr::new(house::ip("192.0.2.1"), port);
        let domains = Box::default();
        self.input(worker, Input::Opened { conn, transport, local, peer, token: None, domains });
        conn
    }

    /// The world is slow from now on, or quick; or one thing that it owes is done, or fails.
    pub(super) fn world_answers(&mut self, tape: &mut Tape<'_>) {
        match tape.below(8) {
            0 => self.is_slow = !self.is_slow,
            1 => self.takes_connections = !self.takes_connections,
            2 => self.stranger_answers(tape),
            3 => self.fail_one(tape),
            _ => {
                if let Some((worker, debt)) = self.some_debt(tape) {
                    self.pay(worker, debt);
                }
            }
        }
    }

    /// Something that is owed: of what is written or handed over to the same worker, the first.
    fn some_debt(&mut self, tape: &mut Tape<'_>) -> Option<(usize, Debt)> {
        let which = tape.below(self.debts.len());
        let (worker, debt) = self.debts.get(which)?;
        let kind = std::mem::discriminant(debt);
        let is_like = |(other, debt): &(usize, Debt)| other == worker && std::mem::discriminant(debt) == kind;
        let is_ordered = matches!(debt, Debt::Store { .. } | Debt::Parcel(_));
        let which = if is_ordered { self.debts.iter().position(is_like)? } else { which };
        self.debts.remove(which)
    }

    /// One thing that the world owes fails, or never comes.
    fn fail_one(&mut self, tape: &mut Tape<'_>) {
        let Some((worker, debt)) = self.some_debt(tape) else { return };
        if tape.byte() & 3 == 3 {
            self.books.is_lossy |= matches!(debt, Debt::Parcel(_));
            // The other worker's streams are not told of what is lost.
            return;
        }
        match debt {
            Debt::Connect { token, .. } => {
                self.input(worker, Input::Refused { token, why: "refused".into() })
            }
            Debt::Store { token, .. } => self.input(worker, Input::Stored { token, durable: false }),
            Debt::Locate { token, .. } => self.input(worker, Input::Located { token, contacts: None }),
            Debt::Resolve { token, .. } => {
                let found = Found::Addresses(Vec::new());
                self.input(worker, Input::Resolved { token, found, random: 0 });
            }
            Debt::Parcel(parcel) => {
                self.books.is_lossy = true;
                let from = 1 - worker;
                self.input(from, Input::NotHandedOver { parcel });
            }
            Debt::Media { token, .. } => self.input(worker, Input::Mediated { token, body: None }),
            Debt::Mirror { .. } => {}
        }
    }

    /// Answers to questions that nobody asked, or not so.
    fn stranger_answers(&mut self, tape: &mut Tape<'_>) {
        let (worker, token) = (tape.below(self.stacks.len()), Token::from(tape.byte()) + (1 << 40));
        match tape.below(5) {
            0 => self.input(worker, Input::Refused { token, why: "refused".into() }),
            1 => self.input(worker, Input::Stored { token, durable: tape.byte() & 1 == 0 }),
            2 => self.input(worker, Input::Located { token, contacts: None }),
            3 => {
                let conn = ConnectionId { worker: WorkerId(worker as u16), slot: 0, generation: 9 };
                self.input(worker, Input::Received { conn, bytes: b"OPTIONS" });
            }
            _ => {
                let conn = ConnectionId { worker: WorkerId(worker as u16), slot: 0, generation: 9 };
                self.input(worker, Input::HandedOver { parcel: Parcel::Closed { conn } });
            }
        }
    }
}

fn is_us(at: SocketAddr) -> bool {
    at.ip() == house::ip("192.0.2.1") || at.ip() == house::ip("2001:db8::1")
}
