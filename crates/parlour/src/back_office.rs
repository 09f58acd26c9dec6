//! What stands beside the workers: the accounts' snapshot, the plan in force, the certificate, and the questions of the
//! administrator. It has a thread of its own and reaches the workers by mail alone.

use crate::accounts::Accounts;
use crate::config::{self, Plan, Refusal};
use crate::listen;
use crate::mail::Mail;
use crate::report::Report;
use arc_swap::ArcSwap;
use net::tls::{Identities, Identity};
use net::{Bound, Postbox};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::oneshot;
use wire::{Directory, WorkerId};

/// The administrator's view of the running server.
#[derive(Debug)]
pub struct BackOffice {
    /// The accounts, and who is told when they change.
    pub accounts: Accounts,
    plan: ArcSwap<Plan>,
    postbox: Postbox<Mail>,
    bound: Arc<[Bound]>,
    identities: Option<Arc<Identities>>,
    started: Instant,
    reloading: tokio::sync::Mutex<()>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys that have changed and are heeded only after a restart.
    pub after_restart: Vec<&'static str>,
}

/// What the workers' start left for the back office.
#[derive(Debug)]
pub struct Parts {
    /// The accounts.
    pub accounts: Accounts,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// The way to the workers.
    pub postbox: Postbox<Mail>,
    /// The listeners with their real ports.
    pub bound: Arc<[Bound]>,
    /// What TLS listeners show; `None` where none speaks TLS.
    pub identities: Option<Arc<Identities>>,
}

impl BackOffice {
    /// Opens when the workers run.
    pub fn new(parts: Parts) -> Self {
        Self {
            accounts: parts.accounts,
            plan: ArcSwap::new(parts.plan),
            postbox: parts.postbox,
            bound: parts.bound,
            identities: parts.identities,
            started: Instant::now(),
            reloading: tokio::sync::Mutex::default(),
        }
    }

    /// The plan in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// The listeners with their real ports.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// How many workers there are.
    pub fn workers(&self) -> u16 {
        self.postbox.workers()
    }

    /// Whole seconds since the start.
    pub fn uptime(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// What the workers say of themselves, added up. Waits until each has worked off its earlier mail.
    pub async fn report(&self) -> Report {
        let mut sum = Report::default();
        for report in self.ask_all().await {
            sum.merge(&report);
        }
        sum
    }

    /// Waits until every worker has worked off the mail that is on its way now.
    pub async fn settle(&self) {
        self.ask_all().await;
    }

    async fn ask_all(&self) -> Vec<Report> {
        let mut answers = Vec::new();
        for worker in 0..self.postbox.workers() {
            let (sender, answer) = oneshot::channel();
            if self.postbox.deliver(WorkerId(worker), Mail::Report(sender)).await.is_ok() {
                answers.push(answer);
            }
        }
        let mut reports = Vec::with_capacity(answers.len());
        for answer in answers {
            // A worker that has ended says nothing any more.
            reports.extend(answer.await.ok());
        }
        reports
    }

    /// Reads the configuration again. A refused one leaves everything as it is.
    pub async fn reload(&self) -> Result<Reloaded, Refusal> {
        let _one_at_a_time = self.reloading.lock().await;
        let old = self.plan();
        let new = Arc::new(config::load(&old.file)?);
        self.show_certificate(&new);
        let reloaded = Reloaded { after_restart: after_restart(&old, &new) };
        self.plan.store(Arc::clone(&new));
        self.accounts.replan(&new).await;
        for worker in 0..self.postbox.workers() {
            // A worker that has ended needs no plan.
            drop(self.postbox.deliver(WorkerId(worker), Mail::Plan(Arc::clone(&new))).await);
        }
        self.settle().await;
        Ok(reloaded)
    }

    /// Shows the certificate of `plan` from now on.
    fn show_certificate(&self, plan: &Plan) {
        let (Some(identities), Some(tls)) = (&self.identities, &plan.tls) else { return };
        match Identity::from_pem(&tls.chain_pem, tls.key_pem.expose()) {
            Ok(identity) => identities.replace(identity),
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }

    /// When the certificate's files were last written.
    pub fn certificate_written(&self) -> Option<[SystemTime; 2]> {
        let plan = self.plan();
        let tls = plan.tls.as_ref()?;
        let written = |path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok();
        Some([written(&tls.certificate)?, written(&tls.key)?])
    }

    /// Reads the certificate's files again; the last good one is kept when they do not fit.
    pub async fn reload_certificate(&self) {
        let plan = self.plan();
        match config::load(&plan.file) {
            Ok(new) => {
                self.show_certificate(&new);
                tracing::info!("the certificate was read again");
            }
            Err(refusal) => tracing::error!(%refusal, "the certificate stays as it was"),
        }
    }
}

/// Which keys a running server cannot change.
fn after_restart(old: &Plan, new: &Plan) -> Vec<&'static str> {
    let rows = [
        ("storage.url", old.storage == new.storage),
        ("network.workers", old.network.workers == new.network.workers),
        ("the listeners", same_listeners(old, new)),
    ];
    rows.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

fn same_listeners(old: &Plan, new: &Plan) -> bool {
    let names = |plan| listen::specs(plan).into_iter().map(|spec| spec.name).collect::<Vec<_>>();
    names(old) == names(new)
}

/// Tells every worker of a new snapshot of the accounts. For [`Accounts::load`].
pub fn publisher(postbox: Postbox<Mail>) -> impl Fn(&Arc<Directory>) + Send + Sync {
    move |directory| {
        for worker in (0..postbox.workers()).map(WorkerId) {
            if let Err(mail) = postbox.post(worker, Mail::Directory(Arc::clone(directory))) {
                let postbox = postbox.clone();
                tokio::spawn(async move { drop(postbox.deliver(worker, mail).await) });
            }
        }
    }
}
