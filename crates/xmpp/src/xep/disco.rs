//! Service discovery (XEP-0030): what the server is and does, and what an account is.

use super::{Answer, Context, Target};
use crate::ns;
use crate::router::Neighbour;
use crate::stanza::Condition;
use crate::xml::Element;

/// What the server does, in order.
const SERVER: &[&str] = &[
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::LAST,
    ns::PRIVATE,
    ns::VERSION,
    ns::OFFLINE,
    ns::BLOCKING,
    ns::CARBONS,
    ns::PING,
    ns::TIME,
    ns::VCARD,
];
/// What the server does in an account's place, in order.
const ACCOUNT: &[&str] =
    &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::LAST, ns::PRIVATE, ns::BLOCKING, ns::CARBONS, ns::PING, ns::VCARD];

/// `disco#info` (§3). There are no nodes.
pub(super) fn info(context: &Context<'_>, query: &Element) -> Answer {
    no_node(query)?;
    let identity = |category, kind| {
        Element::new("identity", ns::DISCO_INFO).attr("category", category).attr("type", kind)
    };
    let archive: &[&str] = match context.target {
        Target::Account { .. } if context.archive => &[ns::MAM, ns::MAM_EXTENDED, ns::STANZA_ID],
        _ => &[],
    };
    let (identity, features) = match context.target {
        Target::Server => (identity("server", "im").attr("name", "Parlour"), SERVER),
        Target::Account { .. } => (identity("account", "registered"), ACCOUNT),
    };
    let feature = |var: &&str| Element::new("feature", ns::DISCO_INFO).attr("var", *var);
    Ok(Some(
        Element::new("query", ns::DISCO_INFO)
            .child(identity)
            .children_from(features.iter().chain(archive).map(feature)),
    ))
}

/// `disco#items` (§4): a domain lists its services. There is nothing below an account yet.
pub(super) fn items(context: &Context<'_>, query: &Element) -> Answer {
    no_node(query)?;
    let item = |service: &&Neighbour| {
        let item = Element::new("item", ns::DISCO_ITEMS).attr("jid", service.host.as_str());
        item.attr_opt("name", service.name.as_deref())
    };
    Ok(Some(Element::new("query", ns::DISCO_ITEMS).children_from(context.below.iter().map(item))))
}

fn no_node(query: &Element) -> Result<(), Condition> {
    match query.get("node") {
        Some(node) if !node.is_empty() => Err(Condition::ItemNotFound),
        _ => Ok(()),
    }
}
