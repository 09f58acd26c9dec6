//! A nick that is somebody's alone (XEP-0045 §7.10): asked for in the room, found again by service discovery.

use super::form::{self, Filled};
use super::room::{Affiliation, Room};
use super::show::Note;
use super::{Answer, Context, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::Condition;
use crate::xml::Element;

const FORM: &str = "http://jabber.org/protocol/muc#register";

impl Room {
    pub(super) fn register(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        get: bool,
        query: &Element,
    ) -> Answer {
        let affiliation = self.affiliation_of(from);
        // §7.10: a room for members takes nobody in that an admin has not.
        let closed = self.config.members_only || self.config.moderated;
        if affiliation == Affiliation::Outcast {
            return Err(Condition::Forbidden.into());
        }
        if closed && affiliation == Affiliation::None {
            return Err(Condition::NotAllowed.into());
        }
        let own = self.ranks.get(from.bare()).and_then(|rank| rank.nick.clone());
        if get {
            return Ok(Some(asked(own.as_deref())));
        }
        if query.find("remove", ns::REGISTER).is_some() {
            if let Some(mut rank) = self.ranks.get(from.bare()).cloned() {
                rank.nick = None;
                self.set_rank(from.bare(), Some(rank));
            }
            return Ok(None);
        }
        let form = query.find("x", ns::DATA_FORMS).ok_or(Condition::BadRequest)?;
        let nick = Filled::read(form, FORM)?.get("muc#register_roomnick").ok_or(Condition::NotAcceptable)?;
        self.reserve(context, from, affiliation, &nick)
    }

    fn reserve(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        affiliation: Affiliation,
        nick: &str,
    ) -> Answer {
        // As it will stand in addresses.
        let nick = self.jid.with_resource(nick).map_err(|_| Condition::NotAcceptable)?;
        let nick = nick.resource().unwrap_or_default();
        if nick.len() > limits::NICK {
            return Err(Condition::NotAcceptable.into());
        }
        self.nick_is_free(from, nick)?;
        if self.ranks.len() >= context.limits.affiliations && !self.ranks.contains_key(from.bare()) {
            return Err(Condition::ResourceConstraint.into());
        }
        let affiliation = affiliation.max(Affiliation::Member);
        self.set_affiliation(context, from.bare(), affiliation, Some(nick.to_owned()), Note::default());
        Ok(None)
    }

    /// §7.12: which nick is theirs.
    pub(super) fn reserved_nick(&self, from: &Jid) -> Element {
        let own = self.ranks.get(from.bare()).and_then(|rank| rank.nick.as_deref());
        let identity = own.map(|nick| {
            let identity = Element::new("identity", ns::DISCO_INFO).attr("category", "conference");
            identity.attr("name", nick).attr("type", "text")
        });
        Element::new("query", ns::DISCO_INFO).attr("node", super::disco::NICK).children_from(identity)
    }
}

fn asked(own: Option<&str>) -> Element {
    let query = Element::new("query", ns::REGISTER);
    if let Some(own) = own {
        let name = Element::new("username", ns::REGISTER).text(own);
        return query.child(Element::new("registered", ns::REGISTER)).child(name);
    }
    let required = Element::new("required", ns::DATA_FORMS);
    let nick = form::text("muc#register_roomnick", "Nick", "").child(required);
    let form = form::form("form", [form::form_type(FORM), nick]);
    query.child(Element::new("instructions", ns::REGISTER).text("The nick that shall be yours.")).child(form)
}
