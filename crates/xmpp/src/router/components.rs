//! Components beside the server (XEP-0114): each is at home on one worker, where what is for its domain goes.
//!
//! To the router a component is a session without an account: what it says opens debts, and it is slowed down like one.

use super::session::Session;
use super::{Eviction, Output, Parcel, Router};
use crate::jid::Jid;
use crate::stanza::{Condition, Kind, Stanza};
use crate::xep;
use wire::{ConnectionId, Domain};

impl Router {
    /// A component is there, at home here. One that was there before gives way to it.
    pub(super) fn component_opened(&mut self, connection: ConnectionId, host: Domain) {
        let Ok(jid) = host.as_str().parse::<Jid>() else { return };
        if let Some(old) = self.components.insert(host, connection) {
            self.output(Output::Close { connection: old, why: Eviction::Replaced });
            self.closed(old);
        }
        self.sessions.insert(connection, Box::new(Session::new(connection, jid, self.now)));
    }

    /// A session that was a component's is over.
    pub(super) fn component_closed(&mut self, session: &mut Session) {
        for held in session.held.drain(..) {
            self.ledger.close(held.debt);
        }
        self.components.retain(|_, connection| *connection != session.connection);
    }

    /// Components that the plan does not know any more have to go.
    pub(super) fn dismiss_components(&mut self) {
        let known = |host: &Domain| self.places.is_component(host.as_str());
        let gone: Vec<ConnectionId> = self
            .components
            .iter()
            .filter(|(host, _)| !known(host))
            .map(|(_, connection)| *connection)
            .collect();
        for connection in gone {
            self.output(Output::Close { connection, why: Eviction::Kicked });
            self.closed(connection);
        }
    }

    /// A component sent a stanza, unless too much of what it sent is under way.
    pub(super) fn component_said(&mut self, connection: ConnectionId, stanza: Stanza) {
        let parcel = Parcel::of(self.canonical(stanza), connection);
        if self.ledger.has_room(connection) {
            self.route(parcel);
        } else {
            self.bounce(parcel, Condition::ResourceConstraint);
        }
    }

    /// For a component at home here.
    pub(super) fn for_component(&mut self, parcel: Parcel) {
        match self.components.get(parcel.to().domain()) {
            Some(connection) => self.deliver(*connection, parcel.written().stanza),
            // It may come back.
            None => self.bounce(parcel, Condition::RemoteServerTimeout),
        }
    }

    /// A component could not be given a stanza.
    pub(super) fn returned(&mut self, stanza: Stanza, condition: Condition) {
        if stanza.from().is_some() && stanza.to().is_some() {
            self.bounce(Parcel { quiet: false, ..Parcel::own(stanza) }, condition);
        }
    }

    /// What a component asks of the server itself; no answer to anybody else.
    pub(super) fn asked_by_component(&mut self, parcel: &Parcel) -> Option<Stanza> {
        let stanza = &parcel.stanza;
        let asks = stanza.kind() == Kind::Iq && parcel.to().is_bare();
        if !asks || !self.places.is_component(parcel.from().domain()) {
            return None;
        }
        let get = super::outbound::request(stanza)?;
        let payload = stanza.payload_element()?;
        Some(self.serve(xep::Target::Server, stanza, get, &payload))
    }
}
