//! A TLS connection over a non-blocking socket. It trusts whatever certificate it is shown: nothing is secret here.

use anyhow::Result;
use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

/// One connection.
pub(crate) struct Tls {
    pub(crate) socket: TcpStream,
    session: ClientConnection,
}

/// What all connections share. Sessions are not resumed: each login is a whole handshake.
pub(crate) fn config(alpn: &str) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.into()];
    }
    Arc::new(config)
}

impl Tls {
    pub(crate) fn connect(server: SocketAddr, domain: &str, config: &Arc<ClientConfig>) -> Result<Self> {
        let name = ServerName::try_from(domain.to_owned())?;
        let socket = TcpStream::connect(server)?;
        // As browsers and phones do: a packet of a voice does not wait for the answer to the one before.
        socket.set_nodelay(true)?;
        Ok(Self { socket, session: ClientConnection::new(Arc::clone(config), name)? })
    }

    /// Whether the handshake is done.
    pub(crate) fn is_ready(&self) -> bool {
        !self.session.is_handshaking()
    }

    /// Queues bytes, and sends what the kernel takes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.session.writer().write_all(bytes)?;
        self.flush()
    }

    /// Sends what is queued, as far as the kernel takes it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Appends the plaintext that has come to `bytes`; whether the connection is still open.
    pub(crate) fn read(&mut self, bytes: &mut Vec<u8>) -> Result<bool> {
        loop {
            match self.session.read_tls(&mut self.socket) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            let state = self.session.process_new_packets()?;
            let start = bytes.len();
            bytes.resize(start + state.plaintext_bytes_to_read(), 0);
            self.session.reader().read_exact(&mut bytes[start..])?;
            if state.peer_has_closed() {
                return Ok(false);
            }
        }
        self.flush()?;
        Ok(true)
    }
}

/// Trusts everybody.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
