//! Somebody says something to everybody (XEP-0045 §7.4): written once, under the occupant's name, with the ids that the
//! room gives it (XEP-0359, XEP-0421).

use super::room::{Role, Room, Said};
use super::{Context, Effect, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Marks, Stanza};
use crate::xml::Writer;

/// What only a room may say of a message.
pub(super) const OURS: Marks = Marks::all(&[Marks::ROOM, Marks::OCCUPANT_ID]);

impl Room {
    pub(super) fn said(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid) {
        let Some((nick, occupant)) = self.occupant_of(from) else {
            return context.refuse(stanza, Condition::NotAcceptable);
        };
        let nick = nick.clone();
        if stanza.as_str().len() * self.seats.len() > limits::SAID {
            return context.refuse(stanza, Condition::PolicyViolation);
        }
        if stanza.marks().any(Marks::SUBJECT)
            && !stanza.marks().any(Marks::all(&[Marks::BODY, Marks::THREAD]))
        {
            return self.subject(context, stanza, from, &nick);
        }
        if occupant.role < Role::Participant {
            return context.refuse(stanza, Condition::Forbidden);
        }
        let said = self.under_nick(context, stanza, &nick, &occupant.id.clone());
        self.publish(context, said, from, &nick, stanza.marks().any(Marks::BODY));
    }

    /// A stanza as the occupants get it.
    pub(super) fn under_nick(
        &self,
        context: &Context<'_>,
        stanza: &Stanza,
        nick: &str,
        occupant_id: &str,
    ) -> Stanza {
        let clean = stanza.without(OURS, |_| true);
        let clean = clean.as_ref().unwrap_or(stanza);
        // Ids in our name that we have not given (XEP-0359 §5).
        let forged = clean.without(Marks::STANZA_ID, |id| {
            let by = id.by.as_ref().and_then(|by| by.parse::<Jid>().ok());
            by.is_none_or(|by| by.bare() == self.jid.bare())
        });
        let said = forged.as_ref().unwrap_or(clean).readdressed(Some(self.nick_jid(nick)), None);
        let mut w = Writer::new();
        let id = context.id.to_string();
        w.open("stanza-id").attr("xmlns", ns::STANZA_ID).attr("by", self.address.as_str()).attr("id", &id);
        said.with(occupant_id, Marks::OCCUPANT_ID).with(&w.finish(), Marks::STANZA_ID)
    }

    /// Gives everybody what was said, and keeps it where it is worth it: `worth`, it has words.
    pub(super) fn publish(
        &mut self,
        context: &mut Context<'_>,
        said: Stanza,
        from: &Jid,
        nick: &str,
        worth: bool,
    ) {
        let marks = said.marks();
        let hint = Marks::all(&[Marks::NO_STORE, Marks::NO_PERMANENT_STORE]);
        let more = [Marks::STORE, Marks::MARKER, Marks::RECEIPT, Marks::ENCRYPTION, Marks::AMENDMENT];
        let more = Marks::all(&more);
        if worth && !marks.any(Marks::NO_STORE) {
            let said = Said { at: context.now, id: context.id, stanza: said.clone() };
            self.remember(said, limits::HISTORY);
        }
        if (worth || marks.any(more)) && !marks.any(hint) && self.keeps(context) {
            let (who, nick) = (from.bare().clone(), nick.to_owned());
            context.effects.push(Effect::Keep { id: context.id, who, nick, stanza: said.clone() });
        }
        self.tell_all(context, said);
    }
}
