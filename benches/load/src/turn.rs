//! A TURN client: from the challenge to a bound channel, and its release (RFC 8656), over UDP or TLS.

pub(crate) mod relay;
pub(crate) mod setup;

use crate::digest::md5;
use crate::options::Options;
use crate::stun::{
    ALLOCATE, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, LIFETIME, Message, NONCE, REALM, REFRESH,
    REQUESTED_TRANSPORT, SUCCESS, USERNAME, Writer,
};
use crate::tls::Tls;
use anyhow::Result;
use mio::net::UdpSocket;
use mio::{Interest, Poll, Token};
use rustls::ClientConfig;
use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The one channel of each allocation.
const CHANNEL: [u8; 2] = [0x40, 0x00];
/// After how long a request is sent again.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many accounts the allocations are spread over.
const USERS: usize = 8;

/// What all clients of a run share.
pub(crate) struct House {
    server: SocketAddr,
    password: String,
    /// The peer that channels lead to.
    peer: SocketAddrV4,
    tls: Option<Arc<ClientConfig>>,
    domain: String,
}

impl House {
    pub(crate) fn read(options: &Options, peer: SocketAddr) -> Result<Self> {
        let SocketAddr::V4(peer) = peer else { anyhow::bail!("the peer has an IPv4 address") };
        let tls = options.flag("tls").then(|| crate::tls::config(""));
        Ok(Self {
            server: options.server()?,
            password: options.password()?,
            peer,
            tls,
            domain: options.domain()?,
        })
    }
}

enum Link {
    Udp(UdpSocket),
    Tls(Box<Tls>),
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Challenge,
    Allocate,
    Permission,
    Channel,
    Bound,
    Release,
    Released,
    Failed,
}

/// One client.
pub(crate) struct Client {
    link: Link,
    user: String,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: [u8; 16],
    step: Step,
    request: Vec<u8>,
    transaction: u64,
    sent: Instant,
    /// Bytes of a stream that are not a whole message yet.
    partial: Vec<u8>,
    /// ChannelData messages that came since they were last counted.
    data: u64,
}

impl Client {
    /// Connects and asks for the challenge.
    pub(crate) fn start(house: &House, number: usize, poll: &Poll, token: Token) -> Result<Self> {
        let link = match &house.tls {
            None => {
                let mut socket = UdpSocket::bind(own_address(house.server, number))?;
                socket.connect(house.server)?;
                poll.registry().register(&mut socket, token, Interest::READABLE)?;
                Link::Udp(socket)
            }
            Some(config) => {
                let mut tls = Tls::connect(house.server, &house.domain, config)?;
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut tls.socket, token, both)?;
                Link::Tls(Box::new(tls))
            }
        };
        let mut client = Self {
            link,
            user: format!("load{}", number % USERS),
            realm: vec![],
            nonce: vec![],
            key: [0; 16],
            step: Step::Challenge,
            request: vec![],
            transaction: u64::try_from(number)? << 16,
            sent: Instant::now(),
            partial: vec![],
            data: 0,
        };
        client.request(house)?;
        Ok(client)
    }

    /// Gives the allocation back.
    pub(crate) fn release(&mut self, house: &House) -> Result<()> {
        self.step = Step::Release;
        self.request(house)
    }

    /// Sends again what was not answered for long; whether it did.
    pub(crate) fn remind(&mut self) -> Result<bool> {
        let waits = !matches!(self.step, Step::Bound | Step::Released | Step::Failed);
        let again = waits && matches!(self.link, Link::Udp(_)) && self.sent.elapsed() > PATIENCE;
        if again {
            self.sent = Instant::now();
            self.send_request()?;
        }
        Ok(again)
    }

    /// Reads all that has come.
    pub(crate) fn readable(&mut self, house: &House, buffer: &mut [u8]) -> Result<()> {
        if matches!(self.link, Link::Udp(_)) {
            while let Some(length) = self.receive(buffer)? {
                self.message(house, &buffer[..length])?;
            }
            return Ok(());
        }
        let Link::Tls(tls) = &mut self.link else { return Ok(()) };
        let open = tls.read(&mut self.partial)?;
        let bytes = std::mem::take(&mut self.partial);
        let mut rest = &bytes[..];
        while let Some(length) = frame(rest) {
            self.message(house, &rest[..length])?;
            rest = &rest[length..];
        }
        self.partial = rest.to_vec();
        if !open {
            self.step = Step::Failed;
        }
        Ok(())
    }

    /// One datagram, if one is there.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let Link::Udp(socket) = &self.link else { return Ok(None) };
        match socket.recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends bytes as they are.
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.link {
            Link::Tls(tls) => tls.write(bytes),
            Link::Udp(socket) => match socket.send(bytes) {
                Err(error)
                    if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) =>
                {
                    Err(error.into())
                }
                _ => Ok(()),
            },
        }
    }

    fn message(&mut self, house: &House, bytes: &[u8]) -> Result<()> {
        if bytes.starts_with(&CHANNEL) {
            self.data += 1;
            return Ok(());
        }
        let Some(message) = Message::read(bytes).filter(|m| m.transaction() == self.transaction) else {
            return Ok(());
        };
        let done = message.kind() & 0x110 == SUCCESS;
        self.step = match self.step {
            Step::Challenge if message.error() == Some(401) => {
                self.challenge(&message, &house.password);
                Step::Allocate
            }
            Step::Allocate if done => Step::Permission,
            Step::Permission if done => Step::Channel,
            Step::Channel if done => Step::Bound,
            Step::Release if done => Step::Released,
            _ if message.error() == Some(438) => {
                self.nonce = message.attribute(NONCE).unwrap_or_default().to_vec();
                self.step
            }
            _ => Step::Failed,
        };
        if matches!(self.step, Step::Allocate | Step::Permission | Step::Channel | Step::Release) {
            self.request(house)?;
        }
        Ok(())
    }

    fn challenge(&mut self, message: &Message<'_>, password: &str) {
        self.realm = message.attribute(REALM).unwrap_or_default().to_vec();
        self.nonce = message.attribute(NONCE).unwrap_or_default().to_vec();
        self.key = md5(&[&self.user, &String::from_utf8_lossy(&self.realm), password]);
    }

    /// Writes and sends the request of this step.
    fn request(&mut self, house: &House) -> Result<()> {
        self.transaction += 1;
        let start = |kind| Writer::new(kind, self.transaction);
        let udp = [17, 0, 0, 0];
        let writer = match self.step {
            Step::Challenge => {
                self.request = start(ALLOCATE).attribute(REQUESTED_TRANSPORT, &udp).plain();
                return self.send_request();
            }
            Step::Allocate => start(ALLOCATE).attribute(REQUESTED_TRANSPORT, &udp),
            Step::Permission => start(CREATE_PERMISSION).peer(house.peer),
            Step::Channel => {
                let number = [CHANNEL[0], CHANNEL[1], 0, 0];
                start(CHANNEL_BIND).attribute(CHANNEL_NUMBER, &number).peer(house.peer)
            }
            _ => start(REFRESH).attribute(LIFETIME, &[0; 4]),
        };
        self.request = writer
            .attribute(USERNAME, self.user.as_bytes())
            .attribute(REALM, &self.realm)
            .attribute(NONCE, &self.nonce)
            .signed(&self.key);
        self.send_request()
    }

    fn send_request(&mut self) -> Result<()> {
        self.sent = Instant::now();
        let request = std::mem::take(&mut self.request);
        let result = self.send(&request);
        self.request = request;
        result
    }
}

/// An address of the loopback network for each client, and other ones in another process: a port used again too soon
/// would be a mismatch to the server (437).
fn own_address(server: SocketAddr, number: usize) -> SocketAddr {
    if !server.ip().is_loopback() {
        return SocketAddr::from(([0; 4], 0));
    }
    let [.., high, low] = u32::try_from(number).unwrap_or_default().to_be_bytes();
    let process = u8::try_from(1 + std::process::id() % 250).expect("below 251");
    SocketAddr::from(([127, process, high, low | 1], 0))
}

/// The length of the first message of a stream, padding included, if it is whole (RFC 8656 §12.5).
fn frame(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..4)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let whole = if head[0] < 0x40 { 20 + length } else { 4 + length.next_multiple_of(4) };
    (bytes.len() >= whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn messages_of_a_stream_are_told_apart() {
        assert_eq!(frame(&[0x40, 0, 0]), None);
        assert_eq!(frame(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5]), None, "its padding has not come yet");
        assert_eq!(frame(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 9]), Some(12));
        assert_eq!(frame(&[[1, 3, 0, 0].as_slice(), &[0; 16]].concat()), Some(20));
    }
}
