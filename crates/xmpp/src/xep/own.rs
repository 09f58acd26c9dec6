//! What a session asks of its own account and only the router can answer: one row per namespace.

use crate::ns;
use crate::router::Router;
use crate::stanza::Stanza;
use crate::xml::Element;
use wire::ConnectionId;

impl Router {
    /// Carries out a request of a session to its own account; `false`: it is none of these.
    pub(crate) fn own_request(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        payload: &Element,
    ) -> bool {
        let changes_settings =
            !get && matches!(payload.namespace(), ns::BLOCKING | ns::MAM) && payload.name() != "query";
        if changes_settings && self.waits_for_settings(connection, stanza) {
            return true;
        }
        match (payload.name(), payload.namespace()) {
            ("query", ns::ROSTER) => self.sent_roster(connection, stanza, get, payload),
            ("query", ns::LAST) => self.own_last(connection, stanza, get),
            ("enable", ns::CARBONS) => self.set_carbons(connection, stanza, true),
            ("disable", ns::CARBONS) => self.set_carbons(connection, stanza, false),
            (_, ns::BLOCKING) => self.blocking(connection, stanza, get, payload),
            ("query", ns::PRIVATE) => self.private_storage(connection, stanza, get, payload),
            ("query", ns::MAM) if self.limits.archive => self.ask_archive(connection, stanza, get, payload),
            ("metadata", ns::MAM) if self.limits.archive => self.ask_metadata(connection, stanza, get),
            ("prefs", ns::MAM) if self.limits.archive => {
                self.archive_preferences(connection, stanza, get, payload);
            }
            _ if Self::is_about_nodes(payload) && stanza.to().is_some() => {
                self.ask_own_nodes(connection, stanza, get, payload);
            }
            (_, ns::PUBSUB | ns::PUBSUB_OWNER | ns::VCARD4) => {
                self.ask_own_nodes(connection, stanza, get, payload)
            }
            ("vCard", ns::VCARD) => self.own_card(connection, stanza, get, payload),
            _ => return false,
        }
        true
    }
}
