//! Somebody comes in, or says how they are (XEP-0045 §7.2, §7.7).

use super::config::Whois;
use super::room::{Affiliation, Occupant, Role, Room};
use super::show::Note;
use super::{Context, Effect, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Marks, Stanza, StanzaError};
use crate::xep::delay;
use crate::xml::{Element, Writer};
use std::sync::Arc;
use std::time::Duration;

/// How much of what was said a newcomer wants to hear (§7.2.14).
#[derive(Clone, Debug, Default)]
struct Wish {
    characters: Option<usize>,
    stanzas: Option<usize>,
    since: Option<Duration>,
}

impl Wish {
    fn read(x: &Element, now: Duration) -> Self {
        let Some(history) = x.find("history", ns::MUC) else { return Self::default() };
        let number = |name| history.get(name).and_then(|value| value.trim().parse::<u64>().ok());
        let count = |name| number(name).map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let seconds = number("seconds").map(|seconds| now.saturating_sub(Duration::from_secs(seconds)));
        let since = history.get("since").and_then(delay::read);
        Self { characters: count("maxchars"), stanzas: count("maxstanzas"), since: since.max(seconds) }
    }
}

impl Room {
    /// Presence for an occupant's JID.
    pub(super) fn came(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid, nick: &str) {
        let Ok(presence) = stanza.element() else { return };
        let x = presence.find("x", ns::MUC);
        let outcome = match (self.seats.get(from).cloned(), x) {
            (Some(own), Some(x)) if *own == *nick => {
                self.came_again(context, from, &own, &presence, x);
                Ok(())
            }
            (Some(own), None) if *own == *nick => self.changed_presence(context, from, &own, &presence),
            (Some(own), _) => self.change_nick(context, from, &own, nick, &presence),
            (None, Some(x)) => self.enter(context, from, nick, &presence, x),
            // §7.6: who is not in the room has no presence there.
            (None, None) => Err(Condition::NotAcceptable.into()),
        };
        if let Err(error) = outcome {
            self.refuse_presence(context, stanza, error);
        }
    }

    /// §7.2: why somebody does not get in is told by presence.
    pub(super) fn refuse_presence(&self, context: &mut Context<'_>, stanza: &Stanza, error: StanzaError) {
        if stanza.is_error() {
            return;
        }
        let x = Element::new("x", ns::MUC);
        let by = error.element().attr("by", self.jid.to_string());
        context.effects.push(Effect::Answer(stanza.answer("error").child(&x).child(&by).build()));
    }

    /// Whether somebody may come in, in the order of §7.2.
    fn admits(&self, context: &Context<'_>, from: &Jid, nick: &str, x: &Element) -> Result<(), StanzaError> {
        let affiliation = self.affiliation_of(from);
        if affiliation == Affiliation::Outcast {
            return Err(Condition::Forbidden.into());
        }
        if self.locked && affiliation != Affiliation::Owner {
            return Err(Condition::ItemNotFound.into());
        }
        if self.config.members_only && affiliation < Affiliation::Member {
            return Err(Condition::RegistrationRequired.into());
        }
        let password = x.find("password", ns::MUC).map(Element::content).unwrap_or_default();
        if !self.config.password.is_empty() && password != self.config.password {
            return Err(Condition::NotAuthorized.into());
        }
        self.nick_is_free(from, nick)?;
        let another_client = self.occupants.contains_key(nick);
        if self.seats.len() >= context.limits.occupants {
            return Err(Condition::ServiceUnavailable.into());
        }
        if !another_client && self.is_full(context) && affiliation < Affiliation::Admin {
            return Err(Condition::ServiceUnavailable.into());
        }
        Ok(())
    }

    /// Whether somebody may take a nick: nobody else has it, and it is nobody else's (§7.2.8, §7.10).
    pub(super) fn nick_is_free(&self, from: &Jid, nick: &str) -> Result<(), StanzaError> {
        if nick.len() > limits::NICK || nick.trim() != nick {
            return Err(Condition::NotAcceptable.into());
        }
        let taken = self.occupants.get(nick).is_some_and(|occupant| occupant.who != *from.bare());
        let reserved = self.reserved_for(nick).is_some_and(|who| who != from.bare());
        if taken || reserved { Err(Condition::Conflict.into()) } else { Ok(()) }
    }

    fn enter(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        nick: &str,
        presence: &Element,
        x: &Element,
    ) -> Result<(), StanzaError> {
        self.admits(context, from, nick, x)?;
        let shown = shown(presence)?;
        let new = self.version == 0 && self.locked;
        let nick: Arc<str> = nick.into();
        let role = self.usual_role(self.affiliation_of(from));
        let id = self.occupant_id(from.bare());
        let who = from.bare().clone();
        let occupant = Arc::make_mut(&mut self.occupants)
            .entry(Arc::clone(&nick))
            .or_insert_with(|| Occupant { who, clients: Vec::new(), role, shown: String::new(), id });
        occupant.clients.push(from.clone());
        occupant.shown = shown;
        Arc::make_mut(&mut self.seats).insert(from.clone(), Arc::clone(&nick));
        self.version += 1;
        self.welcome(context, from, &nick, x, new);
        Ok(())
    }

    /// What somebody who has come in is told, and what the others are (§7.2.2, §7.2.13, §7.2.15).
    fn welcome(&self, context: &mut Context<'_>, from: &Jid, nick: &str, x: &Element, new: bool) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let mut first = self.others(nick, occupant.role);
        first.extend(self.picture_hash());
        context.effects.push(Effect::To(first, vec![from.clone()]));
        let mut note = Note::default();
        if self.config.whois == Whois::Anyone {
            note.own.push(100);
        }
        if self.keeps(context) {
            note.own.push(170);
        }
        if new {
            note.own.push(201);
        }
        self.show(context, nick, occupant, &note);
        let mut then = self.recent(&Wish::read(x, context.now));
        then.push(self.subject_stanza());
        context.effects.push(Effect::To(then, vec![from.clone()]));
    }

    /// A client that is in already comes in again: it has forgotten what it was told.
    fn came_again(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        nick: &Arc<str>,
        presence: &Element,
        x: &Element,
    ) {
        if let (Some(occupant), Ok(shown)) =
            (Arc::make_mut(&mut self.occupants).get_mut(nick), shown(presence))
        {
            occupant.shows(from, shown);
        }
        self.welcome(context, from, nick, x, false);
    }

    /// §7.7.
    fn changed_presence(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        nick: &Arc<str>,
        presence: &Element,
    ) -> Result<(), StanzaError> {
        let shown = shown(presence)?;
        if let Some(occupant) = Arc::make_mut(&mut self.occupants).get_mut(nick) {
            occupant.shows(from, shown);
        }
        if let Some(occupant) = self.occupants.get(nick) {
            self.show(context, nick, occupant, &Note::default());
        }
        Ok(())
    }

    /// What was said last, as much as is wished for; the oldest first.
    fn recent(&self, wish: &Wish) -> Vec<Stanza> {
        let mut left = wish.characters.unwrap_or(usize::MAX);
        let newest = self.history.iter().rev().take(wish.stanzas.unwrap_or(usize::MAX));
        let newest = newest.take_while(|said| wish.since.is_none_or(|since| said.at >= since));
        let mut recent: Vec<Stanza> = Vec::new();
        for said in newest {
            let mut w = Writer::new();
            w.open("delay").attr("xmlns", ns::DELAY).jid("from", Some(&self.jid));
            w.attr("stamp", &delay::date(said.at));
            let stanza = said.stanza.with(&w.finish(), Marks::OTHER);
            let Some(rest) = left.checked_sub(stanza.as_str().len()) else { break };
            left = rest;
            recent.push(stanza);
        }
        recent.reverse();
        recent
    }

    /// Takes up what the archive has from before the server began.
    pub(crate) fn recall(&mut self, said: impl Iterator<Item = (i64, Arc<str>)>) {
        self.remembers = true;
        for (id, text) in said {
            let Ok(stanza) = Stanza::parse(&text) else { continue };
            let said = super::room::Said { at: crate::archive::time_of(id), id, stanza };
            self.remember(said, limits::HISTORY);
        }
    }

    /// Whether what is said here is kept for good.
    pub(crate) fn keeps(&self, context: &Context<'_>) -> bool {
        context.archive && self.config.archive && self.config.persistent
    }

    /// Gives everybody in the room the role that goes with what they are (§5.1.2).
    pub(super) fn default_role(&self, who: &crate::jid::Bare) -> Role {
        self.usual_role(self.affiliation(who))
    }
}

/// What others see of a presence: all but what belongs to the way into the room, or that only the room may say.
pub(super) fn shown(presence: &Element) -> Result<String, StanzaError> {
    let mut shown = String::new();
    let own =
        |child: &&Element| !matches!(child.namespace(), ns::MUC | ns::MUC_USER | ns::OCCUPANT_ID | ns::DELAY);
    presence.children().filter(own).for_each(|child| child.write(ns::CLIENT, &mut shown));
    if shown.len() > limits::SHOWN { Err(Condition::PolicyViolation.into()) } else { Ok(shown) }
}
