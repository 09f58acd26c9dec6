//! To whom a stanza goes: the classes of addressees, and the way back for what finds nobody.

use super::places::Place;
use super::{Between, Parcel, Router, Work};
use crate::jid::{Bare, Jid};
use crate::muc::may_change;
use crate::ns;
use crate::presence::subscription;
use crate::stanza::{Condition, Draft, IqType, Kind, PresenceType, Stanza};
use wire::{ConnectionId, Domain, WorkerId};

/// Who serves an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// An account, at home on this worker.
    Account(WorkerId),
    /// No account, though the domain is ours.
    Nobody,
    /// The server itself.
    Server,
    /// A room, or the room service itself; at home on this worker.
    Rooms(WorkerId),
    /// A component, at home on this worker.
    Component(WorkerId),
    /// Another server's business.
    Elsewhere,
}

impl Parcel {
    /// A stanza of the server's own making.
    pub(crate) fn own(stanza: Stanza) -> Self {
        Self {
            stanza,
            whom: None,
            origin: None,
            answer: false,
            quiet: true,
            age: 0,
            again: false,
            archived: false,
            heading: None,
        }
    }

    /// What a session sent.
    pub(crate) fn of(stanza: Stanza, origin: ConnectionId) -> Self {
        Self {
            stanza,
            whom: None,
            origin: Some(origin),
            answer: false,
            quiet: false,
            age: 0,
            again: false,
            archived: false,
            heading: None,
        }
    }

    /// Who sent it.
    pub(crate) fn from(&self) -> &Jid {
        self.stanza.from().expect("a parcel is stamped with its sender")
    }

    /// Whom it is for.
    pub(crate) fn to(&self) -> &Jid {
        self.whom.as_deref().or(self.stanza.to()).expect("a parcel has an addressee")
    }

    /// A stanza of the server's own making that many are shown.
    pub(crate) fn shared(stanza: &Stanza, to: Jid) -> Self {
        Self { whom: Some(Box::new(to)), ..Self::own(stanza.clone()) }
    }

    /// The same with its addressee in the stanza.
    pub(crate) fn written(mut self) -> Self {
        if let Some(to) = self.whom.take() {
            self.stanza = self.stanza.readdressed(self.stanza.from().cloned(), Some(*to));
        }
        self
    }

    /// Whether it may become a write at its addressee's home.
    fn may_be_kept(&self) -> bool {
        match self.stanza.kind() {
            Kind::Message => true,
            Kind::Presence => self.stanza.presence_type().is_some_and(PresenceType::is_subscription),
            // Somebody may publish in another's place.
            Kind::Iq => {
                self.stanza.iq_type() == Some(IqType::Set) && self.stanza.payload_is("pubsub", ns::PUBSUB)
            }
        }
    }
}

impl Router {
    /// Who serves `to`, which is in canonical form.
    pub(crate) fn class(&self, to: &Jid) -> Class {
        match to.bare() {
            Bare::User(address) if self.directory.get(address).is_some() => {
                Class::Account(address.home(self.workers))
            }
            bare => match (self.places.of(bare.domain(), &self.directory), bare) {
                (Place::House, Bare::User(_)) => Class::Nobody,
                (Place::House, Bare::Domain(_)) => Class::Server,
                (Place::Rooms, Bare::User(room)) => Class::Rooms(room.home(self.workers)),
                (Place::Rooms, Bare::Domain(_)) => Class::Rooms(self.me),
                (Place::Component, bare) => Class::Component(self.home_of_host(bare.domain())),
                (Place::Elsewhere, _) => Class::Elsewhere,
            },
        }
    }

    /// Which worker a component is at home on.
    fn home_of_host(&self, host: &str) -> WorkerId {
        Domain::new(host).map_or(self.me, |host| host.home(self.workers))
    }

    /// The stanza with its addressee at a main name, where it was written to an account at an alias. The server
    /// itself answers by the name that it was asked by, or the client would not know the answer for one.
    pub(crate) fn canonical(&self, stanza: Stanza) -> Stanza {
        let Some(to) = stanza.to() else { return stanza };
        if to.address().is_none_or(|address| self.directory.get(address).is_some()) {
            return stanza;
        }
        match to.canonical(&self.directory) {
            Some(main) if main != *to => stanza.readdressed(stanza.from().cloned(), Some(main)),
            _ => stanza,
        }
    }

    /// Sends a stanza on its way.
    pub(crate) fn route(&mut self, parcel: Parcel) {
        match self.class(parcel.to()) {
            Class::Account(home) if home == self.me => self.later(Work::Arrived { parcel, debt: None }),
            Class::Account(home) => {
                let lent = parcel.origin.filter(|_| parcel.may_be_kept());
                self.tell(home, Between::Parcel(parcel));
                lent.into_iter().for_each(|origin| self.lend(origin, home));
            }
            Class::Rooms(home) if home == self.me => self.for_rooms(parcel),
            Class::Rooms(home) => {
                let lent = parcel.origin.filter(|_| parcel.may_be_kept() || may_change(&parcel.stanza));
                self.tell(home, Between::Parcel(parcel));
                lent.into_iter().for_each(|origin| self.lend(origin, home));
            }
            Class::Nobody => self.nobody(parcel),
            Class::Server => self.server(parcel),
            Class::Component(home) if home == self.me => self.for_component(parcel),
            Class::Component(home) => self.tell(home, Between::Parcel(parcel)),
            Class::Elsewhere => self.bounce(parcel, Condition::RemoteServerNotFound),
        }
    }

    /// For an account that does not exist (RFC 6121 §8.5.1).
    pub(crate) fn nobody(&mut self, parcel: Parcel) {
        match (parcel.stanza.kind(), parcel.stanza.presence_type()) {
            (Kind::Presence, Some(PresenceType::Subscribe | PresenceType::Probe)) => {
                self.reply_bare(&parcel, subscription::Kind::Unsubscribed);
            }
            (Kind::Presence, _) => {}
            _ => self.bounce(parcel, Condition::ServiceUnavailable),
        }
    }

    /// Answers presence with presence, from account to account.
    pub(crate) fn reply_bare(&mut self, parcel: &Parcel, kind: subscription::Kind) {
        let draft = Draft::new(Kind::Presence).type_(kind.name());
        let draft = draft.from(Some(&parcel.to().to_bare())).to(Some(&parcel.from().to_bare()));
        self.route(Parcel::own(draft.build()));
    }

    /// For the server itself, from somebody who is not asking it anything that it could answer here: questions
    /// of sessions are answered before they are routed.
    fn server(&mut self, parcel: Parcel) {
        if let Some(answer) = self.asked_by_component(&parcel) {
            self.route(Parcel { answer: true, ..Parcel::own(answer) });
        } else if parcel.stanza.kind() != Kind::Presence {
            self.bounce(parcel, Condition::ServiceUnavailable);
        }
    }

    /// Tells the sender that a stanza found nobody. Errors, results and what is only for information are
    /// forgotten (RFC 6120 §8.3.1, RFC 6121 §8.5).
    pub(crate) fn bounce(&mut self, parcel: Parcel, condition: Condition) {
        let stanza = &parcel.stanza;
        let worth = match stanza.kind() {
            Kind::Message => true,
            Kind::Iq => stanza.iq_type().is_some_and(IqType::is_request),
            Kind::Presence => {
                matches!(stanza.presence_type(), Some(PresenceType::Available | PresenceType::Subscribe))
            }
        };
        if parcel.quiet || !worth {
            return;
        }
        if let Some(error) = stanza.error(condition) {
            self.route(Parcel { answer: true, ..Parcel::own(error) });
        }
    }
}
