//! Certificates from an authority that speaks ACME (RFC 8555): `domains::certificate` decides when, for which names, and what follows
//! a failure; what it decides is carried out here, in the back office, one order after another.

mod authority;
mod fault;
mod files;
mod http;
mod order;
mod proof;

use crate::challenges::Challenges;
use crate::clock::now;
use crate::config::Plan;
use crate::config::plan::{AcmePlan, CertificatePlan, DomainPlan, TlsSource, acme_file, own_files};
use crate::replace::replace;
use crate::site;
use crate::standing::Standing;
use crate::trust;
use arc_swap::ArcSwap;
use authority::Authority;
use domains::certificate::{Course, Held, MOST_NAMES, Order, Step, Ways, Window};
use fault::Error;
use files::{Account, Files, Kept};
use http::Http;
use net::tls::Identities;
use order::{Issued, Job};
use proof::Prover;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wire::{Domain, Secret};

/// How often it is looked whether something is due: a clock that is set, or a new plan, is noticed by then.
const OFTEN: Duration = Duration::from_secs(1);

/// The most questions that wait.
const WISHES: usize = 16;

/// For whom certificates are ordered.
pub trait House: Send + Sync {
    /// The plan in force.
    fn plan(&self) -> Arc<Plan>;
    /// What listeners show; `None` where nobody has spoken TLS yet.
    fn identities(&self) -> Option<Arc<Identities>>;
    /// Shows what stands in the files by now.
    fn reload_certificates(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The way to whoever orders certificates.
#[derive(Debug)]
pub struct Acme {
    wishes: mpsc::Sender<Wish>,
    standing: ArcSwap<Vec<Standing>>,
}

/// An administrator's wish: certificates now, for one domain or for all.
#[derive(Debug)]
struct Wish {
    domain: Option<Domain>,
    answer: oneshot::Sender<Vec<Standing>>,
}

impl Acme {
    /// How each domain stands; nothing where no authority is asked.
    pub fn standing(&self) -> Arc<Vec<Standing>> {
        self.standing.load_full()
    }

    /// Orders new certificates now, for one domain or for all, and says how they stand then.
    pub async fn renew(&self, domain: Option<Domain>) -> Option<Vec<Standing>> {
        let (answer, done) = oneshot::channel();
        self.wishes.send(Wish { domain, answer }).await.ok()?;
        done.await.ok()
    }
}

/// Whoever orders them.
#[derive(Debug)]
pub struct Orderer {
    challenges: Arc<Challenges>,
    wishes: mpsc::Receiver<Wish>,
    acme: Arc<Acme>,
    /// What is followed now.
    plan: Option<Arc<Plan>>,
    cases: Vec<Case>,
}

/// A domain, and its certificates one after another.
#[derive(Debug)]
struct Case {
    domain: Domain,
    course: Course,
    ways: Ways,
    kept: Kept,
}

/// The way to it, and itself.
pub fn open(challenges: Arc<Challenges>) -> (Arc<Acme>, Orderer) {
    let (sender, wishes) = mpsc::channel(WISHES);
    let acme = Arc::new(Acme { wishes: sender, standing: ArcSwap::default() });
    let orderer = Orderer { challenges, wishes, acme: Arc::clone(&acme), plan: None, cases: vec![] };
    (acme, orderer)
}

impl Orderer {
    /// Works until nobody is left who could wish for anything.
    pub async fn run(mut self, office: Arc<dyn House>) {
        let mut look = tokio::time::interval(OFTEN);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wish = tokio::select! {
                _ = look.tick() => None,
                wish = self.wishes.recv() => Some(wish),
            };
            match wish {
                None => self.look(&*office).await,
                Some(None) => return,
                Some(Some(wish)) => self.fulfil(&*office, wish).await,
            }
        }
    }

    async fn fulfil(&mut self, office: &dyn House, wish: Wish) {
        self.follow(office).await;
        let is_meant = |domain: &Domain| wish.domain.as_ref().is_none_or(|only| only == domain);
        self.cases.iter_mut().filter(|case| is_meant(&case.domain)).for_each(|case| case.course.force());
        self.look(office).await;
        let mut standing = Vec::clone(&self.acme.standing());
        standing.retain(|one| Domain::new(&one.domain).is_ok_and(|domain| is_meant(&domain)));
        // Whoever asked may have gone.
        drop(wish.answer.send(standing));
    }

    /// Does what is due, for each domain.
    async fn look(&mut self, office: &dyn House) {
        self.follow(office).await;
        let Some(plan) = self.plan.clone() else { return };
        let Some(acme) = authority(&plan) else { return };
        let mut work = Work { office, plan: &plan, acme, challenges: &self.challenges };
        for case in &mut self.cases {
            if case.course.step(now()) == Step::Ask {
                work.ask(case).await;
            }
            // What follows an order is seen in the plan that has its certificate.
            if let Step::Order(order) = case.course.step(now()) {
                work.order(case, &order).await;
            }
        }
        self.tell();
    }

    /// Takes up a new plan.
    async fn follow(&mut self, office: &dyn House) {
        let plan = office.plan();
        if self.plan.as_ref().is_some_and(|followed| Arc::ptr_eq(followed, &plan)) {
            return;
        }
        let before = self.plan.replace(Arc::clone(&plan));
        let Some(acme) = authority(&plan) else { return self.cases.clear() };
        let same = before
            .as_ref()
            .is_some_and(|before| authority(before) == Some(acme) && before.dns.push == plan.dns.push);
        let mut earlier = std::mem::take(&mut self.cases);
        for domain in &plan.domains {
            let known = earlier.iter().position(|case| case.domain == domain.name && same);
            let case = match known {
                Some(index) => followed(earlier.swap_remove(index), &plan, domain),
                None => begun(&plan, acme, domain, before.is_some()),
            };
            self.cases.push(case);
        }
        let work = Work { office, plan: &plan, acme, challenges: &self.challenges };
        for case in self.cases.iter_mut().filter(|case| !case.kept.texts().is_empty()) {
            work.clear(case).await;
        }
        self.tell();
    }

    /// Lets others see how it stands.
    fn tell(&self) {
        let standing = |case: &Case| Standing {
            domain: case.domain.to_string(),
            missing: case.course.missing().into_iter().map(str::to_owned).collect(),
            next: case.course.due(),
            fault: case.kept.fault.clone(),
        };
        let ordered = self.cases.iter().filter(|case| !case.course.wanted().is_empty());
        self.acme.standing.store(Arc::new(ordered.map(standing).collect()));
    }
}

/// The authority of a plan that has one.
fn authority(plan: &Plan) -> Option<&AcmePlan> {
    match &plan.tls.as_ref()?.source {
        TlsSource::Acme(acme) => Some(acme),
        TlsSource::Own | TlsSource::Files => None,
    }
}

/// The names for which an authority may issue: those in the DNS.
fn names(plan: &Plan, domain: &DomainPlan) -> Vec<String> {
    let mut names = site::of(plan, domain).certificate_names();
    names.retain(|name| name.contains('.') && name.parse::<std::net::IpAddr>().is_err());
    if names.len() > MOST_NAMES {
        tracing::warn!(domain = %domain.name, "a certificate has {MOST_NAMES} names at most: the others are left out");
    }
    names
}

/// The certificate that a domain has from this authority.
fn held(plan: &Plan, kept: &Kept, domain: &Domain) -> Option<Held> {
    let shown = shown(plan, domain).filter(|shown| shown.leaf().is_some_and(|leaf| kept.is_of(&leaf)))?;
    Some(Held { names: shown.names.clone(), begins: shown.begins, ends: shown.ends })
}

/// The certificate that a domain has from any authority but our own.
fn shown<'a>(plan: &'a Plan, domain: &Domain) -> Option<&'a CertificatePlan> {
    let file = acme_file(&plan.data, domain);
    plan.tls.as_ref()?.certificates.iter().find(|one| one.certificate == file)
}

/// The certificate that a domain has from our own authority, until another has issued one.
fn own<'a>(plan: &'a Plan, domain: &Domain) -> Option<&'a CertificatePlan> {
    let [file, _] = own_files(&plan.data, domain);
    plan.tls.as_ref()?.certificates.iter().find(|one| one.certificate == file)
}

/// A domain that was known before.
fn followed(mut case: Case, plan: &Plan, domain: &DomainPlan) -> Case {
    case.course.want(names(plan, domain));
    case
}

/// A domain that is new, or whose authority is; an administrator who has `changed` the configuration wants it tried again.
fn begun(plan: &Plan, acme: &AcmePlan, domain: &DomainPlan, changed: bool) -> Case {
    let name = domain.name.clone();
    let kept = Files::of(&plan.data).load(&name, &acme.directory);
    let held = held(plan, &kept, &name);
    let mut course = Course::new(names(plan, domain), held, &kept.memory(), luck());
    if changed {
        course.forgive();
    }
    Case { domain: name, course, ways: kept.ways(&acme.challenges), kept }
}

/// What it takes to carry out a step.
struct Work<'a> {
    office: &'a dyn House,
    plan: &'a Plan,
    acme: &'a AcmePlan,
    challenges: &'a Arc<Challenges>,
}

impl Work<'_> {
    fn files(&self) -> Files {
        Files::of(&self.plan.data)
    }

    fn prover(&self, domain: &Domain) -> Prover {
        Prover {
            identities: self.office.identities(),
            challenges: Arc::clone(self.challenges),
            push: self.plan.dns.push.clone(),
            desk: OnceLock::new(),
            files: self.files(),
            domain: domain.clone(),
        }
    }

    fn http(&self) -> Http {
        Http::new(trust::of_authority(&self.acme.roots), &self.acme.directory)
    }

    /// The authority, and our account there, made where there is none.
    async fn authority(&self) -> Result<Authority, Error> {
        let (files, acme) = (self.files(), self.acme);
        let Some(mut account) = files.load_account(&acme.directory)? else {
            let (authority, account) = Authority::register(self.http(), acme).await?;
            files.save_account(&acme.directory, &account)?;
            let terms = authority.http.terms();
            tracing::info!(account = account.url, terms, "the authority has made us an account");
            return Ok(authority);
        };
        let authority = Authority::resume(self.http(), acme, &account).await?;
        if account.contact != acme.contact {
            authority.change_contact(&acme.contact).await?;
            account.contact.clone_from(&acme.contact);
            files.save_account(&acme.directory, &account)?;
        }
        Ok(authority)
    }

    /// Takes away what an earlier end has left in the DNS.
    async fn clear(&self, case: &mut Case) {
        let texts = case.kept.texts();
        self.prover(&case.domain).clear_texts(texts, &mut case.kept).await;
        self.save(case);
    }

    /// When does the authority want it renewed?
    async fn ask(&mut self, case: &mut Case) {
        let shown = shown(self.plan, &case.domain).and_then(|shown| shown.leaf());
        let answer = match shown {
            Some(leaf) => self.renewal(&leaf).await,
            None => Err(Error::Own("the certificate is not there".into())),
        };
        match answer {
            Ok(Some((window, again))) => case.course.suggested(now(), window, again),
            Ok(None) => case.course.not_suggested(now(), true),
            Err(error) => {
                tracing::debug!(domain = %case.domain, %error, "the authority does not say when to renew");
                case.course.not_suggested(now(), false);
            }
        }
    }

    async fn renewal(&self, leaf: &[u8]) -> Result<Option<(Window, Option<Duration>)>, Error> {
        self.authority().await?.renewal(leaf).await
    }

    async fn order(&mut self, case: &mut Case, order: &Order) {
        tracing::info!(domain = %case.domain, names = order.names.join(" "), why = %order.why, "ordering a certificate");
        match self.obtain(case, order).await {
            Ok(ends) => {
                case.kept.fault.clear();
                tracing::info!(domain = %case.domain, days = ends, "the authority has issued a certificate");
            }
            Err(error) => {
                if error.kind() == "accountDoesNotExist" {
                    self.forget_account();
                }
                case.course.failed(now(), &error.failure(&order.names));
                case.kept.fault = error.to_string();
                case.kept.failed = now().as_secs();
                let wait = case.course.due().saturating_sub(now()).as_secs();
                tracing::warn!(domain = %case.domain, %error, "no certificate was issued; again in {wait} s");
            }
        }
        case.kept.remember(case.course.memory());
        case.kept.remember_ways(&case.ways);
        self.save(case);
    }

    /// Has it issued, and shows it: for how many days it is good.
    async fn obtain(&self, case: &mut Case, order: &Order) -> Result<u64, Error> {
        let authority = self.authority().await?;
        let (prover, files) = (self.prover(&case.domain), self.files());
        let old = shown(self.plan, &case.domain);
        let job = Job {
            domain: &case.domain,
            names: &order.names,
            replaces: old
                .filter(|_| case.course.held().is_some())
                .and_then(|old| authority::name_of(&old.leaf()?)),
            // What is published of the key stays true, of our own authority's certificate too.
            key: old.or_else(|| own(self.plan, &case.domain)).filter(|_| self.plan.dns.tlsa).and_then(key_of),
            prover: &prover,
            files: &files,
        };
        let issued = order::obtain(&authority, &job, &mut case.ways, &mut case.kept).await?;
        let held = self.show(case, &issued).await?;
        files.forget_key(&case.domain);
        let days = held.ends.saturating_sub(now()).as_secs() / 86_400;
        case.course.issued(held, luck());
        Ok(days)
    }

    /// Keeps a certificate and shows it from now on.
    async fn show(&self, case: &mut Case, issued: &Issued) -> Result<Held, Error> {
        let file = acme_file(&self.plan.data, &case.domain);
        let key = String::from_utf8_lossy(issued.key.expose());
        let whole = Secret::new(format!("{}\n{}", key.trim_end(), issued.chain));
        replace(&file, 0o600, whole.expose()).map_err(|error| files::own(&file, &error))?;
        let read = crate::config::read_pair(&file, &file).map_err(Error::Own)?;
        case.kept.issued(&read.leaf().unwrap_or_default());
        self.office.reload_certificates().await;
        Ok(Held { names: read.names, begins: read.begins, ends: read.ends })
    }

    fn forget_account(&self) {
        let (files, directory) = (self.files(), &self.acme.directory);
        let forgotten = files.load_account(directory).and_then(|account| match account {
            Some(account) => files.save_account(directory, &Account { url: String::new(), ..account }),
            None => Ok(()),
        });
        if let Err(error) = forgotten {
            tracing::error!(%error, "the account stays as it was");
        }
    }

    fn save(&self, case: &Case) {
        if let Err(error) = self.files().save(&case.domain, &case.kept) {
            tracing::error!(%error, "what came of an order is not kept");
        }
    }
}

fn key_of(old: &CertificatePlan) -> Option<Secret> {
    let pem = rcgen::KeyPair::from_pem(std::str::from_utf8(old.key_pem.expose()).ok()?).ok()?;
    Some(Secret::new(pem.serialize_pem()))
}

fn luck() -> u32 {
    getrandom::u32().unwrap_or_default()
}
