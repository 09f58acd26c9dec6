//! Rooms (XEP-0045): each a value on one worker, the home of its address, with occupants on any.
//!
//! A room takes one stanza after another and says what comes of it as effects, which the router carries out. What
//! changes a persistent room is seen and answered once it is durable; until then, the room takes nothing else in.

mod admin;
mod archive;
mod card;
mod config;
mod disco;
mod due;
mod enter;
mod form;
mod invite;
mod kept;
mod leave;
pub(crate) mod limits;
mod message;
mod moderate;
mod nick;
mod owner;
mod private;
mod register;
pub(crate) mod room;
pub(crate) mod rooms;
mod service;
mod show;
mod subject;
#[cfg(test)]
mod tests;
mod voice;

pub use kept::{RankRow, RoomRow};
pub use limits::RoomLimits;
pub use rooms::Listing;

use crate::archive::query::Asked;
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::stanza::{Condition, Kind, MessageType, PresenceType, Stanza, StanzaError};
use crate::xml::Element;
use room::{Affiliation, Room};
use std::time::Duration;

/// What is to be done for a room.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Everybody in it is given a stanza.
    All(Stanza),
    /// These clients are given these stanzas.
    To(Vec<Stanza>, Vec<Jid>),
    /// Whoever asked is answered.
    Answer(Stanza),
    /// Somebody is told something, whoever they are.
    Send(Stanza),
    /// An occupant's stanza for another; the sender is told where it finds nobody.
    Relay(Stanza),
    /// A message belongs into the room's archive.
    Keep { id: i64, who: Bare, nick: String, stanza: Stanza },
    /// A message of the archive is replaced before anything else is carried out; nothing is where it is not there, unless it
    /// is known otherwise.
    Amend { id: i64, stanza: Stanza, known: bool },
    /// Whoever asked reads the archive.
    Search(Box<Asked>),
    /// Whoever asked wants to know from when to when the archive goes.
    Extent,
}

/// What a room is told with each stanza.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Since 1970.
    pub(crate) now: Duration,
    /// An id for what is said now.
    pub(crate) id: i64,
    pub(crate) limits: &'a RoomLimits,
    /// Whether the house keeps archives.
    pub(crate) archive: bool,
    /// Whether it comes from a component's domain.
    pub(crate) from_component: bool,
    /// How many stanzas may still come of it at once.
    pub(crate) left: usize,
    /// What comes of it, in order.
    pub(crate) effects: Vec<Effect>,
}

impl Context<'_> {
    /// Whether so many stanzas more may come of it at once; what comes first may in any case.
    pub(crate) fn affords(&mut self, stanzas: usize) -> bool {
        let affords = stanzas <= self.left || self.left == limits::TOLD;
        if affords {
            self.left = self.left.saturating_sub(stanzas);
        }
        affords
    }

    /// Answers what somebody sent with an error.
    pub(crate) fn refuse(&mut self, stanza: &Stanza, error: impl Into<StanzaError>) {
        self.effects.extend(stanza.error(error).map(Effect::Answer));
    }

    pub(crate) fn answer(&mut self, stanza: &Stanza, payload: Option<&Element>) {
        self.effects.push(Effect::Answer(stanza.result(payload)));
    }
}

/// What comes of a request: its answer's payload, or what is wrong with it.
pub(crate) type Answer = Result<Option<Element>, StanzaError>;

impl Room {
    /// Takes in a stanza for the room or one of its occupants.
    pub(crate) fn take(&mut self, context: &mut Context<'_>, stanza: &Stanza) {
        let (Some(from), Some(to)) = (stanza.from(), stanza.to()) else { return };
        let nick = to.resource().map(str::to_owned);
        self.settle_going(context, from);
        match stanza.kind() {
            Kind::Presence => self.take_presence(context, stanza, from, nick.as_deref()),
            Kind::Message => self.take_message(context, stanza, from, nick.as_deref()),
            Kind::Iq => match nick {
                Some(nick) => self.take_relayed(context, stanza, from, &nick),
                None => self.take_request(context, stanza, from),
            },
        }
    }

    fn take_presence(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid, nick: Option<&str>) {
        match (stanza.presence_type(), nick) {
            (Some(PresenceType::Available), Some(nick)) => self.came(context, stanza, from, nick),
            (Some(PresenceType::Available), None) => {
                self.refuse_presence(context, stanza, Condition::JidMalformed.into());
            }
            (Some(PresenceType::Unavailable), _) => self.left(context, stanza, from),
            (Some(PresenceType::Error), _) => self.lost(context, from, private::condition(stanza)),
            (Some(PresenceType::Subscribe), _) => context.refuse(stanza, Condition::ServiceUnavailable),
            _ => {}
        }
    }

    fn take_message(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid, nick: Option<&str>) {
        match (stanza.message_type(), nick) {
            (MessageType::Error, nick) => self.came_back(context, stanza, from, nick),
            (MessageType::Groupchat, None) => self.said(context, stanza, from),
            (MessageType::Groupchat, Some(_)) => context.refuse(stanza, Condition::BadRequest),
            (_, Some(nick)) => self.whispered(context, stanza, from, nick),
            (_, None) => self.told(context, stanza, from),
        }
    }

    /// What is neither talk nor private: invitations and requests for voice.
    fn told(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid) {
        let Ok(message) = stanza.element() else { return };
        let done = if let Some(x) = message.find("x", ns::MUC_USER) {
            self.invitations(context, from, x)
        } else if let Some(x) = message.find("x", ns::DATA_FORMS) {
            self.voice(context, from, x)
        } else {
            Err(Condition::ServiceUnavailable.into())
        };
        if let Err(error) = done {
            context.refuse(stanza, error);
        }
    }

    /// A request to the room itself.
    fn take_request(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid) {
        let Some(get) = crate::router::request(stanza) else { return };
        let Some(payload) = stanza.payload_element() else {
            return context.refuse(stanza, Condition::BadRequest);
        };
        if self.locked && self.affiliation_of(from) != Affiliation::Owner {
            return context.refuse(stanza, Condition::ItemNotFound);
        }
        let outcome = match (payload.name(), payload.namespace()) {
            ("query", ns::DISCO_INFO) if get => self.info(context, from, &payload),
            ("query", ns::DISCO_ITEMS) if get => self.items(from, &payload),
            ("ping", ns::PING) if get => Ok(None),
            ("query", ns::MUC_OWNER) => self.owner(context, from, get, &payload),
            ("query", ns::MUC_ADMIN) => self.admin(context, from, get, &payload),
            ("query", ns::REGISTER) => self.register(context, from, get, &payload),
            ("vCard", ns::VCARD) => self.vcard(context, from, get, &payload),
            ("moderate", ns::MODERATE) if !get => self.moderate(context, from, &payload),
            (_, ns::MAM) => return self.archived(context, stanza, from, get, &payload),
            _ => Err(Condition::ServiceUnavailable.into()),
        };
        match outcome {
            // §7.8.2 and others: what a request causes is seen before its answer.
            Ok(payload) => context.answer(stanza, payload.as_ref()),
            Err(error) => context.refuse(stanza, error),
        }
    }
}

/// Whether a stanza for a room may lead to something that has to be durable.
pub(crate) fn may_change(stanza: &Stanza) -> bool {
    match stanza.kind() {
        // Requests between occupants and questions to the archive change nothing.
        Kind::Iq => {
            stanza.iq_type() == Some(crate::stanza::IqType::Set)
                && stanza.to().is_none_or(Jid::is_bare)
                && stanza.payload().is_none_or(|(_, namespace)| namespace != ns::MAM)
        }
        // Nor does what goes to one occupant, or comes back from one.
        Kind::Message => match stanza.message_type() {
            MessageType::Error => false,
            MessageType::Groupchat => stanza.marks().any(crate::stanza::Marks::SUBJECT),
            _ => stanza.to().is_none_or(Jid::is_bare),
        },
        Kind::Presence => false,
    }
}
