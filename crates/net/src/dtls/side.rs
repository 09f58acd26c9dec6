//! The server's side of DTLS for one listener: what it offers, with the certificate in force when a handshake begins.

use crate::tls::{Identities, Identity};
use arc_swap::ArcSwap;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVersion};
use openssl::x509::X509;
use std::collections::HashMap;
use std::sync::Arc;

/// Forward secrecy and authenticated encryption only (RFC 9325 §4.2), for RSA and ECDSA certificates.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// The largest datagram of a handshake: what every path takes (RFC 8085 §3.2 with room to spare).
pub(crate) const LARGEST_FLIGHT: u32 = 1200;

/// Makes the sessions of one listener.
#[derive(Debug)]
pub(crate) struct Side {
    identities: Arc<Identities>,
    /// The name that a client means which names none.
    usual: Option<String>,
    /// The application protocols, the preferred one first.
    alpn: Vec<Vec<u8>>,
    /// One for each identity that was shown, by its number.
    ready: ArcSwap<HashMap<usize, Ready>>,
}

/// The identity stays as long as its number is in use.
#[derive(Clone)]
struct Ready {
    identity: Identity,
    context: SslContext,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Side {
    pub(crate) fn new(identities: Arc<Identities>, alpn: &[Vec<u8>], usual: Option<&str>) -> Self {
        let (usual, alpn) = (usual.map(str::to_owned), alpn.to_vec());
        Self { identities, usual, alpn, ready: ArcSwap::default() }
    }

    /// A session that has not begun, with a client that asks for this name.
    pub(crate) fn session(&self, name: Option<&str>) -> Result<Ssl, ErrorStack> {
        let identity = self.identities.first_for(name, self.usual.as_deref());
        let known = self.ready.load().get(&identity.number()).map(|ready| ready.context.clone());
        let context = known.map_or_else(|| self.make(identity), Ok)?;
        let mut ssl = Ssl::new(&context)?;
        ssl.set_mtu(LARGEST_FLIGHT)?;
        ssl.set_accept_state();
        Ok(ssl)
    }

    /// Makes ready what is in force by now, and forgets what no longer is.
    fn make(&self, identity: Identity) -> Result<SslContext, ErrorStack> {
        let ready = Ready { context: self.context(&identity)?, identity };
        self.ready.rcu(|before| {
            let kept = before.iter().filter(|(_, ready)| self.identities.has(&ready.identity));
            let mut after: HashMap<_, _> = kept.map(|(number, ready)| (*number, ready.clone())).collect();
            after.insert(ready.identity.number(), ready.clone());
            after
        });
        Ok(ready.context)
    }

    fn context(&self, identity: &Identity) -> Result<SslContext, ErrorStack> {
        let mut builder = SslContext::builder(SslMethod::dtls_server())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_cipher_list(CIPHERS)?;
        builder.set_options(
            SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET
                | SslOptions::NO_QUERY_MTU
                | SslOptions::NO_COMPRESSION
                | SslOptions::CIPHER_SERVER_PREFERENCE,
        );
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        let mut chain = identity.chain();
        if let Some(own) = chain.next() {
            builder.set_certificate(X509::from_der(own)?.as_ref())?;
        }
        for issuer in chain {
            builder.add_extra_chain_cert(X509::from_der(issuer)?)?;
        }
        builder.set_private_key(PKey::private_key_from_der(identity.key())?.as_ref())?;
        builder.check_private_key()?;
        // Cookies are checked before there is a session: it gets none but a valid one.
        builder.set_cookie_verify_cb(|_, _| true);
        if !self.alpn.is_empty() {
            let ours = self.alpn.clone();
            builder.set_alpn_select_callback(move |_, theirs| {
                ours.iter().find_map(|name| offered(theirs, name)).ok_or(AlpnError::ALERT_FATAL)
            });
        }
        Ok(builder.build())
    }
}

/// The place of a name in a client's list, where each has its length in front.
fn offered<'a>(mut theirs: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    while let Some((&length, rest)) = theirs.split_first() {
        let (this, behind) = rest.split_at_checked(usize::from(length))?;
        if this == name {
            return Some(this);
        }
        theirs = behind;
    }
    None
}
