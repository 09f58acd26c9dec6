//! Certificate chains with their keys, replaceable while running.

use std::sync::Arc;

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct Identity(());

/// A certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The PEM text holds no certificate.
    #[error("no certificate in the PEM text")]
    NoCertificate,
    /// The PEM text holds no private key.
    #[error("no private key in the PEM text")]
    NoKey,
    /// The PEM text is damaged.
    #[error("damaged PEM text: {0}")]
    Pem(String),
    /// The key is of a kind that TLS cannot use.
    #[error("unusable private key: {0}")]
    Key(String),
    /// The key is not that of the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl Identity {
    /// Reads a chain (the server's own certificate first) and its key (PKCS #8, PKCS #1 or SEC 1) from PEM text.
    ///
    /// # Errors
    /// Something is missing, damaged or does not belong together.
    pub fn from_pem(_chain: &[u8], _key: &[u8]) -> Result<Self, IdentityError> {
        unimplemented!()
    }
}

/// The identities in force. Share it by `Arc`; new handshakes see a replacement at once, running connections keep theirs.
#[derive(Debug)]
pub struct Identities(());

impl Identities {
    /// Starts with `identity` for every name.
    pub fn new(_identity: Identity) -> Arc<Self> {
        unimplemented!()
    }

    /// Replaces it.
    pub fn replace(&self, _identity: Identity) {
        unimplemented!()
    }
}
