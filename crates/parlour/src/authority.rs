//! Our own certificate authority: for a house without public names, and until it has a public certificate.
//!
//! ECDSA on P-256 throughout: every client has it, and signing costs a worker little.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};
use wire::{Address, Secret};

/// How long the authority lives.
const AUTHORITY: Duration = Duration::days(3652);
/// How long a certificate lives: the longest that every system accepts from an authority of the user's own.
const CERTIFICATE: Duration = Duration::days(825);

/// A new authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Secret,
}

impl Authority {
    /// Makes one for the house of this domain.
    pub fn new(domain: &str) -> Result<Self, rcgen::Error> {
        Self::of(domain, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
    }

    /// The same by a key that is there already (PEM): whoever trusts a certificate of before trusts what this one issues.
    pub fn with_key(domain: &str, key: &Secret) -> Result<Self, rcgen::Error> {
        Self::of(domain, read_key(key)?)
    }

    fn of(domain: &str, key: KeyPair) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new([])?;
        params.distinguished_name.push(DnType::CommonName, format!("Parlour of {domain}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_for(&mut params, AUTHORITY);
        Ok(Self(CertifiedIssuer::self_signed(params, key)?))
    }

    /// Its own certificate, which clients are to trust, and its key.
    pub fn own(&self) -> Issued {
        let certificate: &Certificate = self.0.as_ref();
        Issued { certificate: certificate.pem(), key: Secret::new(self.0.key().serialize_pem()) }
    }

    /// A server's certificate for names and addresses.
    pub fn issue(&self, names: &[String], addresses: &[IpAddr]) -> Result<Issued, rcgen::Error> {
        let all = names.iter().cloned().chain(addresses.iter().map(IpAddr::to_string)).collect::<Vec<_>>();
        let params = of_server(&all)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Issued { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
    }
}

/// A certificate for a server, for names and addresses, by the authority whose certificate and key these are.
pub fn issue(authority: &Issued, names: &[String]) -> Result<Issued, rcgen::Error> {
    let key = Secret::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem());
    Ok(Issued { certificate: renew(authority, &key, names)?, key })
}

/// A certificate for a server that has this key already (PEM): what is published of the key stays true.
pub fn renew(authority: &Issued, key: &Secret, names: &[String]) -> Result<String, rcgen::Error> {
    let params = of_server(names)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, read_key(&authority.key)?)?;
    Ok(params.signed_by(&read_key(key)?, &issuer)?.pem())
}

fn read_key(pem: &Secret) -> Result<KeyPair, rcgen::Error> {
    let text = std::str::from_utf8(pem.expose()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    KeyPair::from_pem(text)
}

/// What a server's certificate says, for names and addresses.
fn of_server(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    // A common name has at most 64 characters (RFC 5280 app. A.1); clients look at the names above alone.
    if let Some(name) = names.first().filter(|name| name.len() <= 64) {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, CERTIFICATE);
    Ok(params)
}

/// A user's certificate (RFC 6120 §13.7.1.4, RFC 5922): issued by the authority whose certificate and key these are, good for
/// so many days, told apart by its serial number.
pub fn issue_user(
    authority: &Issued,
    user: &Address,
    days: i64,
    serial: [u8; 16],
) -> Result<Issued, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, read_key(&authority.key)?)?;
    let mut params = CertificateParams::new([])?;
    let whole = user.to_string();
    params.subject_alt_names =
        vec![SanType::OtherName((domains::identity::XMPP_ADDR.to_vec(), whole.as_str().into()))];
    // These are of ASCII alone (RFC 5280 §4.2.1.6).
    if whole.is_ascii() {
        params.subject_alt_names.push(SanType::Rfc822Name(whole.as_str().try_into()?));
        params.subject_alt_names.push(SanType::URI(format!("sip:{whole}").try_into()?));
    }
    if whole.chars().count() <= 64 {
        params.distinguished_name.push(DnType::CommonName, whole);
    }
    params.serial_number = Some(serial.to_vec().into());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, Duration::days(days));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Issued { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// From an hour ago, for clients whose clock is slow.
fn valid_for(params: &mut CertificateParams, time: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::hours(1);
    params.not_after = now + time - Duration::hours(2);
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(…)")
    }
}
