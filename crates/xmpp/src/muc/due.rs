//! What one request means for very many of a large room: as much of it as may be done at once, and the rest when its time
//! comes, so that nobody else waits for all of it and it does not fill the memory.

use super::Context;
use super::room::Room;
use super::show::Note;
use crate::jid::Jid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is still to be done, by nick.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due {
    /// Who has to go, with what is said then: whatever they do, they are gone first.
    going: BTreeMap<Arc<str>, Note>,
    /// Whose presence is to be shown anew.
    changed: BTreeMap<Arc<str>, Note>,
}

impl Due {
    pub(crate) fn is_empty(&self) -> bool {
        self.going.is_empty() && self.changed.is_empty()
    }

    /// Whether somebody has to go who is in the room yet.
    pub(crate) fn goes(&self, nick: &str) -> bool {
        self.going.contains_key(nick)
    }

    /// The room has ended.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Room {
    /// Takes some out of the room altogether, with all their clients; they and whoever stays are shown it, not each of them
    /// that the others go.
    pub(crate) fn throw_out(&mut self, context: &mut Context<'_>, those: Vec<(Arc<str>, Note)>) {
        let there = those.into_iter().filter(|(nick, _)| self.occupants.contains_key(nick));
        self.due.going.extend(there);
        self.go_on(context);
        self.end_if_empty();
    }

    /// Shows everybody how it stands with some of them now.
    pub(crate) fn show_changed(&mut self, context: &mut Context<'_>, those: Vec<(Arc<str>, Note)>) {
        self.due.changed.extend(those);
        self.go_on(context);
    }

    /// Does as much of what is still to be done as may be done at once.
    pub(crate) fn go_on(&mut self, context: &mut Context<'_>) {
        let going = self.due.going.keys().filter_map(|nick| self.occupants.get(nick));
        let stay = self.seats.len() - going.map(|occupant| occupant.clients.len()).sum::<usize>();
        while let Some((nick, note)) = self.due.going.pop_first() {
            let own = self.occupants.get(&nick).map_or(0, |occupant| occupant.clients.len());
            if !context.affords(stay + own) {
                self.due.going.insert(nick, note);
                return;
            }
            self.take_out(context, &nick, note);
        }
        while let Some((nick, note)) = self.due.changed.pop_first() {
            let Some(occupant) = self.occupants.get(&nick) else { continue };
            if !context.affords(self.seats.len()) {
                self.due.changed.insert(nick, note);
                return;
            }
            self.show(context, &nick, occupant, &note);
        }
    }

    /// Who has to go and does something is gone before it is done.
    pub(super) fn settle_going(&mut self, context: &mut Context<'_>, from: &Jid) {
        if self.due.going.is_empty() {
            return;
        }
        let Some(nick) = self.seats.get(from).cloned() else { return };
        if let Some(note) = self.due.going.remove(&nick) {
            self.take_out(context, &nick, note);
            self.end_if_empty();
        }
    }

    /// Takes one out.
    pub(super) fn take_out(&mut self, context: &mut Context<'_>, nick: &str, note: Note) {
        let Some(occupant) = Arc::make_mut(&mut self.occupants).remove(nick) else { return };
        occupant.clients.iter().for_each(|client| drop(Arc::make_mut(&mut self.seats).remove(client)));
        self.version += 1;
        self.show(context, nick, &occupant, &note.gone());
    }
}
