//! The last item of a node, sent unasked: to a resource that comes and wants to hear of the node, to a new subscriber, to a
//! contact that may see the account from now on (XEP-0163 §4.3.4).

use super::config::SendLast;
use super::event;
use super::kept::{KeptItem, NodeLookUp};
use super::stored::Reading;
use crate::jid::Jid;
use crate::router::route::Class;
use crate::router::{Between, Router, Work};
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// A resource says what it wants to hear of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whose nodes.
    pub(crate) account: Address,
    /// The resource.
    pub(crate) who: Jid,
    /// The nodes.
    pub(crate) nodes: Arc<[Arc<str>]>,
}

/// Last items on their way to somebody.
#[derive(Debug)]
pub(crate) struct Lasts {
    to: Jid,
    /// Of which nodes.
    wanted: Vec<(i64, Arc<str>)>,
    /// Whether they are sent as the addressee is there now.
    presence: bool,
}

impl Router {
    /// How many octets of last items are read at once: all of an account's together would be too many.
    fn octets_at_once(&self) -> u64 {
        2 * self.limits.item as u64
    }

    /// What was asked for with [`Router::send_last`] goes to its addressee; what was too much for once is asked for next.
    pub(super) fn last_read(&mut self, account: &Address, lasts: &Lasts, found: Vec<(i64, KeptItem)>) {
        let octets = found.iter().map(|(_, item)| (item.payload.len() + item.id.len()) as u64).sum::<u64>();
        let place = |number: i64| lasts.wanted.iter().position(|(other, _)| *other == number);
        let last = found.last().and_then(|(number, _)| place(*number));
        for (number, item) in found {
            let Some((_, name)) = place(number).map(|place| &lasts.wanted[place]) else { continue };
            let Some(node) = self.nodes(account).get(name).cloned() else { continue };
            let stanza = event::last(account, name, &node.config, &item);
            self.send_event(account, &stanza, &lasts.to);
        }
        if let Some(last) = last.filter(|_| octets > self.octets_at_once()) {
            let rest: Vec<Arc<str>> = lasts.wanted[last + 1..].iter().map(|(_, name)| name.clone()).collect();
            self.send_last(account, &lasts.to, &rest, lasts.presence);
        }
    }

    /// Sends somebody the last items of these nodes, as far as there are any and they may be seen.
    pub(super) fn send_last(&mut self, account: &Address, to: &Jid, names: &[Arc<str>], presence: bool) {
        let roster = self.roster(account);
        let nodes = self.nodes(account);
        if nodes.len() == 0 || self.is_blocked(account, to) {
            return;
        }
        let wanted: Vec<(i64, Arc<str>)> = names
            .iter()
            .filter_map(|name| nodes.entry(name))
            .filter(|(_, node)| match node.config.send_last {
                SendLast::Never => false,
                SendLast::OnSubscription => !presence,
                SendLast::OnPresence => true,
            })
            .filter(|(_, node)| node.config.persist && node.config.deliver)
            .filter(|(_, node)| node.may_see(account, roster, to).is_ok())
            .map(|(name, node)| (node.number, Arc::clone(name)))
            .collect();
        if !wanted.is_empty() {
            let numbers = wanted.iter().map(|(number, _)| *number).collect();
            let look_up = NodeLookUp::Last { numbers, octets: self.octets_at_once() };
            let lasts = Lasts { to: to.clone(), wanted, presence };
            self.read_nodes(account, None, look_up, Reading::Last(lasts));
        }
    }

    /// A resource wants to hear of nodes of which it did not want to hear before: of its own account's, and of everybody's
    /// whom it may see.
    pub(super) fn wishes(&mut self, account: &Address, connection: ConnectionId, nodes: &Arc<[Arc<str>]>) {
        let Some(who) = self.sessions.get(&connection).map(|session| session.jid.clone()) else { return };
        self.send_last(account, &who, nodes, true);
        let watched: Vec<Jid> =
            self.roster(account).into_iter().flat_map(|r| r.watched().cloned()).map(Jid::from).collect();
        for contact in watched {
            self.send_wish(&who, &contact, nodes);
        }
    }

    /// The account may see a contact from now on: each of its resources says what it wants to hear.
    pub(crate) fn wish_of(&mut self, account: &Address, contact: &Jid) {
        let available = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let available = available.iter().filter_map(|seat| self.sessions.get(&seat.connection));
        let available = available.filter(|session| session.presence.is_some());
        let wishes: Vec<(Jid, Arc<[Arc<str>]>)> =
            available.filter_map(|session| Some((session.jid.clone(), session.interest.nodes()?))).collect();
        wishes.iter().for_each(|(who, nodes)| self.send_wish(who, contact, nodes));
    }

    fn send_wish(&mut self, who: &Jid, contact: &Jid, nodes: &Arc<[Arc<str>]>) {
        // Another server sees it in presence, and sends what it has by itself.
        let (Class::Account(home), Some(account)) = (self.class(contact), contact.address().cloned()) else {
            return;
        };
        let wish = Wish { account, who: who.clone(), nodes: Arc::clone(nodes) };
        if home == self.me {
            self.later(Work::Wished(wish));
        } else {
            self.tell(home, Between::Wish(wish));
        }
    }

    /// Somebody's resource wants to hear of the account's nodes.
    pub(crate) fn wished(&mut self, wish: &Wish) {
        self.send_last(&wish.account, &wish.who, &wish.nodes, true);
    }
}
