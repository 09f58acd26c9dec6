//! A resource comes, changes and goes (RFC 6121 §4.2, §4.4, §4.5), and directed presence (§4.6).

use crate::jid::Jid;
use crate::ns;
use crate::pubsub::caps::Interest;
use crate::router::session::Session;
use crate::router::{Parcel, Router};
use crate::stanza::{Condition, Draft, Kind, PresenceType, Stanza};
use wire::{Address, ConnectionId};

/// RFC 6121 §4.7.2.3: 0 where it is missing, `None` where it is no number from -128 to 127.
pub(crate) fn priority(presence: &Stanza) -> Option<i8> {
    if presence.children() == 0 {
        return Some(0);
    }
    let element = presence.element().ok()?;
    match element.find("priority", ns::CLIENT) {
        Some(priority) => priority.content().trim().parse().ok(),
        None => Some(0),
    }
}

/// The longest presence that all contacts are shown, as long as that of rooms.
const MOST: usize = 16 * 1024;

fn gone(from: &Jid) -> Stanza {
    Draft::new(Kind::Presence).from(Some(from)).type_("unavailable").build()
}

/// The same presence for somebody else.
pub(super) fn addressed(presence: &Stanza, to: Jid) -> Stanza {
    presence.readdressed(presence.from().cloned(), Some(to))
}

impl Router {
    /// Presence to nobody in particular: initial presence (§4.2) or a change (§4.4).
    pub(crate) fn sent_available(&mut self, connection: ConnectionId, stanza: Stanza) {
        let Some(priority) = priority(&stanza) else {
            return self.answer_error(connection, &stanza, Condition::BadRequest);
        };
        if stanza.as_str().len() > MOST {
            return self.answer_error(connection, &stanza, Condition::PolicyViolation);
        }
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let initial = session.presence.replace(stanza.clone()).is_none();
        let account = session.jid.address().expect("a session is an account's").clone();
        let entry = self.accounts.entry(&account);
        let reachable = entry.best().is_some();
        if let Some(seat) = entry.seat_of(connection) {
            seat.priority = Some(priority);
        }
        self.broadcast(&account, &stanza);
        if initial {
            self.welcome(&account, connection);
        }
        self.show_caps(&account, connection, &stanza);
        if priority >= 0 && !reachable {
            self.deliver_kept(&account, connection);
        }
    }

    /// What a resource hears when it becomes available: where the others are, who has asked to see the user.
    fn welcome(&mut self, account: &Address, connection: ConnectionId) {
        let bare = Jid::from(account.clone());
        let mut news: Vec<Stanza> = Vec::new();
        for session in self.available(account).filter(|session| session.connection != connection) {
            news.extend(session.presence.as_ref().map(|presence| addressed(presence, bare.clone())));
        }
        if let Some(roster) = self.roster(account) {
            let requests =
                roster.requests().filter(|(who, _)| !self.is_blocked(account, &Jid::from((*who).clone())));
            let requests = requests.filter_map(|(_, item)| item.request.as_deref());
            news.extend(requests.filter_map(|request| Stanza::parse(request).ok()));
        }
        news.into_iter().for_each(|stanza| self.deliver(connection, stanza));
        self.probe_contacts(account, connection);
    }

    /// The account's available sessions.
    pub(super) fn available(&self, account: &Address) -> impl Iterator<Item = &Session> {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        let available = seats.iter().filter(|seat| seat.priority.is_some());
        available.filter_map(|seat| self.sessions.get(&seat.connection).map(|session| &**session))
    }

    /// Shows presence to the contacts that may see it and to the account's own available resources.
    fn broadcast(&mut self, account: &Address, presence: &Stanza) {
        let watchers = self.roster(account).into_iter().flat_map(|r| r.watchers().cloned()).map(Jid::from);
        let watchers: Vec<Jid> = watchers.filter(|watcher| !self.is_blocked(account, watcher)).collect();
        for watcher in watchers {
            self.route(Parcel::shared(presence, watcher));
        }
        let own = Parcel::own(addressed(presence, account.clone().into()));
        self.fan_out(account, &own, |_| true);
    }

    /// Presence of type `unavailable` to nobody in particular (§4.5).
    pub(crate) fn sent_unavailable(&mut self, connection: ConnectionId, stanza: &Stanza) {
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        // Who goes is let go, whatever they say with it.
        let silent = gone(&session.jid);
        let stanza = if stanza.as_str().len() > MOST { &silent } else { stanza };
        let was = session.presence.take().is_some();
        session.interest = Interest::default();
        let directed = std::mem::take(&mut session.directed);
        let account = session.jid.address().expect("a session is an account's").clone();
        if let Some(seat) = self.accounts.get_mut(&account).and_then(|entry| entry.seat_of(connection)) {
            seat.priority = None;
        }
        self.delivery_lost(&account, connection);
        if was {
            self.broadcast(&account, stanza);
            self.note_last(&account, stanza);
        }
        self.tell_directed(&account, directed, stanza, was);
    }

    /// A session is gone without a word: the server says it (§4.5.2).
    pub(crate) fn leave(&mut self, session: &Session) {
        let Some(account) = session.jid.address() else { return };
        let stanza = gone(&session.jid);
        let was = session.presence.is_some();
        if was {
            self.broadcast(account, &stanza);
            self.note_last(account, &stanza);
        }
        self.tell_directed(account, session.directed.iter().cloned(), &stanza, was);
    }

    /// Those who were sent directed presence and do not hear it as subscribers; `broadcast`: subscribers do. Who is
    /// blocked saw the resource go when that began.
    fn tell_directed(
        &mut self,
        account: &Address,
        to: impl IntoIterator<Item = Jid>,
        stanza: &Stanza,
        broadcast: bool,
    ) {
        for to in to {
            let watches = self.roster(account).is_some_and(|roster| roster.is_watched_by(to.bare()));
            let own = to.address() == Some(account);
            if !(broadcast && (watches || own)) && !self.is_blocked(account, &to) {
                self.route(Parcel::shared(stanza, to));
            }
        }
    }

    /// Addresses were blocked just now: those of them that were sent directed presence see it go, and are forgotten.
    pub(crate) fn hide_directed(&mut self, account: &Address) {
        let seats = self.accounts.get(account).map(|account| &account.seats[..]).unwrap_or_default();
        for connection in seats.iter().map(|seat| seat.connection).collect::<Vec<_>>() {
            let Some(session) = self.sessions.get(&connection) else { continue };
            let blocked = |to: &&Jid| self.is_blocked(account, to);
            let hidden: Vec<Jid> = session.directed.iter().filter(blocked).cloned().collect();
            let (stanza, broadcast) = (gone(&session.jid), session.presence.is_some());
            for to in hidden {
                // Subscribers have been told what they see of each available resource.
                if !(broadcast && self.roster(account).is_some_and(|roster| roster.is_watched_by(to.bare())))
                {
                    self.route(Parcel::own(addressed(&stanza, to.clone())));
                }
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.directed.remove(&to);
                }
            }
        }
    }

    /// Presence to somebody (§4.6): whoever saw the resource come must see it go.
    pub(crate) fn sent_directed(&mut self, connection: ConnectionId, presence: PresenceType, stanza: Stanza) {
        let (Some(session), Some(to)) = (self.sessions.get_mut(&connection), stanza.to()) else { return };
        match presence {
            PresenceType::Available => {
                let full = session.directed.len() >= self.limits.directed;
                if full && !session.directed.contains(to) {
                    return self.answer_error(connection, &stanza, Condition::ResourceConstraint);
                }
                session.directed.insert(to.clone());
            }
            PresenceType::Unavailable => {
                let shown = session.directed.remove(to);
                // It is not lost on its way (`links`): so much is kept for those alone who have seen the session come.
                if !shown && self.is_held_up() {
                    return self.answer_error(connection, &stanza, Condition::ResourceConstraint);
                }
            }
            _ => {}
        }
        self.route(Parcel::of(stanza, connection));
    }

    /// Tells somebody the presence of each available resource.
    pub(crate) fn announce(&mut self, account: &Address, to: &Jid) {
        let presences = self.available(account).filter_map(|session| session.presence.as_ref());
        let told: Vec<Stanza> = presences.map(|presence| addressed(presence, to.clone())).collect();
        told.into_iter().for_each(|stanza| self.route(Parcel::own(stanza)));
    }

    /// Tells somebody that each available resource is gone.
    pub(crate) fn withdraw(&mut self, account: &Address, to: &Jid) {
        let told: Vec<Stanza> =
            self.available(account).map(|session| addressed(&gone(&session.jid), to.clone())).collect();
        told.into_iter().for_each(|stanza| self.route(Parcel::own(stanza)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::subscription::{Side, State};
    use crate::roster::Item;
    use crate::router::{Answer, Between, Input, Output, Query, Setting, Suspended};
    use std::sync::Arc;
    use wire::{Account, Directory, Domain, Keys, Machine, WorkerId};

    #[track_caller]
    fn check(inner: &str, expected: Option<i8>) {
        let presence = format!("<presence from='a@b/c'>{inner}</presence>");
        assert_eq!(priority(&Stanza::parse(&presence).unwrap()), expected, "{inner}");
    }

    /// A presence for each of five thousand contacts, who need not be there, was a gigabyte at once.
    #[test]
    fn what_many_are_shown_is_there_once() {
        let now = testkit::start();
        let account = |name: &str| {
            let address: Address = format!("{name}@verona.example").parse().unwrap();
            (address.clone(), Some(Arc::new(Account { address, keys: Keys::default() })))
        };
        let names: Vec<String> = (0..20).map(|n| format!("u{n}")).collect();
        let domain = Domain::new("verona.example").unwrap();
        let accounts = names.iter().map(|name| account(name)).chain([account("romeo")]);
        let directory = Directory::new([(&domain, &[][..])]).with(accounts);
        let mut router = Router::new(Setting::of_test(now, directory));
        let connection = ConnectionId { worker: WorkerId(0), slot: 1, generation: 0 };
        let suspended = Suspended::of_test("romeo@verona.example/garden", &[]);
        router.handle(now, Input::Restore { connection, suspended: Box::new(suspended) });
        let say = |router: &mut Router, status: usize| {
            let status = "x".repeat(status);
            let xml =
                format!("<presence from='romeo@verona.example/garden'><status>{status}</status></presence>");
            router.handle(now, Input::Stanza { connection, stanza: Stanza::parse(&xml).unwrap() });
        };
        say(&mut router, MOST);
        say(&mut router, MOST / 2);
        let seen = State { from: Side::Yes, ..State::default() };
        let item = |name: &String| {
            let item = Item { state: seen, listed: true, ..Item::default() };
            (format!("{name}@verona.example").parse().unwrap(), item)
        };
        let items: Vec<_> = names.iter().map(item).collect();
        let (mut texts, mut refused) = (Vec::new(), 0);
        while let Some(output) = router.poll() {
            match output {
                Output::Ask { token, query: Query::LoadRoster(_) } => {
                    let roster = Answer::Roster { items: items.clone(), settings: None, nodes: vec![] };
                    router.handle(now, Input::Answer { token, outcome: Ok(roster) });
                }
                Output::HandOver { what: Between::Parcel(parcel), .. } => {
                    texts.push(parcel.stanza.as_str().as_ptr());
                    assert_eq!(parcel.written().stanza.to().map(Jid::domain), Some("verona.example"));
                }
                Output::Deliver { given, .. } if given.stanza.is_error() => refused += 1,
                _ => {}
            }
        }
        assert!(texts.len() > 5 && texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        assert_eq!(refused, 1);
        // Who goes is let go, without all those words.
        let status = "x".repeat(MOST);
        let xml = format!(
            "<presence from='romeo@verona.example/garden' type='unavailable'><status>{status}</status></presence>"
        );
        router.handle(now, Input::Stanza { connection, stanza: Stanza::parse(&xml).unwrap() });
        let told: Vec<Output> = std::iter::from_fn(|| router.poll()).collect();
        let goes = told.iter().filter_map(|output| match output {
            Output::HandOver { what: Between::Parcel(parcel), .. } => Some(&parcel.stanza),
            _ => None,
        });
        let goes: Vec<&Stanza> = goes.collect();
        assert_eq!(goes.len(), texts.len());
        assert!(goes.iter().all(|stanza| stanza.is_unavailable() && stanza.as_str().len() < 100));
    }

    #[test]
    fn priorities() {
        check("", Some(0));
        check("<show>away</show>", Some(0));
        check("<priority>5</priority>", Some(5));
        check("<priority> -128 </priority>", Some(-128));
        check("<priority>+127</priority>", Some(127));
        check("<priority>128</priority>", None);
        check("<priority>much</priority>", None);
        check("<priority/>", None);
        check("<priority xmlns='urn:example:other'>7</priority>", Some(0));
    }
}
