//! The certificates that listeners show, and where they come from.

use domains::certificate::Challenge;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wire::{Domain, Secret};

/// What TLS and DTLS listeners show.
#[derive(Clone, Debug)]
pub struct TlsPlan {
    /// Where certificates come from.
    pub source: TlsSource,
    /// Those that there are, the first for clients that ask for nobody or for a stranger. With [`TlsSource::Own`] and
    /// [`TlsSource::Acme`] some, or all, may be missing: a running server issues or orders them.
    pub certificates: Vec<CertificatePlan>,
}

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum TlsSource {
    /// Our own authority issues one for each domain, and renews it.
    Own,
    /// The files that the configuration names: whoever makes them renews them.
    Files,
    /// An authority that speaks ACME issues one for each domain; until it has, our own does.
    Acme(AcmePlan),
}

/// An authority that speaks ACME (RFC 8555), and how it is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmePlan {
    /// The URL of its directory.
    pub directory: String,
    /// Whom it may write to: `mailto:` URLs.
    pub contact: Vec<String>,
    /// How it finds out that a name is ours: the first of these, and where that fails, the next.
    pub challenges: Vec<Challenge>,
    /// The account that we have with it otherwise, where it wants one.
    pub external: Option<ExternalAccount>,
    /// Whose certificate its directory may show beside those of the system's authorities (DER).
    pub roots: Arc<[Vec<u8>]>,
}

/// An account that was made by other means (RFC 8555 §7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// Its name with the authority.
    pub kid: String,
    /// The key that it is proven by.
    pub key: Secret,
}

/// A certificate that there is, with its key.
#[derive(Clone)]
pub struct CertificatePlan {
    /// The file with the chain, watched for changes.
    pub certificate: PathBuf,
    /// The file with the key; it may be the same.
    pub key: PathBuf,
    /// What stood in it (PEM); it has been found to match the key.
    pub chain_pem: Arc<[u8]>,
    /// What stood in the file with the key (PEM).
    pub key_pem: Secret,
    /// The names and addresses that the certificate is for.
    pub names: Vec<String>,
    /// When it begins, as time since 1970-01-01 00:00 UTC.
    pub begins: Duration,
    /// When it ends, in the same way.
    pub ends: Duration,
}

impl TlsPlan {
    /// The names and addresses that there is a certificate for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().flat_map(|one| one.names.iter().map(String::as_str))
    }

    /// Whether there is a certificate for a name.
    pub fn covers(&self, name: &str) -> bool {
        self.certificates.iter().any(|one| super::super::covers(&one.names, name))
    }

    /// What clients are shown that ask for a name, each the first that it can check: those for it alone before a wildcard's before the
    /// first of all.
    pub fn shown_for(&self, name: &str) -> Vec<&CertificatePlan> {
        let exact = |one: &&CertificatePlan| one.names.iter().any(|own| own == name);
        let wild = |one: &&CertificatePlan| super::super::covers(&one.names, name);
        let found: Vec<_> = self.certificates.iter().filter(exact).collect();
        let found = if found.is_empty() { self.certificates.iter().filter(wild).collect() } else { found };
        if found.is_empty() { self.certificates.first().into_iter().collect() } else { found }
    }

    /// Whether both have the same certificates from the same files.
    pub fn is_same(&self, other: &Self) -> bool {
        let what = |one: &CertificatePlan| (one.certificate.clone(), Arc::clone(&one.chain_pem));
        self.certificates.iter().map(what).eq(other.certificates.iter().map(what))
    }

    /// When the first of them ends.
    pub fn ends(&self) -> Option<Duration> {
        self.certificates.iter().map(|one| one.ends).min()
    }
}

impl CertificatePlan {
    /// The certificate itself (DER).
    pub fn leaf(&self) -> Option<Vec<u8>> {
        CertificateDer::from_pem_slice(&self.chain_pem).ok().map(|leaf| leaf.to_vec())
    }

    /// Whether a third of its life or less is left at a time since 1970.
    pub fn is_due(&self, now: Duration) -> bool {
        let life = self.ends.saturating_sub(self.begins);
        self.ends.saturating_sub(now) * 3 <= life
    }
}

impl fmt::Debug for CertificatePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificatePlan({}, ends {:?})", self.certificate.display(), self.ends)
    }
}

/// Where the certificate of a domain by our own authority lies, and its key; `data` is our directory.
pub fn own_files(data: &Path, domain: &Domain) -> [PathBuf; 2] {
    let folder = data.join("certs");
    [folder.join(format!("{domain}.pem")), folder.join(format!("{domain}.key"))]
}

/// Where the certificate of a domain by an ACME authority lies, with its key in the same file.
pub fn acme_file(data: &Path, domain: &Domain) -> PathBuf {
    data.join("certs").join(format!("{domain}.acme.pem"))
}
