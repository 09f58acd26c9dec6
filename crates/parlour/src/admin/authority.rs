//! `parlour ca show`: the root certificate of our own authority, for clients to install.

use super::answers::certificates::CaShown;
use super::arguments::Arguments;
use super::command::reply;
use super::failure::{Failure, Kind};
use crate::config::Plan;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

pub(crate) fn show(plan: &Plan, _: &Arguments) -> Result<Value, Failure> {
    let file = plan.data.join("certs/authority.pem");
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::new(
            Kind::NotFound,
            format!("this house has no authority of its own: {}: {error}", file.display()),
        )
    })?;
    let broken = || Failure::failed(format!("{} is not a certificate", file.display()));
    let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| broken())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| broken())?;
    let digest: Vec<String> = Sha256::digest(&der).iter().map(|octet| format!("{octet:02X}")).collect();
    reply(&CaShown {
        file: file.display().to_string(),
        subject: parsed.subject().to_string(),
        fingerprint: digest.join(":"),
        ends: u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0),
        certificate: text,
    })
}
