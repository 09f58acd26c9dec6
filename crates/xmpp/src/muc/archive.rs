//! Who may read what was said, and which of it they ask for (XEP-0313 §5.1.2 for rooms).

use super::room::{Affiliation, Room};
use super::{Context, Effect};
use crate::archive::query;
use crate::jid::Jid;
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;

/// The most of one page.
const PAGE: u32 = 100;

impl Room {
    pub(super) fn archived(
        &mut self,
        context: &mut Context<'_>,
        stanza: &Stanza,
        from: &Jid,
        get: bool,
        payload: &Element,
    ) {
        if !self.keeps(context) {
            return context.refuse(stanza, Condition::ServiceUnavailable);
        }
        if !self.may_read(from) {
            return context.refuse(stanza, Condition::Forbidden);
        }
        match (payload.name(), get) {
            ("query", true) => context.answer(stanza, Some(&query::form())),
            ("query", false) => match query::read(payload, PAGE) {
                Ok(mut asked) => {
                    self.with_occupants(&mut asked);
                    context.effects.push(Effect::Search(Box::new(asked)));
                }
                Err(condition) => context.refuse(stanza, condition),
            },
            ("metadata", true) => context.effects.push(Effect::Extent),
            _ => context.refuse(stanza, Condition::FeatureNotImplemented),
        }
    }

    /// Whoever could be in the room without anybody's leave, or has it.
    fn may_read(&self, from: &Jid) -> bool {
        let open = !self.config.members_only && self.config.password.is_empty();
        match self.affiliation_of(from) {
            Affiliation::Outcast => false,
            Affiliation::None => open || self.is_here(from),
            _ => true,
        }
    }

    /// With whom something was said is an occupant here: their nick.
    fn with_occupants(&self, asked: &mut query::Asked) {
        if asked.span.peer.as_deref() == Some(self.address.as_str()) {
            asked.span.peer = None;
        } else if asked.span.peer.is_some() {
            // Nobody is told what somebody said whose JID they may not see.
            asked.span.only = Some(Vec::new());
        }
    }
}
