//! By what a client's TLS session can be known, so that a sign-in may be bound to it (RFC 5929 §4, RFC 9266).

use crate::desk::Desk;
use sha2::{Digest, Sha256, Sha384, Sha512};
use wire::ConnectionId;
use x509_parser::prelude::{FromDer, X509Certificate};
use xmpp::sasl::Channel;

/// The hash of the certificate that was shown last, beside that certificate: they change together, and seldom.
#[derive(Debug, Default)]
pub(super) struct EndPoint {
    certificate: Vec<u8>,
    hash: Option<Box<[u8]>>,
}

impl EndPoint {
    /// What the TLS session of a connection can be known by. Only right behind the handshake.
    pub(super) fn channel(&mut self, desk: &Desk<'_, '_>, conn: ConnectionId) -> Channel {
        let info = desk.net.info(conn);
        let identity = desk.net.shown(conn);
        let own = identity.as_ref().and_then(|identity| identity.chain().next()).unwrap_or_default();
        if self.certificate != own {
            self.certificate = own.to_vec();
            self.hash = hash(own);
        }
        let chain = info.and_then(|info| info.chain);
        let certificate = chain.and_then(|chain| desk.shared.trust.user(&chain));
        Channel { exporter: desk.net.tls_exporter(conn), end_point: self.hash.clone(), certificate }
    }
}

/// The hash of a certificate by the function that it is signed with; MD5 and SHA-1 give way to SHA-256 (RFC 5929 §4.1).
fn hash(certificate: &[u8]) -> Option<Box<[u8]>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        // md5, sha1 and sha256 with RSA; sha1 and sha256 with ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(certificate).as_slice().into(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).as_slice().into(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).as_slice().into(),
        // Others have no one hash function: there is no such binding then.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let length = |algorithm| {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::new(["falcot.com".to_owned()]).unwrap().self_signed(&key);
            hash(certificate.unwrap().der()).map(|hash| hash.len())
        };
        assert_eq!(length(&PKCS_ECDSA_P256_SHA256), Some(32));
        assert_eq!(length(&PKCS_ECDSA_P384_SHA384), Some(48));
        assert_eq!(length(&PKCS_ED25519), None);
        assert_eq!(hash(b"no certificate"), None);
    }
}
