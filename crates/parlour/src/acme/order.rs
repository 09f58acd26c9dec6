//! One order, from the names to the certificate (RFC 8555 §7.4). What was begun before a sudden end is gone on with.

use super::client::{Client, location};
use super::fault::{Error, in_words};
use super::files::{Files, Kept};
use super::http::Reply;
use super::proof::{Proofs, Prover};
use super::words::{Authorization, Order, Status};
use domains::certificate::Challenge;
use net::tls::Identity;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::{Domain, Secret};

/// How long an authority may take for one step, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(180);
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// What is ordered, and by what means.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) domain: &'a Domain,
    pub(super) names: &'a [String],
    pub(super) challenge: Challenge,
    /// The certificate that it is for in place of, where the authority wants to know (RFC 9773 §5).
    pub(super) replaces: Option<String>,
    /// The key that it is for (PEM); `None`: a new one.
    pub(super) key: Option<Secret>,
    pub(super) prover: &'a Prover,
    pub(super) files: &'a Files,
}

/// A certificate that was issued.
#[derive(Debug)]
pub(super) struct Issued {
    /// Its chain (PEM).
    pub(super) chain: String,
    /// Its key (PEM).
    pub(super) key: Secret,
}

/// Orders a certificate, and waits for it.
pub(super) async fn obtain(client: &mut Client, job: &Job<'_>, kept: &mut Kept) -> Result<Issued, Error> {
    let (url, mut order) = match resume(client, job, kept).await? {
        Some(found) => found,
        None => place(client, job, kept).await?,
    };
    let done = finish(client, job, kept, &url, &mut order).await;
    // One that cannot be gone on with is not tried again; one that was only interrupted is.
    if !matches!(done, Err(Error::Unreachable { .. })) {
        kept.order = None;
    }
    done
}

/// The order that was under way, if it is the same and still alive.
async fn resume(
    client: &mut Client,
    job: &Job<'_>,
    kept: &mut Kept,
) -> Result<Option<(String, Order)>, Error> {
    let Some(url) = kept.order.take() else { return Ok(None) };
    let order: Order = match client.get(&url).await {
        Ok((order, _)) => order,
        Err(error @ Error::Unreachable { .. }) => {
            kept.order = Some(url);
            return Err(error);
        }
        Err(_) => return Ok(None),
    };
    let theirs: BTreeSet<&str> = order.identifiers.iter().map(|name| name.value.as_str()).collect();
    let ours: BTreeSet<&str> = job.names.iter().map(String::as_str).collect();
    let usable = theirs == ours && order.status != Status::Invalid;
    if usable {
        kept.order = Some(url.clone());
    }
    Ok(usable.then_some((url, order)))
}

async fn place(client: &mut Client, job: &Job<'_>, kept: &mut Kept) -> Result<(String, Order), Error> {
    let identifiers: Vec<Value> =
        job.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
    let mut wish = json!({ "identifiers": identifiers });
    let url = client.directory().new_order.clone();
    let mut made = None;
    if let Some(replaces) = &job.replaces {
        wish["replaces"] = json!(replaces);
        match client.post(&url, Some(&wish)).await {
            Ok(reply) => made = Some(reply),
            // It was replaced before, or is not one of theirs (RFC 9773 §5).
            Err(error @ Error::Refused { .. }) if matches!(error.kind(), "alreadyReplaced" | "malformed") => {
                tracing::debug!(%error, "the order does not say what it replaces");
            }
            Err(error) => return Err(error),
        }
    }
    let reply = match made {
        Some(reply) => reply,
        None => {
            wish.as_object_mut().expect("it was made as one").remove("replaces");
            client.post(&url, Some(&wish)).await?
        }
    };
    let (url, order) = (location(&reply)?, read(&reply)?);
    kept.order = Some(url.clone());
    job.files.save(job.domain, kept)?;
    Ok((url, order))
}

fn read(reply: &Reply) -> Result<Order, Error> {
    serde_json::from_slice(&reply.body)
        .map_err(|error| Error::Strange(format!("the authority's order cannot be read: {error}")))
}

async fn finish(
    client: &mut Client,
    job: &Job<'_>,
    kept: &mut Kept,
    url: &str,
    order: &mut Order,
) -> Result<Issued, Error> {
    if order.status == Status::Pending {
        let mut proofs = Proofs::default();
        let proven = prove(client, job, kept, order, &mut proofs).await;
        job.prover.clear(proofs, kept).await;
        job.files.save(job.domain, kept)?;
        proven?;
        *order = wait(client, url, Status::Pending).await?;
    }
    if order.status == Status::Ready {
        let key = new_key(job)?;
        let request = json!({ "csr": super::jws::text(&request(job.names, &key)?) });
        let reply = client.post(&order.finalize, Some(&request)).await?;
        *order = read(&reply)?;
    }
    if matches!(order.status, Status::Processing | Status::Ready) {
        *order = wait(client, url, Status::Processing).await?;
    }
    let Some(certificate) = order.certificate.as_ref().filter(|_| order.status == Status::Valid) else {
        let why = order.error.as_ref().map_or("it does not say why".to_owned(), in_words);
        return Err(Error::Strange(format!("the authority has given up the order: {why}")));
    };
    fetch(client, job, certificate).await
}

/// The certificate, which has to be what was ordered.
async fn fetch(client: &mut Client, job: &Job<'_>, url: &str) -> Result<Issued, Error> {
    let reply = client.post(url, None).await?;
    let chain = String::from_utf8(reply.body.to_vec())
        .map_err(|_| Error::Strange("the authority's certificate is no text".into()))?;
    let key = job.files.load_key(job.domain)?.ok_or_else(|| Error::Own("the key is gone".into()))?;
    let identity = Identity::from_pem(chain.as_bytes(), key.expose())
        .map_err(|error| Error::Strange(format!("the authority's certificate cannot be used: {error}")))?;
    let leaf = identity.chain().next().unwrap_or_default();
    let (names, _) = crate::config::certificate_facts(leaf).map_err(Error::Strange)?;
    match job.names.iter().find(|name| !crate::config::covers(&names, name)) {
        Some(name) => Err(Error::Strange(format!("the authority's certificate is not for {name}"))),
        None => Ok(Issued { chain, key }),
    }
}

/// The key of the certificate to be, which is kept before anybody hears of it.
fn new_key(job: &Job<'_>) -> Result<KeyPair, Error> {
    let damaged = |error: rcgen::Error| Error::Own(format!("the certificate's key: {error}"));
    if let Some(key) = &job.key {
        job.files.save_key(job.domain, key)?;
        return KeyPair::from_pem(&String::from_utf8_lossy(key.expose())).map_err(damaged);
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(damaged)?;
    job.files.save_key(job.domain, &Secret::new(key.serialize_pem()))?;
    Ok(key)
}

/// The request that the authority signs (RFC 8555 §7.4).
fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, Error> {
    let failed = |error: rcgen::Error| Error::Own(format!("the request: {error}"));
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).map(|request| request.der().to_vec()).map_err(failed)
}

/// What is left to be proven: a name, the URL of its authorization, the URL of the challenge.
struct Open {
    authorization: String,
    challenge: String,
}

async fn prove(
    client: &mut Client,
    job: &Job<'_>,
    kept: &mut Kept,
    order: &Order,
    proofs: &mut Proofs,
) -> Result<(), Error> {
    let mut open = vec![];
    for url in &order.authorizations {
        let (authorization, _) = client.get::<Authorization>(url).await?;
        if authorization.status == Status::Valid {
            continue;
        }
        let name = authorization.identifier.value.as_str();
        let offered = authorization.challenges.iter().find(|one| one.kind == Some(job.challenge));
        let Some(challenge) = offered.filter(|_| authorization.status == Status::Pending) else {
            return Err(Error::Unproven(vec![(name.to_owned(), why_not(&authorization, job.challenge))]));
        };
        let answer = client.key().authorize(&challenge.token);
        job.prover.put(proofs, kept, job.challenge, [name, &challenge.token, &answer]).await?;
        open.push(Open { authorization: url.clone(), challenge: challenge.url.clone() });
    }
    job.prover.wait(proofs).await;
    for one in &open {
        client.post(&one.challenge, Some(&json!({}))).await?;
    }
    settle(client, job, open).await
}

/// Waits until each is proven or not.
async fn settle(client: &mut Client, job: &Job<'_>, open: Vec<Open>) -> Result<(), Error> {
    let mut unproven = vec![];
    let until = Instant::now() + PATIENCE;
    for one in open {
        let mut pause = FIRST;
        loop {
            let (found, reply) = client.get::<Authorization>(&one.authorization).await?;
            match found.status {
                Status::Valid => break,
                Status::Invalid => {
                    unproven.push((found.identifier.value.clone(), why_not(&found, job.challenge)));
                    break;
                }
                _ => match rest(&reply, pause, until).await {
                    Ok(longer) => pause = longer,
                    // An order that has failed is given up, perhaps with what was not looked at yet.
                    Err(_) if !unproven.is_empty() => break,
                    Err(error) => return Err(error),
                },
            }
        }
    }
    if unproven.is_empty() { Ok(()) } else { Err(Error::Unproven(unproven)) }
}

/// What the authority says of a name that it does not believe to be ours.
fn why_not(authorization: &Authorization, kind: Challenge) -> String {
    let mut problems = authorization.challenges.iter().filter_map(|one| one.error.as_ref());
    match problems.next() {
        Some(problem) => format!("{} ({kind})", in_words(problem)),
        None if authorization.challenges.iter().all(|one| one.kind != Some(kind)) => {
            format!("the authority does not offer {kind} for it")
        }
        None => "the authority has given it up".into(),
    }
}

/// Waits until the order is past a stage.
async fn wait(client: &mut Client, url: &str, stage: Status) -> Result<Order, Error> {
    let until = Instant::now() + PATIENCE;
    let mut pause = FIRST;
    loop {
        let (order, reply) = client.get::<Order>(url).await?;
        // An order that is to be processed may still be "ready" where another of their servers answers.
        let is_past =
            order.status != stage && !(stage == Status::Processing && order.status == Status::Ready);
        if is_past {
            return Ok(order);
        }
        pause = rest(&reply, pause, until).await?;
    }
}

/// Waits for as long as the authority says, or a little longer each time.
async fn rest(reply: &Reply, pause: Duration, until: Instant) -> Result<Duration, Error> {
    let told = reply.retry_after().filter(|told| !told.is_zero());
    let wait = told.unwrap_or(pause);
    if Instant::now() + wait > until {
        let text = format!("the authority has not come to an end in {} s", PATIENCE.as_secs());
        return Err(Error::Unreachable { text, retry_after: told });
    }
    sleep(wait).await;
    Ok((pause * 2).min(LONGEST))
}
