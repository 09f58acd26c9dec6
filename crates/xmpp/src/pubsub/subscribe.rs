//! Explicit subscriptions (XEP-0060 §6.1, §6.2, §5.6, §8.6, §8.8): one for each JID of a node.

use super::config::{Access, SendLast};
use super::node::{Node, Subscription};
use super::refusal;
use super::request::{Change, Done, Plan, View};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::sync::Arc;

/// The JID that a request names: the asker's own, with a resource or without.
fn named(view: &View<'_>, element: &Element) -> Result<Jid, StanzaError> {
    let jid = element.get("jid").and_then(|jid| jid.parse::<Jid>().ok());
    let jid = jid.ok_or_else(refusal::invalid_jid)?;
    if jid.bare() == view.who.bare() { Ok(jid) } else { Err(refusal::invalid_jid()) }
}

fn element(namespace: &'static str, name: Option<&str>, jid: &Jid, state: &'static str) -> Element {
    let element = Element::new("subscription", namespace).attr_opt("node", name);
    element.attr("jid", jid.to_string()).attr("subscription", state)
}

/// The change to a node with another subscription of `jid`.
fn set(view: &View<'_>, name: &Arc<str>, node: &Node, jid: &Jid, state: Option<Subscription>) -> Change {
    let mut node = node.clone();
    match state {
        Some(state) => node.subscriptions.insert(jid.clone(), state),
        None => node.subscriptions.remove(jid),
    };
    let told = state.map_or("none", Subscription::name);
    let answer = element(ns::PUBSUB, Some(name), jid, told);
    let answer = Some(Element::new("pubsub", ns::PUBSUB).child(answer));
    let last = state == Some(Subscription::Subscribed) && node.config.send_last != SendLast::Never;
    let last = (last && node.may_see(view.account, view.roster, jid).is_ok()).then(|| jid.clone());
    let done = Done { answer, last, ..Done::default() };
    Change::to(Arc::clone(name), node, done)
}

/// `<subscribe/>` (§6.1).
pub(super) fn subscribe(
    view: &View<'_>,
    subscribe: &Element,
    options: Option<&Element>,
) -> Result<Plan, StanzaError> {
    let jid = named(view, subscribe)?;
    let (name, node) = view.node(subscribe)?;
    if options.is_some_and(|options| options.name() == "options") {
        return Err(refusal::unsupported("subscription-options"));
    }
    node.may_subscribe(view.account, view.roster, view.who)?;
    match node.subscriptions.get(&jid) {
        Some(Subscription::Subscribed) => {
            let answer = element(ns::PUBSUB, Some(name), &jid, "subscribed");
            return Ok(Plan::Answer(Some(Element::new("pubsub", ns::PUBSUB).child(answer))));
        }
        Some(Subscription::Pending) => return Err(refusal::pending_subscription()),
        None if node.subscriptions.len() >= view.limits.subscribers => {
            return Err(refusal::too_many_subscriptions());
        }
        None => {}
    }
    let free = node.affiliation(view.account, view.who).is_some();
    let state = if node.config.access == Access::Authorize && !free {
        Subscription::Pending
    } else {
        Subscription::Subscribed
    };
    Ok(Plan::Change(Box::new(set(view, name, node, &jid, Some(state)))))
}

/// `<unsubscribe/>` (§6.2).
pub(super) fn unsubscribe(view: &View<'_>, unsubscribe: &Element) -> Result<Plan, StanzaError> {
    let jid = named(view, unsubscribe)?;
    let (name, node) = view.node(unsubscribe)?;
    if !node.subscriptions.contains_key(&jid) {
        return Err(refusal::not_subscribed());
    }
    if unsubscribe.get("subid").is_some() {
        return Err(refusal::invalid_subid());
    }
    let mut change = set(view, name, node, &jid, None);
    change.done.answer = None;
    Ok(Plan::Change(Box::new(change)))
}

/// The asker's subscriptions, to one node or to all (§5.6).
pub(super) fn own(view: &View<'_>, subscriptions: &Element) -> Result<Plan, StanzaError> {
    let node = subscriptions.get("node").filter(|node| !node.is_empty());
    if node.is_some() {
        view.node(subscriptions)?;
    }
    let nodes = view.nodes.iter().filter(|(name, _)| node.is_none_or(|node| node == &***name));
    let mut all = Element::new("subscriptions", ns::PUBSUB).attr_opt("node", node);
    for (name, node) in nodes {
        for (jid, state) in node.subscriptions.iter().filter(|(jid, _)| jid.bare() == view.who.bare()) {
            all.push(element(ns::PUBSUB, Some(name), jid, state.name()));
        }
    }
    Ok(Plan::Answer(Some(Element::new("pubsub", ns::PUBSUB).child(all))))
}

/// All subscriptions of a node, for its owner (§8.8.1).
pub(super) fn list(view: &View<'_>, subscriptions: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(subscriptions)?;
    let rows = node.subscriptions.iter();
    let rows = rows.map(|(jid, state)| element(ns::PUBSUB_OWNER, None, jid, state.name()));
    let all = Element::new("subscriptions", ns::PUBSUB_OWNER).attr("node", &**name).children_from(rows);
    Ok(Plan::Answer(Some(Element::new("pubsub", ns::PUBSUB_OWNER).child(all))))
}

/// The owner approves or takes away subscriptions (§8.8.2), and adds their own. Nobody else is subscribed who has not
/// asked: a publish would be as many messages that nobody wants.
pub(super) fn manage(view: &View<'_>, subscriptions: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(subscriptions)?;
    let mut node = node.clone();
    for row in subscriptions.children().filter(|child| child.is("subscription", ns::PUBSUB_OWNER)) {
        let jid: Jid = row.get("jid").and_then(|jid| jid.parse().ok()).ok_or(Condition::BadRequest)?;
        match row.get("subscription") {
            None => {}
            Some("none") => drop(node.subscriptions.remove(&jid)),
            Some(state) => {
                let state = Subscription::from_name(state).ok_or(Condition::BadRequest)?;
                if !node.subscriptions.contains_key(&jid) && jid.bare() != view.who.bare() {
                    return Err(Condition::NotAllowed.into());
                }
                node.subscriptions.insert(jid, state);
            }
        }
    }
    if node.subscriptions.len() > view.limits.subscribers {
        return Err(refusal::too_many_subscriptions());
    }
    Ok(Plan::Change(Box::new(Change::to(Arc::clone(name), node, Done::default()))))
}
