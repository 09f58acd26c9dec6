//! An occupant takes another nick (XEP-0045 §7.6).

use super::Context;
use super::enter::shown;
use super::room::Room;
use super::show::Note;
use crate::jid::Jid;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::sync::Arc;

impl Room {
    /// All clients of the occupant come along.
    pub(super) fn change_nick(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        old: &Arc<str>,
        nick: &str,
        presence: &Element,
    ) -> Result<(), StanzaError> {
        self.nick_is_free(from, nick)?;
        if self.occupants.contains_key(nick) {
            // Their own, by another client: one of the two has to leave first.
            return Err(Condition::Conflict.into());
        }
        let shown = shown(presence)?;
        let Some(mut occupant) = Arc::make_mut(&mut self.occupants).remove(old) else { return Ok(()) };
        let nick: Arc<str> = nick.into();
        let note = Note { new_nick: Some(nick.to_string()), gone: Some(String::new()), ..Note::status(303) };
        self.show(context, old, &occupant, &note);
        occupant.shown = shown;
        for client in &occupant.clients {
            Arc::make_mut(&mut self.seats).insert(client.clone(), Arc::clone(&nick));
        }
        self.version += 1;
        Arc::make_mut(&mut self.occupants).insert(Arc::clone(&nick), occupant.clone());
        self.show(context, &nick, &occupant, &Note::default());
        Ok(())
    }
}
