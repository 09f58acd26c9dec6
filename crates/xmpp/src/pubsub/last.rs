//! The last item of a node, sent unasked: to a resource that comes and wants to hear of the node, to a new subscriber, to a
//! contact that may see the account from now on (XEP-0163 §4.3.4).

use super::config::SendLast;
use super::kept::NodeLookUp;
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

impl Router {
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
            self.read_nodes(account, None, NodeLookUp::Last(numbers), Reading::Last(to.clone(), wanted));
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
