//! Invitations by way of the room, and their refusals (XEP-0045 §7.8.2). Direct ones (XEP-0249) never come here.

use super::room::{Affiliation, Role, Room};
use super::show::Note;
use super::{Context, Effect, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Draft, Kind, StanzaError};
use crate::xml::Element;

/// The most invitations of one stanza.
const MOST: usize = 20;

fn reason(of: &Element) -> Option<Element> {
    let reason = of.find("reason", ns::MUC_USER).map(Element::content);
    let reason = reason.filter(|reason| !reason.is_empty() && reason.len() <= limits::REASON);
    reason.map(|reason| Element::new("reason", ns::MUC_USER).text(reason))
}

fn addressee(of: &Element) -> Result<Jid, StanzaError> {
    let to = of.get("to").ok_or(Condition::BadRequest)?;
    Ok(to.parse().map_err(|_| Condition::JidMalformed)?)
}

impl Room {
    pub(super) fn invitations(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        x: &Element,
    ) -> Result<(), StanzaError> {
        let invites: Vec<&Element> = x.children().filter(|child| child.is("invite", ns::MUC_USER)).collect();
        if let Some(decline) = x.find("decline", ns::MUC_USER) {
            return self.decline(context, from, decline);
        }
        if invites.is_empty() || invites.len() > MOST {
            return Err(Condition::BadRequest.into());
        }
        let whom = invites.iter().map(|invite| addressee(invite)).collect::<Result<Vec<Jid>, _>>()?;
        // Who is invited may become a member, which a whole domain must not by a member's word.
        if whom.iter().any(|to| to.address().is_none()) {
            return Err(Condition::JidMalformed.into());
        }
        self.may_invite(from)?;
        for (invite, to) in invites.into_iter().zip(whom) {
            self.invite(context, from, invite, &to)?;
        }
        Ok(())
    }

    /// §7.8.2: only who is in the room; to a room for members, only who may make members, or all where the owner says so.
    fn may_invite(&self, from: &Jid) -> Result<(), StanzaError> {
        let role = self.role_of(from);
        if role == Role::None {
            return Err(Condition::NotAcceptable.into());
        }
        let member = self.config.invites && self.affiliation_of(from) >= Affiliation::Member;
        let allowed = !self.config.members_only || self.affiliation_of(from) >= Affiliation::Admin || member;
        if allowed && role >= Role::Participant { Ok(()) } else { Err(Condition::Forbidden.into()) }
    }

    fn invite(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        invite: &Element,
        to: &Jid,
    ) -> Result<(), StanzaError> {
        let theirs = self.affiliation_of(to);
        if theirs == Affiliation::Outcast && self.affiliation_of(from) < Affiliation::Admin {
            return Err(Condition::Forbidden.into());
        }
        if self.config.members_only && theirs < Affiliation::Member {
            self.has_room(context, [(to.bare(), None, None)])?;
            // Who is invited is let in.
            self.set_affiliation(context, to.bare(), Affiliation::Member, None, Note::default());
        }
        let told = Element::new("invite", ns::MUC_USER).attr("from", from.to_bare().to_string());
        let goes_on = invite.find("continue", ns::MUC_USER).cloned();
        let told = told.children_from(reason(invite).into_iter().chain(goes_on));
        let mut x = Element::new("x", ns::MUC_USER).child(told);
        let mut direct = Element::new("x", ns::CONFERENCE).attr("jid", self.jid.to_string());
        if !self.config.password.is_empty() {
            x.push(Element::new("password", ns::MUC_USER).text(self.config.password.as_str()));
            direct.set("password", self.config.password.as_str());
        }
        if let Some(reason) = reason(invite) {
            direct.set("reason", reason.content());
        }
        let stanza = Draft::new(Kind::Message).from(Some(&self.jid)).to(Some(to)).child(&x).child(&direct);
        context.effects.push(Effect::Send(stanza.build()));
        Ok(())
    }

    /// Whoever was invited does not come; the room tells only its own people, and nobody who they are.
    fn decline(&self, context: &mut Context<'_>, from: &Jid, decline: &Element) -> Result<(), StanzaError> {
        let to = addressee(decline)?;
        let ours = self.affiliation_of(&to) >= Affiliation::Member
            || self.occupants.values().any(|occupant| occupant.who == *to.bare());
        if !ours || self.affiliation_of(from) == Affiliation::Outcast {
            return Ok(());
        }
        let told = Element::new("decline", ns::MUC_USER).attr("from", from.to_bare().to_string());
        let x = Element::new("x", ns::MUC_USER).child(told.children_from(reason(decline)));
        let stanza = Draft::new(Kind::Message).from(Some(&self.jid)).to(Some(&to)).child(&x);
        context.effects.push(Effect::Send(stanza.build()));
        Ok(())
    }
}
