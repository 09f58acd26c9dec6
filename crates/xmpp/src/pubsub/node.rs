//! A node: its configuration, who may do what with it, who is subscribed; and all nodes of an account.

use super::config::Config;
use super::form;
use super::kept::KeptNode;
use crate::jid::{Bare, Jid};
use crate::xml::Element;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The namespace of what is kept of a node; nobody but this server ever sees it.
const NAMESPACE: &str = "urn:parlour:node:1";

/// What somebody may do with a node, beside its access model (XEP-0060 §4.1). Its account is its owner for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affiliation {
    Owner,
    Publisher,
    PublishOnly,
    Member,
    Outcast,
}

impl Affiliation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Publisher => "publisher",
            Self::PublishOnly => "publish-only",
            Self::Member => "member",
            Self::Outcast => "outcast",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Owner, Self::Publisher, Self::PublishOnly, Self::Member, Self::Outcast]
            .into_iter()
            .find(|affiliation| affiliation.name() == name)
    }
}

/// How far a subscription is (XEP-0060 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// The owner has not approved it yet.
    Pending,
    Subscribed,
}

impl Subscription {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Subscribed => "subscribed",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Subscribed].into_iter().find(|state| state.name() == name)
    }
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// By which the store knows it.
    pub(crate) number: i64,
    pub(crate) config: Config,
    pub(crate) affiliations: BTreeMap<Bare, Affiliation>,
    pub(crate) subscriptions: BTreeMap<Jid, Subscription>,
    /// What the server itself must know of the last item (`avatar`).
    pub(crate) note: Option<Box<str>>,
}

impl Node {
    /// The same without what is noted of its last item, if something is.
    pub(crate) fn without_note(&self) -> Option<Self> {
        self.note.is_some().then(|| Self { note: None, ..self.clone() })
    }

    /// How many octets is kept of it.
    fn octets(&self) -> usize {
        self.write().len()
    }

    /// As it is kept.
    pub(crate) fn write(&self) -> Arc<str> {
        let affiliation = |(jid, affiliation): (&Bare, &Affiliation)| {
            let row = Element::new("affiliation", NAMESPACE).attr("jid", jid.as_str());
            row.attr("is", affiliation.name())
        };
        let subscription = |(jid, state): (&Jid, &Subscription)| {
            Element::new("subscription", NAMESPACE).attr("jid", jid.to_string()).attr("is", state.name())
        };
        let config = Element::new("config", NAMESPACE).children_from(self.config.changed());
        let root = Element::new("node", NAMESPACE).attr_opt("note", self.note.as_deref()).child(config);
        let root = root.children_from(self.affiliations.iter().map(affiliation));
        root.children_from(self.subscriptions.iter().map(subscription)).to_xml("").into()
    }

    /// What was kept. What cannot be read is as if it were not there.
    pub(crate) fn read(number: i64, text: &str) -> Self {
        let mut node = Self { number, ..Self::default() };
        let Ok(root) = Element::parse(text, "") else { return node };
        node.note = root.get("note").map(Into::into);
        for row in root.children() {
            let (jid, is) = (row.get("jid").unwrap_or_default(), row.get("is").unwrap_or_default());
            match row.name() {
                "config" => {
                    for (var, values) in form::fields(row) {
                        // A field of a later version is not for this one.
                        let _ = node.config.set(&var, &values);
                    }
                }
                "affiliation" => {
                    let row = jid.parse().ok().zip(Affiliation::from_name(is));
                    node.affiliations.extend(row);
                }
                "subscription" => {
                    let row = jid.parse().ok().zip(Subscription::from_name(is));
                    node.subscriptions.extend(row);
                }
                _ => {}
            }
        }
        node
    }
}

/// All nodes of an account, by name, and how many octets is kept of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes {
    all: BTreeMap<Arc<str>, (Node, usize)>,
    octets: usize,
}

impl Nodes {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { all: BTreeMap::new(), octets: 0 }
    }

    /// The node of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.all.get(name).map(|(node, _)| node)
    }

    /// The same, and its name as it is shared.
    pub(crate) fn entry(&self, name: &str) -> Option<(&Arc<str>, &Node)> {
        self.all.get_key_value(name).map(|(name, (node, _))| (name, node))
    }

    /// Adds a node, or replaces one.
    pub(crate) fn put(&mut self, name: Arc<str>, node: Node) {
        let octets = node.octets();
        self.insert(name, node, octets);
    }

    fn insert(&mut self, name: Arc<str>, node: Node, octets: usize) {
        let octets = name.len() + octets;
        self.octets += octets;
        self.octets -= self.all.insert(name, (node, octets)).map_or(0, |(_, octets)| octets);
    }

    /// Takes a node out.
    pub(crate) fn remove(&mut self, name: &str) {
        self.octets -= self.all.remove(name).map_or(0, |(_, octets)| octets);
    }

    /// Whether there is room for a node as it is to be, of `most` octets for all of them. What makes it no longer is possible in
    /// any case.
    pub(crate) fn has_room(&self, name: &str, node: &Node, most: usize) -> bool {
        let (before, now) = (self.all.get(name).map_or(0, |(_, octets)| *octets), name.len() + node.octets());
        now <= before || self.octets - before + now <= most
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them, with their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Node)> {
        self.all.iter().map(|(name, (node, _))| (name, node))
    }
}

impl FromIterator<KeptNode> for Nodes {
    fn from_iter<T: IntoIterator<Item = KeptNode>>(kept: T) -> Self {
        let mut nodes = Self::new();
        for kept in kept {
            let octets = kept.payload.len();
            nodes.insert(kept.name, Node::read(kept.number, &kept.payload), octets);
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::config::Access;

    #[test]
    fn comes_back_as_it_was() {
        let mut node = Node { number: 7, ..Node::default() };
        assert_eq!(Node::read(7, &node.write()), node);
        node.config.access = Access::Whitelist;
        node.note = Some("abc".into());
        node.config.max_items = crate::pubsub::config::MAX;
        node.affiliations.insert("a@b".parse().unwrap(), Affiliation::PublishOnly);
        node.subscriptions.insert("a@b/c'<".parse().unwrap(), Subscription::Pending);
        assert_eq!(Node::read(7, &node.write()), node);
        assert_eq!(Node::read(7, "<broken"), Node { number: 7, ..Node::default() });
    }
}
