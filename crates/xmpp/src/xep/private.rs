//! Private XML storage (XEP-0049): one element of each name, for the account's own clients.

use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::router::ask::DocumentKind;
use crate::router::settings::Reader;
use crate::stanza::{Condition, Stanza};
use crate::xml::Element;
use wire::ConnectionId;

/// The longest name with its namespace, in octets.
const MAX_TITLE: usize = 1024;

/// Under which name an element is kept.
fn title(element: &Element) -> Result<String, Condition> {
    let title = format!("{} {}", element.namespace(), element.name());
    // §4: what has no namespace of its own belongs to nobody.
    let own = !element.namespace().is_empty() && element.namespace() != ns::PRIVATE;
    if own && title.len() <= MAX_TITLE { Ok(title) } else { Err(Condition::NotAcceptable) }
}

impl Router {
    /// A session reads or keeps an element.
    pub(super) fn private_storage(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        get: bool,
        query: &Element,
    ) {
        let mut children = query.children();
        let element = match (children.next(), children.next()) {
            (Some(element), None) => element,
            _ => return self.answer_error(connection, stanza, Condition::BadRequest),
        };
        if self.old_bookmarks(connection, stanza, get, element) {
            return;
        }
        let title = match title(element) {
            Ok(title) => title,
            Err(condition) => return self.answer_error(connection, stanza, condition),
        };
        if get {
            let Some(account) = stanza.from().and_then(Jid::address) else { return };
            let none = Element::new(element.name().to_owned(), element.namespace().to_owned());
            let reader = Reader::Own { connection, stanza: stanza.clone(), none };
            self.read_document(account, DocumentKind::Private, &title, reader);
        } else {
            let empty = element.children().next().is_none() && element.content().is_empty();
            let payload = (!empty).then(|| element.to_xml(ns::PRIVATE));
            self.put_document(connection, stanza, DocumentKind::Private, &title, payload);
        }
    }
}
