//! A certificate chain with its key.

use super::provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};
use std::sync::Arc;

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Pair>);

#[derive(Debug)]
struct Pair {
    certified: Arc<CertifiedKey>,
    /// The key once more, for DTLS, which is another library's. It does not show itself when it is printed.
    key: PrivateKeyDer<'static>,
}

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
    /// The certificate or the key is of a kind that TLS cannot use.
    #[error("unusable certificate or private key: {0}")]
    Unusable(String),
    /// The key is not that of the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl Identity {
    /// Reads a chain (the server's own certificate first) and its key (PKCS #8, PKCS #1 or SEC 1) from PEM text.
    ///
    /// # Errors
    /// Something is missing, damaged or does not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| IdentityError::Pem(error.to_string()))?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            PemError::NoItemsFound => IdentityError::NoKey,
            other => IdentityError::Pem(other.to_string()),
        })?;
        match CertifiedKey::from_der(chain, key.clone_key(), &provider()) {
            Ok(certified) => Ok(Self(Arc::new(Pair { certified: Arc::new(certified), key }))),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(IdentityError::Mismatch),
            Err(error) => Err(IdentityError::Unusable(error.to_string())),
        }
    }

    /// A certificate that the caller has just made for this key (both DER), whatever it says: one for an authority that looks whether
    /// a name is ours has a critical extension that no verifier knows (RFC 8737 §3).
    ///
    /// # Errors
    /// The key is of a kind that TLS cannot use.
    pub fn just_made(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let unusable = |error: &dyn std::fmt::Display| IdentityError::Unusable(error.to_string());
        let key = PrivateKeyDer::try_from(key).map_err(|error| unusable(&error))?.clone_key();
        let signs = provider().key_provider.load_private_key(key.clone_key());
        let signs = signs.map_err(|error| unusable(&error))?;
        let chain = vec![CertificateDer::from(certificate.to_vec())];
        Ok(Self(Arc::new(Pair { certified: Arc::new(CertifiedKey::new(chain, signs)), key })))
    }

    /// The chain as DER, the server's own certificate first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.certified.cert.iter().map(AsRef::as_ref)
    }

    /// The key as DER (PKCS #8, PKCS #1 or SEC 1).
    pub(crate) fn key(&self) -> &[u8] {
        self.0.key.secret_der()
    }

    /// As rustls wants it.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.certified)
    }

    /// Whether its key can sign in one of these ways.
    pub(super) fn can_sign(&self, schemes: &[SignatureScheme]) -> bool {
        self.0.certified.key.choose_scheme(schemes).is_some()
    }

    /// Tells it from all others for as long as it is there.
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["falcot.com".into()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn check(chain: &str, key: &str, expected: Option<&str>) {
        let got = Identity::from_pem(chain.as_bytes(), key.as_bytes()).err().map(|e| e.to_string());
        let matches = match (&got, expected) {
            (None, None) => true,
            (Some(got), Some(expected)) => got.starts_with(expected),
            _ => false,
        };
        assert!(matches, "{got:?} instead of {expected:?}");
    }

    #[test]
    fn what_was_just_made_may_have_extensions_that_nobody_knows() {
        let mut params = rcgen::CertificateParams::new(vec!["falcot.com".to_owned()]).unwrap();
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        assert!(Identity::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes()).is_err());
        let identity = Identity::just_made(made.der(), &key.serialize_der()).unwrap();
        assert_eq!(identity.chain().collect::<Vec<_>>(), [made.der().as_ref()]);
        assert!(identity.can_sign(&[SignatureScheme::ECDSA_NISTP256_SHA256]));
        assert!(Identity::just_made(made.der(), b"?").is_err());
    }

    #[test]
    fn takes_what_belongs_together_and_says_what_does_not() {
        let ((chain, key), (_, other)) = (pair(), pair());
        check(&chain, &key, None);
        check(&chain, &other, Some("the private key does not belong"));
        check("", &key, Some("no certificate"));
        check(&key, &key, Some("no certificate"));
        check(&chain, "", Some("no private key"));
        check(&chain, &chain, Some("no private key"));
        check(&chain[..chain.len() / 2], &key, Some("damaged PEM"));
        let nonsense = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        check(nonsense, &key, Some("unusable"));
    }
}
