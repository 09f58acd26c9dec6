//! Bookmarks of rooms: each an item of its own (XEP-0402), and for clients of old all in one element of private storage
//! (XEP-0048, XEP-0049). The items are what holds; the element is made of them, and what is new in it becomes items. What an
//! account kept before it had items becomes items when they are first asked for. Whatever else stands in the element stays there.

use super::config::{Access, Config, MAX, SendLast};
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
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{Address, ConnectionId};

/// Under which title private storage keeps the element.
const TITLE: &str = "storage:bookmarks storage";

/// What both forms say of a bookmark: the others' extensions are in the item alone.
fn told(conference: &Element) -> (Option<&str>, bool, [Option<String>; 2]) {
    let namespace = conference.namespace();
    let text = |name| conference.find(name, namespace).map(Element::content).filter(|text| !text.is_empty());
    let autojoin = matches!(conference.get("autojoin"), Some("true" | "1"));
    (conference.get("name"), autojoin, [text("nick"), text("password")])
}

/// The same in another form; `jid`: the room, in the form of old.
fn converted(conference: &Element, namespace: &'static str, jid: Option<&str>) -> Element {
    let (name, autojoin, [nick, password]) = told(conference);
    let element = Element::new("conference", namespace).attr_opt("jid", jid).attr_opt("name", name);
    let element = element.attr_opt("autojoin", autojoin.then_some("true"));
    let texts = [("nick", nick), ("password", password)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some(Element::new(name, namespace).text(text?)));
    element.children_from(texts)
}

/// The rooms of an element of old, by their address in normal form; those without one are left out.
fn rooms(storage: &Element) -> Vec<(String, &Element)> {
    let conferences = storage.children().filter(|child| child.is("conference", ns::BOOKMARKS_OLD));
    let room = |conference: &Element| Some(conference.get("jid")?.parse::<Jid>().ok()?.to_bare().to_string());
    let mut seen = BTreeSet::new();
    let rooms = conferences.filter_map(|conference| Some((room(conference)?, conference)));
    rooms.filter(|(jid, _)| seen.insert(jid.clone())).collect()
}

/// The items as rooms of an element of old.
fn conferences(found: &Items) -> Vec<Element> {
    let read = |item: &KeptItem| {
        let payload = Element::parse(&item.payload, "").ok()?;
        let right = payload.is("conference", ns::BOOKMARKS);
        right.then(|| converted(&payload, ns::BOOKMARKS_OLD, Some(&item.id)))
    };
    found.items.iter().filter_map(read).collect()
}

/// A node as XEP-0402 §4 wants it: for nobody else.
fn fresh(number: i64) -> Node {
    let config =
        Config { access: Access::Whitelist, max_items: MAX, send_last: SendLast::Never, ..Config::default() };
    Node { number, config, ..Node::default() }
}

/// The item of a room, with the extensions of the one that was there; `None`: it says the same.
fn item(
    place: i64,
    jid: &str,
    new: &Element,
    old: Option<&KeptItem>,
    publisher: &Address,
) -> Option<KeptItem> {
    let old = old.and_then(|old| Element::parse(&old.payload, "").ok());
    if old.as_ref().is_some_and(|old| told(old) == told(new)) {
        return None;
    }
    let extensions = old.as_ref().and_then(|old| old.find("extensions", ns::BOOKMARKS)).cloned();
    let payload = converted(new, ns::BOOKMARKS, None).children_from(extensions).to_xml("");
    Some(KeptItem { place, id: jid.into(), publisher: publisher.as_str().into(), payload: payload.into() })
}

impl Router {
    /// A session reads or sets its bookmarks in the form of old; `false`: private storage alone has to do with it.
    pub(crate) fn old_bookmarks(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        storage: &Element,
    ) -> bool {
        let Some(account) = stanza.from().and_then(Jid::address).cloned() else { return false };
        if !storage.is("storage", ns::BOOKMARKS_OLD) {
            return false;
        }
        let asker = Asker::Session(connection, stanza.clone());
        match (self.nodes(&account).get(ns::BOOKMARKS).map(|node| node.number), get) {
            (None, true) => false,
            (Some(number), true) => {
                self.read_bookmarks(&account, asker, number, Reading::OldBookmarks);
                true
            }
            (Some(number), false) => {
                self.read_bookmarks(&account, asker, number, Reading::NewBookmarks(storage.clone()));
                true
            }
            (None, false) => {
                self.set_bookmarks(&account, Some(asker), storage, &Items::default());
                true
            }
        }
    }

    fn read_bookmarks(&mut self, account: &Address, asker: Asker, number: i64, reading: Reading) {
        let octets = self.limits.documents;
        let page = ItemPage { limit: self.limits.node_items, octets, ..ItemPage::default() };
        self.read_nodes(account, Some(asker), NodeLookUp::Items { number, page }, reading);
    }

    /// The items are known: what else there is stands in the element that private storage has.
    pub(super) fn old_bookmarks_read(&mut self, account: &Address, asker: &Asker, found: &Items) {
        let Asker::Session(connection, stanza) = asker else { return };
        let (connection, stanza) = (*connection, stanza.clone());
        let reader = Reader::Bookmarks { connection, stanza, rooms: conferences(found) };
        self.read_document(account, DocumentKind::Private, TITLE, reader);
    }

    /// The element of old, with the rooms as the items have them.
    pub(crate) fn with_rooms(kept: Option<&str>, rooms: Vec<Element>) -> Element {
        let kept = kept.and_then(|kept| Element::parse(kept, ns::PRIVATE).ok());
        let others = kept.iter().flat_map(Element::children);
        let others: Vec<Element> =
            others.filter(|child| !child.is("conference", ns::BOOKMARKS_OLD)).cloned().collect();
        Element::new("storage", ns::BOOKMARKS_OLD).children_from(rooms).children_from(others)
    }

    /// Makes the items what an element of old says.
    pub(super) fn set_bookmarks(
        &mut self,
        account: &Address,
        asker: Option<Asker>,
        storage: &Element,
        found: &Items,
    ) {
        let wanted = rooms(storage);
        if wanted.len() > usize::try_from(self.limits.node_items).unwrap_or(usize::MAX) {
            return asker.iter().for_each(|asker| self.reply_error(asker, Condition::NotAcceptable));
        }
        let first = self.next_archive_id();
        self.last_archived = first.saturating_add(i64::try_from(wanted.len()).unwrap_or_default());
        let places = (first + 1..).zip(&wanted);
        let items: Vec<KeptItem> = places
            .filter_map(|(place, (jid, new))| {
                let old = found.items.iter().find(|item| *item.id == **jid);
                item(place, jid, new, old, account)
            })
            .collect();
        let gone = found.items.iter().filter(|item| wanted.iter().all(|(jid, _)| **jid != *item.id));
        let gone: Vec<String> = gone.map(|item| item.id.to_string()).collect();
        let mut change = self.bookmarks_change(account, first, items, gone);
        change.done.bookmarks = asker.is_some().then(|| Box::new(storage.clone()));
        self.change_nodes(account, asker, change);
    }

    fn bookmarks_change(
        &self,
        account: &Address,
        first: i64,
        items: Vec<KeptItem>,
        gone: Vec<String>,
    ) -> Change {
        let name: Arc<str> = ns::BOOKMARKS.into();
        let known = self.nodes(account).get(&name).cloned();
        let (new, node) = (known.is_none(), known.unwrap_or_else(|| fresh(first)));
        let mut done = Done::default();
        let mut changes = Vec::new();
        if new {
            changes.push(node.row(&name));
        }
        let news = |inner| News { name: Arc::clone(&name), node: Box::new(node.clone()), inner };
        if !gone.is_empty() {
            done.news.push(news(super::retract::inner(&name, &gone)));
            changes.push(NodeChange::RemoveItems { number: node.number, ids: gone });
        }
        if !items.is_empty() {
            done.news.push(news(event::items(&name, &node.config, &items)));
        }
        let (keep, limit) = (self.limits.node_items, self.limits.items_octets);
        changes.push(NodeChange::PutItems { number: node.number, items, keep, limit });
        let node = new.then(|| Set::To(Box::new(node)));
        Change { name, node, changes, done }
    }

    /// What is no room stays in private storage. The rooms that are there from before there were items go, now that they
    /// are items; whoever set them is answered when all of it is durable.
    pub(super) fn keep_other_bookmarks(&mut self, asker: &Asker, storage: &Element) {
        let Asker::Session(connection, stanza) = asker else { return };
        let rest = Self::with_rooms(Some(&storage.to_xml(ns::PRIVATE)), Vec::new());
        let payload = rest.children().next().is_some().then(|| rest.to_xml(ns::PRIVATE));
        self.put_document(*connection, stanza, DocumentKind::Private, TITLE, payload);
    }

    /// The account asks for items that are not there yet: those of old, perhaps.
    pub(super) fn old_bookmarks_first(
        &mut self,
        account: &Address,
        asker: &Asker,
        get: bool,
        payload: &Element,
    ) -> bool {
        let items = payload.find("items", ns::PUBSUB);
        let asked = get && items.is_some_and(|items| items.get("node") == Some(ns::BOOKMARKS));
        let (true, Asker::Session(connection, stanza)) = (asked, asker) else { return false };
        if self.nodes(account).get(ns::BOOKMARKS).is_some() {
            return false;
        }
        let reader = Reader::FirstBookmarks { connection: *connection, stanza: stanza.clone() };
        self.read_document(account, DocumentKind::Private, TITLE, reader);
        true
    }

    /// What private storage has becomes items; then the question is answered.
    pub(crate) fn first_bookmarks(
        &mut self,
        account: &Address,
        connection: ConnectionId,
        stanza: &Stanza,
        kept: Option<&str>,
    ) {
        let asker = Asker::Session(connection, stanza.clone());
        let storage = kept.and_then(|kept| Element::parse(kept, ns::PRIVATE).ok());
        let there = self.nodes(account).get(ns::BOOKMARKS).is_some();
        match storage.filter(|storage| !there && !rooms(storage).is_empty()) {
            Some(storage) => self.set_bookmarks(account, None, &storage, &Items::default()),
            None if there => {}
            None => return self.reply_error(&asker, Condition::ItemNotFound),
        }
        if let Some(payload) = stanza.payload_element() {
            self.nodes_request(account, &asker, true, &payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_the_same_in_both_forms() {
        let check = |new: &str, old: &str| {
            let new = Element::parse(new, ns::BOOKMARKS).unwrap();
            let old = Element::parse(old, ns::BOOKMARKS_OLD).unwrap();
            assert_eq!(converted(&new, ns::BOOKMARKS_OLD, Some("a@b")), old);
            assert_eq!(converted(&old, ns::BOOKMARKS, None), new);
            assert_eq!(told(&new), told(&old));
        };
        check("<conference/>", "<conference jid='a@b'/>");
        check(
            "<conference name='Council' autojoin='true'><nick>Puck</nick><password>x</password></conference>",
            "<conference jid='a@b' name='Council' autojoin='true'><nick>Puck</nick><password>x</password></conference>",
        );
    }

    /// The first of each room counts, in a list as long as a stanza can be.
    #[test]
    fn each_room_is_there_once() {
        let rows = (0..10_000).map(|n| format!("<conference jid='{n}@b'/>"));
        let rows: String = rows.chain(["<conference jid='7@b' name='again'/>".to_owned()]).collect();
        let storage = format!("<storage xmlns='storage:bookmarks'>{rows}</storage>");
        let storage = Element::parse(&storage, "").unwrap();
        let rooms = rooms(&storage);
        assert_eq!(rooms.len(), 10_000);
        assert_eq!(rooms[7].1.get("name"), None);
    }
}
