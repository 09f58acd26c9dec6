//! What the room is, filled in by an owner (XEP-0045 §10.1, §10.2), and its end (§10.9).

use super::config::{Config, FORM, Whois};
use super::form::{self, Filled};
use super::room::{Affiliation, Role, Room};
use super::show::Note;
use super::{Answer, Context, limits};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;
use std::collections::BTreeSet;
use std::sync::Arc;

const ADMINS: &str = "muc#roomconfig_roomadmins";
const OWNERS: &str = "muc#roomconfig_roomowners";

/// A list of the form, if it is there.
fn list(filled: &Filled<'_>, var: &str) -> Result<Option<BTreeSet<Bare>>, StanzaError> {
    let Some(typed) = filled.all(var) else { return Ok(None) };
    let typed = typed.iter().map(|jid| jid.trim()).filter(|jid| !jid.is_empty());
    let jids = typed.map(|jid| jid.parse::<Jid>().map(|jid| jid.bare().clone()));
    Ok(Some(jids.collect::<Result<_, _>>().map_err(|_| Condition::JidMalformed)?))
}

impl Room {
    pub(super) fn owner(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        get: bool,
        query: &Element,
    ) -> Answer {
        if self.affiliation_of(from) != Affiliation::Owner {
            return Err(Condition::Forbidden.into());
        }
        if get {
            let title = Element::new("title", ns::DATA_FORMS).text(format!("Options of {}", self.address));
            let form = Element::new("x", ns::DATA_FORMS).attr("type", "form").child(title);
            let form = form.children_from(self.config.fields()).children_from(self.lists());
            return Ok(Some(Element::new("query", ns::MUC_OWNER).child(form)));
        }
        if let Some(destroy) = query.find("destroy", ns::MUC_OWNER) {
            return self.destroy(context, destroy);
        }
        let form = query.find("x", ns::DATA_FORMS).ok_or(Condition::BadRequest)?;
        match form.get("type") {
            Some("cancel") => {
                // §10.1.3: a room whose owner does not want it was never there.
                if self.locked {
                    self.close(context, &Element::new("destroy", ns::MUC_USER));
                }
                Ok(None)
            }
            _ => self.configure(context, from, &Filled::read(form, FORM)?),
        }
    }

    /// Who owns the room and who is an admin, as fields of the form.
    fn lists(&self) -> [Element; 2] {
        let list = |var: &'static str, label: &'static str, affiliation: Affiliation| {
            let those = self.ranks.iter().filter(|(_, rank)| rank.affiliation == affiliation);
            form::field(var, "jid-multi", label)
                .children_from(those.map(|(who, _)| form::value(who.as_str())))
        };
        [list(ADMINS, "All admins", Affiliation::Admin), list(OWNERS, "All owners", Affiliation::Owner)]
    }

    /// §10.1.2 where nothing is filled in: an instant room.
    fn configure(&mut self, context: &mut Context<'_>, from: &Jid, filled: &Filled<'_>) -> Answer {
        let new = self.config.filled(filled, context.limits.occupants)?;
        let (owners, admins) = (list(filled, OWNERS)?, list(filled, ADMINS)?);
        let listed = self.listed(context, from, owners.as_ref(), admins.as_ref())?;
        let old = std::mem::replace(&mut self.config, new);
        let first = std::mem::take(&mut self.locked);
        if old != self.config || first {
            self.changes.document = true;
        }
        if old.persistent != self.config.persistent {
            self.changes.ranks.extend(self.ranks.keys().cloned());
        }
        if !first {
            self.tell_change(context, &old);
        }
        // First who they are: whom the form makes an admin has a place in the room that it is now.
        self.grant_listed(context, from, listed);
        self.apply(context, &old);
        self.end_if_empty();
        Ok(None)
    }

    /// §10.2.1: everybody is told what has changed.
    fn tell_change(&self, context: &mut Context<'_>, old: &Config) {
        if *old == self.config {
            return;
        }
        let mut statuses = vec![104];
        let kept = |config: &Config| context.archive && config.archive && config.persistent;
        match (kept(old), kept(&self.config)) {
            (false, true) => statuses.push(170),
            (true, false) => statuses.push(171),
            _ => {}
        }
        match (old.whois, self.config.whois) {
            (Whois::Moderators, Whois::Anyone) => statuses.push(172),
            (Whois::Anyone, Whois::Moderators) => statuses.push(173),
            _ => {}
        }
        self.tell_statuses(context, &statuses);
    }

    /// Whoever has no place in the room that it is now goes (322); roles are those of the room that it is.
    fn apply(&mut self, context: &mut Context<'_>, old: &Config) {
        let nicks: Vec<_> = self.occupants.keys().cloned().collect();
        let stays = |nick: &Arc<str>| {
            let who = self.occupants.get(nick).map(|occupant| self.affiliation(&occupant.who));
            !self.config.members_only || who >= Some(Affiliation::Member)
        };
        let (stay, go): (Vec<_>, Vec<_>) = nicks.into_iter().partition(stays);
        self.throw_out(context, go.into_iter().map(|nick| (nick, Note::status(322))).collect());
        let mut changed = Vec::new();
        for nick in stay {
            let Some(occupant) = self.occupants.get(&nick) else { continue };
            let affiliation = self.affiliation(&occupant.who);
            let role = self.usual_role(affiliation);
            let Some(occupant) = Arc::make_mut(&mut self.occupants).get_mut(&nick) else { continue };
            let moderation = old.moderated != self.config.moderated;
            if moderation && affiliation == Affiliation::None && occupant.role < Role::Moderator {
                occupant.role = role;
                changed.push((nick, Note::default()));
            }
        }
        self.show_changed(context, changed);
    }

    /// §10.9.
    fn destroy(&mut self, context: &mut Context<'_>, destroy: &Element) -> Answer {
        let mut told = Element::new("destroy", ns::MUC_USER);
        if let Some(venue) = destroy.get("jid") {
            let venue: Jid = venue.parse().map_err(|_| StanzaError::from(Condition::JidMalformed))?;
            told = told.attr("jid", venue.to_string());
        }
        for name in ["reason", "password"] {
            let child = destroy.find(name, ns::MUC_OWNER).map(Element::content);
            let child = child.filter(|text| !text.is_empty() && text.len() <= limits::REASON);
            told = told.children_from(child.map(|text| Element::new(name, ns::MUC_USER).text(text)));
        }
        self.close(context, &told);
        Ok(None)
    }

    /// The end of the room: everybody is shown out.
    pub(crate) fn close(&mut self, context: &mut Context<'_>, destroyed: &Element) {
        self.over = true;
        self.changes.removed = true;
        self.due.clear();
        let note = Note {
            destroyed: Some(destroyed.clone()),
            affiliation: Some(Affiliation::None),
            ..Note::default()
        };
        // Nobody hears of the others any more.
        let occupants = std::mem::take(&mut self.occupants);
        Arc::make_mut(&mut self.seats).clear();
        self.version += 1;
        for (nick, occupant) in occupants.iter() {
            self.show_self(context, nick, occupant, &note.clone().gone());
        }
    }
}
