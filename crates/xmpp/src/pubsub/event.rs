//! Who is told of what was published, and how (XEP-0060 §7.1.2, XEP-0163 §4).
//!
//! The account's own resources and those of contacts that may see the node are told where their capabilities say so
//! (`node+notify`): that is known where they live, so that their home is handed one message with a [`Heading`]. Whoever has
//! subscribed is told in any case.

use super::config::Config;
use super::kept::KeptItem;
use super::node::{Node, Subscription};
use crate::archive;
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::router::{Parcel, Router};
use crate::stanza::{Draft, Kind, Stanza};
use crate::xep::delay;
use crate::xml::Writer;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// What a message is about that goes to those resources of an account alone that want to hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// The node.
    pub(crate) node: Arc<str>,
    /// Resources that have subscribed, and hear of it apart.
    pub(crate) except: Vec<Jid>,
}

/// Something that others are told of a node.
#[derive(Debug)]
pub(crate) struct News {
    pub(super) name: Arc<str>,
    /// As the node was then: who may hear of it.
    pub(super) node: Box<Node>,
    /// What the `<event/>` holds.
    pub(super) inner: String,
}

/// `<item/>` as subscribers see it.
pub(super) fn write_item(w: &mut Writer, config: &Config, item: &KeptItem, payload: bool) {
    let publisher = config.name_publisher.then_some(&*item.publisher);
    w.open("item").attr("id", &item.id).attr_opt("publisher", publisher);
    w.raw(if payload { &item.payload } else { "" }).close();
}

/// What is told of items that were published.
pub(super) fn items(name: &str, config: &Config, items: &[KeptItem]) -> String {
    let mut w = Writer::new();
    w.open("items").attr("node", name);
    items.iter().for_each(|item| write_item(&mut w, config, item, config.payloads));
    w.finish()
}

/// The message, from the account to nobody in particular yet.
fn message(account: &Address, config: &Config, inner: &str, note: &str) -> Stanza {
    let mut w = Writer::new();
    w.open("event").attr("xmlns", ns::PUBSUB_EVENT).raw(inner);
    let from = Jid::from(account.clone());
    let draft = Draft::new(Kind::Message).from(Some(&from)).raw(&w.finish()).raw(note);
    let draft = if config.headline { draft.type_("headline") } else { draft };
    draft.build()
}

/// The last item, for somebody who has not heard of it yet: it says since when it is there.
pub(super) fn last(account: &Address, name: &str, config: &Config, item: &KeptItem) -> Stanza {
    let inner = items(name, config, std::slice::from_ref(item));
    let note = delay::element(account.domain(), archive::time_of(item.place));
    message(account, config, &inner, &note)
}

impl Router {
    /// Tells everybody who is to hear of something.
    pub(super) fn tell_news(&mut self, account: &Address, news: News) {
        let News { name, node, inner } = news;
        if !node.config.deliver {
            return;
        }
        let stanza = message(account, &node.config, &inner, "");
        let mut subscribers: BTreeMap<Bare, Vec<Jid>> = BTreeMap::new();
        for (jid, state) in &node.subscriptions {
            if *state == Subscription::Subscribed && self.may_hear(account, &node, jid) {
                subscribers.entry(jid.bare().clone()).or_default().push(jid.clone());
            }
        }
        let common = Arc::new(Heading { node: Arc::clone(&name), except: Vec::new() });
        let own = Jid::from(account.clone());
        for to in self.hearers(account, &node).into_iter().chain([own]) {
            let heading = match subscribers.get(to.bare()) {
                Some(apart) if apart.contains(&to) => continue,
                Some(apart) => Arc::new(Heading { node: Arc::clone(&name), except: apart.clone() }),
                None => Arc::clone(&common),
            };
            self.route(Parcel { heading: Some(heading), ..Parcel::shared(&stanza, to) });
        }
        subscribers.values().flatten().for_each(|to| self.send_event(account, &stanza, to));
    }

    fn may_hear(&self, account: &Address, node: &Node, who: &Jid) -> bool {
        node.may_see(account, self.roster(account), who).is_ok() && !self.is_blocked(account, who)
    }

    /// Contacts who hear of the node if they want to.
    fn hearers(&self, account: &Address, node: &Node) -> Vec<Jid> {
        let watchers = self.roster(account).into_iter().flat_map(|roster| roster.watchers());
        let watchers = watchers.cloned().map(Jid::from);
        watchers.filter(|watcher| self.may_hear(account, node, watcher)).collect()
    }

    /// Tells one.
    pub(super) fn send_event(&mut self, account: &Address, stanza: &Stanza, to: &Jid) {
        if !self.is_blocked(account, to) {
            self.route(Parcel::shared(stanza, to.clone()));
        }
    }

    /// Gives a message to those resources of an account that want to hear of its node.
    pub(crate) fn deliver_event(&mut self, account: &Address, stanza: &Stanza, heading: &Heading) {
        let wants = |connection: ConnectionId| {
            let session = self.sessions.get(&connection)?;
            let wants = session.presence.is_some() && session.interest.wants(&heading.node);
            (wants && !heading.except.contains(&session.jid)).then(|| (connection, session.jid.clone()))
        };
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let told: Vec<(ConnectionId, Jid)> = seats.iter().filter_map(|seat| wants(seat.connection)).collect();
        for (connection, jid) in told {
            self.deliver(connection, stanza.readdressed(stanza.from().cloned(), Some(jid)));
        }
    }
}
