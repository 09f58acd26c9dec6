//! What a service may use while it is called: the worker's hands, the shared snapshots, the switchboard.

use crate::accounts::wishes::Wishes;
use crate::challenges::Challenges;
use crate::config::Plan;
use crate::doorman::Doorman;
use crate::mail::Mail;
use crate::resolver::Resolver;
use crate::services::media::book::Book as Calls;
use crate::services::sip::strangers::Book as Strangers;
use crate::services::turn::FastPath;
use crate::services::turn::ledger::Book;
use crate::switchboard::Switchboard;
use crate::trust::Trust;
use crate::vitals::Vitals;
use net::{Bound, Net, Postbox};
use std::sync::Arc;
use store::StoreHandle;
use wire::{ConnectionId, Directory, Secret, WorkerId};

/// What stays the same over many callbacks. Each worker has its own; nothing in it is locked.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What the configuration means.
    pub plan: Arc<Plan>,
    /// The domains and accounts.
    pub directory: Arc<Directory>,
    /// What survives a restart.
    pub store: StoreHandle,
    /// The way back into a worker, for closures that the store calls.
    pub postbox: Postbox<Mail>,
    /// This worker.
    pub me: WorkerId,
    /// How many workers there are.
    pub workers: u16,
    /// Every listener, with its real port.
    pub bound: Arc<[Bound]>,
    /// What relays in the kernel, where the plan says so.
    pub fast_path: Option<Arc<FastPath>>,
    /// How many relays accounts have, over all workers.
    pub relays: Arc<Book>,
    /// How many requests strangers have sent, to all workers.
    pub strangers: Arc<Strangers>,
    /// Whose certificates are believed.
    pub trust: Arc<Trust>,
    /// How many calls of accounts are relayed, over all workers.
    pub calls: Arc<Calls>,
    /// What certificate authorities ask us for.
    pub challenges: Arc<Challenges>,
    /// How the server finds itself.
    pub vitals: Arc<Vitals>,
    /// Takes other passwords of accounts.
    pub wishes: Wishes,
    /// The server's own secret; see [`Self::key`].
    pub secret: Arc<Secret>,
}

impl Shared {
    /// A key for one purpose (`"turn nonce"`), the same on every worker and after a restart.
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        crate::secret::key(&self.secret, purpose)
    }
}

/// Lent to a service for one callback.
#[derive(Debug)]
pub struct Desk<'a, 'n> {
    /// The worker's hands: sockets, connections, mail.
    pub net: &'a mut Net<'n, Mail>,
    /// Plan, accounts, store.
    pub shared: &'a Shared,
    /// Where addresses are.
    pub switchboard: &'a mut Switchboard,
    /// What is known of names.
    pub resolver: &'a mut Resolver,
    /// Who is shut out.
    pub doorman: &'a mut Doorman,
}

impl Desk<'_, '_> {
    /// Whether nothing is to be taken from the peer of a connection any more; what has come is counted then.
    pub fn drops(&mut self, conn: ConnectionId) -> bool {
        if !self.doorman.bans_anybody() {
            return false;
        }
        let peer = self.net.info(conn).map(|info| info.peer.ip());
        peer.is_some_and(|peer| self.doorman.drops(self.net.now(), peer))
    }
}
