//! Proofs that names are ours, where an authority looks for them: in a TLS handshake (RFC 8737), at a URL (RFC 8555 §8.3), in
//! the DNS (§8.4). All of them go again.

use super::fault::Error;
use super::files::{Files, Kept};
use crate::challenges::Challenges;
use crate::config::plan::PushPlan;
use crate::dns::text::{Desk, Text};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domains::certificate::Challenge;
use net::tls::{Identities, Identity};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use wire::Domain;

/// Where proofs are put.
#[derive(Clone, Debug)]
pub(super) struct Prover {
    pub(super) identities: Option<Arc<Identities>>,
    pub(super) challenges: Arc<Challenges>,
    pub(super) push: Option<PushPlan>,
    /// Where records are put, once one was wanted.
    pub(super) desk: OnceLock<Result<Desk, String>>,
    pub(super) files: Files,
    pub(super) domain: Domain,
}

/// Those that stand there now.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    names: Vec<String>,
    tokens: Vec<String>,
    texts: Vec<Text>,
}

impl Prover {
    /// Puts a proof for a name: a challenge's token, and what that becomes with the account's key.
    pub(super) async fn put(
        &self,
        proofs: &mut Proofs,
        kept: &mut Kept,
        kind: Challenge,
        [name, token, authorization]: [&str; 3],
    ) -> Result<(), Error> {
        let digest = Sha256::digest(authorization);
        match kind {
            Challenge::TlsAlpn => {
                let identities = self.identities.as_ref();
                let identities = identities.ok_or_else(|| Error::Own("no listener speaks TLS".into()))?;
                let identity = special(name, &digest).map_err(Error::Own)?;
                proofs.names.push(name.to_owned());
                took(identities.challenge(name, Some(identity)))
            }
            Challenge::Http => {
                proofs.tokens.push(token.to_owned());
                took(self.challenges.put(token, authorization))
            }
            Challenge::Dns => {
                let desk = self.desk().map_err(Error::Own)?;
                let owner = format!("_acme-challenge.{name}");
                let value = BASE64_URL_SAFE_NO_PAD.encode(digest);
                let place = desk.place(&owner, &value).await;
                proofs.texts.push(place.map_err(Error::Own)?);
                // First it is written down what is to be taken away.
                kept.set_texts(&proofs.texts);
                self.files.save(&self.domain, kept)?;
                let text = proofs.texts.last().expect("one was put there just now");
                desk.put(text).await.map_err(Error::Own)
            }
        }
    }

    fn desk(&self) -> Result<&Desk, String> {
        let none = || Err("neither dns.push nor dns.provider is set".to_owned());
        let open = || self.push.as_ref().map_or_else(none, Desk::open);
        self.desk.get_or_init(open).as_ref().map_err(String::clone)
    }

    /// Waits until everybody sees them.
    pub(super) async fn wait(&self, proofs: &Proofs) {
        if let (false, Ok(desk)) = (proofs.texts.is_empty(), self.desk()) {
            desk.wait_for(&proofs.texts).await;
        }
    }

    /// Takes them away. What could not be taken out of the DNS is remembered.
    pub(super) async fn clear(&self, proofs: Proofs, kept: &mut Kept) {
        for name in &proofs.names {
            if let Some(identities) = &self.identities {
                identities.challenge(name, None);
            }
        }
        proofs.tokens.iter().for_each(|token| self.challenges.remove(token));
        self.clear_texts(proofs.texts, kept).await;
    }

    /// Takes records away, those that an earlier end has left behind too.
    pub(super) async fn clear_texts(&self, texts: Vec<Text>, kept: &mut Kept) {
        let mut left = vec![];
        for text in texts {
            let gone = match self.desk() {
                Ok(desk) => desk.take_away(&text).await,
                Err(error) => Err(error),
            };
            if let Err(error) = gone {
                tracing::warn!(record = %text.owner, error, "a record stays in the DNS that nobody needs");
                left.push(text);
            }
        }
        kept.set_texts(&left);
    }
}

fn took(taken: bool) -> Result<(), Error> {
    if taken { Ok(()) } else { Err(Error::Own("there are too many challenges".into())) }
}

/// The certificate that proves a name (RFC 8737 §3): for it alone, with the digest of the key authorization.
fn special(name: &str, digest: &[u8]) -> Result<Identity, String> {
    let made = (|| {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok::<_, rcgen::Error>((params.self_signed(&key)?, key))
    })();
    let (certificate, key) = made.map_err(|error| error.to_string())?;
    Identity::just_made(certificate.der(), &key.serialize_der()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    #[test]
    fn the_special_certificate_is_as_rfc_8737_has_it() {
        let identity = special("falcot.com", &[7; 32]).unwrap();
        let der = identity.chain().next().unwrap();
        let (_, parsed) = X509Certificate::from_der(der).unwrap();
        let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert!(matches!(names[..], [GeneralName::DNSName("falcot.com")]), "{names:?}");
        let own =
            parsed.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(own.critical, "RFC 8737 §3");
        assert_eq!(own.value, [&[4, 32][..], &[7; 32]].concat());
    }

    #[tokio::test]
    async fn what_is_put_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let prover = Prover {
            identities: None,
            challenges: Arc::default(),
            push: None,
            desk: OnceLock::new(),
            files: Files::of(folder.path()),
            domain: Domain::new("falcot.com").unwrap(),
        };
        let (mut proofs, mut kept) = (Proofs::default(), Kept::default());
        let put = prover.put(&mut proofs, &mut kept, Challenge::Http, ["falcot.com", "tok", "tok.key"]);
        put.await.unwrap();
        assert_eq!(prover.challenges.answer("tok").as_deref(), Some("tok.key"));
        for kind in [Challenge::TlsAlpn, Challenge::Dns] {
            let put = prover.put(&mut proofs, &mut kept, kind, ["falcot.com", "t", "t.k"]);
            assert!(matches!(put.await, Err(Error::Own(_))), "{kind}");
        }
        prover.clear(proofs, &mut kept).await;
        assert_eq!(prover.challenges.answer("tok"), None);
    }
}
