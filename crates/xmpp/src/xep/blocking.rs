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
            ("block", false) => self.change_blocked(account, connection, stanza, payload, true),
            ("unblock", false) => self.change_blocked(account, connection, stanza, payload, false),
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

    /// §3.3, and §3.4, where nobody may be named: everybody (§3.5). Contacts who are blocked see the account's resources
    /// go; others see them come.
    fn change_blocked(
        &mut self,
        account: &Address,
        connection: ConnectionId,
        stanza: &Stanza,
        payload: &Element,
        block: bool,
    ) -> Result<(), Condition> {
        let named = named(payload)?;
        let old = self.settings(account).cloned().unwrap_or_default();
        let blocked: BTreeSet<Jid> = match (block, named.is_empty()) {
            (true, true) => return Err(Condition::BadRequest),
            (true, false) => old.blocked.union(&named).cloned().collect(),
            (false, true) => BTreeSet::new(),
            (false, false) => old.blocked.difference(&named).cloned().collect(),
        };
        if block && blocked.len() > self.limits.blocked {
            return Err(Condition::ResourceConstraint);
        }
        let new = Settings { blocked, ..old.clone() };
        let lost = self.watchers(account, |watcher| new.blocks(watcher) && !old.blocks(watcher));
        let back = self.watchers(account, |watcher| old.blocks(watcher) && !new.blocks(watcher));
        let mut effects: Vec<Effect> = lost.into_iter().map(Effect::Withdraw).collect();
        effects.extend(back.into_iter().map(Effect::Announce));
        effects.push(Effect::HideDirected);
        effects.push(Effect::PushBlocking(element(if block { "block" } else { "unblock" }, &named)));
        effects.push(Effect::Answer(connection, stanza.result(None)));
        self.set_settings(account, new, connection, stanza, effects);
        Ok(())
    }

    /// A change of settings came to nothing: who was hidden from meanwhile may have missed something.
    pub(crate) fn unhide(&mut self, account: &Address, wanted: Option<&Settings>) {
        let now = self.settings(account);
        let blocks = |settings: Option<&Settings>, who: &Jid| settings.is_some_and(|s| s.blocks(who));
        let missed = self.watchers(account, |watcher| blocks(wanted, watcher) && !blocks(now, watcher));
        missed.into_iter().for_each(|watcher| self.announce(account, &watcher));
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
