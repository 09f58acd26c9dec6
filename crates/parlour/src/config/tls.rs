//! What the table `tls` means. Reads certificates and their keys, and says whether they fit one another and our names.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::meaning::{Judge, days_left};
use super::plan::{self, CertificatePlan, DomainPlan, TlsPlan, TlsSource};
use crate::clock::now;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wire::{Domain, Secret};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// A certificate that the configuration in `dir` names.
fn named(
    dir: &Path,
    certificate: &Typed<String>,
    key: &Typed<String>,
) -> Result<CertificatePlan, Vec<Fault>> {
    let chain_file = dir.join(&certificate.value);
    let key_file = dir.join(&key.value);
    let (chain_pem, key_pem) = match (read_file(&chain_file, certificate), read_file(&key_file, key)) {
        (Ok(chain), Ok(private)) => (chain, Secret::new(private)),
        (chain, private) => return Err(chain.err().into_iter().chain(private.err()).collect()),
    };
    let (chain, private) = match (read_chain(&chain_pem, certificate), read_key(&key_pem, key)) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => return Err(chain.err().into_iter().chain(private.err()).collect()),
    };
    let facts = facts(&chain[0]).and_then(|facts| must_match(chain, private, &key_file).map(|()| facts));
    let Facts { names, begins, ends } = facts.map_err(|message| vec![certificate.fault(message)])?;
    let chain_pem = chain_pem.into();
    Ok(CertificatePlan { certificate: chain_file, key: key_file, chain_pem, key_pem, names, begins, ends })
}

impl<'a> Judge<'a> {
    /// What listeners show, and where it comes from; `None` where nobody speaks TLS.
    pub(super) fn tls(
        &mut self,
        domains: &[DomainPlan],
        data: &Path,
        pushes: bool,
        wanted: bool,
    ) -> Option<TlsPlan> {
        let table = self.file.section("tls");
        let names_files = ["certificate", "key"].iter().any(|key| given(table, key).is_some())
            || !table.rows("certificates").is_empty();
        let source = match table.text("source").map(|typed| (typed, typed.value.trim())) {
            None if names_files => TlsSource::Files,
            None if !wanted => return None,
            None | Some((_, "own")) => TlsSource::Own,
            Some((_, "files")) => TlsSource::Files,
            Some((_, "acme")) => TlsSource::Acme(self.acme(pushes)?),
            Some((typed, other)) => {
                let fault = typed.fault(format!("`{other}` is nowhere that certificates come from"));
                self.faults.push(fault.help("write \"own\", \"files\" or \"acme\""));
                return None;
            }
        };
        let certificates = match &source {
            TlsSource::Files => self.files(table)?,
            _ => {
                self.refuse_files(table);
                self.issued(&source, domains, data)
            }
        };
        let plan = TlsPlan { source, certificates };
        self.warn_about_certificates(&plan, domains);
        Some(plan)
    }

    /// Those that the configuration names.
    fn files(&mut self, table: &'a Table) -> Option<Vec<CertificatePlan>> {
        let first = self.pair(table, "tls");
        let rows = table.rows("certificates").iter();
        let more: Vec<_> = rows.map(|row| self.pair(row, "tls.certificates")).collect();
        std::iter::once(first).chain(more).collect()
    }

    fn pair(&mut self, table: &'a Table, path: &str) -> Option<CertificatePlan> {
        let (certificate, key) = (given(table, "certificate"), given(table, "key"));
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let named = named(self.dir, certificate, key);
            return named.map_err(|faults| self.faults.extend(faults)).ok();
        }
        let missing = if certificate.is_none() { "certificate" } else { "key" };
        let name = format!("{path}.{missing}");
        if !self.faults.iter().any(|fault| fault.key == name) {
            let fault = Fault::missing(name, format!("`{missing}` is missing under `[{path}]`"));
            self.faults.push(fault.help("a certificate of \"files\" has both, `certificate` and `key`"));
        }
        None
    }

    /// What is for "files" alone would mean nothing.
    fn refuse_files(&mut self, table: &'a Table) {
        let texts = ["certificate", "key"].into_iter().filter_map(|key| given(table, key));
        let mut faults: Vec<_> =
            texts.map(|typed| typed.fault("it is for `source = \"files\"` alone")).collect();
        if let Some(row) = table.rows("certificates").first() {
            let message = "they are for `source = \"files\"` alone";
            faults.push(Fault::new(row.span.clone(), "tls.certificates", message));
        }
        self.faults.extend(faults.into_iter().map(|fault| fault.help("take it out, or write that source")));
    }

    /// Those that were issued to us by now.
    fn issued(&mut self, source: &TlsSource, domains: &[DomainPlan], data: &Path) -> Vec<CertificatePlan> {
        let mut found = Vec::new();
        for domain in domains {
            match issued(source, data, &domain.name) {
                Ok(Some(certificate)) => found.push(certificate),
                Ok(None) => self.warnings.push(format!(
                    "tls.source: there is no certificate for {} yet; the server issues one when it starts",
                    domain.name
                )),
                Err(message) => self.warnings.push(format!(
                    "tls.source: the certificate for {} is issued again when the server starts: {message}",
                    domain.name
                )),
            }
        }
        found
    }

    /// The certificates of `tls.roots`.
    pub(super) fn roots(&mut self) -> Arc<[Vec<u8>]> {
        self.authorities(self.file.section("tls"))
    }

    /// The authorities of `tls.domain-roots`, with the domain that each is trusted for.
    pub(super) fn domain_roots(&mut self) -> Arc<[(Domain, Vec<Vec<u8>>)]> {
        let dir = self.dir;
        self.each(self.file.section("tls").texts("domain-roots"), |typed| {
            let pair = typed.value.split_once('=').map(|(domain, file)| (domain.trim(), file.trim()));
            let found = pair.and_then(|(domain, file)| Some((Domain::new(domain).ok()?, file)));
            let (domain, file) = found.ok_or_else(|| {
                let fault = typed.fault(format!("`{}` is not a domain and a file", typed.value));
                fault.help("write \"DOMAIN=FILE\", as in \"example.org=roots/example.org.pem\"")
            })?;
            let file = Typed { value: file.to_owned(), ..typed.clone() };
            Ok((domain, read_roots(dir, &file)?))
        })
        .into()
    }

    /// The authorities in the files of `roots`.
    pub(super) fn authorities(&mut self, table: &'a Table) -> Arc<[Vec<u8>]> {
        let dir = self.dir;
        self.each(table.texts("roots"), |typed| read_roots(dir, typed)).concat().into()
    }

    fn warn_about_certificates(&mut self, plan: &TlsPlan, domains: &[DomainPlan]) {
        for one in &plan.certificates {
            if others_may_read(&one.key) {
                self.warnings.push(format!("tls.key: others may read {}; chmod 600 it", one.key.display()));
            }
            if one.is_due(now()) {
                let days = days_left(one.ends);
                let ended = if days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") };
                self.warnings.push(format!("tls.certificate: {} {ended}", one.certificate.display()));
            }
        }
        let names = domains.iter().flat_map(|domain| std::iter::once(&domain.name).chain(&domain.aliases));
        let open: Vec<_> = names.map(Domain::as_str).filter(|name| !plan.covers(name)).collect();
        // What is issued to us gets its names with the next one.
        if matches!(plan.source, TlsSource::Files) && !open.is_empty() {
            let it = if plan.certificates.len() == 1 { "it is not" } else { "none is" };
            self.warnings.push(format!("tls.certificate: {it} for {}", open.join(", ")));
        }
    }
}

/// A text that stands there and is not empty.
fn given<'a>(table: &'a Table, key: &str) -> Option<&'a Typed<String>> {
    table.text(key).filter(|typed| !typed.value.is_empty())
}

/// The certificate that a domain has from ACME, or else from our own authority; none: not yet. Why it cannot be used.
pub(crate) fn issued(
    source: &TlsSource,
    data: &Path,
    domain: &Domain,
) -> Result<Option<CertificatePlan>, String> {
    if matches!(source, TlsSource::Acme(_)) {
        let file = plan::acme_file(data, domain);
        // What the authority has issued is the better one as long as it holds.
        if let Ok(certificate) = read_pair(&file, &file)
            && certificate.ends > now()
        {
            return Ok(Some(certificate));
        }
    }
    let [certificate, key] = plan::own_files(data, domain);
    if !certificate.exists() || !key.exists() {
        return Ok(None);
    }
    read_pair(&certificate, &key).map(Some)
}

/// Reads the certificates of a file of authorities (DER).
fn read_roots(dir: &Path, file: &Typed<String>) -> Result<Vec<Vec<u8>>, Fault> {
    let text = read_file(&dir.join(&file.value), file)?;
    Ok(read_chain(&text, file)?.iter().map(|certificate| certificate.to_vec()).collect())
}

/// What stands in the files of a certificate.
pub(crate) fn read_pair(certificate: &Path, key: &Path) -> Result<CertificatePlan, String> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    let (chain_pem, key_pem) = (file(certificate)?, Secret::new(file(key)?));
    let wrong = |path: &Path| format!("{} is not what it should be", path.display());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain_pem).filter_map(Result::ok).collect();
    let private = PrivateKeyDer::from_pem_slice(key_pem.expose()).map_err(|_| wrong(key))?;
    let Facts { names, begins, ends } = facts(chain.first().ok_or_else(|| wrong(certificate))?)?;
    must_match(chain, private, key)?;
    let (chain_pem, certificate, key) = (chain_pem.into(), certificate.to_owned(), key.to_owned());
    Ok(CertificatePlan { certificate, key, chain_pem, key_pem, names, begins, ends })
}

fn must_match(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    key: &Path,
) -> Result<(), String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, private, &provider).map(drop).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("the key in {} is not this certificate's", key.display())
        }
        other => format!("the certificate or its key cannot be used: {other}"),
    })
}

fn read_chain(text: &[u8], typed: &Typed<String>) -> Result<Vec<CertificateDer<'static>>, Fault> {
    match CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(typed.fault(format!("no certificate is in {}", typed.value))),
        Err(error) => Err(typed.fault(format!("{} is not PEM: {error}", typed.value))),
    }
}

fn read_key(text: &Secret, typed: &Typed<String>) -> Result<PrivateKeyDer<'static>, Fault> {
    let key = PrivateKeyDer::from_pem_slice(text.expose());
    key.map_err(|_| typed.fault(format!("no private key is in {}", typed.value)))
}

fn read_file(path: &Path, typed: &Typed<String>) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).map_err(|error| typed.fault(format!("{} cannot be read: {error}", path.display())))
}

/// The names of a certificate that somebody showed (DER), and when it ends.
pub(crate) fn certificate_facts(certificate: &[u8]) -> Result<(Vec<String>, Duration), String> {
    facts(&CertificateDer::from(certificate)).map(|facts| (facts.names, facts.ends))
}

/// What a certificate says of itself.
struct Facts {
    names: Vec<String>,
    begins: Duration,
    ends: Duration,
}

/// The names and addresses of a certificate (RFC 6125: only subjectAltName counts), and when it begins and ends.
fn facts(certificate: &CertificateDer<'_>) -> Result<Facts, String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate is broken: {error}"))?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.map_or(&[][..], |extension| &extension.value.general_names);
    let names = names.iter().filter_map(name).collect();
    let since_1970 = |time: ASN1Time| Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0));
    let validity = parsed.validity();
    Ok(Facts { names, begins: since_1970(validity.not_before), ends: since_1970(validity.not_after) })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(octets) => match <[u8; 4]>::try_from(*octets) {
            Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            Err(_) => Some(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(*octets).ok()?).to_string()),
        },
        _ => None,
    }
}

/// Whether one of `names` is `wanted`, or its wildcard (RFC 6125 §6.4.3).
pub(crate) fn covers(names: &[String], wanted: &str) -> bool {
    let wildcard = wanted.split_once('.').map(|(_, rest)| format!("*.{rest}"));
    names.iter().any(|name| name == wanted || wildcard.as_ref() == Some(name))
}

/// Whether others than the owner may read a file.
pub(super) fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o044 != 0)
}
