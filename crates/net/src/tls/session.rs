//! One TLS session over bytes that somebody else carries, so that it can begin in mid-stream and change its thread.

use super::{ClientConfig, ServerName};
use crate::{TlsFacts, TlsVersion};
use rustls::{ClientConnection, Connection, ProtocolVersion, ServerConfig, ServerConnection};
use std::io::{BufRead, Read, Write};
use std::sync::Arc;

/// The first octet of a TLS stream: a handshake record (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What a finished handshake tells.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) sni: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) tls: TlsFacts,
}

/// One side of a TLS session.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    peer_closed: bool,
    close_sent: bool,
}

impl Session {
    pub(crate) fn server(config: &Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        ServerConnection::new(Arc::clone(config)).map(|c| Self::new(c.into()))
    }

    pub(crate) fn client(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        ClientConnection::new(Arc::clone(config), name).map(|c| Self::new(c.into()))
    }

    fn new(mut connection: Connection) -> Self {
        // What waits is bounded by the caller, who hands over nothing before the kernel may take it.
        connection.set_buffer_limit(None);
        Self { connection, peer_closed: false, close_sent: false }
    }

    /// Whether a stream that begins with this octet can be TLS.
    pub(crate) fn may_begin_with(octet: u8) -> bool {
        octet == HANDSHAKE_RECORD
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer has said that nothing more comes (close_notify).
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Takes in some of `sealed`, as it came from the network, and advances it. Plaintext may then be waiting, and
    /// something to send.
    pub(crate) fn feed(&mut self, sealed: &mut &[u8]) -> Result<(), rustls::Error> {
        let input: &mut dyn Read = sealed;
        let read = match &mut self.connection {
            Connection::Server(c) => c.read_tls(input),
            Connection::Client(c) => c.read_tls(input),
        };
        read.map_err(|error| rustls::Error::General(error.to_string()))?;
        let state = self.connection.process_new_packets()?;
        self.peer_closed |= state.peer_has_closed();
        Ok(())
    }

    /// Lends the plaintext that comes next to `take`, until there is none or it says `false`.
    pub(crate) fn each_chunk(&mut self, mut take: impl FnMut(&[u8]) -> bool) {
        let mut reader = self.connection.reader();
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
        let _ = self.connection.writer().write_all(plain);
    }

    /// Says that nothing more comes from us (close_notify), once.
    pub(crate) fn seal_close(&mut self) {
        if !std::mem::replace(&mut self.close_sent, true) {
            self.connection.send_close_notify();
        }
    }

    /// Moves what waits to be sent into `out`, which takes everything.
    pub(crate) fn drain(&mut self, out: &mut impl Write) {
        while self.connection.wants_write() {
            if self.connection.write_tls(out).is_err() {
                break;
            }
        }
    }

    /// What the handshake agreed on; `None` before its end.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let version = match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        let cipher = self.connection.negotiated_cipher_suite()?.suite().as_str()?;
        let sni = match &self.connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        };
        let alpn = self.connection.alpn_protocol().map(<[u8]>::to_vec);
        Some(Facts { sni, alpn, tls: TlsFacts { version, cipher: iana(cipher) } })
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
