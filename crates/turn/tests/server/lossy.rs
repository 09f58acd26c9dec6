//! A client, a server and an echoing peer on a bad network, for an hour of virtual time: retransmissions are recognised,
//! allocation, permission and channel live as long as they are refreshed, and end by themselves afterwards.

use crate::bench::{
    Attribute, Bench, User, address, channel, config, ip, lifetime, peer_address, signed, transport,
    unsigned, user,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::attribute::{ErrorCode, Nonce};
use stun::{Class, Message, Method, TransactionId};
use testkit::{Conditions, Host, Packet, Simulation};
use turn::server::Bound;
use turn::{Client, Config, Input, Output, Relays, Server, Verdict, Way};
use wire::{Flow, Machine, SocketId, Transport};

const LISTENER: &str = "198.51.100.1:3478";
const PEER: &str = "203.0.113.7:4000";

/// A server whose sockets are the network's.
struct House {
    server: Server,
    relays: HashMap<SocketAddr, SocketId>,
    opened: u32,
    out: Vec<Packet>,
    ended: u32,
}

impl House {
    fn new() -> Self {
        let addresses = vec![ip("198.51.100.1")];
        let relays = Relays { addresses, ..Relays::default() };
        let server = Bench::with(Config { relays, ..config() }).server;
        Self { server, relays: HashMap::new(), opened: 0, out: vec![], ended: 0 }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.out.push(Packet { from, to, bytes: bytes.to_vec() });
    }

    fn forward(&mut self, to: Way, bytes: &[u8]) {
        match to {
            Way::Peer { socket, peer, .. } => {
                let from = *self.relays.iter().find(|(_, id)| **id == socket).unwrap().0;
                self.send(from, peer, bytes);
            }
            Way::Client(Flow::Datagram { peer, .. }) => self.send(address(LISTENER), peer, bytes),
            Way::Relay { .. } => unreachable!("the peer is no relay"),
            Way::Client(Flow::Stream(_)) => unreachable!("every client here sends datagrams"),
        }
    }

    fn client_sends(&mut self, now: Instant, packet: &Packet) {
        let flow = Flow::Datagram { socket: SocketId(1), local: ip("198.51.100.1"), peer: packet.from };
        match self.server.from_client(now, flow, &packet.bytes) {
            Verdict::Forward { to, range } => self.forward(to, &packet.bytes[range]),
            Verdict::Slow => {
                let local = ip("198.51.100.1");
                let client = Client { flow, transport: Transport::Udp, local, peer: packet.from };
                self.server.handle(now, Input::Message { client, bytes: &packet.bytes });
                self.outputs(now);
            }
            Verdict::Drop => {}
        }
    }

    fn peer_sends(&mut self, now: Instant, socket: SocketId, packet: &Packet) {
        let mut frame = [&[0; 64][..], &packet.bytes].concat();
        if let Verdict::Forward { to, range } =
            self.server.from_peer(now, socket, packet.from, &mut frame, 64)
        {
            self.forward(to, &frame[range]);
        }
    }

    fn outputs(&mut self, now: Instant) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { flow, bytes } => self.forward(Way::Client(flow), &bytes),
                Output::OpenRelay { ask, local } => {
                    self.opened += 1;
                    let socket = SocketId(SocketId::OWN + self.opened);
                    self.relays.insert(local, socket);
                    self.server.handle(now, Input::Relay { ask, result: Ok(Bound { socket, local }) });
                }
                Output::CloseRelay(socket) => self.relays.retain(|_, id| *id != socket),
                Output::Ended(..) => self.ended += 1,
                _ => {}
            }
        }
    }
}

impl Host for House {
    fn owns(&self, to: SocketAddr) -> bool {
        to == address(LISTENER) || self.relays.contains_key(&to)
    }
    fn receive(&mut self, now: Instant, packet: &Packet) {
        match self.relays.get(&packet.to) {
            Some(socket) => self.peer_sends(now, *socket, packet),
            None => self.client_sends(now, packet),
        }
    }
    fn transmit(&mut self) -> Option<Packet> {
        self.out.pop()
    }
    fn deadline(&self) -> Option<Instant> {
        self.server.deadline()
    }
    fn tick(&mut self, now: Instant) {
        self.server.tick(now);
        self.outputs(now);
    }
}

/// Sends back whatever comes.
#[derive(Default)]
struct Echo(Vec<Packet>);

impl Host for Echo {
    fn owns(&self, to: SocketAddr) -> bool {
        to == address(PEER)
    }
    fn receive(&mut self, _: Instant, packet: &Packet) {
        self.0.push(Packet { from: packet.to, to: packet.from, bytes: packet.bytes.clone() });
    }
    fn transmit(&mut self) -> Option<Packet> {
        self.0.pop()
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn tick(&mut self, _: Instant) {}
}

/// A request under way: sent again after 0.5 s, 1 s, 2 s … (RFC 8489 §6.2.1).
struct Request {
    bytes: Vec<u8>,
    again: Instant,
    wait: Duration,
}

/// A client that does one thing after the other, then sends one ChannelData a second and refreshes all it has.
struct Caller {
    user: User,
    steps: Vec<(Method, Vec<Attribute>)>,
    request: Option<Request>,
    number: u8,
    next: Instant,
    left: u32,
    out: Vec<Packet>,
    sent: u32,
    echoed: u32,
    refused: Vec<u16>,
}

impl Caller {
    fn new(now: Instant, seconds: u32) -> Self {
        let bind = (Method::CHANNEL_BIND, vec![channel(0x4000), peer_address(PEER)]);
        let mut caller = Self {
            user: user("roland", "192.0.2.1:5000"),
            steps: vec![bind, (Method::ALLOCATE, vec![transport(17)])],
            request: None,
            number: 0,
            next: now,
            left: seconds,
            out: vec![],
            sent: 0,
            echoed: 0,
            refused: vec![],
        };
        caller.begin(now);
        caller
    }

    /// Begins the next step.
    fn begin(&mut self, now: Instant) {
        self.number = self.number.wrapping_add(1);
        let transaction = TransactionId([self.number; 12]);
        let Some((method, attributes)) = self.steps.last() else { return };
        let bytes = match self.user.nonce.is_empty() {
            true => unsigned(transaction, *method, attributes),
            false => signed(&self.user, *method, transaction, attributes),
        };
        let wait = Duration::from_millis(500);
        self.send(&bytes);
        self.request = Some(Request { bytes, again: now + wait, wait });
    }

    fn send(&mut self, bytes: &[u8]) {
        let packet = Packet { from: self.user.client.peer, to: address(LISTENER), bytes: bytes.to_vec() };
        self.out.push(packet);
    }

    fn answer(&mut self, now: Instant, message: &Message<'_>) {
        let is_ours = message.transaction() == TransactionId([self.number; 12]);
        if self.request.is_none() || !is_ours {
            return;
        }
        self.request = None;
        if message.class() == Class::Success {
            self.steps.pop();
        } else {
            let ErrorCode { code, .. } = message.get().unwrap().unwrap();
            match message.get::<Nonce<'_>>().unwrap() {
                Some(Nonce(nonce)) => self.user.nonce = nonce.into(),
                None => self.refused.push(code),
            }
        }
        self.begin(now);
    }

    fn talk(&mut self, now: Instant) {
        self.next = now + Duration::from_secs(1);
        self.left -= 1;
        self.send(b"\x40\0\0\x05hello");
        self.sent += 1;
        if self.left.is_multiple_of(200) {
            self.steps.push((Method::CHANNEL_BIND, vec![channel(0x4000), peer_address(PEER)]));
            self.steps.push((Method::REFRESH, vec![lifetime(600)]));
            self.begin(now);
        }
    }
}

impl Host for Caller {
    fn owns(&self, to: SocketAddr) -> bool {
        to == self.user.client.peer
    }
    fn receive(&mut self, now: Instant, packet: &Packet) {
        match packet.bytes[0] {
            0x40 => self.echoed += u32::from(packet.bytes == b"\x40\0\0\x05hello"),
            _ => self.answer(now, &Message::parse(&packet.bytes).unwrap()),
        }
    }
    fn transmit(&mut self) -> Option<Packet> {
        self.out.pop()
    }
    fn deadline(&self) -> Option<Instant> {
        let again = self.request.as_ref().map(|request| request.again);
        again.into_iter().chain((self.left > 0).then_some(self.next)).min()
    }
    fn tick(&mut self, now: Instant) {
        if let Some(mut request) = self.request.take_if(|request| request.again <= now) {
            request.wait *= 2;
            request.again = now + request.wait;
            let bytes = request.bytes.clone();
            self.request = Some(request);
            self.send(&bytes);
        }
        if self.left > 0 && self.next <= now {
            self.talk(now);
        }
    }
}

/// An hour of talk under these conditions: how many of 3600 came back, and what was refused.
fn hour(seed: u64, conditions: Conditions) -> (u32, Vec<u16>) {
    let mut world = Simulation::new(seed, conditions);
    let (mut house, mut echo) = (House::new(), Echo::default());
    let mut caller = Caller::new(world.now(), 3600);
    world.run(&mut [&mut house, &mut echo, &mut caller], Duration::from_secs(3600));
    assert_eq!((caller.sent, house.opened, house.ended), (3600, 1, 0), "one allocation for the hour");
    world.run(&mut [&mut house, &mut echo, &mut caller], Duration::from_secs(700));
    assert_eq!((house.ended, house.relays.len()), (1, 0), "and it ends by itself");
    (caller.echoed, caller.refused)
}

#[test]
fn an_hour_on_a_good_network() {
    let (echoed, refused) = hour(1, Conditions::default());
    assert_eq!(refused, [0; 0]);
    // The first second's word is sent before there is a channel.
    assert_eq!(echoed, 3599);
}

#[test]
fn an_hour_on_a_bad_network() {
    for seed in 1..=8 {
        let (echoed, refused) = hour(seed, Conditions::bad());
        assert_eq!(refused, [0; 0], "seed {seed}");
        // Four legs, each losing one in five and doubling one in ten: about 0.88 to the fourth of 3600.
        assert!((1800..2700).contains(&echoed), "seed {seed}: {echoed}");
    }
}
