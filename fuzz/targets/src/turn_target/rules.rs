//! What must never happen, kept beside the servers: who has let whom in, what was bound, what went through.

use super::Reached;
use super::house::{LIMITS, ip};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use turn::allocation::SessionId;
use turn::{Session, Traffic};
use wire::SocketId;

/// Sockets and sessions of all workers, as they ought to be.
#[derive(Default)]
pub(super) struct Rules {
    /// The relays that are bound.
    pub(super) sockets: HashMap<SocketId, SocketAddr>,
    /// Whom each session's client has let in, and until when.
    permitted: HashMap<SessionId, HashMap<IpAddr, Instant>>,
    /// What went through each session when it was last looked at.
    seen: HashMap<SessionId, Traffic>,
    /// What went through the sessions that have ended.
    past: Traffic,
    /// What went through by the verdicts.
    told: Traffic,
    begun: u64,
    /// Whether packets may wait for their bandwidth: then they are counted before they are sent, or dropped.
    pub(super) is_paced: bool,
}

impl Rules {
    pub(super) fn bound(&mut self, socket: SocketId, local: SocketAddr) {
        assert!(self.sockets.insert(socket, local).is_none(), "{socket:?} is new");
    }

    /// Whose address is free again.
    pub(super) fn closed(&mut self, socket: SocketId) -> SocketAddr {
        self.sockets.remove(&socket).expect("a relay is closed once, and only if it was bound")
    }

    pub(super) fn began(&mut self, session: &Session) {
        assert!(self.permitted.insert(session.id, HashMap::new()).is_none(), "{} begins once", session.id);
        self.begun += 1;
    }

    pub(super) fn ended(&mut self, session: &Session) {
        assert!(self.permitted.remove(&session.id).is_some(), "{} ends once", session.id);
        self.seen.remove(&session.id);
        self.past.add(session.traffic);
    }

    /// How many have begun and not ended, as far as that was told.
    pub(super) fn allocations(&self) -> usize {
        self.permitted.len()
    }

    /// A client was told that its permissions are installed.
    pub(super) fn permit(&mut self, now: Instant, session: SessionId, peers: &[IpAddr]) {
        let permitted = self.permitted.get_mut(&session).expect("only a session has permissions");
        permitted.extend(peers.iter().map(|peer| (*peer, now + Duration::from_secs(300))));
    }

    /// One of those that a client has let in.
    pub(super) fn some_permitted(&self, session: SessionId) -> Option<IpAddr> {
        self.permitted.get(&session)?.keys().min().copied()
    }

    /// The socket of a session's first relay.
    pub(super) fn relay_of(&self, session: &Session) -> Option<SocketId> {
        let relayed = session.relayed;
        let ip = if relayed.ip() == ip("203.0.113.99") { ip("198.51.100.1") } else { relayed.ip() };
        self.socket_at(SocketAddr::new(ip, relayed.port()))
    }

    /// The socket that is bound to an address.
    pub(super) fn socket_at(&self, local: SocketAddr) -> Option<SocketId> {
        self.sockets.iter().find(|(_, address)| **address == local).map(|(socket, _)| *socket)
    }

    pub(super) fn is_permitted(&self, now: Instant, session: SessionId, peer: IpAddr) -> bool {
        self.permitted.get(&session).and_then(|all| all.get(&peer)).is_some_and(|until| now <= *until)
    }

    /// The server lets a client's data through.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        session: &Session,
        socket: SocketId,
        peer: SocketAddr,
        length: usize,
    ) {
        let peer = known(peer);
        let local = self.sockets.get(&socket).expect("a bound relay sends");
        assert_eq!(local.is_ipv4(), peer.is_ipv4(), "a relay writes to its own family");
        assert!(is_allowed(peer), "nobody reaches {peer}");
        assert!(self.is_permitted(now, session.id, peer.ip()), "{} has no permission for {peer}", session.id);
        assert!(now < session.expires, "an allocation that has ended sends nothing");
        self.told.sent_packets += 1;
        self.told.sent_bytes += length as u64;
    }

    /// The same for the relay of another client, which is asked then.
    pub(super) fn sent_beside(&mut self, length: usize) {
        self.told.sent_packets += 1;
        self.told.sent_bytes += length as u64;
    }

    /// The server lets a peer's data through.
    pub(super) fn received(&mut self, now: Instant, session: &Session, peer: SocketAddr, length: usize) {
        let peer = known(peer);
        assert!(self.is_permitted(now, session.id, peer.ip()), "{} did not let {peer} in", session.id);
        assert!(now < session.expires, "an allocation that has ended receives nothing");
        self.told.received_packets += 1;
        self.told.received_bytes += length as u64;
    }

    /// After each step.
    pub(super) fn check(&mut self, sessions: &[Session]) {
        assert_eq!(sessions.len(), self.permitted.len(), "what began and has not ended is there");
        let mut sum = self.past;
        for session in sessions {
            assert!(self.permitted.contains_key(&session.id), "{} has begun", session.id);
            assert!(session.permissions <= LIMITS.permissions, "{} permissions", session.permissions);
            assert!(session.channels <= LIMITS.channels, "{} channels", session.channels);
            let before = self.seen.insert(session.id, session.traffic).unwrap_or_default();
            assert!(is_later(before, session.traffic), "counters only grow");
            sum.add(session.traffic);
        }
        sum.dropped_packets = 0;
        assert!(self.is_paced || sum == self.told, "each packet is counted once: {sum:?} {:?}", self.told);
        let relays = sessions.iter().map(|session| 1 + usize::from(session.second.is_some())).sum::<usize>();
        assert!(relays <= self.sockets.len(), "{relays} relays by {} sockets", self.sockets.len());
    }

    pub(super) fn sum(&self, reached: &mut Reached) {
        reached.allocations += self.begun;
        reached.packets_out += self.told.sent_packets;
        reached.packets_in += self.told.received_packets;
    }

    /// When all is over.
    pub(super) fn end(&self) {
        assert!(self.sockets.is_empty(), "left open: {:?}", self.sockets);
        assert_eq!(self.permitted.len(), 0, "what began has ended");
        let past = Traffic { dropped_packets: 0, ..self.past };
        assert!(self.is_paced || past == self.told, "each packet is counted once");
    }
}

fn is_later(before: Traffic, after: Traffic) -> bool {
    before.sent_packets <= after.sent_packets
        && before.sent_bytes <= after.sent_bytes
        && before.received_packets <= after.received_packets
        && before.received_bytes <= after.received_bytes
        && before.dropped_packets <= after.dropped_packets
}

/// What the world calls a relay of ours that is behind NAT.
pub(super) fn known(peer: SocketAddr) -> SocketAddr {
    if peer.ip() == ip("198.51.100.1") { SocketAddr::new(ip("203.0.113.99"), peer.port()) } else { peer }
}

/// Written down apart from the server's own policy: the two ranges that every configuration allows, and relays of ours.
pub(super) fn is_allowed(peer: SocketAddr) -> bool {
    let relays = 50_000..=50_015;
    let is_open = match peer.ip() {
        IpAddr::V4(address) => {
            address.octets()[..3] == [203, 0, 113]
                || address == ip("9.9.9.9") && relays.contains(&peer.port())
        }
        IpAddr::V6(address) => address.segments()[..3] == [0x2001, 0xDB8, 7],
    };
    is_open && peer.port() != 0
}
