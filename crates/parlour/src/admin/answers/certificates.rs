//! What the commands on certificates return.

use super::words::table;
use crate::admin::command::Answer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// The root certificate of our own authority.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CaShown {
    /// Where it lies.
    pub file: String,
    /// What it calls itself.
    pub subject: String,
    /// SHA-256 of it, in hexadecimal with colons, as clients show it.
    pub fingerprint: String,
    /// When it ends, in seconds since 1970.
    pub ends: u64,
    /// The certificate (PEM).
    pub certificate: String,
}

impl Answer for CaShown {
    fn human(&self) -> String {
        let Self { file, subject, fingerprint, ends, certificate } = self;
        let head = format!("{subject}, until {}\n{file}\nSHA-256 {fingerprint}", date(*ends));
        format!("{head}\n{}", certificate.trim_end())
    }
}

/// A certificate was issued. Its key is shown this once and kept nowhere.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CertIssued {
    /// Whose it is.
    pub address: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// When it ends, in seconds since 1970.
    pub ends: u64,
    /// The certificate (PEM).
    pub certificate: String,
    /// Its key (PEM).
    pub key: String,
}

impl Answer for CertIssued {
    fn human(&self) -> String {
        let head = format!("{}, serial number {}, until {}", self.address, self.serial, date(self.ends));
        format!("{head}\n{}{}", self.certificate, self.key)
    }
}

/// The certificates by which an account may sign in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserCertificates {
    /// The account.
    pub address: String,
    /// In the order in which they were issued.
    pub certificates: Vec<UserCertificate>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserCertificate {
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// When it was issued, in seconds since 1970.
    pub issued: u64,
    /// When it ends.
    pub ends: u64,
    /// Whether that is over.
    pub over: bool,
}

impl Answer for UserCertificates {
    fn human(&self) -> String {
        let titles = ["SERIAL NUMBER", "ISSUED", "ENDS"].map(str::to_owned);
        let row = |one: &UserCertificate| {
            let ends = if one.over { " (over)" } else { "" };
            [one.serial.clone(), date(one.issued), format!("{}{ends}", date(one.ends))]
        };
        let rows: Vec<_> = self.certificates.iter().map(row).collect();
        format!("{}{} certificates", table(&titles, &rows), rows.len())
    }
}

/// Certificates were taken back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CertRevoked {
    /// Whose they were.
    pub address: String,
    /// Their serial numbers.
    pub revoked: Vec<String>,
}

impl Answer for CertRevoked {
    fn human(&self) -> String {
        let names: String = self.revoked.iter().map(|serial| format!("{serial}\n")).collect();
        format!("{names}{} certificates taken back", self.revoked.len())
    }
}

fn date(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
