//! What our own authority issues: a certificate for each domain. It is renewed before it ends, when a third of its life is left, and
//! when the configuration wants further names: for the same key, so that one file changes and TLSA records stay true. Others'
//! certificates are theirs to renew.

use crate::authority::{self, Authority, Issued};
use crate::clock::now;
use crate::config::plan::{CertificatePlan, DomainPlan, TlsPlan, TlsSource, acme_file, own_files};
use crate::config::{Plan, covers, read_pair};
use crate::replace::replace;
use crate::site;
use openssl::error::ErrorStack;
use openssl::x509::X509;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::Secret;

/// How often it is looked at.
pub const OFTEN: Duration = Duration::from_secs(3600);

/// Our own authority, where there is one that we have the key of.
pub fn authority(plan: &Plan) -> std::io::Result<Issued> {
    let read = |name: &str| std::fs::read(plan.data.join("certs").join(name));
    let certificate = read("authority.pem")?;
    Ok(Issued {
        certificate: String::from_utf8_lossy(&certificate).into_owned(),
        key: Secret::new(read("authority.key")?),
    })
}

/// Issues and renews what is ours to issue and whose time has come: the files that were written. What is in the way of one
/// certificate is not in the way of another: it is told beside them.
pub fn renew(plan: &Plan) -> (Vec<PathBuf>, Vec<String>) {
    let Some(tls) = &plan.tls else { return Default::default() };
    let results: Vec<_> = match tls.source {
        TlsSource::Files => {
            let Ok(authority) = authority(plan) else { return Default::default() };
            tls.certificates.iter().map(|one| renew_file(plan, &authority, one)).collect()
        }
        TlsSource::Own | TlsSource::Acme(_) => {
            let domains = plan.domains.iter().enumerate();
            domains.map(|(index, domain)| issue(plan, tls, domain, index == 0)).collect()
        }
    };
    let (mut written, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(file) => written.extend(file),
            Err(fault) => faults.push(fault),
        }
    }
    (written, faults)
}

/// One of the files of the configuration, if our authority has issued it.
fn renew_file(plan: &Plan, authority: &Issued, one: &CertificatePlan) -> Result<Option<PathBuf>, String> {
    let is_ours =
        issued_by(&one.chain_pem, authority.certificate.as_bytes()).map_err(|error| error.to_string())?;
    if !is_ours || !one.is_due(now()) {
        return Ok(None);
    }
    let domains = plan.domains.iter().filter(|domain| covers(&one.names, domain.name.as_str()));
    let wanted = domains.flat_map(|domain| site::of(plan, domain).certificate_names()).collect();
    renew_as(authority, one, wanted).map(Some)
}

/// The certificate of a domain: the first time, for further names, and when it is due. Where it has one of somebody else, that
/// is theirs to renew.
fn issue(plan: &Plan, tls: &TlsPlan, domain: &DomainPlan, first: bool) -> Result<Option<PathBuf>, String> {
    let [certificate, key] = own_files(&plan.data, &domain.name);
    let by_acme = acme_file(&plan.data, &domain.name);
    if tls.certificates.iter().any(|one| one.certificate == by_acme) {
        return Ok(None);
    }
    let mut wanted = site::of(plan, domain).certificate_names();
    if first {
        wanted.extend(LOCAL.map(str::to_owned));
    }
    let Ok(old) = read_pair(&certificate, &key) else {
        let authority = authority_or_new(plan)?;
        return issue_first(&authority, [&certificate, &key], &wanted).map(|()| Some(certificate));
    };
    let lacks = wanted.iter().any(|name| !covers(&old.names, name));
    let Ok(root) = std::fs::read(plan.data.join("certs/authority.pem")) else { return Ok(None) };
    if !(lacks || old.is_due(now()))
        || !issued_by(&old.chain_pem, &root).map_err(|error| error.to_string())?
    {
        return Ok(None);
    }
    renew_as(&authority_or_new(plan)?, &old, wanted).map(Some)
}

/// What a client on this host calls it.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// With a new key, as there is none that could be used.
fn issue_first(authority: &Issued, [certificate, key]: [&Path; 2], names: &[String]) -> Result<(), String> {
    let issued = authority::issue(authority, names).map_err(|error| error.to_string())?;
    put(key, 0o600, issued.key.expose())?;
    put(certificate, 0o644, issued.certificate.as_bytes())
}

/// For the same key, with the names that it has and those that it should have by now.
fn renew_as(authority: &Issued, old: &CertificatePlan, wanted: Vec<String>) -> Result<PathBuf, String> {
    let mut names = old.names.clone();
    for name in wanted {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let renewed = authority::renew(authority, &old.key_pem, &names).map_err(|error| error.to_string())?;
    let mode = std::fs::metadata(&old.certificate).map_or(0o644, |facts| facts.permissions().mode() & 0o777);
    put(&old.certificate, mode, renewed.as_bytes())?;
    Ok(old.certificate.clone())
}

/// Our own authority; where there is nothing of one, a new one; where there is a key alone, as after a sudden end of that, one for
/// this key.
fn authority_or_new(plan: &Plan) -> Result<Issued, String> {
    let folder = plan.data.join("certs");
    let missing = match authority(plan) {
        Ok(authority) => return Ok(authority),
        Err(error) => format!("our own authority is needed, in {}: {error}", folder.display()),
    };
    let [certificate, key] = ["pem", "key"].map(|ending| folder.join(format!("authority.{ending}")));
    if certificate.exists() {
        return Err(missing);
    }
    let made = DirBuilder::new().mode(0o700).recursive(true).create(&folder);
    made.map_err(|error| format!("{}: {error}", folder.display()))?;
    let name = plan.domains.first().map_or("", |domain| domain.name.as_str());
    let new = match std::fs::read(&key) {
        Ok(pem) => Authority::with_key(name, &Secret::new(pem)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Authority::new(name),
        Err(error) => return Err(format!("{}: {error}", key.display())),
    };
    let new = new.map_err(|error| format!("{}: {error}", key.display()))?.own();
    if !key.exists() {
        put(&key, 0o600, new.key.expose())?;
    }
    put(&certificate, 0o644, new.certificate.as_bytes())?;
    tracing::info!(file = %certificate.display(), "this house has an authority of its own from now on");
    Ok(new)
}

/// Whether an authority has issued a certificate (both PEM).
fn issued_by(chain_pem: &[u8], authority: &[u8]) -> Result<bool, ErrorStack> {
    let authority = X509::from_pem(authority)?;
    // A key of another kind is no failure, but another authority's.
    Ok(X509::from_pem(chain_pem)?.verify(&*authority.public_key()?).unwrap_or(false))
}

fn put(path: &Path, mode: u32, content: &[u8]) -> Result<(), String> {
    replace(path, mode, content).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    /// A certificate that an authority with an RSA key has signed, as many public ones are.
    fn of_rsa() -> Vec<u8> {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut made = X509::builder().unwrap();
        made.set_pubkey(&key).unwrap();
        made.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        made.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        made.sign(&key, MessageDigest::sha256()).unwrap();
        made.build().to_pem().unwrap()
    }

    #[test]
    fn certificates_of_others_are_theirs_to_renew() {
        let (ours, other) = (Authority::new("falcot.com").unwrap(), Authority::new("falcot.com").unwrap());
        let names = ["falcot.com".to_owned()];
        let other = other.issue(&names, &[]).unwrap().certificate;
        let root = ours.own().certificate;
        for others in [other.as_bytes(), &of_rsa()] {
            assert_eq!(issued_by(others, root.as_bytes()).map_err(|error| error.to_string()), Ok(false));
        }
        let own = ours.issue(&names, &[]).unwrap().certificate;
        assert!(issued_by(own.as_bytes(), root.as_bytes()).unwrap());
    }
}
