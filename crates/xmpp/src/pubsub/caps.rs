//! What clients can do, and so what they want to hear of (XEP-0115, XEP-0390): each shows a hash of it in its presence and is
//! asked where nobody knows what the hash stands for.
//!
//! What a client answers counts for itself; for others it counts only where it has the hash that was shown, so that nobody
//! can say of others' clients what is not true.

mod hash;

use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::stanza::{Draft, Kind, Stanza};
use crate::xml::Element;
use hash::Shown;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// What ends the name of a feature that says that a client wants to hear of a node (XEP-0060 §9.2).
const NOTIFY: &str = "+notify";
/// The most nodes that a client may want to hear of.
const MAX_NODES: usize = 128;
/// The longest name of one of them.
const MAX_NAME: usize = 512;
/// Octets of all of these names.
const MAX_NAMES: usize = 16 * 1024;

/// The nodes that a client wants to hear of, in order.
type Wants = Arc<[Arc<str>]>;

/// What is known of what a session's client wants to hear of.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    /// What it showed last.
    shown: Option<Box<Shown>>,
    /// The number of the question that it was asked about it, until it answers.
    asked: Option<u64>,
    wants: Option<Wants>,
}

impl Interest {
    /// Whether it wants to hear of a node.
    pub(crate) fn wants(&self, node: &str) -> bool {
        self.wants.as_ref().is_some_and(|wants| wants.binary_search_by(|name| (**name).cmp(node)).is_ok())
    }

    /// All that it wants to hear of.
    pub(crate) fn nodes(&self) -> Option<Wants> {
        self.wants.clone()
    }
}

/// What verified hashes stand for. Those that were learnt first go first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: BTreeMap<Shown, Wants>,
    order: VecDeque<Shown>,
    /// Octets of what is known.
    octets: usize,
}

impl Cache {
    /// How many hashes are remembered.
    const MOST: usize = 1024;
    /// Octets of the hashes and of the names that they stand for.
    const MOST_OCTETS: usize = 1024 * 1024;

    fn get(&self, shown: &Shown) -> Option<Wants> {
        self.known.get(&shown.key()).cloned()
    }

    fn put(&mut self, shown: &Shown, wants: Wants) {
        let key = shown.key();
        if self.known.contains_key(&key) {
            return;
        }
        self.octets += octets(&key, &wants);
        self.order.push_back(key.clone());
        self.known.insert(key, wants);
        while self.order.len() > Self::MOST || self.octets > Self::MOST_OCTETS {
            let Some(oldest) = self.order.pop_front() else { break };
            let wants = self.known.remove(&oldest).unwrap_or_default();
            self.octets -= octets(&oldest, &wants);
        }
    }
}

/// How much memory a hash takes with what it stands for, about.
fn octets(shown: &Shown, wants: &Wants) -> usize {
    2 * shown.octets() + wants.iter().map(|name| name.len() + size_of::<Arc<str>>()).sum::<usize>()
}

/// The nodes that an answer names.
fn wants(info: &Element) -> Wants {
    let features = info.children().filter(|child| child.is("feature", ns::DISCO_INFO));
    let nodes = features.filter_map(|feature| feature.get("var")?.strip_suffix(NOTIFY));
    let mut octets = 0;
    let nodes = nodes.filter(|node| !node.is_empty() && node.len() <= MAX_NAME);
    let nodes = nodes.take_while(|node| {
        octets += node.len();
        octets <= MAX_NAMES
    });
    let mut nodes: Vec<Arc<str>> = nodes.take(MAX_NODES).map(Into::into).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.into()
}

impl Router {
    /// A session is there, or has changed: what it shows of its client may be news.
    pub(crate) fn show_caps(&mut self, account: &Address, connection: ConnectionId, presence: &Stanza) {
        // A client that says nothing of it now wants what it wanted before.
        let Some(shown) = hash::shown(presence) else { return };
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        if session.interest.shown.as_deref() == Some(&shown) {
            return;
        }
        session.interest.shown = Some(Box::new(shown.clone()));
        match self.caps.get(&shown) {
            Some(wants) => {
                session.interest.asked = None;
                self.wants(account, connection, wants);
            }
            None => self.ask_caps(account, connection, &shown),
        }
    }

    /// A session of before the server's end has its client again: what that wants to hear was not kept.
    pub(crate) fn know_caps(&mut self, connection: ConnectionId) {
        let Some(session) = self.sessions.get(&connection) else { return };
        let (Some(presence), Some(account)) = (session.presence.clone(), session.jid.address().cloned())
        else {
            return;
        };
        self.show_caps(&account, connection, &presence);
    }

    fn ask_caps(&mut self, account: &Address, connection: ConnectionId, shown: &Shown) {
        self.pushes += 1;
        let number = self.pushes;
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        session.interest.asked = Some(number);
        let query = Element::new("query", ns::DISCO_INFO).attr("node", shown.question());
        let (from, to) = (Jid::from(account.clone()), session.jid.clone());
        let id = format!("caps-{number}");
        let ask = Draft::new(Kind::Iq).from(Some(&from)).to(Some(&to)).id(Some(&id)).type_("get");
        self.deliver(connection, ask.child(&query).build());
    }

    /// A session answers something: what its client can do, perhaps.
    pub(crate) fn told_caps(&mut self, connection: ConnectionId, stanza: &Stanza) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let number = stanza.id().and_then(|id| id.strip_prefix("caps-")?.parse::<u64>().ok());
        if number.is_none() || number != session.interest.asked {
            return;
        }
        session.interest.asked = None;
        let Some(account) = session.jid.address().cloned() else { return };
        let Some(shown) = session.interest.shown.clone() else { return };
        let info = stanza.payload_element().filter(|info| info.is("query", ns::DISCO_INFO));
        let Some(info) = info.filter(|_| stanza.type_attr() == Some("result")) else { return };
        let wants = wants(&info);
        if shown.stands_for(&info) {
            self.caps.put(&shown, Arc::clone(&wants));
        }
        self.wants(&account, connection, wants);
    }

    /// It is known what a session's client wants to hear of: of what is new in it, it is sent the last items.
    fn wants(&mut self, account: &Address, connection: ConnectionId, wants: Wants) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let before = session.interest.wants.replace(Arc::clone(&wants));
        let is_new = |name: &&Arc<str>| !before.as_ref().is_some_and(|before| before.contains(name));
        let new: Wants = wants.iter().filter(is_new).cloned().collect();
        if session.presence.is_some() && !new.is_empty() {
            self.wishes(account, connection, &new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_is_in_the_features() {
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='b+notify'/>\
             <feature var='b'/><feature var='a+notify'/><feature var='+notify'/><feature var='b+notify'/></query>";
        let wants = wants(&Element::parse(info, "").unwrap());
        assert_eq!(wants.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
        let interest = Interest { wants: Some(wants), ..Interest::default() };
        assert!(interest.wants("a") && interest.wants("b") && !interest.wants("c"));
    }

    #[test]
    fn the_cache_has_a_bound() {
        let mut cache = Cache::default();
        for n in 0..=Cache::MOST {
            cache.put(&Shown::sha1(&n.to_string()), Arc::default());
        }
        assert_eq!(cache.known.len(), Cache::MOST);
        assert!(cache.get(&Shown::sha1("0")).is_none() && cache.get(&Shown::sha1("1")).is_some());
    }

    /// Long names of nodes that nobody has ever heard of would fill the memory, though their hashes are right.
    #[test]
    fn the_cache_has_a_bound_in_octets() {
        let mut cache = Cache::default();
        let wants: Wants = (0..MAX_NODES).map(|n| format!("{n:0MAX_NAME$}").into()).collect();
        for n in 0..100 {
            cache.put(&Shown::sha1(&n.to_string()), Arc::clone(&wants));
            cache.put(&Shown::sha1(&n.to_string()), Arc::clone(&wants));
        }
        let octets: usize = cache.known.values().flat_map(|wants| wants.iter()).map(|name| name.len()).sum();
        assert!(octets <= Cache::MOST_OCTETS && octets > Cache::MOST_OCTETS / 2, "{octets}");
        assert!(cache.get(&Shown::sha1("99")).is_some() && cache.order.len() == cache.known.len());
    }

    #[test]
    fn a_client_names_only_so_much() {
        let feature = |n: usize| format!("<feature var='{n:0500}+notify'/>");
        let all: String = (0..MAX_NODES).map(feature).collect();
        let info = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{all}</query>");
        let wants = wants(&Element::parse(&info, "").unwrap());
        assert_eq!(wants.len(), MAX_NAMES / 500);
    }
}
