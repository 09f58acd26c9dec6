//! Somebody without voice asks for it, and a moderator says yes (XEP-0045 §7.13, §8.6).

use super::form::{self, Filled};
use super::room::{Role, Room};
use super::show::Note;
use super::{Context, Effect};
use crate::jid::Jid;
use crate::stanza::{Condition, Draft, Kind, StanzaError};
use crate::xml::Element;
use std::sync::Arc;

const FORM: &str = "http://jabber.org/protocol/muc#request";

impl Room {
    /// A form of an occupant: a request, or a moderator's word about one.
    pub(super) fn voice(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        form: &Element,
    ) -> Result<(), StanzaError> {
        let filled = Filled::read(form, FORM)?;
        if filled.get("FORM_TYPE").is_none() {
            return Err(Condition::BadRequest.into());
        }
        match self.role_of(from) {
            Role::None => Err(Condition::NotAcceptable.into()),
            Role::Moderator if filled.has("muc#request_allow") => self.allow(context, &filled),
            Role::Visitor => self.ask_for_voice(context, from),
            // Who has it already needs not ask.
            Role::Participant | Role::Moderator => Err(Condition::NotAcceptable.into()),
        }
    }

    fn ask_for_voice(&self, context: &mut Context<'_>, from: &Jid) -> Result<(), StanzaError> {
        let Some((nick, occupant)) = self.occupant_of(from) else { return Ok(()) };
        let moderators = self.occupants.values().filter(|occupant| occupant.role == Role::Moderator);
        let moderators: Vec<Jid> = moderators.flat_map(|moderator| moderator.clients.clone()).collect();
        if moderators.is_empty() {
            return Err(Condition::RecipientUnavailable.into());
        }
        let jid =
            form::field("muc#request_jid", "jid-single", "Who").child(form::value(occupant.who.as_str()));
        let fields = [
            form::form_type(FORM),
            form::text("muc#role", "Requested role", Role::Participant.name()),
            jid,
            form::text("muc#roomnick", "Nick", nick),
            form::flag("muc#request_allow", "Give them voice?", false),
        ];
        let draft = Draft::new(Kind::Message).from(Some(&self.jid)).child(&form::form("form", fields));
        context.effects.push(Effect::To(vec![draft.build()], moderators));
        Ok(())
    }

    fn allow(&mut self, context: &mut Context<'_>, filled: &Filled<'_>) -> Result<(), StanzaError> {
        if filled.flag("muc#request_allow")? != Some(true) {
            return Ok(());
        }
        let nick = filled.get("muc#roomnick").ok_or(Condition::BadRequest)?;
        let occupant =
            Arc::make_mut(&mut self.occupants).get_mut(nick.as_str()).ok_or(Condition::ItemNotFound)?;
        if occupant.role == Role::Visitor {
            occupant.role = Role::Participant;
            let occupant = occupant.clone();
            self.show(context, &nick, &occupant, &Note::default());
        }
        Ok(())
    }
}
