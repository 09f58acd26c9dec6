//! Reading items (XEP-0060 §6.5): all, the newest, some by name, or page by page (XEP-0059).

use super::config::Config;
use super::event::write_item;
use super::kept::{ItemPage, Items, KeptItem, NodeLookUp};
use super::refusal;
use super::request::{Plan, View};
use super::stored::Reading;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Element, Writer};
use std::sync::Arc;

/// The most items that may be named at once.
const MAX_NAMED: usize = 100;

/// What a request wants to be answered.
#[derive(Debug)]
pub(crate) struct Wanted {
    name: Arc<str>,
    config: Box<Config>,
    /// Whether it came with a page of XEP-0059, and is answered with one.
    paged: bool,
    /// How many were asked for; 0: only their number.
    most: u32,
}

/// `<items/>`, and `<set/>` beside it.
pub(super) fn plan(view: &View<'_>, items: &Element, pubsub: &Element) -> Result<Plan, StanzaError> {
    let (name, node) = view.node(items)?;
    node.may_see(view.account, view.roster, view.who)?;
    if items.get("subid").is_some() {
        return Err(refusal::invalid_subid());
    }
    // What is given at a time: about as much as a stanza may have.
    let octets = 2 * view.limits.item as u64;
    let mut page = ItemPage { limit: view.limits.node_items, octets, last: true, ..ItemPage::default() };
    let named = items.children().filter(|child| child.is("item", ns::PUBSUB));
    let named: Vec<String> = named.filter_map(|item| item.get("id")).map(str::to_owned).collect();
    if named.len() > MAX_NAMED {
        return Err(Condition::PolicyViolation.into());
    }
    if !named.is_empty() {
        page.ids = Some(named);
    }
    if let Some(most) = items.get("max_items") {
        let most: u32 = most.parse().ok().filter(|most| *most > 0).ok_or(Condition::BadRequest)?;
        page.limit = page.limit.min(most);
    }
    let set = pubsub.find("set", ns::RSM);
    if let Some(set) = set {
        read_page(set, &mut page)?;
    }
    let most = page.limit;
    let wanted =
        Wanted { name: Arc::clone(name), config: Box::new(node.config.clone()), paged: set.is_some(), most };
    // One at least, so that the page has a place.
    page.limit = page.limit.max(1);
    Ok(Plan::Read(NodeLookUp::Items { number: node.number, page }, Reading::Items(wanted)))
}

/// XEP-0059 §2.
pub(super) fn read_page(set: &Element, page: &mut ItemPage) -> Result<(), StanzaError> {
    page.last = false;
    for child in set.children().filter(|child| child.namespace() == ns::RSM) {
        let text = child.content();
        match child.name() {
            "max" => {
                let most = text.trim().parse::<u32>().map_err(|_| Condition::BadRequest)?;
                page.limit = page.limit.min(most);
            }
            "after" if !text.is_empty() => page.after = Some(text),
            "before" => {
                page.last = true;
                page.before = Some(text).filter(|text| !text.is_empty());
            }
            "index" => return Err(Condition::FeatureNotImplemented.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The answer.
pub(super) fn answer(wanted: &Wanted, found: &Items) -> String {
    let told = if wanted.most == 0 { &[] } else { &found.items[..] };
    let mut w = Writer::new();
    w.open("pubsub").attr("xmlns", ns::PUBSUB);
    w.open("items").attr("node", &wanted.name);
    told.iter().for_each(|item| write_item(&mut w, &wanted.config, item, true));
    w.close();
    if wanted.paged || found.cut {
        w.element(&set(told, found.count, found.index), ns::PUBSUB);
    }
    w.finish()
}

/// The place of a page among all.
fn set(told: &[KeptItem], count: u64, index: u64) -> Element {
    let text = |name: &'static str, text: String| Element::new(name, ns::RSM).text(text);
    let mut set = Element::new("set", ns::RSM);
    if let (Some(first), Some(last)) = (told.first(), told.last()) {
        set.push(text("first", first.id.to_string()).attr("index", index.to_string()));
        set.push(text("last", last.id.to_string()));
    }
    set.child(text("count", count.to_string()))
}
