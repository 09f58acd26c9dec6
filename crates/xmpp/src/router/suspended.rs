//! Sessions that outlive the server: what the router knows of one, taken out before the end and put back at the next
//! beginning, where it waits for its client as any other whose connection was lost (XEP-0198 §5).

use super::account::Seat;
use super::route::Class;
use super::session::Session;
use super::{Receipt, Router};
use crate::jid::Jid;
use crate::ns;
use crate::presence::broadcast::priority;
use crate::stanza::{Draft, Kind, Stanza};
use crate::xml::Element;
use wire::ConnectionId;

/// A session without its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspended {
    /// Its full JID.
    pub jid: Jid,
    /// What it broadcast last, while it is available.
    pub presence: Option<Stanza>,
    /// Whether it hears of changes of the roster.
    pub interested: bool,
    /// Whether it knows versions of the roster.
    pub versions: bool,
    /// Whether it wants copies of what others say and hear (XEP-0280).
    pub carbons: bool,
    /// Whether it hears of changes of the list of whom the account blocks (XEP-0191).
    pub blocklist: bool,
    /// Whom it sent directed presence.
    pub directed: Vec<Jid>,
    /// Up to which number it was given kept messages that it has not acknowledged.
    pub given: Option<i64>,
}

#[cfg(test)]
impl Suspended {
    /// A session that wants nothing, whose presence these were sent.
    pub(crate) fn of_test(jid: &str, directed: &[&str]) -> Self {
        Self {
            jid: jid.parse().expect("a JID"),
            presence: None,
            interested: false,
            versions: false,
            carbons: false,
            blocklist: false,
            directed: directed.iter().map(|jid| jid.parse().expect("a JID")).collect(),
            given: None,
        }
    }
}

impl Router {
    /// What is to be known of a session when the server comes back; none of one that is not here.
    pub fn suspend(&self, connection: ConnectionId) -> Option<Suspended> {
        let session = self.sessions.get(&connection)?;
        let account = self.accounts.get(session.jid.address()?)?;
        let seat = account.seats.iter().find(|seat| seat.connection == connection)?;
        Some(Suspended {
            jid: session.jid.clone(),
            presence: session.presence.clone(),
            interested: session.interested,
            versions: session.versions,
            carbons: seat.carbons,
            blocklist: seat.blocklist,
            directed: session.directed.iter().cloned().collect(),
            given: None,
        })
    }

    /// A session is back, without its connection: by this name, if its account and its place are still there.
    pub(super) fn restore(&mut self, connection: ConnectionId, suspended: Suspended) {
        let Some(address) = suspended.jid.address().filter(|address| self.directory.get(address).is_some())
        else {
            return;
        };
        let (address, resource) = (address.clone(), suspended.jid.resource().unwrap_or_default());
        let account = self.accounts.entry(&address);
        if account.seat(resource).is_some() {
            return;
        }
        account.seats.push(Seat {
            connection,
            resource: resource.into(),
            priority: suspended.presence.as_ref().and_then(priority),
            carbons: suspended.carbons,
            blocklist: suspended.blocklist,
            away: true,
        });
        let mut session = Session::new(connection, suspended.jid, self.now);
        session.presence = suspended.presence;
        session.interested = suspended.interested;
        session.versions = suspended.versions;
        session.acknowledges = true;
        session.directed = suspended.directed.into_iter().collect();
        session.kept = suspended.given;
        self.sessions.insert(connection, Box::new(session));
        self.was_given(&address, connection);
        self.out_of_rooms(connection);
    }

    /// After a restart nobody is in any room: a session that goes on hears so of those it was in (XEP-0045 §17.3, 332).
    fn out_of_rooms(&mut self, connection: ConnectionId) {
        let Some(session) = self.sessions.get(&connection) else { return };
        let (jid, directed) = (session.jid.clone(), session.directed.iter());
        let seat = |to: &&Jid| to.resource().is_some() && matches!(self.class(to), Class::Rooms(_));
        let seats: Vec<Jid> = directed.filter(seat).cloned().collect();
        for seat in seats {
            let item = Element::new("item", ns::MUC_USER).attr("affiliation", "none").attr("role", "none");
            let status = |code: &str| Element::new("status", ns::MUC_USER).attr("code", code);
            let x = Element::new("x", ns::MUC_USER).child(item).children_from(["110", "332"].map(status));
            let gone = Draft::new(Kind::Presence).from(Some(&seat)).to(Some(&jid)).type_("unavailable");
            self.deliver(connection, gone.child(&x).build());
            if let Some(session) = self.sessions.get_mut(&connection) {
                session.directed.remove(&seat);
            }
        }
    }
}

impl Receipt {
    /// The number of the last kept message that it stands for.
    pub fn up_to(&self) -> i64 {
        self.up_to
    }

    /// Whose it is.
    pub fn session(&self) -> ConnectionId {
        self.connection
    }

    /// A receipt of a session that is back.
    pub fn of(connection: ConnectionId, up_to: i64) -> Self {
        Self { connection, up_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Input, Neighbour, Output, Query, Setting};
    use std::sync::Arc;
    use wire::{Account, Address, Directory, Domain, Keys, Machine, WorkerId};

    fn connection(slot: u32) -> ConnectionId {
        ConnectionId { worker: WorkerId(0), slot, generation: 0 }
    }

    /// XEP-0045 §17.3: a client that goes on would think that it is still there.
    #[test]
    fn who_goes_on_after_a_restart_hears_that_it_is_in_no_room() {
        let mut router = router();
        let directed =
            ["ball@rooms.verona.example/Romeo", "juliet@verona.example/balcony", "rooms.verona.example"];
        let suspended = Suspended::of_test("romeo@verona.example/garden", &directed);
        let now = testkit::start();
        let connection = connection(1);
        router.handle(now, Input::Restore { connection, suspended: Box::new(suspended) });
        let outputs: Vec<Output> = std::iter::from_fn(|| router.poll()).collect();
        let [Output::Deliver { connection: to, given }] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(*to, connection);
        assert_eq!(
            given.stanza.as_str(),
            "<presence from='ball@rooms.verona.example/Romeo' to='romeo@verona.example/garden' type='unavailable'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/>\
             <status code='110'/><status code='332'/></x></presence>"
        );
        assert_eq!(router.suspend(connection).expect("it is there").directed.len(), 2);
    }

    fn router() -> Router {
        let address: Address = "romeo@verona.example".parse().unwrap();
        let account = Arc::new(Account { address: address.clone(), keys: Keys::default() });
        let domain = Domain::new("verona.example").unwrap();
        let directory = Directory::new([(&domain, &[][..])]).with([(address, Some(account))]);
        let rooms = Neighbour { host: Domain::new("rooms.verona.example").unwrap(), domain, name: None };
        let of_test = Setting::of_test(testkit::start(), directory);
        Router::new(Setting { workers: 1, rooms: vec![rooms], ..of_test })
    }

    /// Two that wait were given kept messages: what either acknowledges is forgotten, whichever came first.
    #[test]
    fn of_several_that_were_given_kept_messages_each_has_forgotten_what_it_took() {
        for given in [[5, 3], [3, 5]] {
            let now = testkit::start();
            let mut router = router();
            for (slot, up_to) in (1..).zip(given) {
                let jid = format!("romeo@verona.example/{slot}");
                let suspended = Suspended { given: Some(up_to), ..Suspended::of_test(&jid, &[]) };
                let connection = connection(slot);
                router.handle(now, Input::Restore { connection, suspended: Box::new(suspended) });
            }
            let most = if given[0] > given[1] { 1 } else { 2 };
            for (slot, up_to) in [(3 - most, 3), (most, 5)] {
                router.handle(now, Input::Delivered(Receipt::of(connection(slot), up_to)));
                let outputs: Vec<Output> = std::iter::from_fn(|| router.poll()).collect();
                let forgets = |output: &Output| match output {
                    Output::Ask { query: Query::Forget { up_to: forgotten, .. }, .. } => *forgotten == up_to,
                    _ => false,
                };
                assert!(outputs.iter().any(forgets), "{given:?}: {outputs:?}");
            }
        }
    }
}
