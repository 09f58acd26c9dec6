//! What stands directly in a stanza, one bit for each element that the server cares about: noted while
//! the stanza's bytes are checked, so that archives, copies and offline messages need not read it again.
//!
//! Where a bit is not enough (`by` of a made-up id), `places` looks again, and only at stanzas that have it.

use super::{Parts, Stanza};
use crate::ns;
use crate::xml::scope::{NsRef, Scope};
use crate::xml::text::unescape_attribute;
use crate::xml::walk::{Opened, Visitor, Walk};
use crate::xml::{Limits, Span};
use std::ops::BitOr;
use std::sync::Arc;

/// A set of elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u32);

impl Marks {
    pub(crate) const NONE: Self = Self(0);
    /// Something that is none of the following.
    pub(crate) const OTHER: Self = Self(1);
    pub(crate) const BODY: Self = Self(1 << 1);
    pub(crate) const THREAD: Self = Self(1 << 2);
    pub(crate) const RECEIPT: Self = Self(1 << 3);
    pub(crate) const MARKER: Self = Self(1 << 4);
    pub(crate) const CHAT_STATE: Self = Self(1 << 5);
    /// A direct invitation to a room (XEP-0249).
    pub(crate) const CONFERENCE: Self = Self(1 << 6);
    pub(crate) const ENCRYPTION: Self = Self(1 << 7);
    /// What a room says to its occupants (XEP-0045 §7.2.2).
    pub(crate) const ROOM: Self = Self(1 << 8);
    /// An invitation in it (XEP-0045 §7.8.2).
    pub(crate) const INVITE: Self = Self(1 << 9);
    pub(crate) const STORE: Self = Self(1 << 10);
    pub(crate) const NO_STORE: Self = Self(1 << 11);
    pub(crate) const NO_PERMANENT_STORE: Self = Self(1 << 12);
    pub(crate) const NO_COPY: Self = Self(1 << 13);
    /// A hint that is none of these.
    pub(crate) const HINT: Self = Self(1 << 14);
    /// Any hint (XEP-0334).
    pub(crate) const HINTS: Self =
        Self::all(&[Self::STORE, Self::NO_STORE, Self::NO_PERMANENT_STORE, Self::NO_COPY, Self::HINT]);
    /// Not to be copied (XEP-0280 §6.1).
    pub(crate) const PRIVATE: Self = Self(1 << 15);
    pub(crate) const STANZA_ID: Self = Self(1 << 16);
    /// A reaction to an earlier message, or its retraction.
    pub(crate) const AMENDMENT: Self = Self(1 << 17);
    /// What a conversation is about, or a room (RFC 6121 §5.2.4, XEP-0045 §8.1).
    pub(crate) const SUBJECT: Self = Self(1 << 18);
    /// By which a room's occupants are known (XEP-0421).
    pub(crate) const OCCUPANT_ID: Self = Self(1 << 19);

    /// All of these.
    pub(crate) const fn all(sets: &[Self]) -> Self {
        let mut all = Self::NONE;
        let mut at = 0;
        while at < sets.len() {
            all.0 |= sets[at].0;
            at += 1;
        }
        all
    }

    /// What an element is, seen by itself.
    fn of(name: &[u8], namespace: &[u8]) -> Self {
        // Nearly all that people say stands in it.
        if namespace == ns::CLIENT.as_bytes() {
            return match name {
                b"body" => Self::BODY,
                b"thread" => Self::THREAD,
                b"subject" => Self::SUBJECT,
                _ => Self::OTHER,
            };
        }
        let Ok(namespace) = std::str::from_utf8(namespace) else { return Self::OTHER };
        match (namespace, name) {
            (ns::OCCUPANT_ID, b"occupant-id") => Self::OCCUPANT_ID,
            (ns::RECEIPTS, _) => Self::RECEIPT,
            (ns::MARKERS, _) => Self::MARKER,
            (ns::CHAT_STATES, _) => Self::CHAT_STATE,
            (ns::CONFERENCE, _) => Self::CONFERENCE,
            (ns::REACTIONS, b"reactions") | (ns::RETRACT, b"retract") => Self::AMENDMENT,
            (ns::ENCRYPTION, _) => Self::ENCRYPTION,
            (ns::MUC_USER, b"x") => Self::ROOM,
            (ns::HINTS, b"store") => Self::STORE,
            (ns::HINTS, b"no-store") => Self::NO_STORE,
            (ns::HINTS, b"no-permanent-store") => Self::NO_PERMANENT_STORE,
            (ns::HINTS, b"no-copy") => Self::NO_COPY,
            (ns::HINTS, _) => Self::HINT,
            (ns::CARBONS, b"private") => Self::PRIVATE,
            (ns::STANZA_ID, b"stanza-id") => Self::STANZA_ID,
            _ => Self::OTHER,
        }
    }

    /// What an element is that stands directly in a stanza.
    pub(crate) fn of_child(opened: &Opened<'_>, namespace: NsRef) -> Self {
        let namespace = opened.scope.uri_bytes(opened.bytes, namespace);
        Self::of(opened.tag.name.local(opened.bytes), &namespace)
    }

    /// What an element is that stands in a `parent`.
    pub(crate) fn of_grandchild(parent: Self, opened: &Opened<'_>) -> Self {
        let invite = parent == Self::ROOM
            && opened.tag.name.local(opened.bytes) == b"invite"
            && *opened.scope.uri_bytes(opened.bytes, opened.namespace()) == *ns::MUC_USER.as_bytes();
        if invite { Self::INVITE } else { Self::NONE }
    }

    /// Whether any of these is there.
    pub(crate) const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    /// Whether there is nothing but these.
    pub(crate) const fn only(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }
}

impl BitOr for Marks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where an element stands in the stanza's text, and its `by`.
#[derive(Debug)]
pub(crate) struct Place {
    whole: Span,
    pub(crate) by: Option<String>,
}

/// Looks for the places of some elements.
struct Places {
    what: Marks,
    found: Vec<Place>,
    /// Whether the end of the last has not come yet.
    open: bool,
}

impl Visitor for Places {
    fn open(&mut self, opened: &Opened<'_>) {
        if opened.depth != 1 || !Marks::of_child(opened, opened.namespace()).any(self.what) {
            return;
        }
        let start = opened.tag.name.span().start - 1;
        let by = opened.attributes.iter().find(|attribute| attribute.name.whole(opened.bytes) == b"by");
        let by = by.and_then(|by| std::str::from_utf8(by.value.of(opened.bytes)).ok());
        let by = by.map(|by| unescape_attribute(by).into_owned());
        self.found.push(Place { whole: Span { start, end: start }, by });
        self.open = true;
    }

    fn text(&mut self, _: &[u8], _: Span, _: bool) {}

    fn close(&mut self, depth: usize, end: usize) {
        if depth == 1
            && std::mem::take(&mut self.open)
            && let Some(last) = self.found.last_mut()
        {
            last.whole = Span::new(last.whole.start as usize, end);
        }
    }
}

impl Stanza {
    /// What stands directly in it.
    pub(crate) fn marks(&self) -> Marks {
        self.0.marks
    }

    /// The same without those elements of a kind that are `gone`; `None`: there are none.
    pub(crate) fn without(&self, what: Marks, gone: impl Fn(&Place) -> bool) -> Option<Self> {
        if !self.0.marks.any(what) {
            return None;
        }
        let mut places = Places { what, found: Vec::new(), open: false };
        let mut walk = Walk::new(Scope::with_default(ns::CLIENT), Limits::OWN);
        walk.go(self.0.text.as_bytes(), &mut places).ok()?;
        places.found.retain(gone);
        if places.found.is_empty() {
            return None;
        }
        let mut text = String::with_capacity(self.0.text.len());
        let mut at = 0;
        for place in places.found {
            text.push_str(&self.0.text[at..place.whole.start as usize]);
            at = place.whole.end as usize;
        }
        text.push_str(&self.0.text[at..]);
        Self::parse(&text).ok()
    }

    /// Its text with one more element at its end: ready XML, for surroundings of `jabber:client`.
    pub(crate) fn text_with(&self, element: &str) -> String {
        let name = self.0.kind.name();
        let mut text = String::with_capacity(self.0.text.len() + element.len() + name.len() + 3);
        if self.is_empty() {
            text.push_str(&self.0.text[..self.0.inner as usize - "/>".len()]);
            text.extend([">", element, "</", name, ">"]);
        } else {
            let end = self.end();
            text.extend([&self.0.text[..end], element, &self.0.text[end..]]);
        }
        text
    }

    /// The same with one more element at its end, which is a `mark`.
    #[must_use]
    pub(crate) fn with(&self, element: &str, mark: Marks) -> Self {
        let text = self.text_with(element);
        if self.0.children == 0 {
            // It has a first child now.
            return Self::parse(&text).unwrap_or_else(|_| self.clone());
        }
        let stanza = Self(Arc::new(Parts {
            text,
            children: self.0.children + 1,
            marks: self.0.marks | mark,
            from: self.0.from.clone(),
            to: self.0.to.clone(),
            ..*self.0
        }));
        debug_assert_eq!(Self::parse(stanza.as_str()).as_ref(), Ok(&stanza), "as if it were read");
        stanza
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attributes: &str, inner: &str, expected: Marks) {
        let stanza = Stanza::parse(&format!("<message{attributes}>{inner}</message>")).unwrap();
        assert_eq!(stanza.marks(), expected, "{attributes} {inner}");
    }

    /// What others think of a message in a room was taken for the room's new subject, and those who may not set it were refused.
    #[test]
    fn each_has_a_bit_of_its_own() {
        let all = [
            Marks::OTHER,
            Marks::BODY,
            Marks::THREAD,
            Marks::RECEIPT,
            Marks::MARKER,
            Marks::CHAT_STATE,
            Marks::CONFERENCE,
            Marks::ENCRYPTION,
            Marks::ROOM,
            Marks::INVITE,
            Marks::STORE,
            Marks::NO_STORE,
            Marks::NO_PERMANENT_STORE,
            Marks::NO_COPY,
            Marks::HINT,
            Marks::PRIVATE,
            Marks::STANZA_ID,
            Marks::AMENDMENT,
            Marks::SUBJECT,
            Marks::OCCUPANT_ID,
        ];
        let bits: Vec<u32> = all.iter().map(|mark| mark.0.count_ones()).collect();
        assert_eq!(bits, vec![1; all.len()]);
        assert_eq!(Marks::all(&all).0.count_ones() as usize, all.len());
    }

    #[test]
    fn elements_are_known_by_name_and_namespace() {
        check("", "", Marks::NONE);
        check("", "<body>x</body><thread/>", Marks::BODY | Marks::THREAD);
        check("", "<subject>x</subject>", Marks::SUBJECT);
        check("", "<body xmlns='urn:x'>x</body>", Marks::OTHER);
        check("", "<body xmlns=''/>", Marks::OTHER);
        check("", "<x xmlns='urn:x'><body xmlns='jabber:client'/></x>", Marks::OTHER);
        check("", "<body xmlns='jabber:cli&#101;nt'/>", Marks::BODY);
        check(" xmlns:h='urn:xmpp:hints'", "<h:store/><h:x/>", Marks::STORE | Marks::HINT);
        check("", "<no-store xmlns='urn:xmpp:hints'/>", Marks::NO_STORE);
        check("", "<no-permanent-store xmlns='urn:xmpp:hints'/>", Marks::NO_PERMANENT_STORE);
        check("", "<no-copy xmlns='urn:xmpp:hints'/>", Marks::NO_COPY);
        check("", "<private xmlns='urn:xmpp:carbons:2'/>", Marks::PRIVATE);
        check("", "<request xmlns='urn:xmpp:receipts'/>", Marks::RECEIPT);
        check("", "<displayed xmlns='urn:xmpp:chat-markers:0'/>", Marks::MARKER);
        check("", "<active xmlns='http://jabber.org/protocol/chatstates'/>", Marks::CHAT_STATE);
        check("", "<x xmlns='jabber:x:conference'/>", Marks::CONFERENCE);
        check("", "<encryption xmlns='urn:xmpp:eme:0'/>", Marks::ENCRYPTION);
        check("", "<stanza-id xmlns='urn:xmpp:sid:0'/>", Marks::STANZA_ID);
    }

    #[test]
    fn invitations_stand_in_what_rooms_say() {
        let room = "x xmlns='http://jabber.org/protocol/muc#user'";
        check("", &format!("<{room}/><invite/>"), Marks::ROOM | Marks::OTHER);
        check("", &format!("<{room}><invite/></x>"), Marks::ROOM | Marks::INVITE);
        check("", &format!("<{room}><invite xmlns='urn:x'/></x>"), Marks::ROOM);
        check("", &format!("<{room}><a><invite/></a></x>"), Marks::ROOM);
        let inside = "<y xmlns='urn:x'><invite xmlns='http://jabber.org/protocol/muc#user'/></y>";
        check("", &format!("<{room}/>{inside}"), Marks::ROOM | Marks::OTHER);
    }

    #[test]
    fn one_more_element_is_inserted() {
        for (before, after) in [
            ("<message/>", "<message><x xmlns='urn:x'/></message>"),
            ("<message to='a@b' />", "<message to='a@b' ><x xmlns='urn:x'/></message>"),
            ("<message>x</message >", "<message>x<x xmlns='urn:x'/></message >"),
            (
                "<message><body>&lt;/</body></message>",
                "<message><body>&lt;/</body><x xmlns='urn:x'/></message>",
            ),
        ] {
            let with = Stanza::parse(before).unwrap().with("<x xmlns='urn:x'/>", Marks::OTHER);
            assert_eq!(with.as_str(), after);
            assert_eq!(Stanza::parse(after), Ok(with));
        }
    }

    #[test]
    fn elements_are_cut_out() {
        let stanza = Stanza::parse(
            "<message><s:stanza-id by='a' xmlns:s='urn:xmpp:sid:0'><x><s:stanza-id/></x></s:stanza-id ><body/>\
             <stanza-id xmlns='urn:xmpp:sid:0'/></message>",
        );
        let stanza = stanza.unwrap();
        let cut = |gone: fn(&Place) -> bool| stanza.without(Marks::STANZA_ID, gone);
        assert_eq!(cut(|_| true).unwrap().as_str(), "<message><body/></message>");
        let rest = cut(|place| place.by.is_some()).unwrap();
        assert_eq!(rest.as_str(), "<message><body/><stanza-id xmlns='urn:xmpp:sid:0'/></message>");
        assert!(rest.payload_is("body", ns::CLIENT));
        assert_eq!(cut(|_| false), None);
        assert_eq!(stanza.without(Marks::RECEIPT, |_| true), None);
    }
}
