//! What an account's archive keeps, as its clients say it (XEP-0441).

use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::router::stored::Effect;
use crate::settings::{Keeping, Preferences};
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use std::collections::BTreeSet;
use wire::ConnectionId;

/// The most addresses of one list.
const MOST: usize = 200;

fn jids(prefs: &Element, name: &str) -> Result<BTreeSet<Jid>, Condition> {
    let list = prefs.find(name, ns::MAM).into_iter().flat_map(Element::children);
    let jids = list.map(|jid| jid.content().trim().parse().map_err(|_| Condition::JidMalformed));
    let jids = jids.collect::<Result<BTreeSet<Jid>, _>>()?;
    if jids.len() > MOST { Err(Condition::ResourceConstraint) } else { Ok(jids) }
}

fn read(prefs: &Element) -> Result<Preferences, Condition> {
    let default = prefs.get("default").and_then(Keeping::from_name).ok_or(Condition::BadRequest)?;
    Ok(Preferences { default, always: jids(prefs, "always")?, never: jids(prefs, "never")? })
}

fn write(preferences: &Preferences) -> Element {
    let list = |name: &'static str, jids: &BTreeSet<Jid>| {
        let jid = |jid: &Jid| Element::new("jid", ns::MAM).text(jid.to_string());
        Element::new(name, ns::MAM).children_from(jids.iter().map(jid))
    };
    let prefs = Element::new("prefs", ns::MAM).attr("default", preferences.default.name());
    prefs.child(list("always", &preferences.always)).child(list("never", &preferences.never))
}

impl Router {
    /// A session reads or sets them.
    pub(crate) fn archive_preferences(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        prefs: &Element,
    ) {
        let Some(account) = stanza.from().and_then(Jid::address) else { return };
        let mut settings = self.settings(account).cloned().unwrap_or_default();
        if get {
            return self.answer(connection, stanza.result(Some(&write(&settings.archive))));
        }
        match read(prefs) {
            Ok(preferences) => {
                let answer = stanza.result(Some(&write(&preferences)));
                settings.archive = preferences;
                let effects = vec![Effect::Answer(connection, answer)];
                self.set_settings(account, settings, connection, stanza, effects);
            }
            Err(condition) => self.answer_error(connection, stanza, condition),
        }
    }
}
