//! One TLS session over bytes that somebody else carries, so that it can begin in mid-stream and change its thread.

use super::{Accepts, CertificateDer, Towards};
use crate::{TlsFacts, TlsVersion};
use rustls::server::Acceptor;
use rustls::{
    CertificateError, ClientConnection, Connection, Error, OtherError, ProtocolVersion, ServerConnection,
};
use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use wire::Secret;

/// The first octet of a TLS stream: a handshake record (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What a finished handshake tells.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) sni: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) tls: TlsFacts,
    pub(crate) chain: Option<Arc<[CertificateDer<'static>]>>,
    pub(crate) exporter: Option<Secret>,
}

/// One side of a TLS session.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    peer_closed: bool,
    close_sent: bool,
}

/// How far it is.
#[expect(clippy::large_enum_variant, reason = "a session is boxed as a whole, and nearly all are running")]
enum State {
    /// What the client says first decides how it is accepted.
    Greeting(Box<Greeting>),
    /// It could not be accepted; this is to be sent.
    Refused(Vec<u8>),
    /// It goes on by itself.
    Running(Connection),
}

/// Until the client has said its first word.
struct Greeting {
    acceptor: Acceptor,
    accepts: Accepts,
    /// The name of ours that the client has meant before.
    meant: Option<Arc<str>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Greeting(_) => "Greeting",
            Self::Refused(_) => "Refused",
            Self::Running(_) => "Running",
        })
    }
}

impl Session {
    /// `meant`: the name of ours that the client has meant before, for whom it asks for none now.
    pub(crate) fn server(accepts: &Accepts, meant: Option<Arc<str>>) -> Result<Self, Error> {
        let state = match accepts.is_choosy() || meant.is_some() {
            true => {
                let (acceptor, accepts) = (Acceptor::default(), accepts.clone());
                State::Greeting(Box::new(Greeting { acceptor, accepts, meant }))
            }
            false => State::Running(ServerConnection::new(Arc::clone(&accepts.plain))?.into()),
        };
        Ok(Self::new(state))
    }

    pub(crate) fn client(towards: Towards) -> Result<Self, Error> {
        let connection = ClientConnection::new(towards.config, towards.name)?;
        Ok(Self::new(State::Running(connection.into())))
    }

    fn new(state: State) -> Self {
        let mut session = Self { state, peer_closed: false, close_sent: false };
        session.lift_limit();
        session
    }

    /// What waits is bounded by the caller, who hands over nothing before the kernel may take it.
    fn lift_limit(&mut self) {
        if let State::Running(connection) = &mut self.state {
            connection.set_buffer_limit(None);
        }
    }

    fn running(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            State::Running(connection) => Some(connection),
            State::Greeting(_) | State::Refused(_) => None,
        }
    }

    /// Whether a stream that begins with this octet can be TLS.
    pub(crate) fn may_begin_with(octet: u8) -> bool {
        octet == HANDSHAKE_RECORD
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        !matches!(&self.state, State::Running(connection) if !connection.is_handshaking())
    }

    /// Whether the peer has said that nothing more comes (close_notify).
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Takes in some of `sealed`, as it came from the network, and advances it. Plaintext may then be waiting, and
    /// something to send.
    pub(crate) fn feed(&mut self, sealed: &mut &[u8]) -> Result<(), Error> {
        let input: &mut dyn Read = sealed;
        let read = match &mut self.state {
            State::Running(Connection::Server(c)) => c.read_tls(input),
            State::Running(Connection::Client(c)) => c.read_tls(input),
            State::Greeting(greeting) => greeting.acceptor.read_tls(input),
            State::Refused(_) => Ok(0),
        };
        read.map_err(|error| Error::General(error.to_string()))?;
        self.greet()?;
        if let State::Running(connection) = &mut self.state {
            let state = connection.process_new_packets()?;
            self.peer_closed |= state.peer_has_closed();
        }
        Ok(())
    }

    /// Accepts the client once it has said its first word.
    fn greet(&mut self) -> Result<(), Error> {
        let State::Greeting(greeting) = &mut self.state else { return Ok(()) };
        let Greeting { acceptor, accepts, meant } = &mut **greeting;
        let accepted = match acceptor.accept() {
            Ok(None) => return Ok(()),
            Ok(Some(accepted)) => {
                let config = accepts.choose(&accepted.client_hello(), meant.as_ref());
                accepted.into_connection(config)
            }
            Err(refused) => Err(refused),
        };
        match accepted {
            Ok(connection) => {
                self.state = State::Running(connection.into());
                self.lift_limit();
                Ok(())
            }
            Err((error, mut alert)) => {
                let mut bytes = Vec::new();
                // A vector takes everything.
                let _ = alert.write_all(&mut bytes);
                self.state = State::Refused(bytes);
                Err(error)
            }
        }
    }

    /// Lends the plaintext that comes next to `take`, until there is none or it says `false`.
    pub(crate) fn each_chunk(&mut self, mut take: impl FnMut(&[u8]) -> bool) {
        let Some(connection) = self.running() else { return };
        let mut reader = connection.reader();
        while let Ok(chunk) = reader.fill_buf()
            && !chunk.is_empty()
        {
            let (length, go_on) = (chunk.len(), take(chunk));
            reader.consume(length);
            if !go_on {
                break;
            }
        }
    }

    /// Seals plaintext; it then waits to be sent. Only after the handshake.
    pub(crate) fn seal(&mut self, plain: &[u8]) {
        // There is no limit that could be reached; after a fatal error nothing is sealed and nobody waits for it.
        let _ = self.running().map(|connection| connection.writer().write_all(plain));
    }

    /// Says that nothing more comes from us (close_notify), once.
    pub(crate) fn seal_close(&mut self) {
        if !std::mem::replace(&mut self.close_sent, true) {
            self.running().into_iter().for_each(|connection| connection.send_close_notify());
        }
    }

    /// Moves what waits to be sent into `out`, which takes everything.
    pub(crate) fn drain(&mut self, out: &mut impl Write) {
        match &mut self.state {
            State::Running(connection) => {
                while connection.wants_write() && connection.write_tls(out).is_ok() {}
            }
            // As above.
            State::Refused(alert) => drop(out.write_all(&std::mem::take(alert))),
            State::Greeting(_) => {}
        }
    }

    /// What only the two ends of this session know (RFC 9266 §2); of TLS 1.3 alone, where it is never ambiguous.
    fn exporter(&self) -> Option<Secret> {
        let State::Running(connection) = &self.state else { return None };
        if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        let key = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        key.ok().map(Secret::new)
    }

    /// What the handshake agreed on; `None` before its end.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let State::Running(connection) = &self.state else { return None };
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        let cipher = connection.negotiated_cipher_suite()?.suite().as_str()?;
        let sni = match connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        };
        let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
        let chain = connection.peer_certificates().map(|chain| chain.iter().cloned().collect());
        let tls = TlsFacts { version, cipher: iana(cipher) };
        Some(Facts { sni, alpn, tls, chain, exporter: self.exporter() })
    }
}

/// What went wrong, for people.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => cause.to_string(),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is not signed by anybody we trust".into()
        }
        Error::AlertReceived(alert) => format!("the peer refused TLS: {alert:?}"),
        other => other.to_string(),
    }
}

/// rustls writes TLS 1.3 suites as `TLS13_…`, IANA as `TLS_…`.
fn iana(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}
