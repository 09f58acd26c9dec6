//! What an account has told the server to do with what comes for it: whom it blocks (XEP-0191), what its archive keeps
//! (XEP-0313 §6). Kept as one document.

use crate::jid::Jid;
use crate::xml::Element;
use std::collections::BTreeSet;

/// The namespace of the document; nobody but this server ever sees it.
const NAMESPACE: &str = "urn:parlour:settings:1";

/// What an account's archive keeps where neither list says it (XEP-0313 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Everything.
    #[default]
    Always,
    /// What is said with contacts of the roster.
    Roster,
    /// Nothing.
    Never,
}

impl Keeping {
    const ALL: [Self; 3] = [Self::Always, Self::Roster, Self::Never];

    /// As XEP-0313 writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Roster => "roster",
            Self::Never => "never",
        }
    }

    /// As XEP-0313 writes it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keeping| keeping.name() == name)
    }
}

/// What an account's archive keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    pub(crate) default: Keeping,
    pub(crate) always: BTreeSet<Jid>,
    pub(crate) never: BTreeSet<Jid>,
}

impl Preferences {
    /// Whether what is said with `peer` is kept; `contact`: whether it is in the roster.
    pub(crate) fn keeps(&self, peer: &Jid, contact: impl FnOnce() -> bool) -> bool {
        let listed = |list: &BTreeSet<Jid>| {
            !list.is_empty() && (list.contains(peer) || list.contains(&peer.to_bare()))
        };
        if listed(&self.never) {
            return false;
        }
        match self.default {
            Keeping::Always => true,
            _ if listed(&self.always) => true,
            Keeping::Roster => contact(),
            Keeping::Never => false,
        }
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) blocked: BTreeSet<Jid>,
    pub(crate) archive: Preferences,
}

impl Settings {
    /// Whether nothing of `jid` comes through: it, its bare form, its domain or its domain's resource is blocked
    /// (XEP-0191 §3.1).
    pub(crate) fn blocks(&self, jid: &Jid) -> bool {
        if self.blocked.is_empty() {
            return false;
        }
        let has = |jid: &Jid| self.blocked.contains(jid);
        let domain: Option<Jid> = jid.domain().parse().ok();
        let resource = || domain.as_ref()?.with_resource(jid.resource()?).ok();
        has(jid)
            || has(&jid.to_bare())
            || domain.as_ref().is_some_and(has)
            || resource().is_some_and(|r| has(&r))
    }

    /// As it is kept; `None` where it says nothing.
    pub(crate) fn write(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        let rows = |name: &'static str, list: &BTreeSet<Jid>| {
            let row = |jid: &Jid| Element::new(name, NAMESPACE).attr("jid", jid.to_string());
            list.iter().map(row).collect::<Vec<_>>()
        };
        let root = Element::new("settings", NAMESPACE).attr("archive", self.archive.default.name());
        let root = root.children_from(rows("block", &self.blocked));
        let root = root.children_from(rows("always", &self.archive.always));
        Some(root.children_from(rows("never", &self.archive.never)).to_xml(""))
    }

    /// What was kept. What cannot be read is as if it were not there.
    pub(crate) fn read(text: &str) -> Self {
        let mut settings = Self::default();
        let Ok(root) = Element::parse(text, "") else { return settings };
        settings.archive.default = root.get("archive").and_then(Keeping::from_name).unwrap_or_default();
        for row in root.children() {
            let Some(jid) = row.get("jid").and_then(|jid| jid.parse().ok()) else { continue };
            match row.name() {
                "block" => settings.blocked.insert(jid),
                "always" => settings.archive.always.insert(jid),
                "never" => settings.archive.never.insert(jid),
                _ => false,
            };
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(jids: &[&str]) -> BTreeSet<Jid> {
        jids.iter().map(|jid| jid.parse().unwrap()).collect()
    }

    #[test]
    fn come_back_as_they_were() {
        assert_eq!(Settings::default().write(), None);
        let settings = Settings {
            blocked: set(&["a@b", "c@d/e'<&", "f", "g/h"]),
            archive: Preferences {
                default: Keeping::Roster,
                always: set(&["i@j"]),
                never: set(&["k@l", "m@n/o"]),
            },
        };
        assert_eq!(Settings::read(&settings.write().unwrap()), settings);
        assert_eq!(Settings::read("<broken"), Settings::default());
    }

    #[test]
    fn a_jid_is_blocked_by_each_of_its_forms() {
        let jid: Jid = "a@b/c".parse().unwrap();
        for (blocked, expected) in [
            ("a@b/c", true),
            ("a@b", true),
            ("b", true),
            ("b/c", true),
            ("a@b/d", false),
            ("x@b", false),
            ("b/d", false),
        ] {
            let settings = Settings { blocked: set(&[blocked]), ..Settings::default() };
            assert_eq!(settings.blocks(&jid), expected, "{blocked}");
        }
        assert!(!Settings::default().blocks(&jid));
    }

    #[test]
    fn an_archive_keeps_what_it_is_told_to() {
        let peer: Jid = "a@b/c".parse().unwrap();
        let check = |default, always: &[&str], never: &[&str], contact, expected| {
            let preferences = Preferences { default, always: set(always), never: set(never) };
            assert_eq!(
                preferences.keeps(&peer, || contact),
                expected,
                "{default:?} {always:?} {never:?} {contact}"
            );
        };
        check(Keeping::Always, &[], &[], false, true);
        check(Keeping::Always, &[], &["a@b"], true, false);
        check(Keeping::Always, &["a@b"], &["a@b/c"], true, false);
        check(Keeping::Roster, &[], &[], true, true);
        check(Keeping::Roster, &[], &[], false, false);
        check(Keeping::Roster, &["a@b"], &[], false, true);
        check(Keeping::Never, &[], &[], true, false);
        check(Keeping::Never, &["a@b/c"], &[], true, true);
        check(Keeping::Never, &["a@b/d"], &[], true, false);
    }
}
