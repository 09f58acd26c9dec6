//! Somebody goes (XEP-0045 §7.14), or is found to be gone.

use super::Context;
use super::room::{Occupant, Room};
use super::show::Note;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Stanza};
use std::sync::Arc;

impl Room {
    /// Presence of type `unavailable`: the last client of an occupant takes them out.
    pub(super) fn left(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid) {
        let presence = stanza.element().ok();
        let status = presence.as_ref().and_then(|presence| presence.find("status", ns::CLIENT));
        let gone = status.map(|status| status.to_xml(ns::CLIENT)).unwrap_or_default();
        self.goes(context, from, Note { gone: Some(gone), ..Note::default() });
    }

    /// What the room said to a client came back as an error: nobody is there (§15.6.2, 333). Where a whole component is away,
    /// all of its users go, and are not told of one another.
    pub(super) fn lost(&mut self, context: &mut Context<'_>, from: &Jid, condition: Option<Condition>) {
        if context.from_component && condition == Some(Condition::RemoteServerTimeout) {
            let theirs = |occupant: &Occupant| occupant.who.domain() == from.domain();
            let gone = self.occupants.iter().filter(|(_, occupant)| theirs(occupant));
            let gone = gone.map(|(nick, _)| (nick.clone(), Note::status(333))).collect();
            return self.throw_out(context, gone);
        }
        self.goes(context, from, Note::status(333).gone());
    }

    fn goes(&mut self, context: &mut Context<'_>, from: &Jid, note: Note) {
        let Some(nick) = Arc::make_mut(&mut self.seats).remove(from) else { return };
        self.version += 1;
        let Some(occupant) = Arc::make_mut(&mut self.occupants).get_mut(&nick) else { return };
        if occupant.clients.len() > 1 {
            occupant.clients.retain(|client| client != from);
            // The others stay; this one is told that it has left.
            let gone = Occupant { clients: vec![from.clone()], ..occupant.clone() };
            return self.show_self(context, &nick, &gone, &note);
        }
        self.take_out(context, &nick, note);
        self.end_if_empty();
    }
}
