//! What the room is about (XEP-0045 §8.1), told to newcomers last of all (§7.2.15).

use super::room::{Role, Room, Subject};
use super::{Context, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Draft, Kind, Stanza};
use crate::xep::delay;
use crate::xml::Writer;
use std::time::Duration;

impl Room {
    /// An occupant sets it.
    pub(super) fn subject(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid, nick: &str) {
        let Some((_, occupant)) = self.occupant_of(from) else { return };
        let may = occupant.role == Role::Moderator
            || (self.config.change_subject && occupant.role == Role::Participant);
        if !may {
            return context.refuse(stanza, Condition::Forbidden);
        }
        let Ok(message) = stanza.element() else { return };
        let mut xml = String::new();
        let subjects = message.children().filter(|child| child.is("subject", ns::CLIENT));
        subjects.for_each(|subject| subject.write(ns::CLIENT, &mut xml));
        if xml.len() > limits::SUBJECT {
            return context.refuse(stanza, Condition::PolicyViolation);
        }
        let said = self.under_nick(context, stanza, nick, &occupant.id.clone());
        self.subject = Subject { xml, nick: Some(nick.to_owned()), at: context.now.as_secs() };
        self.changes.document = true;
        self.publish(context, said, from, nick, false);
    }

    /// As newcomers are told it; empty where there is none.
    pub(super) fn subject_stanza(&self) -> Stanza {
        let nick = self.subject.nick.as_deref().and_then(|nick| self.jid.with_resource(nick).ok());
        let draft =
            Draft::new(Kind::Message).from(Some(nick.as_ref().unwrap_or(&self.jid))).type_("groupchat");
        if self.subject.xml.is_empty() {
            return draft.raw("<subject/>").build();
        }
        let mut w = Writer::new();
        w.open("delay").attr("xmlns", ns::DELAY).jid("from", Some(&self.jid));
        w.attr("stamp", &delay::date(Duration::from_secs(self.subject.at)));
        draft.raw(&self.subject.xml).raw(&w.finish()).build()
    }
}
