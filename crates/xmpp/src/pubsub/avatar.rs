//! An account's picture, the same for clients of today and of old (XEP-0398): published as XEP-0084 has it, it is in the vCard
//! that others ask for and its hash is in presence (XEP-0153); set with the vCard, it is published.
//!
//! The hash is noted at the node of metadata, so that presence waits for nothing.

use super::config::Access;
use super::event::{self, News};
use super::kept::{ItemPage, Items, KeptItem, NodeChange, NodeLookUp};
use super::node::Node;
use super::request::{Asker, Change, Done, Set};
use super::stored::Reading;
use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::router::ask::DocumentKind;
use crate::router::settings::Reader;
use crate::stanza::Stanza;
use crate::xml::Element;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use std::sync::Arc;
use wire::Address;

/// What is noted at a node of these items: the hash of the picture that is not elsewhere (XEP-0398 §3.1).
pub(super) fn note(name: &str, items: &[KeptItem]) -> Option<Box<str>> {
    let item = items.last().filter(|_| name == ns::AVATAR_METADATA)?;
    let metadata = Element::parse(&item.payload, "").ok()?;
    let infos = metadata.children().filter(|child| child.is("info", ns::AVATAR_METADATA));
    let here = infos.filter(|info| info.get("url").is_none()).find_map(|info| info.get("id"));
    let is_hash = |id: &&str| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    here.filter(is_hash).map(|id| id.to_ascii_lowercase().into())
}

/// What a picture is, by its first octets in base64.
fn kind(base64: &str) -> Option<&'static str> {
    let kinds =
        [("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    kinds.into_iter().find(|(start, _)| base64.starts_with(start)).map(|(_, kind)| kind)
}

/// `<PHOTO/>` of a picture.
fn photo(base64: &str) -> Element {
    let text = |name: &'static str, text: &str| Element::new(name, ns::VCARD).text(text);
    let kind = kind(base64).map(|kind| text("TYPE", kind));
    Element::new("PHOTO", ns::VCARD).children_from(kind).child(text("BINVAL", base64))
}

/// A vCard with another picture.
pub(crate) fn with_photo(card: Option<&str>, photo: Element) -> String {
    let card = card.and_then(|card| Element::parse(card, ns::CLIENT).ok());
    let others =
        card.iter().flat_map(Element::children).filter(|child| !child.is("PHOTO", ns::VCARD)).cloned();
    let others: Vec<Element> = others.collect();
    Element::new("vCard", ns::VCARD).children_from(others).child(photo).to_xml(ns::CLIENT)
}

/// What a presence says of the picture: nothing, that it does not know, or that there is none.
enum Said {
    Nothing,
    Unknown,
    Known,
}

fn said(presence: &Stanza) -> Said {
    if !presence.as_str().contains(ns::VCARD_UPDATE) {
        return Said::Nothing;
    }
    let Ok(presence) = presence.element() else { return Said::Known };
    match presence.find("x", ns::VCARD_UPDATE) {
        None => Said::Nothing,
        Some(x) if x.find("photo", ns::VCARD_UPDATE).is_none() => Said::Unknown,
        Some(_) => Said::Known,
    }
}

impl Router {
    /// The hash of an account's picture, where those who see its presence may see it.
    fn avatar(&self, account: &Address) -> Option<&str> {
        let metadata = self.nodes(account).get(ns::AVATAR_METADATA)?;
        let shown = matches!(metadata.config.access, Access::Open | Access::Presence);
        metadata.note.as_deref().filter(|_| shown)
    }

    /// Available presence with the hash of the picture, where the client leaves it to us (XEP-0398 §4).
    pub(crate) fn with_avatar(&self, presence: Stanza) -> Stanza {
        let hash = presence.from().and_then(Jid::address).and_then(|account| self.avatar(account));
        let Some(hash) = hash else { return presence };
        let photo = Element::new("photo", ns::VCARD_UPDATE).text(hash);
        let x = Element::new("x", ns::VCARD_UPDATE).child(photo);
        let text = match said(&presence) {
            Said::Known => return presence,
            Said::Nothing => match presence.as_str().strip_suffix("/>") {
                Some(start) => format!("{start}>{}</presence>", x.to_xml(ns::CLIENT)),
                None => {
                    let end = presence.as_str().rfind("</").unwrap_or_default();
                    let (start, end) = presence.as_str().split_at(end);
                    format!("{start}{}{end}", x.to_xml(ns::CLIENT))
                }
            },
            Said::Unknown => {
                let Ok(element) = presence.element() else { return presence };
                let mut new = Element::new("presence", ns::CLIENT);
                element.attributes().for_each(|(name, value)| new.set(name.to_owned(), value));
                let others = element.children().filter(|child| !child.is("x", ns::VCARD_UPDATE));
                new.children_from(others.cloned().chain([x])).to_xml(ns::CLIENT)
            }
        };
        Stanza::parse(&text).unwrap_or(presence)
    }

    /// Reads an account's vCard for somebody, with the picture that it publishes, if whoever asks may see that.
    pub(crate) fn read_card(&mut self, account: &Address, reader: Reader) {
        let who = match &reader {
            Reader::Own { stanza, .. } => stanza.from().cloned(),
            Reader::Other(parcel) => Some(parcel.from().clone()),
            _ => None,
        };
        let nodes = (self.nodes(account).get(ns::AVATAR_METADATA), self.nodes(account).get(ns::AVATAR_DATA));
        let sees = |node: &Node| {
            who.as_ref().is_some_and(|who| node.may_see(account, self.roster(account), who).is_ok())
        };
        let picture = match nodes {
            (Some(metadata), Some(data)) if sees(metadata) && sees(data) => {
                metadata.note.as_deref().map(|hash| (data.number, hash.to_owned()))
            }
            _ => None,
        };
        let Some((number, hash)) = picture else {
            return self.read_document(account, DocumentKind::Card, "", reader);
        };
        let page = ItemPage { ids: Some(vec![hash]), limit: 1, ..ItemPage::default() };
        let reading = Reading::Photo(Box::new(reader));
        self.read_nodes(account, None, NodeLookUp::Items { number, page }, reading);
    }

    /// The picture was looked for: the vCard comes next.
    pub(super) fn photo_read(&mut self, account: &Address, reader: Reader, found: Option<&Items>) {
        let data = found.and_then(|found| found.items.first());
        let data = data.and_then(|item| Element::parse(&item.payload, "").ok());
        let base64 = data.map(|data| data.content().split_whitespace().collect::<String>());
        let reader = match base64.filter(|base64| !base64.is_empty()) {
            Some(base64) => Reader::Photo { reader: Box::new(reader), photo: photo(&base64) },
            None => reader,
        };
        self.read_document(account, DocumentKind::Card, "", reader);
    }

    /// A session has set its vCard: a picture in it is published (XEP-0398 §3.2).
    pub(crate) fn publish_photo(&mut self, account: &Address, card: &Element) {
        let Some(photo) = card.find("PHOTO", ns::VCARD) else { return };
        let base64 = photo.find("BINVAL", ns::VCARD).map(Element::content).unwrap_or_default();
        let base64: String = base64.split_whitespace().collect();
        let Ok(picture) = STANDARD.decode(&base64) else { return };
        let known = self.nodes(account).get(ns::AVATAR_METADATA).and_then(|node| node.note.clone());
        let metadata = Element::new("metadata", ns::AVATAR_METADATA);
        if picture.is_empty() {
            if known.is_some() && photo.find("EXTVAL", ns::VCARD).is_none() {
                self.publish_own(account, None, ns::AVATAR_METADATA, "current", metadata.to_xml(""));
            }
            return;
        }
        let hash: String = Sha1::digest(&picture).iter().map(|octet| format!("{octet:02x}")).collect();
        let data = Element::new("data", ns::AVATAR_DATA).text(base64.as_str()).to_xml("");
        if known.as_deref() == Some(hash.as_str()) || data.len() > self.limits.item {
            return;
        }
        let told = photo.find("TYPE", ns::VCARD).map(Element::content).filter(|kind| !kind.is_empty());
        let told = told.or_else(|| kind(&base64).map(str::to_owned));
        let info = Element::new("info", ns::AVATAR_METADATA).attr("bytes", picture.len().to_string());
        let info = info.attr("id", hash.clone()).attr_opt("type", told);
        self.publish_own(account, None, ns::AVATAR_DATA, &hash, data);
        self.publish_own(account, None, ns::AVATAR_METADATA, &hash, metadata.child(info).to_xml(""));
    }

    /// Publishes an item in the account's name, and makes the node if there is room for it.
    pub(super) fn publish_own(
        &mut self,
        account: &Address,
        asker: Option<Asker>,
        name: &'static str,
        id: &str,
        payload: String,
    ) {
        let number = self.reserve_ids();
        let known = self.nodes(account).get(name).cloned();
        if known.is_none() && self.nodes(account).len() >= self.limits.nodes {
            return asker.iter().for_each(|asker| {
                self.reply_error(asker, super::refusal::max_nodes_exceeded());
            });
        }
        let mut node = known.clone().unwrap_or_else(|| Node { number, ..Node::default() });
        let publisher: Arc<str> = account.as_str().into();
        let items = vec![KeptItem { place: number + 1, id: id.into(), publisher, payload: payload.into() }];
        node.note = note(name, &items);
        let name: Arc<str> = name.into();
        let inner = event::items(&name, &node.config, &items);
        let news = vec![News { name: Arc::clone(&name), node: Box::new(node.clone()), inner }];
        let mut changes = Vec::new();
        let new = known.as_ref() != Some(&node);
        if new {
            changes.push(node.row(&name));
        }
        let keep = node.config.max_items.min(self.limits.node_items);
        let limit = self.limits.items_octets;
        changes.push(NodeChange::PutItems { number: node.number, items, keep, limit });
        let node = new.then(|| Set::To(Box::new(node)));
        let change = Change { name, node, changes, done: Done { news, ..Done::default() } };
        self.change_nodes(account, asker, change);
    }
}
