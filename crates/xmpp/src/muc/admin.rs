//! Roles and affiliations, asked for and granted (XEP-0045 §8.2-§8.5, §9).

use super::config::Whois;
use super::room::{Affiliation, Occupant, Rank, Role, Room};
use super::show::Note;
use super::{Answer, Context, Effect, limits};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::stanza::{Condition, Draft, Kind, StanzaError};
use crate::xml::Element;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one item of a request wants.
#[derive(Debug)]
enum Wish {
    Role { nick: String, role: Role },
    Affiliation { who: Bare, affiliation: Affiliation, nick: Option<String> },
}

/// A wish with its reason.
#[derive(Debug)]
struct Item {
    wish: Wish,
    reason: Option<String>,
}

/// What changes the lists of owners and admins.
#[derive(Debug)]
pub(super) struct Listed(Vec<Item>);

impl Room {
    /// `muc#admin`, from whoever it may be.
    pub(super) fn admin(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        get: bool,
        query: &Element,
    ) -> Answer {
        if get {
            return self.list(from, query).map(Some);
        }
        let items: Vec<&Element> = query.children().filter(|child| child.is("item", ns::MUC_ADMIN)).collect();
        if items.is_empty() || items.len() > limits::ITEMS {
            return Err(Condition::BadRequest.into());
        }
        let items = items.into_iter().map(|item| self.wish(item)).collect::<Result<Vec<Item>, _>>()?;
        self.may_all(context, from, &items)?;
        self.grant_all(context, from, items);
        Ok(None)
    }

    /// Whether all of it may be done.
    fn may_all(&self, context: &Context<'_>, from: &Jid, items: &[Item]) -> Result<(), StanzaError> {
        items.iter().try_for_each(|item| self.may(from, &item.wish))?;
        self.leaves_an_owner(items)?;
        // Of each item all may have to be told.
        if items.len() > 1 && items.len() * self.seats.len() > limits::TOLD {
            let most = limits::TOLD / self.seats.len().max(1);
            let text = format!("while so many are in the room, at most {most} at once");
            return Err(StanzaError::from(Condition::PolicyViolation).saying(text));
        }
        let new = items.iter().filter_map(|item| match &item.wish {
            Wish::Affiliation { affiliation: Affiliation::None, .. } | Wish::Role { .. } => None,
            Wish::Affiliation { who, nick, .. } => Some((who, nick.as_deref(), item.reason.as_deref())),
        });
        self.has_room(context, new)
    }

    fn grant_all(&mut self, context: &mut Context<'_>, from: &Jid, items: Vec<Item>) {
        let actor = self.occupant_of(from).map(|(nick, _)| nick.to_string());
        for item in items {
            self.grant(context, item, actor.as_deref());
        }
    }

    /// What has to be done so that these are the owners, and these the admins, and nobody else is (§10.2); `None`: they are
    /// as before.
    pub(super) fn listed(
        &self,
        context: &Context<'_>,
        from: &Jid,
        owners: Option<&BTreeSet<Bare>>,
        admins: Option<&BTreeSet<Bare>>,
    ) -> Result<Listed, StanzaError> {
        let to_be = |who: &Bare| {
            let is = self.ranks.get(who).map_or(Affiliation::None, |rank| rank.affiliation);
            match is {
                _ if owners.is_some_and(|owners| owners.contains(who)) => Affiliation::Owner,
                Affiliation::Owner if owners.is_none() => is,
                _ if admins.is_some_and(|admins| admins.contains(who)) => Affiliation::Admin,
                Affiliation::Owner => Affiliation::None,
                Affiliation::Admin if admins.is_some() => Affiliation::None,
                _ => is,
            }
        };
        let wished = owners.into_iter().chain(admins).flatten();
        let all: BTreeSet<&Bare> = self.ranks.keys().chain(wished).collect();
        let changes = all.into_iter().filter_map(|who| {
            let affiliation = to_be(who);
            let is = self.ranks.get(who).map_or(Affiliation::None, |rank| rank.affiliation);
            let wish = Wish::Affiliation { who: who.clone(), affiliation, nick: None };
            (affiliation != is).then_some(Item { wish, reason: None })
        });
        let items: Vec<Item> = changes.collect();
        if items.len() > limits::ITEMS {
            return Err(Condition::PolicyViolation.into());
        }
        self.may_all(context, from, &items)?;
        Ok(Listed(items))
    }

    pub(super) fn grant_listed(&mut self, context: &mut Context<'_>, from: &Jid, listed: Listed) {
        self.grant_all(context, from, listed.0);
    }

    fn wish(&self, item: &Element) -> Result<Item, StanzaError> {
        let reason = item.find("reason", ns::MUC_ADMIN).map(Element::content);
        let reason = reason.filter(|reason| !reason.is_empty() && reason.len() <= limits::REASON);
        let nick = item.get("nick").map(str::to_owned);
        let wish = match (item.get("role"), item.get("affiliation")) {
            (Some(role), None) => {
                let role = Role::from_name(role).ok_or(Condition::BadRequest)?;
                let nick = nick.ok_or(Condition::BadRequest)?;
                Wish::Role { nick, role }
            }
            (None, Some(affiliation)) => {
                let affiliation = Affiliation::from_name(affiliation).ok_or(Condition::BadRequest)?;
                match item.get("jid") {
                    Some(jid) => {
                        let jid: Jid = jid.parse().map_err(|_| Condition::JidMalformed)?;
                        let nick = nick.filter(|nick| !nick.is_empty());
                        let nick = nick.map(|nick| self.normal_nick(&nick)).transpose()?;
                        Wish::Affiliation { who: jid.bare().clone(), affiliation, nick }
                    }
                    // By nick, where the JID is not known.
                    None => {
                        let occupant = nick.and_then(|nick| self.occupants.get(nick.as_str()));
                        let who = occupant.ok_or(Condition::ItemNotFound)?.who.clone();
                        Wish::Affiliation { who, affiliation, nick: None }
                    }
                }
            }
            _ => return Err(Condition::BadRequest.into()),
        };
        Ok(Item { wish, reason })
    }

    /// §5.1.2, §5.2.2: who may do what to whom.
    fn may(&self, from: &Jid, wish: &Wish) -> Result<(), StanzaError> {
        let (own, role) = (self.affiliation_of(from), self.role_of(from));
        match wish {
            Wish::Role { nick, role: wanted } => {
                if role != Role::Moderator {
                    return Err(Condition::Forbidden.into());
                }
                let other = self.occupants.get(nick.as_str()).ok_or(Condition::ItemNotFound)?;
                let theirs = self.affiliation(&other.who);
                let moderates = *wanted == Role::Moderator || other.role == Role::Moderator;
                // Nobody is lowered whose rank makes them a moderator, nor anybody of a higher rank.
                let lowered = *wanted < other.role;
                if lowered && (theirs >= Affiliation::Admin || theirs > own) {
                    return Err(Condition::NotAllowed.into());
                }
                if moderates && own < Affiliation::Admin {
                    let kick_of_equal = *wanted == Role::None && other.role == Role::Moderator;
                    let condition = if kick_of_equal { Condition::NotAllowed } else { Condition::Forbidden };
                    return Err(condition.into());
                }
                Ok(())
            }
            Wish::Affiliation { who, affiliation, .. } => {
                if own < Affiliation::Admin {
                    return Err(Condition::Forbidden.into());
                }
                let theirs = self.affiliation(who);
                let high = *affiliation >= Affiliation::Admin || theirs >= Affiliation::Admin;
                if high && own < Affiliation::Owner {
                    return Err(Condition::NotAllowed.into());
                }
                // §9.1: nobody bans themselves.
                if who == from.bare() && *affiliation == Affiliation::Outcast {
                    return Err(Condition::Conflict.into());
                }
                Ok(())
            }
        }
    }

    /// §10.5: a room has an owner.
    fn leaves_an_owner(&self, items: &[Item]) -> Result<(), StanzaError> {
        let mut owners: Vec<&Bare> = self.owners().collect();
        for item in items {
            if let Wish::Affiliation { who, affiliation, .. } = &item.wish {
                owners.retain(|owner| *owner != who);
                if *affiliation == Affiliation::Owner {
                    owners.push(who);
                }
            }
        }
        if owners.is_empty() { Err(Condition::Conflict.into()) } else { Ok(()) }
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &Bare> {
        self.ranks.iter().filter(|(_, rank)| rank.affiliation == Affiliation::Owner).map(|(who, _)| who)
    }

    /// Whether there is room to keep these: who, with which nick and reason.
    pub(super) fn has_room<'a>(
        &self,
        context: &Context<'_>,
        those: impl IntoIterator<Item = (&'a Bare, Option<&'a str>, Option<&'a str>)>,
    ) -> Result<(), StanzaError> {
        let octets = |who: &Bare, nick: Option<&str>, reason: Option<&str>| {
            who.as_str().len() + nick.map_or(0, str::len) + reason.map_or(0, str::len)
        };
        let kept = |(who, rank): (&Bare, &Rank)| octets(who, rank.nick.as_deref(), rank.reason.as_deref());
        let (mut count, mut sum) = (self.ranks.len(), self.ranks.iter().map(kept).sum::<usize>());
        let before = sum;
        // Who is named more than once is what they are named last, and was there only once before.
        let mut new: BTreeMap<&Bare, (Option<&str>, Option<&str>)> = BTreeMap::new();
        for (who, nick, reason) in those {
            let named = new.get(who).and_then(|(nick, _)| *nick);
            new.insert(who, (nick.or(named), reason));
        }
        for (who, (nick, reason)) in new {
            let old = self.ranks.get(who);
            count += usize::from(old.is_none());
            let own = old.and_then(|rank| rank.nick.as_deref());
            sum = sum - old.map_or(0, |rank| kept((who, rank))) + octets(who, nick.or(own), reason);
        }
        // What makes it no longer is possible in any case.
        let full = count > context.limits.affiliations.max(self.ranks.len());
        if full || (sum > limits::RANKS_OCTETS && sum > before) {
            return Err(Condition::ResourceConstraint.into());
        }
        Ok(())
    }

    fn grant(&mut self, context: &mut Context<'_>, item: Item, actor: Option<&str>) {
        let note = Note { actor: actor.map(str::to_owned), reason: item.reason, ..Note::default() };
        match item.wish {
            Wish::Role { nick, role: Role::None } => {
                self.throw_out(context, vec![(nick.as_str().into(), Note { statuses: vec![307], ..note })]);
            }
            Wish::Role { nick, role } => {
                if let Some(occupant) = Arc::make_mut(&mut self.occupants).get_mut(nick.as_str()) {
                    occupant.role = role;
                }
                if let Some(occupant) = self.occupants.get(nick.as_str()) {
                    self.show(context, &nick, occupant, &note);
                }
            }
            Wish::Affiliation { who, affiliation, nick } => {
                self.set_affiliation(context, &who, affiliation, nick, note);
            }
        }
    }

    /// Sets what somebody is to the room; those in it see it.
    pub(super) fn set_affiliation(
        &mut self,
        context: &mut Context<'_>,
        who: &Bare,
        affiliation: Affiliation,
        nick: Option<String>,
        note: Note,
    ) {
        let old = self.ranks.get(who).and_then(|rank| rank.nick.clone());
        let nick = nick.filter(|nick| self.reserved_for(nick).is_none_or(|owner| owner == who)).or(old);
        let rank = Rank { affiliation, nick, reason: note.reason.clone() };
        self.set_rank(who, (affiliation != Affiliation::None).then_some(rank));
        let theirs = |occupant: &Occupant| match who {
            Bare::User(_) => occupant.who == *who,
            // Who is something themselves is that.
            Bare::Domain(domain) => {
                occupant.who.domain() == domain.as_str() && !self.ranks.contains_key(&occupant.who)
            }
        };
        let present: Vec<_> =
            self.occupants.iter().filter(|(_, o)| theirs(o)).map(|(nick, _)| nick.clone()).collect();
        if present.is_empty() {
            return self.tell_affiliation(context, who, affiliation);
        }
        let gone: Vec<_> =
            present.iter().filter_map(|nick| Some((nick.clone(), self.sends_out(nick)?))).collect();
        let gone =
            gone.into_iter().map(|(nick, status)| (nick, Note { statuses: vec![status], ..note.clone() }));
        self.throw_out(context, gone.collect());
        let stay = present.into_iter().filter(|nick| !self.due.goes(nick) && self.affiliated(nick));
        let changed = stay.map(|nick| (nick, note.clone())).collect();
        self.show_changed(context, changed);
    }

    /// With which status somebody has to go whose affiliation is what it is now, if they have to.
    fn sends_out(&self, nick: &str) -> Option<u16> {
        match self.affiliation(&self.occupants.get(nick)?.who) {
            Affiliation::Outcast => Some(301),
            Affiliation::None if self.config.members_only => Some(321),
            _ => None,
        }
    }

    /// Somebody who stays has another affiliation than before. Whether they are there.
    fn affiliated(&mut self, nick: &str) -> bool {
        let Some(role) = self.occupants.get(nick).map(|occupant| self.default_role(&occupant.who)) else {
            return false;
        };
        if let Some(occupant) = Arc::make_mut(&mut self.occupants).get_mut(nick) {
            occupant.role = role;
        }
        true
    }

    /// §9.3 and others: whoever may see JIDs is told of somebody who is not there.
    fn tell_affiliation(&self, context: &mut Context<'_>, who: &Bare, affiliation: Affiliation) {
        let item = Element::new("item", ns::MUC_USER).attr("affiliation", affiliation.name());
        let item = item.attr("jid", who.as_str()).attr("role", Role::None.name());
        let x = Element::new("x", ns::MUC_USER).child(item);
        let stanza = Draft::new(Kind::Message).from(Some(&self.jid)).child(&x).build();
        let those = self.those_who_see(true);
        if !those.is_empty() {
            context.effects.push(Effect::To(vec![stanza], those));
        }
    }

    /// The list that an item of the request names.
    fn list(&self, from: &Jid, query: &Element) -> Result<Element, StanzaError> {
        let item = query.find("item", ns::MUC_ADMIN).ok_or(Condition::BadRequest)?;
        let list = Element::new("query", ns::MUC_ADMIN);
        match (item.get("role"), item.get("affiliation")) {
            (Some(role), None) => {
                let role = Role::from_name(role).ok_or(Condition::BadRequest)?;
                if self.role_of(from) != Role::Moderator && self.affiliation_of(from) < Affiliation::Admin {
                    return Err(Condition::Forbidden.into());
                }
                let those = self.occupants.iter().filter(|(_, occupant)| occupant.role == role);
                Ok(list.children_from(those.map(|(nick, occupant)| self.row(occupant).attr("nick", &**nick))))
            }
            (None, Some(affiliation)) => {
                let affiliation = Affiliation::from_name(affiliation).ok_or(Condition::BadRequest)?;
                self.may_list(from, affiliation)?;
                let those = self.ranks.iter().filter(|(_, rank)| rank.affiliation == affiliation);
                Ok(list.children_from(those.map(|(who, rank)| kept(who, rank))))
            }
            _ => Err(Condition::BadRequest.into()),
        }
    }

    /// Admins may read every list; members those of others, where everybody sees who they are (clients need them to
    /// encrypt for everybody).
    fn may_list(&self, from: &Jid, affiliation: Affiliation) -> Result<(), StanzaError> {
        let own = self.affiliation_of(from);
        let open = self.config.whois == Whois::Anyone
            && affiliation >= Affiliation::Member
            && (own >= Affiliation::Member || (self.is_here(from) && !self.config.members_only));
        if own >= Affiliation::Admin || open { Ok(()) } else { Err(Condition::Forbidden.into()) }
    }

    fn row(&self, occupant: &Occupant) -> Element {
        let item = Element::new("item", ns::MUC_ADMIN).attr("role", occupant.role.name());
        let item = item.attr("affiliation", self.affiliation(&occupant.who).name());
        item.attr_opt("jid", occupant.clients.last().map(Jid::to_string))
    }
}

fn kept(who: &Bare, rank: &Rank) -> Element {
    let item = Element::new("item", ns::MUC_ADMIN).attr("affiliation", rank.affiliation.name());
    let item = item.attr("jid", who.as_str()).attr_opt("nick", rank.nick.as_deref());
    let reason = rank.reason.as_deref().map(|reason| Element::new("reason", ns::MUC_ADMIN).text(reason));
    item.children_from(reason)
}
