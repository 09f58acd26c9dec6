//! TLS by rustls with aws-lc-rs, versions 1.2 and 1.3 only: identities and, for the workers, sessions over any bytes.

mod identities;
mod identity;
mod session;
mod shown;

pub use identities::{CHALLENGE, Identities};
pub use identity::{Identity, IdentityError};
pub use rustls::ClientConfig;
pub use rustls::pki_types::{CertificateDer, ServerName};
pub(crate) use session::{Facts, Session, words};

use identities::{OnListener, ToAuthority};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
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
    /// For authorities that look whether a name is ours.
    challenge: Arc<ServerConfig>,
    shown: Arc<OnListener>,
}

/// What browsers name: a question for a certificate would have them ask their user.
const BROWSERS: [&[u8]; 2] = [b"http/1.1", b"h2"];

impl Accepts {
    /// Whether what the client says first decides how it is accepted.
    fn is_choosy(&self) -> bool {
        self.asking.is_some() || self.shown.identities.are_challenged()
    }

    /// What a client is shown that asks for this name, or meant that one before; `None` where that depends on what keys it can
    /// check.
    pub(crate) fn shown_for(&self, name: Option<&str>, meant: Option<&str>) -> Option<Identity> {
        self.shown.identities.shown_for(&[name, meant, self.shown.usual.as_deref()])
    }

    /// The configuration for a client that says this first, and meant a name of ours before.
    fn choose(&self, hello: &ClientHello<'_>, meant: Option<&Arc<str>>) -> Arc<ServerConfig> {
        let config = self.config_for(hello);
        match meant {
            Some(meant) if self.shown.is_other(hello.server_name(), meant) => self.meaning(config, meant),
            _ => Arc::clone(config),
        }
    }

    /// The same for a name. Nothing is resumed: neither a ticket nor a session says which certificate its client has
    /// seen.
    fn meaning(&self, config: &ServerConfig, meant: &Arc<str>) -> Arc<ServerConfig> {
        let OnListener { identities, usual, .. } = &*self.shown;
        let (identities, usual) = (Arc::clone(identities), usual.clone());
        let shown = OnListener { identities, meant: Some(Arc::clone(meant)), usual };
        let mut config = config.clone();
        config.cert_resolver = Arc::new(shown);
        let bare = builder().with_no_client_auth().with_cert_resolver(Arc::clone(&config.cert_resolver));
        config.ticketer = bare.ticketer;
        config.session_storage = bare.session_storage;
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }

    fn config_for(&self, hello: &ClientHello<'_>) -> &Arc<ServerConfig> {
        let mut alpn = hello.alpn().into_iter().flatten();
        // An authority names this and nothing else (RFC 8737 §3).
        if alpn.next() == Some(CHALLENGE)
            && alpn.next().is_none()
            && hello.server_name().is_some_and(|name| self.shown.identities.is_challenged(name))
        {
            return &self.challenge;
        }
        match &self.asking {
            Some(asking) if !hello.alpn().into_iter().flatten().any(|name| BROWSERS.contains(&name)) => {
                asking
            }
            _ => &self.plain,
        }
    }
}

/// Makes the server's side of TLS: a configuration per list of application protocols, with one certificate store and one
/// key for session tickets between them, so that a client may resume with any worker.
pub(crate) struct ServerSide {
    identities: Arc<Identities>,
    ticketer: Arc<dyn ProducesTickets>,
    asking_ticketer: Arc<dyn ProducesTickets>,
    challenge: Arc<ServerConfig>,
}

impl ServerSide {
    pub(crate) fn new(identities: Arc<Identities>) -> io::Result<Self> {
        let ticketer = || aws_lc_rs::Ticketer::new().map_err(io::Error::other);
        let mut challenge = builder()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ToAuthority(Arc::clone(&identities))));
        challenge.alpn_protocols = vec![CHALLENGE.to_vec()];
        challenge.session_storage = Arc::new(NoServerSessionStorage {});
        challenge.send_tls13_tickets = 0;
        Ok(Self {
            identities,
            ticketer: ticketer()?,
            asking_ticketer: ticketer()?,
            challenge: Arc::new(challenge),
        })
    }

    /// Offers these application protocols; `asks` clients for a certificate, which they need not have. A client that names
    /// nobody means `usual`.
    pub(crate) fn offering(&self, alpn: &[Vec<u8>], asks: bool, usual: Option<&str>) -> Accepts {
        let usual = usual.map(Arc::from);
        let shown = Arc::new(OnListener { identities: Arc::clone(&self.identities), meant: None, usual });
        let plain = builder().with_no_client_auth().with_cert_resolver(Arc::clone(&shown) as _);
        // Tickets of the other kind do not fit: they would leave out the question.
        let asking = asks.then(|| {
            let asking = builder()
                .with_client_cert_verifier(Arc::new(shown::Shown))
                .with_cert_resolver(Arc::clone(&shown) as _);
            Arc::new(finish(asking, alpn, &self.asking_ticketer))
        });
        Accepts {
            plain: Arc::new(finish(plain, alpn, &self.ticketer)),
            asking,
            challenge: Arc::clone(&self.challenge),
            shown,
        }
    }
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites of both versions")
}

fn finish(mut config: ServerConfig, alpn: &[Vec<u8>], ticketer: &Arc<dyn ProducesTickets>) -> ServerConfig {
    config.ticketer = Arc::clone(ticketer);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.alpn_protocols = alpn.to_vec();
    config
}
