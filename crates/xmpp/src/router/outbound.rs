//! What a session sends (RFC 6121 §8.1-8.4 from the sender's end): to whom it goes, what is answered at once.

use super::account::Contacts;
use super::{Parcel, Router, Work};
use crate::jid::Jid;
use crate::ns;
use crate::presence::subscription;
use crate::stanza::{Condition, IqType, Kind, PresenceType, Stanza, StanzaError};
use crate::xep;
use wire::{Address, ConnectionId};

impl Router {
    /// Takes what a session sent, unless too much of it is under way.
    pub(super) fn sent(&mut self, connection: ConnectionId, stanza: Stanza) {
        let stanza = self.canonical(stanza);
        // Who goes is let go.
        let goes = stanza.is_unavailable();
        let work = Work::Sent { connection, stanza, debt: None };
        if goes || self.ledger.has_room(connection) {
            self.later(work);
        } else {
            self.refuse(work, Condition::ResourceConstraint);
        }
    }

    /// Does some work, or lets it wait until the account's roster is at hand.
    pub(super) fn begin(&mut self, work: Work) {
        let work = match work {
            Work::Room { parcel, debt } => return self.perform_room(parcel, debt),
            work => work,
        };
        let Some(address) = whose(&work) else { return };
        let account = self.accounts.get(address);
        let waits = account.is_some_and(|account| !account.waiting.is_empty());
        let read = account.is_some_and(|account| matches!(account.contacts, Contacts::Read(_)));
        let seated = account.is_some_and(|account| !account.seats.is_empty());
        // What the server itself answers has its place by `hold`, not here.
        let answer = matches!(&work, Work::Arrived { parcel, .. } if parcel.answer);
        if (waits && !answer) || (!read && needs_state(&work, seated)) {
            let address = address.clone();
            self.wait(&address, work);
        } else if seated {
            self.perform(work);
        } else {
            let address = address.clone();
            self.perform(work);
            self.accounts.rest(&address, self.limits.cached);
        }
    }

    fn perform(&mut self, work: Work) {
        match work {
            Work::Sent { connection, stanza, debt } => {
                self.through(debt, |router| router.perform_sent(connection, stanza));
            }
            Work::Arrived { parcel, debt } => self.through(debt, |router| router.perform_arrived(parcel)),
            Work::Gone(session) => self.leave(&session),
            Work::Room { parcel, debt } => self.perform_room(parcel, debt),
            Work::Unchanged { account, contact } => self.push_truth(&account, &contact),
            Work::Wished(wish) => self.wished(&wish),
        }
    }

    fn perform_sent(&mut self, connection: ConnectionId, stanza: Stanza) {
        if let (Some(account), Some(to)) = (stanza.from().and_then(Jid::address), stanza.to())
            && self.is_blocked(account, to)
        {
            return self.answer_error(connection, &stanza, StanzaError::blocked());
        }
        match stanza.kind() {
            Kind::Message => {
                let stanza = with_addressee(stanza);
                let archived = self.archive_sent(connection, &stanza);
                self.copy_sent(connection, archived.as_ref().unwrap_or(&stanza));
                self.route(Parcel::of(stanza, connection));
            }
            Kind::Iq => self.sent_iq(connection, stanza),
            Kind::Presence => self.sent_presence(connection, stanza),
        }
    }

    fn sent_presence(&mut self, connection: ConnectionId, stanza: Stanza) {
        let Some(presence) = stanza.presence_type() else { return };
        let stanza = if presence == PresenceType::Available { self.with_avatar(stanza) } else { stanza };
        match (subscription::Kind::of(presence), stanza.to().is_some()) {
            (Some(kind), true) => self.sent_subscription(connection, kind, &stanza),
            (None, true) => self.sent_directed(connection, presence, stanza),
            (None, false) if presence == PresenceType::Available => self.sent_available(connection, stanza),
            (None, false) if presence == PresenceType::Unavailable => {
                self.sent_unavailable(connection, &stanza)
            }
            // A client's probe or error to nobody, a subscription to nobody.
            _ => self.answer_error(connection, &stanza, Condition::BadRequest),
        }
    }

    /// RFC 6120 §10.3.3: without `to`, the server answers in the account's place.
    fn sent_iq(&mut self, connection: ConnectionId, stanza: Stanza) {
        let own = stanza.from().map(Jid::to_bare);
        let to_self = stanza.to().is_none() || stanza.to() == own.as_ref();
        let to_server = stanza.to().is_some_and(|to| {
            to.address().is_none() && to.is_bare() && self.directory.domain(to.domain()).is_some()
        });
        if !to_self && !to_server {
            return self.route(Parcel::of(stanza, connection));
        }
        let Some(get) = request(&stanza) else { return self.told_caps(connection, &stanza) };
        let Some(payload) = stanza.payload_element() else {
            return self.answer_error(connection, &stanza, Condition::BadRequest);
        };
        if payload.is("query", ns::REGISTER) {
            return self.register(connection, &stanza, get, &payload);
        }
        if to_self && self.own_request(connection, &stanza, get, &payload) {
            return;
        }
        // A request without `to` is to the account, but clients of old ask the server so (XEP-0199 §4.2).
        let target = if stanza.to() == own.as_ref() {
            xep::Target::Account { trusted: true }
        } else {
            xep::Target::Server
        };
        let answer = self.serve(target, &stanza, get, &payload);
        self.answer(connection, answer);
    }

    /// The server's answer to a request.
    pub(super) fn serve(
        &self,
        target: xep::Target,
        request: &Stanza,
        get: bool,
        payload: &crate::Element,
    ) -> Stanza {
        let asked = request.to().filter(|_| target == xep::Target::Server);
        let asked = asked.and_then(|to| self.directory.domain(to.domain()));
        let below = asked.map(|domain| self.places.below(domain.as_str())).unwrap_or_default();
        let admins = asked.map(|domain| self.house.admins(domain.as_str())).unwrap_or_default();
        let user = request.from().and_then(Jid::address).filter(|user| self.directory.get(user).is_some());
        let context = xep::Context {
            target,
            now: self.unix(),
            uptime: self.uptime(),
            archive: self.limits.archive,
            below,
            admins,
            externals: &self.house.externals,
            user,
        };
        let answer = if get { xep::get(&context, payload) } else { xep::set(&context, payload) };
        match answer {
            Ok(payload) => request.result(payload.as_ref()),
            Err(condition) => request.error(condition).expect("a request may be answered with an error"),
        }
    }

    /// Tells a session what is wrong with what it sent.
    pub(crate) fn answer_error(
        &mut self,
        connection: ConnectionId,
        stanza: &Stanza,
        error: impl Into<StanzaError>,
    ) {
        if let Some(error) = stanza.error(error) {
            self.answer(connection, error);
        }
    }

    /// Gives up on some work; whoever wanted it is told.
    pub(crate) fn refuse(&mut self, work: Work, condition: Condition) {
        match work {
            Work::Sent { connection, stanza, debt } => {
                self.through(debt, |router| router.answer_error(connection, &stanza, condition));
            }
            Work::Arrived { parcel, debt } | Work::Room { parcel, debt } => {
                self.through(debt, |router| router.bounce(parcel, condition));
            }
            Work::Gone(_) | Work::Unchanged { .. } | Work::Wished(_) => {}
        }
    }

    /// Gives up on what needs the roster, which cannot be read.
    pub(super) fn give_up(&mut self, work: Work) {
        let account = whose(&work).and_then(|address| self.accounts.get(address));
        let seated = account.is_some_and(|account| !account.seats.is_empty());
        if needs_state(&work, seated) {
            let condition = match &work {
                // It may be said again.
                Work::Sent { stanza, .. } if stanza.kind() == Kind::Message => Condition::ResourceConstraint,
                Work::Arrived { parcel, .. } if parcel.stanza.kind() == Kind::Message => {
                    Condition::ResourceConstraint
                }
                _ => Condition::InternalServerError,
            };
            self.refuse(work, condition);
        } else {
            self.later(work);
            self.run();
        }
    }
}

/// Whose work it is.
fn whose(work: &Work) -> Option<&Address> {
    match work {
        Work::Sent { stanza, .. } => stanza.from()?.address(),
        Work::Arrived { parcel, .. } => parcel.to().address(),
        Work::Gone(session) => session.jid.address(),
        Work::Room { .. } => None,
        Work::Unchanged { account, .. } => Some(account),
        Work::Wished(wish) => Some(&wish.account),
    }
}

/// Whether the roster must be at hand for it. `seated`: the account has sessions; nobody hears what comes for one that has
/// none, but for what is kept for it.
fn needs_state(work: &Work, seated: bool) -> bool {
    match work {
        Work::Sent { stanza, .. } => {
            stanza.from().and_then(Jid::address).is_some_and(|sender| sent_needs_state(stanza, sender))
        }
        Work::Arrived { parcel, .. } => arrived_needs_state(parcel, seated),
        Work::Gone(session) => session.presence.is_some(),
        Work::Room { .. } => false,
        Work::Unchanged { .. } | Work::Wished(_) => true,
    }
}

/// A message without addressee is for the sender's own account (RFC 6120 §10.3.1).
fn with_addressee(stanza: Stanza) -> Stanza {
    match (stanza.to(), stanza.from()) {
        (None, Some(from)) => {
            let bare = from.to_bare();
            stanza.readdressed(Some(from.clone()), Some(bare))
        }
        _ => stanza,
    }
}

/// Whether a request is a `get`; `None` for an answer.
pub(crate) fn request(stanza: &Stanza) -> Option<bool> {
    match stanza.iq_type()? {
        IqType::Get => Some(true),
        IqType::Set => Some(false),
        IqType::Result | IqType::Error => None,
    }
}

/// Whether roster and settings must be at hand for what a session sent: what goes to somebody may be to whom it blocks.
fn sent_needs_state(stanza: &Stanza, sender: &Address) -> bool {
    match stanza.kind() {
        Kind::Message | Kind::Presence => true,
        Kind::Iq => match stanza.to() {
            Some(to) if !to.is_account(sender) => to.address().is_some(),
            _ => OWN.iter().any(|namespace| payload_in(stanza, namespace)),
        },
    }
}

/// What a session asks of its own account and that stands in its roster or settings.
const OWN: [&str; 10] = [
    ns::VCARD,
    ns::VCARD4,
    ns::PRIVATE,
    ns::ROSTER,
    ns::BLOCKING,
    ns::MAM,
    ns::PUBSUB,
    ns::PUBSUB_OWNER,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
];

fn payload_in(stanza: &Stanza, namespace: &str) -> bool {
    stanza.payload().is_some_and(|(_, found)| found == namespace)
}

fn arrived_needs_state(parcel: &Parcel, seated: bool) -> bool {
    let stanza = &parcel.stanza;
    if parcel.answer {
        return false;
    }
    if parcel.heading.is_some() {
        return seated;
    }
    match stanza.kind() {
        Kind::Message => true,
        Kind::Presence => {
            seated
                || stanza
                    .presence_type()
                    .is_some_and(|presence| presence.is_subscription() || presence == PresenceType::Probe)
        }
        Kind::Iq => seated || (parcel.to().is_bare() && stanza.iq_type().is_some_and(IqType::is_request)),
    }
}
