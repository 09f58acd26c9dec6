//! The room's vCard, and the picture in it (XEP-0054, XEP-0153): set by an owner, shown to whoever comes in.

use super::room::{Affiliation, Room};
use super::{Answer, Context, limits};
use crate::jid::Jid;
use crate::ns;
use crate::sasl::scram::{self, Algorithm};
use crate::stanza::{Condition, Draft, Kind, Stanza};
use crate::xml::Element;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::cell::OnceCell;
use std::fmt::Write as _;
use std::sync::Arc;

/// A room's vCard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// The vCard: XML.
    pub(super) text: Arc<str>,
    /// The hash of the picture in it, of which everybody is told who comes in; once somebody is.
    picture: OnceCell<Option<Arc<str>>>,
}

impl Card {
    /// A vCard as it is kept.
    pub(super) fn new(text: String) -> Self {
        Self { text: text.into(), picture: OnceCell::new() }
    }

    fn picture(&self) -> Option<&str> {
        let hash = || hash(&Element::parse(&self.text, ns::CLIENT).ok()?).map(Into::into);
        self.picture.get_or_init(hash).as_deref()
    }
}

/// SHA-1 of a picture, in hexadecimal digits.
fn hash(card: &Element) -> Option<String> {
    let photo = card.find("PHOTO", ns::VCARD)?.find("BINVAL", ns::VCARD)?.content();
    let photo: String = photo.split_whitespace().collect();
    let hash = <scram::Sha1 as Algorithm<20>>::hash(&BASE64.decode(photo).ok()?);
    let mut digits = String::with_capacity(40);
    hash.iter().for_each(|octet| {
        // A String takes everything.
        let _ = write!(digits, "{octet:02x}");
    });
    Some(digits)
}

impl Room {
    pub(super) fn vcard(
        &mut self,
        context: &mut Context<'_>,
        from: &Jid,
        get: bool,
        card: &Element,
    ) -> Answer {
        let affiliation = self.affiliation_of(from);
        if get {
            let open = !self.config.members_only && affiliation > Affiliation::Outcast;
            if !open && affiliation < Affiliation::Member {
                return Err(Condition::Forbidden.into());
            }
            let kept = self.card.as_ref().and_then(|card| Element::parse(&card.text, ns::CLIENT).ok());
            return Ok(Some(kept.unwrap_or_else(|| Element::new("vCard", ns::VCARD))));
        }
        if affiliation != Affiliation::Owner {
            return Err(Condition::Forbidden.into());
        }
        let text = card.to_xml(ns::CLIENT);
        if text.len() > limits::CARD {
            return Err(Condition::NotAcceptable.into());
        }
        let empty = card.children().next().is_none();
        self.card = (!empty).then(|| Card::new(text));
        self.changes.document = true;
        let update = self.picture();
        self.tell_statuses(context, &[104]);
        self.tell_all(context, update);
        Ok(None)
    }

    /// The hash of the room's picture.
    pub(super) fn picture_digits(&self) -> Option<&str> {
        self.card.as_ref()?.picture()
    }

    fn picture(&self) -> Stanza {
        let photo = Element::new("photo", ns::VCARD_UPDATE).text(self.picture_digits().unwrap_or_default());
        let update = Element::new("x", ns::VCARD_UPDATE).child(photo);
        Draft::new(Kind::Presence).from(Some(&self.jid)).child(&update).build()
    }

    /// What newcomers are told of it, where there is one.
    pub(super) fn picture_hash(&self) -> Option<Stanza> {
        self.card.is_some().then(|| self.picture())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of a hundred kilobytes was taken apart and hashed whenever somebody came in or asked what the room is.
    #[test]
    fn a_picture_is_hashed_once() {
        let card = "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>Zm 9v\n</BINVAL></PHOTO></vCard>";
        let address = "ball@rooms.verona.example".parse().unwrap();
        let creator = "juliet@verona.example".parse().unwrap();
        let mut room = Room::new(address, creator, String::new(), crate::muc::config::Config::default());
        assert!(room.picture_digits().is_none());
        room.card = Some(Card::new(card.to_owned()));
        assert!(room.picture_digits().is_some());
        // What there is no need to look at any more.
        room.card.iter_mut().for_each(|card| card.text = "".into());
        assert_eq!(room.picture_digits(), Some("0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"));
    }
}
