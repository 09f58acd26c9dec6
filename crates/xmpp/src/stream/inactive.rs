//! Client state (XEP-0352): what a client that nobody looks at need not hear at once.
//!
//! Presence and states of typing wait; of each resource's presence the last one only. Everything else goes at once,
//! behind what waited: the order of what a sender says stays as it was.

use crate::jid::Jid;
use crate::router::Given;
use crate::stanza::marks::Marks;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};
use std::collections::VecDeque;

/// What waits until the client is looked at again.
#[derive(Debug, Default)]
pub struct Held(VecDeque<Given>);

/// How many stanzas wait at most.
const MOST: usize = 200;
/// How many octets they have at most, all together.
const MOST_OCTETS: usize = 256 * 1024;

/// Whether a client that nobody looks at must hear it now.
pub fn is_urgent(stanza: &Stanza) -> bool {
    match stanza.kind() {
        Kind::Iq => true,
        Kind::Presence => {
            !matches!(stanza.presence_type(), Some(PresenceType::Available | PresenceType::Unavailable))
        }
        Kind::Message => stanza.message_type() == MessageType::Error || says_something(stanza),
    }
}

/// A message with nothing but states of typing in it says nothing to somebody who does not look.
fn says_something(message: &Stanza) -> bool {
    !message.marks().only(Marks::CHAT_STATE | Marks::THREAD | Marks::HINTS)
}

impl Held {
    /// Lets something wait. What is to go out now because enough waits already.
    pub fn push(&mut self, given: Given) -> Vec<Given> {
        if given.stanza.kind() == Kind::Presence {
            let from: Option<&Jid> = given.stanza.from();
            self.0.retain(|held| held.stanza.kind() != Kind::Presence || held.stanza.from() != from);
        }
        self.0.push_back(given);
        let octets: usize = self.0.iter().map(|held| held.stanza.as_str().len()).sum();
        if self.0.len() > MOST || octets > MOST_OCTETS { self.take() } else { Vec::new() }
    }

    /// All that waited, in order.
    pub fn take(&mut self) -> Vec<Given> {
        std::mem::take(&mut self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(text: &str) -> Stanza {
        Stanza::parse(text).unwrap()
    }

    #[track_caller]
    fn check(text: &str, urgent: bool) {
        assert_eq!(is_urgent(&stanza(text)), urgent, "{text}");
    }

    #[test]
    fn what_is_urgent() {
        check("<presence from='a@b/c'/>", false);
        check("<presence from='a@b/c' type='unavailable'/>", false);
        check("<presence from='a@b' type='subscribe'/>", true);
        check("<presence from='a@b/c' type='error'/>", true);
        check("<iq type='get'/>", true);
        check("<message><body>x</body></message>", true);
        check("<message><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>", true);
        check("<message><received xmlns='urn:xmpp:receipts' id='1'/></message>", true);
        check("<message><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", false);
        check(
            "<message><paused xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>\
             <no-store xmlns='urn:xmpp:hints'/></message>",
            false,
        );
        check(
            "<message type='error'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
            true,
        );
    }

    #[test]
    fn of_each_resource_the_last_presence_waits() {
        let mut held = Held::default();
        for show in ["away", "dnd"] {
            for from in ["a@b/c", "a@b/d"] {
                let presence = format!("<presence from='{from}'><show>{show}</show></presence>");
                assert!(held.push(stanza(&presence).into()).is_empty());
            }
        }
        let waited: Vec<String> = held.take().iter().map(|given| given.stanza.as_str().to_owned()).collect();
        assert_eq!(
            waited,
            ["c", "d"].map(|to| format!("<presence from='a@b/{to}'><show>dnd</show></presence>"))
        );
        assert!(held.take().is_empty());
    }

    #[test]
    fn too_much_goes_out() {
        let mut held = Held::default();
        let mut out = Vec::new();
        for n in 0..=MOST {
            out.extend(held.push(stanza(&format!("<presence from='a@b/{n}'/>")).into()));
        }
        assert_eq!(out.len(), MOST + 1);
        let thread = "x".repeat(MOST_OCTETS / 4);
        for expected in [0, 0, 0, 4] {
            let composing = format!("<message><thread>{thread}</thread></message>");
            assert_eq!(held.push(stanza(&composing).into()).len(), expected);
        }
    }
}
