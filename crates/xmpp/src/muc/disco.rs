//! What a room is and who is in it, for those who ask (XEP-0045 §6.4-§6.6, XEP-0128).

use super::config::Whois;
use super::form;
use super::room::{Affiliation, Room};
use super::{Answer, Context};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;

/// The node of one's own nick (§7.12).
pub(super) const NICK: &str = "x-roomuser-item";

const FEATURES: [&str; 9] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::MUC,
    "http://jabber.org/protocol/muc#stable_id",
    "http://jabber.org/protocol/muc#self-ping-optimization",
    ns::REGISTER,
    ns::OCCUPANT_ID,
    ns::MODERATE,
    ns::VCARD,
];

impl Room {
    pub(super) fn info(&mut self, context: &Context<'_>, from: &Jid, query: &Element) -> Answer {
        match query.get("node") {
            Some(NICK) => return Ok(Some(self.reserved_nick(from))),
            Some(node) if !node.is_empty() => return Err(Condition::ItemNotFound.into()),
            _ => {}
        }
        self.may_look(from)?;
        let config = &self.config;
        let name = if config.name.is_empty() { self.address.user() } else { &config.name };
        let identity = Element::new("identity", ns::DISCO_INFO).attr("category", "conference");
        let identity = identity.attr("type", "text").attr("name", name);
        let pick = |on: bool, yes, no| if on { yes } else { no };
        let kinds = [
            pick(config.public, "muc_public", "muc_hidden"),
            pick(config.members_only, "muc_membersonly", "muc_open"),
            pick(config.moderated, "muc_moderated", "muc_unmoderated"),
            pick(config.whois == Whois::Anyone, "muc_nonanonymous", "muc_semianonymous"),
            pick(config.password.is_empty(), "muc_unsecured", "muc_passwordprotected"),
            pick(config.persistent, "muc_persistent", "muc_temporary"),
        ];
        let archive: &[&str] =
            if self.keeps(context) { &[ns::MAM, ns::MAM_EXTENDED, ns::STANZA_ID] } else { &[ns::STANZA_ID] };
        let all = FEATURES.iter().chain(&kinds).chain(archive);
        let feature = |var: &&str| Element::new("feature", ns::DISCO_INFO).attr("var", *var);
        let query = Element::new("query", ns::DISCO_INFO).child(identity).children_from(all.map(feature));
        Ok(Some(query.child(self.room_info())))
    }

    /// §6.4: what there is to say of it.
    fn room_info(&self) -> Element {
        let config = &self.config;
        let occupants = self.occupants.len().to_string();
        let subject = Element::parse(&self.subject.xml, ns::CLIENT).map(|subject| subject.content());
        let mut fields = vec![
            form::form_type("http://jabber.org/protocol/muc#roominfo"),
            form::text("muc#roominfo_description", "Description", &config.description),
            form::text("muc#roominfo_occupants", "Occupants", &occupants),
            form::text("muc#roominfo_subject", "Subject", &subject.unwrap_or_default()),
            form::flag("muc#roominfo_changesubject", "Occupants may set the subject", config.change_subject),
            form::flag("muc#roomconfig_allowinvites", "Members may invite others", config.invites),
            form::field("muc#roomconfig_allowpm", "list-single", "Who may talk in private")
                .child(form::value(config.private.name())),
        ];
        if !config.language.is_empty() {
            fields.push(form::text("muc#roominfo_lang", "Language", &config.language));
        }
        fields.extend(
            self.picture_digits().map(|digits| form::text("muc#roominfo_avatarhash", "Picture", digits)),
        );
        form::form("result", fields)
    }

    /// Outcasts are told nothing, nor is anybody of a hidden room for members who is none.
    fn may_look(&self, from: &Jid) -> Result<(), StanzaError> {
        match self.affiliation_of(from) {
            Affiliation::Outcast => Err(Condition::Forbidden.into()),
            Affiliation::None if self.config.members_only && !self.config.public => {
                Err(Condition::RegistrationRequired.into())
            }
            _ => Ok(()),
        }
    }

    /// §6.5: who is in it, for those who are in it themselves, or may be.
    pub(super) fn items(&self, from: &Jid, query: &Element) -> Answer {
        if query.get("node").is_some_and(|node| !node.is_empty()) {
            return Err(Condition::ItemNotFound.into());
        }
        self.may_look(from)?;
        let open = self.config.public && !self.config.members_only && self.config.password.is_empty();
        let shown = self.is_here(from) || open;
        let nicks = self.occupants.keys().filter(|_| shown);
        let item = |nick: &std::sync::Arc<str>| {
            Element::new("item", ns::DISCO_ITEMS).attr("jid", self.nick_jid(nick).to_string())
        };
        Ok(Some(Element::new("query", ns::DISCO_ITEMS).children_from(nicks.map(item))))
    }
}
