//! One order, from the names to the certificate (RFC 8555 §7.4), by the library `instant-acme`. What was begun before a sudden end is gone
//! on with, and where a challenge fails, the next one is tried.

use super::authority::{Authority, TRIES, again};
use super::fault::{Error, in_words, was_nonce};
use super::files::{Files, Kept};
use super::proof::{Proofs, Prover};
use domains::certificate::{Challenge, Ways};
use instant_acme::{
    AuthorizationState, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use net::tls::Identity;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::{Domain, Secret};

/// How long an authority may take for one step, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(180);
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);
const POLICY: RetryPolicy = RetryPolicy::new().initial_delay(FIRST).backoff(1.2).timeout(PATIENCE);

/// The most orders of one after another where challenges fail.
const ROUNDS: usize = Challenge::ALL.len();

/// What is ordered, and by what means.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) domain: &'a Domain,
    pub(super) names: &'a [String],
    /// The certificate that it is for in place of, where the authority wants to know (RFC 9773 §5).
    pub(super) replaces: Option<CertificateIdentifier<'static>>,
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

/// A name that the authority does not believe to be ours: by which challenge, and why.
type Lost = (String, Option<Challenge>, String);

/// Why, for each name, by one challenge after another.
type Reasons = BTreeMap<String, Vec<String>>;

/// Orders a certificate, and waits for it.
pub(super) async fn obtain(
    authority: &Authority,
    job: &Job<'_>,
    ways: &mut Ways,
    kept: &mut Kept,
) -> Result<Issued, Error> {
    let mut reasons = Reasons::new();
    ways.begin(job.names);
    let mut rounds = ROUNDS;
    loop {
        rounds -= 1;
        let lost = match attempt(authority, job, ways, kept).await {
            Ok(issued) => return Ok(issued),
            Err(Stop::For(error)) => return Err(error),
            Err(Stop::Lost(lost)) => lost,
        };
        let given_up = note(ways, &mut reasons, lost, rounds == 0);
        if rounds == 0 || !given_up.is_empty() {
            return Err(unproven(&reasons, &given_up));
        }
        tracing::info!(domain = %job.domain, "a name was not proven: another challenge is tried");
    }
}

/// Takes down what has failed: the names for which no other challenge is left; where this was the last time, all of them. The
/// others are tried by theirs the next time.
fn note(ways: &mut Ways, reasons: &mut Reasons, lost: Vec<Lost>, last: bool) -> BTreeSet<String> {
    let mut given_up = BTreeSet::new();
    for (name, challenge, why) in lost {
        let is_left = match challenge {
            Some(challenge) => ways.failed(&name, challenge),
            None => ways.has_other(&name),
        };
        if last || !is_left {
            given_up.insert(name.clone());
        }
        reasons.entry(name).or_default().push(why);
    }
    given_up
}

fn unproven(reasons: &Reasons, names: &BTreeSet<String>) -> Error {
    let why = |name: &String| reasons.get(name).map(|why| why.join(", ")).unwrap_or_default();
    Error::Unproven(names.iter().map(|name| (name.clone(), why(name))).collect())
}

/// One order, that of before or a new one.
async fn attempt(
    authority: &Authority,
    job: &Job<'_>,
    ways: &mut Ways,
    kept: &mut Kept,
) -> Result<Issued, Stop> {
    let mut order = match resume(authority, job, kept).await? {
        Some(order) => order,
        None => place(authority, job, kept).await?,
    };
    let done = finish(authority, job, ways, kept, &mut order).await;
    // One that cannot be gone on with is not tried again; one that was only interrupted is.
    if !matches!(done, Err(Stop::For(Error::Unreachable { .. }))) {
        kept.order = None;
    }
    done
}

/// Why nothing came of an order.
enum Stop {
    /// These names are not proven.
    Lost(Vec<Lost>),
    /// Something else.
    For(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::For(error.into())
    }
}

/// The order that was under way, if it is the same and still alive.
async fn resume(authority: &Authority, job: &Job<'_>, kept: &mut Kept) -> Result<Option<Order>, Error> {
    let Some(url) = kept.order.take() else { return Ok(None) };
    let found = async {
        let mut order = again!(authority.account.order(url.clone()))?;
        let theirs = identifiers(&mut order).await?;
        Ok((order, theirs))
    };
    match found.await {
        Ok((mut order, theirs)) => {
            let usable = theirs.iter().eq(sorted(job.names)) && order.state().status != OrderStatus::Invalid;
            kept.order = usable.then_some(url);
            Ok(usable.then_some(order))
        }
        Err(error @ Error::Unreachable { .. }) => {
            kept.order = Some(url);
            Err(error)
        }
        Err(_) => Ok(None),
    }
}

/// The names of an order.
async fn identifiers(order: &mut Order) -> Result<BTreeSet<String>, Error> {
    let (mut most, mut tries) = (0, 1);
    loop {
        let (mut names, mut all) = (BTreeSet::new(), order.identifiers());
        let failed = loop {
            match all.next().await {
                Some(Ok(name)) => drop(names.insert(name.to_string())),
                Some(Err(error)) => break error,
                None => return Ok(names),
            }
        };
        // What is there already is not asked for again.
        tries = if names.len() > most { 1 } else { tries + 1 };
        most = names.len();
        if tries > TRIES || !was_nonce(&failed) {
            return Err(failed.into());
        }
    }
}

fn sorted(names: &[String]) -> BTreeSet<&String> {
    names.iter().collect()
}

async fn place(authority: &Authority, job: &Job<'_>, kept: &mut Kept) -> Result<Order, Error> {
    let names: Vec<Identifier> = job.names.iter().cloned().map(Identifier::Dns).collect();
    let mut made = None;
    if let Some(replaces) = &job.replaces {
        let wish = NewOrder::new(&names).replaces(replaces.clone());
        match again!(authority.account.new_order(&wish)).map_err(Error::from) {
            Ok(order) => made = Some(order),
            // It was replaced before, or is not one of theirs, or they do not know such things (RFC 9773 §5).
            Err(error)
                if matches!(error, Error::Strange(_))
                    || matches!(error.kind(), "alreadyReplaced" | "malformed") =>
            {
                tracing::debug!(%error, "the order does not say what it replaces");
            }
            Err(error) => return Err(error),
        }
    }
    let order = match made {
        Some(order) => order,
        None => again!(authority.account.new_order(&NewOrder::new(&names)))?,
    };
    kept.order = Some(order.url().to_owned());
    job.files.save(job.domain, kept)?;
    Ok(order)
}

async fn finish(
    authority: &Authority,
    job: &Job<'_>,
    ways: &mut Ways,
    kept: &mut Kept,
    order: &mut Order,
) -> Result<Issued, Stop> {
    if order.state().status == OrderStatus::Pending {
        let mut proofs = Proofs::default();
        let proven = prove(authority, job, ways, kept, order, &mut proofs).await;
        job.prover.clear(proofs, kept).await;
        job.files.save(job.domain, kept)?;
        proven?;
        again!(order.poll_ready(&POLICY))?;
    }
    if order.state().status == OrderStatus::Ready {
        let request = request(job.names, &new_key(job)?)?;
        match again!(order.finalize_csr(&request)).map_err(Error::from) {
            // A request whose answer was lost.
            Err(error) if error.kind() == "orderNotReady" => {}
            other => other?,
        }
    }
    let chain = again!(order.poll_certificate(&POLICY))?;
    Ok(look(job, chain)?)
}

/// The certificate, which has to be what was ordered.
fn look(job: &Job<'_>, chain: String) -> Result<Issued, Error> {
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

/// Puts a proof for each name, tells the authority, and waits for what it finds.
async fn prove(
    authority: &Authority,
    job: &Job<'_>,
    ways: &mut Ways,
    kept: &mut Kept,
    order: &mut Order,
    proofs: &mut Proofs,
) -> Result<(), Stop> {
    identifiers(order).await?;
    let (mut open, mut lost) = (BTreeMap::new(), vec![]);
    let mut all = order.authorizations();
    while let Some(one) = all.next().await {
        let one = one?;
        let name = one.identifier().to_string();
        if one.status == AuthorizationStatus::Pending {
            let answer = |token: &str| format!("{token}.{}", authority.account.key_thumbprint());
            match put(job, ways, kept, proofs, (&name, &one), answer).await? {
                Some(kind) => drop(open.insert(name, kind)),
                None => lost.push((name, None, not_offered(ways))),
            }
        } else if one.status != AuthorizationStatus::Valid {
            lost.push((name, None, why_not(&one)));
        }
    }
    if !lost.is_empty() {
        return Err(Stop::Lost(lost));
    }
    job.prover.wait(proofs).await;
    tell(order, &open).await?;
    let lost = settle(authority, ways, order, open).await?;
    if lost.is_empty() { Ok(()) } else { Err(Stop::Lost(lost)) }
}

/// Puts a proof for one name by the first challenge that can be answered here (RFC 8555 §8.1); `None`: the authority offers none of
/// those that are wanted.
async fn put(
    job: &Job<'_>,
    ways: &mut Ways,
    kept: &mut Kept,
    proofs: &mut Proofs,
    (name, state): (&str, &AuthorizationState),
    answer: impl Fn(&str) -> String,
) -> Result<Option<Challenge>, Error> {
    let offered: Vec<Challenge> = state.challenges.iter().filter_map(|one| known(&one.r#type)).collect();
    let mut own = None;
    while let Some(kind) = ways.choose(name, &offered) {
        let mut all = state.challenges.iter();
        let token = all.find(|one| known(&one.r#type) == Some(kind)).map_or("", |one| one.token.as_str());
        match job.prover.put(proofs, kept, kind, [name, token, &answer(token)]).await {
            Ok(()) => return Ok(Some(kind)),
            Err(error) => {
                ways.failed(name, kind);
                own = Some(error);
            }
        }
    }
    own.map_or(Ok(None), Err)
}

/// Tells the authority that it may look.
async fn tell(order: &mut Order, open: &BTreeMap<String, Challenge>) -> Result<(), Error> {
    let mut all = order.authorizations();
    while let Some(one) = all.next().await {
        let mut one = one?;
        let Some(kind) = open.get(&one.identifier().to_string()) else { continue };
        let Some(mut challenge) = one.challenge(named(*kind)) else { continue };
        match again!(challenge.set_ready()) {
            // It has looked by now; what it has found is asked for together with the others.
            Err(error @ instant_acme::Error::Api(_)) if !was_nonce(&error) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Waits until each is proven or not: those that are not.
async fn settle(
    authority: &Authority,
    ways: &mut Ways,
    order: &mut Order,
    open: BTreeMap<String, Challenge>,
) -> Result<Vec<Lost>, Error> {
    let mut lost = vec![];
    let until = Instant::now() + PATIENCE;
    let mut all = order.authorizations();
    while let Some(one) = all.next().await {
        let mut one = one?;
        let name = one.identifier().to_string();
        let Some(kind) = open.get(&name).copied() else { continue };
        let mut pause = FIRST;
        loop {
            again!(one.refresh())?;
            match one.status {
                AuthorizationStatus::Valid => {
                    ways.worked(&name, kind);
                    break;
                }
                AuthorizationStatus::Pending => match rest(authority, pause, until).await {
                    Ok(longer) => pause = longer,
                    // An order that has failed is given up, perhaps with what was not looked at yet.
                    Err(_) if !lost.is_empty() => break,
                    Err(error) => return Err(error),
                },
                _ => {
                    lost.push((name, Some(kind), format!("{} ({kind})", why_not(&one))));
                    break;
                }
            }
        }
    }
    Ok(lost)
}

/// Waits for as long as the authority says, or a little longer each time.
async fn rest(authority: &Authority, pause: Duration, until: Instant) -> Result<Duration, Error> {
    let told = authority.http.retry_after().filter(|told| !told.is_zero());
    let wait = told.unwrap_or(pause);
    if Instant::now() + wait > until {
        let text = format!("the authority has not come to an end in {} s", PATIENCE.as_secs());
        return Err(Error::Unreachable { text, retry_after: told });
    }
    sleep(wait).await;
    Ok((pause * 2).min(LONGEST))
}

/// What the authority says of a name that it does not believe to be ours.
fn why_not(state: &AuthorizationState) -> String {
    let mut problems = state.challenges.iter().filter_map(|one| one.error.as_ref());
    problems.next().map_or_else(|| "the authority has given it up".to_owned(), in_words)
}

fn not_offered(ways: &Ways) -> String {
    let wanted: Vec<&str> = ways.all().iter().map(|one| one.name()).collect();
    format!("the authority does not offer {} for it", wanted.join(" or "))
}

fn known(kind: &ChallengeType) -> Option<Challenge> {
    Challenge::ALL.into_iter().find(|one| named(*one) == *kind)
}

fn named(kind: Challenge) -> ChallengeType {
    match kind {
        Challenge::TlsAlpn => ChallengeType::TlsAlpn01,
        Challenge::Http => ChallengeType::Http01,
        Challenge::Dns => ChallengeType::Dns01,
    }
}
