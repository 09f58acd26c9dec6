//! Blocking (XEP-0191): a list of addresses of which the account hears nothing, and that hear nothing of it.
//!
//! Who is blocked sees the account go, and cannot tell it from one that is away.

use crate::jid::{Bare, Jid};
use crate::ns;
use crate::router::Router;
use crate::router::stored::Effect;
use crate::settings::Settings;
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use std::collections::BTreeSet;
use wire::{Address, ConnectionId};

/// The addresses that a request names.
fn named(payload: &Element) -> Result<BTreeSet<Jid>, Condition> {
    let jid = |item: &Element| match item.get("jid") {
        Some(jid) if item.is("item", ns::BLOCKING) => jid.parse::<Jid>().map_err(|_| Condition::JidMalformed),
        _ => Err(Condition::BadRequest),
    };
    payload.children().map(jid).collect()
}

fn element<'a>(name: &'static str, jids: impl IntoIterator<Item = &'a Jid>) -> Element {
    let item = |jid: &Jid| Element::new("item", ns::BLOCKING).attr("jid", jid.to_string());
    Element::new(name, ns::BLOCKING).children_from(jids.into_iter().map(item))
}

impl Router {
    /// A session reads or changes the account's list.
    pub(super) fn blocking(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        payload: &Element,
    ) {
        let Some(account) = stanza.from().and_then(Jid::address) else { return };
        let done = match (payload.name(), get) {
            ("blocklist", true) => {
                self.tell_blocked(account, connection, stanza);
                Ok(())
            }
            ("block", false) => self.block(account, connection, stanza, payload),
            ("unblock", false) => self.unblock(account, connection, stanza, payload),
            _ => Err(Condition::BadRequest),
        };
        if let Err(condition) = done {
            self.answer_error(connection, stanza, condition);
        }
    }

    /// §3.2. Whoever has the list hears of its changes.
    fn tell_blocked(&mut self, account: &Address, connection: ConnectionId, stanza: &Stanza) {
        let blocked = self.settings(account).map(|settings| &settings.blocked);
        let list = element("blocklist", blocked.into_iter().flatten());
        if let Some(seat) = self.accounts.get_mut(account).and_then(|entry| entry.seat_of(connection)) {
            seat.blocklist = true;
        }
        self.answer(connection, stanza.result(Some(&list)));
    }

    /// §3.3. Contacts who are blocked see the account's resources go.
    fn block(
        &mut self,
        account: &Address,
        connection: ConnectionId,
        stanza: &Stanza,
        payload: &Element,
    ) -> Result<(), Condition> {
        let named = named(payload)?;
        if named.is_empty() {
            return Err(Condition::BadRequest);
        }
        let old = self.settings(account).cloned().unwrap_or_default();
        let mut new = old.clone();
        new.blocked.extend(named.iter().cloned());
        if new.blocked.len() > self.limits.blocked {
            return Err(Condition::ResourceConstraint);
        }
        let lost = self.watchers(account, |watcher| new.blocks(watcher) && !old.blocks(watcher));
        let mut effects: Vec<Effect> = lost.into_iter().map(Effect::Withdraw).collect();
        effects.push(Effect::HideDirected);
        effects.push(Effect::PushBlocking(element("block", &named)));
        effects.push(Effect::Answer(connection, stanza.result(None)));
        self.set_settings(account, new, connection, stanza, effects);
        Ok(())
    }

    /// §3.4, and §3.5 where nobody is named: everybody.
    fn unblock(
        &mut self,
        account: &Address,
        connection: ConnectionId,
        stanza: &Stanza,
        payload: &Element,
    ) -> Result<(), Condition> {
        let named = named(payload)?;
        let old = self.settings(account).cloned().unwrap_or_default();
        let blocked = if named.is_empty() {
            BTreeSet::new()
        } else {
            old.blocked.difference(&named).cloned().collect()
        };
        let new = Settings { blocked, ..old.clone() };
        let back = self.watchers(account, |watcher| old.blocks(watcher) && !new.blocks(watcher));
        let mut effects: Vec<Effect> = back.into_iter().map(Effect::Announce).collect();
        effects.push(Effect::PushBlocking(element("unblock", &named)));
        effects.push(Effect::Answer(connection, stanza.result(None)));
        self.set_settings(account, new, connection, stanza, effects);
        Ok(())
    }

    fn watchers(&self, account: &Address, which: impl Fn(&Jid) -> bool) -> Vec<Jid> {
        let watchers = self.roster(account).into_iter().flat_map(|roster| roster.watchers());
        watchers.cloned().map(|watcher: Bare| Jid::from(watcher)).filter(which).collect()
    }

    /// Tells the resources that have the list what has changed in it.
    pub(crate) fn push_blocking(&mut self, account: &Address, change: &Element) {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let told: Vec<ConnectionId> =
            seats.iter().filter(|seat| seat.blocklist).map(|seat| seat.connection).collect();
        for connection in told {
            self.push_to(connection, change);
        }
    }
}
