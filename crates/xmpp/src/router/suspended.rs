//! Sessions that outlive the server: what the router knows of one, taken out before the end and put back at the next
//! beginning, where it waits for its client as any other whose connection was lost (XEP-0198 §5).

use super::account::Seat;
use super::session::Session;
use super::{Receipt, Router};
use crate::jid::Jid;
use crate::presence::broadcast::priority;
use crate::stanza::Stanza;
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
            since: None,
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
        self.sessions.insert(connection, session);
        if let Some(up_to) = suspended.given {
            self.was_given(&address, connection, up_to);
        }
    }
}

impl Receipt {
    /// The number of the last kept message that it stands for.
    pub fn up_to(&self) -> i64 {
        self.up_to
    }

    /// A receipt of a session that is back.
    pub fn of(connection: ConnectionId, up_to: i64) -> Self {
        Self { connection, up_to }
    }
}
