//! Sessions come and go (RFC 6120 §7), and who is connected.

use super::account::{Account, Seat};
use super::session::Session;
use super::{Eviction, Output, Router, Work};
use crate::jid::Jid;
use crate::stanza::Condition;
use std::sync::Arc;
use std::time::Instant;
use wire::{Address, ConnectionId, Directory, Machine};

/// A session as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its connection.
    pub connection: ConnectionId,
    /// Its full JID.
    pub jid: Jid,
    /// Its priority, once it is available.
    pub priority: Option<i8>,
    /// Whether its connection was lost and may come back.
    pub away: bool,
    /// When it began.
    pub since: Instant,
}

/// How much a router has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Sessions.
    pub sessions: usize,
    /// Accounts with a session, work under way or a roster in the cache.
    pub accounts: usize,
    /// Questions that the store has not answered.
    pub questions: usize,
    /// What sessions have caused that is not done yet.
    pub debts: usize,
    /// Answers, and words of who is gone, that found no room in a queue to another worker, since the beginning.
    pub lost: u64,
}

impl Router {
    /// How much it has in memory: each is bounded by [`super::Limits`].
    pub fn load(&self) -> Load {
        Load {
            sessions: self.sessions.len(),
            accounts: self.accounts.len(),
            questions: self.asks.len(),
            debts: self.ledger.len(),
            lost: self.links.lost(),
        }
    }

    /// Every session of an account here, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionInfo> {
        self.sessions
            .values()
            .filter(|session| session.jid.address().is_some())
            .map(|session| self.info(session))
    }

    /// The sessions of an account at home here.
    pub fn sessions_at(&self, account: &Address) -> impl Iterator<Item = SessionInfo> {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        seats.iter().filter_map(|seat| self.sessions.get(&seat.connection)).map(|session| self.info(session))
    }

    fn info(&self, session: &Session) -> SessionInfo {
        let account = session.jid.address().and_then(|address| self.accounts.get(address));
        let seats = account.map(|account| &account.seats[..]).unwrap_or_default();
        let seat = seats.iter().find(|seat| seat.connection == session.connection);
        SessionInfo {
            connection: session.connection,
            jid: session.jid.clone(),
            priority: seat.and_then(|seat| seat.priority),
            away: seat.is_some_and(|seat| seat.away),
            since: session.since,
        }
    }

    /// How many sessions an account at home here has.
    pub fn sessions_of(&self, account: &Address) -> usize {
        self.accounts.get(account).map_or(0, |account| account.seats.len())
    }

    /// Whether nothing is under way: no question to the store is open, nothing waits for another worker.
    pub fn is_idle(&self) -> bool {
        self.asks.is_empty() && self.deadline().is_none()
    }

    pub(super) fn open(&mut self, connection: ConnectionId, account: &Address, resource: Option<&str>) {
        let outcome = self.seat(connection, account, resource);
        self.output(Output::Opened { connection, outcome });
    }

    /// RFC 6120 §7.6, §7.7. A resource that is in use goes to the newcomer (§7.7.2.2, third way): who asks for
    /// it by name is most often the same client on a new connection.
    fn seat(
        &mut self,
        connection: ConnectionId,
        account: &Address,
        wish: Option<&str>,
    ) -> Result<Jid, Condition> {
        if self.directory.get(account).is_none() {
            return Err(Condition::NotAllowed);
        }
        let bare = Jid::from(account.clone());
        let jid = match wish {
            Some(wish) => bare.with_resource(wish).map_err(|_| Condition::BadRequest)?,
            None => {
                bare.with_resource(&self.entropy.token(12)).map_err(|_| Condition::InternalServerError)?
            }
        };
        let resource = jid.resource().unwrap_or_default();
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let old = seats.iter().find(|seat| &*seat.resource == resource).map(|seat| seat.connection);
        let full = old.is_none() && seats.len() >= self.limits.sessions;
        // One that may never come back gives way to one that is there.
        let away = seats.iter().find(|seat| full && seat.away).map(|seat| seat.connection);
        if full && away.is_none() {
            return Err(Condition::ResourceConstraint);
        }
        if let Some(old) = old.or(away) {
            self.evict(old, Eviction::Replaced);
        }
        let seat = Seat {
            connection,
            resource: resource.into(),
            priority: None,
            carbons: false,
            blocklist: false,
            away: false,
        };
        self.accounts.entry(account).seats.push(seat);
        self.sessions.insert(connection, Box::new(Session::new(connection, jid.clone(), self.now)));
        Ok(jid)
    }

    /// A session waits for another connection, or has it.
    pub(super) fn away(&mut self, connection: ConnectionId, away: bool) {
        let address = self.sessions.get(&connection).and_then(|session| session.jid.address().cloned());
        let account = address.and_then(|address| self.accounts.get_mut(&address));
        if let Some(seat) = account.and_then(|account| account.seat_of(connection)) {
            seat.away = away;
        }
        if !away {
            self.know_caps(connection);
        }
    }

    pub(crate) fn evict(&mut self, connection: ConnectionId, why: Eviction) {
        self.output(Output::Close { connection, why });
        self.closed(connection);
    }

    /// A session is gone: its seat at once, its presence once the roster is at hand.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        let Some(mut session) = self.sessions.remove(&connection) else { return };
        // Nobody else tells it: a stream that reads no more does not end either.
        if session.slow > 0 {
            self.output(Output::Resume(connection));
        }
        let Some(address) = session.jid.address().cloned() else {
            return self.component_closed(&mut session);
        };
        if let Some(account) = self.accounts.get_mut(&address) {
            account.seats.retain(|seat| seat.connection != connection);
        }
        for held in session.held.drain(..) {
            self.ledger.close(held.debt);
        }
        self.delivery_lost(&address, connection);
        if session.presence.is_some() || !session.directed.is_empty() {
            self.later(Work::Gone(session));
        } else {
            self.accounts.rest(&address, self.limits.cached);
        }
    }

    pub(super) fn kick(&mut self, account: &Address, resource: Option<&str>) {
        self.evict_all(account, resource, Eviction::Kicked);
    }

    fn evict_all(&mut self, account: &Address, resource: Option<&str>, why: Eviction) {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let named = seats.iter().filter(|seat| resource.is_none_or(|resource| resource == &*seat.resource));
        let connections: Vec<ConnectionId> = named.map(|seat| seat.connection).collect();
        connections.into_iter().for_each(|connection| self.evict(connection, why));
    }

    /// Accounts that are gone lose their sessions and whatever they had under way; those that have another
    /// password lose their sessions, which sign in again: but not the one that has just changed it.
    pub(super) fn directory_changed(&mut self, directory: Arc<Directory>) {
        let mut gone = Vec::new();
        let mut renewed = Vec::new();
        for address in self.accounts.addresses() {
            match (self.directory.get(address), directory.get(address)) {
                (_, None) => gone.push(address.clone()),
                (Some(old), Some(new)) if !Arc::ptr_eq(old, new) && old.keys != new.keys => {
                    renewed.push(address.clone());
                }
                _ => {}
            }
        }
        renewed.iter().for_each(|address| self.password_changed(address));
        gone.iter().for_each(|address| self.evict_all(address, None, Eviction::AccountRemoved));
        // Their contacts are told before the accounts are forgotten.
        self.run();
        self.directory = directory;
        for address in gone {
            if let Some(account) = self.accounts.remove(&address) {
                self.abandon(account);
            }
        }
    }

    fn password_changed(&mut self, address: &Address) {
        let Some(account) = self.accounts.get_mut(address) else { return };
        let spared = account.renewing.as_mut().map(|renewing| {
            renewing.renewed = true;
            renewing.connection
        });
        let connections = account.seats.iter().map(|seat| seat.connection);
        let others: Vec<ConnectionId> = connections.filter(|other| Some(*other) != spared).collect();
        others.into_iter().for_each(|other| self.evict(other, Eviction::PasswordChanged));
    }

    fn abandon(&mut self, mut account: Account) {
        for work in account.waiting.drain(..) {
            self.refuse(work, Condition::ServiceUnavailable);
        }
        for work in account.setting.take().unwrap_or_default() {
            self.refuse(work, Condition::ServiceUnavailable);
        }
    }
}
