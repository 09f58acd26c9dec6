//! What the commands on certificates return.

use super::words::table;
use crate::admin::answer::Answer;
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

/// The certificates of the house, or those by which an account may sign in.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Certificates {
    /// The account, if one was named.
    pub address: Option<String>,
    /// Its certificates, in the order in which they were issued.
    pub certificates: Vec<UserCertificate>,
    /// Those that the house shows, where no account was named.
    pub house: Vec<HouseCertificate>,
    /// How each domain stands with its authority, where that is one that speaks ACME.
    pub orders: Vec<DomainOrder>,
}

/// A certificate that listeners show.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HouseCertificate {
    /// The file that it is in.
    pub file: String,
    /// Who has issued it.
    pub issuer: String,
    /// The names that it is for.
    pub names: Vec<String>,
    /// When it begins, in seconds since 1970.
    pub begins: u64,
    /// When it ends.
    pub ends: u64,
    /// Whether a third of its life or less is left.
    pub late: bool,
}

/// How a domain stands with its authority.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DomainOrder {
    /// The domain.
    pub domain: String,
    /// When the next certificate is ordered, in seconds since 1970; in the past: now.
    pub next: u64,
    /// Names that are wanted, and that its certificate does not have.
    pub missing: Vec<String>,
    /// What failed last; empty where nothing did.
    pub fault: String,
}

impl DomainOrder {
    fn human(&self) -> String {
        let next = format!("{}: the next is ordered {}", self.domain, date(self.next));
        let missing = (!self.missing.is_empty()).then(|| format!("  is not for {}", self.missing.join(", ")));
        let fault = (!self.fault.is_empty()).then(|| format!("  failed: {}", self.fault));
        [Some(next), missing, fault].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// What came of ordering certificates.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CertRenewed {
    /// How the domains stand now.
    pub orders: Vec<DomainOrder>,
}

impl Answer for CertRenewed {
    fn human(&self) -> String {
        self.orders.iter().map(DomainOrder::human).collect::<Vec<_>>().join("\n")
    }

    fn is_good(&self) -> bool {
        self.orders.iter().all(|order| order.fault.is_empty())
    }
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

impl Answer for Certificates {
    fn human(&self) -> String {
        if self.address.is_none() {
            return self.of_the_house();
        }
        let titles = ["SERIAL NUMBER", "ISSUED", "ENDS"].map(str::to_owned);
        let row = |one: &UserCertificate| {
            let ends = if one.over { " (over)" } else { "" };
            [one.serial.clone(), date(one.issued), format!("{}{ends}", date(one.ends))]
        };
        let rows: Vec<_> = self.certificates.iter().map(row).collect();
        format!("{}{} certificates", table(&titles, &rows), rows.len())
    }
}

impl Certificates {
    fn of_the_house(&self) -> String {
        let one = |one: &HouseCertificate| {
            let late = if one.late { " (a third of its life or less is left)" } else { "" };
            let until = date(one.ends);
            format!("{}\n  by {}, until {until}{late}\n  for {}", one.file, one.issuer, one.names.join(", "))
        };
        let shown = self.house.iter().map(one);
        let all: Vec<_> = shown.chain(self.orders.iter().map(DomainOrder::human)).collect();
        if all.is_empty() { "no listener speaks TLS".into() } else { all.join("\n") }
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
