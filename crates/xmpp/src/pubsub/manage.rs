//! What owners do with their nodes (XEP-0060 §8.1 to §8.5): create, configure, purge, delete.

use super::config::Config;
use super::event::News;
use super::kept::NodeChange;
use super::node::Node;
use super::publish::may_be_made;
use super::request::{Change, Done, Plan, Set, View};
use super::{form, refusal};
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Element, Writer};
use std::sync::Arc;

/// `<create/>` and, behind it, `<configure/>` (§8.1.3). A node without a name gets one.
pub(super) fn create(
    view: &View<'_>,
    create: &Element,
    configure: Option<&Element>,
) -> Result<Plan, StanzaError> {
    if !view.is_own() {
        return Err(Condition::Forbidden.into());
    }
    let wish = create.get("node").filter(|node| !node.is_empty());
    let name: Arc<str> = wish.unwrap_or(view.chance).into();
    if view.nodes.get(&name).is_some() {
        return Err(Condition::Conflict.into());
    }
    may_be_made(view, &name)?;
    let mut config = Config::default();
    let configure = configure.filter(|configure| configure.name() == "configure");
    if let Some(form) = configure.and_then(|configure| configure.find("x", ns::DATA_FORMS)) {
        config = configured(&config, form)?;
    }
    let node = Node { number: view.number, config, ..Node::default() };
    let answer = wish.is_none().then(|| {
        let create = Element::new("create", ns::PUBSUB).attr("node", &*name);
        Element::new("pubsub", ns::PUBSUB).child(create)
    });
    let done = Done { answer, ..Done::default() };
    Ok(Plan::Change(Box::new(Change::to(name, node, done))))
}

/// What a configuration is after a form was submitted (§8.2.4). Fields that nobody knows are passed over.
fn configured(config: &Config, form: &Element) -> Result<Config, StanzaError> {
    let mut config = config.clone();
    for (var, values) in form::submitted(form, ns::PUBSUB_CONFIG).ok_or(Condition::BadRequest)? {
        match config.set(&var, &values) {
            Ok(()) | Err(super::config::Wrong::Unknown) => {}
            Err(super::config::Wrong::Value) => return Err(Condition::NotAcceptable.into()),
        }
    }
    Ok(config)
}

fn owner(child: Element) -> Plan {
    Plan::Answer(Some(Element::new("pubsub", ns::PUBSUB_OWNER).child(child)))
}

/// The form of a node (§8.2.1).
pub(super) fn form(view: &View<'_>, configure: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(configure)?;
    let configure = Element::new("configure", ns::PUBSUB_OWNER).attr("node", &**name);
    Ok(owner(configure.child(node.config.form())))
}

/// The form of a node that is not configured (§8.3).
pub(super) fn default() -> Plan {
    owner(Element::new("default", ns::PUBSUB_OWNER).child(Config::default().form()))
}

/// A form that was filled in (§8.2.4).
pub(super) fn configure(view: &View<'_>, configure: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(configure)?;
    let form = configure.find("x", ns::DATA_FORMS).ok_or(Condition::BadRequest)?;
    if form.get("type") == Some("cancel") {
        return Ok(Plan::Answer(None));
    }
    let config = configured(&node.config, form)?;
    let new = Node { config, ..node.clone() };
    let keep = if new.config.persist { new.config.max_items.min(view.limits.node_items) } else { 0 };
    let trim = NodeChange::Trim { number: new.number, keep };
    let mut news = Vec::new();
    if new.config.notify_config {
        let mut w = Writer::new();
        w.open("configuration").attr("node", name);
        if new.config.payloads {
            w.element(&new.config.metadata(), ns::PUBSUB_EVENT);
        }
        news.push(News { name: Arc::clone(name), node: Box::new(new.clone()), inner: w.finish() });
    }
    let done = Done { news, ..Done::default() };
    let mut change = Change::to(Arc::clone(name), new, done);
    change.changes.push(trim);
    Ok(Plan::Change(Box::new(change)))
}

/// Takes a node out (§8.4).
pub(super) fn delete(view: &View<'_>, delete: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(delete)?;
    let news = node.config.notify_delete.then(|| word(name, node, "delete"));
    let changes = vec![NodeChange::Remove(node.number)];
    let done = Done { news: news.into_iter().collect(), ..Done::default() };
    let change = Change { name: Arc::clone(name), node: Some(Set::Removed), changes, done };
    Ok(Plan::Change(Box::new(change)))
}

/// Takes all items out (§8.5).
pub(super) fn purge(view: &View<'_>, purge: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(purge)?;
    if !node.config.persist {
        return Err(refusal::unsupported("persistent-items"));
    }
    let news = node.config.notify_retract.then(|| word(name, node, "purge"));
    let mut changes = vec![NodeChange::Trim { number: node.number, keep: 0 }];
    let node = node.without_note().map(|node| {
        changes.insert(0, node.row(name));
        Set::To(Box::new(node))
    });
    let done = Done { news: news.into_iter().collect(), ..Done::default() };
    Ok(Plan::Change(Box::new(Change { name: Arc::clone(name), node, changes, done })))
}

/// What is told of a node as a whole.
fn word(name: &Arc<str>, node: &Node, word: &str) -> News {
    let mut w = Writer::new();
    w.open(word).attr("node", name);
    News { name: Arc::clone(name), node: Box::new(node.clone()), inner: w.finish() }
}
