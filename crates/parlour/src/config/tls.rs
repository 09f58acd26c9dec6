//! Reads the certificate and its key, and says whether they fit one another and our names.

use super::fault::Fault;
use super::file::Typed;
use super::plan::TlsPlan;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::time::Duration;
use wire::Secret;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Reads both files, which the configuration in `dir` names.
pub(super) fn read(
    dir: &Path,
    certificate: &Typed<String>,
    key: &Typed<String>,
) -> Result<TlsPlan, Vec<Fault>> {
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
    let (names, ends) = facts.map_err(|message| vec![certificate.fault(message)])?;
    Ok(TlsPlan { certificate: chain_file, key: key_file, chain_pem: chain_pem.into(), key_pem, names, ends })
}

/// Reads the certificates of a file of authorities (DER).
pub(super) fn read_roots(dir: &Path, file: &Typed<String>) -> Result<Vec<Vec<u8>>, Fault> {
    let text = read_file(&dir.join(&file.value), file)?;
    Ok(read_chain(&text, file)?.iter().map(|certificate| certificate.to_vec()).collect())
}

/// What stands in the files of a certificate by now; the rest of the configuration does not matter.
pub(crate) fn renewed(old: &TlsPlan) -> Result<TlsPlan, String> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    let (chain_pem, key_pem) = (file(&old.certificate)?, Secret::new(file(&old.key)?));
    let wrong = |path: &Path| format!("{} is not what it should be", path.display());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain_pem).filter_map(Result::ok).collect();
    let private = PrivateKeyDer::from_pem_slice(key_pem.expose()).map_err(|_| wrong(&old.key))?;
    let (names, ends) = facts(chain.first().ok_or_else(|| wrong(&old.certificate))?)?;
    must_match(chain, private, &old.key)?;
    Ok(TlsPlan { chain_pem: chain_pem.into(), key_pem, names, ends, ..old.clone() })
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

/// The same of a certificate that somebody showed (DER).
pub(crate) fn certificate_facts(certificate: &[u8]) -> Result<(Vec<String>, Duration), String> {
    facts(&CertificateDer::from(certificate))
}

/// The names and addresses of a certificate (RFC 6125: only subjectAltName counts), and when it ends.
fn facts(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, Duration), String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate is broken: {error}"))?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.map_or(&[][..], |extension| &extension.value.general_names);
    let names = names.iter().filter_map(name).collect();
    let ends = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    Ok((names, Duration::from_secs(ends)))
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
