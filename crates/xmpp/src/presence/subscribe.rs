//! Subscriptions from stanza to roster and back (RFC 6121 §3): the states are in `subscription`.

use super::subscription::{Kind, Side, State, Step};
use crate::jid::{Bare, Jid};
use crate::roster::Item;
use crate::router::route::Class;
use crate::router::stored::{Asked, Effect};
use crate::router::{Parcel, Router};
use crate::stanza::{Condition, Draft, Stanza};
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// A subscription stanza from account to account.
fn stanza(kind: Kind, from: &Jid, to: &Jid) -> Stanza {
    Draft::new(crate::Kind::Presence).from(Some(from)).to(Some(to)).type_(kind.name()).build()
}

/// The contact's item after a step of the user's own.
fn after_outbound(item: &Item, step: Step) -> Item {
    let State { to, from, approved } = step.state;
    let listed = item.listed || to != Side::No || from == Side::Yes || approved;
    let request = item.request.clone().filter(|_| step.state.from == Side::Pending);
    Item { state: step.state, listed, request, ..item.clone() }
}

/// The contact's item after a step of the contact's.
fn after_inbound(item: &Item, step: Step, request: Arc<str>) -> Item {
    let request = match (step.state.from, item.state.from) {
        (Side::Pending, Side::Pending) => item.request.clone(),
        (Side::Pending, _) => Some(request),
        _ => None,
    };
    Item { state: step.state, request, ..item.clone() }
}

/// How long a request may be that is kept: strangers write it.
const MAX_REQUEST: usize = 4096;

/// A request as it is kept: with all that came with it, if that is not too much.
fn short(request: &Stanza) -> Arc<str> {
    match (request.from(), request.to()) {
        (Some(from), Some(to)) if request.as_str().len() > MAX_REQUEST => {
            stanza(Kind::Subscribe, from, to).as_str().into()
        }
        _ => request.as_str().into(),
    }
}

impl Router {
    /// The user wants to see a contact, or lets the contact see, or neither any more (§3.1.2, §3.1.5, §3.2, §3.3).
    pub(crate) fn sent_subscription(&mut self, connection: ConnectionId, kind: Kind, stanza: &Stanza) {
        let (Some(from), Some(to)) = (stanza.from(), stanza.to()) else { return };
        let (from, to) = (from.to_bare(), to.to_bare());
        let Some(account) = from.address() else { return };
        let item = self.item(account, to.bare());
        let step = item.state.outbound(kind);
        let new = after_outbound(&item, step);
        if let Err(condition) = self.may_subscribe(account, kind, &to, &new) {
            return self.answer_error(connection, stanza, condition);
        }
        let mut effects = Vec::new();
        if new != item && new.listed {
            effects.push(Effect::Push(to.bare().clone(), Some(new.clone())));
        }
        if step.pass {
            let stanza = stanza.readdressed(Some(from.clone()), Some(to.clone()));
            effects.push(Effect::Route(Parcel::of(stanza, connection)));
        }
        match (kind, item.state.from, step.state.from) {
            (_, old, Side::Yes) if old != Side::Yes => effects.push(Effect::Announce(to.clone())),
            (_, Side::Yes, new) if new != Side::Yes => effects.push(Effect::Withdraw(to.clone())),
            _ => {}
        }
        let asked = Asked::Session(connection, stanza.clone());
        self.change_or_do(account, to.bare(), &item, new, effects, asked);
    }

    fn item(&self, account: &Address, contact: &Bare) -> Item {
        self.roster(account).map(|roster| roster.item(contact)).unwrap_or_default()
    }

    /// Nobody asks to see himself or lets himself see, a server that cannot be reached, or more contacts than a roster may hold.
    fn may_subscribe(&self, account: &Address, kind: Kind, to: &Jid, item: &Item) -> Result<(), Condition> {
        if to.is_account(account) {
            return Err(Condition::NotAllowed);
        }
        match self.class(to) {
            Class::Elsewhere if kind == Kind::Subscribe => Err(Condition::RemoteServerNotFound),
            Class::Rooms(_) | Class::Server if kind == Kind::Subscribe => Err(Condition::ServiceUnavailable),
            _ => self.has_room(account, to.bare(), item),
        }
    }

    /// Whether the account's roster has room for what is to be said of a contact.
    pub(crate) fn has_room(&self, account: &Address, contact: &Bare, item: &Item) -> Result<(), Condition> {
        let Some(roster) = self.roster(account) else { return Ok(()) };
        let more = roster.get(contact).is_none() && roster.len() >= self.limits.roster;
        let longer = item.weight() > roster.get(contact).map_or(0, Item::weight);
        let long = longer && roster.octets_with(contact, item) > self.limits.roster_octets;
        if (more || long) && !item.is_empty() { Err(Condition::ResourceConstraint) } else { Ok(()) }
    }

    /// What changes is kept first; what changes nothing is done at once, but behind what changes.
    fn change_or_do(
        &mut self,
        account: &Address,
        contact: &Bare,
        old: &Item,
        new: Item,
        effects: Vec<Effect>,
        asked: Asked,
    ) {
        if *old == new {
            let now = self.behind_change(account, contact, effects);
            now.into_iter().for_each(|effect| self.effect(account, effect));
        } else {
            self.change(account, contact, new, effects, asked);
        }
    }

    /// A contact wants to see the user, or lets the user see, or neither any more (§3.1.3, §3.1.6, §3.2.3, §3.3.3).
    pub(crate) fn arrived_subscription(&mut self, account: &Address, kind: Kind, parcel: Parcel) {
        let (from, to) = (parcel.from().to_bare(), parcel.to().to_bare());
        if from.is_account(account) {
            return;
        }
        let item = self.item(account, from.bare());
        let step = item.state.inbound(kind);
        let new = after_inbound(&item, step, short(&parcel.stanza));
        if let Err(condition) = self.has_room(account, from.bare(), &new) {
            return self.bounce(parcel, condition);
        }
        let mut effects = Vec::new();
        if step.approve {
            effects.push(Effect::Route(Parcel::own(self::stanza(Kind::Subscribed, &to, &from))));
            effects.push(Effect::Announce(from.clone()));
        }
        if step.pass && kind == Kind::Subscribe {
            effects.push(Effect::ShowAvailable(parcel.stanza.clone()));
        } else if step.pass {
            effects.push(Effect::ShowInterested(parcel.stanza.clone()));
        }
        let seen = |state: State| (state.name(), state.to, state.approved);
        if item.listed && seen(item.state) != seen(new.state) {
            effects.push(Effect::Push(from.bare().clone(), Some(new.clone())));
        }
        if item.state.from == Side::Yes && new.state.from != Side::Yes {
            effects.push(Effect::Withdraw(from.clone()));
        }
        if item.state.to != Side::Yes && new.state.to == Side::Yes {
            effects.push(Effect::Wish(from.clone()));
        }
        self.change_or_do(account, from.bare(), &item, new, effects, Asked::Contact(parcel));
    }

    /// What the contact must hear when the user takes it out of the roster (§2.5.2), in order.
    pub(crate) fn farewell(&self, account: &Address, contact: &Bare, item: &Item) -> Vec<Effect> {
        let (from, to) = (Jid::from(account.clone()), Jid::from(contact.clone()));
        let route = |kind| Effect::Route(Parcel::own(stanza(kind, &from, &to)));
        let mut effects = Vec::new();
        if item.state.to != Side::No {
            effects.push(route(Kind::Unsubscribe));
        }
        if item.state.from != Side::No {
            effects.push(route(Kind::Unsubscribed));
        }
        // Who is blocked saw the user go already, and shall not learn who is there.
        if item.state.from == Side::Yes && !self.is_blocked(account, &to) {
            effects.push(Effect::Withdraw(to.clone()));
        }
        effects
    }
}
