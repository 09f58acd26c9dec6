//! How occupants are shown to one another (XEP-0045 §7.2.2): one stanza for all who see the same.

use super::room::{Affiliation, Occupant, Role, Room};
use super::{Context, Effect};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Kind, Stanza};
use crate::xml::{Element, Writer};

/// What is said of somebody together with their presence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    /// Status codes for everybody (§15.6).
    pub(crate) statuses: Vec<u16>,
    /// Status codes for the occupant alone, beside 110.
    pub(crate) own: Vec<u16>,
    /// The nick that they take.
    pub(crate) new_nick: Option<String>,
    /// By whose nick it was done.
    pub(crate) actor: Option<String>,
    pub(crate) reason: Option<String>,
    /// The room is destroyed (§10.9).
    pub(crate) destroyed: Option<Element>,
    /// They are gone; what they said with it.
    pub(crate) gone: Option<String>,
    /// What they are to the room now, where it is not what it keeps.
    pub(crate) affiliation: Option<Affiliation>,
}

impl Note {
    pub(crate) fn status(status: u16) -> Self {
        Self { statuses: vec![status], ..Self::default() }
    }

    /// The same for somebody who is gone.
    pub(crate) fn gone(self) -> Self {
        Self { gone: Some(self.gone.unwrap_or_default()), ..self }
    }
}

/// Of which sort a presence is: for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// Who may see JIDs.
    Insider,
    /// Who may not.
    Other,
    /// The occupant's own clients.
    Self_,
}

impl Room {
    fn presence(&self, nick: &str, occupant: &Occupant, note: &Note, whom: For) -> Stanza {
        let affiliation = note.affiliation.unwrap_or_else(|| self.affiliation(&occupant.who));
        let left = note.gone.is_some() && note.new_nick.is_none();
        let role = if left { Role::None } else { occupant.role };
        let mut w = Writer::new();
        w.open(Kind::Presence.name()).jid("from", Some(&self.nick_jid(nick)));
        w.attr_opt("type", note.gone.as_ref().map(|_| "unavailable"));
        w.raw(note.gone.as_deref().unwrap_or(&occupant.shown));
        w.raw(&occupant.id);
        w.open("x").attr("xmlns", ns::MUC_USER).open("item");
        w.attr("affiliation", affiliation.name()).attr("role", role.name());
        if whom != For::Other {
            w.jid("jid", occupant.clients.last());
        }
        w.attr_opt("nick", note.new_nick.as_deref());
        if let Some(actor) = &note.actor {
            w.open("actor").attr("nick", actor).close();
        }
        if let Some(reason) = &note.reason {
            w.open("reason").text(reason).close();
        }
        w.close();
        if let Some(destroyed) = &note.destroyed {
            w.raw(&destroyed.to_xml(ns::MUC_USER));
        }
        let own: &[u16] = if whom == For::Self_ { &[110] } else { &[] };
        let more: &[u16] = if whom == For::Self_ { &note.own } else { &[] };
        for status in own.iter().chain(more).chain(&note.statuses) {
            w.open("status").attr("code", &status.to_string()).close();
        }
        Stanza::parse(&w.finish())
            .expect("a writer writes well-formed XML; what it was given was read before")
    }

    /// Shows everybody in the room how it stands with an occupant, who may have left it already.
    pub(crate) fn show(&self, context: &mut Context<'_>, nick: &str, occupant: &Occupant, note: &Note) {
        for (sees, whom) in [(true, For::Insider), (false, For::Other)] {
            let mut others = self.those_who_see(sees);
            others.retain(|client| !occupant.clients.contains(client));
            if !others.is_empty() {
                context.effects.push(Effect::To(vec![self.presence(nick, occupant, note, whom)], others));
            }
        }
        let own = self.presence(nick, occupant, note, For::Self_);
        context.effects.push(Effect::To(vec![own], occupant.clients.clone()));
    }

    /// Shows an occupant's presence to those of their own clients alone.
    pub(crate) fn show_self(&self, context: &mut Context<'_>, nick: &str, occupant: &Occupant, note: &Note) {
        let own = self.presence(nick, occupant, note, For::Self_);
        context.effects.push(Effect::To(vec![own], occupant.clients.clone()));
    }

    /// Everybody else's presence, for somebody who comes in as `nick`.
    pub(crate) fn others(&self, nick: &str, role: Role) -> Vec<Stanza> {
        let whom = if self.sees_jids(role) { For::Insider } else { For::Other };
        let others = self.occupants.iter().filter(|(other, _)| &***other != nick);
        others.map(|(other, occupant)| self.presence(other, occupant, &Note::default(), whom)).collect()
    }

    /// A room that nobody is in and that does not stay is over (§3, temporary room).
    pub(crate) fn end_if_empty(&mut self) {
        if self.occupants.is_empty() && !self.config.persistent {
            self.over = true;
        }
    }

    /// What the room says to everybody about itself: status codes without presence (§10.2.1).
    pub(crate) fn tell_statuses(&self, context: &mut Context<'_>, statuses: &[u16]) {
        let mut w = Writer::new();
        w.open("message").jid("from", Some(&self.jid)).attr("type", "groupchat");
        w.open("x").attr("xmlns", ns::MUC_USER);
        for status in statuses {
            w.open("status").attr("code", &status.to_string()).close();
        }
        w.close();
        let stanza = Stanza::parse(&w.finish()).expect("a writer writes well-formed XML");
        self.tell_all(context, stanza);
    }

    /// Whether an occupant's client is in the room.
    pub(crate) fn is_here(&self, jid: &Jid) -> bool {
        self.seats.contains_key(jid)
    }
}
