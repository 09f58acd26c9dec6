//! What somebody may do with a node beside its access model (XEP-0060 §5.7, §8.9).

use super::node::Affiliation;
use super::refusal;
use super::request::{Change, Done, Plan, View};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::sync::Arc;

/// The asker's affiliations, with one node or with all (§5.7).
pub(super) fn own(view: &View<'_>, affiliations: &Element) -> Result<Plan, StanzaError> {
    let wanted = affiliations.get("node").filter(|node| !node.is_empty());
    if wanted.is_some() {
        view.node(affiliations)?;
    }
    let nodes = view.nodes.iter().filter(|(name, _)| wanted.is_none_or(|node| node == &***name));
    let row = |(name, node): (&Arc<str>, &super::node::Node)| {
        let affiliation = node.affiliation(view.account, view.who)?;
        let row = Element::new("affiliation", ns::PUBSUB).attr("node", &**name);
        Some(row.attr("affiliation", affiliation.name()))
    };
    let all = Element::new("affiliations", ns::PUBSUB).attr_opt("node", wanted);
    let all = all.children_from(nodes.filter_map(row));
    Ok(Plan::Answer(Some(Element::new("pubsub", ns::PUBSUB).child(all))))
}

/// All affiliations of a node, for its owner (§8.9.1).
pub(super) fn list(view: &View<'_>, affiliations: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(affiliations)?;
    let row = |jid: &str, affiliation: Affiliation| {
        let row = Element::new("affiliation", ns::PUBSUB_OWNER).attr("jid", jid);
        row.attr("affiliation", affiliation.name())
    };
    let rows = node.affiliations.iter().map(|(jid, affiliation)| row(jid.as_str(), *affiliation));
    let own = row(view.account.as_str(), Affiliation::Owner);
    let all = Element::new("affiliations", ns::PUBSUB_OWNER).attr("node", &**name);
    let all = all.child(own).children_from(rows);
    Ok(Plan::Answer(Some(Element::new("pubsub", ns::PUBSUB_OWNER).child(all))))
}

/// The owner says what others may do (§8.9.2). The account itself stays owner (§8.9.2.4).
pub(super) fn manage(view: &View<'_>, affiliations: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.owned(affiliations)?;
    let mut node = node.clone();
    for row in affiliations.children().filter(|child| child.is("affiliation", ns::PUBSUB_OWNER)) {
        let jid: Jid = row.get("jid").and_then(|jid| jid.parse().ok()).ok_or(Condition::BadRequest)?;
        let who: Bare = jid.bare().clone();
        if jid.address() == Some(view.account) {
            return Err(Condition::NotAcceptable.into());
        }
        match row.get("affiliation") {
            Some("none") => {
                node.affiliations.remove(&who);
            }
            affiliation => {
                let affiliation =
                    affiliation.and_then(Affiliation::from_name).ok_or(Condition::BadRequest)?;
                if affiliation == Affiliation::Outcast {
                    node.subscriptions.retain(|jid, _| *jid.bare() != who);
                }
                node.affiliations.insert(who, affiliation);
            }
        }
    }
    if node.affiliations.len() > view.limits.subscribers {
        return Err(refusal::too_many_subscriptions());
    }
    Ok(Plan::Change(Box::new(Change::to(Arc::clone(name), node, Done::default()))))
}
