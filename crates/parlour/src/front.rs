//! The front of the house: the listeners in force, and the certificates that they show. Both change at a reload.

use crate::admin::Failure;
use crate::certificates;
use crate::config::Plan;
use crate::listen;
use crate::marks;
use crate::trust::Trust;
use arc_swap::ArcSwapOption;
use net::tls::Identities;
use net::{Bound, Reception};
use std::sync::{Arc, Mutex, PoisonError};

/// The listeners and their certificates.
#[derive(Debug)]
pub struct Front {
    reception: tokio::sync::Mutex<Reception>,
    bound: Mutex<Arc<[Bound]>>,
    identities: ArcSwapOption<Identities>,
}

impl Front {
    /// The front as it was opened; no `identities` where nothing spoke TLS.
    pub fn new(reception: Reception, identities: Option<Arc<Identities>>) -> Self {
        let bound = Mutex::new(reception.bound().into());
        Self { reception: tokio::sync::Mutex::new(reception), bound, identities: identities.into() }
    }

    /// The listeners in force, with their real ports.
    pub fn bound(&self) -> Arc<[Bound]> {
        Arc::clone(&self.bound.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the listeners of `plan` in force, all of them or, when one cannot be bound, none.
    pub async fn change(&self, plan: &Plan) -> Result<Arc<[Bound]>, Failure> {
        let mut reception = self.reception.lock().await;
        if let (None, Some(tls)) = (self.identities.load_full(), &plan.tls) {
            let identities = certificates::identities(tls)
                .map_err(|error| Failure::failed(format!("the certificate cannot be used: {error}")))?;
            self.identities.store(Some(identities));
        }
        let identities = self.identities.load_full();
        let changed = reception.change(&listen::specs(plan), identities.as_ref()).await;
        changed.map_err(|error| Failure::failed(error.to_string()))?;
        reception.set_handshakes_per_source(plan.network.limits.handshakes_per_source);
        let bound: Arc<[Bound]> = reception.bound().into();
        let before = std::mem::replace(
            &mut *self.bound.lock().unwrap_or_else(PoisonError::into_inner),
            Arc::clone(&bound),
        );
        tell("no longer listens on", &before, &bound);
        tell("listens on", &bound, &before);
        Ok(bound)
    }

    /// What listeners show; `None` where nobody has spoken TLS yet.
    pub fn identities(&self) -> Option<Arc<Identities>> {
        self.identities.load_full()
    }

    /// Whom `plan` has us believe.
    pub fn trust(&self, plan: &Plan) -> Arc<Trust> {
        Trust::new(plan, self.identities.load_full())
    }

    /// Shows the certificates of `plan` from now on.
    pub fn show_certificates(&self, plan: &Plan) {
        let identities = self.identities.load_full();
        let (Some(identities), Some(tls)) = (identities, &plan.tls) else { return };
        match certificates::named(tls) {
            Ok(named) => identities.set(named),
            Err(error) => tracing::error!(%error, "the certificates stay as they were"),
        }
    }
}

/// Logs those of `these` that are not among `those`.
fn tell(what: &str, these: &[Bound], those: &[Bound]) {
    let key = |bound: &Bound| (bound.tag, bound.transport, bound.address);
    for bound in these.iter().filter(|bound| !those.iter().any(|other| key(other) == key(bound))) {
        let service = marks::owner(bound.tag);
        tracing::info!("{service} {what} {} {}", bound.transport, bound.address);
    }
}
