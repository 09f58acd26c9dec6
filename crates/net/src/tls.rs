//! TLS by rustls with aws-lc-rs, versions 1.2 and 1.3 only: identities and, for the workers, sessions over any bytes.

mod identity;
mod session;

pub use identity::{Identities, Identity, IdentityError};
pub use rustls::ClientConfig;
pub use rustls::pki_types::ServerName;
pub(crate) use session::{Facts, Session};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use std::io;
use std::sync::{Arc, OnceLock};

/// The cryptography used everywhere here; for a [`ClientConfig`] too.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// Makes the server's side of TLS: a configuration per list of application protocols, with one certificate store and one
/// key for session tickets between them, so that a client may resume with any worker.
pub(crate) struct ServerSide {
    base: ServerConfig,
}

impl ServerSide {
    pub(crate) fn new(identities: Arc<Identities>) -> io::Result<Self> {
        let mut base = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(identities);
        base.ticketer = aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
        base.session_storage = Arc::new(NoServerSessionStorage {});
        base.send_tls13_tickets = 1;
        Ok(Self { base })
    }

    /// A configuration that offers these application protocols.
    pub(crate) fn offering(&self, alpn: &[Vec<u8>]) -> Arc<ServerConfig> {
        let mut config = self.base.clone();
        config.alpn_protocols = alpn.to_vec();
        Arc::new(config)
    }
}
