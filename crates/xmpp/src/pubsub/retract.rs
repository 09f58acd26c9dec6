//! Taking an item back (XEP-0060 §7.2).

use super::event::News;
use super::kept::NodeChange;
use super::node::Affiliation;
use super::refusal;
use super::request::{Change, Done, Plan, Set, View};
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Element, Writer};
use std::sync::Arc;

/// The most items that one request takes back.
const MAX_ITEMS: usize = 100;

/// `<retract/>`.
pub(super) fn plan(view: &View<'_>, retract: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.node(retract)?;
    // Publishers may take back what others published, as XEP-0060 §4.1 (table 4) lets a service decide.
    match node.affiliation(view.account, view.who) {
        Some(Affiliation::Owner | Affiliation::Publisher) => {}
        _ => return Err(Condition::Forbidden.into()),
    }
    let items = retract.children().filter(|child| child.is("item", ns::PUBSUB));
    let ids: Option<Vec<String>> = items.map(|item| item.get("id").map(str::to_owned)).collect();
    let ids = ids.filter(|ids| !ids.is_empty()).ok_or_else(refusal::item_required)?;
    if ids.len() > MAX_ITEMS {
        return Err(Condition::PolicyViolation.into());
    }
    if !node.config.persist {
        return Err(refusal::unsupported("persistent-items"));
    }
    let asked = matches!(retract.get("notify"), Some("true" | "1"));
    let news = if asked || node.config.notify_retract {
        vec![News { name: Arc::clone(name), node: Box::new(node.clone()), inner: inner(name, &ids) }]
    } else {
        Vec::new()
    };
    let noted = node.without_note().filter(|_| ids.iter().any(|id| Some(&**id) == node.note.as_deref()));
    let mut changes = vec![NodeChange::RemoveItems { number: node.number, ids }];
    let node = noted.map(|node| {
        changes.insert(0, node.row(name));
        Set::To(Box::new(node))
    });
    let done = Done { counted: true, news, ..Done::default() };
    Ok(Plan::Change(Box::new(Change { name: Arc::clone(name), node, changes, done })))
}

pub(super) fn inner(name: &str, ids: &[String]) -> String {
    let mut w = Writer::new();
    w.open("items").attr("node", name);
    for id in ids {
        w.open("retract").attr("id", id).close();
    }
    w.finish()
}
