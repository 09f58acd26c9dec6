//! The life of the server: everything is checked and bound before anything runs; then it serves until it is told to
//! end, or until a worker fails.

use crate::accounts::wishes::{self, Wished, Wishes};
use crate::accounts::{self, Accounts};
use crate::acme;
use crate::admin::command::Command;
use crate::admin::{Backend, guests, socket};
use crate::back_office::{BackOffice, Parts, publisher};
use crate::certificates;
use crate::challenges::Challenges;
use crate::clock;
use crate::config::Plan;
use crate::desk::Shared;
use crate::doctor::watch;
use crate::external;
use crate::front::Front;
use crate::listen;
use crate::mail::Mail;
use crate::marks;
use crate::office::{Before, Office, Suspended};
use crate::renewal;
use crate::secret;
use crate::services::turn::FastPath;
use crate::services::turn::ledger::Book;
use crate::services::{media, sip};
use crate::sweep;
use crate::trust::Trust;
use crate::vitals::Vitals;
use anyhow::{Context, Result, anyhow, bail};
use net::tls::Identities;
use net::{Bound, Limits, Running, Setup};
use sd_notify::NotifyState;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use store::{Query, Store, StoreHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use wire::{Address, Directory, Secret, WorkerId};

/// How often the accounts' version and the certificate's files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// For how long the service manager is asked to be patient, each time, in microseconds: the real end takes as long.
const EXTEND: u32 = 30_000_000;

/// How long ago a binding must have ended to be forgotten at the start: a clock that is not set yet does no harm.
const LONG_ENDED: Duration = Duration::from_secs(7 * 86_400);

/// Serves what `plan` means, which was read so many milliseconds after 1970, until SIGTERM or SIGINT; administrators have
/// these commands.
pub fn run(plan: Plan, read: u64, commands: &'static [Command]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("back office")
        .enable_all()
        .build()
        .context("the back office's runtime")?;
    let result = runtime.block_on(serve(Arc::new(plan), read, commands));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(plan: Arc<Plan>, read: u64, commands: &'static [Command]) -> Result<()> {
    // Before anything else: until they are listened to, a signal ends the process, a reload's too.
    let signals = Signals::listen().context("the signals")?;
    let lock = secret::lock(&plan)?;
    let secret = Arc::new(secret::load(&plan)?);
    let before = plan.network.external.clone();
    let plan = external::settle(certificates::issued_for(plan), &before).await;
    let store = accounts::open_store(&plan, store::Settings::default()).context("the database")?;
    let (running, office) = start(&plan, &store, secret)?;
    let running = serve_open(running, office, read, commands, signals).await?;
    stop(running, &plan).await;
    store.close();
    drop(lock);
    tracing::info!("ended");
    Ok(())
}

/// What the service manager, or somebody at the terminal, tells the process.
struct Signals {
    end: End,
    hangup: Signal,
}

/// The signals that end it.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let end =
            End { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Self { end, hangup: signal(SignalKind::hangup())? })
    }
}

impl End {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Binds everything and starts the workers.
fn start(plan: &Arc<Plan>, store: &Store, secret: Arc<Secret>) -> Result<(Running<Mail>, Opening)> {
    let limits = limits(plan);
    let workers = plan.network.workers;
    let listeners = net::listen(&listen::specs(plan), workers, &limits)?;
    let bound: Arc<[Bound]> = listeners.bound().into();
    let identities = identities(plan)?;
    let handle = store.handle();
    let challenges: Arc<Challenges> = Arc::default();
    let loaded = store.load_accounts().context("the accounts")?;
    let directory = Arc::new(directory(plan, loaded));
    forget_old_bindings(&handle);
    let before = before(plan, store)?;
    let setup = Setup { limits, identities: identities.clone() };
    let vitals: Arc<Vitals> = Arc::default();
    let shared_vitals = Arc::clone(&vitals);
    let (wishes, wished) = wishes::open();
    let base = Base {
        wishes,
        plan: Arc::clone(plan),
        directory,
        store: handle.clone(),
        bound: Arc::clone(&bound),
        fast_path: FastPath::attach(plan)?,
        relays: Arc::default(),
        strangers: Arc::default(),
        trust: Trust::new(plan, identities.clone()),
        calls: Arc::default(),
        challenges: Arc::clone(&challenges),
        vitals: shared_vitals,
        secret,
    };
    let mut running = net::run(listeners, setup, move |start| {
        let own = before[usize::from(start.me.0)].lock().map(|mut own| std::mem::take(&mut *own));
        Office::new(base.shared(start), start, own.unwrap_or_default())
    })?;
    let front = Front::new(running.reception().context("the listeners")?, identities);
    Ok((running, Opening { plan: Arc::clone(plan), store: handle, front, challenges, vitals, wished }))
}

/// What each worker begins with, of before the last end.
fn before(plan: &Plan, store: &Store) -> Result<Vec<Mutex<Before>>> {
    let (workers, handle) = (plan.network.workers, store.handle());
    let kept = share_out(store.load_bindings().context("the bindings")?, workers);
    let suspended = share_out(suspended(&handle)?, workers);
    let calls =
        media::keeper::load(&handle, workers, plan.media.silence).context("the calls that are relayed")?;
    let all = kept.into_iter().zip(suspended).zip(calls);
    Ok(all.map(|((kept, suspended), calls)| Mutex::new(Before { kept, suspended, calls })).collect())
}

/// The XMPP sessions that wait for their clients since the last end.
fn suspended(store: &StoreHandle) -> Result<Suspended> {
    let query = Query::ListDocuments { account: None, kind: crate::services::xmpp::suspended::KIND };
    match store.ask_wait(query).context("the sessions that wait for their clients")? {
        store::Answer::Documents(documents) => Ok(documents),
        other => unreachable!("documents were asked for, not {other:?}"),
    }
}

/// Those that end while the server runs go by themselves; these ended while it did not.
fn forget_old_bindings(store: &StoreHandle) {
    let now = clock::now();
    let before = i64::try_from(now.saturating_sub(LONG_ENDED).as_secs()).unwrap_or(0);
    if let Err(fault) = store.ask_wait(Query::PurgeBindings { before }) {
        tracing::warn!(%fault, "bindings that have ended stay in the database");
    }
}

/// What the back office is made of, once the workers run.
struct Opening {
    plan: Arc<Plan>,
    store: StoreHandle,
    front: Front,
    challenges: Arc<Challenges>,
    vitals: Arc<Vitals>,
    wished: Wished,
}

/// What the offices of all workers begin with.
struct Base {
    plan: Arc<Plan>,
    directory: Arc<Directory>,
    store: StoreHandle,
    bound: Arc<[Bound]>,
    fast_path: Option<Arc<FastPath>>,
    relays: Arc<Book>,
    strangers: Arc<sip::strangers::Book>,
    trust: Arc<Trust>,
    calls: Arc<media::book::Book>,
    challenges: Arc<Challenges>,
    vitals: Arc<Vitals>,
    wishes: Wishes,
    secret: Arc<Secret>,
}

impl Base {
    fn shared(&self, start: &net::Start<'_, Mail>) -> Shared {
        Shared {
            plan: Arc::clone(&self.plan),
            directory: Arc::clone(&self.directory),
            store: self.store.clone(),
            postbox: start.postbox.clone(),
            me: start.me,
            workers: start.workers,
            bound: Arc::clone(&self.bound),
            fast_path: self.fast_path.clone(),
            relays: Arc::clone(&self.relays),
            strangers: Arc::clone(&self.strangers),
            trust: Arc::clone(&self.trust),
            calls: Arc::clone(&self.calls),
            challenges: Arc::clone(&self.challenges),
            vitals: Arc::clone(&self.vitals),
            wishes: self.wishes.clone(),
            secret: Arc::clone(&self.secret),
        }
    }
}

/// Serves until it is time to end.
async fn serve_open(
    mut running: Running<Mail>,
    opening: Opening,
    read: u64,
    commands: &'static [Command],
    mut signals: Signals,
) -> Result<Running<Mail>> {
    let Opening { plan, store, front, challenges, vitals, wished } = opening;
    let (acme, orderer) = acme::open(challenges);
    let archives = store.clone();
    let (postbox, counting) = (running.postbox(), running.counting());
    let accounts = Accounts::load(store, &plan, publisher(postbox.clone())).await?;
    // Between the workers' first snapshot and this one an account may have been added by another process.
    publisher(postbox.clone())(accounts.directory()).await;
    let parts = Parts { accounts, plan: Arc::clone(&plan), read, postbox, front, counting, acme, vitals };
    let office = Arc::new(BackOffice::new(parts));
    let door = socket::bind(&plan.admin.socket).with_context(|| plan.admin.socket.display().to_string())?;
    let house: Arc<dyn Backend> = office.clone();
    open_doors(&office, &house, &plan).await?;
    tokio::spawn(socket::serve(door, house, commands, plan.admin.limits.clone()));
    announce(&office);
    tokio::spawn(orderer.run(office.clone()));
    tokio::spawn(wished.run(Arc::clone(&office)));
    tokio::spawn(Arc::clone(&office).follow_names());
    let mut look = tokio::time::interval(LOOK);
    let mut sweep = tokio::time::interval(sweep::OFTEN);
    let mut renewal = tokio::time::interval(renewal::OFTEN);
    let mut eye = tokio::time::interval(watch::OFTEN);
    // At the first look all are read once more: they may have changed since the plan was made.
    let mut written = Vec::new();
    let mut last = None;
    loop {
        tokio::select! {
            () = signals.end.recv() => match begin_end(&office, last).await {
                Some(wait) => last = Some(wait),
                None => break,
            },
            _ = signals.hangup.recv() => reload(&office).await,
            ended = running.ended() => bail!("worker {} has failed", ended.worker.0),
            _ = renewal.tick() => office.renew_certificates().await,
            _ = eye.tick() => drop(office.look_at_itself()),
            _ = sweep.tick() => {
                sweep::archives(&archives, &office.plan()).await;
                guests::farewell(&*office).await;
            }
            _ = look.tick() => {
                if has_ended(&office, last).await {
                    break;
                }
                written = look_around(&office, written).await;
            }
        }
    }
    notify(&[NotifyState::Stopping]);
    Ok(running)
}

/// Opens the listeners for Prometheus.
async fn open_doors(office: &BackOffice, house: &Arc<dyn Backend>, plan: &Plan) -> Result<()> {
    office.doors().answer_by(house);
    match office.doors().open(&plan.admin.metrics, plan.admin.limits.metrics).await.into_iter().next() {
        Some((listener, error)) => Err(error).with_context(|| format!("metrics \"{listener}\"")),
        None => Ok(()),
    }
}

/// The process was told to end: until when TURN sessions are waited for. `None`: end now.
async fn begin_end(office: &BackOffice, earlier: Option<Instant>) -> Option<Instant> {
    let wait = office.plan().turn.drain;
    if earlier.is_some() || wait.is_zero() || office.turn_sessions().await == 0 {
        return None;
    }
    if let Err(failure) = office.drain_turn(true).await {
        tracing::error!(%failure, "the end waits for nothing");
        return None;
    }
    tracing::info!("ending within {} s, when TURN sessions have ended; told again: at once", wait.as_secs());
    notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(EXTEND)]);
    Some(Instant::now() + wait)
}

/// Whether the end has waited for long enough; the service manager hears that it goes on.
async fn has_ended(office: &BackOffice, until: Option<Instant>) -> bool {
    let Some(until) = until else { return false };
    if until <= Instant::now() || office.turn_sessions().await == 0 {
        return true;
    }
    notify(&[NotifyState::ExtendTimeoutUsec(EXTEND)]);
    false
}

/// When each file of the certificates was written.
type Written = Vec<Option<SystemTime>>;

/// What other processes may have changed: the accounts in the database, the files of the certificates.
async fn look_around(office: &BackOffice, written: Written) -> Written {
    if let Err(fault) = office.accounts().refresh().await {
        tracing::debug!(%fault, "the accounts were not looked at");
    }
    let now = certificates::written(&office.plan());
    if now != written {
        office.reload_certificates().await;
    }
    now
}

async fn reload(office: &BackOffice) {
    match office.reload().await {
        Ok(reloaded) if reloaded.after_restart.is_empty() => {
            tracing::info!("the configuration was read again")
        }
        Ok(reloaded) => tracing::warn!(
            "the configuration was read again; only a restart changes {}",
            reloaded.after_restart.join(", ")
        ),
        Err(failure) => tracing::error!("the old configuration stays in force: {failure}"),
    }
}

/// Says in the log, and to systemd, that everything is up.
fn announce(office: &BackOffice) {
    for (bound, service) in office.bound().iter().map(|bound| (bound, marks::owner(bound.tag))) {
        tracing::info!("{service} listens on {} {}", bound.transport, bound.address);
    }
    for address in office.doors().bound() {
        tracing::info!("metrics are told on http {address}");
    }
    office.plan().warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    tracing::info!(
        workers = office.plan().network.workers,
        accounts = office.accounts().directory().len(),
        "serving"
    );
    notify(&[NotifyState::Ready]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

/// Lets calls and connections end, within the plan's patience.
async fn stop(running: Running<Mail>, plan: &Plan) {
    let patience = plan.network.limits.drain;
    let until = Instant::now() + patience;
    let postbox = running.postbox();
    for worker in (0..postbox.workers()).map(WorkerId) {
        // A worker that has ended has nothing to drain, and one that hangs must not keep the others from ending.
        drop(tokio::time::timeout(patience / 4, postbox.deliver(worker, Mail::Drain(until))).await);
    }
    tracing::info!("ending within {} s", patience.as_secs());
    let ended = tokio::task::spawn_blocking(move || running.stop(patience)).await;
    if ended.is_ok_and(|all| all.iter().any(|worker| worker.panicked)) {
        tracing::error!("a worker failed while it ended");
    }
}

/// Each worker's share of the bindings: those of the addresses at home there.
fn share_out<T>(kept: Vec<(Address, T)>, workers: u16) -> Vec<Vec<(Address, T)>> {
    let mut shares: Vec<Vec<(Address, T)>> = (0..workers).map(|_| Vec::new()).collect();
    for (address, one) in kept {
        shares[usize::from(address.home(workers).0)].push((address, one));
    }
    shares
}

fn directory(plan: &Plan, accounts: Vec<wire::Account>) -> Directory {
    let row = |account: wire::Account| -> (Address, _) { (account.address.clone(), Some(Arc::new(account))) };
    Directory::new(plan.domain_names()).with(accounts.into_iter().map(row))
}

fn identities(plan: &Plan) -> Result<Option<Arc<Identities>>> {
    let Some(tls) = &plan.tls else { return Ok(None) };
    certificates::identities(tls).map(Some).map_err(|error| anyhow!("the certificate: {error}"))
}

/// Net's bounds, as the plan has them.
fn limits(plan: &Plan) -> Limits {
    let own = &plan.network.limits;
    Limits {
        connections: usize::try_from(own.connections).unwrap_or(usize::MAX),
        connections_per_source: usize::try_from(own.connections_per_source).unwrap_or(usize::MAX),
        handshake: own.handshake,
        first_byte: own.first_byte,
        read_buffer: own.read_buffer,
        write_buffer: own.write_buffer,
        mail: own.mail,
        handshakes_per_source: own.handshakes_per_source,
        web_silence: own.web_silence,
        gathering: plan.turn.gathering,
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_goes_to_its_home() {
        let addresses: Vec<Address> = (0..50).map(|n| format!("u{n}@falcot.com").parse().unwrap()).collect();
        let shares = share_out(addresses.iter().map(|a| (a.clone(), ())).collect(), 3);
        for address in &addresses {
            let share = &shares[usize::from(address.home(3).0)];
            assert!(share.iter().any(|(own, _)| own == address));
        }
    }
}
