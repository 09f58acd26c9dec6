//! What a room is (XEP-0045 §4.2, §15.5.3): its options, as its owner fills them in and as they are kept.

use super::form::{self, Filled};
use crate::stanza::Condition;
use crate::xml::Element;

/// What the form is called.
pub(crate) const FORM: &str = "http://jabber.org/protocol/muc#roomconfig";
/// The namespace of what is kept; nobody but this server ever sees it.
pub(super) const KEPT: &str = "urn:parlour:room:1";

/// Who may see who occupants really are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whois {
    /// Moderators: the room is semi-anonymous.
    Moderators,
    /// Everybody: it is not anonymous.
    Anyone,
}

/// Who may write to an occupant in private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Private {
    Anyone,
    Participants,
    Moderators,
    None,
}

impl Private {
    const ALL: [Self; 4] = [Self::Anyone, Self::Participants, Self::Moderators, Self::None];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Participants => "participants",
            Self::Moderators => "moderators",
            Self::None => "none",
        }
    }
}

/// A room's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) language: String,
    /// It stays when everybody has left.
    pub(crate) persistent: bool,
    /// The service lists it.
    pub(crate) public: bool,
    pub(crate) members_only: bool,
    /// Who is nobody in particular has no voice.
    pub(crate) moderated: bool,
    /// Empty: none.
    pub(crate) password: String,
    pub(crate) whois: Whois,
    /// Occupants may change the subject.
    pub(crate) change_subject: bool,
    /// Members may invite to a room for members.
    pub(crate) invites: bool,
    pub(crate) private: Private,
    pub(crate) max_users: usize,
    /// How much of what was said newcomers are told at most.
    pub(crate) history: usize,
    /// What is said is kept (XEP-0313).
    pub(crate) archive: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            language: String::new(),
            persistent: false,
            public: true,
            members_only: false,
            moderated: false,
            password: String::new(),
            whois: Whois::Moderators,
            change_subject: false,
            invites: false,
            private: Private::Anyone,
            max_users: 200,
            history: 20,
            archive: true,
        }
    }
}

/// The longest name, language, password, in octets.
const SHORT: usize = 256;
/// The longest description.
const LONG: usize = 4096;

const USERS: [(&str, &str); 7] = [
    ("10", "10"),
    ("20", "20"),
    ("50", "50"),
    ("100", "100"),
    ("200", "200"),
    ("500", "500"),
    ("1000", "1000"),
];

/// A text that is not too long.
fn short(filled: &Filled<'_>, var: &str, most: usize, text: &mut String) -> Result<(), Condition> {
    match filled.get(var) {
        Some(typed) if typed.len() > most => Err(Condition::NotAcceptable),
        Some(typed) => {
            *text = typed;
            Ok(())
        }
        None => Ok(()),
    }
}

fn flag(filled: &Filled<'_>, var: &str, on: &mut bool) -> Result<(), Condition> {
    *on = filled.flag(var)?.unwrap_or(*on);
    Ok(())
}

fn number(filled: &Filled<'_>, var: &str, number: &mut usize) -> Result<(), Condition> {
    match filled.get(var).as_deref() {
        None => {}
        Some("" | "none") => *number = usize::MAX,
        Some(typed) => *number = typed.trim().parse().map_err(|_| Condition::NotAcceptable)?,
    }
    Ok(())
}

impl Config {
    /// The fields for the owner (§10.2).
    pub(crate) fn fields(&self) -> Vec<Element> {
        let whois = match self.whois {
            Whois::Moderators => "moderators",
            Whois::Anyone => "anyone",
        };
        let (all, roles) = (("anyone", "Anyone"), ("moderators", "Moderators only"));
        let private = [all, ("participants", "Those who have voice"), roles, ("none", "Nobody")];
        let users = self.max_users.to_string();
        vec![
            form::form_type(FORM),
            form::text("muc#roomconfig_roomname", "Name", &self.name),
            form::text("muc#roomconfig_roomdesc", "Description", &self.description),
            form::text("muc#roomconfig_lang", "Language", &self.language),
            form::flag("muc#roomconfig_persistentroom", "Stays when everybody has left", self.persistent),
            form::flag("muc#roomconfig_publicroom", "Is listed", self.public),
            form::flag("muc#roomconfig_membersonly", "For members only", self.members_only),
            form::flag("muc#roomconfig_moderatedroom", "Only those with voice may talk", self.moderated),
            form::flag("muc#roomconfig_passwordprotectedroom", "Needs a password", !self.password.is_empty()),
            form::field("muc#roomconfig_roomsecret", "text-private", "Password")
                .children_from(Some(&self.password).filter(|password| !password.is_empty()).map(form::value)),
            form::choice("muc#roomconfig_whois", "Who sees who occupants really are", whois, &[roles, all]),
            form::flag("muc#roomconfig_changesubject", "Occupants may set the subject", self.change_subject),
            form::flag("muc#roomconfig_allowinvites", "Members may invite others", self.invites),
            form::choice("muc#roomconfig_allowpm", "Who may talk in private", self.private.name(), &private),
            form::choice("muc#roomconfig_maxusers", "Most occupants", &users, &USERS),
            form::text("muc#maxhistoryfetch", "Messages that newcomers see", &self.history.to_string()),
            form::flag("muc#roomconfig_enablearchiving", "What is said is kept", self.archive),
        ]
    }

    /// The same with what the owner has filled in (§10.2); what the form leaves out stays.
    pub(crate) fn filled(&self, filled: &Filled<'_>, most: usize) -> Result<Self, Condition> {
        let mut new = self.clone();
        short(filled, "muc#roomconfig_roomname", SHORT, &mut new.name)?;
        short(filled, "muc#roomconfig_roomdesc", LONG, &mut new.description)?;
        short(filled, "muc#roomconfig_lang", SHORT, &mut new.language)?;
        flag(filled, "muc#roomconfig_persistentroom", &mut new.persistent)?;
        flag(filled, "muc#roomconfig_publicroom", &mut new.public)?;
        flag(filled, "muc#roomconfig_membersonly", &mut new.members_only)?;
        flag(filled, "muc#roomconfig_moderatedroom", &mut new.moderated)?;
        flag(filled, "muc#roomconfig_changesubject", &mut new.change_subject)?;
        flag(filled, "muc#roomconfig_allowinvites", &mut new.invites)?;
        flag(filled, "muc#roomconfig_enablearchiving", &mut new.archive)?;
        short(filled, "muc#roomconfig_roomsecret", SHORT, &mut new.password)?;
        match filled.flag("muc#roomconfig_passwordprotectedroom")? {
            // §10.2: a password is needed where one is asked for.
            Some(true) if new.password.is_empty() => return Err(Condition::NotAcceptable),
            Some(false) => new.password.clear(),
            _ => {}
        }
        match filled.get("muc#roomconfig_whois").as_deref() {
            None => {}
            Some("moderators") => new.whois = Whois::Moderators,
            Some("anyone") => new.whois = Whois::Anyone,
            Some(_) => return Err(Condition::NotAcceptable),
        }
        if let Some(typed) = filled.get("muc#roomconfig_allowpm") {
            let found = Private::ALL.into_iter().find(|private| private.name() == typed);
            new.private = found.ok_or(Condition::NotAcceptable)?;
        }
        number(filled, "muc#roomconfig_maxusers", &mut new.max_users)?;
        number(filled, "muc#maxhistoryfetch", &mut new.history)?;
        new.max_users = new.max_users.clamp(1, most);
        new.history = new.history.min(super::limits::HISTORY);
        Ok(new)
    }

    /// As attributes of what is kept of the room.
    pub(super) fn write(&self, root: Element) -> Element {
        let number = |number: usize| number.to_string();
        let flag = |on: bool| u8::from(on).to_string();
        root.attr("name", self.name.as_str())
            .attr("description", self.description.as_str())
            .attr("language", self.language.as_str())
            .attr("persistent", flag(self.persistent))
            .attr("public", flag(self.public))
            .attr("members-only", flag(self.members_only))
            .attr("moderated", flag(self.moderated))
            .attr("password", self.password.as_str())
            .attr("open", flag(self.whois == Whois::Anyone))
            .attr("change-subject", flag(self.change_subject))
            .attr("invites", flag(self.invites))
            .attr("private", self.private.name())
            .attr("max-users", number(self.max_users))
            .attr("history", number(self.history))
            .attr("archive", flag(self.archive))
    }

    /// What was kept; what is missing is as usual.
    pub(super) fn read(root: &Element) -> Self {
        let usual = Self::default();
        let text = |name| root.get(name).unwrap_or_default().to_owned();
        let flag = |name, usual: bool| root.get(name).map_or(usual, |value| value == "1");
        let number = |name, usual| root.get(name).and_then(|value| value.parse().ok()).unwrap_or(usual);
        let private = Private::ALL.into_iter().find(|private| Some(private.name()) == root.get("private"));
        Self {
            name: text("name"),
            description: text("description"),
            language: text("language"),
            persistent: flag("persistent", true),
            public: flag("public", usual.public),
            members_only: flag("members-only", usual.members_only),
            moderated: flag("moderated", usual.moderated),
            password: text("password"),
            whois: if flag("open", false) { Whois::Anyone } else { Whois::Moderators },
            change_subject: flag("change-subject", usual.change_subject),
            invites: flag("invites", usual.invites),
            private: private.unwrap_or(usual.private),
            max_users: number("max-users", usual.max_users),
            history: number("history", usual.history),
            archive: flag("archive", usual.archive),
        }
    }
}
