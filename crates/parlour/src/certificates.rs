//! The certificates that the server shows: what the plan has of them, as handshakes want it, and what stands in their files by now.

use crate::clock;
use crate::config::plan::{CertificatePlan, TlsPlan, TlsSource, acme_file, own_files};
use crate::config::{self, Plan};
use crate::renewal;
use net::tls::{Identities, Identity, IdentityError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// The certificates with the names that they are for.
pub type Named = Vec<(Vec<String>, Identity)>;

/// What handshakes need of the certificates.
pub fn named(tls: &TlsPlan) -> Result<Named, String> {
    let read = |one: &CertificatePlan| {
        let identity = Identity::from_pem(&one.chain_pem, one.key_pem.expose());
        let broken = |error: IdentityError| format!("{}: {error}", one.certificate.display());
        Ok((one.names.clone(), identity.map_err(broken)?))
    };
    tls.certificates.iter().map(read).collect()
}

/// The same, to be shared by all listeners.
pub fn identities(tls: &TlsPlan) -> Result<Arc<Identities>, String> {
    Identities::of(named(tls)?).ok_or_else(|| "there is none".to_owned())
}

/// The files that certificates are, or will be, in.
fn files(plan: &Plan, tls: &TlsPlan) -> Vec<PathBuf> {
    let domains = || plan.domains.iter().map(|domain| &domain.name);
    let own = || domains().flat_map(|domain| own_files(&plan.data, domain));
    match tls.source {
        TlsSource::Files => {
            tls.certificates.iter().flat_map(|one| [one.certificate.clone(), one.key.clone()]).collect()
        }
        TlsSource::Own => own().collect(),
        TlsSource::Acme(_) => own().chain(domains().map(|domain| acme_file(&plan.data, domain))).collect(),
    }
}

/// When each of the files was last written.
pub fn written(plan: &Plan) -> Vec<Option<SystemTime>> {
    let Some(tls) = &plan.tls else { return Vec::new() };
    let time = |file: PathBuf| std::fs::metadata(file).and_then(|facts| facts.modified()).ok();
    files(plan, tls).into_iter().map(time).collect()
}

/// What stands in the files by now; what cannot be used stays as it was, and why is told.
pub fn read_again(plan: &Plan, tls: &TlsPlan) -> (TlsPlan, Vec<String>) {
    let mut faults = Vec::new();
    let mut keep = |read: Result<Option<CertificatePlan>, String>, old: Option<&CertificatePlan>| {
        read.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        })
        .or_else(|| old.cloned())
    };
    let certificates = match &tls.source {
        TlsSource::Files => {
            let read = |old: &CertificatePlan| config::read_pair(&old.certificate, &old.key).map(Some);
            tls.certificates.iter().filter_map(|old| keep(read(old), Some(old))).collect()
        }
        source => {
            let domains = plan.domains.iter().map(|domain| &domain.name);
            let read = |domain| {
                let files = [own_files(&plan.data, domain)[0].clone(), acme_file(&plan.data, domain)];
                let old = tls.certificates.iter().find(|old| files.contains(&old.certificate));
                keep(config::issued(source, &plan.data, domain), old)
            };
            domains.filter_map(read).collect()
        }
    };
    (TlsPlan { source: tls.source.clone(), certificates }, faults)
}

/// The plan with the certificates that our own authority had to issue for it.
pub fn issued_for(plan: Arc<Plan>) -> Arc<Plan> {
    let (issued, faults) = renewal::renew(&plan);
    tell(&issued, &faults);
    let Some(tls) = plan.tls.as_ref().filter(|_| !issued.is_empty()) else { return plan };
    // Its warnings may have been of what is mended by now.
    if let Ok(again) = config::load(&plan.file) {
        return Arc::new(again);
    }
    let (tls, faults) = read_again(&plan, tls);
    tell(&[], &faults);
    Arc::new(plan.with_tls(tls))
}

/// Logs what came of it.
pub fn tell(issued: &[PathBuf], faults: &[String]) {
    for file in issued {
        tracing::info!(file = %file.display(), "our own authority has issued a certificate");
    }
    faults.iter().for_each(|fault| tracing::error!(fault, "a certificate stays as it was"));
}

/// Those of which a third of the life or less is left.
pub fn due(plan: &Plan) -> impl Iterator<Item = &CertificatePlan> {
    let now = clock::now();
    plan.tls.iter().flat_map(|tls| &tls.certificates).filter(move |one| one.is_due(now))
}

/// Logs those that should have been renewed by now.
pub fn warn(plan: &Plan) {
    for one in due(plan) {
        let (file, days) = (one.certificate.display(), config::days_left(one.ends));
        if days < 0 {
            tracing::error!(%file, "a certificate has ended: clients go away");
        } else {
            tracing::warn!(%file, days, "a certificate ends: a third of its life or less is left");
        }
    }
}
