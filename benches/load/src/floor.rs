//! The floors: what the same sockets cost with next to nothing around them. A server that answers Binding requests and
//! relays ChannelData after one look into a table. It asks for no credential, keeps no time and ends no allocation.

mod gso;
mod plain;
mod rtp;
mod sip;
mod tls;

use crate::options::Options;
use crate::stun::{
    ALLOCATE, BINDING, CHANNEL_BIND, CHANNEL_NUMBER, ERROR_CODE, MESSAGE_INTEGRITY, Message, NONCE, REALM,
    REFRESH, SUCCESS, Writer, XOR_PEER_ADDRESS,
};
use anyhow::{Context, Result, bail};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};
use rustc_hash::FxHashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// Octets in front of a payload that travels on a channel.
const HEADER: usize = 4;
/// As many datagrams are read from one socket at one time.
const AT_ONCE: usize = 32;
/// What the listener is called in the event queue; a flow is called by its number.
const LISTENER: u64 = u64::MAX;

/// Serves until it is ended.
pub(crate) fn run(options: &Options) -> Result<()> {
    let how = options.get("how", "plain".to_owned())?;
    if how.starts_with("sip") {
        return sip::run(socket(options.server()?)?, how == "sip");
    }
    if how == "tls" {
        let file = |name: &str| options.get(name, PathBuf::new());
        return tls::serve(options.server()?, &file("chain")?, &file("key")?);
    }
    if how == "rtp" {
        return rtp::serve(options.server()?);
    }
    let mut floor = Floor::new(options.server()?)?;
    let gather = Duration::from_micros(options.get("gather", 0)?);
    match how.as_str() {
        "plain" => floor.serve(gather, &mut plain::Plain::new()),
        "gso" => floor.serve(gather, &mut gso::Gso::new()),
        other => bail!("--how plain, gso, rtp, sip, sip-open or tls, not {other}"),
    }
}

/// How datagrams are read and sent on.
trait Way {
    /// Reads at most `quota` datagrams from the listener and sends on what is ChannelData; how many there were.
    fn read_clients(&mut self, floor: &mut Floor, quota: usize) -> Result<usize>;
    /// Reads at most `quota` datagrams from a flow's relay and sends them to its client; how many there were.
    fn read_peers(&mut self, floor: &Floor, flow: usize, quota: usize) -> Result<usize>;
}

/// One client and its relay.
struct Flow {
    client: SocketAddrV4,
    relay: UdpSocket,
    channel: [u8; 2],
    peer: SocketAddrV4,
    appetite: Appetite,
}

struct Floor {
    listener: UdpSocket,
    events: Epoll,
    flows: Vec<Flow>,
    by_client: FxHashMap<SocketAddrV4, usize>,
    appetite: Appetite,
}

impl Floor {
    fn new(at: SocketAddr) -> Result<Self> {
        let listener = socket(at)?;
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        events.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        let (flows, by_client) = (Vec::new(), FxHashMap::default());
        Ok(Self { listener, events, flows, by_client, appetite: Appetite::default() })
    }

    fn serve(&mut self, gather: Duration, way: &mut impl Way) -> Result<()> {
        let mut ready = vec![EpollEvent::empty(); 256];
        loop {
            let count = self.events.wait(&mut ready, EpollTimeout::NONE)?;
            for event in &ready[..count] {
                self.read(event.data(), way)?;
            }
            if !gather.is_zero() {
                std::thread::sleep(gather);
            }
        }
    }

    fn read(&mut self, token: u64, way: &mut impl Way) -> Result<()> {
        if token == LISTENER {
            let quota = self.appetite.quota();
            let found = way.read_clients(self, quota)?;
            self.appetite.learn(found);
        } else {
            let number = usize::try_from(token)?;
            let quota = self.flows[number].appetite.quota();
            let found = way.read_peers(self, number, quota)?;
            self.flows[number].appetite.learn(found);
        }
        Ok(())
    }

    /// The flow that a datagram of a client belongs to, if it is ChannelData.
    fn flow_of(&self, client: SocketAddrV4, bytes: &[u8]) -> Option<usize> {
        let number = *self.by_client.get(&client)?;
        (bytes.get(..2)? == self.flows[number].channel).then_some(number)
    }

    /// Answers what is no ChannelData.
    fn answer(&mut self, client: SocketAddrV4, bytes: &[u8]) -> Result<()> {
        if bytes.len() == 20 && bytes.starts_with(&BINDING.to_be_bytes()) {
            return self.reply(client, &mapped(client, bytes));
        }
        let Some(request) = Message::read(bytes) else { return Ok(()) };
        let answer = |kind| Writer::new(kind, request.transaction());
        let writer = match request.kind() {
            ALLOCATE if request.attribute(MESSAGE_INTEGRITY).is_none() => answer(ALLOCATE | 0x110)
                .attribute(ERROR_CODE, &[0, 0, 4, 1])
                .attribute(REALM, b"bench.example")
                .attribute(NONCE, b"0123456789abcdef"),
            kind => {
                match kind {
                    ALLOCATE => self.allocate(client)?,
                    CHANNEL_BIND => self.bind(client, &request).context("a channel and a peer")?,
                    REFRESH => drop(self.by_client.remove(&client)),
                    _ => {}
                }
                answer(kind | SUCCESS)
            }
        };
        self.reply(client, &writer.plain())
    }

    fn reply(&self, client: SocketAddrV4, bytes: &[u8]) -> Result<()> {
        Ok(self.listener.send_to(bytes, client).map(drop)?)
    }

    fn allocate(&mut self, client: SocketAddrV4) -> Result<()> {
        let relay = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let number = self.flows.len();
        self.events.add(&relay, EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(number)?))?;
        self.by_client.insert(client, number);
        self.flows.push(Flow {
            client,
            relay,
            channel: [0; 2],
            peer: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            appetite: Appetite::default(),
        });
        Ok(())
    }

    fn bind(&mut self, client: SocketAddrV4, request: &Message<'_>) -> Option<()> {
        let flow = &mut self.flows[*self.by_client.get(&client)?];
        flow.channel = request.attribute(CHANNEL_NUMBER)?.get(..2)?.try_into().ok()?;
        flow.peer = unmask(request.attribute(XOR_PEER_ADDRESS)?)?;
        Some(())
    }
}

fn socket(at: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    // The kernel grants what its limits allow.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &(4 << 20));
    let _ = setsockopt(&socket, sockopt::SndBuf, &(4 << 20));
    Ok(socket)
}

/// A Binding success response of 32 octets (RFC 8489 §6.3.1.1).
fn mapped(client: SocketAddrV4, request: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out[..20].copy_from_slice(&request[..20]);
    out[..4].copy_from_slice(&[1, 1, 0, 12]);
    out[20..26].copy_from_slice(&[0, 0x20, 0, 8, 0, 1]);
    let port = client.port().to_be_bytes();
    let address = [&port[..], &client.ip().octets()].concat();
    let mask = [0x21, 0x12, 0x21, 0x12, 0xA4, 0x42];
    out[26..].iter_mut().zip(address).zip(mask).for_each(|((out, octet), mask)| *out = octet ^ mask);
    out
}

/// The value of an XOR-PEER-ADDRESS (RFC 8489 §14.2).
fn unmask(value: &[u8]) -> Option<SocketAddrV4> {
    let &[_, 1, high, low, a, b, c, d] = value else { return None };
    let port = u16::from_be_bytes([high ^ 0x21, low ^ 0x12]);
    Some(SocketAddrV4::new(Ipv4Addr::new(a ^ 0x21, b ^ 0x12, c ^ 0xA4, d ^ 0x42), port))
}

/// How many datagrams to read from a socket at one time: a read that comes back empty costs as much as a small one, so
/// more than last time are only asked for when as many as asked for were there.
#[derive(Clone, Copy, Debug)]
struct Appetite {
    quota: usize,
    /// Visits until more is tried again.
    rest: u8,
}

impl Default for Appetite {
    fn default() -> Self {
        Self { quota: 1, rest: 0 }
    }
}

impl Appetite {
    /// Visits without trying for more, after more was tried for in vain.
    const REST: u8 = 8;

    fn quota(self) -> usize {
        self.quota
    }

    fn learn(&mut self, found: usize) {
        if found < self.quota {
            (self.quota, self.rest) = (found.max(1), Self::REST);
        } else if self.rest > 0 {
            self.rest -= 1;
        } else {
            self.quota = (self.quota * 2).min(AT_ONCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_answers_as_a_server_does() {
        let client: SocketAddrV4 = "192.0.2.7:40000".parse().unwrap();
        let answer = mapped(client, &Writer::new(BINDING, 7).plain());
        let message = Message::read(&answer).unwrap();
        assert_eq!((message.kind(), message.transaction()), (BINDING | SUCCESS, 7));
        assert_eq!(message.attribute(0x0020).and_then(unmask), Some(client));
    }

    #[test]
    fn more_is_asked_for_only_where_there_was_more() {
        let mut appetite = Appetite::default();
        let mut visit = |waiting: usize| {
            let asked = appetite.quota();
            appetite.learn(waiting.min(asked));
            asked
        };
        let alone: Vec<usize> = (0..20).map(|_| visit(1)).collect();
        assert!(alone.iter().filter(|asked| **asked > 1).count() <= 3, "{alone:?}");
        let crowd: Vec<usize> = (0..20).map(|_| visit(100)).collect();
        assert_eq!(crowd.last(), Some(&AT_ONCE));
    }
}
