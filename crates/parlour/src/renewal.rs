//! The certificate of our own authority is renewed before it ends: when a third of its life is left, for the same key, so that one
//! file changes and TLSA records stay true, and with every name that the configuration wants by then. Others' certificates are
//! theirs to renew.

use crate::authority::{self, Issued};
use crate::config::Plan;
use crate::config::plan::TlsPlan;
use crate::dns::site;
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::x509::X509;
use std::fs::OpenOptions;
use std::io::Write;
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

/// Renews it if it is ours and its time has come: the file that was written.
pub fn renew(plan: &Plan) -> Result<Option<PathBuf>, String> {
    let (Some(tls), Ok(authority)) = (&plan.tls, authority(plan)) else { return Ok(None) };
    if !is_due(tls, &authority).map_err(|error| error.to_string())? {
        return Ok(None);
    }
    let names = names(plan, tls);
    let issued = authority::renew(&authority, &tls.key_pem, &names).map_err(|error| error.to_string())?;
    replace(&tls.certificate, &issued).map_err(|error| format!("{}: {error}", tls.certificate.display()))?;
    Ok(Some(tls.certificate.clone()))
}

/// Whether the authority has issued it, and no more than a third of its life is left.
fn is_due(tls: &TlsPlan, authority: &Issued) -> Result<bool, ErrorStack> {
    let authority = X509::from_pem(authority.certificate.as_bytes())?;
    let own = X509::from_pem(&tls.chain_pem)?;
    // A key of another kind is no failure, but another authority's.
    if !own.verify(&*authority.public_key()?).unwrap_or(false) {
        return Ok(false);
    }
    let now = Asn1Time::days_from_now(0)?;
    let (life, left) = (own.not_before().diff(own.not_after())?, now.diff(own.not_after())?);
    Ok(i64::from(left.days) * 3 <= i64::from(life.days))
}

/// Those that it has, and those that it should have by now.
fn names(plan: &Plan, tls: &TlsPlan) -> Vec<String> {
    let mut names = tls.names.clone();
    for name in plan.domains.iter().flat_map(|domain| site::of(plan, domain).certificate_names()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// In one step, so that whoever reads it meanwhile finds the old one or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(std::fs::metadata(path)?.permissions())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    fn plan(chain_pem: &[u8]) -> TlsPlan {
        TlsPlan {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            chain_pem: chain_pem.into(),
            key_pem: Secret::new(""),
            names: Vec::new(),
            ends: Duration::ZERO,
        }
    }

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
        let other = other.issue(&["falcot.com".to_owned()], &[]).unwrap().certificate;
        for others in [other.as_bytes(), &of_rsa()] {
            assert_eq!(is_due(&plan(others), &ours.own()).map_err(|error| error.to_string()), Ok(false));
        }
    }
}
