//! A TURN client as small as a test of the server needs it: asks, signs, and says in words what went wrong.

use super::line::Line;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::attribute::{
    ChannelNumber, Data, ErrorCode, Lifetime, Nonce, Realm, RequestedTransport, Username, XorMappedAddress,
    XorPeerAddress, XorRelayedAddress,
};
use stun::{Algorithm, Class, Key, Message, Method, TransactionId, Writer};

/// How long an answer may take before the question is sent again, and again (RFC 8489 §6.2.1, shortened).
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(1000), Duration::from_millis(1500)];
/// The channel that each client binds.
const CHANNEL: u16 = 0x4000;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) password: String,
}

/// Why something was not answered as it should be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No answer.
    Silence,
    /// The way is broken.
    Broken(io::Error),
    /// Refused with this code.
    Refused(u16),
    /// An answer that cannot be meant.
    Garbled,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence => f.write_str("no answer"),
            Self::Broken(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "refused with {code}"),
            Self::Garbled => f.write_str("the answer is not understood"),
        }
    }
}

/// A client with its way to the server.
pub(super) struct Client {
    pub(super) line: Line,
    who: Who,
    realm: String,
    nonce: String,
}

impl Client {
    pub(super) fn new(line: Line, who: Who) -> Self {
        Self { line, who, realm: String::new(), nonce: String::new() }
    }

    /// Asks for its own address as the server sees it.
    pub(super) fn bind(&mut self) -> Result<SocketAddr, Trouble> {
        let answer = self.exchange(Method::BINDING, |writer| writer)?;
        let message = Message::parse(&answer).map_err(|_| Trouble::Garbled)?;
        let XorMappedAddress(address) = message.get().ok().flatten().ok_or(Trouble::Garbled)?;
        Ok(address)
    }

    /// Gets a relay: its address.
    pub(super) fn allocate(&mut self) -> Result<SocketAddr, Trouble> {
        let answer = match self.exchange(Method::ALLOCATE, for_udp) {
            // The first 401 tells realm and nonce.
            Err(Trouble::Refused(401)) if !self.nonce.is_empty() => {
                self.exchange(Method::ALLOCATE, for_udp)?
            }
            other => other?,
        };
        let message = Message::parse(&answer).map_err(|_| Trouble::Garbled)?;
        let XorRelayedAddress(address) = message.get().ok().flatten().ok_or(Trouble::Garbled)?;
        Ok(address)
    }

    /// Lets a peer write to the relay.
    pub(super) fn permit(&mut self, peer: SocketAddr) -> Result<(), Trouble> {
        self.exchange(Method::CREATE_PERMISSION, |writer| writer.with(&XorPeerAddress(peer))).map(drop)
    }

    /// Binds the channel to a peer.
    pub(super) fn channel(&mut self, peer: SocketAddr) -> Result<(), Trouble> {
        self.exchange(Method::CHANNEL_BIND, |writer| {
            writer.with(&ChannelNumber(CHANNEL)).with(&XorPeerAddress(peer))
        })
        .map(drop)
    }

    /// Gives the relay back. It ends by itself where that fails.
    pub(super) fn release(&mut self) {
        drop(self.exchange(Method::REFRESH, |writer| writer.with(&Lifetime(0))));
    }

    /// Sends a payload to the peer, by the channel.
    pub(super) fn send(&mut self, payload: &[u8]) -> Result<(), Trouble> {
        let length = u16::try_from(payload.len()).map_err(|_| Trouble::Garbled)?;
        let message = [&CHANNEL.to_be_bytes()[..], &length.to_be_bytes(), payload].concat();
        Ok(self.line.send(&message)?)
    }

    /// The next payload from the peer; `None` where none comes until then.
    pub(super) fn receive(&mut self, until: Instant) -> Result<Option<Vec<u8>>, Trouble> {
        while let Some(message) = self.line.receive(until)? {
            if let Some((_, length)) = turn::channel::read(&message) {
                return Ok(Some(message[4..4 + length].to_vec()));
            }
        }
        Ok(None)
    }

    /// The next payload that came to the relay from somebody without a channel; `None` where none comes until then.
    pub(super) fn receive_indication(&mut self, until: Instant) -> Result<Option<Vec<u8>>, Trouble> {
        while let Some(message) = self.line.receive(until)? {
            let message = Message::parse(&message).ok();
            if let Some(Ok(Some(Data(data)))) = message.as_ref().map(Message::get) {
                return Ok(Some(data.to_vec()));
            }
        }
        Ok(None)
    }

    /// Asks, and asks again with a fresh nonce where the old one is no longer good.
    fn exchange(
        &mut self,
        method: Method,
        body: impl Fn(Writer<'_>) -> Writer<'_>,
    ) -> Result<Vec<u8>, Trouble> {
        match self.exchange_once(method, &body) {
            Err(Trouble::Refused(438)) => self.exchange_once(method, &body),
            other => other,
        }
    }

    fn exchange_once(
        &mut self,
        method: Method,
        body: &impl Fn(Writer<'_>) -> Writer<'_>,
    ) -> Result<Vec<u8>, Trouble> {
        let mut transaction = [0; 12];
        getrandom::fill(&mut transaction).map_err(|error| Trouble::Broken(io::Error::other(error)))?;
        let transaction = TransactionId(transaction);
        let request = self.request(method, transaction, body);
        for (turn, patience) in PATIENCE.into_iter().enumerate() {
            // What is written to a stream arrives, if anything does.
            if turn == 0 || !self.line.transport.is_stream() {
                self.line.send(&request)?;
            }
            let until = Instant::now() + patience;
            while let Some(answer) = self.line.receive(until)? {
                match self.judge(&answer, transaction) {
                    Some(Ok(())) => return Ok(answer),
                    Some(Err(trouble)) => return Err(trouble),
                    None => {}
                }
            }
        }
        Err(Trouble::Silence)
    }

    fn request(
        &self,
        method: Method,
        transaction: TransactionId,
        body: &impl Fn(Writer<'_>) -> Writer<'_>,
    ) -> Vec<u8> {
        let mut request = vec![];
        let mut writer = body(Writer::new(&mut request, Class::Request, method, transaction));
        if method != Method::BINDING && !self.nonce.is_empty() {
            let (name, realm) = (Username(&self.who.name), Realm(&self.realm));
            writer =
                writer.with(&name).with(&realm).with(&Nonce(&self.nonce)).sign(Algorithm::Sha1, &self.key());
        }
        writer.finish();
        request
    }

    fn key(&self) -> Key {
        Key::md5(&self.who.name, &self.realm, &self.who.password)
    }

    /// What an answer says; `None` where it answers something else.
    fn judge(&mut self, answer: &[u8], transaction: TransactionId) -> Option<Result<(), Trouble>> {
        let message = Message::parse(answer).ok().filter(|message| message.transaction() == transaction)?;
        if message.class() == Class::Success {
            return Some(Ok(()));
        }
        if let (Ok(Some(Realm(realm))), Ok(Some(Nonce(nonce)))) = (message.get(), message.get()) {
            (self.realm, self.nonce) = (realm.to_owned(), nonce.to_owned());
        }
        let code = message.get::<ErrorCode<'_>>().ok().flatten().map(|error| error.code);
        Some(Err(code.map_or(Trouble::Garbled, Trouble::Refused)))
    }
}

/// A relay for datagrams.
fn for_udp(writer: Writer<'_>) -> Writer<'_> {
    writer.with(&RequestedTransport::UDP)
}

/// Whether an address means something only near its owner.
pub(super) fn is_near(address: IpAddr) -> bool {
    !wire::inside::is_public(address)
}
