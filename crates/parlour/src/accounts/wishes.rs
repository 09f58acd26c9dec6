//! Other passwords, as clients want them for their own accounts (XEP-0077 §3.3): the workers wish, the back office carries it out.

use super::{Accounts, derive};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use wire::{Account, Address, Keys, Secret};

/// How many may wait.
const MOST: usize = 64;

/// Another password for an account.
#[derive(Debug)]
struct Wish {
    /// Whose, as it was when that was wished.
    known: Arc<Account>,
    password: Secret,
    done: oneshot::Sender<bool>,
}

/// The way to the back office.
#[derive(Clone, Debug)]
pub struct Wishes(mpsc::Sender<Wish>);

/// The wishes of all workers, one after the other.
#[derive(Debug)]
pub struct Wished(mpsc::Receiver<Wish>);

/// Both ends.
pub fn open() -> (Wishes, Wished) {
    let (sender, receiver) = mpsc::channel(MOST);
    (Wishes(sender), Wished(receiver))
}

impl Wishes {
    /// Sets the password of an account that still has the keys it is known by. Whether it is durable, and every worker knows; not
    /// where too many wait.
    pub async fn set(self, known: Arc<Account>, password: Secret) -> bool {
        let (done, answer) = oneshot::channel();
        self.0.try_send(Wish { known, password, done }).is_ok() && answer.await.unwrap_or(false)
    }
}

impl Wished {
    /// Works on the accounts that `office` has, until nobody is left who could wish for anything.
    pub async fn run(mut self, office: Arc<impl AsRef<Accounts>>) {
        while let Some(Wish { known, password, done }) = self.0.recv().await {
            // Who wished it may be gone by now; it counts all the same.
            let _ = done.send(set((*office).as_ref(), &known, password).await);
        }
    }
}

async fn set(accounts: &Accounts, known: &Account, password: Secret) -> bool {
    let address: Address = known.address.clone();
    let derived = tokio::task::spawn_blocking(move || -> (Address, Keys) {
        let keys = derive::keys(&address, &password);
        (address, keys)
    });
    let Ok((address, keys)) = derived.await else { return false };
    match accounts.change(Account { address, keys }, &known.keys).await {
        Ok(changed) => changed,
        Err(fault) => {
            tracing::warn!(%fault, "a client's new password is not kept");
            false
        }
    }
}
