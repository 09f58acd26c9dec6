//! What a server asks another for its user, and answers for its own (RFC 6121 §4.3).

use super::broadcast::addressed;
use super::subscription::{self, Side};
use crate::jid::Jid;
use crate::router::{Parcel, Router};
use crate::stanza::{Draft, Kind, Stanza};
use wire::{Address, ConnectionId};

impl Router {
    /// Asks for the presence of everybody whom the user may see. The answers go to the new resource alone.
    pub(super) fn probe_contacts(&mut self, account: &Address, connection: ConnectionId) {
        let Some(session) = self.sessions.get(&connection) else { return };
        let from = session.jid.clone();
        let watched = self.roster(account).into_iter().flat_map(|r| r.watched().cloned()).map(Jid::from);
        let watched: Vec<Jid> = watched.filter(|contact| !self.is_blocked(account, contact)).collect();
        for contact in watched {
            let probe = Draft::new(Kind::Presence).from(Some(&from)).to(Some(&contact)).type_("probe");
            self.route(Parcel::own(probe.build()));
        }
    }

    /// Somebody asks for the account's presence.
    pub(crate) fn probed(&mut self, account: &Address, parcel: &Parcel) {
        let who = parcel.from().clone();
        if !self.is_trusted(account, &who) {
            return self.probed_by_stranger(account, parcel);
        }
        let wanted = parcel.to().resource();
        let sessions = self.available(account);
        let sessions = sessions.filter(|session| wanted.is_none() || wanted == session.jid.resource());
        let presences = sessions.filter_map(|session| session.presence.as_ref());
        let answers: Vec<Stanza> = presences.map(|presence| addressed(presence, who.clone())).collect();
        if answers.is_empty() {
            let nobody =
                Draft::new(Kind::Presence).from(Some(parcel.to())).to(Some(&who)).type_("unavailable");
            self.route(Parcel::own(nobody.build()));
        }
        answers.into_iter().for_each(|answer| self.route(Parcel::own(answer)));
    }

    /// §4.3.2: who thinks to be subscribed and is not, is told so; who has asked waits for the user.
    fn probed_by_stranger(&mut self, account: &Address, parcel: &Parcel) {
        let item = self.roster(account).and_then(|roster| roster.get(parcel.from().bare()));
        if item.is_none_or(|item| item.state.from != Side::Pending) {
            self.reply_bare(parcel, subscription::Kind::Unsubscribed);
        }
    }
}
