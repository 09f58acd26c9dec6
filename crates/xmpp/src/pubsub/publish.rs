//! Publishing an item (XEP-0060 §7.1), with what the publisher demands of the node (§7.1.5); a node that its owner publishes
//! to is there (XEP-0163 §3).

use super::config::Config;
use super::event::{self, News};
use super::kept::{KeptItem, NodeChange};
use super::node::Node;
use super::request::{Change, Done, Plan, Set, View, node_name};
use super::{form, refusal};
use crate::jid::MAX_RESOURCE;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::sync::Arc;

/// The longest name of a node or an item, in octets.
pub(super) const MAX_NAME: usize = MAX_RESOURCE;
/// The most items that one request publishes: as many ids are reserved for it.
const MAX_ITEMS: usize = 99;

/// `<publish/>` and, behind it, `<publish-options/>`.
pub(super) fn plan(
    view: &View<'_>,
    publish: &Element,
    options: Option<&Element>,
) -> Result<Plan, StanzaError> {
    let name = node_name(publish)?;
    let demands = demands(options)?;
    let (name, mut node, mut new) = match view.nodes.entry(name) {
        Some((name, node)) => {
            node.may_publish(view.account, view.roster, view.who)?;
            if demands.iter().any(|(var, values)| !node.config.meets(var, values)) {
                return Err(refusal::precondition_not_met());
            }
            (Arc::clone(name), node.clone(), false)
        }
        None if !view.is_own() => return Err(Condition::ItemNotFound.into()),
        None => (name.into(), made_to(view, name, &demands)?, true),
    };
    let items = items(view, publish, &node.config)?;
    let note = super::avatar::note(&name, &items);
    new |= note != node.note;
    node.note = note;
    let ids: Vec<Element> =
        items.iter().map(|item| Element::new("item", ns::PUBSUB).attr("id", &*item.id)).collect();
    let answer = Element::new("publish", ns::PUBSUB).attr("node", &*name).children_from(ids);
    let answer = Element::new("pubsub", ns::PUBSUB).child(answer);
    let inner = event::items(&name, &node.config, &items);
    let mut changes = Vec::new();
    if new {
        changes.push(node.row(&name));
    }
    if node.config.persist {
        let keep = node.config.max_items.min(view.limits.node_items);
        let limit = view.limits.items_octets;
        changes.push(NodeChange::PutItems { number: node.number, items, keep, limit });
    }
    let news = vec![News { name: Arc::clone(&name), node: Box::new(node.clone()), inner }];
    let done = Done { answer: Some(answer), news, ..Done::default() };
    let node = new.then(|| Set::To(Box::new(node)));
    Ok(Plan::Change(Box::new(Change { name, node, changes, done })))
}

/// What the publisher demands of the node.
fn demands(options: Option<&Element>) -> Result<Vec<(String, Vec<String>)>, StanzaError> {
    let Some(options) = options.filter(|options| options.name() == "publish-options") else {
        return Ok(Vec::new());
    };
    let form = options.find("x", ns::DATA_FORMS).ok_or(Condition::BadRequest)?;
    Ok(form::submitted(form, ns::PUBSUB_OPTIONS).ok_or(Condition::BadRequest)?)
}

/// A new node as the publisher demands it.
fn made_to(view: &View<'_>, name: &str, demands: &[(String, Vec<String>)]) -> Result<Node, StanzaError> {
    may_be_made(view, name)?;
    let mut config = Config::default();
    for (var, values) in demands {
        config.set(var, values).map_err(|_| refusal::precondition_not_met())?;
    }
    Ok(Node { number: view.number, config, ..Node::default() })
}

/// Whether there may be one more node, of this name.
pub(super) fn may_be_made(view: &View<'_>, name: &str) -> Result<(), StanzaError> {
    if name.len() > MAX_NAME {
        return Err(Condition::NotAcceptable.into());
    }
    if view.nodes.len() >= view.limits.nodes {
        return Err(refusal::max_nodes_exceeded());
    }
    Ok(())
}

fn items(view: &View<'_>, publish: &Element, config: &Config) -> Result<Vec<KeptItem>, StanzaError> {
    let items: Vec<&Element> = publish.children().filter(|child| child.is("item", ns::PUBSUB)).collect();
    let most = usize::try_from(config.max_items.min(view.limits.node_items)).unwrap_or(usize::MAX);
    if items.is_empty() {
        return Err(refusal::item_required());
    }
    if items.len() > MAX_ITEMS || (config.persist && items.len() > most) {
        return Err(refusal::max_items_exceeded());
    }
    let numbered = items.into_iter().zip(1..);
    numbered.map(|(item, number)| read(view, item, number)).collect()
}

/// An item as it is kept: with a name, and one payload.
fn read(view: &View<'_>, item: &Element, number: i64) -> Result<KeptItem, StanzaError> {
    let mut payloads = item.children();
    let payload = payloads.next().ok_or_else(refusal::payload_required)?;
    if payloads.next().is_some() {
        return Err(refusal::invalid_payload());
    }
    let payload = payload.to_xml("");
    if payload.len() > view.limits.item {
        return Err(refusal::payload_too_big());
    }
    let id: Arc<str> = match item.get("id").filter(|id| !id.is_empty()) {
        Some(id) if id.len() > MAX_NAME => return Err(Condition::NotAcceptable.into()),
        Some(id) => id.into(),
        None if number == 1 => view.chance.into(),
        None => format!("{}-{number}", view.chance).into(),
    };
    let publisher = view.who.bare().as_str().into();
    Ok(KeptItem { place: view.number + number, id, publisher, payload: payload.into() })
}
