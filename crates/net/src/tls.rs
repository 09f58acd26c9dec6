//! TLS by rustls with aws-lc-rs, versions 1.2 and 1.3 only: identities and, for the workers, sessions over any bytes.

mod identity;
mod session;
mod shown;

pub use identity::{Identities, Identity, IdentityError};
pub use rustls::ClientConfig;
pub use rustls::pki_types::{CertificateDer, ServerName};
pub(crate) use session::{Facts, Session, words};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use std::io;
use std::sync::{Arc, OnceLock};

/// The cryptography used everywhere here; for a [`ClientConfig`] too.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// TLS to be opened as the client.
#[derive(Clone, Debug)]
pub struct Towards {
    /// How, and whom to trust.
    pub config: Arc<ClientConfig>,
    /// The name to ask for, and to find proven.
    pub name: ServerName<'static>,
}

/// How TLS is accepted on one listener.
#[derive(Clone, Debug)]
pub(crate) struct Accepts {
    /// Nobody is asked who they are.
    plain: Arc<ServerConfig>,
    /// The same, with the question for a certificate, where the listener puts it.
    asking: Option<Arc<ServerConfig>>,
}

/// What browsers name: a question for a certificate would have them ask their user.
const BROWSERS: [&[u8]; 2] = [b"http/1.1", b"h2"];

impl Accepts {
    /// The configuration for a client that names these application protocols.
    fn choose<'a>(&self, mut alpn: impl Iterator<Item = &'a [u8]>) -> &Arc<ServerConfig> {
        match &self.asking {
            Some(asking) if !alpn.any(|name| BROWSERS.contains(&name)) => asking,
            _ => &self.plain,
        }
    }
}

/// Makes the server's side of TLS: a configuration per list of application protocols, with one certificate store and one
/// key for session tickets between them, so that a client may resume with any worker.
pub(crate) struct ServerSide {
    base: ServerConfig,
    asking_ticketer: Arc<dyn ProducesTickets>,
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
        let asking_ticketer = aws_lc_rs::Ticketer::new().map_err(io::Error::other)?;
        Ok(Self { base, asking_ticketer })
    }

    /// Offers these application protocols; `asks` clients for a certificate, which they need not have.
    pub(crate) fn offering(&self, alpn: &[Vec<u8>], asks: bool) -> Accepts {
        let mut config = self.base.clone();
        config.alpn_protocols = alpn.to_vec();
        let asking = asks.then(|| Arc::new(self.asking(alpn)));
        Accepts { plain: Arc::new(config), asking }
    }

    fn asking(&self, alpn: &[Vec<u8>]) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("these versions were taken before")
            .with_client_cert_verifier(Arc::new(shown::Shown))
            .with_cert_resolver(Arc::clone(&self.base.cert_resolver));
        // Tickets of the other kind do not fit: they would leave out the question.
        config.ticketer = Arc::clone(&self.asking_ticketer);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        config.alpn_protocols = alpn.to_vec();
        config
    }
}
