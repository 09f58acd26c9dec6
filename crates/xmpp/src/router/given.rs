//! What a session is given, and who else was given the same: so that what nobody took finds another way once, and what
//! somebody took does not (RFC 6121 §8.5.2, XEP-0198 §5).

use super::{Parcel, Receipt};
use crate::stanza::{IqType, Kind, MessageType, Stanza};
use std::cell::Cell;
use std::rc::Rc;

/// A stanza for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The stanza; its text is shared by all who get it.
    pub stanza: Stanza,
    /// To be given back once the connection has taken it.
    pub receipt: Option<Receipt>,
    /// Held together with the other sessions that were given it, if there were any.
    pub share: Option<Share>,
}

impl Given {
    /// Whether anybody misses it where its session does not take it. What a room says nobody does: it hears that the session is
    /// not there any more.
    pub fn is_missed(&self) -> bool {
        let words = || matches!(self.stanza.message_type(), MessageType::Chat | MessageType::Normal);
        let alone = || passes(&self.stanza) && (self.stanza.kind() == Kind::Iq || words());
        self.receipt.is_some() || self.share.is_some() || alone()
    }
}

/// Whether what a session gives back finds another way.
fn passes(stanza: &Stanza) -> bool {
    let (Some(from), Some(to)) = (stanza.from(), stanza.to()) else { return false };
    // Copies and pages of the archive are what the account itself says to one resource.
    let to_itself = from.is_bare() && from.bare() == to.bare();
    match stanza.kind() {
        Kind::Presence => false,
        // News goes to all at once, whatever their priority, and is forgotten where nobody hears it.
        Kind::Message => !(to_itself || (to.is_bare() && stanza.message_type() == MessageType::Headline)),
        Kind::Iq => !to_itself && stanza.iq_type().is_some_and(IqType::is_request),
    }
}

impl From<Stanza> for Given {
    fn from(stanza: Stanza) -> Self {
        Self { stanza, receipt: None, share: None }
    }
}

/// One message that several sessions of an account were given: how many of them have not given it back. Who has taken it
/// never gives it back, so where it comes back from all, nobody has it. All of an account's sessions are on one worker, and so are
/// those that share.
#[derive(Clone, Debug)]
pub struct Share(Rc<Cell<usize>>);

impl Share {
    /// A share of so many sessions; one alone needs none.
    pub(crate) fn among(holders: usize) -> Option<Self> {
        (holders > 1).then(|| Self(Rc::new(Cell::new(holders))))
    }

    /// A session gives it back: whether none of the others has it either.
    #[must_use = "the last who gives it back has to find it another way"]
    pub(crate) fn give_back(self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }

    /// How many have not given it back.
    pub(crate) fn holders(&self) -> usize {
        self.0.get()
    }

    /// What it is known by as long as somebody holds it.
    pub(crate) fn place(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Share {}

impl Parcel {
    /// What a session gives back finds another way: a message to whoever else may hear it, a question back to who asked. None of
    /// what the store still keeps, what another session holds or has taken, and what nobody else misses. `age`: how many
    /// seconds ago it was sent.
    pub(crate) fn given_back(given: Given, age: u32) -> Option<Self> {
        let Given { stanza, receipt, share } = given;
        if share.is_some_and(|share| !share.give_back()) || receipt.is_some() {
            return None;
        }
        passes(&stanza).then(|| Self { quiet: false, age, again: true, ..Self::own(stanza) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_who_gives_it_back_knows_that() {
        let share = Share::among(3).expect("three of them");
        assert!(!share.clone().give_back());
        assert!(!share.clone().give_back());
        assert_eq!(share.holders(), 1);
        assert!(share.give_back());
    }

    #[test]
    fn what_one_has_taken_nobody_finds_another_way() {
        let share = Share::among(2).expect("two of them");
        // The other one has acknowledged it.
        assert!(!share.give_back());
        assert!(Share::among(1).is_none() && Share::among(0).is_none());
    }

    /// What a client is not told any more that has left too much unread.
    #[test]
    fn nobody_misses_what_the_server_itself_says_to_one_session() {
        let is_missed = |xml: &str| Given::from(Stanza::parse(xml).expect("a stanza")).is_missed();
        let to = "to='romeo@verona.example/garden'";
        let juliet = "from='juliet@verona.example/balcony'";
        let own = "from='romeo@verona.example'";
        assert!(is_missed(&format!("<message {juliet} {to} type='chat'><body>x</body></message>")));
        assert!(is_missed(&format!("<iq {juliet} {to} id='1' type='get'><query xmlns='urn:x'/></iq>")));
        assert!(!is_missed(&format!("<iq {juliet} {to} id='1' type='result'/>")));
        assert!(!is_missed(&format!(
            "<iq {own} {to} id='1' type='result'><query xmlns='jabber:iq:roster'/></iq>"
        )));
        assert!(!is_missed(&format!("<message {own} {to}><result xmlns='urn:xmpp:mam:2'/></message>")));
        assert!(!is_missed(&format!("<presence {juliet} {to}/>")));
        let ball = "from='ball@rooms.verona.example/Juliet'";
        assert!(!is_missed(&format!("<message {ball} {to} type='groupchat'><body>x</body></message>")));
        assert!(is_missed(&format!("<message {ball} {to} type='chat'><body>x</body></message>")));
        let juliet = "from='juliet@verona.example'";
        assert!(!is_missed(&format!("<message {juliet} {to} type='headline'><body>x</body></message>")));
        assert!(!is_missed(&format!("<message {juliet} {to} type='error'/>")));
        let stanza = Stanza::parse(&format!("<presence {juliet} {to}/>")).expect("a stanza");
        // The others have to know that this one has not taken it.
        assert!(Given { stanza, receipt: None, share: Share::among(2) }.is_missed());
    }
}
