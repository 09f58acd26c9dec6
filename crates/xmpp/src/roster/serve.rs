//! What a client does with its roster, and what its other resources hear of it (RFC 6121 §2.1.6, §2.2-2.5).

use super::{Item, request, version};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::router::Router;
use crate::router::stored::{Asked, Effect};
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use request::Change;
use wire::{Address, ConnectionId};

impl Router {
    /// A client reads or changes its roster.
    pub(crate) fn sent_roster(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        query: &Element,
    ) {
        let Some(account) = stanza.from().and_then(Jid::address) else { return };
        let done = if get {
            self.get_roster(connection, account, stanza, query.get("ver"));
            Ok(())
        } else {
            self.set_roster(connection, account, stanza, query)
        };
        if let Err(condition) = done {
            self.answer_error(connection, stanza, condition);
        }
    }

    /// `known`: the version that the client has, or nothing where it has none yet (§2.6.2).
    fn get_roster(
        &mut self,
        connection: ConnectionId,
        account: &Address,
        stanza: &Stanza,
        known: Option<&str>,
    ) {
        let Some(roster) = self.roster(account) else { return };
        let version = self.version(account);
        let answer = match known {
            Some(known) if *known == version => stanza.result(None),
            Some(_) => stanza.result(Some(&request::whole(roster).attr("ver", version))),
            None => stanza.result(Some(&request::whole(roster))),
        };
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.interested = true;
            session.versions = known.is_some();
        }
        self.answer(connection, answer);
    }

    /// The version of a roster. While a change is not durable, what a client is told may not be what it hears next.
    fn version(&self, account: &Address) -> String {
        let entry = self.accounts.get(account).filter(|entry| entry.changing.is_empty());
        match entry.and_then(|_| self.roster(account)) {
            Some(roster) => roster.version(),
            None => version::UNSETTLED.to_owned(),
        }
    }

    fn set_roster(
        &mut self,
        connection: ConnectionId,
        account: &Address,
        stanza: &Stanza,
        query: &Element,
    ) -> Result<(), Condition> {
        let asked = Asked::Session(connection, stanza.clone());
        let answer = Effect::Answer(connection, stanza.result(None));
        match request::read(query, self.limits.groups, &self.directory)? {
            Change::Set { contact, name, groups } => {
                let old = self.roster(account).map(|roster| roster.item(&contact)).unwrap_or_default();
                let new = Item { name, groups, listed: true, ..old };
                self.has_room(account, &contact, &new)?;
                let push = Effect::Push(contact.clone(), Some(new.clone()));
                self.change(account, &contact, new, vec![push, answer], asked);
            }
            Change::Remove(contact) => {
                let old = self.roster(account).and_then(|roster| roster.get(&contact));
                let old = old.filter(|item| item.listed).ok_or(Condition::ItemNotFound)?.clone();
                let mut effects = vec![Effect::Push(contact.clone(), None), answer];
                effects.extend(self.farewell(account, &contact, &old));
                self.change(account, &contact, Item::default(), effects, asked);
            }
        }
        Ok(())
    }

    fn interested(&self, account: &Address) -> Vec<ConnectionId> {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let sessions = seats.iter().filter_map(|seat| self.sessions.get(&seat.connection));
        let interested = sessions.filter(|session| session.interested);
        interested.map(|session| session.connection).collect()
    }

    /// Tells the interested resources what is said of a contact now; `None`: it was taken out.
    pub(crate) fn push(&mut self, account: &Address, contact: &Bare, item: Option<&Item>) {
        let item = item.map_or_else(|| request::removed(contact), |item| request::item(contact, item));
        let query = Element::new("query", ns::ROSTER).child(item);
        let versioned = query.clone().attr("ver", self.version(account));
        for connection in self.interested(account) {
            let wants = self.sessions.get(&connection).is_some_and(|session| session.versions);
            self.push_to(connection, if wants { &versioned } else { &query });
        }
    }

    /// A change came to nothing: who was told of it before is told what is true.
    pub(crate) fn push_truth(&mut self, account: &Address, contact: &Bare) {
        let Some(roster) = self.roster(account) else { return };
        let item = roster.get(contact).filter(|item| item.listed).cloned();
        self.push(account, contact, item.as_ref());
    }

    /// Shows a stanza to the interested resources.
    pub(crate) fn show_interested(&mut self, account: &Address, stanza: &Stanza) {
        for connection in self.interested(account) {
            self.deliver(connection, stanza.clone());
        }
    }
}
