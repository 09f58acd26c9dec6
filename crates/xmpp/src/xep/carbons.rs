//! Message carbons (XEP-0280): a resource that asks for them gets a copy of what the account's other resources say and
//! hear.
//!
//! Copies come from the account itself, so that nobody else can pass one off as the server's (§11). What a client hides
//! by `<private/>` or `<no-copy/>` is not copied; the element stays in the message, which is never written anew.

use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::stanza::marks::Marks;
use crate::stanza::{Condition, Draft, Kind, MessageType, Stanza};
use wire::{Address, ConnectionId};

/// Which way a copied message went, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It was said by one of its resources.
    Sent,
    /// It came for the account.
    Received,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
        }
    }
}

/// What makes a message part of a conversation.
const TALK: Marks = Marks::all(&[
    Marks::BODY,
    Marks::RECEIPT,
    Marks::MARKER,
    Marks::CHAT_STATE,
    Marks::CONFERENCE,
    Marks::INVITE,
]);

/// Whether the account's other resources are to see a message (§6.1).
fn is_eligible(stanza: &Stanza, way: Way) -> bool {
    let kind = stanza.message_type();
    if matches!(kind, MessageType::Groupchat | MessageType::Headline) {
        return false;
    }
    let marks = stanza.marks();
    if marks.any(Marks::PRIVATE | Marks::NO_COPY) {
        return false;
    }
    if marks.any(Marks::ROOM) && !marks.any(Marks::INVITE) && way == Way::Received {
        // What an occupant says in private: the room gives it to each of the account's resources that is there.
        return false;
    }
    matches!(kind, MessageType::Chat | MessageType::Error) || marks.any(TALK)
}

/// The copy for one resource.
fn copy(stanza: &Stanza, way: Way, to: &Jid) -> Stanza {
    let name = way.name();
    let original = stanza.forwarded("");
    let inner = format!("<{name} xmlns='{}'>{original}</{name}>", ns::CARBONS);
    let draft = Draft::new(Kind::Message).from(Some(&to.to_bare())).to(Some(to)).raw(&inner);
    let draft = stanza.type_attr().map_or(draft.clone(), |kind| draft.type_(kind));
    draft.build()
}

impl Router {
    /// A session wants copies, or no more of them (§4, §5).
    pub(super) fn set_carbons(&mut self, connection: ConnectionId, stanza: &Stanza, wanted: bool) {
        if stanza.iq_type().is_none_or(|kind| kind != crate::stanza::IqType::Set) {
            return self.answer_error(connection, stanza, Condition::BadRequest);
        }
        let account = stanza.from().and_then(Jid::address);
        let seat = account.and_then(|account| self.accounts.get_mut(account)?.seat_of(connection));
        if let Some(seat) = seat {
            seat.carbons = wanted;
        }
        self.answer(connection, stanza.result(None));
    }

    /// A session has copies from its beginning.
    pub(crate) fn begin_carbons(&mut self, connection: ConnectionId) {
        let address = self.sessions.get(&connection).and_then(|session| session.jid.address().cloned());
        let account = address.and_then(|address| self.accounts.get_mut(&address));
        if let Some(seat) = account.and_then(|account| account.seat_of(connection)) {
            seat.carbons = true;
        }
    }

    /// Copies what a session said to the account's other resources. What the account says to itself, it hears.
    pub(crate) fn copy_sent(&mut self, connection: ConnectionId, stanza: &Stanza) {
        let Some(account) = stanza.from().and_then(Jid::address) else { return };
        if !stanza.to().is_some_and(|to| to.is_account(account)) {
            self.copy_to_others(account, stanza, Way::Sent, |other, _| other == connection);
        }
    }

    /// Copies what came for an account to those of its resources that want copies and are not `given` it; `given` is
    /// told the connection and the priority.
    pub(crate) fn copy_to_others(
        &mut self,
        account: &Address,
        stanza: &Stanza,
        way: Way,
        given: impl Fn(ConnectionId, Option<i8>) -> bool,
    ) {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let want = seats.iter().filter(|seat| seat.carbons && !given(seat.connection, seat.priority));
        let want: Vec<ConnectionId> = want.map(|seat| seat.connection).collect();
        if want.is_empty() || !is_eligible(stanza, way) {
            return;
        }
        for connection in want {
            let Some(session) = self.sessions.get(&connection) else { continue };
            let copy = copy(stanza, way, &session.jid);
            self.deliver(connection, copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    #[track_caller]
    fn check(attributes: &str, inner: &str, way: Way, expected: bool) {
        let stanza = Stanza::parse(&format!("<message from='a@b/c' to='d@e'{attributes}>{inner}</message>"));
        assert_eq!(is_eligible(&stanza.unwrap(), way), expected, "{attributes} {inner}");
    }

    #[test]
    fn what_belongs_to_a_conversation_is_copied() {
        for way in [Way::Sent, Way::Received] {
            check(" type='chat'", "", way, true);
            check(" type='chat'", "<active xmlns='http://jabber.org/protocol/chatstates'/>", way, true);
            check("", "<body>x</body>", way, true);
            check("", "<received xmlns='urn:xmpp:receipts' id='1'/>", way, true);
            check("", "<x xmlns='jabber:x:conference' jid='a@b'/>", way, true);
            check(" type='error'", "", way, true);
            check("", "<x xmlns='urn:example:other'/>", way, false);
            check(" type='headline'", "<body>x</body>", way, false);
            check(" type='groupchat'", "<body>x</body>", way, false);
        }
    }

    #[test]
    fn what_is_private_is_not() {
        for hidden in ["<private xmlns='urn:xmpp:carbons:2'/>", "<no-copy xmlns='urn:xmpp:hints'/>"] {
            check(" type='chat'", &format!("<body>x</body>{hidden}"), Way::Sent, false);
            check(" type='chat'", &format!("<body>x</body>{hidden}"), Way::Received, false);
        }
    }

    #[test]
    fn what_is_whispered_in_a_room_comes_from_the_room() {
        let muc = "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>";
        check(" type='chat'", muc, Way::Sent, true);
        check(" type='chat'", muc, Way::Received, false);
        let invitation = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>";
        check("", invitation, Way::Received, true);
    }

    #[test]
    fn however_many_foreign_attributes_a_message_has_it_can_be_written_anew_and_copied() {
        let attributes: String = (0..64).map(|n| format!(" p:a{n}=''")).collect();
        let open: String = (1..64).map(|n| format!("<{}:e{attributes}>", ["p", "q"][n % 2])).collect();
        let close: String = (1..64).rev().map(|n| format!("</{}:e>", ["p", "q"][n % 2])).collect();
        let text = format!("<message from='a@b/c' xmlns:p='p' xmlns:q='q'>{open}{close}</message>");
        let message = Element::parse(&text, ns::CLIENT).unwrap();
        let anew = Draft::new(Kind::Message).child(message.children().next().unwrap()).build();
        assert!(copy(&anew, Way::Received, &"d@e/f".parse().unwrap()).element().is_ok());
    }

    #[test]
    fn a_copy_carries_the_message_as_it_was() {
        let stanza = Stanza::parse(
            "<message from='a@b/c' to='d@e' id=\" xmlns='x'\" type='chat'><p:x xmlns:p='urn:p'/><body>&lt;</body></message>",
        )
        .unwrap();
        let copy = copy(&stanza, Way::Received, &"d@e/f".parse().unwrap());
        assert_eq!(
            copy.as_str(),
            "<message from='d@e' to='d@e/f' type='chat'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b/c' to='d@e' \
             id=\" xmlns='x'\" type='chat'><p:x xmlns:p='urn:p'/><body>&lt;</body></message></forwarded>\
             </received></message>"
        );
        let written = Stanza::parse("<message from='a@b/c' xmlns='jabber:client'/>").unwrap();
        assert_eq!(
            written.forwarded("<delay/>"),
            "<forwarded xmlns='urn:xmpp:forward:0'><delay/><message from='a@b/c' xmlns='jabber:client'/></forwarded>"
        );
    }
}
