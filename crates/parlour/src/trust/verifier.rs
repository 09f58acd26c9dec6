//! The rules, as rustls asks for them: a chain to an authority by webpki, the name by RFC 5922 §7 or RFC 6120
//! §13.7.1.2.

use domains::identity::Names;
use net::tls::{CertificateDer, ServerName, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter};

/// What a certificate must be for, where it says what it is for: a server, a client (public authorities do not sign that any
/// more), or a SIP domain (RFC 5924).
const PURPOSES: [KeyPurposeId<'static>; 3] = [
    KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 1]),
    KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 2]),
    KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 20]),
];

/// Any of [`PURPOSES`].
struct Purpose;

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, all: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut says = false;
        for purpose in all {
            if PURPOSES.contains(&purpose?) {
                return Ok(());
            }
            says = true;
        }
        // The word of webpki that comes nearest; its own is not for others to say.
        if says { Err(webpki::Error::EndEntityUsedAsCa) } else { Ok(()) }
    }
}

/// Why a certificate is not believed.
#[derive(Debug)]
pub(super) enum Distrust {
    /// It is not signed by anybody we trust.
    Stranger,
    /// Its time is over, or has not come.
    Time,
    /// It says of itself that it is for something else.
    Purpose,
    /// It is good, but for others than this.
    Name(String, Vec<String>),
    /// It is broken.
    Broken(webpki::Error),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => f.write_str("its certificate is not signed by anybody we trust"),
            Self::Time => f.write_str("its certificate has ended, or does not hold yet"),
            Self::Purpose => f.write_str("its certificate is for another purpose"),
            Self::Name(wanted, names) if names.is_empty() => {
                write!(f, "its certificate names no domain, so not {wanted}")
            }
            Self::Name(wanted, names) => {
                write!(f, "its certificate is for {}, not {wanted}", names.join(", "))
            }
            Self::Broken(error) => write!(f, "its certificate is broken: {error}"),
        }
    }
}

impl std::error::Error for Distrust {}

impl From<webpki::Error> for Distrust {
    fn from(error: webpki::Error) -> Self {
        match error {
            webpki::Error::UnknownIssuer => Self::Stranger,
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Self::Time,
            webpki::Error::EndEntityUsedAsCa => Self::Purpose,
            other => Self::Broken(other),
        }
    }
}

impl From<Distrust> for Error {
    fn from(distrust: Distrust) -> Self {
        CertificateError::Other(OtherError(Arc::new(distrust))).into()
    }
}

/// Judges whether a chain leads to an authority that we trust.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    roots: Arc<RootCertStore>,
    /// Authorities that are trusted for a domain and what lies below it alone.
    of_domains: Arc<HashMap<String, RootCertStore>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Peers {
    pub(super) fn new(roots: RootCertStore) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { roots: Arc::new(roots), of_domains: Arc::default(), algorithms }
    }

    /// The same, with authorities for some domains alone.
    pub(super) fn and_for(self, of_domains: HashMap<String, RootCertStore>) -> Self {
        Self { of_domains: Arc::new(of_domains), ..self }
    }

    pub(super) fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        self.judge_by(&self.roots, own, others, now)
    }

    /// The same where a certificate is to prove this domain.
    pub(super) fn judge_for(
        &self,
        domain: &str,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        match self.judge(own, others, now) {
            Err(Distrust::Stranger) => {
                let roots = self.roots_of(domain).ok_or(Distrust::Stranger)?;
                self.judge_by(roots, own, others, now)
            }
            judged => judged,
        }
    }

    /// The authorities of a domain, or of the nearest one above it that has any.
    fn roots_of(&self, domain: &str) -> Option<&RootCertStore> {
        if self.of_domains.is_empty() {
            return None;
        }
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let above = std::iter::successors(Some(&*domain), |name| name.split_once('.').map(|(_, rest)| rest));
        above.filter_map(|name| self.of_domains.get(name)).next()
    }

    fn judge_by(
        &self,
        roots: &RootCertStore,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let certificate = EndEntityCert::try_from(own)?;
        let anchors = &roots.roots;
        certificate.verify_for_usage(self.algorithms.all, anchors, others, now, Purpose, None, None)?;
        Ok(())
    }
}

/// By whose rules a name is proven.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// RFC 5922 §7, or what will do for a domain beside that.
    Sip(Vec<(String, String)>),
    /// RFC 6120 §13.7.1.2.
    Xmpp,
}

impl Rule {
    /// Whether the names of a certificate are good for a domain.
    fn accepts(&self, names: &Names, wanted: &str) -> bool {
        match self {
            Self::Xmpp => names.prove_xmpp(wanted),
            Self::Sip(exceptions) => {
                let is_excepted = |(domain, name): &(String, String)| {
                    domain.eq_ignore_ascii_case(wanted.trim_end_matches('.')) && names.has_sip_domain(name)
                };
                names.prove_sip(wanted) || exceptions.iter().any(is_excepted)
            }
        }
    }

    /// The names that might have been good.
    fn named(&self, names: &Names) -> Vec<String> {
        match self {
            Self::Sip(_) => names.sip_domains().to_vec(),
            Self::Xmpp => [&names.services[..], &names.xmpp, &names.dns].concat(),
        }
    }
}

/// What another server has to prove.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) peers: Peers,
    pub(super) rule: Rule,
}

impl Server {
    /// Whether a chain is believed, and proves a domain.
    pub(super) fn judge(
        &self,
        wanted: &str,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        self.peers.judge_for(wanted, own, others, now)?;
        let names = Names::of(own).unwrap_or_default();
        match self.rule.accepts(&names, wanted) {
            true => Ok(()),
            false => Err(Distrust::Name(wanted.to_owned(), self.rule.named(&names))),
        }
    }
}

impl ServerCertVerifier for Server {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        wanted: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(&wanted.to_str(), own, others, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.peers.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.peers.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.peers.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use rustls::pki_types::pem::PemObject;

    /// A trunk whose records lead to a server of its provider, as `sip.peers` names it.
    #[test]
    fn an_exception_is_for_its_domain_and_its_name_alone() {
        let authority = Authority::new("provider.net").unwrap();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([CertificateDer::from_pem_slice(
            authority.own().certificate.as_bytes(),
        )
        .unwrap()]);
        let exceptions = [("example.org", "*.provider.net"), ("example.net", "sbc.provider.net")];
        let exceptions = exceptions.map(|(domain, name)| (domain.to_owned(), name.to_owned())).into();
        let server = Server { peers: Peers::new(roots), rule: Rule::Sip(exceptions) };
        for (names, wanted, expected) in [
            ("*.provider.net", "example.org", true),
            ("*.provider.net", "EXAMPLE.org", true),
            ("*.provider.net", "example.com", false),
            ("*.provider.net", "example.net", false),
            ("*.provider.net", "sip.provider.net", false),
            ("sbc.provider.net", "example.net", true),
            ("sbc.provider.net", "example.org", false),
            ("example.org", "example.org", true),
            ("other.provider.net", "example.net", false),
        ] {
            let issued = authority.issue(&[names.to_owned()], &[]).unwrap();
            let own = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
            let name = ServerName::try_from(wanted).unwrap();
            let judged = server.verify_server_cert(&own, &[], &name, &[], UnixTime::now());
            assert_eq!(judged.is_ok(), expected, "{names} for {wanted}: {judged:?}");
        }
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn an_authority_of_a_domain_is_trusted_for_that_and_what_lies_below_it_alone() {
        let (theirs, ours) = (Authority::new("example.org").unwrap(), Authority::new("falcot.com").unwrap());
        let store = |authority: &Authority| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates([der(&authority.own().certificate)]);
            roots
        };
        let of_domains = HashMap::from([("example.org".to_owned(), store(&theirs))]);
        let peers = Peers::new(store(&ours)).and_for(of_domains);
        for (rule, authority, name, wanted, expected) in [
            (Rule::Xmpp, &theirs, "example.org", "example.org", true),
            (Rule::Xmpp, &theirs, "*.example.org", "rooms.Example.org.", true),
            (Rule::Sip(Vec::new()), &theirs, "sip.example.org", "sip.example.org", true),
            (Rule::Sip(Vec::new()), &theirs, "*.example.org", "sip.example.org", false),
            (Rule::Xmpp, &theirs, "example.net", "example.net", false),
            (Rule::Sip(Vec::new()), &theirs, "example.net", "example.net", false),
            (Rule::Xmpp, &theirs, "example.net", "example.org", false),
            (Rule::Xmpp, &theirs, "badexample.org", "badexample.org", false),
            (Rule::Xmpp, &ours, "example.net", "example.net", true),
            (Rule::Xmpp, &ours, "example.org", "example.org", true),
        ] {
            let own = der(&authority.issue(&[name.to_owned()], &[]).unwrap().certificate);
            let judged =
                Server { peers: peers.clone(), rule: rule.clone() }.judge(wanted, &own, &[], UnixTime::now());
            assert_eq!(judged.is_ok(), expected, "{rule:?}: {name} for {wanted}: {judged:?}");
        }
    }
}
