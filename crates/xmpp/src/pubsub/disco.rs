//! What can be found out about an account's nodes (XEP-0060 §5): which there are, what one is, which items it has.

use super::items::read_page;
use super::kept::{ItemPage, Items, NodeLookUp};
use super::request::{Plan, View};
use super::stored::Reading;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::sync::Arc;
use wire::Address;

/// What an account's service does, in order (§10).
pub(crate) const FEATURES: &[&str] = &[
    ns::PUBSUB,
    "http://jabber.org/protocol/pubsub#access-authorize",
    "http://jabber.org/protocol/pubsub#access-open",
    "http://jabber.org/protocol/pubsub#access-presence",
    "http://jabber.org/protocol/pubsub#access-roster",
    "http://jabber.org/protocol/pubsub#access-whitelist",
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    "http://jabber.org/protocol/pubsub#instant-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#manage-subscriptions",
    "http://jabber.org/protocol/pubsub#member-affiliation",
    "http://jabber.org/protocol/pubsub#meta-data",
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#outcast-affiliation",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#presence-subscribe",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-only-affiliation",
    "http://jabber.org/protocol/pubsub#publish-options",
    "http://jabber.org/protocol/pubsub#publisher-affiliation",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
    "http://jabber.org/protocol/pubsub#rsm",
    "http://jabber.org/protocol/pubsub#subscribe",
    ns::BOOKMARKS_COMPAT,
    ns::AVATAR_CONVERSION,
    ns::VCARD4,
];

/// What a node is (§5.3, §5.4).
pub(super) fn info(view: &View<'_>, query: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.node(query)?;
    node.may_subscribe(view.account, view.roster, view.who)?;
    let identity = Element::new("identity", ns::DISCO_INFO).attr("category", "pubsub").attr("type", "leaf");
    let identity = identity.attr_opt("name", node.config.title.as_deref());
    let features = [ns::PUBSUB, ns::DISCO_INFO, ns::DISCO_ITEMS];
    let feature = |var: &str| Element::new("feature", ns::DISCO_INFO).attr("var", var);
    let info = Element::new("query", ns::DISCO_INFO).attr("node", &**name).child(identity);
    Ok(Plan::Answer(Some(info.children_from(features.map(feature)).child(node.config.metadata()))))
}

/// Which nodes there are that somebody may see (§5.2), or which items a node has (§5.5).
pub(super) fn items(view: &View<'_>, query: &Element) -> Result<Plan, StanzaError> {
    let own = Jid::from(view.account.clone()).to_string();
    if query.get("node").is_none_or(str::is_empty) {
        let seen = view
            .nodes
            .iter()
            .filter(|(_, node)| node.may_subscribe(view.account, view.roster, view.who).is_ok());
        let item = |(name, node): (&Arc<str>, &super::node::Node)| {
            let item = Element::new("item", ns::DISCO_ITEMS).attr("jid", own.clone()).attr("node", &**name);
            item.attr_opt("name", node.config.title.as_deref())
        };
        let items: Vec<Element> = seen.map(item).collect();
        let is_contact = view.roster.is_some_and(|roster| roster.is_watched_by(view.who.bare()));
        if items.is_empty() && !view.is_own() && !is_contact {
            return Err(Condition::ServiceUnavailable.into());
        }
        return Ok(Plan::Answer(Some(Element::new("query", ns::DISCO_ITEMS).children_from(items))));
    }
    let (name, node) = view.node(query)?;
    node.may_see(view.account, view.roster, view.who)?;
    let mut page = ItemPage { limit: view.limits.node_items, last: true, names: true, ..ItemPage::default() };
    if let Some(set) = query.find("set", ns::RSM) {
        read_page(set, &mut page)?;
    }
    page.limit = page.limit.max(1);
    let reading = Reading::Names(Arc::clone(name));
    Ok(Plan::Read(NodeLookUp::Items { number: node.number, page }, reading))
}

/// The names of a node's items.
pub(super) fn names(account: &Address, name: &str, found: &Items) -> Element {
    let own = Jid::from(account.clone()).to_string();
    let items = found
        .items
        .iter()
        .map(|item| Element::new("item", ns::DISCO_ITEMS).attr("jid", own.clone()).attr("name", &*item.id));
    Element::new("query", ns::DISCO_ITEMS).attr("node", name).children_from(items)
}
