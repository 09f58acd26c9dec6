//! A moderator takes back what somebody has said (XEP-0425): in the history and in the archive, a tombstone stays.

use super::room::{Role, Room};
use super::{Answer, Context, Effect, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Draft, Kind, Stanza};
use crate::xep::delay;
use crate::xml::Element;
use std::sync::Arc;

impl Room {
    pub(super) fn moderate(&mut self, context: &mut Context<'_>, from: &Jid, request: &Element) -> Answer {
        let Some((nick, occupant)) = self.occupant_of(from).filter(|(_, o)| o.role == Role::Moderator) else {
            return Err(Condition::Forbidden.into());
        };
        let (nick, occupant_id) = (nick.clone(), occupant.id.clone());
        if request.find("retract", ns::RETRACT).is_none() {
            return Err(Condition::FeatureNotImplemented.into());
        }
        let id = request.get("id").and_then(|id| id.parse::<i64>().ok()).ok_or(Condition::ItemNotFound)?;
        let known = self.history.iter().any(|said| said.id == id);
        // What is not remembered any more may be in the archive, which knows whether it is.
        if !known && !self.keeps(context) {
            return Err(Condition::ItemNotFound.into());
        }
        let reason = request.find("reason", ns::MODERATE).map(Element::content);
        let reason = reason.filter(|reason| !reason.is_empty() && reason.len() <= limits::REASON);
        let by = self.nick_jid(&nick);
        let moderated = Element::new("moderated", ns::MODERATE).attr("by", by.to_string());
        let moderated = moderated.children_from(Element::parse(&occupant_id, ns::CLIENT).ok());
        let reason = reason.map(|reason| Element::new("reason", ns::RETRACT).text(reason));
        let tombstone = Element::new("retracted", ns::RETRACT).attr("stamp", delay::date(context.now));
        let tombstone = tombstone.child(moderated.clone()).children_from(reason.clone());
        self.bury(context, id, &tombstone);
        let retract = Element::new("retract", ns::RETRACT).attr("id", id.to_string());
        let retract = retract.child(moderated).children_from(reason);
        self.tell_retraction(context, &retract, from, &nick);
        Ok(None)
    }

    /// What was said is not there any more.
    fn bury(&mut self, context: &mut Context<'_>, id: i64, tombstone: &Element) {
        let stanza = |from: Option<&Jid>| {
            let stanza_id = Element::new("stanza-id", ns::STANZA_ID).attr("by", self.address.as_str());
            let draft = Draft::new(Kind::Message).from(from).type_("groupchat").child(tombstone);
            draft.child(&stanza_id.attr("id", id.to_string())).build()
        };
        if self.keeps(context) {
            let said = self.history.iter().find(|said| said.id == id);
            let stanza = stanza(said.and_then(|said| said.stanza.from()).or(Some(&self.jid)));
            context.effects.push(Effect::Amend { id, stanza, known: said.is_some() });
        }
        if let Some(at) = self.history.iter().position(|said| said.id == id) {
            let buried = stanza(self.history[at].stanza.from());
            self.remembered += buried.as_str().len();
            let old = std::mem::replace(&mut Arc::make_mut(&mut self.history)[at].stanza, buried);
            self.remembered -= old.as_str().len();
        }
    }

    /// §5: everybody hears of it, now and from the archive.
    fn tell_retraction(&mut self, context: &mut Context<'_>, retract: &Element, from: &Jid, nick: &str) {
        let own_id = context.id.to_string();
        let stanza_id = Element::new("stanza-id", ns::STANZA_ID).attr("by", self.address.as_str());
        let draft = Draft::new(Kind::Message).from(Some(&self.jid)).id(Some(&own_id)).type_("groupchat");
        let stanza: Stanza = draft.child(retract).child(&stanza_id.attr("id", own_id.as_str())).build();
        if self.keeps(context) {
            let (who, nick) = (from.bare().clone(), nick.to_owned());
            context.effects.push(Effect::Keep { id: context.id, who, nick, stanza: stanza.clone() });
        }
        self.tell_all(context, stanza);
    }
}
