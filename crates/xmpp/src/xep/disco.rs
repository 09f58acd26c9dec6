//! Service discovery (XEP-0030): what the server is and does, and what an account is.

use super::{Answer, Context, Target};
use crate::ns;
use crate::router::Neighbour;
use crate::stanza::Condition;
use crate::xml::Element;
use wire::Address;

/// What the server does, in order.
const SERVER: &[&str] = &[
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::LAST,
    ns::PRIVATE,
    ns::VERSION,
    ns::REGISTER,
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
    let published: &[&str] = match context.target {
        Target::Account { .. } => crate::pubsub::FEATURES,
        Target::Server => &[],
    };
    let archive: &[&str] = match context.target {
        Target::Account { .. } if context.archive => &[ns::MAM, ns::MAM_EXTENDED, ns::STANZA_ID],
        _ => &[],
    };
    let (identity, features) = match context.target {
        Target::Server => (identity("server", "im").attr("name", "Parlour"), SERVER),
        Target::Account { .. } => (identity("account", "registered"), ACCOUNT),
    };
    let external: &[&str] = match context.target {
        Target::Server if !context.externals.services.is_empty() => &[ns::EXTERNAL],
        _ => &[],
    };
    let feature = |var: &&str| Element::new("feature", ns::DISCO_INFO).attr("var", *var);
    Ok(Some(
        Element::new("query", ns::DISCO_INFO)
            .child(identity)
            .children_from(matches!(context.target, Target::Account { .. }).then(pep))
            .children_from(features.iter().chain(archive).chain(external).chain(published).map(feature))
            .children_from(contacts(context)),
    ))
}

/// Whom to write to about the server (XEP-0157).
fn contacts(context: &Context<'_>) -> Option<Element> {
    if context.admins.is_empty() || context.target != Target::Server {
        return None;
    }
    let value = |text: String| Element::new("value", ns::DATA_FORMS).text(text);
    let field = |kind: &'static str, var: &'static str| {
        Element::new("field", ns::DATA_FORMS).attr("type", kind).attr("var", var)
    };
    let own = field("hidden", "FORM_TYPE").child(value(ns::SERVER_INFO.to_owned()));
    let admins = context.admins.iter().map(|admin| value(format!("xmpp:{}", in_uri(admin))));
    let admins = field("list-multi", "admin-addresses").children_from(admins);
    Some(Element::new("x", ns::DATA_FORMS).attr("type", "result").child(own).child(admins))
}

/// As it stands in a URI (RFC 5122 §2.2).
fn in_uri(address: &Address) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~!$'()*+,;=:@".contains(&octet);
    let octets = address.as_str().bytes();
    octets.map(|o| if plain(o) { char::from(o).to_string() } else { format!("%{o:02X}") }).collect()
}

/// What an account is besides (XEP-0163 §6.1).
fn pep() -> Element {
    Element::new("identity", ns::DISCO_INFO).attr("category", "pubsub").attr("type", "pep")
}

/// `disco#items` (§4): a domain lists its services. What is below an account, it publishes (`pubsub`).
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
