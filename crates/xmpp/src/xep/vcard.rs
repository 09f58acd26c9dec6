//! vCards (XEP-0054): what somebody tells of themselves. Colleagues may read it, strangers may not.

use crate::jid::Jid;
use crate::ns;
use crate::router::ask::DocumentKind;
use crate::router::settings::Reader;
use crate::router::{Parcel, Router};
use crate::stanza::Stanza;
use crate::xml::Element;
use wire::{Address, ConnectionId};

impl Router {
    /// A session reads or sets its own.
    pub(super) fn own_card(&mut self, connection: ConnectionId, stanza: &Stanza, get: bool, card: &Element) {
        if get {
            let Some(account) = stanza.from().and_then(Jid::address) else { return };
            let none = Element::new("vCard", ns::VCARD);
            let reader = Reader::Own { connection, stanza: stanza.clone(), none };
            self.read_card(account, reader);
        } else {
            self.put_document(connection, stanza, DocumentKind::Card, "", Some(card.to_xml(ns::CLIENT)));
            if let Some(account) = stanza.from().and_then(Jid::address).cloned() {
                self.publish_photo(&account, card);
            }
        }
    }

    /// Somebody wants an account's. Whether there is an account is told to those alone who would be given one: its
    /// contacts, and everybody with an account here.
    pub(crate) fn asked_for_card(&mut self, account: &Address, parcel: Parcel) {
        self.read_card(account, Reader::Other(parcel));
    }

    /// Whether somebody may read the account's vCard.
    pub(crate) fn may_read_card(&self, account: &Address, who: &Jid) -> bool {
        let colleague = who.address().is_some_and(|who| self.directory.get(who).is_some());
        colleague || self.is_trusted(account, who)
    }
}
