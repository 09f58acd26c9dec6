//! What one occupant sends another (XEP-0045 §7.5): messages in private, and requests, whose answers find their way back.
//! A ping to oneself is answered by the room (XEP-0410).

use super::config::Private;
use super::message::OURS;
use super::room::{Relay, Role, Room};
use super::{Context, Effect, limits};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Draft, IqType, Kind, Marks, Stanza, StanzaError};

/// What says that nobody is there for good, as other servers hold it too.
const GONE: [Condition; 8] = [
    Condition::Gone,
    Condition::InternalServerError,
    Condition::ItemNotFound,
    Condition::JidMalformed,
    Condition::RecipientUnavailable,
    Condition::Redirect,
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
];

impl Room {
    /// A message to one occupant.
    pub(super) fn whispered(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid, nick: &str) {
        let Some((own, sender)) = self.occupant_of(from) else {
            return context.refuse(stanza, Condition::NotAcceptable);
        };
        let Some(other) = self.occupants.get(nick) else {
            return context.refuse(stanza, Condition::ItemNotFound);
        };
        let allowed = match self.config.private {
            Private::Anyone => true,
            Private::Participants => sender.role >= Role::Participant,
            Private::Moderators => sender.role == Role::Moderator,
            Private::None => false,
        };
        // Who keeps order can always be asked.
        if !allowed && other.role != Role::Moderator {
            return context.refuse(stanza, Condition::Forbidden);
        }
        let clean = stanza.without(OURS, |_| true);
        let clean = clean.as_ref().unwrap_or(stanza);
        let mark = format!("<x xmlns='{}'/>", ns::MUC_USER);
        let from = self.nick_jid(own);
        let said = clean.readdressed(Some(from.clone()), None).with(&mark, Marks::ROOM);
        let said = said.with(&sender.id, Marks::OCCUPANT_ID);
        let mut clients = other.clients.iter().rev();
        if let Some(first) = clients.next() {
            context.effects.push(Effect::Relay(said.readdressed(Some(from), Some(first.clone()))));
        }
        let more: Vec<Jid> = clients.cloned().collect();
        if !more.is_empty() {
            context.effects.push(Effect::To(vec![said], more));
        }
    }

    /// A message came back from a client. Where nobody is there any more, that one is taken out; otherwise whoever wrote it
    /// is told, in the room's own words: it may be that they are blocked, which is no reason to leave.
    pub(super) fn came_back(
        &mut self,
        context: &mut Context<'_>,
        stanza: &Stanza,
        from: &Jid,
        nick: Option<&str>,
    ) {
        let condition = condition(stanza);
        let Some(condition) = condition.filter(|condition| !GONE.contains(condition)) else {
            return self.lost(context, from, condition);
        };
        let Some((own, _)) = self.occupant_of(from) else { return };
        let Some(writer) = nick.and_then(|nick| self.occupants.get(nick)) else { return };
        let draft = Draft::new(Kind::Message).from(Some(&self.nick_jid(own))).type_("error");
        let draft = draft.id(stanza.id().as_deref()).child(&StanzaError::from(condition).element());
        context.effects.push(Effect::To(vec![draft.build()], writer.clients.clone()));
    }

    /// A request to an occupant, or the answer to one.
    pub(super) fn take_relayed(
        &mut self,
        context: &mut Context<'_>,
        stanza: &Stanza,
        from: &Jid,
        nick: &str,
    ) {
        match stanza.iq_type() {
            Some(IqType::Get | IqType::Set) => self.relay(context, stanza, from, nick),
            Some(IqType::Result | IqType::Error) => self.relay_back(context, stanza, from),
            None => {}
        }
    }

    fn relay(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid, nick: &str) {
        let Some((own, _)) = self.occupant_of(from) else {
            return context.refuse(stanza, Condition::NotAcceptable);
        };
        let own = own.clone();
        if *own == *nick && stanza.payload_is("ping", ns::PING) {
            return context.answer(stanza, None);
        }
        let Some(other) = self.occupants.get(nick) else {
            return context.refuse(stanza, Condition::ItemNotFound);
        };
        let id = stanza.id().unwrap_or_default().into_owned();
        if id.len() > limits::RELAY_ID {
            return context.refuse(stanza, Condition::PolicyViolation);
        }
        if self.relays.len() >= limits::RELAYS {
            self.relays.pop_first();
        }
        // A vCard is the account's (XEP-0054), everything else the client's.
        let card = stanza.payload_is("vCard", ns::VCARD);
        let Some(to) =
            other.clients.last().map(|client| if card { client.to_bare() } else { client.clone() })
        else {
            return;
        };
        self.relayed += 1;
        let relay = Relay { asker: from.clone(), id, asked: other.who.clone(), nick: nick.into() };
        self.relays.insert(self.relayed, relay);
        let new = format!("room-{}", self.relayed);
        let type_ = stanza.type_attr().unwrap_or_default();
        let draft = Draft::new(Kind::Iq).from(Some(&self.nick_jid(&own))).to(Some(&to)).id(Some(&new));
        let inner = content(stanza);
        context.effects.push(Effect::Relay(draft.type_(type_).raw(&inner).build()));
    }

    fn relay_back(&mut self, context: &mut Context<'_>, stanza: &Stanza, from: &Jid) {
        let number = stanza.id().and_then(|id| id.strip_prefix("room-")?.parse::<u64>().ok());
        let Some(number) = number else { return };
        let Some(relay) = self.relays.get(&number).filter(|relay| relay.asked == *from.bare()) else {
            return;
        };
        let draft = Draft::new(Kind::Iq).from(Some(&self.nick_jid(&relay.nick))).to(Some(&relay.asker));
        let draft = draft.id(Some(&relay.id)).type_(stanza.type_attr().unwrap_or_default());
        let answer = draft.raw(&content(stanza)).build();
        self.relays.remove(&number);
        if let Some(to) = answer.to().cloned() {
            context
                .effects
                .push(Effect::To(vec![answer.readdressed(answer.from().cloned(), None)], vec![to]));
        }
    }
}

/// Why a message came back.
pub(super) fn condition(stanza: &Stanza) -> Option<Condition> {
    let message = stanza.element().ok()?;
    let error = message.find("error", ns::CLIENT)?;
    Condition::ALL.iter().copied().find(|condition| error.find(condition.name(), ns::STANZA_ERRORS).is_some())
}

/// What stands in a stanza, for surroundings of `jabber:client`.
fn content(stanza: &Stanza) -> String {
    let mut content = String::new();
    if let Ok(element) = stanza.element() {
        element.children().for_each(|child| child.write(ns::CLIENT, &mut content));
    }
    content
}
