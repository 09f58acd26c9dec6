//! vCard4 (XEP-0292): an item of the account's node `urn:xmpp:vcard4`, which may be asked for and set by an IQ as well.

use super::kept::NodeLookUp;
use super::request::{Asker, Plan, View};
use super::stored::Reading;
use crate::ns;
use crate::router::Router;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use wire::Address;

/// The name of the item.
const ITEM: &str = "current";

/// Somebody asks for the account's.
pub(super) fn plan(view: &View<'_>) -> Result<Plan, StanzaError> {
    match view.nodes.get(ns::VCARD4_NODE) {
        Some(node) => {
            node.may_see(view.account, view.roster, view.who)?;
            Ok(Plan::Read(NodeLookUp::Last { numbers: vec![node.number], octets: 0 }, Reading::Card))
        }
        None if view.is_own() => Ok(Plan::Answer(Some(Element::new("vcard", ns::VCARD4)))),
        None => Err(Condition::ItemNotFound.into()),
    }
}

impl Router {
    /// The account sets its own.
    pub(super) fn set_card4(&mut self, account: &Address, asker: &Asker, card: &Element) {
        let payload = card.to_xml("");
        if payload.len() > self.limits.item {
            return self.reply_error(asker, super::refusal::payload_too_big());
        }
        self.publish_own(account, Some(asker.clone()), ns::VCARD4_NODE, ITEM, payload);
    }
}
