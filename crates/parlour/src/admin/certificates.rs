//! The commands on certificates: those that the house shows, and those of users, by which they sign in without a password.

use super::answers::certificates::{
    CertIssued, CertRenewed, CertRevoked, Certificates, DomainOrder, HouseCertificate, UserCertificate,
};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::authority::{self, Issued};
use crate::clock;
use crate::config::Plan;
use crate::config::plan::{CertificatePlan, TlsSource};
use crate::services::sip::overview::Order;
use crate::standing::Standing;
use crate::users::{KIND, Kept, MOST};
use serde_json::Value;
use std::time::Duration;
use store::{Answer, Document, Query};
use tokio::sync::oneshot;
use wire::{Address, WorkerId};
use x509_parser::prelude::{FromDer, X509Certificate};

/// For how many days a certificate is good unless another number is given.
const USUAL: u64 = 365;
/// The most.
const MOST_DAYS: u64 = 3_650;
const DAY: u64 = 86_400;

/// `parlour cert user`
pub(crate) fn user<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let address = account(house, arguments)?;
        let days = arguments.number("days").unwrap_or(USUAL).clamp(1, MOST_DAYS);
        let authority = authority(&house.plan())?;
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
        // A positive number without leading zeros, so that it reads the same everywhere (RFC 5280 §4.1.2.2).
        serial[0] = serial[0] & 0x3f | 0x40;
        let lasts = i64::try_from(days).expect("it is bounded");
        let issued = authority::issue_user(&authority, &address, lasts, serial)
            .map_err(|error| Failure::failed(format!("the certificate: {error}")))?;
        let now = now();
        let kept = Kept { issued: now, ends: now + days * DAY };
        let serial: String = serial.iter().map(|octet| format!("{octet:02x}")).collect();
        put(house, &address, &serial, Some(&kept)).await?;
        reply(&CertIssued {
            address: address.to_string(),
            serial,
            ends: kept.ends,
            certificate: issued.certificate,
            key: String::from_utf8_lossy(issued.key.expose()).into_owned(),
        })
    })
}

/// `parlour cert list`
pub(crate) fn list<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        if arguments.text("address").is_none() {
            return reply(&of_the_house(house));
        }
        let address = account(house, arguments)?;
        let now = now();
        let certificates = documents(house, &address).await?;
        let certificates = certificates.into_iter().map(|(serial, kept)| UserCertificate {
            serial,
            issued: kept.issued,
            ends: kept.ends,
            over: kept.ends <= now,
        });
        let certificates = certificates.collect();
        reply(&Certificates { address: Some(address.to_string()), certificates, ..Certificates::default() })
    })
}

fn of_the_house(house: &dyn Backend) -> Certificates {
    let plan = house.plan();
    let shown = plan.tls.iter().flat_map(|tls| &tls.certificates).map(|one| HouseCertificate {
        file: one.certificate.display().to_string(),
        issuer: issuer(one).unwrap_or_default(),
        names: one.names.clone(),
        begins: one.begins.as_secs(),
        ends: one.ends.as_secs(),
        late: one.is_due(Duration::from_secs(now())),
    });
    let orders = house.standing();
    Certificates {
        house: shown.collect(),
        orders: orders.iter().map(order).collect(),
        ..Certificates::default()
    }
}

fn issuer(one: &CertificatePlan) -> Option<String> {
    let leaf = one.leaf()?;
    let (_, parsed) = X509Certificate::from_der(&leaf).ok()?;
    Some(parsed.issuer().to_string())
}

fn order(standing: &Standing) -> DomainOrder {
    DomainOrder {
        domain: standing.domain.clone(),
        next: standing.next.as_secs(),
        missing: standing.missing.clone(),
        fault: standing.fault.clone(),
    }
}

/// `parlour cert renew`
pub(crate) fn renew<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let domain = arguments.domain("domain", &house.accounts().directory())?;
        let plan = house.plan();
        if !matches!(plan.tls.as_ref().map(|tls| &tls.source), Some(TlsSource::Acme(_))) {
            let why = "certificates are not ordered here: tls.source is not \"acme\"";
            return Err(Failure::new(Kind::Conflict, why));
        }
        let standing = house.renew(domain).await?;
        reply(&CertRenewed { orders: standing.iter().map(order).collect() })
    })
}

/// `parlour cert revoke`
pub(crate) fn revoke<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let address = account(house, arguments)?;
        let wanted = arguments.text("serial").map(|text| text.replace(':', "").to_ascii_lowercase());
        let all = documents(house, &address).await?;
        let gone: Vec<String> = all.into_iter().map(|(serial, _)| serial).collect();
        let gone: Vec<String> =
            gone.into_iter().filter(|serial| wanted.as_ref().is_none_or(|wanted| wanted == serial)).collect();
        if gone.is_empty() && wanted.is_some() {
            let hint = "`parlour cert list` names them";
            return Err(Failure::new(Kind::NotFound, format!("{address} has no such certificate; {hint}")));
        }
        for serial in &gone {
            put(house, &address, serial, None).await?;
        }
        // What is kept of a token does not say by what its client had signed in.
        super::xmpp::forget_tokens(house, &address, true, &[]).await?;
        forget_identity(house, &address).await;
        reply(&CertRevoked { address: address.to_string(), revoked: gone })
    })
}

/// Who has shown one to SIP asks from now on as everybody does. Where no server runs, nobody has.
async fn forget_identity(house: &dyn Backend, account: &Address) {
    for worker in (0..house.workers()).map(WorkerId) {
        let (sender, done) = oneshot::channel();
        if house.order_sip(worker, Order::ForgetIdentity(account.clone(), sender)).await.is_ok() {
            // A worker that has ended knows of nobody.
            drop(done.await);
        }
    }
}

fn account(house: &dyn Backend, arguments: &Arguments) -> Result<Address, Failure> {
    let directory = house.accounts().directory();
    let address = arguments.address("address", &directory)?;
    match directory.get(&address) {
        Some(_) => Ok(address),
        None => Err(Failure::new(Kind::NotFound, format!("there is no account {address}"))),
    }
}

fn authority(plan: &Plan) -> Result<Issued, Failure> {
    let folder = plan.data.join("certs");
    let needed = |error| format!("our own authority is needed, in {}: {error}", folder.display());
    crate::renewal::authority(plan).map_err(|error| Failure::failed(needed(error)))
}

async fn put(
    house: &dyn Backend,
    account: &Address,
    serial: &str,
    kept: Option<&Kept>,
) -> Result<(), Failure> {
    let payload = kept.map(|kept| serde_json::to_vec(kept).expect("two numbers are JSON"));
    let document = Document { kind: KIND, title: serial.to_owned(), payload };
    let query = Query::PutDocument { account: account.clone(), document, limit: MOST };
    match house.accounts().store().query(query).await {
        Ok(_) => Ok(()),
        Err(store::Fault::Full) => {
            let hint = "`parlour cert revoke` those that have ended";
            Err(Failure::new(Kind::Conflict, format!("{account} has too many certificates; {hint}")))
        }
        Err(fault) => Err(unavailable(&fault)),
    }
}

async fn documents(house: &dyn Backend, account: &Address) -> Result<Vec<(String, Kept)>, Failure> {
    let query = Query::ListDocuments { account: Some(account.clone()), kind: KIND };
    let answer = house.accounts().store().query(query).await.map_err(|fault| unavailable(&fault))?;
    let Answer::Documents(documents) = answer else { return Ok(Vec::new()) };
    let read = |(_, document): (Address, Document)| {
        let kept = serde_json::from_slice(document.payload.as_deref().unwrap_or_default());
        (document.title, kept.unwrap_or(Kept { issued: 0, ends: 0 }))
    };
    let mut all: Vec<_> = documents.into_iter().map(read).collect();
    all.sort_by_key(|(_, kept)| kept.issued);
    Ok(all)
}

fn unavailable(fault: &store::Fault) -> Failure {
    Failure::new(Kind::Unavailable, format!("the certificates: {fault}"))
}

fn now() -> u64 {
    clock::now().as_secs()
}
