//! The clients: how each reaches us, who it says it is, what it has asked, what it was told.

use super::house::{CORNERS, PASSWORDS, PLAIN, REALM, at, ip};
use super::world::WORKERS;
use std::collections::HashMap;
use std::net::IpAddr;
use stun::attribute::{PeerConnection, ReservationToken};
use stun::{Method, TransactionId};
use turn::Client;
use wire::{ConnectionId, Flow, SocketId, Transport, WorkerId};

/// A request on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) length: usize,
    /// How often it was sent, and how often it was answered.
    pub(super) sent: usize,
    pub(super) answered: usize,
    /// The peers that it names (or another one of the same transaction, where octets were changed).
    pub(super) peers: Vec<IpAddr>,
}

pub(super) struct Person {
    pub(super) worker: usize,
    pub(super) client: Client,
    pub(super) name: &'static str,
    pub(super) password: &'static str,
    pub(super) realm: String,
    pub(super) nonce: String,
    /// The last message, to be sent again.
    pub(super) last: Vec<u8>,
    /// What has come on the stream and is not taken yet.
    pub(super) stream: Vec<u8>,
    pub(super) asked: HashMap<(TransactionId, Method), Asked>,
    pub(super) tokens: Vec<ReservationToken>,
    /// Peers' connections that it has heard of.
    pub(super) connections: Vec<PeerConnection>,
    /// What lets it take its allocation along (RFC 8016).
    pub(super) ticket: Vec<u8>,
    /// Where it was before, on streams.
    pub(super) former: Vec<Flow>,
    /// Whether its stream is joined to a peer's: no messages any more.
    pub(super) is_joined: bool,
    /// Answers of each worker that were longer than twice the request, since time went on.
    pub(super) long_answers: [u32; WORKERS],
}

impl Person {
    fn new(worker: usize, transport: Transport, socket: SocketId, name: &'static str, peer: &str) -> Self {
        let peer = at(peer);
        let corner = CORNERS.iter().find(|(corner, _)| *corner == socket);
        let local = match corner {
            Some((_, address)) => at(address).ip(),
            None if peer.is_ipv6() => ip("2001:db8::1"),
            None => ip("198.51.100.1"),
        };
        let flow = match transport {
            Transport::Udp => Flow::Datagram { socket, local, peer },
            _ => Flow::Stream(ConnectionId {
                worker: WorkerId(u16::try_from(worker).expect("two workers")),
                slot: peer.port().into(),
                generation: 0,
            }),
        };
        Self {
            worker,
            client: Client { flow, transport, local, peer },
            name,
            password: PASSWORDS[0],
            realm: REALM.into(),
            nonce: String::new(),
            last: Vec::new(),
            stream: Vec::new(),
            asked: HashMap::new(),
            tokens: Vec::new(),
            connections: Vec::new(),
            ticket: Vec::new(),
            former: Vec::new(),
            is_joined: false,
            long_answers: [0; WORKERS],
        }
    }

    /// Whether what goes this way reaches it; streams that it has left are open until they break.
    pub(super) fn hears(&self, flow: Flow) -> bool {
        self.client.flow == flow || self.former.contains(&flow)
    }

    /// The next connection from the same place.
    pub(super) fn reconnect(&mut self) {
        if let Flow::Stream(connection) = &mut self.client.flow {
            connection.generation += 1;
            self.worker = connection.worker.0.into();
        }
        self.stream.clear();
        self.is_joined = false;
    }
}

/// Everybody.
pub(super) fn everybody() -> Vec<Person> {
    vec![
        Person::new(0, Transport::Udp, PLAIN, "roland", "192.0.2.1:5000"),
        Person::new(0, Transport::Udp, PLAIN, "joe", "192.0.2.2:5000"),
        Person::new(1, Transport::Udp, PLAIN, "roland", "192.0.2.3:5000"),
        Person::new(0, Transport::Udp, PLAIN, "roland@falcot.com", "[2001:db8:5::1]:5000"),
        Person::new(0, Transport::Tcp, PLAIN, "roland", "192.0.2.4:5001"),
        Person::new(1, Transport::Tls, PLAIN, "joe", "192.0.2.5:5002"),
        Person::new(0, Transport::Dtls, PLAIN, "joe", "192.0.2.6:5003"),
        Person::new(1, Transport::Udp, CORNERS[0].0, "roland", "192.0.2.7:5000"),
    ]
}
