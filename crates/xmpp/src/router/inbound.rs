//! What arrives for an account at home here: RFC 6121 §8.5.

use super::deliver::{Addressed, Verdict, verdict};
use super::outbound::request;
use super::route::Class;
use super::stored::Effect;
use super::{Given, Parcel, Router, Share, Work};
use crate::jid::Jid;
use crate::ns;
use crate::presence::subscription;
use crate::stanza::{Condition, Kind, PresenceType, Stanza};
use crate::xep;
use crate::xep::carbons::Way;
use std::time::Instant;
use wire::{Address, ConnectionId};

impl Router {
    /// Another worker hands a stanza over.
    pub(super) fn arrived(&mut self, parcel: Parcel) {
        let to = parcel.to();
        if self.places.is_component(to.domain()) {
            return self.for_component(parcel);
        }
        if matches!(self.class(to), Class::Rooms(_)) {
            return self.for_rooms(parcel);
        }
        if to.address().is_none_or(|address| self.directory.get(address).is_none()) {
            return self.nobody(parcel);
        }
        let goes = parcel.stanza.is_unavailable();
        let full = parcel.origin.is_some_and(|origin| !self.ledger.has_room(origin));
        if full && !goes {
            self.bounce(parcel, Condition::ResourceConstraint);
        } else {
            self.later(Work::Arrived { parcel, debt: None });
        }
    }

    pub(super) fn perform_arrived(&mut self, parcel: Parcel) {
        let Some(account) = parcel.to().address().cloned() else { return };
        if !parcel.answer && self.is_blocked(&account, parcel.from()) {
            // As if the account were away for good (XEP-0191 §3.3): presence is answered nothing.
            return match parcel.stanza.kind() {
                Kind::Presence => {}
                Kind::Message | Kind::Iq => self.bounce(parcel, Condition::ServiceUnavailable),
            };
        }
        if let Some(heading) = &parcel.heading {
            return self.deliver_event(&account, &parcel.stanza, heading);
        }
        // Many are shown the same: it is not written for those who are not there.
        if parcel.whom.is_some() && self.is_unseen(&account, &parcel) {
            return;
        }
        let parcel = parcel.written();
        match parcel.stanza.kind() {
            Kind::Message => self.message(&account, parcel),
            Kind::Iq => self.iq(&account, parcel),
            Kind::Presence => self.presence(&account, parcel),
        }
    }

    /// Whether it is presence, and nobody is there to see it.
    fn is_unseen(&self, account: &Address, parcel: &Parcel) -> bool {
        let shown = matches!(
            parcel.stanza.presence_type(),
            Some(PresenceType::Available | PresenceType::Unavailable)
        );
        shown && self.accounts.get(account).is_none_or(|entry| entry.seats.is_empty())
    }

    /// The connection of a full JID's resource.
    fn connected(&self, account: &Address, to: &Jid) -> Option<ConnectionId> {
        let seat = self.accounts.get(account)?.seat(to.resource()?)?;
        Some(seat.connection)
    }

    /// Sends a stanza to one session; what the server itself says to it keeps its place.
    fn hand(&mut self, connection: ConnectionId, parcel: Parcel) {
        if parcel.answer {
            self.answer(connection, parcel.stanza);
        } else {
            self.deliver(connection, parcel.stanza);
        }
    }

    fn message(&mut self, account: &Address, parcel: Parcel) {
        let entry = self.accounts.get(account);
        let seat = entry.and_then(|entry| entry.seat(parcel.to().resource()?));
        let connected = seat.map(|seat| seat.connection);
        let best = entry.and_then(|entry| entry.best());
        let copies = entry.is_some_and(|entry| entry.seats.iter().any(|seat| seat.carbons));
        let addressed = match connected {
            _ if parcel.to().is_bare() => Addressed::Bare,
            Some(_) => Addressed::Connected,
            None => Addressed::Gone,
        };
        let verdict = verdict(parcel.stanza.message_type(), addressed, best.is_some());
        let parcel = if parcel.again { parcel } else { self.filed(account, parcel, verdict) };
        if copies && !parcel.again {
            self.copy_received(account, &parcel.stanza, verdict, connected, best);
        }
        match verdict {
            Verdict::Resource => {
                if let Some(to) = connected {
                    match parcel.answer {
                        true => self.answer(to, parcel.stanza),
                        false => self.give(account, to, parcel.stanza.into()),
                    }
                }
            }
            Verdict::MostAvailable => {
                self.fan_out_message(account, &parcel.stanza, |priority| Some(priority) == best);
            }
            Verdict::NonNegative => self.fan_out_message(account, &parcel.stanza, |priority| priority >= 0),
            Verdict::Keep => self.keep(account, parcel),
            Verdict::Refuse => self.bounce(parcel, Condition::ServiceUnavailable),
            Verdict::Drop => {}
        }
    }

    /// The message with its id in the account's archive, where it is kept there; without ids of somebody else's making.
    fn filed(&mut self, account: &Address, parcel: Parcel, verdict: Verdict) -> Parcel {
        if matches!(verdict, Verdict::Refuse | Verdict::Drop) || parcel.answer {
            return parcel;
        }
        let archived = self.archive(account, &parcel.stanza, parcel.from(), parcel.origin);
        match archived {
            Some(stanza) => Parcel { stanza, archived: true, ..parcel },
            None => Parcel { stanza: self.without_forged_ids(account, parcel.stanza), ..parcel },
        }
    }

    /// Copies a message to the resources that want copies and that the verdict leaves out.
    fn copy_received(
        &mut self,
        account: &Address,
        stanza: &Stanza,
        verdict: Verdict,
        connected: Option<ConnectionId>,
        best: Option<i8>,
    ) {
        match verdict {
            Verdict::Resource => {
                self.copy_to_others(account, stanza, Way::Received, |other, _| Some(other) == connected);
            }
            Verdict::MostAvailable => {
                self.copy_to_others(account, stanza, Way::Received, |_, priority| priority == best);
            }
            Verdict::Keep => self.copy_to_others(account, stanza, Way::Received, |_, _| false),
            Verdict::NonNegative | Verdict::Refuse | Verdict::Drop => {}
        }
    }

    /// A connection had no room for a stanza, or its session was over before it was acknowledged. What the store still
    /// keeps, and what another session was given as well and has not given back, is not given twice.
    pub(crate) fn undelivered(&mut self, connection: ConnectionId, given: Given, since: Option<Instant>) {
        self.closed(connection);
        let age = since.map(|since| self.now.saturating_duration_since(since).as_secs());
        let age = age.and_then(|age| u32::try_from(age).ok()).unwrap_or_default();
        match Parcel::given_back(given, age) {
            // Another session of the same name has asked nothing, and was not meant.
            Some(parcel) if parcel.stanza.kind() == Kind::Iq => {
                self.bounce(parcel, Condition::ServiceUnavailable);
            }
            Some(parcel) => self.later(Work::Arrived { parcel, debt: None }),
            None => {}
        }
    }

    /// Sends a stanza to the available resources whose priority is right.
    pub(crate) fn fan_out(&mut self, account: &Address, parcel: &Parcel, wanted: impl Fn(i8) -> bool) {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        for seat in seats.iter().filter(|seat| seat.priority.is_some_and(&wanted)) {
            let (connection, given) = (seat.connection, parcel.stanza.clone().into());
            self.outputs.push_back(super::Output::Deliver { connection, given });
        }
    }

    /// The same for a message, which those who get it hold together.
    fn fan_out_message(&mut self, account: &Address, message: &Stanza, wanted: impl Fn(i8) -> bool) {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let to = seats.iter().filter(|seat| seat.priority.is_some_and(&wanted)).map(|seat| seat.connection);
        match to.clone().count() {
            // Almost always.
            1 => to.last().into_iter().for_each(|to| self.give(account, to, message.clone().into())),
            holders => {
                let share = Share::among(holders);
                for to in to.collect::<Vec<_>>() {
                    let given = Given { stanza: message.clone(), receipt: None, share: share.clone() };
                    self.give(account, to, given);
                }
            }
        }
    }

    /// RFC 6121 §8.5.2.1.3, §8.5.3.1, §8.5.3.2.3.
    fn iq(&mut self, account: &Address, parcel: Parcel) {
        let last = parcel.stanza.payload_is("query", ns::LAST) && request(&parcel.stanza) == Some(true);
        let may_know = last && self.is_trusted(account, parcel.from());
        if may_know && parcel.to().is_bare() {
            return self.asked_for_last(account, parcel);
        }
        if !parcel.to().is_bare() {
            return match self.connected(account, parcel.to()) {
                // XEP-0012 §3.2: who may not see the resource does not hear from it for how long it is idle.
                Some(_) if last && !may_know => self.bounce(parcel, Condition::ServiceUnavailable),
                Some(connection) => self.hand(connection, parcel),
                None => self.bounce(parcel, Condition::ServiceUnavailable),
            };
        }
        let Some(get) = request(&parcel.stanza) else { return };
        if get && parcel.stanza.payload_is("vCard", ns::VCARD) && self.may_read_card(account, parcel.from()) {
            return self.asked_for_card(account, parcel);
        }
        let answer = match parcel.stanza.payload_element() {
            None => return self.bounce(parcel, Condition::BadRequest),
            Some(payload) if Self::is_about_nodes(&payload) => {
                return self.ask_nodes(account, parcel, get, &payload);
            }
            Some(payload) => {
                let trusted = self.is_trusted(account, parcel.from());
                // RFC 6121 §2.1.5: a roster is nobody else's business. A stranger is told no more than that there
                // may be no such account (RFC 6120 §13.11).
                if trusted && payload.is("query", ns::ROSTER) {
                    return self.bounce(parcel, Condition::Forbidden);
                }
                self.serve(xep::Target::Account { trusted }, &parcel.stanza, get, &payload)
            }
        };
        self.route(Parcel { answer: true, ..Parcel::own(answer) });
    }

    /// Whether somebody may know whether the account exists and is there.
    pub(crate) fn is_trusted(&self, account: &Address, who: &Jid) -> bool {
        who.address() == Some(account)
            || self.roster(account).is_some_and(|roster| roster.is_watched_by(who.bare()))
    }

    fn presence(&mut self, account: &Address, parcel: Parcel) {
        let Some(presence) = parcel.stanza.presence_type() else { return };
        if let Some(kind) = subscription::Kind::of(presence) {
            return self.arrived_subscription(account, kind, parcel);
        }
        if presence == PresenceType::Probe {
            return self.probed(account, &parcel);
        }
        if parcel.to().is_bare() {
            return self.show_presence(account, parcel);
        }
        if let Some(connection) = self.connected(account, parcel.to()) {
            self.hand(connection, parcel);
        }
    }

    /// Presence for all available resources, behind a consent of the same contact that is not durable yet.
    fn show_presence(&mut self, account: &Address, parcel: Parcel) {
        let entry = self.accounts.get(account);
        if entry.is_none_or(|entry| entry.changing.is_empty()) {
            return self.fan_out(account, &parcel, |_| true);
        }
        let contact = parcel.from().bare().clone();
        let now = self.behind_change(account, &contact, vec![Effect::ShowAvailable(parcel.stanza)]);
        now.into_iter().for_each(|effect| self.effect(account, effect));
    }
}
