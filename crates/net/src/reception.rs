//! Listeners of running workers, changed without touching what goes on.

use crate::core::{Offer, Shared};
use crate::dtls;
use crate::listen::Registry;
use crate::running::Order;
use crate::tls::{Identities, ServerSide};
use crate::{Bound, ListenError, Spec};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

/// How often, and how many times, an address is tried that a former listener is just leaving.
const AGAIN: (Duration, u32) = (Duration::from_millis(100), 30);

/// The listeners cannot be changed; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// One of them cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS cannot be set up.
    #[error("no TLS: {0}")]
    Tls(io::Error),
}

/// What is needed to accept TLS and DTLS.
pub(crate) struct Sides {
    identities: Arc<Identities>,
    tls: ServerSide,
}

impl Sides {
    pub(crate) fn new(identities: Arc<Identities>) -> io::Result<Self> {
        Ok(Self { tls: ServerSide::new(Arc::clone(&identities))?, identities })
    }

    /// What every listener in force offers, by its number. Those of `before` are kept, as connections may come to need
    /// them whose listener is gone.
    pub(crate) fn offers(
        sides: Option<&Self>,
        registry: &Registry,
        before: &[Arc<Offer>],
    ) -> Vec<Arc<Offer>> {
        let mut offers = before.to_vec();
        for (number, spec) in registry.specs() {
            let index = usize::from(number);
            if index >= offers.len() {
                offers.resize_with(index + 1, Arc::default);
                offers[index] = Arc::new(Self::offer(sides, spec));
            }
        }
        offers
    }

    fn offer(sides: Option<&Self>, spec: &Spec) -> Offer {
        let alpn = spec.kind.alpn();
        let (choices, proxies) = (spec.choices.clone(), spec.proxies.clone());
        let Some(sides) = sides else { return Offer { choices, proxies, ..Offer::default() } };
        let dtls = dtls::Side::new(Arc::clone(&sides.identities), alpn, spec.usual.as_deref());
        Offer {
            tls: Some(sides.tls.offering(alpn, spec.asks, spec.usual.as_deref())),
            dtls: Some(Arc::new(dtls)),
            choices,
            proxies,
        }
    }
}

/// Changes the listeners of running workers.
pub struct Reception {
    registry: Registry,
    orders: Vec<UnboundedSender<Order>>,
    shared: Arc<Shared>,
    sides: Option<Sides>,
}

impl std::fmt::Debug for Reception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reception").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Reception {
    pub(crate) fn new(
        registry: Registry,
        orders: Vec<UnboundedSender<Order>>,
        shared: Arc<Shared>,
        sides: Option<Sides>,
    ) -> Self {
        Self { registry, orders, shared, sides }
    }

    /// What is bound where.
    pub fn bound(&self) -> Vec<Bound> {
        self.registry.bound()
    }

    /// How many handshakes each source may begin in a second from now on; see [`Limits`](crate::Limits).
    pub fn set_handshakes_per_source(&self, per_second: u32) {
        self.shared.pace.set(per_second);
    }

    /// Puts exactly these listeners in force. Those that are already are not touched. New ones are bound for all workers
    /// first, all or none. Those that are not named accept nothing more: connections go on; a datagram socket goes on for
    /// the clients that [`Handler::holds`](crate::Handler::holds) speaks of, and for its DTLS sessions, and is closed when
    /// all of them are gone. Returns when every worker has done it.
    ///
    /// # Errors
    /// Names the listener that cannot be bound; nothing has changed then.
    pub async fn change(
        &mut self,
        specs: &[Spec],
        identities: Option<&Arc<Identities>>,
    ) -> Result<(), ChangeError> {
        let mut before = self.shared.offers.load_full();
        if let (None, Some(identities)) = (&self.sides, identities) {
            self.sides = Some(Sides::new(Arc::clone(identities)).map_err(ChangeError::Tls)?);
            // Nobody could have made use of what there was to offer without a certificate.
            before = Arc::default();
        }
        let (registry, changes) = self.prepare(specs).await?;
        self.shared.offers.store(Arc::new(Sides::offers(self.sides.as_ref(), &registry, &before)));
        self.registry = registry;
        let mut done = Vec::new();
        for (orders, change) in self.orders.iter().zip(changes) {
            let (tell, told) = oneshot::channel();
            // A worker that has ended listens to nothing anyway.
            let _ = orders.send(Order::Listen(Box::new(change), tell));
            done.push(told);
        }
        for told in done {
            let _ = told.await;
        }
        Ok(())
    }

    async fn prepare(&self, specs: &[Spec]) -> Result<(Registry, Vec<crate::listen::Change>), ListenError> {
        let workers = self.orders.len() as u16;
        let mut tries = AGAIN.1;
        loop {
            match self.registry.change(specs, workers, &self.shared.limits) {
                Err(error)
                    if error.source.kind() == io::ErrorKind::AddrInUse
                        && tries > 0
                        && self.registry.is_leaving(&specs[error.spec]) => {}
                result => return result,
            }
            tries -= 1;
            tokio::time::sleep(AGAIN.0).await;
        }
    }
}
