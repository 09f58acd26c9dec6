//! A nick that is somebody's alone (XEP-0045 §7.10): asked for in the room, found again by service discovery.

use super::form::{self, Filled};
use super::room::{Affiliation, Room};
use super::show::Note;
use super::{Answer, Context, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
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
        let closed = self.config.members_only || self.config.moderated || self.asks_password(from);
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
        let nick = self.normal_nick(nick)?;
        self.nick_is_free(from, &nick)?;
        self.has_room(context, [(from.bare(), Some(nick.as_str()), None)])?;
        let affiliation = affiliation.max(Affiliation::Member);
        self.set_affiliation(context, from.bare(), affiliation, Some(nick), Note::default());
        Ok(None)
    }

    /// Whether somebody has not said the room's password yet: who asks for a nick is a member from then on, and members
    /// read the archive.
    fn asks_password(&self, from: &Jid) -> bool {
        !self.config.password.is_empty() && !self.is_here(from)
    }

    /// A nick as it stands in addresses.
    pub(super) fn normal_nick(&self, nick: &str) -> Result<String, StanzaError> {
        let jid = self.jid.with_resource(nick).map_err(|_| Condition::NotAcceptable)?;
        let nick = jid.resource().filter(|nick| nick.len() <= limits::NICK);
        Ok(nick.ok_or(Condition::NotAcceptable)?.to_owned())
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
