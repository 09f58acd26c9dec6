//! The accounts at home on this worker that have a session, pending work or a roster in the cache.

use super::Work;
use super::ask::Token;
use crate::jid::Bare;
use crate::offline::Delivery;
use crate::pubsub::node::Nodes;
use crate::roster::Roster;
use crate::settings::Settings;
use crate::xep::register::Renewing;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use wire::{Address, ConnectionId};

/// A connected resource in the eyes of whoever delivers.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) connection: ConnectionId,
    pub(crate) resource: Box<str>,
    /// Its priority, once it is available.
    pub(crate) priority: Option<i8>,
    /// Whether it wants copies of what the others say and hear (XEP-0280).
    pub(crate) carbons: bool,
    /// Whether it has read the list of whom the account blocks (XEP-0191), and hears of its changes.
    pub(crate) blocklist: bool,
    /// Whether its connection was lost and may come back.
    pub(crate) away: bool,
}

/// How far the roster is known.
#[derive(Debug, Default)]
pub(crate) enum Contacts {
    /// Nobody has needed it yet.
    #[default]
    Unread,
    /// The store was asked.
    Reading,
    /// All of it.
    Read(Roster),
}

/// One account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) contacts: Contacts,
    /// What it has told the server, once the roster is known; `None`: nothing.
    pub(crate) settings: Option<Box<Settings>>,
    /// What it publishes, once the roster is known; `None`: nothing.
    pub(crate) nodes: Option<Box<Nodes>>,
    /// Its connected resources.
    pub(crate) seats: Vec<Seat>,
    /// Changes of settings that wait for one that is not durable yet; `None`: there is none.
    pub(crate) setting: Option<VecDeque<Work>>,
    /// What waits for the roster, and whatever came behind it.
    pub(crate) waiting: VecDeque<Work>,
    /// Where the delivery of its kept messages stands.
    pub(crate) delivery: Delivery,
    /// Contacts whose item is being written, by the question of the last change.
    pub(crate) changing: BTreeMap<Bare, Token>,
    /// Another password that one of its sessions wants.
    pub(crate) renewing: Option<Renewing>,
    /// Questions about it that the store has not answered.
    pub(crate) asks: usize,
    /// Whether it stands in the list of idle accounts.
    listed: bool,
}

impl Account {
    /// The resource's seat.
    pub(crate) fn seat(&self, resource: &str) -> Option<&Seat> {
        self.seats.iter().find(|seat| &*seat.resource == resource)
    }

    /// The seat of a connection.
    pub(crate) fn seat_of(&mut self, connection: ConnectionId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.connection == connection)
    }

    /// The highest priority of an available resource, if one is not negative.
    pub(crate) fn best(&self) -> Option<i8> {
        self.seats.iter().filter_map(|seat| seat.priority).filter(|p| *p >= 0).max()
    }

    /// Whether one of its resources is available.
    pub(crate) fn is_available(&self) -> bool {
        self.seats.iter().any(|seat| seat.priority.is_some())
    }

    fn is_idle(&self) -> bool {
        self.seats.is_empty() && self.waiting.is_empty() && self.asks == 0 && self.delivery.is_idle()
    }
}

/// All that are in memory. Those with nothing to do are let go, the first first, when they are too many.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Hashed without a key: only an administrator makes accounts.
    map: FxHashMap<Address, Box<Account>>,
    idle: VecDeque<Address>,
}

impl Accounts {
    pub(crate) fn get(&self, address: &Address) -> Option<&Account> {
        self.map.get(address).map(|account| &**account)
    }

    pub(crate) fn get_mut(&mut self, address: &Address) -> Option<&mut Account> {
        self.map.get_mut(address).map(|account| &mut **account)
    }

    /// The account's entry, made if need be. Whoever makes one calls [`Accounts::rest`] in the end.
    pub(crate) fn entry(&mut self, address: &Address) -> &mut Account {
        self.map.entry(address.clone()).or_default()
    }

    /// Lets an account go that has nothing to do; its roster may stay for a while, among `most`.
    pub(crate) fn rest(&mut self, address: &Address, most: usize) {
        let Some(account) = self.map.get_mut(address).filter(|account| account.is_idle()) else { return };
        if !matches!(account.contacts, Contacts::Read(_)) {
            // Where it stands in the list, the name alone stays there until its turn.
            self.map.remove(address);
        } else if !std::mem::replace(&mut account.listed, true) {
            self.idle.push_back(address.clone());
        }
        while self.idle.len() > most {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some(address) = self.idle.pop_front() else { return };
        let Some(account) = self.map.get_mut(&address) else { return };
        account.listed = false;
        if account.is_idle() {
            self.map.remove(&address);
        }
    }

    /// Forgets an account that was removed. What it had under way comes to nothing.
    pub(crate) fn remove(&mut self, address: &Address) -> Option<Account> {
        self.map.remove(address).map(|account| *account)
    }

    /// The accounts in memory.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.map.keys()
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Account> {
        self.map.values().map(|account| &**account)
    }

    /// How many are in memory.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> Address {
        format!("u{n}@falcot.com").parse().unwrap()
    }

    #[test]
    fn the_cache_lets_the_oldest_idle_account_go() {
        let mut accounts = Accounts::default();
        for n in 0..10 {
            accounts.entry(&address(n)).contacts = Contacts::Read(Roster::default());
        }
        accounts.entry(&address(1)).asks = 1;
        for n in 0..10 {
            accounts.rest(&address(n), 3);
        }
        let mut left: Vec<String> = accounts.addresses().map(|a| a.user().to_owned()).collect();
        left.sort();
        assert_eq!(left, ["u1", "u7", "u8", "u9"]);
        accounts.rest(&address(9), 3);
        assert_eq!(accounts.len(), 4);
    }

    #[test]
    fn what_was_never_read_is_not_cached() {
        let mut accounts = Accounts::default();
        accounts.entry(&address(1));
        accounts.rest(&address(1), 3);
        assert_eq!(accounts.len(), 0);
    }

    #[test]
    fn an_account_that_woke_up_is_not_let_go() {
        let mut accounts = Accounts::default();
        for n in 0..3 {
            accounts.entry(&address(n)).contacts = Contacts::Read(Roster::default());
            accounts.rest(&address(n), 3);
        }
        accounts.entry(&address(0)).asks = 1;
        accounts.entry(&address(3)).contacts = Contacts::Read(Roster::default());
        accounts.rest(&address(3), 3);
        assert_eq!(accounts.len(), 4);
        accounts.entry(&address(0)).asks = 0;
        accounts.rest(&address(0), 3);
        assert_eq!(accounts.len(), 3);
    }
}
