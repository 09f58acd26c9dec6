//! What stands beside the workers: the accounts' snapshot, the plan in force, the certificates, and the questions of the
//! administrator. It has a thread of its own and reaches the workers by mail alone.

use crate::accounts::{Accounts, Publish};
use crate::acme::{self, Acme};
use crate::admin::answers::doctor::DoctorFinding;
use crate::admin::answers::{Listening, Reloaded, Status};
use crate::admin::backend::gone;
use crate::admin::command::Reply;
use crate::admin::exposition;
use crate::admin::failure::Kind;
use crate::admin::metrics::Doors;
use crate::admin::{Backend, Failure};
use crate::certificates;
use crate::clock;
use crate::config::plan::{External, TlsPlan};
use crate::config::{self, Plan};
use crate::doctor::watch::Watch;
use crate::doorman::{Letter, Listed};
use crate::external;
use crate::front::Front;
use crate::mail::Mail;
use crate::marks;
use crate::renewal;
use crate::report::Report;
use crate::services;
use crate::services::sip::overview;
use crate::services::turn::sessions::{Look, Order, Seen};
use crate::standing::Standing;
use crate::trust::Trust;
use crate::vitals::Vitals;
use arc_swap::ArcSwap;
use net::counters::Counting;
use net::tls::Identities;
use net::{Bound, Postbox};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use wire::{Domain, WorkerId};

/// How long workers may take to say how many sessions they have.
const ANSWERED: Duration = Duration::from_secs(5);

/// The administrator's view of the running server.
#[derive(Debug)]
pub struct BackOffice {
    accounts: Accounts,
    plan: ArcSwap<Plan>,
    postbox: Postbox<Mail>,
    front: Front,
    started: Instant,
    /// When the configuration was last read, in milliseconds since 1970.
    read: AtomicU64,
    reloading: tokio::sync::Mutex<()>,
    /// The configuration was read again: the names in it may be others.
    reread: tokio::sync::Notify,
    draining: AtomicBool,
    counting: Counting,
    doors: Doors,
    acme: Arc<Acme>,
    watch: Watch,
}

/// What the workers' start left for the back office.
#[derive(Debug)]
pub struct Parts {
    /// The accounts.
    pub accounts: Accounts,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// When it was read, in milliseconds since 1970.
    pub read: u64,
    /// The way to the workers.
    pub postbox: Postbox<Mail>,
    /// The listeners and their certificates.
    pub front: Front,
    /// What the workers' sockets count.
    pub counting: Counting,
    /// Who orders certificates.
    pub acme: Arc<Acme>,
    /// How the server finds itself.
    pub vitals: Arc<Vitals>,
}

impl BackOffice {
    /// Opens when the workers run.
    pub fn new(parts: Parts) -> Self {
        Self {
            accounts: parts.accounts,
            plan: ArcSwap::new(parts.plan),
            postbox: parts.postbox,
            front: parts.front,
            started: Instant::now(),
            read: AtomicU64::new(parts.read),
            reloading: tokio::sync::Mutex::default(),
            reread: tokio::sync::Notify::new(),
            draining: AtomicBool::new(false),
            counting: parts.counting,
            doors: Doors::default(),
            acme: parts.acme,
            watch: Watch::new(parts.vitals),
        }
    }

    /// The listeners with their real ports.
    pub fn bound(&self) -> Arc<[Bound]> {
        self.front.bound()
    }

    /// What listeners show; `None` where nobody has spoken TLS yet.
    pub fn identities(&self) -> Option<Arc<Identities>> {
        self.front.identities()
    }

    /// What each worker says of itself, once it has worked off its earlier mail.
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

    /// The listeners for Prometheus.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Everything that is counted.
    async fn count(&self) -> Result<Report, Failure> {
        let mut report = Report::default();
        self.ask_all().await.iter().for_each(|worker| report.merge(worker));
        let (survey, traffic) = crate::admin::turn::survey(self).await?;
        for (transport, count) in
            [("udp", survey.udp), ("tcp", survey.tcp), ("tls", survey.tls), ("dtls", survey.dtls)]
        {
            report.add(&format!("turn.open.{transport}"), count);
        }
        report.add("turn.packets.sent", traffic.sent_packets);
        report.add("turn.packets.received", traffic.received_packets);
        report.add("turn.dropped", traffic.dropped_packets);
        report.add("turn.octets.sent", traffic.sent_bytes);
        report.add("turn.octets.received", traffic.received_bytes);
        report.add("turn.draining", u64::from(self.is_draining()));
        self.counting.total().rows().into_iter().for_each(|(name, n)| report.add(&format!("net.{name}"), n));
        report.add("net.half_open", self.counting.half_open() as u64);
        report.add("server.workers", self.postbox.workers().into());
        for finding in self.look_at_itself() {
            report.add(&format!("server.findings.{}", finding.severity), 1);
        }
        report.add("server.accounts", self.accounts.directory().len() as u64);
        report.add("server.certificates_due", certificates::due(&self.plan()).count() as u64);
        report.add(
            "server.certificate",
            self.plan().tls.as_ref().and_then(TlsPlan::ends).map_or(0, |ends| ends.as_secs()),
        );
        crate::report::process(&mut report, self.started.elapsed());
        Ok(report)
    }

    /// Sends one worker an order about TURN.
    async fn order(&self, worker: WorkerId, order: Order) -> Result<(), Failure> {
        let mail = Mail::Turn(services::turn::Mail::Order(order));
        self.postbox.deliver(worker, mail).await.map_err(|_| gone(worker))
    }

    /// Looks how the server finds itself.
    pub fn look_at_itself(&self) -> Vec<DoctorFinding> {
        self.watch.look(&self.plan(), self.accounts.store().health(), &self.acme.standing())
    }

    /// How many TURN sessions there are. Where workers do not answer there are none that are worth waiting for: the end
    /// of the server must not wait for a worker that hangs.
    pub async fn turn_sessions(&self) -> u64 {
        match tokio::time::timeout(ANSWERED, self.ask_all()).await {
            Ok(reports) => reports.iter().filter_map(|report| report.0.get("turn.allocations")).sum(),
            Err(_) => 0,
        }
    }

    /// Reads the configuration again. A refused one leaves everything as it is.
    async fn read_again(&self) -> Result<Reloaded, Failure> {
        let _one_at_a_time = self.reloading.lock().await;
        let old = self.plan();
        let read = clock::milliseconds();
        let new = certificates::issued_for(Arc::new(config::load(&old.file)?));
        let new = external::settle(new, &old.network.external).await;
        let bound = self.front.change(&new).await?;
        self.front.show_certificates(&new);
        let trust = self.front.trust(&new);
        let mut reloaded =
            Reloaded { after_restart: after_restart(&old, &new), warnings: new.warnings.clone() };
        self.plan.store(Arc::clone(&new));
        self.read.store(read, Ordering::Relaxed);
        self.reread.notify_one();
        self.accounts.replan(&new).await;
        self.tell_workers(&new, &bound, &trust).await;
        for (listener, error) in self.doors.open(&new.admin.metrics, new.admin.limits.metrics).await {
            reloaded.warnings.push(format!("admin.metrics: {listener} cannot be bound: {error}"));
        }
        self.ask_all().await;
        Ok(reloaded)
    }

    /// Issues and renews what is our own authority's to issue, shows it, and warns of what should have been renewed. A
    /// configuration that is being edited meanwhile is not put in force.
    pub async fn renew_certificates(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        let plan = self.plan();
        let (issued, faults) = renewal::renew(&plan);
        certificates::tell(&issued, &faults);
        if !issued.is_empty() {
            self.show_again(&plan).await;
        }
        certificates::warn(&self.plan());
    }

    /// Reads the certificates' files again; the last good ones are kept where they do not fit. A configuration that is being
    /// edited meanwhile is no obstacle, and is not put in force.
    pub async fn reload_certificates(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        let plan = self.plan();
        if plan.tls.is_some() {
            self.show_again(&plan).await;
        }
    }

    /// Shows what stands in the certificates' files by now. Clients may be told other names, where there are others.
    async fn show_again(&self, plan: &Plan) {
        let Some(old) = &plan.tls else { return };
        let (tls, faults) = certificates::read_again(plan, old);
        certificates::tell(&[], &faults);
        if tls.is_same(old) {
            return;
        }
        let same = tls.names().eq(old.names());
        let new = Arc::new(plan.with_tls(tls));
        self.front.show_certificates(&new);
        self.plan.store(Arc::clone(&new));
        tracing::info!("the certificates were read again");
        if !same {
            self.tell_workers(&new, &self.front.bound(), &self.front.trust(&new)).await;
        }
    }

    /// Follows the names of `network.external` for as long as the server runs. How long an answer is good for says nothing of names
    /// that are configured meanwhile.
    pub async fn follow_names(self: Arc<Self>) {
        loop {
            let plan = self.plan();
            let (found, good_for) = external::look(&plan.network).await;
            if let Some(found) = found {
                self.put_external(&plan, &found).await;
            }
            // Whichever comes first.
            let _ = tokio::time::timeout(good_for, self.reread.notified()).await;
        }
    }

    /// Puts these addresses in force for the names of `network.external` of a plan, unless another is in force by now.
    async fn put_external(&self, of: &Arc<Plan>, found: &[External]) {
        let _one_at_a_time = self.reloading.lock().await;
        let plan = self.plan();
        if plan.network.named != of.network.named {
            return;
        }
        let new = Arc::new(plan.with_external(found));
        self.plan.store(Arc::clone(&new));
        self.tell_workers(&new, &self.front.bound(), &self.front.trust(&new)).await;
    }

    /// Hands a plan to every worker, with its listeners and those whom it has us believe.
    async fn tell_workers(&self, plan: &Arc<Plan>, bound: &Arc<[Bound]>, trust: &Arc<Trust>) {
        for worker in 0..self.postbox.workers() {
            // A worker that has ended needs no plan.
            let mail = Mail::Plan(Arc::clone(plan), Arc::clone(bound), Arc::clone(trust));
            drop(self.postbox.deliver(WorkerId(worker), mail).await);
        }
    }
}

impl Backend for BackOffice {
    fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn settle(&self) -> Reply<'_, ()> {
        Box::pin(async {
            self.ask_all().await;
            Ok(())
        })
    }

    fn status(&self) -> Reply<'_, Status> {
        Box::pin(async {
            let mut sum = Report::default();
            self.ask_all().await.iter().for_each(|report| sum.merge(report));
            sum.add("turn.draining", u64::from(self.is_draining()));
            Ok(Status {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                uptime: self.started.elapsed().as_secs(),
                workers: self.postbox.workers(),
                accounts: u64::try_from(self.accounts.directory().len()).unwrap_or(u64::MAX),
                read: self.read.load(Ordering::Relaxed),
                findings: self.look_at_itself(),
                listeners: self
                    .bound()
                    .iter()
                    .map(listening)
                    .chain(self.doors.bound().iter().map(door))
                    .collect(),
                counters: sum.0,
            })
        })
    }

    fn reload(&self) -> Reply<'_, Reloaded> {
        Box::pin(async { self.read_again().await })
    }

    fn metrics(&self) -> Reply<'_, String> {
        Box::pin(async { Ok(exposition::text(&self.count().await?, env!("CARGO_PKG_VERSION"))) })
    }

    fn ailments(&self) -> Vec<String> {
        let findings = self.look_at_itself();
        if self.watch.is_ill() { findings.into_iter().map(|finding| finding.what).collect() } else { vec![] }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn workers(&self) -> u16 {
        self.postbox.workers()
    }

    fn look(&self, worker: WorkerId, look: Look) -> Reply<'_, Seen> {
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            self.order(worker, Order::Look(look, sender)).await?;
            answer.await.map_err(|_| gone(worker))
        })
    }

    fn order_sip(&self, worker: WorkerId, order: overview::Order) -> Reply<'_, ()> {
        Box::pin(async move {
            let mail = Mail::Sip(services::sip::Mail::Order(order));
            self.postbox.deliver(worker, mail).await.map_err(|_| gone(worker))
        })
    }

    fn order_xmpp(&self, worker: WorkerId, order: services::xmpp::overview::Order) -> Reply<'_, ()> {
        Box::pin(async move {
            let mail = Mail::Xmpp(services::xmpp::Mail::Order(order));
            self.postbox.deliver(worker, mail).await.map_err(|_| gone(worker))
        })
    }

    /// All workers ban the same, so one is asked.
    fn bans(&self) -> Reply<'_, Listed> {
        Box::pin(async move {
            let (worker, (sender, answer)) = (WorkerId(0), oneshot::channel());
            self.postbox.deliver(worker, Mail::Bans(sender)).await.map_err(|_| gone(worker))?;
            answer.await.map_err(|_| gone(worker))
        })
    }

    fn standing(&self) -> Arc<Vec<Standing>> {
        self.acme.standing()
    }

    fn renew(&self, domain: Option<Domain>) -> Reply<'_, Vec<Standing>> {
        Box::pin(async move {
            let ended = || Failure::new(Kind::Unavailable, "nobody orders certificates any more");
            self.acme.renew(domain).await.ok_or_else(ended)
        })
    }

    fn tell_doormen(&self, letter: Letter) -> Reply<'_, ()> {
        Box::pin(async move {
            for worker in (0..self.postbox.workers()).map(WorkerId) {
                let mail = Mail::Doorman(letter.clone());
                self.postbox.deliver(worker, mail).await.map_err(|_| gone(worker))?;
            }
            Ok(())
        })
    }

    fn drain_turn(&self, on: bool) -> Reply<'_, ()> {
        Box::pin(async move {
            self.draining.store(on, Ordering::Relaxed);
            for worker in (0..self.postbox.workers()).map(WorkerId) {
                self.order(worker, Order::Drain(on)).await?;
            }
            Ok(())
        })
    }
}

impl acme::House for BackOffice {
    fn plan(&self) -> Arc<Plan> {
        Backend::plan(self)
    }

    fn identities(&self) -> Option<Arc<Identities>> {
        Self::identities(self)
    }

    fn reload_certificates(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Self::reload_certificates(self))
    }
}

impl AsRef<Accounts> for BackOffice {
    fn as_ref(&self) -> &Accounts {
        &self.accounts
    }
}

fn listening(bound: &Bound) -> Listening {
    Listening {
        service: marks::owner(bound.tag).to_string(),
        transport: bound.transport.to_string(),
        address: bound.address.to_string(),
    }
}

fn door(address: &SocketAddr) -> Listening {
    Listening { service: "metrics".into(), transport: "http".into(), address: address.to_string() }
}

/// Which keys a running server cannot change.
fn after_restart(old: &Plan, new: &Plan) -> Vec<String> {
    let rows = [
        ("storage.url", old.storage == new.storage),
        ("turn.gathering", old.turn.gathering == new.turn.gathering),
        ("network.workers", old.network.workers == new.network.workers),
        // Switched off it is at once; only another interface needs a program of its own.
        ("turn.xdp", new.turn.xdp.is_none() || old.turn.xdp == new.turn.xdp),
    ];
    rows.into_iter().filter(|(_, same)| !same).map(|(key, _)| key.to_owned()).collect()
}

/// Tells every worker of a new snapshot of the accounts, and waits for room in their queues. For [`Accounts::load`].
pub fn publisher(postbox: Postbox<Mail>) -> Publish {
    Box::new(move |directory| {
        let postbox = postbox.clone();
        Box::pin(async move {
            for worker in (0..postbox.workers()).map(WorkerId) {
                // A worker that has ended needs no accounts.
                drop(postbox.deliver(worker, Mail::Directory(Arc::clone(&directory))).await);
            }
        })
    })
}
